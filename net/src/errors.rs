//! Refusals: the status, code and text of everything that clients can be told instead of an answer, in one place.
//!
//! The codes are a closed list, part of the interface and described in the OpenAPI documents. The texts of the old
//! system are kept to the letter. Which route can answer which of them stands in its row of [`ROUTES`](crate::router::ROUTES).

use std::borrow::Cow;

use engine::answer::Rejection;
use engine::ids::IdError;
use engine::read_model::Unavailable;
use hyper::StatusCode;

use crate::limits::{RETRY_BUSY_SECS, RETRY_LIMIT_REACHED_SECS, RETRY_LOG_FULL_SECS, RETRY_READ_MODEL_SECS};

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $status:ident $word:literal,)*) => {
        /// Machine-readable reason of an error answer (`"code"`). Append-only: words never change their meaning.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        pub enum Code {
            $($(#[$doc])* $name,)*
        }

        impl Code {
            pub const ALL: &'static [Code] = &[$(Code::$name,)*];

            #[must_use]
            pub const fn word(self) -> &'static str {
                match self {
                    $(Code::$name => $word,)*
                }
            }

            /// The status that the code comes with, unless a route says otherwise.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self {
                    $(Code::$name => StatusCode::$status,)*
                }
            }
        }
    };
}

codes! {
    /// The body is not a JSON object of the fields and types that the route takes.
    InvalidJson = BAD_REQUEST "invalid_json",
    /// The query string is not well-formed.
    InvalidQuery = BAD_REQUEST "invalid_query",
    /// A field that the route needs is absent or empty.
    MissingField = BAD_REQUEST "missing_field",
    /// An id is too long, begins or ends with a blank, or contains a control character.
    InvalidId = BAD_REQUEST "invalid_id",
    InvalidAmount = BAD_REQUEST "invalid_amount",
    InvalidQuantity = BAD_REQUEST "invalid_quantity",
    InvalidCapacity = BAD_REQUEST "invalid_capacity",
    InvalidSpan = BAD_REQUEST "invalid_span",
    InvalidDate = BAD_REQUEST "invalid_date",
    InvalidLimit = BAD_REQUEST "invalid_limit",
    InvalidCursor = BAD_REQUEST "invalid_cursor",
    /// A time is not as RFC 3339 writes it.
    InvalidTime = BAD_REQUEST "invalid_time",
    InvalidFormat = BAD_REQUEST "invalid_format",
    InvalidStatus = BAD_REQUEST "invalid_status",
    InvalidPaymentStatus = BAD_REQUEST "invalid_payment_status",
    /// `Host` is absent, comes twice or names no host.
    InvalidHost = BAD_REQUEST "invalid_host",
    /// The server was called by a name that is not its own, or from a web page that may not.
    ForeignOrigin = FORBIDDEN "foreign_origin",
    InvalidSignature = UNAUTHORIZED "invalid_signature",
    NotFound = NOT_FOUND "not_found",
    MethodNotAllowed = METHOD_NOT_ALLOWED "method_not_allowed",
    OrderNotFound = NOT_FOUND "order_not_found",
    PartitionNotFound = NOT_FOUND "partition_not_found",
    HoldNotFound = NOT_FOUND "hold_not_found",
    RefundNotFound = NOT_FOUND "refund_not_found",
    StationNotFound = NOT_FOUND "station_not_found",
    TrainNotFound = NOT_FOUND "train_not_found",
    DateNotFound = NOT_FOUND "date_not_found",
    /// Nobody may get on at the span's first stop, or off at its last one.
    BoardingNotAllowed = BAD_REQUEST "boarding_not_allowed",
    /// The boarding stop has departed, or is about to.
    SaleClosed = CONFLICT "sale_closed",
    InsufficientStock = CONFLICT "insufficient_stock",
    /// The idempotency key came before with another amount.
    AmountDiffers = UNPROCESSABLE_ENTITY "amount_differs",
    /// The purchase's key came before on this run, with other contents.
    KeyReused = UNPROCESSABLE_ENTITY "key_reused",
    InvalidTtl = BAD_REQUEST "invalid_ttl",
    InvalidStateTransition = CONFLICT "invalid_state_transition",
    /// The order is reserved with other contents.
    ReservationDiffers = CONFLICT "reservation_differs",
    /// The hold id came before with another quantity or span.
    HoldDiffers = CONFLICT "hold_differs",
    HoldOwnedByOrder = CONFLICT "hold_owned_by_order",
    HoldOwnedByAnother = CONFLICT "hold_owned_by_another",
    HoldExpired = CONFLICT "hold_expired",
    HoldReleased = CONFLICT "hold_released",
    HoldConfirmed = CONFLICT "hold_confirmed",
    /// Another partition or hold was named than the order's own.
    HoldMismatch = CONFLICT "hold_mismatch",
    TransactionIdUsed = CONFLICT "transaction_id_used",
    AlreadyPaid = CONFLICT "already_paid",
    RefundSettled = CONFLICT "refund_settled",
    BodyTooLarge = PAYLOAD_TOO_LARGE "body_too_large",
    /// A batch has more operations than one may have.
    TooManyOperations = PAYLOAD_TOO_LARGE "too_many_operations",
    /// An operation of a batch that is none of those that there are.
    InvalidOperation = BAD_REQUEST "invalid_operation",
    /// The request did not arrive in time.
    RequestTimeout = REQUEST_TIMEOUT "request_timeout",
    /// A queue is full, or too much is under way. Nothing was done.
    Busy = SERVICE_UNAVAILABLE "busy",
    /// A limit of what is kept is reached. Nothing was done.
    LimitReached = SERVICE_UNAVAILABLE "limit_reached",
    /// The log has no room. Nothing was done.
    LogFull = SERVICE_UNAVAILABLE "log_full",
    /// The read model is down, or has still to be filled: what only it could know is not known.
    ReadModelUnavailable = SERVICE_UNAVAILABLE "read_model_unavailable",
    Stopping = SERVICE_UNAVAILABLE "stopping",
    /// A write was under way when its time was up: repeat it to learn what became of it.
    OutcomeUnknown = GATEWAY_TIMEOUT "outcome_unknown",
    /// A read was not answered in time.
    Timeout = GATEWAY_TIMEOUT "timeout",
    Internal = INTERNAL_SERVER_ERROR "internal",
}

/// One error answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) code: Code,
    pub(crate) text: Cow<'static, str>,
    /// More for a person, where there is more to say; programs go by the code.
    pub(crate) detail: Option<String>,
}

const fn problem(code: Code, text: &'static str) -> Problem {
    Problem { status: code.status(), code, text: Cow::Borrowed(text), detail: None }
}

/// The edge's own refusals.
impl Problem {
    pub(crate) const INVALID_JSON: Problem = problem(Code::InvalidJson, "invalid json");
    pub(crate) const INVALID_QUERY: Problem = problem(Code::InvalidQuery, "invalid query string");
    pub(crate) const MISSING_HOLD: Problem =
        problem(Code::MissingField, "partition_key and hold_id are required");
    pub(crate) const MISSING_SEARCH: Problem = problem(Code::MissingField, "from, to and date are required");
    pub(crate) const INVALID_AMOUNT: Problem = problem(Code::InvalidAmount, "invalid amount");
    pub(crate) const INVALID_QUANTITY: Problem = problem(Code::InvalidQuantity, "invalid quantity");
    pub(crate) const INVALID_CAPACITY: Problem = problem(Code::InvalidCapacity, "invalid capacity");
    pub(crate) const INVALID_SPAN: Problem = problem(Code::InvalidSpan, "invalid span");
    pub(crate) const HALF_A_SPAN: Problem =
        problem(Code::InvalidSpan, "from_index and to_index are given both or not at all");
    pub(crate) const INVALID_DATE: Problem = problem(Code::InvalidDate, "invalid date");
    pub(crate) const INVALID_LIMIT: Problem = problem(Code::InvalidLimit, "invalid limit");
    pub(crate) const INVALID_CURSOR: Problem = problem(Code::InvalidCursor, "invalid cursor");
    pub(crate) const INVALID_FORMAT: Problem = problem(Code::InvalidFormat, "invalid format");
    pub(crate) const INVALID_STATUS: Problem = problem(Code::InvalidStatus, "invalid status");
    pub(crate) const INVALID_PAYMENT_STATUS: Problem =
        problem(Code::InvalidPaymentStatus, "invalid payment status");
    pub(crate) const INVALID_SIGNATURE: Problem =
        problem(Code::InvalidSignature, "invalid payment signature");
    pub(crate) const INVALID_HOST: Problem = problem(Code::InvalidHost, "invalid host");
    pub(crate) const FOREIGN_ORIGIN: Problem = problem(
        Code::ForeignOrigin,
        "foreign host or origin: see the settings allowed_hosts and allowed_origins",
    );
    pub(crate) const NOT_FOUND: Problem = problem(Code::NotFound, "not found");
    pub(crate) const METHOD_NOT_ALLOWED: Problem = problem(Code::MethodNotAllowed, "method not allowed");
    pub(crate) const STATION_NOT_FOUND: Problem = problem(Code::StationNotFound, "station not found");
    pub(crate) const TRAIN_NOT_FOUND: Problem = problem(Code::TrainNotFound, "train not found");
    pub(crate) const DATE_NOT_FOUND: Problem = problem(Code::DateNotFound, "date not found");
    pub(crate) const BODY_TOO_LARGE: Problem = problem(Code::BodyTooLarge, "body too large");
    pub(crate) const REQUEST_TIMEOUT: Problem = problem(Code::RequestTimeout, "request timeout");
    pub(crate) const OVERLOADED: Problem = problem(Code::Busy, "too many requests under way");
    pub(crate) const TOO_MANY_CONNECTIONS: Problem = problem(Code::Busy, "too many connections");
    pub(crate) const TOO_MANY_EXPORTS: Problem = problem(Code::Busy, "too many exports under way");
    pub(crate) const TOO_MANY_BATCHES: Problem = problem(Code::Busy, "too many batches under way");
    pub(crate) const TOO_MANY_OPERATIONS: Problem =
        problem(Code::TooManyOperations, "a batch has at most 8192 operations");
    pub(crate) const INVALID_OPERATION: Problem = problem(
        Code::InvalidOperation,
        "op is none of hold, confirm, release, create, reserve, pay, cancel, purchase",
    );
    /// An operation that was not begun: those before it in its batch took all the room or all the time that there is.
    pub(crate) const NOT_BEGUN: Problem = problem(Code::Busy, "not begun: send it again");
    pub(crate) const STOPPING: Problem = problem(Code::Stopping, "stopping");
    pub(crate) const OUTCOME_UNKNOWN: Problem =
        problem(Code::OutcomeUnknown, "outcome unknown, repeat the request");
    pub(crate) const TIMEOUT: Problem = problem(Code::Timeout, "timeout");
    /// The engine answered something else than what was asked.
    pub(crate) const INTERNAL: Problem = problem(Code::Internal, "internal error");

    /// A required field is absent or empty.
    pub(crate) fn missing(field: &str) -> Problem {
        Problem { text: format!("{field} is required").into(), ..problem(Code::MissingField, "") }
    }

    pub(crate) fn invalid_id(field: &str, error: IdError) -> Problem {
        Problem { text: format!("{field} {error}").into(), ..problem(Code::InvalidId, "") }
    }

    /// A query's time that is none.
    pub(crate) fn invalid_time(field: &str) -> Problem {
        // The usual slip: a plus that is not encoded is a blank.
        let text = format!("{field} is no RFC 3339 time (write the + of an offset as %2B)");
        Problem { text: text.into(), ..problem(Code::InvalidTime, "") }
    }

    /// Seconds after which a repeat can be worth it, where it can.
    pub(crate) fn retry_after_secs(&self) -> Option<u16> {
        match self.code {
            Code::Busy => Some(RETRY_BUSY_SECS),
            Code::ReadModelUnavailable => Some(RETRY_READ_MODEL_SECS),
            Code::LogFull | Code::Stopping => Some(RETRY_LOG_FULL_SECS),
            Code::LimitReached => Some(RETRY_LIMIT_REACHED_SECS),
            _ => None,
        }
    }
}

/// Rejections that some routes have always answered in words of their own.
pub(crate) type Worded = &'static [(Rejection, Problem)];

pub(crate) const ON_GET_ORDER: Worded =
    &[(Rejection::OrderNotFound, problem(Code::OrderNotFound, "query order failed: order not found"))];
pub(crate) const ON_QUERY_ORDER: Worded =
    &[(Rejection::OrderNotFound, problem(Code::OrderNotFound, "order view not found"))];
pub(crate) const ON_END_HOLD: Worded = &[
    (Rejection::Busy, problem(Code::Busy, "wal backpressure")),
    (Rejection::LogFull, problem(Code::LogFull, "wal backpressure")),
];
pub(crate) const ON_TRY_HOLD: Worded = &[
    (
        Rejection::InsufficientStock,
        Problem {
            status: StatusCode::BAD_REQUEST,
            code: Code::InsufficientStock,
            text: Cow::Borrowed("insufficient stock"),
            detail: None,
        },
    ),
    (Rejection::Busy, problem(Code::Busy, "wal backpressure")),
    (Rejection::LogFull, problem(Code::LogFull, "wal backpressure")),
];

impl From<Unavailable> for Problem {
    fn from(unavailable: Unavailable) -> Problem {
        let text = format!("read model unavailable: {}", unavailable.reason);
        Problem { text: text.into(), ..problem(Code::ReadModelUnavailable, "") }
    }
}

/// The engine's refusals, on every route that has no words of its own for them.
impl From<Rejection> for Problem {
    fn from(rejection: Rejection) -> Problem {
        use Rejection as R;
        let (code, text) = match rejection {
            R::OrderNotFound | R::OrderNotHere(_) => (Code::OrderNotFound, "order not found"),
            R::PartitionNotFound => (Code::PartitionNotFound, "partition not found"),
            R::HoldNotFound => (Code::HoldNotFound, "hold not found"),
            R::RefundNotFound => (Code::RefundNotFound, "refund not found"),
            R::InsufficientStock => (Code::InsufficientStock, "insufficient stock"),
            R::InvalidSpan => return Problem::INVALID_SPAN,
            R::BoardingNotAllowed => {
                (Code::BoardingNotAllowed, "the span boards or leaves where the train does not allow it")
            }
            R::SaleClosed => (Code::SaleClosed, "the sale is closed: the train departs"),
            R::InvalidCapacity => return Problem::INVALID_CAPACITY,
            R::AmountDiffers => (Code::AmountDiffers, "idempotency key was used with another amount"),
            R::KeyReused => (Code::KeyReused, "key was used on this run with other contents"),
            R::InvalidTtl => (Code::InvalidTtl, "ttl_secs is not positive, or more than --hold-ttl-max-secs"),
            R::InvalidTransition => (Code::InvalidStateTransition, "invalid state transition"),
            R::ReservationDiffers => (Code::ReservationDiffers, "order is reserved with other contents"),
            R::HoldDiffers => (Code::HoldDiffers, "hold id was used with another quantity or span"),
            R::HoldOwned => (Code::HoldOwnedByOrder, "hold belongs to an order"),
            R::HoldOwnedByAnother => (Code::HoldOwnedByAnother, "hold belongs to another order"),
            R::HoldExpired => (Code::HoldExpired, "hold expired"),
            R::HoldReleased => (Code::HoldReleased, "hold released"),
            R::HoldConfirmed => (Code::HoldConfirmed, "hold confirmed"),
            R::HoldMismatch => (Code::HoldMismatch, "order has another partition or hold"),
            R::TxnUsed => (Code::TransactionIdUsed, "transaction id already used"),
            R::AlreadyPaid => (Code::AlreadyPaid, "already paid"),
            R::RefundSettled => (Code::RefundSettled, "refund settled under another reference"),
            R::Busy => (Code::Busy, "busy"),
            R::LimitReached => (Code::LimitReached, "limit reached"),
            R::LogFull => (Code::LogFull, "log full"),
            R::Stopping => (Code::Stopping, "stopping"),
            R::RunNotFound => return Problem::TRAIN_NOT_FOUND,
        };
        problem(code, text)
    }
}
