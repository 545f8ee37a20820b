//! Histories of orders and seats that are known to be good, and known to be bad.

use allocator::Span;
use engine::answer::{Answer, CancelReason, HoldView, OrderView, PartitionView, ReservationView};
use engine::command::{AdHoc, Cancel, ExpectedHold, Found, LookedUp, Pay, Reserve, SeatRequest};
use engine::ids::{Cents, SlotId, Time, TxnId};
use engine::text::Text;

use super::*;

const DEADLINE: Time = Time(1_000);

fn order_id(number: u128) -> OrderId {
    OrderId::new(SlotId::new(1), number << 12)
}

fn partition() -> PartitionKey {
    PartitionKey::parse("p").unwrap()
}

fn told(called: u64, returned: u64, command: Command, reply: Reply) -> Told {
    Told { command, called, returned: Some(returned), reply: Some(reply), time: Time(10) }
}

fn view(number: u128, status: OrderStatus) -> Reply {
    let id = order_id(number);
    let reservation = (status != OrderStatus::Init).then(|| ReservationView {
        partition: partition(),
        hold: id.hold_id(),
        quantity: 1,
        from: 0,
        to: 1,
        seats: if status == OrderStatus::Cancelled { Vec::new() } else { vec![Text::from("1-1")] },
        expires_at: DEADLINE,
    });
    let paid = matches!(status, OrderStatus::Paid | OrderStatus::Ticketed);
    Ok(Answer::Order(Box::new(OrderView {
        order: id,
        key: IdempotencyKey::parse(&format!("key-{number}")).unwrap(),
        status,
        amount: Cents(1),
        created_at: Time(1),
        updated_at: Time(1),
        reservation,
        cancel_reason: (status == OrderStatus::Cancelled).then_some(CancelReason::Requested),
        txn: paid.then(|| TxnId::parse("t").unwrap()),
        refund: None,
    })))
}

fn create(number: u128) -> Command {
    let key = IdempotencyKey::parse(&format!("key-{number}")).unwrap();
    Command::CreateOrder(engine::command::CreateOrder { key, amount: Cents(1), entropy: 0 })
}

fn get(number: u128) -> Command {
    Command::GetOrder { order: order_id(number) }
}

fn seats(hold: HoldId) -> SeatRequest {
    let ad_hoc = AdHoc { capacity: 1, segments: 1 };
    SeatRequest { partition: partition(), hold, quantity: 1, span: Span::new(0, 1), ad_hoc }
}

fn reserved_by(number: u128) -> Reserve {
    Reserve { order: order_id(number), seats: seats(order_id(number).hold_id()) }
}

fn reserve(number: u128) -> Command {
    Command::Reserve(reserved_by(number))
}

fn pay(number: u128) -> Command {
    let (order, txn) = (order_id(number).name(), TxnId::parse("t").unwrap());
    Command::Pay(Pay { order, txn, expected: ExpectedHold::default(), verified: true, looked_up: None })
}

fn cancel(number: u128) -> Command {
    Command::Cancel(Cancel { order: order_id(number), expected: ExpectedHold::default() })
}

fn held(id: &str, deadline: Time) -> (Command, Reply) {
    let hold = HoldId::parse(id).unwrap();
    let view = PartitionView {
        partition: partition(),
        capacity: 1,
        available: 0,
        confirmed: 0,
        last_seq: 1,
        hold: HoldView {
            hold: hold.clone(),
            quantity: 1,
            status: HoldStatus::Held,
            seats: vec![Text::from("1-1")],
            expires_at: deadline,
        },
    };
    (Command::TryHold(seats(hold)), Ok(Answer::Partition(Box::new(view))))
}

fn is_linear(history: &[Told]) -> bool {
    is_linear_with(history, &Memory::default(), Leaving::default())
}

fn is_linear_with(history: &[Told], memory: &Memory, leaving: Leaving) -> bool {
    std::panic::catch_unwind(|| check(history, memory, leaving, &mut Counters::default())).is_ok()
}

use OrderStatus::{Cancelled, Init, Paid, Reserved, Ticketed};

#[test]
fn an_order_goes_its_way() {
    assert!(is_linear(&[
        told(1, 2, create(1), view(1, Init)),
        told(3, 6, reserve(1), view(1, Reserved)),
        // Overlaps the reserve, and sees what was before.
        told(4, 9, get(1), view(1, Init)),
        told(10, 20, pay(1), view(1, Paid)),
        told(11, 21, get(1), view(1, Reserved)),
        told(30, 31, get(1), view(1, Ticketed)),
    ]));
}

#[test]
fn an_order_does_not_go_back() {
    let base = [told(1, 2, create(1), view(1, Init)), told(3, 6, reserve(1), view(1, Reserved))];
    let with = |more: &[Told]| is_linear(&[&base[..], more].concat());
    assert!(with(&[]));
    assert!(!with(&[told(7, 8, get(1), view(1, Init))]), "a stale read");
    assert!(!with(&[told(7, 8, get(1), view(1, Paid))]), "paid by nobody");
    assert!(!with(&[told(7, 8, get(1), view(1, Cancelled))]), "cancelled by nobody");
    assert!(with(&[told(7, 9, cancel(1), view(1, Cancelled))]));
    let both = [told(7, 9, cancel(1), view(1, Cancelled)), told(8, 12, pay(1), view(1, Paid))];
    assert!(!with(&both), "cancelled and paid");
    let gone = Err(Rejection::OrderNotFound);
    assert!(!with(&[told(7, 8, get(1), gone)]), "an order that was there");
}

#[test]
fn a_seat_has_one_holder() {
    let one = held("one", DEADLINE);
    let two = held("two", DEADLINE.plus(5));
    let first = told(1, 2, one.0.clone(), one.1.clone());
    let second = |time| Told { time, ..told(3, 4, two.0.clone(), two.1.clone()) };
    assert!(!is_linear(&[first.clone(), second(Time(10))]), "the first still has it");
    assert!(is_linear(&[first.clone(), second(DEADLINE)]), "the first has expired");
    let hold = engine::command::HoldRef { partition: partition(), hold: HoldId::parse("one").unwrap() };
    let release =
        Told { returned: None, reply: None, ..told(2, 0, Command::ReleaseHold(hold), one.1.clone()) };
    assert!(is_linear(&[first.clone(), release, second(Time(10))]), "the first was perhaps released");
    let adopt = Command::Reserve(Reserve { order: order_id(1), seats: seats(HoldId::parse("one").unwrap()) });
    let refused = told(2, 9, adopt.clone(), Err(Rejection::HoldOwnedByAnother));
    assert!(!is_linear(&[first.clone(), refused, second(Time(10))]), "nobody took it");
    let given_up = told(2, 9, adopt, Err(Rejection::InvalidTransition));
    assert!(is_linear(&[first.clone(), given_up, second(Time(10))]), "an order took it and gave it back");
    let again = told(5, 6, one.0.clone(), one.1.clone());
    assert!(!is_linear(&[first.clone(), second(DEADLINE), again]), "the first comes back");
}

#[test]
fn an_order_hears_late_that_its_seat_has_gone_on() {
    let other = held("other", DEADLINE.plus(5));
    let base = [
        told(1, 2, create(1), view(1, Init)),
        told(3, 4, reserve(1), view(1, Reserved)),
        told(8, 9, other.0, other.1),
    ];
    let with = |more: &[Told]| is_linear(&[&base[..], more].concat());
    assert!(!with(&[]), "nobody asked the first to end");
    let cancelling = Told { returned: None, reply: None, ..told(5, 0, cancel(1), view(1, Cancelled)) };
    assert!(with(&[cancelling.clone(), told(10, 11, get(1), view(1, Reserved))]));
    assert!(!with(&[cancelling, told(10, 11, get(1), view(1, Paid))]), "and yet it is sold");
    let cancelled = told(5, 7, cancel(1), view(1, Cancelled));
    assert!(!with(&[cancelled, told(10, 11, get(1), view(1, Reserved))]), "the order has heard");
}

#[test]
fn a_sold_seat_stays_sold() {
    let other = held("other", DEADLINE.plus(9_000));
    let sold = [
        told(1, 2, create(1), view(1, Init)),
        told(3, 4, reserve(1), view(1, Reserved)),
        told(5, 6, pay(1), view(1, Paid)),
    ];
    assert!(is_linear(&sold));
    let late = Told { time: DEADLINE.plus(5_000), ..told(7, 8, other.0, other.1) };
    assert!(!is_linear(&[&sold[..], &[late]].concat()), "another has the seat that was sold");
}

#[test]
fn a_sold_seat_is_free_again_once_its_partition_was_forgotten() {
    let at = DEADLINE.plus(5_000);
    let other = held("other", DEADLINE.plus(9_000));
    let history = [
        told(1, 2, create(1), view(1, Init)),
        told(3, 4, reserve(1), view(1, Reserved)),
        told(5, 6, pay(1), view(1, Paid)),
        Told { time: at, ..told(7, 8, other.0, other.1) },
        // The order has its ticket for ever.
        Told { time: at, ..told(9, 10, get(1), view(1, Ticketed)) },
    ];
    let let_go = |at| Memory { let_go: BTreeMap::from([(partition(), at)]), ..Memory::default() };
    assert!(is_linear_with(&history, &let_go(at), Leaving::default()));
    assert!(
        !is_linear_with(&history, &let_go(at.plus(1)), Leaving::default()),
        "it was not forgotten by then"
    );
}

#[test]
fn of_holds_that_look_the_same_nothing_is_known() {
    let (one, two) = (held("one", DEADLINE), held("two", DEADLINE.plus(5)));
    let history =
        [told(1, 2, one.0.clone(), one.1.clone()), told(3, 4, two.0, two.1), told(5, 6, one.0, one.1)];
    assert!(!is_linear(&history));
    let twin = (partition(), HoldId::parse("one").unwrap(), DEADLINE);
    let memory = Memory { twins: BTreeSet::from([twin]), ..Memory::default() };
    assert!(is_linear_with(&history, &memory, Leaving::default()));
}

fn tight(when_tight: bool) -> Leaving {
    Leaving { early_ms: when_tight.then_some(600_000), retention_ms: None }
}

#[test]
fn an_order_leaves_once_it_has_ended() {
    let leaving = Leaving { early_ms: None, retention_ms: Some(100) };
    let base = [
        told(1, 2, create(1), view(1, Init)),
        told(3, 4, reserve(1), view(1, Reserved)),
        told(5, 6, cancel(1), view(1, Cancelled)),
    ];
    let gone = |time| Told { time: Time(time), ..told(7, 8, get(1), Err(Rejection::OrderNotFound)) };
    let with = |more: &[Told]| is_linear_with(&[&base[..], more].concat(), &Memory::default(), leaving);
    assert!(with(&[gone(101)]));
    assert!(!with(&[gone(100)]), "too soon");
    assert!(!with(&[gone(101), told(9, 10, get(1), view(1, Cancelled))]), "it comes back");
    let of_read_model = |mut pay: Command| {
        let Command::Pay(c) = &mut pay else { unreachable!() };
        let found = Found::Nothing { refund: None, history_lost: false };
        c.looked_up = Some(Box::new(LookedUp { at: Time(5), found }));
        pay
    };
    assert!(with(&[gone(101), told(9, 10, of_read_model(pay(1)), view(1, Cancelled))]), "it is told of");
}

#[test]
fn an_order_that_had_nothing_may_go_once_it_is_old() {
    let late = Time(1 + 600_000);
    let gone = || Err(Rejection::OrderNotFound);
    let base = [told(1, 2, create(1), view(1, Init)), Told { time: late, ..told(3, 4, get(1), gone()) }];
    let with = |more: &[Told], when_tight| {
        is_linear_with(&[&base[..], more].concat(), &Memory::default(), tight(when_tight))
    };
    assert!(!with(&[], false), "memory is not short");
    assert!(with(&[], true));
    assert!(with(&[Told { time: late, ..told(5, 6, get(1), gone()) }], true));
    assert!(!with(&[Told { time: late, ..told(5, 6, get(1), view(1, Init)) }], true), "it comes back");
    // Its key may have another order.
    let mut other = view(2, Init);
    if let Ok(Answer::Order(view)) = &mut other {
        view.key = IdempotencyKey::parse("key-1").unwrap();
    }
    assert!(with(&[Told { time: late, ..told(5, 6, create(1), other) }], true));
    let young = [told(1, 2, create(1), view(1, Init)), told(3, 4, get(1), gone())];
    assert!(!is_linear_with(&young, &Memory::default(), tight(true)), "it was too young");
    let reserved = [&base[..1], &[told(3, 4, reserve(1), view(1, Reserved))], &base[1..]].concat();
    assert!(!is_linear_with(&reserved, &Memory::default(), tight(true)), "it had a hold");
}

#[test]
fn a_refused_reserve_stays_refused() {
    let base =
        [told(1, 2, create(1), view(1, Init)), told(3, 6, reserve(1), Err(Rejection::InsufficientStock))];
    let with = |more: &[Told]| is_linear(&[&base[..], more].concat());
    assert!(with(&[told(7, 8, get(1), view(1, Init))]));
    assert!(!with(&[told(7, 8, get(1), view(1, Reserved))]), "reserved, and the client was told no");
    assert!(with(&[told(7, 8, reserve(1), view(1, Reserved)), told(9, 10, get(1), view(1, Reserved))]));
}
