//! How many whole orders a second the read model takes. Not run by itself: a figure, not a check.
//!
//! `cargo test --release -p bridge --test speed -- --ignored --nocapture`

use std::time::Instant;

use bridge::read_model::{Keep, ReadModel, Settings, wal_bytes};
use bridge::sink::{Batch, Sink};
use engine::ids::{Cents, OrderId, SlotId, Time};
use engine::record::{Body, HoldRow, OrderRow, Record, Reservation, TellId};
use engine::status::{HoldStatus, OrderStatus};
use engine::text::Text;
use testkit::names::{key, partition, txn};
use wal::Lsn;
use wal::follow::Cursor;

const ORDERS: u64 = 100_000;
/// Orders whose next step is in one batch: what a runner takes when it catches up.
const ORDERS_PER_BATCH: u64 = 1_000;
/// Orders that others overtake between two steps of theirs: all steps are in one batch, or each in a batch of its own.
const LAGS: [u64; 2] = [0, ORDERS_PER_BATCH];

fn record(slot: u16, seq: u64, body: Body) -> Record {
    let time = Time(1_800_000_000_000 + seq / 20);
    Record { slot: SlotId::new(slot), seq, time, trace: Text::from("4bf92f3577b34da6a3ce929d0e0e4736"), body }
}

fn mixed(nth: u64) -> u64 {
    nth.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

struct Order(u64);

impl Order {
    fn slot(&self) -> u16 {
        (mixed(self.0) >> 52) as u16
    }

    fn id(&self) -> OrderId {
        OrderId::new(SlotId::new(self.slot()), u128::from(mixed(self.0)) << 30)
    }

    fn hold(&self, status: HoldStatus) -> HoldRow {
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

    fn row(&self, status: OrderStatus) -> OrderRow {
        let hold = self.hold(HoldStatus::Held);
        OrderRow {
            order: self.id(),
            key: engine::ids::OrderKey::Plain(key(&format!("checkout-{:016x}", self.0))),
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
                record(other, seq, Body::TxnClaimed { txn: txn("pay"), order: self.id() }),
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

/// Seconds that this thread has run, and has waited for a core.
fn scheduled() -> (f64, f64) {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    let mut nanos = text.split(' ').map(|field| field.trim().parse::<f64>().unwrap());
    (nanos.next().unwrap() / 1e9, nanos.next().unwrap() / 1e9)
}

#[test]
#[ignore = "a measurement"]
fn orders_a_second() {
    LAGS.into_iter().for_each(measure);
}

fn measure(lag: u64) {
    println!("a lag of {lag} orders between two steps:");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("read-model.db");
    let mut model = ReadModel::new(Settings {
        path: path.clone(),
        directory: [1; 16],
        create: true,
        keep: Keep::default(),
    });
    let cursor = |lsn| Cursor { directory: [1; 16], life: 1, epoch: 1, cores: vec![Lsn(lsn)] };
    model.open().unwrap();
    model.begin_copy().unwrap();
    model.end_copy(&cursor(0)).unwrap();

    let before = scheduled();
    let (mut records, mut spent, mut wal_max) = (0, 0.0, 0);
    let mut latencies: Vec<f64> = Vec::new();
    let mut last = 0.0;
    for first in (0..ORDERS + 3 * lag).step_by(ORDERS_PER_BATCH as usize) {
        let mut batch = Batch { life: 1, records: Vec::new() };
        for step in 0..4 {
            let nths = (first..first + ORDERS_PER_BATCH).filter_map(|nth| nth.checked_sub(step * lag));
            batch.records.extend(nths.filter(|nth| *nth < ORDERS).flat_map(|nth| Order(nth).step(step)));
        }
        records += batch.records.len();
        let start = Instant::now();
        model.write(&batch, &cursor(records as u64)).unwrap();
        let took = start.elapsed().as_secs_f64();
        latencies.push(took * 1e3);
        spent += took;
        wal_max = wal_max.max(wal_bytes(&path));
        if (first + ORDERS_PER_BATCH).is_multiple_of(ORDERS / 4) {
            println!("{first}: {:.0} orders/s", ORDERS as f64 / 4.0 / (spent - last));
            last = spent;
        }
    }
    let after = scheduled();
    let (ran, waited) = (after.0 - before.0, after.1 - before.1);
    println!(
        "on a core for {ran:.1} s, most of it for writing; waited for one for {waited:.1} s; written for {spent:.1} s"
    );
    latencies.sort_by(f64::total_cmp);
    let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize];
    println!(
        "{:.0} orders/s ({records} records); a batch p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms; {:.0} bytes an order; wal at most {} MiB",
        ORDERS as f64 / spent,
        at(0.5),
        at(0.99),
        at(1.0),
        std::fs::metadata(&path).unwrap().len() as f64 / ORDERS as f64,
        wal_max >> 20,
    );
}
