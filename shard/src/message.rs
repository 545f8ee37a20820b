//! What passes between slots, and so between cores.

use engine::answer::Rejection;
use engine::ids::{SlotId, Time};
use engine::message::{Ask, Fact, Tell};
use engine::record::TellId;
use engine::text::Text;
use wal::Lsn;

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
    /// `gate` is what the answer shows of the log it comes from. Between cores it has been waited for.
    Answer { op: OpId, result: Result<Fact, Rejection>, gate: Lsn },
    /// Sent until acknowledged.
    Tell(Tell),
    /// The fact is recorded where it was told. `accepted` is false where the order does not want the hold.
    Ack { tell: TellId, accepted: bool },
}
