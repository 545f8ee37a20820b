//! The operator's end of the control socket.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::{SOCKET, ShortName};

/// A rebuild is the longest that a server takes to answer.
const ANSWER_TIME: Duration = Duration::from_secs(120);

/// The outcome of a request.
#[derive(Debug)]
pub(crate) enum Answered {
    By(Value),
    /// No server has the directory open.
    NobodyThere,
}

/// Asks the server that has the directory open.
///
/// # Errors
/// There is no such directory, the server refuses, or it does not answer.
pub(crate) fn ask(data_dir: &Path, request: &Value) -> Result<Answered, String> {
    let cannot = |error: io::Error| format!("the server of {} does not answer: {error}", data_dir.display());
    let short = ShortName::of(data_dir).map_err(|error| {
        format!("{} cannot be opened: {error} (--data-dir says which directory is meant)", data_dir.display())
    })?;
    let mut stream = match UnixStream::connect(short.path.join(SOCKET)) {
        Ok(stream) => stream,
        // A socket that nobody listens on is what a killed server leaves.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return Ok(Answered::NobodyThere);
        }
        Err(error) => return Err(cannot(error)),
    };
    stream.set_read_timeout(Some(ANSWER_TIME)).map_err(cannot)?;
    stream.write_all(format!("{request}\n").as_bytes()).map_err(cannot)?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).map_err(cannot)?;
    let answer: Value =
        serde_json::from_str(&line).map_err(|_| "the server broke off: ask again".to_owned())?;
    match answer["error"].as_str() {
        Some(error) => Err(error.to_owned()),
        None => Ok(Answered::By(answer)),
    }
}
