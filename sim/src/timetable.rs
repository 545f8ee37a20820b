//! The timetable of the simulated world: runs by rule instead of by table. Each edition differs from the others in stops,
//! seats and in what is sold at all, so that a start with another edition finds other answers for what is not open yet.

use std::sync::Arc;

use allocator::{Coach, Layout, RowBlock};
use engine::catalogue::{
    Catalogue, ClassListing, Definition, Listing, LocalTime, RunDefinition, RunListing, Stop,
};
use engine::decide::Policy;
use engine::ids::{PartitionKey, Time};

use crate::plan::HOUR_MS;

/// The date of every run.
pub(crate) const DATE: &str = "2027-05-01";
/// Of other keys: one that is over at the world's begin by the days that a key is kept, and one that is the day after.
pub(crate) const OVER: &str = "2027-01-11";
pub(crate) const NEARLY_OVER: &str = "2027-01-12";
/// Days from 1970 to each.
const DAYS: [(&str, u64); 3] = [(DATE, 20_939), (OVER, 20_829), (NEARLY_OVER, 20_830)];

/// No run ends sooner after the world's begin.
pub(crate) const FIRST_END_MS: u64 = 20_000;

/// The day in a key begins then.
pub(crate) fn day_of(key: &PartitionKey) -> Option<Time> {
    let (_, date, _) = key.parts()?;
    DAYS.iter().find(|(day, _)| *day == date).map(|(_, days)| Time(days * 24 * HOUR_MS))
}

/// When an ad hoc partition with sold seats, last changed then, may be forgotten: not before three days past its date.
pub(crate) fn kept_until(policy: &Policy, key: &PartitionKey, changed_at: Time) -> Time {
    let kept = changed_at.plus(policy.ad_hoc_keep_ms);
    day_of(key).map_or(kept, |day| kept.max(day.plus(4 * 24 * HOUR_MS)))
}

/// One edition.
#[derive(Clone, Debug)]
pub(crate) struct Edition {
    pub number: u64,
    /// When the world began.
    pub start: Time,
}

impl Edition {
    /// Number of a timetable's train, `None` where the key is nobody's run. No edition has all trains.
    fn train<'a>(&self, key: &'a PartitionKey) -> Option<(u64, &'a str)> {
        let (train, _, class) = key.parts()?;
        let train: u64 = train.strip_prefix('G')?.parse().ok()?;
        (!(train + self.number).is_multiple_of(4)).then_some((train, class))
    }

    fn definition(&self, train: u64) -> RunDefinition {
        let stops = 2 + ((train + self.number) % 3);
        // Some runs are over soon, some when a clock has been wrong by days; some have no times.
        let ends_at = match train % 6 {
            2 => FIRST_END_MS * (1 + train % 7),
            5 => 24 * HOUR_MS * (1 + train % 7),
            _ => 1 << 40,
        };
        let at = |i: u64| LocalTime {
            unix_secs: ((self.start.0 + ends_at * i / stops) / 1_000) as i64 + 5,
            offset_secs: 3_600,
        };
        let stop = |i: u64| Stop {
            code: format!("S{i}"),
            name: format!("Stop {i} of {train}"),
            arrives_at: None,
            departs_at: (i < stops && train % 3 != 1).then(|| at(i)),
            // Some trains only let passengers off on the way, or only take them on.
            board: i == 0 || !train.is_multiple_of(4),
            alight: i > 0 || !train.is_multiple_of(6),
        };
        RunDefinition { stops: (0..=stops).map(stop).collect(), ends_at: self.start.plus(ends_at) }
    }
}

impl Catalogue for Edition {
    fn find(&self, key: &PartitionKey) -> Listing {
        let Some((train, class)) = self.train(key) else {
            return Listing::AdHoc;
        };
        let rows = match class {
            "1st" => 1,
            "2nd" if !(train + self.number).is_multiple_of(5) => 1 + ((train + self.number) % 2) as u16,
            _ => return Listing::NotSold,
        };
        let rows = vec![RowBlock { first_row: 1, rows, plan: "A C".to_owned() }];
        let layout = Layout::Labelled(vec![Coach { number: class.to_owned(), rows }]);
        Listing::Sold(Definition { layout, run: self.definition(train) })
    }

    fn run(&self, train: &str, date: &str) -> Option<RunListing> {
        let sold = ["1st", "2nd"].into_iter().filter_map(|class| {
            let key = PartitionKey::parse(&format!("{train}|{date}|{class}")).ok()?;
            match self.find(&key) {
                Listing::Sold(Definition { layout, run }) => Some((class, layout, run)),
                Listing::NotSold | Listing::AdHoc => None,
            }
        });
        let (_, _, run) = sold.clone().next()?;
        let class = |(name, layout, _)| ClassListing { name: str::to_owned(name), layout: Arc::new(layout) };
        Some(RunListing { run, classes: sold.map(class).collect() })
    }
}
