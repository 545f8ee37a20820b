//! Target of a measurement: a server that is started for it, or one that runs already.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use drill::session::Port;
use drill::{Launch, Server, Session};
use testkit::national_feed;

use crate::limits::START_MAX;
use crate::machine;

/// Start of a binary of Interlock.
#[derive(Clone, Debug)]
pub struct Start {
    pub binary: PathBuf,
    /// For its data; the directory that is made in it is removed afterwards.
    pub parent: PathBuf,
    pub cpus: Vec<usize>,
    /// `None`: the built-in timetable.
    pub feed: Option<PathBuf>,
    pub hold_ttl_secs: u32,
    pub state_bytes: u64,
    /// With the seat allocator's port.
    pub has_grpc: bool,
    pub more: Vec<String>,
    /// Of the process, beyond ours.
    pub env: Vec<(&'static str, String)>,
}

#[derive(Debug)]
pub struct Target {
    pub address: SocketAddr,
    pub pid: Option<u32>,
    /// The seat allocator's port.
    pub grpc_address: Option<SocketAddr>,
    process: Process,
}

#[derive(Debug)]
enum Process {
    Interlock { server: Option<Box<Server>>, cpus: Vec<usize> },
    Floor(Child),
    Foreign,
}

impl Target {
    /// Starts Interlock and waits until it is ready.
    ///
    /// # Errors
    /// If there is no such binary.
    pub fn interlock(start: &Start) -> io::Result<Target> {
        if !start.binary.is_file() {
            let text = format!("no program at {}: `make build` makes it", start.binary.display());
            return Err(io::Error::new(io::ErrorKind::NotFound, text));
        }
        std::fs::create_dir_all(&start.parent)?;
        let (ttl, state) = (start.hold_ttl_secs.to_string(), start.state_bytes.to_string());
        let mut args = vec!["--hold-ttl-secs", &ttl, "--state-bytes", &state, "--log-level", "warn"];
        let feed = start.feed.as_deref().map(std::path::absolute).transpose()?;
        if let Some(feed) = &feed {
            args.extend([
                "--timetable",
                feed.to_str().ok_or_else(|| io::Error::other("a path that is no text"))?,
            ]);
        }
        args.extend(start.more.iter().map(String::as_str));
        let launch = start
            .env
            .iter()
            .fold(Launch::of(&start.binary, &start.parent), |launch, (name, value)| launch.env(name, value))
            .without_env("INTERLOCK_SEGMENT_BYTES")
            // Old segments are used again, as a server does once its log has its budget.
            .env("INTERLOCK_LOG_KEEP_HOURS", "0")
            .cores(start.cpus.len() as u32)
            .args(&args);
        let launch = if start.has_grpc { launch.with_grpc() } else { launch };
        machine::raise_open_files();
        let server = on_cpus(&start.cpus, || launch.start());
        let (address, pid) = (server.addr(Port::Gateway), Some(server.pid()));
        Ok(Target {
            address,
            pid,
            grpc_address: start.has_grpc.then(|| launch.grpc_addr()),
            process: Process::Interlock { server: Some(Box::new(server)), cpus: start.cpus.clone() },
        })
    }

    /// Starts a floor of this program: a server that answers a constant.
    ///
    /// # Errors
    /// If it does not start.
    pub fn floor(runtime: &str, body_bytes: usize, cpus: &[usize]) -> io::Result<Target> {
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["floor-server", "--runtime", runtime, "--body-bytes", &body_bytes.to_string()])
            .args(["--port", &port.to_string()])
            .stdin(Stdio::null());
        machine::raise_open_files();
        let child = on_cpus(cpus, || command.spawn())?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let target =
            Target { address, pid: Some(child.id()), grpc_address: None, process: Process::Floor(child) };
        let started = Instant::now();
        while let Err(e) = TcpStream::connect(address) {
            if started.elapsed() > START_MAX {
                return Err(e);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(target)
    }

    /// A server that runs already; `pid` where its CPU time is wanted.
    #[must_use]
    pub fn foreign(address: SocketAddr, pid: Option<u32>) -> Target {
        Target { address, pid, grpc_address: None, process: Process::Foreign }
    }

    /// Kills Interlock and starts it again with so many cores. Gives its data directory, and the seconds until it was ready.
    ///
    /// # Errors
    /// If it is a server of another kind.
    pub fn restart(&mut self, cores: u32) -> io::Result<(PathBuf, f64)> {
        let Process::Interlock { server, cpus } = &mut self.process else {
            return Err(io::Error::other("only a server that was started here can be started again"));
        };
        let launch = server.take().ok_or_else(|| io::Error::other("the server is gone"))?.kill().cores(cores);
        let started = Instant::now();
        let again = on_cpus(cpus, || launch.start());
        let seconds = started.elapsed().as_secs_f64();
        self.pid = Some(again.pid());
        *server = Some(Box::new(again));
        Ok((launch.dir().to_owned(), seconds))
    }

    /// The data directory of a server that was started here.
    #[must_use]
    pub fn data_dir(&self) -> Option<PathBuf> {
        match &self.process {
            Process::Interlock { server: Some(server), .. } => Some(server.launch().dir().to_owned()),
            _ => None,
        }
    }

    /// A session with the gateway of a server that was started here.
    #[must_use]
    pub fn interlock_session(&self) -> Option<Session> {
        let is_ours = matches!(self.process, Process::Interlock { .. });
        is_ours.then(|| Session::new([self.address; 5], None).by_gateway())
    }

    #[must_use]
    pub fn cpu_ns(&self) -> u64 {
        self.pid.map_or(0, machine::process_cpu_ns)
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if let Process::Floor(child) = &mut self.process {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Pins to these processors whatever is started meanwhile.
fn on_cpus<T>(cpus: &[usize], start: impl FnOnce() -> T) -> T {
    let before = machine::cpus();
    machine::pin_to(cpus);
    let started = start();
    machine::pin_to(&before);
    started
}

/// A feed by its name on the command line: its directory, if it is not the built-in one.
///
/// # Errors
/// If the national feed cannot be unpacked.
pub fn feed(name: &str, unpack_into: &Path) -> io::Result<Option<PathBuf>> {
    match name {
        "built-in" => Ok(None),
        "national" => {
            let weeks = national_feed::weeks_to_next_month(jiff::Zoned::now().date());
            national_feed::unpack(unpack_into, weeks)?;
            Ok(Some(unpack_into.to_owned()))
        }
        path => Ok(Some(path.into())),
    }
}
