//! Disks that lie and bytes that rot. Each is tried on a copy of the files between two lives: a start from it has to refuse
//! by name, or find exactly what a start from the sound files finds. A last frame that cannot be told from a torn write may
//! be missing, and is reported then. A write that the disk has acknowledged and never made can be missed, but never makes
//! up anything: what is found is what was true at some time.

use engine::state::Slot;
use wal::OpenError;
use wal::files::MemoryFiles;

use crate::counters::Covered;
use crate::world::World;
use crate::world::disk::Frame;
use crate::world::start::{Images, inspect};

/// Copies that are damaged between two lives.
const TRIALS: usize = 2;
const BLOCK: usize = 4_096;

/// Damages some copies of the files, each in one way, and starts from them.
pub(crate) fn try_some(world: &mut World) {
    let (sound, _) = match inspect(&world.machine.files.fork(), &world.plan) {
        Ok(found) => found,
        Err(error) => panic!("sound files are refused: {error}"),
    };
    for _ in 0..TRIALS {
        let copy = world.machine.files.fork();
        if let Some((covered, what)) = damage(world, &copy) {
            world.coverage.count(covered);
            world.history.note(format_args!("a copy is damaged: {covered:?}, {what}"));
            let found = inspect(&copy, &world.plan);
            judge(world, covered, &what, &sound, found);
        }
    }
}

/// Damages the copy in one way; says what it did.
fn damage(world: &mut World, copy: &MemoryFiles) -> Option<(Covered, String)> {
    match world.rng.below(8) {
        0 => {
            let end = world.frames.len().saturating_sub(1).max(1);
            rot_in_frame(world, copy, 0..end).map(|what| (Covered::RotInOld, what))
        }
        1 => {
            let end = world.frames.len();
            rot_in_frame(world, copy, end.saturating_sub(3)..end).map(|what| (Covered::RotInNew, what))
        }
        2 | 3 => rot_in(world, copy, "/snapshot-").map(|what| (Covered::RotInSnapshot, what)),
        4 => rot_in(world, copy, "").map(|what| (Covered::RotElsewhere, what)),
        5 | 6 => {
            let end = world.frames.len();
            let from = if world.rng.percent(50) { 0 } else { end.saturating_sub(1) };
            let frame = pick(world, from..end)?;
            let later = world.frames.iter().rev().take_while(|other| place(other) != place(&frame));
            let is_last = !{ later }.any(|other| other.core == frame.core);
            let covered = if is_last { Covered::LostLastWrite } else { Covered::LostWrite };
            undo(copy, &frame).then(|| (covered, place(&frame)))
        }
        _ => misdirect(world, copy).map(|what| (Covered::Misdirected, what)),
    }
}

fn pick(world: &mut World, range: std::ops::Range<usize>) -> Option<Frame> {
    if range.is_empty() || range.end > world.frames.len() {
        return None;
    }
    let index = range.start + world.rng.below(range.len());
    Some(world.frames[index].clone())
}

fn place(frame: &Frame) -> String {
    format!("{} at byte {}", frame.path, frame.offset)
}

/// True where the frame is still as it was written.
fn is_there(copy: &MemoryFiles, frame: &Frame) -> bool {
    copy.peek(&frame.path, frame.offset, frame.bytes.len()).as_ref() == Some(&frame.bytes)
}

fn undo(copy: &MemoryFiles, frame: &Frame) -> bool {
    is_there(copy, frame) && copy.poke(&frame.path, frame.offset, &frame.before)
}

fn flip(copy: &MemoryFiles, path: &str, at: usize, bit: usize) -> Option<String> {
    let byte = copy.peek(path, at, 1)?.first().copied()?;
    copy.poke(path, at, &[byte ^ 1 << bit]);
    Some(format!("bit {bit} of byte {at} of {path}"))
}

fn rot_in_frame(world: &mut World, copy: &MemoryFiles, range: std::ops::Range<usize>) -> Option<String> {
    let frame = pick(world, range)?;
    if !is_there(copy, &frame) {
        return None;
    }
    // Most of a small frame is padding: half of the flips go where the records are.
    let used = frame.bytes.iter().rposition(|byte| *byte != 0).map_or(1, |last| last + 1);
    let within = if world.rng.percent(80) { used } else { frame.bytes.len() };
    let at = frame.offset + world.rng.below(within);
    flip(copy, &frame.path, at, world.rng.below(8))
}

fn rot_in(world: &mut World, copy: &MemoryFiles, name: &str) -> Option<String> {
    let files: Vec<_> =
        copy.sizes().into_iter().filter(|(path, bytes)| path.contains(name) && *bytes > 0).collect();
    if files.is_empty() {
        return None;
    }
    let (path, bytes) = world.rng.pick(&files).clone();
    flip(copy, &path, world.rng.below(bytes), world.rng.below(8))
}

/// The write goes to another block of a log, and what it should have replaced stays.
fn misdirect(world: &mut World, copy: &MemoryFiles) -> Option<String> {
    let end = world.frames.len();
    let frame = pick(world, 0..end)?;
    let holds = |(path, bytes): &(String, usize)| path.contains("/log-") && *bytes >= frame.bytes.len();
    let logs: Vec<_> = copy.sizes().into_iter().filter(holds).collect();
    if logs.is_empty() {
        return None;
    }
    let (path, bytes) = world.rng.pick(&logs).clone();
    let at = world.rng.below((bytes - frame.bytes.len()) / BLOCK + 1) * BLOCK;
    if (&path, at) == (&frame.path, frame.offset) || !undo(copy, &frame) {
        return None;
    }
    copy.poke(&path, at, &frame.bytes);
    Some(format!("{} went to {path} at byte {at}", place(&frame)))
}

/// Checks the outcome of a start from the damaged copy.
fn judge(
    world: &mut World,
    covered: Covered,
    what: &str,
    sound: &Images,
    found: Result<(Images, bool), OpenError>,
) {
    let (images, cut) = match found {
        Err(error) => {
            let named = !matches!(error, OpenError::Io { .. } | OpenError::Locked { .. });
            assert!(named, "{covered:?} of {what} is not refused by name: {error}");
            world.coverage.count(Covered::RotRefused);
            return;
        }
        Ok(found) => found,
    };
    if images == *sound {
        world.coverage.count(Covered::RotHarmless);
        return;
    }
    for (slot, (seq, image)) in &images {
        let slot_found = Slot::decode(image).expect("encoded a moment ago");
        assert_eq!(slot_found.seq(), *seq);
        let known = world.model.compare(&slot_found);
        assert!(known, "{covered:?} of {what}: slot {} is as it never was", slot.get());
    }
    let lies = matches!(covered, Covered::LostWrite | Covered::LostLastWrite | Covered::Misdirected);
    let seqs = images.iter().map(|(slot, (seq, _))| (*slot, *seq)).collect();
    let last_only = world.model.lacks_last_frames_only(&seqs);
    if covered == Covered::LostWrite {
        panic!("{what} was never written, later ones were, and nobody minds");
    }
    assert!(last_only, "{covered:?} of {what} takes back more than a last frame, and nobody minds");
    assert!(lies || cut, "{covered:?} of {what} takes back a last frame, and nobody says so");
    world.coverage.count(Covered::RotCut);
}
