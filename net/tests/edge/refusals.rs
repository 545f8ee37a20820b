//! Every refusal of the engine on every route: status, text and code.

use engine::answer::Rejection as R;
use net::Service;

use crate::common::client::Client;
use crate::common::{Server, samples};

const HOLD: &str = r#"{"partition_key":"p","hold_id":"h","qty":1}"#;

/// Sends what is good to the engine's mind and expects the refusal as status, text and code.
fn check(client: &mut Client, server: &Server, path: &str, rejection: R, expected: (&str, &str)) {
    server.script.reply(Err(rejection));
    let order = samples::ORDER;
    let reply = match path {
        "/orders" => client.post(path, r#"{"idempotency_key":"k","amount_cents":1}"#),
        "/orders/get" | "/query/orders" => client.get(&format!("{path}?order_id={order}")),
        "/inventory/availability" => client.get(&format!("{path}?partition_key=p")),
        "/orders/reserve" | "/orders/cancel" => client.post(path, &format!(r#"{{"order_id":"{order}"}}"#)),
        "/payments/callback" => {
            client.post(path, r#"{"order_id":"o","provider_txn_id":"t","status":"SUCCESS"}"#)
        }
        "/v1/refunds" => client.get(path),
        "/v1/refunds/settle" => {
            client.post(path, r#"{"order_id":"o","provider_txn_id":"t","reference":"r"}"#)
        }
        _ => client.post(path, HOLD),
    };
    assert_eq!((&*reply.error(), &*reply.code()), expected, "{path} {rejection:?}");
    // A queue is shorter in a moment, the log in some seconds; what is kept ends in minutes.
    let later = match expected.1 {
        "busy" => Some("1"),
        "log_full" | "stopping" => Some("10"),
        "limit_reached" => Some("120"),
        _ => None,
    };
    assert_eq!(reply.header("retry-after"), later, "{path} {rejection:?}");
}

#[test]
fn every_refusal_has_its_status_text_and_code() {
    let server = Server::start();
    let mut client = Client::connect(&server, Service::Gateway);
    let hold = "/inventory/try-hold";
    let release = "/inventory/release-hold";
    let confirm = "/inventory/confirm-hold";
    let reserve = "/orders/reserve";
    let pay = "/payments/callback";
    for (path, rejection, text, code) in [
        (hold, R::InsufficientStock, "400 insufficient stock", "insufficient_stock"),
        (hold, R::PartitionNotFound, "404 partition not found", "partition_not_found"),
        (hold, R::InvalidSpan, "400 invalid span", "invalid_span"),
        (hold, R::InvalidCapacity, "400 invalid capacity", "invalid_capacity"),
        (hold, R::HoldDiffers, "409 hold id was used with another quantity or span", "hold_differs"),
        (hold, R::HoldExpired, "409 hold expired", "hold_expired"),
        (hold, R::HoldReleased, "409 hold released", "hold_released"),
        (hold, R::Busy, "503 wal backpressure", "busy"),
        (hold, R::LogFull, "503 wal backpressure", "log_full"),
        (hold, R::LimitReached, "503 limit reached", "limit_reached"),
        (hold, R::Stopping, "503 stopping", "stopping"),
        (release, R::HoldNotFound, "404 hold not found", "hold_not_found"),
        (release, R::HoldConfirmed, "409 hold confirmed", "hold_confirmed"),
        (release, R::HoldOwned, "409 hold belongs to an order", "hold_owned_by_order"),
        (confirm, R::HoldNotFound, "404 hold not found", "hold_not_found"),
        (confirm, R::HoldExpired, "409 hold expired", "hold_expired"),
        (confirm, R::HoldReleased, "409 hold released", "hold_released"),
        (confirm, R::Busy, "503 wal backpressure", "busy"),
        ("/inventory/availability", R::PartitionNotFound, "404 partition not found", "partition_not_found"),
        ("/inventory/availability", R::Busy, "503 busy", "busy"),
        ("/orders", R::AmountDiffers, "422 idempotency key was used with another amount", "amount_differs"),
        ("/orders", R::LogFull, "503 log full", "log_full"),
        (reserve, R::OrderNotFound, "404 order not found", "order_not_found"),
        (reserve, R::PartitionNotFound, "404 partition not found", "partition_not_found"),
        (reserve, R::InvalidTransition, "409 invalid state transition", "invalid_state_transition"),
        (reserve, R::InsufficientStock, "409 insufficient stock", "insufficient_stock"),
        (reserve, R::ReservationDiffers, "409 order is reserved with other contents", "reservation_differs"),
        (reserve, R::HoldOwnedByAnother, "409 hold belongs to another order", "hold_owned_by_another"),
        ("/orders/cancel", R::OrderNotFound, "404 order not found", "order_not_found"),
        ("/orders/cancel", R::InvalidTransition, "409 invalid state transition", "invalid_state_transition"),
        ("/orders/cancel", R::HoldMismatch, "409 order has another partition or hold", "hold_mismatch"),
        (pay, R::OrderNotFound, "404 order not found", "order_not_found"),
        (pay, R::TxnUsed, "409 transaction id already used", "transaction_id_used"),
        (pay, R::AlreadyPaid, "409 already paid", "already_paid"),
        (pay, R::HoldExpired, "409 hold expired", "hold_expired"),
        (pay, R::InvalidTransition, "409 invalid state transition", "invalid_state_transition"),
        (pay, R::HoldMismatch, "409 order has another partition or hold", "hold_mismatch"),
        ("/orders/get", R::OrderNotFound, "404 query order failed: order not found", "order_not_found"),
        ("/query/orders", R::OrderNotFound, "404 order view not found", "order_not_found"),
        ("/v1/refunds", R::Busy, "503 busy", "busy"),
        ("/v1/refunds/settle", R::RefundNotFound, "404 refund not found", "refund_not_found"),
        (
            "/v1/refunds/settle",
            R::RefundSettled,
            "409 refund settled under another reference",
            "refund_settled",
        ),
    ] {
        check(&mut client, &server, path, rejection, (text, code));
    }
}
