//! Every bound of the edge, by name. What lies beyond one is answered or closed, never stored.

/// Bounds of one core's connections and requests. Times are milliseconds and are kept to within [`Limits::sweep_ms`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From the first byte of a request to the end of its headers; beyond: 408 and close.
    pub header_ms: u64,
    /// Request line and headers together; beyond: 431 and close.
    pub header_bytes_max: usize,
    /// Headers of one request; beyond: 431 and close. Other than [`HEADERS_MAX_FREE`] costs an allocation a request.
    pub headers_max: usize,
    /// From the end of the headers to the end of the body; beyond: 408 and close.
    pub body_ms: u64,
    /// Bytes of a body; beyond: 413 and close.
    pub body_bytes_max: usize,
    /// The same of a batch.
    pub batch_bytes_max: usize,
    /// Batches under way on one core, from their heads to their answers; beyond: 503 with `Retry-After`. Each takes some 50 MB at most, and
    /// 150 MB more while it confirms or pays as many holds as go at a time, each of as many seats as a hold may have.
    pub batches_max: usize,
    /// From the end of the body until the answer: beyond it 504, `outcome_unknown` where a write is under way.
    pub request_ms: u64,
    /// Between two requests of a connection, and for a client to take its answer; of an export, each of its pieces. Beyond: close.
    pub idle_ms: u64,
    /// Requests under way on one core; beyond: 503 with `Retry-After`. Each connection has one at most, so none that was taken is refused.
    pub in_flight_max: usize,
    /// Exports under way on one core; beyond: 503 with `Retry-After`.
    pub exports_max: usize,
    /// For requests to arrive whole once the server stops; beyond: refused, or closed within a head.
    pub stop_receive_ms: u64,
    /// For answers under way when the server stops; beyond: closed unanswered.
    pub stop_ms: u64,
    /// A request slower than this is a warning in the log.
    pub slow_ms: u64,
    /// Interval of the sweep that looks for overdue connections.
    pub sweep_ms: u64,
}

/// The number of headers that can be parsed without an allocation.
pub const HEADERS_MAX_FREE: usize = 100;

/// Seconds that a refused client is asked to wait (`Retry-After`): a queue is shorter in a moment.
pub const RETRY_BUSY_SECS: u16 = 1;
/// The same where the log has no room, or the server is on its way out: a snapshot or a restart takes a while.
pub const RETRY_LOG_FULL_SECS: u16 = 10;
/// The same where as much is kept as can be: it takes minutes until enough has ended and is forgotten.
pub const RETRY_LIMIT_REACHED_SECS: u16 = 120;
/// The same where the read model is down: it is restarted, or fills itself.
pub const RETRY_READ_MODEL_SECS: u16 = 10;
/// Seconds for which a browser remembers what a page of another site may send.
pub const PREFLIGHT_SECS: u16 = 600;

/// Bytes that are read and dropped after an answer that closes, so that the client gets to see the answer: more than the rest of a body that
/// is a little too large.
pub(crate) const LINGER_BYTES_MAX: usize = 8 << 20;
/// Time for the same.
pub(crate) const LINGER_MS: u64 = 1_000;
/// Pipelined requests of one connection before every other task and socket comes first.
pub(crate) const PIPELINED_REQUESTS_MAX: u32 = 64;
/// Pause after the system refused to hand out a connection (out of descriptors, out of memory).
pub(crate) const ACCEPT_PAUSE_MS: u64 = 50;
/// For requests on their way to arrive after the listeners closed, and between two looks at who is still there.
pub(crate) const STOP_GRACE_MS: u64 = 20;
/// Log lines about slow and about failed requests, each, in a second of the whole process.
pub(crate) const WARNINGS_PER_SEC_MAX: u64 = 10;
/// The same of the line that every request has at level debug.
pub(crate) const REQUEST_LINES_PER_SEC_MAX: u64 = 1_000;
/// Connections open on one core, on average: the process shares them, as far as its descriptors go. What is beyond goes to the reserve.
pub const CONNECTIONS_PER_CORE_MAX: usize = 16_384;
/// The reserve, all cores together, and the least of one core. A connection in it gets one answer; the oldest gives way.
pub const RESERVE_CONNECTIONS: usize = 64;
pub const RESERVE_PER_CORE_MIN: usize = 4;
/// For a connection in the reserve to send a whole request; beyond: close.
pub(crate) const RESERVE_MS: u64 = 1_000;
/// Connections taken from one listener before other tasks come first; as many as are open where those are more.
pub(crate) const ACCEPT_BURST_MIN: usize = 64;
/// For ports that somebody has to become free at start, and between two attempts.
pub(crate) const PORT_CLAIM_TIMEOUT_MS: u64 = 2_000;
pub(crate) const PORT_CLAIM_PAUSE_MS: u64 = 20;
/// Connections that may wait to be accepted, for each listener.
pub(crate) const BACKLOG: i32 = 4_096;

/// Bytes of a trace id or request id that a client gives; a longer one is replaced.
pub const TRACE_HEADER_BYTES_MAX: usize = 128;
/// Operations of one batch; beyond: 413.
pub const BATCH_OPERATIONS_MAX: usize = 8_192;
/// Operations of a batch that are under way at a time.
pub(crate) const BATCH_WAVE_MAX: usize = 2_048;
/// Seats that these ask for: each is a text in their replies.
pub(crate) const BATCH_WAVE_SEATS_MAX: u32 = 65_536;
/// Operations of a batch that are read or answered before every other task comes first.
pub(crate) const BATCH_PIECE: usize = 128;
/// Bytes of a batch's answer from which on nothing more of it is begun.
pub(crate) const BATCH_ANSWER_BYTES_MAX: usize = 16 << 20;
/// Orders of one batch that are looked up in the read model at a time.
pub(crate) const BATCH_LOOKUPS_AT_ONCE: usize = 32;
/// Stations in one answer.
pub const STATIONS_PAGE_MAX: usize = 1_000;
/// Stations in one answer where the request does not say.
pub const STATIONS_PAGE_DEFAULT: usize = 100;
/// Runs of one search that the engine is asked about at a time.
pub(crate) const RUNS_AT_ONCE: usize = 32;
/// Refunds in one answer: one less than the engine lists, because one more tells whether there is more.
pub const REFUNDS_PAGE_MAX: usize = engine::limits::REFUNDS_PAGE_MAX - 1;
/// Refunds in one answer where the request does not say.
pub const REFUNDS_PAGE_DEFAULT: usize = 100;
/// Orders in one answer of a listing; more are refused.
pub const ORDERS_PAGE_MAX: usize = 1_000;
/// Orders in one answer where the request does not say.
pub const ORDERS_PAGE_DEFAULT: usize = 100;
/// Events in one answer of a history; more are refused.
pub const HISTORY_PAGE_MAX: usize = 1_000;
/// Events in one answer where the request does not say.
pub const HISTORY_PAGE_DEFAULT: usize = 100;
/// Orders that an export reads at a time, and so keeps in memory.
pub const EXPORT_PAGE: usize = 500;
/// Bytes of an export that a connection is given at a time. Every other task comes before the next.
pub const EXPORT_PIECE_BYTES: usize = 64 << 10;

/// The least that hyper accepts as a buffer.
const HYPER_BUFFER_MIN: usize = 8_192;

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            header_ms: 10_000,
            header_bytes_max: 16 << 10,
            headers_max: HEADERS_MAX_FREE,
            body_ms: 10_000,
            body_bytes_max: 64 << 10,
            batch_bytes_max: 4 << 20,
            batches_max: 8,
            request_ms: 15_000,
            idle_ms: 75_000,
            in_flight_max: CONNECTIONS_PER_CORE_MAX,
            exports_max: 4,
            stop_receive_ms: 2_000,
            stop_ms: 4_000,
            slow_ms: 1_000,
            sweep_ms: 100,
        }
    }
}

impl Limits {
    /// Bytes that a connection may buffer while a request is read.
    #[must_use]
    pub(crate) fn buffer_bytes(&self) -> usize {
        self.header_bytes_max.max(HYPER_BUFFER_MIN)
    }
}

const _: () = assert!(BATCH_PIECE <= BATCH_WAVE_MAX && BATCH_WAVE_MAX <= BATCH_OPERATIONS_MAX);
const _: () = assert!(engine::limits::QUANTITY_MAX <= BATCH_WAVE_SEATS_MAX);
const _: () = assert!(REFUNDS_PAGE_DEFAULT <= REFUNDS_PAGE_MAX);
const _: () = assert!(ORDERS_PAGE_DEFAULT <= ORDERS_PAGE_MAX);
const _: () = assert!(HISTORY_PAGE_DEFAULT <= HISTORY_PAGE_MAX);
const _: () = assert!(STATIONS_PAGE_DEFAULT <= STATIONS_PAGE_MAX);
const _: () = assert!(TRACE_HEADER_BYTES_MAX >= engine::limits::TRACE_ID_BYTES_MAX);
