//! Threads that ask the read model, and the way of a question there and back: SQLite waits for its disk, a core never does.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;

use bridge::read_model::Reader;
use engine::read_model::{Question, Reading, Unavailable};
use net::runtime::{self, CoreWaker};

use crate::logging;
use crate::sinks::SinkHandle;

/// Questions that wait for a reader; further ones are refused.
const WAITING_MAX: usize = 1_024;
/// Readers side by side.
const READERS: usize = 2;

type Answered = Result<Reading, Unavailable>;

struct Asked {
    core: usize,
    call: u64,
    question: Question,
}

/// Answers on their way back to a core.
struct Returns {
    answers: Mutex<Vec<(u64, Answered)>>,
    waker: CoreWaker,
}

/// The desk at which the cores of the process hand in their questions.
#[derive(Clone)]
pub(crate) struct ReadDesk {
    questions: SyncSender<Asked>,
    returns: Arc<[Returns]>,
    read_model: SinkHandle,
}

impl ReadDesk {
    /// Starts the readers. They end with the process.
    ///
    /// # Errors
    /// A thread or a wake-up cannot be had.
    pub(crate) fn start(path: &std::path::Path, cores: u16, read_model: SinkHandle) -> io::Result<ReadDesk> {
        let (questions, asked) = sync_channel(WAITING_MAX);
        let returns = (0..cores).map(|_| Ok(Returns { answers: Mutex::default(), waker: CoreWaker::new()? }));
        let desk = ReadDesk { questions, returns: returns.collect::<io::Result<_>>()?, read_model };
        let asked = Arc::new(Mutex::new(asked));
        for nth in 0..READERS {
            let (reader, asked, desk) = (Reader::new(path), asked.clone(), desk.clone());
            thread::Builder::new()
                .name(format!("reader-{nth}"))
                .spawn(move || desk.answer_all(reader, &asked))?;
        }
        Ok(desk)
    }

    fn answer_all(&self, mut reader: Reader, asked: &Mutex<Receiver<Asked>>) {
        let mut rebuilds = self.read_model.requests.rebuilds();
        loop {
            let next = asked.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(Asked { core, call, question }) = next else { return };
            // What it has open is the file that was thrown away.
            if rebuilds != self.read_model.requests.rebuilds() {
                rebuilds = self.read_model.requests.rebuilds();
                reader = Reader::new(reader.path().to_owned());
            }
            let answer = self.can_be_read().and_then(|()| reader.answer(&question));
            let returns = &self.returns[core];
            returns.answers.lock().unwrap_or_else(PoisonError::into_inner).push((call, answer));
            returns.waker.wake();
        }
    }

    /// Refuses a read model that cannot be trusted: it must be this directory's, whole, and not older than what was relied on.
    fn can_be_read(&self) -> Result<(), Unavailable> {
        match self.read_model.distrust() {
            None => Ok(()),
            Some(reason) => {
                Err(Unavailable { reason: format!("the read model cannot be trusted: {reason}") })
            }
        }
    }
}

/// The questions of one core.
pub(crate) struct CoreReads {
    desk: ReadDesk,
    core: usize,
    next_call: Cell<u64>,
    calls: RefCell<HashMap<u64, Waiting>>,
}

#[derive(Default)]
struct Waiting {
    answer: Option<Answered>,
    waker: Option<Waker>,
}

impl CoreReads {
    /// On the thread of the core.
    ///
    /// # Errors
    /// The wake-up cannot be waited for.
    pub(crate) fn start(desk: ReadDesk, core: u16) -> io::Result<Rc<CoreReads>> {
        let reads = Rc::new(CoreReads {
            desk,
            core: usize::from(core),
            next_call: Cell::new(0),
            calls: RefCell::default(),
        });
        let waiter = reads.desk.returns[reads.core].waker.waiter()?;
        let returned = reads.clone();
        runtime::spawn(async move {
            loop {
                if let Err(error) = waiter.wait().await {
                    logging::exit(crate::EXIT_FATAL, || {
                        tracing::error!(%error, "cannot wait for the read model");
                    });
                }
                returned.take();
            }
        });
        Ok(reads)
    }

    fn take(&self) {
        let returns = &self.desk.returns[self.core];
        let answers = std::mem::take(&mut *returns.answers.lock().unwrap_or_else(PoisonError::into_inner));
        let mut calls = self.calls.borrow_mut();
        for (call, answer) in answers {
            // Nobody waits for it any more where it is gone.
            let Some(waiting) = calls.get_mut(&call) else { continue };
            waiting.answer = Some(answer);
            if let Some(waker) = waiting.waker.take() {
                waker.wake();
            }
        }
    }

    /// Asks, and ends with the answer.
    pub(crate) fn ask(self: &Rc<Self>, question: Question) -> impl Future<Output = Answered> + use<> {
        let call = self.next_call.replace(self.next_call.get() + 1);
        let asked = self.desk.questions.try_send(Asked { core: self.core, call, question });
        let waiting = match asked {
            Ok(()) => Waiting::default(),
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => Waiting {
                answer: Some(Err(Unavailable { reason: "too many ask the read model at once".to_owned() })),
                waker: None,
            },
        };
        self.calls.borrow_mut().insert(call, waiting);
        Read { reads: self.clone(), call }
    }
}

/// A question on its way.
struct Read {
    reads: Rc<CoreReads>,
    call: u64,
}

impl Future for Read {
    type Output = Answered;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answered> {
        let mut calls = self.reads.calls.borrow_mut();
        let waiting = calls.get_mut(&self.call).expect("it waits until it is dropped");
        if let Some(answer) = waiting.answer.take() {
            return Poll::Ready(answer);
        }
        waiting.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Read {
    fn drop(&mut self) {
        self.reads.calls.borrow_mut().remove(&self.call);
    }
}
