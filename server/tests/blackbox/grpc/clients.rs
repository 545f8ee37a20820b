//! Clients in Python and Go, with stubs made of the `.proto` by their own tools (`scripts/grpc-clients.sh`).

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use crate::support::session::{list, text, texts};
use crate::support::{Launch, Port, until};

const PYTHON: &str = "python";
const GO: &str = "go";
/// A train that no timetable has, in a class of two segments when HTTP has opened it.
const DATE: &str = "2099-01-01";

/// A client that runs: a request on each line, an answer on each line.
pub(super) struct Client {
    process: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

fn command(language: &str, address: SocketAddr) -> Command {
    let clients = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/grpc-clients");
    let mut command = match language {
        PYTHON => {
            let mut python = Command::new(clients.join("python/bin/python"));
            python.arg(clients.join("python/gen/allocate.py"));
            python
        }
        GO => Command::new(clients.join("go/allocate")),
        other => panic!("no client in {other}"),
    };
    command.arg(address.to_string());
    command
}

impl Client {
    pub(super) fn start(language: &str, address: SocketAddr) -> Client {
        let mut command = command(language, address);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a client");
        let requests = process.stdin.take().expect("it is piped");
        let answers = BufReader::new(process.stdout.take().expect("it is piped"));
        Client { process, requests, answers }
    }

    pub(super) fn ask(&mut self, request: &Value) -> Value {
        writeln!(self.requests, "{request}").expect("the client reads");
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("the client answers");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{request}: {line:?}: {error}"))
    }

    fn seat(&mut self, order: &str, train: &str, span: (u32, u32)) -> Value {
        self.ask(&request(order, train, span))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(super) fn request(order: &str, train: &str, (from_index, to_index): (u32, u32)) -> Value {
    json!({
        "order_id": order, "train_id": train, "travel_date": DATE, "coach_type": "2nd",
        "from_index": from_index, "to_index": to_index,
    })
}

#[track_caller]
fn assert_refused(answer: &Value, code: &str, why: &str) {
    assert_eq!(answer["code"], code, "{answer}");
    assert!(text(answer, "message").contains(why), "{answer}");
}

/// Catches: a name or a number of the interface that is another than the old one's; a code that the old clients do not know.
#[test]
fn seats_are_allocated_as_the_old_service_did() {
    for language in [PYTHON, GO] {
        let server = Launch::new().with_grpc().start();
        let mut client = Client::start(language, server.launch().grpc_addr());
        let first = client.seat("order-1", "T1", (0, 5));
        assert_eq!(first, json!({"seat_no": "1-1"}), "{language}");
        assert_eq!(client.seat("order-1", "T1", (0, 5)), first, "the same order, the same seat");
        assert_eq!(client.seat("order-1", "T1", (7, 9)), first, "whatever the stretch");
        assert_eq!(client.seat("order-2", "T1", (5, 64)), first, "behind it the seat is free");
        assert_eq!(client.seat("order-3", "T1", (4, 6))["seat_no"], "1-2");

        for (field, value) in [
            ("order_id", json!("")),
            ("order_id", json!(" blank")),
            ("order_id", json!("x".repeat(65))),
            ("train_id", json!("")),
            ("train_id", json!("T|1")),
            ("travel_date", json!("")),
            ("coach_type", json!("")),
            ("from_index", json!(5)),
            ("from_index", json!(6)),
            ("to_index", json!(65)),
            ("to_index", json!(4_000_000_000_u32)),
        ] {
            let mut bad = request("bad", "T1", (0, 5));
            bad[field] = value;
            let refused = client.ask(&bad);
            assert_eq!(refused["code"], "INVALID_ARGUMENT", "{language}: {bad}: {refused}");
        }
        // A train of the timetable on a date that it does not run, and one that it has never heard of.
        let mut past = request("late", "G1", (0, 1));
        past["travel_date"] = json!("1999-01-01");
        assert_refused(&client.ask(&past), "NOT_FOUND", "is sold");
        server.stop();
    }
}

/// Catches: a seat that is sold twice, once by each way; an order of HTTP that gets other seats here.
#[test]
fn it_is_the_same_inventory_as_everything_elses() {
    let server = Launch::new().env("INTERLOCK_ORDER_RETENTION_SECS", "1").with_grpc().start();
    let (mut session, mut client) = (server.session(), Client::start(PYTHON, server.launch().grpc_addr()));
    let partition = format!("T2|{DATE}|2nd");

    // Opened by HTTP: one stretch of three seats, and any span is all of it.
    let id = session.new_order("both");
    let body = json!({"order_id": id, "partition_key": partition, "qty": 2, "capacity": 3});
    let order = session.reserve(&body).ok();
    let seats = texts(&order, "Seats").join(",");
    assert_eq!(client.seat(&id, "T2", (3, 9)), json!({"seat_no": seats}), "it has seats already");
    let last = client.seat("last", "T2", (3, 9));
    assert_eq!(last["seat_no"], "1-3");
    assert_refused(&client.seat("more", "T2", (1, 2)), "RESOURCE_EXHAUSTED", "no seat");
    let hold = session.held(&partition, "last", 1, 3);
    assert_eq!(hold["holds"]["last"]["status"], "confirmed", "{hold}");

    session.pay(&id, "txn").ok();
    session.until_ticketed(&id);
    assert_eq!(client.seat(&id, "T2", (3, 9)), json!({"seat_no": seats}));
    let init = session.new_order("init");
    assert_refused(&client.seat(&init, "T2", (0, 1)), "FAILED_PRECONDITION", "not reserved");
    session.cancel(&init).ok();
    assert_refused(&client.seat(&init, "T2", (0, 1)), "FAILED_PRECONDITION", "cancelled");
    // It has left the engine, and the read model still knows it.
    until("the order to leave", || {
        let metrics = session.get(Port::Gateway, "/metrics").text();
        metrics.lines().any(|line| line == "interlock_orders_left_total 1").then_some(())
    });
    assert_refused(&client.seat(&init, "T2", (0, 1)), "FAILED_PRECONDITION", "cancelled");

    // Durable before it is answered.
    let launch = server.kill();
    let server = launch.start();
    let mut client = Client::start(GO, server.launch().grpc_addr());
    assert_eq!(client.seat("last", "T2", (3, 9)), last);
    assert_refused(&client.seat("more", "T2", (1, 2)), "RESOURCE_EXHAUSTED", "no seat");
    let mut session = server.session();
    let history = session.get(Port::Gateway, &format!("/v1/trains/T2/{DATE}/history")).json();
    let confirmed = list(&history, "events").iter().filter(|event| event["kind"] == "hold_confirmed");
    assert_eq!(confirmed.count(), 2, "{history}");
    server.stop();
}

/// Catches: health or reflection that the usual tools do not understand.
#[test]
fn health_and_reflection_answer_the_usual_tools() {
    let server = Launch::new().with_grpc().start();
    let told = |what: &str| {
        let output = command(PYTHON, server.launch().grpc_addr()).arg(what).output().expect("a client");
        let told = String::from_utf8(output.stdout).expect("text");
        assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
        told.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect::<Vec<Value>>()
    };
    for health in told("health") {
        assert_eq!(health["status"], "SERVING", "{health}");
    }
    let told = told("services");
    let services = texts(&told[0], "services");
    assert!(services.contains(&"seatallocator.v1.SeatAllocator".to_owned()), "{services:?}");
    let expected = json!({
        "order_id": 1, "train_id": 2, "travel_date": 3, "coach_type": 4, "from_index": 5, "to_index": 6,
    });
    assert_eq!(told[1]["fields"], expected);
    server.stop();
}
