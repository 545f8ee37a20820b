//! One request from its head to its answer.

use std::convert::Infallible;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use engine::answer::Answer as EngineAnswer;
use engine::command::{Command, Request as EngineRequest};
use hyper::body::{Body as _, Incoming};
use hyper::header::EXPECT;
use hyper::http::request::Parts;
use hyper::{Request, Response, StatusCode};

use crate::backend::Backend;
use crate::body::{BodyError, ReadBody, is_drained};
use crate::connection::{Connection, Phase};
use crate::edge::Edge;
use crate::errors::{self, Problem};
use crate::logs::{Line, LineKind};
use crate::metrics::Sample;
use crate::reply::{Answer, Payload};
use crate::router::{self, Found, Match, Route};
use crate::routes;
use crate::runtime;
use crate::service::Service;
use crate::trace::Ids;

/// What a route needs to know about its request.
#[derive(Debug)]
pub(crate) struct Asked<'r> {
    pub(crate) service: Service,
    pub(crate) route: Route,
    /// The open parts of the path, still encoded.
    pub(crate) open: [&'r str; 2],
    pub(crate) query: Option<&'r str>,
    pub(crate) ids: &'r Ids,
    pub(crate) connection: &'r Connection,
}

pub(crate) async fn handle<B: Backend>(
    edge: Rc<Edge<B>>,
    connection: Rc<Connection>,
    service: Service,
    request: Request<Incoming>,
) -> Result<Response<Payload>, Infallible> {
    if connection.take_turn() {
        runtime::pause().await;
    }
    let started = Instant::now();
    let under_way = UnderWay::begin(&edge, service);
    let (parts, mut body) = request.into_parts();
    let ids = Ids::of(&parts.headers, &edge.random);
    let matched = router::find(service, &parts.method, parts.uri.path());
    let (route, answer) = match matched {
        Match::Found(found) => {
            (found.route, edge.answer(service, found, &parts, &mut body, &connection, &ids).await)
        }
        Match::WrongMethod(route) => {
            let refused = Answer::from(Problem::method_not_allowed());
            let refused = Answer { allow: Some(route.verb().allow()), ..refused };
            (route, unread(refused, &parts, &mut body, edge.config.limits.body_bytes_max).await)
        }
        Match::Unknown => {
            let refused = Answer::from(Problem::not_found());
            (Route::Unknown, unread(refused, &parts, &mut body, edge.config.limits.body_bytes_max).await)
        }
    };
    let now_ms = edge.clock.get();
    connection.answered(now_ms + edge.config.limits.idle_ms, now_ms + edge.config.limits.header_ms);
    let duration = started.elapsed();
    let duration_ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    let (status, method) = (answer.status, &parts.method);
    edge.http.record(&Sample { service, route, method, status, duration_ns });
    Line { service, route, method, status, duration, ids: &ids }.write(edge.line_kind(status, duration));
    drop(under_way);
    Ok(answer.into_response(parts.headers, ids))
}

/// Counts a request from its head to its answer, or until its client is gone.
struct UnderWay<B: Backend> {
    edge: Rc<Edge<B>>,
    service: Service,
}

impl<B: Backend> UnderWay<B> {
    fn begin(edge: &Rc<Edge<B>>, service: Service) -> UnderWay<B> {
        edge.in_flight.set(edge.in_flight.get() + 1);
        edge.http.begin(service);
        UnderWay { edge: edge.clone(), service }
    }
}

impl<B: Backend> Drop for UnderWay<B> {
    fn drop(&mut self) {
        self.edge.in_flight.set(self.edge.in_flight.get() - 1);
        self.edge.http.end(self.service);
    }
}

/// Answers without having looked at the body: keeps the connection only where the body is there already.
async fn unread(answer: Answer, parts: &Parts, body: &mut Incoming, bytes_max: usize) -> Answer {
    // Asking for the body of a request that is refused anyway would be rude.
    let drained = !parts.headers.contains_key(EXPECT)
        && std::future::poll_fn(|cx| Poll::Ready(is_drained(body, bytes_max, cx))).await;
    Answer { close: answer.close || !(drained || body.is_end_stream()), ..answer }
}

impl<B: Backend> Edge<B> {
    /// Refusals of an overloaded server are logged once between two sweeps: the log must not be one more load.
    fn line_kind(&self, status: StatusCode, duration: Duration) -> LineKind {
        if status == StatusCode::SERVICE_UNAVAILABLE {
            let first = self.refused_at.replace(Some(self.clock.get())) != Some(self.clock.get());
            if first { LineKind::Refused } else { LineKind::Usual }
        } else if status.is_server_error() {
            LineKind::Failed
        } else if duration >= Duration::from_millis(self.config.limits.slow_ms) {
            LineKind::Slow
        } else {
            LineKind::Usual
        }
    }

    async fn answer(
        &self,
        service: Service,
        found: Found<'_>,
        parts: &Parts,
        body: &mut Incoming,
        connection: &Connection,
        ids: &Ids,
    ) -> Answer {
        let limits = &self.config.limits;
        // Health and metrics are answered even then: they are how one sees it.
        let essential = matches!(found.route, Route::Healthz | Route::Readyz | Route::Metrics);
        if self.in_flight.get() > limits.in_flight_max && !essential {
            let refused = Answer::from(Problem::overloaded());
            return unread(refused, parts, body, limits.body_bytes_max).await;
        }
        connection.enter(Phase::Body, self.clock.get() + limits.body_ms);
        let body = match connection.in_time(ReadBody::new(body, limits.body_bytes_max)).await {
            Ok(Ok(body)) => body,
            Ok(Err(error)) => return closing(error),
            Err(_) => return Answer { close: true, ..Answer::from(Problem::request_timeout()) },
        };
        connection.enter(Phase::Asked, self.clock.get() + limits.request_ms);
        let Found { route, open } = found;
        let asked = Asked { service, route, open, query: parts.uri.query(), ids, connection };
        routes::answer(self, &asked, &body).await.unwrap_or_else(Answer::from)
    }

    /// Asks the engine, within the request's time. Any refusal is the route's answer.
    pub(crate) async fn ask(&self, asked: &Asked<'_>, command: Command) -> Result<EngineAnswer, Problem> {
        let request = Box::new(EngineRequest { command, trace: asked.ids.trace_for_records() });
        let reply = asked.connection.in_time(self.backend.call(request)).await;
        asked.connection.replied(self.backend.bursts());
        let reply = reply.map_err(|_| Problem::unanswered(asked.route))?;
        reply.map_err(|rejection| errors::of(asked.route, rejection))
    }
}

fn closing(error: BodyError) -> Answer {
    Answer { close: true, ..Answer::from(error.problem()) }
}
