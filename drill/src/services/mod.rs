//! Real servers around the engine: MariaDB, Redis and Apache Kafka, as `scripts/services.sh` starts them, and what their own clients say that
//! they have.

mod kafka;
mod mysql;
mod place;
mod redis;

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

pub use kafka::Message;
pub use place::{Place, SINKS};

/// Servers that keep everything in one directory. They outlive the tests: the script stops them.
#[derive(Debug)]
pub struct Services {
    dir: PathBuf,
}

impl Services {
    /// In this directory. Nothing is started yet.
    #[must_use]
    pub fn at(dir: &Path) -> Services {
        Services { dir: dir.to_owned() }
    }

    /// The ones that all tests of the workspace share, with this one running.
    ///
    /// # Panics
    /// It cannot be started.
    #[must_use]
    pub fn shared(service: &str) -> Services {
        let services = Services::at(&root().join("target/services/shared"));
        services.up(service);
        services
    }

    /// Starts a service where it does not run.
    ///
    /// # Panics
    /// It cannot be started.
    pub fn up(&self, service: &str) {
        self.script("up", service).unwrap_or_else(|error| panic!("{error}"));
    }

    /// Stops a service; what it keeps stays.
    ///
    /// # Panics
    /// The script fails.
    pub fn down(&self, service: &str) {
        self.script("down", service).unwrap_or_else(|error| panic!("{error}"));
    }

    /// Sends a signal to the process of a service.
    ///
    /// # Panics
    /// It has none.
    pub fn signal(&self, service: &str, signal: rustix::process::Signal) {
        let file = self.dir.join(service).join("pid");
        let pid = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let pid = rustix::process::Pid::from_raw(pid.trim().parse().expect("a process")).expect("a process");
        rustix::process::kill_process(pid, signal).expect("a process that runs");
    }

    /// The value of a line of the file that says where they are, as `MYSQL_DSN`.
    ///
    /// # Panics
    /// There is none.
    #[must_use]
    pub fn setting(&self, name: &str) -> String {
        let file = self.dir.join("env");
        let text = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        value.unwrap_or_else(|| panic!("no {name} in {}", file.display())).trim_matches('\'').to_owned()
    }

    fn script(&self, command: &str, service: &str) -> io::Result<()> {
        let script = root().join("scripts/services.sh");
        let status = Command::new(&script).arg(command).arg(&self.dir).arg(service).status()?;
        let said = || io::Error::other(format!("{} {command} {service}: {status}", script.display()));
        status.success().then_some(()).ok_or_else(said)
    }
}

/// The servers of one drill: they end with it, however it ends.
#[derive(Debug)]
pub struct OwnServices(PathBuf);

impl OwnServices {
    /// Starts all of them in a directory.
    ///
    /// # Panics
    /// One cannot be started.
    #[must_use]
    pub fn up(dir: &Path) -> OwnServices {
        let own = OwnServices(dir.to_owned());
        SINKS.iter().for_each(|service| own.get().up(service));
        own
    }

    #[must_use]
    pub fn get(&self) -> Services {
        Services::at(&self.0)
    }
}

impl Drop for OwnServices {
    fn drop(&mut self) {
        for service in SINKS {
            if let Err(error) = self.get().script("down", service) {
                eprintln!("{service} goes on running: {error}");
            }
        }
    }
}

/// The output of a client.
fn output(command: &mut Command) -> String {
    let Output { status, stdout, stderr } =
        command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "{command:?}: {status}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).expect("texts")
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace")
}
