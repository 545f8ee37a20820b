//! Records of purchases: a hold and its order change at once, as each would by itself, and nobody is told.

use engine::answer::OrderStatus;
use engine::ids::OrderKey;
use engine::record::{HoldRow, OrderRow, PurchaseRow, ReleaseReason};

use super::apply::{Applying, Verdict, demand};

impl Applying<'_> {
    pub(super) fn purchased(&mut self, row: &PurchaseRow) -> Verdict {
        let PurchaseRow { order, hold } = row;
        let (here, policy) = (self.others.here(), &self.inputs.policy);
        let most = self.time.plus(policy.hold_ttl_ms.max(policy.hold_ttl_max_ms));
        demand!(self.time < hold.deadline && hold.deadline <= most, "it lasts until {:?}", hold.deadline);
        self.made(hold)?;
        let OrderKey::OfRun { run, .. } = &order.key else {
            return Err("the key of a purchase is its run's".to_owned());
        };
        let key = hold.partition.as_str();
        let is_run = hold.partition.run().map_or(run.as_str() == key, |of| run.as_str() == of);
        demand!(is_run, "its key counts for {run:?}");
        demand!(!self.slot.keys.contains_key(&order.key), "the key has an order already");
        demand!(!self.slot.orders.contains_key(&order.order), "the order is there already");
        demand!(!self.slot.left.contains_key(&order.order), "its id was another order's");
        demand!(order.order.slot() == here, "the id carries another slot");
        demand!(hold.owner == Some(order.order), "the hold is not its own");
        demand!(hold.hold.as_str() == order.order.to_string(), "the hold is named {}", hold.hold);
        demand!(order.status == OrderStatus::Reserved && order.created_at == self.time, "it is RESERVED");
        demand!(order.txn.is_none() && order.cancel_reason.is_none(), "new: {order:?}");
        let reservation = self.reservation(hold);
        demand!(order.reservation.as_ref() == Some(&reservation), "its seats are {reservation:?}");
        self.slot.keys.insert(order.key.clone(), order.order);
        self.put_order(order);
        self.seen.purchases += 1;
        Ok(())
    }

    pub(super) fn purchase_paid(&mut self, row: &PurchaseRow) -> Verdict {
        self.belongs(&row.order, &row.hold)?;
        self.confirmed(&row.hold)?;
        self.paid(&row.order)?;
        self.seen.purchases_paid += 1;
        Ok(())
    }

    pub(super) fn purchase_cancelled(&mut self, row: &PurchaseRow) -> Verdict {
        self.belongs(&row.order, &row.hold)?;
        let reason = row.hold.release_reason;
        demand!(reason == Some(ReleaseReason::Requested), "released for {reason:?}");
        self.released(&row.hold)?;
        self.cancelled(&row.order)?;
        self.seen.purchases_cancelled += 1;
        Ok(())
    }

    pub(super) fn purchase_expired(&mut self, order: &OrderRow, hold: &HoldRow) -> Verdict {
        self.belongs(order, hold)?;
        self.expired(hold)?;
        self.cancelled(order)?;
        self.seen.purchases_expired += 1;
        Ok(())
    }

    /// The hold is the order's own.
    fn belongs(&self, order: &OrderRow, hold: &HoldRow) -> Verdict {
        let own = self.slot.orders.get(&order.order).filter(|own| own.row.is_purchase());
        let is_its = own.is_some_and(|own| own.owns(&hold.partition, &hold.hold, hold.made));
        demand!(is_its && hold.owner == Some(order.order), "the hold is not of purchase {}", order.order);
        Ok(())
    }
}
