//! Payments of orders that leave or have left, and of ids that nobody has: with the transaction ids that they had, and with others. Which orders
//! those are is looked up behind the clients' back: they would have to guess.

use engine::command::{Command, ExpectedHold, Pay};
use engine::ids::{OrderId, OrderName, SlotId, TxnId};
use engine::limits::SLOTS;

use super::{Clients, book, cancel, refunds};
use crate::checks::model::state::Slot;
use crate::rng::Rng;
use crate::world::World;

/// A longer retention is not waited for.
const WAIT_MS_MAX: u64 = 60_000;
/// The latest orders that have left, of which one is paid again.
const RECENT: usize = 6;

/// One payment or two, at once.
pub(super) fn payments(clients: &mut Clients, world: &mut World) -> Vec<Command> {
    if world.rng.percent(15) {
        wait(world);
    }
    if world.rng.percent(10)
        && let Some((order, txn)) = refunded_alone(world)
    {
        let expected = ExpectedHold::default();
        return vec![Command::Pay(Pay { order, txn, expected, verified: true, looked_up: None })];
    }
    if world.rng.percent(5) {
        let slot = SlotId::new(world.rng.below(usize::from(SLOTS)) as u16);
        let (nobody, verified) = (OrderId::new(slot, world.rng.wide()), world.rng.percent(70));
        return vec![pay(nobody, fresh(&mut world.rng), verified)];
    }
    let leaving = world.rng.percent(60).then(|| leaving(world)).flatten();
    let Some((order, txns)) = leaving.or_else(|| left(world)) else {
        return ended(clients, world);
    };
    if world.rng.percent(40) {
        // What told of its money comes once more, beside the payment.
        world.process.rings.borrow_mut().hurry_copies();
    }
    let rng = &mut world.rng;
    let mut one = |known_percent| {
        let txn =
            if !txns.is_empty() && rng.percent(known_percent) { rng.pick(&txns).clone() } else { fresh(rng) };
        pay(order, txn, true)
    };
    let mut commands = vec![one(50)];
    if world.rng.percent(40) {
        let again = commands[0].clone();
        commands.push(if world.rng.percent(50) { again } else { pay(order, fresh(&mut world.rng), true) });
    }
    commands
}

/// At the end of a run: the payments of one order that has left, if any has.
pub(crate) fn afterwards(world: &mut World) -> Vec<Command> {
    let Some((order, txns)) = left(world) else { return Vec::new() };
    let fresh = fresh(&mut world.rng);
    txns.into_iter().chain([fresh]).map(|txn| pay(order, txn, true)).collect()
}

fn pay(order: OrderId, txn: TxnId, verified: bool) -> Command {
    let (order, expected) = (order.name(), ExpectedHold::default());
    Command::Pay(Pay { order, txn, expected, verified, looked_up: None })
}

fn fresh(rng: &mut Rng) -> TxnId {
    TxnId::parse(&format!("late-{}", rng.below(40))).expect("an id")
}

/// Lets a retention pass.
fn wait(world: &mut World) {
    let retention_ms = world.plan.policy.order_retention_ms;
    if retention_ms <= WAIT_MS_MAX && world.sinks.has_read_model() {
        world.machine.pass(retention_ms);
        world.history.note(format_args!("a retention passes"));
    }
}

/// An order that is leaving, and its transaction ids.
fn leaving(world: &mut World) -> Option<(OrderId, Vec<TxnId>)> {
    let of = |slot: &Slot| {
        let order = slot.orders.values().find(|order| order.is_leaving)?;
        Some((order.row.order, slot.txns_of(order)))
    };
    world.model.latest().find_map(|(_, slot)| of(&slot))
}

/// One of those that have left last.
fn left(world: &mut World) -> Option<(OrderId, Vec<TxnId>)> {
    let mut left: Vec<_> =
        world.model.latest().flat_map(|(_, slot)| slot.left.clone().into_values()).collect();
    if world.rng.percent(50) && left.iter().any(|left| left.row.txn.is_some()) {
        left.retain(|left| left.row.txn.is_some());
    }
    left.sort_by_key(|left| std::cmp::Reverse((left.left.epoch, left.left.lsn, left.left.core)));
    left.truncate(RECENT);
    if left.is_empty() {
        return None;
    }
    let row = &world.rng.pick(&left).row;
    let (slot, name) = (world.model.slot(row.order.slot()), row.order.name());
    let refunded = slot.left_refunds.keys().filter(|(of, _)| *of == name).map(|(_, txn)| txn.clone());
    Some((row.order, row.txn.iter().cloned().chain(refunded).collect()))
}

/// A payment for an order that nobody had, whose refund has left.
fn refunded_alone(world: &mut World) -> Option<(OrderName, TxnId)> {
    let alone = |slot: &Slot| {
        let is_alone =
            |order: &OrderName| OrderId::parse(order.as_str()).is_none_or(|id| !slot.left.contains_key(&id));
        slot.left_refunds.keys().filter(|(order, _)| is_alone(order)).cloned().collect::<Vec<_>>()
    };
    let all: Vec<_> = world.model.latest().flat_map(|(_, slot)| alone(&slot)).collect();
    (!all.is_empty()).then(|| world.rng.pick(&all).clone())
}

/// Nothing leaves yet: some order ends, or what is owed for one is paid back.
fn ended(clients: &mut Clients, world: &mut World) -> Vec<Command> {
    let (book, rng) = (&mut clients.book, &mut world.rng);
    let order = if rng.percent(50) { book.old(rng) } else { book.created(rng) };
    let command = match (rng.percent(60), order) {
        (true, Some(order)) => cancel::of(&order, rng),
        _ => refunds::settle(book, rng),
    };
    command.into_iter().chain(book_payment(clients, world)).collect()
}

fn book_payment(clients: &mut Clients, world: &mut World) -> Option<Command> {
    let order = clients.book.old(&mut world.rng)?;
    let txn = book::txn(&order, &mut world.rng);
    Some(pay(order.id?, txn, true))
}
