//! Holds that end while their order has not heard of them, and mail that comes when they are long forgotten.

use engine::answer::HoldStatus;
use engine::message::Ask;
use engine::record::Body;

use crate::support::catalogue::Table;
use crate::support::check;
use crate::support::names::{APART, Names};
use crate::support::word;
use crate::support::world::{Mail, World};

/// The states of holds that an order owns.
fn owned(world: &World) -> Vec<HoldStatus> {
    let holds = world.slots().flat_map(|slot| slot.partitions().iter()).flat_map(|(_, p)| p.holds());
    holds.filter(|(_, hold)| hold.owner.is_some()).map(|(_, hold)| hold.status).collect()
}

/// A hold is made and expires, and its order hears of neither.
fn let_a_hold_end_unheard(world: &mut World, names: &Names) {
    world.run(names.create(0)).unwrap();
    world.submit(names.reserve(0));
    world.deliver(0);
    world.crash();
    world.mail.clear();
    world.wait(world.policy.hold_ttl_ms);
    world.do_due();
}

/// Until its order has heard of its end. Else a repeat would make a second hold under the id, and the order take what it
/// hears of one for the other's.
#[test]
fn a_hold_is_remembered_until_its_order_has_heard_all_of_it() {
    let names = Names::new(APART);
    let mut world = World::new(Table::default());
    // Else the order would be given up first.
    world.policy.abandon_ms = 4 * world.policy.hold_memory_ms;
    let_a_hold_end_unheard(&mut world, &names);
    world.wait(world.policy.hold_memory_ms);
    world.do_due();
    assert_eq!(owned(&world), [HoldStatus::Expired]);
    // Nothing is due before the order has heard, after a restart as well.
    world.reload();
    world.mail.clear();
    let home = world.hash().partition(&names.partition);
    assert_eq!(world.slot(home).unwrap().next_due(&world.policy), None);
    assert_eq!(word(&world.run(names.reserve(0))), "!HoldExpired");
    // Of its beginning alone is not enough.
    world.resend();
    world.deliver(0);
    world.deliver(1);
    world.mail.clear();
    assert_eq!(word(&world.run(names.get(0))), "Cancelled(HoldExpired)");
    world.do_due();
    assert_eq!(owned(&world), [HoldStatus::Expired]);
    world.resend();
    world.quiet();
    world.do_due();
    assert_eq!(owned(&world), []);
    check::settled(&world);
}

/// Mail that is late by as long as an ended hold is remembered: the request of the order for a hold, which comes a second time and
/// makes another one under the id, and the request to confirm the first.
#[test]
fn a_late_request_acts_on_no_later_hold_of_the_same_id() {
    let names = Names::new(APART);
    let mut world = World::new(Table::default());
    world.run(names.create(0)).unwrap();
    world.submit(names.reserve(0));
    let reserve = world.mail.clone();
    world.quiet();
    world.submit(names.pay(0, 0));
    let confirms = |mail: &Mail| matches!(mail, Mail::Ask { ask: Ask::Confirm { .. }, .. });
    while !world.mail.iter().any(confirms) {
        world.deliver(0);
    }
    let mut confirm = std::mem::take(&mut world.mail);
    confirm.retain(confirms);
    world.crash();
    world.later(world.policy.hold_ttl_ms);
    world.later(world.policy.hold_memory_ms);
    assert_eq!(owned(&world), []);
    world.mail = reserve;
    world.deliver(0);
    let told = std::mem::replace(&mut world.mail, confirm);
    assert_eq!(owned(&world), [HoldStatus::Held]);
    world.quiet();
    assert_eq!(owned(&world), [HoldStatus::Held]);
    // The order does not want it.
    world.mail = told;
    world.quiet();
    assert_eq!(owned(&world), [HoldStatus::Released]);
    assert_eq!(word(&world.run(names.get(0))), "Cancelled(HoldExpired)");
    check::settled(&world);
}

/// As records of earlier builds may say.
#[test]
fn a_hold_that_was_forgotten_unheard_stops_nobody() {
    let names = Names::new(APART);
    let mut world = World::new(Table::default());
    let_a_hold_end_unheard(&mut world, &names);
    let home = world.hash().partition(&names.partition);
    let holds = vec![names.order(0).hold_id()];
    world.append(home, Body::HoldsForgotten { partition: names.partition.clone(), holds });
    world.reload();
    world.mail.clear();
    world.resend();
    world.quiet();
    assert_eq!(word(&world.run(names.get(0))), "Cancelled(HoldExpired)");
    assert!(world.slots().all(|slot| slot.outbox().is_empty()));
    check::replay(&world);
}
