//! Replay window: tells the second copy of an ask from another ask.
//!
//! A fact means the same however often it is told. An ask that is answered twice may be done twice, the second time for
//! somebody who was told no; so the second copy is dropped. The algorithm is the anti-replay window of IPsec
//! (RFC 4303, section 3.4.3).

use engine::ids::SlotId;
use engine::slots::core_of;

/// Width of the window. Rings keep the order of what they carry, so that one would do.
const WINDOW: u64 = u64::BITS as u64;

/// The numbers of asks between this core and each other one, both ways. Like asks they are memory only: all cores of a process
/// begin and end together.
#[derive(Debug)]
pub(crate) struct AskNumbers {
    core: u16,
    /// The last number given to an ask for each core.
    sent: Vec<u64>,
    received: Vec<ReplayWindow>,
}

impl AskNumbers {
    pub(crate) fn new(core: u16, cores: u16) -> AskNumbers {
        let received = (0..cores).map(|_| ReplayWindow::default()).collect();
        AskNumbers { core, sent: vec![0; usize::from(cores)], received }
    }

    /// The number of the next ask to a slot's core; 0 within this core, where nothing is doubled.
    pub(crate) fn next(&mut self, to: SlotId) -> u64 {
        let core = core_of(to, self.sent.len() as u16);
        if core == self.core {
            return 0;
        }
        let sent = &mut self.sent[usize::from(core)];
        *sent += 1;
        *sent
    }

    /// Notes an ask that has come from a slot of another core, and says whether it is the first of its number.
    pub(crate) fn is_first(&mut self, from: SlotId, number: u64) -> bool {
        let core = core_of(from, self.sent.len() as u16);
        self.received[usize::from(core)].is_first(number)
    }
}

/// The asks that have come from one core.
#[derive(Debug, Default)]
struct ReplayWindow {
    latest: u64,
    /// Bit `n`: the ask `latest - n` has come.
    seen: u64,
}

impl ReplayWindow {
    /// Notes a number, and says whether it came for the first time. One from before the window is taken for a repeat.
    fn is_first(&mut self, number: u64) -> bool {
        if number > self.latest {
            let ahead = number - self.latest;
            self.seen = if ahead < WINDOW { self.seen << ahead | 1 } else { 1 };
            self.latest = number;
            return true;
        }
        let behind = self.latest - number;
        let is_first = behind < WINDOW && self.seen >> behind & 1 == 0;
        if is_first {
            self.seen |= 1 << behind;
        }
        is_first
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Against a set of all that came.
    fn check(numbers: impl IntoIterator<Item = u64>) {
        let (mut window, mut all) = (ReplayWindow::default(), BTreeSet::new());
        for number in numbers {
            let long_ago = all.last().is_some_and(|latest| latest - number.min(*latest) >= WINDOW);
            let expected = all.insert(number) && !long_ago;
            assert_eq!(window.is_first(number), expected, "{number} after {:?}", all.last());
        }
    }

    #[test]
    fn each_number_is_taken_once() {
        check(1..500);
        check([1, 1, 2, 1, 3, 3, 2, 4]);
        check([5, 3, 4, 3, 5, 1, 2, 2, 6]);
        check([1, 64, 1, 2, 65, 2, 1, 66, 3]);
        check([1, 65, 1, 2, 129, 65, 66]);
        check([1, 200, 137, 136, 137, 199, 201, 137]);
        check((1..300u64).flat_map(|n| [n * 7 % 64 + n, n, n.saturating_sub(70).max(1)]));
    }
}
