//! Tells stand in the outbox of the slot that recorded them until their receiver says that it has recorded what follows.
//! Orders are on core 0; their partition and the transaction ids on core 1, so that tells go from 1 to 0.

use engine::answer::{Answer, HoldStatus, OrderStatus, Rejection};
use engine::message::Fact;
use shard::limits::{RESEND_MS, RESENT_PER_TURN_MAX};
use shard::{Caller, Message};
use wal::disk::Lane;

use crate::support::chance;
use crate::support::check;
use crate::support::world::{HOLD_TTL_MS, Mail};
use crate::support::{Names, World};

/// How many tells wait for their acknowledgement.
fn waiting(world: &World) -> usize {
    world.slots().map(|slot| slot.outbox().len()).sum()
}

#[track_caller]
fn status(world: &World, n: &Names, nth: usize) -> OrderStatus {
    let id = n.order(nth);
    world.slot(id.slot()).orders().get(id).expect("the order is there").row.status
}

/// A hold is made for order 0 on core 1, durably; the answer and the tell are on their way.
fn hold_made() -> (World, Names, Caller) {
    let mut world = World::new(2);
    let n = world.names([0, 1, 1]);
    world.run(n.create(0)).unwrap();
    let caller = world.submit(n.reserve(0));
    world.drain(0);
    world.deliver_all();
    world.drain(1);
    assert_eq!(world.mail.len(), 2, "{:?}", world.mail);
    (world, n, caller)
}

fn take_tell(world: &mut World) -> Mail {
    world.take_mail(Mail::is_tell).expect("a tell is on its way")
}

#[test]
fn a_tell_is_sent_again_until_it_is_acknowledged() {
    let (mut world, n, caller) = hold_made();
    take_tell(&mut world);
    world.deliver_all();
    world.drain(0);
    assert!(world.reply(caller).unwrap().is_ok());
    // It is lost, again and again.
    for _ in 0..3 {
        world.now = world.now.plus(RESEND_MS - 1);
        world.drain(1);
        assert_eq!(world.mail, [], "not yet");
        assert!(world.shard(1).next_wake().is_some_and(|at| at <= world.now.plus(1)));
        world.now = world.now.plus(1);
        world.drain(1);
        take_tell(&mut world);
        assert_eq!(world.mail, [], "once");
    }
    world.now = world.now.plus(RESEND_MS);
    world.settle();
    assert_eq!(waiting(&world), 0);
    world.pass(5 * RESEND_MS);
    assert_eq!(world.shard(1).stats().tells_resent, 4);
    assert_eq!(status(&world, &n, 0), OrderStatus::Reserved);
}

#[test]
fn a_turn_sends_so_many_tells_again_and_no_more() {
    const HOLDS: usize = RESENT_PER_TURN_MAX + 40;
    let mut world = World::new(2);
    let mut n = world.names([0, 1, 1]);
    n.ad_hoc.capacity = 1_000;
    world.run_all((0..HOLDS).map(|nth| n.create(nth)));
    for nth in 0..HOLDS {
        world.submit(n.reserve(nth));
    }
    world.drain(0);
    world.deliver_all();
    world.drain(1);
    world.mail.clear();
    world.now = world.now.plus(RESEND_MS);
    for expected in [RESENT_PER_TURN_MAX, HOLDS, HOLDS] {
        world.turn(1);
        assert_eq!(world.shard(1).stats().tells_resent, expected as u64);
        assert_eq!(world.mail.iter().filter(|mail| mail.is_tell()).count(), expected);
    }
    world.settle();
    assert_eq!(waiting(&world), 0);
}

#[test]
fn a_tell_makes_a_lost_answer_good() {
    let (mut world, n, _) = hold_made();
    world.take_mail(Mail::is_answer).unwrap();
    world.settle();
    assert_eq!(status(&world, &n, 0), OrderStatus::Reserved);
    assert_eq!(waiting(&world), 0);
}

#[test]
fn repeats_are_recorded_once() {
    let (mut world, n, caller) = hold_made();
    let tell = take_tell(&mut world);
    let answer = world.take_mail(Mail::is_answer).unwrap();
    for mail in [&tell, &tell, &answer, &answer, &tell] {
        world.deliver(mail.clone());
    }
    world.drain(0);
    assert_eq!(world.shard(0).stats().tally.orders_reserved, 1);
    let acks = world.mail.clone();
    assert_eq!(acks.len(), 3, "each tell is acknowledged: {acks:?}");
    let records = world.shard(1).stats().tally.records;
    world.deliver_all();
    world.drain(1);
    assert_eq!(world.shard(1).stats().tally.records, records + 1, "one record notes them");
    acks.into_iter().for_each(|ack| world.deliver(ack));
    world.deliver(tell);
    world.settle();
    assert_eq!(world.shard(1).stats().tally.records, records + 1);
    assert_eq!((waiting(&world), status(&world, &n, 0)), (0, OrderStatus::Reserved));
    assert!(world.reply(caller).unwrap().is_ok());
}

/// An acknowledgement counts once its own record is durable; before that a crash brings the tell back.
#[test]
fn acknowledgements_are_noted_by_a_record() {
    for durable in [false, true] {
        let (mut world, n, _) = hold_made();
        world.deliver_all();
        world.drain(0);
        world.deliver_all();
        world.turn(1);
        assert_eq!(waiting(&world), 0);
        if durable {
            world.finish_write(1);
        }
        world.crash(|| false);
        assert_eq!(waiting(&world), usize::from(!durable));
        world.settle();
        assert_eq!((waiting(&world), status(&world, &n, 0)), (0, OrderStatus::Reserved));
    }
}

/// What comes in is noted in the turn that takes it, whatever made it come.
#[test]
fn acknowledgements_do_not_wait_for_another_turn() {
    let mut world = World::new(1);
    let n = world.names([0; 3]);
    world.run(n.create(0)).unwrap();
    world.submit(n.reserve(0));
    world.turn(0);
    assert_eq!((status(&world, &n, 0), waiting(&world)), (OrderStatus::Reserved, 0));
    world.settle();
    world.now = world.now.plus(HOLD_TTL_MS);
    world.turn(0);
    assert_eq!((status(&world, &n, 0), waiting(&world)), (OrderStatus::Cancelled, 0));
}

/// Rings keep the order of what a slot tells; the order's ledger does not rest on it.
#[test]
fn the_end_of_a_hold_that_overtakes_its_beginning_is_told_again() {
    let (mut world, n, _) = hold_made();
    world.mail.clear();
    world.now = world.now.plus(HOLD_TTL_MS);
    world.drain(1);
    let is_end = |mail: &Mail| matches!(&mail.envelope.message, Message::Tell(tell) if matches!(tell.fact, Fact::HoldExpired { .. }));
    let end = world.take_mail(is_end).expect("the end is told");
    world.mail.clear();
    world.deliver(end);
    world.drain(0);
    assert_eq!((status(&world, &n, 0), world.mail.len()), (OrderStatus::Init, 0), "not acknowledged");
    assert_eq!(waiting(&world), 2);
    world.pass(2 * RESEND_MS);
    assert_eq!((status(&world, &n, 0), waiting(&world)), (OrderStatus::Cancelled, 0));
    assert_eq!(world.shard(0).stats().tally.orders_reserved, 1);
}

/// The order was cancelled while the hold was made for it: the hold is given back.
#[test]
fn a_hold_that_its_order_does_not_want_is_released() {
    let (mut world, n, _) = hold_made();
    world.crash(|| false);
    let cancel = world.submit(n.cancel(0));
    world.drain(0);
    assert!(world.reply(cancel).unwrap().is_ok());
    world.drain(1);
    let tell = take_tell(&mut world);
    world.deliver(tell.clone());
    world.deliver(tell);
    world.settle();
    let p = world.slots().find_map(|slot| slot.partitions().get(&n.partition)).unwrap();
    assert_eq!(p.hold(&n.order(0).hold_id()).unwrap().status, HoldStatus::Released);
    assert!(matches!(world.run(n.availability()), Ok(Answer::Availability { available: 4, .. })));
    assert_eq!(waiting(&world), 0);
    assert_eq!(world.shard(1).stats().tally.holds_released, 1);
}

/// A client who paid and heard nothing because of a crash need not come back: the claim pays by itself.
#[test]
fn a_claim_that_a_crash_interrupted_pays() {
    let mut world = World::new(2);
    let n = world.names([0, 1, 1]);
    world.run(n.create(0)).unwrap();
    world.run(n.reserve(0)).unwrap();
    world.submit(n.pay(0, 0));
    world.drain(0);
    world.deliver_all();
    world.drain(1);
    world.crash(|| false);
    world.settle();
    assert_eq!(status(&world, &n, 0), OrderStatus::Ticketed);
    assert_eq!(waiting(&world), 0);
    assert!(world.run(n.pay(0, 0)).is_ok());
}

/// After its hold has run out the claimed money is owed back, once.
#[test]
fn a_claim_that_comes_too_late_is_owed_back() {
    let mut world = World::new(2);
    let n = world.names([0, 1, 1]);
    world.run(n.create(0)).unwrap();
    world.run(n.reserve(0)).unwrap();
    world.submit(n.pay(0, 0));
    world.drain(0);
    world.deliver_all();
    world.drain(1);
    world.stop(|| false);
    world.now = world.now.plus(HOLD_TTL_MS);
    world.start().unwrap();
    world.settle();
    assert_eq!(status(&world, &n, 0), OrderStatus::Cancelled);
    assert_eq!(waiting(&world), 0);
    assert_eq!(world.run(n.pay(0, 0)), Err(Rejection::HoldExpired));
    assert_eq!(world.slots().map(|slot| slot.refunds().len()).sum::<usize>(), 1);
}

/// Messages overtake each other and come twice; all the same each order ends as its client was told.
#[test]
fn any_order_of_arrival_will_do() {
    let mut world = World::new(3);
    let mut rng = fastrand::Rng::with_seed(1);
    let mut n = world.names([0, 1, 2]);
    n.ad_hoc.capacity = 1_000;
    for nth in 0..150 {
        world.run(n.create(nth)).unwrap();
        let mut commands = vec![n.reserve(nth), n.reserve(nth), n.pay(nth, nth)];
        if chance(&mut rng, 50) {
            let at = rng.usize(..commands.len() + 1);
            commands.insert(at, n.cancel(nth));
        }
        let callers: Vec<Caller> = commands.into_iter().map(|command| world.submit(command)).collect();
        for _ in 0..60 {
            (0..3).for_each(|core| world.drain(core));
            if world.mail.is_empty() {
                break;
            }
            let mail = world.mail.remove(rng.usize(..world.mail.len()));
            if chance(&mut rng, 30) {
                world.mail.push(mail.clone());
            }
            world.deliver(mail);
        }
        world.settle();
        let replies: Vec<_> = callers.into_iter().map(|caller| world.reply(caller).unwrap()).collect();
        match status(&world, &n, nth) {
            OrderStatus::Ticketed => assert!(replies.iter().any(Result::is_ok)),
            OrderStatus::Cancelled | OrderStatus::Reserved => {
                assert!(replies.contains(&Err(Rejection::InvalidTransition)), "{replies:?}");
            }
            other => panic!("{other:?} after {replies:?}"),
        }
        assert_eq!(waiting(&world), 0);
    }
    check::always(&world);
    world.pass(2 * HOLD_TTL_MS);
    check::at_rest(&world);
}

/// The next thing that happens to a world whose parts move in turn; `false` when nothing is left to do.
fn step(world: &mut World) -> bool {
    for core in 0..world.cores() {
        if world.wants_turn(core) {
            world.turn(core);
            return true;
        }
    }
    for core in 0..world.cores() {
        if world.finish(core, Lane::Write) || world.finish(core, Lane::Jobs) {
            return true;
        }
    }
    if world.mail.is_empty() {
        return false;
    }
    let mail = world.mail.remove(0);
    world.deliver(mail);
    true
}

/// The power goes after every single step of an operation: what was begun is brought to an end by the outboxes alone.
#[test]
fn a_crash_after_any_step_leaves_nothing_half_done() {
    let n = World::new(2).names([0, 1, 1]);
    let flows = [
        vec![n.create(0), n.reserve(0)],
        vec![n.create(0), n.reserve(0), n.pay(0, 0)],
        vec![n.create(0), n.reserve(0), n.cancel(0)],
        vec![n.create(0), n.reserve(0), n.pay(0, 0), n.pay(0, 1)],
    ];
    for mut flow in flows {
        let mut world = World::new(2);
        let command = flow.pop().expect("a flow has an end");
        flow.into_iter().for_each(|command| {
            world.run(command).unwrap();
        });
        let caller = world.submit(command.clone());
        while step(&mut world) {
            let mut survivor = world.after_power_cut();
            survivor.settle();
            check::always(&survivor);
            check::no_message_waits(&survivor);
            if let Some(reply) = world.replies.get(&caller) {
                assert_eq!(survivor.run(command.clone()), *reply, "the answer is repeatable");
            }
            survivor.pass(2 * HOLD_TTL_MS);
            check::at_rest(&survivor);
        }
        assert!(world.reply(caller).is_some());
    }
}
