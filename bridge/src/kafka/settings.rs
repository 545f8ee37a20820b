//! The settings of the client: ours, and those that a file passes through to librdkafka.

use std::collections::BTreeMap;
use std::fmt;

use rdkafka::ClientConfig;
use thiserror::Error;

use super::limits::SETTINGS_MAX;

/// Settings that delivery, its order and the contract rest on: nobody changes them.
const OURS: [(&str, &str); 5] = [
    ("enable.idempotence", "true"),
    ("acks", "all"),
    ("partitioner", "fnv1a"),
    // A message never expires: whoever gives up sends everything behind the cursor again.
    ("message.timeout.ms", "0"),
    // One that fails stops those behind it.
    ("enable.gapless.guarantee", "true"),
];
/// Those of a consumer: nothing counts as read before it is dealt with.
const OURS_OF_CONSUMER: [(&str, &str); 3] = [
    ("enable.auto.offset.store", "false"),
    ("enable.auto.commit", "true"),
    ("auto.offset.reset", "earliest"),
];
/// Other names of ours, and what we say once for all.
const REFUSED: [&str; 7] = [
    "group.id",
    "bootstrap.servers",
    "metadata.broker.list",
    "request.required.acks",
    "delivery.timeout.ms",
    "transactional.id",
    "partitioner_cb",
];
const DEFAULTS: [(&str, &str); 1] = [("client.id", "interlock")];
const DEFAULTS_OF_PRODUCER: [(&str, &str); 1] = [("linger.ms", "5")];
/// After a crash the group waits so long before its partitions go to the next start.
const DEFAULTS_OF_CONSUMER: [(&str, &str); 1] = [("session.timeout.ms", "10000")];

/// The cluster, and how it is spoken to. It is shown as its brokers alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Cluster {
    pub brokers: String,
    /// Stands before the names of the topics, so that several systems share a cluster.
    pub topic_prefix: String,
    client: BTreeMap<String, String>,
}

/// A file of client settings cannot be used. No value of it is repeated.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum SettingsError {
    #[error("line {0} is not `name=value`")]
    Line(usize),
    #[error("{0} is set by the sink itself")]
    Ours(String),
    #[error("it has more than {SETTINGS_MAX} settings")]
    TooMany,
    #[error("{0}")]
    Refused(String),
}

impl Cluster {
    #[must_use]
    pub fn new(brokers: &str, topic_prefix: &str) -> Cluster {
        let (brokers, topic_prefix) = (brokers.to_owned(), topic_prefix.to_owned());
        Cluster { brokers, topic_prefix, client: BTreeMap::new() }
    }

    /// With the settings of a file: `name=value` lines under librdkafka's names, `#` for comments.
    ///
    /// # Errors
    /// It cannot be used.
    pub fn with_file(mut self, text: &str) -> Result<Cluster, SettingsError> {
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (name, value) = line.split_once('=').ok_or(SettingsError::Line(number))?;
            let (name, value) = (name.trim(), value.trim());
            let ours = OURS.iter().chain(&OURS_OF_CONSUMER);
            if ours.into_iter().any(|(ours, _)| *ours == name) || REFUSED.contains(&name) {
                return Err(SettingsError::Ours(name.to_owned()));
            }
            self.client.insert(name.to_owned(), value.to_owned());
            if self.client.len() > SETTINGS_MAX {
                return Err(SettingsError::TooMany);
            }
        }
        // librdkafka knows its settings.
        match self.config().create_native_config() {
            Ok(_) => Ok(self),
            Err(error) => Err(SettingsError::Refused(without_value(&error))),
        }
    }

    pub(super) fn config(&self) -> ClientConfig {
        self.config_with(&DEFAULTS_OF_PRODUCER, &OURS)
    }

    /// Of a consumer in this group. Groups are apart where topics are.
    pub(super) fn consumer_config(&self, group: &str) -> ClientConfig {
        let mut config = self.config_with(&DEFAULTS_OF_CONSUMER, &OURS_OF_CONSUMER);
        config.set("group.id", format!("{}{group}", self.topic_prefix));
        config
    }

    fn config_with(&self, defaults: &[(&str, &str)], ours: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        DEFAULTS.iter().chain(defaults).for_each(|(name, value)| _ = config.set(*name, *value));
        self.client.iter().for_each(|(name, value)| _ = config.set(name, value));
        ours.iter().for_each(|(name, value)| _ = config.set(*name, *value));
        config.set("bootstrap.servers", &self.brokers);
        config
    }
}

/// librdkafka's own words repeat what was given.
fn without_value(error: &rdkafka::error::KafkaError) -> String {
    match error {
        rdkafka::error::KafkaError::ClientConfig(_, _, name, _) => {
            format!("{name} is no setting of librdkafka, or cannot be so")
        }
        _ => "librdkafka refuses it".to_owned(),
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.brokers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_pass_through_but_for_what_order_rests_on() {
        let cluster = Cluster::new("a:1,b:2", "");
        let text = "# ours\n\nsecurity.protocol = SASL_SSL\nsasl.mechanism=SCRAM-SHA-256\nsasl.username=u\nsasl.password=a=b\n";
        let config = cluster.clone().with_file(text).unwrap().config();
        assert_eq!(config.get("sasl.password"), Some("a=b"));
        assert_eq!(config.get("security.protocol"), Some("SASL_SSL"));
        assert_eq!((config.get("acks"), config.get("bootstrap.servers")), (Some("all"), Some("a:1,b:2")));
        let refused = |text: &str| cluster.clone().with_file(text).expect_err(text);
        assert_eq!(refused("ok.so=1\nhush"), SettingsError::Line(2));
        for (name, _) in OURS {
            assert_eq!(refused(&format!("{name}=x")), SettingsError::Ours(name.to_owned()));
        }
        for text in ["no.such.setting=hush", "linger.ms=hush"] {
            let error = refused(text);
            assert!(matches!(error, SettingsError::Refused(_)));
            assert!(!error.to_string().contains("hush"), "{error}");
        }
        assert_eq!(format!("{:?}", cluster.with_file("sasl.password=hush").unwrap()), "a:1,b:2");
    }
}
