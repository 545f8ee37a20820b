//! Exports: all orders of a question as one file. They are read page by page while the file leaves, a page in memory at a time, and
//! no faster than the client takes it.

use std::rc::Rc;
use std::time::Instant;

use engine::answer::OrderView;
use engine::read_model::{OrdersPage, OrdersQuestion, Question, Reading};

use crate::app::{App, Permit};
use crate::backend::Backend;
use crate::connection::{Connection, Phase};
use crate::json::csv;
use crate::json::views;
use crate::limits::EXPORT_PIECE_BYTES;
use crate::logs;
use crate::runtime;
use crate::stream::{Cut, Outlet};

/// The form of an export.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Format {
    /// A row of names, then a row for each order (RFC 4180).
    Csv,
    /// An order on each line, in JSON.
    Jsonl,
}

impl Format {
    pub(crate) const ALL: [Format; 2] = [Format::Csv, Format::Jsonl];

    /// As a query names it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Format::Csv => "csv",
            Format::Jsonl => "jsonl",
        }
    }

    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Format::Csv => "text/csv; charset=utf-8; header=present",
            Format::Jsonl => "application/x-ndjson",
        }
    }

    pub(crate) const fn disposition(self) -> &'static str {
        match self {
            Format::Csv => "attachment; filename=\"orders.csv\"",
            Format::Jsonl => "attachment; filename=\"orders.jsonl\"",
        }
    }

    /// The head, before the first order.
    fn head(self) -> Vec<u8> {
        match self {
            Format::Csv => csv::head(&views::ORDER_FIELDS),
            Format::Jsonl => Vec::new(),
        }
    }

    fn write(self, out: &mut Vec<u8>, order: &OrderView) {
        match self {
            Format::Csv => csv::row(out, &views::ORDER_FIELDS, |row| views::order_fields(row, order)),
            Format::Jsonl => out.extend_from_slice(&views::order(order)),
        }
    }
}

/// An export on its way to a client.
pub(crate) struct Export<B: Backend> {
    app: Rc<App<B>>,
    connection: Rc<Connection>,
    format: Format,
    /// Of the page that is next, with its size.
    question: OrdersQuestion,
    _permit: Permit,
}

impl<B: Backend> Export<B> {
    pub(crate) fn new(
        app: &Rc<App<B>>,
        connection: &Rc<Connection>,
        format: Format,
        question: OrdersQuestion,
        permit: Permit,
    ) -> Export<B> {
        Export { app: app.clone(), connection: connection.clone(), format, question, _permit: permit }
    }

    /// Writes the first page, which is read already, and all that follow.
    pub(crate) async fn run(mut self, first: OrdersPage, outlet: Outlet) -> Result<(), Cut> {
        let mut out = self.format.head();
        let mut page = first;
        loop {
            for order in &page.orders {
                self.format.write(&mut out, order);
                while out.len() >= EXPORT_PIECE_BYTES {
                    self.give(&outlet, &mut out).await;
                }
            }
            let Some(next) = page.next else { break };
            // Dropped first: one page at a time.
            drop(page);
            self.question.after = Some(next);
            page = self.read().await?;
        }
        if !out.is_empty() {
            self.give(&outlet, &mut out).await;
        }
        Ok(())
    }

    /// Gives the connection what it may have at a time, and waits until it has room for more. Then everybody else comes first.
    async fn give(&self, outlet: &Outlet, out: &mut Vec<u8>) {
        let rest = out.split_off(out.len().min(EXPORT_PIECE_BYTES));
        let limits = &self.app.config.limits;
        self.connection.enter(Phase::Idle, self.app.clock.get() + limits.idle_ms);
        outlet.give(std::mem::replace(out, rest)).await;
        runtime::pause().await;
    }

    /// The next page, within the time of a request. It is too late to refuse: without it the file is cut.
    async fn read(&self) -> Result<OrdersPage, Cut> {
        let now_ms = self.app.clock.get();
        self.connection.enter(Phase::Asked, now_ms + self.app.config.limits.request_ms);
        let question = Question::Orders(Box::new(self.question.clone()));
        let reason = match self.connection.in_time(self.app.backend.read(question)).await {
            Ok(Ok(Reading::Orders(page))) => return Ok(page),
            Ok(Ok(_)) => "another answer than was asked for".to_owned(),
            Ok(Err(unavailable)) => unavailable.reason,
            Err(_) => "no answer in time".to_owned(),
        };
        logs::export_cut(&reason, self.app.clock.get());
        Err(Cut)
    }
}

/// However it ends, at its end or before: from here on the connection waits for its next request.
impl<B: Backend> Drop for Export<B> {
    fn drop(&mut self) {
        let (now_ms, limits) = (self.app.clock.get(), &self.app.config.limits);
        self.connection.answered(Instant::now(), now_ms + limits.idle_ms, now_ms + limits.header_ms);
    }
}
