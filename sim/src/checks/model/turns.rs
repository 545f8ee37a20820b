//! The turns of a core: what the calendar showed in each, which is the earlier of engine time and wall clock.

use engine::ids::Time;

#[derive(Clone, Debug, Default)]
pub(super) struct Turns(Vec<Turn>);

#[derive(Clone, Copy, Debug)]
struct Turn {
    calendar: Time,
    /// Engine time at its end.
    ended: Time,
}

impl Turns {
    pub(super) fn push(&mut self, calendar: Time, ended: Time) {
        self.0.push(Turn { calendar, ended });
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// In the turns in which it can have been this engine time.
    pub(super) fn at(&self, time: Time) -> Vec<Time> {
        let began = |place: usize| if place == 0 { Time(0) } else { self.0[place - 1].ended };
        let turns = self.0.iter().enumerate().rev().take_while(|(_, turn)| turn.ended >= time);
        distinct(turns.filter(|(place, _)| began(*place) <= time).map(|(_, turn)| turn.calendar))
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
            turns.push(Time(calendar), Time(ended));
        }
        let at = |time| turns.at(Time(time)).into_iter().map(|at| at.0).collect::<Vec<_>>();
        assert_eq!(at(9), [5]);
        assert_eq!(at(10), [5, 6]);
        assert_eq!(at(15), [6]);
        assert_eq!(at(20), [6, 7, 30]);
        assert_eq!(at(21), [30]);
        assert_eq!(turns.since(2), [Time(7), Time(30)]);
    }
}
