//! Answers about holds and seats.

use std::collections::{BTreeMap, BTreeSet};

use allocator::{Layout, Span};
use engine::answer::{Answer, ClassView, HoldStatus, PartitionView, Rejection, Reply};
use engine::catalogue::{Catalogue, ClassListing, Definition, RunDefinition};
use engine::command::{HoldRef, Purchase, Reserve, RunQuery, SeatRequest};
use engine::ids::{HoldId, OrderId, PartitionKey};

use super::At;
use crate::checks::model::sale::{self, Offer};
use crate::checks::model::state::{Partition, Slot};

/// Seats that are wanted, by a client or for an order.
struct Want<'a> {
    partition: &'a PartitionKey,
    hold: &'a HoldId,
    quantity: u32,
    span: Option<Span>,
    capacity: u32,
    segments: u16,
    order: Option<OrderId>,
}

fn asked(span: Option<Span>, segments: u16) -> (u16, u16) {
    span.map_or((0, segments), |span| (span.from(), span.to()))
}

/// The partition, with nothing due in it: otherwise nothing is said of it yet.
fn open<'a>(slot: &'a Slot, at: &At<'_>, key: &PartitionKey) -> Result<Option<&'a Partition>, NotYet> {
    let Some(p) = slot.partitions.get(key) else { return Ok(None) };
    let is_due = p.overdue(at.time).is_some() || slot.gives_way(at.inputs, at.calendar, key);
    if is_due { Err(NotYet) } else { Ok(Some(p)) }
}

/// A record comes before any answer.
struct NotYet;

impl Want<'_> {
    fn of(c: &SeatRequest) -> Want<'_> {
        Want {
            partition: &c.partition,
            hold: &c.hold,
            quantity: c.quantity,
            span: c.span,
            capacity: c.ad_hoc.capacity,
            segments: c.ad_hoc.segments,
            order: None,
        }
    }
}

/// A hold that is there under the id counts, whatever is asked; else what keeps one from being made.
pub(super) fn allocate(slot: &Slot, at: &At<'_>, c: &SeatRequest, reply: &Reply) -> bool {
    let p = slot.partitions.get(&c.partition);
    if p.is_some_and(|p| p.holds.contains_key(&c.hold)) {
        let own = HoldRef { partition: c.partition.clone(), hold: c.hold.clone() };
        return end(slot, at, &own, reply, true);
    }
    // Where nobody has said where the train stops, any stretch is all of it.
    let is_whole = p.is_some_and(|p| p.run.is_none() && p.segments() == 1);
    let want = Want { span: c.span.filter(|_| !is_whole), ..Want::of(c) };
    reply.as_ref().is_err_and(|why| refused(slot, at, &want, *why))
}

pub(super) fn hold(slot: &Slot, at: &At<'_>, c: &SeatRequest, reply: &Reply) -> bool {
    let want = Want::of(c);
    match reply {
        Ok(Answer::Partition(view)) => {
            let Ok(Some(p)) = open(slot, at, &c.partition) else { return false };
            let (from, to) = asked(c.span, p.segments());
            let same = p.holds.get(&c.hold).is_some_and(|hold| {
                hold.has_seats() && hold.quantity == c.quantity && (hold.from, hold.to) == (from, to)
            });
            same && shows(p, at, &c.partition, &c.hold, (from, to), view)
        }
        Ok(_) => false,
        Err(why) => refused(slot, at, &want, *why),
    }
}

/// True where a reserve is refused by its partition in this state.
pub(super) fn refuse(slot: &Slot, at: &At<'_>, c: &Reserve, reply: &Reply) -> bool {
    let want = Want { order: Some(c.order), ..Want::of(&c.seats) };
    reply.as_ref().is_err_and(|why| refused(slot, at, &want, *why))
}

/// True where a new purchase is refused in this state.
pub(super) fn refuse_purchase(slot: &Slot, at: &At<'_>, c: &Purchase, reply: &Reply) -> bool {
    let want = Want {
        partition: &c.partition,
        hold: &HoldId::parse("a-new-one").expect("an id that no client uses"),
        quantity: c.quantity,
        span: c.span,
        capacity: c.ad_hoc.capacity,
        segments: c.ad_hoc.segments,
        order: None,
    };
    reply.as_ref().is_err_and(|why| refused(slot, at, &want, *why))
}

fn refused(slot: &Slot, at: &At<'_>, want: &Want<'_>, why: Rejection) -> bool {
    let p = match open(slot, at, want.partition) {
        Ok(Some(p)) => p,
        Ok(None) => return refused_unopened(slot, at, want, why),
        Err(NotYet) => return false,
    };
    let (from, to) = asked(want.span, p.segments());
    if to > p.segments() {
        return why == Rejection::InvalidSpan;
    }
    let Some(hold) = p.holds.get(want.hold) else {
        if slot.is_vacant(want.partition, p) && !slot.is_ad_hoc(at.inputs, want.partition) {
            return why == Rejection::PartitionNotFound;
        }
        return match sale::refusal(p.run.as_ref(), at.inputs, at.calendar, from, to) {
            Some(closed) => why == closed,
            None => why == Rejection::InsufficientStock && p.free(from, to) < want.quantity,
        };
    };
    if want.order.is_some() && hold.owner.is_some() && hold.owner != want.order {
        return why == Rejection::HoldOwnedByAnother;
    }
    let differs = hold.quantity != want.quantity || (hold.from, hold.to) != (from, to);
    match hold.status {
        HoldStatus::Expired => why == Rejection::HoldExpired,
        HoldStatus::Released => why == Rejection::HoldReleased,
        _ if differs => why == Rejection::HoldDiffers,
        HoldStatus::Confirmed => {
            why == Rejection::HoldConfirmed && want.order.is_some() && hold.owner.is_none()
        }
        HoldStatus::Held => false,
    }
}

fn refused_unopened(slot: &Slot, at: &At<'_>, want: &Want<'_>, why: Rejection) -> bool {
    let (seats, segments, run) = match slot.offer(at.inputs, at.calendar, want.partition) {
        Offer::NotSold => return why == Rejection::PartitionNotFound,
        Offer::Sold(Definition { layout, run }) => (layout.seats(), run.stops.len() as u16 - 1, Some(run)),
        Offer::AdHoc => {
            if want.capacity == 0 || want.segments == 0 || want.segments > 64 || want.capacity > 100_000 {
                return why == Rejection::InvalidCapacity;
            }
            (want.capacity, want.segments, None)
        }
    };
    let (from, to) = asked(want.span, segments);
    if to > segments {
        return why == Rejection::InvalidSpan;
    }
    match sale::refusal(run.as_ref(), at.inputs, at.calendar, from, to) {
        Some(closed) => why == closed,
        None => why == Rejection::InsufficientStock && want.quantity > seats,
    }
}

fn shows(
    p: &Partition,
    at: &At<'_>,
    key: &PartitionKey,
    id: &HoldId,
    (from, to): (u16, u16),
    view: &PartitionView,
) -> bool {
    let Some(hold) = p.holds.get(id) else { return false };
    let labels = hold.seats.iter().map(|seat| p.labels[*seat as usize].as_str());
    view.partition == *key
        && view.capacity == p.capacity()
        && view.last_seq == p.seq
        && view.available == sale::available(p, at.inputs, at.calendar, from, to)
        && view.confirmed == p.sold(from, to)
        && view.hold.hold == *id
        && view.hold.status == hold.status
        && view.hold.quantity == hold.quantity
        && view.hold.expires_at == hold.deadline
        && view.hold.seats.iter().map(|label| label.as_str()).eq(labels)
}

/// A client's hold is released, or confirmed.
pub(super) fn end(slot: &Slot, at: &At<'_>, c: &HoldRef, reply: &Reply, confirm: bool) -> bool {
    let p = match open(slot, at, &c.partition) {
        Ok(Some(p)) => p,
        Ok(None) => return *reply == Err(Rejection::HoldNotFound),
        Err(NotYet) => return false,
    };
    let Some(hold) = p.holds.get(&c.hold) else {
        return *reply == Err(Rejection::HoldNotFound);
    };
    if hold.owner.is_some() {
        return *reply == Err(Rejection::HoldOwned);
    }
    let wanted = if confirm { HoldStatus::Confirmed } else { HoldStatus::Released };
    match (hold.status, reply) {
        (status, Ok(Answer::Partition(view))) if status == wanted => {
            shows(p, at, &c.partition, &c.hold, (0, p.segments()), view)
        }
        (HoldStatus::Expired, Err(why)) => *why == Rejection::HoldExpired,
        (HoldStatus::Confirmed, Err(why)) => !confirm && *why == Rejection::HoldConfirmed,
        (HoldStatus::Released, Err(why)) => confirm && *why == Rejection::HoldReleased,
        _ => false,
    }
}

pub(super) fn availability(
    slot: &Slot,
    at: &At<'_>,
    key: &PartitionKey,
    span: Option<Span>,
    reply: &Reply,
) -> bool {
    let (segments, available) = match open(slot, at, key) {
        Err(NotYet) => return false,
        Ok(Some(p)) => {
            let (from, to) = asked(span, p.segments());
            let is_within = to <= p.segments();
            (p.segments(), is_within.then(|| sale::available(p, at.inputs, at.calendar, from, to)))
        }
        Ok(None) => match slot.offer(at.inputs, at.calendar, key) {
            Offer::NotSold | Offer::AdHoc => return *reply == Err(Rejection::PartitionNotFound),
            Offer::Sold(definition) => {
                let segments = definition.run.stops.len() as u16 - 1;
                (segments, unopened(&definition.run, &definition.layout, at, asked(span, segments)))
            }
        },
    };
    match (available, reply) {
        (None, reply) => *reply == Err(Rejection::InvalidSpan) && asked(span, segments).1 > segments,
        (Some(free), Ok(Answer::Availability { partition, available })) => {
            partition == key && *available == free
        }
        _ => false,
    }
}

/// Seats on the span of what could be opened; `None` where it leaves the run.
fn unopened(run: &RunDefinition, layout: &Layout, at: &At<'_>, (from, to): (u16, u16)) -> Option<u32> {
    let is_within = usize::from(to) < run.stops.len();
    is_within.then(|| match sale::refusal(Some(run), at.inputs, at.calendar, from, to) {
        Some(_) => 0,
        None => layout.seats(),
    })
}

/// The run's stops, and each of its classes once: what is open as it is, the others with all their seats.
pub(super) fn run(slot: &Slot, at: &At<'_>, c: &RunQuery, reply: &Reply) -> bool {
    let key = c.key();
    let is_of_run = |other: &&PartitionKey| other.run() == Some(&key);
    let keys: Vec<&PartitionKey> = slot.partitions.keys().filter(is_of_run).collect();
    if keys.iter().any(|key| open(slot, at, key).is_err()) {
        return false;
    }
    let listing = at.inputs.edition.run(c.train.as_str(), c.date.as_str());
    let fixed = keys.iter().find_map(|key| slot.partitions[*key].run.as_ref());
    let Some(run) = fixed.or(listing.as_ref().map(|listing| &listing.run)) else {
        return *reply == Err(Rejection::RunNotFound);
    };
    let Ok(Answer::Run(view)) = reply else { return false };
    let listed: BTreeMap<String, &ClassListing> = { listing.iter() }
        .flat_map(|listing| &listing.classes)
        .map(|class| (format!("{key}|{}", class.name), class))
        .collect();
    let mut expected: BTreeSet<&str> = listed.keys().map(String::as_str).collect();
    expected.extend(keys.iter().map(|key| key.as_str()));
    let shown: BTreeSet<&str> = view.classes.iter().map(|class| class.partition.as_str()).collect();
    let (from, to) = asked(c.span, run.stops.len() as u16 - 1);
    let is_closed = usize::from(to) < run.stops.len() && sale::is_closed(run, at.inputs, at.calendar, from);
    let departed = run.ends_at.plus(at.inputs.policy.departed_ms) <= at.calendar;
    let shows_unopened = |class: &ClassView| {
        let layout = &listed[class.partition.as_str()].layout;
        let free = unopened(run, layout, at, (from, to)).filter(|_| !departed).unwrap_or(0);
        (class.capacity, class.available) == (layout.seats(), free)
    };
    *view.run == *run
        && view.is_closed == is_closed
        && shown == expected
        && shown.len() == view.classes.len()
        && view.classes.iter().all(|class| match slot.partitions.get(&class.partition) {
            Some(p) => shows_class(p, at, c.span, class),
            None => shows_unopened(class),
        })
}

fn shows_class(p: &Partition, at: &At<'_>, span: Option<Span>, class: &ClassView) -> bool {
    let (from, to) = asked(span, p.segments());
    let is_within = to <= p.segments();
    let free = if is_within { sale::available(p, at.inputs, at.calendar, from, to) } else { 0 };
    let coaches = class.coaches.iter().map(|(coach, seats)| (coach.as_str(), *seats));
    class.capacity == p.capacity()
        && class.available == free
        && coaches.eq(p.coaches.iter().map(|(coach, seats)| (coach.as_str(), *seats)))
}
