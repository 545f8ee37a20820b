//! An order as a sequential object, seen from outside: its views, and which request allows which step.

use allocator::Span;
use engine::answer::{CancelReason, OrderStatus, OrderView};
use engine::command::Reserve;
use engine::ids::{HoldId, PartitionKey, Time, TxnId};

use super::search::Object;

/// An order, as far as a client can tell.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum State {
    Absent,
    Init,
    Reserved(Reservation),
    Paid(Reservation, TxnId),
    Ticketed(Reservation, TxnId),
    Cancelled(Option<Reservation>, Reason),
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Reservation {
    pub partition: PartitionKey,
    pub hold: HoldId,
    pub quantity: u32,
    pub from: u16,
    pub to: u16,
    pub seats: Vec<String>,
    pub deadline: Time,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Reason {
    Requested,
    HoldExpired,
    Abandoned,
}

/// An observation of an order, and when it was made at the latest.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub state: State,
    /// The return of the request that saw it.
    pub returned: u64,
    /// The latest time on any core by then.
    pub time: Time,
}

/// The requests that were made for an order, each with the moment of its call.
#[derive(Debug, Default)]
pub(super) struct OrderObject {
    pub creates: Vec<u64>,
    pub reserves: Vec<(u64, Reserve)>,
    pub pays: Vec<(u64, TxnId)>,
    pub cancels: Vec<u64>,
}

impl State {
    pub(super) fn of(view: &OrderView) -> Option<State> {
        let reservation = view.reservation.as_ref().map(|r| Reservation {
            partition: r.partition.clone(),
            hold: r.hold.clone(),
            quantity: r.quantity,
            from: r.from,
            to: r.to,
            seats: r.seats.iter().map(|seat| seat.as_str().to_owned()).collect(),
            deadline: r.expires_at,
        });
        Some(match view.status {
            OrderStatus::Init => State::Init,
            OrderStatus::Reserved => State::Reserved(reservation?),
            OrderStatus::Paid => State::Paid(reservation?, view.txn.clone()?),
            OrderStatus::Ticketed => State::Ticketed(reservation?, view.txn.clone()?),
            OrderStatus::Cancelled => State::Cancelled(
                reservation,
                match view.cancel_reason? {
                    CancelReason::Requested => Reason::Requested,
                    CancelReason::HoldExpired => Reason::HoldExpired,
                    CancelReason::Abandoned => Reason::Abandoned,
                },
            ),
        })
    }
}

impl OrderObject {
    fn may_reserve(&self, r: &Reservation, by: u64) -> bool {
        let asks = |c: &Reserve| {
            let span = c.seats.span.map(|span: Span| (span.from(), span.to()));
            c.seats.partition == r.partition
                && c.seats.hold == r.hold
                && c.seats.quantity == r.quantity
                && span.is_none_or(|span| span == (r.from, r.to))
        };
        self.reserves.iter().any(|(called, c)| *called < by && asks(c))
    }

    fn may_pay(&self, txn: &TxnId, by: u64) -> bool {
        self.pays.iter().any(|(called, other)| *called < by && other == txn)
    }

    fn may_cancel(&self, by: u64) -> bool {
        self.cancels.iter().any(|called| *called < by)
    }

    /// True where an order in this state may come to be as it was seen, by what was asked before that.
    fn leads(&self, from: &State, seen: &Seen) -> bool {
        let by = seen.returned;
        match (from, &seen.state) {
            (a, b) if a == b => true,
            (State::Absent, _) => {
                self.creates.iter().any(|called| *called < by) && self.leads(&State::Init, seen)
            }
            (State::Init, State::Cancelled(None, reason)) => match reason {
                Reason::Requested => self.may_cancel(by),
                Reason::Abandoned => true,
                Reason::HoldExpired => false,
            },
            (
                State::Init,
                State::Reserved(r) | State::Paid(r, _) | State::Ticketed(r, _) | State::Cancelled(Some(r), _),
            ) => self.may_reserve(r, by) && self.leads(&State::Reserved(r.clone()), seen),
            (State::Reserved(r), State::Paid(other, txn)) => r == other && self.may_pay(txn, by),
            (State::Reserved(r), State::Ticketed(other, txn)) => r == other && self.may_pay(txn, by),
            (State::Reserved(r), State::Cancelled(Some(other), reason)) => {
                r == other
                    && match reason {
                        Reason::Requested => self.may_cancel(by),
                        Reason::HoldExpired => r.deadline <= seen.time,
                        Reason::Abandoned => false,
                    }
            }
            (State::Paid(r, txn), State::Ticketed(other, same)) => r == other && txn == same,
            _ => false,
        }
    }
}

impl Object for OrderObject {
    type State = State;
    type Op = Seen;

    fn step(&self, state: &State, seen: &Seen) -> Option<State> {
        self.leads(state, seen).then(|| seen.state.clone())
    }
}
