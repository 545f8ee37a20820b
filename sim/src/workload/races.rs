//! Requests that meet: on one order, one hold, one seat, one transaction id, or at a deadline. A race counts when both
//! sides are under way at the same time, whoever brought it about.

use engine::answer::OrderStatus;
use engine::command::{Command, CreateOrder, HoldRef, Reserve, SeatRequest};
use engine::ids::{Cents, IdempotencyKey, Time};
use engine::slots::core_of;

use super::book::KnownOrder;
use super::{Clients, again, cancel, create, left, order_of, pay, purchase, refunds, reserve, try_hold};
use crate::counters::Covered;
use crate::plan::NAP_MS;
use crate::world::World;

/// So close to a deadline is a race with it.
const NEAR_MS: u64 = 5;
/// A deadline further off is not waited for.
const WAIT_MS_MAX: u64 = 40_000;

/// Sales that want room at once.
const OTHER_SALES: usize = 2;

/// Two requests at once, or one at a deadline.
pub(super) fn begin(clients: &mut Clients, world: &mut World) {
    let commands = match world.rng.below(15) {
        13 | 14 => left::payments(clients, world),
        12 => pay_and_drop(clients, world),
        10 | 11 => at_deadline(clients, world),
        0..4 => on_order(clients, world),
        4 => {
            let first = purchase::next(&mut clients.book, &mut world.rng);
            let second = again(first.clone(), &mut world.rng);
            vec![first, second]
        }
        5 => {
            let c = create::next(&mut clients.book, &mut world.rng);
            let Command::CreateOrder(first) = c else { unreachable!("a create") };
            let entropy = world.rng.wide();
            vec![Command::CreateOrder(CreateOrder { entropy, ..first.clone() }), Command::CreateOrder(first)]
        }
        6 => one_txn(clients, world),
        7 => adopt_and_release(clients, world),
        8 => last_seat(clients, world),
        9 => {
            let settle = refunds::settle(&mut clients.book, &mut world.rng);
            settle.iter().chain(&refunds::settle(&mut clients.book, &mut world.rng)).cloned().collect()
        }
        _ => unreachable!("a number below fifteen"),
    };
    for command in commands {
        clients.ask(world, command);
    }
}

fn on_order(clients: &mut Clients, world: &mut World) -> Vec<Command> {
    let (book, rng) = (&mut clients.book, &mut world.rng);
    let reserved = if rng.percent(60) { book.reserved(rng) } else { None };
    let Some(order) = reserved.or_else(|| book.created(rng)) else { return Vec::new() };
    let mut one = || match rng.below(7) {
        0..3 => pay::of(&order, rng),
        3 | 4 => reserve::of(&order, book, rng),
        5 => order.id.map(|order| Command::IssueTicket { order }),
        _ => cancel::of(&order, rng),
    };
    [one(), one()].into_iter().flatten().collect()
}

/// Waits for the deadline of an order or of a client's hold, and asks just before it, at it or just after it.
fn at_deadline(clients: &mut Clients, world: &mut World) -> Vec<Command> {
    let (book, rng) = (&mut clients.book, &mut world.rng);
    if rng.percent(60) {
        let Some(order) = book.reserved(rng) else { return Vec::new() };
        let Some(deadline) = deadline(&order) else { return Vec::new() };
        let command = match rng.below(4) {
            0 | 1 => pay::of(&order, rng),
            2 => cancel::of(&order, rng),
            _ => order.id.map(|order| Command::GetOrder { order }),
        };
        approach(world, deadline);
        return command.into_iter().collect();
    }
    // A client's own hold.
    let asked: Vec<SeatRequest> = { clients.book.made.iter() }
        .filter_map(|command| match command {
            Command::TryHold(c) => Some(c.clone()),
            _ => None,
        })
        .collect();
    if asked.is_empty() {
        return vec![try_hold::next(&mut clients.book, &mut world.rng)];
    }
    let c = world.rng.pick(&asked).clone();
    let Some(deadline) = live_deadline(world, &c) else { return Vec::new() };
    let command = match world.rng.below(3) {
        0 => {
            let order = clients.book.created(&mut world.rng);
            let Some(order) = order.and_then(|order| order.id) else { return Vec::new() };
            Command::Reserve(Reserve { order, seats: c })
        }
        1 => Command::ReleaseHold(HoldRef { partition: c.partition, hold: c.hold }),
        _ => Command::ConfirmHold(HoldRef { partition: c.partition, hold: c.hold }),
    };
    approach(world, deadline);
    vec![command]
}

fn deadline(order: &KnownOrder) -> Option<Time> {
    order.view.as_ref()?.reservation.as_ref().map(|r| r.expires_at)
}

/// The deadline of a live hold, looked up behind the clients' back: they would have to guess.
fn live_deadline(world: &World, c: &SeatRequest) -> Option<Time> {
    let slot = world.process.hash.partition(&c.partition);
    let hold = world.process.slot(slot).partitions().get(&c.partition)?.hold(&c.hold)?;
    (hold.status == engine::answer::HoldStatus::Held).then_some(hold.deadline)
}

/// Lets time pass until just about the deadline.
fn approach(world: &mut World, deadline: Time) {
    let at = deadline.0 + world.rng.between(0, 2) - 1;
    let wait = at.saturating_sub(world.latest().0);
    if wait <= WAIT_MS_MAX {
        world.machine.pass(wait);
        world.history.note(format_args!("{wait} ms pass until about a deadline"));
    }
}

fn one_txn(clients: &mut Clients, world: &mut World) -> Vec<Command> {
    let (book, rng) = (&mut clients.book, &mut world.rng);
    let (Some(first), Some(second)) = (book.reserved(rng).or_else(|| book.created(rng)), book.created(rng))
    else {
        return Vec::new();
    };
    let (Some(Command::Pay(one)), Some(Command::Pay(mut two))) =
        (pay::of(&first, rng), pay::of(&second, rng))
    else {
        return Vec::new();
    };
    two.txn = one.txn.clone();
    vec![Command::Pay(one), Command::Pay(two)]
}

/// A race in short memory: a payment of an order that may go for it, beside sales that want room.
fn pay_and_drop(clients: &mut Clients, world: &mut World) -> Vec<Command> {
    if world.plan.state_bytes_max.is_none() {
        return on_order(clients, world);
    }
    let init = |order: &&KnownOrder| order.view.as_ref().is_some_and(|view| view.status == OrderStatus::Init);
    let Some(order) = clients.book.orders.iter().find(init).cloned() else { return Vec::new() };
    let Some(id) = order.id else { return Vec::new() };
    world.machine.pass(NAP_MS);
    let mut commands = Vec::from_iter(pay::of(&order, &mut world.rng));
    let core = |slot| core_of(slot, world.cores());
    // On the core of that order, and of other clients.
    let keys =
        (0..).map(|number| IdempotencyKey::parse(&format!("{}-{number}", clients.made)).expect("a key"));
    let here = |key: &IdempotencyKey| core(id.slot()) == core(world.process.hash.idempotency_key(key));
    let keys: Vec<IdempotencyKey> = keys.filter(here).take(OTHER_SALES).collect();
    for key in keys {
        commands.push(Command::CreateOrder(CreateOrder { key, amount: Cents(1), entropy: world.rng.wide() }));
    }
    commands
}

fn adopt_and_release(clients: &mut Clients, world: &mut World) -> Vec<Command> {
    let Command::TryHold(c) = try_hold::next(&mut clients.book, &mut world.rng) else { return Vec::new() };
    let init = |order: &&KnownOrder| order.view.as_ref().is_some_and(|view| view.status == OrderStatus::Init);
    let order = clients.book.orders.iter().find(init).and_then(|order| order.id);
    let hold = HoldRef { partition: c.partition.clone(), hold: c.hold.clone() };
    let adopt = order.map(|order| Command::Reserve(Reserve { order, seats: c.clone() }));
    let mut commands = vec![Command::TryHold(c)];
    commands.extend(adopt);
    commands.push(if world.rng.percent(50) {
        Command::ReleaseHold(hold)
    } else {
        Command::ConfirmHold(hold)
    });
    commands
}

/// Two holds in a partition, where there may be a seat for one of them only.
fn last_seat(clients: &mut Clients, world: &mut World) -> Vec<Command> {
    let Command::TryHold(one) = try_hold::next(&mut clients.book, &mut world.rng) else { return Vec::new() };
    let mut two = one.clone();
    two.hold = clients.book.hold(&mut world.rng);
    two.span = one.span.filter(|_| world.rng.percent(50));
    vec![Command::TryHold(one), Command::TryHold(two)]
}

/// Counts the races that a request begins with those that are under way.
pub(super) fn count(clients: &Clients, world: &mut World, command: &Command) {
    let others: Vec<Command> = clients.calls.values().map(|call| call.command.clone()).collect();
    for other in &others {
        if let Some(race) = race(world, command, other) {
            world.coverage.count(race);
        } else if order_of(command).is_some() && order_of(command) == order_of(other) && command != other {
            world.coverage.count(Covered::Changed);
        }
    }
    if let Some(race) = expiry(clients, world, command) {
        world.coverage.count(race);
    }
}

fn race(world: &World, one: &Command, two: &Command) -> Option<Covered> {
    if let (Command::Pay(a), Command::Pay(b)) = (one, two)
        && a.order != b.order
    {
        return (a.txn == b.txn).then_some(Covered::OneTxnTwoOrders);
    }
    if order_of(one).is_some() && order_of(one) == order_of(two) {
        return on_one_order(one, two).or_else(|| on_one_order(two, one));
    }
    match (one, two) {
        (Command::CreateOrder(a), Command::CreateOrder(b)) => {
            (a.key == b.key).then_some(Covered::CreateCreate)
        }
        (Command::Purchase(a), Command::Purchase(b)) => (a.key == b.key
            && a.partition.run_or_self() == b.partition.run_or_self())
        .then_some(Covered::PurchasePurchase),
        (Command::SettleRefund { order: a, txn: t, .. }, Command::SettleRefund { order: b, txn: u, .. }) => {
            (a == b && t == u).then_some(Covered::SettleSettle)
        }
        (Command::Reserve(c), Command::ReleaseHold(h)) | (Command::ReleaseHold(h), Command::Reserve(c)) => {
            (c.seats.partition == h.partition && c.seats.hold == h.hold).then_some(Covered::AdoptRelease)
        }
        (Command::TryHold(a), Command::TryHold(b)) if a.partition == b.partition && a.hold != b.hold => {
            let slot = world.process.hash.partition(&a.partition);
            let p = world.process.slot(slot).partitions().get(&a.partition)?;
            let span = p.span(a.span)?;
            let free = p.inventory().available(span);
            (free < a.quantity + b.quantity).then_some(Covered::LastSeat)
        }
        _ => None,
    }
}

fn on_one_order(one: &Command, two: &Command) -> Option<Covered> {
    match (one, two) {
        (Command::Pay(_), Command::Pay(_)) => Some(Covered::PayPay),
        (Command::Pay(_), Command::Cancel(_)) => Some(Covered::PayCancel),
        (Command::Pay(_), Command::Reserve(_)) => Some(Covered::PayReserve),
        (Command::Reserve(_), Command::Cancel(_)) => Some(Covered::ReserveCancel),
        (Command::Reserve(_), Command::Reserve(_)) => Some(Covered::ReserveReserve),
        (Command::IssueTicket { .. }, Command::Cancel(_)) => Some(Covered::TicketCancel),
        _ => None,
    }
}

/// A request about a live hold whose deadline is a few milliseconds off.
fn expiry(clients: &Clients, world: &World, command: &Command) -> Option<Covered> {
    let near = |deadline: Time| world.latest().0.abs_diff(deadline.0) <= NEAR_MS;
    let of_order = |order| {
        let known = clients.book.orders.iter().find(|known| known.id == Some(order))?;
        deadline(known).filter(|at| near(*at))
    };
    let of_hold = |partition: &engine::ids::PartitionKey, hold: &engine::ids::HoldId| {
        let slot = world.process.hash.partition(partition);
        let hold = world.process.slot(slot).partitions().get(partition)?.hold(hold)?;
        (hold.status == engine::answer::HoldStatus::Held && near(hold.deadline)).then_some(())
    };
    match command {
        Command::Pay(_) => of_order(order_of(command)?).map(|_| Covered::PayExpiry),
        Command::Cancel(c) => of_order(c.order).map(|_| Covered::CancelExpiry),
        Command::ReleaseHold(c) | Command::ConfirmHold(c) => {
            of_hold(&c.partition, &c.hold).map(|()| Covered::ConfirmExpiry)
        }
        Command::Reserve(c) => of_hold(&c.seats.partition, &c.seats.hold).map(|()| Covered::AdoptExpiry),
        _ => None,
    }
}
