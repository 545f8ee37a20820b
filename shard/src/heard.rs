//! Which asks of another core have come. A fact means the same however often it is told; an ask that is answered twice may be
//! done twice, the second time for somebody who was told no. So the second copy of an ask is dropped.

/// So many numbers behind the latest are told apart. Rings keep the order of what they carry, so that one would do.
const REMEMBERED: u64 = u64::BITS as u64;

/// The asks of one core. Like them it is memory only: all cores of a process begin and end together.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    latest: u64,
    /// Bit `n`: the ask `latest - n` has come.
    seen: u64,
}

impl Heard {
    /// Notes an ask by its number, and says whether it is the first of that number. One from too long ago is taken for a repeat.
    pub(crate) fn is_first(&mut self, number: u64) -> bool {
        if number > self.latest {
            let ahead = number - self.latest;
            self.seen = if ahead < REMEMBERED { self.seen << ahead | 1 } else { 1 };
            self.latest = number;
            return true;
        }
        let behind = self.latest - number;
        let is_first = behind < REMEMBERED && self.seen >> behind & 1 == 0;
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
        let (mut heard, mut all) = (Heard::default(), BTreeSet::new());
        for number in numbers {
            let long_ago = all.last().is_some_and(|latest| latest - number.min(*latest) >= REMEMBERED);
            let expected = all.insert(number) && !long_ago;
            assert_eq!(heard.is_first(number), expected, "{number} after {:?}", all.last());
        }
    }

    #[test]
    fn each_number_is_heard_once() {
        check(1..500);
        check([1, 1, 2, 1, 3, 3, 2, 4]);
        check([5, 3, 4, 3, 5, 1, 2, 2, 6]);
        check([1, 64, 1, 2, 65, 2, 1, 66, 3]);
        check([1, 65, 1, 2, 129, 65, 66]);
        check([1, 200, 137, 136, 137, 199, 201, 137]);
        check((1..300u64).flat_map(|n| [n * 7 % 64 + n, n, n.saturating_sub(70).max(1)]));
    }
}
