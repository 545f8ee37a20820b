//! One request from its head to its answer: route, limits, body, answer, metrics and log line.

use std::convert::Infallible;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use hyper::body::{Body as _, Incoming};
use hyper::header::{ACCESS_CONTROL_REQUEST_METHOD, EXPECT, HeaderMap};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};

use crate::app::{App, RequestContext};
use crate::backend::Backend;
use crate::body::{ReadBody, is_drained};
use crate::callers::Cors;
use crate::connection::{Connection, Phase};
use crate::errors::Problem;
use crate::logs::{Line, LineKind};
use crate::metrics::Sample;
use crate::reply::{Answer, Payload};
use crate::router::{self, Match, Route};
use crate::routes;
use crate::runtime;
use crate::service::Service;
use crate::trace::Ids;

pub(crate) async fn handle<B: Backend>(
    app: Rc<App<B>>,
    connection: Rc<Connection>,
    service: Service,
    request: Request<Incoming>,
) -> Result<Response<Payload>, Infallible> {
    if connection.has_spent_budget() {
        runtime::pause().await;
    }
    let headed_at = Instant::now();
    let begun_at = connection.begun_at(headed_at);
    let mut received_at = headed_at;
    let in_flight = app.begin(service);
    let (parts, mut body) = request.into_parts();
    let ids = Ids::of(&parts.headers, &app.random);
    let cors = app.config.callers.cors(&parts.headers);
    let found = router::find(service, &parts.method, parts.uri.path());
    let route = found.route();
    let answer = match (app.config.callers.refusal(&parts, route.spec().is_open), found) {
        (Some(refused), _) => without_body(refused.into(), &app, &parts.headers, &mut body).await,
        (None, Match::Found(route, path)) => {
            let (query, connection) = (parts.uri.query(), &connection);
            let cx = RequestContext { service, route, path, query, ids: &ids, connection };
            answer(&app, &cx, &parts.headers, &mut body, &mut received_at).await
        }
        (None, Match::WrongMethod(route)) => {
            let answer = wrong_method(route, &parts, &cors);
            without_body(answer, &app, &parts.headers, &mut body).await
        }
        (None, Match::Unknown) => {
            without_body(Problem::NOT_FOUND.into(), &app, &parts.headers, &mut body).await
        }
    };
    let answer = Answer { close: answer.close || connection.is_reserved(), ..answer };
    let (now_ms, limits) = (app.clock.get(), &app.config.limits);
    let answered_at = Instant::now();
    connection.answered(answered_at, now_ms + limits.idle_ms, now_ms + limits.header_ms);
    let (receive, duration) = (received_at - begun_at, answered_at - received_at);
    let (status, method) = (answer.status, &parts.method);
    let (receive_ns, duration_ns) = (nanoseconds(receive), nanoseconds(duration));
    app.http.record(&Sample { service, route, method, status, receive_ns, duration_ns });
    let line = Line { service, route, method, status, duration, ids: &ids };
    line.write(line_kind(status, duration, limits.slow_ms), now_ms);
    drop(in_flight);
    Ok(answer.into_response(parts.headers, ids, cors))
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// A path that takes another method, unless a browser asks first what its page may send.
fn wrong_method(route: Route, head: &Parts, cors: &Cors) -> Answer {
    let methods = route.spec().verb.allow();
    let asks_first =
        head.method == Method::OPTIONS && head.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    if asks_first && cors.allowed.is_some() {
        return Answer::preflight(methods);
    }
    Answer { allow: Some(methods), ..Answer::from(Problem::METHOD_NOT_ALLOWED) }
}

/// The answer of a route that was found: refused if the core is overloaded, else read whole (at `received_at`) and handed to the
/// route.
async fn answer<B: Backend>(
    app: &Rc<App<B>>,
    cx: &RequestContext<'_>,
    headers: &HeaderMap,
    body: &mut Incoming,
    received_at: &mut Instant,
) -> Answer {
    let limits = &app.config.limits;
    if !cx.route.spec().is_essential {
        let refused = match cx.connection.is_reserved() {
            true => Some(Problem::TOO_MANY_CONNECTIONS),
            false => app.is_overloaded().then_some(Problem::OVERLOADED),
        };
        if let Some(refused) = refused {
            return without_body(refused.into(), app, headers, body).await;
        }
    }
    let is_batch = cx.route == Route::Batch;
    let _permit = match is_batch.then(|| app.begin_batch()) {
        Some(None) => return without_body(Problem::TOO_MANY_BATCHES.into(), app, headers, body).await,
        permit => permit,
    };
    let bytes_max = if is_batch { limits.batch_bytes_max } else { limits.body_bytes_max };
    cx.connection.enter(Phase::Body, app.clock.get() + limits.body_ms);
    let closing = |problem| Answer { close: true, ..Answer::from(problem) };
    let pieces = cx.connection.pieces();
    let read = cx.connection.in_time(ReadBody::new(body, bytes_max)).await;
    // One that came with its head, as most do, is not worth a look at the clock.
    if read.is_err() || cx.connection.pieces() != pieces {
        *received_at = Instant::now();
    }
    let body = match read {
        Ok(Ok(body)) => body,
        Ok(Err(error)) => return closing(error.problem()),
        Err(_) if app.is_stopping.get() => return closing(Problem::STOPPING),
        Err(_) => return closing(Problem::REQUEST_TIMEOUT),
    };
    cx.connection.enter(Phase::Asked, app.clock.get() + limits.request_ms);
    routes::answer(app, cx, &body).await.unwrap_or_else(Answer::from)
}

/// An answer that needs no body: keeps the connection only if the body is there already.
async fn without_body<B: Backend>(
    answer: Answer,
    app: &App<B>,
    headers: &HeaderMap,
    body: &mut Incoming,
) -> Answer {
    let bytes_max = app.config.limits.body_bytes_max;
    // Asking for the body of a request that is refused anyway would be rude.
    let drained = !headers.contains_key(EXPECT)
        && std::future::poll_fn(|cx| Poll::Ready(is_drained(body, bytes_max, cx))).await;
    Answer { close: answer.close || !(drained || body.is_end_stream()), ..answer }
}

fn line_kind(status: StatusCode, duration: Duration, slow_ms: u64) -> LineKind {
    if status == StatusCode::SERVICE_UNAVAILABLE {
        LineKind::Refused
    } else if status.is_server_error() {
        LineKind::Failed
    } else if duration >= Duration::from_millis(slow_ms) {
        LineKind::Slow
    } else {
        LineKind::Usual
    }
}
