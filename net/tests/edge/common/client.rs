//! A client that writes raw bytes and reads answers.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use net::Service;
use net::limits::EXPORT_PIECE_BYTES;

use super::Server;

/// Long beyond any limit of a test: only a test that fails waits for it.
const PATIENCE: Duration = Duration::from_secs(30);

/// One connection.
pub(crate) struct Client {
    socket: TcpStream,
    unread: Vec<u8>,
}

/// One answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    /// Without the newline at the end of a JSON document.
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e} in {:?}", self.body))
    }

    /// The machine-readable reason of an error.
    pub(crate) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_else(|| panic!("no code in {:?}", self.body)).to_owned()
    }

    /// `status text`, as tables of tests write it.
    pub(crate) fn error(&self) -> String {
        format!("{} {}", self.status, self.json()["error"].as_str().unwrap_or("(none)"))
    }
}

impl Client {
    pub(crate) fn connect(server: &Server, service: Service) -> Client {
        let socket = TcpStream::connect(server.address(service)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_nodelay(true).unwrap();
        Client { socket, unread: Vec::new() }
    }

    /// A client of another address of this machine.
    pub(crate) fn connect_from(address: Ipv4Addr, server: &Server, service: Service) -> Client {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((address, 0)).into()).unwrap();
        socket.connect(&server.address(service).into()).unwrap();
        let socket = TcpStream::from(socket);
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Client { socket, unread: Vec::new() }
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Client {
        self.socket.write_all(bytes.as_ref()).unwrap();
        self
    }

    /// Sends what the server may refuse to take to its end.
    pub(crate) fn send_lossy(&mut self, bytes: impl AsRef<[u8]>) -> &mut Client {
        let _ = self.socket.write_all(bytes.as_ref());
        self
    }

    /// The client will say no more.
    pub(crate) fn half_close(&mut self) -> &mut Client {
        self.socket.shutdown(std::net::Shutdown::Write).unwrap();
        self
    }

    /// The next answer; one to `HEAD` has no body, whatever its length says.
    pub(crate) fn read(&mut self) -> Reply {
        self.read_for(false)
    }

    pub(crate) fn read_head(&mut self) -> Reply {
        self.read_for(true)
    }

    fn read_for(&mut self, head: bool) -> Reply {
        let end = loop {
            if let Some(end) = self.unread.windows(4).position(|window| window == b"\r\n\r\n") {
                break end;
            }
            assert!(self.fill(), "closed before an answer: {:?}", String::from_utf8_lossy(&self.unread));
        };
        let text = String::from_utf8(self.unread.drain(..end + 4).collect()).unwrap();
        let mut lines = text.trim_end().split("\r\n");
        let status_line = lines.next().unwrap();
        let status = status_line.split(' ').nth(1).unwrap().parse().unwrap();
        let headers: Vec<(String, String)> = lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        let mut reply = Reply { status, headers, body: String::new() };
        let interim = status == 100;
        if !head && reply.header("transfer-encoding") == Some("chunked") {
            reply.body = self.read_chunks().expect("the body comes to its end");
            return reply;
        }
        let length =
            if head || interim { 0 } else { reply.header("content-length").unwrap().parse().unwrap() };
        while self.unread.len() < length {
            assert!(self.fill(), "closed within a body");
        }
        reply.body = String::from_utf8(self.unread.drain(..length).collect()).unwrap();
        if reply.header("content-type") == Some("application/json") && !reply.body.is_empty() {
            assert_eq!(reply.body.pop(), Some('\n'), "a document ends with a newline: {}", reply.body);
        }
        reply
    }

    /// The rest of a body in chunks; what came of it where the connection ends before it does.
    pub(crate) fn read_chunks(&mut self) -> Result<String, String> {
        let mut body = Vec::new();
        let text = |body| String::from_utf8(body).unwrap();
        loop {
            let Some(line) = self.read_line() else { return Err(text(body)) };
            let length = usize::from_str_radix(&line, 16).unwrap_or_else(|_| panic!("no chunk: {line:?}"));
            assert!(length <= EXPORT_PIECE_BYTES, "{length} bytes at a time");
            while self.unread.len() < length + 2 {
                if !self.fill() {
                    body.extend(self.unread.drain(..).take(length));
                    return Err(text(body));
                }
            }
            body.extend(self.unread.drain(..length));
            assert_eq!(self.unread.drain(..2).collect::<Vec<u8>>(), b"\r\n");
            if length == 0 {
                return Ok(text(body));
            }
        }
    }

    /// Everything until the server closes.
    pub(crate) fn read_to_end(&mut self) -> String {
        while self.fill() {}
        String::from_utf8(std::mem::take(&mut self.unread)).unwrap()
    }

    fn read_line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.unread.windows(2).position(|window| window == b"\r\n") {
                let line = self.unread.drain(..end + 2).take(end).collect();
                return Some(String::from_utf8(line).unwrap());
            }
            if !self.fill() {
                return None;
            }
        }
    }

    /// Whether nothing more comes and the server has closed.
    pub(crate) fn is_closed(&mut self) -> bool {
        self.unread.is_empty() && !self.fill()
    }

    fn fill(&mut self) -> bool {
        let mut buffer = [0; 16_384];
        match self.socket.read(&mut buffer) {
            Ok(0) => false,
            Ok(count) => {
                self.unread.extend_from_slice(&buffer[..count]);
                true
            }
            Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => false,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => self.fill(),
            Err(e) => panic!("{e} with {:?} unread", String::from_utf8_lossy(&self.unread)),
        }
    }

    pub(crate) fn get(&mut self, path: &str) -> Reply {
        self.send(format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n")).read()
    }

    pub(crate) fn post(&mut self, path: &str, body: &str) -> Reply {
        self.send(post(path, body)).read()
    }
}

/// A whole request.
pub(crate) fn post(path: &str, body: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nhost: test\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}
