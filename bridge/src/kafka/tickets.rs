//! The ticket worker: reads from the topic which orders are paid, and asks the engine for their tickets.
//!
//! An offset is stored once every message before it has been dealt with for good: its ticket is durable, or it wants none. A message that
//! cannot be read goes to a topic of its own first. Whatever fails is tried again from the last offset; asking twice for a ticket is one ticket.

mod message;
mod status;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::ids::OrderId;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::types::RDKafkaErrorCode;

pub use status::{Outcome, TicketWorkerStatus};

use super::delivery::{Delivery, deliver};
use super::limits::{
    ANSWER_TIMEOUT, MESSAGES_MAX, REASON_BYTES_MAX, TICKET_CHECK_INTERVAL, TICKET_PATIENCE,
    TICKET_RETRY_PAUSE,
};
use super::{Cluster, failed, topics};
use crate::events::Topic;
use crate::runner::{Backoff, Stop};
use crate::sink::{SinkError, Trouble};
use message::Read;

/// The consumer group of the worker that the old system had.
const GROUP: &str = "ticket-worker";
/// Messages that cannot be read, beside the topic that they came on.
const DEAD_LETTERS_SUFFIX: &str = ".dlq";
/// The longest wait for a message; a stop waits so long.
const POLL: Duration = Duration::from_millis(100);

/// The engine, as far as tickets go.
pub trait Issue {
    /// Asks for the tickets of these orders and waits until each is durable, or refused. One answer for each, in their order; an error where
    /// nothing is known yet, and it has to be asked for again.
    fn issue(&mut self, orders: &[OrderId]) -> Vec<Result<Outcome, String>>;
}

/// The worker, on a thread of its own.
#[derive(Debug)]
pub struct TicketWorker<I> {
    cluster: Cluster,
    /// `order.events`, and where its unreadable messages go.
    topic: String,
    dead_letters: String,
    engine: I,
    stop: Arc<Stop>,
    status: Arc<TicketWorkerStatus>,
}

impl<I: Issue> TicketWorker<I> {
    #[must_use]
    pub fn new(cluster: Cluster, engine: I, stop: Arc<Stop>) -> TicketWorker<I> {
        let topic = topics::name(&cluster, Topic::Order);
        let dead_letters = format!("{topic}{DEAD_LETTERS_SUFFIX}");
        TicketWorker { cluster, topic, dead_letters, engine, stop, status: Arc::default() }
    }

    #[must_use]
    pub fn status(&self) -> Arc<TicketWorkerStatus> {
        self.status.clone()
    }

    /// Until it is told to stop. `seed` is for the jitter of its pauses.
    pub fn run(mut self, seed: u64) {
        let mut backoff = Backoff::new(seed);
        while let Err(error) = self.consume(&mut backoff) {
            if self.stop.is_set() {
                return;
            }
            if self.status.fail(&error.text) {
                tracing::warn!(%error, "tickets from Kafka: down; tried again until it works");
            }
            self.stop.wait(backoff.next());
        }
    }

    /// From the group's offsets, until it fails or is told to stop.
    fn consume(&mut self, backoff: &mut Backoff) -> Result<(), SinkError> {
        let producer: BaseProducer<Delivery> = self
            .cluster
            .config()
            .create_with_context(Delivery::default())
            .map_err(|error| failed("the producer cannot be made", &error))?;
        topics::make_missing(&self.cluster, &producer, &[&self.topic, &self.dead_letters])?;
        let consumer: BaseConsumer<Quiet> = self
            .cluster
            .consumer_config(GROUP)
            .create_with_context(Quiet)
            .map_err(|error| failed("the consumer cannot be made", &error))?;
        consumer
            .subscribe(&[&self.topic])
            .map_err(|error| failed("the topic cannot be subscribed to", &error))?;
        let mut checked_at = Instant::now();
        while !self.stop.is_set() {
            let messages = gather(&consumer)?;
            self.take(&consumer, &producer, &messages)?;
            if !messages.is_empty() {
                self.up(backoff);
            }
            // A consumer waits in silence for a cluster that is away.
            if checked_at.elapsed() >= TICKET_CHECK_INTERVAL {
                consumer
                    .client()
                    .fetch_metadata(Some(&self.topic), ANSWER_TIMEOUT)
                    .map_err(|error| failed("the cluster does not answer", &error))?;
                self.up(backoff);
                checked_at = Instant::now();
            }
        }
        Ok(())
    }

    fn up(&self, backoff: &mut Backoff) {
        backoff.reset();
        if self.status.succeed() {
            tracing::info!("tickets from Kafka: up again");
        }
    }

    /// Deals with messages for good, then says so to the group.
    fn take(
        &mut self,
        consumer: &BaseConsumer<Quiet>,
        producer: &BaseProducer<Delivery>,
        messages: &[BorrowedMessage<'_>],
    ) -> Result<(), SinkError> {
        let mut orders = Vec::new();
        for message in messages {
            match message::read(message.payload()) {
                Read::Paid(Some(order)) => orders.push(order),
                // An id that this engine never gives: it has no such order.
                Read::Paid(None) => self.status.count(Outcome::Unknown),
                Read::Other => {}
                Read::Unreadable(why) => self.put_aside(producer, message, &why)?,
            }
        }
        deliver(producer, &self.stop, u64::MAX)?;
        self.issue(orders)?;
        let mut behind: BTreeMap<i32, i64> = BTreeMap::new();
        for message in messages {
            behind.insert(message.partition(), message.offset());
        }
        for (partition, offset) in behind {
            if let Err(error) = consumer.store_offset(&self.topic, partition, offset) {
                // Another member of the group has it now, and reads these messages again.
                tracing::debug!(partition, offset, %error, "an offset is not stored");
            }
        }
        Ok(())
    }

    fn issue(&mut self, mut orders: Vec<OrderId>) -> Result<(), SinkError> {
        let since = Instant::now();
        while !orders.is_empty() {
            let issued = self.engine.issue(&orders);
            let (mut left, mut reason) = (Vec::new(), String::new());
            for (order, issued) in orders.into_iter().zip(issued) {
                match issued {
                    Ok(outcome) => self.end(order, outcome),
                    Err(why) => {
                        reason = why;
                        left.push(order);
                    }
                }
            }
            orders = left;
            if orders.is_empty() {
                break;
            }
            if self.stop.is_set() {
                return Err(SinkError::new(Trouble::Stopped, "told to stop"));
            }
            if since.elapsed() >= TICKET_PATIENCE {
                let text = format!("{} tickets cannot be issued: {reason}", orders.len());
                return Err(SinkError::new(Trouble::Failed, text));
            }
            self.stop.wait(TICKET_RETRY_PAUSE);
        }
        Ok(())
    }

    fn end(&self, order: OrderId, outcome: Outcome) {
        if outcome == Outcome::Refused {
            tracing::warn!(%order, "a message says that an order is paid, and it is not");
        }
        self.status.count(outcome);
    }

    /// Sends a message that cannot be read to the topic of those, as it was, with the reason and where it came from. One that is too large to
    /// be sent goes without key and payload, with its size: it would stop those behind it.
    fn put_aside(
        &self,
        producer: &BaseProducer<Delivery>,
        message: &BorrowedMessage<'_>,
        why: &str,
    ) -> Result<(), SinkError> {
        let why = &why[..why.floor_char_boundary(REASON_BYTES_MAX)];
        let (partition, offset) = (message.partition().to_string(), message.offset().to_string());
        let headers =
            [("error", why), ("topic", &self.topic), ("partition", &partition), ("offset", &offset)];
        let headers = headers.into_iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
            headers.insert(Header { key, value: Some(value) })
        });
        let mut record: BaseRecord<'_, [u8], [u8]> =
            BaseRecord::to(&self.dead_letters).headers(headers.clone());
        record.key = message.key();
        record.payload = message.payload();
        let sent = producer.send(record).or_else(|(error, _)| match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::MessageSizeTooLarge) => {
                let bytes = message.payload_len().to_string();
                let headers = headers.insert(Header { key: "payload_bytes", value: Some(&bytes) });
                let record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(&self.dead_letters).headers(headers);
                producer.send(record).map_err(|(error, _)| error)
            }
            _ => Err(error),
        });
        sent.map_err(|error| failed("an unreadable message is refused", &error))?;
        producer.context().sent();
        self.status.count(Outcome::Unreadable);
        tracing::warn!(
            partition = message.partition(),
            offset = message.offset(),
            "a message cannot be read and goes to {}: {why}",
            self.dead_letters
        );
        Ok(())
    }
}

/// The messages that are there, after a wait for the first.
fn gather(consumer: &BaseConsumer<Quiet>) -> Result<Vec<BorrowedMessage<'_>>, SinkError> {
    let mut messages = Vec::new();
    let mut wait = POLL;
    while messages.len() < MESSAGES_MAX {
        let Some(message) = consumer.poll(wait) else { break };
        messages.push(message.map_err(|error| failed("no message can be read", &error))?);
        wait = Duration::ZERO;
    }
    Ok(messages)
}

/// The worker says itself, once, that it is down.
struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(?level, facility, "librdkafka: {message}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, "librdkafka: {reason}");
    }
}

impl ConsumerContext for Quiet {}
