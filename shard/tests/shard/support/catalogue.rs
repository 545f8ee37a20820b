//! A timetable by table: what is not in it is ad hoc.

use std::collections::BTreeMap;
use std::sync::Arc;

use allocator::{Coach, Layout, RowBlock};
use engine::catalogue::{Catalogue, ClassListing, Definition, Listing, RunDefinition, RunListing, Stop};
use engine::ids::{PartitionKey, Time};

#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    entries: BTreeMap<String, (Layout, RunDefinition)>,
}

impl Table {
    pub(crate) fn sells(mut self, key: &str, layout: Layout, run: RunDefinition) -> Table {
        self.entries.insert(key.into(), (layout, run));
        self
    }
}

impl Catalogue for Table {
    fn find(&self, key: &PartitionKey) -> Listing {
        match self.entries.get(key.as_str()) {
            None => Listing::AdHoc,
            Some((layout, run)) => Listing::Sold(Definition { layout: layout.clone(), run: run.clone() }),
        }
    }

    fn run(&self, train: &str, date: &str) -> Option<RunListing> {
        let prefix = format!("{train}|{date}|");
        let sold = self.entries.iter().filter_map(|(key, entry)| Some((key.strip_prefix(&prefix)?, entry)));
        let (_, (_, run)) = sold.clone().next()?;
        let class = |(name, (layout, _)): (&str, &(Layout, _))| ClassListing {
            name: name.to_owned(),
            layout: Arc::new(layout.clone()),
        };
        Some(RunListing { run: run.clone(), classes: sold.map(class).collect() })
    }
}

/// A run with so many stops.
pub(crate) fn run(stops: usize, ends_at: Time) -> RunDefinition {
    let stop = |i: usize| Stop {
        code: format!("S{i}"),
        name: format!("Stop {i}"),
        arrives_at: None,
        departs_at: None,
    };
    RunDefinition { stops: (0..stops).map(stop).collect(), ends_at }
}

/// One coach with so many rows of `A` and `C`.
pub(crate) fn coach(number: &str, first_row: u16, rows: u16) -> Layout {
    let rows = vec![RowBlock { first_row, rows, plan: "A C".into() }];
    Layout::Labelled(vec![Coach { number: number.into(), rows }])
}
