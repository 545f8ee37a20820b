//! Catalogue: the timetable in the engine's terms.

use engine::catalogue::{
    Catalogue, ClassListing, Definition, Listing, LocalTime, RunDefinition, RunListing, Stop,
};
use engine::ids::{PartitionKey, Time};
use timetable::{Date, Run, Timetable};

/// A timetable, and whether anything beside it is sold.
#[derive(Debug)]
pub(crate) struct OnSale {
    pub(crate) timetable: Timetable,
    pub(crate) ad_hoc: bool,
    /// Sold ad hoc where the timetable does not have it, whatever is configured.
    pub(crate) default_partition: PartitionKey,
}

impl Catalogue for OnSale {
    fn find(&self, key: &PartitionKey) -> Listing {
        // Whatever begins with a train's number is that train's, also where the rest is no date and class, or where only case, blanks
        // or width differ: a slip of the pen must not sell seats that no train has.
        let train = key.as_str().split('|').next().unwrap_or_default();
        let of_train = self.timetable.has_train(train);
        let of_run = key.parts().filter(|_| of_train);
        if let Some(definition) =
            of_run.and_then(|(train, date, class)| self.of_timetable(train, date, class))
        {
            return Listing::Sold(definition);
        }
        let is_ad_hoc = *key == self.default_partition
            || (self.ad_hoc && !of_train && !self.timetable.has_train_like(key.as_str()));
        if is_ad_hoc { Listing::AdHoc } else { Listing::NotSold }
    }

    fn run(&self, train: &str, date: &str) -> Option<RunListing> {
        let run = self.timetable.run(train, date.parse::<Date>().ok()?)?;
        let classes = run
            .classes()
            .iter()
            .map(|class| ClassListing { name: class.name.to_string(), layout: class.layout.clone() });
        Some(RunListing { run: definition(&run), classes: classes.collect() })
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
        board: stop.board,
        alight: stop.alight,
    });
    RunDefinition { stops: stops.collect(), ends_at: time(run.ends_ms()) }
}

fn time(ms: i64) -> Time {
    Time(u64::try_from(ms).unwrap_or(0))
}

fn local(time: timetable::LocalTime) -> LocalTime {
    LocalTime { unix_secs: time.unix_secs(), offset_secs: time.offset_secs() }
}
