//! The model: what every slot must be, told from nothing but the records as they go to the disk. Plain maps and grids, and
//! rules of its own for what may follow from what. Of the engine it takes the types that records are made of, and where a
//! key lives; none of its decisions, and none of its state.
//!
//! Records of one core may rest on everything that stands before them in the same log. What another core has recorded they
//! may rest on only once that is durable: nothing else can have been said.

mod apply;
mod compare;
pub(crate) mod frame;
mod holds;
mod orders;
pub(crate) mod sale;
pub(crate) mod state;
mod turns;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use engine::decide::Policy;
use engine::ids::{HoldId, OrderId, PartitionKey, SlotId, Time};
use engine::record::{Body, HoldRow, Record};
use engine::slots::{SlotHash, core_of};

use crate::timetable::Edition;

pub(crate) use apply::Seen;
use state::Slot;
use turns::Turns;

/// Everything beside the state that decisions were made by.
#[derive(Clone, Debug)]
pub(crate) struct DecisionInputs {
    pub hash: SlotHash,
    pub policy: Policy,
    pub edition: Edition,
    /// Memory is short, so that what has ended may go before its time, and sales are refused.
    pub is_tight: bool,
}

/// A hold as a client can tell it from others.
pub(crate) type SeenHold = (PartitionKey, HoldId, Time);

/// A slot that the author of a record may know of.
trait Others {
    fn here(&self) -> SlotId;
    fn slot(&self, slot: SlotId) -> Rc<Slot>;
}

/// A slot after each of its records; the first version is the blank one.
#[derive(Debug)]
struct Versions {
    all: Vec<Rc<Slot>>,
    durable: usize,
}

/// The model of all slots: [`written`](Model::written) frames are held against its rules, [`durable`](Model::durable) ones may be
/// shown, and what a restart finds is [`recovered`](Model::recovered).
#[derive(Debug)]
pub(crate) struct Model {
    pub inputs: DecisionInputs,
    cores: u16,
    slots: BTreeMap<SlotId, Versions>,
    /// By core: the frame that is being written, as the slots it changes and how far each comes.
    flights: Vec<Vec<(SlotId, usize)>>,
    /// By core: the frame that was made durable last.
    last_frames: Vec<Vec<(SlotId, usize)>>,
    /// By core: the turns of the process that runs.
    turns: Vec<Turns>,
    seen: Seen,
    pub records: u64,
    pub memory: Memory,
}

/// Memory beyond the state: it never forgets here, whatever a crash takes away.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory {
    pub forgotten: BTreeSet<PartitionKey>,
    pub made: BTreeMap<SeenHold, u64>,
    pub ids: BTreeSet<(PartitionKey, HoldId)>,
    /// Holds that clients cannot tell from another one.
    pub twins: BTreeSet<SeenHold>,
    /// Partitions that were forgotten with sold seats, and when first: those may be sold again.
    pub let_go: BTreeMap<PartitionKey, Time>,
    pub reopened: u64,
    pub made_again: u64,
}

struct Known<'a> {
    slots: &'a BTreeMap<SlotId, Versions>,
    cores: u16,
    core: u16,
    here: SlotId,
    blank: RefCell<Option<Rc<Slot>>>,
}

impl Others for Known<'_> {
    fn here(&self) -> SlotId {
        self.here
    }

    fn slot(&self, slot: SlotId) -> Rc<Slot> {
        match self.slots.get(&slot) {
            Some(versions) if core_of(slot, self.cores) == self.core => versions.written(),
            Some(versions) => versions.all[versions.durable].clone(),
            None => self.blank.borrow_mut().get_or_insert_default().clone(),
        }
    }
}

impl Versions {
    fn written(&self) -> Rc<Slot> {
        self.all.last().expect("there is always the blank one").clone()
    }
}

impl Model {
    #[must_use]
    pub(crate) fn new(inputs: DecisionInputs, cores: u16) -> Model {
        Model {
            inputs,
            cores,
            slots: BTreeMap::new(),
            flights: vec![Vec::new(); usize::from(cores)],
            last_frames: vec![Vec::new(); usize::from(cores)],
            turns: vec![Turns::default(); usize::from(cores)],
            seen: Seen::default(),
            records: 0,
            memory: Memory::default(),
        }
    }

    /// A core has had a turn, at what its calendar showed; its engine time is `ended` now.
    pub(crate) fn turned(&mut self, core: u16, calendar: Time, ended: Time) {
        self.turns[usize::from(core)].push(calendar, ended);
    }

    /// Turns that the core of a slot has had.
    pub(crate) fn turns_at(&self, slot: SlotId) -> usize {
        self.turns[usize::from(core_of(slot, self.cores))].len()
    }

    /// Times that the calendar has shown to the core of a slot since it had had so many turns.
    pub(crate) fn calendars_since(&self, slot: SlotId, turns: usize) -> Vec<Time> {
        self.turns[usize::from(core_of(slot, self.cores))].since(turns)
    }

    /// A core has given this frame to its disk.
    ///
    /// # Panics
    /// When one of its records does not follow from what was before.
    pub(crate) fn written(&mut self, core: u16, bytes: &[u8]) {
        let flight = &self.flights[usize::from(core)];
        assert!(flight.is_empty(), "core {core} writes while a write is in flight");
        for bytes in frame::records(bytes) {
            let record = Record::decode(bytes).expect("a record as it was encoded a moment ago");
            self.record(core, &record);
        }
    }

    fn record(&mut self, core: u16, record: &Record) {
        let here = record.slot;
        assert_eq!(
            core_of(here, self.cores),
            core,
            "core {core} records for a slot that is not its: {record:?}"
        );
        self.slots.entry(here).or_insert_with(|| Versions { all: vec![Rc::default()], durable: 0 });
        let known = Known { slots: &self.slots, cores: self.cores, core, here, blank: RefCell::new(None) };
        let versions = &self.slots[&here];
        assert_eq!(
            record.seq,
            versions.all.len() as u64,
            "the records of a slot follow one another: {record:?}"
        );
        let calendars = self.turns[usize::from(core)].at(record.time);
        let before = versions.written();
        let (after, seen) = match apply::apply(&before, record, &calendars, &self.inputs, &known) {
            Ok(next) => next,
            Err(wrong) => panic!("core {core} records what cannot be: {wrong}: {record:?}"),
        };
        self.seen.add(seen);
        self.records += 1;
        self.memory.record(record, &before);
        let versions = self.slots.get_mut(&here).expect("made above");
        versions.all.push(Rc::new(after));
        self.flights[usize::from(core)].push((here, versions.all.len() - 1));
    }

    /// Everything that the core has given to its disk is durable.
    pub(crate) fn durable(&mut self, core: u16) {
        let flight = std::mem::take(&mut self.flights[usize::from(core)]);
        for (slot, seq) in &flight {
            self.slots.get_mut(slot).expect("written before").durable = *seq;
        }
        if !flight.is_empty() {
            self.last_frames[usize::from(core)] = flight;
        }
    }

    /// The process has died and another one has recovered, with slots as far as `found` says. Everything durable must be
    /// there, and a frame is there as a whole or not at all.
    ///
    /// # Panics
    /// When it is not.
    pub(crate) fn recovered(&mut self, found: &BTreeMap<SlotId, u64>, inputs: DecisionInputs, cores: u16) {
        for slot in found.keys() {
            assert!(self.slots.contains_key(slot), "slot {} comes back with records of nobody", slot.get());
        }
        for (flight, last) in self.flights.iter().zip(&mut self.last_frames) {
            let survived =
                |(slot, seq): &&(SlotId, usize)| found.get(slot).copied().unwrap_or(0) >= *seq as u64;
            let survivors = flight.iter().filter(survived).count();
            assert!(survivors == 0 || survivors == flight.len(), "half of a frame survived: {flight:?}");
            if survivors > 0 {
                last.clone_from(flight);
            }
        }
        for (slot, versions) in &mut self.slots {
            let seq = found.get(slot).copied().unwrap_or(0) as usize;
            let (durable, written) = (versions.durable, versions.all.len() - 1);
            let slot = slot.get();
            assert!(seq >= durable, "slot {slot} comes back at record {seq}, and {durable} was durable");
            assert!(seq <= written, "slot {slot} comes back at record {seq}, and {written} was written");
            versions.all.truncate(seq + 1);
            versions.durable = seq;
        }
        self.inputs = inputs;
        if cores != self.cores {
            // New logs, which begin behind snapshots.
            self.last_frames = vec![Vec::new(); usize::from(cores)];
        }
        self.cores = cores;
        self.flights = vec![Vec::new(); usize::from(cores)];
        self.turns = vec![Turns::default(); usize::from(cores)];
    }

    /// True where a start that found these slots has lost nothing but the last frame of some cores, whole.
    #[must_use]
    pub(crate) fn lacks_last_frames_only(&self, found: &BTreeMap<SlotId, u64>) -> bool {
        self.slots.iter().all(|(slot, versions)| {
            let seq = found.get(slot).copied().unwrap_or(0) as usize;
            let last = self.last_frames.iter().flatten().filter(|(of, _)| of == slot).count();
            seq + last >= versions.durable
        })
    }

    /// The last record of a slot, durable or not.
    #[must_use]
    pub(crate) fn seq(&self, slot: SlotId) -> usize {
        self.slots.get(&slot).map_or(0, |versions| versions.all.len() - 1)
    }

    /// The slot after its record `seq`.
    #[must_use]
    pub(crate) fn version(&self, slot: SlotId, seq: usize) -> Option<Rc<Slot>> {
        match self.slots.get(&slot) {
            Some(versions) => versions.all.get(seq).cloned(),
            None => (seq == 0).then(Rc::default),
        }
    }

    /// The states that an answer may have been given from: from record `from` of the slot to what is durable.
    pub(crate) fn window(&self, slot: SlotId, from: usize) -> Vec<Rc<Slot>> {
        match self.slots.get(&slot) {
            Some(versions) if from <= versions.durable => versions.all[from..=versions.durable].to_vec(),
            Some(_) => Vec::new(),
            None => vec![Rc::default()],
        }
    }

    /// Every slot that has records, as it is after the last of them.
    pub(crate) fn latest(&self) -> impl Iterator<Item = (SlotId, Rc<Slot>)> {
        self.slots.iter().map(|(slot, versions)| (*slot, versions.written()))
    }

    /// A partition of that key was forgotten once.
    #[must_use]
    pub(crate) fn has_forgotten(&self, key: &PartitionKey) -> bool {
        self.memory.forgotten.contains(key)
    }

    /// The order has gone for want of memory.
    #[must_use]
    pub(crate) fn has_dropped(&self, order: OrderId) -> bool {
        self.slots.get(&order.slot()).is_some_and(|versions| versions.written().dropped.contains(&order))
    }

    /// Something on the core of this slot that may go for want of memory.
    #[must_use]
    pub(crate) fn reclaimable(&self, slot: SlotId, now: Time) -> Option<String> {
        let core = core_of(slot, self.cores);
        let slots = self.latest().filter(|(slot, _)| core_of(*slot, self.cores) == core);
        { slots }.find_map(|(_, slot)| slot.reclaimable(now))
    }

    /// The findings in records since this was last asked.
    pub(crate) fn take_seen(&mut self) -> Seen {
        std::mem::take(&mut self.seen)
    }
}

impl Seen {
    fn add(&mut self, other: Seen) {
        self.expired += other.expired;
        self.forgotten += other.forgotten;
        self.forgotten_early += other.forgotten_early;
        self.departed += other.departed;
        self.kept_over += other.kept_over;
        self.gave_way += other.gave_way;
        self.dropped += other.dropped;
        self.dropped_paid += other.dropped_paid;
        self.dropped_claims += other.dropped_claims;
        self.abandoned += other.abandoned;
        self.declined += other.declined;
        self.refunds += other.refunds;
        self.tickets += other.tickets;
    }
}

impl Memory {
    fn record(&mut self, record: &Record, before: &Slot) {
        match &record.body {
            Body::PartitionOpened(opened) => {
                self.reopened += u64::from(self.forgotten.contains(&opened.partition));
            }
            Body::PartitionForgotten { partition } => {
                self.forgotten.insert(partition.clone());
                if before.partitions[partition].has_sold() {
                    // A crash may take the record away, and the clock may have been set back when it comes again.
                    let first = self.let_go.entry(partition.clone()).or_insert(record.time);
                    *first = record.time.min(*first);
                }
            }
            Body::HoldMade(row) => self.hold_made(row),
            _ => {}
        }
    }

    fn hold_made(&mut self, row: &HoldRow) {
        let is_first = self.ids.insert((row.partition.clone(), row.hold.clone()));
        self.made_again += u64::from(!is_first);
        let seen = (row.partition.clone(), row.hold.clone(), row.deadline);
        if self.made.insert(seen.clone(), row.made).is_some_and(|made| made != row.made) {
            self.twins.insert(seen);
        }
    }
}
