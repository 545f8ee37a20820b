//! The other cores, as a node sees them.

use crate::message::Parcel;

/// Carries parcels to the other cores and from them: bounded rings in the server, rings with faults in the simulator.
///
/// A full ring never blocks: what does not fit waits with its sender, in order.
pub trait Peers {
    /// Takes a parcel for another core. It leaves with the next [`flush`](Peers::flush) that finds room.
    fn send(&mut self, core: u16, parcel: Parcel);

    /// Moves what waits into the rings as far as there is room, and wakes whoever got something.
    fn flush(&mut self);

    /// The next parcel from any core.
    fn receive(&mut self) -> Option<Parcel>;

    /// So much waits for that core that a command for it is refused instead. Messages and replies still go: they are bounded
    /// by the operations and outboxes that they come from.
    fn is_jammed(&self, core: u16) -> bool;

    /// Something can be received.
    fn has_incoming(&self) -> bool;

    /// A full ring holds something back. Nobody says when there is room again: look again soon.
    fn has_waiting(&self) -> bool;

    /// Parcels that this end has sent, less those that it has received. Over all cores the sum is what is between them.
    fn balance(&self) -> i64;
}
