//! Every way in which a race can go: a walk over all states that any order of deliveries reaches.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;

use engine::answer::{HoldStatus, OrderStatus, Rejection};
use engine::command::{Command, Pay};
use engine::ids::{OrderId, SlotId};
use engine::state::Order;

use super::{Chaos, Event, command};
use crate::support::check;
use crate::support::names::Names;
use crate::support::world::{Mail, Ticket, World};

/// One thing that can happen next.
#[derive(Clone, Debug)]
enum Action {
    Begin(usize),
    Deliver(usize),
    Double(usize),
    Due(SlotId),
    Sweep(OrderId),
    Crash,
}

#[derive(Clone)]
struct State {
    world: World,
    begun: Vec<bool>,
    chaos: Chaos,
    path: Option<Rc<Path>>,
}

/// The last thing that happened, and what was before it.
struct Path {
    before: Option<Rc<Path>>,
    action: Action,
    mail: Option<Mail>,
}

/// Walks all states; returns how many there are.
pub(super) fn explore(names: &Names, world: World, events: &[Event], chaos: Chaos, what: &str) -> usize {
    let race = Race { names, events };
    let mut seen = HashSet::new();
    let begun = vec![false; events.len()];
    let mut open = vec![State { world, begun, chaos, path: None }];
    while let Some(state) = open.pop() {
        let _described = Described { what, events, path: state.path.as_ref() };
        race.check(&state);
        let actions = state.actions();
        if actions.is_empty() {
            race.check_end(&state);
        }
        for action in actions {
            let next = race.act(&state, &action);
            if seen.insert(digest(&next)) {
                open.push(next);
            }
        }
    }
    seen.len()
}

/// Says on the way out of a panic how it came to it.
struct Described<'a> {
    what: &'a str,
    events: &'a [Event],
    path: Option<&'a Rc<Path>>,
}

impl Drop for Described<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        eprintln!("{} {:?}, after:", self.what, self.events);
        let mut steps: Vec<&Path> =
            std::iter::successors(self.path.map(|p| &**p), |p| p.before.as_deref()).collect();
        steps.reverse();
        steps.iter().for_each(|step| eprintln!("  {:?} {:?}", step.action, step.mail));
    }
}

fn digest(state: &State) -> (u64, u64) {
    let bytes = state.world.fingerprint();
    let digest = |salt: u64| {
        let mut hasher = DefaultHasher::new();
        (salt, &bytes, &state.begun, state.chaos.crashes, state.chaos.doubles).hash(&mut hasher);
        hasher.finish()
    };
    (digest(1), digest(2))
}

impl State {
    fn actions(&self) -> Vec<Action> {
        let mut actions: Vec<Action> = Vec::new();
        let mail = &self.world.mail;
        let distinct = (0..mail.len()).filter(|&i| !mail[..i].contains(&mail[i]));
        actions.extend(distinct.clone().map(Action::Deliver));
        actions.extend((0..self.begun.len()).filter(|&i| !self.begun[i]).map(Action::Begin));
        actions.extend(self.world.due_slots().into_iter().map(Action::Due));
        actions.extend(self.world.overdue().into_iter().map(Action::Sweep));
        // What nothing is under way for, a crash and a double change nothing of.
        if self.chaos.crashes > 0 && !self.world.is_idle() {
            actions.push(Action::Crash);
        }
        if self.chaos.doubles > 0 {
            actions.extend(distinct.map(Action::Double));
        }
        actions
    }
}

struct Race<'a> {
    names: &'a Names,
    events: &'a [Event],
}

impl Race<'_> {
    fn act(&self, state: &State, action: &Action) -> State {
        let mut next = state.clone();
        let world = &mut next.world;
        let mail = match action {
            Action::Deliver(i) | Action::Double(i) => Some(world.mail[*i].clone()),
            _ => None,
        };
        match *action {
            Action::Begin(i) => {
                next.begun[i] = true;
                match command(self.names, self.events[i]) {
                    Some(command) => world.submit_as(Ticket(i as u64), command),
                    None if self.events[i] == Event::Abandon => world.wait(world.policy.abandon_ms),
                    None => world.wait(world.policy.hold_ttl_ms),
                }
            }
            Action::Deliver(i) => world.deliver(i),
            Action::Double(i) => {
                let copy = world.mail[i].clone();
                world.mail.push(copy);
                next.chaos.doubles -= 1;
            }
            Action::Due(slot) => assert!(world.do_one_due(slot)),
            Action::Sweep(order) => world.sweep_one(order),
            Action::Crash => {
                world.crash();
                next.chaos.crashes -= 1;
            }
        }
        next.path = Some(Rc::new(Path { before: state.path.clone(), action: action.clone(), mail }));
        next
    }

    fn order<'w>(&self, world: &'w World, nth: usize) -> &'w Order {
        let id = self.names.order(nth);
        world.slot(id.slot()).and_then(|slot| slot.orders().get(id)).expect("created before the race")
    }

    /// In every state: what holds always, and whatever was replied is still true.
    fn check(&self, state: &State) {
        let world = &state.world;
        check::always(world);
        for (i, event) in self.events.iter().enumerate() {
            let Some(reply) = world.replies.get(&Ticket(i as u64)) else { continue };
            let nth = usize::from(matches!(
                event,
                Event::PayNeighbour
                    | Event::ReserveNeighbour
                    | Event::CancelNeighbour
                    | Event::ReserveSameHold
            ));
            let now = self.order(world, nth);
            let refusal = reply.as_ref().err().copied();
            match event {
                Event::Pay | Event::PayAgain | Event::PayNeighbour => {
                    self.pay_is_true(world, *event, refusal)
                }
                Event::Cancel | Event::CancelNeighbour => match refusal {
                    None => assert_eq!(now.row.status, OrderStatus::Cancelled),
                    Some(Rejection::InvalidTransition) => assert!(is_paid(now), "{now:?}"),
                    other => panic!("cancel: {other:?}"),
                },
                Event::Ticket => match refusal {
                    None => assert_eq!(now.row.status, OrderStatus::Ticketed),
                    other => assert_eq!(other, Some(Rejection::InvalidTransition)),
                },
                Event::Reserve | Event::ReserveOther | Event::ReserveNeighbour | Event::ReserveSameHold
                    if refusal.is_none() =>
                {
                    let wanted = command(self.names, *event);
                    let Some(Command::Reserve(wanted)) = wanted else { unreachable!() };
                    let reservation = now.row.reservation.as_ref().expect("what was reserved stays");
                    assert_eq!(reservation.hold, wanted.seats.hold);
                }
                Event::ConfirmHold if refusal.is_none() => {
                    assert_eq!(self.own_hold(world), Some(HoldStatus::Confirmed));
                }
                Event::ReleaseHold if refusal.is_none() => {
                    assert_eq!(self.own_hold(world), Some(HoldStatus::Released));
                }
                Event::Create | Event::Get => assert_eq!(refusal, None),
                _ => {}
            }
        }
    }

    fn own_hold(&self, world: &World) -> Option<HoldStatus> {
        let slot = world.slot(world.hash().partition(&self.names.partition))?;
        let hold = slot.partitions().get(&self.names.partition)?.hold(&self.names.order(0).hold_id())?;
        Some(hold.status)
    }

    /// A payment's reply and what has become of the money.
    fn pay_is_true(&self, world: &World, event: Event, refusal: Option<Rejection>) {
        let Some(Command::Pay(Pay { order, txn, .. })) = command(self.names, event) else { unreachable!() };
        let id = OrderId::parse(order.as_str()).unwrap();
        let slot = world.slot(id.slot()).unwrap();
        let now = slot.orders().get(id).unwrap();
        let owed = slot.refunds().get(&order, &txn).is_some();
        let claim = world.slot(world.hash().txn(&txn)).and_then(|slot| slot.claim(&txn));
        match refusal {
            None => assert!(is_paid(now) && now.row.txn.as_ref() == Some(&txn) && !owed, "{now:?}"),
            Some(Rejection::AlreadyPaid) => assert!(owed && is_paid(now), "{now:?}"),
            Some(Rejection::HoldExpired | Rejection::InvalidTransition) => assert!(owed, "{now:?}"),
            Some(Rejection::TxnUsed) => {
                assert!(!owed && claim.is_some_and(|owner| owner != id), "{claim:?}");
            }
            Some(other) => panic!("{event:?}: {other:?}"),
        }
    }

    /// Where nothing more can happen by itself.
    fn check_end(&self, state: &State) {
        check::settled(&state.world);
        if state.chaos.crashes == 0 {
            self.money(&state.world, false);
        }
        // Either the clients have given up, and time does the rest; or they repeat what was not replied to.
        let mut world = state.world.clone();
        self.run_out(&mut world);

        let mut world = state.world.clone();
        for (i, event) in self.events.iter().enumerate() {
            if world.replies.contains_key(&Ticket(i as u64)) {
                continue;
            }
            let Some(command) = command(self.names, *event) else { continue };
            world.submit_as(Ticket(i as u64), command);
            world.quiet();
            assert!(world.replies.contains_key(&Ticket(i as u64)), "{event:?} was never replied to");
        }
        self.money(&world, true);
        let world = State { world, ..state.clone() };
        self.check(&world);
        check::settled(&world.world);
        self.run_out(&mut { world.world });
    }

    /// Long after, no order waits for anything, and the records alone make the same state.
    fn run_out(&self, world: &mut World) {
        world.later(2 * world.policy.hold_ttl_ms);
        check::settled(world);
        for slot in world.slots() {
            for order in slot.orders().iter() {
                assert_ne!(order.row.status, OrderStatus::Reserved, "stuck: {order:?}");
            }
        }
        check::replay(world);
    }

    /// Every transaction that was claimed paid its order or is owed back, and not both. `all`: every payment was
    /// replied to, so each was claimed by somebody.
    fn money(&self, world: &World, all: bool) {
        for event in self.events {
            let Some(Command::Pay(pay)) = command(self.names, *event) else { continue };
            let claim = world.slot(world.hash().txn(&pay.txn)).and_then(|slot| slot.claim(&pay.txn));
            let Some(owner) = claim else {
                assert!(!all, "{event:?} was replied to and claimed nothing");
                continue;
            };
            let slot = world.slot(owner.slot()).unwrap();
            let paid = slot.orders().get(owner).unwrap().row.txn.as_ref() == Some(&pay.txn);
            let owed = slot.refunds().get(&owner.name(), &pay.txn).is_some();
            assert!(paid != owed, "{event:?}: paid {paid}, owed {owed}");
            let refunds = world.slots().flat_map(|slot| slot.refunds().after(0));
            let of_this = refunds.filter(|row| row.txn == pay.txn).count();
            assert_eq!(of_this, usize::from(owed), "{event:?}: one refund at most for one payment");
        }
    }
}

fn is_paid(order: &Order) -> bool {
    matches!(order.row.status, OrderStatus::Paid | OrderStatus::Ticketed)
}
