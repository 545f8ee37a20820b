//! RFC 3339.

use engine::ids::Time;

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
    fn moments_with_an_offset() {
        local(1_770_797_406, 8 * 3600, "2026-02-11T16:10:06+08:00");
        local(1_770_797_406, -(3 * 3600 + 1800), "2026-02-11T04:40:06-03:30");
        local(1_770_797_406, 0, "2026-02-11T08:10:06+00:00");
    }
}
