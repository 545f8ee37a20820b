//! What clients are told when something cannot be done: status, code and text of every refusal, in one place.
//!
//! The codes are a closed list, part of the interface and described in the OpenAPI documents. The texts of the old
//! system are kept to the letter.

use std::borrow::Cow;

use engine::answer::Rejection;
use hyper::StatusCode;

use crate::router::Route;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)*) => {
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
        }
    };
}

codes! {
    /// The body is not a JSON object of the fields and types that the route takes.
    InvalidJson = "invalid_json",
    /// The query string is not well-formed.
    InvalidQuery = "invalid_query",
    /// A field that the route needs is absent or empty.
    MissingField = "missing_field",
    /// An id is too long, begins or ends with a blank, or contains a control character.
    InvalidId = "invalid_id",
    InvalidAmount = "invalid_amount",
    InvalidQuantity = "invalid_quantity",
    InvalidCapacity = "invalid_capacity",
    InvalidSpan = "invalid_span",
    InvalidDate = "invalid_date",
    InvalidLimit = "invalid_limit",
    InvalidCursor = "invalid_cursor",
    InvalidStatus = "invalid_status",
    InvalidPaymentStatus = "invalid_payment_status",
    InvalidSignature = "invalid_signature",
    NotFound = "not_found",
    MethodNotAllowed = "method_not_allowed",
    OrderNotFound = "order_not_found",
    PartitionNotFound = "partition_not_found",
    HoldNotFound = "hold_not_found",
    RefundNotFound = "refund_not_found",
    StationNotFound = "station_not_found",
    TrainNotFound = "train_not_found",
    DateNotFound = "date_not_found",
    InsufficientStock = "insufficient_stock",
    /// The idempotency key came before with another amount.
    AmountDiffers = "amount_differs",
    InvalidStateTransition = "invalid_state_transition",
    /// The order is reserved with other contents.
    ReservationDiffers = "reservation_differs",
    /// The hold id came before with another quantity or span.
    HoldDiffers = "hold_differs",
    HoldOwnedByOrder = "hold_owned_by_order",
    HoldOwnedByAnother = "hold_owned_by_another",
    HoldExpired = "hold_expired",
    HoldReleased = "hold_released",
    HoldConfirmed = "hold_confirmed",
    /// Another partition or hold was named than the order's own.
    HoldMismatch = "hold_mismatch",
    TransactionIdUsed = "transaction_id_used",
    AlreadyPaid = "already_paid",
    RefundSettled = "refund_settled",
    BodyTooLarge = "body_too_large",
    /// The request did not arrive in time.
    RequestTimeout = "request_timeout",
    /// A queue is full, or too much is under way. Nothing was done.
    Busy = "busy",
    /// A limit of what is kept is reached. Nothing was done.
    LimitReached = "limit_reached",
    /// The log has no room. Nothing was done.
    LogFull = "log_full",
    Stopping = "stopping",
    /// A write was under way when its time was up: repeat it to learn what became of it.
    OutcomeUnknown = "outcome_unknown",
    /// A read was not answered in time.
    Timeout = "timeout",
    Internal = "internal",
}

/// One error answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) code: Code,
    pub(crate) text: Cow<'static, str>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: Code, text: impl Into<Cow<'static, str>>) -> Problem {
        Problem { status, code, text: text.into() }
    }

    pub(crate) fn bad(code: Code, text: impl Into<Cow<'static, str>>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, code, text)
    }

    pub(crate) fn invalid_json() -> Problem {
        Problem::bad(Code::InvalidJson, "invalid json")
    }

    pub(crate) fn not_found() -> Problem {
        Problem::new(StatusCode::NOT_FOUND, Code::NotFound, "not found")
    }

    pub(crate) fn method_not_allowed() -> Problem {
        Problem::new(StatusCode::METHOD_NOT_ALLOWED, Code::MethodNotAllowed, "method not allowed")
    }

    pub(crate) fn body_too_large() -> Problem {
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, Code::BodyTooLarge, "body too large")
    }

    pub(crate) fn request_timeout() -> Problem {
        Problem::new(StatusCode::REQUEST_TIMEOUT, Code::RequestTimeout, "request timeout")
    }

    pub(crate) fn overloaded() -> Problem {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, Code::Busy, "too many requests under way")
    }

    /// The engine's answer did not come in time.
    pub(crate) fn unanswered(route: Route) -> Problem {
        if route.writes() {
            let text = "outcome unknown, repeat the request";
            Problem::new(StatusCode::GATEWAY_TIMEOUT, Code::OutcomeUnknown, text)
        } else {
            Problem::new(StatusCode::GATEWAY_TIMEOUT, Code::Timeout, "timeout")
        }
    }

    /// The engine answered something else than what was asked.
    pub(crate) fn internal() -> Problem {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, Code::Internal, "internal error")
    }

    /// Whether the client is asked to come again later.
    pub(crate) fn is_retry(&self) -> bool {
        self.status == StatusCode::SERVICE_UNAVAILABLE
    }
}

/// What a route answers where the engine refuses.
pub(crate) fn of(route: Route, rejection: Rejection) -> Problem {
    use Rejection as R;
    const BAD: StatusCode = StatusCode::BAD_REQUEST;
    const ABSENT: StatusCode = StatusCode::NOT_FOUND;
    const CONFLICT: StatusCode = StatusCode::CONFLICT;
    const DIFFERS: StatusCode = StatusCode::UNPROCESSABLE_ENTITY;
    const LATER: StatusCode = StatusCode::SERVICE_UNAVAILABLE;
    let (status, code, text) = match (rejection, route) {
        (R::OrderNotFound, Route::GetOrder) => {
            (ABSENT, Code::OrderNotFound, "query order failed: order not found")
        }
        (R::OrderNotFound, Route::QueryOrder) => (ABSENT, Code::OrderNotFound, "order view not found"),
        (R::OrderNotFound, _) => (ABSENT, Code::OrderNotFound, "order not found"),
        (R::PartitionNotFound, _) => (ABSENT, Code::PartitionNotFound, "partition not found"),
        (R::HoldNotFound, _) => (ABSENT, Code::HoldNotFound, "hold not found"),
        (R::RefundNotFound, _) => (ABSENT, Code::RefundNotFound, "refund not found"),
        (R::InsufficientStock, Route::TryHold) => (BAD, Code::InsufficientStock, "insufficient stock"),
        (R::InsufficientStock, _) => (CONFLICT, Code::InsufficientStock, "insufficient stock"),
        (R::InvalidSpan, _) => (BAD, Code::InvalidSpan, "invalid span"),
        (R::InvalidCapacity, _) => (BAD, Code::InvalidCapacity, "invalid capacity"),
        (R::AmountDiffers, _) => {
            (DIFFERS, Code::AmountDiffers, "idempotency key was used with another amount")
        }
        (R::InvalidTransition, _) => (CONFLICT, Code::InvalidStateTransition, "invalid state transition"),
        (R::ReservationDiffers, _) => {
            (CONFLICT, Code::ReservationDiffers, "order is reserved with other contents")
        }
        (R::HoldDiffers, _) => {
            (CONFLICT, Code::HoldDiffers, "hold id was used with another quantity or span")
        }
        (R::HoldOwned, _) => (CONFLICT, Code::HoldOwnedByOrder, "hold belongs to an order"),
        (R::HoldOwnedByAnother, _) => (CONFLICT, Code::HoldOwnedByAnother, "hold belongs to another order"),
        (R::HoldExpired, _) => (CONFLICT, Code::HoldExpired, "hold expired"),
        (R::HoldReleased, _) => (CONFLICT, Code::HoldReleased, "hold released"),
        (R::HoldConfirmed, _) => (CONFLICT, Code::HoldConfirmed, "hold confirmed"),
        (R::HoldMismatch, _) => (CONFLICT, Code::HoldMismatch, "order has another partition or hold"),
        (R::TxnUsed, _) => (CONFLICT, Code::TransactionIdUsed, "transaction id already used"),
        (R::AlreadyPaid, _) => (CONFLICT, Code::AlreadyPaid, "already paid"),
        (R::RefundSettled, _) => (CONFLICT, Code::RefundSettled, "refund settled under another reference"),
        (R::Busy, Route::TryHold | Route::ReleaseHold | Route::ConfirmHold) => {
            (LATER, Code::Busy, "wal backpressure")
        }
        (R::Busy, _) => (LATER, Code::Busy, "busy"),
        (R::LimitReached, _) => (LATER, Code::LimitReached, "limit reached"),
        (R::LogFull, Route::TryHold | Route::ReleaseHold | Route::ConfirmHold) => {
            (LATER, Code::LogFull, "wal backpressure")
        }
        (R::LogFull, _) => (LATER, Code::LogFull, "log full"),
        (R::Stopping, _) => (LATER, Code::Stopping, "stopping"),
        (R::RunNotFound, _) => (ABSENT, Code::TrainNotFound, "train not found"),
    };
    Problem::new(status, code, text)
}

/// What the engine can refuse a route with, beside [`EVERYWHERE`]. Held against the OpenAPI documents by a test.
#[must_use]
pub const fn refusals(route: Route) -> &'static [Rejection] {
    use Rejection as R;
    match route {
        Route::TryHold => &[
            R::InsufficientStock,
            R::PartitionNotFound,
            R::InvalidSpan,
            R::InvalidCapacity,
            R::HoldDiffers,
            R::HoldExpired,
            R::HoldReleased,
            R::LimitReached,
            R::LogFull,
        ],
        Route::ReleaseHold => &[R::HoldNotFound, R::HoldConfirmed, R::HoldExpired, R::HoldOwned, R::LogFull],
        Route::ConfirmHold => &[R::HoldNotFound, R::HoldReleased, R::HoldExpired, R::HoldOwned, R::LogFull],
        // Reads log what is due before they answer.
        Route::Availability => &[R::PartitionNotFound, R::InvalidSpan, R::LogFull],
        Route::CreateOrder => &[R::AmountDiffers, R::LimitReached, R::LogFull],
        Route::Reserve => &[
            R::OrderNotFound,
            R::PartitionNotFound,
            R::InvalidSpan,
            R::InvalidCapacity,
            R::InvalidTransition,
            R::InsufficientStock,
            R::ReservationDiffers,
            R::HoldDiffers,
            R::HoldOwnedByAnother,
            R::HoldExpired,
            R::HoldReleased,
            R::HoldConfirmed,
            R::LimitReached,
            R::LogFull,
        ],
        Route::Cancel => &[R::OrderNotFound, R::InvalidTransition, R::HoldMismatch, R::LogFull],
        Route::Pay => &[
            R::OrderNotFound,
            R::TxnUsed,
            R::AlreadyPaid,
            R::HoldExpired,
            R::InvalidTransition,
            R::HoldMismatch,
            R::LimitReached,
            R::LogFull,
        ],
        Route::GetOrder | Route::QueryOrder => &[R::OrderNotFound, R::LogFull],
        Route::Trains => &[R::LogFull],
        Route::Train => &[R::RunNotFound, R::LogFull],
        Route::SettleRefund => &[R::RefundNotFound, R::RefundSettled, R::LogFull],
        _ => &[],
    }
}

/// What the edge itself can refuse a route with, by status. Held against the OpenAPI documents by a test.
#[must_use]
pub const fn own(route: Route) -> &'static [(u16, Code)] {
    use Code as C;
    match route {
        Route::TryHold => &[
            (400, C::InvalidJson),
            (400, C::MissingField),
            (400, C::InvalidId),
            (400, C::InvalidQuantity),
            (400, C::InvalidCapacity),
            (400, C::InvalidSpan),
        ],
        Route::ReleaseHold | Route::ConfirmHold | Route::Cancel | Route::SettleRefund => {
            &[(400, C::InvalidJson), (400, C::MissingField), (400, C::InvalidId)]
        }
        Route::Availability => {
            &[(400, C::InvalidQuery), (400, C::MissingField), (400, C::InvalidId), (400, C::InvalidSpan)]
        }
        Route::CreateOrder => {
            &[(400, C::InvalidJson), (400, C::MissingField), (400, C::InvalidId), (400, C::InvalidAmount)]
        }
        Route::Reserve => &[
            (400, C::InvalidJson),
            (400, C::MissingField),
            (400, C::InvalidId),
            (400, C::InvalidQuantity),
            (400, C::InvalidCapacity),
            (400, C::InvalidSpan),
        ],
        Route::Pay => &[
            (400, C::InvalidJson),
            (400, C::MissingField),
            (400, C::InvalidId),
            (400, C::InvalidPaymentStatus),
            (401, C::InvalidSignature),
        ],
        Route::GetOrder | Route::QueryOrder => {
            &[(400, C::InvalidQuery), (400, C::MissingField), (400, C::InvalidId)]
        }
        Route::Stations => &[(400, C::InvalidQuery), (400, C::InvalidLimit)],
        Route::Trains => &[
            (400, C::InvalidQuery),
            (400, C::MissingField),
            (400, C::InvalidDate),
            (404, C::StationNotFound),
            (404, C::DateNotFound),
        ],
        Route::Train => &[(400, C::InvalidDate), (404, C::TrainNotFound), (404, C::DateNotFound)],
        Route::Refunds => &[
            (400, C::InvalidQuery),
            (400, C::InvalidStatus),
            (400, C::InvalidCursor),
            (400, C::InvalidLimit),
        ],
        Route::OpenapiDocument => &[(404, C::NotFound)],
        _ => &[],
    }
}

/// What the engine can refuse any command with.
pub const EVERYWHERE: &[Rejection] = &[Rejection::Busy, Rejection::Stopping];

/// Status and code of a refusal on a route.
#[must_use]
pub fn status_and_code(route: Route, rejection: Rejection) -> (u16, Code) {
    let problem = of(route, rejection);
    (problem.status.as_u16(), problem.code)
}
