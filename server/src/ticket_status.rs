//! Ticket status: the figures of `/worker/status`, published by each core.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use engine::ids::Time;
use shard::Shard;
use wal::disk::Disk;

/// The tickets of one core; written by that core, read by any.
#[derive(Debug, Default)]
pub(crate) struct TicketCell {
    position: AtomicU64,
    backlog: AtomicU64,
    /// When the oldest waiting order was paid, as engine time; 0 where none waits.
    oldest: AtomicU64,
    last_error: Mutex<Option<String>>,
}

impl TicketCell {
    pub(crate) fn publish<D: Disk>(&self, shard: &Shard<D>) {
        let status = shard.tickets();
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
pub(crate) fn status(cells: &[TicketCell], now: Time) -> net::WorkerStatus {
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
