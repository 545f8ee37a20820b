//! Shared by the tests: a world of slots, what must hold in it, and replies in one word.

pub(crate) mod check;
pub(crate) mod world;

use engine::answer::{Answer, OrderView, PartitionView, RefundView, Reply};
use engine::command::{Command, ListRefunds};
use engine::record::{Body, Record};
pub(crate) use testkit::{catalogue, names};

use world::World;

/// The order that a reply shows.
#[track_caller]
pub(crate) fn order_of(reply: &Reply) -> &OrderView {
    match reply {
        Ok(Answer::Order(view)) => view,
        other => panic!("expected an order, got {other:?}"),
    }
}

/// The partition that a reply shows.
#[track_caller]
pub(crate) fn partition_of(reply: &Reply) -> &PartitionView {
    match reply {
        Ok(Answer::Partition(view)) => view,
        other => panic!("expected a partition, got {other:?}"),
    }
}

#[track_caller]
pub(crate) fn available_of(reply: &Reply) -> u32 {
    match reply {
        Ok(Answer::Availability { available, .. }) => *available,
        other => panic!("expected an availability, got {other:?}"),
    }
}

/// The reply to a command in a word, and the records that it made.
#[track_caller]
pub(crate) fn said(world: &mut World, command: &Command) -> String {
    let before = world.log.len();
    let reply = word(&world.run(command.clone()));
    since(world, before).iter().fold(reply, |found, kind| found + " " + kind)
}

/// As [`said`]; the same again says the same and changes nothing more.
#[track_caller]
pub(crate) fn said_twice(world: &mut World, command: &Command) -> String {
    let before = world.log.len();
    let reply = world.run(command.clone());
    let records = since(world, before);
    let after = world.log.len();
    let again = world.run(command.clone());
    assert_eq!((world.log.len(), word(&again)), (after, word(&reply)), "{command:?} twice");
    records.iter().fold(word(&reply), |found, kind| found + " " + kind)
}

/// The records from that one on, acknowledgements left out.
pub(crate) fn since(world: &World, before: usize) -> Vec<&'static str> {
    world.log[before..].iter().map(|record| kind(record)).filter(|kind| *kind != "TellsAcked").collect()
}

/// The kind of a record.
pub(crate) fn kind(record: &Record) -> &'static str {
    match record.body {
        Body::PartitionOpened(_) => "PartitionOpened",
        Body::PartitionForgotten { .. } => "PartitionForgotten",
        Body::HoldMade(_) => "HoldMade",
        Body::HoldAdopted(_) => "HoldAdopted",
        Body::HoldConfirmed(_) => "HoldConfirmed",
        Body::HoldReleased(_) => "HoldReleased",
        Body::HoldsExpired(_) => "HoldsExpired",
        Body::HoldsForgotten { .. } => "HoldsForgotten",
        Body::OrderCreated(_) => "OrderCreated",
        Body::OrderReserved(_) => "OrderReserved",
        Body::OrderPaid(_) => "OrderPaid",
        Body::OrderTicketed(_) => "OrderTicketed",
        Body::OrderCancelled(_) => "OrderCancelled",
        Body::OrdersAbandoned(_) => "OrdersAbandoned",
        Body::PurchaseMade(_) => "PurchaseMade",
        Body::PurchasePaid(_) => "PurchasePaid",
        Body::PurchaseCancelled(_) => "PurchaseCancelled",
        Body::OrderKept { .. } => "OrderKept",
        Body::OrderLeaving { .. } => "OrderLeaving",
        Body::OrdersForgotten { .. } => "OrdersForgotten",
        Body::ClaimForgotten { .. } => "ClaimForgotten",
        Body::RefundsForgotten { .. } => "RefundsForgotten",
        Body::TxnClaimed { .. } => "TxnClaimed",
        Body::RefundOwed(_) => "RefundOwed",
        Body::RefundSettled(_) => "RefundSettled",
        Body::TellsAcked { .. } => "TellsAcked",
    }
}

/// A reply in one word: the order's status, the hold's status, or `!` and the refusal.
pub(crate) fn word(reply: &Reply) -> String {
    match reply {
        Ok(Answer::Order(view)) => match view.cancel_reason {
            Some(reason) => format!("{:?}({reason:?})", view.status),
            None => format!("{:?}", view.status),
        },
        Ok(Answer::Partition(view)) => format!("{:?}", view.hold.status),
        Ok(Answer::Availability { available, .. }) => format!("available {available}"),
        Ok(Answer::Refund(view)) => format!("refund {:?}", view.status),
        Ok(Answer::Refunds(views)) => format!("{} refunds", views.len()),
        Ok(Answer::Run(view)) => format!("{} classes", view.classes.len()),
        Err(rejection) => format!("!{rejection:?}"),
    }
}

/// All refunds, owed and settled.
pub(crate) fn refunds(world: &mut World) -> Vec<RefundView> {
    match world.run(Command::ListRefunds(ListRefunds { status: None, after: None, limit: 1_000 })) {
        Ok(Answer::Refunds(refunds)) => refunds,
        other => panic!("{other:?}"),
    }
}
