//! Payments whose order the engine does not have: the read model is asked, and the payment goes again with what it knows.

use engine::answer::Reply;
use engine::command::{Command, Found, LookedUp, Pay};
use engine::ids::Time;

use super::Clients;
use crate::checks::model::leave::LOOKED_UP_MS;
use crate::counters::Covered;
use crate::world::World;

/// A payment that waits for the read model.
#[derive(Debug, Clone)]
pub(super) struct LookUp {
    /// Its place in the history of all requests.
    pub number: usize,
    pub pay: Pay,
    /// When the engine did not have its order.
    pub at: Time,
}

impl Clients {
    /// Some payment waits for the read model.
    pub(crate) fn looks_up(&self) -> bool {
        !self.lookups.is_empty()
    }

    /// The read model answers the payment that waits longest, or cannot: its client is told nothing then.
    pub(crate) fn look_up(&mut self, world: &mut World) {
        let LookUp { number, pay, at } = self.lookups.pop_front().expect("some payment waits");
        let Some(found) = world.sinks.look_up(&world.model, &pay.order, &pay.txn) else {
            world.coverage.count(Covered::LookedUpNever);
            return;
        };
        world.coverage.count(Covered::LookedUp);
        if matches!(found, Found::Nothing { .. }) {
            world.coverage.count(Covered::LookedUpNobody);
        }
        if world.rng.percent(2) {
            // On its way back it takes too long.
            world.machine.pass(LOOKED_UP_MS + 1_000);
            world.coverage.count(Covered::LookedUpLate);
        }
        let looked_up = Some(Box::new(LookedUp { at, found }));
        let command = Command::Pay(Pay { looked_up, ..pay });
        self.history[number].command = command.clone();
        self.send(world, number, command);
    }
}

/// Counts what became of a payment that was looked up.
pub(super) fn count(world: &mut World, command: &Command, reply: &Reply) {
    let Command::Pay(Pay { looked_up: Some(looked_up), .. }) = command else { return };
    let Found::Order { refund, .. } = &looked_up.found else { return };
    world.coverage.add(Covered::LookedUpKept, u64::from(reply.is_ok()));
    world.coverage.add(Covered::LookedUpRefused, u64::from(reply.is_err() && refund.is_some()));
}
