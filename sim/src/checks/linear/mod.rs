//! Linearizability: everything that clients saw can have happened in one order, for each order and for each seat on each segment.
//! Nothing but calls, returns and answers counts here; no log and no state is looked at.

mod order;
mod search;
mod seat;

use std::collections::{BTreeMap, BTreeSet};

use allocator::Span;
use engine::answer::{Answer, HoldStatus, OrderStatus, PartitionView, Rejection, Reply};
use engine::command::Command;
use engine::ids::{HoldId, IdempotencyKey, OrderId, PartitionKey};

use crate::checks::model::{Memory, SeenHold};
use crate::counters::{Counters, Covered};
use crate::workload::{Told, book};
pub(crate) use order::Leaving;
use order::OrderObject;
use search::{Event, Verdict, search};
use seat::{Says, SeatObject};

/// Steps of one search.
const LOOKS_MAX: usize = 50_000;

/// Searches the histories of all orders and all seats. `memory` is what cannot be told from outside.
///
/// # Panics
/// When one of them has no order.
pub(crate) fn check(history: &[Told], memory: &Memory, leaving: Leaving, coverage: &mut Counters) {
    orders(history, leaving, coverage);
    seats(history, memory, coverage);
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

fn orders(history: &[Told], leaving: Leaving, coverage: &mut Counters) {
    // More than one where the first has left.
    let mut keys: BTreeMap<(Option<String>, IdempotencyKey), BTreeSet<OrderId>> = BTreeMap::new();
    for told in history {
        if let Some(Ok(Answer::Order(view))) = &told.reply {
            keys.entry((book::counts_for(view), view.key.clone())).or_default().insert(view.order);
        }
    }
    let of_key = |key| keys.get(&key).into_iter().flatten().copied().collect();
    let mut objects: BTreeMap<OrderId, OrderObject> = BTreeMap::new();
    let mut events: BTreeMap<OrderId, Vec<Event<order::Seen>>> = BTreeMap::new();
    for told in history {
        let ids: Vec<OrderId> = match &told.command {
            Command::CreateOrder(c) => of_key((None, c.key.clone())),
            Command::Purchase(c) => of_key((Some(book::run(&c.partition)), c.key.clone())),
            other => crate::workload::order_of(other).into_iter().collect(),
        };
        for id in ids {
            let object = objects.entry(id).or_insert_with(|| OrderObject::new(leaving));
            object.asked(id, told);
            if let Some(event) = order::seen(id, told) {
                events.entry(id).or_default().push(event);
            }
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
            | Rejection::BoardingNotAllowed
            | Rejection::SaleClosed
            | Rejection::KeyReused
            | Rejection::InvalidTtl
            | Rejection::HoldDiffers
            | Rejection::HoldOwnedByAnother
            | Rejection::HoldConfirmed))
    )
}

/// A hold as clients have seen it: an id that is used again is another hold.
type Hold = SeenHold;
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

/// The seats of each hold, as somebody has seen them. One that has ended shows none.
fn seats_had(history: &[Told], spans: &Spans) -> BTreeMap<Hold, Vec<String>> {
    let sights = history.iter().filter_map(|told| sight(told.reply.as_ref()?, spans));
    sights.filter(|sight| !sight.seats.is_empty()).map(|sight| (sight.hold, sight.seats)).collect()
}

/// The requests that may have ended holds, by partition and id, or by the order that owns them.
#[derive(Default)]
struct Ends {
    asked: BTreeMap<(PartitionKey, HoldId), u64>,
    cancels: BTreeMap<OrderId, u64>,
    owners: BTreeMap<(PartitionKey, HoldId), Vec<OrderId>>,
}

impl Ends {
    fn of(history: &[Told]) -> Ends {
        let mut ends = Ends::default();
        for told in history {
            match &told.command {
                Command::Purchase(_) => {
                    if let Some(Ok(Answer::Order(view))) = &told.reply
                        && let Some(r) = &view.reservation
                    {
                        let hold = (r.partition.clone(), r.hold.clone());
                        ends.owners.entry(hold).or_default().push(view.order);
                    }
                }
                Command::ReleaseHold(c) => {
                    ends.asked((c.partition.clone(), c.hold.clone()), told);
                }
                Command::Cancel(c) => {
                    ends.cancels.entry(c.order).or_insert(told.called);
                }
                Command::Reserve(c) => {
                    let hold = (c.seats.partition.clone(), c.seats.hold.clone());
                    ends.owners.entry(hold.clone()).or_default().push(c.order);
                    // An order that was given up by the time it has the hold gives it back. Who was refused the hold never had it.
                    if !matches!(told.reply, Some(Ok(_))) && !is_refused(told) {
                        ends.asked(hold, told);
                    }
                }
                _ => {}
            }
        }
        ends
    }

    fn asked(&mut self, hold: (PartitionKey, HoldId), told: &Told) {
        let first = self.asked.entry(hold).or_insert(told.called);
        *first = told.called.min(*first);
    }

    /// The first request that would end a hold of that id.
    fn first(&self, hold: &(PartitionKey, HoldId)) -> Option<u64> {
        let owners = self.owners.get(hold).into_iter().flatten();
        let cancels = owners.filter_map(|order| self.cancels.get(order));
        self.asked.get(hold).into_iter().chain(cancels).min().copied()
    }
}

/// An answer's word about seats, unless nothing follows from it.
fn telling(told: &Told, spans: &Spans, memory: &Memory) -> Option<Sight> {
    let reply = told.reply.as_ref().filter(|_| !order::is_looked_up(told))?;
    let sight = sight(reply, spans).filter(|sight| !memory.twins.contains(&sight.hold))?;
    // An order that has bought seats says so for ever, also once their partition was forgotten.
    let is_let_go = memory.let_go.get(&sight.hold.0).is_some_and(|at| *at <= told.time);
    let is_past = is_let_go && sight.says == Says::Sold && matches!(reply, Ok(Answer::Order(_)));
    (!is_past).then_some(sight)
}

fn seats(history: &[Told], memory: &Memory, coverage: &mut Counters) {
    let spans = Spans::of(history);
    let (had, ends) = (seats_had(history, &spans), Ends::of(history));
    let mut numbers: BTreeMap<Hold, usize> = BTreeMap::new();
    let mut object = SeatObject::default();
    let mut events: BTreeMap<Place, Vec<Event<seat::Seen>>> = BTreeMap::new();
    for told in history {
        let Some(returned) = told.returned else { continue };
        let Some(mut sight) = telling(told, &spans, memory) else { continue };
        if sight.seats.is_empty() {
            sight.seats = had.get(&sight.hold).cloned().unwrap_or_default();
        }
        let (partition, id, deadline) = sight.hold.clone();
        let who = *numbers.entry(sight.hold).or_insert_with(|| {
            object.asked_to_end.push(ends.first(&(partition.clone(), id)));
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
        object.let_go_at = memory.let_go.get(&place.0).copied();
        let verdict = search(&object, &seat::State::default(), events, LOOKS_MAX);
        judge(place, events, verdict, coverage);
    }
}

#[cfg(test)]
mod tests;
