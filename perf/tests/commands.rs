//! The built program: its floors answer, and a run against one of them leaves figures, histograms and a page.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use perf::commands::floor::Floor;
use serde_json::Value;

const BODY_BYTES: usize = 300;

struct FloorServer(Child, SocketAddr);

impl FloorServer {
    fn start(floor: Floor) -> FloorServer {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let args =
            ["floor-server", "--runtime", floor.name(), "--body-bytes", "300", "--port", &port.to_string()];
        let child = Command::new(env!("CARGO_BIN_EXE_perf")).args(args).spawn().unwrap();
        FloorServer(child, SocketAddr::from(([127, 0, 0, 1], port)))
    }

    fn connect(&self) -> TcpStream {
        let started = Instant::now();
        loop {
            match TcpStream::connect(self.1) {
                Ok(stream) => return stream,
                Err(e) => assert!(started.elapsed() < Duration::from_secs(30), "{e}"),
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for FloorServer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn floors_read_the_body_and_answer_with_the_asked_length() {
    for floor in Floor::ALL {
        let server = FloorServer::start(floor);
        let mut stream = server.connect();
        let request = "POST /any HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello";
        stream.write_all(request.repeat(2).as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answers = String::new();
        stream.read_to_string(&mut answers).unwrap();
        assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 2, "{}: {answers}", floor.name());
        assert_eq!(answers.matches(&" ".repeat(BODY_BYTES)).count(), 2);
    }
}

#[test]
fn a_run_leaves_figures_histograms_and_a_page() {
    let server = FloorServer::start(Floor::Tokio);
    server.connect();
    let out = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_perf"))
        .args(["http", "--address", &server.1.to_string(), "--pid", &server.0.id().to_string()])
        .args([
            "--feed",
            "built-in",
            "--connections",
            "4",
            "--load",
            "5,10",
            "--seconds",
            "0.3",
            "--warm-up",
            "0.1",
        ])
        .args(["--out", out.path().to_str().unwrap()])
        .output()
        .unwrap();
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    let figures: Value =
        serde_json::from_slice(&std::fs::read(out.path().join("figures.json")).unwrap()).unwrap();
    let sweep = &figures["sweeps"][0];
    let ceiling = sweep["ceiling_per_second"].as_f64().unwrap();
    assert!(ceiling > 0.0, "{said}");
    for (run, percent) in sweep["open"].as_array().unwrap().iter().zip([5.0, 10.0]) {
        assert_eq!(run["load_percent"], percent);
        let offered = run["offered_per_second"].as_f64().unwrap();
        // So few arrivals may be off by chance, but not by half.
        assert!(offered > 0.0 && offered < ceiling, "{offered} of {ceiling}");
        assert_eq!(run["errors"], serde_json::json!({}));
        assert!(run["latency"]["new_hold"]["count"].as_u64().unwrap() > 0, "{run}");
    }
    assert!(sweep["closed"]["server_cpu_us_per_request"].as_f64().unwrap() > 0.0);
    let log = std::fs::read_to_string(out.path().join("latency.hlog")).unwrap();
    assert!(log.contains("Tag=4_connections_5_percent_new_hold,") && log.contains("HISTF"), "{log}");
    let page = std::fs::read_to_string(out.path().join("index.html")).unwrap();
    assert_eq!(page.matches("<svg").count(), 2);
    assert!(page.contains("4 connections") && page.contains("--feed built-in"));
}

#[test]
fn a_binary_that_is_not_there_is_named() {
    let output = Command::new(env!("CARGO_BIN_EXE_perf"))
        .args(["floor", "--server", "/nowhere/interlock", "--feed", "built-in"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("/nowhere/interlock"), "{said}");
}
