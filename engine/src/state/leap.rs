//! What a leap of the clock would end: asked before a start believes a clock that is far ahead of the last record.

use core::ops::AddAssign;

use super::Slot;
use crate::ids::Time;

/// Counts of what ends when time goes on by a leap.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Leap {
    /// Live holds.
    pub holds: usize,
    /// Orders that wait for a reservation or a payment.
    pub orders: usize,
    /// Partitions with sold seats whose run arrives in between.
    pub partitions: usize,
}

impl Leap {
    #[must_use]
    pub fn ends_nothing(self) -> bool {
        self == Leap::default()
    }
}

impl AddAssign for Leap {
    fn add_assign(&mut self, other: Leap) {
        self.holds += other.holds;
        self.orders += other.orders;
        self.partitions += other.partitions;
    }
}

impl Slot {
    /// What would end if it were `to` now, after `from`.
    #[must_use]
    pub fn leap(&self, from: Time, to: Time) -> Leap {
        let mut leap = Leap { orders: self.orders.waiting_at(to), ..Leap::default() };
        for (_, p) in self.partitions.iter() {
            leap.holds += p.due(to).count();
            let arrives = p.run().is_some_and(|run| from < run.ends_at && run.ends_at <= to);
            leap.partitions += usize::from(arrives && p.has_sold());
        }
        leap
    }
}
