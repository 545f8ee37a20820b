//! One thread of the generator with its connections.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, epoll, poll};

use super::connection::{Connection, Failure, Reading};
use super::{Kind, Pace, Plan, Tally};
use crate::arrivals::Arrivals;
use crate::limits::{ANSWER_BYTES_MAX, DRAIN, EVENTS, SLEEP_MAX, SPIN, TIMER_SLACK_NS};
use crate::workloads::{Step, Workload};

/// A request under way.
#[derive(Debug)]
struct Flight {
    step: Step,
    /// From when its latency counts.
    intended: u64,
    /// The same of the first request of its arrival.
    arrived: u64,
}

#[derive(Debug)]
struct Client {
    connection: Option<Connection>,
    flight: Option<Flight>,
    /// When it last became free.
    free_since: u64,
}

/// All times are nanoseconds since the beginning of the run.
pub(super) struct Generator {
    address: SocketAddr,
    epoll: OwnedFd,
    clients: Vec<Client>,
    /// In the order in which they became free, so that all of them are used.
    idle: VecDeque<usize>,
    /// Intended times of arrivals that found no free connection.
    waiting: VecDeque<u64>,
    arrivals: Option<Arrivals>,
    workload: Box<dyn Workload>,
    request: Vec<u8>,
    measured_from: u64,
    measured_until: u64,
    tally: Tally,
    /// Of the turn under way.
    slept_ns: u64,
    begin: Instant,
}

fn ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl Generator {
    pub(super) fn open(plan: &Plan, index: usize, workload: Box<dyn Workload>) -> io::Result<Generator> {
        let threads = plan.threads.len();
        let share = plan.connections / threads + usize::from(index < plan.connections % threads);
        let arrivals = match plan.pace {
            Pace::Open(rate) => Some(Arrivals::new(
                rate / threads as f64,
                plan.seed.wrapping_mul(1_000).wrapping_add(index as u64),
            )),
            Pace::Closed => None,
        };
        let mut generator = Generator {
            address: plan.address,
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            clients: Vec::with_capacity(share),
            idle: (0..share).collect(),
            waiting: VecDeque::new(),
            arrivals,
            workload,
            request: Vec::with_capacity(1024),
            measured_from: ns(plan.warm_up),
            measured_until: ns(plan.warm_up + plan.measured),
            tally: Tally::default(),
            slept_ns: 0,
            begin: Instant::now(),
        };
        for client in 0..share {
            generator.clients.push(Client { connection: None, flight: None, free_since: 0 });
            generator.connect(client)?;
        }
        Ok(generator)
    }

    fn connect(&mut self, client: usize) -> io::Result<()> {
        let connection = Connection::open(self.address)?;
        let data = epoll::EventData::new_u64(client as u64);
        epoll::add(&self.epoll, connection.fd(), data, epoll::EventFlags::IN)?;
        self.clients[client].connection = Some(connection);
        Ok(())
    }

    fn now(&self) -> u64 {
        ns(self.begin.elapsed())
    }

    pub(super) fn run(mut self, begin: Instant) -> Tally {
        // Without it, wake-ups are only later.
        let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(TIMER_SLACK_NS));
        std::thread::sleep(begin.saturating_duration_since(Instant::now()));
        self.begin = begin;
        let give_up = self.measured_until + ns(DRAIN);
        let mut scratch = vec![0; ANSWER_BYTES_MAX];
        let mut events = Vec::with_capacity(EVENTS);
        let mut turn_began = self.now();
        while !self.is_done() && turn_began < give_up {
            let sent = if self.arrivals.is_some() { self.send_due() } else { self.send_all() };
            self.wait(&mut events);
            let handled = !events.is_empty();
            for event in events.drain(..) {
                let client = event.data.u64() as usize;
                self.read(client, &mut scratch);
                self.send_due();
            }
            let now = self.now();
            if turn_began >= self.measured_from && turn_began < self.measured_until {
                let awake = (now - turn_began).saturating_sub(self.slept_ns);
                self.tally.total_ns += now - turn_began;
                // A turn in which nothing was to be done is a wait as well.
                self.tally.busy_ns += if sent || handled { awake } else { 0 };
            }
            turn_began = now;
        }
        self.give_up();
        self.tally
    }

    /// Nothing is to be sent any more, and nothing is under way that counts.
    fn is_done(&self) -> bool {
        let all_sent = match &self.arrivals {
            Some(arrivals) => self.waiting.is_empty() && arrivals.peek() > self.measured_until,
            None => self.now() > self.measured_until,
        };
        all_sent && self.idle.len() == self.clients.len()
    }

    /// Sends what is due, as far as connections are free.
    fn send_due(&mut self) -> bool {
        let Some(arrivals) = &mut self.arrivals else { return false };
        let now = ns(self.begin.elapsed()).min(self.measured_until);
        while let Some(intended) = arrivals.take_until(now) {
            if (self.measured_from..self.measured_until).contains(&intended) {
                self.tally.offered += 1;
            }
            self.waiting.push_back(intended);
        }
        let mut sent = false;
        while !self.waiting.is_empty() && !self.idle.is_empty() {
            let intended = self.waiting.pop_front().expect("one waits");
            let client = self.idle.pop_front().expect("one is free");
            self.begin_arrival(client, intended);
            sent = true;
        }
        sent
    }

    /// The closed loop: connections that are free, which they are at the beginning and after a failure.
    fn send_all(&mut self) -> bool {
        let now = self.now();
        let free = if now <= self.measured_until { self.idle.len() } else { 0 };
        for _ in 0..free {
            let client = self.idle.pop_front().expect("as many are free");
            self.begin_arrival(client, now);
        }
        free > 0
    }

    /// Waits for answers, but not past the next arrival.
    fn wait(&mut self, events: &mut Vec<epoll::Event>) {
        let until = match &self.arrivals {
            // Answers are still awaited, and nothing more is to be sent.
            Some(arrivals) if arrivals.peek() > self.measured_until => ns(SLEEP_MAX),
            Some(arrivals) => arrivals.peek().saturating_sub(self.now()),
            None => ns(SLEEP_MAX),
        };
        self.slept_ns = 0;
        if until >= ns(SPIN) {
            let before = self.now();
            // It must not spin: threads of the kernel that write the server's log may be waiting for this processor. Polling the epoll
            // is precise to the nanosecond, waiting on it to the millisecond.
            let timeout = Timespec { tv_sec: 0, tv_nsec: until.min(ns(SLEEP_MAX)) as i64 };
            let _ = poll(&mut [PollFd::new(&self.epoll, PollFlags::IN)], Some(&timeout));
            self.slept_ns = self.now() - before;
        }
        events.clear();
        // An interrupted wait finds its events the next time.
        let _ = epoll::wait(&self.epoll, rustix::buffer::spare_capacity(events), Some(&Timespec::default()));
    }

    fn begin_arrival(&mut self, client: usize, intended: u64) {
        self.request.clear();
        let step = self.workload.begin(&mut self.request);
        let sent_at = self.now();
        if self.is_measured(intended) && self.arrivals.is_some() {
            let free_since = self.clients[client].free_since;
            self.tally.lag.saturating_record(sent_at.saturating_sub(intended.max(free_since)));
            if free_since > intended {
                self.tally.held_back.saturating_record(free_since - intended);
            }
        }
        self.send(client, Flight { step, intended, arrived: intended });
    }

    fn is_measured(&self, intended: u64) -> bool {
        (self.measured_from..self.measured_until).contains(&intended)
    }

    fn send(&mut self, client: usize, flight: Flight) {
        if self.clients[client].connection.is_none() && self.connect(client).is_err() {
            self.fail(client, &flight, Failure::Connect);
            return;
        }
        let connection = self.clients[client].connection.as_mut().expect("connected above");
        match connection.send(&self.request) {
            Ok(()) => self.clients[client].flight = Some(flight),
            Err(failure) => self.fail(client, &flight, failure),
        }
    }

    fn read(&mut self, client: usize, scratch: &mut [u8]) {
        let Some(connection) = &mut self.clients[client].connection else { return };
        match connection.read(scratch) {
            Reading::NotYet => {}
            Reading::Failed(failure) => match self.clients[client].flight.take() {
                Some(flight) => self.fail(client, &flight, failure),
                None => {
                    self.tally.reopened += 1;
                    self.clients[client].connection = None;
                }
            },
            Reading::Answer { status, body, closes } => {
                let now = ns(self.begin.elapsed());
                let Some(flight) = self.clients[client].flight.take() else { return };
                if closes {
                    self.clients[client].connection = None;
                }
                self.answered(client, &flight, now, status, &scratch[body]);
            }
        }
    }

    fn answered(&mut self, client: usize, flight: &Flight, now: u64, status: u16, body: &[u8]) {
        let within = self.is_measured(now);
        self.tally.requests += u64::from(within);
        // The closed loop counts by when an answer came; the open loop by when a request was due.
        let counts = if self.arrivals.is_some() { self.is_measured(flight.arrived) } else { within };
        let kind = kind_of(&flight.step, status, body);
        match &kind {
            Ok(kind) => {
                if counts {
                    self.tally.add_latency(*kind, now.saturating_sub(flight.intended));
                }
                self.tally.new_holds_achieved += u64::from(within && *kind == Kind::NewHold);
            }
            Err(what) if counts || within => self.tally.add_error(what),
            Err(_) => {}
        }
        self.request.clear();
        if let Some(step) = self.workload.answered(&flight.step, status, body, &mut self.request) {
            self.send(client, Flight { step, intended: now, arrived: flight.arrived });
            return;
        }
        if counts {
            self.tally.arrival.saturating_record(now.saturating_sub(flight.arrived));
        }
        self.tally.achieved += u64::from(within && kind.is_ok());
        self.free(client, now);
    }

    fn free(&mut self, client: usize, now: u64) {
        self.clients[client].free_since = now;
        if self.arrivals.is_none() && now <= self.measured_until {
            self.begin_arrival(client, now);
        } else {
            self.idle.push_back(client);
        }
    }

    fn fail(&mut self, client: usize, flight: &Flight, failure: Failure) {
        self.clients[client].connection = None;
        if self.is_measured(flight.arrived) {
            self.tally.add_error(failure.name());
        }
        // A server that is gone must not make this recurse: the connection is tried again in the next turn.
        self.clients[client].free_since = self.now();
        self.idle.push_back(client);
    }

    /// Whatever has no answer by now counts as an error, and with the time for which it has waited.
    fn give_up(&mut self) {
        let now = self.now();
        let flights = self.clients.iter().filter_map(|client| client.flight.as_ref());
        let unanswered: Vec<(Kind, u64)> = flights
            .map(|flight| (flight.step.kind, flight.arrived))
            .chain(self.waiting.iter().map(|&intended| (Kind::NewHold, intended)))
            .filter(|(_, arrived)| self.is_measured(*arrived))
            .collect();
        for (kind, arrived) in unanswered {
            self.tally.add_error(Failure::Unanswered.name());
            self.tally.add_latency(kind, now - arrived);
            self.tally.arrival.saturating_record(now - arrived);
        }
    }
}

/// Refusals that are part of a sale. Anything else that is not 200 is an error.
const EXPECTED: [&str; 2] = ["insufficient_stock", "sale_closed"];

fn kind_of(step: &Step, status: u16, body: &[u8]) -> Result<Kind, String> {
    if status == 200 {
        return Ok(step.kind);
    }
    let code = crate::json::text_field(body, "code").unwrap_or_default();
    if EXPECTED.contains(&code) { Ok(Kind::Refusal) } else { Err(format!("{status} {code}")) }
}
