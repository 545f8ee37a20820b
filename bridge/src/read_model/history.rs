//! Histories in pages.

use engine::ids::{HoldId, OrderId, PartitionKey, SlotId, Time};
use engine::limits::SLOTS;
use engine::read_model::{HistoryEvent, HistoryPage, HistoryPosition, HistoryQuestion, Subject};
use engine::text::Text;
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};

use super::limits::HISTORY_PAGE_MAX;
use super::orders::{maybe, parsed};
use super::read_error::ReadError;
use crate::text::parse_list;

pub(super) fn page(connection: &Connection, question: &HistoryQuestion) -> Result<HistoryPage, ReadError> {
    let limit = question.limit.clamp(1, HISTORY_PAGE_MAX);
    let (sql, values) = select(question, limit + 1);
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut events: Vec<HistoryEvent> = Vec::new();
    while let Some(row) = rows.next()? {
        if events.len() == limit {
            let next = events.last().map(|last| last.position);
            return Ok(HistoryPage { events, next });
        }
        events.push(event(row)?);
    }
    Ok(HistoryPage { events, next: None })
}

const ORDER_EVENTS: &str = "SELECT at, e.slot, e.seq, idx, kind, e.partition_key,
        CASE WHEN e.partition_key IS NOT NULL THEN coalesce(e.hold_id, o.order_id) END,
        o.order_id, e.qty, e.seats, e.from_index, e.to_index, reason, trace_id
    FROM order_rows o CROSS JOIN order_events e ON e.order_row = o.id
    WHERE o.order_id = ?1";

/// A key of another shape may look like a run; its events have no class.
const RUN_EVENTS: &str =
    "SELECT at, e.slot, e.seq, idx, kind, run || '|' || e.class, coalesce(e.hold_id, o.order_id),
        o.order_id, e.qty, e.seats, e.from_index, e.to_index, reason, trace_id
    FROM run_events e LEFT JOIN order_rows o ON o.id = e.order_row
    WHERE e.class IS NOT NULL AND run = ?1";

/// The statement of a page, and its values. It walks the table's own order.
pub(super) fn select(question: &HistoryQuestion, limit: usize) -> (String, Vec<Value>) {
    let (events, subject) = match &question.subject {
        Subject::Order(order) => (ORDER_EVENTS, order.to_string()),
        Subject::Run { train, date } => (RUN_EVENTS, format!("{}|{}", train.as_str(), date.as_str())),
    };
    let (comparison, after) = match question.after {
        Some(after) => (">", after),
        None => (">=", BEGINNING),
    };
    let sql = format!(
        "{events} AND (at, e.slot, e.seq, idx) {comparison} (?2, ?3, ?4, ?5) ORDER BY at, e.slot, e.seq, idx LIMIT ?6"
    );
    let values = vec![
        Value::Text(subject),
        Value::Integer(after.time.0 as i64),
        Value::Integer(i64::from(after.slot.get())),
        Value::Integer(after.seq as i64),
        Value::Integer(i64::from(after.index)),
        Value::Integer(limit as i64),
    ];
    (sql, values)
}

/// Before every event.
const BEGINNING: HistoryPosition = HistoryPosition { time: Time(0), slot: SlotId::new(0), seq: 0, index: 0 };

fn event(row: &Row<'_>) -> Result<HistoryEvent, ReadError> {
    let slot: u16 = row.get(1)?;
    if slot >= SLOTS {
        return Err(ReadError::Row(format!("slot {slot} of a history")));
    }
    Ok(HistoryEvent {
        position: HistoryPosition {
            time: Time(row.get::<_, i64>(0)? as u64),
            slot: SlotId::new(slot),
            seq: row.get::<_, i64>(2)? as u64,
            index: row.get(3)?,
        },
        kind: parsed(row, 4, text)?,
        partition: maybe(row, 5, |text| PartitionKey::parse(text).ok())?,
        hold: maybe(row, 6, |text| HoldId::parse(text).ok())?,
        order: maybe(row, 7, OrderId::parse)?,
        quantity: row.get(8)?,
        seats: maybe(row, 9, parse_list)?.unwrap_or_default(),
        from: row.get(10)?,
        to: row.get(11)?,
        reason: maybe(row, 12, text)?,
        trace: maybe(row, 13, text)?.unwrap_or_else(|| Text::from("")),
    })
}

fn text(text: &str) -> Option<Text> {
    Some(Text::from(text))
}
