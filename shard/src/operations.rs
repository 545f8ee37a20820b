//! Operations under way: those that wait for another slot, and those that wait for their order.
//!
//! One operation at a time is under way for an order. The same request again joins it; another one queues behind it.
//! All of this is memory only: a crash forgets it, and the outboxes bring what was begun to its end.

use std::collections::VecDeque;

use engine::command::{Command, Request};
use engine::decide::Progress;
use engine::ids::{OrderId, SlotId, TxnId};
use engine::record::TellId;
use hashbrown::HashMap;
use wal::Lsn;

use crate::batches::BatchId;
use crate::limits::{OPERATIONS_MAX, OPERATIONS_PER_ORDER_MAX, WAITERS_MAX};
use crate::message::{Caller, OpId};

/// A party that is told how an operation ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Waiter {
    Caller(Caller),
    /// A caller whose command is one of a batch.
    Batched(BatchId, Caller),
    /// The slot of a transaction id: its tell of the claim began the payment, and waits for the acknowledgement.
    Claim {
        from: SlotId,
        tell: TellId,
        order: OrderId,
        txn: TxnId,
    },
    /// The overdue sweep, which asked after the order.
    Sweep(OrderId),
}

#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) id: OpId,
    pub(crate) slot: SlotId,
    pub(crate) request: Box<Request>,
    pub(crate) progress: Progress,
    /// The position up to which this core's log must be durable for what its other slots have told the operation.
    pub(crate) visible_at: Lsn,
    /// Asks that it has sent to other slots.
    pub(crate) asks: u32,
    /// The party that began it, and those that joined.
    pub(crate) waiter: Waiter,
    pub(crate) joined: Vec<Waiter>,
}

impl Operation {
    pub(crate) fn new(id: OpId, slot: SlotId, request: Box<Request>, waiter: Waiter) -> Operation {
        let (progress, joined) = (Progress::default(), Vec::new());
        Operation { id, slot, request, progress, visible_at: Lsn(0), asks: 0, waiter, joined }
    }

    /// The order it changes; it is alone in doing so.
    pub(crate) fn locked_order(&self) -> Option<OrderId> {
        match &self.request.command {
            Command::Reserve(c) => Some(c.order),
            Command::Cancel(c) => Some(c.order),
            Command::Pay(c) => OrderId::parse(c.order.as_str()),
            _ => None,
        }
    }

    /// True where this operation's end is also the other's. A payment that its claim brings back is the same payment,
    /// whatever else the client's request named.
    fn answers_also(&self, other: &Operation) -> bool {
        match (&self.request.command, &other.request.command) {
            (Command::Pay(a), Command::Pay(b)) if other.progress.claimed => {
                a.order == b.order && a.txn == b.txn
            }
            (a, b) => a == b,
        }
    }
}

/// The outcome for an operation that wants to begin.
#[derive(Debug)]
pub(crate) enum Admission {
    /// Nothing is under way for its order: run it.
    Run(Operation),
    /// It waits, or its callers wait with one that is there.
    Waits,
    Refused(Operation),
}

#[derive(Debug, Default)]
pub(crate) struct Operations {
    waiting: HashMap<OpId, Operation>,
    /// The front of each is under way.
    by_order: HashMap<OrderId, VecDeque<OpId>>,
    last_id: u64,
}

impl Operations {
    pub(crate) fn next_id(&mut self) -> OpId {
        self.last_id += 1;
        OpId(self.last_id)
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Joins, queues or lets run.
    pub(crate) fn admit(&mut self, op: Operation) -> Admission {
        let Some(queue) = op.locked_order().and_then(|order| self.by_order.get_mut(&order)) else {
            return Admission::Run(op);
        };
        for id in queue.iter() {
            let there = self.waiting.get_mut(id).expect("a queued operation is kept");
            if !there.answers_also(&op) {
                continue;
            }
            // Its own waiter and the new one's count as well.
            if there.joined.len() + op.joined.len() + 2 > WAITERS_MAX {
                return Admission::Refused(op);
            }
            there.progress.claimed |= op.progress.claimed;
            there.visible_at = there.visible_at.max(op.visible_at);
            there.joined.push(op.waiter);
            there.joined.extend(op.joined);
            return Admission::Waits;
        }
        if queue.len() >= OPERATIONS_PER_ORDER_MAX || self.waiting.len() >= OPERATIONS_MAX {
            return Admission::Refused(op);
        }
        queue.push_back(op.id);
        self.waiting.insert(op.id, op);
        Admission::Waits
    }

    /// There is room for one more that waits for another slot.
    pub(crate) fn has_room(&self) -> bool {
        self.waiting.len() < OPERATIONS_MAX
    }

    /// Keeps an operation that is under way until another slot has answered.
    pub(crate) fn park(&mut self, op: Operation) {
        if let Some(order) = op.locked_order() {
            let queue = self.by_order.entry(order).or_default();
            match queue.front() {
                None => queue.push_back(op.id),
                Some(front) => assert_eq!(*front, op.id, "one operation at a time is under way for an order"),
            }
        }
        self.waiting.insert(op.id, op);
    }

    /// Takes a parked operation out, to go on with it. Its order stays locked.
    pub(crate) fn unpark(&mut self, id: OpId) -> Option<Operation> {
        self.waiting.remove(&id)
    }

    /// The operation has ended: its order is free for the next one, which is returned.
    pub(crate) fn release(&mut self, op: &Operation) -> Option<OpId> {
        let order = op.locked_order()?;
        let queue = self.by_order.get_mut(&order)?;
        if queue.front() == Some(&op.id) {
            queue.pop_front();
        }
        match queue.front() {
            Some(next) => Some(*next),
            None => {
                self.by_order.remove(&order);
                None
            }
        }
    }

    /// Something is under way for the order.
    pub(crate) fn is_locked(&self, order: OrderId) -> bool {
        self.by_order.contains_key(&order)
    }
}

#[cfg(test)]
mod tests {
    use engine::command::{Cancel, ExpectedHold};
    use engine::text::Text;

    use super::*;

    const SLOT: SlotId = SlotId::new(7);

    fn operation(operations: &mut Operations, command: Command) -> Operation {
        let request = Box::new(Request { command, trace: Text::from("") });
        Operation::new(operations.next_id(), SLOT, request, Waiter::Sweep(OrderId::new(SLOT, 0)))
    }

    fn read(operations: &mut Operations) -> Operation {
        operation(operations, Command::GetOrder { order: OrderId::new(SLOT, 0) })
    }

    /// The same order; each names another hold, so that none of them is the same request.
    fn cancel(operations: &mut Operations, nth: usize) -> Operation {
        let hold = engine::ids::HoldId::parse(&format!("hold-{nth}")).ok();
        let expected = ExpectedHold { hold, ..ExpectedHold::default() };
        operation(operations, Command::Cancel(Cancel { order: OrderId::new(SLOT, 0), expected }))
    }

    /// Beyond the bound nothing queues behind an operation any more, however short its queue is.
    #[test]
    fn operations_that_wait_are_bounded() {
        let mut operations = Operations::default();
        let first = cancel(&mut operations, 0);
        let first_id = first.id;
        operations.park(first);
        while operations.len() < OPERATIONS_MAX - 1 {
            let op = read(&mut operations);
            operations.park(op);
        }
        assert!(operations.has_room());
        let second = cancel(&mut operations, 1);
        assert!(matches!(operations.admit(second), Admission::Waits));
        assert_eq!(operations.len(), OPERATIONS_MAX);
        assert!(!operations.has_room());
        let third = cancel(&mut operations, 2);
        assert!(matches!(operations.admit(third), Admission::Refused(_)));
        operations.unpark(first_id).expect("it was parked");
        assert!(operations.has_room());
    }
}
