//! The turns of a core: what the calendar showed in each, which is the earlier of engine time and wall clock, and how far the read model was
//! known to have its log.

use engine::ids::Time;

#[derive(Clone, Debug, Default)]
pub(super) struct Turns(Vec<Turn>);

#[derive(Clone, Copy, Debug)]
struct Turn {
    calendar: Time,
    /// Engine time at its end.
    ended: Time,
    /// The last record of the core that the read model is relied on for.
    relied: Option<u64>,
    /// The latest that the calendar has shown so far.
    latest: Time,
}

impl Turns {
    pub(super) fn push(&mut self, calendar: Time, ended: Time, relied: Option<u64>) {
        let latest = self.latest().max(calendar);
        self.0.push(Turn { calendar, ended, relied, latest });
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Those in which it can have been this engine time.
    fn with(&self, time: Time) -> impl Iterator<Item = &Turn> {
        let began = |place: usize| if place == 0 { Time(0) } else { self.0[place - 1].ended };
        let turns = self.0.iter().enumerate().rev().take_while(move |(_, turn)| turn.ended >= time);
        turns.filter(move |(place, _)| began(*place) <= time).map(|(_, turn)| turn)
    }

    /// The calendar in the turns in which it can have been this engine time.
    pub(super) fn at(&self, time: Time) -> Vec<Time> {
        distinct(self.with(time).map(|turn| turn.calendar))
    }

    /// The furthest that the read model was relied on in one of those turns.
    pub(super) fn relied(&self, time: Time) -> Option<u64> {
        self.with(time).filter_map(|turn| turn.relied).max()
    }

    /// The latest that the calendar has shown.
    pub(super) fn latest(&self) -> Time {
        self.0.last().map(|turn| turn.latest).unwrap_or_default()
    }

    /// In the turns after the first so many.
    pub(super) fn since(&self, turns: usize) -> Vec<Time> {
        distinct(self.0[turns..].iter().map(|turn| turn.calendar))
    }
}

fn distinct(calendars: impl Iterator<Item = Time>) -> Vec<Time> {
    let mut calendars: Vec<Time> = calendars.collect();
    calendars.sort_unstable();
    calendars.dedup();
    calendars
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_knows_the_turns_that_it_can_be_of() {
        let mut turns = Turns::default();
        for (calendar, ended) in [(5, 10), (6, 20), (7, 20), (30, 40)] {
            turns.push(Time(calendar), Time(ended), Some(calendar));
        }
        let at = |time| turns.at(Time(time)).into_iter().map(|at| at.0).collect::<Vec<_>>();
        assert_eq!(at(9), [5]);
        assert_eq!(at(10), [5, 6]);
        assert_eq!(at(15), [6]);
        assert_eq!(at(20), [6, 7, 30]);
        assert_eq!(at(21), [30]);
        assert_eq!(turns.since(2), [Time(7), Time(30)]);
        assert_eq!([9, 10, 21, 41].map(|time| turns.relied(Time(time))), [Some(5), Some(6), Some(30), None]);
        assert_eq!(turns.latest(), Time(30));
    }
}
