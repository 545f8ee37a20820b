//! Between the requests of one core and its shard: commands in, replies back. Core-local, no locks.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use engine::answer::Reply;
use engine::command::{Request, Route};
use shard::Token;

/// Wakes the one task that waits for it.
#[derive(Debug, Default)]
pub(crate) struct Notify {
    notified: Cell<bool>,
    waiting: RefCell<Option<Waker>>,
}

impl Notify {
    pub(crate) fn notify(&self) {
        self.notified.set(true);
        if let Some(waker) = self.waiting.take() {
            waker.wake();
        }
    }

    /// Ends once `notify` has been called since the last wait ended.
    pub(crate) async fn wait(&self) {
        std::future::poll_fn(|cx| {
            if self.notified.take() {
                return Poll::Ready(());
            }
            self.waiting.replace(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await;
    }
}

/// A command on its way to the shard that owns its slot.
#[derive(Debug)]
pub(crate) struct Posted {
    pub(crate) core: u16,
    pub(crate) token: Token,
    pub(crate) route: Route,
    pub(crate) request: Box<Request>,
}

/// See the module. Tokens carry this core's number, so that a reply finds its way back.
#[derive(Debug)]
pub(crate) struct Mailbox {
    core: u16,
    posted: RefCell<Vec<Posted>>,
    calls: RefCell<Calls>,
    notify: Rc<Notify>,
}

#[derive(Debug, Default)]
struct Calls {
    places: Vec<Place>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Place {
    /// Counts the calls that have been here: a reply that comes too late finds another number.
    turn: u16,
    state: State,
}

#[derive(Debug)]
enum State {
    Free,
    Waiting(Option<Waker>),
    Replied(Reply),
    /// The caller went away; the place is free once the reply has come.
    Abandoned,
}

/// Bits of a token: core, turn, place.
const CORE_SHIFT: u32 = 48;
const TURN_SHIFT: u32 = 32;

/// The core on which a token's caller waits.
pub(crate) fn core_of(token: Token) -> u16 {
    (token.0 >> CORE_SHIFT) as u16
}

impl Mailbox {
    pub(crate) fn new(core: u16, notify: Rc<Notify>) -> Rc<Mailbox> {
        Rc::new(Mailbox { core, posted: RefCell::default(), calls: RefCell::default(), notify })
    }

    /// Posts a command to a core's shard. The future ends with its reply.
    pub(crate) fn call(self: &Rc<Self>, core: u16, route: Route, request: Box<Request>) -> Call {
        let (place, turn) = self.calls.borrow_mut().open();
        let token =
            Token(u64::from(self.core) << CORE_SHIFT | u64::from(turn) << TURN_SHIFT | u64::from(place));
        self.posted.borrow_mut().push(Posted { core, token, route, request });
        self.notify.notify();
        Call { mailbox: self.clone(), place, done: false }
    }

    /// Exchanges what was posted for an empty box, which keeps its memory.
    pub(crate) fn take(&self, into: &mut Vec<Posted>) {
        debug_assert!(into.is_empty());
        std::mem::swap(&mut *self.posted.borrow_mut(), into);
    }

    pub(crate) fn has_posted(&self) -> bool {
        !self.posted.borrow().is_empty()
    }

    pub(crate) fn reply(&self, token: Token, reply: Reply) {
        let (place, turn) = (token.0 as u32, (token.0 >> TURN_SHIFT) as u16);
        self.calls.borrow_mut().reply(place, turn, reply);
    }
}

impl Calls {
    fn open(&mut self) -> (u32, u16) {
        let place = match self.free.pop() {
            Some(place) => place,
            None => {
                self.places.push(Place { turn: 0, state: State::Free });
                (self.places.len() - 1) as u32
            }
        };
        let entry = &mut self.places[place as usize];
        entry.turn = entry.turn.wrapping_add(1);
        entry.state = State::Waiting(None);
        (place, entry.turn)
    }

    fn close(&mut self, place: u32) {
        self.places[place as usize].state = State::Free;
        self.free.push(place);
    }

    fn reply(&mut self, place: u32, turn: u16, reply: Reply) {
        let entry = &mut self.places[place as usize];
        assert_eq!(entry.turn, turn, "every call is replied to once");
        match std::mem::replace(&mut entry.state, State::Replied(reply)) {
            State::Waiting(waker) => {
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
            State::Abandoned => self.close(place),
            State::Free | State::Replied(_) => unreachable!("every call is replied to once"),
        }
    }
}

/// A command under way. Dropped, it goes on all the same; only its reply is lost.
#[derive(Debug)]
pub(crate) struct Call {
    mailbox: Rc<Mailbox>,
    place: u32,
    done: bool,
}

impl Future for Call {
    type Output = Reply;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Reply> {
        assert!(!self.done, "a call ends once");
        let place = self.place;
        let reply = {
            let mut calls = self.mailbox.calls.borrow_mut();
            let state = &mut calls.places[place as usize].state;
            match state {
                State::Waiting(waker) => {
                    if !waker.as_ref().is_some_and(|old| old.will_wake(cx.waker())) {
                        *waker = Some(cx.waker().clone());
                    }
                    return Poll::Pending;
                }
                State::Replied(_) => {
                    let State::Replied(reply) = std::mem::replace(state, State::Free) else {
                        unreachable!("looked at above");
                    };
                    calls.free.push(place);
                    reply
                }
                State::Free | State::Abandoned => unreachable!("the caller is here"),
            }
        };
        self.done = true;
        Poll::Ready(reply)
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let mut calls = self.mailbox.calls.borrow_mut();
        let state = &mut calls.places[self.place as usize].state;
        match state {
            State::Waiting(_) => *state = State::Abandoned,
            State::Replied(_) => calls.close(self.place),
            State::Free | State::Abandoned => unreachable!("the caller was here"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use engine::answer::Rejection;
    use engine::command::{Command, Request, Route};
    use engine::ids::{OrderId, SlotId};
    use engine::text::Text;

    use super::*;

    const CORE: u16 = 3;

    fn mailbox() -> Rc<Mailbox> {
        Mailbox::new(CORE, Rc::new(Notify::default()))
    }

    fn request() -> Box<Request> {
        let order = OrderId::new(SlotId::new(0), 7);
        Box::new(Request { command: Command::GetOrder { order }, trace: Text::from("") })
    }

    fn posted(mailbox: &Mailbox) -> Vec<Token> {
        let mut posted = Vec::new();
        mailbox.take(&mut posted);
        posted.into_iter().map(|posted| posted.token).collect()
    }

    fn poll(call: &mut Call) -> Poll<Reply> {
        Pin::new(call).poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn a_reply_finds_its_caller() {
        let mailbox = mailbox();
        let (mut first, mut second) =
            (mailbox.call(0, Route::Every, request()), mailbox.call(1, Route::Every, request()));
        let tokens = posted(&mailbox);
        assert!(tokens.iter().all(|token| core_of(*token) == CORE));
        assert!(poll(&mut first).is_pending() && poll(&mut second).is_pending());
        mailbox.reply(tokens[1], Err(Rejection::Busy));
        assert!(poll(&mut first).is_pending());
        assert_eq!(poll(&mut second), Poll::Ready(Err(Rejection::Busy)));
        mailbox.reply(tokens[0], Err(Rejection::OrderNotFound));
        assert_eq!(poll(&mut first), Poll::Ready(Err(Rejection::OrderNotFound)));
    }

    #[test]
    fn a_reply_to_a_caller_who_left_disturbs_nobody() {
        let mailbox = mailbox();
        let left = mailbox.call(0, Route::Every, request());
        let late = posted(&mailbox)[0];
        drop(left);
        // The place is not given away before its reply has come.
        let mut next = mailbox.call(0, Route::Every, request());
        let token = posted(&mailbox)[0];
        assert_ne!(token, late);
        mailbox.reply(late, Err(Rejection::Busy));
        assert!(poll(&mut next).is_pending());
        mailbox.reply(token, Err(Rejection::OrderNotFound));
        assert_eq!(poll(&mut next), Poll::Ready(Err(Rejection::OrderNotFound)));
    }

    #[test]
    fn places_are_used_again_under_another_token() {
        let mailbox = mailbox();
        let mut tokens = Vec::new();
        for _ in 0..3 {
            let mut call = mailbox.call(0, Route::Every, request());
            let token = posted(&mailbox)[0];
            mailbox.reply(token, Err(Rejection::Busy));
            assert!(poll(&mut call).is_ready());
            tokens.push(token);
        }
        tokens.dedup();
        assert_eq!(tokens.len(), 3);
        assert_eq!(mailbox.calls.borrow().places.len(), 1);
    }

    #[test]
    fn a_reply_that_is_dropped_unread_frees_its_place() {
        let mailbox = mailbox();
        let call = mailbox.call(0, Route::Every, request());
        mailbox.reply(posted(&mailbox)[0], Err(Rejection::Busy));
        drop(call);
        assert_eq!(mailbox.calls.borrow().free.len(), 1);
    }
}
