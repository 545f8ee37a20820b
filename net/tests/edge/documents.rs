//! The OpenAPI documents against the routes: paths, methods, statuses and codes, in both directions.

use std::collections::BTreeSet;

use net::Service;
use net::errors::Code;
use net::openapi::DOCUMENTS;
use net::router::{REJECTED_EVERYWHERE, ROUTES, Route, RouteSpec, Verb};
use serde_json::Value;

use crate::common::Server;
use crate::common::client::Client;

/// The answers of a route, by the program: statuses, each with the codes that it comes with.
fn answers(spec: &RouteSpec) -> BTreeSet<(u16, Option<Code>)> {
    let mut answers = BTreeSet::from([(200, None)]);
    answers.extend(spec.refusals.iter().map(|code| (code.status().as_u16(), Some(*code))));
    if let Some(rejections) = spec.rejections {
        let all = rejections.iter().chain(REJECTED_EVERYWHERE);
        answers.extend(all.map(|rejection| {
            let (status, code) = spec.status_and_code(*rejection);
            (status, Some(code))
        }));
        let code = if spec.writes() { Code::OutcomeUnknown } else { Code::Timeout };
        answers.insert((504, Some(code)));
    }
    if spec.reads_model {
        answers.insert((503, Some(Code::ReadModelUnavailable)));
        if !spec.writes() {
            answers.insert((504, Some(Code::Timeout)));
        }
    }
    if spec.writes() {
        answers.insert((408, Some(Code::RequestTimeout)));
        answers.insert((413, Some(Code::BodyTooLarge)));
    }
    if !spec.is_essential {
        answers.insert((503, Some(Code::Busy)));
    }
    // Not ready is no error; see its own body.
    answers.extend((spec.route == Route::Readyz).then_some((503, None)));
    answers
}

fn served_by(service: Service) -> impl Iterator<Item = &'static RouteSpec> {
    ROUTES.iter().filter(move |spec| spec.services.contains(&service))
}

fn document(service: Service) -> Value {
    let (_, text) = DOCUMENTS.iter().find(|(known, _)| *known == service).unwrap();
    serde_yaml_ng::from_str(text).unwrap_or_else(|e| panic!("{service}: {e}"))
}

/// Follows a `$ref` within its document.
fn resolve<'d>(document: &'d Value, value: &'d Value) -> &'d Value {
    match value.get("$ref").and_then(Value::as_str) {
        Some(target) => {
            let found = document.pointer(target.strip_prefix('#').unwrap());
            found.unwrap_or_else(|| panic!("{target} leads nowhere"))
        }
        None => value,
    }
}

#[test]
fn every_route_is_in_its_services_documents_and_nothing_else() {
    for service in Service::ALL {
        let document = document(service);
        let documented: BTreeSet<(String, String)> = document["paths"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(path, methods)| {
                methods.as_object().unwrap().keys().map(move |method| (path.clone(), method.clone()))
            })
            .collect();
        let served: BTreeSet<(String, String)> =
            served_by(service).map(|spec| (spec.pattern.to_owned(), method(spec).to_owned())).collect();
        assert_eq!(documented, served, "{service}");
    }
}

#[test]
fn every_status_and_code_that_a_route_can_answer_is_documented_and_no_other() {
    for service in Service::ALL {
        let document = document(service);
        for spec in served_by(service) {
            let responses = document["paths"][spec.pattern][method(spec)]["responses"].as_object().unwrap();
            let answers = answers(spec);
            let documented: BTreeSet<u16> = responses.keys().map(|status| status.parse().unwrap()).collect();
            let possible: BTreeSet<u16> = answers.iter().map(|(status, _)| *status).collect();
            assert_eq!(documented, possible, "{service} {}", spec.pattern);
            for status in possible {
                let response = resolve(&document, &responses[&status.to_string()]);
                let description = response["description"].as_str().unwrap();
                let named: BTreeSet<&str> =
                    description.split('`').skip(1).step_by(2).filter(is_code).collect();
                let coded =
                    answers.iter().filter(|(known, _)| *known == status).filter_map(|(_, code)| *code);
                let expected: BTreeSet<&str> = coded.map(Code::word).collect();
                assert_eq!(named, expected, "{service} {} {status}", spec.pattern);
            }
        }
    }
}

fn is_code(word: &&str) -> bool {
    Code::ALL.iter().any(|code| code.word() == *word)
}

fn method(spec: &RouteSpec) -> &'static str {
    match spec.verb {
        Verb::Get => "get",
        Verb::Post => "post",
    }
}

#[test]
fn the_list_of_codes_is_the_programs() {
    let words: Vec<&str> = Code::ALL.iter().map(|code| code.word()).collect();
    let unique: BTreeSet<&str> = words.iter().copied().collect();
    assert_eq!(unique.len(), words.len(), "no word stands for two codes");
    for service in Service::ALL {
        assert_eq!(
            document(service)["components"]["schemas"]["Code"]["enum"],
            serde_json::json!(words),
            "{service}"
        );
    }
}

#[test]
fn every_reference_leads_somewhere() {
    fn visit(document: &Value, value: &Value) {
        resolve(document, value);
        match value {
            Value::Object(fields) => fields.values().for_each(|value| visit(document, value)),
            Value::Array(values) => values.iter().for_each(|value| visit(document, value)),
            _ => {}
        }
    }
    for service in Service::ALL {
        let document = document(service);
        visit(&document, &document);
    }
}

#[test]
fn the_gateway_serves_them_all() {
    let server = Server::start();
    let mut client = Client::connect(&server, Service::Gateway);
    let index = client.get("/openapi/").json();
    for (entry, (service, text)) in index["documents"].as_array().unwrap().iter().zip(DOCUMENTS) {
        assert_eq!(entry["service"], service.name());
        let reply = client.get(entry["path"].as_str().unwrap());
        assert_eq!((reply.header("content-type"), &*reply.body), (Some("application/yaml"), text));
    }
    for path in ["/openapi/nobody.yaml", "/openapi/gateway", "/openapi/gateway.json"] {
        assert_eq!(client.get(path).error(), "404 not found", "{path}");
    }
}
