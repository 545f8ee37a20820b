//! A tiny HTTP/1.1 client on a plain socket: kept alive, and able to send any bytes at all.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// After this long without an answer the server counts as hung.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// An answer, and for messages the request that it answers.
#[derive(Clone, Debug)]
pub struct Response {
    pub asked: String,
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON. Panics when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("{}: {} with no JSON ({e}): {}", self.asked, self.status, self.text()))
    }

    /// The body of a 200. Panics on any other status.
    #[track_caller]
    pub fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{}: {}", self.asked, self.text());
        self.assert_json();
        self.json()
    }

    /// Asserts a refusal as the contract words it: the status, a JSON body, `error` (any text where `error` is
    /// empty) and a machine-readable `code`. Gives the error text.
    #[track_caller]
    pub fn refused(&self, status: u16, error: &str) -> String {
        assert_eq!(self.status, status, "{}: {}", self.asked, self.text());
        self.assert_json();
        let body = self.json();
        let found = body["error"].as_str().unwrap_or_else(|| panic!("{}: no error in {body}", self.asked));
        assert!(!found.is_empty(), "{}: an empty error", self.asked);
        assert!(error.is_empty() || found == error, "{}: {found:?}, expected {error:?}", self.asked);
        let code = body["code"].as_str().unwrap_or_else(|| panic!("{}: no code in {body}", self.asked));
        let word = !code.is_empty()
            && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_' || b.is_ascii_digit());
        assert!(word, "{}: code {code:?} is no word", self.asked);
        found.to_owned()
    }

    #[track_caller]
    fn assert_json(&self) {
        let kind = self.header("content-type").unwrap_or_default();
        assert!(kind.starts_with("application/json"), "{}: content type {kind:?}", self.asked);
        assert!(self.body.ends_with(b"\n"), "{}: no newline at the end of {}", self.asked, self.text());
    }
}

/// One connection. It never reconnects: a closed one says so.
#[derive(Debug)]
pub struct Conn {
    stream: TcpStream,
    /// Bytes that arrived and are not consumed.
    received: Vec<u8>,
}

impl Conn {
    pub fn open(addr: SocketAddr) -> io::Result<Conn> {
        let stream = TcpStream::connect_timeout(&addr, Duration::from_secs(10))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        stream.set_write_timeout(Some(ANSWER_TIMEOUT))?;
        Ok(Conn { stream, received: Vec::new() })
    }

    /// A second handle on the same socket, for writing while this one reads.
    pub fn writer(&self) -> TcpStream {
        self.stream.try_clone().expect("a socket can be cloned")
    }

    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Closes the sending side, and goes on reading.
    pub fn finish_sending(&mut self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }

    /// Sends one request and reads its answer.
    pub fn call(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> io::Result<Response> {
        self.send(&request(method, path, headers, body))?;
        let mut answer = self.answer()?;
        answer.asked = format!("{method} {path} {}", String::from_utf8_lossy(body.unwrap_or_default()));
        answer.asked.truncate(answer.asked.floor_char_boundary(300));
        Ok(answer)
    }

    /// Reads one answer. `UnexpectedEof` when the connection was closed before any of it came, `InvalidData` when it
    /// was closed in the middle.
    pub fn answer(&mut self) -> io::Result<Response> {
        let head_len = loop {
            if let Some(at) = find(&self.received, b"\r\n\r\n") {
                break at + 4;
            }
            self.more()?;
        };
        let head = String::from_utf8_lossy(&self.received[..head_len]).into_owned();
        self.received.drain(..head_len);
        let mut lines = head.split("\r\n");
        let status_line = lines.next().unwrap_or_default();
        let status = status_line.split(' ').nth(1).and_then(|s| s.parse().ok());
        let status = status.ok_or_else(|| bad(&format!("status line {status_line:?}")))?;
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
            .collect();
        let mut answer = Response { asked: String::new(), status, headers, body: Vec::new() };
        answer.body = self.body(&answer).map_err(|e| match e.kind() {
            ErrorKind::UnexpectedEof => bad("an answer was cut off in its body"),
            _ => e,
        })?;
        Ok(answer)
    }

    fn body(&mut self, head: &Response) -> io::Result<Vec<u8>> {
        if head.status < 200 || head.status == 204 || head.status == 304 {
            return Ok(Vec::new());
        }
        if head.header("transfer-encoding").is_some_and(|v| v.eq_ignore_ascii_case("chunked")) {
            return self.chunks();
        }
        let length = head.header("content-length").ok_or_else(|| bad("an answer without a length"))?;
        let length = length.parse().map_err(|_| bad(&format!("content length {length:?}")))?;
        self.take(length)
    }

    fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = loop {
                if let Some(at) = find(&self.received, b"\r\n") {
                    break self.take(at + 2)?;
                }
                self.more()?;
            };
            let line = String::from_utf8_lossy(&line);
            let size = usize::from_str_radix(line.trim().split(';').next().unwrap_or_default(), 16);
            let size = size.map_err(|_| bad(&format!("chunk size {line:?}")))?;
            let chunk = self.take(size + 2)?;
            if size == 0 {
                return Ok(body);
            }
            body.extend_from_slice(&chunk[..size]);
        }
    }

    fn take(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.received.len() < count {
            self.more()?;
        }
        Ok(self.received.drain(..count).collect())
    }

    fn more(&mut self) -> io::Result<()> {
        let mut buffer = [0; 16 * 1_024];
        // A read with a time limit is interrupted where the process was stopped and goes on.
        let count = loop {
            match self.stream.read(&mut buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        if count == 0 {
            let cut = !self.received.is_empty();
            return Err(if cut { bad("an answer was cut off") } else { ErrorKind::UnexpectedEof.into() });
        }
        self.received.extend_from_slice(&buffer[..count]);
        Ok(())
    }
}

/// The bytes of a well-formed request.
pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: Option<&[u8]>) -> Vec<u8> {
    let mut bytes = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n").into_bytes();
    for (name, value) in headers {
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    if let Some(body) = body {
        bytes.extend_from_slice(format!("Content-Length: {}\r\n", body.len()).as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body.unwrap_or_default());
    bytes
}

/// A query value or path segment, percent-encoded.
pub fn encode(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|w| w == what)
}

fn bad(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what.to_owned())
}
