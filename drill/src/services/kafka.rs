//! Kafka's own consumer.

use std::process::Command;

use serde_json::Value;

use super::{Services, root};

/// A message of a topic.
#[derive(Clone, PartialEq, Debug)]
pub struct Message {
    pub partition: u32,
    pub offset: u64,
    pub headers: String,
    pub key: String,
    /// Its envelope.
    pub value: Value,
}

/// How long the consumer waits for a message that does not come, in milliseconds.
const TIMEOUT_MS: &str = "3000";

impl Services {
    /// Everything that a topic has, each partition in its order.
    ///
    /// # Panics
    /// The consumer prints what is no message.
    #[must_use]
    pub fn kafka(&self, topic: &str) -> Vec<Message> {
        let jars = std::fs::read_dir(root().join("target/services")).expect("what the script fetched");
        let jars = jars.map(|jars| jars.expect("a directory").path());
        let jars = jars.into_iter().find(|path| path.join("complete").exists()).expect("the jars of Kafka");
        let mut consumer = Command::new("java");
        consumer.args([
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-cp",
            &format!("{}/*", jars.display()),
        ]);
        consumer.arg("org.apache.kafka.tools.consumer.ConsoleConsumer");
        consumer.args(["--bootstrap-server", &self.setting("KAFKA_BROKERS"), "--topic", topic]);
        consumer.args(["--from-beginning", "--timeout-ms", TIMEOUT_MS]);
        for what in ["partition", "offset", "headers", "key"] {
            consumer.args(["--formatter-property", &format!("print.{what}=true")]);
        }
        // It ends with an error, because nothing more came.
        let printed = consumer.output().expect("java");
        let printed = String::from_utf8(printed.stdout).expect("texts");
        printed.lines().map(message).collect()
    }
}

fn message(line: &str) -> Message {
    let fields: Vec<&str> = line.splitn(5, '\t').collect();
    let [partition, offset, headers, key, value] = fields[..] else { panic!("no message: {line}") };
    let number = |field: &str, name: &str| {
        field.strip_prefix(name).unwrap_or_else(|| panic!("no {name} in {line}")).to_owned()
    };
    Message {
        partition: number(partition, "Partition:").parse().expect("a number"),
        offset: number(offset, "Offset:").parse().expect("a number"),
        headers: headers.to_owned(),
        key: key.to_owned(),
        value: serde_json::from_str(value).unwrap_or_else(|error| panic!("{line}: {error}")),
    }
}
