//! Leaving: what has ended and been kept for its retention goes, once the read model has it durably. An order with money goes in two steps:
//! the slots of its transaction ids are told first, so that no claim and no tell of one is left when it has gone.

use alloc::vec::Vec;

use super::{Context, Decision, Pending, orders};
use crate::answer::Answer;
use crate::ids::{OrderId, Time};
use crate::limits::{LEAVING_SEEN_MAX, LEFT_PER_RECORD_MAX};
use crate::message::{Ask, Fact, OrderHold};
use crate::record::{Body, Kept};
use crate::state::{Order, Slot, kept_until};

/// A record that lets something leave, or brings it nearer to that; `None` where there is nothing now. All that the slot recorded before
/// `durable` the read model has durably. Of orders, only those that are idle leave: nothing is under way for them.
#[must_use]
pub fn decide_leave(
    slot: &Slot,
    cx: &Context<'_>,
    durable: Time,
    is_idle: impl Fn(OrderId) -> bool,
) -> Option<Body> {
    let left = slot.orders().left_all(durable).filter(|order| is_idle(order.row.order));
    let mut orders: Vec<OrderId> = left.take(LEFT_PER_RECORD_MAX).map(|order| order.row.order).collect();
    for order in slot.orders().leavable(cx.policy, cx.calendar, durable).take(LEAVING_SEEN_MAX) {
        if orders.len() == LEFT_PER_RECORD_MAX {
            break;
        }
        if !is_idle(order.row.order) || !has_settled(slot, order, durable) {
            continue;
        }
        let txns = slot.txns_of(order);
        if txns.is_empty() {
            orders.push(order.row.order);
        } else if orders.is_empty() {
            return Some(Body::OrderLeaving { order: order.row.order, txns });
        }
    }
    if !orders.is_empty() {
        return Some(Body::OrdersForgotten { orders });
    }
    let refunds = slot.refunds().leavable(cx.policy, cx.calendar, durable);
    let numbers: Vec<u64> = refunds.take(LEFT_PER_RECORD_MAX).collect();
    (!numbers.is_empty()).then_some(Body::RefundsForgotten { numbers })
}

/// The read model has each refund of the order.
fn has_settled(slot: &Slot, order: &Order, durable: Time) -> bool {
    if slot.refunds().is_empty() {
        return true;
    }
    let name = order.row.order.name();
    let mut settled = slot.refunds().of(&name).filter_map(|refund| refund.settled.as_ref());
    settled.all(|settled| settled.at < durable)
}

/// An order with sold seats, of which nothing says when their run ends: its partition is asked once its time has come.
pub(super) fn ask_kept(slot: &Slot, cx: &Context<'_>, id: OrderId) -> Decision<Answer> {
    let order = orders::find(slot, id)?;
    match &order.row.reservation {
        Some(reservation) if order.asks_by(cx.policy, cx.calendar) => {
            Err(Pending::Ask(Ask::Keep(reservation.to_order_hold(id))))
        }
        _ => Ok(orders::show(slot, order)),
    }
}

/// The answer of its partition.
pub(super) fn keep(slot: &Slot, cx: &Context<'_>, c: &OrderHold) -> Fact {
    let own = |p: &&crate::state::Partition| p.hold(&c.hold).is_some_and(|hold| hold.owner == Some(c.order));
    let kept = match slot.partitions().get(&c.partition).filter(own) {
        None => Kept::PastEnd(cx.calendar),
        Some(p) => match p.run() {
            Some(run) => Kept::PastEnd(run.ends_at),
            None => Kept::UntilAtLeast(kept_until(cx.policy, p.changed_at(), &c.partition)),
        },
    };
    Fact::SeatsKept { order: c.order, kept }
}
