//! Records as JSON, for people and scripts that look into a log. Times are milliseconds since the Unix epoch.

use engine::ids::OrderKey;
use engine::record::{
    Body, HoldRow, Kept, OrderRow, PartitionOpened, PurchaseRow, Record, RefundRow, Reservation,
};
use engine::status::{CancelReason, ReleaseReason};
use engine::text::Text;
use serde_json::{Value, json};

pub(crate) fn record(core: u16, lsn: u64, record: &Record) -> Value {
    json!({
        "core": core,
        "lsn": lsn,
        "slot": record.slot.get(),
        "seq": record.seq,
        "time_ms": record.time.0,
        "trace_id": record.trace.as_str(),
        "type": record.body.kind().wire_name(),
        "body": body(&record.body),
    })
}

fn body(body: &Body) -> Value {
    match body {
        Body::PartitionOpened(opened) => partition(opened),
        Body::PartitionForgotten { partition } => json!({"partition_key": partition.as_str()}),
        Body::HoldMade(row) | Body::HoldAdopted(row) | Body::HoldConfirmed(row) | Body::HoldReleased(row) => {
            hold(row)
        }
        Body::HoldsExpired(rows) => json!({
            "holds": rows.iter().map(|row| hold(&row.hold)).collect::<Vec<_>>(),
            "orders": rows.iter().filter_map(|row| row.purchase.as_deref().map(order)).collect::<Vec<_>>(),
        }),
        Body::HoldsForgotten { partition, holds } => json!({
            "partition_key": partition.as_str(),
            "hold_ids": holds.iter().map(engine::ids::HoldId::as_str).collect::<Vec<_>>(),
        }),
        Body::OrderCreated(row)
        | Body::OrderReserved(row)
        | Body::OrderPaid(row)
        | Body::OrderTicketed(row)
        | Body::OrderCancelled(row) => order(row),
        Body::OrdersAbandoned(rows) => json!({"orders": rows.iter().map(order).collect::<Vec<_>>()}),
        Body::PurchaseMade(row) | Body::PurchasePaid(row) | Body::PurchaseCancelled(row) => purchase(row),
        Body::OrderKept { order, kept } => {
            let (kind, at) = match kept {
                Kept::PastEnd(at) => ("ends_at_ms", at),
                Kept::UntilAtLeast(at) => ("kept_until_ms", at),
            };
            json!({"order_id": order.to_string(), kind: at.0})
        }
        Body::OrderLeaving { order, txns } => json!({
            "order_id": order.to_string(),
            "provider_txn_ids": txns.iter().map(engine::ids::TxnId::as_str).collect::<Vec<_>>(),
        }),
        Body::OrdersForgotten { orders } => {
            json!({"order_ids": orders.iter().map(ToString::to_string).collect::<Vec<_>>()})
        }
        Body::ClaimForgotten { txn, order, tell } => json!({
            "provider_txn_id": txn.as_str(),
            "order_id": order.to_string(),
            "tell": tell.map(|tell| tell.0),
        }),
        Body::RefundsForgotten { numbers } => json!({"numbers": numbers}),
        Body::TxnClaimed { txn, order, .. } => {
            json!({"provider_txn_id": txn.as_str(), "order_id": order.to_string()})
        }
        Body::RefundOwed(row) | Body::RefundSettled(row) => refund(row),
        Body::TellsAcked { tells } => json!({"tells": tells.iter().map(|tell| tell.0).collect::<Vec<_>>()}),
    }
}

fn partition(opened: &PartitionOpened) -> Value {
    let stops = opened.run.as_ref().map(|run| &run.stops);
    json!({
        "partition_key": opened.partition.as_str(),
        "capacity": opened.layout.seats(),
        "segments": opened.segments,
        "seq": opened.seq,
        "stops": stops.map(|stops| stops.iter().map(|stop| &stop.code).collect::<Vec<_>>()),
        "board": stops.map(|stops| stops.iter().map(|stop| stop.board).collect::<Vec<_>>()),
        "alight": stops.map(|stops| stops.iter().map(|stop| stop.alight).collect::<Vec<_>>()),
        "ends_at_ms": opened.run.as_ref().map(|run| run.ends_at.0),
    })
}

fn texts(texts: &[Text]) -> Vec<&str> {
    texts.iter().map(Text::as_str).collect()
}

fn hold(row: &HoldRow) -> Value {
    json!({
        "partition_key": row.partition.as_str(),
        "hold_id": row.hold.as_str(),
        "made": row.made,
        "partition_seq": row.partition_seq,
        "status": row.status.wire_name(),
        "order_id": row.owner.map(|order| order.to_string()),
        "qty": row.quantity,
        "from_index": row.from,
        "to_index": row.to,
        "segments": row.segments,
        "capacity": row.capacity,
        "seat_numbers": row.seats,
        "seats": texts(&row.labels),
        "expires_at_ms": row.deadline.0,
        "provider_txn_id": row.txn.as_ref().map(engine::ids::TxnId::as_str),
        "release_reason": row.release_reason.map(ReleaseReason::wire_name),
        "keep_until_ms": row.keep_until.0,
    })
}

fn purchase(row: &PurchaseRow) -> Value {
    json!({"order": order(&row.order), "hold": hold(&row.hold)})
}

fn order(row: &OrderRow) -> Value {
    let run = match &row.key {
        OrderKey::Plain(_) => None,
        OrderKey::OfRun { run, .. } => Some(run.as_str()),
    };
    json!({
        "key_counts_for": run,
        "order_id": row.order.to_string(),
        "idempotency_key": row.key.name().as_str(),
        "status": row.status.wire_name(),
        "amount_cents": row.amount.0,
        "created_at_ms": row.created_at.0,
        "abandon_at_ms": row.abandon_at.0,
        "reservation": row.reservation.as_ref().map(reservation),
        "cancel_reason": row.cancel_reason.map(CancelReason::wire_name),
        "provider_txn_id": row.txn.as_ref().map(engine::ids::TxnId::as_str),
    })
}

fn reservation(r: &Reservation) -> Value {
    json!({
        "partition_key": r.partition.as_str(),
        "hold_id": r.hold.as_str(),
        "made": r.made,
        "qty": r.quantity,
        "from_index": r.from,
        "to_index": r.to,
        "segments": r.segments,
        "capacity": r.capacity,
        "seats": texts(&r.labels),
        "expires_at_ms": r.deadline.0,
        "ends_at_ms": r.ends_at.map(|at| at.0),
    })
}

fn refund(row: &RefundRow) -> Value {
    json!({
        "number": row.number,
        "order_id": row.order.as_str(),
        "provider_txn_id": row.txn.as_str(),
        "amount_cents": row.amount.map(|amount| amount.0),
        "reason": row.reason.wire_name(),
        "detail": row.reason.detail(),
        "created_at_ms": row.created_at.0,
        "settled": row.settled.as_ref().map(|s| json!({"reference": s.reference.as_str(), "at_ms": s.at.0})),
    })
}
