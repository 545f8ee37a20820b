//! Which path is which route, which service answers it, and by which method.

use hyper::Method;

use crate::service::Service;

/// Everything that is served. The order is that of the metrics' tables and means nothing else.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Route {
    /// What no route matches.
    Unknown,
    Healthz,
    Readyz,
    Metrics,
    OpenapiIndex,
    OpenapiDocument,
    CreateOrder,
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
    Refunds,
    SettleRefund,
    WorkerStatus,
}

/// How a route is called. `GET` routes answer `HEAD` as well.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verb {
    Get,
    Post,
}

/// What a request comes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Match<'p> {
    Found(Found<'p>),
    WrongMethod(Route),
    Unknown,
}

/// A route and the raw parts of the path that it leaves open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Found<'p> {
    pub(crate) route: Route,
    /// The open segments, in order, still percent-encoded.
    pub(crate) open: [&'p str; 2],
}

impl Route {
    pub const ALL: [Route; 22] = [
        Route::Unknown,
        Route::Healthz,
        Route::Readyz,
        Route::Metrics,
        Route::OpenapiIndex,
        Route::OpenapiDocument,
        Route::CreateOrder,
        Route::Reserve,
        Route::Cancel,
        Route::GetOrder,
        Route::Pay,
        Route::TryHold,
        Route::ReleaseHold,
        Route::ConfirmHold,
        Route::Availability,
        Route::QueryOrder,
        Route::Stations,
        Route::Trains,
        Route::Train,
        Route::Refunds,
        Route::SettleRefund,
        Route::WorkerStatus,
    ];

    /// The `route` label of metrics and the path of the OpenAPI documents.
    #[must_use]
    pub const fn pattern(self) -> &'static str {
        match self {
            Route::Unknown => "unknown",
            Route::Healthz => "/healthz",
            Route::Readyz => "/readyz",
            Route::Metrics => "/metrics",
            Route::OpenapiIndex => "/openapi/",
            Route::OpenapiDocument => "/openapi/{document}",
            Route::CreateOrder => "/orders",
            Route::Reserve => "/orders/reserve",
            Route::Cancel => "/orders/cancel",
            Route::GetOrder => "/orders/get",
            Route::Pay => "/payments/callback",
            Route::TryHold => "/inventory/try-hold",
            Route::ReleaseHold => "/inventory/release-hold",
            Route::ConfirmHold => "/inventory/confirm-hold",
            Route::Availability => "/inventory/availability",
            Route::QueryOrder => "/query/orders",
            Route::Stations => "/v1/stations",
            Route::Trains => "/v1/trains",
            Route::Train => "/v1/trains/{train}/{date}",
            Route::Refunds => "/v1/refunds",
            Route::SettleRefund => "/v1/refunds/settle",
            Route::WorkerStatus => "/worker/status",
        }
    }

    #[must_use]
    pub const fn verb(self) -> Verb {
        match self {
            Route::CreateOrder
            | Route::Reserve
            | Route::Cancel
            | Route::Pay
            | Route::TryHold
            | Route::ReleaseHold
            | Route::ConfirmHold
            | Route::SettleRefund => Verb::Post,
            _ => Verb::Get,
        }
    }

    /// Whether an unanswered request may have changed something.
    #[must_use]
    pub const fn writes(self) -> bool {
        matches!(self.verb(), Verb::Post)
    }

    /// Whether the service answers the route: each its own, the gateway all but the worker's.
    #[must_use]
    pub const fn served_by(self, service: Service) -> bool {
        match self {
            Route::Unknown => false,
            Route::Healthz | Route::Readyz | Route::Metrics => true,
            Route::CreateOrder | Route::Reserve | Route::Cancel | Route::GetOrder | Route::Pay => {
                matches!(service, Service::Gateway | Service::Orders)
            }
            Route::TryHold | Route::ReleaseHold | Route::ConfirmHold | Route::Availability => {
                matches!(service, Service::Gateway | Service::Inventory)
            }
            Route::QueryOrder => matches!(service, Service::Gateway | Service::Query),
            Route::WorkerStatus => matches!(service, Service::Worker),
            Route::OpenapiIndex
            | Route::OpenapiDocument
            | Route::Stations
            | Route::Trains
            | Route::Train
            | Route::Refunds
            | Route::SettleRefund => matches!(service, Service::Gateway),
        }
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

/// Finds the route of a raw path (without its query) on a service.
pub(crate) fn find<'p>(service: Service, method: &Method, path: &'p str) -> Match<'p> {
    let Some(found) = by_path(path) else { return Match::Unknown };
    if !found.route.served_by(service) {
        Match::Unknown
    } else if !found.route.verb().takes(method) {
        Match::WrongMethod(found.route)
    } else {
        Match::Found(found)
    }
}

fn by_path(path: &str) -> Option<Found<'_>> {
    let route = match path {
        "/inventory/try-hold" => Route::TryHold,
        "/orders" => Route::CreateOrder,
        "/orders/reserve" => Route::Reserve,
        "/payments/callback" => Route::Pay,
        "/orders/get" => Route::GetOrder,
        "/query/orders" => Route::QueryOrder,
        "/inventory/availability" => Route::Availability,
        "/inventory/release-hold" => Route::ReleaseHold,
        "/inventory/confirm-hold" => Route::ConfirmHold,
        "/orders/cancel" => Route::Cancel,
        "/healthz" => Route::Healthz,
        "/readyz" => Route::Readyz,
        "/metrics" => Route::Metrics,
        "/v1/stations" => Route::Stations,
        "/v1/trains" => Route::Trains,
        "/v1/refunds" => Route::Refunds,
        "/v1/refunds/settle" => Route::SettleRefund,
        "/worker/status" => Route::WorkerStatus,
        "/openapi/" => Route::OpenapiIndex,
        _ => return by_prefix(path),
    };
    Some(Found { route, open: ["", ""] })
}

fn by_prefix(path: &str) -> Option<Found<'_>> {
    if let Some(rest) = path.strip_prefix("/v1/trains/") {
        let (train, date) = rest.split_once('/')?;
        let whole = !train.is_empty() && !date.is_empty() && !date.contains('/');
        return whole.then_some(Found { route: Route::Train, open: [train, date] });
    }
    let document = path.strip_prefix("/openapi/")?;
    let whole = !document.is_empty() && !document.contains('/');
    whole.then_some(Found { route: Route::OpenapiDocument, open: [document, ""] })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(service: Service, method: Method, path: &str, expected: Match<'_>) {
        assert_eq!(find(service, &method, path), expected, "{method} {path} on {service}");
    }

    fn found(route: Route) -> Match<'static> {
        Match::Found(Found { route, open: ["", ""] })
    }

    #[test]
    fn every_route_is_found_by_its_own_path() {
        for (index, route) in Route::ALL.into_iter().enumerate() {
            assert_eq!(route.index(), index, "{route:?} is at its own place in the list");
            if matches!(route, Route::Unknown | Route::Train | Route::OpenapiDocument) {
                continue;
            }
            let method = if route.verb() == Verb::Get { Method::GET } else { Method::POST };
            let service = Service::ALL.into_iter().find(|s| route.served_by(*s)).unwrap();
            check(service, method, route.pattern(), found(route));
        }
    }

    #[test]
    fn each_service_has_its_own_routes_and_the_gateway_those_of_business() {
        check(Service::Gateway, Method::POST, "/orders", found(Route::CreateOrder));
        check(Service::Orders, Method::POST, "/orders", found(Route::CreateOrder));
        check(Service::Inventory, Method::POST, "/orders", Match::Unknown);
        check(Service::Orders, Method::GET, "/v1/trains", Match::Unknown);
        check(Service::Gateway, Method::GET, "/worker/status", Match::Unknown);
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
    fn a_train_keeps_its_percent_signs_until_it_is_routed() {
        let open = ["D1%2F2", "2026-02-11"];
        let train = Match::Found(Found { route: Route::Train, open });
        check(Service::Gateway, Method::GET, "/v1/trains/D1%2F2/2026-02-11", train);
        for path in ["/v1/trains/D1", "/v1/trains/", "/v1/trains/D1/", "/v1/trains//d", "/v1/trains/D1/2/d"] {
            check(Service::Gateway, Method::GET, path, Match::Unknown);
        }
    }
}
