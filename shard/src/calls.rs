//! The calls that wait at one core: each is answered once, and one whose caller has gone keeps its place until its reply has
//! come, so that the reply finds nobody else there.

use engine::answer::Reply;

use crate::message::CallId;

/// A table of calls. For each: [`open`](Calls::open), then either [`take_reply`](Calls::take_reply) until it gives the reply,
/// or [`abandon`](Calls::abandon), once. [`reply`](Calls::reply) comes from the loop, before or after either.
///
/// `W` is whatever wakes the one who waits.
#[derive(Debug)]
pub struct Calls<W> {
    places: Vec<Place<W>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Place<W> {
    /// Calls that have been here, so that a late reply is told from one to the present call.
    generation: u32,
    state: CallState<W>,
}

#[derive(Debug)]
enum CallState<W> {
    Free,
    Waiting(Option<W>),
    Replied(Reply),
    /// The caller has gone; the place is free once the reply has come.
    Abandoned,
}

impl<W> Default for Calls<W> {
    fn default() -> Calls<W> {
        Calls { places: Vec::new(), free: Vec::new() }
    }
}

impl<W> Calls<W> {
    /// A new call, in a place of its own.
    pub fn open(&mut self) -> CallId {
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place { generation: 0, state: CallState::Free });
            (self.places.len() - 1) as u32
        });
        let entry = &mut self.places[place as usize];
        entry.generation = entry.generation.wrapping_add(1);
        entry.state = CallState::Waiting(None);
        CallId { place, generation: entry.generation }
    }

    /// Keeps the reply for its caller, and gives back whom to wake.
    ///
    /// # Panics
    /// When the call was replied to before.
    pub fn reply(&mut self, call: CallId, reply: Reply) -> Option<W> {
        let state = self.state(call);
        match std::mem::replace(state, CallState::Replied(reply)) {
            CallState::Waiting(waiter) => waiter,
            CallState::Abandoned => {
                self.close(call);
                None
            }
            CallState::Free | CallState::Replied(_) => unreachable!("a call is replied to once"),
        }
    }

    /// The reply, if it has come; the call is over then.
    pub fn take_reply(&mut self, call: CallId) -> Option<Reply> {
        let state = self.state(call);
        if !matches!(state, CallState::Replied(_)) {
            return None;
        }
        let CallState::Replied(reply) = std::mem::replace(state, CallState::Free) else {
            unreachable!("looked at above")
        };
        self.free.push(call.place);
        Some(reply)
    }

    /// Whom to wake when the reply comes.
    ///
    /// # Panics
    /// When the call does not wait.
    pub fn waiter(&mut self, call: CallId) -> &mut Option<W> {
        match self.state(call) {
            CallState::Waiting(waiter) => waiter,
            _ => unreachable!("only who waits is woken"),
        }
    }

    /// The caller goes away. The command goes on all the same; only its reply is lost.
    pub fn abandon(&mut self, call: CallId) {
        let state = self.state(call);
        match state {
            CallState::Waiting(_) => *state = CallState::Abandoned,
            CallState::Replied(_) => self.close(call),
            CallState::Free | CallState::Abandoned => unreachable!("a call is abandoned once"),
        }
    }

    /// Calls that were not replied to yet, abandoned ones included, and replies that nobody has taken.
    #[must_use]
    pub fn open_count(&self) -> usize {
        self.places.len() - self.free.len()
    }

    fn state(&mut self, call: CallId) -> &mut CallState<W> {
        let place = &mut self.places[call.place as usize];
        assert_eq!(place.generation, call.generation, "a call is replied to once");
        &mut place.state
    }

    fn close(&mut self, call: CallId) {
        self.places[call.place as usize].state = CallState::Free;
        self.free.push(call.place);
    }
}

#[cfg(test)]
mod tests {
    use engine::answer::Rejection;

    use super::*;

    const BUSY: Reply = Err(Rejection::Busy);
    const NOT_FOUND: Reply = Err(Rejection::OrderNotFound);

    #[test]
    fn a_reply_finds_its_caller_and_says_whom_to_wake() {
        let mut calls = Calls::default();
        let (first, second) = (calls.open(), calls.open());
        *calls.waiter(second) = Some("second");
        assert_eq!(calls.reply(second, BUSY), Some("second"));
        assert_eq!(calls.take_reply(first), None);
        assert_eq!(calls.take_reply(second), Some(BUSY));
        assert_eq!(calls.reply(first, NOT_FOUND), None);
        assert_eq!(calls.take_reply(first), Some(NOT_FOUND));
        assert_eq!(calls.open_count(), 0);
    }

    #[test]
    fn an_abandoned_call_keeps_its_place_until_its_reply_has_come() {
        let mut calls = Calls::<()>::default();
        let left = calls.open();
        calls.abandon(left);
        let next = calls.open();
        assert_ne!(next.place, left.place);
        calls.reply(left, BUSY);
        assert_eq!(calls.take_reply(next), None);
        assert_eq!(calls.open().place, left.place);
    }

    #[test]
    fn a_place_is_used_again_under_another_id() {
        let mut calls = Calls::<()>::default();
        let ids: Vec<CallId> = (0..3)
            .map(|_| {
                let call = calls.open();
                calls.reply(call, BUSY);
                assert_eq!(calls.take_reply(call), Some(BUSY));
                call
            })
            .collect();
        assert!(ids.iter().all(|id| id.place == 0));
        assert_eq!(ids.iter().map(|id| id.generation).collect::<Vec<_>>(), [1, 2, 3]);
    }

    #[test]
    fn a_reply_that_nobody_takes_frees_its_place_with_its_caller() {
        let mut calls = Calls::<()>::default();
        let call = calls.open();
        calls.reply(call, BUSY);
        assert_eq!(calls.open_count(), 1);
        calls.abandon(call);
        assert_eq!(calls.open_count(), 0);
    }

    #[test]
    #[should_panic(expected = "a call is replied to once")]
    fn a_second_reply_is_a_defect() {
        let mut calls = Calls::<()>::default();
        let call = calls.open();
        calls.reply(call, BUSY);
        calls.reply(call, BUSY);
    }
}
