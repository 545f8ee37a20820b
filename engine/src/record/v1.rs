//! Version 1 of records, read only, and the types that it shares with slot images of version 1.
//!
//! - Stops do not say whether they may be boarded and left: all may.
//! - Nothing says when a hold was made: it is 0 everywhere, also where it could be had, so that what is compared is alike.
//! - A partition begins with sequence 0.
//! - Nothing says when the run of a reservation ends.
//! - A cancelled order has the labels of its seats: they are dropped.

use alloc::string::String;
use alloc::vec::Vec;

use allocator::Layout;

use super::v2;
use super::v2::TellId;
use rkyv::{Archive, Deserialize};

use crate::catalogue::{self, LocalTime};
use crate::ids::{
    Cents, HoldId, IdempotencyKey, OrderId, OrderKey, OrderName, PartitionKey, SlotId, Time, TxnId,
};
use crate::status::{self, CancelReason, HoldStatus, OrderStatus, ReleaseReason, Settlement};
use crate::text::Text;

#[derive(Archive, Deserialize)]
pub(super) struct Record {
    slot: SlotId,
    seq: u64,
    time: Time,
    trace: Text,
    body: Body,
}

#[derive(Archive, Deserialize)]
enum Body {
    PartitionOpened(PartitionOpened),
    PartitionForgotten { partition: PartitionKey },
    HoldMade(HoldRow),
    HoldAdopted(HoldRow),
    HoldConfirmed(HoldRow),
    HoldReleased(HoldRow),
    HoldsExpired(Vec<HoldRow>),
    HoldsForgotten { partition: PartitionKey, holds: Vec<HoldId> },
    OrderCreated(OrderRow),
    OrderReserved(OrderRow),
    OrderPaid(OrderRow),
    OrderTicketed(OrderRow),
    OrderCancelled(OrderRow),
    TxnClaimed { txn: TxnId, order: OrderId },
    RefundOwed(RefundRow),
    RefundSettled(RefundRow),
    TellsAcked { tells: Vec<TellId> },
}

#[derive(Archive, Deserialize)]
struct PartitionOpened {
    partition: PartitionKey,
    layout: Layout,
    segments: u16,
    run: Option<RunDefinition>,
}

#[derive(Archive, Deserialize)]
struct HoldRow {
    partition: PartitionKey,
    hold: HoldId,
    partition_seq: u64,
    status: HoldStatus,
    owner: Option<OrderId>,
    quantity: u32,
    from: u16,
    to: u16,
    segments: u16,
    capacity: u32,
    seats: Vec<u32>,
    labels: Vec<Text>,
    deadline: Time,
    txn: Option<TxnId>,
    release_reason: Option<ReleaseReason>,
    keep_until: Time,
}

/// Also in slot images.
#[derive(Archive, Deserialize)]
pub(crate) struct OrderRow {
    order: OrderId,
    key: IdempotencyKey,
    status: OrderStatus,
    amount: Cents,
    created_at: Time,
    abandon_at: Time,
    reservation: Option<Reservation>,
    cancel_reason: Option<CancelReason>,
    txn: Option<TxnId>,
}

/// Also in facts.
#[derive(Archive, Deserialize)]
pub(crate) struct Reservation {
    partition: PartitionKey,
    hold: HoldId,
    quantity: u32,
    from: u16,
    to: u16,
    segments: u16,
    capacity: u32,
    labels: Vec<Text>,
    deadline: Time,
}

/// Also in slot images.
#[derive(Archive, Deserialize)]
pub(crate) struct RefundRow {
    pub(crate) number: u64,
    order: OrderName,
    txn: TxnId,
    amount: Option<Cents>,
    reason: RefundReason,
    created_at: Time,
    settled: Option<Settlement>,
}

#[derive(Archive, Deserialize)]
#[repr(u8)]
enum RefundReason {
    AlreadyPaid,
    HoldExpired,
    InvalidState,
    Unmatched,
}

/// Also in slot images.
#[derive(Archive, Deserialize)]
pub(crate) struct RunDefinition {
    stops: Vec<Stop>,
    ends_at: Time,
}

#[derive(Archive, Deserialize)]
struct Stop {
    code: String,
    name: String,
    arrives_at: Option<LocalTime>,
    departs_at: Option<LocalTime>,
}

impl From<Record> for v2::Record {
    fn from(Record { slot, seq, time, trace, body }: Record) -> v2::Record {
        v2::Record { slot, seq, time, trace, body: body.into() }
    }
}

impl From<Body> for v2::Body {
    fn from(body: Body) -> v2::Body {
        match body {
            Body::PartitionOpened(opened) => v2::Body::PartitionOpened(opened.into()),
            Body::PartitionForgotten { partition } => v2::Body::PartitionForgotten { partition },
            Body::HoldMade(row) => v2::Body::HoldMade(row.into()),
            Body::HoldAdopted(row) => v2::Body::HoldAdopted(row.into()),
            Body::HoldConfirmed(row) => v2::Body::HoldConfirmed(row.into()),
            Body::HoldReleased(row) => v2::Body::HoldReleased(row.into()),
            Body::HoldsExpired(rows) => {
                let expired = |row: HoldRow| v2::ExpiredHold { hold: row.into(), purchase: None };
                v2::Body::HoldsExpired(rows.into_iter().map(expired).collect())
            }
            Body::HoldsForgotten { partition, holds } => v2::Body::HoldsForgotten { partition, holds },
            Body::OrderCreated(row) => v2::Body::OrderCreated(row.into()),
            Body::OrderReserved(row) => v2::Body::OrderReserved(row.into()),
            Body::OrderPaid(row) => v2::Body::OrderPaid(row.into()),
            Body::OrderTicketed(row) => v2::Body::OrderTicketed(row.into()),
            Body::OrderCancelled(row) => v2::Body::OrderCancelled(row.into()),
            Body::TxnClaimed { txn, order } => v2::Body::TxnClaimed { txn, order, goes_back: None },
            Body::RefundOwed(row) => v2::Body::RefundOwed(row.into()),
            Body::RefundSettled(row) => v2::Body::RefundSettled(row.into()),
            Body::TellsAcked { tells } => v2::Body::TellsAcked { tells },
        }
    }
}

impl From<PartitionOpened> for v2::PartitionOpened {
    fn from(PartitionOpened { partition, layout, segments, run }: PartitionOpened) -> v2::PartitionOpened {
        v2::PartitionOpened { partition, layout, segments, run: run.map(RunDefinition::into), seq: 0 }
    }
}

impl From<HoldRow> for v2::HoldRow {
    fn from(row: HoldRow) -> v2::HoldRow {
        v2::HoldRow {
            partition: row.partition,
            hold: row.hold,
            made: 0,
            partition_seq: row.partition_seq,
            status: row.status,
            owner: row.owner,
            quantity: row.quantity,
            from: row.from,
            to: row.to,
            segments: row.segments,
            capacity: row.capacity,
            seats: row.seats,
            labels: row.labels,
            deadline: row.deadline,
            txn: row.txn,
            release_reason: row.release_reason,
            keep_until: row.keep_until,
        }
    }
}

impl From<OrderRow> for v2::OrderRow {
    fn from(row: OrderRow) -> v2::OrderRow {
        let mut reservation = row.reservation.map(v2::Reservation::from);
        if let (OrderStatus::Cancelled, Some(reservation)) = (row.status, &mut reservation) {
            reservation.labels = Vec::new();
        }
        v2::OrderRow {
            order: row.order,
            key: OrderKey::Plain(row.key),
            status: row.status,
            amount: row.amount,
            created_at: row.created_at,
            abandon_at: row.abandon_at,
            reservation,
            cancel_reason: row.cancel_reason,
            txn: row.txn,
        }
    }
}

impl From<Reservation> for v2::Reservation {
    fn from(of: Reservation) -> v2::Reservation {
        v2::Reservation {
            partition: of.partition,
            hold: of.hold,
            made: 0,
            quantity: of.quantity,
            from: of.from,
            to: of.to,
            segments: of.segments,
            capacity: of.capacity,
            labels: of.labels,
            deadline: of.deadline,
            ends_at: None,
        }
    }
}

impl From<RefundRow> for v2::RefundRow {
    fn from(row: RefundRow) -> v2::RefundRow {
        let RefundRow { number, order, txn, amount, reason, created_at, settled } = row;
        v2::RefundRow { number, order, txn, amount, reason: reason.into(), created_at, settled }
    }
}

impl From<RefundReason> for status::RefundReason {
    fn from(reason: RefundReason) -> status::RefundReason {
        match reason {
            RefundReason::AlreadyPaid => status::RefundReason::AlreadyPaid,
            RefundReason::HoldExpired => status::RefundReason::HoldExpired,
            RefundReason::InvalidState => status::RefundReason::InvalidState,
            RefundReason::Unmatched => status::RefundReason::Unmatched,
        }
    }
}

impl From<RunDefinition> for catalogue::RunDefinition {
    fn from(RunDefinition { stops, ends_at }: RunDefinition) -> catalogue::RunDefinition {
        catalogue::RunDefinition { stops: stops.into_iter().map(Stop::into).collect(), ends_at }
    }
}

impl From<Stop> for catalogue::Stop {
    fn from(Stop { code, name, arrives_at, departs_at }: Stop) -> catalogue::Stop {
        catalogue::Stop { code, name, arrives_at, departs_at, board: true, alight: true }
    }
}
