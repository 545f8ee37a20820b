//! Decisions: what a command, an ask, a fact or the passing of time means for one slot. They read and choose; they
//! change nothing.
//!
//! A decision that is [`Pending`] is made again after each record or answer that it waits for, until it has its outcome. So a
//! first request and its repeat take the same path: the repeat just finds the work done.

#![expect(
    clippy::result_large_err,
    reason = "records are large, and nearly every first request ends with one: nothing is gained by a box"
)]

mod due;
mod facts;
mod inventory;
mod leave;
mod orders;
mod payments;
mod purchases;
mod reclaim;
mod sale;
mod views;

pub use due::decide_due;
pub use facts::{FactStep, decide_declined, decide_fact};
pub use leave::decide_leave;
pub use reclaim::{Reclaim, decide_reclaim};

use crate::answer::{Answer, Rejection};
use crate::catalogue::Catalogue;
use crate::command::Command;
use crate::ids::Time;
use crate::message::{Ask, Fact};
use crate::record::{Body, GoesBack};
use crate::state::Slot;

/// The arguments of a decision, beside the state.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    pub now: Time,
    /// The earlier of engine time and wall clock: what goes by the calendar goes by this.
    pub calendar: Time,
    pub catalogue: &'a dyn Catalogue,
    pub policy: &'a Policy,
}

/// Lengths of time that the operator sets, in milliseconds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Policy {
    /// A hold keeps its seats for so long if nobody confirms it.
    pub hold_ttl_ms: u64,
    /// A purchase may ask for so much.
    pub hold_ttl_max_ms: u64,
    /// An ended hold is remembered for so long, so that a repeat still finds it.
    pub hold_memory_ms: u64,
    /// A paid order that nobody has asked a ticket for gets one so long after its payment.
    pub ticket_after_ms: u64,
    /// An order without a reservation is kept for so long, before it is cancelled as abandoned.
    pub abandon_ms: u64,
    /// The sale of a span closes so long before its boarding stop's departure; after it where this is negative.
    pub sale_closes_ms: i64,
    /// A run is sold, and its partitions are kept, for so long after it has arrived at its last stop.
    pub departed_ms: u64,
    /// An ad hoc partition with sold seats is kept for so long after its last change.
    pub ad_hoc_keep_ms: u64,
    /// An order is kept for so long after it has ended, or after the partition of its seats may go.
    pub order_retention_ms: u64,
}

impl Default for Policy {
    fn default() -> Policy {
        const HOUR_MS: u64 = 3_600_000;
        Policy {
            hold_ttl_ms: 120_000,
            hold_ttl_max_ms: 900_000,
            hold_memory_ms: 60_000,
            ticket_after_ms: 0,
            abandon_ms: 24 * HOUR_MS,
            sale_closes_ms: 0,
            departed_ms: 72 * HOUR_MS,
            ad_hoc_keep_ms: 400 * 24 * HOUR_MS,
            order_retention_ms: 24 * HOUR_MS,
        }
    }
}

/// The outcome of a decision, or what stands before it.
pub type Decision<T> = Result<T, Pending>;

/// The result of a decision that has no outcome: a record to append first, an ask that must be answered first, or a refusal,
/// which is final.
#[derive(Clone, PartialEq, Debug)]
pub enum Pending {
    /// A record is missing: log and apply this one, then decide again.
    Append(Body),
    /// The answer of another slot is missing: send this ask, and decide again with the answer.
    Ask(Ask),
    /// Refused: there is nothing to log and nothing to wait for.
    Refused(Rejection),
}

impl From<Rejection> for Pending {
    fn from(rejection: Rejection) -> Pending {
        Pending::Refused(rejection)
    }
}

/// Answers of other slots to an operation, as far as the state does not show them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Progress {
    /// The transaction id is this order's.
    pub claimed: bool,
    /// And was so after the order was found to have left.
    pub still_claimed: bool,
    /// The claim says what goes back.
    pub goes_back: Option<GoesBack>,
}

/// Decides a client's command in the slot that it is routed to.
///
/// # Errors
/// A step that has to be made before there is an answer, or the reason why there is none.
pub fn decide(slot: &Slot, cx: &Context<'_>, command: &Command, progress: Progress) -> Decision<Answer> {
    match command {
        Command::TryHold(c) => inventory::try_hold(slot, cx, c),
        Command::Allocate(c) => inventory::allocate(slot, cx, c),
        Command::ReleaseHold(c) => inventory::release(slot, cx, c),
        Command::ConfirmHold(c) => inventory::confirm(slot, cx, c),
        Command::Availability { partition, span } => inventory::availability(slot, cx, partition, *span),
        Command::Run(c) => inventory::run(slot, cx, c),
        Command::CreateOrder(c) => orders::create(slot, cx, c),
        Command::Purchase(c) => purchases::purchase(slot, cx, c),
        Command::Reserve(c) => orders::reserve(slot, cx, c),
        Command::Cancel(c) => orders::cancel(slot, cx, c),
        Command::GetOrder { order } => orders::get(slot, cx, *order),
        Command::IssueTicket { order } => orders::issue_ticket(slot, *order),
        Command::AskKept { order } => leave::ask_kept(slot, cx, *order),
        Command::Pay(c) => payments::pay(slot, cx, c, progress),
        Command::SettleRefund { order, txn, reference } => payments::settle(slot, cx, order, txn, reference),
        Command::ListRefunds(c) => Ok(Answer::Refunds(payments::list(slot, c))),
    }
}

/// Decides what another slot asks. It never asks in turn.
///
/// # Errors
/// As [`decide`].
pub fn decide_ask(slot: &Slot, cx: &Context<'_>, ask: &Ask) -> Decision<Fact> {
    match ask {
        Ask::Hold(reserve) => inventory::hold_for_order(slot, cx, reserve),
        Ask::Release(hold) => inventory::release_for_order(slot, cx, hold),
        Ask::Confirm { hold, txn } => inventory::confirm_for_order(slot, cx, hold, txn),
        Ask::Settle(hold) => inventory::settle_for_order(slot, cx, hold),
        Ask::Keep(hold) => Ok(leave::keep(slot, cx, hold)),
        Ask::Claim { txn, order, goes_back } => payments::claim(slot, txn, *order, *goes_back),
        Ask::IsClaimed { txn, order } => payments::is_claimed(slot, cx, txn, *order),
    }
}
