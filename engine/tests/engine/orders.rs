//! The life of an order: every status against every command, what is refused, and what the records say.

use engine::answer::{CancelReason, HoldStatus, OrderStatus, ReservationView};
use engine::command::{Cancel, Command, CreateOrder, ExpectedHold, Pay, Reserve, SeatRequest};
use engine::ids::{Cents, OrderId, OrderKey, SlotId, Time};
use engine::record::{Body, Record, ReleaseReason};
use engine::text::Text;

use crate::support::catalogue::Table;
use crate::support::check;
use crate::support::names::{APART, Names, PLACEMENTS, create, hold, key, order_name, partition, span, txn};
use crate::support::world::{START, World};
use crate::support::{kind, order_of, partition_of, said_twice, word};

const HOUR_MS: u64 = 3_600_000;

const STATUSES: [&str; 9] =
    ["unknown", "init", "reserved", "overdue", "paid", "ticketed", "requested", "expired", "abandoned"];

/// A world whose order 0 has come to a status; its hold is one seat on the whole run.
fn world_with(names: &Names, status: &str) -> World {
    let mut world = World::new(Table::default());
    // The partition is open, so that only what becomes of the order is recorded.
    world.run(names.try_hold("opener", 1)).unwrap();
    world.run(names.release("opener")).unwrap();
    let mut run = |command| world.run(command).map(drop).expect("a step of the set-up");
    if status != "unknown" {
        run(names.create(0));
    }
    if !["unknown", "init", "abandoned"].contains(&status) {
        run(names.reserve(0));
    }
    if ["paid", "ticketed"].contains(&status) {
        run(names.pay(0, 0));
    }
    match status {
        "unknown" | "init" | "reserved" | "paid" => {}
        "ticketed" => run(names.ticket(0)),
        "requested" => run(names.cancel(0)),
        "overdue" => world.wait(world.policy.hold_ttl_ms),
        "expired" => world.later(world.policy.hold_ttl_ms),
        "abandoned" => world.later(world.policy.abandon_ms),
        other => panic!("no status is called {other}"),
    }
    world
}

fn command(names: &Names, name: &str) -> Command {
    let another = ExpectedHold { partition: None, hold: Some(hold("another")) };
    match name {
        "create again" => names.create(0),
        "create for more" => {
            Command::CreateOrder(CreateOrder { key: names.key(0), amount: Cents(101), entropy: u128::MAX })
        }
        "reserve" => names.reserve(0),
        "reserve two" => names.reserve_with(0, |seats| seats.quantity = 2),
        "cancel" => names.cancel(0),
        "cancel another hold" => Command::Cancel(Cancel { order: names.order(0), expected: another }),
        "pay again" => names.pay(0, 0),
        "pay afresh" => names.pay(0, 1),
        "pay another hold" => match names.pay(0, 1) {
            Command::Pay(pay) => Command::Pay(Pay { expected: another, ..pay }),
            _ => unreachable!(),
        },
        "issue" => names.ticket(0),
        "get" => names.get(0),
        other => panic!("no command is called {other}"),
    }
}

/// The reply in a word and the records, acknowledgements left out.
fn check(status: &str, name: &str, expected: &str) {
    for placement in PLACEMENTS {
        let names = Names::new(placement);
        let mut world = world_with(&names, status);
        let found = said_twice(&mut world, &command(&names, name));
        assert_eq!(found, expected, "{name} on {status}, {placement:?}");
        world.later(10 * HOUR_MS);
        check::settled(&world);
        check::replay(&world);
    }
}

/// One line of the table: what each status, in the order of [`STATUSES`], answers and records.
fn row(name: &str, expected: [&str; 9]) {
    for (status, expected) in STATUSES.iter().zip(expected) {
        check(status, name, expected);
    }
}

const MISSING: &str = "!OrderNotFound";
const WRONG: &str = "!InvalidTransition";
const CANCELLED: &str = "Cancelled(Requested)";
const EXPIRED: &str = "Cancelled(HoldExpired)";
const ABANDONED: &str = "Cancelled(Abandoned)";
const EXPIRES: &str = "Cancelled(HoldExpired) HoldsExpired OrderCancelled";

#[test]
fn create_again_shows_the_order_as_it_is() {
    let missing = "Init OrderCreated";
    let expected = [missing, "Init", "Reserved", EXPIRES, "Paid", "Ticketed", CANCELLED, EXPIRED, ABANDONED];
    row("create again", expected);
}

#[test]
fn create_with_another_amount_is_refused() {
    for status in &STATUSES[1..] {
        check(status, "create for more", "!AmountDiffers");
    }
}

#[test]
fn reserve() {
    let made = "Reserved HoldMade OrderReserved";
    let due = "!InvalidTransition HoldsExpired OrderCancelled";
    row("reserve", [MISSING, made, "Reserved", due, WRONG, WRONG, WRONG, WRONG, WRONG]);
    let differs = "!ReservationDiffers";
    row("reserve two", [MISSING, made, differs, due, WRONG, WRONG, WRONG, WRONG, WRONG]);
}

#[test]
fn cancel() {
    let init = "Cancelled(Requested) OrderCancelled";
    let reserved = "Cancelled(Requested) HoldReleased OrderCancelled";
    row("cancel", [MISSING, init, reserved, EXPIRES, WRONG, WRONG, CANCELLED, EXPIRED, ABANDONED]);
    let other = "!HoldMismatch";
    // An order that never held anything has nothing to confuse it with.
    row("cancel another hold", [MISSING, init, other, other, other, other, other, other, ABANDONED]);
}

#[test]
fn pay() {
    let unmatched = "!OrderNotFound RefundOwed";
    let owed = "!InvalidTransition TxnClaimed RefundOwed";
    let paid = "Paid TxnClaimed HoldConfirmed OrderPaid";
    let due = "!HoldExpired TxnClaimed HoldsExpired OrderCancelled RefundOwed";
    let twice = "!AlreadyPaid TxnClaimed RefundOwed";
    let expired = "!HoldExpired TxnClaimed RefundOwed";
    row("pay afresh", [unmatched, owed, paid, due, twice, twice, owed, expired, owed]);
    row("pay again", [unmatched, owed, paid, due, "Paid", "Ticketed", owed, expired, owed]);
    let other = "!HoldMismatch";
    row("pay another hold", [unmatched, owed, other, other, other, other, other, other, owed]);
}

#[test]
fn tickets_are_issued_for_paid_orders_alone() {
    let issued = "Ticketed OrderTicketed";
    row("issue", [MISSING, WRONG, WRONG, WRONG, issued, "Ticketed", WRONG, WRONG, WRONG]);
}

#[test]
fn get() {
    row("get", [MISSING, "Init", "Reserved", EXPIRES, "Paid", "Ticketed", CANCELLED, EXPIRED, ABANDONED]);
}

#[test]
fn a_repeat_with_other_contents_is_refused() {
    let names = Names::new(APART);
    let others = [
        names.reserve_with(0, |seats| seats.partition = partition("another")),
        names.reserve_with(0, |seats| seats.hold = hold("another")),
        names.reserve_with(0, |seats| seats.quantity = 2),
        names.reserve_with(0, |seats| seats.span = span(0, 1)),
        names.reserve_with(0, |seats| seats.span = span(1, 2)),
    ];
    let mut world = world_with(&names, "reserved");
    let before = world.log.len();
    for other in others {
        assert_eq!(word(&world.run(other.clone())), "!ReservationDiffers", "{other:?}");
    }
    // The whole run by name is the whole run.
    let whole = names.reserve_with(0, |seats| seats.span = span(0, 2));
    assert_eq!(word(&world.run(whole)), "Reserved");
    assert_eq!(world.log.len(), before);
}

#[test]
fn naming_another_partition_or_hold_is_refused() {
    let names = Names::new(APART);
    let own = names.order(0).hold_id();
    let cases = [
        (None, None, true),
        (Some(names.partition.clone()), None, true),
        (None, Some(own.clone()), true),
        (Some(names.partition.clone()), Some(own.clone()), true),
        (Some(partition("another")), None, false),
        (Some(partition("another")), Some(own), false),
        (Some(names.partition.clone()), Some(hold("another")), false),
    ];
    for (partition, hold, agrees) in cases {
        let named = ExpectedHold { partition, hold };
        let mut world = world_with(&names, "reserved");
        let reply = world.run(Command::Cancel(Cancel { order: names.order(0), expected: named.clone() }));
        assert_eq!(word(&reply), if agrees { CANCELLED } else { "!HoldMismatch" }, "{named:?}");
        let Command::Pay(pay) = names.pay(0, 0) else { unreachable!() };
        let mut world = world_with(&names, "reserved");
        let reply = world.run(Command::Pay(Pay { expected: named.clone(), ..pay }));
        assert_eq!(word(&reply), if agrees { "Paid" } else { "!HoldMismatch" }, "{named:?}");
    }
}

/// A client's hold `h` of two seats on the first segment, then an order that reserves something under that id.
fn adopt(change: impl Fn(&mut World, &Names, &mut SeatRequest), expected: &str) -> (World, Names) {
    let names = Names::new(APART);
    let mut world = World::new(Table::default());
    let mut seats = SeatRequest { span: span(0, 1), ..names.seats(hold("h"), 2) };
    world.run(Command::TryHold(seats.clone())).unwrap();
    world.run(names.create(0)).unwrap();
    change(&mut world, &names, &mut seats);
    let reply = world.run(Command::Reserve(Reserve { order: names.order(0), seats }));
    assert_eq!(word(&reply), expected);
    check::settled(&world);
    (world, names)
}

#[test]
fn a_hold_that_nobody_owns_is_adopted() {
    let (mut world, names) = adopt(|world, _, _| world.wait(5_000), "Reserved");
    let reply = world.run(names.get(0));
    let reservation = order_of(&reply).reservation.as_ref().unwrap();
    // Its deadline is the one that the client had.
    assert_eq!(reservation.expires_at, START.plus(120_000));
    assert_eq!(reservation.seats.len(), 2);
    // From now on only the order can end it, and the client still sees it.
    assert_eq!(word(&world.run(names.release("h"))), "!HoldOwned");
    assert_eq!(word(&world.run(names.confirm("h"))), "!HoldOwned");
    let again = names.try_hold_with("h", 2, |seats| seats.span = span(0, 1));
    assert_eq!(word(&world.run(again)), "Held");
    assert_eq!(word(&world.run(names.pay(0, 0))), "Paid");
    check::settled(&world);
}

#[test]
fn a_hold_of_other_contents_or_already_ended_is_not_adopted() {
    adopt(|_, _, seats| seats.quantity = 1, "!HoldDiffers");
    adopt(|_, _, seats| seats.span = span(1, 2), "!HoldDiffers");
    adopt(|_, _, seats| seats.span = None, "!HoldDiffers");
    adopt(|world, _, _| world.wait(120_000), "!HoldExpired");
    adopt(|world, names, _| drop(world.run(names.release("h"))), "!HoldReleased");
    adopt(|world, names, _| drop(world.run(names.confirm("h"))), "!HoldConfirmed");
}

#[test]
fn a_hold_belongs_to_one_order() {
    let check = |end: fn(&mut World, &Names), expected: &str| {
        let names = Names::new(APART);
        let mut world = World::new(Table::default());
        world.run(names.create(0)).unwrap();
        world.run(names.create(1)).unwrap();
        let shared = |nth| names.reserve_with(nth, |seats| seats.hold = hold("shared"));
        world.run(shared(0)).unwrap();
        end(&mut world, &names);
        let reply = world.run(shared(1));
        assert_eq!(word(&reply), expected);
        check::settled(&world);
    };
    check(|_, _| (), "!HoldOwnedByAnother");
    check(|world, names| drop(world.run(names.cancel(0))), "!HoldOwnedByAnother");
    check(|world, names| drop(world.run(names.pay(0, 0))), "!HoldOwnedByAnother");
    check(|world, _| world.later(120_000), "!HoldOwnedByAnother");
}

#[test]
fn sold_out_leaves_the_order_as_it_was() {
    let names = Names::new(APART);
    let mut world = World::new(Table::default());
    world.run(names.create(0)).unwrap();
    world.run(names.try_hold("all but one", 3)).unwrap();
    let before = world.log.len();
    let two = names.reserve_with(0, |seats| seats.quantity = 2);
    let beyond = names.reserve_with(0, |seats| (seats.quantity, seats.span) = (2, span(1, 3)));
    assert_eq!(word(&world.run(two)), "!InsufficientStock");
    assert_eq!(word(&world.run(beyond)), "!InvalidSpan");
    assert_eq!(world.log.len(), before);
    assert_eq!(word(&world.run(names.get(0))), "Init");
    assert_eq!(word(&world.run(names.reserve(0))), "Reserved");
    // A repeat of the last seat's reservation is not short of seats.
    assert_eq!(word(&world.run(names.reserve(0))), "Reserved");
}

#[test]
fn an_order_is_given_up_after_a_day_and_not_before() {
    let names = Names::new(APART);
    let mut world = world_with(&names, "init");
    world.later(24 * HOUR_MS - 1);
    assert_eq!(word(&world.run(names.get(0))), "Init");
    world.later(1);
    let reply = world.run(names.get(0));
    assert_eq!(word(&reply), ABANDONED);
    assert_eq!(order_of(&reply).updated_at, START.plus(24 * HOUR_MS));
    for status in ["reserved", "paid", "ticketed"] {
        let mut world = world_with(&names, status);
        world.policy.hold_ttl_ms = u64::MAX;
        world.later(119_999);
        assert_ne!(word(&world.run(names.get(0))), ABANDONED, "{status}");
        world.later(48 * HOUR_MS);
        assert_ne!(word(&world.run(names.get(0))), ABANDONED, "{status}");
    }
}

#[test]
fn an_order_id_carries_the_slot_of_its_key() {
    let names = Names::new(APART);
    let mut world = World::new(Table::default());
    let reply = world.run(names.create(0));
    let view = order_of(&reply);
    assert_eq!(view.order.slot(), SlotId::new(7));
    assert_eq!(view.order, names.order(0));
    assert_eq!((view.created_at, view.updated_at, view.amount), (START, START, Cents(100)));
    // A repeat brings other entropy and gets the first order.
    world.wait(1_000);
    let Command::CreateOrder(create) = names.create(0) else { unreachable!() };
    let again = world.run(Command::CreateOrder(CreateOrder { entropy: 77, ..create }));
    assert_eq!(order_of(&again), view);
}

#[test]
fn names_that_are_no_order_of_ours_are_unknown() {
    let mut world = World::new(Table::default());
    let order = OrderId::new(SlotId::new(3), 5);
    for command in [
        Command::GetOrder { order },
        Command::IssueTicket { order },
        Command::Cancel(Cancel { order, expected: ExpectedHold::default() }),
        Command::Pay(Pay {
            order: order_name("theirs"),
            txn: txn("t"),
            expected: ExpectedHold::default(),
            verified: false,
            looked_up: None,
        }),
    ] {
        assert_eq!(word(&world.run(command)), MISSING);
    }
    assert!(world.log.is_empty());
}

fn last<'a>(world: &'a World, of: &str) -> &'a Record {
    world.log.iter().rev().find(|record| kind(record) == of).unwrap_or_else(|| panic!("no {of} was recorded"))
}

#[test]
fn records_are_enough_by_themselves() {
    let names = Names::new(APART);
    let mut world = World::new(Table::default());
    world.trace = Text::from("trace-1");
    world.run(names.create(0)).unwrap();
    world.wait(10);
    let reserve = names.reserve_with(0, |seats| (seats.quantity, seats.span) = (2, span(1, 2)));
    let reply = world.run(reserve);
    let seats: Vec<Text> = ["1-1", "1-2"].map(Text::from).to_vec();
    assert_eq!(
        order_of(&reply).reservation,
        Some(ReservationView {
            partition: names.partition.clone(),
            hold: names.order(0).hold_id(),
            quantity: 2,
            from: 1,
            to: 2,
            seats: seats.clone(),
            expires_at: START.plus(120_010),
        })
    );
    let record = last(&world, "HoldMade");
    assert_eq!((record.slot, record.time), (SlotId::new(8), START.plus(10)));
    assert_eq!(record.trace, Text::from("trace-1"));
    let Body::HoldMade(row) = &record.body else { unreachable!() };
    assert_eq!((&row.partition, &row.hold), (&names.partition, &names.order(0).hold_id()));
    assert_eq!((row.partition_seq, row.status, row.owner), (1, HoldStatus::Held, Some(names.order(0))));
    assert_eq!((row.quantity, row.from, row.to, row.segments, row.capacity), (2, 1, 2, 2, 4));
    assert_eq!((&row.seats, &row.labels), (&vec![0, 1], &seats));
    assert_eq!((row.deadline, &row.txn, row.release_reason), (START.plus(120_010), &None, None));

    world.wait(10);
    world.run(names.pay(0, 0)).unwrap();
    let Body::HoldConfirmed(row) = &last(&world, "HoldConfirmed").body else { unreachable!() };
    assert_eq!((row.partition_seq, row.status), (2, HoldStatus::Confirmed));
    assert_eq!((&row.txn, &row.labels), (&Some(names.txn(0)), &seats));
    let record = last(&world, "OrderPaid");
    assert_eq!((record.slot, record.time), (SlotId::new(7), START.plus(20)));
    let Body::OrderPaid(row) = &record.body else { unreachable!() };
    assert_eq!(
        (row.order, &row.key, row.status),
        (names.order(0), &OrderKey::Plain(names.key(0)), OrderStatus::Paid)
    );
    assert_eq!((row.amount, row.created_at), (Cents(100), START));
    assert_eq!((&row.txn, row.cancel_reason), (&Some(names.txn(0)), None));
    let reservation = row.reservation.as_ref().unwrap();
    assert_eq!((&reservation.labels, reservation.segments, reservation.capacity), (&seats, 2, 4));
    assert_eq!((reservation.from, reservation.to, reservation.quantity), (1, 2, 2));
    let Body::TxnClaimed { txn, order, .. } = &last(&world, "TxnClaimed").body else { unreachable!() };
    assert_eq!((txn, *order), (&names.txn(0), names.order(0)));
}

#[test]
fn why_a_hold_ended_is_recorded() {
    let names = Names::new(APART);
    let mut world = world_with(&names, "requested");
    let Body::HoldReleased(row) = &last(&world, "HoldReleased").body else { unreachable!() };
    assert_eq!((row.release_reason, row.status), (Some(ReleaseReason::Requested), HoldStatus::Released));
    assert_eq!(row.keep_until, START.plus(world.policy.hold_memory_ms));
    // A hold whose order was cancelled while it was being made is declined.
    world.run(names.create(1)).unwrap();
    world.submit(names.reserve(1));
    world.deliver(0);
    world.crash();
    assert_eq!(word(&world.run(names.cancel(1))), CANCELLED);
    let Body::HoldReleased(row) = &last(&world, "HoldReleased").body else { unreachable!() };
    assert_eq!((row.release_reason, row.owner), (Some(ReleaseReason::Declined), Some(names.order(1))));
    let reason = |nth: usize| {
        let slot = world.slot(SlotId::new(7)).unwrap();
        slot.orders().get(names.order(nth)).unwrap().row.cancel_reason
    };
    assert_eq!((reason(0), reason(1)), (Some(CancelReason::Requested), Some(CancelReason::Requested)));
    check::settled(&world);
}

#[test]
fn time_in_records_never_goes_back() {
    let names = Names::new(APART);
    let mut world = world_with(&names, "init");
    world.wait(1_000);
    world.run(names.try_hold("late", 1)).unwrap();
    world.now = Time(START.0 + 500);
    let reply = world.run(names.try_hold("early", 1));
    assert_eq!(partition_of(&reply).hold.expires_at, START.plus(120_500));
    assert_eq!(last(&world, "HoldMade").time, START.plus(1_000));
    assert_eq!(world.slot(SlotId::new(8)).unwrap().time(), START.plus(1_000));
}

#[test]
fn keys_are_compared_byte_by_byte() {
    let mut world = World::new(Table::default());
    for (nth, text) in ["key", "KEY", "k\u{e9}y", "ke\u{301}y", "a b", "a  b"].iter().enumerate() {
        let reply = world.run(crate::support::names::create(key(text), 5, nth));
        assert_eq!(order_of(&reply).key.as_str(), *text);
    }
    assert_eq!(world.log.len(), 6);
}

/// What a loop asks of the orders of a slot: when one is to be given up, when one is overdue, which wait for a ticket.
#[test]
fn a_slot_knows_which_orders_wait_for_what() {
    let names = Names::new(APART);
    let mut world = World::new(Table::default());
    let slot = SlotId::new(APART.order);
    let check = |world: &World, [abandon, deadline, ticket]: [bool; 3]| {
        let orders = world.slot(slot).expect("something was recorded in it").orders();
        let order = orders.get(names.order(0)).expect("the order is there");
        let found = order.row.reservation.as_ref().map(|reservation| reservation.deadline);
        assert_eq!(orders.next_abandon().map(|(at, _)| at), abandon.then_some(order.row.abandon_at));
        assert_eq!(orders.next_deadline(), found.filter(|_| deadline));
        let overdue = |at| orders.overdue(at).collect::<Vec<_>>();
        if let Some(at) = found {
            assert_eq!(overdue(at).len(), usize::from(deadline));
            assert_eq!(overdue(Time(at.0 - 1)), []);
        }
        assert_eq!(orders.unticketed().iter().any(|(_, id)| *id == order.row.order), ticket);
        assert_eq!(orders.unticketed().len(), usize::from(ticket));
    };
    world.run(names.create(0)).unwrap();
    check(&world, [true, false, false]);
    world.run(names.reserve(0)).unwrap();
    check(&world, [false, true, false]);
    world.run(names.pay(0, 0)).unwrap();
    check(&world, [false, false, true]);
    world.run(names.ticket(0)).unwrap();
    check(&world, [false, false, false]);
}

/// Nobody has to ask for it, and a restart in between does not lose it.
#[test]
fn a_paid_order_is_due_for_its_ticket_at_once() {
    let names = Names::new(APART);
    let slot = SlotId::new(APART.order);
    for reload in [false, true] {
        let mut world = World::new(Table::default());
        for command in [names.create(0), names.reserve(0), names.pay(0, 0)] {
            world.run(command).unwrap();
        }
        if reload {
            world.reload();
        }
        assert_eq!(world.slot(slot).unwrap().next_due(&world.policy), Some(world.now));
        assert_eq!(world.due_slots(), [slot]);
        world.do_due();
        assert_eq!(kind(world.log.last().unwrap()), "OrderTicketed");
        assert_eq!(world.due_slots(), []);
        assert_eq!(word(&world.run(names.ticket(0))), "Ticketed", "whoever asks for it finds it issued");
        check::settled(&world);
    }
}

/// Oldest payment first, whatever the orders' ids.
#[test]
fn tickets_are_issued_in_the_order_of_payments() {
    let names = Names::new(APART);
    let mut world = World::new(Table::default());
    for nth in 0..3 {
        world.run(names.create(nth)).unwrap();
        world.run(names.reserve(nth)).unwrap();
    }
    for nth in [1, 2, 0] {
        world.wait(1);
        world.run(names.pay(nth, nth)).unwrap();
    }
    world.do_due();
    let tickets = world.log.iter().filter_map(|record| match &record.body {
        Body::OrderTicketed(row) => Some(row.order),
        _ => None,
    });
    assert!(tickets.eq([1, 2, 0].map(|nth| names.order(nth))));
}

/// The id that a server makes up is no part of what was asked for.
#[test]
fn the_same_creation_is_the_same_whatever_its_id_is_made_of() {
    let names = Names::new(APART);
    let creation = |key: usize, amount, entropy| create(names.key(key), amount, entropy);
    assert_eq!(creation(0, 100, 1), creation(0, 100, 2));
    assert_ne!(creation(0, 100, 1), creation(0, 101, 1));
    assert_ne!(creation(0, 100, 1), creation(1, 100, 1));
}

/// A worker outside asks for the tickets; one that does not is not waited for without end.
#[test]
fn a_ticket_that_nobody_asks_for_is_issued_after_a_while() {
    const AFTER_MS: u64 = 60_000;
    let names = Names::new(APART);
    let slot = SlotId::new(APART.order);
    let mut world = World::new(Table::default());
    world.policy.ticket_after_ms = AFTER_MS;
    for nth in 0..2 {
        for command in [names.create(nth), names.reserve(nth), names.pay(nth, nth)] {
            world.run(command).unwrap();
        }
    }
    let paid_at = world.now;
    assert_eq!(word(&world.run(names.ticket(0))), "Ticketed", "whoever asks gets it at once");
    assert_eq!(world.due_slots(), []);
    world.reload();
    assert_eq!(world.slot(slot).unwrap().next_due(&world.policy), Some(paid_at.plus(AFTER_MS)));
    world.later(AFTER_MS - 1);
    assert_eq!(word(&world.run(names.get(1))), "Paid");
    world.later(1);
    assert_eq!(word(&world.run(names.get(1))), "Ticketed");
    check::settled(&world);
}
