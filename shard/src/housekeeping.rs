//! What the loop does by itself: expiry, resending, acknowledgements, snapshots. Bounded in every turn.

use engine::command::{Command, Request};
use engine::decide::decide_due;
use engine::ids::Time;
use engine::record::Body;
use engine::text::Text;
use wal::SnapshotState;
use wal::disk::Disk;
use wal::limits::SNAPSHOT_BUFFER_BYTES_MAX;

use crate::limits::{
    ACKS_PER_RECORD_MAX, DUE_RECORDS_PER_TURN_MAX, OVERDUE_PER_SWEEP_MAX, RESEND_MS,
    RESENDS_SEEN_PER_TURN_MAX, RESENT_PER_TURN_MAX, SNAPSHOT_BYTES_PER_TURN, SNAPSHOT_SLOTS_PER_TURN,
    SWEEP_MS,
};
use crate::message::Message;
use crate::operations::{Operation, Waiter};
use crate::shard::Shard;

impl<D: Disk> Shard<D> {
    /// Expiry, abandoned orders, what may be forgotten.
    pub(crate) fn do_due(&mut self) {
        for _ in 0..DUE_RECORDS_PER_TURN_MAX {
            let Some(&(at, slot)) = self.agenda.first() else { return };
            if at > self.now || self.is_backed_up() || self.is_flooded() || self.room(false).is_err() {
                return;
            }
            let cx = self.context();
            let body = decide_due(&self.owned(slot).slot, &cx);
            let body = body.expect("what is on the agenda has something to do");
            self.append(slot, body, &Text::from(""));
        }
    }

    /// Orders past their deadline that have not heard from their partition ask after their hold.
    pub(crate) fn sweep_overdue(&mut self) {
        if self.now < self.next_sweep {
            return;
        }
        self.next_sweep = self.now.plus(SWEEP_MS);
        let grace = Time(self.now.0.saturating_sub(SWEEP_MS));
        let slots = self.deadlines.iter().take_while(|(at, _)| *at <= grace);
        let overdue = slots.flat_map(|(_, slot)| self.owned(*slot).slot.orders().overdue(grace));
        let overdue =
            overdue.filter(|order| !self.operations.is_locked(*order) && !self.swept.contains(order));
        let overdue: Vec<_> = overdue.take(OVERDUE_PER_SWEEP_MAX).collect();
        for order in overdue {
            self.swept.insert(order);
            let command = Command::GetOrder { order };
            let id = self.operations.next_id();
            let request = Box::new(Request { command, trace: Text::from("") });
            self.admit(Operation::new(id, order.slot(), request, Waiter::Nobody));
        }
    }

    /// Tells that nobody has answered are told again, unless so much waits already that an answer may be in it.
    pub(crate) fn resend(&mut self) {
        let mut resent = 0;
        for _ in 0..RESENDS_SEEN_PER_TURN_MAX {
            let is_due = self.sent.front().is_some_and(|(at, ..)| *at <= self.now);
            if !is_due || resent >= RESENT_PER_TURN_MAX || self.is_backed_up() || self.is_flooded() {
                return;
            }
            let (_, slot, id) = self.sent.pop_front().expect("looked at above");
            let Some(tell) = self.owned(slot).slot.outbox().get(&id).cloned() else {
                continue;
            };
            if self.acks.get(&slot).is_some_and(|acks| acks.contains(&id)) {
                continue;
            }
            resent += 1;
            self.stats.tells_resent += 1;
            let gate = self.owned(slot).last;
            let to = tell.fact.slot();
            let envelope = self.envelope(slot, to, Text::from(""), Message::Tell(tell));
            self.sent.push_back((self.now.plus(RESEND_MS), slot, id));
            self.send(envelope, gate);
        }
    }

    /// Takes acknowledged tells out of their outboxes, one record for each slot.
    pub(crate) fn note_acks(&mut self) {
        if self.acks.is_empty() || self.is_backed_up() || self.room(false).is_err() {
            return;
        }
        let mut acks: Vec<_> = self.acks.drain().collect();
        acks.sort_unstable_by_key(|(slot, _)| *slot);
        for (slot, tells) in acks {
            for tells in tells.chunks(ACKS_PER_RECORD_MAX) {
                self.append(slot, Body::TellsAcked { tells: tells.to_vec() }, &Text::from(""));
            }
        }
    }

    /// An open snapshot waits for slots, not for the disk.
    pub(crate) fn feeds_snapshot(&self) -> bool {
        let state = self.log.snapshot_state();
        let full = matches!(state, SnapshotState::Open { buffered_bytes } if buffered_bytes >= SNAPSHOT_BUFFER_BYTES_MAX);
        self.snapshot_next.is_some() && !full
    }

    /// Begins a snapshot when one is due, and gives it the next slots.
    pub(crate) fn feed_snapshot(&mut self) {
        if self.snapshot_next.is_none() {
            if !self.log.snapshot_due() || self.log.snapshot_state() != SnapshotState::Idle {
                return;
            }
            self.log.snapshot_begin();
            self.snapshot_next = Some(0);
        }
        let mut bytes = 0;
        let mut image = Vec::new();
        for _ in 0..SNAPSHOT_SLOTS_PER_TURN {
            let Some(index) = self.snapshot_next else { return };
            match self.log.snapshot_state() {
                SnapshotState::Open { buffered_bytes } if buffered_bytes < SNAPSHOT_BUFFER_BYTES_MAX => {}
                SnapshotState::Open { .. } => return,
                // Given up by the log: no room for it. It will be due again.
                SnapshotState::Idle | SnapshotState::Finishing => {
                    self.snapshot_next = None;
                    return;
                }
            }
            let Some(owned) = self.all_owned().get(index) else {
                self.log.snapshot_end();
                self.snapshot_next = None;
                self.stats.snapshots += 1;
                return;
            };
            let slot = owned.slot.id();
            image.clear();
            if !owned.slot.is_blank() {
                owned.slot.encode(&mut image);
            }
            bytes += image.len();
            self.log.snapshot_slot(slot.get(), &image);
            self.snapshot_next = Some(index + 1);
            if bytes >= SNAPSHOT_BYTES_PER_TURN {
                return;
            }
        }
    }
}
