//! Messages and parcels: everything that passes between callers, slots and cores.

use engine::answer::{Rejection, Reply};
use engine::command::{Request, Route};
use engine::ids::{SlotId, Time};
use engine::message::{Ask, Fact, Tell};
use engine::record::TellId;
use engine::slots::SlotHash;
use engine::text::Text;
use wal::Lsn;

/// A call that waits for its reply: its place in a core's [`Calls`](crate::Calls), and which of the calls that the place has
/// had it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CallId {
    pub place: u32,
    pub generation: u32,
}

/// A call that waits for the reply to a command, and the core at which it waits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Caller {
    pub core: u16,
    pub call: CallId,
}

/// A request and where it goes, so that the keyed hash of its key is asked for once.
#[derive(Clone, Debug)]
pub struct Routed {
    pub route: Route,
    pub request: Box<Request>,
}

impl Routed {
    #[must_use]
    pub fn new(request: impl Into<Box<Request>>, hash: &SlotHash) -> Routed {
        let request = request.into();
        Routed { route: request.command.route(hash), request }
    }
}

/// A command and the call that waits for its reply.
#[derive(Clone, Debug)]
pub struct Called {
    pub caller: Caller,
    pub routed: Routed,
}

/// A command on its way from a call to the node of its core, and the core that owns its slot.
#[derive(Clone, Debug)]
pub struct Posted {
    pub call: CallId,
    pub owner: u16,
    pub routed: Routed,
}

/// One item in a ring from one core to another.
#[derive(Clone, Debug)]
pub enum Parcel {
    /// A command for a slot of the receiver.
    Command {
        caller: Caller,
        routed: Routed,
    },
    /// Its reply, back to where the caller waits.
    Reply {
        caller: Caller,
        reply: Reply,
    },
    /// Commands for slots of the receiver, to be begun in their order.
    Batch(Vec<Called>),
    /// Their replies, all of them.
    Replies(Vec<(Caller, Reply)>),
    Message(Envelope),
}

/// An operation under way in one core's memory. Never used twice in a process; forgotten by a crash.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct OpId(pub u64);

#[derive(Clone, PartialEq, Debug)]
pub struct Envelope {
    pub from: SlotId,
    pub to: SlotId,
    /// The sender's time: the receiver's is not before it.
    pub time: Time,
    pub trace: Text,
    pub message: Message,
}

#[derive(Clone, PartialEq, Debug)]
pub enum Message {
    /// Answered by exactly one `Answer`, unless the process dies. `number` counts the asks from one core to another, from 1,
    /// so that a second copy is told from another ask; 0 within a core.
    Ask { op: OpId, number: u64, ask: Ask },
    /// `visible_at` is how far the log it comes from must be durable before the answer may be shown. Between cores that has
    /// been waited for.
    Answer { op: OpId, result: Result<Fact, Rejection>, visible_at: Lsn },
    /// Sent until acknowledged.
    Tell(Tell),
    /// The fact is recorded where it was told. `accepted` is false where the order does not want the hold.
    Ack { tell: TellId, accepted: bool },
}
