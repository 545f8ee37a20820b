//! The ids under which a request is found again: taken from its headers, else made here.

use engine::limits::TRACE_ID_BYTES_MAX;
use engine::text::Text;
use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};

use crate::limits::TRACE_HEADER_BYTES_MAX;
use crate::random::Random;

pub(crate) const X_TRACE_ID: HeaderName = HeaderName::from_static("x-trace-id");
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A request's ids, as they go back in its answer. Always printable text.
#[derive(Clone, Debug)]
pub(crate) struct Ids {
    pub(crate) trace: HeaderValue,
    pub(crate) request: HeaderValue,
}

impl Ids {
    pub(crate) fn of(headers: &HeaderMap, random: &Random) -> Ids {
        let (mut trace, mut request, mut parent) = (None, None, None);
        // One walk: requests have few headers, and looking each up would hash three names.
        for (name, value) in headers {
            let into = match name.as_str() {
                "x-trace-id" => &mut trace,
                "x-request-id" => &mut request,
                "traceparent" => &mut parent,
                _ => continue,
            };
            into.get_or_insert(value);
        }
        let trace = trace.and_then(given).or_else(|| parent.and_then(from_traceparent));
        let request = request.and_then(given);
        Ids {
            trace: trace.unwrap_or_else(|| fresh(random)),
            request: request.unwrap_or_else(|| fresh(random)),
        }
    }

    pub(crate) fn trace_text(&self) -> &str {
        text(&self.trace)
    }

    pub(crate) fn request_text(&self) -> &str {
        text(&self.request)
    }

    /// The trace id as records keep it: cut where it is longer than they take.
    pub(crate) fn trace_for_records(&self) -> Text {
        let trace = self.trace_text();
        Text::from(&trace[..trace.floor_char_boundary(TRACE_ID_BYTES_MAX)])
    }
}

fn text(value: &HeaderValue) -> &str {
    std::str::from_utf8(value.as_bytes()).expect("ids are checked where they come in")
}

/// The header's value, if it is one that may go into a log and back to the client.
fn given(value: &HeaderValue) -> Option<HeaderValue> {
    let bytes = value.as_bytes();
    let fits = !bytes.is_empty() && bytes.len() <= TRACE_HEADER_BYTES_MAX;
    let plain = fits && std::str::from_utf8(bytes).is_ok_and(|text| !text.chars().any(char::is_control));
    plain.then(|| value.clone())
}

/// The trace id of a W3C `traceparent`: `version-traceid-parentid-flags`, the id 32 hexadecimal digits, not all zero.
fn from_traceparent(value: &HeaderValue) -> Option<HeaderValue> {
    let value = value.to_str().ok()?;
    let mut parts = value.split('-');
    let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let hex = |part: &str, digits: usize| {
        part.len() == digits && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let whole = hex(version, 2) && hex(trace, 32) && hex(parent, 16) && hex(flags, 2);
    // Version 255 is forbidden; later versions than ours may have more parts, ours has not.
    let version_fits = version != "ff" && (version != "00" || parts.next().is_none());
    let meant = trace.bytes().any(|b| b != b'0') && parent.bytes().any(|b| b != b'0');
    if whole && version_fits && meant { HeaderValue::from_str(trace).ok() } else { None }
}

fn fresh(random: &Random) -> HeaderValue {
    HeaderValue::from_bytes(&random.uuid()).expect("a UUID is plain text")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    /// `None`: a fresh one is made.
    fn check(name: &'static str, value: &str, expected: Option<&str>) {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        let ids = Ids::of(&headers, &Random::from_system());
        match expected {
            Some(expected) => assert_eq!(ids.trace_text(), expected, "{name}: {value:?}"),
            None => {
                assert_ne!(ids.trace_text(), value, "{name}: {value:?}");
                assert_eq!(ids.trace_text().len(), 36, "{name}: {value:?}");
            }
        }
    }

    #[test]
    fn a_good_trace_id_is_kept_and_a_bad_one_replaced() {
        check("x-trace-id", "abc", Some("abc"));
        check("x-trace-id", "旅行-1", Some("旅行-1"));
        check("x-trace-id", &"x".repeat(128), Some(&"x".repeat(128)));
        check("x-trace-id", &"x".repeat(129), None);
        check("x-trace-id", "", None);
        check("x-trace-id", "a\tb", None);
    }

    #[test]
    fn a_traceparent_gives_its_trace_id() {
        let good = format!("00-{TRACE}-00f067aa0ba902b7-01");
        check("traceparent", &good, Some(TRACE));
        check("traceparent", &format!("cc-{TRACE}-00f067aa0ba902b7-01-more"), Some(TRACE));
        for bad in [
            format!("{good}-more"),
            format!("ff-{TRACE}-00f067aa0ba902b7-01"),
            format!("00-{}-00f067aa0ba902b7-01", TRACE.to_uppercase()),
            format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
            format!("00-{TRACE}-0000000000000000-01"),
            format!("00-{TRACE}-01"),
            "nonsense".to_owned(),
        ] {
            check("traceparent", &bad, None);
        }
    }

    #[test]
    fn an_own_trace_id_goes_before_a_traceparent() {
        let mut headers = HeaderMap::new();
        headers.insert("x-trace-id", HeaderValue::from_static("mine"));
        headers.insert(
            "traceparent",
            HeaderValue::from_str(&format!("00-{TRACE}-00f067aa0ba902b7-01")).unwrap(),
        );
        assert_eq!(Ids::of(&headers, &Random::from_system()).trace_text(), "mine");
    }

    #[test]
    fn records_keep_a_cut_trace_id() {
        let mut headers = HeaderMap::new();
        let long = format!("{}é", "x".repeat(63));
        headers.insert("x-trace-id", HeaderValue::from_bytes(long.as_bytes()).unwrap());
        let ids = Ids::of(&headers, &Random::from_system());
        assert_eq!(ids.trace_for_records().as_str(), "x".repeat(63));
    }
}
