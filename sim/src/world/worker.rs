//! The ticket worker of one core, as the server has it, but for its bound on tickets under way: follows the orders that its shard has paid, and issues tickets.

use std::collections::{BTreeMap, VecDeque};

use engine::answer::{Rejection, Reply};
use engine::command::{Command, Request};
use engine::ids::{OrderId, Time};
use engine::text::Text;
use shard::Token;

const RETRY_MS: u64 = 100;
/// Tokens of workers have this bit.
const WORKER_BIT: u64 = 1 << 63;

#[must_use]
pub(super) fn is_worker(token: Token) -> bool {
    token.0 & WORKER_BIT != 0
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Worker {
    queue: VecDeque<OrderId>,
    under_way: BTreeMap<Token, OrderId>,
    tokens: u64,
    retry_at: Time,
}

impl Worker {
    pub(super) fn paid(&mut self, order: OrderId) {
        self.queue.push_back(order);
    }

    pub(super) fn next(&mut self, now: Time) -> Option<(Token, Request)> {
        if now < self.retry_at {
            return None;
        }
        let order = self.queue.pop_front()?;
        self.tokens += 1;
        let token = Token(WORKER_BIT | self.tokens);
        self.under_way.insert(token, order);
        Some((token, Request { command: Command::IssueTicket { order }, trace: Text::from("") }))
    }

    pub(super) fn replied(&mut self, token: Token, reply: &Reply, now: Time) {
        let order = self.under_way.remove(&token).expect("a ticket under way");
        if matches!(reply, Err(Rejection::Busy | Rejection::LogFull | Rejection::LimitReached)) {
            self.retry_at = now.plus(RETRY_MS);
            self.queue.push_front(order);
        }
    }

    /// When a refused ticket is to be tried again.
    #[must_use]
    pub(super) fn next_wake(&self, now: Time) -> Option<Time> {
        (!self.queue.is_empty()).then_some(self.retry_at.max(now))
    }
}
