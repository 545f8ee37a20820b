//! Between cores: bounded rings of one producer and one consumer each, and a bell to wake the other side.
//!
//! A full ring never blocks: what does not fit waits with its sender, in order. Commands are refused before that gets
//! long; messages and replies are bounded by the operations and outboxes that they come from.

use std::collections::VecDeque;

use engine::answer::Reply;
use engine::command::Request;
use net::runtime::Bell;
use rtrb::{Consumer, Producer, RingBuffer};
use shard::{Envelope, Token};

/// Parcels in one ring.
const RING_PARCELS: usize = 4_096;
/// Parcels waiting with their sender before commands for that core are refused as busy.
const WAITING_MAX: usize = 65_536;

/// What goes from one core to another.
#[derive(Debug)]
pub(crate) enum Parcel {
    /// A client's command for a slot of the receiver.
    Command {
        token: Token,
        request: Request,
    },
    /// Its reply, back to where the client is.
    Reply {
        token: Token,
        reply: Reply,
    },
    Message(Envelope),
}

/// One core's ends of all rings.
#[derive(Debug)]
pub(crate) struct Links {
    outgoing: Vec<Option<Outgoing>>,
    incoming: Vec<Consumer<Parcel>>,
}

#[derive(Debug)]
struct Outgoing {
    ring: Producer<Parcel>,
    waiting: VecDeque<Parcel>,
    bell: Bell,
    rings_bell: bool,
}

/// The ends of the rings between every two cores; `bells` wake each core.
pub(crate) fn connect(bells: &[Bell]) -> Vec<Links> {
    let cores = bells.len();
    let mut links: Vec<Links> =
        (0..cores).map(|_| Links { outgoing: Vec::new(), incoming: Vec::new() }).collect();
    for from in 0..cores {
        for (to, bell) in bells.iter().enumerate() {
            if from == to {
                links[from].outgoing.push(None);
                continue;
            }
            let (ring, consumer) = RingBuffer::new(RING_PARCELS);
            let outgoing = Outgoing { ring, waiting: VecDeque::new(), bell: bell.clone(), rings_bell: false };
            links[from].outgoing.push(Some(outgoing));
            links[to].incoming.push(consumer);
        }
    }
    links
}

impl Links {
    /// Whether a command for that core would wait too long.
    pub(crate) fn is_jammed(&self, core: u16) -> bool {
        self.outgoing[usize::from(core)].as_ref().is_some_and(|out| out.waiting.len() >= WAITING_MAX)
    }

    /// # Panics
    /// When `core` is this one: what stays here takes no ring.
    pub(crate) fn send(&mut self, core: u16, parcel: Parcel) {
        let out = self.outgoing[usize::from(core)].as_mut().expect("a ring to every other core");
        out.waiting.push_back(parcel);
    }

    /// Moves what waits into the rings, and wakes whoever got something.
    pub(crate) fn flush(&mut self) {
        for out in self.outgoing.iter_mut().flatten() {
            while !out.waiting.is_empty() && !out.ring.is_full() {
                let parcel = out.waiting.pop_front().expect("looked at above");
                out.ring.push(parcel).expect("looked at above");
                out.rings_bell = true;
            }
            if std::mem::take(&mut out.rings_bell) {
                out.bell.ring();
            }
        }
    }

    /// What a full ring holds back. The other side rings nobody when it takes something: look again soon.
    pub(crate) fn has_waiting(&self) -> bool {
        self.outgoing.iter().flatten().any(|out| !out.waiting.is_empty())
    }

    pub(crate) fn receive(&mut self) -> Option<Parcel> {
        self.incoming.iter_mut().find_map(|ring| ring.pop().ok())
    }

    pub(crate) fn has_incoming(&self) -> bool {
        self.incoming.iter().any(|ring| !ring.is_empty())
    }
}
