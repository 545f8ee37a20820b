//! What holds for all feeds: searches find what the plainest search finds, and damage is refused or harmless.

use proptest::prelude::*;
use timetable::{Date, Timetable, journey_stops};

use crate::feed::Feed;

const FILES: [&str; 7] = [
    "agency.txt",
    "stops.txt",
    "routes.txt",
    "trips.txt",
    "stop_times.txt",
    "calendar.txt",
    "formations.toml",
];

fn date(text: &str) -> Date {
    text.parse().unwrap()
}

fn formations() -> String {
    include_str!("../../formations.toml").to_owned()
}

/// A trip: the days on which it runs, the hour at which it starts, and its stops.
type TripPlan = (Vec<bool>, u32, Vec<StopPlan>);
/// A stop, whether it may be boarded, and whether it may be left.
type StopPlan = (usize, bool, bool);

fn stop_plans() -> impl Strategy<Value = Vec<StopPlan>> {
    let mostly = || prop::bool::weighted(0.8);
    prop::collection::vec((0usize..STOPS.len(), mostly(), mostly()), 2..7)
}

const STOPS: [&str; 4] = ["a", "b", "c", "d"];
const FIRST_DAY: &str = "2027-03-26";

/// Trips on the days around a change of clocks, an hour from stop to stop, each with its index as its number.
fn feed_of(trips: &[TripPlan]) -> Feed {
    let mut files = [
        "route_id,service_id,trip_id\n".to_owned(),
        "trip_id,arrival_time,departure_time,stop_id,stop_sequence,pickup_type,drop_off_type\n".to_owned(),
        "service_id,date,exception_type\n".to_owned(),
    ];
    for (trip, (days, start, stops)) in trips.iter().enumerate() {
        files[0] += &format!("r,{trip},{trip}\n");
        for (index, (stop, board, alight)) in stops.iter().enumerate() {
            let hour = *start as usize + index;
            let (stop, pickup, drop_off) = (STOPS[*stop], u8::from(!board), u8::from(!alight));
            files[1] += &format!("{trip},{hour}:00:00,{hour}:10:00,{stop},{index},{pickup},{drop_off}\n");
        }
        for (day, runs) in days.iter().enumerate() {
            files[2] += &format!("{trip},202703{},{}\n", 26 + day, if *runs { 1 } else { 2 });
        }
    }
    let [trips, stop_times, dates] = files;
    Feed::new()
        .replaced("agency.txt", "Asia/Shanghai", "Europe/Berlin")
        .with("stops.txt", "stop_id,stop_name\na,A\nb,B\nc,C\nd,D\n")
        .without("calendar.txt")
        .with("trips.txt", trips)
        .with("stop_times.txt", stop_times)
        .with("calendar_dates.txt", dates)
}

/// All spans of all runs, one by one: departure, arrival, train, date, stops.
fn plain_search(
    timetable: &Timetable,
    from: &str,
    to: &str,
    day: Date,
) -> Vec<(i64, i64, String, Date, u16, u16)> {
    let mut found = Vec::new();
    let days = date(FIRST_DAY).series(jiff::Span::new().days(1)).take(6);
    for run in days.flat_map(|day| timetable.runs(day)) {
        let stops: Vec<_> = run.stops().collect();
        let spans = stops.iter().flat_map(|board| {
            stops[usize::from(board.index) + 1..].iter().map(move |alight| (board, alight))
        });
        let fits = spans
            .filter(|(board, alight)| *board.station.code == *from && *alight.station.code == *to)
            .filter(|(board, alight)| board.board && alight.alight);
        // The later boarding, then the earlier arrival.
        let best = fits.max_by_key(|(board, alight)| (board.index, std::cmp::Reverse(alight.index)));
        if let Some((board, alight)) = best.filter(|(board, _)| board.departs_at.date() == day) {
            let times = (board.departs_at.unix_secs(), alight.arrives_at.unix_secs());
            found.push((times.0, times.1, run.train().to_owned(), run.date(), board.index, alight.index));
        }
    }
    found.sort();
    found
}

proptest! {
    #[test]
    fn the_stops_of_a_journey_are_the_best_of_all_pairs(
        stops in prop::collection::vec((any::<bool>(), any::<bool>()), 0..12),
    ) {
        let pairs = (0..stops.len()).flat_map(|from| (from + 1..stops.len()).map(move |to| (from, to)));
        let allowed = pairs.filter(|(from, to)| stops[*from].0 && stops[*to].1);
        let best = allowed.max_by_key(|(from, to)| (*from, std::cmp::Reverse(*to)));
        let best = best.map(|(from, to)| (from as u16, to as u16));
        prop_assert_eq!(journey_stops(stops), best);
    }

    #[test]
    fn journeys_are_those_of_the_plainest_search(
        trips in prop::collection::vec(
            (prop::collection::vec(any::<bool>(), 4), 0u32..60, stop_plans()),
            1..6,
        ),
    ) {
        let timetable = feed_of(&trips).load();
        for from in STOPS {
            for to in STOPS.into_iter().filter(|to| *to != from) {
                let (from_id, to_id) = (timetable.find_station(from).unwrap(), timetable.find_station(to).unwrap());
                for day in date(FIRST_DAY).yesterday().unwrap().series(jiff::Span::new().days(1)).take(10) {
                    let journeys = timetable.journeys(from_id, to_id, day);
                    prop_assert!(journeys.is_sorted_by_key(|journey| journey.departs_at));
                    let mut found: Vec<_> = journeys
                        .iter()
                        .map(|journey| {
                            let times = (journey.departs_at.unix_secs(), journey.arrives_at.unix_secs());
                            let (train, date) = (journey.run.train().to_owned(), journey.run.date());
                            (times.0, times.1, train, date, journey.from_index, journey.to_index)
                        })
                        .collect();
                    found.sort();
                    prop_assert_eq!(found, plain_search(&timetable, from, to, day));
                }
            }
        }
    }

    #[test]
    fn damage_is_refused_or_harmless(
        file in 0usize..FILES.len(),
        at in any::<prop::sample::Index>(),
        length in 0usize..12,
        with in prop_oneof!["[0-9:,\"\n |#\\[\\]]{0,6}", "\\PC{0,4}", Just("99999999999".to_owned())],
    ) {
        let feed = Feed::new().with("formations.toml", formations());
        let name = FILES[file];
        let text: Vec<char> = feed.text(name).chars().collect();
        let start = at.index(text.len());
        let end = (start + length).min(text.len());
        let damaged: String =
            text[..start].iter().copied().chain(with.chars()).chain(text[end..].iter().copied()).collect();
        match feed.with(name, damaged).try_load() {
            // What is read can be asked anything.
            Ok(timetable) => {
                prop_assert!(timetable.summary().trips >= timetable.summary().trains);
                let days = timetable.dates().into_iter().flat_map(|(first, last)| [first, last]);
                for run in days.flat_map(|day| timetable.runs(day).collect::<Vec<_>>()) {
                    prop_assert!(run.stops().next().is_some_and(|stop| stop.departs_at.unix_ms() <= run.ends_ms()));
                    prop_assert!(run.stops().is_sorted_by_key(|stop| stop.arrives_at));
                    prop_assert!(run.classes().iter().all(|class| class.layout.validate().is_ok()));
                }
            }
            Err(error) => prop_assert!(FILES.contains(&error.file.as_str()) && !error.what.is_empty(), "{}", error),
        }
    }
}
