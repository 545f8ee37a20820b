//! What clients know: all that they were told in earlier lives of the machine.

use std::collections::BTreeMap;

use engine::answer::{Answer, HoldStatus, HoldView, OrderStatus, OrderView, RefundReason, Rejection, Reply};
use engine::command::{Command, ExpectedHold};
use engine::ids::{HoldId, OrderId, PartitionKey};

use super::workload::{ORDERS, TXNS};
use crate::support::world::is_try_again;
use crate::support::{Names, World};

#[derive(Default)]
pub(super) struct Knowledge {
    replies: Vec<(Command, Reply)>,
    /// The last that was shown of each order and of each hold.
    orders: BTreeMap<OrderId, OrderView>,
    holds: BTreeMap<(PartitionKey, HoldId), HoldView>,
}

impl Knowledge {
    pub(super) fn learn(&mut self, command: Command, reply: Reply) {
        match &reply {
            Ok(Answer::Order(view)) => {
                let known = self.orders.entry(view.order).or_insert_with(|| (**view).clone());
                // Replies overtake each other.
                if rank(view.status) > rank(known.status) {
                    known.clone_from(view);
                }
            }
            Ok(Answer::Partition(view)) => {
                let key = (view.partition.clone(), view.hold.hold.clone());
                let known = self.holds.entry(key).or_insert_with(|| view.hold.clone());
                if known.status == HoldStatus::Held {
                    *known = view.hold.clone();
                }
            }
            _ => {}
        }
        self.replies.push((command, reply));
    }

    /// Everything acknowledged is there.
    #[track_caller]
    pub(super) fn check(&self, world: &World) {
        for known in self.orders.values() {
            let order = world.slot(known.order.slot()).orders().get(known.order);
            let row = &order.unwrap_or_else(|| panic!("{known:?} is gone")).row;
            assert_eq!((&row.key, row.amount), (&known.key, known.amount));
            assert!(may_become(known, row.status), "{known:?} is now {row:?}");
            if known.status == row.status || known.txn.is_some() {
                let txn_and_reason = (&row.txn, row.cancel_reason);
                assert_eq!(txn_and_reason, (&known.txn, known.cancel_reason), "{known:?} is now {row:?}");
            }
            if let Some(held) = &known.reservation {
                let found = row.reservation.as_ref().expect("a reservation is remembered");
                assert_eq!((&found.partition, &found.hold), (&held.partition, &held.hold));
                assert_eq!((&found.labels, found.deadline), (&held.seats, held.expires_at));
            }
        }
        for ((partition, id), known) in &self.holds {
            let p = world.slot(world.hash.partition(partition)).partitions().get(partition);
            let hold = p.and_then(|p| p.hold(id)).unwrap_or_else(|| panic!("{known:?} is gone"));
            let layout = p.expect("it has a hold").inventory().layout();
            let labels = hold.seats.iter().map(|seat| layout.label(*seat));
            assert!(labels.eq(known.seats.iter().map(|label| label.as_str().to_owned())), "{known:?}");
            let same = known.status == HoldStatus::Held || known.status == hold.status;
            assert!(same, "{known:?} is now {hold:?}");
        }
    }

    /// Every verified payment that was answered is the order's own or owed back, and only one of the two.
    #[track_caller]
    pub(super) fn check_money(&self, world: &World, names: &Names) {
        for (command, reply) in &self.replies {
            let Command::Pay(pay) = command else { continue };
            let slot = world.slot(world.hash.order_name(&pay.order));
            let order = OrderId::parse(pay.order.as_str()).and_then(|id| slot.orders().get(id));
            let has_paid = order.is_some_and(|order| order.row.txn.as_ref() == Some(&pay.txn));
            let is_owed = slot.refunds().get(&pay.order, &pay.txn).is_some();
            match reply {
                Ok(_) => assert!(has_paid && !is_owed, "{pay:?}"),
                Err(Rejection::TxnUsed) => {
                    let claim = world.slot(world.hash.txn(&pay.txn)).claim(&pay.txn);
                    assert!(claim.is_some() && claim != order.map(|order| order.row.order), "{pay:?}");
                    assert!(!has_paid, "{pay:?}");
                }
                Err(Rejection::HoldMismatch) => {}
                Err(_) => assert!(is_owed && !has_paid, "{pay:?} was refused: {reply:?}"),
            }
        }
        // Also those whose clients never heard.
        for txn in (0..TXNS).map(|nth| names.txn(nth)) {
            let claim = world.slot(world.hash.txn(&txn)).claim(&txn);
            for order in (0..ORDERS).map(|nth| names.order(nth)) {
                let slot = world.slot(order.slot());
                let has_paid =
                    slot.orders().get(order).is_some_and(|order| order.row.txn.as_ref() == Some(&txn));
                let refund = slot.refunds().get(&order.name(), &txn);
                let is_unmatched = refund.is_some_and(|row| row.reason == RefundReason::Unmatched);
                if claim == Some(order) {
                    assert!(has_paid != refund.is_some(), "{txn} of {order}: paid {has_paid}, {refund:?}");
                } else {
                    assert!(!has_paid && (refund.is_none() || is_unmatched), "{txn} is not {order}'s");
                }
            }
        }
    }

    /// What was answered is answered again in the same way, as far as nothing can have changed it.
    #[track_caller]
    pub(super) fn check_repeats(&self, world: &mut World) {
        for (command, before) in &self.replies {
            let again = world.run(command.clone());
            assert!(!is_try_again(&again));
            let is_same = match (command, before, &again) {
                (Command::CreateOrder(_), Ok(Answer::Order(a)), Ok(Answer::Order(b))) => a.order == b.order,
                (Command::Pay(_), Ok(_), Ok(_)) => true,
                // What it names may have become another's only later.
                (Command::Pay(pay), Err(_), Err(_)) if pay.expected != ExpectedHold::default() => true,
                (Command::Pay(_) | Command::CreateOrder(_), before, again) => before == again,
                (Command::Cancel(_), Ok(_), again) => again.is_ok(),
                (Command::ReleaseHold(_) | Command::ConfirmHold(_), Ok(_), again) => again.is_ok(),
                (Command::TryHold(_), Ok(Answer::Partition(a)), Ok(Answer::Partition(b))) => {
                    a.hold.seats == b.hold.seats
                }
                (Command::TryHold(_), Ok(_), Err(why)) => {
                    matches!(why, Rejection::HoldExpired | Rejection::HoldReleased)
                }
                _ => true,
            };
            assert!(is_same, "{command:?} was answered by {before:?}, and is now by {again:?}");
        }
    }
}

fn rank(status: OrderStatus) -> u8 {
    match status {
        OrderStatus::Init => 0,
        OrderStatus::Reserved => 1,
        OrderStatus::Paid => 2,
        OrderStatus::Ticketed | OrderStatus::Cancelled => 3,
    }
}

fn may_become(known: &OrderView, status: OrderStatus) -> bool {
    match known.status {
        OrderStatus::Init => true,
        OrderStatus::Reserved => status != OrderStatus::Init,
        OrderStatus::Paid => matches!(status, OrderStatus::Paid | OrderStatus::Ticketed),
        OrderStatus::Ticketed | OrderStatus::Cancelled => status == known.status,
    }
}
