//! Holds: a client's own, and those that orders ask for. Whatever is due in a partition expires before anything
//! else is decided about it.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;

use allocator::{Layout, SEGMENTS_MAX, Span};

use super::due::expired;
use super::{Context, Decision, Pending, reclaim, sale, views};
use crate::answer::{Answer, ClassView, Rejection, RunView};
use crate::catalogue::Listing;
use crate::command::{AdHoc, HoldRef, Reserve, RunQuery, SeatRequest};
use crate::ids::{HoldId, OrderId, PartitionKey, TxnId};
use crate::limits::{AD_HOC_CAPACITY_MAX, HOLDS_PER_PARTITION_MAX, OUTBOX_PER_SLOT_MAX, QUANTITY_MAX};
use crate::message::{Fact, OrderHold};
use crate::record::{Body, HoldRow, PartitionOpened, ReleaseReason, Reservation};
use crate::state::{Hold, Partition, Slot};
use crate::status::HoldStatus;

/// A hold and the partition it is in.
type Held<'a> = (&'a Partition, &'a Hold);

/// A partition and a span of it.
type Place<'a> = (&'a Partition, Span);

pub(super) fn try_hold(slot: &Slot, cx: &Context<'_>, want: &SeatRequest) -> Decision<Answer> {
    let (p, h) = hold(slot, cx, want, None)?;
    Ok(Answer::Partition(Box::new(views::partition(&want.partition, p, cx, h.span, &want.hold, h))))
}

/// A hold that is made and confirmed, one record after the other. One that is there under the id is confirmed as it is.
pub(super) fn allocate(slot: &Slot, cx: &Context<'_>, want: &SeatRequest) -> Decision<Answer> {
    let own = HoldRef { partition: want.partition.clone(), hold: want.hold.clone() };
    match confirm(slot, cx, &own) {
        Err(Pending::Refused(Rejection::HoldNotFound)) => {}
        decided => return decided,
    }
    let span = want.span.filter(|_| !is_one_stretch(slot, &want.partition));
    let want = SeatRequest { span, ..want.clone() };
    let place = place(slot, cx, &want)?;
    let made = make(slot, cx, place, &want, None, cx.policy.hold_ttl_ms)?;
    Err(reclaim::record(slot, Body::HoldMade(made))?)
}

/// The open partition of a key is ad hoc and of one segment: it knows no stops, and any span is all of it.
fn is_one_stretch(slot: &Slot, key: &PartitionKey) -> bool {
    let p = slot.partitions().get(key);
    p.is_some_and(|p| p.run().is_none() && p.inventory().segments() == 1)
}

pub(super) fn hold_for_order(slot: &Slot, cx: &Context<'_>, c: &Reserve) -> Decision<Fact> {
    let (p, h) = hold(slot, cx, &c.seats, Some(c.order))?;
    Ok(fact(c.order, &c.seats.partition, p, &c.seats.hold, h))
}

/// The one way to a hold: what is there counts first, then what is free.
fn hold<'a>(
    slot: &'a Slot,
    cx: &Context<'_>,
    want: &SeatRequest,
    owner: Option<OrderId>,
) -> Decision<Held<'a>> {
    let (p, span) = place(slot, cx, want)?;
    match p.hold(&want.hold) {
        Some(h) => repeat(p, h, span, want, owner),
        None => {
            let made = make(slot, cx, (p, span), want, owner, cx.policy.hold_ttl_ms)?;
            Err(reclaim::record(slot, Body::HoldMade(made))?)
        }
    }
}

/// The open partition that seats are wanted of, and where on its run. It is opened at the first hold.
pub(super) fn place<'a>(slot: &'a Slot, cx: &Context<'_>, want: &SeatRequest) -> Decision<Place<'a>> {
    let Some(p) = look(slot, cx, &want.partition)? else {
        return Err(reclaim::record(slot, open(slot, cx, want)?)?);
    };
    Ok((p, p.span(want.span).ok_or(Rejection::InvalidSpan)?))
}

/// The open partition of a key, with what is due in it ended. An ad hoc one that nobody has seats of gives way to the timetable's.
fn look<'a>(slot: &'a Slot, cx: &Context<'_>, key: &PartitionKey) -> Decision<Option<&'a Partition>> {
    let Some(p) = open_partition(slot, cx, key)? else { return Ok(None) };
    if p.is_vacant() && matches!(offer(slot, cx, key), Offer::Sold { .. }) {
        return Err(Pending::Append(Body::PartitionForgotten { partition: key.clone() }));
    }
    Ok(Some(p))
}

/// Holds of the partition whose deadline has passed end before anything else is decided about it.
fn expire(slot: &Slot, key: &PartitionKey, p: &Partition, cx: &Context<'_>) -> Decision<()> {
    expired(slot, key, p, cx).map_or(Ok(()), |body| Err(Pending::Append(body)))
}

fn repeat<'a>(
    p: &'a Partition,
    h: &'a Hold,
    span: Span,
    want: &SeatRequest,
    owner: Option<OrderId>,
) -> Decision<Held<'a>> {
    if owner.is_some() && h.owner.is_some() && h.owner != owner {
        return Err(Rejection::HoldOwnedByAnother.into());
    }
    match h.status {
        HoldStatus::Expired => return Err(Rejection::HoldExpired.into()),
        HoldStatus::Released => return Err(Rejection::HoldReleased.into()),
        HoldStatus::Held | HoldStatus::Confirmed => {}
    }
    if h.quantity != want.quantity || h.span != span {
        return Err(Rejection::HoldDiffers.into());
    }
    match (h.owner, owner, h.status) {
        (None, Some(_), HoldStatus::Held) => {
            let row = p.next_row(&want.partition, &want.hold, h);
            Err(Pending::Append(Body::HoldAdopted(HoldRow { owner, ..row })))
        }
        (None, Some(_), _) => Err(Rejection::HoldConfirmed.into()),
        _ => Ok((p, h)),
    }
}

/// A new hold of seats that are free.
pub(super) fn make(
    slot: &Slot,
    cx: &Context<'_>,
    (p, span): Place<'_>,
    want: &SeatRequest,
    owner: Option<OrderId>,
    ttl_ms: u64,
) -> Result<HoldRow, Rejection> {
    // Where ad hoc sale is off, what was opened before sells what it has until it is empty.
    if p.is_vacant() && matches!(offer(slot, cx, &want.partition), Offer::NotSold) {
        return Err(Rejection::PartitionNotFound);
    }
    sale::check(p.run().map(|run| &**run), cx, span)?;
    if slot.outbox().len() >= OUTBOX_PER_SLOT_MAX || p.holds_count() >= HOLDS_PER_PARTITION_MAX {
        return Err(Rejection::LimitReached);
    }
    if want.quantity > QUANTITY_MAX {
        return Err(Rejection::InsufficientStock);
    }
    let found = p.inventory().find(span, want.quantity).ok_or(Rejection::InsufficientStock)?;
    Ok(HoldRow {
        partition: want.partition.clone(),
        hold: want.hold.clone(),
        made: p.seq() + 1,
        partition_seq: p.seq() + 1,
        status: HoldStatus::Held,
        owner,
        quantity: want.quantity,
        from: span.from(),
        to: span.to(),
        segments: p.inventory().segments(),
        capacity: p.inventory().seats(),
        labels: p.labels(&found.seats),
        seats: found.seats.into_iter().map(|seat| seat.0).collect(),
        deadline: cx.now.plus(ttl_ms),
        txn: None,
        release_reason: None,
        keep_until: cx.now,
    })
}

/// A partition is opened at its first hold, by what the timetable says or by what the first caller asks for.
fn open(slot: &Slot, cx: &Context<'_>, want: &SeatRequest) -> Result<Body, Rejection> {
    let (layout, segments, run) = match offer(slot, cx, &want.partition) {
        Offer::Sold { layout, segments, run } => (layout, segments, Some(run)),
        Offer::NotSold => return Err(Rejection::PartitionNotFound),
        Offer::AdHoc => {
            let AdHoc { capacity, segments } = want.ad_hoc;
            if !(1..=AD_HOC_CAPACITY_MAX).contains(&capacity) || !(1..=SEGMENTS_MAX).contains(&segments) {
                return Err(Rejection::InvalidCapacity);
            }
            (Layout::AdHoc { seats: capacity }, segments, None)
        }
    };
    let span = want.span.unwrap_or(Span::whole(segments));
    if span.to() > segments {
        return Err(Rejection::InvalidSpan);
    }
    sale::check(run.as_ref(), cx, span)?;
    if want.quantity > layout.seats().min(QUANTITY_MAX) {
        return Err(Rejection::InsufficientStock);
    }
    let partition = want.partition.clone();
    Ok(Body::PartitionOpened(PartitionOpened { partition, layout, segments, run, seq: slot.forgotten_seq() }))
}

enum Offer {
    Sold { layout: Layout, segments: u16, run: crate::catalogue::RunDefinition },
    NotSold,
    AdHoc,
}

/// The partition that could be opened under a key that is not open. The stops of a run are those of its first open partition; once it has
/// one, nothing is sold ad hoc beside it, also where the timetable has lost it since.
fn offer(slot: &Slot, cx: &Context<'_>, key: &PartitionKey) -> Offer {
    let fixed = || key.run().and_then(|run| slot.partitions().of_run(run).find_map(|(_, p)| p.run()));
    match cx.catalogue.find(key) {
        Listing::NotSold => Offer::NotSold,
        Listing::AdHoc if fixed().is_some() => Offer::NotSold,
        Listing::AdHoc => Offer::AdHoc,
        Listing::Sold(definition) => {
            let run = fixed().map_or(definition.run, |run| (**run).clone());
            if run.ends_at.plus(cx.policy.departed_ms) <= cx.calendar {
                return Offer::NotSold;
            }
            let segments = run.segments();
            Offer::Sold { layout: definition.layout, segments, run }
        }
    }
}

pub(super) fn release(slot: &Slot, cx: &Context<'_>, c: &HoldRef) -> Decision<Answer> {
    let (p, h) = own_hold(slot, cx, c)?;
    match h.status {
        HoldStatus::Held => {
            let row = p.next_row(&c.partition, &c.hold, h);
            Err(Pending::Append(Body::HoldReleased(released(cx, row, ReleaseReason::Requested))))
        }
        HoldStatus::Released => Ok(whole(p, cx, c, h)),
        HoldStatus::Expired => Err(Rejection::HoldExpired.into()),
        HoldStatus::Confirmed => Err(Rejection::HoldConfirmed.into()),
    }
}

pub(super) fn confirm(slot: &Slot, cx: &Context<'_>, c: &HoldRef) -> Decision<Answer> {
    let (p, h) = own_hold(slot, cx, c)?;
    match h.status {
        HoldStatus::Held => {
            let row = p.next_row(&c.partition, &c.hold, h);
            Err(Pending::Append(Body::HoldConfirmed(HoldRow { status: HoldStatus::Confirmed, ..row })))
        }
        HoldStatus::Confirmed => Ok(whole(p, cx, c, h)),
        HoldStatus::Expired => Err(Rejection::HoldExpired.into()),
        HoldStatus::Released => Err(Rejection::HoldReleased.into()),
    }
}

fn own_hold<'a>(slot: &'a Slot, cx: &Context<'_>, c: &HoldRef) -> Decision<Held<'a>> {
    let p = look(slot, cx, &c.partition)?.ok_or(Rejection::HoldNotFound)?;
    let h = p.hold(&c.hold).ok_or(Rejection::HoldNotFound)?;
    if h.owner.is_some() { Err(Rejection::HoldOwned.into()) } else { Ok((p, h)) }
}

fn whole(p: &Partition, cx: &Context<'_>, c: &HoldRef, h: &Hold) -> Answer {
    let span = Span::whole(p.inventory().segments());
    Answer::Partition(Box::new(views::partition(&c.partition, p, cx, span, &c.hold, h)))
}

pub(super) fn availability(
    slot: &Slot,
    cx: &Context<'_>,
    key: &PartitionKey,
    span: Option<Span>,
) -> Decision<Answer> {
    let available = match look(slot, cx, key)? {
        Some(p) => sale::available(p, cx, p.span(span).ok_or(Rejection::InvalidSpan)?),
        None => match offer(slot, cx, key) {
            Offer::Sold { layout, segments, run } => {
                let span = span.unwrap_or(Span::whole(segments));
                if span.to() > segments {
                    return Err(Rejection::InvalidSpan.into());
                }
                sale::check(Some(&run), cx, span).map_or(0, |()| layout.seats())
            }
            Offer::NotSold | Offer::AdHoc => return Err(Rejection::PartitionNotFound.into()),
        },
    };
    Ok(Answer::Availability { partition: key.clone(), available })
}

pub(super) fn run(slot: &Slot, cx: &Context<'_>, c: &RunQuery) -> Decision<Answer> {
    let key = c.key();
    let mut opened = BTreeMap::new();
    for (partition, _) in slot.partitions().of_run(&key) {
        if let Some(p) = look(slot, cx, partition)? {
            opened.insert(partition, p);
        }
    }
    // As for what could be opened: the stops are those of the first open partition.
    let fixed = opened.values().find_map(|p| p.run().cloned());
    let (listed, run) = match cx.catalogue.run(c.train.as_str(), c.date.as_str()) {
        Some(listing) => (listing.classes, fixed.unwrap_or_else(|| listing.run.into())),
        None => (Vec::new(), fixed.ok_or(Rejection::RunNotFound)?),
    };
    let span = c.span.unwrap_or(Span::whole(run.segments()));
    let is_closed = run.has_span(span) && sale::is_closed(&run, cx, span);
    let is_sold = run.ends_at.plus(cx.policy.departed_ms) > cx.calendar
        && run.has_span(span)
        && sale::check(Some(&run), cx, span).is_ok();
    let mut classes = Vec::with_capacity(listed.len() + opened.len());
    for class in listed {
        // A key that is too long is nobody's: such a class cannot be sold.
        let Ok(partition) = PartitionKey::parse(&format!("{key}|{}", class.name)) else { continue };
        classes.push(match opened.remove(&partition) {
            Some(p) => opened_class(&partition, p, cx, c.span),
            None => {
                let available = if is_sold { class.layout.seats() } else { 0 };
                views::class(partition, &class.layout, available)
            }
        });
    }
    classes.extend(opened.into_iter().map(|(partition, p)| opened_class(partition, p, cx, c.span)));
    Ok(Answer::Run(RunView { is_closed, run, classes }))
}

fn opened_class(key: &PartitionKey, p: &Partition, cx: &Context<'_>, span: Option<Span>) -> ClassView {
    let available = p.span(span).map_or(0, |span| sale::available(p, cx, span));
    views::class(key.clone(), p.inventory().layout(), available)
}

pub(super) fn release_for_order(slot: &Slot, cx: &Context<'_>, c: &OrderHold) -> Decision<Fact> {
    end_for_order(slot, cx, c, |row| Body::HoldReleased(released(cx, row, ReleaseReason::Requested)))
}

pub(super) fn confirm_for_order(slot: &Slot, cx: &Context<'_>, c: &OrderHold, txn: &TxnId) -> Decision<Fact> {
    end_for_order(slot, cx, c, |row| {
        Body::HoldConfirmed(HoldRow { status: HoldStatus::Confirmed, txn: Some(txn.clone()), ..row })
    })
}

/// The outcome of the order's hold, once it is past its deadline.
pub(super) fn settle_for_order(slot: &Slot, cx: &Context<'_>, c: &OrderHold) -> Decision<Fact> {
    Ok(match order_hold(slot, cx, c)? {
        Some((p, h)) => fact(c.order, &c.partition, p, &c.hold, h),
        None => gone(c),
    })
}

/// A live hold ends as `end` says; for any other its outcome is the answer.
fn end_for_order(
    slot: &Slot,
    cx: &Context<'_>,
    c: &OrderHold,
    end: impl FnOnce(HoldRow) -> Body,
) -> Decision<Fact> {
    match order_hold(slot, cx, c)? {
        Some((p, h)) if h.status == HoldStatus::Held => {
            Err(Pending::Append(end(p.next_row(&c.partition, &c.hold, h))))
        }
        Some((p, h)) => Ok(fact(c.order, &c.partition, p, &c.hold, h)),
        None => Ok(gone(c)),
    }
}

/// An open partition, with what is due in it ended.
pub(super) fn open_partition<'a>(
    slot: &'a Slot,
    cx: &Context<'_>,
    key: &PartitionKey,
) -> Decision<Option<&'a Partition>> {
    let Some(p) = slot.partitions().get(key) else { return Ok(None) };
    expire(slot, key, p, cx)?;
    Ok(Some(p))
}

/// The very hold that the order means, unless its partition has forgotten it.
pub(super) fn order_hold<'a>(slot: &'a Slot, cx: &Context<'_>, c: &OrderHold) -> Decision<Option<Held<'a>>> {
    let Some(p) = open_partition(slot, cx, &c.partition)? else { return Ok(None) };
    let hold = p.hold(&c.hold).filter(|h| h.owner == Some(c.order) && h.identity() == c.identity);
    Ok(hold.map(|h| (p, h)))
}

/// A hold that its partition has forgotten has ended long ago, and unsold: sold ones are kept with their partition,
/// and that one outlives every deadline in it.
fn gone(c: &OrderHold) -> Fact {
    let (partition, hold) = (c.partition.clone(), c.hold.clone());
    Fact::HoldExpired { order: c.order, partition, hold, made: c.identity.made }
}

/// The hold as it is now, as a fact for its order.
fn fact(order: OrderId, key: &PartitionKey, p: &Partition, id: &HoldId, h: &Hold) -> Fact {
    let (partition, hold, made) = (key.clone(), id.clone(), h.made);
    match (h.status, &h.txn) {
        (HoldStatus::Held, _) => {
            Fact::HoldMade { order, reservation: Reservation::of(&p.row(key, id, h), p.ends_at()) }
        }
        (HoldStatus::Confirmed, Some(txn)) => {
            Fact::HoldConfirmed { order, partition, hold, made, txn: txn.clone() }
        }
        (HoldStatus::Confirmed, None) => unreachable!("a hold that an order owns is confirmed by a payment"),
        (HoldStatus::Released, _) => Fact::HoldReleased { order, partition, hold, made },
        (HoldStatus::Expired, _) => Fact::HoldExpired { order, partition, hold, made },
    }
}

/// The release of a hold, of which `row` is the next change.
pub(super) fn released(cx: &Context<'_>, row: HoldRow, reason: ReleaseReason) -> HoldRow {
    HoldRow {
        status: HoldStatus::Released,
        release_reason: Some(reason),
        keep_until: cx.now.plus(cx.policy.hold_memory_ms),
        ..row
    }
}
