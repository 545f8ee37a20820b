//! A world of slots in one place: operations, outboxes and mail as a core drives them, but the test chooses what is
//! delivered when, what comes twice and what a crash forgets.

mod essence;

use std::cell::OnceCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use engine::answer::{Answer, RefundView, Rejection, Reply};
use engine::command::{Command, Found, ListRefunds, LookedUp, Pay, Route};
use engine::decide::{
    Context, FactStep, Pending, Policy, Progress, decide, decide_ask, decide_declined, decide_due,
    decide_fact, decide_leave,
};
use engine::effect::Effect;
use engine::ids::{OrderId, OrderName, SlotId, Time, TxnId};
use engine::message::{Ask, Fact, Tell};
use engine::record::{Body, Record, TellId};
use engine::slots::SlotHash;
use engine::state::Slot;
use engine::text::Text;
use testkit::views;

use crate::support::catalogue::Table;
use crate::support::names::SECRET;

/// When the worlds begin.
pub(crate) const START: Time = Time(1_800_000_000_000);

/// A client's claim on a reply.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Ticket(pub(crate) u64);

#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Mail {
    Ask { op: u64, ask: Ask },
    Answer { op: u64, result: Result<Fact, Rejection> },
    Tell { from: SlotId, tell: Tell },
    Ack { to: SlotId, tell: TellId, accepted: bool },
}

#[derive(Clone, PartialEq, Debug)]
enum Waiter {
    Client(Ticket),
    Tell { from: SlotId, tell: TellId },
}

/// An operation under way or queued; a crash forgets it.
#[derive(Clone, Debug)]
struct Op {
    slot: SlotId,
    command: Command,
    progress: Progress,
    waiters: Vec<Waiter>,
}

/// A slot that worlds share until one of them changes it, and what it comes to.
struct Kept {
    slot: Slot,
    essence: OnceCell<String>,
}

#[derive(Clone)]
pub(crate) struct World {
    pub(crate) now: Time,
    pub(crate) policy: Policy,
    pub(crate) catalogue: Rc<Table>,
    /// The trace of what is recorded next.
    pub(crate) trace: Text,
    pub(crate) log: Vec<Rc<Record>>,
    pub(crate) mail: Vec<Mail>,
    pub(crate) replies: BTreeMap<Ticket, Reply>,
    hash: SlotHash,
    slots: BTreeMap<SlotId, Rc<Kept>>,
    ops: BTreeMap<u64, Op>,
    /// Operations of each order; the front is under way.
    queues: BTreeMap<OrderId, VecDeque<u64>>,
    next_op: u64,
}

impl World {
    pub(crate) fn new(catalogue: Table) -> World {
        World {
            now: START,
            policy: Policy::default(),
            catalogue: Rc::new(catalogue),
            trace: Text::from(""),
            log: Vec::new(),
            mail: Vec::new(),
            replies: BTreeMap::new(),
            hash: SlotHash::new(SECRET),
            slots: BTreeMap::new(),
            ops: BTreeMap::new(),
            queues: BTreeMap::new(),
            next_op: 1_000,
        }
    }

    /// A world that goes on with these slots, at the time of the last of them. What stands in outboxes is told again.
    pub(crate) fn of(catalogue: Table, slots: impl IntoIterator<Item = Slot>) -> World {
        let mut world = World::new(catalogue);
        for slot in slots {
            world.now = world.now.max(slot.time());
            world.slots.insert(slot.id(), Kept::new(slot));
        }
        world.resend();
        world
    }

    pub(crate) fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.slots.values().map(|kept| &kept.slot)
    }

    pub(crate) fn slot(&self, id: SlotId) -> Option<&Slot> {
        self.slots.get(&id).map(|kept| &kept.slot)
    }

    pub(crate) fn hash(&self) -> &SlotHash {
        &self.hash
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.mail.is_empty() && self.ops.is_empty() && self.queues.is_empty()
    }

    // What a client does.

    /// The command, until nothing is under way any more.
    #[track_caller]
    pub(crate) fn run(&mut self, command: Command) -> Reply {
        let ticket = self.submit(command.clone());
        self.quiet();
        let reply = self.replies.get(&ticket).cloned().expect("every command is replied to");
        match (command, &reply) {
            (Command::Pay(pay), Err(Rejection::OrderNotHere(at))) => {
                let found = self.look_up(&pay.order, &pay.txn);
                let looked_up = Some(Box::new(LookedUp { at: *at, found }));
                self.run(Command::Pay(Pay { looked_up, ..pay }))
            }
            _ => reply,
        }
    }

    /// A payment as a read model knows it that has everything.
    pub(crate) fn look_up(&self, name: &OrderName, txn: &TxnId) -> Found {
        let mut found = Found::Nothing { refund: None, history_lost: false };
        let mut refunded = None;
        for record in &self.log {
            match &record.body {
                Body::OrderCreated(row)
                | Body::OrderReserved(row)
                | Body::OrderPaid(row)
                | Body::OrderTicketed(row)
                | Body::OrderCancelled(row)
                    if row.order.name() == *name =>
                {
                    found = Found::Order { order: views::order(row, record.time), refund: None };
                }
                Body::PurchaseMade(row) | Body::PurchasePaid(row) | Body::PurchaseCancelled(row)
                    if row.order.order.name() == *name =>
                {
                    found = Found::Order { order: views::order(&row.order, record.time), refund: None };
                }
                Body::HoldsExpired(rows) => {
                    let orders = rows.iter().filter_map(|row| row.purchase.as_deref());
                    for row in orders.filter(|row| row.order.name() == *name) {
                        found = Found::Order { order: views::order(row, record.time), refund: None };
                    }
                }
                Body::OrdersAbandoned(rows) => {
                    for row in rows.iter().filter(|row| row.order.name() == *name) {
                        found = Found::Order { order: views::order(row, record.time), refund: None };
                    }
                }
                Body::RefundOwed(row) if (&row.order, &row.txn) == (name, txn) => refunded = Some(row.reason),
                _ => {}
            }
        }
        let (Found::Order { refund, .. } | Found::Nothing { refund, .. }) = &mut found;
        *refund = refunded;
        found
    }

    /// Lets go what may leave, with a read model that has all that was recorded, until nothing does.
    pub(crate) fn leave(&mut self) {
        let durable = self.now.plus(1);
        for _ in 0..1_000 {
            let recorded = self.log.len();
            let ids: Vec<SlotId> = self.slots.keys().copied().collect();
            for id in ids {
                while self.leave_one(id, durable) {}
                let asking: Vec<OrderId> =
                    self.slots[&id].slot.orders().asking(&self.policy, self.now).collect();
                for order in asking {
                    self.submit(Command::AskKept { order });
                }
            }
            self.quiet();
            if self.log.len() == recorded {
                return;
            }
        }
        panic!("leaving never ends");
    }

    /// The slot's next record that lets something leave, if any.
    pub(crate) fn leave_one(&mut self, id: SlotId, durable: Time) -> bool {
        let is_idle = |order| !self.queues.contains_key(&order);
        let body = decide_leave(&self.slots[&id].slot, &self.context(), durable, is_idle);
        let Some(body) = body else { return false };
        self.append(id, body);
        true
    }

    pub(crate) fn submit(&mut self, command: Command) -> Ticket {
        self.next_op += 1;
        let ticket = Ticket(self.next_op);
        self.submit_as(ticket, command);
        ticket
    }

    /// With a ticket of the caller's choice, so that states reached in different orders can be compared.
    pub(crate) fn submit_as(&mut self, ticket: Ticket, command: Command) {
        match command.route(&self.hash) {
            Route::Slot(slot) => {
                let waiters = vec![Waiter::Client(ticket)];
                self.admit(ticket.0, Op { slot, command, progress: Progress::default(), waiters });
            }
            Route::Every => {
                let Command::ListRefunds(list) = command else { unreachable!("only listings go everywhere") };
                let refunds = self.list_refunds(&list);
                self.replies.insert(ticket, Ok(Answer::Refunds(refunds)));
            }
        }
    }

    fn list_refunds(&self, list: &ListRefunds) -> Vec<RefundView> {
        let mut page = Vec::new();
        for slot in self.slots() {
            let rest = Command::ListRefunds(ListRefunds { limit: list.limit - page.len(), ..list.clone() });
            match decide(slot, &self.context(), &rest, Progress::default()) {
                Ok(Answer::Refunds(more)) => page.extend(more),
                other => panic!("a listing is answered at once, not by {other:?}"),
            }
        }
        page
    }

    // What time does.

    /// Lets time pass; nothing is done about it yet.
    pub(crate) fn wait(&mut self, ms: u64) {
        self.now = self.now.plus(ms);
    }

    /// Lets time pass and does what is due, until nothing is.
    pub(crate) fn later(&mut self, ms: u64) {
        self.wait(ms);
        loop {
            self.do_due();
            self.quiet();
            self.sweep();
            self.quiet();
            if self.due_slots().is_empty() {
                return;
            }
        }
    }

    pub(crate) fn do_due(&mut self) {
        let ids: Vec<SlotId> = self.slots.keys().copied().collect();
        for id in ids {
            while self.do_one_due(id) {}
        }
    }

    /// The slot's next record that is due, if any.
    pub(crate) fn do_one_due(&mut self, id: SlotId) -> bool {
        match decide_due(&self.slots[&id].slot, &self.context()) {
            Some(body) => {
                self.append(id, body);
                true
            }
            None => false,
        }
    }

    pub(crate) fn due_slots(&self) -> Vec<SlotId> {
        let is_due = |slot: &&Slot| decide_due(slot, &self.context()).is_some();
        self.slots().filter(is_due).map(Slot::id).collect()
    }

    /// Orders past their deadline that nothing is under way for.
    pub(crate) fn overdue(&self) -> Vec<OrderId> {
        let overdue = self.slots().flat_map(|slot| slot.orders().overdue(self.now));
        let asked = |id: &OrderId| {
            let get = Command::GetOrder { order: *id };
            self.queues.contains_key(id) || self.ops.values().any(|op| op.command == get)
        };
        overdue.filter(|id| !asked(id)).collect()
    }

    /// Asks after an overdue order's hold.
    pub(crate) fn sweep_one(&mut self, order: OrderId) {
        let op = Op {
            slot: order.slot(),
            command: Command::GetOrder { order },
            progress: Progress::default(),
            waiters: vec![],
        };
        self.next_op += 1;
        self.admit(self.next_op, op);
    }

    pub(crate) fn sweep(&mut self) {
        for order in self.overdue() {
            self.sweep_one(order);
        }
    }

    // What the mail does.

    /// Delivers everything, oldest first.
    pub(crate) fn quiet(&mut self) {
        for _ in 0..100_000 {
            if self.mail.is_empty() {
                return;
            }
            self.deliver(0);
        }
        panic!("the mail never ends: {:?}", self.mail);
    }

    pub(crate) fn deliver(&mut self, index: usize) {
        match self.mail.remove(index) {
            Mail::Ask { op, ask } => self.answer(op, &ask),
            Mail::Answer { op, result } => self.answered(op, result),
            Mail::Tell { from, tell } => self.told(from, &tell),
            Mail::Ack { to, tell, accepted } => self.acked(to, tell, accepted),
        }
    }

    /// The memory of operations and all mail is gone; what stands in outboxes is told again.
    pub(crate) fn crash(&mut self) {
        self.ops.clear();
        self.queues.clear();
        self.mail.clear();
        self.resend();
    }

    pub(crate) fn resend(&mut self) {
        for slot in self.slots.values().map(|kept| &kept.slot) {
            let tells = slot.outbox().values().cloned();
            self.mail.extend(tells.map(|tell| Mail::Tell { from: slot.id(), tell }));
        }
    }

    /// Every slot goes through its snapshot.
    pub(crate) fn reload(&mut self) {
        for kept in self.slots.values_mut() {
            *kept = Kept::new(copy(&kept.slot));
        }
    }

    // How a core drives the engine.

    fn context(&self) -> Context<'_> {
        Context { now: self.now, calendar: self.now, catalogue: &*self.catalogue, policy: &self.policy }
    }

    pub(crate) fn append(&mut self, id: SlotId, body: Body) {
        let kept = self.slots.entry(id).or_insert_with(|| Kept::new(Slot::new(id)));
        if Rc::get_mut(kept).is_none() {
            *kept = Kept::new(copy(&kept.slot));
        }
        let Kept { slot, essence } = Rc::get_mut(kept).expect("nobody else has it");
        essence.take();
        let time = self.now.max(slot.time());
        let record = Rc::new(Record { slot: id, seq: slot.seq() + 1, time, trace: self.trace.clone(), body });
        assert_eq!(slot.check(&record), Ok(()), "a live record is one that can be read back: {record:?}");
        let mut effects = Vec::new();
        slot.apply(&record, &mut effects);
        for effect in effects {
            if let Effect::Tell(tell) = effect {
                self.mail.push(Mail::Tell { from: id, tell });
            }
        }
        self.log.push(record);
    }

    fn open_slot(&mut self, id: SlotId) -> Rc<Kept> {
        self.slots.entry(id).or_insert_with(|| Kept::new(Slot::new(id))).clone()
    }

    fn admit(&mut self, id: u64, op: Op) {
        let Some(queue) = lock(&op.command).and_then(|order| self.queues.get_mut(&order)) else {
            if let Some(order) = lock(&op.command) {
                self.queues.insert(order, VecDeque::from([id]));
            }
            self.ops.insert(id, op);
            return self.go_on(id);
        };
        for there in queue.iter() {
            let there = self.ops.get_mut(there).expect("a queued operation is kept");
            if ends(there, &op) {
                there.progress.claimed |= op.progress.claimed;
                there.waiters.extend(op.waiters);
                return;
            }
        }
        queue.push_back(id);
        self.ops.insert(id, op);
    }

    fn go_on(&mut self, id: u64) {
        for _ in 0..1_000 {
            let op = &self.ops[&id];
            let (slot, command, progress) = (op.slot, op.command.clone(), op.progress);
            let state = self.open_slot(slot);
            let step = decide(&state.slot, &self.context(), &command, progress);
            drop(state);
            match step {
                Ok(answer) => return self.finish(id, &Ok(answer)),
                Err(Pending::Refused(rejection)) => return self.finish(id, &Err(rejection)),
                Err(Pending::Append(body)) => self.append(slot, body),
                Err(Pending::Ask(ask)) => return self.mail.push(Mail::Ask { op: id, ask }),
            }
        }
        panic!("a decision never ends");
    }

    fn finish(&mut self, id: u64, reply: &Reply) {
        let op = self.ops.remove(&id).expect("it was under way");
        for waiter in &op.waiters {
            match *waiter {
                Waiter::Client(ticket) => {
                    self.replies.insert(ticket, reply.clone());
                }
                Waiter::Tell { from, tell } => self.acknowledge_payment(&op, from, tell),
            }
        }
        let Some(order) = lock(&op.command) else { return };
        let queue = self.queues.get_mut(&order).expect("its order was locked");
        queue.pop_front();
        match queue.front().copied() {
            Some(next) => self.go_on(next),
            None => {
                self.queues.remove(&order);
            }
        }
    }

    fn acknowledge_payment(&mut self, op: &Op, from: SlotId, tell: TellId) {
        let Command::Pay(Pay { order, txn, .. }) = &op.command else { unreachable!("only payments") };
        let order = OrderId::parse(order.as_str()).expect("a claim is by an order");
        let fact = Fact::TxnClaimed { order, txn: txn.clone(), goes_back: None };
        if let FactStep::Settled { accepted } = decide_fact(&self.slots[&op.slot].slot, &fact) {
            self.mail.push(Mail::Ack { to: from, tell, accepted });
        }
    }

    fn answer(&mut self, op: u64, ask: &Ask) {
        let slot = ask.slot(&self.hash);
        for _ in 0..1_000 {
            let state = self.open_slot(slot);
            let step = decide_ask(&state.slot, &self.context(), ask);
            drop(state);
            match step {
                Err(Pending::Append(body)) => self.append(slot, body),
                Err(Pending::Ask(ask)) => panic!("an ask is answered from one slot, not by {ask:?}"),
                Err(Pending::Refused(rejection)) => {
                    return self.mail.push(Mail::Answer { op, result: Err(rejection) });
                }
                Ok(fact) => return self.mail.push(Mail::Answer { op, result: Ok(fact) }),
            }
        }
        panic!("a decision never ends");
    }

    fn answered(&mut self, id: u64, result: Result<Fact, Rejection>) {
        let Some(op) = self.ops.get_mut(&id) else { return };
        match result {
            Err(rejection) => return self.finish(id, &Err(rejection)),
            Ok(Fact::TxnClaimed { .. }) => {
                op.progress = Progress { claimed: true, still_claimed: true, ..op.progress };
            }
            Ok(fact) => {
                let slot = op.slot;
                self.absorb(slot, &fact);
            }
        }
        self.go_on(id);
    }

    fn told(&mut self, from: SlotId, tell: &Tell) {
        let slot = tell.fact.slot(&self.hash);
        match self.absorb(slot, &tell.fact) {
            FactStep::Settled { accepted } => {
                self.mail.push(Mail::Ack { to: from, tell: tell.id, accepted });
            }
            FactStep::Pay(pay) => {
                let waiters = vec![Waiter::Tell { from, tell: tell.id }];
                let goes_back = tell.fact.goes_back();
                let progress = Progress { claimed: true, goes_back, ..Progress::default() };
                self.next_op += 1;
                self.admit(self.next_op, Op { slot, command: Command::Pay(pay), progress, waiters });
            }
            FactStep::Early => self.mail.push(Mail::Tell { from, tell: tell.clone() }),
            FactStep::Append(_) => unreachable!("it was appended"),
        }
    }

    fn absorb(&mut self, slot: SlotId, fact: &Fact) -> FactStep {
        let state = self.open_slot(slot);
        let step = decide_fact(&state.slot, fact);
        drop(state);
        match step {
            FactStep::Append(body) => {
                self.append(slot, body);
                FactStep::Settled { accepted: true }
            }
            step => step,
        }
    }

    fn acked(&mut self, slot: SlotId, tell: TellId, accepted: bool) {
        let state = self.open_slot(slot);
        let Some(told) = state.slot.outbox().get(&tell) else { return };
        let declined =
            if accepted { None } else { decide_declined(&state.slot, &self.context(), &told.fact) };
        drop(state);
        if let Some(body) = declined {
            self.append(slot, body);
        }
        // A claim that goes takes its tell with it.
        if self.slots[&slot].slot.outbox().contains_key(&tell) {
            self.append(slot, Body::TellsAcked { tells: vec![tell] });
        }
    }
}

impl Kept {
    fn new(slot: Slot) -> Rc<Kept> {
        Rc::new(Kept { slot, essence: OnceCell::new() })
    }
}

fn copy(slot: &Slot) -> Slot {
    let mut bytes = Vec::new();
    slot.encode(&mut bytes);
    Slot::decode(&bytes).expect("an image that was just made")
}

/// The order that a command is alone in changing.
fn lock(command: &Command) -> Option<OrderId> {
    match command {
        Command::Reserve(c) => Some(c.order),
        Command::Cancel(c) => Some(c.order),
        Command::Pay(c) => OrderId::parse(c.order.as_str()),
        _ => None,
    }
}

/// Whether the end of the operation that is there is also the other's.
fn ends(there: &Op, other: &Op) -> bool {
    match (&there.command, &other.command) {
        (Command::Pay(a), Command::Pay(b)) if other.progress.claimed => a.order == b.order && a.txn == b.txn,
        (a, b) => a == b,
    }
}
