//! Memory by state, as the process has it and as the engine estimates it: open partitions, live holds, ended orders.

use engine::answer::OrderStatus;
use engine::ids::{Cents, HoldId, IdempotencyKey, OrderId, OrderKey, PartitionKey, SlotId, Time, TxnId};
use engine::limits::SLOTS;
use engine::record::{Body, OrderRow, Reservation};
use engine::text::Text;
use serde::Serialize;
use timetable::{Date, Timetable};

use super::{World, days_before};
use crate::demand::{Demand, Wish};
use crate::machine;
use crate::report::Page;

#[derive(Debug, Serialize)]
pub(super) struct Memory {
    open_partition: Bytes,
    live_hold: Bytes,
    /// With its ticket, and with the claim of its transaction id.
    ended_order: Bytes,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct Bytes {
    resident: f64,
    /// As the engine itself estimates.
    estimated: f64,
}

/// Memory at a moment.
struct Mark {
    resident: u64,
    estimated: u64,
}

impl Mark {
    fn of(world: &World) -> Mark {
        Mark { resident: machine::resident_bytes(std::process::id()), estimated: world.memory_estimate() }
    }

    fn each(&self, later: &Mark, count: u64) -> Bytes {
        let each = |from: u64, to: u64| to.saturating_sub(from) as f64 / count.max(1) as f64;
        Bytes {
            resident: each(self.resident, later.resident),
            estimated: each(self.estimated, later.estimated),
        }
    }
}

impl Memory {
    /// Every partition is opened by a hold, then more holds are made, then as many orders come and end. Nothing is forgotten meanwhile.
    pub(super) fn measure(
        timetable: &Timetable,
        demand: &Demand,
        date: Date,
        holds: u64,
        seed: u64,
    ) -> Memory {
        let mut world = World::new(timetable.clone(), days_before(date, 2));
        let mut chance = fastrand::Rng::with_seed(seed);
        let mut id = 0;
        let mut hold = |world: &mut World, wish: &Wish| {
            id += 1;
            let command = world.try_hold(demand, wish, id);
            u64::from(world.run(&command).is_ok())
        };
        let start = Mark::of(&world);
        for wish in demand.one_of_each_partition(&mut chance) {
            hold(&mut world, &wish);
        }
        let (opened, partitions) = (Mark::of(&world), world.partitions());
        let more: u64 = (0..holds).map(|_| hold(&mut world, &demand.draw(&mut chance))).sum();
        let full = Mark::of(&world);
        for number in 0..holds {
            order(&mut world, number);
        }
        let ended = Mark::of(&world);
        let live_hold = opened.each(&full, more);
        let with_a_hold = start.each(&opened, partitions);
        Memory {
            open_partition: Bytes {
                resident: with_a_hold.resident - live_hold.resident,
                estimated: with_a_hold.estimated - live_hold.estimated,
            },
            live_hold,
            ended_order: full.each(&ended, holds),
        }
    }

    pub(super) fn show(&self, page: &mut Page) {
        page.heading("Memory");
        let row = |name: &str, bytes: Bytes| {
            let cells =
                [name.to_owned(), format!("{:.0}", bytes.resident), format!("{:.0}", bytes.estimated)];
            (true, cells.to_vec())
        };
        page.table(
            &["", "bytes in RAM", "bytes as estimated"],
            &[
                row("open partition", self.open_partition),
                row("live hold", self.live_hold),
                row("ended order, with its ticket", self.ended_order),
            ],
        );
    }
}

/// The records of an order of two seats from its creation to its ticket. Its hold is elsewhere.
fn order(world: &mut World, number: u64) {
    let slot = SlotId::new((number % u64::from(SLOTS)) as u16);
    let now = world.now;
    let txn = TxnId::parse(&format!("alipay-2026112922001{number:012}")).expect("a transaction id");
    let created = OrderRow {
        order: OrderId::new(slot, u128::from(number)),
        key: OrderKey::Plain(IdempotencyKey::parse(&format!("basket-{number:024x}")).expect("a key")),
        status: OrderStatus::Init,
        amount: Cents(55_350),
        created_at: now,
        abandon_at: now.plus(86_400_000),
        reservation: None,
        cancel_reason: None,
        txn: None,
    };
    let reservation = Reservation {
        partition: PartitionKey::parse("G1234|2027-01-15|2nd").expect("a key"),
        hold: HoldId::parse(&format!("h-{number:015x}")).expect("an id"),
        made: number,
        quantity: 2,
        from: 3,
        to: 9,
        segments: 12,
        capacity: 600,
        labels: ["05-12A", "05-12B"].map(Text::from).to_vec(),
        deadline: Time(now.0 + 120_000),
        ends_at: Some(Time(now.0 + 86_400_000)),
    };
    let reserved =
        OrderRow { status: OrderStatus::Reserved, reservation: Some(reservation), ..created.clone() };
    let paid = OrderRow { status: OrderStatus::Paid, txn: Some(txn.clone()), ..reserved.clone() };
    let ticketed = OrderRow { status: OrderStatus::Ticketed, ..paid.clone() };
    let claimed = Body::TxnClaimed { txn, order: created.order, goes_back: None };
    for body in [
        Body::OrderCreated(created),
        Body::OrderReserved(reserved),
        claimed,
        Body::OrderPaid(paid),
        Body::OrderTicketed(ticketed),
    ] {
        world.apply_heard(slot, body);
    }
}
