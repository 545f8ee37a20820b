//! Engine time: starts at the later of the wall clock and the last logged time, goes with a clock that never jumps,
//! and is led gently towards the wall clock. Pure: both clocks are arguments.

use engine::ids::Time;

/// Engine time gains or loses at most one part in so many while it is led towards the wall clock.
const SLEW_PARTS: u64 = 50;

/// The two clocks of a machine, as a driver reads them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Clocks {
    /// Milliseconds since the Unix epoch; may jump.
    pub wall_ms: u64,
    /// Microseconds of a clock that never jumps and goes on while the machine sleeps (`CLOCK_BOOTTIME`).
    pub steady_us: u64,
}

impl Clocks {
    const fn steady_ms(self) -> u64 {
        self.steady_us / 1_000
    }
}

/// Engine time as a function of two clocks. One bad jump of the wall clock neither freezes deadlines nor ends them.
#[derive(Clone, Debug)]
pub struct Clock {
    time: Time,
    /// The steady clock when `time` was true, in milliseconds.
    steady_ms: u64,
    /// Milliseconds of slew that were due but did not make a whole one, times `SLEW_PARTS`.
    slew_rest: u64,
}

impl Clock {
    #[must_use]
    pub fn new(clocks: Clocks, last_logged: Time) -> Clock {
        let time = Time(clocks.wall_ms.max(last_logged.0));
        Clock { time, steady_ms: clocks.steady_ms(), slew_rest: 0 }
    }

    /// The time now. Never less than what was returned or [`Clock::advance`]d to before.
    pub fn now(&mut self, clocks: Clocks) -> Time {
        let (wall_ms, steady_ms) = (clocks.wall_ms, clocks.steady_ms());
        let passed = steady_ms.saturating_sub(self.steady_ms);
        self.steady_ms = self.steady_ms.max(steady_ms);
        let steady = self.time.0 + passed;
        let allowance = passed + self.slew_rest;
        let slew_max = allowance / SLEW_PARTS;
        self.slew_rest = allowance % SLEW_PARTS;
        let led = if wall_ms >= steady {
            steady + (wall_ms - steady).min(slew_max)
        } else {
            steady - (steady - wall_ms).min(slew_max)
        };
        self.time = Time(led.max(self.time.0));
        self.time
    }

    /// Another core's time is ahead: what it has said has happened.
    pub fn advance(&mut self, to: Time) {
        self.time = self.time.max(to);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn clocks(wall_ms: u64, steady_ms: u64) -> Clocks {
        Clocks { wall_ms, steady_us: steady_ms * 1_000 }
    }

    #[test]
    fn starts_at_the_later_of_wall_and_log() {
        assert_eq!(Clock::new(clocks(1_000, 5), Time(700)).now(clocks(1_000, 5)), Time(1_000));
        assert_eq!(Clock::new(clocks(1_000, 5), Time(7_000)).now(clocks(1_000, 5)), Time(7_000));
    }

    #[test]
    fn follows_the_steady_clock() {
        let mut clock = Clock::new(clocks(1_000_000, 0), Time(0));
        for ms in 1..1_000 {
            assert_eq!(clock.now(clocks(1_000_000 + ms, ms)), Time(1_000_000 + ms));
        }
    }

    #[test]
    fn a_jump_of_the_wall_clock_is_followed_slowly() {
        const DAY_MS: u64 = 86_400_000;
        for wall_start in [0, 30 * DAY_MS] {
            let mut clock = Clock::new(clocks(10 * DAY_MS, 0), Time(0));
            let mut last = Time(0);
            for steady in (0..=100_000).step_by(10) {
                let now = clock.now(clocks(wall_start + steady, steady));
                assert!(now >= last, "never backwards");
                let passed = now.0 - 10 * DAY_MS;
                assert!(passed.abs_diff(steady) <= steady / SLEW_PARTS + 1, "{passed} after {steady}");
                last = now;
            }
            // It is led all the same, by a fiftieth of what passed, and towards the wall clock.
            let passed = last.0 - 10 * DAY_MS;
            assert!(passed.abs_diff(100_000) >= 1_900);
            assert_eq!(passed > 100_000, wall_start > 10 * DAY_MS, "{passed} of 100000");
        }
    }

    #[test]
    fn arrives_at_the_wall_clock_and_stays() {
        let mut clock = Clock::new(clocks(1_000_000, 0), Time(1_000_100));
        assert_eq!(clock.now(clocks(1_010_000, 10_000)), Time(1_010_000));
        assert_eq!(clock.now(clocks(1_020_000, 20_000)), Time(1_020_000));
    }

    /// Only forwards, and time goes on from there.
    #[test]
    fn another_cores_time_is_caught_up_with() {
        let mut clock = Clock::new(clocks(1_000, 0), Time(0));
        clock.advance(Time(900));
        assert_eq!(clock.now(clocks(1_010, 10)), Time(1_010));
        clock.advance(Time(5_000));
        assert_eq!(clock.now(clocks(5_001, 11)), Time(5_001));
    }

    #[test]
    fn a_steady_clock_that_stands_still_moves_nothing() {
        let mut clock = Clock::new(clocks(1_000, 50), Time(0));
        assert_eq!(clock.now(clocks(9_000, 50)), Time(1_000));
        assert_eq!(clock.now(clocks(9_000, 40)), Time(1_000));
    }
}
