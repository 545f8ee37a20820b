//! Payments that are looked up, and settled refunds.

use engine::answer::RefundView;
use engine::command::{Found, RefundCursor};
use engine::ids::{Cents, OrderId, OrderName, Reference, SlotId, TxnId};
use engine::limits::{REFUNDS_PAGE_MAX, SLOTS};
use engine::read_model::RefundsQuestion;
use engine::status::{RefundReason, RefundStatus, Settlement};
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};

use super::orders::{one, parsed};
use super::read_error::ReadError;
use crate::text::parse_time;

/// A payment: its order, and why it was to go back before, if it was.
pub(super) fn payment(connection: &Connection, name: &OrderName, txn: &TxnId) -> Result<Found, ReadError> {
    let sql = "SELECT reason FROM refunds WHERE order_id = ?1 AND provider_txn_id = ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([name.as_str(), txn.as_str()])?;
    let refund = rows.next()?.map(|row| parsed(row, 0, refund_reason)).transpose()?;
    // An id that is none of ours names no order.
    let order = OrderId::parse(name.as_str()).map(|id| one(connection, id)).transpose()?.flatten();
    if let Some(order) = order {
        return Ok(Found::Order { order, refund });
    }
    let sql = "SELECT EXISTS (SELECT 1 FROM lost_history)";
    let history_lost = connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
    Ok(Found::Nothing { refund, history_lost })
}

/// Walks the numbers of refunds, or looks one up.
pub(super) fn page(
    connection: &Connection,
    question: &RefundsQuestion,
) -> Result<Vec<RefundView>, ReadError> {
    let RefundsQuestion { of, unmatched, after, limit } = question;
    let mut sql = "SELECT order_id, provider_txn_id, slot, number, amount_cents, reason, detail, created_at, reference, settled_at
        FROM refunds WHERE status = 'SETTLED'"
        .to_owned();
    let mut values: Vec<Value> = Vec::new();
    if let Some((order, txn)) = of {
        sql += " AND order_id = ? AND provider_txn_id = ?";
        values.extend([order.as_str().to_owned(), txn.as_str().to_owned()].map(Value::Text));
    }
    if *unmatched {
        sql += " AND reason = 'unmatched'";
    }
    if let Some(after) = after {
        sql += " AND (slot, number) > (?, ?)";
        values.extend([i64::from(after.slot.get()), after.number as i64].map(Value::Integer));
    }
    sql += " ORDER BY slot, number LIMIT ?";
    values.push(Value::Integer((*limit).min(REFUNDS_PAGE_MAX) as i64));
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut refunds = Vec::new();
    while let Some(row) = rows.next()? {
        refunds.push(view(row)?);
    }
    Ok(refunds)
}

fn view(row: &Row<'_>) -> Result<RefundView, ReadError> {
    let slot = row.get::<_, u16>(2)?;
    if slot >= SLOTS {
        return Err(ReadError::Row(format!("slot of refund {slot}")));
    }
    let reason = match row.get::<_, Option<String>>(6)?.as_deref() {
        Some("history_lost") => RefundReason::HistoryLost,
        _ => parsed(row, 5, refund_reason)?,
    };
    let settled = Settlement {
        reference: parsed(row, 8, |text| Reference::parse(text).ok())?,
        at: parsed(row, 9, parse_time)?,
    };
    Ok(RefundView {
        cursor: RefundCursor { slot: SlotId::new(slot), number: row.get::<_, i64>(3)? as u64 },
        order: parsed(row, 0, |text| OrderName::parse(text).ok())?,
        txn: parsed(row, 1, |text| TxnId::parse(text).ok())?,
        amount: row.get::<_, Option<i64>>(4)?.map(Cents),
        reason,
        status: RefundStatus::Settled,
        created_at: parsed(row, 7, parse_time)?,
        settled: Some(settled),
    })
}

pub(super) fn refund_reason(text: &str) -> Option<RefundReason> {
    use RefundReason::{AlreadyPaid, HoldExpired, InvalidState, Unmatched};
    let all = [AlreadyPaid, HoldExpired, InvalidState, Unmatched];
    all.into_iter().find(|reason| reason.wire_name() == text)
}
