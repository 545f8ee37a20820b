//! The ticket worker, on a real broker, with an engine that answers as told.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bridge::events::Topic;
use bridge::kafka::{Issue, Outcome, TicketWorker, TicketWorkerStatus};
use bridge::runner::Stop;
use engine::ids::{OrderId, SlotId};
use engine::record::{Body, Record};
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use super::topics::Topics;
use super::{begin, follow};
use crate::support::some_history;

const TIMEOUT: Duration = Duration::from_secs(60);

type Answer = Box<dyn FnMut(OrderId) -> Result<Outcome, String> + Send>;

/// Answers, then says whom it was asked for.
struct Engine {
    answer: Answer,
    asked: Sender<OrderId>,
}

impl Issue for Engine {
    fn issue(&mut self, orders: &[OrderId]) -> Vec<Result<Outcome, String>> {
        let mut one = |order: &OrderId| {
            let answer = (self.answer)(*order);
            // A test may have seen enough.
            let _ = self.asked.send(*order);
            answer
        };
        orders.iter().map(&mut one).collect()
    }
}

struct Worker {
    stop: Arc<Stop>,
    status: Arc<TicketWorkerStatus>,
    asked: Receiver<OrderId>,
    thread: JoinHandle<()>,
}

impl Worker {
    fn start(topics: &Topics, answer: Answer) -> Worker {
        let (asked, receiver) = channel();
        let stop = Arc::new(Stop::default());
        let worker = TicketWorker::new(topics.cluster.clone(), Engine { answer, asked }, stop.clone());
        let status = worker.status();
        Worker { stop, status, asked: receiver, thread: thread::spawn(|| worker.run(1)) }
    }

    fn asked(&self, count: usize) -> Vec<OrderId> {
        (0..count).map(|_| self.asked.recv_timeout(TIMEOUT).expect("it is asked for more")).collect()
    }

    /// The orders that it was asked for and that the test has not looked at.
    fn stop(self) -> Vec<OrderId> {
        self.stop.set();
        self.thread.join().unwrap();
        self.asked.try_iter().collect()
    }
}

fn paid(log: &[impl AsRef<Record>]) -> BTreeSet<OrderId> {
    let paid = |record: &Record| match &record.body {
        Body::OrderPaid(row) => Some(row.order),
        Body::PurchasePaid(row) => Some(row.order.order),
        _ => None,
    };
    log.iter().filter_map(|record| paid(record.as_ref())).collect()
}

fn send(topics: &Topics, messages: &[(i32, &str, &str)]) {
    let producer: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", &topics.cluster.brokers).create().unwrap();
    for (partition, key, payload) in messages {
        let topic = topics.name(Topic::Order);
        let record = BaseRecord::to(&topic).partition(*partition).key(*key).payload(*payload);
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(TIMEOUT).unwrap();
}

fn paid_message(order: OrderId) -> String {
    format!("{{\"event_type\":\"OrderPaid\",\"payload\":{{\"order_id\":\"{order}\"}}}}")
}

/// Catches: a group that begins at the end; an offset that is not stored, or before its ticket; a message that nobody can read and that
/// stops those behind it, or is lost.
#[test]
fn each_paid_order_is_asked_for_and_what_cannot_be_read_is_put_aside() {
    let history = some_history();
    let topics = Topics::new();
    let mut sink = topics.sink();
    begin(&mut sink);
    follow(&mut sink, &history.world.log, 0, 100);
    let theirs = "{\"event_type\":\"OrderPaid\",\"payload\":{\"order_id\":\"of-another-system\"}}";
    send(&topics, &[(0, "bad", "no envelope"), (0, "theirs", theirs)]);
    let last = OrderId::new(SlotId::new(9), 77 << 12);
    send(&topics, &[(0, "last", &paid_message(last))]);

    let expected: BTreeSet<OrderId> = paid(&history.world.log).into_iter().chain([last]).collect();
    assert!(expected.len() > 1, "{expected:?}");
    // The engine has no room for a while, and one order is unknown to it.
    let mut refusals = 3;
    let answer = move |order| {
        if refusals > 0 {
            refusals -= 1;
            return Err("the log is full".to_owned());
        }
        Ok(if order == last { Outcome::Unknown } else { Outcome::Ticketed })
    };
    let worker = Worker::start(&topics, Box::new(answer));
    let status = worker.status.clone();
    let mut asked: BTreeSet<OrderId> = worker.asked(expected.len() + 3).into_iter().collect();
    asked.extend(worker.stop());
    assert_eq!(asked, expected);
    let counts = Outcome::ALL.map(|outcome| status.messages(outcome));
    assert_eq!(counts, [expected.len() as u64 - 1, 2, 0, 1]);

    let put_aside = topics.consume_of(&[topics.name(Topic::Order) + ".dlq"]);
    let [put_aside] = &put_aside[..] else { panic!("{put_aside:?}") };
    assert_eq!((&put_aside.key[..], &put_aside.json[..]), ("bad", "no envelope"));
    assert!(put_aside.headers["error"].starts_with("no envelope"), "{put_aside:?}");
    assert_eq!(
        (&put_aside.headers["topic"], &put_aside.headers["partition"][..]),
        (&topics.name(Topic::Order), "0")
    );

    // The group remembers.
    let next = OrderId::new(SlotId::new(9), 78 << 12);
    let worker = Worker::start(&topics, Box::new(|_| Ok(Outcome::Ticketed)));
    send(&topics, &[(1, "next", &paid_message(next))]);
    assert_eq!(worker.asked(1), [next]);
    assert_eq!(worker.stop(), []);
}

/// Catches: a message that is too large with its headers, so that it is refused for ever and stops those behind it.
#[test]
fn the_largest_message_that_cannot_be_read_is_put_aside_without_what_it_says() {
    /// As many as a producer with default settings sends, less its framing.
    const BYTES: usize = 999_800;
    let topics = Topics::new();
    begin(&mut topics.sink());
    let before = "{\"event_type\":\"OrderPaid\",\"payload\":\"";
    let large = format!("{before}{}\"}}", "x".repeat(BYTES - before.len() - 2));
    let behind = OrderId::new(SlotId::new(9), 77 << 12);
    send(&topics, &[(0, "large", &large), (0, "behind", &paid_message(behind))]);

    let worker = Worker::start(&topics, Box::new(|_| Ok(Outcome::Ticketed)));
    assert_eq!(worker.asked(1), [behind]);
    worker.stop();
    let put_aside = topics.consume_of(&[topics.name(Topic::Order) + ".dlq"]);
    let [put_aside] = &put_aside[..] else { panic!("{} messages", put_aside.len()) };
    assert_eq!((&put_aside.key[..], &put_aside.json[..]), ("", ""));
    let headers = &put_aside.headers;
    assert_eq!((&headers["payload_bytes"], &headers["offset"][..]), (&BYTES.to_string(), "0"));
    assert!(
        headers["error"].starts_with("no order that is paid") && headers["error"].len() <= 500,
        "{headers:?}"
    );
}

/// Catches: a ticket that is lost because its message counted as read.
#[test]
fn a_message_counts_as_read_when_its_ticket_is_durable() {
    let topics = Topics::new();
    begin(&mut topics.sink());
    let orders: Vec<OrderId> = (0..3).map(|n| OrderId::new(SlotId::new(n), 77 << 12)).collect();
    for (partition, order) in (0..).zip(&orders) {
        send(&topics, &[(partition, "key", &paid_message(*order))]);
    }
    let worker = Worker::start(&topics, Box::new(|_| Err("stopping".to_owned())));
    worker.asked(1);
    let status = worker.status.clone();
    worker.stop();
    assert_eq!(status.messages(Outcome::Ticketed), 0);

    let worker = Worker::start(&topics, Box::new(|_| Ok(Outcome::Ticketed)));
    let asked: BTreeSet<OrderId> = worker.asked(orders.len()).into_iter().collect();
    assert_eq!(asked, orders.into_iter().collect());
    worker.stop();
}

/// Catches: a worker that waits in silence.
#[test]
fn a_cluster_that_is_away_is_said_to_be_by_the_worker() {
    let topics = Topics::on("127.0.0.1:1");
    let worker = Worker::start(&topics, Box::new(|_| Ok(Outcome::Ticketed)));
    let trouble = drill::until("the worker to be down", || worker.status.trouble());
    assert!(trouble.starts_with("the cluster does not answer"), "{trouble}");
    assert_eq!(worker.stop(), []);
}
