//! The protocol between slots: a command from its first decision to its reply, and what other slots ask and tell.
//!
//! `start_*`, `resume` and `run` move an operation on, `handle_*` take what another slot has sent, `reply_*` end an operation.

use engine::answer::{Answer, RefundView, Rejection, Reply};
use engine::command::{Command, ListRefunds, Pay, Request, Route};
use engine::decide::{FactStep, Pending, Progress, decide, decide_ask, decide_declined, decide_fact};
use engine::ids::{OrderId, SlotId, TxnId};
use engine::limits::REFUNDS_PAGE_MAX;
use engine::message::{Ask, Fact, Tell};
use engine::record::TellId;
use engine::text::Text;
use wal::Lsn;
use wal::disk::Disk;

use crate::batches::BatchId;
use crate::limits::{ASKS_MAX, RECORDS_PER_RUN_MAX};
use crate::message::{Called, Caller, Envelope, Message, OpId, Routed};
use crate::operations::{Admission, Operation, Waiter};
use crate::shard::Shard;

/// The outcome of a fact in the slot of its order.
enum Recorded {
    /// It is accounted for. `accepted` is false where the order does not want the hold.
    Done { accepted: bool },
    /// Money that its order must account for first.
    Pay(Pay),
    /// The log has no room for it.
    NoRoom,
    /// It came before what it follows from.
    Early,
}

impl<D: Disk> Shard<D> {
    pub(crate) fn start(&mut self, caller: Caller, routed: Routed) {
        self.stats.commands += 1;
        let Routed { route, request } = routed;
        match route {
            Route::Slot(slot) => {
                let id = self.operations.next_id();
                self.admit(Operation::new(id, slot, request, Waiter::Caller(caller)));
            }
            Route::Every => {
                if let Command::ListRefunds(list) = &request.command {
                    let refunds = self.list_refunds(list);
                    let visible_at = self.log.appended();
                    self.reply(caller, Ok(Answer::Refunds(refunds)), visible_at);
                }
            }
        }
    }

    /// As [`Shard::start`], for a command of a batch: none of those goes to every core.
    pub(crate) fn start_batched(&mut self, batch: BatchId, Called { caller, routed }: Called) {
        self.stats.commands += 1;
        self.stats.batched_commands += 1;
        match routed.route {
            Route::Slot(slot) => {
                let id = self.operations.next_id();
                self.admit(Operation::new(id, slot, routed.request, Waiter::Batched(batch, caller)));
            }
            Route::Every => self.reply_batched(batch, caller, Err(Rejection::Busy), Lsn(0)),
        }
    }

    pub(crate) fn admit(&mut self, op: Operation) {
        match self.operations.admit(op) {
            Admission::Run(op) => self.run(op),
            Admission::Waits => {}
            // It never had its order, so there is nothing to free.
            Admission::Refused(op) => self.reply_to_waiters(&op, Err(Rejection::Busy)),
        }
    }

    pub(crate) fn resume(&mut self, id: OpId) {
        if let Some(op) = self.operations.unpark(id) {
            self.run(op);
        }
    }

    /// Decides, logs and applies until the operation is done, or has to wait.
    fn run(&mut self, op: Operation) {
        for _ in 0..RECORDS_PER_RUN_MAX {
            let cx = self.context();
            match decide(&self.owned(op.slot).slot, &cx, &op.request.command, op.progress) {
                Ok(answer) => return self.finish(op, Ok(answer)),
                Err(Pending::Refused(rejection)) => return self.finish(op, Err(rejection)),
                Err(Pending::Ask(ask)) => return self.start_ask(op, ask),
                Err(Pending::Append(body)) => {
                    let is_new_sale = op.request.command.is_new_sale();
                    if let Err(full) = self.check_capacity(is_new_sale) {
                        return self.finish(op, Err(full));
                    }
                    if self.is_backed_up() {
                        self.work.push_runnable(op.id);
                        return self.operations.park(op);
                    }
                    if body.is_new_sale() && self.is_state_full() {
                        if self.make_room() {
                            continue;
                        }
                        return self.finish(op, Err(Rejection::LimitReached));
                    }
                    self.append(op.slot, body, &op.request.trace);
                }
            }
        }
        unreachable!("a decision ends: each of its records brings it nearer to done");
    }

    fn start_ask(&mut self, mut op: Operation, ask: Ask) {
        op.asks += 1;
        if op.asks > ASKS_MAX || !self.operations.has_room() {
            return self.finish(op, Err(Rejection::Busy));
        }
        let to = ask.slot(self.hash());
        // The ask may expose what other slots of this core told us, so it waits for those records too.
        let visible_at = self.owned(op.slot).last_lsn.max(op.visible_at);
        let message = Message::Ask { op: op.id, number: self.ask_numbers.next(to), ask };
        let envelope = self.envelope(op.slot, to, op.request.trace.clone(), message);
        self.operations.park(op);
        self.send(envelope, visible_at);
    }

    fn finish(&mut self, op: Operation, reply: Reply) {
        self.reply_to_waiters(&op, reply);
        if let Some(next) = self.operations.release(&op) {
            self.work.push_runnable(next);
        }
    }

    fn reply_to_waiters(&mut self, op: &Operation, reply: Reply) {
        let visible_at = self.owned(op.slot).last_lsn.max(op.visible_at);
        for waiter in &op.joined {
            self.reply_to_waiter(op, waiter, reply.clone(), visible_at);
        }
        self.reply_to_waiter(op, &op.waiter, reply, visible_at);
    }

    fn reply_to_waiter(&mut self, op: &Operation, waiter: &Waiter, reply: Reply, visible_at: Lsn) {
        match waiter {
            Waiter::Caller(caller) => self.reply(*caller, reply, visible_at),
            Waiter::Batched(batch, caller) => self.reply_batched(*batch, *caller, reply, visible_at),
            Waiter::Claim { from, tell, order, txn } => {
                self.acknowledge_claim(op, *from, *tell, *order, txn, visible_at);
            }
            Waiter::Sweep(order) => self.sweep.finished(*order),
        }
    }

    /// A claim is acknowledged only when its payment is accounted for; otherwise it will be told again.
    fn acknowledge_claim(
        &mut self,
        op: &Operation,
        from: SlotId,
        tell: TellId,
        order: OrderId,
        txn: &TxnId,
        visible_at: Lsn,
    ) {
        let fact = Fact::TxnClaimed { order, txn: txn.clone(), goes_back: None };
        if let FactStep::Settled { accepted } = decide_fact(&self.owned(op.slot).slot, &fact) {
            let message = Message::Ack { tell, accepted };
            let envelope = self.envelope(op.slot, from, op.request.trace.clone(), message);
            self.send(envelope, visible_at);
        }
    }

    pub(crate) fn handle(&mut self, envelope: Envelope) {
        let Envelope { from, to, time, trace, message } = envelope;
        match message {
            Message::Ask { op, number, ask } => match self.handle_ask(to, &ask, &trace) {
                Some(result) => {
                    let visible_at = self.owned(to).last_lsn;
                    let answer = Message::Answer { op, result, visible_at };
                    let envelope = self.envelope(to, from, trace, answer);
                    self.send(envelope, visible_at);
                }
                None => {
                    // The log is backed up: the ask waits its turn again.
                    let message = Message::Ask { op, number, ask };
                    self.work.push_message(Envelope { from, to, time, trace, message });
                }
            },
            Message::Answer { op, result, visible_at } => {
                // Another core sent it only once it was durable there.
                let visible_at = if self.is_own(from) { visible_at } else { Lsn(0) };
                self.handle_answer(op, result, visible_at);
            }
            Message::Tell(tell) => self.handle_tell(from, to, tell, trace),
            Message::Ack { tell, accepted } => self.handle_ack(to, tell, accepted, &trace),
        }
    }

    /// The answer of a slot to another slot's ask. `None`: not now.
    fn handle_ask(&mut self, slot: SlotId, ask: &Ask, trace: &Text) -> Option<Result<Fact, Rejection>> {
        for _ in 0..RECORDS_PER_RUN_MAX {
            match decide_ask(&self.owned(slot).slot, &self.context(), ask) {
                Ok(fact) => return Some(Ok(fact)),
                Err(Pending::Refused(rejection)) => return Some(Err(rejection)),
                Err(Pending::Ask(_)) => unreachable!("an ask is answered from one slot"),
                Err(Pending::Append(body)) => {
                    let is_new_sale = matches!(ask, Ask::Hold(_));
                    if let Err(full) = self.check_capacity(is_new_sale) {
                        return Some(Err(full));
                    }
                    if self.is_backed_up() {
                        return None;
                    }
                    if body.is_new_sale() && self.is_state_full() {
                        if self.make_room() {
                            continue;
                        }
                        return Some(Err(Rejection::LimitReached));
                    }
                    self.append(slot, body, trace);
                }
            }
        }
        unreachable!("a decision ends: each of its records brings it nearer to done");
    }

    fn handle_answer(&mut self, id: OpId, result: Result<Fact, Rejection>, visible_at: Lsn) {
        // Its fact, if any, is also told; an answer that nobody waits for any more is nothing.
        let Some(mut op) = self.operations.unpark(id) else {
            return;
        };
        op.visible_at = op.visible_at.max(visible_at);
        match result {
            Err(rejection) => self.finish(op, Err(rejection)),
            Ok(Fact::TxnClaimed { .. }) => {
                op.progress = Progress { claimed: true, still_claimed: true, ..op.progress };
                self.run(op);
            }
            Ok(fact) => match self.record_fact(op.slot, &fact, &op.request.trace) {
                Recorded::NoRoom => self.finish(op, Err(Rejection::LogFull)),
                Recorded::Done { .. } | Recorded::Pay(_) | Recorded::Early => self.run(op),
            },
        }
    }

    fn handle_tell(&mut self, from: SlotId, to: SlotId, tell: Tell, trace: Text) {
        match self.record_fact(to, &tell.fact, &trace) {
            Recorded::Done { accepted } => {
                let visible_at = self.owned(to).last_lsn;
                let message = Message::Ack { tell: tell.id, accepted };
                let envelope = self.envelope(to, from, trace, message);
                self.send(envelope, visible_at);
            }
            Recorded::Pay(pay) => self.start_claimed_payment(from, to, tell, pay, trace),
            // Not acknowledged: it will be told again.
            Recorded::NoRoom | Recorded::Early => {}
        }
    }

    /// A payment that no request follows up any more: the claim of its transaction id begins it.
    fn start_claimed_payment(&mut self, from: SlotId, to: SlotId, tell: Tell, pay: Pay, trace: Text) {
        let order = tell.fact.order();
        let waiter = Waiter::Claim { from, tell: tell.id, order, txn: pay.txn.clone() };
        let id = self.operations.next_id();
        let request = Box::new(Request { command: Command::Pay(pay), trace });
        let mut op = Operation::new(id, to, request, waiter);
        op.progress.claimed = true;
        op.progress.goes_back = tell.fact.goes_back();
        // Another core sent it only once it was durable there.
        op.visible_at = if self.is_own(from) { self.owned(from).last_lsn } else { Lsn(0) };
        self.admit(op);
    }

    /// Records what follows from a fact for its order.
    fn record_fact(&mut self, slot: SlotId, fact: &Fact, trace: &Text) -> Recorded {
        match decide_fact(&self.owned(slot).slot, fact) {
            FactStep::Settled { accepted } => Recorded::Done { accepted },
            FactStep::Pay(pay) => Recorded::Pay(pay),
            FactStep::Early => Recorded::Early,
            FactStep::Append(_) if self.check_capacity(false).is_err() => Recorded::NoRoom,
            FactStep::Append(body) => {
                self.append(slot, body, trace);
                Recorded::Done { accepted: true }
            }
        }
    }

    fn handle_ack(&mut self, slot: SlotId, tell: TellId, accepted: bool, trace: &Text) {
        let Some(told) = self.owned(slot).slot.outbox().get(&tell) else {
            return;
        };
        if self.check_capacity(false).is_err() {
            return;
        }
        if !accepted && let Some(body) = decide_declined(&self.owned(slot).slot, &self.context(), &told.fact)
        {
            self.append(slot, body, trace);
        }
        self.retransmission.acknowledged(slot, tell);
    }

    pub(crate) fn send_tell(&mut self, from: SlotId, tell: Tell, trace: Text) {
        let to = tell.fact.slot(self.hash());
        let visible_at = self.owned(from).last_lsn;
        self.retransmission.sent(self.now, from, tell.id);
        let envelope = self.envelope(from, to, trace, Message::Tell(tell));
        self.send(envelope, visible_at);
    }

    fn list_refunds(&self, list: &ListRefunds) -> Vec<RefundView> {
        let cx = self.context();
        let limit = list.limit.min(REFUNDS_PAGE_MAX);
        let mut page = Vec::new();
        for slot in self.slots().filter(|slot| !slot.refunds().is_empty()) {
            let rest = Command::ListRefunds(ListRefunds { limit: limit - page.len(), ..list.clone() });
            if let Ok(Answer::Refunds(more)) = decide(slot, &cx, &rest, Progress::default()) {
                page.extend(more);
            }
            if page.len() >= limit {
                break;
            }
        }
        page
    }
}
