//! A seat on one segment as a sequential object: one holder at a time, and nobody comes back who has given it up.

use engine::ids::Time;

use super::search::Object;

/// A hold, by its place among those of a partition.
pub(super) type Who = usize;

/// The holder of the seat, and those who have had it.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct State {
    holder: Option<Who>,
    /// It is sold: nobody else gets it any more.
    sold: bool,
    /// Sorted.
    ended: Vec<Who>,
}

/// The statement of an answer about the seat.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Says {
    /// It has the seat.
    Has,
    /// It has bought the seat.
    Sold,
    /// It does not have the seat any more.
    Ended,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub who: Who,
    pub says: Says,
    /// The return of the request that saw it.
    pub returned: u64,
    /// The latest time on any core by then.
    pub time: Time,
}

/// When each hold can have ended: from the first request on that would end it, or from its deadline on.
#[derive(Debug, Default)]
pub(super) struct SeatObject {
    pub asked_to_end: Vec<Option<u64>>,
    pub deadlines: Vec<Time>,
    /// When the partition was forgotten with what was sold of it.
    pub let_go_at: Option<Time>,
}

impl SeatObject {
    fn may_end(&self, who: Who, seen: &Seen) -> bool {
        let asked = self.asked_to_end[who].is_some_and(|called| called < seen.returned);
        asked || self.deadlines[who] <= seen.time
    }
}

impl SeatObject {
    fn is_let_go(&self, seen: &Seen) -> bool {
        self.let_go_at.is_some_and(|at| at <= seen.time)
    }
}

impl State {
    fn end(&mut self, who: Who) {
        if let Err(place) = self.ended.binary_search(&who) {
            self.ended.insert(place, who);
        }
    }
}

impl Object for SeatObject {
    type State = State;
    type Op = Seen;

    fn step(&self, state: &State, seen: &Seen) -> Option<State> {
        let mut next = state.clone();
        if seen.says == Says::Ended {
            if state.holder == Some(seen.who) {
                if state.sold {
                    return None;
                }
                next.holder = None;
            }
            next.end(seen.who);
            return Some(next);
        }
        if state.ended.binary_search(&seen.who).is_ok() {
            return None;
        }
        match state.holder {
            Some(who) if who == seen.who => {}
            Some(other) => {
                let may_end = if state.sold { self.is_let_go(seen) } else { self.may_end(other, seen) };
                if !may_end {
                    return None;
                }
                next.sold = false;
                next.end(other);
            }
            None => {}
        }
        next.holder = Some(seen.who);
        next.sold |= seen.says == Says::Sold;
        Some(next)
    }
}
