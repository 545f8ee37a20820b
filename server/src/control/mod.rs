//! The control socket: how an operator's commands reach the server that has a data directory open. One request and one answer for each
//! connection, each a JSON object on a line.

mod client;
mod handler;
mod status;

use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use serde_json::Value;

pub(crate) use client::{Answered, ask};
pub(crate) use handler::{HOLD_TIME, Handler};

/// In the data directory.
const SOCKET: &str = "control.sock";
/// Under this name until it listens and belongs to its user alone.
const SOCKET_NEW: &str = "control.sock.new";
/// The longest request.
const REQUEST_BYTES_MAX: u64 = 4_096;
/// Whoever connects and says nothing is let go.
const REQUEST_TIME: Duration = Duration::from_secs(5);

/// A path of a socket may have 107 bytes, a data directory's path more: its descriptor is a short name for it.
struct ShortName {
    _dir: fs::File,
    path: PathBuf,
}

impl ShortName {
    fn of(dir: &Path) -> io::Result<ShortName> {
        let dir = fs::File::open(dir)?;
        let path = PathBuf::from(format!("/proc/self/fd/{}", dir.as_raw_fd()));
        Ok(ShortName { _dir: dir, path })
    }
}

/// Listens, in place of a server that may have been killed.
///
/// # Errors
/// The socket cannot be made.
pub(crate) fn listen(data_dir: &Path, handler: Handler) -> io::Result<()> {
    let short = ShortName::of(data_dir)?;
    let (new, socket) = (short.path.join(SOCKET_NEW), short.path.join(SOCKET));
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&new)?;
    fs::set_permissions(&new, fs::Permissions::from_mode(0o600))?;
    fs::rename(&new, &socket)?;
    thread::Builder::new().name("control".to_owned()).spawn(move || {
        for stream in listener.incoming() {
            // One at a time: an operator has two hands.
            if let Err(error) = stream.and_then(|stream| answer(&stream, &handler)) {
                tracing::debug!(%error, "a control connection broke off");
            }
        }
    })?;
    Ok(())
}

/// The server goes: nobody is to be asked here any more. What a killed one leaves is replaced by the next.
pub(crate) fn close(data_dir: &Path) {
    let _ = fs::remove_file(data_dir.join(SOCKET));
}

fn answer(stream: &UnixStream, handler: &Handler) -> io::Result<()> {
    stream.set_read_timeout(Some(REQUEST_TIME))?;
    stream.set_write_timeout(Some(REQUEST_TIME))?;
    let mut line = String::new();
    BufReader::new(stream.take(REQUEST_BYTES_MAX)).read_line(&mut line)?;
    let mut answer = match serde_json::from_str::<Value>(&line) {
        Ok(request) => handler.handle(&request),
        Err(_) => Err("a request is a JSON object on a line".to_owned()),
    }
    .unwrap_or_else(|error| serde_json::json!({ "error": error }))
    .to_string();
    answer.push('\n');
    let mut stream = stream;
    stream.write_all(answer.as_bytes())
}
