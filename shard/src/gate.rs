//! Nothing leaves before what it shows is durable.

use std::collections::VecDeque;

use wal::Lsn;

/// Outputs, each held back until the log is durable up to its gate.
#[derive(Debug)]
pub(crate) struct Gate<T> {
    ready: VecDeque<T>,
    /// By gate, then as they came. Nearly every output has a later gate than the ones before it.
    held: VecDeque<(Lsn, T)>,
    /// How far the log is durable.
    open: Lsn,
}

impl<T> Gate<T> {
    pub(crate) fn new() -> Gate<T> {
        Gate { ready: VecDeque::new(), held: VecDeque::new(), open: Lsn(0) }
    }

    pub(crate) fn push(&mut self, gate: Lsn, durable: Lsn, output: T) {
        if gate <= durable {
            self.ready.push_back(output);
        } else if self.held.back().is_none_or(|(last, _)| *last <= gate) {
            self.held.push_back((gate, output));
        } else {
            let place = self.held.partition_point(|(before, _)| *before <= gate);
            self.held.insert(place, (gate, output));
        }
    }

    pub(crate) fn open(&mut self, durable: Lsn) {
        self.open = durable;
    }

    pub(crate) fn pop(&mut self) -> Option<T> {
        // What was held back came before what is ready since.
        let opened = self.held.pop_front_if(|(gate, _)| *gate <= self.open).map(|(_, output)| output);
        opened.or_else(|| self.ready.pop_front())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ready.is_empty() && self.held.is_empty()
    }

    pub(crate) fn has_ready(&self) -> bool {
        !self.ready.is_empty() || self.held.front().is_some_and(|(gate, _)| *gate <= self.open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_back_until_durable_and_keeps_order() {
        let mut gate = Gate::new();
        gate.push(Lsn(3), Lsn(1), "third");
        gate.push(Lsn(1), Lsn(1), "first");
        gate.push(Lsn(2), Lsn(1), "second");
        gate.push(Lsn(3), Lsn(1), "fourth");
        assert!(gate.has_ready());
        assert_eq!(gate.pop(), Some("first"));
        assert!(!gate.has_ready());
        assert_eq!(gate.pop(), None);
        gate.open(Lsn(2));
        assert!(gate.has_ready());
        gate.push(Lsn(2), Lsn(2), "ready since");
        assert_eq!(gate.pop(), Some("second"));
        assert_eq!(gate.pop(), Some("ready since"));
        assert_eq!(gate.pop(), None);
        assert!(!gate.has_ready() && !gate.is_empty());
        gate.open(Lsn(3));
        assert_eq!((gate.pop(), gate.pop()), (Some("third"), Some("fourth")));
        assert!(gate.is_empty());
    }
}
