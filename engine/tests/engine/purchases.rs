//! Purchases: every status against every command, where a key counts, and what the records say.

use engine::answer::{CancelReason, HoldStatus, OrderStatus};
use engine::command::{Cancel, Command, ExpectedHold, Pay, Purchase, Reserve, SeatRequest};
use engine::ids::{Cents, OrderId, PartitionKey};
use engine::limits::EXPIRED_PER_RECORD_MAX;
use engine::message::Fact;
use engine::record::{Body, Record, ReleaseReason};

use crate::support::catalogue::Table;
use crate::support::check;
use crate::support::names::{Names, PLACEMENTS, TOGETHER, entropy, hold, key, partition, span};
use crate::support::world::World;
use crate::support::{kind, order_of, said_twice, word};

const HOUR_MS: u64 = 3_600_000;
const STATUSES: [&str; 7] = ["unknown", "reserved", "overdue", "paid", "ticketed", "requested", "expired"];

fn purchase(names: &Names, change: impl FnOnce(&mut Purchase)) -> Command {
    let mut purchase = Purchase {
        key: key("basket"),
        amount: Cents(100),
        partition: names.partition.clone(),
        quantity: 1,
        span: None,
        ad_hoc: names.ad_hoc,
        ttl_ms: None,
        entropy: entropy(0),
    };
    change(&mut purchase);
    Command::Purchase(purchase)
}

/// The id that the purchase gets.
fn id(world: &World, names: &Names) -> OrderId {
    OrderId::new(world.hash().partition(&names.partition), entropy(0))
}

fn cancel(order: OrderId) -> Command {
    Command::Cancel(Cancel { order, expected: ExpectedHold::default() })
}

fn pay(names: &Names, order: OrderId, txn: usize) -> Command {
    Command::Pay(Pay {
        order: order.name(),
        txn: names.txn(txn),
        expected: ExpectedHold::default(),
        verified: true,
        looked_up: None,
    })
}

/// A world in which the purchase has come to a status; it is of one seat on the whole run.
fn world_with(names: &Names, status: &str) -> World {
    let mut world = World::new(Table::default());
    // The partition is open, so that only what becomes of the order is recorded.
    world.run(names.try_hold("opener", 1)).unwrap();
    world.run(names.release("opener")).unwrap();
    let order = id(&world, names);
    if status != "unknown" {
        world.run(purchase(names, |_| ())).unwrap();
    }
    if ["paid", "ticketed"].contains(&status) {
        world.run(pay(names, order, 0)).unwrap();
    }
    match status {
        "unknown" | "reserved" | "paid" => {}
        "ticketed" => drop(world.run(Command::IssueTicket { order }).unwrap()),
        "requested" => drop(world.run(cancel(order)).unwrap()),
        "overdue" => world.wait(world.policy.hold_ttl_ms),
        "expired" => world.later(world.policy.hold_ttl_ms),
        other => panic!("no status is called {other}"),
    }
    world
}

/// Answers and records by status, in the order of [`STATUSES`].
fn row(command: impl Fn(&World, &Names) -> Command, expected: [&str; 7]) {
    for (status, expected) in STATUSES.iter().zip(expected) {
        for placement in PLACEMENTS {
            let names = Names::new(placement);
            let mut world = world_with(&names, status);
            let command = command(&world, &names);
            let found = said_twice(&mut world, &command);
            assert_eq!(found, expected, "{command:?} on {status}, {placement:?}");
            world.later(10 * HOUR_MS);
            check::settled(&world);
            check::replay(&world);
        }
    }
}

const MISSING: &str = "!OrderNotFound";
const WRONG: &str = "!InvalidTransition";
const CANCELLED: &str = "Cancelled(Requested)";
const EXPIRED: &str = "Cancelled(HoldExpired)";
const EXPIRES: &str = "Cancelled(HoldExpired) HoldsExpired";

#[test]
fn again_it_shows_the_order_as_it_is() {
    let made = "Reserved PurchaseMade";
    let expected = [made, "Reserved", EXPIRES, "Paid", "Ticketed", CANCELLED, EXPIRED];
    row(|_, names| purchase(names, |_| ()), expected);
    // How long the hold was to last is no part of the contents.
    row(
        |_, names| purchase(names, |c| c.ttl_ms = Some(1)),
        ["Reserved PurchaseMade", "Reserved", EXPIRES, "Paid", "Ticketed", CANCELLED, EXPIRED],
    );
    let get = [MISSING, "Reserved", EXPIRES, "Paid", "Ticketed", CANCELLED, EXPIRED];
    row(|world, names| Command::GetOrder { order: id(world, names) }, get);
}

#[test]
fn other_contents_are_refused() {
    let others: [fn(&mut Purchase); 4] =
        [|c| c.amount = Cents(101), |c| c.quantity = 2, |c| c.span = span(0, 1), |c| c.span = span(1, 2)];
    for other in others {
        for status in &STATUSES[1..] {
            let names = Names::new(TOGETHER);
            let mut world = world_with(&names, status);
            let before = world.log.len();
            assert_eq!(word(&world.run(purchase(&names, other))), "!KeyReused", "{status}");
            assert_eq!(world.log.len(), before);
        }
    }
    // The whole run by name is the whole run, and what only opens a partition is nothing that is bought.
    let names = Names::new(TOGETHER);
    let mut world = world_with(&names, "reserved");
    for same in [|c: &mut Purchase| c.span = span(0, 2), |c: &mut Purchase| c.ad_hoc.capacity = 1] {
        assert_eq!(word(&world.run(purchase(&names, same))), "Reserved");
    }
}

#[test]
fn paid_and_cancelled_by_one_record() {
    let due = "!HoldExpired TxnClaimed HoldsExpired RefundOwed";
    let unmatched = "!OrderNotFound RefundOwed";
    let paid = "Paid TxnClaimed PurchasePaid";
    let (twice, owed) = ("!AlreadyPaid TxnClaimed RefundOwed", "!InvalidTransition TxnClaimed RefundOwed");
    let expired = "!HoldExpired TxnClaimed RefundOwed";
    let afresh = [unmatched, paid, due, twice, twice, owed, expired];
    row(|world, names| pay(names, id(world, names), 1), afresh);
    let again = [unmatched, paid, due, "Paid", "Ticketed", owed, expired];
    row(|world, names| pay(names, id(world, names), 0), again);
    let reserved = "Cancelled(Requested) PurchaseCancelled";
    let cancelled = [MISSING, reserved, EXPIRES, WRONG, WRONG, CANCELLED, EXPIRED];
    row(|world, names| cancel(id(world, names)), cancelled);
    let ticketed = [MISSING, WRONG, WRONG, "Ticketed OrderTicketed", "Ticketed", WRONG, WRONG];
    row(|world, names| Command::IssueTicket { order: id(world, names) }, ticketed);
}

/// Reserve asks for what it has, or for something else.
#[test]
fn it_is_reserved_already() {
    let reserve = |world: &World, names: &Names, quantity| {
        let order = id(world, names);
        let seats = SeatRequest { quantity, ..names.seats(order.hold_id(), 1) };
        Command::Reserve(Reserve { order, seats })
    };
    let due = "!InvalidTransition HoldsExpired";
    let same = [MISSING, "Reserved", due, WRONG, WRONG, WRONG, WRONG];
    row(|world, names| reserve(world, names, 1), same);
    let other = [MISSING, "!ReservationDiffers", due, WRONG, WRONG, WRONG, WRONG];
    row(|world, names| reserve(world, names, 2), other);
}

/// Nobody but the order ends its hold.
#[test]
fn the_hold_is_its_own() {
    let names = Names::new(TOGETHER);
    let mut world = world_with(&names, "reserved");
    let order = id(&world, &names);
    let name = order.to_string();
    assert_eq!(word(&world.run(names.release(&name))), "!HoldOwned");
    assert_eq!(word(&world.run(names.confirm(&name))), "!HoldOwned");
    world.run(names.create(1)).unwrap();
    let other = names.reserve_with(1, |seats| seats.hold = hold(&name));
    assert_eq!(word(&world.run(other)), "!HoldOwnedByAnother");
    let named = ExpectedHold { partition: Some(partition("another")), hold: None };
    assert_eq!(word(&world.run(Command::Cancel(Cancel { order, expected: named }))), "!HoldMismatch");
}

#[test]
fn a_hold_lasts_as_long_as_was_asked() {
    let names = Names::new(TOGETHER);
    let mut world = World::new(Table::default());
    let most = world.policy.hold_ttl_max_ms;
    for refused in [0, most + 1, u64::MAX] {
        assert_eq!(word(&world.run(purchase(&names, |c| c.ttl_ms = Some(refused)))), "!InvalidTtl");
    }
    assert!(world.log.is_empty());
    let made = world.run(purchase(&names, |c| c.ttl_ms = Some(most)));
    assert_eq!(order_of(&made).reservation.as_ref().unwrap().expires_at, world.now.plus(most));
    world.later(most - 1);
    assert_eq!(word(&world.run(purchase(&names, |_| ()))), "Reserved");
    world.later(1);
    assert_eq!(word(&world.run(purchase(&names, |_| ()))), EXPIRED);
    // Where holds last longer than that by themselves, a purchase may ask for as much.
    world.policy.hold_ttl_ms = 10 * most;
    let longer =
        purchase(&names, |c| (c.key, c.ttl_ms, c.entropy) = (key("longer"), Some(10 * most), entropy(1)));
    assert_eq!(word(&world.run(longer)), "Reserved");
}

/// The same key: on one run, in each of its classes; on another run; ad hoc; and of an order that is no purchase.
#[test]
fn a_key_counts_for_its_run() {
    let names = Names::new(TOGETHER);
    let mut world = World::new(Table::default());
    let mut number = 0;
    let mut buy = |world: &mut World, text: &str| {
        number += 1;
        let key = |c: &mut Purchase| (c.partition, c.entropy) = (partition(text), entropy(number));
        word(&world.run(purchase(&names, key)))
    };
    assert_eq!(buy(&mut world, "G1|2026-02-11|2nd"), "Reserved");
    assert_eq!(buy(&mut world, "G1|2026-02-11|1st"), "!KeyReused");
    assert_eq!(buy(&mut world, "G1|2026-02-12|2nd"), "Reserved");
    assert_eq!(buy(&mut world, "G2|2026-02-11|2nd"), "Reserved");
    assert_eq!(buy(&mut world, "concert"), "Reserved");
    assert_eq!(buy(&mut world, "concert|balcony"), "Reserved");
    let orders = |world: &World| world.slots().map(|slot| slot.orders().len()).sum::<usize>();
    assert_eq!(orders(&world), 5);
    // What made the five makes no sixth.
    assert_eq!(buy(&mut world, "G1|2026-02-11|2nd"), "Reserved");
    assert_eq!(buy(&mut world, "concert"), "Reserved");
    assert_eq!(orders(&world), 5);
    let created = world.run(crate::support::names::create(key("basket"), 7, 90));
    assert_eq!((word(&created), order_of(&created).amount), ("Init".into(), Cents(7)));
    assert_eq!(orders(&world), 6);
    check::replay(&world);
}

fn last(world: &World, wanted: &str) -> Record {
    (**world.log.iter().rfind(|record| kind(record) == wanted).expect("such a record")).clone()
}

#[test]
fn each_record_says_all_of_the_order_and_its_hold() {
    let names = Names::new(TOGETHER);
    let mut world = world_with(&names, "reserved");
    let Body::PurchaseMade(row) = last(&world, "PurchaseMade").body else { unreachable!() };
    let own = row.order.reservation.as_ref().unwrap();
    assert_eq!((row.hold.owner, row.hold.hold.clone()), (Some(row.order.order), row.order.order.hold_id()));
    assert_eq!((row.order.status, row.hold.status), (OrderStatus::Reserved, HoldStatus::Held));
    assert_eq!(
        (&own.partition, own.made, &own.labels),
        (&row.hold.partition, row.hold.made, &row.hold.labels)
    );
    assert_eq!((own.deadline, row.order.created_at), (row.hold.deadline, world.now));
    world.run(pay(&names, row.order.order, 0)).unwrap();
    let Body::PurchasePaid(paid) = last(&world, "PurchasePaid").body else { unreachable!() };
    assert_eq!((paid.order.status, paid.hold.status), (OrderStatus::Paid, HoldStatus::Confirmed));
    assert_eq!((&paid.order.txn, &paid.hold.txn), (&Some(names.txn(0)), &Some(names.txn(0))));
    assert_eq!((paid.order.reservation, paid.hold.seats), (row.order.reservation.clone(), row.hold.seats));
    let mut world = world_with(&names, "requested");
    let Body::PurchaseCancelled(ended) = last(&world, "PurchaseCancelled").body else { unreachable!() };
    assert_eq!(ended.order.cancel_reason, Some(CancelReason::Requested));
    assert_eq!(ended.hold.release_reason, Some(ReleaseReason::Requested));
    assert!(ended.order.reservation.unwrap().labels.is_empty() && !ended.hold.labels.is_empty());
    // Nobody was told of anything: there is nobody else.
    world.later(HOUR_MS);
    assert!(world.slots().all(|slot| slot.outbox().is_empty()));
    let facts = |world: &World| world.slots().map(|slot| slot.next_tell().0 - 1).sum::<u64>();
    assert_eq!(facts(&world), 0);
    let mut world = world_with(&names, "ticketed");
    let told = world.slots().flat_map(|slot| slot.outbox().values().map(|tell| tell.fact.clone()));
    assert!(told.into_iter().all(|fact| matches!(fact, Fact::TxnClaimed { .. })));
    world.later(HOUR_MS);
    assert_eq!(facts(&world), 1, "of the claim alone");
}

/// Expiry goes in the order of deadlines, purchases as well as other holds.
#[test]
fn purchases_expire_among_other_holds() {
    let mut names = Names::new(TOGETHER);
    names.ad_hoc.capacity = 1_000;
    let mut world = World::new(Table::default());
    let ttl_ms = world.policy.hold_ttl_ms;
    let many = EXPIRED_PER_RECORD_MAX + 6;
    let buy = |nth: usize| {
        purchase(&names, |c| (c.key, c.entropy) = (key(&format!("b-{nth}")), entropy(1_000 + nth)))
    };
    for nth in 0..many {
        world.run(buy(nth)).unwrap();
    }
    world.wait(1);
    for nth in 0..3 {
        world.run(names.try_hold(&format!("h-{nth}"), 1)).unwrap();
    }
    world.run(names.create(7)).unwrap();
    world.run(names.reserve(7)).unwrap();
    world.wait(1);
    world.run(buy(many)).unwrap();
    let before = world.log.len();
    world.later(ttl_ms);
    let ended: Vec<(usize, usize)> = world.log[before..]
        .iter()
        .filter_map(|record| match &record.body {
            Body::HoldsExpired(rows) => {
                let purchases = rows.iter().filter(|row| row.purchase.is_some()).count();
                Some((rows.len(), purchases))
            }
            _ => None,
        })
        .collect();
    assert_eq!(ended, [(64, 64), (11, 7)]);
    let open = |order: &engine::state::Order| order.row.status == OrderStatus::Reserved;
    assert_eq!(world.slots().flat_map(|slot| slot.orders().iter()).filter(|order| open(order)).count(), 0);
    check::settled(&world);
    check::replay(&world);
}

/// It leaves like any other order, and its key is free then.
#[test]
fn it_leaves_after_its_retention() {
    for status in ["requested", "expired"] {
        let names = Names::new(TOGETHER);
        let mut world = world_with(&names, status);
        world.later(2 * world.policy.order_retention_ms);
        world.leave();
        assert!(world.slots().all(|slot| slot.orders().is_empty()), "{status}");
        let again = purchase(&names, |c| (c.amount, c.entropy) = (Cents(7), entropy(1)));
        assert_eq!(word(&world.run(again)), "Reserved", "{status}");
        check::replay(&world);
    }
}

/// A payment at the very moment of the deadline, of purchases that nobody has ended yet.
#[test]
fn money_that_comes_too_late_is_owed_back() {
    for placement in PLACEMENTS {
        let names = Names::new(placement);
        let mut world = world_with(&names, "reserved");
        let order = id(&world, &names);
        world.wait(world.policy.hold_ttl_ms - 1);
        let mut late = world.clone();
        assert_eq!(word(&world.run(pay(&names, order, 0))), "Paid");
        late.wait(1);
        assert_eq!(word(&late.run(pay(&names, order, 0))), "!HoldExpired");
        assert_eq!(late.slots().map(|slot| slot.refunds().len()).sum::<usize>(), 1);
        check::settled(&late);
    }
}

/// Sold out is refused like a reserve, and leaves no order behind.
#[test]
fn what_is_not_there_is_not_bought() {
    let names = Names::new(TOGETHER);
    let mut world = World::new(Table::default());
    let ask = |change: fn(&mut Purchase)| purchase(&names, change);
    assert_eq!(word(&world.run(ask(|c| c.quantity = 5))), "!InsufficientStock");
    assert_eq!(word(&world.run(ask(|c| c.span = span(1, 3)))), "!InvalidSpan");
    assert_eq!(word(&world.run(ask(|c| c.ad_hoc.capacity = 0))), "!InvalidCapacity");
    assert!(world.log.is_empty());
    world.run(ask(|c| c.quantity = 4)).unwrap();
    let more = ask(|c| (c.key, c.entropy) = (key("more"), entropy(1)));
    assert_eq!(word(&world.run(more)), "!InsufficientStock");
    let mut closed = World::new(Table::default().refuses(names.partition.as_str()));
    assert_eq!(word(&closed.run(ask(|_| ()))), "!PartitionNotFound");
    let of = |text: &str| PartitionKey::parse(text).unwrap();
    assert_eq!(of("a|b").run_or_self(), "a|b");
    assert_eq!(of("a|2026-01-01|b").run_or_self(), "a|2026-01-01");
}
