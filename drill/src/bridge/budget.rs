//! How many orders the clients may create: the drill lets them have some before each trouble and some while it lasts.

use std::sync::{Condvar, Mutex, MutexGuard};

/// Orders that clients may create, and are at work on.
#[derive(Debug, Default)]
pub struct Budget {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    released: u64,
    taken: u64,
    is_closed: bool,
}

impl Budget {
    /// Lets the clients create so many more.
    pub fn release(&self, orders: u64) {
        self.lock().released += orders;
        self.changed.notify_all();
    }

    /// No more will come: whoever waits for one is sent away once all are taken.
    pub fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_all();
    }

    /// Waits for an order to create. False where none will come.
    pub fn take(&self) -> bool {
        let is_waiting = |state: &mut State| state.taken == state.released && !state.is_closed;
        let mut state = self.changed.wait_while(self.lock(), is_waiting).expect("no client has failed");
        let is_left = state.taken < state.released;
        state.taken += u64::from(is_left);
        is_left
    }

    /// Takes orders that may be created now, without a wait.
    pub fn take_at_most(&self, most: u64) -> u64 {
        let mut state = self.lock();
        let taken = most.min(state.released - state.taken);
        state.taken += taken;
        taken
    }

    /// Orders that nobody has taken yet.
    #[must_use]
    pub fn left(&self) -> u64 {
        let state = self.lock();
        state.released - state.taken
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no client has failed")
    }
}
