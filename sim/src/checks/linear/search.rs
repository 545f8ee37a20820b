//! The search of Wing and Gong, with what Lowe adds to it: a state that was reached with the same operations done is not
//! searched from twice. Whether a history of calls and returns is one that a sequential object can give.

use std::collections::HashSet;
use std::hash::Hash;

/// A sequential object.
pub(super) trait Object {
    type State: Clone + Eq + Hash;
    type Op;

    /// The state after the operation with the answer that it was given; `None` where this state does not give it.
    fn step(&self, state: &Self::State, op: &Self::Op) -> Option<Self::State>;
}

/// An operation with the moments of its call and its return; `u64::MAX` for one that was never heard of.
#[derive(Debug, Clone)]
pub(super) struct Event<O> {
    pub called: u64,
    pub returned: u64,
    pub op: O,
}

/// The outcome of a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Linear,
    NotLinear,
    /// Too many ways to look at.
    GaveUp,
}

/// Looks for an order of the operations that respects calls and returns and that the object can give.
pub(super) fn search<M: Object>(
    object: &M,
    first: &M::State,
    events: &[Event<M::Op>],
    most: usize,
) -> Verdict {
    let mut order: Vec<usize> = (0..events.len()).collect();
    order.sort_unstable_by_key(|index| events[*index].called);
    let mut done = Done::new(events.len());
    let mut seen = HashSet::new();
    // Each entry: what was done last to come here, and the state from which the next candidate is tried.
    let mut stack = vec![(None, first.clone(), 0_usize)];
    let mut looks = 0;
    while let Some((_, state, candidate)) = stack.last_mut() {
        if done.count == events.len() {
            return Verdict::Linear;
        }
        looks += 1;
        if looks > most {
            return Verdict::GaveUp;
        }
        let next = candidates(events, &order, &done).nth(*candidate);
        *candidate += 1;
        let Some(index) = next else {
            let (last, ..) = stack.pop().expect("looked at above");
            if let Some(last) = last {
                done.clear(last);
            }
            continue;
        };
        let Some(after) = object.step(state, &events[index].op) else { continue };
        done.set(index);
        if seen.insert((done.bits.clone(), after.clone())) {
            stack.push((Some(index), after, 0));
        } else {
            done.clear(index);
        }
    }
    Verdict::NotLinear
}

/// The operations that may come next: not done, and called before anything else that is not done has returned.
fn candidates<'a, O>(
    events: &'a [Event<O>],
    order: &'a [usize],
    done: &'a Done,
) -> impl Iterator<Item = usize> + 'a {
    let open = || order.iter().copied().filter(|index| !done.get(*index));
    let mut first_return = u64::MAX;
    for index in open() {
        if events[index].called > first_return {
            break;
        }
        first_return = first_return.min(events[index].returned);
    }
    open().take_while(move |index| events[*index].called <= first_return)
}

#[derive(Debug)]
struct Done {
    bits: Vec<u64>,
    count: usize,
}

impl Done {
    fn new(length: usize) -> Done {
        Done { bits: vec![0; length.div_ceil(64)], count: 0 }
    }

    fn get(&self, index: usize) -> bool {
        self.bits[index / 64] & (1 << (index % 64)) != 0
    }

    fn set(&mut self, index: usize) {
        self.bits[index / 64] |= 1 << (index % 64);
        self.count += 1;
    }

    fn clear(&mut self, index: usize) {
        self.bits[index / 64] &= !(1 << (index % 64));
        self.count -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A register that begins at 0.
    struct Register;

    #[derive(Debug, Clone, Copy)]
    enum Op {
        Write(u8),
        Read(u8),
    }

    impl Object for Register {
        type State = u8;
        type Op = Op;

        fn step(&self, state: &u8, op: &Op) -> Option<u8> {
            match *op {
                Op::Write(value) => Some(value),
                Op::Read(value) => (value == *state).then_some(value),
            }
        }
    }

    use Op::{Read, Write};

    fn verdict(history: &[(u64, u64, Op)]) -> Verdict {
        let event = |&(called, returned, op): &(u64, u64, Op)| Event { called, returned, op };
        let events: Vec<_> = history.iter().map(event).collect();
        search(&Register, &0, &events, 100_000)
    }

    #[test]
    fn good_histories_are_linear() {
        let good: &[&[(u64, u64, Op)]] = &[
            &[],
            &[(0, 1, Read(0)), (2, 3, Write(1)), (4, 5, Read(1))],
            // Both reads overlap the write and may see either side of it.
            &[(0, 9, Write(1)), (1, 2, Read(0)), (3, 4, Read(1))],
            &[(0, 9, Write(1)), (1, 8, Read(1)), (2, 3, Read(0))],
            // A write that nobody heard of may have happened, and late.
            &[(0, u64::MAX, Write(1)), (1, 2, Read(0)), (3, 4, Read(1))],
            // Overlapping writes end in either order.
            &[(0, 5, Write(1)), (1, 4, Write(2)), (6, 7, Read(1))],
            &[(0, 5, Write(1)), (1, 4, Write(2)), (6, 7, Read(2))],
        ];
        for history in good {
            assert_eq!(verdict(history), Verdict::Linear, "{history:?}");
        }
    }

    #[test]
    fn bad_histories_are_not() {
        let bad: &[&[(u64, u64, Op)]] = &[
            &[(0, 1, Read(1))],
            // A stale read.
            &[(0, 1, Write(1)), (2, 3, Read(0))],
            // New, then old again.
            &[(0, 9, Write(1)), (1, 2, Read(1)), (3, 4, Read(0))],
            // A lost write.
            &[(0, 1, Write(1)), (2, 3, Write(2)), (4, 5, Read(1))],
            // Two readers that disagree about the order of two writes.
            &[(0, 9, Write(1)), (0, 9, Write(2)), (10, 11, Read(1)), (12, 13, Read(2))],
        ];
        for history in bad {
            assert_eq!(verdict(history), Verdict::NotLinear, "{history:?}");
        }
    }

    #[test]
    fn what_is_too_entangled_is_given_up() {
        let events: Vec<(u64, u64, Op)> =
            (0..60).map(|i| (0, 99, Write(i))).chain([(100, 101, Read(77))]).collect();
        assert_eq!(verdict(&events), Verdict::GaveUp);
    }
}
