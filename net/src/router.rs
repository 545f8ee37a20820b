//! The route table: every route that is served, one row each, and the search for the row of a request.

use engine::answer::Rejection;
use hyper::Method;

use crate::errors::{Code, ON_END_HOLD, ON_GET_ORDER, ON_QUERY_ORDER, ON_TRY_HOLD, Problem, Worded};
use crate::service::Service;

use Code as C;
use Rejection as R;

/// A route by name. Its row in [`ROUTES`] says the rest, and `routes::answer` calls its function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Route {
    /// A path that no route has.
    Unknown,
    Healthz,
    Readyz,
    Metrics,
    OpenapiIndex,
    OpenapiDocument,
    CreateOrder,
    Purchase,
    Reserve,
    Cancel,
    GetOrder,
    Pay,
    TryHold,
    ReleaseHold,
    ConfirmHold,
    Availability,
    QueryOrder,
    Stations,
    Trains,
    Train,
    Orders,
    ExportOrders,
    OrderHistory,
    RunHistory,
    Refunds,
    SettleRefund,
    WorkerStatus,
    Batch,
}

/// The method of a route. `GET` routes answer `HEAD` as well.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verb {
    Get,
    Post,
}

/// One row of the route table. A test holds the OpenAPI documents against it.
#[derive(Debug)]
pub struct RouteSpec {
    pub route: Route,
    pub verb: Verb,
    /// The path, with `{name}` for each open part. The `route` label of metrics and the path of the OpenAPI documents.
    pub pattern: &'static str,
    /// Services whose ports have the route: each its own, the gateway all but the worker's.
    pub services: &'static [Service],
    /// Answered by an overloaded core as well: these are how one sees that it is overloaded.
    pub is_essential: bool,
    /// Answered whatever the `Host` and the `Origin`: says nothing that a foreign page should not read.
    pub is_open: bool,
    /// The edge's own refusals, beside those that depend on load and time.
    pub refusals: &'static [Code],
    /// The engine's refusals beside [`REJECTED_EVERYWHERE`]; `None` if the route never asks the engine.
    pub rejections: Option<&'static [Rejection]>,
    /// Asks the read model, alone or after the engine.
    pub reads_model: bool,
    worded: Worded,
}

/// The engine's refusals that any command can meet.
pub const REJECTED_EVERYWHERE: &[Rejection] = &[Rejection::Busy, Rejection::Stopping];

const EVERYBODY: &[Service] = &Service::ALL;
const GATEWAY: &[Service] = &[Service::Gateway];
const ORDERS: &[Service] = &[Service::Gateway, Service::Orders];
const INVENTORY: &[Service] = &[Service::Gateway, Service::Inventory];
const QUERY: &[Service] = &[Service::Gateway, Service::Query];
const WORKER: &[Service] = &[Service::Worker, Service::Gateway];

/// The edge's refusals of a request for seats.
const ASKS_FOR_SEATS: &[Code] =
    &[C::InvalidJson, C::MissingField, C::InvalidId, C::InvalidQuantity, C::InvalidCapacity, C::InvalidSpan];

/// All routes, each at the index of its [`Route`]. The order is that of the metrics and means nothing else.
pub static ROUTES: [RouteSpec; 28] = [
    get(Route::Unknown, "unknown", &[]),
    get(Route::Healthz, "/healthz", EVERYBODY).essential().open(),
    get(Route::Readyz, "/readyz", EVERYBODY).essential().open(),
    get(Route::Metrics, "/metrics", EVERYBODY).essential(),
    get(Route::OpenapiIndex, "/openapi/", GATEWAY),
    get(Route::OpenapiDocument, "/openapi/{document}", GATEWAY).refuses(&[C::NotFound]),
    post(Route::CreateOrder, "/orders", ORDERS)
        .refuses(&[C::InvalidJson, C::MissingField, C::InvalidId, C::InvalidAmount])
        .rejects(&[R::AmountDiffers, R::LimitReached, R::LogFull]),
    post(Route::Purchase, "/v1/purchases", GATEWAY)
        .refuses(&[
            C::InvalidJson,
            C::MissingField,
            C::InvalidId,
            C::InvalidAmount,
            C::InvalidQuantity,
            C::InvalidCapacity,
            C::InvalidSpan,
            C::InvalidTtl,
        ])
        .rejects(&[
            R::KeyReused,
            R::InvalidTtl,
            R::PartitionNotFound,
            R::InvalidSpan,
            R::InvalidCapacity,
            R::BoardingNotAllowed,
            R::SaleClosed,
            R::InsufficientStock,
            R::LimitReached,
            R::LogFull,
        ]),
    post(Route::Reserve, "/orders/reserve", ORDERS)
        .refuses(ASKS_FOR_SEATS)
        .rejects(&[
            R::OrderNotFound,
            R::PartitionNotFound,
            R::InvalidSpan,
            R::InvalidCapacity,
            R::InvalidTransition,
            R::BoardingNotAllowed,
            R::SaleClosed,
            R::InsufficientStock,
            R::ReservationDiffers,
            R::HoldDiffers,
            R::HoldOwnedByAnother,
            R::HoldExpired,
            R::HoldReleased,
            R::HoldConfirmed,
            R::LimitReached,
            R::LogFull,
        ])
        .reads_model(),
    post(Route::Cancel, "/orders/cancel", ORDERS)
        .refuses(&[C::InvalidJson, C::MissingField, C::InvalidId])
        .rejects(&[R::OrderNotFound, R::InvalidTransition, R::HoldMismatch, R::LogFull])
        .reads_model(),
    get(Route::GetOrder, "/orders/get", ORDERS)
        .refuses(&[C::InvalidQuery, C::MissingField, C::InvalidId])
        .rejects(&[R::OrderNotFound, R::LogFull])
        .reads_model()
        .worded(ON_GET_ORDER),
    post(Route::Pay, "/payments/callback", ORDERS)
        .refuses(&[
            C::InvalidJson,
            C::MissingField,
            C::InvalidId,
            C::InvalidPaymentStatus,
            C::InvalidSignature,
        ])
        .rejects(&[
            R::OrderNotFound,
            R::TxnUsed,
            R::AlreadyPaid,
            R::HoldExpired,
            R::InvalidTransition,
            R::HoldMismatch,
            R::LimitReached,
            R::LogFull,
        ])
        .reads_model(),
    post(Route::TryHold, "/inventory/try-hold", INVENTORY)
        .refuses(ASKS_FOR_SEATS)
        .rejects(&[
            R::BoardingNotAllowed,
            R::SaleClosed,
            R::InsufficientStock,
            R::PartitionNotFound,
            R::InvalidSpan,
            R::InvalidCapacity,
            R::HoldDiffers,
            R::HoldExpired,
            R::HoldReleased,
            R::LimitReached,
            R::LogFull,
        ])
        .worded(ON_TRY_HOLD),
    post(Route::ReleaseHold, "/inventory/release-hold", INVENTORY)
        .refuses(&[C::InvalidJson, C::MissingField, C::InvalidId])
        .rejects(&[R::HoldNotFound, R::HoldConfirmed, R::HoldExpired, R::HoldOwned, R::LogFull])
        .worded(ON_END_HOLD),
    post(Route::ConfirmHold, "/inventory/confirm-hold", INVENTORY)
        .refuses(&[C::InvalidJson, C::MissingField, C::InvalidId])
        .rejects(&[R::HoldNotFound, R::HoldReleased, R::HoldExpired, R::HoldOwned, R::LogFull])
        .worded(ON_END_HOLD),
    // Reads may log as well: what is due is recorded before they answer.
    get(Route::Availability, "/inventory/availability", INVENTORY)
        .refuses(&[C::InvalidQuery, C::MissingField, C::InvalidId, C::InvalidSpan])
        .rejects(&[R::PartitionNotFound, R::InvalidSpan, R::LogFull]),
    get(Route::QueryOrder, "/query/orders", QUERY)
        .refuses(&[C::InvalidQuery, C::MissingField, C::InvalidId])
        .rejects(&[R::OrderNotFound, R::LogFull])
        .reads_model()
        .worded(ON_QUERY_ORDER),
    get(Route::Stations, "/v1/stations", GATEWAY).refuses(&[C::InvalidQuery, C::InvalidLimit]),
    get(Route::Trains, "/v1/trains", GATEWAY)
        .refuses(&[C::InvalidQuery, C::MissingField, C::InvalidDate, C::StationNotFound, C::DateNotFound])
        .rejects(&[R::LogFull]),
    get(Route::Train, "/v1/trains/{train}/{date}", GATEWAY)
        .refuses(&[C::InvalidDate, C::TrainNotFound, C::DateNotFound])
        .rejects(&[R::RunNotFound, R::LogFull]),
    get(Route::Orders, "/v1/orders", GATEWAY)
        .refuses(&[
            C::InvalidQuery,
            C::InvalidId,
            C::InvalidStatus,
            C::InvalidDate,
            C::InvalidTime,
            C::InvalidCursor,
            C::InvalidLimit,
        ])
        .reads_model(),
    get(Route::ExportOrders, "/v1/orders/export", GATEWAY)
        .refuses(&[
            C::InvalidQuery,
            C::InvalidId,
            C::InvalidStatus,
            C::InvalidDate,
            C::InvalidTime,
            C::InvalidCursor,
            C::InvalidFormat,
        ])
        .reads_model(),
    get(Route::OrderHistory, "/v1/orders/{id}/history", GATEWAY)
        .refuses(&[C::InvalidQuery, C::InvalidCursor, C::InvalidLimit])
        .rejects(&[R::OrderNotFound, R::LogFull])
        .reads_model(),
    get(Route::RunHistory, "/v1/trains/{train}/{date}/history", GATEWAY)
        .refuses(&[C::InvalidQuery, C::InvalidDate, C::InvalidCursor, C::InvalidLimit, C::TrainNotFound])
        .reads_model(),
    get(Route::Refunds, "/v1/refunds", GATEWAY)
        .refuses(&[C::InvalidQuery, C::InvalidStatus, C::InvalidCursor, C::InvalidLimit])
        .rejects(&[])
        .reads_model(),
    post(Route::SettleRefund, "/v1/refunds/settle", GATEWAY)
        .refuses(&[C::InvalidJson, C::MissingField, C::InvalidId])
        .rejects(&[R::RefundNotFound, R::RefundSettled, R::LogFull])
        .reads_model(),
    get(Route::WorkerStatus, "/worker/status", WORKER),
    post(Route::Batch, "/v1/batch", GATEWAY).refuses(&[
        C::InvalidJson,
        C::MissingField,
        C::TooManyOperations,
    ]),
];

const fn get(route: Route, pattern: &'static str, services: &'static [Service]) -> RouteSpec {
    RouteSpec {
        route,
        verb: Verb::Get,
        pattern,
        services,
        is_essential: false,
        is_open: false,
        refusals: &[],
        rejections: None,
        reads_model: false,
        worded: &[],
    }
}

const fn post(route: Route, pattern: &'static str, services: &'static [Service]) -> RouteSpec {
    RouteSpec { verb: Verb::Post, ..get(route, pattern, services) }
}

impl RouteSpec {
    const fn essential(self) -> RouteSpec {
        RouteSpec { is_essential: true, ..self }
    }

    const fn open(self) -> RouteSpec {
        RouteSpec { is_open: true, ..self }
    }

    const fn refuses(self, refusals: &'static [Code]) -> RouteSpec {
        RouteSpec { refusals, ..self }
    }

    /// Asks the engine, and passes on these rejections.
    const fn rejects(self, rejections: &'static [Rejection]) -> RouteSpec {
        RouteSpec { rejections: Some(rejections), ..self }
    }

    const fn reads_model(self) -> RouteSpec {
        RouteSpec { reads_model: true, ..self }
    }

    const fn worded(self, worded: Worded) -> RouteSpec {
        RouteSpec { worded, ..self }
    }

    /// An unanswered request may have changed something.
    #[must_use]
    pub fn writes(&self) -> bool {
        self.verb == Verb::Post
    }

    /// The answer to a refusal by the engine.
    pub(crate) fn rejected(&self, rejection: Rejection) -> Problem {
        let worded = self.worded.iter().find(|(known, _)| *known == rejection);
        worded.map_or_else(|| Problem::from(rejection), |(_, problem)| problem.clone())
    }

    /// The answer if the engine's did not come in time.
    pub(crate) fn unanswered(&self) -> Problem {
        if self.writes() { Problem::OUTCOME_UNKNOWN } else { Problem::TIMEOUT }
    }

    /// Status and code of a refusal by the engine.
    #[must_use]
    pub fn status_and_code(&self, rejection: Rejection) -> (u16, Code) {
        let problem = self.rejected(rejection);
        (problem.status.as_u16(), problem.code)
    }
}

impl Route {
    #[must_use]
    pub fn spec(self) -> &'static RouteSpec {
        &ROUTES[self.index()]
    }

    pub(crate) const fn index(self) -> usize {
        self as usize
    }
}

impl Verb {
    /// The `Allow` header of a route that was called otherwise.
    #[must_use]
    pub const fn allow(self) -> &'static str {
        match self {
            Verb::Get => "GET, HEAD",
            Verb::Post => "POST",
        }
    }

    fn takes(self, method: &Method) -> bool {
        match self {
            Verb::Get => *method == Method::GET || *method == Method::HEAD,
            Verb::Post => *method == Method::POST,
        }
    }
}

/// The open parts of a path, in order, still percent-encoded; empty where a route has fewer.
pub(crate) type PathParams<'p> = [&'p str; 2];

/// The result of a search for a route.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Match<'p> {
    Found(Route, PathParams<'p>),
    WrongMethod(Route),
    Unknown,
}

impl Match<'_> {
    /// The route by whose name the request is counted.
    pub(crate) fn route(&self) -> Route {
        match *self {
            Match::Found(route, _) | Match::WrongMethod(route) => route,
            Match::Unknown => Route::Unknown,
        }
    }
}

/// Finds the route of a raw path (without its query) on a service.
pub(crate) fn find<'p>(service: Service, method: &Method, path: &'p str) -> Match<'p> {
    let whole = ROUTES.iter().find(|spec| spec.pattern == path).map(|spec| (spec, ["", ""]));
    let open = || ROUTES.iter().find_map(|spec| Some((spec, captured(spec.pattern, path)?)));
    match whole.or_else(open) {
        Some((spec, _)) if !spec.services.contains(&service) => Match::Unknown,
        Some((spec, _)) if !spec.verb.takes(method) => Match::WrongMethod(spec.route),
        Some((spec, params)) => Match::Found(spec.route, params),
        None => Match::Unknown,
    }
}

/// The open parts of a path of that pattern, compared segment by segment. An open part is never empty.
fn captured<'p>(pattern: &str, path: &'p str) -> Option<PathParams<'p>> {
    let (mut pattern, mut path) = (pattern.split('/'), path.split('/'));
    let (mut params, mut count) = (["", ""], 0);
    loop {
        match (pattern.next(), path.next()) {
            (None, None) => return Some(params),
            (Some(open), Some(part)) if open.starts_with('{') && !part.is_empty() => {
                params[count] = part;
                count += 1;
            }
            (Some(fixed), Some(part)) if fixed == part => {}
            (Some(_), _) | (None, Some(_)) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(service: Service, method: Method, path: &str, expected: Match<'_>) {
        assert_eq!(find(service, &method, path), expected, "{method} {path} on {service}");
    }

    fn found(route: Route) -> Match<'static> {
        Match::Found(route, ["", ""])
    }

    #[test]
    fn every_route_is_found_by_its_own_path() {
        for (index, spec) in ROUTES.iter().enumerate() {
            assert_eq!(spec.route.index(), index, "{:?} is at its own place in the table", spec.route);
            if spec.route == Route::Unknown || spec.pattern.contains('{') {
                continue;
            }
            let method = if spec.verb == Verb::Get { Method::GET } else { Method::POST };
            check(spec.services[0], method, spec.pattern, found(spec.route));
        }
    }

    #[test]
    fn each_service_has_its_own_routes_and_the_gateway_those_of_business() {
        check(Service::Gateway, Method::POST, "/orders", found(Route::CreateOrder));
        check(Service::Orders, Method::POST, "/orders", found(Route::CreateOrder));
        check(Service::Inventory, Method::POST, "/orders", Match::Unknown);
        check(Service::Orders, Method::GET, "/v1/trains", Match::Unknown);
        check(Service::Gateway, Method::GET, "/worker/status", found(Route::WorkerStatus));
        check(Service::Worker, Method::GET, "/worker/status", found(Route::WorkerStatus));
        for service in Service::ALL {
            check(service, Method::GET, "/healthz", found(Route::Healthz));
            check(service, Method::HEAD, "/metrics", found(Route::Metrics));
        }
    }

    #[test]
    fn the_wrong_method_is_not_an_unknown_path() {
        check(Service::Orders, Method::GET, "/orders", Match::WrongMethod(Route::CreateOrder));
        check(Service::Orders, Method::POST, "/orders/get", Match::WrongMethod(Route::GetOrder));
        check(Service::Orders, Method::OPTIONS, "/healthz", Match::WrongMethod(Route::Healthz));
        check(Service::Query, Method::GET, "/orders", Match::Unknown);
    }

    #[test]
    fn paths_match_whole_and_to_the_letter() {
        for path in ["/", "", "/orders/", "/Orders", "//orders", "/orders/get/x", "/openapi", "/openapi/a/b"]
        {
            check(Service::Gateway, Method::GET, path, Match::Unknown);
        }
    }

    #[test]
    fn an_export_is_no_orders_id() {
        check(Service::Gateway, Method::GET, "/v1/orders/export", found(Route::ExportOrders));
        check(Service::Gateway, Method::POST, "/v1/orders/export", Match::WrongMethod(Route::ExportOrders));
        for id in ["export", "%65xport", "history"] {
            let history = Match::Found(Route::OrderHistory, [id, ""]);
            check(Service::Gateway, Method::GET, &format!("/v1/orders/{id}/history"), history);
        }
        let run = Match::Found(Route::RunHistory, ["D1%2F2", "history"]);
        check(Service::Gateway, Method::GET, "/v1/trains/D1%2F2/history/history", run);
        let day = Match::Found(Route::Train, ["G1", "history"]);
        check(Service::Gateway, Method::GET, "/v1/trains/G1/history", day);
        for path in
            ["/v1/orders/", "/v1/orders/x", "/v1/orders//history", "/v1/orders/export/", "/v1/orders/x/y"]
        {
            check(Service::Gateway, Method::GET, path, Match::Unknown);
        }
    }

    #[test]
    fn a_train_keeps_its_percent_signs_until_it_is_routed() {
        let train = Match::Found(Route::Train, ["D1%2F2", "2026-02-11"]);
        check(Service::Gateway, Method::GET, "/v1/trains/D1%2F2/2026-02-11", train);
        for path in ["/v1/trains/D1", "/v1/trains/", "/v1/trains/D1/", "/v1/trains//d", "/v1/trains/D1/2/d"] {
            check(Service::Gateway, Method::GET, path, Match::Unknown);
        }
    }
}
