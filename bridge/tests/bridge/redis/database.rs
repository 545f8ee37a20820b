//! Databases of a real server, one for each test.

use std::sync::atomic::{AtomicU16, Ordering};

use bridge::redis::{Place, Redis};
use bridge::sink::Sink;
use drill::services::Services;
use redis::{Client, Connection, FromRedisValue, IntoConnectionInfo};

use crate::support::{DIRECTORY, cursor};

pub(crate) struct Database {
    connection: Connection,
    address: String,
    password: String,
    pub(crate) number: u16,
}

impl Database {
    /// A new one, with nothing in it.
    pub(crate) fn new() -> Database {
        // The first ones are for people.
        static NEXT: AtomicU16 = AtomicU16::new(100);
        let services = Services::shared("redis");
        let (address, password) = (services.setting("REDIS_ADDR"), services.setting("REDIS_PASSWORD"));
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let info = format!("redis://{address}").into_connection_info().unwrap();
        let settings = info.redis_settings().clone().set_password(&password).set_db(number.into());
        let client = Client::open(info.set_redis_settings(settings)).unwrap();
        let mut database =
            Database { connection: client.get_connection().unwrap(), address, password, number };
        let _: () = database.ask(&["FLUSHDB"]);
        database
    }

    pub(crate) fn ask<T: FromRedisValue>(&mut self, words: &[&str]) -> T {
        let mut command = redis::cmd(words[0]);
        words[1..].iter().for_each(|word| _ = command.arg(word));
        command.query(&mut self.connection).unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    /// The address for TLS, and the password.
    pub(crate) fn tls(&self) -> (String, String) {
        (Services::shared("redis").setting("REDIS_TLS_ADDR"), self.password.clone())
    }

    pub(crate) fn sink(&self) -> Redis {
        self.sink_of(DIRECTORY)
    }

    /// Of another data directory.
    pub(crate) fn sink_of(&self, directory: [u8; 16]) -> Redis {
        let place = Place::new(&self.address, Some(&self.password), self.number).unwrap();
        Redis::new(place, directory)
    }

    /// Ends all other connections to this database.
    pub(crate) fn drop_others(&mut self) {
        let clients: String = self.ask(&["CLIENT", "LIST"]);
        let own: u64 = self.ask(&["CLIENT", "ID"]);
        let of_this = format!(" db={} ", self.number);
        for client in clients.lines().filter(|line| line.contains(&of_this)) {
            let id = client.strip_prefix("id=").and_then(|rest| rest.split(' ').next()).expect("an id");
            if id != own.to_string() {
                let _: () = self.ask(&["CLIENT", "KILL", "ID", id]);
            }
        }
    }
}

/// Whole, with nothing in it.
pub(crate) fn begin(sink: &mut Redis) {
    assert_eq!(sink.open().unwrap(), None);
    sink.begin_copy().unwrap();
    sink.end_copy(&cursor(0)).unwrap();
}
