//! Faults that strike a running process, one at a time. What a power cut or a kill leaves is in `world/restart.rs`; damage
//! to what the files hold is in `damage`.

pub(crate) mod clock;
pub(crate) mod damage;

use wal::disk::Lane;

use crate::counters::Covered;
use crate::world::World;
use crate::world::disk::{EIO, ENOSPC};

#[derive(Clone, Copy)]
enum Fault {
    WriteFails,
    JobFails,
    ShortWrite,
    DiskFull,
    DiskHasRoom,
    Stall,
    Clock,
    HoldRing,
    RingGone,
}

/// Lets something go wrong. What strikes at a moment of its own (a crash) is left to the caller.
pub(crate) fn strike(world: &mut World) {
    let on = world.plan.faults.clone();
    let weight = |on: bool, weight: u32| if on { weight } else { 0 };
    let many = world.cores() > 1;
    let faults = [
        (weight(on.failing_writes, 1), Fault::WriteFails),
        (weight(on.failing_syncs, 2), Fault::JobFails),
        (weight(on.short_writes, 2), Fault::ShortWrite),
        (weight(on.full_disk, 3), Fault::DiskFull),
        (weight(on.full_disk, 1), Fault::DiskHasRoom),
        (weight(on.stalls, 4), Fault::Stall),
        (weight(on.clocks, 4), Fault::Clock),
        (weight(on.rings && many, 6), Fault::HoldRing),
        (weight(on.rings && many, 1), Fault::RingGone),
    ];
    if faults.iter().all(|(weight, _)| *weight == 0) {
        return;
    }
    let core = world.rng.below(usize::from(world.cores())) as u16;
    match world.rng.weighted(&faults) {
        Fault::WriteFails => world.fails_next = Some(Lane::Write),
        Fault::JobFails => world.fails_next = Some(Lane::Jobs),
        Fault::ShortWrite => short_write(world, core),
        Fault::DiskFull => {
            let room = *world.rng.pick(&[0, 4_000, 200_000]);
            world.machine.files.set_capacity(Some(world.machine.used() + room));
            world.coverage.count(Covered::DiskFull);
            world.history.note(format_args!("the disk has {room} bytes left"));
        }
        Fault::DiskHasRoom => {
            world.machine.files.set_capacity(None);
            world.history.note(format_args!("the disk has room"));
        }
        Fault::Stall => {
            let until = world.step + world.rng.between(20, 300);
            world.process.cores[usize::from(core)].stalled_until = until;
            world.coverage.count(Covered::Stall);
            world.history.note(format_args!("the disk of core {core} stalls until step {until}"));
        }
        Fault::Clock => clock::jump(world),
        Fault::HoldRing => {
            let to = (core + 1 + world.rng.below(usize::from(world.cores()) - 1) as u16) % world.cores();
            let until = world.step + world.rng.between(10, 200);
            let late = world.process.rings.borrow_mut().hold(core, to, until);
            world.coverage.add(Covered::MessageLate, u64::from(late));
            world.history.note(format_args!("nothing gets from core {core} to {to} until step {until}"));
        }
        Fault::RingGone => {
            world.process.rings.borrow_mut().stopped[usize::from(core)] = true;
            world.coverage.count(Covered::RingGone);
            world.history.note(format_args!("core {core} serves its rings no more"));
        }
    }
}

fn short_write(world: &mut World, core: u16) {
    let files = world.machine.files.clone();
    let bytes = world.rng.below(6_000);
    let before = files.steps();
    files.short_write(before, bytes, EIO);
    // Either lane: the next write of a job, or that of the log at the next turn.
    if world.process.cores[usize::from(core)].is_waiting(Lane::Jobs) {
        files.short_write(before + 1, bytes, ENOSPC);
        world.finish(core, Lane::Jobs);
        world.coverage.add(Covered::ShortWrite, u64::from(files.steps() > before + 1));
        files.forgive();
        return;
    }
    // A failing write shows when it completes, and the turn itself goes well.
    let turned = world.turn(core, usize::MAX);
    let short = files.steps() > before;
    files.forgive();
    if short && let Some((_, doomed)) = &mut world.flights[usize::from(core)] {
        *doomed = true;
        world.coverage.count(Covered::ShortWrite);
        world.history.note(format_args!("a log write of core {core} stops after {bytes} bytes"));
    }
    match turned {
        Ok(replies) => world.late.extend(replies),
        Err(error) => world.fatal = Some(error),
    }
}

/// After a start: what cores tell each other takes a while.
pub(crate) fn hold_rings(world: &mut World) {
    let until = world.step + world.rng.between(10, 60);
    for from in 0..world.cores() {
        for to in (0..world.cores()).filter(|to| *to != from) {
            let late = world.process.rings.borrow_mut().hold(from, to, until);
            world.coverage.add(Covered::MessageLate, u64::from(late));
        }
    }
}
