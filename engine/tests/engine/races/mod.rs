//! Pay, cancel, expire and reserve against each other: every order of deliveries, with and without a crash.

mod explore;
mod pairs;
mod shared;
mod triples;

use engine::command::Command;

use crate::support::catalogue::Table;
use crate::support::names::{Names, Placement, hold};
use crate::support::world::World;

/// What can happen to order 0, and to order 1 beside it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Event {
    Create,
    Reserve,
    /// The order reserves under another hold's id.
    ReserveOther,
    Cancel,
    Pay,
    PayAgain,
    Ticket,
    Get,
    /// Order 1 is paid with order 0's transaction.
    PayNeighbour,
    ReserveNeighbour,
    CancelNeighbour,
    /// Order 1 reserves under order 0's hold id.
    ReserveSameHold,
    /// A client holds under order 0's hold id.
    TryHold,
    ReleaseHold,
    ConfirmHold,
    /// The deadline of every hold passes. Not a command.
    Expire,
    /// The time of an order that nobody reserves for is over. Not a command.
    Abandon,
}

fn command(names: &Names, event: Event) -> Option<Command> {
    let own = names.order(0).hold_id().to_string();
    Some(match event {
        Event::Create => names.create(0),
        Event::Reserve => names.reserve(0),
        Event::ReserveOther => names.reserve_with(0, |seats| seats.hold = hold("other")),
        Event::Cancel => names.cancel(0),
        Event::Pay => names.pay(0, 0),
        Event::PayAgain => names.pay(0, 1),
        Event::Ticket => names.ticket(0),
        Event::Get => names.get(0),
        Event::PayNeighbour => names.pay(1, 0),
        Event::ReserveNeighbour => names.reserve(1),
        Event::CancelNeighbour => names.cancel(1),
        Event::ReserveSameHold => names.reserve_with(1, |seats| seats.hold = names.order(0).hold_id()),
        Event::TryHold => names.try_hold(&own, 1),
        Event::ReleaseHold => names.release(&own),
        Event::ConfirmHold => names.confirm(&own),
        Event::Expire | Event::Abandon => return None,
    })
}

/// Where order 0 and its neighbour stand when the race begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Start {
    Init,
    Reserved,
    Paid,
    /// Order 0 and its neighbour are both RESERVED.
    Both,
    /// Order 0 is INIT, and a client holds under its hold id.
    Held,
    /// Both are INIT, and there is one seat only.
    OneSeat,
}

fn world(names: &Names, start: Start) -> World {
    let mut world = World::new(Table::default());
    let seats = if start == Start::OneSeat { 1 } else { 4 };
    let mut run = |command| world.run(command).map(drop).expect("a step of the set-up");
    run(names.try_hold_with("opener", 1, |opener| opener.ad_hoc.capacity = seats));
    run(names.release("opener"));
    run(names.create(0));
    run(names.create(1));
    if matches!(start, Start::Reserved | Start::Paid | Start::Both) {
        run(names.reserve(0));
    }
    match start {
        Start::Paid => run(names.pay(0, 0)),
        Start::Both => run(names.reserve(1)),
        Start::Held => run(command(names, Event::TryHold).unwrap()),
        _ => {}
    }
    world
}

/// What a race may contain besides its events.
#[derive(Clone, Copy, Debug)]
struct Chaos {
    crashes: u8,
    /// Messages that arrive twice.
    doubles: u8,
}

const CALM: Chaos = Chaos { crashes: 0, doubles: 0 };
const CRASH: Chaos = Chaos { crashes: 1, doubles: 0 };
const DOUBLE: Chaos = Chaos { crashes: 0, doubles: 1 };

fn race(placement: Placement, start: Start, events: &[Event], chaos: Chaos) -> usize {
    let names = Names::new(placement);
    explore::explore(&names, world(&names, start), events, chaos, &format!("{start:?} {placement:?}"))
}
