//! A connection pool for the audit: independent items, shared out among connections that work at the same time.

use crate::{Server, Session};

const CONNECTIONS: usize = 16;

/// Runs `work` over all of `items`. Every second connection calls by the gateway.
pub fn each<T: Send>(server: &Server, items: &mut [T], work: impl Fn(&mut Session, &mut T) + Sync) {
    let share = items.len().div_ceil(CONNECTIONS).max(1);
    std::thread::scope(|scope| {
        for (i, share) in items.chunks_mut(share).enumerate() {
            let work = &work;
            scope.spawn(move || {
                let mut session = if i % 2 == 0 { server.session() } else { server.gateway() };
                share.iter_mut().for_each(|item| work(&mut session, item));
            });
        }
    });
}
