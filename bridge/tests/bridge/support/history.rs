//! Random histories: the operations of the engine's own model, as commands to a world.

use engine::command::{AdHoc, Cancel, Command, ExpectedHold, HoldRef, Pay, Purchase, Reserve, SeatRequest};
use engine::decide::Policy;
use engine::ids::{Cents, HoldId, OrderId, OrderName, PartitionKey, Reference};

use super::catalogue::{Table, coaches, run};
use super::names::{self, APART, Names, hold, order_name, partition, span};
use super::world::{START, World};
use crate::ops::{self, HoldName, Op, Place, Who};

pub(crate) const RUN: &str = "G1|2026-02-11|2nd";

pub(crate) struct History {
    pub(crate) world: World,
    pub(crate) names: Names,
}

impl History {
    pub(crate) fn new() -> History {
        let definition = run("stop", 3, START.plus(ops::RUN_ENDS_AT_MS));
        let mut world = World::new(Table::default().sells(RUN, coaches(&["05"]), definition));
        world.policy = Policy {
            hold_ttl_ms: ops::HOLD_TTL_MS,
            hold_ttl_max_ms: ops::HOLD_TTL_MAX_MS,
            hold_memory_ms: ops::RETENTION_MS,
            abandon_ms: ops::ABANDON_MS,
            // Its stops have departed when the world begins.
            sale_closes_ms: -86_400_000,
            departed_ms: ops::DEPARTED_MS,
            ..Policy::default()
        };
        History { world, names: Names::new(APART) }
    }

    pub(crate) fn orders(&self) -> Vec<OrderId> {
        (0..ops::ALL_ORDERS).map(|nth| self.order(nth)).collect()
    }

    pub(crate) fn step(&mut self, op: &Op) {
        match op {
            Op::Wait { ms, due: true } => self.world.later(*ms),
            Op::Wait { ms, due: false } => self.world.wait(*ms),
            Op::Reload => self.world.reload(),
            _ => {
                let command = self.command(op).expect("all others are commands");
                let _ = self.world.run(command);
            }
        }
    }

    /// As the model of the engine has it: behind those that are created by themselves come purchases, one for each key and place.
    fn order(&self, nth: usize) -> OrderId {
        if nth < ops::ORDERS {
            return self.names.order(nth);
        }
        let place = [Place::Run, Place::AdHoc][(nth - ops::ORDERS) % 2];
        OrderId::new(self.world.hash().partition(&self.place(place)), names::entropy(nth))
    }

    fn place(&self, place: Place) -> PartitionKey {
        match place {
            Place::Run => partition(RUN),
            Place::AdHoc => self.names.partition.clone(),
        }
    }

    fn hold(&self, name: HoldName) -> HoldId {
        match name {
            HoldName::Own(order) => self.order(order).hold_id(),
            HoldName::Free(nth) => hold(&format!("free-{nth}")),
        }
    }

    fn who(&self, who: Who) -> OrderName {
        match who {
            Who::Order(order) => self.order(order).name(),
            Who::Stranger => order_name("a stranger's"),
        }
    }

    fn seats(&self, place: Place, hold: HoldName, quantity: u32, asked: Option<(u16, u16)>) -> SeatRequest {
        SeatRequest {
            partition: self.place(place),
            hold: self.hold(hold),
            quantity,
            span: asked.and_then(|(from, to)| span(from, to)),
            ad_hoc: AdHoc { capacity: 4, segments: 3 },
        }
    }

    fn command(&self, op: &Op) -> Option<Command> {
        let expected = |named: Option<HoldName>| ExpectedHold {
            partition: None,
            hold: named.map(|name| self.hold(name)),
        };
        let reference = |place, name| HoldRef { partition: self.place(place), hold: self.hold(name) };
        Some(match *op {
            Op::TryHold { place, hold, quantity, span } => {
                Command::TryHold(self.seats(place, hold, quantity, span))
            }
            Op::Release { place, hold } => Command::ReleaseHold(reference(place, hold)),
            Op::Confirm { place, hold } => Command::ConfirmHold(reference(place, hold)),
            Op::Available { place, span: asked } => Command::Availability {
                partition: self.place(place),
                span: asked.and_then(|(from, to)| span(from, to)),
            },
            Op::Create { order, amount } => names::create(self.names.key(order), amount, order),
            Op::Purchase { key, place, amount, quantity, span: asked, ttl_ms } => {
                Command::Purchase(Purchase {
                    key: names::key(&format!("basket-{key}")),
                    amount: Cents(amount),
                    partition: self.place(place),
                    quantity,
                    span: asked.and_then(|(from, to)| span(from, to)),
                    ad_hoc: AdHoc { capacity: 4, segments: 3 },
                    ttl_ms,
                    entropy: names::entropy(ops::purchase(key, place)),
                })
            }
            Op::Reserve { order, place, hold, quantity, span } => Command::Reserve(Reserve {
                order: self.order(order),
                seats: self.seats(place, hold, quantity, span),
            }),
            Op::Cancel { order, named } => {
                Command::Cancel(Cancel { order: self.order(order), expected: expected(named) })
            }
            Op::Pay { who, txn, verified, named } => Command::Pay(Pay {
                order: self.who(who),
                txn: self.names.txn(txn),
                expected: expected(named),
                verified,
                looked_up: None,
            }),
            Op::Ticket { order } => Command::IssueTicket { order: self.order(order) },
            Op::Get { order } => Command::GetOrder { order: self.order(order) },
            Op::Settle { who, txn, reference } => Command::SettleRefund {
                order: self.who(who),
                txn: self.names.txn(txn),
                reference: Reference::parse(&format!("{reference}")).expect("a reference"),
            },
            Op::Wait { .. } | Op::Reload => return None,
        })
    }
}

/// An order with a ticket, one that expired and was paid too late, and one that was cancelled.
pub(crate) fn some_history() -> History {
    let mut history = History::new();
    for order in 0..3 {
        history.step(&Op::Create { order, amount: 250 });
        let hold = HoldName::Own(order);
        history.step(&Op::Reserve { order, place: Place::Run, hold, quantity: 1, span: None });
    }
    history.step(&Op::Pay { who: Who::Order(0), txn: 0, verified: true, named: None });
    history.step(&Op::Ticket { order: 0 });
    history.step(&Op::Cancel { order: 1, named: None });
    history.world.later(history.world.policy.hold_ttl_ms);
    history.step(&Op::Pay { who: Who::Order(2), txn: 1, verified: true, named: None });
    history
}
