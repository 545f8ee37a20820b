//! Which subsets of what is not durable are tried.
//!
//! Exactly all of them, where at most [`UNITS_MAX`] sectors and changes of names make a difference. Two things make none and
//! are not counted: a sector whose bytes are durable already (padding over zeros), and how much of a file survives whose
//! only names are temporary, since nothing opens one by such a name but the job that makes it anew: it is kept or lost
//! write by write.
//!
//! Where there are more, the sectors of each long write are taken together in five parts: the first sector (the header of
//! the frame), the last one, the other first sectors of blocks (where recovery looks for headers), and two halves of the
//! rest. That is enough, because recovery looks at nothing else: a header counts by a checksum of its own, a payload as a
//! whole or not at all, by one checksum over all its sectors, and a block by its first bytes alone.

use wal::files::{MemoryFiles, Unsynced};

/// Exact up to this many, in workloads of up to two operations; less in longer ones and in crashes of a recovery.
pub(super) const UNITS_MAX: usize = 12;

/// A write of more sectors than this is cut down where there are too many.
const LONG: usize = 8;

/// The subsets at one moment.
pub(super) struct Subsets {
    /// For each of what a crash asks about, its unit; `None` makes no difference.
    unit_of: Vec<Option<usize>>,
    units: usize,
    /// True if sectors were taken together, so that not all subsets are tried.
    pub(super) is_cut: bool,
}

impl Subsets {
    pub(super) fn of(files: &MemoryFiles, units_max: usize) -> Subsets {
        let unsynced = files.unsynced();
        let mut subsets = Subsets::in_units(&unsynced, |_, sector| Part::Alone(sector));
        if subsets.units > units_max {
            subsets = Subsets::in_units(&unsynced, part);
            subsets.is_cut = true;
        }
        assert!(subsets.units <= UNITS_MAX, "{} units: {unsynced:?}", subsets.units);
        subsets
    }

    /// The units: what makes a difference, by change and by the part of it that `part` says.
    fn in_units(unsynced: &[Unsynced], part: impl Fn(&[&Unsynced], usize) -> Part) -> Subsets {
        let mut parts: Vec<(usize, Part)> = Vec::new();
        let unit = |one: &Unsynced| {
            let alike = || unsynced.iter().filter(|other| other.change == one.change && !other.is_idle);
            let sector = alike().position(|other| other == one)?;
            let whole = one.offset.is_none() || one.names.iter().all(|name| name.ends_with(".new"));
            let part = if whole { Part::Whole } else { part(&alike().collect::<Vec<_>>(), sector) };
            let found = parts.iter().position(|known| *known == (one.change, part));
            Some(found.unwrap_or_else(|| {
                parts.push((one.change, part));
                parts.len() - 1
            }))
        };
        let unit_of = unsynced.iter().map(unit).collect();
        Subsets { unit_of, units: parts.len(), is_cut: false }
    }

    pub(super) fn count(&self) -> u64 {
        1 << self.units
    }

    /// A copy of the files after a crash that keeps the subset of this number.
    pub(super) fn crash(&self, files: &MemoryFiles, number: u64) -> MemoryFiles {
        let mut asked = self.unit_of.iter();
        let after = files.fork().crash(|| {
            let unit = asked.next().expect("as many as were unsynced");
            unit.is_some_and(|unit| number >> unit & 1 == 1)
        });
        assert!(asked.next().is_none(), "as many as were unsynced");
        after
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Whole,
    Alone(usize),
    First,
    Last,
    Blocks,
    Rest(bool),
}

/// The part of a long write that a sector belongs to.
fn part(write: &[&Unsynced], sector: usize) -> Part {
    if write.len() <= LONG {
        return Part::Alone(sector);
    }
    let offset = write[sector].offset.expect("a sector of a write");
    match sector {
        0 => Part::First,
        _ if sector + 1 == write.len() => Part::Last,
        _ if offset.is_multiple_of(wal::limits::BLOCK_BYTES) => Part::Blocks,
        _ => Part::Rest(sector < write.len() / 2),
    }
}
