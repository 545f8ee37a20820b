//! `perf engine`: decide and apply alone, without log, messages and network.
//!
//! A day of the national timetable: wishes come one after another, most of the holds are paid (confirmed) after a while, some are given
//! back, some are left to expire. Orders are not in it: they are messages between slots, which are the shard's business.

mod image;
mod instructions;
mod memory;
mod world;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::path::{Path, PathBuf};

use engine::command::Command;
use engine::ids::Time;
use serde::Serialize;
use timetable::{Date, DateWindow, Timetable};

use crate::demand::Demand;
use crate::limits::DRAWN_AHEAD;
use crate::machine;
use crate::report::{Page, Report};
use image::ImageFigures;
use memory::Memory;
use world::hold_of;

pub use instructions::{Operation, count};
pub(super) use world::World;

/// Of a hundred holds: paid, given back; the others expire.
const PAID_PERCENT: u32 = 70;
const GIVEN_BACK_PERCENT: u32 = 15;
/// A hold is paid or given back within so many milliseconds; it lasts 120 seconds.
const THINKING_MS: u64 = 110_000;
const DAY_MS: u64 = 86_400_000;
/// Between two looks at what is due.
const DUE_EVERY_MS: u64 = 1_000;

#[derive(Debug, Serialize)]
struct EngineReport {
    command: String,
    machine: String,
    feed: String,
    seed: u64,
    holds_asked: u64,
    holds_made: u64,
    holds_refused: u64,
    paid: u64,
    given_back: u64,
    expired: u64,
    /// Decided and applied, refused or made by time alone.
    operations: u64,
    records: u64,
    cpu_seconds: f64,
    operations_per_core_second: f64,
    partitions_open: u64,
    memory: Memory,
    image: ImageFigures,
}

/// # Errors
/// If the feed cannot be read or the report cannot be written.
pub fn run(
    feed: Option<&Path>,
    feed_name: &str,
    holds: u64,
    seed: u64,
    command: &str,
    out: &Path,
) -> io::Result<PathBuf> {
    let timetable = load(feed)?;
    let first = timetable.dates().ok_or_else(|| io::Error::other("the feed has no dates"))?.0;
    // Of the built-in timetable, which begins in the past, any day does: the world has a clock of its own.
    let date = first.checked_add(jiff::Span::new().days(7)).map_err(io::Error::other)?;
    let demand = Demand::new(&timetable, &[date]);
    let memory = Memory::measure(&timetable, &demand, date, holds / 4, seed);
    let image = ImageFigures::measure();
    let mut day = Day::new(World::new(timetable, days_before(date, 2)), &demand, holds, seed);
    let cpu_ns = day.run();
    let operations = day.asked + day.paid + day.given_back + day.world.expired;
    let report = EngineReport {
        command: command.to_owned(),
        machine: machine::describe(),
        feed: feed_name.to_owned(),
        seed,
        holds_asked: day.asked,
        holds_made: day.asked - day.refused,
        holds_refused: day.refused,
        paid: day.paid,
        given_back: day.given_back,
        expired: day.world.expired,
        operations,
        records: day.world.records,
        cpu_seconds: cpu_ns as f64 / 1e9,
        operations_per_core_second: operations as f64 * 1e9 / cpu_ns.max(1) as f64,
        partitions_open: day.world.partitions(),
        memory,
        image,
    };
    write(&report, out)
}

pub fn load(feed: Option<&Path>) -> io::Result<Timetable> {
    match feed {
        Some(feed) => Timetable::load_strict(feed, None, DateWindow::WHOLE).map_err(io::Error::other),
        None => Ok(Timetable::built_in(DateWindow::WHOLE)),
    }
}

fn days_before(date: Date, days: i64) -> Time {
    let midnight =
        date.to_zoned(jiff::tz::TimeZone::UTC).map_or(0, |zoned| zoned.timestamp().as_millisecond());
    Time(u64::try_from(midnight).unwrap_or(0).saturating_sub(days as u64 * DAY_MS))
}

/// A day's demand for one date, two days before it.
struct Day<'a> {
    world: World,
    demand: &'a Demand,
    chance: fastrand::Rng,
    /// Holds still to be asked for.
    left: u64,
    gap_ms: f64,
    asked: u64,
    refused: u64,
    paid: u64,
    given_back: u64,
    /// Ends that people have in mind: when, and the place in `ends`.
    agenda: BinaryHeap<Reverse<(u64, usize)>>,
    ends: Vec<Option<Command>>,
    free: Vec<usize>,
}

impl<'a> Day<'a> {
    fn new(world: World, demand: &'a Demand, holds: u64, seed: u64) -> Day<'a> {
        Day {
            world,
            demand,
            chance: fastrand::Rng::with_seed(seed),
            left: holds,
            gap_ms: DAY_MS as f64 / holds as f64,
            asked: 0,
            refused: 0,
            paid: 0,
            given_back: 0,
            agenda: BinaryHeap::new(),
            ends: Vec::new(),
            free: Vec::new(),
        }
    }

    /// Runs the day and gives the CPU time that the engine took. Wishes are drawn in between and not counted.
    fn run(&mut self) -> u64 {
        let began = self.world.now.0;
        let mut cpu_ns = 0;
        while self.left > 0 {
            let count = self.left.min(DRAWN_AHEAD as u64);
            let wishes: Vec<Command> = (0..count)
                .map(|i| {
                    let wish = self.demand.draw(&mut self.chance);
                    self.world.try_hold(self.demand, &wish, self.asked + i + 1)
                })
                .collect();
            let before = machine::own_cpu_ns();
            for command in wishes {
                let now = began + (self.asked as f64 * self.gap_ms) as u64;
                self.until(now);
                self.hold(command);
            }
            cpu_ns += machine::own_cpu_ns() - before;
            self.left -= count;
        }
        cpu_ns
    }

    /// Time goes on; what people had in mind meanwhile is done, and what is due.
    fn until(&mut self, now: u64) {
        while let Some(Reverse((at, index))) =
            self.agenda.peek().copied().filter(|Reverse((at, _))| *at <= now)
        {
            self.agenda.pop();
            self.advance(at);
            let end = self.ends[index].take().expect("an end is in the agenda once");
            self.free.push(index);
            let is_paid = matches!(end, Command::ConfirmHold(_));
            if self.world.run(&end).is_ok() {
                *(if is_paid { &mut self.paid } else { &mut self.given_back }) += 1;
            }
        }
        self.advance(now);
    }

    fn advance(&mut self, to: u64) {
        let is_due = to / DUE_EVERY_MS > self.world.now.0 / DUE_EVERY_MS;
        self.world.now = Time(to.max(self.world.now.0));
        if is_due {
            self.world.run_due();
        }
    }

    fn hold(&mut self, command: Command) {
        self.asked += 1;
        if self.world.run(&command).is_err() {
            self.refused += 1;
            return;
        }
        let chance = self.chance.u32(..100);
        let hold = hold_of(&command).expect("it was a hold");
        let end = if chance < PAID_PERCENT {
            Command::ConfirmHold(hold)
        } else if chance < PAID_PERCENT + GIVEN_BACK_PERCENT {
            Command::ReleaseHold(hold)
        } else {
            return;
        };
        let at = self.world.now.0 + self.chance.u64(1_000..THINKING_MS);
        let index = self.free.pop().unwrap_or_else(|| {
            self.ends.push(None);
            self.ends.len() - 1
        });
        self.ends[index] = Some(end);
        self.agenda.push(Reverse((at, index)));
    }
}

fn write(report: &EngineReport, out: &Path) -> io::Result<PathBuf> {
    println!(
        "{:.0} operations a second of one core ({} holds, {} refused, {} paid, {} given back, {} expired; {} records)",
        report.operations_per_core_second,
        report.holds_made,
        report.holds_refused,
        report.paid,
        report.given_back,
        report.expired,
        report.records
    );
    let meta = format!("{} · {} timetable · seed {}", report.machine, report.feed, report.seed);
    let mut page = Page::new("The engine alone", &meta, &report.command);
    page.text(&format!(
        "{:.0} operations a second of one core: decide and apply, without log, messages and network.",
        report.operations_per_core_second
    ));
    let row = |name: &str, value: String| (true, vec![name.to_owned(), value]);
    page.table(
        &["", "count"],
        &[
            row("holds made", report.holds_made.to_string()),
            row("refused", report.holds_refused.to_string()),
            row("paid", report.paid.to_string()),
            row("given back", report.given_back.to_string()),
            row("expired", report.expired.to_string()),
            row("partitions open", report.partitions_open.to_string()),
        ],
    );
    report.memory.show(&mut page);
    report.image.show(&mut page);
    let out = Report::new(out)?;
    out.json(report)?;
    out.page(&page)
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use timetable::{DateWindow, Timetable};

    use super::{Day, World, days_before};
    use crate::demand::Demand;

    /// Everything that a day can end with happens, each as often as it is meant to, and the same for a seed.
    #[test]
    fn a_day_has_all_ends() {
        let day = |seed| {
            let timetable = Timetable::built_in(DateWindow::WHOLE);
            let date = date(2027, 3, 1);
            let demand = Demand::new(&timetable, &[date]);
            let mut day = Day::new(World::new(timetable, days_before(date, 2)), &demand, 20_000, seed);
            day.run();
            (day.asked, day.refused, day.paid, day.given_back, day.world.expired, day.world.records)
        };
        let (asked, refused, paid, given_back, expired, _) = day(1);
        let made = (asked - refused) as f64;
        assert_eq!(asked, 20_000);
        assert!(refused > 0 && made > 5_000.0, "{refused} refused: a day sells out its most wanted trains");
        assert!((paid as f64 / made - 0.70).abs() < 0.03, "{paid} paid");
        assert!((given_back as f64 / made - 0.15).abs() < 0.03, "{given_back} given back");
        assert!((expired as f64 / made - 0.15).abs() < 0.03, "{expired} expired");
        assert_eq!(day(1), day(1));
        assert_ne!(day(1), day(2));
    }
}
