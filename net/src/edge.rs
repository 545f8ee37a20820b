//! One core's edge: its listeners, its connections, and how it starts and stops.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use hyper::server::conn::http1;
use hyper::service::service_fn;

use crate::app::App;
use crate::backend::Backend;
use crate::budget::{ConnectionBudget, Place};
use crate::config::Config;
use crate::connection::{Connection, End, GuardedStream, Phase};
use crate::limits::{
    ACCEPT_BURST_MIN, ACCEPT_PAUSE_MS, HEADERS_MAX_FREE, LINGER_BYTES_MAX, LINGER_MS, RESERVE_MS,
    STOP_GRACE_MS,
};
use crate::listen::ServiceListener;
use crate::logs;
use crate::metrics::Metrics;
use crate::reply::{REFUSED_FRAMING, REFUSED_SLOW_HEAD};
use crate::request::handle;
use crate::reserve::Reserve;
use crate::runtime::{self, Listener, Stream, Switch};
use crate::service::Service;

/// The server of one core's connections. Made once, then [`Edge::serve`] until the core stops.
#[derive(Debug)]
pub struct Edge<B> {
    app: Rc<App<B>>,
    connections: Connections,
    budget: Arc<ConnectionBudget>,
    reserve: Reserve,
    protocol: http1::Builder,
    started: Instant,
}

impl<B: Backend> Edge<B> {
    /// The edge of core `core` over the core's own backend; its connections count to the budget of all.
    #[must_use]
    pub fn new(
        core: usize,
        backend: B,
        config: Arc<Config>,
        metrics: Arc<Metrics>,
        budget: Arc<ConnectionBudget>,
    ) -> Rc<Edge<B>> {
        Rc::new(Edge {
            protocol: protocol(&config),
            reserve: Reserve::new(budget.limits.reserve_max),
            budget,
            app: App::new(core, backend, config, metrics),
            connections: Connections::default(),
            started: Instant::now(),
        })
    }

    /// Serves until `stop` is thrown: then closes the listeners, answers what was accepted, lets requests under way
    /// finish within [`Limits::stop_ms`](crate::Limits::stop_ms), and ends. To be called on the core's own runtime.
    ///
    /// # Errors
    /// If a listener cannot be handed to the runtime.
    pub async fn serve(self: &Rc<Self>, listeners: Vec<ServiceListener>, stop: Rc<Switch>) -> io::Result<()> {
        let accepting = Rc::new(Cell::new(listeners.len()));
        for (service, socket) in listeners {
            let listener = Listener::new(socket)?;
            let (edge, stop, accepting) = (self.clone(), stop.clone(), accepting.clone());
            runtime::spawn(async move {
                edge.accept(service, &listener, &stop).await;
                accepting.set(accepting.get() - 1);
            });
        }
        let ended = Rc::new(Cell::new(false));
        runtime::spawn(self.clone().check_timeouts(ended.clone()));
        stop.wait().await;
        self.drain(&accepting).await;
        ended.set(true);
        Ok(())
    }

    /// Connections that are open on this core.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.open.get()
    }

    async fn drain(&self, accepting: &Cell<usize>) {
        // Requests that were on their way when the listeners closed get to arrive.
        runtime::sleep(Duration::from_millis(STOP_GRACE_MS)).await;
        let (began, limits) = (Instant::now(), &self.app.config.limits);
        while accepting.get() > 0 || self.connections.open.get() > 0 {
            let passed = began.elapsed();
            let end = if passed < Duration::from_millis(limits.stop_ms) { End::WhenIdle } else { End::Now };
            self.connections.each(|connection| connection.finish(end));
            if passed >= Duration::from_millis(limits.stop_receive_ms) {
                self.app.is_stopping.set(true);
                self.connections.each(Connection::wait_no_more);
            }
            runtime::sleep(Duration::from_millis(STOP_GRACE_MS)).await;
        }
    }

    /// The sweep: moves the clock on, and ends the connections whose time is over.
    async fn check_timeouts(self: Rc<Self>, ended: Rc<Cell<bool>>) {
        let pause = Duration::from_millis(self.app.config.limits.sweep_ms);
        while !ended.get() {
            runtime::sleep(pause).await;
            let now_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
            self.app.clock.set(now_ms);
            self.connections.each(|connection| connection.check(now_ms));
        }
    }

    async fn accept(self: &Rc<Self>, service: Service, listener: &Listener, stop: &Switch) {
        while !stop.is_thrown() {
            if !readable_or_stopped(listener, stop).await {
                break;
            }
            self.accept_waiting(service, listener).await;
        }
        while !self.reserve.is_crowded()
            && let Ok(Some((socket, address))) = listener.try_accept()
        {
            self.admit(service, socket, address.ip());
        }
        listener.close();
    }

    /// Takes in those that wait, as many as are open already: then accepting takes no more of a round than answering, and a crowd
    /// is in after a few rounds.
    async fn accept_waiting(self: &Rc<Self>, service: Service, listener: &Listener) {
        for _ in 0..ACCEPT_BURST_MIN.max(self.connections.open.get()) {
            if self.reserve.is_crowded() {
                break;
            }
            match listener.try_accept() {
                Ok(Some((socket, address))) => self.admit(service, socket, address.ip()),
                Ok(None) => return,
                // That one connection is gone; the next may be fine.
                Err(e)
                    if matches!(e.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted) => {}
                Err(e) => {
                    logs::cannot_accept(service, &e, self.app.clock.get());
                    runtime::sleep(Duration::from_millis(ACCEPT_PAUSE_MS)).await;
                    return;
                }
            }
        }
        runtime::pause().await;
    }

    /// Takes a connection in: into the budget, else into the reserve.
    fn admit(self: &Rc<Self>, service: Service, socket: std::net::TcpStream, client: IpAddr) {
        let now_ms = self.app.clock.get();
        match self.budget.admit(client) {
            Ok(place) => {
                let connection = Rc::new(Connection::new(false, now_ms + self.app.config.limits.idle_ms));
                self.start(service, socket, connection, place);
            }
            Err(beyond) => {
                logs::too_many_connections(service, client, beyond, now_ms);
                let connection = Rc::new(Connection::new(true, now_ms + RESERVE_MS));
                self.reserve.enter(connection.clone());
                self.start(service, socket, connection, self.budget.reserve());
            }
        }
    }

    fn start(
        self: &Rc<Self>,
        service: Service,
        socket: std::net::TcpStream,
        connection: Rc<Connection>,
        place: Place,
    ) {
        let number = self.connections.add(connection.clone());
        let edge = self.clone();
        runtime::spawn(async move {
            if let Ok(stream) = Stream::new(socket) {
                edge.drive(service, stream, &connection).await;
            }
            edge.connections.remove(number);
            edge.reserve.leave(&connection);
            // Last: from here on another connection may have the descriptor.
            drop(place);
        });
    }

    /// Serves one connection to its end. Its task is polled by hyper's events and by the sweep, through [`Connection`].
    async fn drive(self: &Rc<Self>, service: Service, stream: Stream, connection: &Rc<Connection>) {
        let header_ms = self.app.config.limits.header_ms;
        let io = GuardedStream::new(stream, connection.clone(), self.app.clock.clone(), header_ms);
        let answer = service_fn(|request| handle(self.app.clone(), connection.clone(), service, request));
        let mut http = self.protocol.serve_connection(io, answer);
        let mut is_closing = false;
        let ended = std::future::poll_fn(|cx| {
            connection.driven_by(cx);
            match connection.end() {
                End::Now | End::SlowHead => return Poll::Ready(None),
                End::WhenIdle if !is_closing => {
                    // First what is there already: a request that was accepted is answered.
                    if let Poll::Ready(ended) = Pin::new(&mut http).poll(cx) {
                        return Poll::Ready(Some(ended));
                    }
                    is_closing = true;
                    Pin::new(&mut http).graceful_shutdown();
                }
                End::WhenIdle | End::No => {}
            }
            Pin::new(&mut http).poll(cx).map(Some)
        })
        .await;
        self.refuse_and_linger(http.into_parts().io, connection, ended.is_some_and(|ended| ended.is_ok()))
            .await;
    }

    /// Ends a connection that HTTP is done with: sends a canned refusal if one is due, then lingers so that the client gets it.
    async fn refuse_and_linger(&self, mut io: GuardedStream, connection: &Connection, well: bool) {
        let end = connection.end();
        if end == End::Now || io.has_ended() || (well && end == End::WhenIdle) {
            return;
        }
        if end == End::SlowHead {
            io.write_now(REFUSED_SLOW_HEAD);
        } else if !well && io.took_refusal() {
            io.write_now(REFUSED_FRAMING);
        }
        io.close_sending();
        connection.enter(Phase::Linger, self.app.clock.get() + LINGER_MS);
        io.linger(LINGER_BYTES_MAX).await;
    }
}

fn protocol(config: &Config) -> http1::Builder {
    let limits = &config.limits;
    let mut protocol = http1::Builder::new();
    // Head, body, idle and total times are kept by the sweep: hyper's own would make a timer for every request.
    protocol.header_read_timeout(None);
    protocol.max_header_size(limits.header_bytes_max).max_buf_size(limits.buffer_bytes());
    // A client that has said all it has to say may close its side and still get its answer.
    protocol.half_close(true);
    // Answers are small: one buffer, one write.
    protocol.writev(false);
    if limits.headers_max != HEADERS_MAX_FREE {
        protocol.max_headers(limits.headers_max);
    }
    protocol
}

/// True if a connection may be waiting; false once `stop` is thrown.
async fn readable_or_stopped(listener: &Listener, stop: &Switch) -> bool {
    let mut readable = std::pin::pin!(listener.readable());
    let mut stopped = std::pin::pin!(stop.wait());
    std::future::poll_fn(|cx| {
        if stopped.as_mut().poll(cx).is_ready() {
            return Poll::Ready(false);
        }
        readable.as_mut().poll(cx).map(|_| true)
    })
    .await
}

/// The open connections of a core: a slab, so that each is removed without a search.
#[derive(Debug, Default)]
struct Connections {
    places: RefCell<Vec<Option<Rc<Connection>>>>,
    free: RefCell<Vec<usize>>,
    open: Cell<usize>,
}

impl Connections {
    fn add(&self, connection: Rc<Connection>) -> usize {
        self.open.set(self.open.get() + 1);
        let mut places = self.places.borrow_mut();
        let free = self.free.borrow_mut().pop();
        match free {
            Some(place) => {
                assert!(places[place].is_none(), "a free place is empty");
                places[place] = Some(connection);
                place
            }
            None => {
                places.push(Some(connection));
                places.len() - 1
            }
        }
    }

    fn remove(&self, place: usize) {
        let gone = self.places.borrow_mut()[place].take();
        assert!(gone.is_some(), "a connection is removed once");
        self.free.borrow_mut().push(place);
        self.open.set(self.open.get() - 1);
    }

    /// Waking a task only queues it, so nothing is added or removed meanwhile.
    fn each(&self, visit: impl Fn(&Connection)) {
        self.places.borrow().iter().flatten().for_each(|connection| visit(connection));
    }
}
