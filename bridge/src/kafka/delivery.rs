//! Delivery reports: the messages of one producer, and what became of them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, DeliveryResult, Producer, ProducerContext};

use super::limits::{DELIVERY_PATIENCE, POLL};
use crate::runner::Stop;
use crate::sink::{SinkError, Trouble};

/// Counts of messages, and the first that failed.
#[derive(Debug, Default)]
pub(super) struct Delivery {
    sent: AtomicU64,
    delivered: AtomicU64,
    failure: Mutex<Option<String>>,
    /// Of the client; it goes on by itself.
    last_error: Mutex<Option<String>>,
}

impl Delivery {
    pub(super) fn sent(&self) {
        self.sent.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn delivered(&self) -> u64 {
        self.delivered.load(Ordering::Relaxed)
    }

    pub(super) fn under_way(&self) -> u64 {
        self.sent.load(Ordering::Relaxed) - self.delivered()
    }

    pub(super) fn failure(&self) -> Option<String> {
        lock(&self.failure).clone()
    }

    pub(super) fn last_error(&self) -> Option<String> {
        lock(&self.last_error).clone()
    }
}

/// Waits until at least so many messages are delivered, or all that are under way.
pub(super) fn deliver(
    producer: &BaseProducer<Delivery>,
    stop: &Stop,
    at_least: u64,
) -> Result<(), SinkError> {
    let delivery = producer.context();
    let before = delivery.delivered();
    let (mut seen, mut since) = (before, Instant::now());
    loop {
        producer.poll(POLL);
        if let Some(error) = delivery.failure() {
            return Err(SinkError::new(Trouble::Failed, error));
        }
        if let Some((code, text)) = producer.client().fatal_error() {
            let text = format!("the producer is at its end: {code}: {text}");
            return Err(SinkError::new(Trouble::Failed, text));
        }
        let delivered = delivery.delivered();
        if delivery.under_way() == 0 || delivered - before >= at_least {
            return Ok(());
        }
        if stop.is_set() {
            return Err(SinkError::new(Trouble::Stopped, "told to stop"));
        }
        if delivered > seen {
            (seen, since) = (delivered, Instant::now());
        } else if since.elapsed() >= DELIVERY_PATIENCE {
            let last = delivery.last_error().unwrap_or_else(|| "no broker answers".to_owned());
            let text = format!("nothing was delivered for {} seconds: {last}", DELIVERY_PATIENCE.as_secs());
            return Err(SinkError::new(Trouble::Failed, text));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ClientContext for Delivery {
    /// The sink says itself, once, that it is down.
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(?level, facility, "librdkafka: {message}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, "librdkafka: {reason}");
        *lock(&self.last_error) = Some(reason.to_owned());
    }
}

impl ProducerContext for Delivery {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(_) => _ = self.delivered.fetch_add(1, Ordering::Relaxed),
            Err((error, message)) => {
                let key = message.key().map(String::from_utf8_lossy).unwrap_or_default();
                let text = format!("a message of {key} was not delivered to {}: {error}", message.topic());
                lock(&self.failure).get_or_insert(text);
            }
        }
    }
}
