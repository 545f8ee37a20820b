//! HTTP request-smuggling guard: rejects ambiguous message framing (RFC 9112, section 6.3) before hyper parses it.
//!
//! hyper drops a `Content-Length` that stands beside a `Transfer-Encoding`, and takes the same length twice. A proxy in
//! front may choose otherwise, and then bytes of one request pass for another one's. So the bytes of a connection go
//! through here first, head by head; where a head is ambiguous, a byte of it is spoiled, so that hyper refuses it. All
//! that is kept is the position in the message and the line that is not yet complete. Never decides anything else.

use memchr::memchr;

/// Bytes kept of a line that came in pieces; more is not needed to know what it says.
const LINE_BYTES_MAX: usize = 512;

/// Position of the next byte in the stream of requests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Position {
    /// In a head, its request line included.
    Head { begun: bool, length: Option<u64>, chunked: bool },
    /// In a body of known length.
    Body { left: u64 },
    /// In the line that says how long the next chunk is.
    ChunkSize,
    /// In a chunk, or its line end.
    Chunk { left: u64 },
    /// In the lines after the last chunk.
    Trailers,
    /// Refused: the connection is as good as closed.
    Refused,
}

const START: Position = Position::Head { begun: false, length: None, chunked: false };

/// Follows the requests of one connection. [`follow`](Guard::follow) is given every byte that was read, in order and once,
/// before hyper sees it.
#[derive(Debug)]
pub(crate) struct Guard {
    position: Position,
    /// The beginning of a line whose end has not come yet.
    line: Vec<u8>,
}

impl Guard {
    pub(crate) const fn new() -> Guard {
        Guard { position: START, line: Vec::new() }
    }

    /// A head has begun and not ended.
    pub(crate) fn in_head(&self) -> bool {
        matches!(self.position, Position::Head { begun, .. } if begun || !self.line.is_empty())
    }

    /// A head was refused. Later bytes are not looked at.
    pub(crate) fn has_refused(&self) -> bool {
        self.position == Position::Refused
    }

    /// Follows what was just read. Spoils the line end that makes a head ambiguous.
    pub(crate) fn follow(&mut self, mut bytes: &mut [u8]) {
        while !bytes.is_empty() {
            match self.position {
                Position::Refused => return,
                Position::Body { left } => {
                    let taken = skip(left, bytes.len());
                    bytes = &mut bytes[taken..];
                    let left = left - taken as u64;
                    self.position = if left == 0 { START } else { Position::Body { left } };
                }
                Position::Chunk { left } => {
                    let taken = skip(left, bytes.len());
                    bytes = &mut bytes[taken..];
                    let left = left - taken as u64;
                    self.position = if left == 0 { Position::ChunkSize } else { Position::Chunk { left } };
                }
                Position::Head { .. } | Position::ChunkSize | Position::Trailers => {
                    let Some(end) = memchr(b'\n', bytes) else {
                        self.keep(bytes);
                        return;
                    };
                    self.end_line(&mut bytes[..=end]);
                    bytes = &mut bytes[end + 1..];
                }
            }
        }
    }

    fn keep(&mut self, piece: &[u8]) {
        let room = LINE_BYTES_MAX.saturating_sub(self.line.len());
        self.line.extend_from_slice(&piece[..piece.len().min(room)]);
    }

    /// `last` is the rest of a line, its line end included.
    fn end_line(&mut self, last: &mut [u8]) {
        let end = last.len() - 1;
        if self.line.is_empty() {
            self.position = next(self.position, without_return(&last[..end]));
        } else {
            self.keep(&last[..end]);
            self.position = next(self.position, without_return(&self.line));
            self.line.clear();
        }
        if self.position == Position::Refused {
            last[end] = 0;
        }
    }
}

fn skip(left: u64, here: usize) -> usize {
    usize::try_from(left).map_or(here, |left| left.min(here))
}

fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// The position after a whole line.
fn next(position: Position, line: &[u8]) -> Position {
    match position {
        Position::Head { begun: false, .. } if line.is_empty() => START,
        Position::Head { begun: false, length, chunked } => Position::Head { begun: true, length, chunked },
        Position::Head { length, chunked, .. } if line.is_empty() => match (chunked, length) {
            (true, _) => Position::ChunkSize,
            (false, None | Some(0)) => START,
            (false, Some(left)) => Position::Body { left },
        },
        Position::Head { length, chunked, .. } => header(line, length, chunked),
        Position::ChunkSize => match chunk_size(line) {
            Some(0) => Position::Trailers,
            // The chunk's own line end counts with it: hyper closes where it is not one.
            Some(size) => Position::Chunk { left: size.saturating_add(2) },
            None => Position::Refused,
        },
        Position::Trailers if line.is_empty() => START,
        Position::Trailers => Position::Trailers,
        Position::Body { .. } | Position::Chunk { .. } | Position::Refused => {
            unreachable!("these have no lines")
        }
    }
}

/// The position after a header line of a head that has said so much about its body.
fn header(line: &[u8], length: Option<u64>, chunked: bool) -> Position {
    let same = Position::Head { begun: true, length, chunked };
    // So begin the two that matter.
    if !matches!(line.first(), Some(b'c' | b'C' | b't' | b'T')) {
        return same;
    }
    if let Some(value) = value_of(b"content-length", line) {
        match decimal(value.trim_ascii()) {
            Some(given) if length.is_none() && !chunked => {
                Position::Head { begun: true, length: Some(given), chunked }
            }
            _ => Position::Refused,
        }
    } else if value_of(b"transfer-encoding", line).is_some() {
        if length.is_none() && !chunked {
            Position::Head { begun: true, length, chunked: true }
        } else {
            Position::Refused
        }
    } else {
        same
    }
}

/// The value behind a header's name and colon, if the line is that header's.
fn value_of<'l>(name: &[u8], line: &'l [u8]) -> Option<&'l [u8]> {
    let (before, behind) = line.split_at_checked(name.len())?;
    let value = behind.strip_prefix(b":")?;
    before.eq_ignore_ascii_case(name).then_some(value)
}

fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |number, digit| {
        let digit = char::from(*digit).to_digit(10)?;
        number.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

/// The size at the beginning of a chunk's first line; an extension may follow.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let text = std::str::from_utf8(&line[..digits]).ok()?;
    u64::from_str_radix(text, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Follows `stream` cut at every position into two pieces, and in single bytes.
    fn check(stream: &str, refused: bool, in_head: bool) {
        for cut in 0..=stream.len() {
            let mut guard = Guard::new();
            let mut bytes = stream.as_bytes().to_vec();
            let (first, second) = bytes.split_at_mut(cut);
            guard.follow(first);
            guard.follow(second);
            assert_eq!(guard.has_refused(), refused, "{stream:?} cut at {cut}");
            assert_eq!(guard.in_head(), in_head, "{stream:?} cut at {cut}");
            assert_eq!(
                bytes != stream.as_bytes(),
                refused,
                "{stream:?} cut at {cut}: spoiled only if refused"
            );
        }
        let mut guard = Guard::new();
        let mut bytes = stream.as_bytes().to_vec();
        bytes.chunks_mut(1).for_each(|byte| guard.follow(byte));
        assert_eq!(guard.has_refused(), refused, "{stream:?} byte by byte");
    }

    #[test]
    fn plain_requests_pass() {
        check("GET / HTTP/1.1\r\nHost: a\r\n\r\n", false, false);
        check("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", false, false);
        check("\r\n\nPOST / HTTP/1.1\nCONTENT-LENGTH:  5 \n\nhelloGET / HTTP/1.1\n\n", false, false);
        check("POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\nGET / HT", false, true);
        check("POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nGET", false, false);
        for near in [
            "Content-Lengthy: 9",
            "Content-Lengt: 9",
            "Xontent-Length: 9",
            "Content-Length ",
            "A:Content-Length:9",
        ] {
            check(&format!("POST / HTTP/1.1\r\n{near}\r\n\r\nGET / HT"), false, true);
        }
    }

    #[test]
    fn chunks_are_followed_to_their_end() {
        let head = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
        check(&format!("{head}5;x=y\r\nhello\r\n0\r\n\r\nGET / HTTP/1.1\r\n"), false, true);
        check(&format!("{head}0\r\nA: b\r\n\r\n"), false, false);
        check(&format!("{head}1C\r\nContent-Length: 5\r\nTransfer-\r\n"), false, false);
        check(&format!("{head}zz\r\n"), true, false);
        check(&format!("{head}ffffffffffffffff0\r\n"), true, false);
    }

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        for headers in [
            "Content-Length: 5\r\nContent-Length: 5\r\n",
            "Content-Length: 5\r\nContent-Length: 6\r\n",
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
            "transfer-encoding: chunked\r\nA: b\r\ncontent-length: 5\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
            "Content-Length: 5, 5\r\n",
            "Content-Length: +5\r\n",
            "Content-Length: -5\r\n",
            "Content-Length: 0x5\r\n",
            "Content-Length:\r\n",
            "Content-Length: 18446744073709551616\r\n",
        ] {
            check(&format!("POST / HTTP/1.1\r\nHost: a\r\n{headers}\r\nhello"), true, false);
        }
    }

    #[test]
    fn a_body_is_never_taken_for_a_head() {
        let body = "Content-Length: 1\r\nContent-Length: 2\r\n\r\n";
        let length = body.len();
        check(&format!("POST / HTTP/1.1\r\nContent-Length: {length}\r\n\r\n{body}"), false, false);
    }

    #[test]
    fn a_long_line_in_pieces_is_not_kept_whole() {
        let mut guard = Guard::new();
        for _ in 0..10_000 {
            guard.follow(&mut b"GET / xxxxxxxxxxxx".to_vec());
        }
        assert!(guard.line.len() <= LINE_BYTES_MAX);
        assert!(guard.in_head());
    }
}
