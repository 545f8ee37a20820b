//! Log lines: one JSON object each, with the service, the environment and the version.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use std::{fmt, io};

use hyper::{Method, StatusCode};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::budget::Beyond;
use crate::json::write::Object;
use crate::limits::{REQUEST_LINES_PER_SEC_MAX, WARNINGS_PER_SEC_MAX};
use crate::router::Route;
use crate::service::Service;
use crate::trace::Ids;

/// Writes events as JSON lines: time, level, target, message, the event's own fields, and those that never change.
///
/// For `tracing_subscriber::fmt().event_format(..)`. An event may say which `service` it is about; else it is
/// `service` given here.
#[derive(Clone, Debug)]
pub struct JsonLines {
    service: String,
    env: String,
    version: String,
}

impl JsonLines {
    #[must_use]
    pub fn new(service: &str, env: &str, version: &str) -> JsonLines {
        JsonLines { service: service.to_owned(), env: env.to_owned(), version: version.to_owned() }
    }

    fn line(&self, event: &Event<'_>) -> Vec<u8> {
        let mut line = Vec::with_capacity(256);
        let mut object = Object::begin(&mut line);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let now_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        object.time("time", engine::ids::Time(now_ms));
        object.text("level", event.metadata().level().as_str());
        object.text("target", event.metadata().target());
        let mut fields = Fields { object: &mut object, said_service: false };
        event.record(&mut fields);
        if !fields.said_service {
            object.text("service", &self.service);
        }
        object.text("env", &self.env);
        object.text("version", &self.version);
        object.end();
        line
    }
}

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'l> LookupSpan<'l>,
    N: for<'w> FormatFields<'w> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let line = self.line(event);
        writer.write_str(std::str::from_utf8(&line).map_err(|_| fmt::Error)?)?;
        writer.write_char('\n')
    }
}

struct Fields<'f, 'o> {
    object: &'f mut Object<'o>,
    said_service: bool,
}

impl Visit for Fields<'_, '_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.said_service |= field.name() == "service";
        self.object.text(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.object.number(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.object.number(field.name(), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

/// Keeps a kind of lines that clients can provoke to so many a second, all cores together: the log must not be one more load, nor
/// push out what else it has to say.
#[derive(Debug)]
pub(crate) struct LineLimiter {
    per_second: u64,
    second: AtomicU64,
    written: AtomicU64,
    suppressed: AtomicU64,
}

impl LineLimiter {
    pub(crate) const fn new(per_second: u64) -> LineLimiter {
        let (second, written) = (AtomicU64::new(0), AtomicU64::new(0));
        LineLimiter { per_second, second, written, suppressed: AtomicU64::new(0) }
    }

    /// The number of lines that were suppressed since the last one, if this one may be written. Cores that ask at the same moment may
    /// write a line too many.
    pub(crate) fn admit(&self, now_ms: u64) -> Option<u64> {
        let second = now_ms / 1_000;
        // Clocks of cores differ a little: one that is behind counts to the younger second.
        if self.second.fetch_max(second, Ordering::Relaxed) < second {
            self.written.store(0, Ordering::Relaxed);
        }
        if self.written.fetch_add(1, Ordering::Relaxed) < self.per_second {
            Some(self.suppressed.swap(0, Ordering::Relaxed))
        } else {
            self.suppressed.fetch_add(1, Ordering::Relaxed);
            None
        }
    }
}

static CANNOT_ACCEPT: LineLimiter = LineLimiter::new(1);
static TOO_MANY_CONNECTIONS: LineLimiter = LineLimiter::new(1);
static EXPORT_CUT: LineLimiter = LineLimiter::new(1);
static REFUSED: LineLimiter = LineLimiter::new(1);
static SLOW: LineLimiter = LineLimiter::new(WARNINGS_PER_SEC_MAX);
static FAILED: LineLimiter = LineLimiter::new(WARNINGS_PER_SEC_MAX);
static USUAL: LineLimiter = LineLimiter::new(REQUEST_LINES_PER_SEC_MAX);

/// The system refuses to hand out connections.
pub(crate) fn cannot_accept(service: Service, error: &io::Error, now_ms: u64) {
    if let Some(suppressed) = CANNOT_ACCEPT.admit(now_ms) {
        let suppressed = told(suppressed);
        tracing::warn!(service = service.name(), %error, suppressed, "cannot accept connections");
    }
}

/// An export could not go on, and its client sees that it is cut.
pub(crate) fn export_cut(reason: &str, now_ms: u64) {
    if let Some(suppressed) = EXPORT_CUT.admit(now_ms) {
        let suppressed = told(suppressed);
        tracing::warn!(service = Service::Gateway.name(), reason, suppressed, "an export is cut short");
    }
}

/// A connection is beyond the budget and goes to the reserve.
pub(crate) fn too_many_connections(service: Service, client: IpAddr, beyond: Beyond, now_ms: u64) {
    if let Some(suppressed) = TOO_MANY_CONNECTIONS.admit(now_ms) {
        let (suppressed, limit) = (told(suppressed), beyond.name());
        tracing::warn!(service = service.name(), %client, limit, suppressed, "too many connections");
    }
}

/// A line says how many like it were suppressed, where some were.
fn told(suppressed: u64) -> Option<u64> {
    (suppressed > 0).then_some(suppressed)
}

/// Occasion of a request's line; decides its level.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum LineKind {
    /// For those who look closely.
    Usual,
    Slow,
    Refused,
    Failed,
}

/// The line of one request.
#[derive(Debug)]
pub(crate) struct Line<'l> {
    pub(crate) service: Service,
    pub(crate) route: Route,
    pub(crate) method: &'l Method,
    pub(crate) status: StatusCode,
    pub(crate) duration: Duration,
    pub(crate) ids: &'l Ids,
}

impl Line<'_> {
    pub(crate) fn write(&self, kind: LineKind, now_ms: u64) {
        macro_rules! request {
            ($level:ident, $limiter:ident, $message:literal) => {
                let Some(suppressed) = $limiter.admit(now_ms) else { return };
                tracing::$level!(
                    service = self.service.name(),
                    trace_id = self.ids.trace_text(),
                    req_id = self.ids.request_text(),
                    method = self.method.as_str(),
                    route = self.route.spec().pattern,
                    status = u64::from(self.status.as_u16()),
                    duration_us = u64::try_from(self.duration.as_micros()).unwrap_or(u64::MAX),
                    suppressed = told(suppressed),
                    $message
                )
            };
        }
        match kind {
            // Most are for nobody, and are not even counted.
            LineKind::Usual if !tracing::enabled!(tracing::Level::DEBUG) => {}
            LineKind::Usual => {
                request!(debug, USUAL, "request");
            }
            LineKind::Slow => {
                request!(warn, SLOW, "request slow");
            }
            LineKind::Refused => {
                request!(warn, REFUSED, "request refused");
            }
            LineKind::Failed => {
                request!(error, FAILED, "request failed");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The lines that `log` writes.
    fn lines(log: impl FnOnce()) -> Vec<serde_json::Value> {
        let sink = Sink::default();
        let writer = sink.clone();
        let subscriber = tracing_subscriber::fmt()
            .event_format(JsonLines::new("interlock", "test", "1.2"))
            .with_max_level(tracing::Level::WARN)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, log);
        let text = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn a_line_is_one_object_with_its_place_in_the_world() {
        let lines = lines(|| {
            tracing::warn!(core = 3u64, reason = %"a \"b\"\n", "cannot go on");
            tracing::error!(service = "gateway", code = -1i64, "gone");
            tracing::info!("not this loud");
        });
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["message"], "cannot go on");
        assert_eq!((&lines[0]["core"], &lines[0]["reason"]), (&3.into(), &"a \"b\"\n".into()));
        assert_eq!((&lines[0]["service"], &lines[1]["service"]), (&"interlock".into(), &"gateway".into()));
        for line in &lines {
            assert_eq!((&line["env"], &line["version"]), (&"test".into(), &"1.2".into()));
        }
    }

    #[test]
    fn lines_beyond_so_many_a_second_are_counted_and_told() {
        let limiter = LineLimiter::new(2);
        let admitted: Vec<Option<u64>> =
            [0, 10, 20, 999, 1_000, 1_999, 1_999, 900, 5_000].map(|now_ms| limiter.admit(now_ms)).to_vec();
        let expected = [Some(0), Some(0), None, None, Some(2), Some(0), None, None, Some(2)];
        assert_eq!(admitted, expected);
    }

    #[test]
    fn a_line_says_how_many_like_it_were_suppressed() {
        let refused = io::Error::other("no");
        let lines = lines(|| {
            (0..5).chain([7_000, 7_001, 9_000]).for_each(|ms| cannot_accept(Service::Query, &refused, ms))
        });
        let told: Vec<_> = lines.iter().map(|line| line.get("suppressed").and_then(|n| n.as_u64())).collect();
        assert_eq!(told, [None, Some(4), Some(1)]);
    }

    #[test]
    fn a_requests_line_has_its_ids() {
        let random = crate::random::Random::from_system();
        let ids = Ids::of(&hyper::HeaderMap::new(), &random);
        let lines = lines(|| {
            let (service, route, method) = (Service::Orders, Route::Reserve, &Method::POST);
            let duration = Duration::from_micros(1_500);
            let line =
                Line { service, route, method, status: StatusCode::GATEWAY_TIMEOUT, duration, ids: &ids };
            line.write(LineKind::Usual, 0);
            line.write(LineKind::Failed, 0);
        });
        assert_eq!(lines.len(), 1, "a usual line is only for those who ask for it");
        let line = &lines[0];
        assert_eq!(line["trace_id"], ids.trace_text());
        assert_eq!(line["req_id"], ids.request_text());
        assert_eq!((&line["service"], &line["route"]), (&"order-service".into(), &"/orders/reserve".into()));
        assert_eq!((&line["status"], &line["duration_us"]), (&504.into(), &1500.into()));
        assert_eq!(line["level"], "ERROR");
    }
}
