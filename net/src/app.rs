//! The application of one core: backend, settings and counters that its requests share, and the context of one request.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use engine::answer::{Answer as EngineAnswer, OrderView, RefundView, Rejection, Reply};
use engine::command::{Command, LookedUp, Pay, Request as EngineRequest};
use engine::ids::OrderId;
use engine::read_model::{Question, Reading, RefundsQuestion};

use crate::backend::Backend;
use crate::config::Config;
use crate::connection::Connection;
use crate::errors::{Code, Problem};
use crate::metrics::{CoreHttp, Metrics};
use crate::random::Random;
use crate::router::{PathParams, Route};
use crate::service::Service;
use crate::trace::Ids;

/// The application behind one core's connections. Knows nothing of sockets.
#[derive(Debug)]
pub(crate) struct App<B> {
    pub(crate) backend: B,
    pub(crate) config: Arc<Config>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) http: Arc<CoreHttp>,
    pub(crate) random: Random,
    /// Milliseconds since the start, as of the last sweep.
    pub(crate) clock: Rc<Cell<u64>>,
    /// Requests that have not arrived whole are not waited for any longer: the server stops.
    pub(crate) is_stopping: Cell<bool>,
    in_flight: Cell<usize>,
    exports: Rc<Cell<usize>>,
    batches: Rc<Cell<usize>>,
}

/// An answer about an order.
#[derive(Debug)]
pub(crate) enum AboutOrder {
    /// The engine's.
    Here(EngineAnswer),
    /// The order has left the engine, and was this.
    Left(Box<OrderView>),
}

/// One request as its route sees it.
#[derive(Debug)]
pub(crate) struct RequestContext<'r> {
    pub(crate) service: Service,
    pub(crate) route: Route,
    pub(crate) path: PathParams<'r>,
    pub(crate) query: Option<&'r str>,
    pub(crate) ids: &'r Ids,
    pub(crate) connection: &'r Rc<Connection>,
}

impl<B: Backend> App<B> {
    /// The application of core `core` over the core's own backend.
    pub(crate) fn new(core: usize, backend: B, config: Arc<Config>, metrics: Arc<Metrics>) -> Rc<App<B>> {
        Rc::new(App {
            backend,
            http: metrics.core(core),
            metrics,
            config,
            random: Random::from_system(),
            clock: Rc::new(Cell::new(0)),
            is_stopping: Cell::new(false),
            in_flight: Cell::new(0),
            exports: Rc::default(),
            batches: Rc::default(),
        })
    }

    /// Counts a request in until the guard is dropped.
    pub(crate) fn begin(self: &Rc<Self>, service: Service) -> InFlightGuard<B> {
        self.in_flight.set(self.in_flight.get() + 1);
        self.http.begin(service);
        InFlightGuard { app: self.clone(), service }
    }

    /// More requests are in flight than the limit allows.
    pub(crate) fn is_overloaded(&self) -> bool {
        self.in_flight.get() > self.config.limits.in_flight_max
    }

    /// Counts an export in until the permit is dropped; `None` if as many as may be are under way.
    pub(crate) fn begin_export(&self) -> Option<Permit> {
        Permit::take(&self.exports, self.config.limits.exports_max)
    }

    /// Counts a batch in until the permit is dropped; `None` if as many as may be are under way.
    pub(crate) fn begin_batch(&self) -> Option<Permit> {
        Permit::take(&self.batches, self.config.limits.batches_max)
    }

    /// Asks the engine, within the request's time. Any refusal is the route's answer.
    pub(crate) async fn ask(
        &self,
        cx: &RequestContext<'_>,
        command: Command,
    ) -> Result<EngineAnswer, Problem> {
        self.reply(cx, command).await?.map_err(|rejection| cx.route.spec().rejected(rejection))
    }

    /// The engine's reply, within the request's time.
    async fn reply(&self, cx: &RequestContext<'_>, command: Command) -> Result<Reply, Problem> {
        let request = Box::new(EngineRequest { command, trace: cx.ids.trace_for_records() });
        let reply = cx.connection.in_time(self.backend.call(request)).await;
        reply.map_err(|_| cx.route.spec().unanswered())
    }

    /// Asks the read model, within the request's time.
    pub(crate) async fn read(&self, cx: &RequestContext<'_>, question: Question) -> Result<Reading, Problem> {
        let reading = cx.connection.in_time(self.backend.read(question)).await;
        Ok(reading.map_err(|_| cx.route.spec().unanswered())??)
    }

    /// Settled refunds that the engine may no longer have.
    pub(crate) async fn settled_refunds(
        &self,
        cx: &RequestContext<'_>,
        question: RefundsQuestion,
    ) -> Result<Vec<RefundView>, Problem> {
        match self.read(cx, Question::Refunds(Box::new(question))).await? {
            Reading::Refunds(refunds) => Ok(refunds),
            _ => Err(Problem::INTERNAL),
        }
    }

    /// An order as it is. The engine's word always wins; the read model is asked for what the engine does not know, or no longer.
    pub(crate) async fn find_order(
        &self,
        cx: &RequestContext<'_>,
        order: OrderId,
    ) -> Result<Box<OrderView>, Problem> {
        match self.ask_about(cx, order, Command::GetOrder { order }).await? {
            AboutOrder::Here(EngineAnswer::Order(view)) | AboutOrder::Left(view) => Ok(view),
            AboutOrder::Here(_) => Err(Problem::INTERNAL),
        }
    }

    /// Asks the engine about an order. One that it does not have, or no longer, is looked up.
    pub(crate) async fn ask_about(
        &self,
        cx: &RequestContext<'_>,
        order: OrderId,
        command: Command,
    ) -> Result<AboutOrder, Problem> {
        let not_found = match self.ask(cx, command).await {
            Ok(answer) => return Ok(AboutOrder::Here(answer)),
            Err(problem) if problem.code == Code::OrderNotFound => problem,
            Err(problem) => return Err(problem),
        };
        // Rare: kept out of the size of every request's future.
        match Box::pin(self.read(cx, Question::Order(order))).await? {
            Reading::Order(found) => found.map(AboutOrder::Left).ok_or(not_found),
            _ => Err(Problem::INTERNAL),
        }
    }

    /// Pays. Where the engine does not have the order, the command goes again with what the read model knows of the payment.
    pub(crate) async fn pay(&self, cx: &RequestContext<'_>, pay: Pay) -> Result<EngineAnswer, Problem> {
        let at = match self.reply(cx, Command::Pay(pay.clone())).await? {
            Ok(answer) => return Ok(answer),
            Err(Rejection::OrderNotHere(at)) => at,
            Err(rejection) => return Err(cx.route.spec().rejected(rejection)),
        };
        let question = Question::Payment { order: pay.order.clone(), txn: pay.txn.clone() };
        let Reading::Payment(found) = Box::pin(self.read(cx, question)).await? else {
            return Err(Problem::INTERNAL);
        };
        let looked_up = Some(Box::new(LookedUp { at, found: *found }));
        Box::pin(self.ask(cx, Command::Pay(Pay { looked_up, ..pay }))).await
    }
}

/// A request in flight: from its head to its answer, or until its client is gone.
#[derive(Debug)]
pub(crate) struct InFlightGuard<B: Backend> {
    app: Rc<App<B>>,
    service: Service,
}

impl<B: Backend> Drop for InFlightGuard<B> {
    fn drop(&mut self) {
        self.app.in_flight.set(self.app.in_flight.get() - 1);
        self.app.http.end(self.service);
    }
}

/// One of so many things of a kind that may be under way on a core: until it is dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    under_way: Rc<Cell<usize>>,
}

impl Permit {
    fn take(under_way: &Rc<Cell<usize>>, max: usize) -> Option<Permit> {
        (under_way.get() < max).then(|| {
            under_way.set(under_way.get() + 1);
            Permit { under_way: under_way.clone() }
        })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.under_way.set(self.under_way.get() - 1);
    }
}
