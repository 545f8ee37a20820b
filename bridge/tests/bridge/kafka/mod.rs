//! The Kafka sink, on a real broker, and on one of librdkafka's own that fails as told.

mod tickets;
mod topics;

use std::rc::Rc;

use bridge::events::Topic;
use bridge::kafka::{Cluster, Kafka};
use bridge::sink::{Sink, Start, Trouble};
use drill::services::Services;
use engine::record::Record;
use proptest::prelude::*;
use proptest::test_runner::Config;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use crate::ops;
use crate::support::{History, batch, cursor, some_history};
use topics::{Topics, by_key};

fn begin(sink: &mut Kafka) {
    assert_eq!(sink.start(), Start::OldestRecord);
    assert_eq!(sink.open().unwrap(), None);
    sink.end_copy(&cursor(0)).unwrap();
}

fn follow(sink: &mut Kafka, log: &[Rc<Record>], from: usize, batch_size: usize) {
    let mut at = from;
    for records in log[from..].chunks(batch_size) {
        at += records.len();
        sink.write(&batch(records), &cursor(at as u64)).unwrap();
    }
}

proptest! {
    #![proptest_config(Config { cases: 4, failure_persistence: None, ..Config::default() })]

    #[test]
    fn every_key_has_its_events_in_order(
        ops in prop::collection::vec(ops::op(), 1..150),
        batch_size in 1..200usize,
        repeated in 0..30usize,
    ) {
        let mut history = History::new();
        ops.iter().for_each(|op| history.step(op));
        let log = &history.world.log;
        let topics = Topics::new();
        let mut sink = topics.sink();
        begin(&mut sink);
        follow(&mut sink, log, 0, batch_size);
        let consumed = topics.consume();
        prop_assert_eq!(by_key(&consumed), topics.expected(log));
        prop_assert_eq!(consumed.len(), topics.expected(log).values().map(Vec::len).sum::<usize>(), "each once");

        // Sent again, as after a crash: the same events.
        let mut sink = topics.sink();
        prop_assert_eq!(sink.open().unwrap(), Some(cursor(log.len() as u64)));
        follow(&mut sink, log, log.len().saturating_sub(repeated), batch_size);
        prop_assert_eq!(by_key(&topics.consume()), topics.expected(log));
    }
}

/// Catches: a partition that the old producers would not have chosen; headers that do not lead back to the log.
#[test]
fn a_message_is_where_the_old_producers_put_it() {
    let history = some_history();
    let topics = Topics::new();
    let mut sink = topics.sink();
    begin(&mut sink);
    follow(&mut sink, &history.world.log, 0, 100);
    let consumed = topics.consume();
    assert!(consumed.len() > 10, "{consumed:?}");
    for message in &consumed {
        assert_eq!(message.partition, partition(&message.key), "{message:?}");
        let envelope: serde_json::Value = serde_json::from_str(&message.json).unwrap();
        assert_eq!(envelope["aggregate_id"], message.key);
        let name = message.headers["position"].as_bytes();
        let id = uuid::Uuid::new_v5(&uuid::Uuid::from_bytes(crate::support::DIRECTORY), name);
        assert_eq!(envelope["event_id"], id.to_string(), "the id is made of the position");
    }
}

/// FNV-1a of 32 bits, its absolute value modulo three partitions: as Go's usual client has it.
fn partition(key: &str) -> i32 {
    let hash =
        key.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    ((hash as i32) % 3).abs()
}

/// Catches: a cursor that moves although nothing was delivered; messages behind one that failed and come before it.
#[test]
fn what_fails_is_sent_again_with_all_behind_it() {
    let history = some_history();
    let log = &history.world.log;
    for code in [
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
    ] {
        let mock: MockCluster<'_, DefaultProducerContext> = MockCluster::new(1).unwrap();
        let topics = Topics::on(&mock.bootstrap_servers());
        for topic in Topic::ALL {
            mock.create_topic(&topics.name(topic), 3, 1).unwrap();
        }
        let mut sink = topics.sink();
        begin(&mut sink);
        follow(&mut sink, &log[..3], 0, 3);
        mock.request_errors(RDKafkaApiKey::Produce, &[code]);
        let error = sink.write(&batch(&log[3..]), &cursor(log.len() as u64)).expect_err("told to fail");
        assert_eq!(error.trouble, Trouble::Failed, "{error}");
        assert_eq!(sink.open().unwrap(), Some(cursor(3)), "{code:?}");
        follow(&mut sink, log, 3, 1_000);
        assert_eq!(by_key(&topics.consume()), topics.expected(log), "{code:?}");
    }
}

/// Catches: an error that goes by itself and takes a message with it, or the order.
#[test]
fn what_passes_is_tried_again_by_the_producer() {
    let history = some_history();
    let log = &history.world.log;
    let mock: MockCluster<'_, DefaultProducerContext> = MockCluster::new(1).unwrap();
    let topics = Topics::on(&mock.bootstrap_servers());
    for topic in Topic::ALL {
        mock.create_topic(&topics.name(topic), 3, 1).unwrap();
    }
    let mut sink = topics.sink();
    begin(&mut sink);
    let passing = [
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
    ];
    mock.request_errors(RDKafkaApiKey::Produce, &passing);
    follow(&mut sink, log, 0, 1_000);
    assert_eq!(by_key(&topics.consume()), topics.expected(log));
}

/// Catches: a cursor that is not kept, or is taken for absent where it cannot be read.
#[test]
fn the_cursor_is_a_file_of_its_own() {
    let topics = Topics::new();
    let mut sink = topics.sink();
    begin(&mut sink);
    sink.write(&batch(&[]), &cursor(7)).unwrap();
    assert_eq!(topics.sink().open().unwrap(), Some(cursor(7)));

    let file = topics.directory.path().join("cursor-kafka");
    let whole = std::fs::read(&file).unwrap();
    let mut damaged = whole.clone();
    damaged[60] ^= 1;
    std::fs::write(&file, &damaged).unwrap();
    assert_eq!(topics.sink().open().unwrap(), Some(cursor(7)), "the other copy is there");
    damaged[60 + whole.len() / 2] ^= 1;
    std::fs::write(&file, &damaged).unwrap();
    assert_eq!(topics.sink().open().expect_err("it is damaged").trouble, Trouble::Unreadable);

    let mut sink = topics.sink();
    sink.discard().unwrap();
    assert_eq!(sink.open().unwrap(), None);
    sink.discard().unwrap();
}

/// Sends a history through these client settings, and sees it arrive without them.
fn arrives_by(brokers: &str, settings: &str) -> Topics {
    let history = some_history();
    let mut topics = Topics::on(brokers);
    topics.cluster = topics.cluster.clone().with_file(settings).unwrap();
    let mut sink = topics.sink();
    begin(&mut sink);
    follow(&mut sink, &history.world.log, 0, 100);
    let brokers = Services::shared("kafka").setting("KAFKA_BROKERS");
    let plain = Topics { cluster: Cluster::new(&brokers, &topics.cluster.topic_prefix), ..Topics::new() };
    assert_eq!(by_key(&plain.consume()), topics.expected(&history.world.log));
    topics
}

/// Catches: client settings that do not get through; a server that nobody vouches for and that is believed.
#[test]
fn tls_is_a_matter_of_client_settings() {
    let services = Services::shared("kafka");
    let brokers = services.setting("KAFKA_TLS_BROKERS");
    let settings =
        format!("security.protocol=SSL\nssl.ca.location={}\n", services.setting("TLS_CERTIFICATE"));
    let mut topics = arrives_by(&brokers, &settings);
    topics.cluster = Cluster::new(&brokers, "").with_file("security.protocol=SSL").unwrap();
    assert_eq!(topics.sink().open().expect_err("it is not verified").trouble, Trouble::Failed);
}

/// Catches: a user and a password that do not get through; a password that is told.
#[test]
fn sasl_is_a_matter_of_client_settings() {
    let services = Services::shared("kafka");
    let brokers = services.setting("KAFKA_SASL_BROKERS");
    let settings = |password: &str| {
        let certificate = services.setting("TLS_CERTIFICATE");
        format!(
            "security.protocol=SASL_SSL\nssl.ca.location={certificate}\nsasl.mechanism=PLAIN\nsasl.username=interlock\n\
            sasl.password={password}\n"
        )
    };
    let mut topics = arrives_by(&brokers, &settings("kafka-secret"));
    topics.cluster = Cluster::new(&brokers, "").with_file(&settings("a-guess")).unwrap();
    let error = topics.sink().open().expect_err("it is nobody's password");
    assert_eq!(error.trouble, Trouble::Failed, "{error}");
    assert!(!error.text.contains("a-guess"), "{error}");
}

/// Catches: a cluster that is away and taken for one that is there.
#[test]
fn a_cluster_that_is_away_is_said_to_be() {
    let topics = Topics::on("127.0.0.1:1");
    assert_eq!(topics.sink().open().expect_err("nobody answers").trouble, Trouble::Failed);
}
