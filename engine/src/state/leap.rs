//! Clock leap: the holds, orders and partitions that it would end. Asked before a start believes a clock that is far ahead of the last record.

use core::ops::AddAssign;

use super::Slot;
use super::slot::kept_until;
use crate::decide::Policy;
use crate::ids::Time;

/// Counts of what ends when time goes on by a leap.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Leap {
    /// Live holds.
    pub holds: usize,
    /// Orders that wait for a reservation or a payment.
    pub orders: usize,
    /// Partitions with sold seats whose run arrives in between, or that are ad hoc and would be forgotten.
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
    /// Counts of what would end if it were `to` now, after `from`.
    #[must_use]
    pub fn leap(&self, policy: &Policy, from: Time, to: Time) -> Leap {
        let mut leap = Leap { orders: self.orders.waiting_at(to), ..Leap::default() };
        for (key, p) in self.partitions.iter() {
            leap.holds += p.due(to).count();
            let ends_at = p.run().map_or_else(|| kept_until(policy, p.changed_at(), key), |run| run.ends_at);
            leap.partitions += usize::from(p.has_sold() && from < ends_at && ends_at <= to);
        }
        leap
    }
}
