//! The logs of this process as a source of sinks.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bridge::sink::{Batch, SinkError, Trouble};
use bridge::source::{self, Followed, Source, SourceError};
use engine::ids::{SlotId, Time};
use engine::record::{Label, Record};
use engine::state::Slot;
use wal::files::OsFiles;
use wal::follow::{Cursor, Follower, earliest, read_snapshot};
use wal::{Lsn, OpenError, Recover, SinkRegistry};

use super::posts::Posts;

/// Follows the logs for one sink.
pub(crate) struct LogSource {
    pub(crate) files: OsFiles,
    pub(crate) posts: Arc<Posts>,
    pub(crate) registry: Arc<Mutex<SinkRegistry>>,
    /// The sink's name in the registry.
    pub(crate) name: &'static str,
    /// The filter of the sink: the rest is passed over without being decoded.
    pub(crate) wants: fn(Label) -> bool,
    pub(crate) follower: Option<Follower>,
}

impl LogSource {
    fn beginning(&self) -> Cursor {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner).beginning()
    }

    fn durable(&self) -> Cursor {
        Cursor { cores: self.posts.durable(), ..self.beginning() }
    }

    /// The follower that stands at `at`.
    fn follower(&mut self, at: &Cursor) -> Result<Follower, SourceError> {
        match self.follower.take() {
            Some(follower) if follower.cursor() == at => Ok(follower),
            _ => Follower::new(self.files.clone(), at.clone(), &self.beginning())
                .map_err(|error| SourceError(error.to_string())),
        }
    }
}

impl Source for LogSource {
    fn admit(&mut self, at: Option<&Cursor>) -> Result<(), SinkError> {
        let relied = {
            let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(problem) = registry.problem() {
                // Whether it is behind cannot be known: it goes on, and nothing is relied on.
                tracing::warn!(sink = self.name, "what was relied on is not known: {problem}");
            }
            registry.sinks().get(self.name).and_then(|sink| sink.relied.clone())
        };
        source::judge(at, &self.durable(), relied.as_ref())
    }

    fn follow(&mut self, at: &Cursor, bytes_max: usize) -> Result<Followed, SourceError> {
        let reach = self.posts.reach();
        let mut follower = self.follower(at)?;
        let life = follower.cursor().life;
        let mut batch = Batch { life, records: Vec::new() };
        let (mut bytes, mut last) = (0, Vec::new());
        let decode = |bytes: &[u8]| Record::decode(bytes).map_err(|error| SourceError(error.to_string()));
        // An epoch of another life goes into a batch of its own.
        while bytes < bytes_max && follower.cursor().life == life {
            let next = follower.next(&reach).map_err(|error| SourceError(error.to_string()))?;
            let Some(records) = next else { break };
            let mut newest: &[u8] = &[];
            for record in records {
                bytes += record.len();
                newest = record;
                let label = Record::label_of(record).map_err(|error| SourceError(error.to_string()))?;
                if (self.wants)(label) {
                    batch.records.push(decode(record)?);
                }
            }
            last.clear();
            last.extend_from_slice(newest);
        }
        let last_time: Option<Time> = match last.is_empty() {
            true => None,
            false => Some(decode(&last)?.time),
        };
        let cursor = follower.cursor().clone();
        self.follower = Some(follower);
        Ok(Followed { batch, cursor, last_time })
    }

    fn copy(
        &mut self,
        each: &mut dyn FnMut(Slot, u64) -> Result<(), SinkError>,
    ) -> Result<Cursor, SinkError> {
        self.follower = None;
        let mut cursor = self.beginning();
        for core in 0..cursor.cores.len() {
            let life = cursor.life;
            let mut images = Images { slot: None, refused: None, life, each };
            let read = read_snapshot(&self.files, &cursor, core as u16, &mut images);
            let begin = read.map_err(|error| images.error(error))?;
            images.give().map_err(|error| error.1)?;
            cursor.cores[core] = begin;
        }
        Ok(cursor)
    }

    fn oldest(&mut self) -> Result<Cursor, SourceError> {
        self.follower = None;
        earliest(&self.files, &self.beginning()).map_err(|error| SourceError(error.to_string()))
    }

    fn backlog(&mut self, at: &Cursor) -> u64 {
        let durable = self.durable();
        let behind = |(durable, at): (&Lsn, &Lsn)| durable.0.saturating_sub(at.0);
        if (at.life, at.epoch) == (durable.life, durable.epoch) {
            durable.cores.iter().zip(&at.cores).map(behind).sum()
        } else {
            // And what is left of the epochs before.
            durable.cores.iter().map(|lsn| lsn.0).sum::<u64>().max(1)
        }
    }

    fn wait(&mut self, timeout: Duration) {
        let seen = self.follower.as_ref().map(|follower| follower.cursor().cores.clone());
        self.posts.wait(&seen.unwrap_or_default(), timeout);
    }
}

/// The slots of a snapshot, given on as each is whole.
struct Images<'a> {
    slot: Option<Slot>,
    refused: Option<SinkError>,
    life: u64,
    each: &'a mut dyn FnMut(Slot, u64) -> Result<(), SinkError>,
}

impl Images<'_> {
    /// Gives on the slot that is whole.
    fn give(&mut self) -> Result<(), (String, SinkError)> {
        match self.slot.take() {
            Some(slot) if !slot.is_blank() => {
                (self.each)(slot, self.life).map_err(|error| (error.to_string(), error))
            }
            _ => Ok(()),
        }
    }

    /// The sink's own error where it was that, else that of the snapshot.
    fn error(&mut self, error: OpenError) -> SinkError {
        self.refused.take().unwrap_or_else(|| SinkError::new(Trouble::Source, error.to_string()))
    }
}

impl Recover for Images<'_> {
    fn piece(&mut self, slot: u16, _: Lsn, image: &[u8]) -> Result<(), String> {
        let id = SlotId::new(slot);
        if self.slot.as_ref().is_none_or(|open| open.id() != id) {
            self.give().map_err(|(text, error)| {
                self.refused = Some(error);
                text
            })?;
            self.slot = Some(Slot::new(id));
        }
        let open = self.slot.as_mut().expect("made above");
        // A slot to which nothing ever happened has an empty image.
        if image.is_empty() { Ok(()) } else { open.restore_piece(image).map_err(|error| error.to_string()) }
    }

    fn record(&mut self, _: Lsn, _: &[u8]) -> Result<(), String> {
        Err("a snapshot has no records".to_owned())
    }
}
