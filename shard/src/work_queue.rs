//! Work queue: what waits for its turn in the shard, and in which order it is taken.

use std::collections::VecDeque;

use crate::limits::{COMMANDS_ONE_IN, COMMANDS_WAITING_MAX, MESSAGES_WAITING_MAX};
use crate::message::{Caller, Envelope, OpId, Routed};

/// One piece of work.
#[derive(Debug)]
pub(crate) enum Work {
    Command {
        caller: Caller,
        routed: Routed,
    },
    Message(Envelope),
    /// An operation that can go on.
    Resume(OpId),
}

#[derive(Debug, Default)]
pub(crate) struct WorkQueue {
    commands: VecDeque<(Caller, Routed)>,
    messages: VecDeque<Envelope>,
    runnable: VecDeque<OpId>,
}

impl WorkQueue {
    pub(crate) fn is_empty(&self) -> bool {
        self.commands.is_empty() && self.messages.is_empty() && self.runnable.is_empty()
    }

    /// No further command is taken; it would wait too long.
    pub(crate) fn is_full(&self) -> bool {
        self.commands.len() >= COMMANDS_WAITING_MAX
    }

    /// More messages wait than are worth taking.
    pub(crate) fn is_flooded(&self) -> bool {
        self.messages.len() >= MESSAGES_WAITING_MAX
    }

    pub(crate) fn push_command(&mut self, caller: Caller, routed: Routed) {
        self.commands.push_back((caller, routed));
    }

    pub(crate) fn push_message(&mut self, envelope: Envelope) {
        self.messages.push_back(envelope);
    }

    pub(crate) fn push_runnable(&mut self, id: OpId) {
        self.runnable.push_back(id);
    }

    /// The next piece of work of a turn that has taken `taken` before. Operations and messages go first, because they finish
    /// what was begun; but one piece in [`COMMANDS_ONE_IN`] is a command, so that something always begins.
    pub(crate) fn pop(&mut self, taken: usize) -> Option<Work> {
        let command_first = taken % COMMANDS_ONE_IN == COMMANDS_ONE_IN - 1;
        if command_first && let Some(work) = self.pop_command() {
            return Some(work);
        }
        let resume = self.runnable.pop_front().map(Work::Resume);
        resume.or_else(|| self.messages.pop_front().map(Work::Message)).or_else(|| self.pop_command())
    }

    fn pop_command(&mut self) -> Option<Work> {
        self.commands.pop_front().map(|(caller, routed)| Work::Command { caller, routed })
    }
}

#[cfg(test)]
mod tests {
    use engine::command::{Command, Request, Route};
    use engine::ids::{OrderId, SlotId, Time};
    use engine::record::TellId;
    use engine::text::Text;

    use super::*;
    use crate::message::{CallId, Message};

    const SLOT: SlotId = SlotId::new(0);

    fn command(queue: &mut WorkQueue) {
        let command = Command::GetOrder { order: OrderId::new(SLOT, 0) };
        let request = Box::new(Request { command, trace: Text::from("") });
        let caller = Caller { core: 0, call: CallId { place: 0, generation: 0 } };
        queue.push_command(caller, Routed { route: Route::Slot(SLOT), request });
    }

    fn message(queue: &mut WorkQueue) {
        let message = Message::Ack { tell: TellId(1), accepted: true };
        queue.push_message(Envelope { from: SLOT, to: SLOT, time: Time(0), trace: Text::from(""), message });
    }

    /// The kinds of work in the order in which they are taken: `c`ommand, `m`essage, `r`esume.
    fn order(queue: &mut WorkQueue) -> String {
        let kind = |work| match work {
            Work::Command { .. } => 'c',
            Work::Message(_) => 'm',
            Work::Resume(_) => 'r',
        };
        (0..).map_while(|taken| queue.pop(taken)).map(kind).collect()
    }

    #[test]
    fn what_was_begun_goes_first() {
        let mut queue = WorkQueue::default();
        command(&mut queue);
        message(&mut queue);
        queue.push_runnable(OpId(1));
        assert_eq!(order(&mut queue), "rmc");
        assert!(queue.is_empty());
    }

    #[test]
    fn one_piece_in_so_many_is_a_command_however_many_messages_wait() {
        let mut queue = WorkQueue::default();
        (0..2 * COMMANDS_ONE_IN).for_each(|_| message(&mut queue));
        (0..3).for_each(|_| command(&mut queue));
        let messages = "m".repeat(COMMANDS_ONE_IN - 1);
        assert_eq!(order(&mut queue), format!("{messages}c{messages}cmmc"));
    }

    #[test]
    fn bounds_are_told() {
        let mut queue = WorkQueue::default();
        (0..COMMANDS_WAITING_MAX - 1).for_each(|_| command(&mut queue));
        assert!(!queue.is_full());
        command(&mut queue);
        assert!(queue.is_full() && !queue.is_flooded());
        (0..MESSAGES_WAITING_MAX).for_each(|_| message(&mut queue));
        assert!(queue.is_flooded());
    }
}
