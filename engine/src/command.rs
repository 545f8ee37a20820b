//! Commands: operations that clients ask for, checked for shape and not yet against the state.

use alloc::boxed::Box;

use allocator::Span;

use crate::answer::OrderView;
use crate::ids::{
    Cents, HoldId, IdempotencyKey, OrderId, OrderName, PartitionKey, Reference, SlotId, Time, TxnId,
};
use crate::limits::SLOTS;
use crate::slots::SlotHash;
use crate::status::RefundReason;
use crate::text::Text;

/// A command and the trace it belongs to.
#[derive(Clone, Debug)]
pub struct Request {
    pub command: Command,
    /// The request's `X-Trace-Id`, kept in the records it causes.
    pub trace: Text,
}

/// One operation of a client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    TryHold(SeatRequest),
    /// Seats that are sold at once, under the id of a hold; or those that the id has already, whatever else is asked.
    Allocate(SeatRequest),
    ReleaseHold(HoldRef),
    ConfirmHold(HoldRef),
    Availability {
        partition: PartitionKey,
        span: Option<Span>,
    },
    /// A run's stops, and what each of its classes still offers.
    Run(RunQuery),
    CreateOrder(CreateOrder),
    /// An order and its seats at once.
    Purchase(Purchase),
    Reserve(Reserve),
    Cancel(Cancel),
    Pay(Pay),
    /// Also what `/query/orders` shows.
    GetOrder {
        order: OrderId,
    },
    IssueTicket {
        order: OrderId,
    },
    /// Of the engine itself: how long are the seats of an order kept? See [`Ask::Keep`](crate::message::Ask::Keep).
    AskKept {
        order: OrderId,
    },
    SettleRefund {
        order: OrderName,
        txn: TxnId,
        reference: Reference,
    },
    ListRefunds(ListRefunds),
}

/// Seats that somebody wants, and the hold that is to have them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SeatRequest {
    pub partition: PartitionKey,
    pub hold: HoldId,
    pub quantity: u32,
    /// Absent: the whole run.
    pub span: Option<Span>,
    pub ad_hoc: AdHoc,
}

/// The shape of a partition that no timetable defines; counts only for the first who asks for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AdHoc {
    pub capacity: u32,
    pub segments: u16,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HoldRef {
    pub partition: PartitionKey,
    pub hold: HoldId,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RunQuery {
    pub train: Text,
    /// `YYYY-MM-DD`
    pub date: Text,
    /// Availability on this span; absent: on the whole run.
    pub span: Option<Span>,
}

#[derive(Clone, Debug)]
pub struct CreateOrder {
    pub key: IdempotencyKey,
    pub amount: Cents,
    /// Random bits for the id of a new order. Not part of the request's identity.
    pub entropy: u128,
}

impl PartialEq for CreateOrder {
    fn eq(&self, other: &CreateOrder) -> bool {
        self.key == other.key && self.amount == other.amount
    }
}
impl Eq for CreateOrder {}

#[derive(Clone, Debug)]
pub struct Purchase {
    /// It counts for the run alone.
    pub key: IdempotencyKey,
    pub amount: Cents,
    pub partition: PartitionKey,
    pub quantity: u32,
    /// Absent: the whole run.
    pub span: Option<Span>,
    pub ad_hoc: AdHoc,
    /// The hold lasts so long; absent: as long as any other. It counts only for the first who asks.
    pub ttl_ms: Option<u64>,
    /// As for [`CreateOrder`].
    pub entropy: u128,
}

impl PartialEq for Purchase {
    fn eq(&self, other: &Purchase) -> bool {
        let same = |c: &Purchase| (c.amount, c.quantity, c.span, c.ad_hoc, c.ttl_ms);
        self.key == other.key && self.partition == other.partition && same(self) == same(other)
    }
}
impl Eq for Purchase {}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reserve {
    pub order: OrderId,
    pub seats: SeatRequest,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cancel {
    pub order: OrderId,
    /// Another partition or hold than the order's own is refused.
    pub expected: ExpectedHold,
}

/// The partition and the hold that a caller may expect an order to have.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ExpectedHold {
    pub partition: Option<PartitionKey>,
    pub hold: Option<HoldId>,
}

/// A payment whose status was SUCCESS and whose signature, where a key is set, was good.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pay {
    pub order: OrderName,
    pub txn: TxnId,
    pub expected: ExpectedHold,
    /// A signature was checked: money for an unknown order is then recorded.
    pub verified: bool,
    /// The read model's knowledge of it, once the engine has said that it does not have the order.
    pub looked_up: Option<Box<LookedUp>>,
}

/// The read model's knowledge of a payment whose order the engine does not have.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LookedUp {
    /// The time at which the engine did not have it, from [`OrderNotHere`](crate::answer::Rejection::OrderNotHere).
    pub at: Time,
    pub found: Found,
}

/// The order of a payment, as the read model has it. `refund`: why this very transaction was to be paid back, where it was.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Found {
    Order {
        order: OrderView,
        refund: Option<RefundReason>,
    },
    /// Nobody knows the order. `history_lost`: the read model does not have all that there ever was.
    Nothing {
        refund: Option<RefundReason>,
        history_lost: bool,
    },
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListRefunds {
    pub status: Option<RefundFilter>,
    /// Only refunds after this place in the listing's order.
    pub after: Option<RefundCursor>,
    pub limit: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RefundFilter {
    Required,
    Settled,
    Unmatched,
}

/// A place in the listing of refunds: by slot, then by number within it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct RefundCursor {
    pub slot: SlotId,
    pub number: u64,
}

/// The slot that has to answer a command, or every core. Not an HTTP route.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Route {
    Slot(SlotId),
    /// Every core answers for its slots, and the answers are merged.
    Every,
}

impl Command {
    #[must_use]
    pub fn route(&self, hash: &SlotHash) -> Route {
        Route::Slot(match self {
            Command::TryHold(c) | Command::Allocate(c) => hash.partition(&c.partition),
            Command::ReleaseHold(c) | Command::ConfirmHold(c) => hash.partition(&c.partition),
            Command::Availability { partition, .. } => hash.partition(partition),
            Command::Run(c) => hash.run(&c.key()),
            Command::CreateOrder(c) => hash.idempotency_key(&c.key),
            Command::Purchase(c) => hash.partition(&c.partition),
            Command::Reserve(c) => c.order.slot(),
            Command::Cancel(c) => c.order.slot(),
            Command::GetOrder { order } | Command::IssueTicket { order } | Command::AskKept { order } => {
                order.slot()
            }
            Command::Pay(c) => hash.order_name(&c.order),
            Command::SettleRefund { order, .. } => hash.order_name(order),
            Command::ListRefunds(_) => return Route::Every,
        })
    }

    /// New sales are refused first when the log runs short of room; money and freeing of seats go on.
    #[must_use]
    pub const fn is_new_sale(&self) -> bool {
        matches!(
            self,
            Command::TryHold(_)
                | Command::Allocate(_)
                | Command::CreateOrder(_)
                | Command::Reserve(_)
                | Command::Purchase(_)
        )
    }
}

impl RunQuery {
    /// `train|date`
    #[must_use]
    pub fn key(&self) -> alloc::string::String {
        alloc::format!("{}|{}", self.train.as_str(), self.date.as_str())
    }
}

const _: () = assert!(SLOTS <= 1 << 12, "an order id has 12 bits for its slot");
