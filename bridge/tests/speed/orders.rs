//! Whole orders as records, in four steps each.

use bridge::sink::Batch;
use engine::ids::{Cents, OrderId, OrderKey, SlotId, Time};
use engine::record::{Body, HoldRow, OrderRow, Record, Reservation, TellId};
use engine::status::{HoldStatus, OrderStatus};
use engine::text::Text;
use testkit::names::{key, partition, txn};
use wal::Lsn;
use wal::follow::Cursor;

/// Orders whose next step is in one batch: what a runner takes when it catches up.
pub(crate) const ORDERS_PER_BATCH: u64 = 1_000;
/// Orders that others overtake between two steps of theirs: all steps are in one batch, or each in a batch of its own.
pub(crate) const LAGS: [u64; 2] = [0, ORDERS_PER_BATCH];
pub(crate) const DIRECTORY: [u8; 16] = [1; 16];

pub(crate) fn cursor(lsn: u64) -> Cursor {
    Cursor { directory: DIRECTORY, life: 1, epoch: 1, cores: vec![Lsn(lsn)] }
}

/// The batches of so many orders.
pub(crate) fn batches(orders: u64, lag: u64) -> impl Iterator<Item = Batch> {
    (0..orders + 3 * lag).step_by(ORDERS_PER_BATCH as usize).map(move |first| {
        let mut batch = Batch { life: 1, records: Vec::new() };
        for step in 0..4 {
            let nths = (first..first + ORDERS_PER_BATCH).filter_map(|nth| nth.checked_sub(step * lag));
            batch.records.extend(nths.filter(|nth| *nth < orders).flat_map(|nth| Order(nth).step(step)));
        }
        batch
    })
}

fn record(slot: u16, seq: u64, body: Body) -> Record {
    let time = Time(1_800_000_000_000 + seq / 20);
    Record { slot: SlotId::new(slot), seq, time, trace: Text::from("4bf92f3577b34da6a3ce929d0e0e4736"), body }
}

fn mixed(nth: u64) -> u64 {
    nth.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

pub(crate) struct Order(pub(crate) u64);

impl Order {
    fn slot(&self) -> u16 {
        (mixed(self.0) >> 52) as u16
    }

    fn id(&self) -> OrderId {
        OrderId::new(SlotId::new(self.slot()), u128::from(mixed(self.0)) << 30)
    }

    pub(crate) fn hold(&self, status: HoldStatus) -> HoldRow {
        HoldRow {
            partition: partition(&format!("G{}|2026-02-11|2nd", mixed(self.0) % 4_000)),
            hold: self.id().hold_id(),
            made: 1,
            partition_seq: 1,
            status,
            owner: Some(self.id()),
            quantity: 1,
            from: 0,
            to: 3,
            segments: 3,
            capacity: 6,
            seats: vec![0],
            labels: vec!["05-12F".into()],
            deadline: Time(1_800_000_120_000),
            txn: None,
            release_reason: None,
            keep_until: Time(0),
        }
    }

    pub(crate) fn row(&self, status: OrderStatus) -> OrderRow {
        let hold = self.hold(HoldStatus::Held);
        OrderRow {
            order: self.id(),
            key: OrderKey::Plain(key(&format!("checkout-{:016x}", self.0))),
            status,
            amount: Cents(55_300),
            created_at: Time(1_800_000_000_000 + self.0 / 5),
            abandon_at: Time(0),
            reservation: (status != OrderStatus::Init).then_some(Reservation {
                partition: hold.partition,
                hold: hold.hold,
                made: 1,
                quantity: 1,
                from: 0,
                to: 3,
                segments: 3,
                capacity: 6,
                labels: hold.labels,
                deadline: hold.deadline,
                ends_at: None,
            }),
            cancel_reason: None,
            txn: matches!(status, OrderStatus::Paid | OrderStatus::Ticketed)
                .then(|| txn(&format!("pay-{:016x}", mixed(self.0)))),
        }
    }

    /// The records of one of its four steps.
    fn step(&self, step: u64) -> Vec<Record> {
        let (slot, other, seq) = (self.slot(), (self.slot() + 1) % 4_096, self.0 * 10 + step);
        match step {
            0 => vec![record(slot, seq, Body::OrderCreated(self.row(OrderStatus::Init)))],
            1 => vec![
                record(other, seq, Body::HoldMade(self.hold(HoldStatus::Held))),
                record(slot, seq, Body::OrderReserved(self.row(OrderStatus::Reserved))),
            ],
            2 => vec![
                record(other, seq, Body::TxnClaimed { txn: txn("pay"), order: self.id(), goes_back: None }),
                record(other, seq, Body::HoldConfirmed(self.hold(HoldStatus::Confirmed))),
                record(slot, seq, Body::OrderPaid(self.row(OrderStatus::Paid))),
            ],
            _ => vec![
                record(slot, seq, Body::OrderTicketed(self.row(OrderStatus::Ticketed))),
                record(other, seq, Body::TellsAcked { tells: vec![TellId(1)] }),
            ],
        }
    }
}
