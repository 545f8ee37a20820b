//! Changes of tables as statements. Values are written as docs/read-model.md says.

use engine::ids::{OrderId, PartitionKey};
use engine::status::CancelReason;
use engine::text::Text;
use rusqlite::{CachedStatement, Connection, params};

use crate::rows::{Change, EventRow, OrderRow, PaymentRow, RefundRow, RowSeq, TicketRow};
use crate::text::{joined, time, write_list};

/// All rows and the cursor go.
pub(super) fn empty(connection: &Connection) -> rusqlite::Result<()> {
    for table in ["cursor", "orders", "payments", "tickets", "refunds", "order_history", "run_history"] {
        connection.execute(&format!("DELETE FROM {table}"), [])?;
    }
    Ok(())
}

// A column that stands in an index is set only where it can have changed: SQLite writes the index whenever it is named.
const PUT_ORDER: &str = "INSERT INTO orders (
        order_id, idempotency_key, status, amount_cents, created_at, updated_at, partition_key, train, travel_date, class,
        hold_id, qty, from_index, to_index, seats, expires_at, cancel_reason, provider_txn_id, life, slot, seq)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21)
    ON CONFLICT (order_id) DO UPDATE SET
        status = excluded.status, updated_at = excluded.updated_at, partition_key = excluded.partition_key,
        train = excluded.train, travel_date = excluded.travel_date, class = excluded.class, hold_id = excluded.hold_id,
        qty = excluded.qty, from_index = excluded.from_index, to_index = excluded.to_index, seats = excluded.seats,
        expires_at = excluded.expires_at, cancel_reason = excluded.cancel_reason,
        provider_txn_id = excluded.provider_txn_id, seq = excluded.seq
    WHERE excluded.life = orders.life AND excluded.seq > orders.seq";

const PUT_PAYMENT: &str = "INSERT INTO payments
        (payment_id, order_id, provider_txn_id, status, created_at, updated_at, life, slot, seq)
    VALUES (?1, ?2, ?3, 'SUCCESS', ?4, ?4, ?5, ?6, ?7)
    ON CONFLICT DO NOTHING";

const PUT_TICKET: &str = "INSERT INTO tickets
        (ticket_id, order_id, passenger_name, seat_no, created_at, life, slot, seq)
    VALUES (?1, ?2, ?3, ?3, ?4, ?5, ?6, ?7)
    ON CONFLICT DO NOTHING";

const PUT_REFUND: &str = "INSERT INTO refunds (
        order_id, provider_txn_id, number, amount_cents, reason, status, reference, created_at, settled_at, life, slot, seq)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
    ON CONFLICT (order_id, provider_txn_id) DO UPDATE SET
        status = excluded.status, reference = excluded.reference, settled_at = excluded.settled_at, seq = excluded.seq
    WHERE excluded.life = refunds.life AND excluded.seq > refunds.seq";

const PUT_ORDER_EVENT: &str = "INSERT INTO order_history (
        order_id, time, slot, seq, idx, life, kind, partition_key, hold_id, qty, seats, from_index, to_index, reason, trace_id)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
    ON CONFLICT DO NOTHING";

const PUT_RUN_EVENT: &str = "INSERT INTO run_history (
        run, time, slot, seq, idx, life, train, travel_date, class, kind, partition_key, hold_id, order_id, qty, seats,
        from_index, to_index, reason, trace_id)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)
    ON CONFLICT DO NOTHING";

/// Prepared statements. The caller's transaction is open.
pub(super) struct Writer<'c> {
    put_order: CachedStatement<'c>,
    put_payment: CachedStatement<'c>,
    put_ticket: CachedStatement<'c>,
    put_refund: CachedStatement<'c>,
    put_order_event: CachedStatement<'c>,
    put_run_event: CachedStatement<'c>,
    /// Room for a list.
    list: String,
}

impl<'c> Writer<'c> {
    pub(super) fn new(connection: &'c Connection) -> rusqlite::Result<Writer<'c>> {
        Ok(Writer {
            put_order: connection.prepare_cached(PUT_ORDER)?,
            put_payment: connection.prepare_cached(PUT_PAYMENT)?,
            put_ticket: connection.prepare_cached(PUT_TICKET)?,
            put_refund: connection.prepare_cached(PUT_REFUND)?,
            put_order_event: connection.prepare_cached(PUT_ORDER_EVENT)?,
            put_run_event: connection.prepare_cached(PUT_RUN_EVENT)?,
            list: String::new(),
        })
    }

    pub(super) fn write(&mut self, change: &Change<'_>) -> rusqlite::Result<()> {
        match change {
            Change::Order(row) => self.order(row),
            Change::Payment(row) => self.payment(row),
            Change::Ticket(row) => self.ticket(row),
            Change::Refund(row) => self.refund(row),
            Change::OrderEvent(order, row) => self.order_event(*order, row),
            Change::RunEvent(partition, row) => self.run_event(partition, row),
        }
    }

    fn order(&mut self, row: &OrderRow<'_>) -> rusqlite::Result<()> {
        let OrderRow { order, updated_at, seq } = row;
        let reservation = order.reservation.as_ref();
        let (train, date, class) = parts(reservation.map(|r| &r.partition));
        let seats = reservation.map(|r| list(&mut self.list, &r.labels));
        self.put_order.execute(params![
            order.order.to_string(),
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
            seats,
            reservation.map(|r| time(r.deadline)),
            order.cancel_reason.map(CancelReason::wire_name),
            order.txn.as_ref().map(|txn| txn.as_str()),
            number(seq.life),
            seq.slot.get(),
            number(seq.seq),
        ])?;
        Ok(())
    }

    fn payment(&mut self, row: &PaymentRow<'_>) -> rusqlite::Result<()> {
        let PaymentRow { payment, order, txn, created_at, seq: RowSeq { life, slot, seq } } = row;
        self.put_payment.execute(params![
            text(payment),
            order.to_string(),
            txn.as_str(),
            time(*created_at),
            number(*life),
            slot.get(),
            number(*seq),
        ])?;
        Ok(())
    }

    fn ticket(&mut self, row: &TicketRow<'_>) -> rusqlite::Result<()> {
        let TicketRow { ticket, order, seats, created_at, seq: RowSeq { life, slot, seq } } = row;
        self.put_ticket.execute(params![
            text(ticket),
            order.to_string(),
            joined(seats),
            time(*created_at),
            number(*life),
            slot.get(),
            number(*seq),
        ])?;
        Ok(())
    }

    fn refund(&mut self, row: &RefundRow<'_>) -> rusqlite::Result<()> {
        let RefundRow { refund, seq: RowSeq { life, slot, seq } } = row;
        let settled = refund.settled.as_ref();
        self.put_refund.execute(params![
            refund.order.as_str(),
            refund.txn.as_str(),
            number(refund.number),
            refund.amount.map(|amount| amount.0),
            refund.reason.wire_name(),
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
        let seats = event_seats(&mut self.list, row);
        self.put_order_event.execute(params![
            order.to_string(),
            time(row.position.time),
            row.position.slot.get(),
            number(row.position.seq),
            row.position.index,
            number(row.life),
            row.kind,
            row.partition.map(PartitionKey::as_str),
            row.hold.map(|hold| hold.as_str()),
            row.quantity,
            seats,
            row.from,
            row.to,
            row.reason,
            trace(row),
        ])?;
        Ok(())
    }

    fn run_event(&mut self, partition: &PartitionKey, row: &EventRow<'_>) -> rusqlite::Result<()> {
        let (train, date, class) = parts(Some(partition));
        let seats = event_seats(&mut self.list, row);
        self.put_run_event.execute(params![
            partition.run().unwrap_or(partition.as_str()),
            time(row.position.time),
            row.position.slot.get(),
            number(row.position.seq),
            row.position.index,
            number(row.life),
            train,
            date,
            class,
            row.kind,
            partition.as_str(),
            row.hold.map(|hold| hold.as_str()),
            row.order.map(|order| order.to_string()),
            row.quantity,
            seats,
            row.from,
            row.to,
            row.reason,
            trace(row),
        ])?;
        Ok(())
    }
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
