//! Orders by what they have.

use engine::answer::{Answer, OrderStatus, OrderView};
use engine::ids::{IdempotencyKey, OrderId, PartitionKey, SlotId, Time, TxnId};
use engine::read_model::{OrderPosition, OrdersPage, OrdersQuestion, Question, Reading, Unavailable};
use engine::text::Text;
use net::Service;
use net::limits::{EXPORT_PAGE, ORDERS_PAGE_DEFAULT, ORDERS_PAGE_MAX};

use crate::common::archive::Archive;
use crate::common::client::Client;
use crate::common::{Server, samples};

/// A server whose read model has these orders.
pub(crate) fn serving(archive: &Archive) -> Server {
    let server = Server::start();
    let archive = archive.clone();
    server.script.play_read(move |question| archive.answer(question));
    server
}

pub(crate) fn ids(orders: &serde_json::Value) -> Vec<String> {
    let orders = orders.as_array().unwrap();
    orders.iter().map(|order| order["OrderID"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn every_filter_reaches_the_question() {
    let server = Server::start();
    let mut client = Client::connect(&server, Service::Gateway);
    let mut check = |query: &str, change: fn(&mut OrdersQuestion)| {
        for (path, limit) in [("/v1/orders", ORDERS_PAGE_DEFAULT), ("/v1/orders/export", EXPORT_PAGE)] {
            assert_eq!(client.get(&format!("{path}{query}")).status, 200, "{path}{query}");
            let mut expected = OrdersQuestion { limit, ..OrdersQuestion::default() };
            change(&mut expected);
            assert_eq!(server.script.questions(), [Question::Orders(Box::new(expected))], "{path}{query}");
        }
    };
    check("", |_| {});
    check("?status=&train=&date=&class=&key=&txn=&since=&until=&after=&format=", |_| {});
    check("?nobody=knows", |_| {});
    check("?status=INIT", |q| q.status = Some(OrderStatus::Init));
    check("?status=RESERVED", |q| q.status = Some(OrderStatus::Reserved));
    check("?status=PAID", |q| q.status = Some(OrderStatus::Paid));
    check("?status=TICKETED", |q| q.status = Some(OrderStatus::Ticketed));
    check("?status=CANCELLED", |q| q.status = Some(OrderStatus::Cancelled));
    check("?train=D1%2F2", |q| q.train = Some(Text::from("D1/2")));
    check("?date=2026-02-11", |q| q.date = Some(Text::from("2026-02-11")));
    check("?class=%E4%BA%8C%E7%AD%89+a", |q| q.class = Some(Text::from("二等 a")));
    check("?key=k+1", |q| q.key = Some(IdempotencyKey::parse("k 1").unwrap()));
    check("?txn=t-1", |q| q.txn = Some(TxnId::parse("t-1").unwrap()));
    check("?since=2026-02-11T08:10:06.007Z", |q| q.since = Some(samples::MOMENT));
    check("?until=2026-02-11T16:10:06.007%2B08:00", |q| q.until = Some(samples::MOMENT));
    let text = |time: u64| format!("?after={time:016x}{}", samples::ORDER);
    check(&text(0), |q| q.after = Some(OrderPosition { created_at: Time(0), order: samples::order_id() }));
    check(
        "?status=PAID&status=INIT&train=G1&date=2026-02-11&class=2nd&key=k&txn=t&since=1970-01-01T00:00:00Z",
        |q| {
            q.status = Some(OrderStatus::Paid);
            q.train = Some(Text::from("G1"));
            q.date = Some(Text::from("2026-02-11"));
            q.class = Some(Text::from("2nd"));
            q.key = Some(IdempotencyKey::parse("k").unwrap());
            q.txn = Some(TxnId::parse("t").unwrap());
            q.since = Some(Time(0));
        },
    );
    for (query, limit) in
        [("?limit=", ORDERS_PAGE_DEFAULT), ("?limit=1", 1), ("?limit=1000", ORDERS_PAGE_MAX)]
    {
        client.get(&format!("/v1/orders{query}"));
        let expected = OrdersQuestion { limit, ..OrdersQuestion::default() };
        assert_eq!(server.script.questions(), [Question::Orders(Box::new(expected))], "{query}");
    }
    assert!(server.script.asked().is_empty(), "the engine has no listings");
}

#[test]
fn orders_are_listed_page_by_page() {
    let archive = Archive::of(25);
    let server = serving(&archive);
    let mut client = Client::connect(&server, Service::Gateway);
    for limit in [1, 3, 10, 24, 25, 26] {
        let (mut seen, mut path) = (Vec::new(), format!("/v1/orders?limit={limit}"));
        loop {
            let page = client.get(&path).json();
            let orders = ids(&page["orders"]);
            assert!(!orders.is_empty() && orders.len() <= limit, "{path}");
            seen.extend(orders);
            let Some(next) = page.get("next") else { break };
            path = format!("/v1/orders?limit={limit}&after={}", next.as_str().unwrap());
        }
        assert_eq!(seen, archive.ids(), "by pages of {limit}");
        assert_eq!(server.script.questions().len(), 25usize.div_ceil(limit), "no page is empty");
    }
}

#[test]
fn a_listed_order_is_the_one_that_a_read_shows() {
    let mut orders: Vec<OrderView> = [
        OrderStatus::Init,
        OrderStatus::Reserved,
        OrderStatus::Paid,
        OrderStatus::Ticketed,
        OrderStatus::Cancelled,
    ]
    .map(samples::order)
    .into();
    for (number, order) in (1..).zip(&mut orders) {
        order.order = OrderId::new(SlotId::new(number), u128::from(number) << 12);
    }
    let server = serving(&Archive::new(orders.clone()));
    let mut client = Client::connect(&server, Service::Gateway);
    server.script.set_lag_ms(1_234);
    let reply = client.get("/v1/orders");
    assert_eq!(reply.header("x-read-model-lag-ms"), Some("1234"));
    let mut shown = Vec::new();
    for order in orders {
        server.script.reply(Ok(Answer::Order(Box::new(order.clone()))));
        shown.push(client.get(&format!("/orders/get?order_id={}", order.order)).body);
    }
    assert_eq!(reply.body, format!(r#"{{"orders":[{}]}}"#, shown.join(",")));
}

/// What is asked is what is found, by an answerer that filters on its own.
#[test]
fn filters_find_what_has_everything() {
    let mut orders = Archive::of(40).orders().to_vec();
    for (number, order) in orders.iter_mut().enumerate() {
        let key = ["G1|2026-02-11|2nd", "G1|2026-02-12|2nd", "G2|2026-02-11|1st", "ad hoc"][number % 4];
        order.reservation.as_mut().unwrap().partition = PartitionKey::parse(key).unwrap();
        order.status = [OrderStatus::Paid, OrderStatus::Cancelled][number % 2];
        order.txn = Some(TxnId::parse(&format!("t-{number}")).unwrap());
    }
    let server = serving(&Archive::new(orders));
    let mut client = Client::connect(&server, Service::Gateway);
    for (query, found) in [
        ("", 40),
        ("train=G1", 20),
        ("train=G1&date=2026-02-12", 10),
        ("date=2026-02-11", 20),
        ("class=1st", 10),
        ("class=1st&train=G1", 0),
        ("status=PAID", 20),
        ("status=PAID&train=G2", 10),
        ("txn=t-7", 1),
        ("until=2026-02-11T08:10:06.007Z", 0),
        ("since=2026-02-11T08:10:06.007Z&until=2026-02-11T08:10:06.008Z", 3),
        ("since=2026-02-11T08:10:06.020Z", 1),
    ] {
        let page = client.get(&format!("/v1/orders?{query}")).json();
        assert_eq!(page["orders"].as_array().unwrap().len(), found, "{query}");
    }
}

#[test]
fn a_read_model_that_is_down_is_said_everywhere() {
    let server = Server::start();
    server.script.answer_read(Err(Unavailable { reason: "it fills".to_owned() }));
    let mut client = Client::connect(&server, Service::Gateway);
    let history = format!("/v1/orders/{}/history", samples::ORDER);
    for path in ["/v1/orders", "/v1/orders/export", "/v1/trains/G1/2026-02-11/history", &history] {
        let reply = client.get(path);
        assert_eq!(reply.error(), "503 read model unavailable: it fills", "{path}");
        assert_eq!(reply.code(), "read_model_unavailable", "{path}");
        assert_eq!(reply.header("retry-after"), Some("10"), "{path}");
    }
    // An answer to another question is a defect, and said as one.
    server.script.answer_read(Ok(Reading::Orders(OrdersPage::default())));
    assert_eq!(client.get("/v1/trains/G1/2026-02-11/history").code(), "internal");
}

#[test]
fn requests_are_counted_by_the_patterns_of_their_routes() {
    let server = Server::start();
    let mut client = Client::connect(&server, Service::Gateway);
    client.get("/v1/orders?train=secret");
    client.get("/v1/orders/export");
    client.get("/v1/orders/secret/history");
    client.get("/v1/trains/secret/2026-02-11/history");
    let scrape = client.get("/metrics").body;
    for (route, status) in [
        ("/v1/orders", 200),
        ("/v1/orders/export", 200),
        ("/v1/orders/{id}/history", 404),
        ("/v1/trains/{train}/{date}/history", 200),
    ] {
        let labels = format!(r#"{{service="gateway",method="GET",route="{route}",status="{status}"}} 1"#);
        assert!(
            scrape.contains(&format!("http_requests_total{labels}\n")),
            "{labels} is missing in {scrape}"
        );
    }
    assert!(!scrape.contains("secret"));
}
