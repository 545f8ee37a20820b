//! Mailbox: what passes between the requests of one core and its node, commands in, replies back. Core-local, no locks.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use engine::answer::Reply;
use shard::{CallId, Calls, Posted, Routed};

/// A batch on its way to the node of its core, and the core that owns its slots.
#[derive(Debug)]
pub(crate) struct PostedBatch {
    pub(crate) owner: u16,
    pub(crate) batch: Vec<(CallId, Routed)>,
}

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

/// Requests [`call`](Mailbox::call) and wait for the future; the core's loop [`take`](Mailbox::take)s what they posted, and
/// [`reply`](Mailbox::reply)s.
#[derive(Debug)]
pub(crate) struct Mailbox {
    posted: RefCell<Vec<Posted>>,
    posted_batches: RefCell<Vec<PostedBatch>>,
    calls: RefCell<Calls<Waker>>,
    notify: Rc<Notify>,
}

impl Mailbox {
    pub(crate) fn new(notify: Rc<Notify>) -> Rc<Mailbox> {
        let (posted, posted_batches) = (RefCell::default(), RefCell::default());
        Rc::new(Mailbox { posted, posted_batches, calls: RefCell::default(), notify })
    }

    /// Posts a command for the core that owns its slot. The future ends with its reply.
    pub(crate) fn call(self: &Rc<Self>, owner: u16, routed: Routed) -> Call {
        let call = self.calls.borrow_mut().open();
        self.posted.borrow_mut().push(Posted { call, owner, routed });
        self.notify.notify();
        Call { mailbox: self.clone(), call, done: false }
    }

    /// Posts commands, those of each core as one parcel for it: `owners` has the core of each. The futures, in the commands' order, end with
    /// their replies.
    pub(crate) fn call_batch(self: &Rc<Self>, commands: Vec<(u16, Routed)>, cores: u16) -> Vec<Call> {
        let mut by_core: Vec<Vec<(CallId, Routed)>> = (0..cores).map(|_| Vec::new()).collect();
        let mut calls = Vec::with_capacity(commands.len());
        for (owner, routed) in commands {
            let call = self.calls.borrow_mut().open();
            by_core[usize::from(owner)].push((call, routed));
            calls.push(Call { mailbox: self.clone(), call, done: false });
        }
        let batches = (0..).zip(by_core).filter(|(_, batch)| !batch.is_empty());
        self.posted_batches.borrow_mut().extend(batches.map(|(owner, batch)| PostedBatch { owner, batch }));
        self.notify.notify();
        calls
    }

    /// The batches that were posted.
    pub(crate) fn take_batches(&self) -> Vec<PostedBatch> {
        std::mem::take(&mut *self.posted_batches.borrow_mut())
    }

    /// Exchanges what was posted for an empty box, which keeps its memory.
    pub(crate) fn take(&self, into: &mut Vec<Posted>) {
        debug_assert!(into.is_empty());
        std::mem::swap(&mut *self.posted.borrow_mut(), into);
    }

    pub(crate) fn reply(&self, call: CallId, reply: Reply) {
        if let Some(waker) = self.calls.borrow_mut().reply(call, reply) {
            waker.wake();
        }
    }
}

/// A command under way. Dropped, it goes on all the same; only its reply is lost.
#[derive(Debug)]
pub(crate) struct Call {
    mailbox: Rc<Mailbox>,
    call: CallId,
    done: bool,
}

impl Future for Call {
    type Output = Reply;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Reply> {
        assert!(!self.done, "a call ends once");
        let reply = {
            let mut calls = self.mailbox.calls.borrow_mut();
            let Some(reply) = calls.take_reply(self.call) else {
                let waiter = calls.waiter(self.call);
                if !waiter.as_ref().is_some_and(|waiter| waiter.will_wake(cx.waker())) {
                    *waiter = Some(cx.waker().clone());
                }
                return Poll::Pending;
            };
            reply
        };
        self.done = true;
        Poll::Ready(reply)
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if !self.done {
            self.mailbox.calls.borrow_mut().abandon(self.call);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use engine::answer::Rejection;
    use engine::command::{Command, Request, Route};
    use engine::ids::{OrderId, SlotId};
    use engine::text::Text;

    use super::*;

    fn call(mailbox: &Rc<Mailbox>) -> Call {
        let command = Command::GetOrder { order: OrderId::new(SlotId::new(0), 7) };
        let request = Box::new(Request { command, trace: Text::from("") });
        mailbox.call(0, Routed { route: Route::Every, request })
    }

    fn posted(mailbox: &Mailbox) -> Vec<CallId> {
        let mut posted = Vec::new();
        mailbox.take(&mut posted);
        posted.into_iter().map(|posted| posted.call).collect()
    }

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Wakes>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn poll(call: &mut Call, wakes: &Arc<Wakes>) -> Poll<Reply> {
        Pin::new(call).poll(&mut Context::from_waker(&Waker::from(wakes.clone())))
    }

    #[test]
    fn a_reply_wakes_its_caller_and_ends_the_call() {
        let mailbox = Mailbox::new(Rc::default());
        let wakes = Arc::new(Wakes::default());
        let (mut first, mut second) = (call(&mailbox), call(&mailbox));
        let calls = posted(&mailbox);
        assert!(poll(&mut first, &wakes).is_pending() && poll(&mut second, &wakes).is_pending());
        mailbox.reply(calls[1], Err(Rejection::Busy));
        assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
        assert!(poll(&mut first, &wakes).is_pending());
        assert_eq!(poll(&mut second, &wakes), Poll::Ready(Err(Rejection::Busy)));
    }

    #[test]
    fn who_goes_away_leaves_nothing_behind() {
        let mailbox = Mailbox::new(Rc::default());
        let (before, after) = (call(&mailbox), call(&mailbox));
        let calls = posted(&mailbox);
        drop(before);
        mailbox.reply(calls[0], Err(Rejection::Busy));
        mailbox.reply(calls[1], Err(Rejection::Busy));
        drop(after);
        assert_eq!(mailbox.calls.borrow().open_count(), 0);
    }
}
