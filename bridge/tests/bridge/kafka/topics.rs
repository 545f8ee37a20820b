//! Clusters, real and made up, and what a consumer finds in their topics.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bridge::events::{Topic, of_record};
use bridge::kafka::{Cluster, Kafka};
use bridge::runner::Stop;
use drill::services::Services;
use engine::record::Record;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tempfile::TempDir;
use wal::CursorFile;
use wal::files::OsFiles;

use crate::samples::ORIGIN;
use crate::support::DIRECTORY;

const TIMEOUT: Duration = Duration::from_secs(20);

/// Topics of their own on a cluster, and a place for the cursor.
pub(crate) struct Topics {
    pub(crate) directory: TempDir,
    pub(crate) cluster: Cluster,
}

/// A message as a consumer gets it.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Consumed {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) key: String,
    pub(crate) json: String,
    pub(crate) headers: BTreeMap<String, String>,
}

impl Topics {
    pub(crate) fn new() -> Topics {
        Topics::on(&Services::shared("kafka").setting("KAFKA_BROKERS"))
    }

    pub(crate) fn on(brokers: &str) -> Topics {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let prefix = format!("test-{}-{}-", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Topics { directory: tempfile::tempdir().unwrap(), cluster: Cluster::new(brokers, &prefix) }
    }

    pub(crate) fn sink(&self) -> Kafka {
        let files = OsFiles::new(self.directory.path()).unwrap();
        let file = CursorFile::new(&files, DIRECTORY, "kafka");
        Kafka::new(self.cluster.clone(), DIRECTORY, file, Arc::new(Stop::default()))
    }

    pub(crate) fn name(&self, topic: Topic) -> String {
        format!("{}{}", self.cluster.topic_prefix, topic.wire_name())
    }

    /// Everything that is there, each partition in its order.
    pub(crate) fn consume(&self) -> Vec<Consumed> {
        self.consume_of(&Topic::ALL.map(|topic| self.name(topic)))
    }

    /// Everything that these topics have, each partition in its order.
    pub(crate) fn consume_of(&self, names: &[String]) -> Vec<Consumed> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &self.cluster.brokers)
            .set("group.id", "nobody")
            .set("enable.auto.commit", "false")
            .create()
            .unwrap();
        let metadata = consumer.fetch_metadata(None, TIMEOUT).unwrap();
        let mut left = 0;
        let mut partitions = TopicPartitionList::new();
        for topic in metadata.topics().iter().filter(|topic| names.iter().any(|name| name == topic.name())) {
            for partition in topic.partitions() {
                let (low, high) = consumer.fetch_watermarks(topic.name(), partition.id(), TIMEOUT).unwrap();
                left += high - low;
                partitions.add_partition_offset(topic.name(), partition.id(), Offset::Beginning).unwrap();
            }
        }
        consumer.assign(&partitions).unwrap();
        let mut all = Vec::new();
        while left > 0 {
            let message = consumer.poll(TIMEOUT).expect("a message in time").unwrap();
            let header = |header: rdkafka::message::Header<'_, &[u8]>| {
                let value = header.value.map(String::from_utf8_lossy).unwrap_or_default();
                (header.key.to_owned(), value.into_owned())
            };
            all.push(Consumed {
                topic: message.topic().to_owned(),
                partition: message.partition(),
                key: String::from_utf8(message.key().unwrap_or_default().to_vec()).unwrap(),
                json: String::from_utf8(message.payload().unwrap_or_default().to_vec()).unwrap(),
                headers: message.headers().map(|h| h.iter().map(header).collect()).unwrap_or_default(),
            });
            left -= 1;
        }
        all
    }

    /// The messages of each key by the records, topic by topic.
    pub(crate) fn expected(&self, log: &[Rc<Record>]) -> BTreeMap<(String, String), Vec<String>> {
        let mut all: BTreeMap<_, Vec<String>> = BTreeMap::new();
        for record in log {
            for envelope in of_record(ORIGIN, record) {
                let key = (self.name(envelope.topic), envelope.aggregate_id.clone());
                all.entry(key).or_default().push(envelope.to_json());
            }
        }
        all
    }
}

/// Each key's messages in their order; what came again is left out.
pub(crate) fn by_key(consumed: &[Consumed]) -> BTreeMap<(String, String), Vec<String>> {
    let mut all: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for message in consumed {
        let of_key = all.entry((message.topic.clone(), message.key.clone())).or_default();
        if !of_key.contains(&message.json) {
            of_key.push(message.json.clone());
        }
    }
    all
}
