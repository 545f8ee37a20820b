//! What a run draws for its sinks: how many, and what is kept for them. Drawn from a generator of its own, so that the rest of a plan
//! is what it would be without.

use crate::plan::{HOUR_MS, Plan};
use crate::rng::Rng;

/// Makes the sinks' chances others than those of the rest.
const SEED: u64 = 0x0073_696e_6b73;
/// Names of sinks: at most so many at a time.
const NAMES: [&str; 2] = ["first", "second"];
/// The one of them that plays the read model.
pub(crate) const READ_MODEL: &str = NAMES[0];
/// Sinks that stand still hold up more log than an ordinary run writes.
const LONG_OPERATIONS: u64 = 2_400;

/// The sinks of a run.
#[derive(Clone, Debug)]
pub(crate) struct SinksPlan {
    /// Those that are registered by the first start.
    pub names: &'static [&'static str],
    /// So many of a thousand steps the keeper looks.
    pub keeper_permille: u32,
    /// So many of a thousand steps a sink is detached.
    pub detach_permille: u32,
    /// So many of a thousand steps the process ends while the keeper writes.
    pub kill_permille: u32,
    /// Of a hundred writes of the keeper so many fail.
    pub trouble_percent: u32,
    /// Of a hundred reports to the keeper so many are old.
    pub old_reports_percent: u32,
    /// By sink and process: of a thousand steps it follows in so many.
    pub paces: &'static [u32],
}

impl SinksPlan {
    pub(crate) const NONE: SinksPlan = SinksPlan {
        names: &[],
        keeper_permille: 0,
        kill_permille: 0,
        detach_permille: 0,
        trouble_percent: 0,
        old_reports_percent: 0,
        paces: &[0],
    };

    /// Nothing goes wrong any more.
    pub(crate) fn calm(&mut self) {
        (self.kill_permille, self.trouble_percent, self.old_reports_percent) = (0, 0, 0);
    }
}

/// The generator of the sinks' chances.
pub(crate) fn chances(seed: u64) -> Rng {
    Rng::new(seed ^ SEED)
}

/// Gives a plan its sinks.
pub(crate) fn draw(plan: &mut Plan, rng: &mut Rng) {
    let count = rng.weighted(&[(4, 0), (3, 1), (3, 2)]);
    if count == 0 {
        return;
    }
    let stands_still = rng.percent(14);
    plan.options.keep_ms = *rng.pick(&[0, 0, 2_000, HOUR_MS]);
    let budget_segments = if stands_still { Some(6) } else { rng.percent(50).then(|| rng.between(6, 20)) };
    if let Some(segments) = budget_segments {
        plan.options.budget_bytes = segments * plan.options.segment_bytes;
    }
    if stands_still {
        // One log takes it all, long enough to fill the budget.
        (plan.cores, plan.cores_max, plan.options.cores) = (1, 1, 1);
        plan.operations = LONG_OPERATIONS;
        plan.crash_permille = plan.crash_permille.min(1);
        // A log that falls idle in between takes more room.
        plan.step_ms = plan.step_ms.max(100);
    }
    plan.sinks = SinksPlan {
        names: &NAMES[..count],
        keeper_permille: *rng.pick(&[2, 20, 300]),
        kill_permille: if stands_still { 0 } else { *rng.pick(&[0, 0, 1]) },
        detach_permille: *rng.pick(&[0, 0, 1]),
        trouble_percent: *rng.pick(&[0, 5, 20]),
        old_reports_percent: 10,
        paces: if stands_still { &[0] } else { &[0, 1, 10, 100, 1_000] },
    };
}
