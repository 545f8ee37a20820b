//! All slots of one core, and commands that are decided and applied one after the other: no log, no messages, no waiting.

use std::collections::HashMap;

use engine::answer::{HoldStatus, Reply};
use engine::catalogue::{
    Catalogue, ClassListing, Definition, Listing, LocalTime, RunDefinition, RunListing, Stop,
};
use engine::command::{AdHoc, Command, HoldRef, SeatRequest};
use engine::decide::{Context, Pending, Policy, Progress, decide, decide_due};
use engine::due_index::DueIndex;
use engine::effect::Effect;
use engine::ids::{HoldId, PartitionKey, SlotId, Time};
use engine::limits::SLOTS;
use engine::record::{Body, Record};
use engine::slots::SlotHash;
use engine::state::Slot;
use engine::text::Text;
use timetable::{Run, Timetable};

use crate::demand::{Demand, Wish};

/// A timetable that sells its own trains alone; without one, everything is sold ad hoc.
#[derive(Debug)]
struct OnSale(Option<Timetable>);

impl Catalogue for OnSale {
    fn find(&self, key: &PartitionKey) -> Listing {
        let Some(timetable) = &self.0 else { return Listing::AdHoc };
        let sold = key.parts().and_then(|(train, date, class)| {
            let run = timetable.run(train, date.parse().ok()?)?;
            Some(Definition { layout: (**run.class(class)?).clone(), run: definition(&run) })
        });
        sold.map_or(Listing::NotSold, Listing::Sold)
    }

    fn run(&self, train: &str, date: &str) -> Option<RunListing> {
        let run = self.0.as_ref()?.run(train, date.parse().ok()?)?;
        let classes = run.classes().iter();
        let classes =
            classes.map(|class| ClassListing { name: class.name.to_string(), layout: class.layout.clone() });
        Some(RunListing { run: definition(&run), classes: classes.collect() })
    }
}

fn definition(run: &Run<'_>) -> RunDefinition {
    let local = |time: timetable::LocalTime| {
        Some(LocalTime { unix_secs: time.unix_secs(), offset_secs: time.offset_secs() })
    };
    let stops = run.stops().map(|stop| Stop {
        code: stop.station.code.to_string(),
        name: stop.station.name.to_string(),
        arrives_at: local(stop.arrives_at),
        departs_at: local(stop.departs_at),
        board: stop.board,
        alight: stop.alight,
    });
    RunDefinition { stops: stops.collect(), ends_at: Time(u64::try_from(run.ends_ms()).unwrap_or(0)) }
}

#[derive(Debug)]
pub(in crate::commands) struct World {
    catalogue: OnSale,
    policy: Policy,
    hash: SlotHash,
    slots: Vec<Slot>,
    /// When time alone asks for something, by slot.
    due: DueIndex<usize>,
    effects: Vec<Effect>,
    keys: HashMap<(u32, u8), PartitionKey>,
    pub(in crate::commands) now: Time,
    pub(in crate::commands) records: u64,
    pub(in crate::commands) expired: u64,
}

impl World {
    pub(in crate::commands) fn new(timetable: Timetable, now: Time) -> World {
        World::on(OnSale(Some(timetable)), now)
    }

    /// A world without a timetable.
    pub(super) fn ad_hoc(now: Time) -> World {
        World::on(OnSale(None), now)
    }

    fn on(catalogue: OnSale, now: Time) -> World {
        World {
            catalogue,
            policy: Policy::default(),
            hash: SlotHash::new([7; 16]),
            slots: (0..SLOTS).map(|slot| Slot::new(SlotId::new(slot))).collect(),
            due: DueIndex::default(),
            effects: Vec::new(),
            keys: HashMap::new(),
            now,
            records: 0,
            expired: 0,
        }
    }

    /// The command for a wish; ids must not come twice.
    pub(in crate::commands) fn try_hold(&mut self, demand: &Demand, wish: &Wish, id: u64) -> Command {
        let key = self.keys.entry((wish.run, wish.class));
        let key = key
            .or_insert_with(|| PartitionKey::parse(demand.partition(wish)).expect("a key of the timetable"));
        Command::TryHold(SeatRequest {
            partition: key.clone(),
            hold: HoldId::parse(&format!("h-{id:015x}")).expect("an id"),
            quantity: wish.seats,
            span: engine::Span::new(wish.from, wish.to),
            ad_hoc: AdHoc { capacity: 100, segments: 1 },
        })
    }

    pub(in crate::commands) fn run(&mut self, command: &Command) -> Reply {
        self.run_with(command, &mut |_| ())
    }

    /// Shows each record that it applies.
    pub(in crate::commands) fn run_with(&mut self, command: &Command, log: &mut dyn FnMut(&Record)) -> Reply {
        let engine::command::Route::Slot(slot) = command.route(&self.hash) else {
            unreachable!("one slot's commands")
        };
        let index = usize::from(slot.get());
        loop {
            let cx = Context {
                now: self.now,
                calendar: self.now,
                catalogue: &self.catalogue,
                policy: &self.policy,
            };
            match decide(&self.slots[index], &cx, command, Progress::default()) {
                Ok(answer) => return Ok(answer),
                Err(Pending::Refused(rejection)) => return Err(rejection),
                Err(Pending::Append(body)) => self.apply(index, body, log),
                Err(Pending::Ask(ask)) => unreachable!("holds without orders ask nobody: {ask:?}"),
            }
        }
    }

    /// Due work of every slot.
    pub(in crate::commands) fn run_due(&mut self) {
        loop {
            let Some(index) = self.due.due(self.now).next().copied() else { return };
            let cx = Context {
                now: self.now,
                calendar: self.now,
                catalogue: &self.catalogue,
                policy: &self.policy,
            };
            let body =
                decide_due(&self.slots[index], &cx).expect("a slot has something to do when it says so");
            if let Body::HoldsExpired(rows) = &body {
                self.expired +=
                    rows.iter().filter(|row| row.hold.status == HoldStatus::Expired).count() as u64;
            }
            self.apply(index, body, &mut |_| ());
        }
    }

    fn apply(&mut self, index: usize, body: Body, log: &mut dyn FnMut(&Record)) {
        let slot = &mut self.slots[index];
        let record =
            Record { slot: slot.id(), seq: slot.seq() + 1, time: self.now, trace: Text::from(""), body };
        log(&record);
        let due = slot.next_due(&self.policy);
        slot.apply(&record, &mut self.effects);
        self.due.reschedule(&index, due, slot.next_due(&self.policy));
        self.effects.clear();
        self.records += 1;
    }

    /// A record of a slot, and the acknowledgement of what it tells.
    pub(super) fn apply_heard(&mut self, slot: SlotId, body: Body) {
        let index = usize::from(slot.get());
        self.apply(index, body, &mut |_| ());
        let tells: Vec<_> = self.slots[index].outbox().keys().copied().collect();
        if !tells.is_empty() {
            self.apply(index, Body::TellsAcked { tells }, &mut |_| ());
        }
    }

    pub(super) fn slot_of(&self, partition: &PartitionKey) -> SlotId {
        self.hash.partition(partition)
    }

    pub(super) fn slot_mut(&mut self, slot: SlotId) -> &mut Slot {
        &mut self.slots[usize::from(slot.get())]
    }

    pub(in crate::commands) fn partitions(&self) -> u64 {
        self.slots.iter().map(|slot| slot.partitions().iter().count() as u64).sum()
    }

    pub(in crate::commands) fn memory_estimate(&self) -> u64 {
        self.slots.iter().map(|slot| slot.memory_estimate() as u64).sum()
    }
}

/// The hold of a command, to be ended.
pub(in crate::commands) fn hold_of(command: &Command) -> Option<HoldRef> {
    match command {
        Command::TryHold(seats) => {
            Some(HoldRef { partition: seats.partition.clone(), hold: seats.hold.clone() })
        }
        _ => None,
    }
}
