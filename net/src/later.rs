//! Behind everybody who is ready.

use std::cell::RefCell;
use std::rc::Rc;
use std::task::{Poll, Waker};

/// Wakes tasks behind all that are ready now; a task that wakes itself would be run again before any other. While tasks are
/// ready, the runtime looks at neither sockets nor timers: whoever comes here again and again keeps it from them.
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

    /// To be spawned on the core; ends with its runtime.
    pub(crate) async fn run(self: Rc<Self>) {
        std::future::poll_fn(|cx| {
            self.waiting.borrow_mut().drain(..).for_each(Waker::wake);
            self.runner.replace(Some(cx.waker().clone()));
            Poll::<()>::Pending
        })
        .await;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use crate::runtime::{DriverChoice, Runtime, pause, spawn};

    use super::*;

    #[test]
    fn later_is_behind_all_that_are_ready_now() {
        for driver in [DriverChoice::Auto, DriverChoice::Epoll] {
            let mut runtime = Runtime::new(driver).expect("one of its drivers");
            runtime.block_on(async {
                let later = Rc::new(Later::default());
                spawn(later.clone().run());
                for round in 0..2 {
                    let (order, ended) = (Rc::new(RefCell::new(Vec::new())), Rc::new(Cell::new(0)));
                    for task in 0..3 {
                        let (later, order, ended) = (later.clone(), order.clone(), ended.clone());
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
                            ended.set(ended.get() + 1);
                        });
                    }
                    while ended.get() < 3 {
                        pause().await;
                    }
                    assert_eq!(order.take(), [0, 1, 2, 0, 1, 2], "round {round}");
                }
            });
        }
    }
}
