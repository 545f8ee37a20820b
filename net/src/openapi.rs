//! The OpenAPI documents, one for each service, written by hand and held against the routes by a test.

use crate::errors::Problem;
use crate::json::write::object;
use crate::reply::Answer;
use crate::routes::Outcome;
use crate::service::Service;

const CONTENT_TYPE: &str = "application/yaml";

/// A service and its document, in YAML.
pub const DOCUMENTS: [(Service, &str); 5] = [
    (Service::Gateway, include_str!("../openapi/gateway.yaml")),
    (Service::Orders, include_str!("../openapi/order-service.yaml")),
    (Service::Inventory, include_str!("../openapi/inventory-service.yaml")),
    (Service::Query, include_str!("../openapi/query-service.yaml")),
    (Service::Worker, include_str!("../openapi/ticket-worker.yaml")),
];

pub(crate) fn index() -> Outcome {
    let mut body = Vec::new();
    object(&mut body, |o| {
        o.objects("documents", DOCUMENTS.iter(), |o, (service, _)| {
            o.text("service", service.name());
            o.text("path", &format!("/openapi/{service}.yaml"));
        });
    });
    Ok(Answer::json(body))
}

pub(crate) fn document(file: &str) -> Outcome {
    let service = file.strip_suffix(".yaml").ok_or_else(Problem::not_found)?;
    let found = DOCUMENTS.iter().find(|(known, _)| known.name() == service);
    let (_, text) = found.ok_or_else(Problem::not_found)?;
    Ok(Answer::text(CONTENT_TYPE, text.as_bytes()))
}
