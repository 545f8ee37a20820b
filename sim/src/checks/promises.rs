//! Promises: what clients were told, kept on their side of the wire. After every recovery, and at the end, all of it still has to be
//! true: what was shown is there, and has only moved on as it may.

use std::collections::BTreeMap;

use engine::answer::{Answer, HoldStatus, HoldView, OrderStatus, OrderView, RefundView, Rejection, Reply};
use engine::command::{Command, Pay};
use engine::ids::{HoldId, IdempotencyKey, OrderId, OrderName, PartitionKey, TxnId};
use engine::state::{Order, Slot};

use crate::plan::HOUR_MS;
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
    /// The order of each key.
    keys: BTreeMap<IdempotencyKey, OrderId>,
}

impl Promises {
    pub(crate) fn learn(&mut self, command: &Command, reply: &Reply) {
        match reply {
            Ok(Answer::Order(view)) => {
                let other = self.keys.insert(view.key.clone(), view.order);
                assert!(other.is_none_or(|id| id == view.order), "one key, two orders: {view:?}");
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
        for ((partition, id), known) in &self.holds {
            hold(world, partition, id, known);
        }
        for ((name, txn), known) in &self.refunds {
            let slot = world.process.slot(world.process.hash.order_name(name));
            let row = slot.refunds().get(name, txn).unwrap_or_else(|| panic!("{known:?} is gone"));
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
    let row = &found.unwrap_or_else(|| panic!("{known:?} is gone")).row;
    let may = match known.status {
        OrderStatus::Init => true,
        OrderStatus::Reserved => row.status != OrderStatus::Init,
        OrderStatus::Paid => matches!(row.status, OrderStatus::Paid | OrderStatus::Ticketed),
        OrderStatus::Ticketed | OrderStatus::Cancelled => row.status == known.status,
    };
    let same = (&row.key, row.amount, row.created_at) == (&known.key, known.amount, known.created_at);
    assert!(may && same, "{known:?} is now {row:?}");
    if known.status == row.status || known.txn.is_some() {
        let same = (&row.txn, row.cancel_reason) == (&known.txn, known.cancel_reason);
        assert!(same, "{known:?} is now {row:?}");
    }
    if let Some(held) = &known.reservation {
        let r = row.reservation.as_ref().unwrap_or_else(|| panic!("{known:?} has no reservation any more"));
        let same = (&r.partition, &r.hold, &r.labels, r.deadline)
            == (&held.partition, &held.hold, &held.seats, held.expires_at);
        assert!(same, "{known:?} is now {row:?}");
    }
}

fn hold(world: &World, partition: &PartitionKey, id: &HoldId, known: &HoldView) {
    let slot = world.process.slot(world.process.hash.partition(partition));
    let (policy, now) = (&world.plan.policy, world.now());
    let Some(p) = slot.partitions().get(partition) else {
        // Only a run that departs is forgotten, and with it what was sold of it.
        assert!(world.departs(), "{partition} is gone");
        return;
    };
    let Some(found) = p.hold(id) else {
        let ended =
            known.status != HoldStatus::Confirmed && known.expires_at.plus(policy.retention_ms) <= now;
        // Who released a hold that this client has seen alive need not have told it; within a run that is remembered for a day
        // nothing is forgotten that soon.
        let unseen = known.status == HoldStatus::Held && policy.retention_ms < HOUR_MS;
        let released = known.status == HoldStatus::Released || unseen;
        // A run that was forgotten may be opened again where another timetable says so.
        let reopened = p.run().is_some() && world.departs();
        assert!(ended || released || reopened, "hold {id} of {partition} is gone: {known:?}");
        return;
    };
    if found.deadline != known.expires_at {
        assert!(found.deadline > known.expires_at, "hold {id} of {partition}: {known:?} is now {found:?}");
        return;
    }
    let layout = p.inventory().layout();
    let labels = found.seats.iter().map(|seat| layout.label(*seat));
    let same = labels.eq(known.seats.iter().map(|label| label.as_str().to_owned()));
    let may = known.status == HoldStatus::Held || known.status == found.status;
    assert!(same && may, "hold {id} of {partition}: {known:?} is now {found:?}");
}

/// Money that was answered for has one end.
fn payment(world: &World, pay: &Pay, reply: &Reply) {
    let slot: &Slot = world.process.slot(world.process.hash.order_name(&pay.order));
    let order: Option<&Order> = OrderId::parse(pay.order.as_str()).and_then(|id| slot.orders().get(id));
    let paid = order.is_some_and(|order| order.row.txn.as_ref() == Some(&pay.txn));
    let owed = slot.refunds().get(&pay.order, &pay.txn).is_some();
    let kept = match reply {
        Ok(_) => paid && !owed,
        Err(Rejection::TxnUsed | Rejection::HoldMismatch) => true,
        Err(Rejection::OrderNotFound) => owed || !pay.verified,
        Err(_) => owed && !paid,
    };
    assert!(kept, "{pay:?} was answered {reply:?}; now it has paid: {paid}, is owed back: {owed}");
}
