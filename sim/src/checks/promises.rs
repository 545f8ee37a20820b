//! Promises: what clients were told, kept on their side of the wire. After every recovery, and at the end, all of it still has to be
//! true: what was shown is there, and has only moved on as it may.

use std::collections::{BTreeMap, BTreeSet};

use engine::answer::{
    Answer, HoldStatus, HoldView, OrderStatus, OrderView, RefundReason, RefundView, Rejection, Reply,
};
use engine::command::{Command, Pay};
use engine::ids::{HoldId, IdempotencyKey, OrderId, OrderName, PartitionKey, TxnId};
use engine::state::{Order, Slot};

use crate::workload::book;
use crate::world::World;

/// The latest that any client was told of each order, hold and refund: [`learn`](Promises::learn)ed from answers,
/// [`check`](Promises::check)ed against what a process has.
#[derive(Debug, Default)]
pub(crate) struct Promises {
    orders: BTreeMap<OrderId, OrderView>,
    holds: BTreeMap<(PartitionKey, HoldId), HoldView>,
    refunds: BTreeMap<(OrderName, TxnId), RefundView>,
    /// Payments that were answered, and how.
    payments: Vec<(Pay, Reply)>,
    /// The orders of each key: one, and those that left before.
    keys: BTreeMap<(Option<String>, IdempotencyKey), BTreeSet<OrderId>>,
}

impl Promises {
    pub(crate) fn learn(&mut self, command: &Command, reply: &Reply) {
        match reply {
            Ok(Answer::Order(view)) => {
                self.keys.entry((book::counts_for(view), view.key.clone())).or_default().insert(view.order);
                let known = self.orders.entry(view.order).or_insert_with(|| (**view).clone());
                // Answers overtake each other.
                if rank(view.status) >= rank(known.status) {
                    known.clone_from(view);
                }
            }
            Ok(Answer::Partition(view)) => {
                let key = (view.partition.clone(), view.hold.hold.clone());
                let known = self.holds.entry(key).or_insert_with(|| view.hold.clone());
                // An id that was forgotten may be used again: its next hold has a later deadline.
                if known.status == HoldStatus::Held || view.hold.expires_at > known.expires_at {
                    *known = view.hold.clone();
                }
            }
            Ok(Answer::Refund(view)) => self.refund(view),
            Ok(Answer::Refunds(page)) => page.iter().for_each(|view| self.refund(view)),
            _ => {}
        }
        if let Command::Pay(pay) = command
            && !super::answers::is_try_again(reply)
            && !matches!(reply, Err(Rejection::OrderNotHere(_)))
        {
            self.payments.push((pay.clone(), reply.clone()));
        }
    }

    fn refund(&mut self, view: &RefundView) {
        let known =
            self.refunds.entry((view.order.clone(), view.txn.clone())).or_insert_with(|| view.clone());
        if view.settled.is_some() {
            *known = view.clone();
        }
    }

    /// Everything is still true.
    ///
    /// # Panics
    /// When it is not.
    pub(crate) fn check(&self, world: &World) {
        self.orders.values().for_each(|known| order(world, known));
        for (key, orders) in &self.keys {
            let here: Vec<_> = orders.iter().filter(|id| world.model.left(**id).is_none()).collect();
            assert!(here.len() <= 1, "one key, two orders: {key:?} {here:?}");
        }
        for ((partition, id), known) in &self.holds {
            hold(world, partition, id, known);
        }
        for ((name, txn), known) in &self.refunds {
            let slot = world.process.slot(world.process.hash.order_name(name));
            let theirs = world.model.slot(slot.id());
            let left = theirs.left_refund(name, txn);
            let row = slot.refunds().get(name, txn).or(left).unwrap_or_else(|| panic!("{known:?} is gone"));
            // Where the history was lost the same payment may have been owed back again.
            if row.reason == RefundReason::HistoryLost {
                continue;
            }
            let same = known.settled.is_none() || known.settled == row.settled;
            assert!(same && known.reason == row.reason, "{known:?} is now {row:?}");
        }
        self.payments.iter().for_each(|(pay, reply)| payment(world, pay, reply));
    }
}

fn rank(status: OrderStatus) -> u8 {
    match status {
        OrderStatus::Init => 0,
        OrderStatus::Reserved => 1,
        OrderStatus::Paid => 2,
        OrderStatus::Ticketed | OrderStatus::Cancelled => 3,
    }
}

fn order(world: &World, known: &OrderView) {
    let found = world.process.slot(known.order.slot()).orders().get(known.order);
    let left = world.model.left(known.order);
    let row = found.map(|order| &order.row).or(left.as_ref().map(|left| &left.row));
    let row = row.unwrap_or_else(|| panic!("{known:?} is gone"));
    let may = match known.status {
        OrderStatus::Init => true,
        OrderStatus::Reserved => row.status != OrderStatus::Init,
        OrderStatus::Paid => matches!(row.status, OrderStatus::Paid | OrderStatus::Ticketed),
        OrderStatus::Ticketed | OrderStatus::Cancelled => row.status == known.status,
    };
    let same = (row.key.name(), row.amount, row.created_at) == (&known.key, known.amount, known.created_at);
    assert!(may && same, "{known:?} is now {row:?}");
    if known.status == row.status || known.txn.is_some() {
        let same = (&row.txn, row.cancel_reason) == (&known.txn, known.cancel_reason);
        assert!(same, "{known:?} is now {row:?}");
    }
    if let Some(held) = &known.reservation {
        let r = row.reservation.as_ref().unwrap_or_else(|| panic!("{known:?} has no reservation any more"));
        let same = (&r.partition, &r.hold, r.deadline) == (&held.partition, &held.hold, held.expires_at);
        let cancelled = row.status == OrderStatus::Cancelled;
        let same_seats = if cancelled { r.labels.is_empty() } else { r.labels == held.seats };
        assert!(same && same_seats, "{known:?} is now {row:?}");
    }
}

fn hold(world: &World, partition: &PartitionKey, id: &HoldId, known: &HoldView) {
    let seen = (partition.clone(), id.clone(), known.expires_at);
    if world.model.memory.twins.contains(&seen) {
        // Another hold looks the same to a client.
        return;
    }
    let slot = world.process.slot(world.process.hash.partition(partition));
    let p = slot.partitions().get(partition);
    let Some((p, found)) = p.and_then(|p| Some((p, p.hold(id)?))) else {
        let may = may_be_gone(world, partition, known);
        assert!(
            may && (p.is_some() || world.model.has_forgotten(partition)),
            "hold {id} of {partition}: {known:?}"
        );
        return;
    };
    if found.deadline != known.expires_at {
        let may = found.deadline > known.expires_at && may_be_gone(world, partition, known);
        assert!(may, "hold {id} of {partition}: {known:?} is now {found:?}");
        return;
    }
    let layout = p.inventory().layout();
    let labels = found.seats.iter().map(|seat| layout.label(*seat));
    let has_ended = matches!(found.status, HoldStatus::Released | HoldStatus::Expired);
    let same = has_ended || labels.eq(known.seats.iter().map(|label| label.as_str().to_owned()));
    let may = known.status == HoldStatus::Held || known.status == found.status;
    assert!(
        same && may && found.quantity == known.quantity,
        "hold {id} of {partition}: {known:?} is now {found:?}"
    );
}

/// The hold need not be remembered any longer.
fn may_be_gone(world: &World, partition: &PartitionKey, known: &HoldView) -> bool {
    if known.status == HoldStatus::Confirmed {
        // Sold seats go with their partition alone.
        return world.has_let_go() && world.model.has_forgotten(partition);
    }
    // It may have been released as soon as it was made: who released it need not have told this client.
    let policy = &world.plan.policy;
    let forgotten_at = known.expires_at.plus(policy.hold_memory_ms).0 - policy.hold_ttl_ms;
    let early = world.plan.state_bytes_max.is_some() || world.model.has_forgotten(partition);
    forgotten_at <= world.now().0 || early
}

/// Money that was answered for has one end.
fn payment(world: &World, pay: &Pay, reply: &Reply) {
    let slot: &Slot = world.process.slot(world.process.hash.order_name(&pay.order));
    let theirs = world.model.slot(slot.id());
    let id = OrderId::parse(pay.order.as_str());
    let order: Option<&Order> = id.and_then(|id| slot.orders().get(id));
    let left = id.and_then(|id| theirs.left.get(&id));
    let row = order.map(|order| &order.row).or(left.map(|left| &left.row));
    let paid = row.is_some_and(|row| row.txn.as_ref() == Some(&pay.txn));
    let left = theirs.left_refund(&pay.order, &pay.txn);
    let refund = slot.refunds().get(&pay.order, &pay.txn).or(left);
    if refund.is_some_and(|row| row.reason == RefundReason::HistoryLost) {
        // It may have been kept, or owed back before: nobody knows any more.
        return;
    }
    let owed = refund.is_some();
    let kept = match reply {
        Ok(_) => paid && !owed,
        Err(Rejection::TxnUsed | Rejection::HoldMismatch) => true,
        Err(Rejection::OrderNotFound) => owed || !pay.verified,
        Err(_) => owed && !paid,
    };
    assert!(kept, "{pay:?} was answered {reply:?}; now it has paid: {paid}, is owed back: {owed}");
}
