//! A partition and its holds. The seat bitmaps are the truth about what is free; nothing counts beside them.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::ControlFlow;

use super::{holds::Holds, memory_estimate};
use crate::catalogue::RunDefinition;
use crate::ids::{HoldId, OrderId, PartitionKey, Time, TxnId};
use crate::limits::ENDED_HOLDS_PER_PARTITION_MAX;
use crate::message::HoldIdentity;
use crate::record::{HoldRow, PartitionOpened, ReleaseReason};
use crate::status::HoldStatus;
use crate::text::Text;
use allocator::{Inventory, SeatNo, Span};

/// One class of a run (or an ad hoc inventory): its seats and everything held on them.
#[derive(Debug)]
pub struct Partition {
    pub(super) inventory: Inventory,
    pub(super) run: Option<Arc<RunDefinition>>,
    pub(super) seq: u64,
    /// The time of the last change of a hold.
    pub(super) changed_at: Time,
    holds: Holds,
    /// The partition itself as it was when the image of its slot began, until the image has all of it.
    image: Option<PartitionState>,
    /// Confirmed holds; derived.
    sold_holds: usize,
    /// Estimated bytes; derived.
    pub(super) memory_estimate: usize,
}

/// The parts of a partition that change, beside its holds.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct PartitionState {
    pub(super) seq: u64,
    pub(super) changed_at: Time,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Hold {
    /// The partition's sequence at its making; 0 where version 1 made it.
    pub made: u64,
    pub span: Span,
    pub quantity: u32,
    /// None once it has ended.
    pub seats: Box<[SeatNo]>,
    pub status: HoldStatus,
    pub owner: Option<OrderId>,
    pub deadline: Time,
    pub txn: Option<TxnId>,
    pub release_reason: Option<ReleaseReason>,
    pub keep_until: Time,
}

impl Hold {
    #[must_use]
    pub fn identity(&self) -> HoldIdentity {
        HoldIdentity { made: self.made, deadline: self.deadline }
    }
}

impl Partition {
    pub(super) fn open(opened: &PartitionOpened, at: Time) -> Partition {
        let inventory = Inventory::new(opened.layout.clone(), opened.segments);
        let stops = opened.run.as_ref().map_or(0, |run| run.stops.len());
        Partition {
            memory_estimate: memory_estimate::partition(&inventory, stops),
            inventory,
            run: opened.run.clone().map(Arc::new),
            seq: opened.seq,
            changed_at: at,
            holds: Holds::default(),
            image: None,
            sold_holds: 0,
        }
    }

    pub(super) fn state(&self) -> PartitionState {
        PartitionState { seq: self.seq, changed_at: self.changed_at }
    }

    /// What an image has of it beside its holds, as estimated.
    pub(super) fn definition_bytes(&self) -> usize {
        memory_estimate::definition(&self.inventory, self.run.as_ref().map_or(0, |run| run.stops.len()))
    }

    pub(super) fn begin_image(&mut self) {
        self.image = Some(self.state());
        self.holds.begin_image();
    }

    pub(super) fn drop_image(&mut self) {
        self.image = None;
        self.holds.drop_image();
    }

    /// An image is under way that has not all of this partition.
    pub(super) fn is_awaited_by_image(&self) -> bool {
        self.image.is_some()
    }

    /// Gives the next holds of the image, as [`ImagedMap::give_image`](super::imaged_map::ImagedMap::give_image).
    pub(super) fn give_image(
        &mut self,
        give: impl FnMut(&HoldId, &Hold) -> ControlFlow<()>,
    ) -> (PartitionState, bool) {
        let state = self.image.expect("the image has begun, and has not all of it");
        let is_whole = self.holds.give_image(give);
        if is_whole {
            self.image = None;
        }
        (state, is_whole)
    }

    #[must_use]
    pub fn inventory(&self) -> &Inventory {
        &self.inventory
    }

    #[must_use]
    pub fn run(&self) -> Option<&Arc<RunDefinition>> {
        self.run.as_ref()
    }

    pub(super) fn is_opened_as(&self, opened: &PartitionOpened) -> bool {
        let inventory = &self.inventory;
        (inventory.layout(), inventory.segments(), self.seq) == (&opened.layout, opened.segments, opened.seq)
            && self.run.as_deref() == opened.run.as_ref()
    }

    pub(crate) fn ends_at(&self) -> Option<Time> {
        self.run.as_ref().map(|run| run.ends_at)
    }

    #[must_use]
    pub fn seq(&self) -> u64 {
        self.seq
    }

    #[must_use]
    pub fn changed_at(&self) -> Time {
        self.changed_at
    }

    /// Ad hoc, and nobody holds or owns seats of it, nor has still to be told of a hold: it may go, with what it remembers.
    #[must_use]
    pub fn is_vacant(&self) -> bool {
        self.run.is_none() && self.holds.len() == self.holds.ended_len()
    }

    /// Ad hoc, and has no hold to remember either.
    #[must_use]
    pub fn remembers_nothing(&self) -> bool {
        self.run.is_none() && self.holds.len() == 0
    }

    /// Somebody owns seats of it.
    #[must_use]
    pub fn has_sold(&self) -> bool {
        self.sold_holds > 0
    }

    /// Ad hoc, with sold seats: since when nothing of it has changed.
    pub(super) fn kept_since(&self) -> Option<Time> {
        (self.run.is_none() && self.has_sold()).then_some(self.changed_at)
    }

    #[must_use]
    pub fn hold(&self, id: &HoldId) -> Option<&Hold> {
        self.holds.get(id)
    }

    #[must_use]
    pub fn holds_count(&self) -> usize {
        self.holds.len()
    }

    /// Every hold with its id, in the order of ids.
    pub fn holds(&self) -> impl Iterator<Item = (&HoldId, &Hold)> {
        self.holds.iter()
    }

    pub(super) fn last_hold(&self) -> Option<&HoldId> {
        self.holds.last_id()
    }

    /// Live holds whose deadline has passed at `now`, the longest waiting first.
    pub fn due(&self, now: Time) -> impl Iterator<Item = (&HoldId, &Hold)> {
        let due = self.holds.by_deadline().take_while(move |(at, _, _)| *at <= now);
        due.map(|(_, id, hold)| (id, hold))
    }

    /// The ended hold that may be forgotten first, and when. None while somebody has still to be told of it.
    #[must_use]
    pub fn next_end(&self) -> Option<Time> {
        self.holds.next_end()
    }

    /// Ended holds that nobody has still to be told of, the oldest first.
    pub fn ended(&self) -> impl Iterator<Item = &HoldId> {
        self.holds.by_end().map(|(_, id)| id)
    }

    /// Ended holds to evict at `now`, oldest first: past their memory, or beyond [`ENDED_HOLDS_PER_PARTITION_MAX`]; never one with
    /// an unacknowledged tell.
    pub fn forgettable(&self, now: Time) -> impl Iterator<Item = &HoldId> {
        let too_many = self.holds.ended_len().saturating_sub(ENDED_HOLDS_PER_PARTITION_MAX);
        let ended = self.holds.by_end().enumerate();
        ended.take_while(move |(nth, (at, _))| *nth < too_many || *at <= now).map(|(_, (_, id))| id)
    }

    /// The first deadline of a live hold.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        self.holds.next_deadline()
    }

    /// No hold is waiting for its deadline.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.next_deadline().is_none()
    }

    #[must_use]
    pub fn next_due(&self) -> Option<Time> {
        if self.remembers_nothing() || self.holds.ended_len() > ENDED_HOLDS_PER_PARTITION_MAX {
            return Some(Time(0));
        }
        match (self.next_deadline(), self.next_end()) {
            (Some(deadline), Some(end)) => Some(deadline.min(end)),
            (deadline, end) => deadline.or(end),
        }
    }

    #[must_use]
    pub fn span(&self, asked: Option<Span>) -> Option<Span> {
        let segments = self.inventory.segments();
        match asked {
            Some(span) => (span.to() <= segments).then_some(span),
            None => Some(Span::whole(segments)),
        }
    }

    /// A new hold: takes its seats. Also how a snapshot's holds come back, whatever became of them.
    pub(super) fn insert(&mut self, row: &HoldRow) {
        let span = Span::new(row.from, row.to).expect("a logged span is a span");
        let seats: Box<[SeatNo]> = row.seats.iter().map(|&seat| SeatNo(seat)).collect();
        self.sold_holds += usize::from(row.status == HoldStatus::Confirmed);
        match row.status {
            HoldStatus::Held => self.inventory.take(span, &seats),
            HoldStatus::Confirmed => {
                self.inventory.take(span, &seats);
                self.inventory.sell(span, &seats);
            }
            HoldStatus::Released | HoldStatus::Expired => {}
        }
        let hold = Hold {
            made: row.made,
            span,
            quantity: row.quantity,
            seats,
            status: row.status,
            owner: row.owner,
            deadline: row.deadline,
            txn: row.txn.clone(),
            release_reason: row.release_reason,
            keep_until: row.keep_until,
        };
        self.memory_estimate += memory_estimate::hold(&row.hold, &hold);
        self.holds.insert(row.hold.clone(), hold);
    }

    /// A live hold moves on: adopted, confirmed, released or expired.
    pub(super) fn update(&mut self, row: &HoldRow) {
        let Partition { holds, inventory, memory_estimate, sold_holds, .. } = self;
        *sold_holds += usize::from(row.status == HoldStatus::Confirmed);
        holds.change(&row.hold, |hold| {
            assert_eq!(hold.status, HoldStatus::Held, "only a live hold changes");
            *memory_estimate -= memory_estimate::hold(&row.hold, hold);
            match row.status {
                HoldStatus::Held => {}
                HoldStatus::Confirmed => inventory.sell(hold.span, &hold.seats),
                HoldStatus::Released | HoldStatus::Expired => {
                    inventory.release(hold.span, &hold.seats);
                    hold.seats = Box::default();
                }
            }
            hold.status = row.status;
            hold.owner = row.owner;
            hold.txn.clone_from(&row.txn);
            hold.release_reason = row.release_reason;
            hold.keep_until = row.keep_until;
            *memory_estimate += memory_estimate::hold(&row.hold, hold);
        });
    }

    /// A fact about the hold joined the outbox. The hold is not forgotten before all of them are acknowledged, so that no order
    /// hears of one hold what became of an earlier one of the same id.
    pub(super) fn tell_recorded(&mut self, id: &HoldId) {
        self.holds.tell_recorded(id);
    }

    /// A fact about the hold was acknowledged and left the outbox.
    pub(super) fn tell_acknowledged(&mut self, id: &HoldId) {
        self.holds.tell_acknowledged(id);
    }

    pub(super) fn forget(&mut self, id: &HoldId) {
        let hold = self.holds.remove(id);
        assert_ne!(hold.status, HoldStatus::Held, "a live hold is never forgotten");
        self.memory_estimate -= memory_estimate::hold(id, &hold);
    }
}

impl Partition {
    /// The row of the hold's next change.
    pub(crate) fn next_row(&self, key: &PartitionKey, id: &HoldId, hold: &Hold) -> HoldRow {
        HoldRow { partition_seq: self.seq + 1, ..self.row(key, id, hold) }
    }

    /// The hold as a record shows it.
    pub(crate) fn row(&self, key: &PartitionKey, id: &HoldId, hold: &Hold) -> HoldRow {
        HoldRow {
            partition: key.clone(),
            hold: id.clone(),
            made: hold.made,
            partition_seq: self.seq,
            status: hold.status,
            owner: hold.owner,
            quantity: hold.quantity,
            from: hold.span.from(),
            to: hold.span.to(),
            segments: self.inventory.segments(),
            capacity: self.inventory.seats(),
            seats: hold.seats.iter().map(|seat| seat.0).collect(),
            labels: self.labels(&hold.seats),
            deadline: hold.deadline,
            txn: hold.txn.clone(),
            release_reason: hold.release_reason,
            keep_until: hold.keep_until,
        }
    }

    pub(crate) fn labels(&self, seats: &[SeatNo]) -> Vec<Text> {
        let layout = self.inventory.layout();
        let label = |&seat| Text::written(|out| layout.write_label(seat, out));
        seats.iter().map(label).collect()
    }
}
