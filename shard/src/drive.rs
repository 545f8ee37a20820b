//! Moving operations on: a client's command from its first decision to its reply, and what other slots ask and tell.

use engine::answer::{Answer, Rejection, Reply};
use engine::command::{Command, ListRefunds, Request, Route};
use engine::decide::{FactStep, Pending, Progress, decide, decide_ask, decide_declined, decide_fact};
use engine::ids::SlotId;
use engine::limits::REFUNDS_PAGE_MAX;
use engine::message::{Ask, Fact, Tell};
use engine::record::TellId;
use engine::slots::core_of;
use engine::text::Text;
use wal::Lsn;
use wal::disk::Disk;

use crate::limits::{ASKS_MAX, RECORDS_PER_RUN_MAX, RESEND_MS};
use crate::message::{Envelope, Message, OpId};
use crate::operations::{Admission, Operation, Waiter};
use crate::shard::{Output, Shard, Token};

impl<D: Disk> Shard<D> {
    pub(crate) fn begin(&mut self, token: Token, route: Route, request: Box<Request>) {
        self.stats.commands += 1;
        match route {
            Route::Slot(slot) => {
                let id = self.operations.next_id();
                self.admit(Operation::new(id, slot, request, Waiter::Client(token)));
            }
            Route::Every => {
                if let Command::ListRefunds(list) = &request.command {
                    let refunds = self.list_refunds(list);
                    let gate = self.log.appended();
                    self.reply(token, Ok(Answer::Refunds(refunds)), gate);
                }
            }
        }
    }

    pub(crate) fn admit(&mut self, op: Operation) {
        match self.operations.admit(op) {
            Admission::Run(op) => self.run(op),
            Admission::Waits => {}
            // It never had its order, so there is nothing to free.
            Admission::Refused(op) => self.tell_waiters(&op, Err(Rejection::Busy)),
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
                Err(Pending::Ask(ask)) => return self.ask(op, ask),
                Err(Pending::Append(body)) => {
                    if let Err(full) = self.room(op.request.command.is_new_sale()) {
                        return self.finish(op, Err(full));
                    }
                    if self.is_backed_up() {
                        self.runnable.push_back(op.id);
                        return self.operations.park(op);
                    }
                    self.append(op.slot, body, &op.request.trace);
                }
            }
        }
        unreachable!("a decision ends: each of its records brings it nearer to done");
    }

    fn ask(&mut self, mut op: Operation, ask: Ask) {
        op.asks += 1;
        if op.asks > ASKS_MAX || !self.operations.has_room() {
            return self.finish(op, Err(Rejection::Busy));
        }
        let to = ask.slot(&self.config.hash);
        // What other slots of this core have said stands behind the ask as well.
        let gate = self.owned(op.slot).last.max(op.gate);
        let message = Message::Ask { op: op.id, number: self.number_ask(to), ask };
        let envelope = self.envelope(op.slot, to, op.request.trace.clone(), message);
        self.operations.park(op);
        self.send(envelope, gate);
    }

    fn finish(&mut self, op: Operation, reply: Reply) {
        self.tell_waiters(&op, reply);
        if let Some(next) = self.operations.release(&op) {
            self.runnable.push_back(next);
        }
    }

    fn tell_waiters(&mut self, op: &Operation, reply: Reply) {
        let gate = self.owned(op.slot).last.max(op.gate);
        for waiter in &op.joined {
            self.tell_waiter(op, *waiter, reply.clone(), gate);
        }
        self.tell_waiter(op, op.waiter, reply, gate);
    }

    fn tell_waiter(&mut self, op: &Operation, waiter: Waiter, reply: Reply, gate: Lsn) {
        match waiter {
            Waiter::Client(token) => self.reply(token, reply, gate),
            Waiter::Tell { from, tell } => self.acknowledge_payment(op, from, tell, gate),
            Waiter::Nobody => self.unsweep(op),
        }
    }

    /// An overdue order has been asked after; if it is still overdue, the next sweep asks again.
    fn unsweep(&mut self, op: &Operation) {
        if let Command::GetOrder { order } = &op.request.command {
            self.swept.remove(order);
        }
    }

    fn reply(&mut self, token: Token, reply: Reply, gate: Lsn) {
        self.stats.commands_refused += u64::from(reply.is_err());
        self.outputs.push(gate, self.log.durable(), Output::Reply { token, reply });
    }

    /// A claimed payment is acknowledged only when it is accounted for; otherwise it will be told again.
    fn acknowledge_payment(&mut self, op: &Operation, from: SlotId, tell: TellId, gate: Lsn) {
        let Command::Pay(pay) = &op.request.command else {
            unreachable!("only payments are operations that a tell begins");
        };
        let slot = &self.owned(op.slot).slot;
        let Some(order) = engine::ids::OrderId::parse(pay.order.as_str()) else {
            unreachable!("a claim is by an order's id");
        };
        let fact = Fact::TxnClaimed { order, txn: pay.txn.clone() };
        if let FactStep::Settled { accepted } = decide_fact(slot, &fact) {
            let message = Message::Ack { tell, accepted };
            let envelope = self.envelope(op.slot, from, op.request.trace.clone(), message);
            self.send(envelope, gate);
        }
    }

    pub(crate) fn handle(&mut self, envelope: Envelope) {
        let Envelope { from, to, time, trace, message } = envelope;
        match message {
            Message::Ask { op, number, ask } => match self.answer(to, &ask, &trace) {
                Some(result) => {
                    let gate = self.owned(to).last;
                    let answer = Message::Answer { op, result, gate };
                    let envelope = self.envelope(to, from, trace, answer);
                    self.send(envelope, gate);
                }
                None => {
                    // The log is backed up: the ask waits its turn again.
                    let message = Message::Ask { op, number, ask };
                    self.put_back(Envelope { from, to, time, trace, message });
                }
            },
            Message::Answer { op, result, gate } => {
                let gate = if core_of(from, self.config.cores) == self.config.core { gate } else { Lsn(0) };
                self.answered(op, result, gate);
            }
            Message::Tell(tell) => self.told(from, to, &tell, trace),
            Message::Ack { tell, accepted } => self.acked(to, tell, accepted, &trace),
        }
    }

    /// What this slot says to another slot's ask. `None`: not now.
    fn answer(&mut self, slot: SlotId, ask: &Ask, trace: &Text) -> Option<Result<Fact, Rejection>> {
        for _ in 0..RECORDS_PER_RUN_MAX {
            let cx = self.context();
            match decide_ask(&self.owned(slot).slot, &cx, ask) {
                Ok(fact) => return Some(Ok(fact)),
                Err(Pending::Refused(rejection)) => return Some(Err(rejection)),
                Err(Pending::Ask(_)) => unreachable!("an ask is answered from one slot"),
                Err(Pending::Append(body)) => {
                    if let Err(full) = self.room(matches!(ask, Ask::Hold(_))) {
                        return Some(Err(full));
                    }
                    if self.is_backed_up() {
                        return None;
                    }
                    self.append(slot, body, trace);
                }
            }
        }
        unreachable!("a decision ends: each of its records brings it nearer to done");
    }

    fn answered(&mut self, id: OpId, result: Result<Fact, Rejection>, gate: Lsn) {
        // Its fact, if any, is also told; an answer that nobody waits for any more is nothing.
        let Some(mut op) = self.operations.unpark(id) else {
            return;
        };
        op.gate = op.gate.max(gate);
        match result {
            Err(rejection) => self.finish(op, Err(rejection)),
            Ok(Fact::TxnClaimed { .. }) => {
                op.progress.claimed = true;
                self.run(op);
            }
            Ok(fact) => match self.absorb(op.slot, &fact, &op.request.trace) {
                Absorbed::NoRoom => self.finish(op, Err(Rejection::LogFull)),
                Absorbed::Settled { .. } | Absorbed::Pay(_) | Absorbed::Early => self.run(op),
            },
        }
    }

    fn told(&mut self, from: SlotId, to: SlotId, tell: &Tell, trace: Text) {
        match self.absorb(to, &tell.fact, &trace) {
            Absorbed::Settled { accepted } => {
                let gate = self.owned(to).last;
                let message = Message::Ack { tell: tell.id, accepted };
                let envelope = self.envelope(to, from, trace, message);
                self.send(envelope, gate);
            }
            Absorbed::Pay(pay) => {
                let waiter = Waiter::Tell { from, tell: tell.id };
                let id = self.operations.next_id();
                let mut op =
                    Operation::new(id, to, Box::new(Request { command: Command::Pay(pay), trace }), waiter);
                op.progress.claimed = true;
                op.gate = self.shown_by(from);
                self.admit(op);
            }
            // Not acknowledged: it will be told again.
            Absorbed::NoRoom | Absorbed::Early => {}
        }
    }

    /// What a message of a slot may show of this core's log. Between cores that has been waited for.
    fn shown_by(&self, from: SlotId) -> Lsn {
        if core_of(from, self.config.cores) == self.config.core { self.owned(from).last } else { Lsn(0) }
    }

    /// Records what follows from a fact for its order.
    fn absorb(&mut self, slot: SlotId, fact: &Fact, trace: &Text) -> Absorbed {
        match decide_fact(&self.owned(slot).slot, fact) {
            FactStep::Settled { accepted } => Absorbed::Settled { accepted },
            FactStep::Pay(pay) => Absorbed::Pay(pay),
            FactStep::Early => Absorbed::Early,
            FactStep::Append(_) if self.room(false).is_err() => Absorbed::NoRoom,
            FactStep::Append(body) => {
                self.append(slot, body, trace);
                Absorbed::Settled { accepted: true }
            }
        }
    }

    fn acked(&mut self, slot: SlotId, tell: TellId, accepted: bool, trace: &Text) {
        let cx = self.context();
        let Some(told) = self.owned(slot).slot.outbox().get(&tell) else {
            return;
        };
        if self.room(false).is_err() {
            return;
        }
        if !accepted && let Some(body) = decide_declined(&self.owned(slot).slot, &cx, &told.fact) {
            self.append(slot, body, trace);
        }
        let acks = self.acks.entry(slot).or_default();
        if !acks.contains(&tell) {
            acks.push(tell);
        }
    }

    pub(crate) fn send_tell(&mut self, from: SlotId, tell: Tell, trace: Text) {
        let to = tell.fact.slot();
        let gate = self.owned(from).last;
        self.sent.push_back((self.now.plus(RESEND_MS), from, tell.id));
        let envelope = self.envelope(from, to, trace, Message::Tell(tell));
        self.send(envelope, gate);
    }

    fn list_refunds(&self, list: &ListRefunds) -> Vec<engine::answer::RefundView> {
        let cx = self.context();
        let limit = list.limit.min(REFUNDS_PAGE_MAX);
        let mut page = Vec::new();
        for owned in self.all_owned().iter().filter(|owned| !owned.slot.refunds().is_empty()) {
            let rest = Command::ListRefunds(ListRefunds { limit: limit - page.len(), ..list.clone() });
            if let Ok(Answer::Refunds(more)) = decide(&owned.slot, &cx, &rest, Progress::default()) {
                page.extend(more);
            }
            if page.len() >= limit {
                break;
            }
        }
        page
    }
}

enum Absorbed {
    Settled { accepted: bool },
    Pay(engine::command::Pay),
    NoRoom,
    Early,
}
