//! One connection of the generator: HTTP/1.1, kept alive, one request at a time.
//!
//! It reads what Interlock answers: a status line, headers with a length, a body. Anything else is an error that says so.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use crate::limits::{ANSWER_BYTES_MAX, HEADERS_MAX};

const CONNECT: Duration = Duration::from_secs(10);

/// Why a request has no answer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Failure {
    Connect,
    Write,
    Read,
    /// Closed by the server before the answer was whole.
    Closed,
    /// Not an answer that this client understands.
    Malformed,
    /// Not answered by the end of the run.
    Unanswered,
}

impl Failure {
    pub const fn name(self) -> &'static str {
        match self {
            Failure::Connect => "connect",
            Failure::Write => "write",
            Failure::Read => "read",
            Failure::Closed => "closed",
            Failure::Malformed => "malformed",
            Failure::Unanswered => "unanswered",
        }
    }
}

/// Result of a look at the socket.
#[derive(Debug)]
pub(crate) enum Reading {
    NotYet,
    /// The body lies there in the bytes that were read.
    Answer {
        status: u16,
        body: Range<usize>,
        closes: bool,
    },
    Failed(Failure),
}

#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    /// Of an answer that came in pieces.
    received: Vec<u8>,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> io::Result<Connection> {
        let stream = TcpStream::connect_timeout(&address, CONNECT)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Connection { stream, received: Vec::new() })
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    /// A request of a few hundred bytes always fits into the socket of a connection without others under way.
    pub(crate) fn send(&mut self, request: &[u8]) -> Result<(), Failure> {
        match self.stream.write(request) {
            Ok(count) if count == request.len() => Ok(()),
            Ok(_) => Err(Failure::Write),
            Err(e) if e.kind() == ErrorKind::BrokenPipe => Err(Failure::Closed),
            Err(_) => Err(Failure::Write),
        }
    }

    /// Reads what is there. `scratch` takes the bytes, and has a whole answer from its beginning; only an answer in pieces is copied.
    pub(crate) fn read(&mut self, scratch: &mut [u8]) -> Reading {
        let count = match self.stream.read(scratch) {
            Ok(0) => return Reading::Failed(Failure::Closed),
            Ok(count) => count,
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                return Reading::NotYet;
            }
            Err(e) if e.kind() == ErrorKind::ConnectionReset => return Reading::Failed(Failure::Closed),
            Err(_) => return Reading::Failed(Failure::Read),
        };
        if self.received.is_empty() && !matches!(parse(&scratch[..count]), Parsed::Partial) {
            return reading(&scratch[..count]);
        }
        self.received.extend_from_slice(&scratch[..count]);
        if matches!(parse(&self.received), Parsed::Partial) {
            return Reading::NotYet;
        }
        // The answer is whole: its bytes move to where the caller may look at them, and the buffer is free for the next one.
        let whole = self.received.len();
        if whole > scratch.len() {
            return Reading::Failed(Failure::Malformed);
        }
        scratch[..whole].copy_from_slice(&self.received);
        self.received.clear();
        reading(&scratch[..whole])
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Parsed {
    Partial,
    Malformed,
    Whole { status: u16, head: usize, closes: bool },
}

fn reading(bytes: &[u8]) -> Reading {
    match parse(bytes) {
        Parsed::Whole { status, head, closes } => Reading::Answer { status, body: head..bytes.len(), closes },
        Parsed::Partial | Parsed::Malformed => Reading::Failed(Failure::Malformed),
    }
}

/// One answer and nothing behind it.
fn parse(bytes: &[u8]) -> Parsed {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut answer = httparse::Response::new(&mut headers);
    let head = match answer.parse(bytes) {
        Ok(httparse::Status::Complete(head)) => head,
        Ok(httparse::Status::Partial) if bytes.len() <= ANSWER_BYTES_MAX => return Parsed::Partial,
        _ => return Parsed::Malformed,
    };
    let Some(status) = answer.code else { return Parsed::Malformed };
    let mut length = None;
    let mut closes = false;
    for header in answer.headers.iter() {
        if header.name.eq_ignore_ascii_case("content-length") {
            length = std::str::from_utf8(header.value).ok().and_then(|value| value.parse::<usize>().ok());
        } else if header.name.eq_ignore_ascii_case("connection") {
            closes = header.value.eq_ignore_ascii_case(b"close");
        }
    }
    match length {
        Some(length) if length > ANSWER_BYTES_MAX => Parsed::Malformed,
        Some(length) if bytes.len() < head + length => Parsed::Partial,
        Some(length) if bytes.len() == head + length => Parsed::Whole { status, head, closes },
        _ => Parsed::Malformed,
    }
}

#[cfg(test)]
mod tests {
    use super::{Parsed, parse};

    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 3\r\n\r\nabc";

    #[test]
    fn every_beginning_of_an_answer_is_partial() {
        for length in 0..ANSWER.len() {
            assert_eq!(parse(&ANSWER[..length]), Parsed::Partial, "{length} bytes");
        }
        assert_eq!(parse(ANSWER), Parsed::Whole { status: 200, head: ANSWER.len() - 3, closes: false });
    }

    #[test]
    fn what_is_no_answer_is_malformed() {
        for bytes in [
            &b"HTTP/1.1 200 OK\r\n\r\n"[..],
            b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab",
            b"SSH-2.0\r\n\r\n",
        ] {
            assert_eq!(parse(bytes), Parsed::Malformed, "{}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn an_answer_may_be_the_last() {
        let bytes = b"HTTP/1.1 503 Busy\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(parse(bytes), Parsed::Whole { status: 503, head: bytes.len(), closes: true });
    }
}
