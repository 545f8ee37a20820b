//! Every bound of the gRPC port, by name. Those that HTTP has as well are HTTP's.

use std::time::Duration;

/// Bounds of the port. Connections are counted with those of HTTP.
#[derive(Clone, Debug)]
pub struct Limits {
    /// From the connection to the end of its preface; beyond: closed.
    pub preface: Duration,
    /// Headers of one call together.
    pub header_bytes_max: u32,
    /// Bytes of a message; beyond: `OUT_OF_RANGE`.
    pub message_bytes_max: usize,
    /// From the headers of a call to its answer, its message included; beyond: cancelled.
    pub call: Duration,
    /// For the engine's answer; beyond: `DEADLINE_EXCEEDED`, and nobody knows what became of it.
    pub request: Duration,
    /// A client that says nothing for so long is asked whether it is there, and has so long to say so; beyond: closed.
    pub silence: Duration,
    pub silence_answer: Duration,
    /// For calls under way when the server stops; beyond: cut off.
    pub stop: Duration,
}

/// Calls of one connection that are under way; further ones wait at the client.
pub(crate) const CALLS_PER_CONNECTION_MAX: u32 = 100;
/// Bytes that a client may send of one call, and of all of its calls together, before they are read.
pub(crate) const CALL_WINDOW_BYTES: u32 = 64 << 10;
pub(crate) const CONNECTION_WINDOW_BYTES: u32 = 256 << 10;
/// Bytes of one frame; the least that the protocol allows.
pub(crate) const FRAME_BYTES_MAX: u32 = 16 << 10;
/// Connections that have been admitted and are not served yet.
pub(crate) const ACCEPTED_WAITING_MAX: usize = 16;
/// Pause after the system refused to hand out a connection.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Interval in which health is looked at.
pub(crate) const HEALTH_INTERVAL: Duration = Duration::from_millis(250);

impl Default for Limits {
    fn default() -> Limits {
        let http = net::Limits::default();
        let ms = Duration::from_millis;
        Limits {
            preface: ms(http.header_ms),
            header_bytes_max: http.header_bytes_max as u32,
            message_bytes_max: http.body_bytes_max,
            call: ms(http.body_ms + http.request_ms),
            request: ms(http.request_ms),
            silence: ms(http.idle_ms),
            silence_answer: ms(http.header_ms),
            stop: ms(http.stop_ms),
        }
    }
}
