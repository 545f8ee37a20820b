//! Redis' own client.

use std::process::Command;

use serde_json::Value;

use super::{Services, output};

impl Services {
    /// The answer to a command in a database.
    ///
    /// # Panics
    /// The client fails.
    pub fn redis(&self, database: u16, words: &[&str]) -> Value {
        let address = self.setting("REDIS_ADDR");
        let (host, port) = address.split_once(':').expect("a port");
        let mut client = Command::new("redis-cli");
        client.args(["-h", host, "-p", port, "-n", &database.to_string(), "--json"]).args(words);
        let answer = output(client.env("REDISCLI_AUTH", self.setting("REDIS_PASSWORD")));
        serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{words:?}: {answer}: {error}"))
    }
}
