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
pub(crate) mod leave;
mod orders;
mod purchases;
pub(crate) mod sale;
pub(crate) mod state;
mod turns;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use engine::decide::Policy;
use engine::ids::{HoldId, OrderId, OrderKey, PartitionKey, SlotId, Time, TxnId};
use engine::record::{Body, HoldRow, Record};
use engine::slots::{SlotHash, core_of};

use crate::timetable::Edition;

use apply::Applying;
pub(crate) use apply::Seen;
use state::{Left, RecordPlace, Slot};
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
    /// The read model has been made anew: it does not have what had left before.
    pub history_lost: bool,
    under_way: UnderWay,
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
    /// Keys of orders that have left.
    pub left_keys: BTreeSet<OrderKey>,
    pub created_again: u64,
}

/// Payments of the process that runs, which keep their order from leaving.
#[derive(Debug, Default)]
struct UnderWay {
    /// Claimed while their order was there.
    claimed: BTreeSet<(OrderId, TxnId)>,
    /// Answered with: not now.
    given_up: BTreeSet<(OrderId, TxnId)>,
    /// Owed back for an order that had left when they were counted.
    late: Vec<(OrderId, TxnId)>,
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
            history_lost: false,
            under_way: UnderWay::default(),
            seen: Seen::default(),
            records: 0,
            memory: Memory::default(),
        }
    }

    /// A core has had a turn, at what its calendar showed; its engine time is `ended` now. `relied`: the last record of its log that the read
    /// model was relied on for.
    pub(crate) fn turned(&mut self, core: u16, calendar: Time, ended: Time, relied: Option<u64>) {
        self.turns[usize::from(core)].push(calendar, ended, relied);
    }

    /// A payment was answered with: not now.
    pub(crate) fn gave_up(&mut self, order: OrderId, txn: &TxnId) {
        self.under_way.given_up.insert((order, txn.clone()));
    }

    /// After a turn: a payment whose order was there when it was claimed has kept that one, unless it was given up.
    ///
    /// # Panics
    /// When it is not so.
    pub(crate) fn nothing_left_under_way(&mut self) {
        for late in std::mem::take(&mut self.under_way.late) {
            let UnderWay { claimed, given_up, .. } = &self.under_way;
            assert!(
                !claimed.contains(&late) || given_up.contains(&late),
                "it left under a payment: {late:?}"
            );
        }
    }

    /// Turns that the core of a slot has had.
    pub(crate) fn turns_at(&self, slot: SlotId) -> usize {
        self.turns[usize::from(core_of(slot, self.cores))].len()
    }

    /// Times that the calendar has shown to the core of a slot since it had had so many turns.
    pub(crate) fn calendars_since(&self, slot: SlotId, turns: usize) -> Vec<Time> {
        self.turns[usize::from(core_of(slot, self.cores))].since(turns)
    }

    /// A core has given this frame to its disk. `first` is the place of its first record.
    ///
    /// # Panics
    /// When one of its records does not follow from what was before.
    pub(crate) fn written(&mut self, first: RecordPlace, bytes: &[u8]) {
        let RecordPlace { core, .. } = first;
        let flight = &self.flights[usize::from(core)];
        assert!(flight.is_empty(), "core {core} writes while a write is in flight");
        for (lsn, bytes) in (first.lsn..).zip(frame::records(bytes)) {
            let record = Record::decode(bytes).expect("a record as it was encoded a moment ago");
            self.record(RecordPlace { lsn, ..first }, &record);
        }
    }

    fn record(&mut self, place: RecordPlace, record: &Record) {
        let (here, core) = (record.slot, place.core);
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
        let applying = Applying {
            slot: (*before).clone(),
            time: record.time,
            calendars: &calendars,
            latest: self.turns.iter().map(Turns::latest).max().unwrap_or_default(),
            place,
            relied: self.turns[usize::from(core)].relied(record.time),
            history_lost: self.history_lost,
            inputs: &self.inputs,
            others: &known,
            seen: Seen::default(),
        };
        let (after, seen) = match apply::apply(applying, &record.body) {
            Ok(next) => next,
            Err(wrong) => panic!("core {core} records what cannot be: {wrong}: {record:?}"),
        };
        match &record.body {
            Body::TxnClaimed { txn, order, .. } if known.slot(order.slot()).orders.contains_key(order) => {
                self.under_way.claimed.insert((*order, txn.clone()));
            }
            Body::RefundOwed(row) if seen.claims_late + seen.left_paid > 0 => {
                let order = OrderId::parse(row.order.as_str()).expect("the id of an order that has left");
                self.under_way.late.push((order, row.txn.clone()));
            }
            _ => {}
        }
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
        self.under_way = UnderWay::default();
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

    /// The slot of this id, after the last of its records.
    pub(crate) fn slot(&self, slot: SlotId) -> Rc<Slot> {
        self.slots.get(&slot).map(Versions::written).unwrap_or_default()
    }

    /// The order as it was when it left.
    #[must_use]
    pub(crate) fn left(&self, order: OrderId) -> Option<Rc<Left>> {
        self.slot(order.slot()).left.get(&order).cloned()
    }

    /// Something on the core of this slot that may go for want of memory.
    #[must_use]
    pub(crate) fn reclaimable(&self, slot: SlotId, now: Time, has_read_model: bool) -> Option<String> {
        let core = core_of(slot, self.cores);
        let slots = self.latest().filter(|(slot, _)| core_of(*slot, self.cores) == core);
        { slots }.find_map(|(_, slot)| slot.reclaimable(now, has_read_model))
    }

    /// The records that there are of all slots.
    pub(crate) fn written_records(&self) -> usize {
        self.slots.values().map(|versions| versions.all.len()).sum()
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
        self.given_up += other.given_up;
        self.left += other.left;
        self.left_early += other.left_early;
        self.left_with_money += other.left_with_money;
        self.leaving += other.leaving;
        self.stayed += other.stayed;
        self.kept += other.kept;
        self.kept_past_end += other.kept_past_end;
        self.claims_forgotten += other.claims_forgotten;
        self.claims_late += other.claims_late;
        self.left_paid += other.left_paid;
        self.left_refunds += other.left_refunds;
        self.history_lost += other.history_lost;
        self.abandoned += other.abandoned;
        self.declined += other.declined;
        self.refunds += other.refunds;
        self.tickets += other.tickets;
        self.purchases += other.purchases;
        self.purchases_paid += other.purchases_paid;
        self.purchases_cancelled += other.purchases_cancelled;
        self.purchases_expired += other.purchases_expired;
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
            Body::PurchaseMade(row) => {
                self.hold_made(&row.hold);
                self.created_again += u64::from(self.left_keys.contains(&row.order.key));
            }
            Body::OrdersForgotten { orders } => {
                self.left_keys.extend(orders.iter().map(|order| before.orders[order].row.key.clone()));
            }
            Body::OrderCreated(row) => self.created_again += u64::from(self.left_keys.contains(&row.key)),
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
