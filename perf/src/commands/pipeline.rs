//! `perf pipeline`: engine and log with durable batches, no network.
//!
//! Each batch is decided, applied and appended, and the next one begins when it is durable. So this is the least that durability
//! costs for a size of batch, and the most that a core could sell if the network were free. Every core has its own log on the same
//! disk, as in the server.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::command::Command;
use engine::ids::Time;
use hdrhistogram::Histogram;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::Serialize;
use timetable::Timetable;
use wal::disk::{Disk as _, Driver, Preference};
use wal::{DataDir, Log, Lsn, Millis, Options, Recover, Space};

use super::engine::{World, load};
use crate::demand::{Demand, Wish};
use crate::figures::Percentiles;
use crate::limits::{BATCHES, DRAWN_AHEAD, OPENED_TOGETHER};
use crate::load::histogram;
use crate::machine;
use crate::report::{Chart, Page, Point, Report, Scale, Series, number};

/// Few, so that all their partitions can be open before the clock runs, and enough that their seats last.
const DATES: i64 = 4;

pub struct Plan {
    /// Of each size of batch.
    pub seconds: Duration,
    pub seed: u64,
    /// Cores at once; none: one, then all.
    pub cores: Vec<u16>,
    pub data: PathBuf,
}

#[derive(Debug, Serialize)]
struct PipelineReport {
    command: String,
    machine: String,
    disk: String,
    runs: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    cores: u16,
    batch: usize,
    /// All cores together.
    holds_per_second: f64,
    cpu_us_per_hold: f64,
    log_bytes_per_hold: f64,
    /// Of a whole batch, from its first decision until it is durable.
    commit: Percentiles,
}

/// Counts of one core for one size of batch.
struct Counted {
    holds: u64,
    seconds: f64,
    cpu_ns: u64,
    log_bytes: u64,
    commit: Histogram<u64>,
}

/// # Errors
/// If the disk refuses, or the report cannot be written.
pub fn run(feed: Option<&Path>, plan: &Plan, command: &str, out: &Path) -> io::Result<PathBuf> {
    let timetable = load(feed)?;
    let today = jiff::Zoned::now();
    let dates = super::dates(&timetable, today.date(), DATES)?;
    let demand = Arc::new(Demand::new(&timetable, &dates));
    let now = Time(u64::try_from(today.timestamp().as_millisecond()).unwrap_or(0));
    std::fs::create_dir_all(&plan.data)?;
    let present = machine::cpus();
    let mut cores = plan.cores.clone();
    if cores.is_empty() {
        cores = vec![1, present.len() as u16];
        cores.dedup();
    }
    let mut report = PipelineReport {
        command: command.to_owned(),
        machine: machine::describe(),
        disk: String::new(),
        runs: Vec::new(),
    };
    println!("cores  batch     holds/s   CPU us/hold  commit p50 ms     p99 ms");
    for count in cores {
        let home = tempfile::tempdir_in(&plan.data)?;
        let options = Options { cores: count, ..Options::default() };
        let dir = DataDir::open(home.path().join("data"), &options).map_err(io::Error::other)?;
        let choice =
            wal::disk::choose(&home.path().join("data"), Preference::Auto).map_err(io::Error::other)?;
        report.disk = choice.to_string();
        let logs = (0..count).map(|core| {
            let at = dir.recover(core, &mut Nothing)?;
            dir.log(core, at, dir.disk(core, &choice)?)
        });
        let logs = logs.collect::<Result<Vec<_>, _>>().map_err(io::Error::other)?;
        let threads: Vec<_> = logs
            .into_iter()
            .enumerate()
            .map(|(core, log)| {
                let (timetable, demand) = (timetable.clone(), Arc::clone(&demand));
                let (cpu, seconds, seed) =
                    (present[core % present.len()], plan.seconds, plan.seed + core as u64);
                std::thread::spawn(move || {
                    machine::pin_thread(cpu);
                    Core::new(timetable, &demand, now, log, seed).run(seconds)
                })
            })
            .collect();
        let counted = threads.into_iter().map(|thread| thread.join().expect("a core does not panic"));
        let counted = counted.collect::<io::Result<Vec<_>>>()?;
        for (i, &batch) in BATCHES.iter().enumerate() {
            report.runs.push(row(count, batch, counted.iter().map(|core| &core[i])));
        }
    }
    write(&report, out)
}

/// A new directory has nothing to recover.
struct Nothing;

impl Recover for Nothing {
    fn piece(&mut self, _: u16, _: Lsn, _: &[u8]) -> Result<(), String> {
        Err("a new directory has a slot".to_owned())
    }

    fn record(&mut self, _: Lsn, _: &[u8]) -> Result<(), String> {
        Err("a new directory has a record".to_owned())
    }
}

struct Core<'a> {
    world: World,
    demand: &'a Demand,
    chance: fastrand::Rng,
    log: Log<Driver>,
    bytes: Vec<u8>,
    log_bytes: u64,
    id: u64,
    started: Instant,
}

impl<'a> Core<'a> {
    fn new(timetable: Timetable, demand: &'a Demand, now: Time, log: Log<Driver>, seed: u64) -> Core<'a> {
        Core {
            world: World::new(timetable, now),
            demand,
            chance: fastrand::Rng::with_seed(seed),
            log,
            bytes: Vec::new(),
            log_bytes: 0,
            id: 0,
            started: Instant::now(),
        }
    }

    fn run(mut self, seconds: Duration) -> io::Result<Vec<Counted>> {
        self.open_all()?;
        BATCHES.iter().map(|&batch| self.batches(batch, seconds)).collect()
    }

    /// Wishes are drawn ahead, many at a time, and neither their time nor their CPU time counts.
    fn batches(&mut self, batch: usize, seconds: Duration) -> io::Result<Counted> {
        let log_bytes = self.log_bytes;
        let mut counted = Counted { holds: 0, seconds: 0.0, cpu_ns: 0, log_bytes: 0, commit: histogram() };
        let mut left = seconds;
        while !left.is_zero() {
            let commands: Vec<Command> = (0..DRAWN_AHEAD).map(|_| self.draw()).collect();
            let (cpu_ns, began) = (machine::own_cpu_ns(), Instant::now());
            for batch in commands.chunks(batch).take_while(|_| began.elapsed() < left) {
                counted.holds += self.commit(batch, &mut counted.commit)?;
            }
            counted.seconds += began.elapsed().as_secs_f64();
            counted.cpu_ns += machine::own_cpu_ns() - cpu_ns;
            left = left.saturating_sub(began.elapsed());
        }
        counted.log_bytes = self.log_bytes - log_bytes;
        Ok(counted)
    }

    /// Opening a partition is a record of its own, with all stops of the run: once in its life, so it is not in the figures.
    fn open_all(&mut self) -> io::Result<()> {
        let wishes = self.demand.one_of_each_partition(&mut self.chance);
        let commands: Vec<Command> = wishes.iter().map(|wish| self.command(wish)).collect();
        for batch in commands.chunks(OPENED_TOGETHER) {
            self.commit(batch, &mut histogram())?;
        }
        Ok(())
    }

    fn draw(&mut self) -> Command {
        let wish = self.demand.draw(&mut self.chance);
        self.command(&wish)
    }

    fn command(&mut self, wish: &Wish) -> Command {
        self.id += 1;
        self.world.try_hold(self.demand, wish, self.id)
    }

    /// Runs a batch and waits until it is durable. Gives the number of holds made.
    fn commit(&mut self, batch: &[Command], took: &mut Histogram<u64>) -> io::Result<u64> {
        while self.log.space() != Space::Plenty {
            self.turn()?;
        }
        let began = Instant::now();
        let mut made = 0;
        for command in batch {
            made += u64::from(self.hold(command));
        }
        while self.log.durable() < self.log.appended() {
            self.turn()?;
        }
        took.saturating_record(u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX));
        Ok(made)
    }

    /// One hold into the open batch.
    fn hold(&mut self, command: &Command) -> bool {
        let (log, bytes, log_bytes) = (&mut self.log, &mut self.bytes, &mut self.log_bytes);
        let reply = self.world.run_with(command, &mut |record| {
            bytes.clear();
            record.encode(bytes);
            *log_bytes += bytes.len() as u64;
            log.append(bytes);
        });
        self.log.end_group();
        reply.is_ok()
    }

    /// Starts what can be started, and waits for the disk where there is nothing else to do.
    fn turn(&mut self) -> io::Result<()> {
        let now = Millis(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX));
        self.log.poll(now).map_err(io::Error::other)?;
        if self.log.durable() == self.log.appended() && self.log.space() == Space::Plenty {
            return Ok(());
        }
        if let Some(fd) = self.log.disk().wake_fd() {
            let wait = Timespec { tv_sec: 0, tv_nsec: 1_000_000 };
            let readable = poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&wait)).unwrap_or(0) > 0;
            if readable {
                let _ = rustix::io::read(fd, &mut [0; 8]);
            }
        }
        Ok(())
    }
}

fn row<'a>(cores: u16, batch: usize, counted: impl Iterator<Item = &'a Counted>) -> Row {
    let (mut rate, mut holds, mut cpu_ns, mut bytes, mut commit) = (0.0, 0, 0, 0, histogram());
    for core in counted {
        rate += core.holds as f64 / core.seconds;
        holds += core.holds;
        cpu_ns += core.cpu_ns;
        bytes += core.log_bytes;
        commit.add(&core.commit).expect("the same bounds");
    }
    let row = Row {
        cores,
        batch,
        holds_per_second: rate,
        cpu_us_per_hold: cpu_ns as f64 / 1e3 / holds.max(1) as f64,
        log_bytes_per_hold: bytes as f64 / holds.max(1) as f64,
        commit: Percentiles::of(&commit),
    };
    println!(
        "{cores:>5}  {batch:>5}  {:>10.0}  {:>12.2}  {:>13.3}  {:>9.3}",
        row.holds_per_second,
        row.cpu_us_per_hold,
        row.commit.p50_us / 1e3,
        row.commit.p99_us / 1e3
    );
    row
}

fn write(report: &PipelineReport, out: &Path) -> io::Result<PathBuf> {
    let mut page = Page::new("Engine and log, without network", &report.machine, &report.command);
    page.text(&format!(
        "{}. Each batch is durable before the next one begins; all partitions are open before the first.",
        report.disk
    ));
    let chart = |title: &str, y_label: &str, y: fn(&Row) -> f64| {
        let mut series: Vec<Series> = Vec::new();
        for row in &report.runs {
            let name = format!("{} core{}", row.cores, if row.cores == 1 { "" } else { "s" });
            if series.last().is_none_or(|last| last.name != name) {
                series.push(Series { name, points: Vec::new(), dashed: false });
            }
            let point = Point { x: (row.batch as f64).log2(), y: y(row), valid: true };
            series.last_mut().expect("pushed above").points.push(point);
        }
        let x_label = "size of a batch, as a power of two".to_owned();
        Chart { title: title.to_owned(), x_label, y_label: y_label.to_owned(), y_scale: Scale::Log, series }
            .svg()
    };
    page.plots(&[
        chart("Throughput", "holds a second", |row| row.holds_per_second),
        chart("Time until a batch is durable, p99", "milliseconds", |row| row.commit.p99_us / 1e3),
    ]);
    let rows = report.runs.iter().map(|row| {
        let cells = vec![
            row.cores.to_string(),
            number(row.batch as f64),
            number(row.holds_per_second.round()),
            format!("{:.2}", row.cpu_us_per_hold),
            format!("{:.0}", row.log_bytes_per_hold),
            format!("{:.3}", row.commit.p50_us / 1e3),
            format!("{:.3}", row.commit.p99_us / 1e3),
        ];
        (true, cells)
    });
    page.table(
        &["cores", "batch", "holds /s", "CPU us/hold", "log bytes/hold", "commit p50 ms", "commit p99 ms"],
        &rows.collect::<Vec<_>>(),
    );
    let out = Report::new(out)?;
    out.json(report)?;
    out.page(&page)
}
