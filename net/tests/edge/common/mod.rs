//! A real listening edge over a backend that only records and plays back, and a client that writes raw bytes.

pub(crate) mod archive;
pub(crate) mod client;
pub(crate) mod samples;

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use engine::answer::{Rejection, Reply};
use engine::command::{Command, Found, Request};
use engine::ids::PartitionKey;
use engine::read_model::{HistoryPage, OrdersPage, Question, Reading, Unavailable};
use net::metrics::{Metrics, Registry};
use net::runtime::{CoreWaker, DriverChoice, Runtime, Switch};
use net::signature::SignKey;
use net::{
    Backend, Callers, Config, ConnectionBudget, ConnectionLimits, Defaults, Dependency, Edge, Limits,
    Service, SinkStatus, WorkerStatus,
};
use timetable::{DateWindow, Timetable};

type Play = Box<dyn FnMut(&Command) -> Played + Send>;

type PlayRead = Box<dyn FnMut(&Question) -> PlayedRead + Send>;

/// What the read model does with a question.
pub(crate) enum PlayedRead {
    Answer(Result<Reading, Unavailable>),
    /// Answers after so long.
    Late(Duration, Result<Reading, Unavailable>),
    /// Never answers.
    Hang,
}

/// What the backend does with a command.
pub(crate) enum Played {
    Reply(Reply),
    /// Never answers.
    Hang,
    /// Answers once the gate is open.
    After(Arc<AtomicBool>, Reply),
}

/// What tests see and steer of the backend.
#[derive(Clone)]
pub(crate) struct Script {
    play: Arc<Mutex<Play>>,
    asked: Arc<Mutex<Vec<Request>>>,
    play_read: Arc<Mutex<PlayRead>>,
    questions: Arc<Mutex<Vec<Question>>>,
    lag_ms: Arc<AtomicU64>,
    hanging: Arc<AtomicUsize>,
    down: Arc<Mutex<Option<Dependency>>>,
    worker: Arc<Mutex<WorkerStatus>>,
    sinks: Arc<Mutex<Vec<SinkStatus>>>,
}

impl Script {
    /// The backend answers every command so from now on.
    pub(crate) fn play(&self, play: impl FnMut(&Command) -> Played + Send + 'static) {
        *self.play.lock().unwrap() = Box::new(play);
    }

    pub(crate) fn reply(&self, reply: Reply) {
        self.play(move |_| Played::Reply(reply.clone()));
    }

    pub(crate) fn hang(&self) {
        self.play(|_| Played::Hang);
    }

    /// Commands asked since the last call.
    pub(crate) fn asked(&self) -> Vec<Request> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    /// The one command asked since the last call.
    pub(crate) fn command(&self) -> Command {
        let mut asked = self.asked();
        assert_eq!(asked.len(), 1, "one command was asked: {asked:?}");
        asked.remove(0).command
    }

    /// The read model answers every question so from now on.
    pub(crate) fn play_read(&self, play: impl FnMut(&Question) -> PlayedRead + Send + 'static) {
        *self.play_read.lock().unwrap() = Box::new(play);
    }

    pub(crate) fn answer_read(&self, answer: Result<Reading, Unavailable>) {
        self.play_read(move |_| PlayedRead::Answer(answer.clone()));
    }

    /// Questions to the read model since the last call.
    pub(crate) fn questions(&self) -> Vec<Question> {
        std::mem::take(&mut self.questions.lock().unwrap())
    }

    /// How many they are so far.
    pub(crate) fn count_questions(&self) -> usize {
        self.questions.lock().unwrap().len()
    }

    pub(crate) fn set_lag_ms(&self, lag_ms: u64) {
        self.lag_ms.store(lag_ms, Ordering::SeqCst);
    }

    /// Waits until so many commands are waiting for an answer that never comes.
    pub(crate) fn wait_for_hanging(&self, count: usize) {
        while self.hanging.load(Ordering::SeqCst) != count {
            std::thread::yield_now();
        }
    }

    pub(crate) fn set_down(&self, dependency: Option<Dependency>) {
        *self.down.lock().unwrap() = dependency;
    }

    pub(crate) fn set_sinks(&self, sinks: Vec<SinkStatus>) {
        *self.sinks.lock().unwrap() = sinks;
    }

    pub(crate) fn set_worker(&self, status: WorkerStatus) {
        *self.worker.lock().unwrap() = status;
    }
}

struct Scripted {
    script: Script,
    timetable: Timetable,
}

/// Counts a command that hangs, until it is dropped.
struct Hanging(Arc<AtomicUsize>);

impl Drop for Hanging {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Backend for Scripted {
    fn call(&self, request: Box<Request>) -> impl Future<Output = Reply> {
        let played = (self.script.play.lock().unwrap())(&request.command);
        self.script.asked.lock().unwrap().push(*request);
        let hanging = self.script.hanging.clone();
        async move {
            match played {
                Played::Reply(reply) => reply,
                Played::Hang => {
                    hanging.fetch_add(1, Ordering::SeqCst);
                    let _until_dropped = Hanging(hanging);
                    std::future::pending().await
                }
                Played::After(gate, reply) => {
                    hanging.fetch_add(1, Ordering::SeqCst);
                    let _until_answered = Hanging(hanging);
                    while !gate.load(Ordering::SeqCst) {
                        net::runtime::sleep(Duration::from_millis(1)).await;
                    }
                    reply
                }
            }
        }
    }

    fn read(&self, question: Question) -> impl Future<Output = Result<Reading, Unavailable>> {
        let played = (self.script.play_read.lock().unwrap())(&question);
        self.script.questions.lock().unwrap().push(question);
        async move {
            match played {
                PlayedRead::Answer(answer) => answer,
                PlayedRead::Late(after, answer) => {
                    net::runtime::sleep(after).await;
                    answer
                }
                PlayedRead::Hang => std::future::pending().await,
            }
        }
    }

    fn read_model_lag_ms(&self) -> u64 {
        self.script.lag_ms.load(Ordering::SeqCst)
    }

    fn fresh_entropy(&self) -> u128 {
        0x0123_4567_89ab_cdef_0123_4567_89ab_cdef
    }

    fn timetable(&self) -> Timetable {
        self.timetable.clone()
    }

    fn ready(&self, _: Service) -> Result<(), Dependency> {
        self.script.down.lock().unwrap().map_or(Ok(()), Err)
    }

    fn worker(&self) -> WorkerStatus {
        self.script.worker.lock().unwrap().clone()
    }

    fn sinks(&self) -> Vec<SinkStatus> {
        self.script.sinks.lock().unwrap().clone()
    }
}

/// The answer of a read model that has nothing.
fn nothing(question: &Question) -> Reading {
    match question {
        Question::Order(_) => Reading::Order(None),
        Question::Payment { .. } => {
            Reading::Payment(Box::new(Found::Nothing { refund: None, history_lost: false }))
        }
        Question::Refunds(_) => Reading::Refunds(Vec::new()),
        Question::Orders(_) => Reading::Orders(OrdersPage::default()),
        Question::History(_) => Reading::History(HistoryPage::default()),
    }
}

/// An edge of one core on a thread of its own.
pub(crate) struct Server {
    pub(crate) script: Script,
    addresses: Vec<(Service, SocketAddr)>,
    stop: CoreWaker,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start() -> Server {
        Server::with(Limits::default(), None)
    }

    pub(crate) fn with_limits(limits: Limits) -> Server {
        Server::with(limits, None)
    }

    pub(crate) fn with(limits: Limits, sign_key: Option<&str>) -> Server {
        Server::on(DriverChoice::Auto, limits, sign_key, Registry::new(1))
    }

    pub(crate) fn on(
        driver: DriverChoice,
        limits: Limits,
        sign_key: Option<&str>,
        registry: Registry,
    ) -> Server {
        Server::configured(driver, config(limits, sign_key), registry)
    }

    pub(crate) fn configured(driver: DriverChoice, config: Config, registry: Registry) -> Server {
        Server::budgeted(driver, config, registry, ConnectionLimits::new(usize::MAX, 1, 100))
    }

    pub(crate) fn budgeted(
        driver: DriverChoice,
        config: Config,
        mut registry: Registry,
        connections: ConnectionLimits,
    ) -> Server {
        let budget = ConnectionBudget::new(connections);
        budget.register(&mut registry);
        let script = Script {
            play: Arc::new(Mutex::new(Box::new(|_| Played::Reply(Err(Rejection::OrderNotFound))))),
            asked: Arc::default(),
            play_read: Arc::new(Mutex::new(Box::new(|question| PlayedRead::Answer(Ok(nothing(question)))))),
            questions: Arc::default(),
            lag_ms: Arc::default(),
            hanging: Arc::default(),
            down: Arc::default(),
            sinks: Arc::default(),
            worker: Arc::default(),
        };
        let listeners: Vec<_> = Service::ALL.into_iter().map(|service| (service, listener())).collect();
        let addresses = listeners.iter().map(|(s, listener)| (*s, listener.local_addr().unwrap())).collect();
        let stop = CoreWaker::new().unwrap();
        let (stopping, played, metrics) = (stop.clone(), script.clone(), Metrics::new(1, registry));
        let (started, is_started) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let mut runtime = Runtime::new(driver).unwrap();
            runtime.block_on(async {
                let switch = Rc::new(Switch::new());
                let (waiter, thrown) = (stopping.waiter().unwrap(), switch.clone());
                net::runtime::spawn(async move {
                    waiter.wait().await.unwrap();
                    thrown.throw();
                });
                let timetable = Timetable::built_in(DateWindow::WHOLE);
                let backend = Scripted { script: played, timetable };
                let edge = Edge::new(0, backend, Arc::new(config), metrics, budget);
                started.send(()).unwrap();
                edge.serve(listeners, switch).await.unwrap();
                assert_eq!(edge.connections(), 0, "a stopped edge has no connections");
            });
        });
        is_started.recv().unwrap();
        Server { script, addresses, stop, thread: Some(thread) }
    }

    pub(crate) fn address(&self, service: Service) -> SocketAddr {
        self.addresses.iter().find(|(known, _)| *known == service).unwrap().1
    }

    /// Begins to stop; the rest of the test sees how.
    pub(crate) fn begin_stop(&self) {
        self.stop.wake();
    }

    /// Waits for the end of a stop.
    pub(crate) fn join(&mut self) {
        self.stop.wake();
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the edge ends without a panic");
        }
    }
}

/// Everybody is served.
pub(crate) fn config(limits: Limits, sign_key: Option<&str>) -> Config {
    Config {
        env: "test".to_owned(),
        version: "1".to_owned(),
        sign_key: sign_key.map(|key| SignKey::new(key.as_bytes())),
        callers: Callers::default(),
        defaults: Defaults::new(PartitionKey::parse(samples::DEFAULT_PARTITION).unwrap()),
        limits,
    }
}

/// A listener on any port, for as many clients at once as a test can think of.
fn listener() -> TcpListener {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket2::SockRef::from(&listener).listen(4_096).unwrap();
    listener
}

impl Drop for Server {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.join();
        }
    }
}
