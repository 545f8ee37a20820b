//! Whole orders into the read model.

use std::time::Instant;

use bridge::read_model::{Keep, ReadModel, Settings, wal_bytes};
use bridge::sink::Sink;

use crate::orders::{DIRECTORY, LAGS, ORDERS_PER_BATCH, batches, cursor};

const ORDERS: u64 = 100_000;

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
        directory: DIRECTORY,
        create: true,
        keep: Keep::default(),
    });
    model.open().unwrap();
    model.begin_copy().unwrap();
    model.end_copy(&cursor(0)).unwrap();

    let before = scheduled();
    let (mut records, mut spent, mut wal_max) = (0, 0.0, 0);
    let mut latencies: Vec<f64> = Vec::new();
    let mut last = 0.0;
    for (nth, batch) in (0..).zip(batches(ORDERS, lag)) {
        records += batch.records.len();
        let start = Instant::now();
        model.write(&batch, &cursor(records as u64)).unwrap();
        let took = start.elapsed().as_secs_f64();
        latencies.push(took * 1e3);
        spent += took;
        wal_max = wal_max.max(wal_bytes(&path));
        if ((nth + 1) * ORDERS_PER_BATCH).is_multiple_of(ORDERS / 4) {
            println!("{:.0} orders/s", ORDERS as f64 / 4.0 / (spent - last));
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

/// One that is whole and has nothing.
pub(crate) fn empty() -> (tempfile::TempDir, std::path::PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("read-model.db");
    let settings = Settings { path: path.clone(), directory: DIRECTORY, create: true, keep: Keep::default() };
    let mut model = ReadModel::new(settings);
    model.open().unwrap();
    model.begin_copy().unwrap();
    model.end_copy(&cursor(0)).unwrap();
    (directory, path)
}
