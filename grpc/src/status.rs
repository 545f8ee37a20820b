//! Refusals of the engine as gRPC says them.

use engine::answer::Rejection;
use tonic::{Code, Status};

/// The status of a refusal. Whatever may go better in a moment is `UNAVAILABLE`: repeating a call is always safe.
pub(crate) fn of(rejection: Rejection) -> Status {
    let (code, text) = match rejection {
        Rejection::InsufficientStock => (Code::ResourceExhausted, "no seat is free on this stretch"),
        Rejection::InvalidSpan => (Code::InvalidArgument, "the stretch leaves the run"),
        Rejection::BoardingNotAllowed => (Code::InvalidArgument, "the run does not let board or leave there"),
        Rejection::PartitionNotFound => (Code::NotFound, "no such train, date or class is sold"),
        Rejection::SaleClosed => (Code::FailedPrecondition, "the sale of this stretch is closed"),
        Rejection::HoldExpired | Rejection::HoldReleased => {
            (Code::FailedPrecondition, "the seats of this order were given back")
        }
        Rejection::HoldOwned => (Code::FailedPrecondition, "another order owns the seats of this name"),
        Rejection::Busy => (Code::Unavailable, "a queue is full, try again"),
        Rejection::LimitReached => (Code::Unavailable, "a limit of the state is reached, try again later"),
        Rejection::LogFull => (Code::Unavailable, "the log has no room for new sales"),
        Rejection::Stopping => (Code::Unavailable, "the server is stopping"),
        other => {
            tracing::error!(rejection = ?other, "an allocation is refused for a reason that it cannot have");
            (Code::Internal, "internal error")
        }
    };
    Status::new(code, text)
}
