//! RFC 3339.

use engine::ids::Time;

const SECS_PER_DAY: i64 = 86_400;
/// The last moment that has a year of four digits; later ones are written as it.
const LAST_SECS: i64 = 253_402_300_799;

/// `2026-02-11T08:30:00.125Z`
pub(crate) fn write_utc(out: &mut Vec<u8>, time: Time) {
    let secs = i64::try_from(time.0 / 1000).unwrap_or(LAST_SECS);
    write_civil(out, secs);
    let millis = time.0 % 1000;
    out.push(b'.');
    out.push(b'0' + (millis / 100) as u8);
    write_two(out, (millis % 100) as u32);
    out.push(b'Z');
}

/// `2026-02-11T08:30:00+08:00`
pub(crate) fn write_local(out: &mut Vec<u8>, unix_secs: i64, offset_secs: i32) {
    // Offsets are whole minutes wherever trains run by a timetable.
    let minutes = offset_secs / 60;
    write_civil(out, unix_secs.saturating_add(i64::from(minutes) * 60));
    out.push(if minutes < 0 { b'-' } else { b'+' });
    write_two(out, minutes.unsigned_abs() / 60);
    out.push(b':');
    write_two(out, minutes.unsigned_abs() % 60);
}

fn write_civil(out: &mut Vec<u8>, secs: i64) {
    let secs = secs.clamp(0, LAST_SECS);
    let (year, month, day) = civil(secs / SECS_PER_DAY);
    let of_day = (secs % SECS_PER_DAY) as u32;
    write_two(out, year / 100);
    write_two(out, year % 100);
    for (mark, number) in
        [(b'-', month), (b'-', day), (b'T', of_day / 3600), (b':', of_day / 60 % 60), (b':', of_day % 60)]
    {
        out.push(mark);
        write_two(out, number);
    }
}

fn write_two(out: &mut Vec<u8>, number: u32) {
    out.extend_from_slice(&[b'0' + (number / 10) as u8, b'0' + (number % 10) as u8]);
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
