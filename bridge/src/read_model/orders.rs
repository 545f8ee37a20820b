//! Orders by id and in pages.

use engine::answer::{OrderView, ReservationView};
use engine::ids::{Cents, HoldId, IdempotencyKey, OrderId, PartitionKey, TxnId};
use engine::read_model::{OrderPosition, OrdersPage, OrdersQuestion};
use engine::status::{CancelReason, OrderStatus, RefundStatus};
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};

use super::limits::ORDERS_PAGE_MAX;
use super::read_error::ReadError;
use crate::text::{parse_list, parse_time, time};

/// The columns of a view. Refunds are few, and looked up by the start of their key: 2 where one is owed, 1 where all are settled.
pub(super) const COLUMNS: &str =
    "order_id, idempotency_key, status, amount_cents, created_at, updated_at, partition_key, hold_id, qty,
    from_index, to_index, seats, expires_at, cancel_reason, provider_txn_id,
    (SELECT max(CASE refunds.status WHEN 'REQUIRED' THEN 2 ELSE 1 END) FROM refunds
        WHERE refunds.order_id = order_rows.order_id)";

pub(super) fn one(connection: &Connection, order: OrderId) -> Result<Option<OrderView>, ReadError> {
    let sql = format!("SELECT {COLUMNS} FROM order_rows WHERE order_id = ?1 AND created_at IS NOT NULL");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([order.to_string()])?;
    rows.next()?.map(view).transpose()
}

pub(super) fn page(connection: &Connection, question: &OrdersQuestion) -> Result<OrdersPage, ReadError> {
    let limit = question.limit.clamp(1, ORDERS_PAGE_MAX);
    let (sql, values) = select(question, limit + 1);
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut orders = Vec::new();
    while let Some(row) = rows.next()? {
        if orders.len() == limit {
            let next = orders
                .last()
                .map(|last: &OrderView| OrderPosition { created_at: last.created_at, order: last.order });
            return Ok(OrdersPage { orders, next });
        }
        orders.push(view(row)?);
    }
    Ok(OrdersPage { orders, next: None })
}

/// The statement of a page, and its values. It walks one index in the order of the listing: nothing is sorted.
pub(super) fn select(question: &OrdersQuestion, limit: usize) -> (String, Vec<Value>) {
    let OrdersQuestion { status, train, date, class, key, txn, since, until, after, limit: _ } = question;
    let index = match (key, txn, train, date) {
        (Some(_), ..) => "orders_by_key",
        (_, Some(_), ..) => "orders_by_txn",
        (_, _, Some(_), Some(_)) => "orders_by_run",
        _ => "orders_by_creation",
    };
    let mut filters = Filters::default();
    let filter_texts = [
        ("idempotency_key", key.as_ref().map(|key| key.as_str())),
        ("provider_txn_id", txn.as_ref().map(|txn| txn.as_str())),
        ("train", train.as_ref().map(|train| train.as_str())),
        ("travel_date", date.as_ref().map(|date| date.as_str())),
        ("class", class.as_ref().map(|class| class.as_str())),
        ("status", status.map(OrderStatus::wire_name)),
    ];
    for (column, text) in filter_texts {
        if let Some(text) = text {
            filters.add(&format!("{column} = ?"), [text.to_owned()]);
        }
    }
    // An index is entered at one place: the later of the two.
    match (after, since) {
        (Some(after), since) if since.is_none_or(|since| since <= after.created_at) => {
            filters.add("(created_at, order_id) > (?, ?)", [time(after.created_at), after.order.to_string()]);
        }
        (_, Some(since)) => filters.add("created_at >= ?", [time(*since)]),
        _ => {}
    }
    if let Some(until) = until {
        filters.add("created_at < ?", [time(*until)]);
    }
    if index == "orders_by_creation" && (since, until, after) == (&None, &None, &None) {
        // An order that only its hold has named so far has no creation yet.
        filters.add("created_at IS NOT NULL", []);
    }
    let Filters { sql, mut values } = filters;
    values.push(Value::Integer(limit as i64));
    let sql = format!(
        "SELECT {COLUMNS} FROM order_rows INDEXED BY {index} WHERE {sql} ORDER BY created_at, order_id LIMIT ?"
    );
    (sql, values)
}

#[derive(Default)]
struct Filters {
    sql: String,
    values: Vec<Value>,
}

impl Filters {
    fn add<const N: usize>(&mut self, condition: &str, values: [String; N]) {
        if !self.sql.is_empty() {
            self.sql.push_str(" AND ");
        }
        self.sql.push_str(condition);
        self.values.extend(values.map(Value::Text));
    }
}

/// A column as the program has it; what it cannot be is an error that names it.
pub(super) fn parsed<T>(
    row: &Row<'_>,
    column: usize,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<T, ReadError> {
    maybe(row, column, parse)?.ok_or_else(|| senseless(row, column))
}

pub(super) fn maybe<T>(
    row: &Row<'_>,
    column: usize,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>, ReadError> {
    let text = row.get_ref(column)?.as_str_or_null().map_err(|_| senseless(row, column))?;
    text.map(|text| parse(text).ok_or_else(|| senseless(row, column))).transpose()
}

fn senseless(row: &Row<'_>, column: usize) -> ReadError {
    let name = row.as_ref().column_name(column).unwrap_or("?").to_owned();
    let of = row.get::<_, String>(0).unwrap_or_default();
    ReadError::Row(format!("{name} of {of}"))
}

pub(super) fn view(row: &Row<'_>) -> Result<OrderView, ReadError> {
    let reservation = maybe(row, 6, |text| PartitionKey::parse(text).ok())?
        .map(|partition| reservation(row, partition))
        .transpose()?;
    Ok(OrderView {
        order: parsed(row, 0, OrderId::parse)?,
        key: parsed(row, 1, |text| IdempotencyKey::parse(text).ok())?,
        status: parsed(row, 2, status)?,
        amount: Cents(row.get(3)?),
        created_at: parsed(row, 4, parse_time)?,
        updated_at: parsed(row, 5, parse_time)?,
        reservation,
        cancel_reason: maybe(row, 13, cancel_reason)?,
        txn: maybe(row, 14, |text| TxnId::parse(text).ok())?,
        refund: row.get::<_, Option<i64>>(15)?.map(|state| match state {
            1 => RefundStatus::Settled,
            _ => RefundStatus::Required,
        }),
    })
}

fn reservation(row: &Row<'_>, partition: PartitionKey) -> Result<ReservationView, ReadError> {
    Ok(ReservationView {
        partition,
        hold: parsed(row, 7, |text| HoldId::parse(text).ok())?,
        quantity: row.get(8)?,
        from: row.get(9)?,
        to: row.get(10)?,
        seats: parsed(row, 11, parse_list)?,
        expires_at: parsed(row, 12, parse_time)?,
    })
}

fn status(text: &str) -> Option<OrderStatus> {
    use OrderStatus::{Cancelled, Init, Paid, Reserved, Ticketed};
    [Init, Reserved, Paid, Ticketed, Cancelled].into_iter().find(|status| status.wire_name() == text)
}

fn cancel_reason(text: &str) -> Option<CancelReason> {
    use CancelReason::{Abandoned, HoldExpired, Requested};
    [Requested, HoldExpired, Abandoned].into_iter().find(|reason| reason.wire_name() == text)
}
