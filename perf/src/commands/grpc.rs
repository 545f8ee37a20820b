//! `perf grpc`: what a sale by HTTP notices of the seat allocator's port: alone, beside calls of gRPC, and beside as many more requests of HTTP; the
//! same beside callers who send what is no HTTP/2, messages that are too large, or nothing at all. What a call of each costs.

use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use grpc::proto::AllocateSeatRequest;
use grpc::proto::seat_allocator_client::SeatAllocatorClient;
use serde::Serialize;
use tokio::task::JoinSet;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};

use super::Setting;
use crate::figures::{Figures, HEAD, line, measure};
use crate::load::Pace;
use crate::machine;
use crate::report::{Page, Report, number};
use crate::statistics::median;
use crate::target::Target;

/// Connections of callers who mean well; each has one call under way.
const CALLERS: u32 = 16;
/// Connections of each kind of callers who do not.
const HOSTILE: usize = 4;
/// Bytes of a message that is too large.
const LARGE_BYTES: usize = 8 << 20;
/// Between two tries of a hostile caller.
const HOSTILE_PAUSE: Duration = Duration::from_millis(5);
/// Seats of an ad hoc train that are allocated before the next one is begun.
const SEATS_OF_A_TRAIN: u64 = 50;

#[derive(Debug, Serialize)]
struct GrpcReport {
    command: String,
    machine: String,
    http_offered_per_second: f64,
    calls_offered_per_second: f64,
    calls_per_second: f64,
    /// Of the server, beyond what the same load of HTTP takes alone.
    cpu_us_per_call: f64,
    cpu_us_per_http_request: f64,
    /// p99 of HTTP by the server's own histogram, over that of HTTP alone.
    p99_beside_calls_times: f64,
    p99_beside_http_times: f64,
    p99_beside_hostile_times: f64,
    hostile_connections: u64,
    errors: u64,
    windows: Vec<(&'static str, Figures)>,
}

/// Callers beside the sale.
#[derive(Debug)]
struct Others {
    since: Instant,
    /// They end when it is set.
    are_over: AtomicBool,
    calls: AtomicU64,
    hostile: AtomicU64,
    /// How long they were at work.
    millis: AtomicU64,
}

impl Others {
    fn begin() -> Others {
        let [calls, hostile, millis] = [const { AtomicU64::new(0) }; 3];
        Others { since: Instant::now(), are_over: AtomicBool::new(false), calls, hostile, millis }
    }

    fn seconds(&self) -> f64 {
        self.millis.load(Ordering::Relaxed) as f64 / 1e3
    }
}

/// # Errors
/// If the server does not start, a call fails, or the report cannot be written.
pub fn run(setting: &Setting, connections: usize, rate: u32, calls: u32, rounds: u32) -> io::Result<PathBuf> {
    let sale = setting.sale()?;
    let mut start = setting.start.clone();
    start.has_grpc = true;
    start.more.extend(["--ad-hoc".to_owned(), "on".to_owned()]);
    let target = Target::interlock(&start)?;
    let address = target.grpc_address.ok_or_else(|| io::Error::other("no port of gRPC"))?;
    println!("{HEAD}");
    let load = |rate: f64| -> io::Result<Figures> {
        let plan = setting.load.plan(&target, connections, Pace::Open(rate));
        let figures = measure(&target, &plan, &sale, setting.workload, None)?.figures;
        println!("{}", line(&figures));
        Ok(figures)
    };
    let cpu = setting.load.threads.first().copied().flatten();
    let (http, more) = (f64::from(rate), f64::from(calls));
    let (mut windows, mut calls_per_second, mut hostile_connections) = (Vec::new(), Vec::new(), 0);
    for round in 0..rounds {
        windows.push(("alone", load(http)?));
        let (figures, others) = beside(|| load(http), |others| call(address, round, calls, cpu, others))?;
        calls_per_second.push(others.calls.load(Ordering::Relaxed) as f64 / others.seconds());
        windows.push(("calls", figures));
        windows.push(("http", load(http + more)?));
        let (figures, others) = beside(|| load(http), |others| be_hostile(address, cpu, others))?;
        hostile_connections += others.hostile.load(Ordering::Relaxed);
        windows.push(("hostile", figures));
    }
    let of = |name: &str, figure: fn(&Figures) -> f64| {
        let of = windows.iter().filter(|(window, _)| *window == name);
        median(&of.map(|(_, figures)| figure(figures)).collect::<Vec<_>>())
    };
    let times = |name: &str| of(name, Figures::server_p99) / of("alone", Figures::server_p99).max(1e-9);
    let cpu_us = |name: &str| of(name, |f| f.server_cpu_percent.unwrap_or_default()) * 1e4;
    let calls_per_second = median(&calls_per_second);
    let report = GrpcReport {
        command: setting.command.clone(),
        machine: machine::describe(),
        http_offered_per_second: http,
        calls_offered_per_second: more,
        calls_per_second,
        cpu_us_per_call: (cpu_us("calls") - cpu_us("alone")) / calls_per_second.max(1e-9),
        cpu_us_per_http_request: (cpu_us("http") - cpu_us("alone")) / more,
        p99_beside_calls_times: times("calls"),
        p99_beside_http_times: times("http"),
        p99_beside_hostile_times: times("hostile"),
        hostile_connections,
        errors: windows.iter().map(|(_, figures)| figures.errors.values().sum::<u64>()).sum(),
        windows,
    };
    let out = Report::new(&setting.out)?;
    out.json(&report)?;
    let mut page = Page::new("The seat allocator's port", &report.machine, &report.command);
    for text in said(&report) {
        println!("{text}");
        page.text(&text);
    }
    for window in report.windows.iter().filter_map(|(_, figures)| figures.invalid.as_ref()) {
        page.warning(window);
    }
    out.page(&page)
}

fn said(report: &GrpcReport) -> [String; 3] {
    [
        format!(
            "{} requests of HTTP a second beside {} calls of gRPC: p99 of HTTP {:.2} times that alone; beside as many more of HTTP {:.2} times; {} errors",
            number(report.http_offered_per_second),
            number(report.calls_per_second.round()),
            report.p99_beside_calls_times,
            report.p99_beside_http_times,
            report.errors
        ),
        format!(
            "beside callers who mean no good ({} connections): {:.2} times",
            report.hostile_connections, report.p99_beside_hostile_times
        ),
        format!(
            "{:.0} us of the server's CPU a call, {:.0} us a request of HTTP",
            report.cpu_us_per_call, report.cpu_us_per_http_request
        ),
    ]
}

/// Loads, with others at work beside it until it is over.
fn beside(
    load: impl FnOnce() -> io::Result<Figures>,
    work: impl FnOnce(&Arc<Others>) -> io::Result<()> + Send,
) -> io::Result<(Figures, Arc<Others>)> {
    let others = Arc::new(Others::begin());
    let (figures, worked) = std::thread::scope(|scope| {
        let worked = scope.spawn(|| work(&others));
        let figures = load();
        others.are_over.store(true, Ordering::Relaxed);
        others.millis.store(others.since.elapsed().as_millis() as u64, Ordering::Relaxed);
        (figures, worked.join().expect("callers do not panic"))
    });
    worked?;
    Ok((figures?, others))
}

fn runtime(cpu: Option<usize>) -> io::Result<tokio::runtime::Runtime> {
    if let Some(cpu) = cpu {
        machine::pin_thread(cpu);
    }
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// Allocates seats, evenly spread over time, each for an order that nobody knows.
fn call(
    address: SocketAddr,
    round: u32,
    calls: u32,
    cpu: Option<usize>,
    others: &Arc<Others>,
) -> io::Result<()> {
    runtime(cpu)?.block_on(async {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(io::Error::other)?;
        let mut callers = JoinSet::new();
        for caller in 0..CALLERS {
            let (endpoint, others) = (endpoint.clone(), others.clone());
            callers.spawn(async move {
                let channel = endpoint.connect().await.map_err(io::Error::other)?;
                let mut client = SeatAllocatorClient::new(channel);
                let mut due = tokio::time::interval(Duration::from_secs(1) * CALLERS / calls);
                for nth in 0_u64.. {
                    due.tick().await;
                    if others.are_over.load(Ordering::Relaxed) {
                        break;
                    }
                    let name = format!("perf-{round}-{caller}");
                    let train = format!("{name}-{}", nth / SEATS_OF_A_TRAIN);
                    allocate(&mut client, format!("{name}-{nth}"), train).await.map_err(io::Error::other)?;
                    others.calls.fetch_add(1, Ordering::Relaxed);
                }
                io::Result::Ok(())
            });
        }
        callers.join_all().await.into_iter().collect()
    })
}

async fn allocate(
    client: &mut SeatAllocatorClient<Channel>,
    order_id: String,
    train_id: String,
) -> Result<(), tonic::Status> {
    let request = AllocateSeatRequest {
        order_id,
        train_id,
        travel_date: "2099-01-01".to_owned(),
        coach_type: "2nd".to_owned(),
        from_index: 0,
        to_index: 1,
    };
    client.allocate_seat(request).await.map(drop)
}

/// Callers who send what is no HTTP/2, who send messages that are too large, and who send nothing, each again and again.
fn be_hostile(address: SocketAddr, cpu: Option<usize>, others: &Others) -> io::Result<()> {
    if let Some(cpu) = cpu {
        machine::pin_thread(cpu);
    }
    std::thread::scope(|scope| {
        for nth in 0..2 * HOSTILE {
            scope.spawn(move || {
                while !others.are_over.load(Ordering::Relaxed) {
                    others.hostile.fetch_add(1, Ordering::Relaxed);
                    let Ok(mut stream) = TcpStream::connect(address) else { continue };
                    if nth < HOSTILE {
                        // The server may hang up in the middle of it.
                        let _ = stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
                        let _ = stream.write_all(&[0xff; 4_096]);
                    } else {
                        let _ = stream.write_all(b"PRI");
                        let begun = Instant::now();
                        while !others.are_over.load(Ordering::Relaxed)
                            && begun.elapsed() < Duration::from_secs(1)
                        {
                            std::thread::sleep(HOSTILE_PAUSE);
                        }
                    }
                    std::thread::sleep(HOSTILE_PAUSE);
                }
            });
        }
        runtime(None)?.block_on(async {
            let endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(io::Error::other)?;
            while !others.are_over.load(Ordering::Relaxed) {
                others.hostile.fetch_add(1, Ordering::Relaxed);
                let mut client =
                    SeatAllocatorClient::new(endpoint.connect().await.map_err(io::Error::other)?);
                let refused = allocate(&mut client, "x".repeat(LARGE_BYTES), "T1".to_owned()).await;
                match refused.map_err(|status| status.code()) {
                    Err(
                        Code::OutOfRange
                        | Code::ResourceExhausted
                        | Code::Unavailable
                        | Code::Unknown
                        | Code::Internal
                        | Code::Cancelled,
                    ) => {}
                    other => return Err(io::Error::other(format!("a message that is too large: {other:?}"))),
                }
                tokio::time::sleep(HOSTILE_PAUSE).await;
            }
            Ok(())
        })
    })
}
