//! The rings between cores: bounded, one for each ordered pair, first in first out. What does not fit waits with its sender.
//! As in the server, no order is kept between pairs. Parcels are late, doubled, or not received at all, as faults will have it,
//! and messages overtake each other within a ring: no order of them is promised.

use std::cell::{RefCell, RefMut};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use engine::answer::Reply;
use shard::{Caller, Parcel, Peers};

use crate::plan::Plan;
use crate::rng::Rng;

/// A second copy arrives within one of these numbers of steps, picked at random.
const COPY_STEPS: [usize; 5] = [1, 20, 200, 2_000, 10_000];

/// A message overtakes only parcels that were sent less than so many before it. It keeps within the replay window for asks:
/// one that comes later than that would be dropped as a second copy.
const OVERTAKEN_MAX: u64 = 16;

#[derive(Debug, Default)]
struct Ring {
    waiting: VecDeque<Parcel>,
    /// With their numbers in the order in which they were sent.
    inside: VecDeque<(u64, Parcel)>,
    /// Parcels that have been inside so far.
    sent: u64,
    /// Second copies, and the steps before which they do not arrive.
    copies: Vec<(u64, Parcel)>,
    /// Nothing arrives before this step.
    held_until: u64,
}

impl Ring {
    /// Messages behind the oldest parcel that are young enough to overtake it.
    fn overtaking(&self) -> Vec<usize> {
        let Some((oldest, _)) = self.inside.front() else { return Vec::new() };
        let near = self.inside.iter().take_while(|(number, _)| number - oldest < OVERTAKEN_MAX);
        let messages =
            near.enumerate().skip(1).filter(|(_, (_, parcel))| matches!(parcel, Parcel::Message(_)));
        messages.map(|(place, _)| place).collect()
    }

    fn parcels(&self) -> impl Iterator<Item = &Parcel> {
        self.inside.iter().map(|(_, parcel)| parcel).chain(&self.waiting)
    }

    fn copy(&self, step: u64) -> Option<usize> {
        self.copies.iter().position(|(at, _)| *at <= step)
    }

    /// The steps until which faults hold something back, over or still to come.
    fn late(&self) -> impl Iterator<Item = u64> {
        self.copies.iter().map(|(at, _)| *at).chain([self.held_until])
    }

    fn arrived(&self, step: u64) -> bool {
        self.held_until <= step && (!self.inside.is_empty() || self.copy(step).is_some())
    }
}

/// All rings of a process.
#[derive(Debug)]
pub(crate) struct Rings {
    rings: Vec<Ring>,
    cores: usize,
    /// By core: its signal, as the process has it.
    signals: Arc<[AtomicBool]>,
    capacity: usize,
    /// Parcels that wait with their sender before a ring counts as jammed.
    jam: usize,
    /// Cores that receive nothing any more.
    pub stopped: Vec<bool>,
    /// Of a hundred messages so many arrive twice.
    pub doubled_percent: u32,
    /// Second copies that are still to come wait until somebody [hurries](Rings::hurry_copies) them.
    pub keeps_copies: bool,
    /// Of a hundred parcels so many are overtaken.
    overtakes_percent: u32,
    /// The step that the world is at.
    step: u64,
    /// Parcels that the core whose turn it is may still receive.
    pub receivable: usize,
    /// Replies that left a core for another one, since somebody last looked.
    pub replies: Vec<(Caller, Reply)>,
    /// Since somebody last looked: messages that were doubled or came too soon, flushes that found a ring full, and looks at a jammed one.
    pub doubled: u64,
    pub overtaken: u64,
    pub full: u64,
    pub jammed: u64,
    rng: Rng,
}

impl Rings {
    #[must_use]
    pub(crate) fn new(signals: Arc<[AtomicBool]>, plan: &Plan, rng: Rng) -> Rings {
        let cores = signals.len();
        Rings {
            rings: (0..cores * cores).map(|_| Ring::default()).collect(),
            cores,
            signals,
            capacity: plan.ring_parcels,
            jam: plan.jam_parcels,
            stopped: vec![false; cores],
            doubled_percent: plan.doubled_percent,
            keeps_copies: false,
            overtakes_percent: plan.overtakes_percent,
            step: 0,
            receivable: usize::MAX,
            replies: Vec::new(),
            doubled: 0,
            overtaken: 0,
            full: 0,
            jammed: 0,
            rng,
        }
    }

    fn ring(&self, from: u16, to: u16) -> &Ring {
        &self.rings[usize::from(from) * self.cores + usize::from(to)]
    }

    fn ring_mut(&mut self, from: u16, to: u16) -> &mut Ring {
        &mut self.rings[usize::from(from) * self.cores + usize::from(to)]
    }

    /// Cores that something has arrived from.
    fn arrived(&self, to: u16) -> impl Iterator<Item = u16> {
        let stopped = self.stopped[usize::from(to)];
        let others = (0..self.cores as u16).filter(move |_| !stopped);
        others.filter(move |from| self.ring(*from, to).arrived(self.step))
    }

    /// The world is at this step now. What a fault held back until then arrives, and its receiver is signalled.
    pub(crate) fn go_on_to(&mut self, step: u64) {
        let before = std::mem::replace(&mut self.step, step);
        for (place, ring) in self.rings.iter().enumerate() {
            if ring.late().any(|until| before < until && until <= step) {
                self.signal(place % self.cores);
            }
        }
    }

    fn signal(&self, core: usize) {
        self.signals[core].store(true, Ordering::Relaxed);
    }

    /// Something has arrived at a core that it has not received.
    #[must_use]
    pub(crate) fn has_arrived(&self, to: u16) -> bool {
        self.arrived(to).next().is_some()
    }

    /// The next parcel, and whether it is the second copy of one.
    fn receive(&mut self, to: u16) -> Option<(Parcel, bool)> {
        let from: Vec<u16> = self.arrived(to).collect();
        if from.is_empty() || self.receivable == 0 {
            return None;
        }
        self.receivable -= 1;
        let (from, step) = (*self.rng.pick(&from), self.step);
        let ring = self.ring_mut(from, to);
        let copy = ring.copy(step).map(|place| ring.copies.remove(place).1);
        let is_copy = copy.is_some();
        let parcel = copy.unwrap_or_else(|| self.take(from, to));
        if matches!(parcel, Parcel::Message(_)) && self.rng.percent(self.doubled_percent) {
            let most = *self.rng.pick(&COPY_STEPS);
            let at = step + self.rng.below(most) as u64;
            self.ring_mut(from, to).copies.push((at, parcel.clone()));
            self.doubled += 1;
        }
        Some((parcel, is_copy))
    }

    /// The oldest parcel of a ring, or a message that overtakes it.
    fn take(&mut self, from: u16, to: u16) -> Parcel {
        let overtaking = self.ring(from, to).overtaking();
        let mut place = 0;
        if !overtaking.is_empty() && self.rng.percent(self.overtakes_percent) {
            place = *self.rng.pick(&overtaking);
            self.overtaken += 1;
        }
        let (_, parcel) = self.ring_mut(from, to).inside.remove(place).expect("something has arrived");
        parcel
    }

    fn is_jammed(&self, from: u16, to: u16) -> bool {
        self.ring(from, to).waiting.len() >= self.jam
    }

    /// Nothing of this pair arrives before that step. Whether something is on its way now.
    pub(crate) fn hold(&mut self, from: u16, to: u16, until: u64) -> bool {
        let ring = self.ring_mut(from, to);
        ring.held_until = until;
        !ring.inside.is_empty()
    }

    /// No more faults: everything arrives, and whoever something was kept from is signalled.
    pub(crate) fn release_all(&mut self) {
        for place in 0..self.rings.len() {
            let to = place % self.cores;
            if self.stopped[to] || self.rings[place].late().any(|until| until > self.step) {
                self.signal(to);
            }
            let ring = &mut self.rings[place];
            ring.held_until = 0;
            if !self.keeps_copies {
                ring.copies.iter_mut().for_each(|(at, _)| *at = 0);
            }
        }
        self.stopped.fill(false);
    }

    /// Second copies that are still to come arrive now.
    pub(crate) fn hurry_copies(&mut self) {
        for place in 0..self.rings.len() {
            let ring = &mut self.rings[place];
            let is_late = !ring.copies.is_empty();
            ring.copies.iter_mut().for_each(|(at, _)| *at = 0);
            if is_late {
                self.signal(place % self.cores);
            }
        }
    }

    /// Nothing is on its way, but for second copies.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.rings.iter().all(|ring| ring.parcels().next().is_none())
    }

    /// Messages on their way, second copies not among them.
    #[must_use]
    pub(crate) fn messages(&self) -> usize {
        let is_message = |parcel: &&Parcel| matches!(parcel, Parcel::Message(_));
        self.rings.iter().flat_map(Ring::parcels).filter(is_message).count()
    }
}

/// One core's ends of the rings.
#[derive(Debug)]
pub(crate) struct SimPeers {
    core: u16,
    rings: Rc<RefCell<Rings>>,
    balance: i64,
}

impl SimPeers {
    #[must_use]
    pub(crate) fn new(core: u16, rings: Rc<RefCell<Rings>>) -> SimPeers {
        SimPeers { core, rings, balance: 0 }
    }

    fn rings(&self) -> RefMut<'_, Rings> {
        self.rings.borrow_mut()
    }
}

impl Peers for SimPeers {
    fn send(&mut self, core: u16, parcel: Parcel) {
        assert_ne!(self.core, core, "what stays on a core takes no ring");
        let mut rings = self.rings();
        let is_jammed = rings.is_jammed(self.core, core);
        match &parcel {
            Parcel::Command { .. } | Parcel::Batch(_) => {
                assert!(!is_jammed, "a command is sent into a jammed ring");
            }
            Parcel::Reply { caller, reply } => rings.replies.push((*caller, reply.clone())),
            Parcel::Replies(replies) => rings.replies.extend(replies.iter().cloned()),
            Parcel::Message(_) => {}
        }
        rings.ring_mut(self.core, core).waiting.push_back(parcel);
        drop(rings);
        self.balance += 1;
    }

    fn flush(&mut self) {
        let mut rings = self.rings();
        let capacity = rings.capacity;
        let mut full = false;
        for to in 0..rings.cores as u16 {
            let ring = rings.ring_mut(self.core, to);
            let room = capacity.saturating_sub(ring.inside.len()).min(ring.waiting.len());
            for parcel in ring.waiting.drain(..room) {
                ring.inside.push_back((ring.sent, parcel));
                ring.sent += 1;
            }
            full |= !ring.waiting.is_empty();
            if room > 0 {
                // Once, at the sender's flush.
                rings.signal(usize::from(to));
            }
        }
        rings.full += u64::from(full);
    }

    fn receive(&mut self) -> Option<Parcel> {
        let (parcel, is_copy) = self.rings().receive(self.core)?;
        self.balance -= i64::from(!is_copy);
        Some(parcel)
    }

    fn is_jammed(&self, core: u16) -> bool {
        let mut rings = self.rings();
        let is_jammed = rings.is_jammed(self.core, core);
        rings.jammed += u64::from(is_jammed);
        is_jammed
    }

    fn has_incoming(&self) -> bool {
        self.rings().has_arrived(self.core)
    }

    fn has_waiting(&self) -> bool {
        let rings = self.rings();
        (0..rings.cores as u16).any(|to| !rings.ring(self.core, to).waiting.is_empty())
    }

    fn balance(&self) -> i64 {
        self.balance
    }
}
