//! What the loop has done, in plain counters.

use engine::record::Body;

/// Counts since the start of the process.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stats {
    pub records: u64,
    pub partitions_opened: u64,
    pub holds_made: u64,
    pub holds_confirmed: u64,
    pub holds_released: u64,
    pub holds_expired: u64,
    pub orders_created: u64,
    pub orders_reserved: u64,
    pub orders_paid: u64,
    pub orders_ticketed: u64,
    pub orders_cancelled: u64,
    pub refunds_owed: u64,
    pub refunds_settled: u64,
    pub commands: u64,
    pub commands_refused: u64,
    pub messages_sent: u64,
    pub tells_resent: u64,
    pub asks_repeated: u64,
    pub snapshots: u64,
    /// Frames written to the log, and their bytes.
    pub log_frames: u64,
    pub log_bytes: u64,
}

impl Stats {
    pub(crate) fn count(&mut self, body: &Body) {
        self.records += 1;
        match body {
            Body::PartitionOpened(_) => self.partitions_opened += 1,
            Body::HoldMade(_) => self.holds_made += 1,
            Body::HoldConfirmed(_) => self.holds_confirmed += 1,
            Body::HoldReleased(_) => self.holds_released += 1,
            Body::HoldsExpired(rows) => self.holds_expired += rows.len() as u64,
            Body::OrderCreated(_) => self.orders_created += 1,
            Body::OrderReserved(_) => self.orders_reserved += 1,
            Body::OrderPaid(_) => self.orders_paid += 1,
            Body::OrderTicketed(_) => self.orders_ticketed += 1,
            Body::OrderCancelled(_) => self.orders_cancelled += 1,
            Body::RefundOwed(_) => self.refunds_owed += 1,
            Body::RefundSettled(_) => self.refunds_settled += 1,
            Body::PartitionForgotten { .. }
            | Body::HoldAdopted(_)
            | Body::HoldsForgotten { .. }
            | Body::TxnClaimed { .. }
            | Body::TellsAcked { .. } => {}
        }
    }
}
