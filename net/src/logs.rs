//! Log lines: one JSON object each, with the service, the environment and the version.

use std::fmt;
use std::time::Duration;

use hyper::{Method, StatusCode};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::config::Config;
use crate::json::write::Object;
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
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
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
    /// An error where the server failed, a warning where it was slow or refused, else a line for those who look closely.
    pub(crate) fn write(&self, config: &Config) {
        macro_rules! request {
            ($level:ident, $message:literal) => {
                tracing::$level!(
                    service = self.service.name(),
                    trace_id = self.ids.trace_text(),
                    req_id = self.ids.request_text(),
                    method = self.method.as_str(),
                    route = self.route.pattern(),
                    status = u64::from(self.status.as_u16()),
                    duration_us = u64::try_from(self.duration.as_micros()).unwrap_or(u64::MAX),
                    $message
                )
            };
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            request!(warn, "request refused");
        } else if self.status.is_server_error() {
            request!(error, "request failed");
        } else if self.duration >= Duration::from_millis(config.limits.slow_ms) {
            request!(warn, "request slow");
        } else {
            request!(debug, "request");
        }
    }
}

