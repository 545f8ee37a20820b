//! The Kafka sink: the events of the log on three topics, as the old system's consumers read them.
//!
//! A batch is delivered before the cursor moves, and the cursor is a file beside the log, so a crash sends at most one batch again, with the
//! ids that its events had before. Messages of one key are never reordered: within a batch the idempotent producer sees to it, and where one
//! fails, everything behind the cursor is sent again by a new producer. There are no transactions.

mod delivery;
mod limits;
mod settings;
mod tickets;
mod topics;

use std::sync::Arc;

use engine::record::Record;
use engine::state::Slot;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use wal::CursorFile;
use wal::follow::Cursor;

pub use settings::{Cluster, SettingsError};
pub use tickets::{Issue, Outcome, TicketWorker, TicketWorkerStatus};

use crate::events::{self, Topic};
use crate::ids::Origin;
use crate::runner::Stop;
use crate::sink::{Batch, Sink, SinkError, Start, Trouble};
use delivery::{Delivery, deliver};
use limits::ANSWER_TIMEOUT;

/// Header: the event's place in the log, `life/slot/seq/index`, which its id is made from.
const POSITION: &str = "position";
/// Header: the trace id of the request, where there was one.
const TRACE_ID: &str = "trace_id";

/// The writer. After an error it has no producer until it is opened again.
pub struct Kafka {
    cluster: Cluster,
    /// The names of the topics, in the order of [`Topic::ALL`].
    topics: [String; 3],
    /// The id of the data directory.
    directory: [u8; 16],
    file: CursorFile,
    stop: Arc<Stop>,
    producer: Option<BaseProducer<Delivery>>,
}

impl std::fmt::Debug for Kafka {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kafka").field("cluster", &self.cluster).finish_non_exhaustive()
    }
}

impl Kafka {
    /// Opens nothing yet. `file` keeps its cursor. What it waits for ends when `stop` is set.
    #[must_use]
    pub fn new(cluster: Cluster, directory: [u8; 16], file: CursorFile, stop: Arc<Stop>) -> Kafka {
        let topics = Topic::ALL.map(|topic| topics::name(&cluster, topic));
        Kafka { cluster, topics, directory, file, stop, producer: None }
    }

    fn send(
        &self,
        producer: &BaseProducer<Delivery>,
        origin: Origin,
        record: &Record,
    ) -> Result<(), SinkError> {
        for (index, envelope) in events::of_record(origin, record).iter().enumerate() {
            let position = format!("{:016x}/{}/{}/{index}", origin.life, record.slot.get(), record.seq);
            let headers = OwnedHeaders::new().insert(Header { key: POSITION, value: Some(&position) });
            let headers = match record.trace.as_str() {
                "" => headers,
                trace => headers.insert(Header { key: TRACE_ID, value: Some(trace) }),
            };
            let topic = self.topic(envelope.topic);
            // Its timestamp is that of its sending: a broker refuses one that is ahead of its own clock, and the engine's time may be.
            let json = envelope.to_json();
            let mut message =
                BaseRecord::to(topic).key(&envelope.aggregate_id).payload(&json).headers(headers);
            // Its queue is full: some of it has to be delivered first.
            while let Err((error, refused)) = producer.send(message) {
                if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                    return Err(failed(&format!("event {} is refused", envelope.event_id), &error));
                }
                deliver(producer, &self.stop, 1)?;
                message = refused;
            }
            producer.context().sent();
        }
        Ok(())
    }

    fn topic(&self, topic: Topic) -> &str {
        let place = Topic::ALL.iter().position(|other| *other == topic).expect("all are there");
        &self.topics[place]
    }

    fn move_to(&self, cursor: &Cursor) -> Result<(), SinkError> {
        self.file.write(cursor).map_err(|error| SinkError::new(Trouble::Failed, error.to_string()))
    }
}

impl Sink for Kafka {
    fn name(&self) -> &'static str {
        "kafka"
    }

    /// Events are what was recorded: no state has them.
    fn start(&self) -> Start {
        Start::OldestRecord
    }

    fn open(&mut self) -> Result<Option<Cursor>, SinkError> {
        self.producer = None;
        let cursor =
            self.file.read().map_err(|error| SinkError::new(Trouble::Unreadable, error.to_string()))?;
        let producer: BaseProducer<Delivery> = self
            .cluster
            .config()
            .create_with_context(Delivery::default())
            .map_err(|error| failed("the producer cannot be made", &error))?;
        topics::make_missing(&self.cluster, &producer, &self.topics)?;
        self.producer = Some(producer);
        Ok(cursor)
    }

    fn check(&mut self) -> Result<(), SinkError> {
        let Some(producer) = &self.producer else { return Ok(()) };
        let metadata = producer.client().fetch_metadata(None, ANSWER_TIMEOUT);
        let checked = metadata.map(drop).map_err(|error| failed("the cluster does not answer", &error));
        if checked.is_err() {
            self.producer = None;
        }
        checked
    }

    fn discard(&mut self) -> Result<(), SinkError> {
        self.producer = None;
        self.file.remove().map_err(|error| SinkError::new(Trouble::Failed, error.to_string()))
    }

    fn begin_copy(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    fn copy_slot(&mut self, _: &Slot, _: u64) -> Result<(), SinkError> {
        Ok(())
    }

    fn end_copy(&mut self, cursor: &Cursor) -> Result<(), SinkError> {
        self.move_to(cursor)
    }

    fn write(&mut self, batch: &Batch, cursor: &Cursor) -> Result<(), SinkError> {
        let producer =
            self.producer.take().ok_or_else(|| SinkError::new(Trouble::Failed, "it is not open"))?;
        let origin = Origin { directory: self.directory, life: batch.life };
        for record in &batch.records {
            self.send(&producer, origin, record)?;
        }
        deliver(&producer, &self.stop, u64::MAX)?;
        self.move_to(cursor)?;
        self.producer = Some(producer);
        Ok(())
    }
}

fn failed(what: &str, error: &KafkaError) -> SinkError {
    // A client's configuration is repeated in its error; others have codes.
    let why = match error.rdkafka_error_code() {
        Some(code) => code.to_string(),
        None => "its configuration is refused".to_owned(),
    };
    SinkError::new(Trouble::Failed, format!("{what}: {why}"))
}
