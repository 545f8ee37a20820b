//! Target: the gRPC port. Raw bytes go to a listening server whose engine has no seats.

use std::future::Future;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use engine::answer::{Rejection, Reply};
use engine::command::{Command, Request};
use engine::read_model::{Question, Reading, Unavailable};
use grpc::{Engine, GrpcMetrics, Limits, Server};
use net::metrics::Registry;
use net::{ConnectionBudget, ConnectionLimits};

/// After this long without an end the server counts as hung, and the input has failed.
const END_TIMEOUT: Duration = Duration::from_secs(60);
/// A frame begins with its length, its kind, its flags and its stream.
const FRAME_HEAD: usize = 9;

struct NoSeats;

impl Engine for NoSeats {
    fn call(&self, request: Request) -> impl Future<Output = Option<Reply>> + Send {
        let rejection = match request.command {
            Command::GetOrder { .. } => Rejection::OrderNotFound,
            _ => Rejection::InsufficientStock,
        };
        std::future::ready(Some(Err(rejection)))
    }

    fn read(&self, _: Question) -> impl Future<Output = Option<Result<Reading, Unavailable>>> + Send {
        std::future::ready(Some(Ok(Reading::Order(None))))
    }

    fn is_ready(&self) -> bool {
        true
    }
}

/// The port of the server, which is started once and lives as long as the process.
fn address() -> SocketAddr {
    static ADDRESS: OnceLock<SocketAddr> = OnceLock::new();
    *ADDRESS.get_or_init(|| {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        listener.set_nonblocking(true).expect("a socket");
        let address = listener.local_addr().expect("bound");
        let server = Server {
            engine: Arc::new(NoSeats),
            listener,
            budget: ConnectionBudget::new(ConnectionLimits::new(1_024, 1, 100)),
            metrics: GrpcMetrics::register(&mut Registry::new(1)),
            limits: Limits::default(),
        };
        let (stop, stopped) = tokio::sync::watch::channel(false);
        std::thread::spawn(move || {
            let _stop = stop;
            server.run(stopped).expect("it serves");
        });
        address
    })
}

/// The bytes are sent as they are, and the sending side is closed.
///
/// # Panics
/// If the answer is not made of frames, or the connection does not end.
pub fn grpc(data: &[u8]) {
    let mut stream = TcpStream::connect(address()).expect("the server listens");
    stream.set_read_timeout(Some(END_TIMEOUT)).expect("a socket");
    // The server may close before all is sent.
    let _ = stream.write_all(data);
    let _ = stream.shutdown(Shutdown::Write);
    let mut answered = Vec::new();
    match stream.read_to_end(&mut answered) {
        Ok(_) => check(&answered),
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
        Err(error) => panic!("the connection does not end: {error}"),
    }
}

/// The bytes are whole frames, one behind the other, and nothing else.
fn check(mut answered: &[u8]) {
    while !answered.is_empty() {
        assert!(answered.len() >= FRAME_HEAD, "half a frame: {answered:?}");
        let length = u32::from_be_bytes([0, answered[0], answered[1], answered[2]]) as usize;
        assert!(answered.len() >= FRAME_HEAD + length, "a frame of {length} bytes is cut off");
        answered = &answered[FRAME_HEAD + length..];
    }
}
