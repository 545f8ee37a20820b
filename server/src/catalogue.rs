//! The timetable as the engine asks for it.

use engine::catalogue::{Catalogue, Definition, Listing, LocalTime, RunDefinition, Stop};
use engine::ids::{PartitionKey, Time};
use timetable::{Date, Run, Timetable};

/// A timetable, and whether anything beside it is sold.
#[derive(Debug)]
pub(crate) struct OnSale {
    pub(crate) timetable: Timetable,
    pub(crate) ad_hoc: bool,
    /// Sold ad hoc whatever is configured.
    pub(crate) default_partition: PartitionKey,
}

impl Catalogue for OnSale {
    fn find(&self, key: &PartitionKey) -> Listing {
        if let Some((train, date, class)) = key.parts()
            && self.timetable.has_train(train)
        {
            return self.of_timetable(train, date, class).map_or(Listing::NotSold, Listing::Sold);
        }
        if self.ad_hoc || *key == self.default_partition { Listing::AdHoc } else { Listing::NotSold }
    }
}

impl OnSale {
    fn of_timetable(&self, train: &str, date: &str, class: &str) -> Option<Definition> {
        let run = self.timetable.run(train, date.parse::<Date>().ok()?)?;
        let layout = run.class(class)?;
        Some(Definition { layout: (**layout).clone(), run: definition(&run) })
    }
}

fn definition(run: &Run<'_>) -> RunDefinition {
    let stops = run.stops().map(|stop| Stop {
        code: stop.station.code.to_string(),
        name: stop.station.name.to_string(),
        arrives_at: Some(local(stop.arrives_at)),
        departs_at: Some(local(stop.departs_at)),
    });
    RunDefinition { stops: stops.collect(), ends_at: Time(u64::try_from(run.ends_ms()).unwrap_or(0)) }
}

fn local(time: timetable::LocalTime) -> LocalTime {
    LocalTime { unix_secs: time.unix_secs(), offset_secs: time.offset_secs() }
}
