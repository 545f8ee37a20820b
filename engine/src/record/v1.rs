//! Version 1 of records, read only: stops do not say whether they may be boarded and left, so all may.

use alloc::string::String;
use alloc::vec::Vec;

use allocator::Layout;

use super::v2;
use super::v2::{HoldRow, OrderRow, RefundRow, TellId};
use rkyv::{Archive, Deserialize};

use crate::catalogue::{self, LocalTime};
use crate::ids::{HoldId, OrderId, PartitionKey, SlotId, Time, TxnId};
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
            Body::HoldMade(row) => v2::Body::HoldMade(row),
            Body::HoldAdopted(row) => v2::Body::HoldAdopted(row),
            Body::HoldConfirmed(row) => v2::Body::HoldConfirmed(row),
            Body::HoldReleased(row) => v2::Body::HoldReleased(row),
            Body::HoldsExpired(row) => v2::Body::HoldsExpired(row),
            Body::HoldsForgotten { partition, holds } => v2::Body::HoldsForgotten { partition, holds },
            Body::OrderCreated(row) => v2::Body::OrderCreated(row),
            Body::OrderReserved(row) => v2::Body::OrderReserved(row),
            Body::OrderPaid(row) => v2::Body::OrderPaid(row),
            Body::OrderTicketed(row) => v2::Body::OrderTicketed(row),
            Body::OrderCancelled(row) => v2::Body::OrderCancelled(row),
            Body::TxnClaimed { txn, order } => v2::Body::TxnClaimed { txn, order },
            Body::RefundOwed(row) => v2::Body::RefundOwed(row),
            Body::RefundSettled(row) => v2::Body::RefundSettled(row),
            Body::TellsAcked { tells } => v2::Body::TellsAcked { tells },
        }
    }
}

impl From<PartitionOpened> for v2::PartitionOpened {
    fn from(PartitionOpened { partition, layout, segments, run }: PartitionOpened) -> v2::PartitionOpened {
        v2::PartitionOpened { partition, layout, segments, run: run.map(RunDefinition::into) }
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
