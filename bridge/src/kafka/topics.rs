//! The topics: made where they are missing.

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::{BaseProducer, Producer};

use super::delivery::Delivery;
use super::limits::{ANSWER_TIMEOUT, PARTITIONS};
use super::{Cluster, failed};
use crate::events::Topic;
use crate::sink::{SinkError, Trouble};

/// As many copies as the brokers make of themselves.
const REPLICATION_OF_BROKER: i32 = -1;

pub(super) fn name(cluster: &Cluster, topic: Topic) -> String {
    format!("{}{}", cluster.topic_prefix, topic.wire_name())
}

/// One that is there stays as it is.
pub(super) fn make_missing(
    cluster: &Cluster,
    producer: &BaseProducer<Delivery>,
    names: &[impl AsRef<str>],
) -> Result<(), SinkError> {
    let metadata = producer
        .client()
        .fetch_metadata(None, ANSWER_TIMEOUT)
        .map_err(|error| failed("the cluster does not answer", &error))?;
    let is_there = |name: &str| metadata.topics().iter().any(|topic| topic.name() == name);
    let missing: Vec<NewTopic<'_>> = names
        .iter()
        .map(AsRef::as_ref)
        .filter(|name| !is_there(name))
        .map(|name| NewTopic::new(name, PARTITIONS, TopicReplication::Fixed(REPLICATION_OF_BROKER)))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let admin: AdminClient<DefaultClientContext> =
        cluster.config().create().map_err(|error| failed("topics cannot be made", &error))?;
    let options =
        AdminOptions::new().request_timeout(Some(ANSWER_TIMEOUT)).operation_timeout(Some(ANSWER_TIMEOUT));
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.map_err(|error| SinkError::new(Trouble::Failed, error.to_string()))?;
    let made = runtime.block_on(admin.create_topics(&missing, &options));
    for topic in made.map_err(|error| failed("topics cannot be made", &error))? {
        match topic {
            Ok(name) => tracing::info!(topic = name, "made"),
            // Somebody else was first.
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((name, code)) => {
                return Err(SinkError::new(Trouble::Failed, format!("topic {name} cannot be made: {code}")));
            }
        }
    }
    Ok(())
}
