//! The rings between cores: bounded, one for each ordered pair, first in first out. What does not fit waits with its sender.
//! As in the server, no order is kept between pairs, and what was sent is there when its sender's turn is over.

use std::collections::VecDeque;

use engine::answer::Reply;
use engine::command::Request;
use shard::{Envelope, Token};

/// What goes from one core to another.
#[derive(Debug, Clone)]
pub(crate) enum Parcel {
    Command { token: Token, request: Request },
    Reply { token: Token, reply: Reply },
    Message(Envelope),
}

#[derive(Debug, Default)]
struct Ring {
    waiting: VecDeque<Parcel>,
    inside: VecDeque<Parcel>,
    /// Second copies, and the steps before which they do not arrive.
    late: Vec<(u64, Parcel)>,
    /// Nothing arrives before this step.
    held_until: u64,
}

impl Ring {
    fn late(&self, step: u64) -> Option<usize> {
        self.late.iter().position(|(at, _)| *at <= step)
    }

    fn arrived(&self, step: u64) -> bool {
        self.held_until <= step && (!self.inside.is_empty() || self.late(step).is_some())
    }
}

/// All rings of a process.
#[derive(Debug)]
pub(crate) struct Rings {
    rings: Vec<Ring>,
    cores: usize,
    capacity: usize,
}

impl Rings {
    #[must_use]
    pub(crate) fn new(cores: u16, capacity: usize) -> Rings {
        let cores = usize::from(cores);
        Rings { rings: (0..cores * cores).map(|_| Ring::default()).collect(), cores, capacity }
    }

    fn ring(&mut self, from: u16, to: u16) -> &mut Ring {
        &mut self.rings[usize::from(from) * self.cores + usize::from(to)]
    }

    pub(crate) fn send(&mut self, from: u16, to: u16, parcel: Parcel) {
        assert_ne!(from, to, "what stays on a core takes no ring");
        self.ring(from, to).waiting.push_back(parcel);
    }

    /// Moves what waits with its sender into the rings. Whether one was full.
    pub(crate) fn flush(&mut self, from: u16) -> bool {
        let capacity = self.capacity;
        let mut full = false;
        for to in 0..self.cores {
            let ring = &mut self.rings[usize::from(from) * self.cores + to];
            while ring.inside.len() < capacity
                && let Some(parcel) = ring.waiting.pop_front()
            {
                ring.inside.push_back(parcel);
            }
            full |= !ring.waiting.is_empty();
        }
        full
    }

    #[must_use]
    pub(crate) fn has_waiting(&self, from: u16) -> bool {
        let from = usize::from(from) * self.cores;
        self.rings[from..from + self.cores].iter().any(|ring| !ring.waiting.is_empty())
    }

    /// Cores that something has arrived from.
    pub(crate) fn arrived(&self, to: u16, step: u64) -> impl Iterator<Item = u16> {
        let arrived = move |from: &usize| self.rings[from * self.cores + usize::from(to)].arrived(step);
        (0..self.cores).filter(arrived).map(|from| from as u16)
    }

    pub(crate) fn receive(&mut self, from: u16, to: u16, step: u64) -> Option<Parcel> {
        let ring = self.ring(from, to);
        let late = ring.late(step).map(|place| ring.late.remove(place).1);
        late.or_else(|| ring.inside.pop_front())
    }

    /// Lets a copy of a parcel arrive at a later step, whatever else is on its way.
    pub(crate) fn double(&mut self, from: u16, to: u16, parcel: Parcel, at: u64) {
        self.ring(from, to).late.push((at, parcel));
    }

    /// Nothing of this pair arrives before that step. Whether something is on its way now.
    pub(crate) fn hold(&mut self, from: u16, to: u16, until: u64) -> bool {
        let ring = self.ring(from, to);
        ring.held_until = until;
        !ring.inside.is_empty()
    }

    pub(crate) fn release_all(&mut self) {
        for ring in &mut self.rings {
            ring.held_until = 0;
            ring.late.iter_mut().for_each(|(at, _)| *at = 0);
        }
    }

    /// Messages on their way, second copies not among them.
    #[must_use]
    pub(crate) fn messages(&self) -> usize {
        let is_message = |parcel: &&Parcel| matches!(parcel, Parcel::Message(_));
        let of = |ring: &Ring| ring.inside.iter().chain(&ring.waiting).filter(is_message).count();
        self.rings.iter().map(of).sum()
    }
}
