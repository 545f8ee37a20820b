//! Exports: whole, slow, cut and limited.

use std::time::{Duration, Instant};

use engine::answer::{CancelReason, OrderStatus, OrderView, RefundStatus};
use engine::ids::{HoldId, IdempotencyKey, TxnId};
use engine::read_model::{Question, Unavailable};
use engine::text::Text;
use net::limits::EXPORT_PAGE;
use net::{Limits, Service};

use crate::common::archive::Archive;
use crate::common::client::Client;
use crate::common::{PlayedRead, Server, samples};

const PATH: &str = "/v1/orders/export?format=jsonl";
/// More than the buffers of two sockets take.
const MANY: u64 = 20_000;

fn limits() -> Limits {
    Limits { sweep_ms: 5, ..Limits::default() }
}

fn serving(archive: &Archive, limits: Limits) -> Server {
    let server = Server::with_limits(limits);
    let archive = archive.clone();
    server.script.play_read(move |question| archive.answer(question));
    server
}

fn client(server: &Server) -> Client {
    Client::connect(server, Service::Gateway)
}

fn request(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n")
}

/// The order of each whole line.
fn ids(lines: &str) -> Vec<String> {
    let whole = lines.rfind('\n').map_or("", |end| &lines[..end]);
    let id = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["OrderID"].to_string();
    whole.lines().map(|line| id(line).trim_matches('"').to_owned()).collect()
}

/// Reads the head alone, and returns once the export has come to a stop, because nobody reads: the number of pages that were read.
fn begin_and_stall(server: &Server, client: &mut Client, path: &str) -> usize {
    assert_eq!(client.send(request(path)).read_head().status, 200);
    let mut other = Client::connect(server, Service::Query);
    let (mut pages, mut rounds) = (0, 0);
    // An export that went on would read a page in far fewer rounds than these.
    while rounds < 2_000 {
        assert_eq!(other.get("/healthz").status, 200, "others are not held up");
        rounds = if server.script.count_questions() == pages { rounds + 1 } else { 0 };
        pages = server.script.count_questions();
    }
    pages
}

#[test]
fn an_export_in_json_has_an_order_on_each_line() {
    let archive = Archive::of(1_234);
    let server = serving(&archive, limits());
    server.script.set_lag_ms(7);
    let mut client = client(&server);
    let reply = client.get(PATH);
    assert_eq!((reply.status, ids(&reply.body)), (200, archive.ids()));
    assert_eq!(reply.header("content-type"), Some("application/x-ndjson"));
    assert_eq!(reply.header("content-disposition"), Some("attachment; filename=\"orders.jsonl\""));
    assert_eq!(reply.header("x-read-model-lag-ms"), Some("7"));
    assert_eq!(server.script.count_questions(), 1_234usize.div_ceil(EXPORT_PAGE));
    let first = client.get("/v1/orders?limit=1").json();
    let line: serde_json::Value = serde_json::from_str(reply.body.lines().next().unwrap()).unwrap();
    assert_eq!(line, first["orders"][0], "a line is the order as it is listed");
    let rest = client.get(&format!("{PATH}&after={}", first["next"].as_str().unwrap()));
    assert_eq!(ids(&rest.body), archive.ids()[1..]);
}

#[test]
fn an_export_in_csv_has_a_row_for_each_order() {
    let mut reserved = samples::order(OrderStatus::Reserved);
    reserved.key = IdempotencyKey::parse("a \"b\", c").unwrap();
    reserved.reservation.as_mut().unwrap().hold = HoldId::parse("=1+1").unwrap();
    let mut cancelled =
        OrderView { created_at: samples::MOMENT.plus(1), ..samples::order(OrderStatus::Cancelled) };
    cancelled.cancel_reason = Some(CancelReason::HoldExpired);
    cancelled.txn = Some(TxnId::parse("t-1").unwrap());
    cancelled.refund = Some(RefundStatus::Required);
    let mut ticketed =
        OrderView { created_at: samples::MOMENT.plus(2), ..samples::order(OrderStatus::Ticketed) };
    ticketed.reservation.as_mut().unwrap().seats = vec![Text::from("05-12A")];
    let init = OrderView { created_at: samples::MOMENT.plus(3), ..samples::order(OrderStatus::Init) };
    let server = serving(&Archive::new(vec![ticketed, cancelled, reserved, init]), limits());
    let expected = [
        concat!(
            "OrderID,IdempotencyKey,Status,AmountCents,CreatedAt,UpdatedAt,PartitionKey,HoldID,Qty,FromIndex,ToIndex,",
            "Seats,ExpiresAt,CancelReason,ProviderTxnID,Refund"
        ),
        concat!(
            "00512345-6789-8bcd-af01-23456789abcd,\"a \"\"b\"\", c\",RESERVED,12300,2026-02-11T08:10:06.007Z,",
            "2026-02-11T08:10:07.007Z,G123|2026-02-11|2nd,=1+1,2,0,3,\"05-12A,05-12B\",2026-02-11T08:10:06.007Z,,,"
        ),
        concat!(
            "00512345-6789-8bcd-af01-23456789abcd,key,CANCELLED,12300,2026-02-11T08:10:06.008Z,",
            "2026-02-11T08:10:07.007Z,G123|2026-02-11|2nd,00512345-6789-8bcd-af01-23456789abcd,2,0,3,,,hold_expired,t-1,required"
        ),
        concat!(
            "00512345-6789-8bcd-af01-23456789abcd,key,TICKETED,12300,2026-02-11T08:10:06.009Z,",
            "2026-02-11T08:10:07.007Z,G123|2026-02-11|2nd,00512345-6789-8bcd-af01-23456789abcd,2,0,3,05-12A,,,,"
        ),
        concat!(
            "00512345-6789-8bcd-af01-23456789abcd,key,INIT,12300,2026-02-11T08:10:06.010Z,",
            "2026-02-11T08:10:07.007Z,,,,,,,,,,"
        ),
        "",
    ];
    for path in ["/v1/orders/export", "/v1/orders/export?format=", "/v1/orders/export?format=csv"] {
        let reply = client(&server).get(path);
        assert_eq!(reply.body, expected.join("\r\n"), "{path}");
        assert_eq!(reply.header("content-type"), Some("text/csv; charset=utf-8; header=present"));
        assert_eq!(reply.header("content-disposition"), Some("attachment; filename=\"orders.csv\""));
    }
}

#[test]
fn an_export_of_nothing_is_whole() {
    let server = serving(&Archive::default(), limits());
    let mut client = client(&server);
    assert_eq!(client.get(PATH).body, "");
    let csv = client.get("/v1/orders/export?format=csv").body;
    assert!(csv.starts_with("OrderID,") && csv.ends_with(",Refund\r\n") && csv.lines().count() == 1, "{csv}");
    assert_eq!(client.get("/healthz").status, 200, "the connection goes on");
}

#[test]
fn nothing_is_read_ahead_of_a_client_that_does_not_read() {
    let archive = Archive::of(MANY);
    let server = serving(&archive, limits());
    let mut slow = client(&server);
    let pages = begin_and_stall(&server, &mut slow, PATH);
    let all = archive.orders().len() / EXPORT_PAGE;
    assert!(pages < all, "{pages} pages of {all} were read for nobody");
    let body = slow.read_chunks().expect("it waited, and goes on to its end");
    assert_eq!(ids(&body), archive.ids());
    assert_eq!(server.script.count_questions(), all);
    assert_eq!(slow.get("/healthz").status, 200, "the connection goes on");
}

#[test]
fn a_client_that_takes_nothing_is_dropped_in_time() {
    let server = serving(&Archive::of(MANY), Limits { idle_ms: 400, exports_max: 1, ..limits() });
    let mut stalled = client(&server);
    assert_eq!(stalled.send(request(PATH)).read_head().status, 200);
    let deadline = Instant::now() + Duration::from_secs(30);
    while client(&server).get("/v1/orders/export?key=k").status != 200 {
        assert!(Instant::now() < deadline, "its place never becomes free");
    }
    assert!(stalled.read_chunks().is_err(), "and it sees that it has not got all");
}

/// Time limits are for each page and each piece, not for the whole.
#[test]
fn an_export_may_take_longer_than_a_request() {
    let (archive, limit_ms) = (Archive::of(20 * EXPORT_PAGE as u64), 400);
    let server = Server::with_limits(Limits { request_ms: limit_ms, idle_ms: limit_ms, ..limits() });
    let answers = archive.clone();
    server.script.play_read(move |question| match answers.answer(question) {
        PlayedRead::Answer(answer) => PlayedRead::Late(Duration::from_millis(limit_ms / 10), answer),
        other => other,
    });
    let began = Instant::now();
    assert_eq!(ids(&client(&server).get(PATH).body), archive.ids());
    assert!(began.elapsed() > Duration::from_millis(limit_ms));
}

#[test]
fn a_client_sees_that_an_export_is_cut() {
    let archive = Archive::of(5 * EXPORT_PAGE as u64);
    let server = serving(&archive, Limits { request_ms: 50, exports_max: 1, ..limits() });
    let cuts: [fn() -> PlayedRead; 2] =
        [|| PlayedRead::Answer(Err(Unavailable { reason: "locked".to_owned() })), || PlayedRead::Hang];
    for cut in cuts {
        let (answers, mut pages) = (archive.clone(), 0);
        server.script.play_read(move |question| {
            pages += 1;
            if pages == 3 { cut() } else { answers.answer(question) }
        });
        let mut client = client(&server);
        assert_eq!(client.send(request(PATH)).read_head().status, 200);
        let got = client.read_chunks().expect_err("its last chunk never comes");
        let got = ids(&got);
        assert!(
            !got.is_empty() && got.len() <= 2 * EXPORT_PAGE && archive.ids().starts_with(&got),
            "{}",
            got.len()
        );
        assert!(client.is_closed());
    }
    let answers = archive.clone();
    server.script.play_read(move |question| answers.answer(question));
    assert_eq!(ids(&client(&server).get(PATH).body), archive.ids(), "each has given its place back");
}

#[test]
fn head_is_the_head_alone() {
    let archive = Archive::of(3 * EXPORT_PAGE as u64);
    let server = serving(&archive, Limits { exports_max: 1, ..limits() });
    let mut client = client(&server);
    for _ in 0..3 {
        let head = client.send(format!("HEAD {PATH} HTTP/1.1\r\nhost: a\r\n\r\n")).read_head();
        assert_eq!((head.status, head.header("content-length")), (200, None));
        assert_eq!(head.header("content-type"), Some("application/x-ndjson"));
        assert_eq!(head.header("content-disposition"), Some("attachment; filename=\"orders.jsonl\""));
        assert_eq!(server.script.questions().len(), 1, "no more is read than tells whether it can be");
    }
    assert_eq!(ids(&client.get(PATH).body), archive.ids(), "the connection and its place are free");
}

#[test]
fn a_request_behind_an_export_is_answered_after_it() {
    let archive = Archive::of(3 * EXPORT_PAGE as u64);
    let server = serving(&archive, limits());
    let mut client = client(&server);
    client.send(format!("{}{}{}", request(PATH), request("/healthz"), "GET /readyz HTT"));
    assert_eq!(ids(&client.read().body), archive.ids());
    assert_eq!(client.read().body, r#"{"status":"ok"}"#);
    assert_eq!(client.send("P/1.1\r\nhost: a\r\n\r\n").read().status, 200);
}

/// It begins with the end of the export: the time that the export took is not the client's.
#[test]
fn a_head_that_waits_behind_an_export_has_its_own_time() {
    let archive = Archive::of(3 * EXPORT_PAGE as u64);
    let server = Server::with_limits(Limits { header_ms: 40, ..limits() });
    let answers = archive.clone();
    server.script.play_read(move |question| match answers.answer(question) {
        PlayedRead::Answer(answer) => PlayedRead::Late(Duration::from_millis(80), answer),
        other => other,
    });
    for at_once in [true, false] {
        let mut client = client(&server);
        let begun = "GET /readyz HTT";
        client.send(format!("{}{}", request(PATH), if at_once { begun } else { "" }));
        assert_eq!(client.read_head().status, 200);
        if !at_once {
            client.send(begun);
        }
        assert_eq!(ids(&client.read_chunks().expect("it is whole")), archive.ids(), "{at_once}");
        assert_eq!(client.read().error(), "408 request timeout", "{at_once}");
        assert!(client.is_closed());
    }
}

#[test]
fn an_old_client_gets_it_all_until_the_connection_closes() {
    let archive = Archive::of(3 * EXPORT_PAGE as u64);
    let server = serving(&archive, limits());
    let mut client = client(&server);
    let head = client.send(format!("GET {PATH} HTTP/1.0\r\n\r\n")).read_head();
    assert_eq!((head.status, head.header("transfer-encoding")), (200, None));
    assert_eq!(ids(&client.read_to_end()), archive.ids());
}

#[test]
fn only_so_many_exports_are_under_way() {
    let server = serving(&Archive::of(MANY), Limits { exports_max: 2, ..limits() });
    let mut readers = [client(&server), client(&server)];
    for reader in &mut readers {
        assert_eq!(reader.send(request(PATH)).read_head().status, 200);
    }
    let mut late = client(&server);
    let reply = late.get(PATH);
    assert_eq!((&*reply.error(), &*reply.code()), ("503 too many exports under way", "busy"));
    assert_eq!(reply.header("retry-after"), Some("1"));
    assert_eq!(late.get("/v1/orders?limit=1").status, 200, "listings go on");
    let [gone, _stays] = readers;
    drop(gone);
    // The server may hear of the end later than its client.
    let deadline = Instant::now() + Duration::from_secs(30);
    while late.get("/v1/orders/export?key=k").status != 200 {
        assert!(Instant::now() < deadline, "the place of one that has gone never becomes free");
    }
}

#[test]
fn a_server_that_stops_does_not_wait_for_a_stalled_export() {
    let mut server = serving(&Archive::of(MANY), Limits { stop_ms: 50, stop_receive_ms: 20, ..limits() });
    let mut stalled = client(&server);
    begin_and_stall(&server, &mut stalled, PATH);
    server.join();
    assert!(stalled.read_chunks().is_err());
}

#[test]
fn a_server_that_stops_finishes_an_export_that_is_read() {
    let archive = Archive::of(MANY);
    let mut server = serving(&archive, limits());
    let mut reader = client(&server);
    assert_eq!(reader.send(request(PATH)).read_head().status, 200);
    server.begin_stop();
    assert_eq!(ids(&reader.read_chunks().expect("it is whole")), archive.ids());
    assert!(reader.is_closed());
    server.join();
}

/// A page is read only when the one before has left: whatever is asked next begins where the last one ended.
#[test]
fn pages_follow_one_another() {
    let archive = Archive::of(4 * EXPORT_PAGE as u64);
    let server = serving(&archive, limits());
    client(&server).get(&format!("{PATH}&status=TICKETED&since=1970-01-01T00:00:00Z"));
    let questions = server.script.questions();
    let afters: Vec<Option<String>> = questions
        .iter()
        .map(|question| {
            let Question::Orders(question) = question else { panic!("another question") };
            assert_eq!((question.status, question.limit), (Some(OrderStatus::Ticketed), EXPORT_PAGE));
            assert!(question.since.is_some());
            question.after.map(|after| after.order.to_string())
        })
        .collect();
    let ids = archive.ids();
    let expected = [None, Some(500), Some(1_000), Some(1_500)]
        .map(|end: Option<usize>| end.map(|end| ids[end - 1].clone()));
    assert_eq!(afters, expected);
}
