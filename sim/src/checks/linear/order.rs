//! An order as a sequential object, seen from outside: its views, and which request allows which step.

use allocator::Span;
use engine::answer::{Answer, CancelReason, OrderStatus, OrderView, Rejection};
use engine::command::{Command, Purchase, Reserve};
use engine::ids::{HoldId, OrderId, PartitionKey, Time, TxnId};

use super::search::{Event, Object};
use crate::workload::Told;

/// An order, as far as a client can tell.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum State {
    Absent,
    /// For ever: it was there.
    Gone,
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

impl Reservation {
    /// As a cancelled order shows it.
    fn without_seats(&self) -> Reservation {
        Reservation { seats: Vec::new(), ..self.clone() }
    }
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
    leaving: Leaving,
    created_at: Option<Time>,
    pub creates: Vec<u64>,
    pub reserves: Vec<(u64, Reserve)>,
    pub purchases: Vec<(u64, Purchase)>,
    pub pays: Vec<(u64, TxnId)>,
    pub cancels: Vec<u64>,
}

/// The ways in which orders may leave.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Leaving {
    /// For want of memory, where they have nothing: no younger than that.
    pub early_ms: Option<u64>,
    /// So long after they have ended.
    pub retention_ms: Option<u64>,
}

/// An order that was looked up is as it was: it has left.
pub(super) fn is_looked_up(told: &Told) -> bool {
    matches!(&told.command, Command::Pay(c) if c.looked_up.is_some())
}

/// Answer that a client was given about the order, if it was.
pub(super) fn seen(id: OrderId, told: &Told) -> Option<Event<Seen>> {
    let state = match told.reply.as_ref()? {
        // A key may have had another order before.
        Ok(Answer::Order(view)) if view.order == id && !is_looked_up(told) => State::of(view)?,
        Err(Rejection::OrderNotFound) => State::Absent,
        _ => return None,
    };
    let (called, returned) = (told.called, told.returned?);
    Some(Event { called, returned, op: Seen { state, returned, time: told.time } })
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
    pub(super) fn new(leaving: Leaving) -> OrderObject {
        OrderObject { leaving, ..OrderObject::default() }
    }

    /// A request about it, or one that may have created it.
    pub(super) fn asked(&mut self, id: OrderId, told: &Told) {
        match &told.command {
            Command::CreateOrder(_) => self.creates.push(told.called),
            // A client who was told no has been told the truth: nothing may come of it later.
            Command::Reserve(_) if super::is_refused(told) => {}
            Command::Purchase(_) if super::is_refused(told) => {}
            Command::Purchase(c) => self.purchases.push((told.called, c.clone())),
            Command::Reserve(c) => self.reserves.push((told.called, c.clone())),
            Command::Pay(c) => self.pays.push((told.called, c.txn.clone())),
            Command::Cancel(_) => self.cancels.push(told.called),
            _ => {}
        }
        if let Some(Ok(Answer::Order(view))) = &told.reply
            && view.order == id
        {
            self.created_at.get_or_insert(view.created_at);
        }
    }

    /// An order may have left by then that was like this, or had ended since.
    fn may_be_gone(&self, from: &State, seen: &Seen) -> bool {
        let is_old = |ms| self.created_at.is_some_and(|at| at.plus(ms) <= seen.time);
        let has_nothing = matches!(from, State::Init | State::Cancelled(None, Reason::Abandoned));
        let is_early = has_nothing && self.leaving.early_ms.is_some_and(is_old);
        let Some(retention_ms) = self.leaving.retention_ms else { return is_early };
        // How long a sold seat is kept the calendar says, which nobody sees here.
        let is_sold = match from {
            State::Init => self.may_sell(seen.returned),
            State::Reserved(_) => !self.pays.is_empty(),
            State::Paid(..) | State::Ticketed(..) => true,
            State::Absent | State::Gone | State::Cancelled(..) => false,
        };
        is_early || is_sold || is_old(retention_ms)
    }

    fn may_sell(&self, by: u64) -> bool {
        let reserves = self.reserves.iter().any(|(called, _)| *called < by);
        reserves && self.pays.iter().any(|(called, _)| *called < by)
    }

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

    fn may_purchase(&self, r: &Reservation, by: u64) -> bool {
        let asks = |c: &Purchase| {
            let span = c.span.map(|span: Span| (span.from(), span.to()));
            c.partition == r.partition
                && c.quantity == r.quantity
                && span.is_none_or(|span| span == (r.from, r.to))
        };
        self.purchases.iter().any(|(called, c)| *called < by && asks(c))
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
            (State::Gone, State::Absent) => true,
            (State::Gone, _) => false,
            (from, State::Absent) => self.may_be_gone(from, seen),
            // A purchase has its seats from the first.
            (
                State::Absent,
                State::Reserved(r) | State::Paid(r, _) | State::Ticketed(r, _) | State::Cancelled(Some(r), _),
            ) if !self.purchases.is_empty() => {
                self.may_purchase(r, by) && self.leads(&State::Reserved(r.clone()), seen)
            }
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
                r.without_seats() == *other
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
        self.leads(state, seen).then(|| match (state, &seen.state) {
            (State::Absent, State::Absent) => State::Absent,
            (_, State::Absent) => State::Gone,
            (_, state) => state.clone(),
        })
    }
}
