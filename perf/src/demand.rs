//! Demand: what people want of a timetable, drawn from a seed.
//!
//! There are no figures of real sales to go by, so the spread is made of what the feed itself tells:
//!
//! - A station is wanted as much as trains call there, so that junctions and capitals stand out.
//! - A run is wanted by its stations, and by its time of day: most at eight and at seventeen o'clock, hardly at night.
//! - A journey goes from a wanted station to a wanted one behind it, where the run lets people on and off.
//! - Most people travel alone or as two; families and groups are few. Nine of ten take the second class.

use timetable::{Date, Run, Timetable};

/// Seats that somebody wants, of a [`Demand`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Wish {
    pub run: u32,
    pub class: u8,
    pub from: u16,
    pub to: u16,
    pub seats: u32,
}

/// The demand for the runs of some dates.
#[derive(Debug)]
pub struct Demand {
    runs: Vec<Wanted>,
    /// The sum of the weights of each run and all before it.
    sums: Vec<f64>,
}

#[derive(Debug)]
struct Wanted {
    train: String,
    date: Date,
    /// `train|date|class` of each class.
    partitions: Vec<String>,
    second_class: usize,
    stops: Vec<WantedStop>,
    weight: f64,
}

#[derive(Clone, Copy, Debug)]
struct WantedStop {
    weight: f64,
    board: bool,
    alight: bool,
}

/// Party sizes from one on, in hundredths.
const PARTIES: [u32; 6] = [62, 24, 8, 4, 1, 1];

impl Demand {
    /// # Panics
    /// If no train runs on these dates.
    #[must_use]
    pub fn new(timetable: &Timetable, dates: &[Date]) -> Demand {
        let runs: Vec<Run<'_>> = dates.iter().flat_map(|date| timetable.runs(*date)).collect();
        let mut calls = std::collections::HashMap::<&str, f64>::new();
        for stop in runs.iter().flat_map(Run::stops) {
            *calls.entry(&stop.station.code).or_default() += 1.0;
        }
        let mut wanted: Vec<Wanted> = runs.iter().map(|run| Wanted::new(run, &calls)).collect();
        wanted.retain(|run| run.weight > 0.0);
        assert!(!wanted.is_empty(), "no train runs on {dates:?}");
        let mut sum = 0.0;
        let sums = wanted.iter().map(|run| {
            sum += run.weight;
            sum
        });
        Demand { sums: sums.collect(), runs: wanted }
    }

    /// The runs of each date in groups of `trains`: the most wanted of all dates first, then the next ones.
    #[must_use]
    pub fn openings(&self, trains: usize) -> Vec<Vec<u32>> {
        let mut order: Vec<u32> = (0..self.runs.len() as u32).collect();
        let run = |index: u32| &self.runs[index as usize];
        order.sort_by(|a, b| run(*a).date.cmp(&run(*b).date).then(run(*b).weight.total_cmp(&run(*a).weight)));
        let mut openings: Vec<(usize, Vec<u32>)> = Vec::new();
        for day in order.chunk_by(|a, b| run(*a).date == run(*b).date) {
            openings.extend(day.chunks(trains).map(<[u32]>::to_vec).enumerate());
        }
        openings.sort_by_key(|(rank, _)| *rank);
        openings.into_iter().map(|(_, runs)| runs).collect()
    }

    /// `train|date|class`
    #[must_use]
    pub fn partition(&self, wish: &Wish) -> &str {
        &self.runs[wish.run as usize].partitions[usize::from(wish.class)]
    }

    #[must_use]
    pub fn train(&self, wish: &Wish) -> (&str, Date) {
        let run = &self.runs[wish.run as usize];
        (&run.train, run.date)
    }

    pub fn draw(&self, chance: &mut fastrand::Rng) -> Wish {
        self.draw_of(chosen(&self.sums, chance) as u32, chance)
    }

    /// A wish for every class of every run.
    pub fn one_of_each_partition(&self, chance: &mut fastrand::Rng) -> Vec<Wish> {
        let runs = self.runs.iter().enumerate();
        let mut wish = |run, class| Wish { class, ..self.draw_of(run, chance) };
        runs.flat_map(|(run, wanted)| {
            (0..wanted.partitions.len()).map(move |class| (run as u32, class as u8))
        })
        .map(|(run, class)| wish(run, class))
        .collect()
    }

    /// A wish for one run.
    pub fn draw_of(&self, run: u32, chance: &mut fastrand::Rng) -> Wish {
        self.runs[run as usize].draw(run, chance)
    }
}

impl Wanted {
    fn new(run: &Run<'_>, calls: &std::collections::HashMap<&str, f64>) -> Wanted {
        let stops: Vec<WantedStop> = run
            .stops()
            .map(|stop| WantedStop {
                weight: calls.get(&*stop.station.code).copied().unwrap_or(0.0),
                board: stop.board,
                alight: stop.alight,
            })
            .collect();
        let departs = run.stops().next().map_or(0, |stop| {
            let at = stop.departs_at;
            (at.unix_secs() + i64::from(at.offset_secs())).rem_euclid(86_400)
        });
        let journeys =
            stops.iter().enumerate().any(|(i, from)| from.board && stops[i + 1..].iter().any(|to| to.alight));
        let stations: f64 = stops.iter().map(|stop| stop.weight).sum();
        let weight = if journeys { stations.sqrt() * time_of_day(departs as f64 / 3_600.0) } else { 0.0 };
        let classes = run.classes();
        Wanted {
            train: run.train().to_owned(),
            date: run.date(),
            partitions: classes
                .iter()
                .map(|class| format!("{}|{}|{}", run.train(), run.date(), class.name))
                .collect(),
            second_class: classes.iter().position(|class| &*class.name == "2nd").unwrap_or(0),
            stops,
            weight,
        }
    }

    fn draw(&self, run: u32, chance: &mut fastrand::Rng) -> Wish {
        let last = self.stops.len();
        let (from, to) = loop {
            let from = self.stop(0..last, |stop| stop.board, chance);
            if let Some(from) = from
                && let Some(to) = self.stop(from + 1..last, |stop| stop.alight, chance)
            {
                break (from, to);
            }
        };
        let class =
            if chance.u32(..10) > 0 { self.second_class } else { chance.usize(..self.partitions.len()) };
        Wish { run, class: class as u8, from: from as u16, to: to as u16, seats: party(chance) }
    }

    /// A stop of a part of the run, by weight.
    fn stop(
        &self,
        range: std::ops::Range<usize>,
        fits: impl Fn(&WantedStop) -> bool,
        chance: &mut fastrand::Rng,
    ) -> Option<usize> {
        let weight = |i: &usize| if fits(&self.stops[*i]) { self.stops[*i].weight } else { 0.0 };
        let total: f64 = range.clone().map(|i| weight(&i)).sum();
        let mut left = chance.f64() * total;
        range.filter(|i| weight(i) > 0.0).find(|i| {
            left -= weight(i);
            left < 0.0
        })
    }
}

fn party(chance: &mut fastrand::Rng) -> u32 {
    let mut left = chance.u32(..PARTIES.iter().sum::<u32>());
    for (size, share) in (1..).zip(PARTIES) {
        if left < share {
            return size;
        }
        left -= share;
    }
    1
}

/// Weight of a departure by its hour: two bells on a low floor.
fn time_of_day(hour: f64) -> f64 {
    let bell = |middle: f64, width: f64| (-((hour - middle) / width).powi(2)).exp();
    0.05 + bell(8.0, 2.0) + 0.9 * bell(17.0, 3.0) + 0.4 * bell(12.5, 3.0)
}

/// An index, each as likely as its part of the sums.
fn chosen(sums: &[f64], chance: &mut fastrand::Rng) -> usize {
    let place = chance.f64() * sums[sums.len() - 1];
    sums.partition_point(|sum| *sum <= place).min(sums.len() - 1)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use jiff::civil::date;
    use timetable::{DateWindow, Timetable};

    use super::{Demand, Wish};

    fn timetable() -> Timetable {
        Timetable::built_in(DateWindow::WHOLE)
    }

    fn demand() -> Demand {
        Demand::new(&timetable(), &[date(2027, 3, 1), date(2027, 3, 2)])
    }

    fn wishes(demand: &Demand, seed: u64, count: usize) -> Vec<Wish> {
        let mut chance = fastrand::Rng::with_seed(seed);
        (0..count).map(|_| demand.draw(&mut chance)).collect()
    }

    #[test]
    fn every_wish_can_be_sold() {
        let (timetable, demand) = (timetable(), demand());
        for wish in wishes(&demand, 1, 5_000) {
            let parts: Vec<&str> = demand.partition(&wish).split('|').collect();
            let run = timetable.run(parts[0], parts[1].parse().unwrap()).expect("a run");
            assert!(run.class(parts[2]).is_some(), "{parts:?}");
            assert_eq!(demand.train(&wish), (parts[0], run.date()));
            let stops: Vec<_> = run.stops().collect();
            assert!(wish.from < wish.to && usize::from(wish.to) < stops.len(), "{wish:?}");
            assert!(stops[usize::from(wish.from)].board && stops[usize::from(wish.to)].alight, "{wish:?}");
            assert!((1..=6).contains(&wish.seats), "{wish:?}");
        }
    }

    #[test]
    fn the_spread_is_uneven_and_the_same_for_a_seed() {
        let demand = demand();
        assert_eq!(wishes(&demand, 5, 100), wishes(&demand, 5, 100));
        let wishes = wishes(&demand, 2, 20_000);
        let mut by_train = HashMap::<&str, usize>::new();
        for wish in &wishes {
            *by_train.entry(demand.train(wish).0).or_default() += 1;
        }
        let (most, least) = (by_train.values().max().unwrap(), by_train.values().min().unwrap());
        assert!(by_train.len() > 10 && *most > 3 * *least, "{by_train:?}");
        let share = |fits: &dyn Fn(&Wish) -> bool| {
            wishes.iter().filter(|wish| fits(wish)).count() as f64 / wishes.len() as f64
        };
        assert!((share(&|wish| wish.seats == 1) - 0.62).abs() < 0.02);
        assert!(share(&|wish| demand.partition(wish).ends_with("|2nd")) > 0.88);
    }

    #[test]
    fn openings_have_each_run_once_and_the_most_wanted_first() {
        let demand = demand();
        let openings = demand.openings(10);
        let mut all: Vec<u32> = openings.iter().flatten().copied().collect();
        all.sort_unstable();
        assert_eq!(all, (0..all.len() as u32).collect::<Vec<_>>(), "each run once");
        assert_eq!(
            openings.iter().map(Vec::len).collect::<Vec<_>>(),
            [10, 10, 3, 3],
            "13 trains on two days"
        );
        for opening in &openings {
            let date = demand.runs[opening[0] as usize].date;
            assert!(opening.iter().all(|run| demand.runs[*run as usize].date == date));
        }
    }
}
