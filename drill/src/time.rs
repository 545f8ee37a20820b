//! Clock and calendar: RFC 3339 as answers carry it, and dates as the timetable takes them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

static SERVER_CLOCK_JUMPS: AtomicBool = AtomicBool::new(false);

/// From here on times in answers are not of this process's clock.
pub fn server_clock_may_jump() {
    SERVER_CLOCK_JUMPS.store(true, Ordering::SeqCst);
}

/// True while times in answers can be compared with this process's clock.
#[must_use]
pub fn is_server_clock_ours() -> bool {
    !SERVER_CLOCK_JUMPS.load(Ordering::SeqCst)
}

/// Milliseconds since the Unix epoch, by the wall clock.
pub fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_millis() as u64
}

/// Tomorrow where China's railway keeps its time (+08:00), as `YYYY-MM-DD`.
pub fn tomorrow() -> String {
    (Timestamp::now() + (24 + 8).hours()).to_zoned(TimeZone::UTC).date().to_string()
}

/// The date so many days after another one, both as `YYYY-MM-DD`.
///
/// # Panics
/// When `date` is none.
pub fn days_after(date: &str, days: i64) -> String {
    let date: Date = date.parse().unwrap_or_else(|e| panic!("not a date: {date:?}: {e}"));
    (date + days.days()).to_string()
}

/// Reads an RFC 3339 time as milliseconds since the Unix epoch; finer digits are cut off.
///
/// # Panics
/// When `text` is no such time.
pub fn rfc3339_ms(text: &str) -> i64 {
    parse(text).unwrap_or_else(|| panic!("not an RFC 3339 time: {text:?}"))
}

fn parse(text: &str) -> Option<i64> {
    // The library reads other dividers as well.
    let time: Timestamp = text.parse().ok().filter(|_| text.as_bytes()[10] == b'T')?;
    Some(time.as_millisecond())
}

#[test]
fn times_are_read_as_they_are_meant() {
    assert_eq!(rfc3339_ms("1970-01-01T00:00:00Z"), 0);
    assert_eq!(rfc3339_ms("1970-01-01T08:00:00.5+08:00"), 500);
    assert_eq!(rfc3339_ms("2000-03-01T00:00:00.123456789Z"), 951_868_800_123);
    assert_eq!(parse("2000-03-01 00:00:00Z"), None);
    assert_eq!(parse("2000-03-01T00:00:00"), None);
    assert_eq!(days_after("2026-12-31", 1), "2027-01-01");
    assert_eq!(days_after("2028-03-01", -1), "2028-02-29");
}
