//! The built binary as a process: started on ports of its own, awaited, killed, stopped, restarted.
//!
//! Its environment is empty except for what a test sets, so that no setting of the machine leaks in.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use crate::session::{Port, Session};
use crate::{Conn, DEADLINE, until};

/// The size of a log segment in tests: small, so that a start does not write much.
const SEGMENT_BYTES: &str = "1048576";

/// Variables that the server inherits: coverage and backtraces need them.
const PASSED_ON: [&str; 3] = ["PATH", "RUST_BACKTRACE", "LLVM_PROFILE_FILE"];

/// Lines of each server's output that a failing test shows.
const SHOWN_LINES: usize = 60;

/// A directory for one test, removed afterwards unless the test failed.
#[derive(Debug)]
pub struct Home(PathBuf);

impl Home {
    fn below(parent: &Path) -> Home {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("interlock-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::path::absolute(parent).expect("a path").join(name);
        // A directory of that name is left from an older run whose process id was the same.
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a directory for the test");
        Home(path)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("kept for inspection: {}", self.0.display());
        } else {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}

/// The binary with its settings, ready to start. Clones share the home and the ports: a restart is `start` once more.
#[derive(Clone, Debug)]
pub struct Launch {
    binary: PathBuf,
    home: Arc<Home>,
    data_dir: PathBuf,
    offset: u16,
    cores: u32,
    args: Vec<String>,
    env: BTreeMap<String, String>,
    open_files: Option<u64>,
}

/// The end of a command that ended by itself.
#[derive(Debug)]
pub struct CommandOutput {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl CommandOutput {
    /// Both outputs, for searching.
    pub fn said(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// Asserts a failure that names all of `names` and is neither a panic nor a signal.
    #[track_caller]
    pub fn assert_refused(&self, names: &[&str]) {
        let said = self.said();
        assert!(!self.status.success(), "succeeded instead of refusing: {said}");
        assert!(self.status.code().is_some(), "killed by a signal: {:?} {said}", self.status);
        assert!(!said.contains("panicked at"), "a panic is no refusal: {said}");
        for name in names {
            assert!(said.contains(name), "{name:?} is not named in: {said}");
        }
    }
}

impl Launch {
    /// One core, an empty data directory, free ports; the binary of the same build as the test that asks.
    #[expect(clippy::new_without_default, reason = "it takes ports and a directory")]
    #[must_use]
    pub fn new() -> Launch {
        let exe = std::env::current_exe().expect("a program knows its path");
        let deps = exe.parent().expect("a program lies in a directory");
        let profile = deps.parent().expect("tests are built below a profile's directory");
        let target = profile.parent().expect("profiles lie in one directory");
        Launch::of(&profile.join("interlock"), &target.join("tmp"))
    }

    /// One core, free ports, and a data directory in a new directory below `parent`.
    #[must_use]
    pub fn of(binary: &Path, parent: &Path) -> Launch {
        let home = Home::below(parent);
        Launch {
            binary: std::path::absolute(binary).expect("a path"),
            data_dir: home.0.join("data"),
            home: Arc::new(home),
            offset: free_offset(),
            cores: 1,
            args: Vec::new(),
            open_files: None,
            // The port of gRPC is among those that the kernel gives to clients' sockets.
            env: [("INTERLOCK_SEGMENT_BYTES", SEGMENT_BYTES), ("INTERLOCK_GRPC", "off")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
        }
    }

    pub fn cores(mut self, cores: u32) -> Launch {
        self.cores = cores;
        self
    }

    #[must_use]
    pub fn cores_now(&self) -> u32 {
        self.cores
    }

    pub fn env(mut self, name: &str, value: &str) -> Launch {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    pub fn without_env(mut self, name: &str) -> Launch {
        self.env.remove(name);
        self
    }

    pub fn args(mut self, args: &[&str]) -> Launch {
        self.args.extend(args.iter().map(|&a| a.to_owned()));
        self
    }

    pub fn data_dir(mut self, dir: &Path) -> Launch {
        self.data_dir = dir.to_owned();
        self
    }

    /// The most files that the server may open.
    pub fn open_files(mut self, max: u64) -> Launch {
        self.open_files = Some(max);
        self
    }

    /// The same server on other ports.
    pub fn other_ports(mut self) -> Launch {
        self.offset = free_offset();
        self
    }

    pub fn dir(&self) -> &Path {
        &self.data_dir
    }

    /// The directory around the data, for whatever else a test needs.
    pub fn home(&self) -> &Path {
        &self.home.0
    }

    pub fn addr(&self, port: Port) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port.number() + self.offset))
    }

    /// The same server with its port of gRPC, above those that the kernel gives to clients' sockets.
    pub fn with_grpc(mut self) -> Launch {
        while self.grpc_addr().port() <= EPHEMERAL_PORT_MAX {
            self.offset = free_offset();
        }
        self.env("INTERLOCK_GRPC", "on")
    }

    pub fn grpc_addr(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], GRPC_PORT + self.offset))
    }

    pub fn sign_key(&self) -> Option<&str> {
        self.env_of("PAYMENT_CALLBACK_SIGN_KEY")
    }

    /// A variable that the server is started with.
    pub fn env_of(&self, name: &str) -> Option<&str> {
        self.env.get(name).map(String::as_str)
    }

    /// A client of the server, running or not.
    pub fn session(&self) -> Session {
        Session::new(Port::ALL.map(|port| self.addr(port)), self.sign_key())
    }

    /// Starts the server and waits until it sells, whether its sinks can be written or not.
    pub fn start(&self) -> Server {
        let mut server = self.spawn();
        server.until_ready();
        server
    }

    /// Starts the server and does not wait.
    pub fn spawn(&self) -> Server {
        let stderr = OpenOptions::new().create(true).append(true).open(self.stderr_path());
        let stderr = stderr.expect("a file for standard error");
        let child = self
            .command()
            .arg("serve")
            .args(self.serve_args())
            .stdin(Stdio::null())
            .stdout(stderr.try_clone().expect("a second handle"))
            .stderr(stderr)
            .spawn()
            .expect("the built binary starts");
        Server { child, launch: self.clone() }
    }

    /// Starts the server with a pipe for standard error that nobody reads, and does not wait.
    pub fn spawn_unread(&self) -> Server {
        let mut command = self.command();
        command.arg("serve").args(self.serve_args()).stdin(Stdio::null()).stdout(Stdio::null());
        // The child keeps the reading end, so that the pipe is not broken either.
        let child = command.stderr(Stdio::piped()).spawn().expect("the built binary starts");
        Server { child, launch: self.clone() }
    }

    /// Runs `serve`, which is expected to end by itself before it is ready.
    pub fn serve_to_end(&self) -> CommandOutput {
        let mut args = vec!["serve".to_owned()];
        args.extend(self.serve_args());
        self.run(&args.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Runs a command to its end, with this launch's environment.
    pub fn run(&self, args: &[&str]) -> CommandOutput {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = |what| self.home().join(format!("{what}-{}", NEXT.fetch_add(1, Ordering::Relaxed)));
        let (out, err) = (name("stdout"), name("stderr"));
        let mut child = self
            .command()
            .args(args)
            .stdin(Stdio::null())
            .stdout(File::create(&out).expect("a file for output"))
            .stderr(File::create(&err).expect("a file for errors"))
            .spawn()
            .expect("the built binary starts");
        let read = |path: &Path| String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned();
        let started = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().expect("the child can be waited for") {
                break status;
            }
            if started.elapsed() > DEADLINE {
                let _ = child.kill();
                let _ = child.wait();
                panic!("{args:?} did not end within {DEADLINE:?}: {}{}", read(&out), read(&err));
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        };
        CommandOutput { status, stdout: read(&out), stderr: read(&err) }
    }

    pub fn command(&self) -> Command {
        let mut command = match self.open_files {
            None => Command::new(&self.binary),
            Some(max) => {
                // The shell's own `ulimit` sets both limits, and the shell becomes the server.
                let mut shell = Command::new("sh");
                shell.args(["-c", &format!("ulimit -n {max} && exec \"$0\" \"$@\"")]).arg(&self.binary);
                shell
            }
        };
        command.env_clear().current_dir(self.home()).envs(&self.env);
        for name in PASSED_ON {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command
    }

    /// Asserts that `log check` finds the data directory sound; the server is stopped.
    #[track_caller]
    pub fn check_log(&self) {
        let check = self.run(&["log", "check", &self.data_dir.display().to_string()]);
        assert!(check.status.success(), "the log is not sound: {}", check.said());
    }

    fn serve_args(&self) -> Vec<String> {
        let mut args = vec!["--data-dir".to_owned(), self.data_dir.display().to_string()];
        args.extend(["--port-offset".to_owned(), self.offset.to_string()]);
        args.extend(["--cores".to_owned(), self.cores.to_string()]);
        args.extend(self.args.iter().cloned());
        args
    }

    fn stderr_path(&self) -> PathBuf {
        self.home().join("server.log")
    }

    /// Every file of the data directory with its bytes, for [`assert_untouched`].
    pub fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        files(&self.data_dir)
    }
}

/// Every file below `dir` with its bytes. A socket has none.
pub fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![dir.to_owned()];
    while let Some(dir) = waiting.pop() {
        for entry in fs::read_dir(&dir).expect("a readable directory") {
            let path = entry.expect("a readable entry").path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.is_file() {
                let bytes = fs::read(&path).expect("a readable file");
                found.insert(path, bytes);
            }
        }
    }
    found
}

/// Asserts that two listings of files are the same, without printing megabytes where they are not.
#[track_caller]
pub fn assert_untouched(before: &BTreeMap<PathBuf, Vec<u8>>, after: &BTreeMap<PathBuf, Vec<u8>>) {
    let names = |files: &BTreeMap<PathBuf, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(before), names(after), "files came or went");
    for (path, bytes) in before {
        assert!(after[path] == *bytes, "{} was written to", path.display());
    }
}

/// A running server. Killed when dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    launch: Launch,
}

impl Server {
    /// Waits until the order service says that it is ready; the gateway's word is for the sinks as well.
    pub fn until_ready(&mut self) {
        until("the server to be ready", || {
            if let Some(status) = self.ended() {
                panic!("the server ended while it started: {status}\n{}", self.log_tail());
            }
            let answer =
                Conn::open(self.addr(Port::Order)).and_then(|mut c| c.call("GET", "/readyz", &[], None));
            answer.is_ok_and(|answer| answer.status == 200).then_some(())
        });
    }

    /// Calls by the five services' own ports.
    pub fn session(&self) -> Session {
        self.launch.session()
    }

    /// Every call by the gateway's port.
    pub fn gateway(&self) -> Session {
        self.session().by_gateway()
    }

    pub fn conn(&self, port: Port) -> Conn {
        Conn::open(self.addr(port)).expect("a connection")
    }

    pub fn addr(&self, port: Port) -> SocketAddr {
        self.launch.addr(port)
    }

    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn launch(&self) -> &Launch {
        &self.launch
    }

    /// Everything that this and earlier servers of the same launch wrote to standard output and error.
    pub fn log(&self) -> String {
        let bytes = fs::read(self.launch.stderr_path()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The length of [`Server::log`] in bytes.
    pub fn log_bytes(&self) -> u64 {
        fs::metadata(self.launch.stderr_path()).map_or(0, |file| file.len())
    }

    /// What was written behind the first `start` bytes of [`Server::log`].
    pub fn log_behind(&self, start: u64) -> String {
        let read = || -> io::Result<Vec<u8>> {
            let mut file = File::open(self.launch.stderr_path())?;
            file.seek(SeekFrom::Start(start))?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        String::from_utf8_lossy(&read().unwrap_or_default()).into_owned()
    }

    /// The exit status, where the server has ended by itself.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("the child can be waited for")
    }

    /// `kill -9`. Gives the launch, to start it again.
    pub fn kill(mut self) -> Launch {
        self.kill_now();
        self.launch.clone()
    }

    /// `kill -9`: the process is gone when this returns.
    pub fn kill_now(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Sends SIGKILL and does not wait: a process that waits for a disk dies only when the disk answers.
    pub fn send_kill(&mut self) {
        let _ = self.child.kill();
    }

    /// Sends SIGTERM and does not wait.
    pub fn terminate(&self) {
        self.send_signal("TERM");
    }

    /// Sends a signal by its short name and does not wait.
    pub fn send_signal(&self, name: &str) {
        // The shell's own `kill`: a program of that name is not installed everywhere.
        let script = format!("kill -{name} {}", self.child.id());
        let status = Command::new("sh").args(["-c", &script]).status().expect("a shell");
        assert!(status.success(), "SIG{name} could not be sent");
    }

    /// Waits for the end after [`Server::terminate`]. Gives the exit code, `None` where a signal ended it.
    pub fn wait_end(mut self) -> Option<i32> {
        let status = until("the server to stop", || self.ended());
        status.code()
    }

    /// Stops cleanly, asserts exit code 0, and gives the launch, to start it again.
    pub fn stop(self) -> Launch {
        let launch = self.launch.clone();
        self.terminate();
        assert_eq!(self.wait_end(), Some(0), "SIGTERM ends the server with 0");
        launch
    }

    /// Its threads as the kernel has them: name, state, and the place in the kernel that each waits at.
    fn threads(&self) -> String {
        let tasks =
            std::fs::read_dir(format!("/proc/{}/task", self.child.id())).into_iter().flatten().flatten();
        let read = |path: std::path::PathBuf| std::fs::read_to_string(path).unwrap_or_default();
        let of = |task: std::path::PathBuf| {
            let status = read(task.join("status"));
            let lines = status.lines().filter(|line| line.starts_with("Name:") || line.starts_with("State:"));
            let status: Vec<&str> = lines.collect();
            format!("{} {}\n{}", status.join(" "), read(task.join("wchan")), read(task.join("stack")))
        };
        tasks.map(|task| of(task.path())).collect()
    }

    /// The end of what it and earlier servers of the same launch wrote.
    pub fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let threads = if std::thread::panicking() { self.threads() } else { String::new() };
        self.kill_now();
        if std::thread::panicking() {
            eprintln!("--- the threads of the server on ports +{}:\n{threads}", self.launch.offset);
            eprintln!("--- the server on ports +{} said last:\n{}", self.launch.offset, self.log_tail());
        }
    }
}

/// The last port that the kernel gives to a client's socket, as it comes.
const EPHEMERAL_PORT_MAX: u16 = 60_999;
/// The seat allocator's, before any offset.
const GRPC_PORT: u16 = 50_051;

/// A port offset whose five ports are free, and that no other test of this process uses.
fn free_offset() -> u16 {
    // Below the kernel's ephemeral ports, so that no client's socket takes one.
    const STEPS: u32 = 2_700;
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    for _ in 0..STEPS {
        let taken = TAKEN.fetch_add(1, Ordering::Relaxed);
        let step = (std::process::id().wrapping_mul(37) + taken) % STEPS;
        let offset = u16::try_from(100 + step * 5).expect("a port number");
        let free = |port: Port| TcpListener::bind(("127.0.0.1", port.number() + offset)).is_ok();
        if Port::ALL.into_iter().all(free) {
            return offset;
        }
    }
    panic!("no five free ports on this machine");
}
