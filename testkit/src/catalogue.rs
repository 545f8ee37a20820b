//! A timetable by table: what is not in it is ad hoc.

use std::collections::BTreeMap;
use std::sync::Arc;

use allocator::{Coach, Layout, RowBlock};
use engine::catalogue::{
    Catalogue, ClassListing, Definition, Listing, LocalTime, RunDefinition, RunListing, Stop,
};
use engine::ids::{PartitionKey, Time};

#[derive(Clone, Debug, Default)]
pub struct Table {
    entries: BTreeMap<String, Option<(Layout, RunDefinition)>>,
}

impl Table {
    #[must_use]
    pub fn sells(mut self, key: &str, layout: Layout, run: RunDefinition) -> Table {
        self.entries.insert(key.into(), Some((layout, run)));
        self
    }

    #[must_use]
    pub fn refuses(mut self, key: &str) -> Table {
        self.entries.insert(key.into(), None);
        self
    }
}

impl Catalogue for Table {
    fn find(&self, key: &PartitionKey) -> Listing {
        match self.entries.get(key.as_str()) {
            None => Listing::AdHoc,
            Some(None) => Listing::NotSold,
            Some(Some((layout, run))) => {
                Listing::Sold(Definition { layout: layout.clone(), run: run.clone() })
            }
        }
    }

    fn run(&self, train: &str, date: &str) -> Option<RunListing> {
        let prefix = format!("{train}|{date}|");
        let sold = self.entries.iter().filter_map(|(key, entry)| {
            let (layout, run) = entry.as_ref()?;
            Some((key.strip_prefix(&prefix)?, layout, run))
        });
        let (_, _, run) = sold.clone().next()?;
        let class = |(name, layout, _): (&str, &Layout, _)| ClassListing {
            name: name.to_owned(),
            layout: Arc::new(layout.clone()),
        };
        Some(RunListing { run: run.clone(), classes: sold.map(class).collect() })
    }
}

/// A run with so many stops, called `<name> 0`, `<name> 1` and so on, ten minutes apart.
#[must_use]
pub fn run(name: &str, stops: usize, ends_at: Time) -> RunDefinition {
    let last = stops as i64 - 1;
    let ends_at_secs = (ends_at.0 / 1_000) as i64;
    let at = |i: usize| {
        let unix_secs = ends_at_secs - (last - i as i64) * 600;
        Some(LocalTime { unix_secs, offset_secs: 28_800 })
    };
    let stop = |i: usize| Stop {
        code: format!("{name}{i}"),
        name: format!("{name} {i}"),
        arrives_at: if i == 0 { None } else { at(i) },
        departs_at: if i + 1 == stops { None } else { at(i) },
        board: true,
        alight: true,
    };
    RunDefinition { stops: (0..stops).map(stop).collect(), ends_at }
}

/// Coaches of two rows each, `A`, `C` and `F` in a row: six seats a coach.
#[must_use]
pub fn coaches(numbers: &[&str]) -> Layout {
    let rows = || vec![RowBlock { first_row: 1, rows: 2, plan: "AC F".into() }];
    Layout::Labelled(numbers.iter().map(|number| Coach { number: (*number).into(), rows: rows() }).collect())
}

/// One coach with so many rows of `A` and `C`.
#[must_use]
pub fn coach(number: &str, first_row: u16, rows: u16) -> Layout {
    let rows = vec![RowBlock { first_row, rows, plan: "A C".into() }];
    Layout::Labelled(vec![Coach { number: number.into(), rows }])
}
