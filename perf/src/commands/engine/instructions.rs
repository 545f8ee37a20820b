//! Operations for callgrind: it counts instructions while [`measured_part`] runs and nowhere else.
//!
//! Instructions hardly depend on the machine, and not at all on who else uses it: they can decide a test.

use engine::command::Command;
use jiff::civil::{Date, date};
use timetable::Timetable;

use super::days_before;
use super::world::{World, hold_of};
use crate::demand::Demand;

/// Any day of the built-in timetable, but always the same one; of another timetable the nearest to it.
const DATE: Date = date(2027, 3, 1);
/// Few enough that no train is sold out.
const HELD_BEFORE: u64 = 1_000;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation {
    Hold,
    Repeat,
    Confirm,
    Release,
    Availability,
    Expire,
}

impl Operation {
    pub const ALL: [Operation; 6] = [
        Operation::Hold,
        Operation::Repeat,
        Operation::Confirm,
        Operation::Release,
        Operation::Availability,
        Operation::Expire,
    ];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Operation::Hold => "hold",
            Operation::Repeat => "repeat",
            Operation::Confirm => "confirm",
            Operation::Release => "release",
            Operation::Availability => "availability",
            Operation::Expire => "expire",
        }
    }

    #[must_use]
    pub fn by_name(name: &str) -> Option<Operation> {
        Operation::ALL.into_iter().find(|operation| operation.name() == name)
    }
}

/// Runs an operation on a thousand other holds of one day, and gives how often: what callgrind collects is divided by it.
///
/// # Panics
/// If an operation is refused.
#[must_use]
pub fn count(operation: Operation, timetable: Timetable) -> u64 {
    let (first, last) = timetable.dates().expect("there are runs");
    let date = DATE.clamp(first, last);
    let demand = Demand::new(&timetable, &[date]);
    let mut world = World::new(timetable, days_before(date, 2));
    let mut chance = fastrand::Rng::with_seed(1);
    let mut wishes = (1..).map(|id| (id, demand.draw(&mut chance)));
    let before: Vec<Command> = wishes
        .by_ref()
        .take(HELD_BEFORE as usize)
        .map(|(id, wish)| world.try_hold(&demand, &wish, id))
        .collect();
    let held: Vec<Command> = before.into_iter().filter(|command| world.run(command).is_ok()).collect();
    let end =
        |make: fn(engine::command::HoldRef) -> Command| held.iter().filter_map(hold_of).map(make).collect();
    let commands: Vec<Command> = match operation {
        Operation::Hold => {
            let next: Vec<_> = wishes.take(HELD_BEFORE as usize).collect();
            next.into_iter().map(|(id, wish)| world.try_hold(&demand, &wish, id)).collect()
        }
        Operation::Repeat => held.clone(),
        Operation::Confirm => end(Command::ConfirmHold),
        Operation::Release => end(Command::ReleaseHold),
        Operation::Availability => held
            .iter()
            .filter_map(|command| match command {
                Command::TryHold(seats) => {
                    Some(Command::Availability { partition: seats.partition.clone(), span: seats.span })
                }
                _ => None,
            })
            .collect(),
        Operation::Expire => Vec::new(),
    };
    if operation == Operation::Expire {
        world.now = world.now.plus(130_000);
        measured_part(&mut || world.run_due());
        assert_eq!(world.expired, held.len() as u64);
        return world.expired;
    }
    let mut done = 0;
    measured_part(&mut || done = commands.iter().filter(|command| world.run(command).is_ok()).count());
    // The most wanted train may sell out; nearly all must go through, or this measures refusals.
    assert!(done * 10 >= commands.len() * 9, "{done} of {} {}s", commands.len(), operation.name());
    commands.len() as u64
}

/// The measured part, which callgrind counts (`--toggle-collect`).
#[inline(never)]
fn measured_part(part: &mut dyn FnMut()) {
    part();
    // Keeps the call above from becoming a jump, which callgrind would not see return.
    std::hint::black_box(());
}
