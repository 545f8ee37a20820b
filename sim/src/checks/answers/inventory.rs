//! Answers about holds and seats.

use std::collections::{BTreeMap, BTreeSet};

use allocator::Span;
use engine::answer::{Answer, ClassView, HoldStatus, PartitionView, Rejection, Reply};
use engine::catalogue::{Catalogue, ClassListing, Definition, Listing};
use engine::command::{HoldRef, Reserve, RunQuery, SeatRequest};
use engine::ids::{HoldId, OrderId, PartitionKey, Time};

use crate::checks::model::DecisionInputs;
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

/// A partition that is not open yet, as the timetable has it.
fn definition(slot: &Slot, inputs: &DecisionInputs, now: Time, key: &PartitionKey) -> Option<Definition> {
    let Listing::Sold(mut definition) = inputs.edition.find(key) else { return None };
    let run = key.run()?;
    let fixed = slot.partitions.iter().filter(|(other, _)| other.run() == Some(run));
    if let Some(run) = { fixed }.find_map(|(_, p)| p.run.clone()) {
        definition.run = run;
    }
    // It may have departed in the meantime: then both answers are true.
    (definition.run.ends_at.plus(inputs.policy.departed_ms) > now).then_some(definition)
}

pub(super) fn hold(slot: &Slot, inputs: &DecisionInputs, now: Time, c: &SeatRequest, reply: &Reply) -> bool {
    let want = Want {
        partition: &c.partition,
        hold: &c.hold,
        quantity: c.quantity,
        span: c.span,
        capacity: c.ad_hoc.capacity,
        segments: c.ad_hoc.segments,
        order: None,
    };
    match reply {
        Ok(Answer::Partition(view)) => {
            let Some(p) = slot.partitions.get(&c.partition) else { return false };
            let (from, to) = asked(c.span, p.segments());
            let same = p.holds.get(&c.hold).is_some_and(|hold| {
                hold.has_seats()
                    && hold.seats.len() == c.quantity as usize
                    && (hold.from, hold.to) == (from, to)
            });
            same && p.overdue(now).is_none() && shows(p, &c.partition, &c.hold, from, to, view)
        }
        Ok(_) => false,
        Err(why) => refused(slot, inputs, now, &want, *why),
    }
}

/// True where a reserve is refused by its partition in this state.
pub(super) fn refuse(slot: &Slot, inputs: &DecisionInputs, now: Time, c: &Reserve, reply: &Reply) -> bool {
    let want = Want {
        partition: &c.seats.partition,
        hold: &c.seats.hold,
        quantity: c.seats.quantity,
        span: c.seats.span,
        capacity: c.seats.ad_hoc.capacity,
        segments: c.seats.ad_hoc.segments,
        order: Some(c.order),
    };
    reply.as_ref().is_err_and(|why| refused(slot, inputs, now, &want, *why))
}

fn refused(slot: &Slot, inputs: &DecisionInputs, now: Time, want: &Want<'_>, why: Rejection) -> bool {
    let Some(p) = slot.partitions.get(want.partition) else {
        return refused_unopened(slot, inputs, now, want, why);
    };
    if p.overdue(now).is_some() {
        return false;
    }
    let (from, to) = asked(want.span, p.segments());
    if to > p.segments() {
        return why == Rejection::InvalidSpan;
    }
    let Some(hold) = p.holds.get(want.hold) else {
        return why == Rejection::InsufficientStock && p.free(from, to) < want.quantity;
    };
    if want.order.is_some() && hold.owner.is_some() && hold.owner != want.order {
        return why == Rejection::HoldOwnedByAnother;
    }
    let differs = hold.seats.len() != want.quantity as usize || (hold.from, hold.to) != (from, to);
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

/// Another class of the same run is open, as a timetable has defined it.
fn has_run(slot: &Slot, key: &PartitionKey) -> bool {
    let of_run = |other: &PartitionKey| other.run().is_some() && other.run() == key.run();
    slot.partitions.iter().any(|(other, p)| of_run(other) && p.run.is_some())
}

fn refused_unopened(
    slot: &Slot,
    inputs: &DecisionInputs,
    now: Time,
    want: &Want<'_>,
    why: Rejection,
) -> bool {
    let (seats, segments) = match inputs.edition.find(want.partition) {
        Listing::NotSold => return why == Rejection::PartitionNotFound,
        Listing::Sold(_) => match definition(slot, inputs, now, want.partition) {
            Some(definition) => (definition.layout.seats(), definition.run.stops.len() as u16 - 1),
            None => return why == Rejection::PartitionNotFound,
        },
        Listing::AdHoc if has_run(slot, want.partition) => return why == Rejection::PartitionNotFound,
        Listing::AdHoc => {
            if want.capacity == 0 || want.segments == 0 || want.segments > 64 || want.capacity > 100_000 {
                return why == Rejection::InvalidCapacity;
            }
            (want.capacity, want.segments)
        }
    };
    match why {
        Rejection::InvalidSpan => want.span.is_some_and(|span| span.to() > segments),
        Rejection::InsufficientStock => want.quantity > seats,
        // The run may have departed since.
        Rejection::PartitionNotFound => {
            matches!(inputs.edition.find(want.partition), Listing::Sold(d) if d.run.ends_at.0 < 1 << 41)
        }
        _ => false,
    }
}

fn shows(p: &Partition, key: &PartitionKey, id: &HoldId, from: u16, to: u16, view: &PartitionView) -> bool {
    let Some(hold) = p.holds.get(id) else { return false };
    let labels = hold.seats.iter().map(|seat| p.labels[*seat as usize].as_str());
    view.partition == *key
        && view.capacity == p.capacity()
        && view.last_seq == p.seq
        && view.available == p.free(from, to)
        && view.confirmed == p.sold(from, to)
        && view.hold.hold == *id
        && view.hold.status == hold.status
        && view.hold.quantity as usize == hold.seats.len()
        && view.hold.expires_at == hold.deadline
        && view.hold.seats.iter().map(|label| label.as_str()).eq(labels)
}

/// A client's hold is released, or confirmed.
pub(super) fn end(slot: &Slot, now: Time, c: &HoldRef, reply: &Reply, confirm: bool) -> bool {
    let Some(p) = slot.partitions.get(&c.partition) else {
        return *reply == Err(Rejection::HoldNotFound);
    };
    if p.overdue(now).is_some() {
        return false;
    }
    let Some(hold) = p.holds.get(&c.hold) else {
        return *reply == Err(Rejection::HoldNotFound);
    };
    if hold.owner.is_some() {
        return *reply == Err(Rejection::HoldOwned);
    }
    let wanted = if confirm { HoldStatus::Confirmed } else { HoldStatus::Released };
    match (hold.status, reply) {
        (status, Ok(Answer::Partition(view))) if status == wanted => {
            shows(p, &c.partition, &c.hold, 0, p.segments(), view)
        }
        (HoldStatus::Expired, Err(why)) => *why == Rejection::HoldExpired,
        (HoldStatus::Confirmed, Err(why)) => !confirm && *why == Rejection::HoldConfirmed,
        (HoldStatus::Released, Err(why)) => confirm && *why == Rejection::HoldReleased,
        _ => false,
    }
}

pub(super) fn availability(
    slot: &Slot,
    inputs: &DecisionInputs,
    now: Time,
    key: &PartitionKey,
    span: Option<Span>,
    reply: &Reply,
) -> bool {
    let Some(p) = slot.partitions.get(key) else {
        return match (reply, definition(slot, inputs, now, key)) {
            (Err(Rejection::PartitionNotFound), None) => true,
            (Err(Rejection::PartitionNotFound), Some(d)) => d.run.ends_at.0 < 1 << 41,
            (Err(Rejection::InvalidSpan), Some(d)) => {
                span.is_some_and(|span| usize::from(span.to()) >= d.run.stops.len())
            }
            (Ok(Answer::Availability { partition, available }), Some(d)) => {
                partition == key && *available == d.layout.seats()
            }
            _ => false,
        };
    };
    if p.overdue(now).is_some() {
        return false;
    }
    let (from, to) = asked(span, p.segments());
    match reply {
        Err(why) => *why == Rejection::InvalidSpan && to > p.segments(),
        Ok(Answer::Availability { partition, available }) => {
            to <= p.segments() && partition == key && *available == p.free(from, to)
        }
        Ok(_) => false,
    }
}

/// The run's stops, and each of its classes once: what is open as it is, the others with all their seats.
pub(super) fn run(slot: &Slot, inputs: &DecisionInputs, now: Time, c: &RunQuery, reply: &Reply) -> bool {
    let key = c.key();
    let open: Vec<_> = slot.partitions.iter().filter(|(other, _)| other.run() == Some(&key)).collect();
    if open.iter().any(|(_, p)| p.overdue(now).is_some()) {
        return false;
    }
    let listing = inputs.edition.run(c.train.as_str(), c.date.as_str());
    let fixed = open.iter().find_map(|(_, p)| p.run.as_ref());
    let Some(run) = fixed.or(listing.as_ref().map(|listing| &listing.run)) else {
        return *reply == Err(Rejection::RunNotFound);
    };
    let Ok(Answer::Run(view)) = reply else { return false };
    let listed: BTreeMap<String, &ClassListing> = { listing.iter() }
        .flat_map(|listing| &listing.classes)
        .map(|class| (format!("{key}|{}", class.name), class))
        .collect();
    let mut expected: BTreeSet<&str> = listed.keys().map(String::as_str).collect();
    expected.extend(open.iter().map(|(key, _)| key.as_str()));
    let shown: BTreeSet<&str> = view.classes.iter().map(|class| class.partition.as_str()).collect();
    let unopened = |class: &ClassView| {
        let layout = &listed[class.partition.as_str()].layout;
        let is_within = c.span.is_none_or(|span| usize::from(span.to()) < run.stops.len());
        let is_sold = is_within && run.ends_at.plus(inputs.policy.departed_ms) > now;
        // It may have departed in the meantime: then both answers are true.
        let may_be_gone = !is_sold || run.ends_at.0 < 1 << 41;
        class.capacity == layout.seats()
            && ((is_sold && class.available == layout.seats()) || (may_be_gone && class.available == 0))
    };
    *view.run == *run
        && shown == expected
        && shown.len() == view.classes.len()
        && view.classes.iter().all(|class| match slot.partitions.get(&class.partition) {
            Some(p) => shows_class(p, c.span, class),
            None => unopened(class),
        })
}

fn shows_class(p: &Partition, span: Option<Span>, class: &ClassView) -> bool {
    let (from, to) = asked(span, p.segments());
    let free = if to <= p.segments() { p.free(from, to) } else { 0 };
    let coaches = class.coaches.iter().map(|(coach, seats)| (coach.as_str(), *seats));
    class.capacity == p.capacity()
        && class.available == free
        && coaches.eq(p.coaches.iter().map(|(coach, seats)| (coach.as_str(), *seats)))
}
