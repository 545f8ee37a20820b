//! A task is not woken for what it has just done itself.
//!
//! hyper hands a request's body over by a channel whose ends wake each other, and both belong to one task. So every request with
//! a body would wake its connection in the middle of a turn, for another turn in which nothing has come.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// The turns of one task. Its waker is for the core's own thread: another one that woke in the middle of a turn would count as
/// the task itself, and might not be heard.
#[derive(Debug)]
pub(crate) struct Turns {
    inner: Arc<Inner>,
    /// Of `inner`.
    waker: Waker,
}

/// Atomic because a waker has to be.
#[derive(Debug)]
struct Inner {
    task: Waker,
    in_turn: AtomicBool,
    woken: AtomicBool,
}

impl Turns {
    /// Of the task that `cx` is of.
    pub(crate) fn new(cx: &Context<'_>) -> Turns {
        let (in_turn, woken) = (AtomicBool::new(false), AtomicBool::new(false));
        let inner = Arc::new(Inner { task: cx.waker().clone(), in_turn, woken });
        let waker = Waker::from(inner.clone());
        Turns { inner, waker }
    }

    /// Does a turn. Where it wakes itself meanwhile, another one follows only if `goes_on` says so at the end.
    pub(crate) fn take<T>(
        &self,
        turn: impl FnOnce(&mut Context<'_>) -> Poll<T>,
        goes_on: impl FnOnce() -> bool,
    ) -> Poll<T> {
        self.inner.in_turn.store(true, Ordering::Relaxed);
        let done = turn(&mut Context::from_waker(&self.waker));
        self.inner.in_turn.store(false, Ordering::Relaxed);
        if self.inner.woken.swap(false, Ordering::Relaxed) && done.is_pending() && goes_on() {
            self.inner.task.wake_by_ref();
        }
        done
    }
}

impl Wake for Inner {
    fn wake(self: Arc<Inner>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Inner>) {
        if self.in_turn.load(Ordering::Relaxed) {
            self.woken.store(true, Ordering::Relaxed);
        } else {
            self.task.wake_by_ref();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Woken(AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Woken>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    impl Woken {
        fn check(&self, expected: bool, when: &str) {
            assert_eq!(self.0.swap(false, Ordering::Relaxed), expected, "{when}");
        }
    }

    #[test]
    fn a_turn_that_wakes_itself_is_followed_by_another_one_if_it_goes_on() {
        let task = Arc::new(Woken::default());
        let waker = Waker::from(task.clone());
        let turns = Turns::new(&Context::from_waker(&waker));
        let mut kept = None;
        let mut turn = |wakes: bool, done: Poll<()>, goes_on: bool| {
            let taken = turns.take(
                |cx| {
                    kept = Some(cx.waker().clone());
                    if wakes {
                        cx.waker().wake_by_ref();
                    }
                    done
                },
                || goes_on,
            );
            assert_eq!(taken, done);
        };
        turn(false, Poll::Pending, true);
        task.check(false, "nobody woke it");
        turn(true, Poll::Pending, true);
        task.check(true, "it goes on");
        turn(true, Poll::Pending, false);
        task.check(false, "it does not go on");
        turn(false, Poll::Pending, true);
        task.check(false, "a turn answers for itself alone");
        turn(true, Poll::Ready(()), true);
        task.check(false, "it is done");
        kept.expect("the waker of a turn").wake();
        task.check(true, "between turns it is the task's");
    }
}
