//! Kafka's own consumer.

use std::process::Command;

use serde_json::Value;

use super::{Services, output, root};

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

/// The consumer waits for a message no longer than this, in milliseconds.
const TIMEOUT_MS: &str = "60000";

impl Services {
    /// Everything that a topic has, each partition in its order.
    ///
    /// # Panics
    /// The consumer prints what is no message, or does not come to the end of the topic.
    #[must_use]
    pub fn kafka(&self, topic: &str) -> Vec<Message> {
        let of_topic = ["--bootstrap-server", &self.setting("KAFKA_BROKERS"), "--topic", topic];
        // A line for each partition: topic, partition, offset.
        let ends = output(tool("org.apache.kafka.tools.GetOffsetShell").args(of_topic));
        let end =
            |line: &str| -> u64 { line.rsplit(':').next().expect("an offset").parse().expect("a number") };
        let count: u64 = ends.lines().map(end).sum();
        if count == 0 {
            return Vec::new();
        }
        let mut consumer = tool("org.apache.kafka.tools.consumer.ConsoleConsumer");
        consumer.args(of_topic).args(["--from-beginning", "--timeout-ms", TIMEOUT_MS]);
        consumer.args(["--max-messages", &count.to_string()]);
        for what in ["partition", "offset", "headers", "key"] {
            consumer.args(["--formatter-property", &format!("print.{what}=true")]);
        }
        let messages: Vec<Message> = output(&mut consumer).lines().map(message).collect();
        assert_eq!(messages.len() as u64, count, "messages of {topic}");
        messages
    }
}

/// A program of Kafka's own.
fn tool(class: &str) -> Command {
    let jars = std::fs::read_dir(root().join("target/services")).expect("what the script fetched");
    let mut jars = jars.map(|jars| jars.expect("a directory").path());
    let jars = jars.find(|path| path.join("complete").exists()).expect("the jars of Kafka");
    let mut java = Command::new("java");
    java.args([
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-cp",
        &format!("{}/*", jars.display()),
        class,
    ]);
    java
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
