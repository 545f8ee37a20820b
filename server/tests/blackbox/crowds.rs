//! Very many connections: idle ones that the process has no descriptors for, and ones that all ask at once.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::support::session::text;
use crate::support::{Conn, Launch, Port, Server, skipped, until};

/// Open files of the server.
const DESCRIPTORS: u64 = 4_096;
/// Idle connections: more than there are descriptors.
const IDLE: usize = 4_100;

/// Of log between two snapshots: 64 segments.
const SNAPSHOT_LOG_BYTES: u64 = 16 << 20;
/// What a hold of 2,000 seats, and its release, take of the log at least.
const HOLD_LOG_BYTES: u64 = 32 << 10;

/// The value of a metric of the gateway's port without labels.
pub(crate) fn metric(server: &Server, name: &str) -> f64 {
    let scrape = server.conn(Port::Gateway).call("GET", "/metrics", &[], None).expect("metrics").text();
    let line = scrape.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in {scrape}")).parse().expect("a number")
}

/// Raises the limit of open files of this side, which needs as many. Says where it is too low.
fn may_open(files: u64) -> bool {
    let limit = getrlimit(Resource::Nofile);
    if limit.maximum.is_some_and(|max| max < files) {
        skipped("a crowd of connections (the limit of open files is too low here)");
        return false;
    }
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    setrlimit(Resource::Nofile, raised).expect("a raised limit");
    true
}

/// Catches: connections that use up the descriptors of the log, which ends the process at its next segment; connections of one client
/// that keep everybody else out, monitoring included.
#[test]
fn a_crowd_of_idle_connections_does_not_end_the_server() {
    if !may_open(2 * DESCRIPTORS) {
        return;
    }
    for network in ["uring", "epoll"] {
        let launch = Launch::new().cores(2).open_files(DESCRIPTORS).env("INTERLOCK_SEGMENT_BYTES", "262144");
        let launch = launch.env("INTERLOCK_SNAPSHOT_LOG_BYTES", &SNAPSHOT_LOG_BYTES.to_string());
        let mut server = launch.env("INTERLOCK_NETWORK", network).start();
        let mut session = server.session();
        session.held("before", "before", 1, 10_000);
        let idle: Vec<Conn> = (0..IDLE)
            .map(|i| {
                let port = Port::ALL[i % Port::ALL.len()];
                Conn::open(server.addr(port))
                    .unwrap_or_else(|e| panic!("idle connection {i} (ulimit -n?): {e}"))
            })
            .collect();
        // Enough for a snapshot, after which the log keeps as many spare segments as it may, each of them open.
        for i in 0..SNAPSHOT_LOG_BYTES / HOLD_LOG_BYTES {
            let hold = format!("{i}");
            session.held("crowd", &hold, 2_000, 10_000);
            session.release("crowd", &hold).ok();
        }
        until("a snapshot", || (metric(&server, "interlock_snapshots_total") > 0.0).then_some(()));
        for port in Port::ALL {
            server.conn(port).call("GET", "/healthz", &[], None).expect("health").ok();
        }
        let refused = server.conn(Port::Inventory).call(
            "GET",
            "/inventory/availability?partition_key=crowd",
            &[],
            None,
        );
        let refused = refused.expect("an answer");
        refused.refused(503, "too many connections");
        assert_eq!(refused.header("retry-after"), Some("1"));
        let (open, max) =
            (metric(&server, "interlock_connections"), metric(&server, "interlock_connections_max"));
        let (share, files) =
            (metric(&server, "interlock_connections_per_address_max"), metric(&server, "process_open_fds"));
        assert!(
            max < DESCRIPTORS as f64 && open == share && share == (max * 0.75).floor(),
            "{open} of {share}, {max} in all"
        );
        assert!(
            files < DESCRIPTORS as f64 - max + open,
            "{files} files are open, {open} of them connections"
        );
        assert_eq!(server.ended(), None);
        drop(idle);
        until("the connections to end", || (metric(&server, "interlock_connections") < 100.0).then_some(()));
        let id = text(&server.session().reserved("after", "after", 1), "OrderID").to_owned();
        server.session().cancel(&id).ok();
        server.stop();
    }
}

/// Catches: a server that starts with fewer files than its log needs, and ends when it is sold from.
#[test]
fn too_few_open_files_are_refused_at_the_start() {
    Launch::new().cores(4).open_files(200).serve_to_end().assert_refused(&[
        "200 open files",
        "4 cores",
        "ulimit -n",
    ]);
}

/// Connections that ask at once, of one address, to one core.
const ASKING: usize = 4_000;
/// Answers for each of them on average.
const ANSWERS_EACH: usize = 4;

/// A client that has one request under way at a time, and asks again as soon as it has the answer.
struct Asking {
    stream: TcpStream,
    number: usize,
    received: Vec<u8>,
    answers: usize,
}

impl Asking {
    fn open(address: SocketAddr, number: usize) -> Asking {
        let stream =
            TcpStream::connect(address).unwrap_or_else(|e| panic!("connection {number} (ulimit -n?): {e}"));
        stream.set_nonblocking(true).expect("a socket");
        stream.set_nodelay(true).expect("a socket");
        Asking { stream, number, received: Vec::new(), answers: 0 }
    }

    fn ask(&mut self) {
        let (number, answers) = (self.number, self.answers);
        let body = format!(
            r#"{{"partition_key":"crowd-{}","hold_id":"h-{number}-{answers}","qty":1,"capacity":100000}}"#,
            number % 8
        );
        let request = format!(
            "POST /inventory/try-hold HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.stream.write_all(request.as_bytes()).expect("the socket takes a small request");
    }

    /// Takes what is there. An answer must be 200, and the next request follows it.
    fn take(&mut self) -> usize {
        let mut buffer = [0; 4_096];
        match self.stream.read(&mut buffer) {
            Ok(0) => panic!("connection {} was closed", self.number),
            Ok(read) => self.received.extend_from_slice(&buffer[..read]),
            Err(e) if e.kind() == ErrorKind::WouldBlock => return 0,
            Err(e) => panic!("connection {}: {e}", self.number),
        }
        let text = String::from_utf8_lossy(&self.received);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { return 0 };
        let length = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if body.len() < length.unwrap_or_else(|| panic!("no length: {head}")) {
            return 0;
        }
        assert!(head.starts_with("HTTP/1.1 200 "), "connection {}: {text}", self.number);
        self.received.clear();
        self.answers += 1;
        self.ask();
        1
    }
}

/// Catches: requests that are refused although there are no more connections than may be open; a connection that is passed over while
/// others are answered again and again.
#[test]
fn a_crowd_that_asks_at_once_is_served_in_turn() {
    if !may_open(2 * ASKING as u64) {
        return;
    }
    for network in ["uring", "epoll"] {
        // Of the usual size: a test's own are soon full, and making one is slow on a busy machine.
        let launch = Launch::new().cores(1).without_env("INTERLOCK_SEGMENT_BYTES");
        let server = launch.env("INTERLOCK_NETWORK", network).start();
        let address = server.addr(Port::Inventory);
        let mut crowd: Vec<Asking> = (0..ASKING).map(|number| Asking::open(address, number)).collect();
        crowd.iter_mut().for_each(Asking::ask);
        let mut answers = 0;
        while answers < ASKING * ANSWERS_EACH {
            let mut ready: Vec<_> =
                crowd.iter().map(|client| PollFd::new(&client.stream, PollFlags::IN)).collect();
            poll(&mut ready, None).expect("sockets");
            let ready: Vec<bool> = ready.iter().map(|fd| !fd.revents().is_empty()).collect();
            let answered = crowd.iter_mut().zip(ready).filter(|(_, ready)| *ready);
            answers += answered.map(|(client, _)| client.take()).sum::<usize>();
        }
        let (least, most) = crowd.iter().fold((usize::MAX, 0), |(least, most), client| {
            (least.min(client.answers), most.max(client.answers))
        });
        assert!(
            least >= 1 && most <= 4 * ANSWERS_EACH,
            "{network}: {least} to {most} answers, {ANSWERS_EACH} on average"
        );
        drop(crowd);
        server.stop();
    }
}
