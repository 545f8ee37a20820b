//! The sending end to one other core: a bounded ring, the parcels that wait because it is full, and the waker of the other side.
//!
//! Ring and waker are given, so that every order of steps between two cores can be tried on this very code (`model.rs`).

use std::collections::VecDeque;

use net::runtime::CoreWaker;
use rtrb::Producer;

/// The sending end of a bounded queue.
pub(super) trait Ring<T> {
    fn is_full(&self) -> bool;
    /// Puts one more in and publishes it. It is not full.
    fn push(&mut self, item: T);
}

impl<T> Ring<T> for Producer<T> {
    fn is_full(&self) -> bool {
        Producer::is_full(self)
    }

    fn push(&mut self, item: T) {
        assert!(Producer::push(self, item).is_ok(), "the caller has seen room, and nobody else fills it");
    }
}

/// Wakes the other side.
pub(super) trait Wake {
    fn wake(&self);
}

impl Wake for CoreWaker {
    fn wake(&self) {
        CoreWaker::wake(self);
    }
}

#[derive(Debug)]
pub(super) struct Outgoing<T, R, B> {
    ring: R,
    waiting: VecDeque<T>,
    waker: B,
}

impl<T, R: Ring<T>, B: Wake> Outgoing<T, R, B> {
    pub(super) fn new(ring: R, waker: B) -> Outgoing<T, R, B> {
        Outgoing { ring, waiting: VecDeque::new(), waker }
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn send(&mut self, item: T) {
        self.waiting.push_back(item);
    }

    /// Moves what waits into the ring as far as there is room, and wakes the other side if it got something: after the last
    /// of it is published, or a receiver that is awake by then could go to sleep beside it.
    pub(super) fn flush(&mut self) {
        let before = self.waiting.len();
        while !self.ring.is_full()
            && let Some(item) = self.waiting.pop_front()
        {
            self.ring.push(item);
        }
        if self.waiting.len() < before {
            self.waker.wake();
        }
    }
}
