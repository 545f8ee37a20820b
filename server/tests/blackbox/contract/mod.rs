//! The wire contract, route by route.
//!
//! Most of these tests share one server, and each uses keys of its own on it.

mod ad_hoc;
mod batch;
mod callers;
mod edge;
mod inventory;
mod metrics;
mod orders;
mod payments;
mod purchases;
mod races;
mod runs;
mod sale;
mod settings;

use std::sync::{Arc, Mutex, Weak};

use crate::support::session::SIGN_KEY;
use crate::support::{Launch, Server};

/// A server that the tests which run at the same time share: two cores, signatures verified. It goes with its last
/// user.
fn shared() -> Arc<Server> {
    static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());
    // A test that failed while it started the server leaves nothing that could be half done.
    let mut shared = SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(server) = shared.upgrade() {
        return server;
    }
    let server = Arc::new(Launch::new().cores(2).env("PAYMENT_CALLBACK_SIGN_KEY", SIGN_KEY).start());
    *shared = Arc::downgrade(&server);
    server
}
