//! The port by itself, over an engine that answers as told: its limits, its end, and what becomes of a call that nobody answers.

use std::future::Future;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use engine::answer::{Rejection, Reply};
use engine::command::{Command, Request};
use engine::ids::{OrderId, SlotId};
use engine::read_model::{Question, Reading, Unavailable};
use grpc::proto::AllocateSeatRequest;
use grpc::proto::seat_allocator_client::SeatAllocatorClient;
use grpc::{Engine, GrpcMetrics, Limits, Server};
use net::metrics::Registry;
use net::{ConnectionBudget, ConnectionLimits};
use tokio::sync::{Notify, watch};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

/// The longest wait for what must come.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The engine's answer to everything.
#[derive(Clone, Debug)]
enum Answers {
    Refuses(Rejection),
    /// Nothing, until it is told to refuse.
    Waits(Arc<Notify>),
    /// It has stopped.
    IsGone,
}

#[derive(Debug)]
struct Script {
    answers: Answers,
    reading: Option<Result<(), ()>>,
    asked: Mutex<Vec<Request>>,
    begun: AtomicUsize,
    is_ready: AtomicBool,
}

impl Script {
    fn new(answers: Answers) -> Arc<Script> {
        let (asked, begun, is_ready) = (Mutex::default(), AtomicUsize::new(0), AtomicBool::new(true));
        Arc::new(Script { answers, reading: None, asked, begun, is_ready })
    }
}

impl Engine for Script {
    fn call(&self, request: Request) -> impl Future<Output = Option<Reply>> + Send {
        self.asked.lock().unwrap().push(request);
        self.begun.fetch_add(1, Ordering::SeqCst);
        let answers = self.answers.clone();
        async move {
            match answers {
                Answers::Refuses(rejection) => Some(Err(rejection)),
                Answers::Waits(until) => {
                    until.notified().await;
                    Some(Err(Rejection::InsufficientStock))
                }
                Answers::IsGone => None,
            }
        }
    }

    fn read(&self, _: Question) -> impl Future<Output = Option<Result<Reading, Unavailable>>> + Send {
        let reading = self.reading.map(|found| match found {
            Ok(()) => Ok(Reading::Order(None)),
            Err(()) => Err(Unavailable { reason: "it is being filled".to_owned() }),
        });
        async move { reading }
    }

    fn is_ready(&self) -> bool {
        self.is_ready.load(Ordering::SeqCst)
    }
}

struct Port {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    thread: JoinHandle<()>,
}

impl Port {
    fn start(engine: Arc<Script>, limits: Limits, connections: usize) -> Port {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let max = ConnectionLimits { max: connections, per_address_max: connections, reserve_max: 1 };
        let metrics = GrpcMetrics::register(&mut Registry::new(1));
        let server = Server { engine, listener, budget: ConnectionBudget::new(max), metrics, limits };
        let (stop, stopped) = watch::channel(false);
        let thread = thread::spawn(|| server.run(stopped).unwrap());
        Port { address, stop, thread }
    }

    fn usual(answers: Answers) -> (Port, Arc<Script>) {
        let engine = Script::new(answers);
        (Port::start(engine.clone(), Limits::default(), 10), engine)
    }

    async fn client(&self) -> SeatAllocatorClient<Channel> {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address)).unwrap();
        SeatAllocatorClient::new(endpoint.connect().await.unwrap())
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        stream
    }

    /// Waits for its end, and lets its clients go on meanwhile.
    async fn stop(self) {
        tokio::task::spawn_blocking(|| self.stop_now()).await.unwrap();
    }

    fn stop_now(self) {
        self.stop.send_replace(true);
        self.thread.join().unwrap();
    }
}

fn request(order: &str) -> AllocateSeatRequest {
    AllocateSeatRequest {
        order_id: order.to_owned(),
        train_id: "T1".to_owned(),
        travel_date: "2099-01-01".to_owned(),
        coach_type: "2nd".to_owned(),
        from_index: 0,
        to_index: 3,
    }
}

async fn refusal(client: &mut SeatAllocatorClient<Channel>, request: AllocateSeatRequest) -> Status {
    client.allocate_seat(request).await.expect_err("it is refused")
}

fn is_closed(stream: &mut TcpStream) -> bool {
    // Nobody has said anything: there is nothing to read but the end.
    !matches!(stream.read(&mut [0; 64]), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
}

#[tokio::test]
async fn each_refusal_has_its_code() {
    for (rejection, code) in [
        (Rejection::InsufficientStock, Code::ResourceExhausted),
        (Rejection::InvalidSpan, Code::InvalidArgument),
        (Rejection::BoardingNotAllowed, Code::InvalidArgument),
        (Rejection::PartitionNotFound, Code::NotFound),
        (Rejection::SaleClosed, Code::FailedPrecondition),
        (Rejection::HoldExpired, Code::FailedPrecondition),
        (Rejection::HoldReleased, Code::FailedPrecondition),
        (Rejection::HoldOwned, Code::FailedPrecondition),
        (Rejection::Busy, Code::Unavailable),
        (Rejection::LimitReached, Code::Unavailable),
        (Rejection::LogFull, Code::Unavailable),
        (Rejection::Stopping, Code::Unavailable),
        (Rejection::HoldDiffers, Code::Internal),
    ] {
        let (port, _) = Port::usual(Answers::Refuses(rejection));
        let status = refusal(&mut port.client().await, request("o")).await;
        assert_eq!(status.code(), code, "{rejection:?}: {status:?}");
        port.stop().await;
    }
    let (port, _) = Port::usual(Answers::IsGone);
    assert_eq!(refusal(&mut port.client().await, request("o")).await.code(), Code::Unavailable);
    port.stop().await;
}

/// Catches: an order that has left and is allocated other seats because nobody could look it up.
#[tokio::test]
async fn an_order_that_nobody_has_is_looked_up() {
    let order = OrderId::new(SlotId::new(3), 77 << 12).to_string();
    for (reading, code, commands) in [
        (None, Code::Unavailable, 1),
        (Some(Err(())), Code::Unavailable, 1),
        (Some(Ok(())), Code::Internal, 2),
    ] {
        let mut engine = Script::new(Answers::Refuses(Rejection::OrderNotFound));
        Arc::get_mut(&mut engine).unwrap().reading = reading;
        let port = Port::start(engine.clone(), Limits::default(), 10);
        let status = refusal(&mut port.client().await, request(&order)).await;
        assert_eq!(status.code(), code, "{reading:?}: {status:?}");
        port.stop().await;
        let asked = engine.asked.lock().unwrap();
        assert!(matches!(asked[0].command, Command::GetOrder { .. }), "{asked:?}");
        assert_eq!(asked.len(), commands, "seats only where nobody ever knew the order: {asked:?}");
    }
}

/// Catches: a trace that does not get into the records.
#[tokio::test]
async fn a_trace_is_the_callers_or_a_new_one() {
    let (port, engine) = Port::usual(Answers::Refuses(Rejection::InsufficientStock));
    let mut client = port.client().await;
    for given in [Some("mine"), None] {
        let mut asked = tonic::Request::new(request("o"));
        if let Some(id) = given {
            asked.metadata_mut().insert("x-trace-id", id.parse().unwrap());
        }
        client.allocate_seat(asked).await.expect_err("it is refused");
    }
    port.stop().await;
    let asked = engine.asked.lock().unwrap();
    assert_eq!(asked[0].trace.as_str(), "mine");
    assert_eq!(asked[1].trace.as_str().len(), 36);
}

#[tokio::test]
async fn a_message_that_is_too_large_reaches_nobody() {
    let (port, engine) = Port::usual(Answers::Refuses(Rejection::InsufficientStock));
    let mut client = port.client().await;
    let status = refusal(&mut client, request(&"x".repeat(70_000))).await;
    assert_eq!(status.code(), Code::OutOfRange, "{status:?}");
    assert!(engine.asked.lock().unwrap().is_empty());
    // The connection goes on.
    assert_eq!(refusal(&mut client, request("o")).await.code(), Code::ResourceExhausted);
    port.stop().await;
}

/// Catches: a call that waits without end.
#[tokio::test]
async fn an_engine_that_does_not_answer_in_time_is_said_so() {
    let engine = Script::new(Answers::Waits(Arc::default()));
    let limits = Limits { request: Duration::from_millis(50), ..Limits::default() };
    let port = Port::start(engine, limits, 10);
    let status = refusal(&mut port.client().await, request("o")).await;
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
    port.stop().await;
}

/// Catches: connections beyond the budget; ones that say nothing and stay.
#[test]
fn connections_have_their_budget_and_begin_in_time() {
    let limits = Limits { preface: Duration::from_millis(50), ..Limits::default() };
    let port = Port::start(Script::new(Answers::IsGone), limits, 1);
    let mut silent = port.connect();
    assert!(is_closed(&mut silent), "it did not begin in time");
    let mut half = port.connect();
    half.write_all(b"PRI * HT").unwrap();
    assert!(is_closed(&mut half), "it did not go on in time");
    port.stop_now();

    let port = Port::start(Script::new(Answers::IsGone), Limits::default(), 1);
    let _first = port.connect();
    assert!(is_closed(&mut port.connect()), "there is room for one");
    port.stop_now();
}

/// Catches: an accepted call that is cut off by the end; an end that waits for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_stop_answers_what_is_under_way_and_no_longer() {
    let answer = Arc::new(Notify::new());
    let (port, engine) = Port::usual(Answers::Waits(answer.clone()));
    let mut client = port.client().await;
    let call = tokio::spawn(async move { client.allocate_seat(request("o")).await });
    while engine.begun.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    port.stop.send_replace(true);
    answer.notify_one();
    let status = call.await.unwrap().expect_err("it is refused");
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    port.stop().await;

    let engine = Script::new(Answers::Waits(Arc::default()));
    let limits = Limits { stop: Duration::from_millis(50), ..Limits::default() };
    let port = Port::start(engine.clone(), limits, 10);
    let mut client = port.client().await;
    let call = tokio::spawn(async move { client.allocate_seat(request("o")).await });
    while engine.begun.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    port.stop().await;
    call.await.unwrap().expect_err("it is cut off");
}
