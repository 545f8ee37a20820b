//! Linearizability: everything that clients saw can have happened in one order, for each order and for each seat on each segment.
//! Nothing but calls, returns and answers counts here; no log and no state is looked at.

mod order;
mod search;
mod seat;

use std::collections::BTreeMap;

use allocator::Span;
use engine::answer::{Answer, HoldStatus, OrderStatus, PartitionView, Rejection, Reply};
use engine::command::Command;
use engine::ids::{HoldId, IdempotencyKey, OrderId, PartitionKey, Time};

use crate::counters::{Counters, Covered};
use crate::workload::Told;
use order::OrderObject;
use search::{Event, Verdict, search};
use seat::{Says, SeatObject};

/// Steps of one search.
const LOOKS_MAX: usize = 50_000;

/// Searches the histories of all orders and all seats.
///
/// # Panics
/// When one of them has no order.
pub(crate) fn check(history: &[Told], coverage: &mut Counters) {
    orders(history, coverage);
    seats(history, coverage);
}

fn judge<O: std::fmt::Debug>(
    what: &dyn std::fmt::Debug,
    events: &[Event<O>],
    verdict: Verdict,
    coverage: &mut Counters,
) {
    coverage.count(Covered::Searched);
    match verdict {
        Verdict::Linear => {}
        Verdict::GaveUp => coverage.count(Covered::GaveUp),
        Verdict::NotLinear => panic!("{what:?}: no order of these gives what was seen: {events:#?}"),
    }
}

fn orders(history: &[Told], coverage: &mut Counters) {
    let mut keys: BTreeMap<IdempotencyKey, OrderId> = BTreeMap::new();
    for told in history {
        if let Some(Ok(Answer::Order(view))) = &told.reply {
            keys.insert(view.key.clone(), view.order);
        }
    }
    let mut objects: BTreeMap<OrderId, OrderObject> = BTreeMap::new();
    let mut events: BTreeMap<OrderId, Vec<Event<order::Seen>>> = BTreeMap::new();
    for told in history {
        let id = match &told.command {
            Command::CreateOrder(c) => keys.get(&c.key).copied(),
            other => crate::workload::order_of(other),
        };
        let Some(id) = id else { continue };
        let object = objects.entry(id).or_default();
        match &told.command {
            Command::CreateOrder(_) => object.creates.push(told.called),
            // A client who was told no has been told the truth: nothing may come of it later.
            Command::Reserve(_) if is_refused(told) => {}
            Command::Reserve(c) => object.reserves.push((told.called, c.clone())),
            Command::Pay(c) => object.pays.push((told.called, c.txn.clone())),
            Command::Cancel(_) => object.cancels.push(told.called),
            _ => {}
        }
        let state = match &told.reply {
            Some(Ok(Answer::Order(view))) => order::State::of(view),
            Some(Err(Rejection::OrderNotFound)) => Some(order::State::Absent),
            _ => None,
        };
        if let (Some(state), Some(returned)) = (state, told.returned) {
            let op = order::Seen { state, returned, time: told.time };
            events.entry(id).or_default().push(Event { called: told.called, returned, op });
        }
    }
    for (id, events) in &events {
        let verdict = search(&objects[id], &order::State::Absent, events, LOOKS_MAX);
        judge(id, events, verdict, coverage);
    }
}

/// It was answered that no hold can be made. Other refusals may speak of one that was made and has ended since.
fn is_refused(told: &Told) -> bool {
    matches!(
        told.reply,
        Some(Err(Rejection::InsufficientStock
            | Rejection::InvalidSpan
            | Rejection::InvalidCapacity
            | Rejection::PartitionNotFound
            | Rejection::HoldDiffers
            | Rejection::HoldOwnedByAnother
            | Rejection::HoldConfirmed))
    )
}

/// A hold as clients have seen it: an id that is used again is another hold.
type Hold = (PartitionKey, HoldId, Time);
type Place = (PartitionKey, String, u16);

/// A hold that an answer speaks of.
struct Sight {
    hold: Hold,
    seats: Vec<String>,
    from: u16,
    to: u16,
    says: Says,
    /// An order says so that has heard nothing else from its partition.
    hearsay: bool,
}

/// On which segments holds are, which the answers about a client's hold do not say.
#[derive(Default)]
struct Spans {
    /// As its client has asked for them; `None` is the whole run.
    of_hold: BTreeMap<Hold, Option<Span>>,
    /// As many as anybody has seen of a run.
    segments: BTreeMap<PartitionKey, u16>,
}

impl Spans {
    fn of(history: &[Told]) -> Spans {
        let mut spans = Spans::default();
        for told in history {
            let (partition, to) = match (&told.command, &told.reply) {
                (Command::TryHold(c), Some(Ok(Answer::Partition(view)))) => {
                    spans.of_hold.insert(hold_of(view), c.span);
                    (&c.partition, c.span.map_or(1, |span| span.to()))
                }
                (_, Some(Ok(Answer::Order(view)))) => match &view.reservation {
                    Some(r) => (&r.partition, r.to),
                    None => continue,
                },
                _ => continue,
            };
            let seen = spans.segments.entry(partition.clone()).or_default();
            *seen = to.max(*seen);
        }
        spans
    }

    /// `None` where the client was not told that it has the hold.
    fn get(&self, hold: &Hold) -> Option<(u16, u16)> {
        let span = self.of_hold.get(hold)?;
        Some(span.map_or_else(|| (0, self.segments[&hold.0]), |span| (span.from(), span.to())))
    }
}

fn hold_of(view: &PartitionView) -> Hold {
    (view.partition.clone(), view.hold.hold.clone(), view.hold.expires_at)
}

fn sight(reply: &Reply, spans: &Spans) -> Option<Sight> {
    match reply.as_ref().ok()? {
        Answer::Partition(view) => {
            let hold = hold_of(view);
            let (from, to) = spans.get(&hold)?;
            let says = match view.hold.status {
                HoldStatus::Held => Says::Has,
                HoldStatus::Confirmed => Says::Sold,
                HoldStatus::Released | HoldStatus::Expired => Says::Ended,
            };
            let seats = view.hold.seats.iter().map(|seat| seat.as_str().to_owned()).collect();
            Some(Sight { hold, seats, from, to, says, hearsay: false })
        }
        Answer::Order(view) => {
            let r = view.reservation.as_ref()?;
            let says = match view.status {
                OrderStatus::Init => return None,
                OrderStatus::Reserved => Says::Has,
                OrderStatus::Paid | OrderStatus::Ticketed => Says::Sold,
                OrderStatus::Cancelled => Says::Ended,
            };
            let seats = r.seats.iter().map(|seat| seat.as_str().to_owned()).collect();
            let hold = (r.partition.clone(), r.hold.clone(), r.expires_at);
            let hearsay = view.status == OrderStatus::Reserved;
            Some(Sight { hold, seats, from: r.from, to: r.to, says, hearsay })
        }
        _ => None,
    }
}

fn seats(history: &[Told], coverage: &mut Counters) {
    let spans = Spans::of(history);
    let mut numbers: BTreeMap<Hold, usize> = BTreeMap::new();
    let mut object = SeatObject::default();
    let mut events: BTreeMap<Place, Vec<Event<seat::Seen>>> = BTreeMap::new();
    // What would end a hold, by its partition and id, or by its order.
    let mut ends: BTreeMap<(PartitionKey, HoldId), u64> = BTreeMap::new();
    let mut cancels: BTreeMap<OrderId, u64> = BTreeMap::new();
    for told in history {
        match &told.command {
            Command::ReleaseHold(c) => {
                ends.entry((c.partition.clone(), c.hold.clone())).or_insert(told.called);
            }
            Command::Cancel(c) => {
                cancels.entry(c.order).or_insert(told.called);
            }
            _ => {}
        }
    }
    let mut owners: BTreeMap<(PartitionKey, HoldId), Vec<OrderId>> = BTreeMap::new();
    for told in history {
        if let Command::Reserve(c) = &told.command {
            let hold = (c.seats.partition.clone(), c.seats.hold.clone());
            owners.entry(hold.clone()).or_default().push(c.order);
            // An order that was given up by the time it has the hold gives it back. Who was refused the hold never had it.
            if !matches!(told.reply, Some(Ok(_))) && !is_refused(told) {
                let first = ends.entry(hold).or_insert(told.called);
                *first = told.called.min(*first);
            }
        }
    }
    for told in history {
        let (Some(reply), Some(returned)) = (&told.reply, told.returned) else { continue };
        let Some(sight) = sight(reply, &spans) else { continue };
        let (partition, id, deadline) = sight.hold.clone();
        let who = *numbers.entry(sight.hold).or_insert_with(|| {
            let key = (partition.clone(), id);
            let of_owner = owners.get(&key).into_iter().flatten().filter_map(|order| cancels.get(order));
            let ended = ends.get(&key).into_iter().chain(of_owner).min().copied();
            object.asked_to_end.push(ended);
            object.deadlines.push(deadline);
            object.deadlines.len() - 1
        });
        // Once it is asked to end, its partition may have ended it and its order not have heard of that. The order's own history
        // says when it has to have.
        let asked = object.asked_to_end[who].filter(|_| sight.hearsay);
        let called = asked.map_or(told.called, |asked| asked.min(told.called));
        for label in &sight.seats {
            for segment in sight.from..sight.to {
                let op = seat::Seen { who, says: sight.says, returned, time: told.time };
                let place = (partition.clone(), label.clone(), segment);
                events.entry(place).or_default().push(Event { called, returned, op });
            }
        }
    }
    for (place, events) in &events {
        let verdict = search(&object, &seat::State::default(), events, LOOKS_MAX);
        judge(place, events, verdict, coverage);
    }
}

#[cfg(test)]
mod tests;
