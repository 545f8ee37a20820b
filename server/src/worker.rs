//! The ticket worker of one core: follows the orders that its shard has durably paid, and issues their tickets.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use engine::answer::{Rejection, Reply};
use engine::command::{Command, Request};
use engine::ids::{OrderId, Time};
use engine::text::Text;
use shard::Token;
use wal::Lsn;

/// Tickets that are being issued at a time.
const IN_FLIGHT_MAX: usize = 1_024;
/// Before a refused ticket is tried again.
const RETRY_MS: u64 = 100;

/// What `/worker/status` shows of one core; written by its worker, read by any core.
#[derive(Debug, Default)]
pub(crate) struct WorkerCell {
    position: AtomicU64,
    backlog: AtomicU64,
    /// When the oldest waiting order was paid, as engine time; 0 where none waits.
    oldest: AtomicU64,
    last_error: Mutex<Option<String>>,
}

/// The status of all workers together.
pub(crate) fn status(cells: &[WorkerCell], now: Time) -> net::WorkerStatus {
    let mut status = net::WorkerStatus::default();
    for cell in cells {
        status.position += cell.position.load(Ordering::Relaxed);
        status.backlog += cell.backlog.load(Ordering::Relaxed);
        let oldest = cell.oldest.load(Ordering::Relaxed);
        if oldest != 0 {
            status.lag_ms = status.lag_ms.max(now.0.saturating_sub(oldest));
        }
        if let Some(error) = &*cell.last_error.lock().unwrap_or_else(std::sync::PoisonError::into_inner) {
            status.last_error = Some(error.clone());
        }
    }
    status
}

#[derive(Debug)]
struct Paid {
    order: OrderId,
    /// The record that says so.
    lsn: Lsn,
    since: Time,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Worker {
    cells: Arc<[WorkerCell]>,
    core: usize,
    /// Both in the order of the log.
    queue: VecDeque<Paid>,
    in_flight: VecDeque<(Token, Paid)>,
    next_token: u64,
    retry_at: Time,
    has_failed: bool,
}

/// Tokens of workers have this bit; those of mailboxes never do, because there are fewer cores.
const WORKER_BIT: u64 = 1 << 63;

pub(crate) fn is_worker(token: Token) -> bool {
    token.0 & WORKER_BIT != 0
}

impl Worker {
    pub(crate) fn new(core: u16, cells: Arc<[WorkerCell]>) -> Worker {
        Worker {
            cells,
            core: usize::from(core),
            queue: VecDeque::new(),
            in_flight: VecDeque::new(),
            next_token: WORKER_BIT,
            retry_at: Time(0),
            has_failed: false,
        }
    }

    /// An order was paid, durably.
    pub(crate) fn paid(&mut self, order: OrderId, lsn: Lsn, now: Time) {
        self.queue.push_back(Paid { order, lsn, since: now });
    }

    /// The next ticket to issue, if one may be.
    pub(crate) fn next(&mut self, now: Time) -> Option<(Token, Request)> {
        if self.in_flight.len() >= IN_FLIGHT_MAX || now < self.retry_at {
            return None;
        }
        let paid = self.queue.pop_front()?;
        let token = Token(self.next_token);
        self.next_token += 1;
        let request = Request { command: Command::IssueTicket { order: paid.order }, trace: Text::from("") };
        let place = self.in_flight.partition_point(|(_, other)| other.lsn <= paid.lsn);
        self.in_flight.insert(place, (token, paid));
        Some((token, request))
    }

    /// What became of a ticket. Refused for want of room, it is tried again; the order waits at its place.
    pub(crate) fn replied(&mut self, token: Token, reply: &Reply, now: Time) {
        let place = self.in_flight.iter().position(|(waiting, _)| *waiting == token);
        let (_, paid) = place.and_then(|place| self.in_flight.remove(place)).expect("a ticket under way");
        let error = match reply {
            Ok(_) => None,
            Err(rejection) => Some(format!("{rejection:?}: order {}", paid.order)),
        };
        // An order that is not paid any more needs no ticket; the error is shown until something goes right again.
        if let Err(Rejection::Busy | Rejection::LogFull | Rejection::LimitReached) = reply {
            self.retry_at = now.plus(RETRY_MS);
            let place = self.queue.partition_point(|other| other.lsn <= paid.lsn);
            self.queue.insert(place, paid);
        }
        if error.is_some() || self.has_failed {
            self.has_failed = error.is_some();
            *self.cell().last_error.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = error;
        }
    }

    /// The shard took nothing more.
    pub(crate) fn refused(&mut self, token: Token, now: Time) {
        self.replied(token, &Err(Rejection::Busy), now);
    }

    /// When a refused ticket is to be tried again.
    pub(crate) fn next_wake(&self, now: Time) -> Option<Time> {
        (!self.queue.is_empty() && now < self.retry_at).then_some(self.retry_at)
    }

    /// Shows where it is, in a log that is durable up to `durable`.
    pub(crate) fn publish(&self, durable: Lsn) {
        let cell = self.cell();
        let waiting = self.in_flight.iter().map(|(_, paid)| paid).take(1).chain(self.queue.front());
        let oldest = waiting.min_by_key(|paid| paid.lsn);
        let position = oldest.map_or(durable.0, |paid| paid.lsn.0.saturating_sub(1));
        cell.position.store(position, Ordering::Relaxed);
        cell.backlog.store((self.queue.len() + self.in_flight.len()) as u64, Ordering::Relaxed);
        cell.oldest.store(oldest.map_or(0, |paid| paid.since.0), Ordering::Relaxed);
    }

    fn cell(&self) -> &WorkerCell {
        &self.cells[self.core]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whichever tickets are refused, and in which order, and issued again.
    #[test]
    fn its_place_is_before_the_first_order_without_a_ticket() {
        let cells: Arc<[WorkerCell]> = Arc::new([WorkerCell::default()]);
        let mut worker = Worker::new(0, cells.clone());
        let order = |n| OrderId::new(engine::ids::SlotId::new(0), n);
        let position = |worker: &Worker| {
            worker.publish(Lsn(50));
            status(&cells, Time(0)).position
        };
        assert_eq!(position(&worker), 50);
        for (n, lsn) in [(1, 10), (2, 20), (3, 30)] {
            worker.paid(order(n), Lsn(lsn), Time(0));
        }
        let tokens: Vec<Token> = (0..3).map(|_| worker.next(Time(0)).expect("a ticket").0).collect();
        for token in &tokens {
            assert_eq!(position(&worker), 9);
            worker.refused(*token, Time(0));
        }
        assert_eq!(position(&worker), 9);
        let later = Time(RETRY_MS);
        let (first, request) = worker.next(later).expect("a ticket");
        assert_eq!(request.command, Command::IssueTicket { order: order(1) });
        let (second, _) = worker.next(later).expect("a ticket");
        worker.refused(first, later);
        assert_eq!(position(&worker), 9);
        let (again, request) = worker.next(later.plus(RETRY_MS)).expect("a ticket");
        assert_eq!(request.command, Command::IssueTicket { order: order(1) });
        assert_eq!(position(&worker), 9);
        let gone = Err(Rejection::OrderNotFound);
        worker.replied(again, &gone, later);
        assert_eq!(position(&worker), 19);
        worker.replied(second, &gone, later);
        assert_eq!(position(&worker), 29);
    }
}
