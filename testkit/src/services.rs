//! Real servers for tests: MariaDB, Redis and Apache Kafka, as `scripts/services.sh` starts them.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Servers that keep everything in one directory. They outlive the tests: the script stops them.
#[derive(Debug)]
pub struct Services {
    dir: PathBuf,
}

impl Services {
    /// The ones that all tests of the workspace share, with this one running.
    ///
    /// # Panics
    /// It cannot be started.
    #[must_use]
    pub fn shared(service: &str) -> Services {
        let dir = root().join("target/services/shared");
        let services = Services { dir };
        services.up(service);
        services
    }

    /// Starts a service where it does not run.
    ///
    /// # Panics
    /// It cannot be started.
    pub fn up(&self, service: &str) {
        self.script("up", service);
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

    fn script(&self, command: &str, service: &str) {
        let script = root().join("scripts/services.sh");
        let status = Command::new(&script).arg(command).arg(&self.dir).arg(service).status();
        let status = status.unwrap_or_else(|error| panic!("{}: {error}", script.display()));
        assert!(status.success(), "{} {command} {service}: {status}", script.display());
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace")
}
