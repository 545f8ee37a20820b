//! One operation at a time is under way for an order: the same request joins it, another one queues behind it. Orders
//! are on core 0, their partition on core 1, so that every operation can be stopped between any two of its messages.

use std::collections::BTreeSet;

use engine::answer::{Answer, CancelReason, OrderStatus, RefundStatus, Rejection, Reply};
use engine::command::{Command, ExpectedHold, Found, ListRefunds, LookedUp};
use engine::message::Fact;
use shard::limits::{ASKS_MAX, OPERATIONS_PER_ORDER_MAX, WAITERS_MAX};
use shard::{Caller, Envelope, Message};
use wal::Lsn;

use crate::support::names::hold;
use crate::support::world::{HOLD_TTL_MS, Mail};
use crate::support::{Names, World};

/// Two cores; the orders 0 and 1 are there, and as many as asked for of them are reserved.
fn two_cores(reserved: usize) -> (World, Names) {
    let mut world = World::new(2);
    let n = world.names([0, 1, 1]);
    world.run_all([n.create(0), n.create(1)]);
    world.run_all((0..reserved).map(|nth| n.reserve(nth)));
    assert_eq!(world.mail, []);
    (world, n)
}

/// Core 0 takes what was submitted and writes what it says; nothing is delivered.
fn begin(world: &mut World, command: Command) -> Caller {
    let caller = world.submit(command);
    world.drain(0);
    caller
}

#[track_caller]
fn order(reply: Option<Reply>) -> engine::answer::OrderView {
    match reply {
        Some(Ok(Answer::Order(view))) => *view,
        other => panic!("not an order: {other:?}"),
    }
}

/// What the order is when all is done, and whether money is owed for it.
#[track_caller]
fn ends_as(world: &mut World, n: &Names, nth: usize, status: OrderStatus, owed: bool) {
    let view = order(Some(world.run(n.get(nth))));
    assert_eq!(view.status, status);
    assert_eq!(view.refund, owed.then_some(RefundStatus::Required));
    world.pass(5_000);
    assert!(world.slots().all(|slot| slot.outbox().is_empty()));
    assert!(world.nodes.iter().all(|node| node.shard.operations_waiting() == 0));
}

#[test]
fn the_same_request_joins() {
    for which in 0..3 {
        let (mut world, n) = two_cores(usize::from(which > 0));
        let command = [n.reserve(0), n.cancel(0), n.pay(0, 0)][which].clone();
        let first = begin(&mut world, command.clone());
        let second = begin(&mut world, command.clone());
        assert_eq!(world.mail.len(), 1, "asked once: {:?}", world.mail);
        assert_eq!(world.shard(0).operations_waiting(), 1);
        let third = begin(&mut world, command);
        world.settle();
        let view = order(world.reply(first));
        assert_eq!(order(world.reply(second)), view);
        assert_eq!(order(world.reply(third)), view);
        let status = [OrderStatus::Reserved, OrderStatus::Cancelled, OrderStatus::Ticketed][which];
        ends_as(&mut world, &n, 0, status, false);
    }
}

#[test]
fn joined_callers_are_refused_together() {
    let (mut world, n) = two_cores(0);
    world.run(n.try_hold("all", 4)).unwrap();
    let callers = [begin(&mut world, n.reserve(0)), begin(&mut world, n.reserve(0))];
    world.settle();
    for caller in callers {
        assert_eq!(world.reply(caller), Some(Err(Rejection::InsufficientStock)));
    }
    ends_as(&mut world, &n, 0, OrderStatus::Init, false);
}

/// Rings do not double. Did one, a hold that was refused would be made when its second copy comes, for nobody.
#[test]
fn a_second_copy_of_an_ask_does_nothing() {
    let (mut world, n) = two_cores(0);
    world.run(n.try_hold("all", 4)).unwrap();
    let caller = begin(&mut world, n.reserve(0));
    let ask = world.take_mail(|mail| mail.is_ask()).unwrap();
    world.deliver(ask.clone());
    world.settle();
    assert_eq!(world.reply(caller), Some(Err(Rejection::InsufficientStock)));
    world.run(n.release("all")).unwrap();
    world.deliver(ask);
    world.settle();
    ends_as(&mut world, &n, 0, OrderStatus::Init, false);
    assert_eq!(world.shard(1).stats().asks_repeated, 1);
    // Another ask of the same contents is another ask.
    world.run(n.reserve(0)).unwrap();
    ends_as(&mut world, &n, 0, OrderStatus::Reserved, false);
}

#[test]
fn callers_of_one_operation_are_bounded() {
    let (mut world, n) = two_cores(1);
    let joined: Vec<Caller> = (0..WAITERS_MAX).map(|_| begin(&mut world, n.pay(0, 0))).collect();
    let beyond = begin(&mut world, n.pay(0, 0));
    assert_eq!(world.reply(beyond), Some(Err(Rejection::Busy)));
    world.settle();
    for caller in joined {
        assert_eq!(order(world.reply(caller)).status, OrderStatus::Paid);
    }
    ends_as(&mut world, &n, 0, OrderStatus::Ticketed, false);
}

/// The partition's core answers, and never says anything that brings the operation nearer to its end.
#[test]
fn an_operation_asks_so_often_and_no_more() {
    let (mut world, n) = two_cores(0);
    let caller = begin(&mut world, n.reserve(0));
    for asked in 1..=ASKS_MAX {
        assert_eq!(world.reply(caller), None, "after {asked} asks");
        let mail = world.take_mail(|mail| mail.is_ask()).expect("asked again");
        let Envelope { from, to, time, trace, message: Message::Ask { op, .. } } = mail.envelope else {
            unreachable!("that is an ask")
        };
        let of_nobody = Fact::HoldExpired {
            order: n.order(0),
            partition: n.partition.clone(),
            hold: hold("nobody's"),
            made: 1,
        };
        let message = Message::Answer { op, result: Ok(of_nobody), visible_at: Lsn(0) };
        let envelope = Envelope { from: to, to: from, time, trace, message };
        world.deliver(Mail { core: 0, envelope });
        world.drain(0);
    }
    assert_eq!(world.mail, []);
    assert_eq!(world.reply(caller), Some(Err(Rejection::Busy)));
    // Its order is free again.
    assert_eq!(order(Some(world.run(n.reserve(0)))).status, OrderStatus::Reserved);
}

#[test]
fn operations_of_one_order_are_bounded() {
    let (mut world, n) = two_cores(1);
    let first = begin(&mut world, n.cancel(0));
    let queued: Vec<Caller> =
        (1..OPERATIONS_PER_ORDER_MAX).map(|nth| begin(&mut world, n.pay(0, nth))).collect();
    let beyond = begin(&mut world, n.pay(0, 99));
    assert_eq!(world.reply(beyond), Some(Err(Rejection::Busy)));
    // The same as one that is queued, and another order, are not beyond.
    let same = begin(&mut world, n.pay(0, 1));
    let other = begin(&mut world, n.reserve(1));
    assert_eq!(world.shard(0).operations_waiting(), OPERATIONS_PER_ORDER_MAX + 1);
    world.settle();
    assert_eq!(order(world.reply(first)).status, OrderStatus::Cancelled);
    assert_eq!(order(world.reply(other)).status, OrderStatus::Reserved);
    for caller in queued.into_iter().chain([same]) {
        assert_eq!(world.reply(caller), Some(Err(Rejection::InvalidTransition)));
    }
    ends_as(&mut world, &n, 0, OrderStatus::Cancelled, true);
    // The order is free again.
    assert_eq!(order(Some(world.run(n.cancel(0)))).status, OrderStatus::Cancelled);
    world.pass(HOLD_TTL_MS);
}

/// Whichever comes first has its way; the other one is answered by what it finds.
#[test]
fn cancel_during_pay_and_pay_during_cancel() {
    let (mut world, n) = two_cores(1);
    let pay = begin(&mut world, n.pay(0, 0));
    let cancel = begin(&mut world, n.cancel(0));
    assert_eq!(world.mail.len(), 1, "the second one waits");
    world.settle();
    assert_eq!(order(world.reply(pay)).status, OrderStatus::Paid);
    assert_eq!(world.reply(cancel), Some(Err(Rejection::InvalidTransition)));
    ends_as(&mut world, &n, 0, OrderStatus::Ticketed, false);

    let (mut world, n) = two_cores(1);
    let cancel = begin(&mut world, n.cancel(0));
    let pay = begin(&mut world, n.pay(0, 0));
    assert_eq!(world.mail.len(), 1, "the second one waits");
    world.settle();
    let view = order(world.reply(cancel));
    assert_eq!((view.status, view.cancel_reason), (OrderStatus::Cancelled, Some(CancelReason::Requested)));
    assert_eq!(world.reply(pay), Some(Err(Rejection::InvalidTransition)));
    ends_as(&mut world, &n, 0, OrderStatus::Cancelled, true);
}

#[test]
fn pay_during_reserve() {
    let (mut world, n) = two_cores(0);
    let reserve = begin(&mut world, n.reserve(0));
    let pay = begin(&mut world, n.pay(0, 0));
    world.settle();
    assert_eq!(order(world.reply(reserve)).status, OrderStatus::Reserved);
    assert_eq!(order(world.reply(pay)).status, OrderStatus::Paid);
    ends_as(&mut world, &n, 0, OrderStatus::Ticketed, false);

    // There was no seat: the money is owed back.
    let (mut world, n) = two_cores(0);
    world.run(n.try_hold("all", 4)).unwrap();
    let reserve = begin(&mut world, n.reserve(0));
    let pay = begin(&mut world, n.pay(0, 0));
    world.settle();
    assert_eq!(world.reply(reserve), Some(Err(Rejection::InsufficientStock)));
    assert_eq!(world.reply(pay), Some(Err(Rejection::InvalidTransition)));
    ends_as(&mut world, &n, 0, OrderStatus::Init, true);
}

#[test]
fn reserve_during_pay_and_cancel_during_reserve() {
    let (mut world, n) = two_cores(0);
    let pay = begin(&mut world, n.pay(0, 0));
    let reserve = begin(&mut world, n.reserve(0));
    world.settle();
    assert_eq!(world.reply(pay), Some(Err(Rejection::InvalidTransition)));
    assert_eq!(order(world.reply(reserve)).status, OrderStatus::Reserved);
    ends_as(&mut world, &n, 0, OrderStatus::Reserved, true);

    let (mut world, n) = two_cores(0);
    let reserve = begin(&mut world, n.reserve(0));
    let cancel = begin(&mut world, n.cancel(0));
    world.settle();
    assert_eq!(order(world.reply(reserve)).status, OrderStatus::Reserved);
    assert_eq!(order(world.reply(cancel)).status, OrderStatus::Cancelled);
    ends_as(&mut world, &n, 0, OrderStatus::Cancelled, false);
    assert!(matches!(world.run(n.availability()), Ok(Answer::Availability { available: 4, .. })));
}

#[test]
fn reserve_with_other_contents_during_reserve() {
    let (mut world, n) = two_cores(0);
    let reserve = begin(&mut world, n.reserve(0));
    let mut other = n.reservation(0);
    other.seats.quantity = 2;
    let other = begin(&mut world, Command::Reserve(other));
    world.settle();
    assert_eq!(order(world.reply(reserve)).status, OrderStatus::Reserved);
    assert_eq!(world.reply(other), Some(Err(Rejection::ReservationDiffers)));
}

#[test]
fn two_payments_of_one_order_and_two_orders_of_one_payment() {
    let (mut world, n) = two_cores(2);
    let (first, second) = (begin(&mut world, n.pay(0, 0)), begin(&mut world, n.pay(0, 1)));
    let third = begin(&mut world, n.pay(1, 0));
    world.settle();
    assert_eq!(order(world.reply(first)).txn, Some(n.txn(0)));
    assert_eq!(world.reply(second), Some(Err(Rejection::AlreadyPaid)));
    assert_eq!(world.reply(third), Some(Err(Rejection::TxnUsed)));
    ends_as(&mut world, &n, 0, OrderStatus::Ticketed, true);
    ends_as(&mut world, &n, 1, OrderStatus::Reserved, false);
}

/// The hold runs out while the payment is on its way: the partition decides, and the money is owed back.
#[test]
fn expiry_during_pay() {
    let (mut world, n) = two_cores(1);
    let pay = begin(&mut world, n.pay(0, 0));
    let claim = world.take_mail(|mail| mail.is_ask()).unwrap();
    world.deliver(claim);
    world.drain(1);
    let claimed = world.take_mail(|mail| mail.is_answer()).unwrap();
    world.deliver(claimed);
    world.drain(0);
    assert!(world.mail.iter().any(|mail| mail.is_ask()), "the hold is to be confirmed");
    world.now = world.now.plus(HOLD_TTL_MS);
    world.settle();
    assert_eq!(world.reply(pay), Some(Err(Rejection::HoldExpired)));
    let view = order(Some(world.run(n.get(0))));
    assert_eq!(view.cancel_reason, Some(CancelReason::HoldExpired));
    ends_as(&mut world, &n, 0, OrderStatus::Cancelled, true);
}

#[test]
fn expiry_during_cancel() {
    let (mut world, n) = two_cores(1);
    let cancel = begin(&mut world, n.cancel(0));
    world.now = world.now.plus(HOLD_TTL_MS);
    world.settle();
    let view = order(world.reply(cancel));
    assert_eq!((view.status, view.cancel_reason), (OrderStatus::Cancelled, Some(CancelReason::HoldExpired)));
    ends_as(&mut world, &n, 0, OrderStatus::Cancelled, false);
}

/// Reads and other orders do not wait for an operation under way.
#[test]
fn nothing_else_waits_for_an_operation() {
    let (mut world, n) = two_cores(1);
    begin(&mut world, n.pay(0, 0));
    let read = begin(&mut world, n.get(0));
    assert_eq!(order(world.reply(read)).status, OrderStatus::Reserved);
    let repeat = begin(&mut world, n.create(0));
    assert_eq!(order(world.reply(repeat)).status, OrderStatus::Reserved);
    let other = begin(&mut world, n.cancel(1));
    assert_eq!(order(world.reply(other)).status, OrderStatus::Cancelled);
}

/// A claim comes back twice, as an answer and as a tell: both belong to the one payment, whatever else its caller named.
#[test]
fn a_told_claim_joins_the_payment_that_made_it() {
    for (tell_first, named) in [(false, false), (true, false), (false, true), (true, true)] {
        let (mut world, n) = two_cores(1);
        let Command::Pay(mut pay) = n.pay(0, 0) else { unreachable!("that is a payment") };
        if named {
            pay.expected =
                ExpectedHold { partition: Some(n.partition.clone()), hold: Some(n.order(0).hold_id()) };
        }
        let pay = begin(&mut world, Command::Pay(pay));
        world.deliver_all();
        world.drain(1);
        let is_claim = |mail: &crate::support::world::Mail| match &mail.envelope.message {
            Message::Tell(_) => tell_first,
            Message::Answer { .. } => !tell_first,
            _ => false,
        };
        let first = world.take_mail(is_claim).expect("both are on their way");
        world.deliver(first);
        world.drain(0);
        let second = world.take_mail(|mail| mail.is_tell() || mail.is_answer()).unwrap();
        world.deliver(second);
        world.drain(0);
        assert_eq!(world.shard(0).operations_waiting(), 1, "one payment");
        let confirms = world.mail.iter().filter(|mail| mail.is_ask()).count();
        assert_eq!(confirms, 1, "{:?}", world.mail);
        world.settle();
        assert_eq!(order(world.reply(pay)).status, OrderStatus::Paid);
        ends_as(&mut world, &n, 0, OrderStatus::Ticketed, false);
    }
}

/// A claim that a crash left over is told while another payment of its order is under way: it is money of its own.
#[test]
fn a_told_claim_joins_no_other_payment() {
    let (mut world, n) = two_cores(1);
    begin(&mut world, n.pay(0, 1));
    world.deliver_all();
    world.drain(1);
    world.crash(|| false);
    let pay = begin(&mut world, n.pay(0, 0));
    world.drain(1);
    let tell = world.take_mail(Mail::is_tell).expect("the claim is told again");
    world.deliver(tell);
    world.drain(0);
    assert_eq!(world.shard(0).operations_waiting(), 2);
    world.settle();
    assert_eq!(order(world.reply(pay)).txn, Some(n.txn(0)));
    ends_as(&mut world, &n, 0, OrderStatus::Ticketed, true);
}

/// The same payment under another name is another request.
#[test]
fn a_payment_that_names_another_hold_joins_nothing() {
    let (mut world, n) = two_cores(1);
    let pay = begin(&mut world, n.pay(0, 0));
    let Command::Pay(mut other) = n.pay(0, 0) else { unreachable!("that is a payment") };
    other.expected.hold = Some(hold("another"));
    let other = begin(&mut world, Command::Pay(other));
    world.settle();
    assert_eq!(order(world.reply(pay)).status, OrderStatus::Paid);
    assert_eq!(world.reply(other), Some(Err(Rejection::HoldMismatch)));
    ends_as(&mut world, &n, 0, OrderStatus::Ticketed, false);
}

#[test]
fn money_for_nobody() {
    let (mut world, n) = two_cores(0);
    let Command::Pay(mut pay) = n.pay(0, 0) else { unreachable!("that is a payment") };
    pay.order = engine::ids::OrderName::parse("no such order").unwrap();
    let at = world.now;
    assert_eq!(world.run(Command::Pay(pay.clone())), Err(Rejection::OrderNotHere(at)));
    let found = Found::Nothing { refund: None, history_lost: false };
    pay.looked_up = Some(Box::new(LookedUp { at, found }));
    for _ in 0..2 {
        assert_eq!(world.run(Command::Pay(pay.clone())), Err(Rejection::OrderNotFound));
    }
    let owed: usize = world.slots().map(|slot| slot.refunds().len()).sum();
    assert_eq!(owed, 1, "recorded once");
}

/// A page is filled from one slot after the other, and is never longer than asked for.
#[test]
fn refunds_of_several_slots_come_in_one_page() {
    let mut world = World::new(1);
    let n = world.names([0; 3]);
    world.run_all((0..3).map(|nth| n.create(nth)));
    let slots: BTreeSet<_> = (0..3).map(|nth| n.order(nth).slot()).collect();
    assert_eq!(slots.len(), 3, "each order is in a slot of its own");
    for (nth, txn) in [(0, 0), (1, 1), (1, 2), (2, 3), (2, 4), (2, 5)] {
        assert_eq!(world.run(n.pay(nth, txn)), Err(Rejection::InvalidTransition));
    }
    for limit in 1..=7 {
        let (mut after, mut all) = (None, Vec::new());
        loop {
            let list = Command::ListRefunds(ListRefunds { status: None, after, limit });
            let Ok(Answer::Refunds(page)) = world.run(list) else { panic!("no page") };
            assert_eq!(page.len(), limit.min(6 - all.len()), "pages of {limit}, behind {}", all.len());
            let Some(last) = page.last() else { break };
            after = Some(last.cursor);
            all.extend(page.into_iter().map(|refund| refund.cursor));
        }
        assert!(all.len() == 6 && all.is_sorted_by(|one, next| one < next), "{all:?}");
    }
}
