//! Choice of a driver for the logs of a directory: each is tried, none is guessed.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::Event;
use super::uring::WriteRing;
use super::wake::WakeFd;
use crate::buffer::Buffer;
use crate::files::is_no_space;
use crate::limits::BLOCK_BYTES;
use crate::names;

/// A driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An io_uring for the log writes.
    Uring,
    /// A thread for the log writes.
    Plain,
}

/// The driver that the operator asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Preference {
    /// io_uring where it works, otherwise the thread.
    #[default]
    Auto,
    /// io_uring or nothing.
    Uring,
    /// The thread.
    Plain,
}

/// The driver that is used, and the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The driver.
    pub kind: Kind,
    /// Writes bypass the page cache.
    pub direct: bool,
    /// The reason, for the operator.
    pub reason: String,
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Uring => "io_uring",
            Kind::Plain => "a thread",
        };
        let flags = if self.direct { "O_DIRECT and O_DSYNC" } else { "O_DSYNC" };
        write!(f, "log writes by {kind} with {flags}: {}", self.reason)
    }
}

/// Tries the drivers on a file in `dir`, which exists and is locked; the file is gone afterwards.
///
/// # Errors
/// The reason why the preferred driver cannot be had.
pub fn choose(dir: &Path, preference: Preference) -> Result<Choice, String> {
    let file = probe_file(dir, OFlags::DSYNC | OFlags::DIRECT);
    let direct = file.is_ok();
    let plain = |reason: String| Choice { kind: Kind::Plain, direct, reason };
    let tried = match &file {
        _ if preference == Preference::Plain => return Ok(plain("asked for".to_owned())),
        Ok(file) => try_ring(file),
        Err(error) => Err(format!("{} has no O_DIRECT ({error})", dir.display())),
    };
    match (tried, preference) {
        (Ok(()), Preference::Uring) => {
            Ok(Choice { kind: Kind::Uring, direct, reason: "asked for".to_owned() })
        }
        (Ok(()), _) => Ok(Choice { kind: Kind::Uring, direct, reason: "it works here".to_owned() }),
        (Err(reason), Preference::Uring) => {
            Err(format!("io_uring was asked for and cannot be used: {reason}"))
        }
        (Err(reason), _) => Ok(plain(format!("no io_uring: {reason}"))),
    }
}

/// A file without a name, which is gone when it is closed.
fn probe_file(dir: &Path, flags: OFlags) -> io::Result<fs::File> {
    let open = |flags: OFlags| {
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(flags.bits().cast_signed());
        options
    };
    match open(OFlags::TMPFILE | flags).open(dir) {
        // Not every file system makes files without a name: NFS and FUSE do not, and have direct writes all the same.
        Err(error) if Errno::from_io_error(&error) == Some(Errno::OPNOTSUPP) => {}
        result => return result,
    }
    let path = dir.join(names::PROBE);
    let file = open(flags).create(true).truncate(true).open(&path);
    // The name may be there although the opening failed.
    let removed = fs::remove_file(&path);
    let file = file?;
    removed.map(|()| file)
}

/// Writes one block the way a log does.
fn try_ring(file: &fs::File) -> Result<(), String> {
    let wake = WakeFd::new().map_err(|error| format!("no eventfd: {error}"))?;
    let mut ring = WriteRing::new(&wake).map_err(|error| explain(&error))?;
    ring.write(file.as_fd(), 0, 0, Buffer::zeroed(BLOCK_BYTES), BLOCK_BYTES);
    match ring.wait() {
        Some(Event::Written { result: Ok(()), .. }) => Ok(()),
        // The ring works, the disk is full: a log goes on in the segments that it has.
        Some(Event::Written { result: Err(error), .. }) if is_no_space(&error.source) => Ok(()),
        Some(Event::Written { result: Err(error), .. }) => {
            Err(format!("a direct write failed: {}", error.source))
        }
        _ => Err("a direct write did not complete".to_owned()),
    }
}

/// Explains to the operator why the kernel refused a ring.
fn explain(error: &io::Error) -> String {
    match Errno::from_io_error(error) {
        Some(Errno::NOSYS) => "this kernel has none".to_owned(),
        Some(Errno::PERM | Errno::ACCESS) => {
            "it is not permitted here (a container's seccomp profile, or the sysctl kernel.io_uring_disabled)".to_owned()
        }
        Some(Errno::NOMEM) => {
            "no memory for a ring (raise the limit on locked memory, `ulimit -l`, or LimitMEMLOCK= of the service)".to_owned()
        }
        Some(Errno::MFILE | Errno::NFILE) => "no file descriptor left for a ring (`ulimit -n`)".to_owned(),
        _ => format!("a ring cannot be made: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_does_not_speak_against_the_ring() {
        let full = OpenOptions::new().write(true).open("/dev/full").expect("every Linux has it");
        if WriteRing::new(&WakeFd::new().expect("an eventfd")).is_ok() {
            assert_eq!(try_ring(&full), Ok(()));
        }
    }

    #[test]
    fn a_write_that_fails_otherwise_does() {
        let file = tempfile::tempfile().expect("a file");
        // A directory cannot be written, whoever asks.
        let dir = fs::File::open("/").expect("it is there");
        if WriteRing::new(&WakeFd::new().expect("an eventfd")).is_ok() {
            assert_eq!(try_ring(&file), Ok(()));
            let reason = try_ring(&dir).expect_err("no file");
            assert!(reason.starts_with("a direct write failed"), "{reason}");
        }
    }

    #[test]
    fn the_probe_is_opened_as_asked_and_leaves_nothing_behind() {
        let temp = tempfile::tempdir().expect("a directory");
        let file = probe_file(temp.path(), OFlags::DSYNC).expect("a file");
        assert!(rustix::fs::fcntl_getfl(&file).expect("its flags").contains(OFlags::DSYNC));
        assert_eq!(fs::read_dir(temp.path()).expect("it is there").count(), 0);
        // Where files without a name cannot be had, one with a name is tried; here that cannot be had either.
        let error = probe_file(Path::new("/proc"), OFlags::DSYNC).expect_err("nobody makes files there");
        assert_ne!(Errno::from_io_error(&error), Some(Errno::OPNOTSUPP), "{error}");
    }

    #[test]
    fn refusals_say_what_to_do() {
        let check = |errno: Errno, expected: &str| {
            let text = explain(&io::Error::from(errno));
            assert!(text.contains(expected), "{text}");
        };
        check(Errno::NOSYS, "kernel has none");
        check(Errno::PERM, "kernel.io_uring_disabled");
        check(Errno::NOMEM, "ulimit -l");
        check(Errno::ACCESS, "kernel.io_uring_disabled");
        check(Errno::MFILE, "ulimit -n");
        check(Errno::NFILE, "ulimit -n");
        check(Errno::INVAL, "cannot be made");
    }
}
