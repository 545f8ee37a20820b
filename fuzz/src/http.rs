//! Target: the edge. Raw bytes go to a listening server whose backend knows no order.

use std::future::Future;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;
use std::sync::{Arc, OnceLock, mpsc};
use std::time::Duration;

use engine::answer::{Rejection, Reply};
use engine::command::Request;
use engine::ids::PartitionKey;
use engine::read_model::{Question, Reading, Unavailable};
use net::metrics::{Metrics, Registry};
use net::runtime::{DriverChoice, Runtime, Switch};
use net::{
    Backend, Callers, Config, ConnectionBudget, ConnectionLimits, Defaults, Dependency, Edge, Limits,
    Service, SinkStatus, WorkerStatus,
};
use timetable::{DateWindow, Timetable};

/// After this long without an answer the server counts as hung, and the input has failed.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

struct EmptyBackend(Timetable);

impl Backend for EmptyBackend {
    fn call(&self, _: Box<Request>) -> impl Future<Output = Reply> {
        std::future::ready(Err(Rejection::OrderNotFound))
    }

    fn read(&self, _: Question) -> impl Future<Output = Result<Reading, Unavailable>> {
        std::future::ready(Err(Unavailable { reason: "the read model is not there".to_owned() }))
    }

    fn read_model_lag_ms(&self) -> u64 {
        0
    }

    fn fresh_entropy(&self) -> u128 {
        7
    }

    fn timetable(&self) -> Timetable {
        self.0.clone()
    }

    fn ready(&self, _: Service) -> Result<(), Dependency> {
        Ok(())
    }

    fn worker(&self) -> WorkerStatus {
        WorkerStatus::default()
    }

    fn sinks(&self) -> Vec<SinkStatus> {
        Vec::new()
    }
}

/// The ports of the server, which is started once and lives as long as the process.
fn addresses() -> &'static [SocketAddr] {
    static ADDRESSES: OnceLock<Vec<SocketAddr>> = OnceLock::new();
    ADDRESSES.get_or_init(|| {
        let (started, is_started) = mpsc::channel();
        std::thread::spawn(move || {
            let listeners: Vec<_> = Service::ALL
                .into_iter()
                .map(|service| (service, TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port")))
                .collect();
            let addresses =
                listeners.iter().map(|(_, listener)| listener.local_addr().expect("bound")).collect();
            let config = Config {
                env: "test".to_owned(),
                version: "1".to_owned(),
                sign_key: None,
                callers: Callers::default(),
                defaults: Defaults::new(PartitionKey::parse("G1|2027-01-15|2nd").expect("a key")),
                limits: Limits::default(),
            };
            Runtime::new(DriverChoice::Auto).expect("a runtime").block_on(async {
                let backend = EmptyBackend(Timetable::built_in(DateWindow::WHOLE));
                let budget = ConnectionBudget::new(ConnectionLimits::new(1_024, 1, 100));
                let metrics = Metrics::new(1, Registry::new(1));
                let edge = Edge::new(0, backend, Arc::new(config), metrics, budget);
                started.send(addresses).expect("somebody waits");
                edge.serve(listeners, Rc::new(Switch::new())).await.expect("it serves");
            });
        });
        is_started.recv().expect("it starts")
    })
}

/// The first byte selects the service; the rest is sent as it is, and the sending side is closed.
///
/// # Panics
/// When the answers are not HTTP, or the connection does not end.
pub fn http(data: &[u8]) {
    let Some((service, content)) = data.split_first() else { return };
    let addresses = addresses();
    let mut stream =
        TcpStream::connect(addresses[usize::from(*service) % addresses.len()]).expect("the server listens");
    stream.set_read_timeout(Some(ANSWER_TIMEOUT)).expect("a socket");
    // The server may answer and close before all is sent.
    let _ = stream.write_all(content);
    let _ = stream.shutdown(Shutdown::Write);
    let mut answered = Vec::new();
    match stream.read_to_end(&mut answered) {
        Ok(_) => check(&answered, content),
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
        Err(error) => panic!("the connection does not end: {error}"),
    }
}

/// The bytes are whole answers, one behind the other, and nothing else.
fn check(mut answered: &[u8], asked: &[u8]) {
    let heads = asked.windows(5).filter(|window| window == b"HEAD ").count();
    while !answered.is_empty() {
        let end = answered.windows(4).position(|window| window == b"\r\n\r\n").expect("a whole head");
        let head = std::str::from_utf8(&answered[..end]).expect("a head is text");
        let mut lines = head.split("\r\n");
        let status = lines.next().expect("a first line");
        let code: u16 = status
            .strip_prefix("HTTP/1.1 ")
            .or_else(|| status.strip_prefix("HTTP/1.0 "))
            .and_then(|rest| rest.get(..3))
            .and_then(|code| code.parse().ok())
            .unwrap_or_else(|| panic!("no status line: {status:?}"));
        assert!((100..600).contains(&code) && code != 500, "{status:?}");
        let mut length = None;
        for line in lines {
            let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("no header: {line:?}"));
            assert!(!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic()), "{line:?}");
            if name.eq_ignore_ascii_case("content-length") {
                assert!(length.is_none(), "two lengths");
                length = Some(value.parse::<usize>().expect("a length"));
            }
            assert!(!name.eq_ignore_ascii_case("transfer-encoding"), "answers have their length");
        }
        answered = &answered[end + 4..];
        if code < 200 || code == 204 || code == 304 {
            continue;
        }
        let length = length.unwrap_or_else(|| panic!("no length: {head:?}"));
        // The answer to a HEAD names the length of a body that it does not send.
        let sent = if heads > 0 && (answered.len() < length || answered.starts_with(b"HTTP/1.1 ")) {
            0
        } else {
            length
        };
        assert!(answered.len() >= sent, "{length} bytes were promised, {} came: {head:?}", answered.len());
        answered = &answered[sent..];
    }
}
