//! Whole orders into MySQL, Redis and Kafka, beside plain programs that hand the same over from structs in memory. What the servers take is not
//! counted; the processor time is that of this process, with the threads of its clients.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bridge::events;
use bridge::ids::Origin;
use bridge::kafka::{Cluster, Kafka};
use bridge::mysql::{Dsn, MySql};
use bridge::redis::{Place, Redis};
use bridge::runner::Stop;
use bridge::sink::{Batch, Sink};
use drill::services::Services;
use engine::status::OrderStatus;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder, Params, Value};
use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;
use wal::CursorFile;
use wal::files::OsFiles;

use crate::orders::{DIRECTORY, LAGS, ORDERS_PER_BATCH, Order, batches, cursor};

const ORDERS: u64 = 20_000;
const ROUNDS: usize = 3;
/// Rows of one statement of the plain program: as many as the sink's.
const ROWS: usize = 128;

/// Seconds that all threads of this process have run.
fn cpu() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Does `work` and says what it took for each of so many things.
fn timed(what: &str, things: u64, of: &str, work: impl FnOnce()) -> f64 {
    let (start, before) = (Instant::now(), cpu());
    work();
    let (took, ran) = (start.elapsed().as_secs_f64(), (cpu() - before) * 1e6 / things as f64);
    println!("{what}: {:.0} {of} a second, {ran:.1} us of CPU each", things as f64 / took);
    ran
}

fn fill(sink: &mut impl Sink, batches: &[Batch]) {
    let mut records = 0;
    for batch in batches {
        records += batch.records.len() as u64;
        sink.write(batch, &cursor(records)).unwrap();
    }
}

fn begin(sink: &mut impl Sink) {
    assert_eq!(sink.open().unwrap(), None);
    sink.begin_copy().unwrap();
    sink.end_copy(&cursor(0)).unwrap();
}

#[test]
#[ignore = "a measurement"]
fn mysql() {
    let services = Services::shared("mysql");
    let address = services.setting("MYSQL_DSN").rsplit_once('/').expect("a database").0.to_owned();
    for (round, lag) in (0..ROUNDS).flat_map(|round| LAGS.map(|lag| (round, lag))) {
        services.mysql("mysql", "DROP DATABASE IF EXISTS interlock_speed; CREATE DATABASE interlock_speed");
        let dsn: Dsn = format!("{address}/interlock_speed").parse().unwrap();
        let (directory, read_model) = crate::read_model::empty();
        let settings =
            bridge::mysql::Settings { dsn, directory: DIRECTORY, read_model, stations: Vec::new() };
        let mut sink = MySql::new(settings, Arc::new(Stop::default())).unwrap();
        begin(&mut sink);
        let made: Vec<Batch> = batches(ORDERS, lag).collect();
        let ours =
            timed(&format!("mysql, round {round}, lag {lag}"), ORDERS, "orders", || fill(&mut sink, &made));
        drop(directory);
        for table in ["orders", "query_order_view", "payments", "tickets"] {
            services.mysql("interlock_speed", &format!("TRUNCATE TABLE {table}"));
        }
        let plain = timed("plain inserts", ORDERS, "orders", || insert_plainly(&address));
        println!("{:.2} times", ours / plain);
    }
    services.mysql("mysql", "DROP DATABASE interlock_speed");
}

/// Every row once, in transactions of as many orders.
fn insert_plainly(address: &str) {
    let (account, place) = address.split_once("@tcp(").expect("an address");
    let (user, password) = account.split_once(':').expect("a password");
    let (host, port) = place.trim_end_matches(')').split_once(':').expect("a port");
    let options = OptsBuilder::default()
        .ip_or_hostname(host)
        .tcp_port(port.parse().expect("a port"))
        .user(Some(user))
        .pass(Some(password))
        .db_name(Some("interlock_speed"))
        .prefer_socket(false);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut conn = Conn::new(options).await.unwrap();
        let time = || Value::Date(2027, 1, 15, 8, 0, 0, 0);
        let text = |text: &str| Value::Bytes(text.as_bytes().to_vec());
        for first in (0..ORDERS).step_by(ORDERS_PER_BATCH as usize) {
            conn.query_drop("START TRANSACTION").await.unwrap();
            let mut tables: [(&str, usize, Vec<Value>); 4] = [
                (
                    "orders (order_id,idempotency_key,status,amount_cents,created_at,updated_at,partition_key,hold_id,qty,from_index,to_index,
                        seats,expires_at,provider_txn_id,slot,seq,life)",
                    17,
                    Vec::new(),
                ),
                ("query_order_view (order_id,status,amount_cents,provider_txn_id,seat_no,updated_at,slot,seq,life)", 9, Vec::new()),
                ("payments (payment_id,order_id,provider_txn_id,status,created_at,updated_at,slot,seq,life)", 9, Vec::new()),
                ("tickets (ticket_id,order_id,passenger_name,seat_no,created_at,slot,seq,life)", 8, Vec::new()),
            ];
            for nth in first..first + ORDERS_PER_BATCH {
                let row = Order(nth).row(OrderStatus::Ticketed);
                let reservation = row.reservation.as_ref().unwrap();
                let id = row.order.to_string();
                let (key, txn) = (row.key.name().as_str(), row.txn.as_ref().unwrap().as_str());
                let seat = reservation.labels[0].as_str();
                let come_to = || [Value::UInt(7), Value::UInt(nth), Value::UInt(1)];
                tables[0].2.extend([text(&id), text(key), text("TICKETED"), Value::Int(row.amount.0), time(), time()]);
                tables[0].2.extend([text(reservation.partition.as_str()), text(reservation.hold.as_str())]);
                tables[0].2.extend([Value::UInt(1), Value::UInt(0), Value::UInt(3), text(&format!("[\"{seat}\"]"))]);
                tables[0].2.extend([time(), text(txn)]);
                tables[1].2.extend([text(&id), text("TICKETED"), Value::Int(row.amount.0), text(txn), text(seat), time()]);
                tables[2].2.extend([text(&id), text(&id), text(txn), text("SUCCESS"), time(), time()]);
                tables[3].2.extend([text(&id), text(&id), text(seat), text(seat), time()]);
                tables.iter_mut().for_each(|table| table.2.extend(come_to()));
            }
            for (table, columns, values) in tables {
                let one = format!("({})", vec!["?"; columns].join(","));
                for chunk in values.chunks(columns * ROWS) {
                    let rows = vec![one.as_str(); chunk.len() / columns].join(",");
                    let sql = format!("INSERT INTO {table} VALUES {rows}");
                    conn.exec_drop(sql, Params::Positional(chunk.to_vec())).await.unwrap();
                }
            }
            conn.query_drop("COMMIT").await.unwrap();
        }
    });
}

#[test]
#[ignore = "a measurement"]
fn redis() {
    let services = Services::shared("redis");
    let (address, password) = (services.setting("REDIS_ADDR"), services.setting("REDIS_PASSWORD"));
    for (round, lag) in (0..ROUNDS).flat_map(|round| LAGS.map(|lag| (round, lag))) {
        services.redis(9, &["FLUSHDB"]);
        let mut sink = Redis::new(Place::new(&address, Some(&password), 9).unwrap(), DIRECTORY);
        begin(&mut sink);
        let made: Vec<Batch> = batches(ORDERS, lag).collect();
        timed(&format!("redis, round {round}, lag {lag}"), ORDERS, "orders", || fill(&mut sink, &made));
    }
    services.redis(9, &["FLUSHDB"]);
}

/// An event as a program has it that is about to send it.
#[derive(Serialize)]
struct Event {
    event_id: String,
    aggregate_id: String,
    event_type: String,
    occurred_at: String,
    payload: serde_json::Value,
    #[serde(skip)]
    topic: String,
    #[serde(skip)]
    position: String,
    #[serde(skip)]
    trace: String,
}

#[test]
#[ignore = "a measurement"]
fn kafka() {
    let brokers = Services::shared("kafka").setting("KAFKA_BROKERS");
    let origin = Origin { directory: DIRECTORY, life: 1 };
    for round in 0..ROUNDS {
        let prefix = format!("speed-{}-{round}-", std::process::id());
        let directory = tempfile::tempdir().unwrap();
        let file = CursorFile::new(&OsFiles::new(directory.path()).unwrap(), DIRECTORY, "kafka");
        let cluster = Cluster::new(&brokers, &prefix);
        let mut sink = Kafka::new(cluster, DIRECTORY, file, Arc::new(Stop::default()));
        begin(&mut sink);
        let made: Vec<Batch> = batches(ORDERS, 0).collect();
        let mut all = Vec::new();
        for record in made.iter().flat_map(|batch| &batch.records) {
            for envelope in events::of_record(origin, record) {
                all.push(Event {
                    event_id: envelope.event_id.clone(),
                    aggregate_id: envelope.aggregate_id.clone(),
                    event_type: envelope.event_type.to_owned(),
                    occurred_at: envelope.occurred_at.clone(),
                    payload: serde_json::to_value(&envelope.payload).unwrap(),
                    position: format!("{:016x}/{}/{}/0", 1, record.slot.get(), record.seq),
                    trace: record.trace.as_str().to_owned(),
                    topic: format!("{prefix}{}", envelope.topic.wire_name()),
                });
            }
        }
        let count = all.len() as u64;
        let ours = timed(&format!("kafka, round {round}"), count, "events", || fill(&mut sink, &made));
        let plain = timed("plain producer", count, "events", || produce_plainly(&brokers, &all));
        println!("{:.2} times", ours / plain);
    }
}

/// Each formatted and sent, and all delivered in the end.
fn produce_plainly(brokers: &str, events: &[Event]) {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("partitioner", "fnv1a")
        .set("linger.ms", "5")
        .create()
        .unwrap();
    for event in events {
        let json = serde_json::to_string(event).unwrap();
        let headers = OwnedHeaders::new()
            .insert(Header { key: "position", value: Some(&event.position) })
            .insert(Header { key: "trace_id", value: Some(&event.trace) });
        let mut message =
            BaseRecord::to(&event.topic).key(&event.aggregate_id).payload(&json).headers(headers);
        while let Err((_, refused)) = producer.send(message) {
            producer.poll(Duration::from_millis(5));
            message = refused;
        }
    }
    producer.flush(Duration::from_secs(60)).unwrap();
}
