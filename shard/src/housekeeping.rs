//! Housekeeping: due work, overdue orders, resending, acknowledgements. Bounded in every turn.

use engine::command::{Command, Request};
use engine::decide::decide_due;
use engine::record::Body;
use engine::text::Text;
use wal::disk::Disk;

use crate::limits::{
    ACKS_PER_RECORD_MAX, DUE_RECORDS_PER_TURN_MAX, OVERDUE_PER_SWEEP_MAX, RESENDS_SEEN_PER_TURN_MAX,
    RESENT_PER_TURN_MAX,
};
use crate::operations::{Operation, Waiter};
use crate::shard::Shard;

impl<D: Disk> Shard<D> {
    /// Expires holds, issues tickets, gives up abandoned orders, forgets what may be forgotten.
    pub(crate) fn do_due(&mut self) {
        for _ in 0..DUE_RECORDS_PER_TURN_MAX {
            let due = self.due.first().filter(|(at, _)| *at <= self.now);
            let due = due.or_else(|| self.departures.first().filter(|(at, _)| *at <= self.calendar));
            let Some((_, slot)) = due else { return };
            if self.is_backed_up() || self.is_flooded() || self.check_capacity(false).is_err() {
                return;
            }
            let body = decide_due(&self.owned(slot).slot, &self.context());
            let body = body.expect("a slot whose timer has fired has something due");
            self.append(slot, body, &Text::from(""));
        }
    }

    /// Orders past their deadline that have not heard from their partition ask after their hold.
    pub(crate) fn sweep_overdue(&mut self) {
        let Some(grace) = self.sweep.begin(self.now) else { return };
        let overdue: Vec<_> = self
            .deadlines
            .due(grace)
            .flat_map(|slot| self.owned(slot).slot.orders().overdue(grace))
            .filter(|order| !self.operations.is_locked(*order) && !self.sweep.is_in_flight(*order))
            .take(OVERDUE_PER_SWEEP_MAX)
            .collect();
        for order in overdue {
            self.sweep.started(order);
            let id = self.operations.next_id();
            let request = Box::new(Request { command: Command::GetOrder { order }, trace: Text::from("") });
            self.admit(Operation::new(id, order.slot(), request, Waiter::Sweep(order)));
        }
    }

    /// Tells that nobody has acknowledged are sent again, unless so much waits already that an acknowledgement may be in it.
    pub(crate) fn resend(&mut self) {
        let mut resent = 0;
        for _ in 0..RESENDS_SEEN_PER_TURN_MAX {
            if resent >= RESENT_PER_TURN_MAX || self.is_backed_up() || self.is_flooded() {
                return;
            }
            let Some((slot, id)) = self.retransmission.pop_overdue(self.now) else { return };
            let Some(tell) = self.owned(slot).slot.outbox().get(&id).cloned() else { continue };
            if !self.retransmission.is_acknowledged(slot, id) {
                resent += 1;
                self.stats.tells_resent += 1;
                self.send_tell(slot, tell, Text::from(""));
            }
        }
    }

    /// Takes acknowledged tells out of their outboxes, one record for each slot.
    pub(crate) fn record_acks(&mut self) {
        if !self.retransmission.has_acks() || self.is_backed_up() || self.check_capacity(false).is_err() {
            return;
        }
        for (slot, mut tells) in self.retransmission.drain_acks() {
            // A claim that was forgotten took its tell with it.
            tells.retain(|tell| self.owned(slot).slot.outbox().contains_key(tell));
            for tells in tells.chunks(ACKS_PER_RECORD_MAX) {
                self.append(slot, Body::TellsAcked { tells: tells.to_vec() }, &Text::from(""));
            }
        }
    }
}
