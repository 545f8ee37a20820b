//! Clock and calendar: RFC 3339 as answers carry it, and dates as the timetable takes them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

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
    date_text((now_ms() / 1_000 + (24 + 8) * 3_600) as i64 / 86_400)
}

/// The date `days` after the Unix epoch. After Howard Hinnant's `civil_from_days`.
pub fn date_text(days: i64) -> String {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

/// Days since the Unix epoch of a date. The inverse of [`date_text`].
pub fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Reads an RFC 3339 time as milliseconds since the Unix epoch; finer digits are cut off.
///
/// # Panics
/// When `text` is no such time.
pub fn rfc3339_ms(text: &str) -> i64 {
    parse(text).unwrap_or_else(|| panic!("not an RFC 3339 time: {text:?}"))
}

fn parse(text: &str) -> Option<i64> {
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<i64>().ok();
    let bytes = text.as_bytes();
    let dividers = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if !dividers.iter().all(|&(at, c)| bytes.get(at) == Some(&c)) {
        return None;
    }
    let days = days_of(number(0..4)?, number(5..7)?, number(8..10)?);
    let secs = number(11..13)? * 3_600 + number(14..16)? * 60 + number(17..19)?;
    let mut rest = text.get(19..)?;
    let mut millis = 0;
    if let Some(fraction) = rest.strip_prefix('.') {
        let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
        let padded = format!("{}00", fraction.get(..digits)?);
        millis = padded.get(..3)?.parse::<i64>().ok()?;
        rest = &fraction[digits..];
    }
    let offset_secs = match rest.as_bytes() {
        b"Z" => 0,
        [sign @ (b'+' | b'-'), _, _, b':', _, _] => {
            let secs = rest[1..3].parse::<i64>().ok()? * 3_600 + rest[4..6].parse::<i64>().ok()? * 60;
            if *sign == b'-' { -secs } else { secs }
        }
        _ => return None,
    };
    Some(((days * 86_400 + secs) - offset_secs) * 1_000 + millis)
}

#[test]
fn times_are_read_as_they_are_meant() {
    assert_eq!(rfc3339_ms("1970-01-01T00:00:00Z"), 0);
    assert_eq!(rfc3339_ms("1970-01-01T08:00:00.5+08:00"), 500);
    assert_eq!(rfc3339_ms("2000-03-01T00:00:00.123456789Z"), 951_868_800_123);
    assert_eq!(parse("2000-03-01 00:00:00Z"), None);
    assert_eq!(parse("2000-03-01T00:00:00"), None);
    assert_eq!(date_text(days_of(2028, 2, 29)), "2028-02-29");
    assert_eq!(date_text(days_of(2026, 12, 31) + 1), "2027-01-01");
}
