//! The open partitions of a slot, and which of them needs attention next.

use alloc::collections::BTreeMap;
use core::ops::Bound;

use super::Partition;
use crate::due_index::DueIndex;
use crate::ids::{PartitionKey, Time};
use crate::record::PartitionOpened;

/// By key, with an index for each kind of attention. Every change of a partition goes through `change`, so that they follow.
#[derive(Debug, Default)]
pub struct Partitions {
    by_key: BTreeMap<PartitionKey, Partition>,
    /// By [`Partition::next_due`]; derived.
    due: DueIndex<PartitionKey>,
    /// By the end of their run; derived.
    departures: DueIndex<PartitionKey>,
    /// By [`Partition::kept_since`]; derived.
    kept: DueIndex<PartitionKey>,
    /// By [`Partition::next_end`]; derived.
    ended: DueIndex<PartitionKey>,
    /// Estimated bytes; derived.
    memory_estimate: usize,
}

impl Partitions {
    #[must_use]
    pub fn get(&self, key: &PartitionKey) -> Option<&Partition> {
        self.by_key.get(key)
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&PartitionKey, &Partition)> {
        self.by_key.iter()
    }

    pub(super) fn memory_estimate(&self) -> usize {
        self.memory_estimate
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// The open partitions of a run (`train|date`), by class.
    pub fn of_run<'a>(&'a self, run: &'a str) -> impl Iterator<Item = (&'a PartitionKey, &'a Partition)> {
        self.by_key
            .range::<str, _>((Bound::Included(run), Bound::Unbounded))
            .take_while(move |(key, _)| key.as_str().starts_with(run))
            .filter(move |(key, _)| key.run() == Some(run))
    }

    #[must_use]
    pub fn next_due(&self) -> Option<(Time, &PartitionKey)> {
        self.due.first()
    }

    /// Partitions with ended holds that may be forgotten, the one with the first of them first.
    pub fn with_ended(&self) -> impl Iterator<Item = (&PartitionKey, &Partition)> {
        self.ended.iter().map(|(_, key)| (key, &self.by_key[key]))
    }

    /// The partition whose run ended first, unless something in it is still under way.
    #[must_use]
    pub fn next_departed(&self) -> Option<(Time, &PartitionKey)> {
        let (at, key) = self.departures.first()?;
        self.by_key.get(key)?.is_settled().then_some((at, key))
    }

    /// Ad hoc partitions that have sold seats and nothing under way, and since when nothing of them has changed; the longest
    /// unchanged first.
    pub(super) fn kept(&self) -> impl Iterator<Item = (Time, &PartitionKey)> {
        self.kept.iter().filter(|(_, key)| self.by_key[*key].is_settled())
    }

    /// For its image: nothing that is derived may change.
    pub(super) fn get_for_image(&mut self, key: &PartitionKey) -> Option<&mut Partition> {
        self.by_key.get_mut(key)
    }

    pub(super) fn iter_for_image(&mut self) -> impl Iterator<Item = (&PartitionKey, &mut Partition)> {
        self.by_key.iter_mut()
    }

    pub(super) fn last_key(&self) -> Option<&PartitionKey> {
        self.by_key.last_key_value().map(|(key, _)| key)
    }

    pub(super) fn open(&mut self, opened: &PartitionOpened, at: Time) {
        let mut partition = Partition::open(opened, at);
        // Classes of one run share one definition in memory.
        if partition.run.is_some()
            && let Some(run) = opened.partition.run()
            && let Some(shared) = self.of_run(run).find_map(|(_, p)| p.run.clone())
            && Some(&*shared) == opened.run.as_ref()
        {
            partition.run = Some(shared);
        }
        self.due.reschedule(&opened.partition, None, partition.next_due());
        self.departures.reschedule(&opened.partition, None, partition.ends_at());
        self.memory_estimate += partition.memory_estimate;
        let before = self.by_key.insert(opened.partition.clone(), partition);
        assert!(before.is_none(), "a partition is opened once");
    }

    pub(super) fn forget(&mut self, key: &PartitionKey) -> Partition {
        let partition = self.by_key.remove(key).expect("a forgotten partition was open");
        self.memory_estimate -= partition.memory_estimate;
        self.due.reschedule(key, partition.next_due(), None);
        self.departures.reschedule(key, partition.ends_at(), None);
        self.kept.reschedule(key, partition.kept_since(), None);
        self.ended.reschedule(key, partition.next_end(), None);
        partition
    }

    /// Every change of a partition goes through here, so that the index follows.
    pub(super) fn change(&mut self, key: &PartitionKey, change: impl FnOnce(&mut Partition)) {
        let partition = self.by_key.get_mut(key).expect("a logged change is of an open partition");
        let (due, kept, ended) = (partition.next_due(), partition.kept_since(), partition.next_end());
        let memory_estimate = partition.memory_estimate;
        change(partition);
        self.memory_estimate = self.memory_estimate - memory_estimate + partition.memory_estimate;
        self.due.reschedule(key, due, partition.next_due());
        self.kept.reschedule(key, kept, partition.kept_since());
        self.ended.reschedule(key, ended, partition.next_end());
    }
}
