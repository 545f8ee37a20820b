//! Changes of tables as statements. Values are written as docs/read-model.md says.

use std::fmt::Write;

use engine::ids::{OrderId, PartitionKey};
use engine::status::CancelReason;
use engine::text::Text;
use rusqlite::{CachedStatement, Connection, OptionalExtension, params};

use crate::rows::gathered::{Gathered, OfRefund, OrderChange};
use crate::rows::{EventRow, OrderRow, PaymentRow, RefundRow, RowSeq, TicketRow};
use crate::text::{time, write_list};

/// All rows and the cursor go.
pub(super) fn empty(connection: &Connection) -> rusqlite::Result<()> {
    for table in
        ["cursor", "lost_history", "order_rows", "refunds", "order_events", "run_events", "partitions_left"]
    {
        connection.execute(&format!("DELETE FROM {table}"), [])?;
    }
    Ok(())
}

/// So many orders and refunds are not here: they had left the engine before its state was copied, or have left this database.
pub(super) fn lose(connection: &Connection, left: u64) -> rusqlite::Result<()> {
    connection.execute(LOSE, [number(left)]).map(drop)
}

const FIND_ORDER: &str = "SELECT id, life, seq, partition_key IS NOT NULL, provider_txn_id IS NOT NULL,
        payment_id IS NOT NULL, ticket_id IS NOT NULL
    FROM order_rows WHERE order_id = ?1";

/// A new order in one statement. Of one that others only name, there is nothing but the id.
const ADD_ORDER: &str = "INSERT INTO order_rows (
        order_id, idempotency_key, status, amount_cents, created_at, updated_at, partition_key, train, travel_date, class,
        hold_id, qty, from_index, to_index, seats, expires_at, cancel_reason, provider_txn_id, payment_id, paid_at,
        ticket_id, ticketed_at, life, slot, seq)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25)";
const NAME_ORDER: &str = "INSERT INTO order_rows (order_id) VALUES (?1)";

// Changes of an order's row. A statement names no column that stands in an index unless it is set for the first time: SQLite writes
// the index again whenever one is named. What is created, reserved and paid never changes afterwards.
const CREATE: &str =
    "UPDATE order_rows SET idempotency_key = ?2, amount_cents = ?3, created_at = ?4, life = ?5, slot = ?6
    WHERE id = ?1";
const RESERVE: &str = "UPDATE order_rows SET partition_key = ?2, train = ?3, travel_date = ?4, class = ?5, hold_id = ?6, qty = ?7,
        from_index = ?8, to_index = ?9, expires_at = ?10
    WHERE id = ?1";
const CLAIM: &str = "UPDATE order_rows SET provider_txn_id = ?2 WHERE id = ?1";
const PAY: &str = "UPDATE order_rows SET payment_id = ?2, paid_at = ?3 WHERE id = ?1";
const ISSUE: &str = "UPDATE order_rows SET ticket_id = ?2, ticketed_at = ?3 WHERE id = ?1";
const CHANGE: &str = "UPDATE order_rows SET status = ?2, updated_at = ?3, seats = ?4, cancel_reason = ?5, seq = ?6 WHERE id = ?1";

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

/// Of a partition that nobody bought of there is nothing to keep.
const LEAVE_PARTITION: &str = "INSERT INTO partitions_left (run, class, at)
    SELECT ?1, ?2, ?3 WHERE EXISTS (SELECT 1 FROM run_events WHERE run = ?1)
    ON CONFLICT (run, class) DO UPDATE SET at = max(at, excluded.at)";

/// Writes changes in the caller's transaction.
pub(super) struct Writer<'c> {
    connection: &'c Connection,
    statements: Statements<'c>,
    room: Room,
}

struct Statements<'c> {
    find_order: CachedStatement<'c>,
    add_order: CachedStatement<'c>,
    name_order: CachedStatement<'c>,
    create: CachedStatement<'c>,
    reserve: CachedStatement<'c>,
    claim: CachedStatement<'c>,
    pay: CachedStatement<'c>,
    issue: CachedStatement<'c>,
    change: CachedStatement<'c>,
    put_refund: CachedStatement<'c>,
    leave: CachedStatement<'c>,
    leave_refund: CachedStatement<'c>,
    add_order_event: CachedStatement<'c>,
    add_run_event: CachedStatement<'c>,
    leave_partition: CachedStatement<'c>,
}

/// The row of an order, as far as a change depends on it.
#[derive(Clone, Copy)]
struct Known {
    row: i64,
    /// None before the order's own first record.
    life_and_seq: Option<(i64, i64)>,
    has_reservation: bool,
    has_txn: bool,
    has_payment: bool,
    has_ticket: bool,
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
            name_order: prepare(NAME_ORDER)?,
            create: prepare(CREATE)?,
            reserve: prepare(RESERVE)?,
            claim: prepare(CLAIM)?,
            pay: prepare(PAY)?,
            issue: prepare(ISSUE)?,
            change: prepare(CHANGE)?,
            put_refund: prepare(PUT_REFUND)?,
            leave: prepare(LEAVE)?,
            leave_refund: prepare(LEAVE_REFUND)?,
            add_order_event: prepare(ADD_ORDER_EVENT)?,
            add_run_event: prepare(ADD_RUN_EVENT)?,
            leave_partition: prepare(LEAVE_PARTITION)?,
        };
        Ok(Writer { connection, statements, room: Room::default() })
    }

    /// Events are written in the order of their tables: what comes one behind the other costs least.
    pub(super) fn write(&mut self, gathered: &mut Gathered<'_>) -> rusqlite::Result<()> {
        let Gathered { orders, left, refunds, partitions_left, order_events, run_events, .. } = gathered;
        let rows: Vec<i64> = orders.iter().map(|order| self.order(order)).collect::<Result<_, _>>()?;
        for (order, row) in left {
            let order = id_text(&mut self.room.id, *order);
            self.statements.leave.execute(params![order, number(row.seq.life), time(row.at)])?;
        }
        for change in refunds {
            self.refund(change)?;
        }
        order_events.sort_unstable_by_key(|(order, event)| (rows[*order], event.position));
        for (order, event) in order_events {
            self.order_event(rows[*order], event)?;
        }
        run_events.sort_unstable_by_key(|(partition, _, event)| (run(partition), event.position));
        for (partition, order, event) in run_events {
            self.run_event(partition, order.map(|order| rows[order]), event)?;
        }
        for (partition, at) in partitions_left {
            let class = parts(Some(partition)).2.unwrap_or_default();
            self.statements.leave_partition.execute(params![run(partition), class, number(at.0)])?;
        }
        Ok(())
    }

    /// Writes what has changed of an order. Gives the number of its row.
    fn order(&mut self, change: &OrderChange<'_>) -> rusqlite::Result<i64> {
        let id = id_text(&mut self.room.id, change.id);
        let found = self.statements.find_order.query_row([id], |row| {
            let life_and_seq = row.get::<_, Option<i64>>(1)?.zip(row.get::<_, Option<i64>>(2)?);
            Ok(Known {
                row: row.get(0)?,
                life_and_seq,
                has_reservation: row.get(3)?,
                has_txn: row.get(4)?,
                has_payment: row.get(5)?,
                has_ticket: row.get(6)?,
            })
        });
        match (found.optional()?, &change.row) {
            (Some(known), _) => {
                self.update_order(known, change)?;
                return Ok(known.row);
            }
            (None, Some(row)) => self.add_order(row, change)?,
            (None, None) => {
                self.statements.name_order.execute([id])?;
            }
        }
        Ok(self.connection.last_insert_rowid())
    }

    fn add_order(&mut self, row: &OrderRow<'_>, change: &OrderChange<'_>) -> rusqlite::Result<()> {
        let OrderRow { order, updated_at, seq } = row;
        let (payment, ticket) = (change.payment.as_ref(), change.ticket.as_ref());
        let reservation = order.reservation.as_ref();
        let (train, date, class) = parts(reservation.map(|r| &r.partition));
        self.statements.add_order.execute(params![
            id_text(&mut self.room.id, order.order),
            order.key.name().as_str(),
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
            payment.map(|payment| text(&payment.payment)),
            payment.map(|payment| time(payment.created_at)),
            ticket.map(|ticket| text(&ticket.ticket)),
            ticket.map(|ticket| time(ticket.created_at)),
            number(seq.life),
            seq.slot.get(),
            number(seq.seq),
        ])?;
        Ok(())
    }

    /// What is older than the row is left out, and so is what belongs to another life than the row.
    fn update_order(&mut self, known: Known, change: &OrderChange<'_>) -> rusqlite::Result<()> {
        let mut life = known.life_and_seq.map(|(life, _)| life);
        if let Some(row) = &change.row {
            let (own, seq) = (number(row.seq.life), number(row.seq.seq));
            if known.life_and_seq.is_none_or(|(life, known)| life == own && known < seq) {
                self.change_order(known, row)?;
                life = Some(own);
            }
        }
        let payment = change.payment.as_ref().filter(|payment| life == Some(number(payment.seq.life)));
        if let Some(PaymentRow { payment, created_at, .. }) = payment.filter(|_| !known.has_payment) {
            self.statements.pay.execute(params![known.row, text(payment), time(*created_at)])?;
        }
        let ticket = change.ticket.as_ref().filter(|ticket| life == Some(number(ticket.seq.life)));
        if let Some(TicketRow { ticket, created_at, .. }) = ticket.filter(|_| !known.has_ticket) {
            self.statements.issue.execute(params![known.row, text(ticket), time(*created_at)])?;
        }
        Ok(())
    }

    fn change_order(&mut self, known: Known, row: &OrderRow<'_>) -> rusqlite::Result<()> {
        let OrderRow { order, updated_at, seq } = row;
        let statements = &mut self.statements;
        if known.life_and_seq.is_none() {
            statements.create.execute(params![
                known.row,
                order.key.name().as_str(),
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

    fn refund(&mut self, change: &OfRefund<'_>) -> rusqlite::Result<()> {
        match change {
            OfRefund::Row(row) => self.put_refund(row),
            OfRefund::Left(refund, row) => {
                let RowSeq { life, slot, .. } = row.seq;
                let (refund, life) = (number(*refund), number(life));
                self.statements.leave_refund.execute(params![slot.get(), refund, life, time(row.at)])?;
                Ok(())
            }
        }
    }

    fn put_refund(&mut self, row: &RefundRow<'_>) -> rusqlite::Result<()> {
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

    fn order_event(&mut self, order_row: i64, row: &EventRow<'_>) -> rusqlite::Result<()> {
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

    fn run_event(
        &mut self,
        partition: &PartitionKey,
        order_row: Option<i64>,
        row: &EventRow<'_>,
    ) -> rusqlite::Result<()> {
        let hold = other_hold(&mut self.room.id, row);
        self.statements.add_run_event.execute(params![
            run(partition),
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

/// The run of a partition; all of a key that has another shape.
fn run(partition: &PartitionKey) -> &str {
    partition.run().unwrap_or(partition.as_str())
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
