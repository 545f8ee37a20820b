//! A process dies between a payment and its ticket: the next one issues it, and says meanwhile that it waits.

use std::collections::BTreeMap;

use engine::answer::{Answer, OrderStatus};
use engine::ids::SlotId;
use engine::limits::SLOTS;
use engine::record::{Body, Record};
use engine::state::Slot;
use shard::Recovery;
use wal::disk::{Lane, MemoryDisk};
use wal::files::MemoryFiles;
use wal::{DataDir, Log, Lsn, Millis};

use crate::support::World;
use crate::support::world::START;

/// The records of an order that was paid, by slot, up to its payment.
fn paid() -> (World, BTreeMap<SlotId, Vec<Record>>) {
    let mut world = World::new(1);
    let n = world.names([0; 3]);
    for command in [n.create(0), n.reserve(0), n.pay(0, 0)] {
        world.run(command).unwrap();
    }
    world.crash(|| false);
    let before_ticket = |records: &Vec<Record>| -> Vec<Record> {
        records.iter().take_while(|r| !matches!(r.body, Body::OrderTicketed(_))).cloned().collect()
    };
    let records = world.history.iter().map(|(slot, records)| (*slot, before_ticket(records))).collect();
    (world, records)
}

/// A log on empty files, driven until it has nothing more to do.
fn log(files: &MemoryFiles, world: &World, write: impl FnOnce(&mut Log<MemoryDisk>)) {
    let dir = DataDir::open_on(files.clone(), &world.setup.options).unwrap();
    let at = dir.recover(0, &mut Recovery::new(0, 1)).unwrap();
    let mut log = dir.log(0, at, MemoryDisk::new(dir.core_dir(0))).unwrap();
    let settle = |log: &mut Log<MemoryDisk>| {
        for _ in 0..20 {
            log.poll(Millis(START.0)).unwrap();
            while log.disk_mut().finish(Lane::Jobs) || log.disk_mut().finish(Lane::Write) {}
        }
    };
    settle(&mut log);
    write(&mut log);
    settle(&mut log);
}

#[track_caller]
fn check(files: MemoryFiles, before: &World) {
    let mut world = World::on(files.restart(), before.setup.clone(), START);
    let n = world.names([0; 3]);
    let status = world.shard(0).tickets();
    assert_eq!((status.position, status.backlog), (Lsn(0), 1));
    assert_eq!(status.oldest.map(|(order, _)| order), Some(n.order(0)));
    world.settle();
    let status = world.shard(0).tickets();
    assert_eq!((status.position, status.backlog), (world.shard(0).log().durable(), 0));
    let Ok(Answer::Order(order)) = world.run(n.get(0)) else { panic!("the order is there") };
    assert_eq!(order.status, OrderStatus::Ticketed);
}

#[test]
fn a_paid_order_in_the_log_gets_its_ticket_after_a_start() {
    let (world, records) = paid();
    let files = MemoryFiles::new();
    log(&files, &world, |log| {
        for record in records.values().flatten() {
            let mut bytes = Vec::new();
            record.encode(&mut bytes);
            log.append(&bytes);
            log.end_group();
        }
    });
    check(files, &world);
}

#[test]
fn a_paid_order_in_a_snapshot_gets_its_ticket_after_a_start() {
    let (world, records) = paid();
    let files = MemoryFiles::new();
    log(&files, &world, |log| {
        log.snapshot_begin();
        for slot in (0..SLOTS).map(SlotId::new) {
            let mut image = Vec::new();
            if let Some(records) = records.get(&slot) {
                let mut state = Slot::new(slot);
                records.iter().for_each(|record| state.apply(record, &mut Vec::new()));
                state.encode(&mut image);
            }
            log.snapshot_wants().expect("it waits for a slot").piece(slot.get(), &image, true);
        }
        log.snapshot_wants().expect("it waits for its end").end();
    });
    check(files, &world);
}
