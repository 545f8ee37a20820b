//! The figures of `/worker/status`, published by each core.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use engine::ids::Time;
use shard::TicketStatus;

/// The tickets of one core; written by that core, read by any.
#[derive(Debug, Default)]
pub(crate) struct TicketCell {
    position: AtomicU64,
    backlog: AtomicU64,
    /// Payment of the oldest waiting order, as engine time; 0 where none waits.
    oldest: AtomicU64,
    /// The reason why no ticket can be recorded, and the order that waits longest for one.
    last_error: Mutex<Option<String>>,
}

impl TicketCell {
    /// Shows the core's tickets as they stand after a turn.
    pub(crate) fn publish(&self, status: &TicketStatus) {
        self.position.store(status.position.0, Ordering::Relaxed);
        let before = self.backlog.swap(status.backlog as u64, Ordering::Relaxed);
        self.oldest.store(status.oldest.map_or(0, |(_, since)| since.0), Ordering::Relaxed);
        if before == 0 && status.backlog == 0 {
            return;
        }
        let error = status.blocked_by.zip(status.oldest);
        let error = error.map(|(rejection, (order, _))| format!("{rejection:?}: order {order}"));
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = error;
    }
}

/// The status of all cores together.
pub(super) fn of_all(cells: &[TicketCell], now: Time) -> net::WorkerStatus {
    let mut status = net::WorkerStatus::default();
    for cell in cells {
        status.position += cell.position.load(Ordering::Relaxed);
        status.backlog += cell.backlog.load(Ordering::Relaxed);
        let oldest = cell.oldest.load(Ordering::Relaxed);
        if oldest != 0 {
            status.lag_ms = status.lag_ms.max(now.0.saturating_sub(oldest));
        }
        if let Some(error) = &*cell.last_error.lock().unwrap_or_else(PoisonError::into_inner) {
            status.last_error = Some(error.clone());
        }
    }
    status
}

#[cfg(test)]
mod tests {
    use engine::answer::Rejection;
    use engine::ids::{OrderId, SlotId};
    use wal::Lsn;

    use super::*;

    fn order() -> OrderId {
        OrderId::new(SlotId::new(0), 1 << 12)
    }

    /// A core with so many orders waiting, the oldest of them paid at that time, and a full log or one with room.
    fn tickets(position: u64, backlog: usize, paid_at: Option<u64>, is_full: bool) -> TicketStatus {
        TicketStatus {
            position: Lsn(position),
            backlog,
            oldest: paid_at.map(|at| (order(), Time(at))),
            blocked_by: is_full.then_some(Rejection::LogFull),
        }
    }

    #[test]
    fn cores_are_summed_the_longest_wait_is_shown_and_an_error_only_while_it_lasts() {
        let cells = [TicketCell::default(), TicketCell::default()];
        assert_eq!(of_all(&cells, Time(1_000)), net::WorkerStatus::default());
        let log_full = format!("LogFull: order {}", order());
        let (idle, none) = (tickets(5, 0, None, false), None);
        for (first, second, (position, backlog, lag_ms, last_error)) in [
            (tickets(3, 0, None, false), idle, (8, 0, 0, none)),
            (tickets(4, 2, Some(700), false), idle, (9, 2, 300, none)),
            (tickets(4, 2, Some(700), false), tickets(6, 1, Some(600), false), (10, 3, 400, none)),
            (tickets(4, 2, Some(700), true), tickets(6, 1, Some(600), false), (10, 3, 400, Some(&log_full))),
            // One core has room again, and the other has not.
            (tickets(7, 0, None, false), tickets(6, 1, Some(600), true), (13, 1, 400, Some(&log_full))),
            // Room again, the tickets not yet issued: it goes right, so nothing is said.
            (tickets(7, 0, None, false), tickets(6, 1, Some(600), false), (13, 1, 400, none)),
            (tickets(7, 3, Some(500), true), idle, (12, 3, 500, Some(&log_full))),
            // A turn that issues the whole backlog takes the error away as well.
            (tickets(9, 0, None, false), idle, (14, 0, 0, none)),
            // Core times differ a little: an order is never paid in the future.
            (tickets(9, 1, Some(1_001), false), idle, (14, 1, 0, none)),
        ] {
            cells[0].publish(&first);
            cells[1].publish(&second);
            let last_error = last_error.cloned();
            let expected = net::WorkerStatus { position, backlog, lag_ms, last_error };
            assert_eq!(of_all(&cells, Time(1_000)), expected, "{first:?} and {second:?}");
        }
    }
}
