//! `perf batch`: many operations in one request beside the same ones alone; what others notice of full batches; and purchases beside orders
//! that are created and reserved by two requests.
//!
//! The read model is kept out of it, so that CPU time is the sale's alone.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::Setting;
use crate::figures::{Figures, HEAD, line, measure};
use crate::load::Pace;
use crate::machine;
use crate::report::{Page, Report, number};
use crate::statistics::median;
use crate::target::Target;
use crate::workloads::{Choice, Sale, Workload};

/// Batches that are written before the clock runs.
const AHEAD: usize = 24;
/// The same where others are looked at meanwhile.
const AHEAD_BESIDE: usize = 96;
/// No read model can be made there.
const NO_READ_MODEL: &str = "/proc/no-read-model.db";

#[derive(Debug, Serialize)]
struct BatchReport {
    command: String,
    machine: String,
    operations: usize,
    /// Of each round.
    alone_cpu_us: Vec<f64>,
    batched_cpu_us: Vec<f64>,
    one_connection_per_second: Vec<f64>,
    batched_per_second: Vec<f64>,
    single_p99_us: Vec<f64>,
    single_p99_beside_batches_us: Vec<f64>,
    batched_beside_per_second: Vec<f64>,
    order_cpu_us: Vec<f64>,
    purchase_cpu_us: Vec<f64>,
    windows: Vec<(&'static str, Figures)>,
}

/// # Errors
/// If the server does not start, or the report cannot be written.
pub fn run(
    setting: &Setting,
    connections: usize,
    operations: usize,
    rounds: u32,
    pace: f64,
) -> io::Result<PathBuf> {
    let sale = setting.sale()?;
    let mut setting = setting.clone();
    setting.start.more.extend(["--read-model".to_owned(), NO_READ_MODEL.to_owned()]);
    let target = setting.interlock()?;
    let mut report = BatchReport {
        command: setting.command.clone(),
        machine: machine::describe(),
        operations,
        alone_cpu_us: Vec::new(),
        batched_cpu_us: Vec::new(),
        one_connection_per_second: Vec::new(),
        batched_per_second: Vec::new(),
        single_p99_us: Vec::new(),
        single_p99_beside_batches_us: Vec::new(),
        batched_beside_per_second: Vec::new(),
        order_cpu_us: Vec::new(),
        purchase_cpu_us: Vec::new(),
        windows: Vec::new(),
    };
    println!("{HEAD}");
    for round in 0..rounds {
        let mut load = |name: &'static str, workload: &str, connections, pace| -> io::Result<Figures> {
            let plan = setting.load.plan(&target, connections, pace);
            let choice = Choice::by_name(workload).expect("it is one of them");
            let figures = measure(&target, &plan, &sale, choice, None)?.figures;
            println!("{}", line(&figures));
            report.windows.push((name, figures.clone()));
            Ok(figures)
        };
        let alone = load("alone", "sale-opening", connections, Pace::Closed)?;
        let one = load("one connection", "sale-opening", 1, Pace::Closed)?;
        let single = load("single", "sale-opening", connections, Pace::Open(pace))?;
        let mut client = Client::new(&target, &sale, operations, u64::from(round))?;
        let batched = client.run(&target, setting.measured(), AHEAD)?;
        let is_over = AtomicBool::new(false);
        let cpu = setting.load.threads.first().copied().flatten();
        let written: Vec<Written> = (0..AHEAD_BESIDE).map(|_| client.write()).collect();
        let (beside, others) = std::thread::scope(|scope| {
            let others = scope.spawn(|| {
                if let Some(cpu) = cpu {
                    machine::pin_thread(cpu);
                }
                client.until(&written, &is_over)
            });
            let beside = load("beside batches", "sale-opening", connections, Pace::Open(pace));
            is_over.store(true, Ordering::Relaxed);
            (beside, others.join().expect("a client of batches"))
        });
        let orders = load("orders", "paid-orders", connections, Pace::Closed)?;
        let purchases = load("purchases", "purchases", connections, Pace::Closed)?;
        report.alone_cpu_us.push(alone.server_cpu_us_per_request.unwrap_or_default());
        report.one_connection_per_second.push(one.requests_per_second);
        report.batched_cpu_us.push(batched.cpu_us);
        report.batched_per_second.push(batched.per_second);
        report.single_p99_us.push(single.all_answers.p99_us);
        report.single_p99_beside_batches_us.push(beside?.all_answers.p99_us);
        report.batched_beside_per_second.push(others?.per_second);
        report.order_cpu_us.push(cpu_us_per_arrival(&orders));
        report.purchase_cpu_us.push(cpu_us_per_arrival(&purchases));
    }
    let out = Report::new(&setting.out)?;
    out.json(&report)?;
    let said = said(&report);
    said.iter().for_each(|text| println!("{text}"));
    let mut page = Page::new("Batches and purchases", &report.machine, &report.command);
    said.iter().for_each(|text| page.text(text));
    out.page(&page)
}

fn cpu_us_per_arrival(figures: &Figures) -> f64 {
    let requests = figures.requests_per_second / figures.achieved_per_second.max(1e-9);
    figures.server_cpu_us_per_request.unwrap_or_default() * requests
}

fn said(report: &BatchReport) -> [String; 4] {
    let of = |values: &[f64]| median(values);
    let (alone, batched) = (of(&report.alone_cpu_us), of(&report.batched_cpu_us));
    let (one, many) = (of(&report.one_connection_per_second), of(&report.batched_per_second));
    let (single, beside) = (of(&report.single_p99_us), of(&report.single_p99_beside_batches_us));
    let (order, purchase) = (of(&report.order_cpu_us), of(&report.purchase_cpu_us));
    [
        format!(
            "batches of {}: {batched:.2} us of CPU an operation, alone {alone:.2} us: {:.1} times as many",
            report.operations,
            alone / batched.max(1e-9)
        ),
        format!(
            "{} operations a second in batches over one connection, {} alone over one that waits for each: {:.0} times",
            number(many.round()),
            number(one.round()),
            many / one.max(1e-9)
        ),
        format!(
            "p99 of single holds {:.2} ms, beside {} batched operations a second {:.2} ms: {:.1} times",
            single / 1e3,
            number(of(&report.batched_beside_per_second).round()),
            beside / 1e3,
            beside / single.max(1e-9)
        ),
        format!(
            "a purchase and its payment {purchase:.1} us of CPU, an order with reservation and payment {order:.1} us: {:.0}%",
            100.0 * purchase / order.max(1e-9)
        ),
    ]
}

/// Operations, and what they took.
struct Taken {
    per_second: f64,
    /// Of the server.
    cpu_us: f64,
}

/// A client that sends full batches over one connection.
struct Client {
    stream: TcpStream,
    workload: Box<dyn Workload>,
    operations: usize,
    /// Kept for their memory.
    one: Vec<u8>,
    answer: Vec<u8>,
}

/// A request, and the steps that it is made of.
struct Written {
    bytes: Vec<u8>,
    steps: Vec<crate::workloads::Step>,
}

impl Client {
    fn new(target: &Target, sale: &Sale, operations: usize, seed: u64) -> io::Result<Client> {
        let stream = TcpStream::connect(target.address)?;
        stream.set_nodelay(true)?;
        let choice = Choice::by_name("sale-opening").expect("it is one of them");
        let workload = sale.workloads(choice, seed)(0);
        Ok(Client { stream, workload, operations, one: Vec::new(), answer: Vec::new() })
    }

    fn write(&mut self) -> Written {
        let mut body = b"{\"operations\":[".to_vec();
        let mut steps = Vec::with_capacity(self.operations);
        for nth in 0..self.operations {
            self.one.clear();
            steps.push(self.workload.begin(&mut self.one));
            let head = self.one.windows(4).position(|end| end == b"\r\n\r\n").expect("a request has a head");
            body.extend_from_slice(if nth == 0 { b"{\"op\":\"hold\"," } else { b",{\"op\":\"hold\"," });
            body.extend_from_slice(&self.one[head + 5..]);
        }
        body.extend_from_slice(b"]}");
        let mut bytes =
            format!("POST /v1/batch HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len())
                .into_bytes();
        bytes.append(&mut body);
        Written { bytes, steps }
    }

    /// Sends a batch and reads its answer whole. The results that are there.
    fn call(&mut self, written: &Written) -> io::Result<()> {
        self.stream.write_all(&written.bytes)?;
        self.answer.clear();
        let mut piece = vec![0; 256 << 10];
        let mut end = usize::MAX;
        while self.answer.len() < end {
            let read = self.stream.read(&mut piece)?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.answer.extend_from_slice(&piece[..read]);
            if end == usize::MAX
                && let Some(head) = self.answer.windows(4).position(|end| end == b"\r\n\r\n")
            {
                let text = String::from_utf8_lossy(&self.answer[..head]).to_lowercase();
                let length =
                    text.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
                end = head + 4 + length.unwrap_or(0);
            }
        }
        Ok(())
    }

    /// Learns the outcome of each operation: the workload goes on from there.
    fn learn(&mut self, written: &Written) -> io::Result<()> {
        const MARK: &[u8] = b"{\"status\":";
        let found = self.answer.windows(MARK.len()).enumerate().filter(|(_, window)| *window == MARK);
        let statuses: Vec<u16> = found
            .filter_map(|(at, _)| {
                let digits = self.answer.get(at + MARK.len()..at + MARK.len() + 3)?;
                std::str::from_utf8(digits).ok()?.parse().ok()
            })
            .collect();
        if statuses.len() != written.steps.len() {
            let text = String::from_utf8_lossy(&self.answer[..self.answer.len().min(300)]).into_owned();
            return Err(io::Error::other(format!("{} results: {text}", statuses.len())));
        }
        for (step, status) in written.steps.iter().zip(statuses) {
            self.one.clear();
            self.workload.answered(step, status, b"", &mut self.one);
        }
        Ok(())
    }

    /// Batches one after the other, for about that time; those that are written ahead at most.
    fn run(&mut self, target: &Target, measured: Duration, ahead: usize) -> io::Result<Taken> {
        let written: Vec<Written> = (0..ahead).map(|_| self.write()).collect();
        let (started, cpu) = (Instant::now(), target.cpu_ns());
        let mut sent = 0;
        for batch in &written {
            self.call(batch)?;
            sent += 1;
            if started.elapsed() > measured {
                break;
            }
        }
        let (seconds, cpu) = (started.elapsed().as_secs_f64(), target.cpu_ns() - cpu);
        self.learn(&written[sent - 1])?;
        let operations = (sent * self.operations) as f64;
        Ok(Taken { per_second: operations / seconds, cpu_us: cpu as f64 / 1e3 / operations })
    }

    /// Batches one after the other until it is over.
    fn until(&mut self, written: &[Written], is_over: &AtomicBool) -> io::Result<Taken> {
        let started = Instant::now();
        let mut sent = 0;
        for batch in written {
            if is_over.load(Ordering::Relaxed) {
                break;
            }
            self.call(batch)?;
            sent += 1;
        }
        let operations = (sent * self.operations) as f64;
        Ok(Taken { per_second: operations / started.elapsed().as_secs_f64(), cpu_us: 0.0 })
    }
}
