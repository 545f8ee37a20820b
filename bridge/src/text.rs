//! Values as tables, envelopes and HTTP write them.

use engine::ids::Time;
use engine::text::Text;
use jiff::fmt::temporal::DateTimePrinter;
use jiff::tz::TimeZone;
use jiff::{Timestamp, civil};

/// Milliseconds always, so that texts sort as their times do.
static PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(3));

/// In UTC; what lies beyond the year 9999 is its end.
pub(crate) fn civil_time(time: Time) -> civil::DateTime {
    TimeZone::UTC.to_datetime(timestamp(time))
}

fn timestamp(time: Time) -> Timestamp {
    let at = i64::try_from(time.0).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    at.unwrap_or(Timestamp::MAX)
}

/// `2026-02-11T08:30:00.125Z`; what lies beyond the year 9999 is its end.
pub(crate) fn write_time(out: &mut String, time: Time) {
    PRINTER.print_timestamp(&timestamp(time), out).expect("text is written to memory");
}

pub(crate) fn time(time: Time) -> String {
    let mut out = String::with_capacity("2026-02-11T08:30:00.125Z".len());
    write_time(&mut out, time);
    out
}

/// The time that a text of [`write_time`] says; `None` where it is none.
pub(crate) fn parse_time(text: &str) -> Option<Time> {
    let at: Timestamp = text.parse().ok()?;
    u64::try_from(at.as_millisecond()).ok().map(Time)
}

/// `["05-1A","05-1C"]`
pub(crate) fn write_list(out: &mut String, texts: &[Text]) {
    out.push('[');
    for (i, text) in texts.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        write_string(out, text.as_str());
    }
    out.push(']');
}

/// A JSON string, with its quotes.
pub(crate) fn write_string(out: &mut String, text: &str) {
    if text.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else {
        out.push_str(&serde_json::to_string(text).expect("a text is written to memory"));
    }
}

pub(crate) fn parse_list(text: &str) -> Option<Vec<Text>> {
    let texts: Vec<String> = serde_json::from_str(text).ok()?;
    Some(texts.iter().map(|text| Text::from(text.as_str())).collect())
}

/// `05-1A,05-1C`
pub(crate) fn joined(texts: &[Text]) -> String {
    let mut out = String::new();
    for (i, text) in texts.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        out.push_str(text.as_str());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let check = |ms, expected: &str| {
            assert_eq!(time(Time(ms)), expected, "{ms}");
            assert_eq!(parse_time(expected), Some(Time(ms)), "{expected}");
        };
        check(0, "1970-01-01T00:00:00.000Z");
        check(951_782_399_999, "2000-02-28T23:59:59.999Z");
        check(1_770_797_406_007, "2026-02-11T08:10:06.007Z");
        check(1_770_797_406_000, "2026-02-11T08:10:06.000Z");
        assert_eq!(time(Time(u64::MAX)).len(), "2026-02-11T08:10:06.007Z".len());
        for no_time in ["", "2026-02-11", "yesterday", "1969-12-31T23:59:59.000Z"] {
            assert_eq!(parse_time(no_time), None, "{no_time}");
        }
    }

    #[test]
    fn lists() {
        let check = |texts: &[&str], expected: &str| {
            let texts: Vec<Text> = texts.iter().map(|text| Text::from(*text)).collect();
            let mut out = String::new();
            write_list(&mut out, &texts);
            assert_eq!(out, expected);
            assert_eq!(parse_list(&out), Some(texts));
        };
        check(&[], "[]");
        check(&["1-1"], r#"["1-1"]"#);
        check(&["05-1A", "a\"b\\c\n", "座"], r#"["05-1A","a\"b\\c\n","座"]"#);
        assert_eq!(parse_list("{}"), None);
    }
}
