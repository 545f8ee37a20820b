//! The desk: commands and questions of threads that are no cores, in, and their answers, out. A core takes them up like those of its own callers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use engine::answer::{Rejection, Reply};
use engine::command::{Request, Route};
use engine::read_model::{Question, Reading, Unavailable};
use engine::slots::{SlotHash, core_of};
use net::runtime::CoreWaker;
use shard::Routed;
use tokio::sync::oneshot;

/// Commands and questions that wait to be taken up by one core; more are refused.
const WAITING_MAX: usize = 4_096;

/// A command or a question, and who waits for the answer.
pub(crate) enum Asked {
    Command {
        routed: Routed,
        answer: oneshot::Sender<Reply>,
    },
    /// To the read model.
    Question {
        question: Question,
        answer: oneshot::Sender<Answered>,
    },
}

/// The answer of the read model.
pub(crate) type Answered = Result<Reading, Unavailable>;

impl Asked {
    /// Whoever does not wait for it does not need it.
    fn refuse(self, why: Rejection) {
        match self {
            Asked::Command { answer, .. } => drop(answer.send(Err(why))),
            Asked::Question { answer, .. } => {
                let reason = match why {
                    Rejection::Stopping => "the server is stopping",
                    _ => "too much is asked at once",
                };
                drop(answer.send(Err(Unavailable { reason: reason.to_owned() })));
            }
        }
    }
}

/// A place for each core.
pub(crate) struct Desk {
    hash: SlotHash,
    places: Box<[Place]>,
}

struct Place {
    /// `None` once the core has left.
    asked: Mutex<Option<Vec<Asked>>>,
    /// Spares the core a lock in each turn.
    is_asked: AtomicBool,
    waker: CoreWaker,
}

impl Place {
    fn lock(&self) -> MutexGuard<'_, Option<Vec<Asked>>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, asked: Asked) {
        let mut place = self.lock();
        let Some(waiting) = place.as_mut() else { return asked.refuse(Rejection::Stopping) };
        if waiting.len() >= WAITING_MAX {
            return asked.refuse(Rejection::Busy);
        }
        waiting.push(asked);
        if !self.is_asked.swap(true, Ordering::AcqRel) {
            self.waker.wake();
        }
    }
}

impl Desk {
    pub(crate) fn new(hash: SlotHash, cores: &[CoreWaker]) -> Arc<Desk> {
        let place = |waker: &CoreWaker| Place {
            asked: Mutex::new(Some(Vec::new())),
            is_asked: AtomicBool::new(false),
            waker: waker.clone(),
        };
        Arc::new(Desk { hash, places: cores.iter().map(place).collect() })
    }

    /// Hands in a command for one slot. The reply comes by the receiver; none comes where the server stops first, and nothing is known of the
    /// command then.
    pub(crate) fn call(&self, request: Request) -> oneshot::Receiver<Reply> {
        let (answer, reply) = oneshot::channel();
        let routed = Routed::new(request, &self.hash);
        let Route::Slot(slot) = routed.route else { unreachable!("listings are not asked for here") };
        self.places[usize::from(core_of(slot, self.places.len() as u16))]
            .put(Asked::Command { routed, answer });
        reply
    }

    /// Asks the read model, as [`call`](Desk::call) does the engine.
    pub(crate) fn ask(&self, question: Question) -> oneshot::Receiver<Answered> {
        let (answer, reply) = oneshot::channel();
        self.places[0].put(Asked::Question { question, answer });
        reply
    }

    /// The commands and questions for a core, which takes them up.
    pub(crate) fn take(&self, core: u16) -> Vec<Asked> {
        let place = &self.places[usize::from(core)];
        if !place.is_asked.swap(false, Ordering::AcqRel) {
            return Vec::new();
        }
        place.lock().as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// The core has left: what it has not taken up is not answered, what comes later is refused.
    pub(crate) fn close(&self, core: u16) {
        *self.places[usize::from(core)].lock() = None;
    }
}

#[cfg(test)]
mod tests {
    use engine::command::Command;
    use engine::ids::{OrderId, SlotId};
    use engine::text::Text;

    use super::*;

    fn desk(cores: usize) -> Arc<Desk> {
        let wakers: Vec<CoreWaker> = (0..cores).map(|_| CoreWaker::new().unwrap()).collect();
        Desk::new(SlotHash::new([7; 16]), &wakers)
    }

    fn request(slot: u16) -> Request {
        Request {
            command: Command::GetOrder { order: OrderId::new(SlotId::new(slot), 7 << 12) },
            trace: Text::from(""),
        }
    }

    #[test]
    fn a_command_goes_to_the_core_of_its_slot_and_its_reply_comes_back() {
        let desk = desk(2);
        let mut replies: Vec<_> = (0..2).map(|slot| desk.call(request(slot))).collect();
        for core in 0..2 {
            let [asked] = <[Asked; 1]>::try_from(desk.take(core)).ok().unwrap();
            let Asked::Command { routed, answer } = asked else { panic!("a command was handed in") };
            assert_eq!(routed.route, Route::Slot(SlotId::new(core)));
            assert!(desk.take(core).is_empty());
            answer.send(Err(Rejection::OrderNotFound)).unwrap();
        }
        for reply in &mut replies {
            assert_eq!(reply.try_recv(), Ok(Err(Rejection::OrderNotFound)));
        }
    }

    #[test]
    fn a_full_place_and_one_whose_core_has_left_refuse() {
        let desk = desk(1);
        let _waiting: Vec<_> = (0..WAITING_MAX).map(|_| desk.call(request(0))).collect();
        assert_eq!(desk.call(request(0)).try_recv(), Ok(Err(Rejection::Busy)));
        let question = Question::Order(OrderId::new(SlotId::new(0), 7 << 12));
        assert!(desk.ask(question).try_recv().is_ok_and(|answer| answer.is_err()));
        assert_eq!(desk.take(0).len(), WAITING_MAX);
        let mut waiting = desk.call(request(0));
        desk.close(0);
        assert_eq!(waiting.try_recv(), Err(oneshot::error::TryRecvError::Closed), "nothing is known of it");
        assert_eq!(desk.call(request(0)).try_recv(), Ok(Err(Rejection::Stopping)));
        assert!(desk.take(0).is_empty());
    }
}
