//! The generator against a server whose delays are known.
//!
//! A busy machine makes answers later, never earlier: latencies are held against lower bounds only, counts exactly.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use perf::demand::Wish;
use perf::load::{Kind, Pace, Plan, Tally, run};
use perf::workloads::{Id, Step, Workload};

/// A server that answers every request after a delay, and once does nothing at all for a while.
#[derive(Clone, Debug)]
struct Slow {
    delay: Duration,
    stall_after: Duration,
    stall: Duration,
    /// Connections are closed after so many answers.
    answers_per_connection: u64,
    started: Instant,
    answered: Arc<AtomicU64>,
}

impl Slow {
    fn new(delay: Duration) -> Slow {
        Slow {
            delay,
            stall_after: Duration::ZERO,
            stall: Duration::ZERO,
            answers_per_connection: u64::MAX,
            started: Instant::now(),
            answered: Arc::default(),
        }
    }

    fn start(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = self.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let server = server.clone();
                std::thread::spawn(move || server.serve(stream.unwrap()));
            }
        });
        address
    }

    fn serve(&self, mut stream: TcpStream) {
        stream.set_nodelay(true).unwrap();
        let mut buffer = [0; 1024];
        for _ in 0..self.answers_per_connection {
            if !matches!(stream.read(&mut buffer), Ok(1..)) {
                return;
            }
            let since = self.started.elapsed();
            std::thread::sleep(self.delay);
            if since >= self.stall_after && since < self.stall_after + self.stall {
                std::thread::sleep(self.stall_after + self.stall - since);
            }
            self.answered.fetch_add(1, Ordering::Relaxed);
            if stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").is_err() {
                return;
            }
        }
    }
}

/// One request that means nothing.
struct Plain;

impl Workload for Plain {
    fn begin(&mut self, request: &mut Vec<u8>) -> Step {
        request.extend_from_slice(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        Step::new(Kind::NewHold, Id::default(), Wish::default())
    }
}

fn plan(address: SocketAddr, connections: usize, pace: Pace, measured_ms: u64) -> Plan {
    Plan {
        address,
        connections,
        threads: vec![None],
        pace,
        warm_up: Duration::from_millis(100),
        measured: Duration::from_millis(measured_ms),
        seed: 1,
    }
}

fn load(plan: &Plan) -> Tally {
    run(plan, |_| Box::new(Plain), || ()).unwrap()
}

fn at(tally: &Tally, percent: f64) -> Duration {
    Duration::from_nanos(tally.of(Kind::NewHold).value_at_percentile(percent))
}

const STALL: Duration = Duration::from_millis(100);

fn stalling() -> Slow {
    Slow { stall_after: Duration::from_millis(500), stall: STALL, ..Slow::new(Duration::from_millis(1)) }
}

/// Catches: coordinated omission. Of a second with 2,000 arrivals, a tenth comes during a stall of 100 ms, spread over it evenly: one
/// request in twenty waits for half of it or more.
#[test]
fn a_stall_shows_in_full_in_an_open_loop() {
    let tally = load(&plan(stalling().start(), 16, Pace::Open(2_000.0), 1_000));
    assert_eq!(tally.errors_total(), 0, "{:?}", tally.errors);
    assert_eq!(tally.of(Kind::NewHold).len(), tally.offered, "every arrival has a latency");
    // 2,000 on average; six standard deviations.
    assert!((1_730..=2_270).contains(&tally.offered), "{} offered", tally.offered);
    assert!(at(&tally, 100.0) >= STALL.mul_f64(0.97), "the longest is {:?}", at(&tally, 100.0));
    assert!(at(&tally, 95.5) >= STALL.mul_f64(0.4), "p95.5 is {:?}", at(&tally, 95.5));
    assert!(tally.held_back.len() > 50, "{} waited for a connection", tally.held_back.len());
}

/// The same in a closed loop shows in as many requests as there are connections: that is why its latencies are not used.
#[test]
fn a_closed_loop_hides_a_stall() {
    let tally = load(&plan(stalling().start(), 4, Pace::Closed, 1_000));
    let long = tally.of(Kind::NewHold).iter_recorded();
    let long: u64 = long.filter(|v| v.value_iterated_to() >= 90_000_000).map(|v| v.count_at_value()).sum();
    assert!(long >= 4 && long <= tally.of(Kind::NewHold).len() / 10, "{long} of {}", tally.achieved);
}

#[test]
fn latencies_have_the_servers_delay() {
    let slow = Slow::new(Duration::from_millis(20));
    let tally = load(&plan(slow.start(), 32, Pace::Open(200.0), 500));
    assert!(at(&tally, 0.0) >= Duration::from_millis(19), "the shortest is {:?}", at(&tally, 0.0));
    assert!(tally.arrival.len() == tally.offered);
    // Those of the warm-up were answered as well, and are not counted.
    assert!(slow.answered.load(Ordering::Relaxed) > tally.offered);
}

/// A server that is too slow for what is offered: both figures say so, and nothing that was offered is missing.
#[test]
fn offered_and_achieved_part_where_the_server_is_too_slow() {
    let tally = load(&plan(Slow::new(Duration::from_millis(10)).start(), 1, Pace::Open(300.0), 700));
    assert!(tally.achieved <= 71, "a connection answers 100 times a second: {}", tally.achieved);
    assert!(tally.offered > 120, "{} offered", tally.offered);
    assert_eq!(tally.of(Kind::NewHold).len(), tally.offered);
    assert!(
        at(&tally, 50.0) > Duration::from_millis(100),
        "waiting is part of the latency: {:?}",
        at(&tally, 50.0)
    );
}

/// A connection that the server closes between two requests is opened again; nothing is lost by it but a request that met it.
#[test]
fn closed_connections_are_opened_again() {
    let slow = Slow { answers_per_connection: 5, ..Slow::new(Duration::ZERO) };
    let tally = load(&plan(slow.start(), 4, Pace::Open(300.0), 500));
    assert!(tally.reopened + tally.errors_total() > 10, "{} reopened, {:?}", tally.reopened, tally.errors);
    let answered = tally.of(Kind::NewHold).len();
    assert_eq!(
        answered + tally.errors_total(),
        tally.offered,
        "{:?}, {} reopened",
        tally.errors,
        tally.reopened
    );
}

#[test]
fn a_server_that_is_not_there_is_an_error() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert!(run(&plan(gone, 1, Pace::Closed, 100), |_| Box::new(Plain), || ()).is_err());
}
