//! Histories in pages.

use engine::ids::{HoldId, OrderId, PartitionKey, SlotId, Time};
use engine::limits::SLOTS;
use engine::read_model::{HistoryEvent, HistoryPage, HistoryPosition, HistoryQuestion, Subject};
use engine::text::Text;
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};

use super::limits::HISTORY_PAGE_MAX;
use super::orders::{maybe, parsed};
use super::reader::ReadError;
use crate::text::{parse_list, parse_time, time};

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

/// The statement of a page, and its values. It walks the table's own order.
pub(super) fn select(question: &HistoryQuestion, limit: usize) -> (String, Vec<Value>) {
    let after = question.after.unwrap_or(BEGINNING);
    let (from, subject) = match &question.subject {
        Subject::Order(order) => ("order_history WHERE order_id = ?", order.to_string()),
        // An ad hoc key may look like a run; its events have no train.
        Subject::Run { train, date } => {
            let run = format!("{}|{}", train.as_str(), date.as_str());
            ("run_history WHERE train IS NOT NULL AND run = ?", run)
        }
    };
    let is_later = match question.after {
        Some(_) => "(time, slot, seq, idx) > (?, ?, ?, ?)",
        None => "(time, slot, seq, idx) >= (?, ?, ?, ?)",
    };
    let order_id = match question.subject {
        Subject::Order(_) => "order_history.order_id",
        Subject::Run { .. } => "run_history.order_id",
    };
    let sql = format!(
        "SELECT time, slot, seq, idx, kind, partition_key, hold_id, {order_id}, qty, seats, from_index, to_index, reason, \
         trace_id FROM {from} AND {is_later} ORDER BY time, slot, seq, idx LIMIT ?"
    );
    let values = vec![
        Value::Text(subject),
        Value::Text(time(after.time)),
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
            time: parsed(row, 0, parse_time)?,
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
