//! Behind everybody else.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Poll, Waker};

use crate::runtime::{Bell, BellWaiter};

/// Wakes tasks behind all that are ready now, and behind a look at sockets and timers. A task that wakes itself would be run
/// again before any other, and for as long as tasks are ready the runtime looks at nothing else.
#[derive(Debug, Default)]
pub(crate) struct Later {
    waiting: RefCell<Vec<Waker>>,
    runner: RefCell<Option<Waker>>,
    rounds: Cell<u64>,
}

impl Later {
    /// Works once [`Later::run`] has been spawned.
    pub(crate) fn wake(&self, task: &Waker) {
        self.waiting.borrow_mut().push(task.clone());
        if let Some(runner) = self.runner.take() {
            runner.wake();
        }
    }

    /// How often tasks have been woken: while it stays the same, nobody else had a turn.
    pub(crate) fn rounds(&self) -> u64 {
        self.rounds.get()
    }

    /// To be spawned on the core; never ends.
    pub(crate) async fn run(self: Rc<Self>, bell: Bell, waiter: BellWaiter) {
        loop {
            std::future::poll_fn(|cx| {
                if !self.waiting.borrow().is_empty() {
                    return Poll::Ready(());
                }
                self.runner.replace(Some(cx.waker().clone()));
                Poll::Pending
            })
            .await;
            bell.ring();
            if let Err(error) = waiter.wait().await {
                tracing::error!(%error, "cannot look at sockets and timers");
            }
            self.rounds.set(self.rounds.get() + 1);
            self.waiting.borrow_mut().drain(..).for_each(Waker::wake);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::runtime::{DriverChoice, Runtime, pause, spawn};

    use super::*;

    #[test]
    fn later_is_behind_all_that_are_ready_now() {
        for driver in [DriverChoice::Auto, DriverChoice::Epoll] {
            let mut runtime = Runtime::new(driver).expect("one of its drivers");
            runtime.block_on(async {
                let (later, order) = (Rc::new(Later::default()), Rc::new(RefCell::new(Vec::new())));
                let bell = Bell::new().expect("a bell");
                let waiter = bell.waiter().expect("its waiter");
                spawn(later.clone().run(bell, waiter));
                for round in 0..2 {
                    for task in 0..3 {
                        let (later, order) = (later.clone(), order.clone());
                        spawn(async move {
                            let mut first = true;
                            std::future::poll_fn(|cx| {
                                order.borrow_mut().push(task);
                                if !std::mem::take(&mut first) {
                                    return Poll::Ready(());
                                }
                                later.wake(cx.waker());
                                Poll::Pending
                            })
                            .await;
                        });
                    }
                    while later.rounds() == round {
                        pause().await;
                    }
                    pause().await;
                    assert_eq!(order.take(), [0, 1, 2, 0, 1, 2], "round {round}");
                    assert_eq!(later.rounds(), round + 1);
                }
            });
        }
    }
}
