//! Nothing leaves before its record, and every record before that, is durable; nor before what it merely shows is.

use std::sync::Arc;

use engine::answer::{Answer, OrderStatus, Rejection, Reply};
use engine::command::{Command, ListRefunds, RunQuery};
use engine::text::Text;
use wal::disk::Lane;
use wal::files::Trouble;

use crate::support::catalogue::{Table, coach, run};
use crate::support::names::{create, key, partition, reference};
use crate::support::world::{HOLD_TTL_MS, START};
use crate::support::{Names, Setup, World};

/// Nothing has left the world's shards.
#[track_caller]
fn nothing_left(world: &World) {
    assert_eq!(world.replies.len(), 0, "{:?}", world.replies);
    assert_eq!(world.mail, []);
}

/// A paid order gets its ticket by itself, in the same batch or a later one: either shows as the later.
fn ticketed(mut reply: Reply) -> Reply {
    if let Ok(Answer::Order(view)) = &mut reply
        && view.status == OrderStatus::Paid
    {
        view.status = OrderStatus::Ticketed;
    }
    reply
}

fn alone(before: &[Command]) -> World {
    let mut world = World::new(1);
    world.settle();
    for command in before {
        let _ = world.run(command.clone());
    }
    world
}

/// `change` makes a record; `shown` shows it, whatever it writes itself. Wherever the two stand in batches, the reply
/// to `shown` leaves with the durability of the record, and not before.
#[track_caller]
fn check(before: &[Command], change: &Command, shown: &Command, expected: impl Fn(&Reply) -> bool) {
    // In one batch.
    let mut world = alone(before);
    let callers = [world.submit(change.clone()), world.submit(shown.clone())];
    world.turn(0);
    world.turn(0);
    nothing_left(&world);
    assert!(world.finish(0, Lane::Write));
    nothing_left(&world);
    world.turn(0);
    world.reply(callers[0]).expect("its record is durable").expect("the change is made");
    let reply = ticketed(world.reply(callers[1]).expect("what it shows is durable"));
    assert!(expected(&reply), "{reply:?}");
    let mut survivor = world.after_power_cut();
    assert_eq!(ticketed(survivor.run(shown.clone())), reply, "a crash takes back what was seen");

    // While the record is being written.
    let mut world = alone(before);
    world.submit(change.clone());
    world.turn(0);
    world.submit(shown.clone());
    world.turn(0);
    world.turn(0);
    nothing_left(&world);
    world.finish_write(0);
    world.settle();
    assert_eq!(world.replies.len(), 2);

    // While the record waits behind a write.
    let mut world = alone(before);
    let other = world.submit(create(key("other"), 1, 1_000));
    world.turn(0);
    let caller = world.submit(change.clone());
    world.turn(0);
    let shown = world.submit(shown.clone());
    world.turn(0);
    nothing_left(&world);
    world.finish_write(0);
    assert!(world.reply(other).is_some());
    nothing_left(&world);
    world.finish_write(0);
    world.settle();
    assert!(world.reply(caller).is_some() && world.reply(shown).is_some());
}

fn is_order(status: OrderStatus) -> impl Fn(&Reply) -> bool {
    move |reply| matches!(reply, Ok(Answer::Order(view)) if view.status == status)
}

fn is(rejection: Rejection) -> impl Fn(&Reply) -> bool {
    move |reply| *reply == Err(rejection)
}

fn is_available(seats: u32) -> impl Fn(&Reply) -> bool {
    move |reply| matches!(reply, Ok(Answer::Availability { available, .. }) if *available == seats)
}

fn is_partition(reply: &Reply) -> bool {
    matches!(reply, Ok(Answer::Partition(_)))
}

fn names() -> Names {
    World::new(1).names([0; 3])
}

#[test]
fn what_reads_show() {
    let n = names();
    check(&[], &n.create(0), &n.get(0), is_order(OrderStatus::Init));
    check(&[], &n.try_hold("a", 1), &n.availability(), is_available(3));
    check(&[n.try_hold("a", 1)], &n.release("a"), &n.availability(), is_available(4));
    let paid = [n.create(0), n.reserve(0)];
    check(&paid, &n.pay(0, 0), &n.get(0), is_order(OrderStatus::Ticketed));
}

#[test]
fn what_a_look_at_a_run_shows() {
    const KEY: &str = "G1|2027-01-01|1st";
    let mut setup = Setup::new(1);
    setup.catalogue = Arc::new(Table::default().sells(KEY, coach("1", 1, 2), run(3, START.plus(1 << 40))));
    let mut world = World::of(setup);
    let mut n = world.names([0; 3]);
    n.partition = partition(KEY);
    world.settle();
    world.submit(n.try_hold("a", 1));
    world.turn(0);
    let query = RunQuery { train: Text::from("G1"), date: Text::from("2027-01-01"), span: None };
    let caller = world.submit(Command::Run(query));
    world.turn(0);
    nothing_left(&world);
    world.finish_write(0);
    let Some(Ok(Answer::Run(view))) = world.reply(caller) else { panic!("no answer") };
    assert_eq!(view.classes[0].available, 3);
}

#[test]
fn what_repeats_show() {
    let n = names();
    let created = [n.create(0)];
    let reserved = [n.create(0), n.reserve(0)];
    check(&[], &n.create(0), &n.create(0), is_order(OrderStatus::Init));
    check(&[], &n.try_hold("a", 1), &n.try_hold("a", 1), is_partition);
    check(&[n.try_hold("a", 1)], &n.release("a"), &n.release("a"), is_partition);
    check(&[n.try_hold("a", 1)], &n.confirm("a"), &n.confirm("a"), is_partition);
    check(&created, &n.reserve(0), &n.reserve(0), is_order(OrderStatus::Reserved));
    check(&created, &n.cancel(0), &n.cancel(0), is_order(OrderStatus::Cancelled));
    check(&reserved, &n.pay(0, 0), &n.pay(0, 0), is_order(OrderStatus::Ticketed));
}

#[test]
fn what_refusals_show() {
    let n = names();
    let other_amount = create(n.key(0), 7, 0);
    check(&[], &n.create(0), &other_amount, is(Rejection::AmountDiffers));
    check(&[], &n.try_hold("a", 4), &n.try_hold("b", 1), is(Rejection::InsufficientStock));
    check(&[], &n.try_hold("a", 1), &n.try_hold("a", 2), is(Rejection::HoldDiffers));
    check(&[n.try_hold("a", 1)], &n.release("a"), &n.confirm("a"), is(Rejection::HoldReleased));
    check(&[n.try_hold("a", 1)], &n.confirm("a"), &n.release("a"), is(Rejection::HoldConfirmed));
    let paid = [n.create(0), n.reserve(0), n.pay(0, 0)];
    check(&paid[..2], &n.pay(0, 0), &n.cancel(0), is(Rejection::InvalidTransition));
    check(&paid[..1], &n.cancel(0), &n.reserve(0), is(Rejection::InvalidTransition));
}

/// The order, the partition and the transaction id are in three slots of one core: the refusal comes from another slot
/// than the one that answers the client.
#[test]
fn what_refusals_show_of_other_slots() {
    let n = names();
    let sold_out = [n.create(0)];
    check(&sold_out, &n.try_hold("a", 4), &n.reserve(0), is(Rejection::InsufficientStock));
    let two = [n.create(0), n.create(1), n.reserve(0), n.reserve(1)];
    check(&two, &n.pay(0, 0), &n.pay(1, 0), is(Rejection::TxnUsed));
}

#[test]
fn what_listings_of_refunds_show() {
    let n = names();
    let list = Command::ListRefunds(ListRefunds { status: None, after: None, limit: 10 });
    let count = |n: usize| move |reply: &Reply| matches!(reply, Ok(Answer::Refunds(all)) if all.len() == n);
    let mut world = alone(&[n.create(0)]);
    // Money for an order that nobody reserved for: owed back, and refused.
    let callers = [world.submit(n.pay(0, 0)), world.submit(list)];
    world.turn(0);
    world.turn(0);
    nothing_left(&world);
    world.finish_write(0);
    assert_eq!(world.reply(callers[0]), Some(Err(Rejection::InvalidTransition)));
    assert!(count(1)(&world.reply(callers[1]).unwrap()));

    let settle = |text: &str| Command::SettleRefund {
        order: n.order(0).name(),
        txn: n.txn(0),
        reference: reference(text),
    };
    let before = [n.create(0), n.pay(0, 0)];
    let is_refund = |reply: &Reply| matches!(reply, Ok(Answer::Refund(_)));
    check(&before, &settle("one"), &settle("one"), is_refund);
    check(&before, &settle("one"), &settle("two"), is(Rejection::RefundSettled));
}

/// A read that shows nothing new waits for nothing.
#[test]
fn what_is_durable_is_shown_at_once() {
    let n = names();
    let mut world = alone(&[n.create(0)]);
    let change = world.submit(n.create(1));
    world.turn(0);
    let caller = world.submit(n.get(0));
    world.turn(0);
    assert!(is_order(OrderStatus::Init)(&world.reply(caller).expect("it was durable long ago")));
    assert_eq!(world.reply(change), None);
}

#[test]
fn expiry_that_a_read_finds_is_durable_before_it_is_shown() {
    let n = names();
    let mut world = alone(&[n.try_hold("a", 1)]);
    world.now = world.now.plus(HOLD_TTL_MS);
    let caller = world.submit(n.availability());
    world.turn(0);
    nothing_left(&world);
    world.drain(0);
    assert!(is_available(4)(&world.reply(caller).unwrap()));
}

#[test]
fn messages_wait_for_what_they_are_based_on() {
    let mut world = World::new(2);
    let n = world.names([0, 1, 1]);
    world.settle();
    world.submit(n.create(0));
    let caller = world.submit(n.reserve(0));
    // The ask shows that the order was created.
    world.turn(0);
    world.turn(0);
    nothing_left(&world);
    world.finish_write(0);
    let ask = world.take_mail(|mail| mail.is_ask()).expect("the order is durable");
    world.replies.clear();
    // The answer and the tell show the hold.
    world.deliver(ask.clone());
    world.turn(1);
    world.turn(1);
    nothing_left(&world);
    // Another ask, of which nothing is recorded, shows it as well.
    world.deliver(ask.asked_again());
    world.turn(1);
    nothing_left(&world);
    world.finish_write(1);
    assert_eq!(world.mail.iter().filter(|mail| mail.is_answer()).count(), 2);
    let tell = world.take_mail(|mail| mail.is_tell()).expect("the hold is durable");
    let answer = world.take_mail(|mail| mail.is_answer()).expect("the hold is durable");
    world.mail.clear();
    // The acknowledgement shows that the order knows of the hold; so does that of a repeat.
    world.deliver(tell.clone());
    world.turn(0);
    world.deliver(tell);
    world.turn(0);
    nothing_left(&world);
    // And the reply, although the operation itself finds it recorded.
    world.deliver(answer);
    world.turn(0);
    nothing_left(&world);
    world.finish_write(0);
    assert_eq!(world.mail.iter().filter(|mail| mail.is_ack()).count(), 2);
    assert!(is_order(OrderStatus::Reserved)(&world.reply(caller).unwrap()));
}

/// Order and transaction id share a core, the partition is on another: nobody there may sell on a claim that a crash
/// can take back, or another order could claim the same money.
#[test]
fn a_claim_is_durable_before_another_core_sells_on_it() {
    let mut world = World::new(2);
    let n = world.names([0, 1, 0]);
    for command in [n.create(0), n.reserve(0), n.create(1), n.reserve(1)] {
        world.run(command).unwrap();
    }
    world.submit(n.pay(0, 0));
    world.turn(0);
    world.turn(0);
    nothing_left(&world);
    world.finish_write(0);
    let confirm = world.take_mail(|mail| mail.is_ask()).expect("the claim is durable");
    world.deliver(confirm);
    world.turn(1);
    world.finish_write(1);
    world.crash(|| false);
    world.pass(10 * shard::limits::RESEND_MS);
    assert!(is_order(OrderStatus::Ticketed)(&world.run(n.get(0))));
    assert_eq!(world.run(n.pay(1, 0)), Err(Rejection::TxnUsed));
}

/// The payment and the ticket are one write, and neither is heard of before it is durable.
#[test]
fn a_ticket_follows_its_payment_by_itself() {
    let n = names();
    let mut world = alone(&[n.create(0), n.reserve(0)]);
    world.submit(n.pay(0, 0));
    world.turn(0);
    nothing_left(&world);
    assert_eq!(
        world.shard(0).tickets().position,
        world.shard(0).log().durable(),
        "nothing shows before it is durable"
    );
    world.finish_write(0);
    let status = world.shard(0).tickets();
    assert_eq!((status.position, status.oldest), (world.shard(0).log().durable(), None));
    world.crash(|| false);
    world.settle();
    assert!(is_order(OrderStatus::Ticketed)(&world.run(n.get(0))));
}

/// What is held back when a write fails is never let go, whatever happens to the shard afterwards.
#[test]
fn a_failed_write_is_the_end() {
    const EIO: i32 = 5;
    const ENOSPC: i32 = 28;
    let n = names();
    for (errno, on_sync) in [(EIO, false), (EIO, true), (ENOSPC, false), (ENOSPC, true)] {
        let mut world = alone(&[n.create(0)]);
        let fail = |world: &World| world.files.trouble(Trouble { step: world.files.steps(), errno });
        if !on_sync {
            fail(&world);
        }
        let lost = world.submit(n.try_hold("a", 1));
        world.turn(0);
        // In the batch behind the failed write; a read of what was to be written; and a message.
        world.submit(n.try_hold("b", 1));
        world.submit(n.availability());
        world.submit(n.reserve(0));
        world.turn(0);
        if on_sync {
            fail(&world);
        }
        assert!(world.finish(0, Lane::Write));
        for _ in 0..5 {
            world.try_turn(0).expect_err("the write failed");
            world.submit(n.availability());
            world.finish(0, Lane::Jobs);
            world.finish(0, Lane::Write);
            world.now = world.now.plus(1_000);
        }
        nothing_left(&world);
        // Recovery decides: the failed write may be there or not, and what was acknowledged is.
        world.crash(|| false);
        world.settle();
        assert!(is_order(OrderStatus::Init)(&world.run(n.get(0))));
        assert_eq!(world.reply(lost), None);
        assert!(is_partition(&world.run(n.try_hold("a", 1))));
    }
}

#[test]
fn a_failed_write_on_one_core_stops_that_core_alone() {
    let mut world = World::new(2);
    let n = world.names([0, 1, 1]);
    world.run(n.create(0)).unwrap();
    let reserve = world.submit(n.reserve(0));
    world.turn(0);
    let ask = world.take_mail(|mail| mail.is_ask()).unwrap();
    world.deliver(ask);
    world.turn(1);
    world.files.trouble(Trouble { step: world.files.steps(), errno: 5 });
    world.finish(1, Lane::Write);
    world.try_turn(1).expect_err("the write failed");
    nothing_left(&world);
    let other = world.submit(n.create(1));
    world.drain(0);
    world.reply(other).expect("core 0 is well").unwrap();
    assert_eq!(world.reply(reserve), None);
}
