//! Behind everybody else.

use std::cell::RefCell;
use std::rc::Rc;
use std::task::{Poll, Waker};

/// Wakes tasks behind all that are ready now. A task that wakes itself would be run again before any other.
#[derive(Debug, Default)]
pub(crate) struct Later {
    waiting: RefCell<Vec<Waker>>,
    runner: RefCell<Option<Waker>>,
}

impl Later {
    /// Works once [`Later::run`] has been spawned.
    pub(crate) fn wake(&self, task: &Waker) {
        self.waiting.borrow_mut().push(task.clone());
        if let Some(runner) = self.runner.take() {
            runner.wake();
        }
    }

    /// To be spawned on the core; never ends.
    pub(crate) async fn run(self: Rc<Self>) {
        std::future::poll_fn(|cx| {
            self.waiting.borrow_mut().drain(..).for_each(Waker::wake);
            self.runner.replace(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await
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
                spawn(later.clone().run());
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
                    pause().await;
                    assert_eq!(order.take(), [0, 1, 2, 0, 1, 2], "round {round}");
                }
            });
        }
    }
}
