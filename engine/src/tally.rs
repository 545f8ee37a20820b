//! Counts of records by what they say, for metrics.

use crate::record::Body;

/// Counters of logged records; each only rises.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    pub records: u64,
    pub partitions_opened: u64,
    pub holds_made: u64,
    pub holds_confirmed: u64,
    pub holds_released: u64,
    /// Holds, not records: one record ends many.
    pub holds_expired: u64,
    /// With their order at once; these count as holds and orders as well.
    pub purchases_made: u64,
    pub orders_created: u64,
    pub orders_reserved: u64,
    pub orders_paid: u64,
    pub orders_ticketed: u64,
    pub orders_cancelled: u64,
    pub refunds_owed: u64,
    pub refunds_settled: u64,
    pub orders_forgotten: u64,
    /// Settled refunds of orders that had left before, or that nobody knew.
    pub refunds_forgotten: u64,
}

impl Tally {
    pub fn count(&mut self, body: &Body) {
        self.records += 1;
        match body {
            Body::PartitionOpened(_) => self.partitions_opened += 1,
            Body::HoldMade(_) => self.holds_made += 1,
            Body::HoldConfirmed(_) => self.holds_confirmed += 1,
            Body::HoldReleased(_) => self.holds_released += 1,
            Body::HoldsExpired(rows) => {
                self.holds_expired += rows.len() as u64;
                self.orders_cancelled += rows.iter().filter(|row| row.purchase.is_some()).count() as u64;
            }
            Body::PurchaseMade(_) => {
                self.purchases_made += 1;
                self.holds_made += 1;
                self.orders_created += 1;
                self.orders_reserved += 1;
            }
            Body::PurchasePaid(_) => {
                self.holds_confirmed += 1;
                self.orders_paid += 1;
            }
            Body::PurchaseCancelled(_) => {
                self.holds_released += 1;
                self.orders_cancelled += 1;
            }
            Body::OrderCreated(_) => self.orders_created += 1,
            Body::OrderReserved(_) => self.orders_reserved += 1,
            Body::OrderPaid(_) => self.orders_paid += 1,
            Body::OrderTicketed(_) => self.orders_ticketed += 1,
            Body::OrderCancelled(_) => self.orders_cancelled += 1,
            Body::OrdersAbandoned(rows) => self.orders_cancelled += rows.len() as u64,
            Body::OrdersForgotten { orders } => self.orders_forgotten += orders.len() as u64,
            Body::RefundsForgotten { numbers } => self.refunds_forgotten += numbers.len() as u64,
            Body::RefundOwed(_) => self.refunds_owed += 1,
            Body::RefundSettled(_) => self.refunds_settled += 1,
            Body::PartitionForgotten { .. }
            | Body::HoldAdopted(_)
            | Body::HoldsForgotten { .. }
            | Body::TxnClaimed { .. }
            | Body::ClaimForgotten { .. }
            | Body::OrderKept { .. }
            | Body::OrderLeaving { .. }
            | Body::TellsAcked { .. } => {}
        }
    }
}
