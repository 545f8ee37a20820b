//! Times of day as feeds write them, and the moments that they stand for on a date.

use std::fmt;

use jiff::civil::Date;
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};

use crate::limits::HOURS_MAX;

/// A moment with the offset of the feed's time zone. Displays as RFC 3339, e.g. `2027-01-30T05:47:00+08:00`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LocalTime {
    unix_secs: i64,
    offset_secs: i32,
}

impl LocalTime {
    #[must_use]
    pub fn unix_secs(self) -> i64 {
        self.unix_secs
    }

    #[must_use]
    pub fn unix_ms(self) -> i64 {
        self.unix_secs * 1_000
    }

    /// Seconds east of UTC.
    #[must_use]
    pub fn offset_secs(self) -> i32 {
        self.offset_secs
    }

    /// The date on the station's calendar.
    #[must_use]
    pub fn date(self) -> Date {
        self.offset().to_datetime(self.timestamp()).date()
    }

    fn offset(self) -> Offset {
        Offset::from_seconds(self.offset_secs).expect("an offset that came from a time zone")
    }

    fn timestamp(self) -> Timestamp {
        Timestamp::from_second(self.unix_secs).expect("a moment within the years of a feed")
    }
}

impl fmt::Display for LocalTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.timestamp().display_with_offset(self.offset()).fmt(f)
    }
}

/// The feed's time zone.
#[derive(Clone, Debug)]
pub(crate) struct Zone(TimeZone);

impl Zone {
    /// A zone by its IANA name, from the database that is built in: the same on every machine.
    pub(crate) fn named(name: &str) -> Option<Zone> {
        jiff::tz::TimeZoneDatabase::bundled().get(name).ok().map(Zone)
    }

    /// The unix second from which the times of a run on this date count: twelve hours before noon. That is midnight,
    /// but for the days on which the clocks are changed.
    pub(crate) fn service_day_start(&self, date: Date) -> i64 {
        let noon = date.at(12, 0, 0, 0).to_zoned(self.0.clone()).expect("a date within the years of a feed");
        (noon.timestamp() - SignedDuration::from_hours(12)).as_second()
    }

    /// The unix second at which a calendar date begins.
    pub(crate) fn calendar_day_start(&self, date: Date) -> i64 {
        let start = date.to_zoned(self.0.clone()).expect("a date within the years of a feed");
        start.timestamp().as_second()
    }

    pub(crate) fn local(&self, unix_secs: i64) -> LocalTime {
        let moment = Timestamp::from_second(unix_secs).expect("a moment within the years of a feed");
        LocalTime { unix_secs, offset_secs: self.0.to_offset(moment).seconds() }
    }
}

/// Reads `H:MM:SS`, with hours past 24 for what happens on the days after; `None` for anything else. In seconds.
pub(crate) fn parse_time(text: &str) -> Option<i32> {
    let mut parts = text.split(':');
    let hours = digits(parts.next()?, 1..=3)?;
    let minutes = digits(parts.next()?, 2..=2)?;
    let seconds = digits(parts.next()?, 2..=2)?;
    let within = parts.next().is_none() && hours <= HOURS_MAX && minutes < 60 && seconds < 60;
    within.then_some((hours * 3_600 + minutes * 60 + seconds) as i32)
}

/// Reads `YYYYMMDD`.
pub(crate) fn parse_date(text: &str) -> Option<Date> {
    let number = digits(text, 8..=8)?;
    let date = Date::new((number / 10_000) as i16, (number / 100 % 100) as i8, (number % 100) as i8).ok()?;
    (crate::limits::YEAR_MIN..=crate::limits::YEAR_MAX).contains(&date.year()).then_some(date)
}

/// True for a date beyond the years that are counted, such as 99991231: what is meant is "for ever".
pub(crate) fn is_far_date(text: &str) -> bool {
    let year = digits(text, 8..=8).map(|number| number / 10_000);
    year.is_some_and(|year| year > crate::limits::YEAR_MAX.unsigned_abs().into())
}

fn digits(text: &str, length: std::ops::RangeInclusive<usize>) -> Option<u32> {
    let plain = length.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn times() {
        let check = |text: &str, expected: Option<i32>| assert_eq!(parse_time(text), expected, "{text}");
        check("05:47:00", Some(20_820));
        check("5:47:00", Some(20_820));
        check("00:00:00", Some(0));
        check("33:12:00", Some(119_520));
        check("168:00:00", Some(604_800));
        for wrong in [
            "169:00:00",
            "05:47",
            "05:60:00",
            "05:47:60",
            "05:47:0",
            "-1:00:00",
            "+5:47:00",
            "",
            "05:47:00:00",
        ] {
            check(wrong, None);
        }
    }

    #[test]
    fn dates() {
        let check = |text: &str, expected: Option<Date>| assert_eq!(parse_date(text), expected, "{text}");
        check("20270130", Some(date(2027, 1, 30)));
        for wrong in ["2027-01-30", "20270230", "2027130", "99991231", "19691231", "", "+2027013"] {
            check(wrong, None);
        }
    }

    #[test]
    fn a_day_starts_twelve_hours_before_noon() {
        let zone = Zone::named("Europe/Berlin").unwrap();
        let check = |day: Date, hours: i64, expected: &str| {
            let moment = zone.local(zone.service_day_start(day) + hours * 3_600);
            assert_eq!(moment.to_string(), expected, "{day} {hours}");
            assert_eq!(moment.date().to_string(), expected[..10], "{day} {hours}");
        };
        check(date(2027, 3, 27), 8, "2027-03-27T08:00:00+01:00");
        // The clocks go forward on the 28th: times after the change are what clocks show, those before an hour early.
        check(date(2027, 3, 27), 27, "2027-03-28T04:00:00+02:00");
        check(date(2027, 3, 28), 0, "2027-03-27T23:00:00+01:00");
        check(date(2027, 3, 28), 4, "2027-03-28T04:00:00+02:00");
        check(date(2027, 3, 28), 12, "2027-03-28T12:00:00+02:00");
        // And back on the 31st of October.
        check(date(2027, 10, 31), 0, "2027-10-31T01:00:00+02:00");
        check(date(2027, 10, 31), 2, "2027-10-31T02:00:00+01:00");
        check(date(2027, 10, 30), 26, "2027-10-31T02:00:00+02:00");
        check(date(2027, 10, 31), 25, "2027-11-01T01:00:00+01:00");
    }
}
