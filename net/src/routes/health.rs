//! Health, readiness, metrics and the progress of tickets, for monitoring.

use hyper::StatusCode;

use crate::app::App;
use crate::backend::Backend;
use crate::json::views;
use crate::metrics;
use crate::reply::{Answer, Outcome};
use crate::service::Service;

pub(super) fn healthz() -> Outcome {
    Ok(Answer::json(b"{\"status\":\"ok\"}\n".as_slice()))
}

pub(super) fn readyz<B: Backend>(app: &App<B>, service: Service) -> Outcome {
    let missing = app.backend.ready(service).err();
    // The services sell without their sinks; the gateway speaks for the whole.
    let sinks = if service == Service::Gateway { app.backend.sinks() } else { Vec::new() };
    let answer = Answer::json(views::readiness(missing, &sinks));
    Ok(if missing.is_some() { answer.with_status(StatusCode::SERVICE_UNAVAILABLE) } else { answer })
}

pub(super) fn metrics<B: Backend>(app: &App<B>, service: Service) -> Outcome {
    Ok(Answer::text(metrics::CONTENT_TYPE, app.metrics.scrape(service).into_bytes()))
}

pub(super) fn worker<B: Backend>(app: &App<B>) -> Outcome {
    Ok(Answer::json(views::worker(&app.backend.worker(), &app.backend.sinks())))
}
