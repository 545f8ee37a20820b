//! National feed: the timetable in `perf/data/`, with its dates as they are or moved, so that it is always on sale.

use std::fs;
use std::io::{self, Cursor, Read};
use std::path::Path;

use jiff::ToSpan as _;
use jiff::civil::Date;

/// China's high-speed network of March 2016; where it is from: `perf/data/README.md`.
const NATIONAL: &[u8] = include_bytes!("../../perf/data/gtfs-china-hsr.zip");
/// The first date of service in it.
const FIRST: Date = jiff::civil::date(2027, 1, 30);
/// The tables that have dates, and the columns that are dates.
const DATED: [(&str, &[&str]); 2] =
    [("calendar.txt", &["start_date", "end_date"]), ("calendar_dates.txt", &["date"])];

/// The weeks by which its dates move, so that its first date is one of the first seven of the month after `today`'s.
#[must_use]
pub fn weeks_to_next_month(today: Date) -> i32 {
    let next = today.last_of_month().tomorrow().expect("a date of this age");
    let days = FIRST.until(next).expect("a number of days").get_days();
    days.div_euclid(7) + i32::from(days.rem_euclid(7) > 0)
}

/// Unpacks it into a directory, with its dates moved by so many weeks. Weekdays stay.
///
/// # Errors
/// If a file cannot be written.
pub fn unpack(into: &Path, weeks: i32) -> io::Result<()> {
    fs::create_dir_all(into)?;
    let mut archive = zip::ZipArchive::new(Cursor::new(NATIONAL)).map_err(io::Error::other)?;
    for index in 0..archive.len() {
        let mut file = archive.by_index(index).map_err(io::Error::other)?;
        let name = file.name().map_err(io::Error::other)?.into_owned();
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        if let Some((_, columns)) = DATED.iter().find(|(dated, _)| *dated == name) {
            text = moved(&text, columns, weeks)?;
        }
        fs::write(into.join(name), text)?;
    }
    Ok(())
}

/// A table with its dates moved. The feed has neither quotes nor blanks in these tables.
fn moved(table: &str, columns: &[&str], weeks: i32) -> io::Result<String> {
    let mut lines = table.lines();
    let head = lines.next().unwrap_or_default();
    let dated: Vec<bool> = head.split(',').map(|column| columns.contains(&column)).collect();
    let mut text = format!("{head}\n");
    for line in lines {
        for (i, field) in line.split(',').enumerate() {
            text.push_str(if i > 0 { "," } else { "" });
            if dated.get(i).is_some_and(|is| *is) {
                text.push_str(&moved_date(field, weeks)?);
            } else {
                text.push_str(field);
            }
        }
        text.push('\n');
    }
    Ok(text)
}

fn moved_date(date: &str, weeks: i32) -> io::Result<String> {
    let parsed = Date::strptime("%Y%m%d", date).and_then(|date| date.checked_add(weeks.weeks()));
    let moved = parsed.map_err(|e| io::Error::other(format!("{date:?} is no date of the feed: {e}")))?;
    Ok(moved.strftime("%Y%m%d").to_string())
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan as _;
    use jiff::civil::{Date, date};
    use timetable::{DateWindow, Timetable};

    use super::{FIRST, moved, unpack, weeks_to_next_month};

    fn first_on(today: Date) -> Date {
        FIRST.checked_add(weeks_to_next_month(today).weeks()).unwrap()
    }

    #[test]
    fn dates_move_by_whole_weeks_into_the_month_to_come() {
        let mut today = date(2024, 1, 1);
        while today < date(2031, 1, 1) {
            let first = first_on(today);
            assert!(first > today && first.day() <= 7, "on {today} it begins on {first}");
            assert_eq!(first.weekday(), FIRST.weekday());
            let next = today.last_of_month().tomorrow().unwrap();
            assert_eq!((first.year(), first.month()), (next.year(), next.month()), "on {today}");
            today = today.tomorrow().unwrap();
        }
    }

    #[test]
    fn dates_alone_are_moved() {
        let table = "service_id,date,exception_type\nS20270130,20270130,1\nS2,20270228,2\n";
        let expected = "service_id,date,exception_type\nS20270130,20270206,1\nS2,20270307,2\n";
        assert_eq!(moved(table, &["date"], 1).unwrap(), expected);
        assert!(moved("date\n2027\n", &["date"], 1).is_err());
    }

    #[test]
    fn the_national_feed_is_always_on_sale() {
        let dir = tempfile::tempdir().unwrap();
        for today in [date(2026, 11, 30), date(2030, 2, 28)] {
            unpack(dir.path(), weeks_to_next_month(today)).unwrap();
            let timetable = Timetable::load_strict(dir.path(), None, DateWindow::WHOLE).unwrap();
            let (first, last) = timetable.dates().unwrap();
            assert_eq!(first, first_on(today));
            assert!(last > first.checked_add(50.days()).unwrap(), "{first} to {last}");
            assert!(timetable.runs(first).count() > 2_000, "runs of {first}");
            assert_eq!(timetable.summary().stations, 672);
        }
    }
}
