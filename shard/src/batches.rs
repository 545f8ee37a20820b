//! Batches: commands of one caller that come as one parcel, and whose replies go back as one when the last of them may be shown.
//!
//! They are begun in their order, a bounded number in each turn, behind the commands that came alone.

use std::collections::VecDeque;

use engine::answer::Reply;
use hashbrown::HashMap;
use wal::Lsn;

use crate::limits::{BATCH_OPERATIONS_MAX, BATCH_RUN, BATCHES_MAX};
use crate::message::{Called, Caller};

/// A batch under way in one core's memory. Never used twice in a process.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct BatchId(u64);

#[derive(Debug, Default)]
pub(crate) struct Batches {
    /// Those with commands that have not begun. The first has its turn, then goes behind the others.
    waiting: VecDeque<(BatchId, std::vec::IntoIter<Called>)>,
    /// Commands of the first one that were taken since its turn came.
    taken: usize,
    under_way: HashMap<BatchId, UnderWay>,
    last_id: u64,
}

#[derive(Debug)]
struct UnderWay {
    replies: Vec<(Caller, Reply)>,
    commands: usize,
    /// All its replies may be shown once the log is durable up to here.
    visible_at: Lsn,
}

/// The replies of a whole batch.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) replies: Vec<(Caller, Reply)>,
    pub(crate) visible_at: Lsn,
}

impl Batches {
    /// No further batch is taken.
    pub(crate) fn is_full(&self) -> bool {
        self.under_way.len() >= BATCHES_MAX
    }

    /// A command waits to be begun.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Something is under way.
    pub(crate) fn is_empty(&self) -> bool {
        self.under_way.is_empty()
    }

    pub(crate) fn push(&mut self, batch: Vec<Called>) {
        assert!((1..=BATCH_OPERATIONS_MAX).contains(&batch.len()), "{} operations", batch.len());
        self.last_id += 1;
        let (id, commands) = (BatchId(self.last_id), batch.len());
        let replies = Vec::with_capacity(commands);
        self.under_way.insert(id, UnderWay { replies, commands, visible_at: Lsn(0) });
        self.waiting.push_back((id, batch.into_iter()));
    }

    /// The next command to begin.
    pub(crate) fn pop(&mut self) -> Option<(BatchId, Called)> {
        if self.taken == BATCH_RUN {
            self.taken = 0;
            self.waiting.rotate_left(1);
        }
        let (id, commands) = self.waiting.front_mut()?;
        let (id, called) = (*id, commands.next().expect("a batch that waits has commands left"));
        self.taken += 1;
        if commands.len() == 0 {
            self.waiting.pop_front();
            self.taken = 0;
        }
        Some((id, called))
    }

    /// A reply, which may be shown once the log is durable up to `visible_at`. The whole batch, where it was the last.
    pub(crate) fn replied(
        &mut self,
        id: BatchId,
        caller: Caller,
        reply: Reply,
        visible_at: Lsn,
    ) -> Option<Answered> {
        let batch = self.under_way.get_mut(&id).expect("a batch is there until its last reply");
        batch.replies.push((caller, reply));
        batch.visible_at = batch.visible_at.max(visible_at);
        if batch.replies.len() < batch.commands {
            return None;
        }
        let UnderWay { replies, visible_at, .. } = self.under_way.remove(&id).expect("looked at above");
        Some(Answered { replies, visible_at })
    }
}

#[cfg(test)]
mod tests {
    use engine::answer::Rejection;
    use engine::command::{Command, Request, Route};
    use engine::ids::{OrderId, SlotId};
    use engine::text::Text;

    use super::*;
    use crate::message::{CallId, Routed};

    fn called(batch: u32, nth: usize) -> Called {
        let command = Command::GetOrder { order: OrderId::new(SlotId::new(0), 0) };
        let request = Box::new(Request { command, trace: Text::from("") });
        let caller = Caller { core: 0, call: CallId { place: nth as u32, generation: batch } };
        Called { caller, routed: Routed { route: Route::Every, request } }
    }

    fn batch(number: u32, commands: usize) -> Vec<Called> {
        (0..commands).map(|nth| called(number, nth)).collect()
    }

    /// Those of one batch in their order; a long one does not keep the others waiting.
    #[test]
    fn batches_take_turns() {
        let mut batches = Batches::default();
        batches.push(batch(1, 2 * BATCH_RUN + 1));
        batches.push(batch(2, 3));
        batches.push(batch(3, BATCH_RUN));
        let order: Vec<(u32, u32)> = std::iter::from_fn(|| {
            batches.pop().map(|(_, c)| (c.caller.call.generation, c.caller.call.place))
        })
        .collect();
        let run = |number: u32, from: usize, to: usize| (from..to).map(move |nth| (number, nth as u32));
        let expected = run(1, 0, BATCH_RUN).chain(run(2, 0, 3)).chain(run(3, 0, BATCH_RUN)).chain(run(
            1,
            BATCH_RUN,
            2 * BATCH_RUN + 1,
        ));
        assert_eq!(order, expected.collect::<Vec<_>>());
        assert!(!batches.is_waiting() && !batches.is_empty());
    }

    #[test]
    fn replies_go_back_together_when_the_last_may_be_shown() {
        let mut batches = Batches::default();
        batches.push(batch(1, 3));
        let ids: Vec<(BatchId, Caller)> =
            std::iter::from_fn(|| batches.pop().map(|(id, called)| (id, called.caller))).collect();
        let reply = |batches: &mut Batches, nth: usize, at| {
            let (id, caller) = ids[nth];
            batches.replied(id, caller, Err(Rejection::Busy), Lsn(at))
        };
        assert!(reply(&mut batches, 2, 7).is_none());
        assert!(reply(&mut batches, 0, 9).is_none());
        let all = reply(&mut batches, 1, 8).expect("the last one");
        assert_eq!(all.visible_at, Lsn(9));
        assert_eq!(all.replies.len(), 3);
        assert!(batches.is_empty());
    }

    #[test]
    fn batches_are_bounded() {
        let mut batches = Batches::default();
        while !batches.is_full() {
            batches.push(batch(1, 1));
        }
        assert_eq!(batches.under_way.len(), BATCHES_MAX);
        let (id, called) = batches.pop().unwrap();
        batches.replied(id, called.caller, Err(Rejection::Busy), Lsn(0)).unwrap();
        assert!(!batches.is_full());
    }
}
