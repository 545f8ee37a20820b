//! A client of the server: the calls of the contract by name.

use std::io;
use std::net::SocketAddr;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::http::{Conn, Response, encode};
use crate::until;

/// The payment key of servers that check signatures.
pub const SIGN_KEY: &str = "a key for tests";

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Port {
    Gateway,
    Order,
    Inventory,
    Query,
    Worker,
}

impl Port {
    pub const ALL: [Port; 5] = [Port::Gateway, Port::Order, Port::Inventory, Port::Query, Port::Worker];

    pub const fn number(self) -> u16 {
        8080 + self as u16
    }

    /// Its name in metrics and logs.
    pub const fn service(self) -> &'static str {
        match self {
            Port::Gateway => "gateway",
            Port::Order => "order-service",
            Port::Inventory => "inventory-service",
            Port::Query => "query-service",
            Port::Worker => "ticket-worker",
        }
    }
}

/// The payment provider's signature.
pub fn sign(key: &str, order: &str, txn: &str, status: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("any key will do");
    mac.update(format!("{order}|{txn}|{}", status.to_uppercase()).as_bytes());
    mac.finalize().into_bytes().iter().map(|b| format!("{b:02x}")).collect()
}

/// A client with a kept-alive connection to each port that it uses. A connection that the server closed while it was
/// idle is opened again: every request of the contract may be repeated.
#[derive(Debug)]
pub struct Session {
    addrs: [SocketAddr; 5],
    conns: [Option<Conn>; 5],
    by_gateway: bool,
    sign_key: Option<String>,
    broken: u32,
}

impl Session {
    /// Calls by the five services' own ports; `sign_key` signs payments.
    pub fn new(addrs: [SocketAddr; 5], sign_key: Option<&str>) -> Session {
        let sign_key = sign_key.map(str::to_owned);
        Session { addrs, conns: [const { None }; 5], by_gateway: false, sign_key, broken: 0 }
    }

    /// Calls by the gateway's port alone.
    #[must_use]
    pub fn by_gateway(self) -> Session {
        Session { by_gateway: true, ..self }
    }

    /// Sends one request and reads its answer. The error is that of the second try where the first one met a
    /// connection that had been idle.
    pub fn try_call(
        &mut self,
        port: Port,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> io::Result<Response> {
        let i = if self.by_gateway { 0 } else { port as usize };
        if let Some(mut conn) = self.conns[i].take() {
            if let Ok(answer) = conn.call(method, path, headers, body) {
                self.keep(i, conn, &answer);
                return Ok(answer);
            }
            self.broken += 1;
        }
        let mut conn = Conn::open(self.addrs[i])?;
        let answer = conn.call(method, path, headers, body)?;
        self.keep(i, conn, &answer);
        Ok(answer)
    }

    /// The number of kept connections that turned out to be closed.
    pub fn broken(&self) -> u32 {
        self.broken
    }

    fn keep(&mut self, i: usize, conn: Conn, answer: &Response) {
        let closes = answer.header("connection").is_some_and(|v| v.eq_ignore_ascii_case("close"));
        self.conns[i] = (!closes).then_some(conn);
    }

    #[track_caller]
    pub fn call(&mut self, port: Port, method: &str, path: &str, body: Option<&[u8]>) -> Response {
        match self.try_call(port, method, path, &[], body) {
            Ok(answer) => answer,
            Err(e) => panic!("{method} {path}: {e}"),
        }
    }

    #[track_caller]
    pub fn get(&mut self, port: Port, path: &str) -> Response {
        self.call(port, "GET", path, None)
    }

    #[track_caller]
    pub fn post(&mut self, port: Port, path: &str, body: &Value) -> Response {
        self.call(port, "POST", path, Some(body.to_string().as_bytes()))
    }

    /// Creates an order and gives it.
    #[track_caller]
    pub fn create(&mut self, key: &str, amount_cents: i64) -> Value {
        self.post(Port::Order, "/orders", &json!({"idempotency_key": key, "amount_cents": amount_cents})).ok()
    }

    /// Creates an order of 100.00 and gives its id.
    #[track_caller]
    pub fn new_order(&mut self, key: &str) -> String {
        text(&self.create(key, 10_000), "OrderID").to_owned()
    }

    #[track_caller]
    pub fn reserve(&mut self, body: &Value) -> Response {
        self.post(Port::Order, "/orders/reserve", body)
    }

    /// Creates an order, reserves `qty` seats of an ad hoc partition for it and gives it as RESERVED.
    #[track_caller]
    pub fn reserved(&mut self, key: &str, partition: &str, qty: u32) -> Value {
        let order = self.new_order(key);
        let order = self.reserve(&json!({"order_id": order, "partition_key": partition, "qty": qty})).ok();
        assert_eq!(order["Status"], "RESERVED", "{order}");
        order
    }

    #[track_caller]
    pub fn cancel(&mut self, order: &str) -> Response {
        self.post(Port::Order, "/orders/cancel", &json!({"order_id": order}))
    }

    /// The body of a payment callback, signed where the server has a key.
    pub fn payment(&self, order: &str, txn: &str) -> Value {
        let mut body = json!({"order_id": order, "provider_txn_id": txn, "status": "SUCCESS"});
        if let Some(key) = &self.sign_key {
            body["signature"] = sign(key, order, txn, "SUCCESS").into();
        }
        body
    }

    #[track_caller]
    pub fn pay(&mut self, order: &str, txn: &str) -> Response {
        let body = self.payment(order, txn);
        self.post(Port::Order, "/payments/callback", &body)
    }

    #[track_caller]
    pub fn get_order(&mut self, order: &str) -> Response {
        self.get(Port::Order, &format!("/orders/get?order_id={}", encode(order)))
    }

    #[track_caller]
    pub fn order(&mut self, order: &str) -> Value {
        self.get_order(order).ok()
    }

    #[track_caller]
    pub fn view(&mut self, order: &str) -> Value {
        self.get(Port::Query, &format!("/query/orders?order_id={}", encode(order))).ok()
    }

    /// Polls until the order has its ticket.
    #[track_caller]
    pub fn until_ticketed(&mut self, order: &str) -> Value {
        self.until_status(order, "TICKETED")
    }

    #[track_caller]
    pub fn until_status(&mut self, order: &str, status: &str) -> Value {
        until(&format!("order {order} to become {status}"), || {
            Some(self.order(order)).filter(|o| o["Status"] == status)
        })
    }

    #[track_caller]
    pub fn try_hold(&mut self, body: &Value) -> Response {
        self.post(Port::Inventory, "/inventory/try-hold", body)
    }

    /// Holds `qty` seats of an ad hoc partition of `capacity` and gives the state.
    #[track_caller]
    pub fn held(&mut self, partition: &str, hold: &str, qty: u32, capacity: u32) -> Value {
        self.try_hold(&json!({"partition_key": partition, "hold_id": hold, "qty": qty, "capacity": capacity}))
            .ok()
    }

    #[track_caller]
    pub fn release(&mut self, partition: &str, hold: &str) -> Response {
        self.end_hold("/inventory/release-hold", partition, hold)
    }

    #[track_caller]
    pub fn confirm(&mut self, partition: &str, hold: &str) -> Response {
        self.end_hold("/inventory/confirm-hold", partition, hold)
    }

    #[track_caller]
    fn end_hold(&mut self, path: &str, partition: &str, hold: &str) -> Response {
        self.post(Port::Inventory, path, &json!({"partition_key": partition, "hold_id": hold}))
    }

    /// Seats that the whole run can still take.
    #[track_caller]
    pub fn available(&mut self, partition: &str) -> i64 {
        self.availability(&format!("partition_key={}", encode(partition)))
    }

    /// Seats that `[from, to)` can still take.
    #[track_caller]
    pub fn available_on(&mut self, partition: &str, from: usize, to: usize) -> i64 {
        self.availability(&format!("partition_key={}&from_index={from}&to_index={to}", encode(partition)))
    }

    #[track_caller]
    fn availability(&mut self, query: &str) -> i64 {
        number(&self.get(Port::Inventory, &format!("/inventory/availability?{query}")).ok(), "available")
    }

    /// Every refund of a status (all where it is empty), page by page.
    #[track_caller]
    pub fn refunds(&mut self, status: &str) -> Vec<Value> {
        let mut all = Vec::new();
        let mut after = String::new();
        loop {
            let filter = if status.is_empty() { String::new() } else { format!("&status={status}") };
            let path = format!("/v1/refunds?limit=500{filter}{after}");
            let page = self.get(Port::Gateway, &path).ok();
            all.extend(list(&page, "refunds").iter().cloned());
            match page["next"].as_str() {
                Some(next) => after = format!("&after={}", encode(next)),
                None => return all,
            }
        }
    }

    /// The refunds of one order and transaction, of any status.
    #[track_caller]
    pub fn refunds_of(&mut self, order: &str, txn: &str) -> Vec<Value> {
        let mut all = self.refunds("");
        all.retain(|r| r["order_id"] == order && r["provider_txn_id"] == txn);
        all
    }

    #[track_caller]
    pub fn settle(&mut self, order: &str, txn: &str, reference: &str) -> Response {
        let body = json!({"order_id": order, "provider_txn_id": txn, "reference": reference});
        self.post(Port::Gateway, "/v1/refunds/settle", &body)
    }
}

/// A field that must be text.
#[track_caller]
pub fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("{field} is no text in {value}"))
}

/// A field that must be a whole number.
#[track_caller]
pub fn number(value: &Value, field: &str) -> i64 {
    value[field].as_i64().unwrap_or_else(|| panic!("{field} is no whole number in {value}"))
}

/// A field that must be a list.
#[track_caller]
pub fn list<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    value[field].as_array().unwrap_or_else(|| panic!("{field} is no list in {value}"))
}

/// A field that must be a list of texts.
#[track_caller]
pub fn texts(value: &Value, field: &str) -> Vec<String> {
    let all = list(value, field).iter();
    all.map(|t| t.as_str().unwrap_or_else(|| panic!("{field} has no texts in {value}")).to_owned()).collect()
}
