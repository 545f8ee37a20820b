//! Money that is owed back, as the read model has it: looked up now and then, and kept for whoever asks.

use std::sync::atomic::{AtomicU64, Ordering};

use engine::ids::Time;
use rusqlite::Connection;

use crate::text::parse_time;

const FIND: &str = "SELECT count(*), min(created_at) FROM refunds WHERE status = 'REQUIRED'";

/// The refunds that nobody has settled yet, as of the last look.
#[derive(Debug, Default)]
pub struct Owed {
    refunds: AtomicU64,
    /// Owed since; 0 where none is.
    oldest_ms: AtomicU64,
}

impl Owed {
    pub(super) fn look(&self, connection: &Connection) -> rusqlite::Result<()> {
        let (refunds, oldest) = connection
            .prepare_cached(FIND)?
            .query_row([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Option<String>>(1)?)))?;
        let oldest = oldest.as_deref().and_then(parse_time).unwrap_or_default();
        self.refunds.store(refunds.unsigned_abs(), Ordering::Relaxed);
        self.oldest_ms.store(oldest.0, Ordering::Relaxed);
        Ok(())
    }

    pub fn refunds(&self) -> u64 {
        self.refunds.load(Ordering::Relaxed)
    }

    /// The age of the oldest; 0 where none is owed.
    pub fn oldest_age_ms(&self, now: Time) -> u64 {
        match self.oldest_ms.load(Ordering::Relaxed) {
            0 => 0,
            since => now.0.saturating_sub(since),
        }
    }
}
