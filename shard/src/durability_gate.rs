//! Durability gate: nothing leaves before what it shows is durable.

use std::collections::VecDeque;

use wal::Lsn;

/// A queue of outputs, each held back until the log is durable up to its `visible_at`. [`push`](DurabilityGate::push) puts one
/// in, [`open`](DurabilityGate::open) says how far the log is durable, [`pop`](DurabilityGate::pop) takes out what may leave.
#[derive(Debug)]
pub(crate) struct DurabilityGate<T> {
    ready: VecDeque<T>,
    /// By `visible_at`, then as they came. Nearly every output has a later one than those before it.
    held: VecDeque<(Lsn, T)>,
    durable: Lsn,
}

impl<T> DurabilityGate<T> {
    pub(crate) fn new() -> DurabilityGate<T> {
        DurabilityGate { ready: VecDeque::new(), held: VecDeque::new(), durable: Lsn(0) }
    }

    pub(crate) fn push(&mut self, visible_at: Lsn, output: T) {
        if visible_at <= self.durable {
            self.ready.push_back(output);
        } else if self.held.back().is_none_or(|(last, _)| *last <= visible_at) {
            self.held.push_back((visible_at, output));
        } else {
            let place = self.held.partition_point(|(before, _)| *before <= visible_at);
            self.held.insert(place, (visible_at, output));
        }
    }

    pub(crate) fn open(&mut self, durable: Lsn) {
        self.durable = durable;
    }

    pub(crate) fn pop(&mut self) -> Option<T> {
        // What was held back came before what is ready since.
        let opened = self.held.pop_front_if(|(at, _)| *at <= self.durable).map(|(_, output)| output);
        opened.or_else(|| self.ready.pop_front())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ready.is_empty() && self.held.is_empty()
    }

    pub(crate) fn has_ready(&self) -> bool {
        !self.ready.is_empty() || self.held.front().is_some_and(|(at, _)| *at <= self.durable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_back_until_durable_and_keeps_order() {
        let mut gate = DurabilityGate::new();
        gate.open(Lsn(1));
        gate.push(Lsn(3), "third");
        gate.push(Lsn(1), "first");
        gate.push(Lsn(2), "second");
        gate.push(Lsn(3), "fourth");
        assert!(gate.has_ready());
        assert_eq!(gate.pop(), Some("first"));
        assert!(!gate.has_ready());
        assert_eq!(gate.pop(), None);
        gate.open(Lsn(2));
        assert!(gate.has_ready());
        gate.push(Lsn(2), "ready since");
        assert_eq!(gate.pop(), Some("second"));
        assert_eq!(gate.pop(), Some("ready since"));
        assert_eq!(gate.pop(), None);
        assert!(!gate.has_ready() && !gate.is_empty());
        gate.open(Lsn(3));
        assert_eq!((gate.pop(), gate.pop()), (Some("third"), Some("fourth")));
        assert!(gate.is_empty());
    }
}
