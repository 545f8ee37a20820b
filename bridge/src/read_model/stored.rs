//! Everything that the read model has, a page after the other, for sinks that are filled anew.

use std::path::Path;

use engine::answer::OrderView;
use engine::ids::{Cents, OrderName, Reference, SlotId, Time, TxnId};
use engine::limits::SLOTS;
use engine::status::{RefundReason, Settlement};
use rusqlite::{Connection, Row, params};

use super::open::reader;
use super::orders::{COLUMNS, maybe, parsed, view};
use super::read_error::ReadError;
use super::refunds::refund_reason;
use crate::rows::RowSeq;
use crate::sink::{SinkError, Trouble};
use crate::text::parse_time;

/// An order with its payment and its ticket.
#[derive(Clone, PartialEq, Debug)]
pub struct StoredOrder {
    /// Its place in the read model.
    pub row: i64,
    pub order: OrderView,
    pub seq: RowSeq,
    /// Its id, and when it was paid.
    pub payment: Option<(String, Time)>,
    pub ticket: Option<(String, Time)>,
}

/// A refund, owed or settled.
#[derive(Clone, PartialEq, Debug)]
pub struct StoredRefund {
    pub order: OrderName,
    pub txn: TxnId,
    pub amount: Option<Cents>,
    pub reason: RefundReason,
    pub created_at: Time,
    pub settled: Option<Settlement>,
    pub seq: RowSeq,
}

/// A life that a restore began.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Restored {
    pub life: u64,
    /// The moment of the backup, RFC 3339.
    pub state_of: String,
}

/// A read model that is open for reading.
#[derive(Debug)]
pub struct Stored(Connection);

impl Stored {
    /// # Errors
    /// It cannot be opened, or is not whole yet.
    pub fn open(path: &Path) -> Result<Stored, SinkError> {
        let connection = reader(path).map_err(|error| unreadable(&error.into()))?;
        let whole = "SELECT EXISTS (SELECT 1 FROM cursor)";
        match connection.query_row(whole, [], |row| row.get(0)) {
            Ok(true) => Ok(Stored(connection)),
            Ok(false) => Err(unreadable(&ReadError::NotWhole)),
            Err(error) => Err(unreadable(&error.into())),
        }
    }

    /// The next orders behind the place `row`, which begins at 0.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn orders(&self, row: i64, limit: usize) -> Result<Vec<StoredOrder>, SinkError> {
        let sql = format!(
            "SELECT {COLUMNS}, id, life, slot, seq, payment_id, paid_at, ticket_id, ticketed_at
            FROM order_rows WHERE id > ?1 AND created_at IS NOT NULL ORDER BY id LIMIT ?2"
        );
        self.page(&sql, params![row, limit as i64], order)
    }

    /// The next refunds behind that of this order and transaction, which begin empty.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn refunds(&self, order: &str, txn: &str, limit: usize) -> Result<Vec<StoredRefund>, SinkError> {
        let sql = "SELECT order_id, provider_txn_id, amount_cents, reason, detail, created_at, reference, settled_at, life, slot, seq
            FROM refunds WHERE (order_id, provider_txn_id) > (?1, ?2) ORDER BY order_id, provider_txn_id LIMIT ?3";
        self.page(sql, params![order, txn, limit as i64], refund)
    }

    fn page<T>(
        &self,
        sql: &str,
        values: impl rusqlite::Params,
        read: fn(&Row<'_>) -> Result<T, ReadError>,
    ) -> Result<Vec<T>, SinkError> {
        let read_all = || -> Result<Vec<T>, ReadError> {
            let mut statement = self.0.prepare_cached(sql)?;
            let mut rows = statement.query(values)?;
            let mut page = Vec::new();
            while let Some(row) = rows.next()? {
                page.push(read(row)?);
            }
            Ok(page)
        };
        read_all().map_err(|error| unreadable(&error))
    }
}

/// The restores of backups, one after another, that led to this life; none where no restore began it. A read model that is not whole yet, or not
/// there, was not restored.
///
/// # Errors
/// It cannot be read.
pub fn restores(path: &Path, life: u64) -> Result<Vec<Restored>, SinkError> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let stored = Stored(reader(path).map_err(|error| unreadable(&error.into()))?);
    let is_there = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'lives')";
    if !stored.0.query_row(is_there, [], |row| row.get(0)).map_err(|error| unreadable(&error.into()))? {
        return Ok(Vec::new());
    }
    let restored = |row: &Row<'_>| -> Result<Restored, ReadError> {
        Ok(Restored { life: row.get::<_, i64>(0)? as u64, state_of: row.get(1)? })
    };
    let restores = stored.page("SELECT life, state_of FROM lives ORDER BY state_of", [], restored)?;
    Ok(if restores.iter().any(|restored| restored.life == life) { restores } else { Vec::new() })
}

fn unreadable(error: &ReadError) -> SinkError {
    SinkError::new(Trouble::Source, error.to_string())
}

/// Columns that stand before those of a stored order.
const VIEW_COLUMNS: usize = 16;

fn order(row: &Row<'_>) -> Result<StoredOrder, ReadError> {
    let once = |id: usize, at: usize| -> Result<Option<(String, Time)>, ReadError> {
        let id: Option<String> = row.get(id)?;
        Ok(id.zip(maybe(row, at, parse_time)?))
    };
    const V: usize = VIEW_COLUMNS;
    Ok(StoredOrder {
        row: row.get(V)?,
        order: view(row)?,
        seq: row_seq(row, V + 1)?,
        payment: once(V + 4, V + 5)?,
        ticket: once(V + 6, V + 7)?,
    })
}

fn refund(row: &Row<'_>) -> Result<StoredRefund, ReadError> {
    let reason = match row.get::<_, Option<String>>(4)?.as_deref() {
        Some("history_lost") => RefundReason::HistoryLost,
        _ => parsed(row, 3, refund_reason)?,
    };
    let reference = maybe(row, 6, |text| Reference::parse(text).ok())?;
    let settled = reference.zip(maybe(row, 7, parse_time)?);
    Ok(StoredRefund {
        order: parsed(row, 0, |text| OrderName::parse(text).ok())?,
        txn: parsed(row, 1, |text| TxnId::parse(text).ok())?,
        amount: row.get::<_, Option<i64>>(2)?.map(Cents),
        reason,
        created_at: parsed(row, 5, parse_time)?,
        settled: settled.map(|(reference, at)| Settlement { reference, at }),
        seq: row_seq(row, 8)?,
    })
}

/// Life, slot and sequence, from this column on.
fn row_seq(row: &Row<'_>, column: usize) -> Result<RowSeq, ReadError> {
    let slot = row.get::<_, u16>(column + 1)?;
    if slot >= SLOTS {
        return Err(ReadError::Row(format!("slot {slot}")));
    }
    Ok(RowSeq {
        life: row.get::<_, i64>(column)? as u64,
        slot: SlotId::new(slot),
        seq: row.get::<_, i64>(column + 2)? as u64,
    })
}
