//! Changes of tables as statements. Values are written as docs/read-model.md says.

use std::collections::HashMap;
use std::fmt::Write;

use engine::ids::{OrderId, PartitionKey};
use engine::status::CancelReason;
use engine::text::Text;
use rusqlite::{CachedStatement, Connection, OptionalExtension, params};

use crate::rows::{Change, EventRow, OrderRow, RefundRow, RowSeq};
use crate::text::{time, write_list};

/// All rows and the cursor go.
pub(super) fn empty(connection: &Connection) -> rusqlite::Result<()> {
    for table in ["cursor", "lost_history", "order_rows", "refunds", "order_events", "run_events"] {
        connection.execute(&format!("DELETE FROM {table}"), [])?;
    }
    Ok(())
}

/// So many orders and refunds are not here: they had left the engine before its state was copied, or have left this database.
pub(super) fn lose(connection: &Connection, left: u64) -> rusqlite::Result<()> {
    connection.execute(LOSE, [number(left)]).map(drop)
}

const FIND_ORDER: &str = "SELECT id, life, seq, partition_key IS NOT NULL, provider_txn_id IS NOT NULL
    FROM order_rows WHERE order_id = ?1";

const ADD_ORDER: &str = "INSERT INTO order_rows (order_id) VALUES (?1)";

// Changes of an order's row. A statement names no column that stands in an index unless it is set for the first time: SQLite writes
// the index again whenever one is named. What is created, reserved and paid never changes afterwards.
const CREATE: &str =
    "UPDATE order_rows SET idempotency_key = ?2, amount_cents = ?3, created_at = ?4, life = ?5, slot = ?6
    WHERE id = ?1";
const RESERVE: &str = "UPDATE order_rows SET partition_key = ?2, train = ?3, travel_date = ?4, class = ?5, hold_id = ?6, qty = ?7,
        from_index = ?8, to_index = ?9, expires_at = ?10
    WHERE id = ?1";
const CLAIM: &str = "UPDATE order_rows SET provider_txn_id = ?2 WHERE id = ?1";
const CHANGE: &str = "UPDATE order_rows SET status = ?2, updated_at = ?3, seats = ?4, cancel_reason = ?5, seq = ?6 WHERE id = ?1";

/// A new order in one statement.
const INSERT_ORDER: &str = "INSERT INTO order_rows (
        order_id, idempotency_key, status, amount_cents, created_at, updated_at, partition_key, train, travel_date, class,
        hold_id, qty, from_index, to_index, seats, expires_at, cancel_reason, provider_txn_id, life, slot, seq)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21)";

const PAY: &str =
    "UPDATE order_rows SET payment_id = ?3, paid_at = ?4 WHERE id = ?1 AND life = ?2 AND payment_id IS NULL";
const ISSUE: &str = "UPDATE order_rows SET ticket_id = ?3, ticketed_at = ?4 WHERE id = ?1 AND life = ?2 AND ticket_id IS NULL";

const LEAVE: &str = "UPDATE order_rows SET left_at = ?3 WHERE order_id = ?1 AND life = ?2";
const LEAVE_REFUND: &str = "UPDATE refunds SET left_at = ?4 WHERE slot = ?1 AND number = ?2 AND life = ?3";
const LOSE: &str = "INSERT INTO lost_history (one, orders_and_refunds) VALUES (1, ?1)
    ON CONFLICT (one) DO UPDATE SET orders_and_refunds = orders_and_refunds + excluded.orders_and_refunds";

const PUT_REFUND: &str = "INSERT INTO refunds (
        order_id, provider_txn_id, number, amount_cents, reason, detail, status, reference, created_at, settled_at, life, slot, seq)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
    ON CONFLICT (order_id, provider_txn_id) DO UPDATE SET
        status = excluded.status, reference = excluded.reference, settled_at = excluded.settled_at, seq = excluded.seq
    WHERE excluded.life = refunds.life AND excluded.seq > refunds.seq";

const ADD_ORDER_EVENT: &str = "INSERT INTO order_events (
        order_row, at, slot, seq, idx, life, kind, partition_key, hold_id, qty, seats, from_index, to_index, reason, trace_id)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
    ON CONFLICT DO NOTHING";

const ADD_RUN_EVENT: &str = "INSERT INTO run_events (
        run, at, slot, seq, idx, life, class, kind, hold_id, order_row, qty, seats, from_index, to_index, reason, trace_id)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)
    ON CONFLICT DO NOTHING";

/// Writes changes in the caller's transaction.
pub(super) struct Writer<'c> {
    connection: &'c Connection,
    statements: Statements<'c>,
    /// Rows of orders that were found or added in this transaction.
    known: HashMap<OrderId, Known>,
    room: Room,
}

struct Statements<'c> {
    find_order: CachedStatement<'c>,
    add_order: CachedStatement<'c>,
    insert_order: CachedStatement<'c>,
    create: CachedStatement<'c>,
    reserve: CachedStatement<'c>,
    claim: CachedStatement<'c>,
    change: CachedStatement<'c>,
    pay: CachedStatement<'c>,
    issue: CachedStatement<'c>,
    put_refund: CachedStatement<'c>,
    leave: CachedStatement<'c>,
    leave_refund: CachedStatement<'c>,
    add_order_event: CachedStatement<'c>,
    add_run_event: CachedStatement<'c>,
}

/// The row of an order, as far as a change depends on it.
#[derive(Clone, Copy)]
struct Known {
    row: i64,
    /// None before the order's own first record.
    life_and_seq: Option<(i64, i64)>,
    has_reservation: bool,
    has_txn: bool,
}

/// Room for texts, taken once.
#[derive(Default)]
struct Room {
    list: String,
    id: String,
}

impl<'c> Writer<'c> {
    pub(super) fn new(connection: &'c Connection) -> rusqlite::Result<Writer<'c>> {
        let prepare = |sql| connection.prepare_cached(sql);
        let statements = Statements {
            find_order: prepare(FIND_ORDER)?,
            add_order: prepare(ADD_ORDER)?,
            insert_order: prepare(INSERT_ORDER)?,
            create: prepare(CREATE)?,
            reserve: prepare(RESERVE)?,
            claim: prepare(CLAIM)?,
            change: prepare(CHANGE)?,
            pay: prepare(PAY)?,
            issue: prepare(ISSUE)?,
            put_refund: prepare(PUT_REFUND)?,
            leave: prepare(LEAVE)?,
            leave_refund: prepare(LEAVE_REFUND)?,
            add_order_event: prepare(ADD_ORDER_EVENT)?,
            add_run_event: prepare(ADD_RUN_EVENT)?,
        };
        Ok(Writer { connection, statements, known: HashMap::new(), room: Room::default() })
    }

    pub(super) fn write(&mut self, change: &Change<'_>) -> rusqlite::Result<()> {
        match change {
            Change::Order(row) => self.order(row),
            Change::Payment(row) => {
                let id = self.find_or_add(row.order)?;
                let payment = text(&row.payment);
                self.statements.pay.execute(params![
                    id,
                    number(row.seq.life),
                    payment,
                    time(row.created_at)
                ])?;
                Ok(())
            }
            Change::Ticket(row) => {
                let id = self.find_or_add(row.order)?;
                let ticket = text(&row.ticket);
                self.statements.issue.execute(params![
                    id,
                    number(row.seq.life),
                    ticket,
                    time(row.created_at)
                ])?;
                Ok(())
            }
            Change::Refund(row) => self.refund(row),
            Change::OrderLeft(order, row) => {
                let order = id_text(&mut self.room.id, *order);
                self.statements.leave.execute(params![order, number(row.seq.life), time(row.at)])?;
                Ok(())
            }
            Change::RefundLeft(refund, row) => {
                let RowSeq { life, slot, .. } = row.seq;
                let (refund, life) = (number(*refund), number(life));
                self.statements.leave_refund.execute(params![slot.get(), refund, life, time(row.at)])?;
                Ok(())
            }
            Change::OrderEvent(order, row) => self.order_event(*order, row),
            Change::RunEvent(partition, row) => self.run_event(partition, row),
        }
    }

    fn find(&mut self, order: OrderId) -> rusqlite::Result<Option<Known>> {
        if let Some(known) = self.known.get(&order) {
            return Ok(Some(*known));
        }
        let id = id_text(&mut self.room.id, order);
        let found = self.statements.find_order.query_row([id], |row| {
            let life_and_seq = row.get::<_, Option<i64>>(1)?.zip(row.get::<_, Option<i64>>(2)?);
            Ok(Known { row: row.get(0)?, life_and_seq, has_reservation: row.get(3)?, has_txn: row.get(4)? })
        });
        let found = found.optional()?;
        self.known.extend(found.map(|known| (order, known)));
        Ok(found)
    }

    /// The row of an order, of which nothing but the id may be there.
    fn find_or_add(&mut self, order: OrderId) -> rusqlite::Result<i64> {
        if let Some(known) = self.find(order)? {
            return Ok(known.row);
        }
        self.statements.add_order.execute([id_text(&mut self.room.id, order)])?;
        let row = self.connection.last_insert_rowid();
        self.known.insert(order, Known { row, life_and_seq: None, has_reservation: false, has_txn: false });
        Ok(row)
    }

    fn order(&mut self, row: &OrderRow<'_>) -> rusqlite::Result<()> {
        let found = self.find(row.order.order)?;
        let (life, seq) = (number(row.seq.life), number(row.seq.seq));
        let is_newer = |known: Known| known.life_and_seq.is_none_or(|(l, s)| l == life && s < seq);
        let id = match found {
            None => self.insert_order(row)?,
            Some(known) if is_newer(known) => {
                self.update_order(known, row)?;
                known.row
            }
            Some(_) => return Ok(()),
        };
        let known = Known {
            row: id,
            life_and_seq: Some((life, seq)),
            has_reservation: row.order.reservation.is_some(),
            has_txn: row.order.txn.is_some(),
        };
        self.known.insert(row.order.order, known);
        Ok(())
    }

    fn insert_order(&mut self, row: &OrderRow<'_>) -> rusqlite::Result<i64> {
        let OrderRow { order, updated_at, seq } = row;
        let reservation = order.reservation.as_ref();
        let (train, date, class) = parts(reservation.map(|r| &r.partition));
        self.statements.insert_order.execute(params![
            id_text(&mut self.room.id, order.order),
            order.key.as_str(),
            order.status.wire_name(),
            order.amount.0,
            time(order.created_at),
            time(*updated_at),
            reservation.map(|r| r.partition.as_str()),
            train,
            date,
            class,
            reservation.map(|r| r.hold.as_str()),
            reservation.map(|r| r.quantity),
            reservation.map(|r| r.from),
            reservation.map(|r| r.to),
            reservation.map(|r| list(&mut self.room.list, &r.labels)),
            reservation.map(|r| time(r.deadline)),
            order.cancel_reason.map(CancelReason::wire_name),
            order.txn.as_ref().map(|txn| txn.as_str()),
            number(seq.life),
            seq.slot.get(),
            number(seq.seq),
        ])?;
        Ok(self.connection.last_insert_rowid())
    }

    fn update_order(&mut self, known: Known, row: &OrderRow<'_>) -> rusqlite::Result<()> {
        let OrderRow { order, updated_at, seq } = row;
        let statements = &mut self.statements;
        if known.life_and_seq.is_none() {
            statements.create.execute(params![
                known.row,
                order.key.as_str(),
                order.amount.0,
                time(order.created_at),
                number(seq.life),
                seq.slot.get(),
            ])?;
        }
        if let Some(r) = order.reservation.as_ref().filter(|_| !known.has_reservation) {
            let (train, date, class) = parts(Some(&r.partition));
            statements.reserve.execute(params![
                known.row,
                r.partition.as_str(),
                train,
                date,
                class,
                r.hold.as_str(),
                r.quantity,
                r.from,
                r.to,
                time(r.deadline),
            ])?;
        }
        if let Some(txn) = order.txn.as_ref().filter(|_| !known.has_txn) {
            statements.claim.execute(params![known.row, txn.as_str()])?;
        }
        let labels = order.reservation.as_ref().map(|r| &r.labels);
        statements.change.execute(params![
            known.row,
            order.status.wire_name(),
            time(*updated_at),
            labels.map(|labels| list(&mut self.room.list, labels)),
            order.cancel_reason.map(CancelReason::wire_name),
            number(seq.seq),
        ])?;
        Ok(())
    }

    fn refund(&mut self, row: &RefundRow<'_>) -> rusqlite::Result<()> {
        let RefundRow { refund, seq: RowSeq { life, slot, seq } } = row;
        let settled = refund.settled.as_ref();
        self.statements.put_refund.execute(params![
            refund.order.as_str(),
            refund.txn.as_str(),
            number(refund.number),
            refund.amount.map(|amount| amount.0),
            refund.reason.wire_name(),
            Some(refund.reason.detail()).filter(|detail| !detail.is_empty()),
            if settled.is_some() { "SETTLED" } else { "REQUIRED" },
            settled.map(|settled| settled.reference.as_str()),
            time(refund.created_at),
            settled.map(|settled| time(settled.at)),
            number(*life),
            slot.get(),
            number(*seq),
        ])?;
        Ok(())
    }

    fn order_event(&mut self, order: OrderId, row: &EventRow<'_>) -> rusqlite::Result<()> {
        let order_row = self.find_or_add(order)?;
        let hold = other_hold(&mut self.room.id, row);
        self.statements.add_order_event.execute(params![
            order_row,
            number(row.position.time.0),
            row.position.slot.get(),
            number(row.position.seq),
            row.position.index,
            number(row.life),
            row.kind,
            row.partition.map(PartitionKey::as_str),
            hold,
            row.quantity,
            event_seats(&mut self.room.list, row),
            row.from,
            row.to,
            row.reason,
            trace(row),
        ])?;
        Ok(())
    }

    fn run_event(&mut self, partition: &PartitionKey, row: &EventRow<'_>) -> rusqlite::Result<()> {
        let order_row = row.order.map(|order| self.find_or_add(order)).transpose()?;
        let hold = other_hold(&mut self.room.id, row);
        self.statements.add_run_event.execute(params![
            partition.run().unwrap_or(partition.as_str()),
            number(row.position.time.0),
            row.position.slot.get(),
            number(row.position.seq),
            row.position.index,
            number(row.life),
            partition.parts().map(|(_, _, class)| class),
            row.kind,
            hold,
            order_row,
            row.quantity,
            event_seats(&mut self.room.list, row),
            row.from,
            row.to,
            row.reason,
            trace(row),
        ])?;
        Ok(())
    }
}

/// The hold of an event, unless it is named after its order.
fn other_hold<'a>(room: &mut String, row: &EventRow<'a>) -> Option<&'a str> {
    let hold = row.hold?.as_str();
    let is_own = row.order.is_some_and(|order| id_text(room, order) == hold);
    (!is_own).then_some(hold)
}

fn id_text(room: &mut String, order: OrderId) -> &str {
    room.clear();
    write!(room, "{order}").expect("text is written to memory");
    room
}

/// Train, date and class of a run's key; nothing for an ad hoc one.
fn parts(partition: Option<&PartitionKey>) -> (Option<&str>, Option<&str>, Option<&str>) {
    let parts = partition.and_then(PartitionKey::parts);
    (parts.map(|p| p.0), parts.map(|p| p.1), parts.map(|p| p.2))
}

/// The texts in `room`, as JSON.
fn list<'r>(room: &'r mut String, texts: &[Text]) -> &'r str {
    room.clear();
    write_list(room, texts);
    room
}

fn event_seats<'r>(room: &'r mut String, row: &EventRow<'_>) -> Option<&'r str> {
    (!row.seats.is_empty()).then(|| list(room, row.seats))
}

fn trace<'a>(row: &'a EventRow<'_>) -> Option<&'a str> {
    Some(row.trace.as_str()).filter(|trace| !trace.is_empty())
}

fn text(id: &uuid::Uuid) -> String {
    id.hyphenated().to_string()
}

/// SQLite's integers are signed; the bits are what counts.
const fn number(value: u64) -> i64 {
    value as i64
}
