//! RFC 3339.

use engine::ids::Time;
use jiff::SignedDuration;
use jiff::civil::DateTime;

const SECS_PER_DAY: i64 = 86_400;
/// The last moment that has a year of four digits; later ones are written as it.
const LAST_SECS: i64 = 253_402_300_799;

/// `2026-02-11T08:30:00`
type Civil = [u8; 19];

/// `2026-02-11T08:30:00.125Z`
pub(crate) fn write_utc(out: &mut Vec<u8>, time: Time) {
    let mut text = *b"0000-00-00T00:00:00.000Z";
    let secs = i64::try_from(time.0 / 1000).unwrap_or(LAST_SECS);
    let (moment, rest) = text.split_first_chunk_mut::<19>().expect("the text is longer");
    fill_civil(moment, secs);
    let millis = (time.0 % 1000) as u32;
    rest[1] = b'0' + (millis / 100) as u8;
    fill_two(rest, 2, millis % 100);
    out.extend_from_slice(&text);
}

/// `2026-02-11T08:30:00+08:00`
pub(crate) fn write_local(out: &mut Vec<u8>, unix_secs: i64, offset_secs: i32) {
    // Offsets are whole minutes wherever trains run by a timetable.
    let minutes = offset_secs / 60;
    let mut text = *b"0000-00-00T00:00:00+00:00";
    let (moment, rest) = text.split_first_chunk_mut::<19>().expect("the text is longer");
    fill_civil(moment, unix_secs.saturating_add(i64::from(minutes) * 60));
    if minutes < 0 {
        rest[0] = b'-';
    }
    fill_two(rest, 1, minutes.unsigned_abs() / 60);
    fill_two(rest, 4, minutes.unsigned_abs() % 60);
    out.extend_from_slice(&text);
}

/// The first whole millisecond that is not before a moment written as RFC 3339 says; 1970 for one before that.
pub(crate) fn parse(text: &str) -> Option<Time> {
    const NS_PER_MS: i128 = 1_000_000;
    let (civil, offset) = split_offset(text)?;
    let (whole, fraction) = civil.split_at_checked(CIVIL.len())?;
    // The shape first: `jiff` reads other forms as well. It knows the calendar, to the end of the year 9999.
    let is_shaped = fits(whole.as_bytes(), CIVIL) && is_fraction(fraction);
    let civil: DateTime = is_shaped.then(|| civil.parse().ok()).flatten()?;
    let since_1970 = civil.duration_since(DateTime::constant(1970, 1, 1, 0, 0, 0, 0)) - offset;
    let ms = (since_1970.as_nanos() + NS_PER_MS - 1).div_euclid(NS_PER_MS);
    Some(Time(u64::try_from(ms).unwrap_or(0)))
}

const CIVIL: &[u8] = b"0000-00-00T00:00:00";

/// The part before `Z` or `+08:00`, and how far that is ahead of UTC.
fn split_offset(text: &str) -> Option<(&str, SignedDuration)> {
    const OFFSET: &[u8] = b"+00:00";
    if let Some(civil) = text.strip_suffix(['Z', 'z']) {
        return Some((civil, SignedDuration::ZERO));
    }
    let (civil, offset) = text.split_at_checked(text.len().checked_sub(OFFSET.len())?)?;
    if !fits(offset.as_bytes(), OFFSET) {
        return None;
    }
    let (hours, minutes): (i64, i64) = (offset[1..3].parse().ok()?, offset[4..].parse().ok()?);
    let ahead = SignedDuration::from_mins(hours * 60 + minutes);
    (hours < 24 && minutes < 60).then_some((civil, if offset.starts_with('-') { -ahead } else { ahead }))
}

/// As long as the shape, and like it: `0` is any digit, `+` any sign, a letter either case of it.
fn fits(text: &[u8], shape: &[u8]) -> bool {
    let is_like = |(byte, shape): (&u8, &u8)| match shape {
        b'0' => byte.is_ascii_digit(),
        b'+' => matches!(byte, b'+' | b'-'),
        other => byte.eq_ignore_ascii_case(other),
    };
    text.len() == shape.len() && text.iter().zip(shape).all(is_like)
}

/// Nothing, or a point and digits.
fn is_fraction(text: &str) -> bool {
    let digits = text.strip_prefix('.');
    text.is_empty()
        || digits.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
}

fn fill_civil(text: &mut Civil, secs: i64) {
    let secs = secs.clamp(0, LAST_SECS);
    let (year, month, day) = civil(secs / SECS_PER_DAY);
    let of_day = (secs % SECS_PER_DAY) as u32;
    let numbers = [
        (0, year / 100),
        (2, year % 100),
        (5, month),
        (8, day),
        (11, of_day / 3600),
        (14, of_day / 60 % 60),
        (17, of_day % 60),
    ];
    for (at, number) in numbers {
        fill_two(text, at, number);
    }
}

fn fill_two(text: &mut [u8], at: usize, number: u32) {
    text[at] = b'0' + (number / 10) as u8;
    text[at + 1] = b'0' + (number % 10) as u8;
}

/// Year, month and day of a count of days since 1970, by Howard Hinnant's `civil_from_days`, for days that are not
/// before 1970.
fn civil(days: i64) -> (u32, u32, u32) {
    let days = days as u32 + 719_468;
    let era = days / 146_097;
    let of_era = days % 146_097;
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + u32::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utc(ms: u64, expected: &str) {
        let mut out = Vec::new();
        write_utc(&mut out, Time(ms));
        assert_eq!(String::from_utf8(out).unwrap(), expected, "{ms}");
    }

    fn local(secs: i64, offset: i32, expected: &str) {
        let mut out = Vec::new();
        write_local(&mut out, secs, offset);
        assert_eq!(String::from_utf8(out).unwrap(), expected, "{secs} {offset}");
    }

    #[test]
    fn moments_in_utc() {
        utc(0, "1970-01-01T00:00:00.000Z");
        utc(951_782_399_999, "2000-02-28T23:59:59.999Z");
        utc(951_782_400_000, "2000-02-29T00:00:00.000Z");
        utc(1_770_797_406_007, "2026-02-11T08:10:06.007Z");
        utc(4_107_542_399_010, "2100-02-28T23:59:59.010Z");
        utc(4_107_542_400_000, "2100-03-01T00:00:00.000Z");
        utc(253_402_300_799_999, "9999-12-31T23:59:59.999Z");
        utc(u64::MAX, "9999-12-31T23:59:59.615Z");
    }

    #[test]
    fn moments_are_read_as_they_are_written() {
        for ms in [0, 1, 999, 951_782_400_000, 1_770_797_406_007, 253_402_300_799_999] {
            let mut out = Vec::new();
            write_utc(&mut out, Time(ms));
            assert_eq!(parse(std::str::from_utf8(&out).unwrap()), Some(Time(ms)));
        }
    }

    #[test]
    fn only_rfc_3339_is_read() {
        for (text, expected) in [
            ("2026-02-11T08:10:06Z", Some(1_770_797_406_000)),
            ("2026-02-11t08:10:06z", Some(1_770_797_406_000)),
            ("2026-02-11T16:10:06+08:00", Some(1_770_797_406_000)),
            ("2026-02-11T04:40:06-03:30", Some(1_770_797_406_000)),
            ("2026-02-11T08:10:06-00:00", Some(1_770_797_406_000)),
            ("2026-02-11T08:10:06.1Z", Some(1_770_797_406_100)),
            ("2026-02-11T08:10:06.007Z", Some(1_770_797_406_007)),
            ("2026-02-11T08:10:06.0070001Z", Some(1_770_797_406_008)),
            ("2026-02-11T08:10:06.999999999Z", Some(1_770_797_407_000)),
            ("1969-12-31T23:59:59Z", Some(0)),
            ("0000-01-01T00:00:00Z", Some(0)),
            ("2024-02-29T00:00:00Z", Some(1_709_164_800_000)),
            ("9999-12-31T23:59:59.999999999-23:59", Some(253_402_300_800_000 + (24 * 60 - 1) * 60_000)),
            ("0000-01-01T00:00:00+23:59", Some(0)),
            ("2016-12-31T23:59:60Z", Some(1_483_228_799_000)),
            ("", None),
            ("Z", None),
            ("+08:00", None),
            ("é6-02-11T08:10:06Z", None),
            ("2026-02-11T08:10:0é+08:00", None),
            ("2026-02-11T08:10:06+0é:00", None),
            ("2026-02-11T08:10:06+24:00", None),
            ("2026-02-11T08:10:06+08:60", None),
            ("2026-02-11T08:10:06.0000000001Z", None),
            ("2026-02-11T08:10:06ZZ", None),
            ("2026", None),
            ("2026-02-11", None),
            ("2026-02-11T08:10:06", None),
            ("2026-02-11T08:10Z", None),
            ("2026-02-11 08:10:06Z", None),
            ("2026-02-11T08:10:06 08:00", None),
            ("2026-02-11T08:10:06+08", None),
            ("2026-02-11T08:10:06+0800", None),
            ("2026-02-11T08:10:06+08:00:00", None),
            ("2026-02-11T08:10:06+08:00[Asia/Shanghai]", None),
            ("2026-02-11T08:10:06.Z", None),
            ("2026-02-11T08:10:06,5Z", None),
            ("20260211T081006Z", None),
            ("2026-02-30T08:10:06Z", None),
            ("2023-02-29T00:00:00Z", None),
            ("2026-13-11T08:10:06Z", None),
            ("2026-02-11T24:00:00Z", None),
            ("2026-02-11T08:60:06Z", None),
            ("2026-02-11T08:10:06+99:00", None),
            ("+2026-02-11T08:10:06Z", None),
            ("1770797406", None),
            ("now", None),
        ] {
            assert_eq!(parse(text), expected.map(Time), "{text:?}");
        }
    }

    #[test]
    fn moments_with_an_offset() {
        local(1_770_797_406, 8 * 3600, "2026-02-11T16:10:06+08:00");
        local(1_770_797_406, -(3 * 3600 + 1800), "2026-02-11T04:40:06-03:30");
        local(1_770_797_406, 0, "2026-02-11T08:10:06+00:00");
    }
}
