//! The plan of a cycle, drawn from the seed and the number of the cycle alone.

use std::time::Duration;

use crate::{Rng, chance};

/// Orders that one cycle creates.
pub const ORDERS_PER_CYCLE: u64 = 1_000;
/// A fault lasts so long, in milliseconds.
const LENGTH_MS: std::ops::Range<u64> = 300..3_000;
/// The server is ended so soon after clients have taken up the last order that they take before it.
const MOMENT_US: u64 = 60_000;
/// A start that is killed is so within this time.
const KILLED_START_MS: u64 = 400;

/// A fault: what is done to the server, to the database under it, or to a service around it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Fault {
    /// SIGKILL, and a start with as many cores.
    Kill,
    /// SIGKILL, a start that is killed as well, and a start with another number of cores.
    KillToOtherCores,
    /// SIGTERM, and a start.
    Stop,
    /// SIGSTOP, and SIGCONT later.
    Pause,
    /// Somebody has a write lock on the database.
    WriteLock,
    /// Somebody has a write lock, and the server is killed and started meanwhile.
    KillUnderWriteLock,
    /// The server is killed, and somebody has the database for himself when it starts.
    ExclusiveLock,
    /// Somebody reads an old moment, so that SQLite's own log cannot be written back.
    OldReader,
    /// The disk of the database is full.
    FullDisk,
    /// It is full, and the server is killed and started meanwhile.
    KillOnFullDisk,
    /// MySQL is killed (SIGKILL), and started later.
    MysqlKilled,
    /// MySQL stands still (SIGSTOP), and goes on later.
    MysqlPaused,
    /// Redis is killed, and started later with nothing.
    RedisKilled,
    /// Redis has lost everything from one moment to the next.
    RedisFlushed,
    /// Kafka is killed, and started later.
    KafkaKilled,
    /// Kafka stands still, and goes on later.
    KafkaPaused,
}

/// Harm that is done to a service around the engine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Harm {
    Kill,
    Pause,
    Flush,
}

impl Fault {
    pub const ALL: [Fault; 16] = [
        Fault::Kill,
        Fault::KillToOtherCores,
        Fault::Stop,
        Fault::Pause,
        Fault::WriteLock,
        Fault::KillUnderWriteLock,
        Fault::ExclusiveLock,
        Fault::OldReader,
        Fault::FullDisk,
        Fault::KillOnFullDisk,
        Fault::MysqlKilled,
        Fault::MysqlPaused,
        Fault::RedisKilled,
        Fault::RedisFlushed,
        Fault::KafkaKilled,
        Fault::KafkaPaused,
    ];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Fault::Kill => "killed and started",
            Fault::KillToOtherCores => "killed, killed in a start, and started with another number of cores",
            Fault::Stop => "stopped by SIGTERM and started",
            Fault::Pause => "stood still",
            Fault::WriteLock => "database locked for writing",
            Fault::KillUnderWriteLock => "killed and started while the database was locked for writing",
            Fault::ExclusiveLock => "killed, and started while somebody had the database for himself",
            Fault::OldReader => "an old moment of the database was being read",
            Fault::FullDisk => "disk of the database full",
            Fault::KillOnFullDisk => "killed and started while the disk of the database was full",
            Fault::MysqlKilled => "MySQL killed and started",
            Fault::MysqlPaused => "MySQL stood still",
            Fault::RedisKilled => "Redis killed and started empty",
            Fault::RedisFlushed => "Redis flushed",
            Fault::KafkaKilled => "Kafka killed and started",
            Fault::KafkaPaused => "Kafka stood still",
        }
    }

    /// What the server calls it, as its log says.
    #[must_use]
    pub fn trouble(self) -> Option<&'static str> {
        match self {
            Fault::WriteLock | Fault::KillUnderWriteLock | Fault::ExclusiveLock => Some("busy"),
            Fault::FullDisk | Fault::KillOnFullDisk => Some("full"),
            _ => None,
        }
    }

    /// The service that is hurt, and how.
    #[must_use]
    pub fn of_service(self) -> Option<(&'static str, Harm)> {
        match self {
            Fault::MysqlKilled => Some(("mysql", Harm::Kill)),
            Fault::MysqlPaused => Some(("mysql", Harm::Pause)),
            Fault::RedisKilled => Some(("redis", Harm::Kill)),
            Fault::RedisFlushed => Some(("redis", Harm::Flush)),
            Fault::KafkaKilled => Some(("kafka", Harm::Kill)),
            Fault::KafkaPaused => Some(("kafka", Harm::Pause)),
            _ => None,
        }
    }

    /// True where the server is ended at some moment of its work.
    #[must_use]
    pub fn ends_server(self) -> bool {
        let stays = matches!(self, Fault::Pause | Fault::WriteLock | Fault::OldReader | Fault::FullDisk);
        !stays && self.of_service().is_none()
    }

    #[must_use]
    pub fn needs_small_disk(self) -> bool {
        matches!(self, Fault::FullDisk | Fault::KillOnFullDisk)
    }
}

/// A fault, and the orders around it.
#[derive(Clone, Debug)]
pub struct Step {
    pub fault: Fault,
    /// Orders that are created, or under way, when it begins.
    pub orders_before: u64,
    /// Where the server is ended: so many of those orders nobody has taken up by then.
    pub orders_left: u64,
    /// And so much later, in the middle of the work.
    pub moment: Duration,
    /// Orders that are to be created while it lasts.
    pub orders_during: u64,
    pub length: Duration,
    /// Of a start that follows.
    pub cores: u32,
    /// When a start is killed that is to be killed.
    pub killed_start: Duration,
}

/// Every fault once, in any order; all of them together have the orders of a cycle.
#[must_use]
pub fn steps(rng: &mut Rng, faults: &[Fault], cores: &[u32]) -> Vec<Step> {
    let mut faults = faults.to_vec();
    rng.shuffle(&mut faults);
    let count = faults.len() as u64;
    let mut steps = Vec::new();
    for (i, fault) in (0..).zip(faults) {
        let orders = ORDERS_PER_CYCLE * (i + 1) / count - ORDERS_PER_CYCLE * i / count;
        let orders_before = rng.u64(1..=orders / 2);
        steps.push(Step {
            fault,
            orders_before,
            orders_left: rng.u64(..orders_before),
            moment: Duration::from_micros(rng.u64(..MOMENT_US)),
            orders_during: orders - orders_before,
            length: Duration::from_millis(rng.u64(LENGTH_MS)),
            cores: *chance::pick(rng, cores),
            killed_start: Duration::from_millis(rng.u64(..KILLED_START_MS)),
        });
    }
    steps
}

#[test]
fn a_cycle_has_every_fault_once_and_all_its_orders() {
    for seed in 0..100 {
        let steps = steps(&mut chance::of_part(seed, 1), &Fault::ALL, &[1, 2]);
        let mut faults: Vec<Fault> = steps.iter().map(|step| step.fault).collect();
        faults.sort_unstable();
        assert_eq!(faults, Fault::ALL);
        assert_eq!(steps.iter().map(|s| s.orders_before + s.orders_during).sum::<u64>(), ORDERS_PER_CYCLE);
        assert!(steps.iter().all(|step| step.orders_before > 0 && step.orders_during > 0));
    }
}
