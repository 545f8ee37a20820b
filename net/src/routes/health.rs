//! Health, readiness, metrics and the ticket worker's progress, for monitoring.

use hyper::StatusCode;

use crate::app::App;
use crate::backend::Backend;
use crate::json::write::object;
use crate::metrics;
use crate::reply::{Answer, Outcome};
use crate::service::Service;

pub(super) fn healthz() -> Outcome {
    Ok(Answer::json(br#"{"status":"ok"}"#.as_slice()))
}

pub(super) fn readyz<B: Backend>(app: &App<B>, service: Service) -> Outcome {
    match app.backend.ready(service) {
        Ok(()) => Ok(Answer::json(br#"{"status":"ready"}"#.as_slice())),
        Err(dependency) => {
            let mut body = Vec::new();
            object(&mut body, |o| {
                o.text("status", "not_ready");
                o.text("dependency", dependency.name());
            });
            Ok(Answer::json(body).with_status(StatusCode::SERVICE_UNAVAILABLE))
        }
    }
}

pub(super) fn metrics<B: Backend>(app: &App<B>, service: Service) -> Outcome {
    Ok(Answer::text(metrics::CONTENT_TYPE, app.metrics.scrape(service).into_bytes()))
}

pub(super) fn worker<B: Backend>(app: &App<B>) -> Outcome {
    let status = app.backend.worker();
    let mut body = Vec::new();
    object(&mut body, |o| {
        o.number("position", status.position);
        o.number("backlog", status.backlog);
        o.number("lag_ms", status.lag_ms);
        match &status.last_error {
            Some(error) => o.text("last_error", error),
            None => o.null("last_error"),
        }
    });
    Ok(Answer::json(body))
}
