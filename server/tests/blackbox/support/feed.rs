//! A timetable of four trains that exercises what feeds contain: a day train with a platform and an untimed stop, a
//! night train with a `/` in its number, a run that calls at a station twice, and a trip without a number.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::time::{days_after, tomorrow};

/// The files of a feed, by name. Tests change them and then write them.
#[derive(Clone, Debug)]
pub(crate) struct Feed(BTreeMap<&'static str, String>);

/// Day train: AAA 08:00, BBB 09:00, CCC without times, DDD 11:00.
pub(crate) const DAY: &str = "K1";
/// Night train: AAA 22:00, BBB 23:50 to 24:05, CCC 25:10 to 25:15, DDD 30:00.
pub(crate) const NIGHT: &str = "N2/N3";
/// Calls at BBB as stop 1 and as stop 3: AAA, BBB, CCC, BBB, DDD.
pub(crate) const LOOP: &str = "L4";
/// A trip without a short name goes by its id: CCC 12:00, EEE 13:00.
pub(crate) const NAMELESS: &str = "trip-4";

/// Lines of `stop_times.txt` before those of the night train: the header and four of the day train.
pub(crate) const NIGHT_STARTS_AT_LINE: usize = 6;

impl Feed {
    pub(crate) fn new() -> Feed {
        let (first, last) = (compact(&days_from_tomorrow(-3)), compact(&days_from_tomorrow(30)));
        Feed(BTreeMap::from([
            (
                "agency.txt",
                lines(&[
                    "agency_id,agency_name,agency_url,agency_timezone",
                    "A,Test Railway,https://railway.example,Asia/Shanghai",
                ]),
            ),
            (
                "stops.txt",
                lines(&[
                    "stop_id,stop_code,stop_name,location_type,parent_station",
                    "AAA,AAA,Alpha,1,",
                    "BBB,BBB,Bravo,1,",
                    "BBB-1,,Bravo platform 1,0,BBB",
                    "CCC,CCC,Charlie,1,",
                    "DDD,DDD,Delta,1,",
                    "EEE,EEE,Echo,1,",
                ]),
            ),
            (
                "routes.txt",
                lines(&[
                    "route_id,agency_id,route_short_name,route_type",
                    "R1,A,K1,2",
                    "R2,A,N2,2",
                    "R3,A,L4,2",
                ]),
            ),
            (
                "trips.txt",
                lines(&[
                    "route_id,service_id,trip_id,trip_short_name",
                    "R1,S,trip-1,K1",
                    "R2,S,trip-2,N2/N3",
                    "R3,S,trip-3,L4",
                    "R1,S,trip-4,",
                ]),
            ),
            (
                "stop_times.txt",
                lines(&[
                    "trip_id,arrival_time,departure_time,stop_id,stop_sequence",
                    "trip-1,08:00:00,08:00:00,AAA,1",
                    "trip-1,09:00:00,09:05:00,BBB-1,2",
                    "trip-1,,,CCC,3",
                    "trip-1,11:00:00,11:00:00,DDD,4",
                    "trip-2,22:00:00,22:00:00,AAA,1",
                    "trip-2,23:50:00,24:05:00,BBB,2",
                    "trip-2,25:10:00,25:15:00,CCC,3",
                    "trip-2,30:00:00,30:00:00,DDD,4",
                    "trip-3,06:00:00,06:00:00,AAA,1",
                    "trip-3,07:00:00,07:05:00,BBB,2",
                    "trip-3,08:00:00,08:05:00,CCC,3",
                    "trip-3,08:50:00,08:55:00,BBB,4",
                    "trip-3,10:00:00,10:00:00,DDD,5",
                    "trip-4,12:00:00,12:00:00,CCC,1",
                    "trip-4,13:00:00,13:00:00,EEE,2",
                ]),
            ),
            (
                "calendar.txt",
                lines(&[
                    "service_id,monday,tuesday,wednesday,thursday,friday,saturday,sunday,start_date,end_date",
                    &format!("S,1,1,1,1,1,1,1,{first},{last}"),
                ]),
            ),
            (
                "calendar_dates.txt",
                lines(&["service_id,date,exception_type", &format!("S,{},2", compact(&closed_day()))]),
            ),
        ]))
    }

    /// Without one of its files.
    pub(crate) fn without(mut self, name: &str) -> Feed {
        self.0.remove(name).expect("the feed has the file");
        self
    }

    /// With `from` replaced by `to` in a file that contains it once.
    pub(crate) fn replaced(mut self, name: &str, from: &str, to: &str) -> Feed {
        let file = self.0.get_mut(name).expect("the feed has the file");
        assert_eq!(file.matches(from).count(), 1, "{from:?} stands once in {name}");
        *file = file.replace(from, to);
        self
    }

    /// With one more column, whose value a line's other columns decide.
    pub(crate) fn with_column(
        mut self,
        name: &str,
        column: &str,
        value: impl Fn(&str) -> &'static str,
    ) -> Feed {
        let file = self.0.get_mut(name).expect("the feed has the file");
        let header = file.lines().take(1).map(|line| format!("{line},{column}\n"));
        let rows = file.lines().skip(1).map(|line| format!("{line},{}\n", value(line)));
        *file = header.chain(rows).collect();
        self
    }

    /// With one more line at a file's end. Gives the line's number, counted from 1.
    pub(crate) fn appended(mut self, name: &str, line: &str) -> (Feed, usize) {
        let file = self.0.get_mut(name).expect("the feed has the file");
        file.push_str(line);
        file.push('\n');
        let number = file.lines().count();
        (self, number)
    }

    /// Writes the files into a new directory below `home`.
    pub(crate) fn write(&self, home: &Path) -> PathBuf {
        let dir = home.join("feed");
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).expect("a directory for the feed");
        for (name, content) in &self.0 {
            fs::write(dir.join(name), content).expect("a file of the feed");
        }
        dir
    }
}

/// A day on which none of the trains runs, though the calendar's week says so.
pub(crate) fn closed_day() -> String {
    days_from_tomorrow(5)
}

/// A day after the last one of the calendar.
pub(crate) fn day_beyond() -> String {
    days_from_tomorrow(31)
}

fn days_from_tomorrow(days: i64) -> String {
    days_after(&tomorrow(), days)
}

fn compact(date: &str) -> String {
    date.replace('-', "")
}

fn lines(all: &[&str]) -> String {
    let mut text = all.join("\n");
    text.push('\n');
    text
}
