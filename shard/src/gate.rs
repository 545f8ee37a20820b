//! Nothing leaves before what it shows is durable.

use std::collections::{BTreeMap, VecDeque};

use wal::Lsn;

/// Outputs, each held back until the log is durable up to its gate.
#[derive(Debug)]
pub(crate) struct Gate<T> {
    ready: VecDeque<T>,
    held: BTreeMap<Lsn, Vec<T>>,
}

impl<T> Gate<T> {
    pub(crate) fn new() -> Gate<T> {
        Gate { ready: VecDeque::new(), held: BTreeMap::new() }
    }

    pub(crate) fn push(&mut self, gate: Lsn, durable: Lsn, output: T) {
        if gate <= durable {
            self.ready.push_back(output);
        } else {
            self.held.entry(gate).or_default().push(output);
        }
    }

    pub(crate) fn open(&mut self, durable: Lsn) {
        while let Some(entry) = self.held.first_entry()
            && *entry.key() <= durable
        {
            self.ready.extend(entry.remove());
        }
    }

    pub(crate) fn pop(&mut self) -> Option<T> {
        self.ready.pop_front()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ready.is_empty() && self.held.is_empty()
    }

    pub(crate) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
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
        assert_eq!(gate.pop(), Some("first"));
        assert_eq!(gate.pop(), None);
        gate.open(Lsn(2));
        assert_eq!(gate.pop(), Some("second"));
        assert_eq!(gate.pop(), None);
        assert!(!gate.is_empty());
        gate.open(Lsn(3));
        assert_eq!((gate.pop(), gate.pop()), (Some("third"), Some("fourth")));
        assert!(gate.is_empty());
    }
}
