//! Answers: views of the state, or a rejection. HTTP statuses and JSON are the edge's business.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::catalogue::RunDefinition;
use crate::command::RefundCursor;
use crate::ids::{Cents, HoldId, IdempotencyKey, OrderId, OrderName, PartitionKey, Time, TxnId};
pub use crate::status::{CancelReason, HoldStatus, OrderStatus, RefundReason, RefundStatus, Settlement};
use crate::text::Text;

pub type Reply = Result<Answer, Rejection>;

/// Views are boxed where they are large: a reply changes hands a dozen times on its way out.
#[derive(Clone, PartialEq, Debug)]
pub enum Answer {
    Partition(Box<PartitionView>),
    Availability { partition: PartitionKey, available: u32 },
    Run(RunView),
    Order(Box<OrderView>),
    Refund(Box<RefundView>),
    Refunds(Vec<RefundView>),
}

/// A partition as one caller sees it: with his own hold only.
#[derive(Clone, PartialEq, Debug)]
pub struct PartitionView {
    pub partition: PartitionKey,
    pub capacity: u32,
    /// Seats that the asked span can still take.
    pub available: u32,
    /// Seats sold on any part of the asked span.
    pub confirmed: u32,
    /// The partition's own sequence: one more for each change of a hold, and for each record that forgets some.
    pub last_seq: u64,
    pub hold: HoldView,
}

#[derive(Clone, PartialEq, Debug)]
pub struct HoldView {
    pub hold: HoldId,
    pub quantity: u32,
    pub status: HoldStatus,
    /// Labels, in seat order.
    pub seats: Vec<Text>,
    pub expires_at: Time,
}

/// A run and what each of its classes offers, opened or not.
#[derive(Clone, PartialEq, Debug)]
pub struct RunView {
    /// The sale of the asked span is closed: its boarding stop has departed, or is about to.
    pub is_closed: bool,
    /// As the run was opened, or as the timetable has it where nothing of it was.
    pub run: Arc<RunDefinition>,
    /// The timetable's classes in its order, then what was opened beside them.
    pub classes: Vec<ClassView>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct ClassView {
    pub partition: PartitionKey,
    pub capacity: u32,
    /// Seats that can still be taken on the asked span; none where it leaves the run, or where the run has departed.
    pub available: u32,
    /// Coach numbers and the seats in each.
    pub coaches: Vec<(Text, u32)>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OrderView {
    pub order: OrderId,
    pub key: IdempotencyKey,
    pub status: OrderStatus,
    pub amount: Cents,
    pub created_at: Time,
    pub updated_at: Time,
    pub reservation: Option<ReservationView>,
    pub cancel_reason: Option<CancelReason>,
    pub txn: Option<TxnId>,
    pub refund: Option<RefundStatus>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReservationView {
    pub partition: PartitionKey,
    pub hold: HoldId,
    pub quantity: u32,
    pub from: u16,
    pub to: u16,
    pub seats: Vec<Text>,
    pub expires_at: Time,
}

#[derive(Clone, PartialEq, Debug)]
pub struct RefundView {
    pub cursor: RefundCursor,
    pub order: OrderName,
    pub txn: TxnId,
    /// Absent where no order is known: the callback does not say how much.
    pub amount: Option<Cents>,
    pub reason: RefundReason,
    pub status: RefundStatus,
    pub created_at: Time,
    pub settled: Option<Settlement>,
}

/// Why a command is refused. Closed and append-only: the edge gives each a status, a code and a text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rejection {
    OrderNotFound,
    /// The engine does not have the order of a payment, or no longer: with what the read model knows of it the command goes again. The time is
    /// that of this answer.
    OrderNotHere(Time),
    PartitionNotFound,
    HoldNotFound,
    RefundNotFound,
    /// Not that many seats are free on the span.
    InsufficientStock,
    /// The span leaves the run, or is empty.
    InvalidSpan,
    /// The span boards or leaves where the run does not allow it.
    BoardingNotAllowed,
    /// The span's boarding stop has departed, or is about to: nothing new is sold on it.
    SaleClosed,
    /// A capacity, or a number of segments, that no ad hoc partition can have.
    InvalidCapacity,
    /// The idempotency key came before with another amount.
    AmountDiffers,
    /// The purchase's key came before on this run, with other contents.
    KeyReused,
    /// A purchase asks for a longer hold than is given, or for none.
    InvalidTtl,
    /// The order's status does not allow it.
    InvalidTransition,
    /// The order is reserved with other contents.
    ReservationDiffers,
    /// The hold id came before with another quantity or span.
    HoldDiffers,
    /// An order owns the hold: only the order can end it.
    HoldOwned,
    /// The hold belongs to another order.
    HoldOwnedByAnother,
    /// The hold has expired.
    HoldExpired,
    /// The hold was released.
    HoldReleased,
    /// The hold was confirmed: its seats are sold.
    HoldConfirmed,
    /// The caller names another partition or hold than the order's own.
    HoldMismatch,
    /// Another order claimed the transaction id first; nothing is owed.
    TxnUsed,
    /// The order is paid with another transaction; a refund is owed.
    AlreadyPaid,
    /// The refund was settled under another reference.
    RefundSettled,
    /// A queue is full. Nothing was done; try again.
    Busy,
    /// A named limit of the state is reached. Nothing was done.
    LimitReached,
    /// The log has no room for new sales, or none at all.
    LogFull,
    /// The server is stopping and takes nothing new.
    Stopping,
    /// No such train runs on the date, nor was it ever sold.
    RunNotFound,
}
