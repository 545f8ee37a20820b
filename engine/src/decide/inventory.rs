//! Holds: a client's own, and those that orders ask for. Whatever is due in a partition expires before anything
//! else is decided about it.

use alloc::boxed::Box;
use alloc::vec::Vec;

use allocator::{Layout, SEGMENTS_MAX, Span};

use super::due::expire;
use super::{Context, Step, views};
use crate::answer::{Answer, HoldStatus, Rejection, Reply, RunView};
use crate::catalogue::Listing;
use crate::command::{AdHoc, HoldRef, Reserve, RunQuery, TryHold};
use crate::ids::{HoldId, OrderId, PartitionKey, TxnId};
use crate::limits::{
    AD_HOC_CAPACITY_MAX, HOLDS_PER_PARTITION_MAX, OUTBOX_PER_SLOT_MAX, PARTITIONS_PER_SLOT_MAX, QUANTITY_MAX,
    SLOT_BYTES_MAX,
};
use crate::message::{Fact, OrderHold};
use crate::record::{Body, HoldRow, PartitionOpened, ReleaseReason, Reservation};
use crate::state::{Hold, Partition, Slot};

/// Seats that somebody wants.
struct Want<'a> {
    partition: &'a PartitionKey,
    hold: &'a HoldId,
    quantity: u32,
    span: Option<Span>,
    ad_hoc: AdHoc,
    owner: Option<OrderId>,
}

/// A hold and the partition it is in.
type Held<'a> = (&'a Partition, &'a Hold);
/// What another slot is told.
type FactReply = Result<Fact, Rejection>;

pub(super) fn try_hold(slot: &Slot, cx: &Context<'_>, c: &TryHold) -> Step<Reply> {
    let want = Want {
        partition: &c.partition,
        hold: &c.hold,
        quantity: c.quantity,
        span: c.span,
        ad_hoc: c.ad_hoc,
        owner: None,
    };
    hold(slot, cx, &want).map(|(p, h)| {
        let span = c.span.unwrap_or(Span::whole(p.inventory().segments()));
        Answer::Partition(Box::new(views::partition(&c.partition, p, span, &c.hold, h)))
    })
}

pub(super) fn hold_for_order(slot: &Slot, cx: &Context<'_>, c: &Reserve) -> Step<FactReply> {
    let want = Want {
        partition: &c.partition,
        hold: &c.hold,
        quantity: c.quantity,
        span: c.span,
        ad_hoc: c.ad_hoc,
        owner: Some(c.order),
    };
    hold(slot, cx, &want).map(|(p, h)| fact(c.order, &c.partition, p, &c.hold, h))
}

/// The one way to a hold: what is there counts first, then what is free.
fn hold<'a>(slot: &'a Slot, cx: &Context<'_>, want: &Want<'_>) -> Step<Result<Held<'a>, Rejection>> {
    let Some(p) = slot.partitions().get(want.partition) else {
        return open(slot, cx, want);
    };
    if let Some(body) = expire(want.partition, p, cx) {
        return Step::Append(body);
    }
    let Some(span) = p.span(want.span) else {
        return refuse(Rejection::InvalidSpan);
    };
    match p.hold(want.hold) {
        Some(h) => repeat(p, h, span, want),
        None => make(slot, cx, p, span, want),
    }
}

fn repeat<'a>(
    p: &'a Partition,
    h: &'a Hold,
    span: Span,
    want: &Want<'_>,
) -> Step<Result<Held<'a>, Rejection>> {
    if want.owner.is_some() && h.owner.is_some() && h.owner != want.owner {
        return refuse(Rejection::HoldOwnedByAnother);
    }
    match h.status {
        HoldStatus::Expired => return refuse(Rejection::HoldExpired),
        HoldStatus::Released => return refuse(Rejection::HoldReleased),
        HoldStatus::Held | HoldStatus::Confirmed => {}
    }
    if h.quantity() != want.quantity || h.span != span {
        return refuse(Rejection::HoldDiffers);
    }
    match (h.owner, want.owner, h.status) {
        (None, Some(_), HoldStatus::Held) => Step::Append(Body::HoldAdopted(HoldRow {
            owner: want.owner,
            ..next(p, want.partition, want.hold, h)
        })),
        (None, Some(_), _) => refuse(Rejection::HoldConfirmed),
        _ => Step::Done(Ok((p, h))),
    }
}

fn make<'a>(
    slot: &'a Slot,
    cx: &Context<'_>,
    p: &'a Partition,
    span: Span,
    want: &Want<'_>,
) -> Step<Result<Held<'a>, Rejection>> {
    let is_full = slot.outbox().len() >= OUTBOX_PER_SLOT_MAX || slot.weight() >= SLOT_BYTES_MAX;
    if is_full || p.holds_count() >= HOLDS_PER_PARTITION_MAX {
        return refuse(Rejection::LimitReached);
    }
    if want.quantity > QUANTITY_MAX {
        return refuse(Rejection::InsufficientStock);
    }
    let Some(found) = p.inventory().find(span, want.quantity) else {
        return refuse(Rejection::InsufficientStock);
    };
    Step::Append(Body::HoldMade(HoldRow {
        partition: want.partition.clone(),
        hold: want.hold.clone(),
        partition_seq: p.seq() + 1,
        status: HoldStatus::Held,
        owner: want.owner,
        quantity: want.quantity,
        from: span.from(),
        to: span.to(),
        segments: p.inventory().segments(),
        capacity: p.inventory().seats(),
        labels: p.labels(&found.seats),
        seats: found.seats.into_iter().map(|seat| seat.0).collect(),
        deadline: cx.now.plus(cx.policy.hold_ttl_ms),
        txn: None,
        release_reason: None,
        keep_until: cx.now,
    }))
}

/// A partition is opened at its first hold, by what the timetable says or by what the first caller asks for.
fn open<'a>(slot: &Slot, cx: &Context<'_>, want: &Want<'_>) -> Step<Result<Held<'a>, Rejection>> {
    let (layout, segments, run) = match offer(slot, cx, want.partition) {
        Offer::Sold { layout, segments, run } => (layout, segments, Some(run)),
        Offer::NotSold => return refuse(Rejection::PartitionNotFound),
        Offer::AdHoc => {
            let AdHoc { capacity, segments } = want.ad_hoc;
            if !(1..=AD_HOC_CAPACITY_MAX).contains(&capacity) || !(1..=SEGMENTS_MAX).contains(&segments) {
                return refuse(Rejection::InvalidCapacity);
            }
            (Layout::AdHoc { seats: capacity }, segments, None)
        }
    };
    if want.span.is_some_and(|span| span.to() > segments) {
        return refuse(Rejection::InvalidSpan);
    }
    if want.quantity > layout.seats() {
        return refuse(Rejection::InsufficientStock);
    }
    if slot.partitions().len() >= PARTITIONS_PER_SLOT_MAX || slot.weight() >= SLOT_BYTES_MAX {
        return refuse(Rejection::LimitReached);
    }
    Step::Append(Body::PartitionOpened(PartitionOpened {
        partition: want.partition.clone(),
        layout,
        segments,
        run,
    }))
}

enum Offer {
    Sold { layout: Layout, segments: u16, run: crate::catalogue::RunDefinition },
    NotSold,
    AdHoc,
}

/// What could be opened under a key that is not open. The stops of a run are those of its first open partition; once it has
/// one, nothing is sold ad hoc beside it, also where the timetable has lost it since.
fn offer(slot: &Slot, cx: &Context<'_>, key: &PartitionKey) -> Offer {
    let fixed = || key.run().and_then(|run| slot.partitions().of_run(run).find_map(|(_, p)| p.run()));
    match cx.catalogue.find(key) {
        Listing::NotSold => Offer::NotSold,
        Listing::AdHoc if fixed().is_some() => Offer::NotSold,
        Listing::AdHoc => Offer::AdHoc,
        Listing::Sold(definition) => {
            let run = fixed().map_or(definition.run, |run| (**run).clone());
            if run.ends_at.plus(cx.policy.departed_ms) <= cx.now {
                return Offer::NotSold;
            }
            let segments = (run.stops.len() - 1) as u16;
            Offer::Sold { layout: definition.layout, segments, run }
        }
    }
}

pub(super) fn release(slot: &Slot, cx: &Context<'_>, c: &HoldRef) -> Step<Reply> {
    let (p, h) = match own_hold(slot, cx, c) {
        Ok(found) => found,
        Err(step) => return *step,
    };
    match h.status {
        HoldStatus::Held => Step::Append(Body::HoldReleased(released(cx, p, c, h, ReleaseReason::Requested))),
        HoldStatus::Released => Step::Done(Ok(whole(p, c, h))),
        HoldStatus::Expired => refuse(Rejection::HoldExpired),
        HoldStatus::Confirmed => refuse(Rejection::HoldConfirmed),
    }
}

pub(super) fn confirm(slot: &Slot, cx: &Context<'_>, c: &HoldRef) -> Step<Reply> {
    let (p, h) = match own_hold(slot, cx, c) {
        Ok(found) => found,
        Err(step) => return *step,
    };
    match h.status {
        HoldStatus::Held => Step::Append(Body::HoldConfirmed(HoldRow {
            status: HoldStatus::Confirmed,
            ..next(p, &c.partition, &c.hold, h)
        })),
        HoldStatus::Confirmed => Step::Done(Ok(whole(p, c, h))),
        HoldStatus::Expired => refuse(Rejection::HoldExpired),
        HoldStatus::Released => refuse(Rejection::HoldReleased),
    }
}

/// A client's hold that no order owns.
fn own_hold<'a>(slot: &'a Slot, cx: &Context<'_>, c: &HoldRef) -> Result<Held<'a>, Box<Step<Reply>>> {
    let Some(p) = slot.partitions().get(&c.partition) else {
        return Err(refuse(Rejection::HoldNotFound).into());
    };
    if let Some(body) = expire(&c.partition, p, cx) {
        return Err(Step::Append(body).into());
    }
    match p.hold(&c.hold) {
        None => Err(refuse(Rejection::HoldNotFound).into()),
        Some(h) if h.owner.is_some() => Err(refuse(Rejection::HoldOwned).into()),
        Some(h) => Ok((p, h)),
    }
}

fn whole(p: &Partition, c: &HoldRef, h: &Hold) -> Answer {
    let span = Span::whole(p.inventory().segments());
    Answer::Partition(Box::new(views::partition(&c.partition, p, span, &c.hold, h)))
}

pub(super) fn availability(
    slot: &Slot,
    cx: &Context<'_>,
    key: &PartitionKey,
    span: Option<Span>,
) -> Step<Reply> {
    let available = match slot.partitions().get(key) {
        Some(p) => {
            if let Some(body) = expire(key, p, cx) {
                return Step::Append(body);
            }
            match p.span(span) {
                Some(span) => p.inventory().available(span),
                None => return refuse(Rejection::InvalidSpan),
            }
        }
        None => match offer(slot, cx, key) {
            Offer::Sold { segments, .. } if span.is_some_and(|s| s.to() > segments) => {
                return refuse(Rejection::InvalidSpan);
            }
            Offer::Sold { layout, .. } => layout.seats(),
            Offer::NotSold | Offer::AdHoc => return refuse(Rejection::PartitionNotFound),
        },
    };
    Step::Done(Ok(Answer::Availability { partition: key.clone(), available }))
}

pub(super) fn run(slot: &Slot, cx: &Context<'_>, c: &RunQuery) -> Step<Reply> {
    let run = c.key();
    let mut view = RunView { definition: None, classes: Vec::new() };
    for (key, p) in slot.partitions().of_run(&run) {
        // What is sold ad hoc under such a key is no class of a run.
        let Some(definition) = p.run() else { continue };
        if let Some(body) = expire(key, p, cx) {
            return Step::Append(body);
        }
        view.definition = Some(definition.clone());
        // A span that leaves the run as it was opened offers nothing; the caller sees the stops and asks again.
        if let Some(span) = p.span(c.span) {
            view.classes.push(views::class(key, p, span));
        }
    }
    Step::Done(Ok(Answer::Run(view)))
}

pub(super) fn release_for_order(slot: &Slot, cx: &Context<'_>, c: &OrderHold) -> Step<FactReply> {
    for_order(slot, cx, c, |p, h| {
        let reference = HoldRef { partition: c.partition.clone(), hold: c.hold.clone() };
        Body::HoldReleased(released(cx, p, &reference, h, ReleaseReason::Requested))
    })
}

pub(super) fn confirm_for_order(
    slot: &Slot,
    cx: &Context<'_>,
    c: &OrderHold,
    txn: &TxnId,
) -> Step<FactReply> {
    for_order(slot, cx, c, |p, h| {
        Body::HoldConfirmed(HoldRow {
            status: HoldStatus::Confirmed,
            txn: Some(txn.clone()),
            ..next(p, &c.partition, &c.hold, h)
        })
    })
}

pub(super) fn settle_for_order(slot: &Slot, cx: &Context<'_>, c: &OrderHold) -> Step<FactReply> {
    match find_for_order(slot, cx, c) {
        Ok((p, h)) => Step::Done(Ok(fact(c.order, &c.partition, p, &c.hold, h))),
        Err(step) => *step,
    }
}

/// A live hold takes the step; for any other its outcome is the answer.
fn for_order(
    slot: &Slot,
    cx: &Context<'_>,
    c: &OrderHold,
    step: impl FnOnce(&Partition, &Hold) -> Body,
) -> Step<FactReply> {
    match find_for_order(slot, cx, c) {
        Ok((p, h)) if h.status == HoldStatus::Held => Step::Append(step(p, h)),
        Ok((p, h)) => Step::Done(Ok(fact(c.order, &c.partition, p, &c.hold, h))),
        Err(other) => *other,
    }
}

fn find_for_order<'a>(
    slot: &'a Slot,
    cx: &Context<'_>,
    c: &OrderHold,
) -> Result<Held<'a>, Box<Step<FactReply>>> {
    let Some(p) = slot.partitions().get(&c.partition) else {
        return Err(Step::Done(Ok(gone(c))).into());
    };
    if let Some(body) = expire(&c.partition, p, cx) {
        return Err(Step::Append(body).into());
    }
    match p.hold(&c.hold) {
        Some(h) if h.owner == Some(c.order) && h.deadline == c.deadline => Ok((p, h)),
        _ => Err(Step::Done(Ok(gone(c))).into()),
    }
}

/// A hold that its partition has forgotten has ended long ago, and unsold: sold ones are kept with their partition,
/// and that one outlives every deadline in it.
fn gone(c: &OrderHold) -> Fact {
    Fact::HoldExpired { order: c.order, partition: c.partition.clone(), hold: c.hold.clone() }
}

/// What the order has to learn about its hold as it is now.
fn fact(order: OrderId, key: &PartitionKey, p: &Partition, id: &HoldId, h: &Hold) -> Fact {
    let (partition, hold) = (key.clone(), id.clone());
    match (h.status, &h.txn) {
        (HoldStatus::Held, _) => Fact::HoldMade { order, reservation: Reservation::of(&p.row(key, id, h)) },
        (HoldStatus::Confirmed, Some(txn)) => {
            Fact::HoldConfirmed { order, partition, hold, txn: txn.clone() }
        }
        (HoldStatus::Confirmed, None) => unreachable!("a hold that an order owns is confirmed by a payment"),
        (HoldStatus::Released, _) => Fact::HoldReleased { order, partition, hold },
        (HoldStatus::Expired, _) => Fact::HoldExpired { order, partition, hold },
    }
}

/// The row of the hold's next change.
pub(super) fn next(p: &Partition, key: &PartitionKey, id: &HoldId, h: &Hold) -> HoldRow {
    HoldRow { partition_seq: p.seq() + 1, ..p.row(key, id, h) }
}

pub(super) fn released(
    cx: &Context<'_>,
    p: &Partition,
    c: &HoldRef,
    h: &Hold,
    reason: ReleaseReason,
) -> HoldRow {
    HoldRow {
        status: HoldStatus::Released,
        release_reason: Some(reason),
        keep_until: cx.now.plus(cx.policy.retention_ms),
        ..next(p, &c.partition, &c.hold, h)
    }
}

fn refuse<T>(rejection: Rejection) -> Step<Result<T, Rejection>> {
    Step::Done(Err(rejection))
}

impl<T> Step<Result<T, Rejection>> {
    fn map<U>(self, f: impl FnOnce(T) -> U) -> Step<Result<U, Rejection>> {
        match self {
            Step::Append(body) => Step::Append(body),
            Step::Ask(ask) => Step::Ask(ask),
            Step::Done(Ok(value)) => Step::Done(Ok(f(value))),
            Step::Done(Err(rejection)) => Step::Done(Err(rejection)),
        }
    }
}
