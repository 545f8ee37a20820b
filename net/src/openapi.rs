//! The OpenAPI documents, one for each service, written by hand and held against the routes by a test.

use crate::errors::Problem;
use crate::json::views;
use crate::reply::{Answer, Outcome};
use crate::service::Service;

const CONTENT_TYPE: &str = "application/yaml";

/// Puts a document together: its own head, the paths that it shares with others, and the components of all.
macro_rules! document {
    ($head:literal: $($paths:literal),*) => {
        concat!(
            include_str!(concat!("../openapi/", $head, ".yaml")),
            "paths:\n",
            $(include_str!(concat!("../openapi/paths/", $paths, ".yaml")),)*
            include_str!("../openapi/components.yaml"),
        )
    };
}

/// A service and its document, in YAML.
pub const DOCUMENTS: [(Service, &str); 5] = [
    (
        Service::Gateway,
        document!("gateway": "orders", "purchases", "batch", "inventory", "query", "trains", "history", "refunds", "worker", "documents", "health"),
    ),
    (Service::Orders, document!("order-service": "orders", "health")),
    (Service::Inventory, document!("inventory-service": "inventory", "health")),
    (Service::Query, document!("query-service": "query", "health")),
    (Service::Worker, document!("ticket-worker": "worker", "health")),
];

pub(crate) fn index() -> Outcome {
    Ok(Answer::json(views::documents(DOCUMENTS.iter().map(|(service, _)| *service))))
}

pub(crate) fn document(file: &str) -> Outcome {
    let service = file.strip_suffix(".yaml").ok_or(Problem::NOT_FOUND)?;
    let found = DOCUMENTS.iter().find(|(known, _)| known.name() == service);
    let (_, text) = found.ok_or(Problem::NOT_FOUND)?;
    Ok(Answer::text(CONTENT_TYPE, text.as_bytes()))
}
