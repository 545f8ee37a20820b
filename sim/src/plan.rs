//! The plan of a run, drawn before it begins: sizes, times, and how often which fault strikes. Some seeds have many faults,
//! some a single kind, some none.

use engine::decide::Policy;
use shard::limits::IMAGE_BYTES_PER_TURN;
use wal::{Options, limits};

use crate::rng::Rng;
use crate::sinks::plan::SinksPlan;

pub(crate) const CORES_MAX: usize = 4;
/// The clocks of two cores are at most so far apart.
const APART_MS_MAX: u64 = 300;
/// A time in which no client does anything: an order that is older may be given up.
pub(crate) const NAP_MS: u64 = 650_000;
/// Memory of a core in a run in which it is short, at least and about.
pub(crate) const STATE_BYTES_MIN: u64 = 10_000;
pub(crate) const HOUR_MS: u64 = 3_600_000;

/// One run's choices.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub cores: u16,
    pub cores_max: u16,
    pub options: Options,
    pub policy: Policy,
    /// Bytes that the state of a core may take; `None` where there is plenty.
    pub state_bytes_max: Option<u64>,
    /// Bytes of slot images in one turn: as usual, or so few that most slots take several.
    pub image_bytes_per_turn: usize,
    /// So many of a thousand times that time passes, all clients take a nap.
    pub nap_permille: u32,
    /// Client operations until the run comes to rest.
    pub operations: u64,
    /// Requests under way at a time.
    pub under_way_max: usize,
    /// Parcels in one ring between two cores.
    pub ring_parcels: usize,
    /// Parcels that wait with their sender before the ring counts as jammed.
    pub jam_parcels: usize,
    /// Of a hundred completions so many come later.
    pub slow_disk_percent: u32,
    /// By core: how far its clocks are ahead of the machine's, in milliseconds.
    pub ahead_ms: [u64; CORES_MAX],
    /// Milliseconds that pass at most in one step.
    pub step_ms: u64,
    /// So many of a thousand steps are a crash.
    pub crash_permille: u32,
    /// So many of a thousand steps are another fault.
    pub fault_permille: u32,
    /// Of a hundred messages so many arrive twice, sooner or later.
    pub doubled_percent: u32,
    /// Of a hundred parcels so many are overtaken by a younger message.
    pub overtakes_percent: u32,
    /// The part of what is unsynced that a power cut leaves, in percent.
    pub keeps: [u32; 3],
    pub faults: Faults,
    pub sinks: SinksPlan,
}

/// Which faults may strike.
#[derive(Clone, Debug)]
pub(crate) struct Faults {
    pub failing_writes: bool,
    pub failing_syncs: bool,
    pub failing_reads: bool,
    pub short_writes: bool,
    pub full_disk: bool,
    pub clocks: bool,
    pub rings: bool,
    pub stalls: bool,
    pub damage: bool,
}

impl Plan {
    #[must_use]
    pub(crate) fn draw(rng: &mut Rng) -> Plan {
        let cores = rng.between(1, CORES_MAX as u64) as u16;
        let segment_bytes = limits::SEGMENT_BYTES_MIN;
        let mut entropy = [0; 40];
        // The life, the last part, is one for all: nothing depends on it.
        let drawn = entropy.chunks_exact_mut(8).take(4);
        drawn.for_each(|part| part.copy_from_slice(&rng.number().to_le_bytes()));
        let spare_segments = rng.between(1, 2) as u32;
        Plan {
            cores,
            cores_max: if rng.percent(70) { CORES_MAX as u16 } else { cores },
            options: Options {
                cores,
                segment_bytes,
                spare_segments,
                reserve_bytes: Some(limits::EXHAUSTED_BYTES + 4096 * rng.between(1, 10)),
                snapshot_log_bytes: segment_bytes * *rng.pick(&[1, 1, 1, 2, 64]),
                snapshot_log_bytes_max: segment_bytes * 64,
                entropy: Some(entropy),
                ..Options::default()
            },
            policy: policy(rng),
            state_bytes_max: rng.percent(25).then(|| rng.between(STATE_BYTES_MIN, 6 * STATE_BYTES_MIN)),
            image_bytes_per_turn: *rng.pick(&[500, 2_000, 8_000, IMAGE_BYTES_PER_TURN]),
            nap_permille: *rng.pick(&[0, 0, 0, 10]),
            operations: rng.between(500, 700),
            under_way_max: *rng.pick(&[1, 3, 6, 10, 16]),
            ring_parcels: *rng.pick(&[1, 3, 16, 4_096]),
            jam_parcels: *rng.pick(&[1, 2, 8, 65_536]),
            slow_disk_percent: *rng.pick(&[0, 0, 60, 90]),
            ahead_ms: ahead(rng),
            step_ms: *rng.pick(&[0, 2, 20, 100, 300]),
            crash_permille: *rng.pick(&[0, 1, 1, 2, 3]),
            fault_permille: *rng.pick(&[0, 4, 10, 20]),
            doubled_percent: *rng.pick(&[0, 0, 10, 40]),
            overtakes_percent: *rng.pick(&[0, 0, 10, 40]),
            keeps: *rng.pick(&[[0, 0, 0], [100, 100, 100], [50, 50, 50], [0, 50, 100], [30, 70, 90]]),
            faults: faults(rng),
            sinks: SinksPlan::NONE,
        }
    }

    /// No fault strikes any more, and the disk is quick.
    pub(crate) fn calm(&mut self) {
        self.faults = Faults::all(false);
        (self.crash_permille, self.fault_permille, self.slow_disk_percent) = (0, 0, 0);
    }
}

fn ahead(rng: &mut Rng) -> [u64; CORES_MAX] {
    let most = *rng.pick(&[0, APART_MS_MAX]);
    std::array::from_fn(|_| rng.between(0, most))
}

fn policy(rng: &mut Rng) -> Policy {
    let hold_ttl_ms = *rng.pick(&[3_000, 10_000, 30_000]);
    Policy {
        hold_ttl_ms,
        hold_ttl_max_ms: 60_000,
        hold_memory_ms: *rng.pick(&[24 * HOUR_MS, 60_000, 2 * hold_ttl_ms, 1_000]),
        ticket_after_ms: *rng.pick(&[0, 0, 2_000, hold_ttl_ms]),
        abandon_ms: *rng.pick(&[24 * HOUR_MS, 4 * hold_ttl_ms]),
        sale_closes_ms: *rng.pick(&[0, 0, 8_000, -8_000]),
        departed_ms: *rng.pick(&[72 * HOUR_MS, hold_ttl_ms]),
        ad_hoc_keep_ms: *rng.pick(&[400 * 24 * HOUR_MS, hold_ttl_ms]),
        order_retention_ms: *rng.pick(&[24 * HOUR_MS, 5_000, 5_000, 20_000, 60_000]),
    }
}

impl Faults {
    pub(crate) const fn all(on: bool) -> Faults {
        Faults {
            failing_writes: on,
            failing_syncs: on,
            failing_reads: on,
            short_writes: on,
            full_disk: on,
            clocks: on,
            rings: on,
            stalls: on,
            damage: on,
        }
    }
}

fn faults(rng: &mut Rng) -> Faults {
    let none = Faults::all(false);
    match rng.below(18) {
        0 => none,
        1 => Faults { failing_writes: true, ..none },
        2 => Faults { failing_syncs: true, ..none },
        3 => Faults { failing_reads: true, ..none },
        4 => Faults { short_writes: true, ..none },
        5 => Faults { full_disk: true, ..none },
        6 => Faults { clocks: true, ..none },
        7 => Faults { rings: true, ..none },
        8 => Faults { stalls: true, ..none },
        9 => Faults { damage: true, ..none },
        _ => Faults::all(true),
    }
}
