//! Wall clocks that are wrong: they jump while a process runs, and are days off when one starts.

use crate::counters::Covered;
use crate::world::World;

const DAY_MS: u64 = 86_400_000;

/// While a process runs.
pub(super) fn jump(world: &mut World) {
    let by = *world.rng.pick(&[50, 5_000, 60_000, 2 * DAY_MS]);
    if world.rng.percent(50) {
        world.machine.wall_us += by * 1_000;
        world.coverage.count(Covered::ClockForwards);
        world.history.note(format_args!("the wall clock jumps {by} ms forwards"));
    } else {
        world.machine.wall_us = world.machine.wall_us.saturating_sub(by * 1_000);
        world.coverage.count(Covered::ClockBackwards);
        world.history.note(format_args!("the wall clock jumps {by} ms backwards"));
    }
}

/// Before a start: days ahead of what it was, or behind.
pub(crate) fn set_wrong(world: &mut World) {
    let days = world.rng.between(1, 5);
    let by = days * DAY_MS * 1_000;
    let is_ahead = world.rng.percent(50);
    let wall_us = &mut world.machine.wall_us;
    *wall_us = if is_ahead { *wall_us + by } else { wall_us.saturating_sub(by) };
    let way = if is_ahead { "ahead" } else { "behind" };
    world.history.note(format_args!("the wall clock is {days} days {way}"));
}
