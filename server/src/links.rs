//! Between cores: bounded rings of one producer and one consumer each, and a waker to wake the other side.
//!
//! A full ring never blocks: what does not fit waits with its sender, in order. Commands are refused before that gets
//! long; messages and replies are bounded by the operations and outboxes that they come from.

mod outgoing;

#[cfg(test)]
mod model;

use net::runtime::CoreWaker;
use rtrb::{Consumer, Producer, RingBuffer};
use shard::{Parcel, Peers};

use outgoing::Outgoing;

/// Parcels in the rings of one core to all others, so that memory grows with the cores and not with their square; and in one
/// ring at least, and at most.
const RING_PARCELS_OF_CORE: usize = 8_192;
const RING_PARCELS_MIN: usize = 32;
const RING_PARCELS_MAX: usize = 4_096;
/// Parcels waiting with their sender before commands for that core are refused as busy.
const WAITING_MAX: usize = 65_536;

/// One core's ends of all rings.
#[derive(Debug)]
pub(crate) struct Links {
    outgoing: Vec<Option<Outgoing<Parcel, Producer<Parcel>, CoreWaker>>>,
    incoming: Vec<Consumer<Parcel>>,
    balance: i64,
}

/// The ends of the rings between every two cores; `wakers` wake each core.
pub(crate) fn connect(wakers: &[CoreWaker]) -> Vec<Links> {
    let cores = wakers.len();
    let parcels = (RING_PARCELS_OF_CORE / cores).clamp(RING_PARCELS_MIN, RING_PARCELS_MAX);
    let mut links: Vec<Links> =
        (0..cores).map(|_| Links { outgoing: Vec::new(), incoming: Vec::new(), balance: 0 }).collect();
    for from in 0..cores {
        for (to, waker) in wakers.iter().enumerate() {
            if from == to {
                links[from].outgoing.push(None);
                continue;
            }
            let (ring, consumer) = RingBuffer::new(parcels);
            links[from].outgoing.push(Some(Outgoing::new(ring, waker.clone())));
            links[to].incoming.push(consumer);
        }
    }
    links
}

impl Peers for Links {
    /// # Panics
    /// When `core` is this one: what stays here takes no ring.
    fn send(&mut self, core: u16, parcel: Parcel) {
        let out = self.outgoing[usize::from(core)].as_mut().expect("a ring to every other core");
        out.send(parcel);
        self.balance += 1;
    }

    fn flush(&mut self) {
        self.outgoing.iter_mut().flatten().for_each(Outgoing::flush);
    }

    fn receive(&mut self) -> Option<Parcel> {
        let parcel = self.incoming.iter_mut().find_map(|ring| ring.pop().ok())?;
        self.balance -= 1;
        Some(parcel)
    }

    fn is_jammed(&self, core: u16) -> bool {
        self.outgoing[usize::from(core)].as_ref().is_some_and(|out| out.waiting() >= WAITING_MAX)
    }

    fn has_incoming(&self) -> bool {
        self.incoming.iter().any(|ring| !ring.is_empty())
    }

    fn has_waiting(&self) -> bool {
        self.outgoing.iter().flatten().any(|out| out.waiting() > 0)
    }

    fn balance(&self) -> i64 {
        self.balance
    }
}

#[cfg(test)]
mod tests {
    use engine::answer::Rejection;
    use shard::{CallId, Caller};

    use super::*;

    fn reply(number: u32) -> Parcel {
        let caller = Caller { core: 0, call: CallId { place: number, generation: 1 } };
        Parcel::Reply { caller, reply: Err(Rejection::Busy) }
    }

    fn received(links: &mut Links) -> Vec<u32> {
        std::iter::from_fn(|| links.receive())
            .map(|parcel| match parcel {
                Parcel::Reply { caller, .. } => caller.call.place,
                other => panic!("only replies were sent, not {other:?}"),
            })
            .collect()
    }

    fn pair() -> (Links, Links) {
        let wakers: Vec<CoreWaker> = (0..2).map(|_| CoreWaker::new().expect("a waker")).collect();
        let mut links = connect(&wakers).into_iter();
        (links.next().expect("a first"), links.next().expect("a second"))
    }

    #[test]
    fn parcels_arrive_in_order_and_only_once_flushed() {
        let (mut first, mut second) = pair();
        first.send(1, reply(1));
        first.send(1, reply(2));
        assert!(!second.has_incoming());
        first.flush();
        assert!(second.has_incoming());
        assert_eq!(received(&mut second), [1, 2]);
        assert!(received(&mut first).is_empty());
    }

    #[test]
    fn a_full_ring_holds_back_and_loses_nothing() {
        let (mut first, mut second) = pair();
        let count = RING_PARCELS_MAX as u32 + 10;
        for number in 0..count {
            first.send(1, reply(number));
        }
        first.flush();
        assert!(first.has_waiting());
        let mut arrived = received(&mut second);
        assert_eq!(arrived.len(), RING_PARCELS_MAX);
        first.flush();
        assert!(!first.has_waiting());
        arrived.extend(received(&mut second));
        assert_eq!(arrived, (0..count).collect::<Vec<_>>());
    }

    #[test]
    fn commands_are_refused_before_the_queue_grows_without_bound() {
        let (mut first, _second) = pair();
        for number in 0..(RING_PARCELS_MAX + WAITING_MAX) as u32 {
            assert!(!first.is_jammed(1));
            first.send(1, reply(number));
            first.flush();
        }
        assert!(first.is_jammed(1));
    }
}
