//! Records with something of everything.

use bridge::ids::Origin;
use engine::ids::{Cents, OrderId, OrderKey, SlotId, Time};
use engine::record::{Body, ExpiredHold, HoldRow, OrderRow, Record, RefundRow, Reservation};
use engine::status::{CancelReason, HoldStatus, OrderStatus, RefundReason, ReleaseReason, Settlement};
use engine::text::Text;

use crate::support::names::{hold, key, order_name, partition, reference, txn};
use crate::support::{DIRECTORY, LIFE};

pub(crate) const ORIGIN: Origin = Origin { directory: DIRECTORY, life: LIFE };
pub(crate) const ID: &str = "00712345-0000-8000-8000-000000000001";
pub(crate) const OTHER: &str = "00712345-0000-8000-8000-000000000002";

pub(crate) fn order() -> OrderId {
    OrderId::parse(ID).unwrap()
}

pub(crate) fn record(body: Body) -> Record {
    Record { slot: SlotId::new(7), seq: 12, time: Time(5_000), trace: Text::from("t-1"), body }
}

pub(crate) fn hold_row(status: HoldStatus, owner: Option<OrderId>) -> HoldRow {
    HoldRow {
        partition: partition("G1|2026-02-11|2nd"),
        hold: hold("h"),
        made: 1,
        partition_seq: 2,
        status,
        owner,
        quantity: 2,
        from: 0,
        to: 3,
        segments: 3,
        capacity: 6,
        seats: vec![0, 1],
        labels: vec!["05-1A".into(), "05-1C".into()],
        deadline: Time(9_000),
        txn: None,
        release_reason: (status == HoldStatus::Released).then_some(ReleaseReason::Requested),
        keep_until: Time(9_000),
    }
}

pub(crate) fn expired_hold(owner: Option<OrderId>) -> ExpiredHold {
    ExpiredHold { hold: hold_row(HoldStatus::Expired, owner), purchase: None }
}

pub(crate) fn order_row(status: OrderStatus) -> OrderRow {
    let is_cancelled = status == OrderStatus::Cancelled;
    OrderRow {
        order: order(),
        key: OrderKey::Plain(key("k")),
        status,
        amount: Cents(100),
        created_at: Time(1_000),
        abandon_at: Time(99_000),
        reservation: (status != OrderStatus::Init).then(|| Reservation {
            partition: partition("G1|2026-02-11|2nd"),
            hold: hold("h"),
            made: 1,
            quantity: 2,
            from: 0,
            to: 3,
            segments: 3,
            capacity: 6,
            labels: if is_cancelled { vec![] } else { vec!["05-1A".into(), "05-1C".into()] },
            deadline: Time(9_000),
            ends_at: None,
        }),
        cancel_reason: is_cancelled.then_some(CancelReason::HoldExpired),
        txn: matches!(status, OrderStatus::Paid | OrderStatus::Ticketed).then(|| txn("p-1")),
    }
}

pub(crate) fn refund(order: &str, reason: RefundReason, settled: bool) -> RefundRow {
    RefundRow {
        number: 1,
        order: order_name(order),
        txn: txn("p-2"),
        amount: Some(Cents(100)),
        reason,
        created_at: Time(4_000),
        settled: settled.then(|| Settlement { reference: reference("r"), at: Time(5_000) }),
    }
}
