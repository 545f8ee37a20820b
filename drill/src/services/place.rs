//! A place for one server's tables, keys and topics on services that others use as well, and what is there of an order.

use std::sync::atomic::{AtomicU16, Ordering};

use serde_json::Value;

use super::{Message, Services};
use crate::Launch;
use crate::session::{text, texts};

/// The outer sinks, each named as its service.
pub const SINKS: [&str; 3] = ["mysql", "redis", "kafka"];

/// A database of MySQL, one of Redis, and a prefix of topics.
#[derive(Debug)]
pub struct Place {
    pub services: Services,
    pub database: String,
    pub redis_db: u16,
    pub prefix: String,
}

impl Place {
    /// A new one. The services run.
    ///
    /// # Panics
    /// It cannot be made.
    #[must_use]
    pub fn new(services: Services) -> Place {
        // Below these are people's, above them those of the sinks' own tests.
        static NEXT: AtomicU16 = AtomicU16::new(10);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let database = format!("interlock_drill_{}_{number}", std::process::id());
        let place = Place {
            services,
            prefix: format!("{}-", database.replace('_', "-")),
            database,
            redis_db: number,
        };
        let sql = format!("DROP DATABASE IF EXISTS {0}; CREATE DATABASE {0}", place.database);
        place.services.mysql("mysql", &sql);
        place.services.redis(place.redis_db, &["FLUSHDB"]);
        place
    }

    /// The server has these sinks.
    #[must_use]
    pub fn configure(&self, launch: Launch, sinks: &[&str]) -> Launch {
        self.settings(sinks).iter().fold(launch, |launch, (name, value)| launch.env(name, value))
    }

    /// The environment of a server that has these sinks.
    ///
    /// # Panics
    /// There is no such sink.
    #[must_use]
    pub fn settings(&self, sinks: &[&str]) -> Vec<(&'static str, String)> {
        let own = |name: &'static str| (name, self.services.setting(name));
        let of_sink = |sink: &&str| match *sink {
            "mysql" => {
                let (name, dsn) = own("MYSQL_DSN");
                let (server, _) = dsn.rsplit_once('/').expect("a database");
                vec![(name, format!("{server}/{}", self.database))]
            }
            "redis" => {
                vec![own("REDIS_ADDR"), own("REDIS_PASSWORD"), ("REDIS_DB", self.redis_db.to_string())]
            }
            "kafka" => {
                vec![own("KAFKA_BROKERS"), ("INTERLOCK_KAFKA_TOPIC_PREFIX", self.prefix.clone())]
            }
            other => panic!("no sink {other}"),
        };
        sinks.iter().flat_map(of_sink).collect()
    }

    #[must_use]
    pub fn rows(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        self.services.mysql(&self.database, sql)
    }

    #[must_use]
    pub fn topic(&self, topic: &str) -> Vec<Message> {
        self.services.kafka(&format!("{}{topic}", self.prefix))
    }

    /// Asserts that a sink has these ticketed orders, as HTTP says them: its rows, payments and tickets once; no holds any more; each event
    /// by one id.
    ///
    /// # Panics
    /// It has them not.
    pub fn assert_has_ticketed(&self, sink: &str, orders: &[Value]) {
        match sink {
            "mysql" => orders.iter().for_each(|order| self.assert_has_rows(order)),
            "redis" => orders.iter().for_each(|order| self.assert_has_no_hold(order)),
            "kafka" => self.assert_has_events(orders),
            other => panic!("no sink {other}"),
        }
    }

    fn assert_has_rows(&self, order: &Value) {
        let sql = format!(
            "SELECT o.status, o.idempotency_key, p.provider_txn_id, p.status, t.seat_no, v.seat_no FROM orders o
                JOIN payments p USING (order_id) JOIN tickets t USING (order_id) JOIN query_order_view v USING (order_id)
                WHERE order_id = '{}'",
            text(order, "OrderID")
        );
        let (key, txn) = (text(order, "IdempotencyKey"), text(order, "ProviderTxnID"));
        let seats = texts(order, "Seats").join(",");
        let expected = ["TICKETED", key, txn, "SUCCESS", &seats, &seats].map(|cell| Some(cell.to_owned()));
        assert_eq!(self.rows(&sql), [expected.to_vec()], "{order}");
    }

    fn assert_has_no_hold(&self, order: &Value) {
        let redis = |words: &[&str]| self.services.redis(self.redis_db, words);
        let hold = text(order, "HoldID");
        assert_eq!(redis(&["EXISTS", &format!("inventory:hold:{hold}")]), 0, "{order}");
        assert_eq!(redis(&["ZSCORE", "inventory:holds:delay_queue", hold]), Value::Null, "{order}");
    }

    fn assert_has_events(&self, orders: &[Value]) {
        for (topic, expected) in [
            ("order.events", &["OrderCreated", "OrderReserved", "OrderPaid"][..]),
            ("ticket.events", &["TicketIssued"]),
        ] {
            let messages = self.topic(topic);
            for order in orders {
                let of_order = messages.iter().filter(|message| message.key == text(order, "OrderID"));
                let mut seen = Vec::new();
                let first_time = of_order.filter(|message| {
                    let is_new = !seen.contains(&message.value["event_id"]);
                    seen.push(message.value["event_id"].clone());
                    is_new
                });
                let kinds: Vec<&str> = first_time.map(|message| text(&message.value, "event_type")).collect();
                assert_eq!(kinds, expected, "{order}");
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What a failure leaves may be looked at.
        if !std::thread::panicking() {
            self.services.mysql("mysql", &format!("DROP DATABASE {}", self.database));
        }
    }
}
