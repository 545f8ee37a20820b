//! Sale rules by the timetable and the calendar, in the model's own terms.

use engine::answer::Rejection;
use engine::catalogue::{Catalogue, Definition, Listing, RunDefinition};
use engine::ids::{PartitionKey, Time};

use super::DecisionInputs;
use super::state::{Partition, Slot};

/// A partition as it could be opened under a key.
#[derive(Debug)]
pub(crate) enum Offer {
    /// With the stops that its run was opened with, if it was.
    Sold(Definition),
    NotSold,
    AdHoc,
}

/// Why a new hold of the span is refused, whatever is free.
pub(crate) fn refusal(
    run: Option<&RunDefinition>,
    inputs: &DecisionInputs,
    calendar: Time,
    from: u16,
    to: u16,
) -> Option<Rejection> {
    let run = run?;
    if !run.stops[usize::from(from)].board || !run.stops[usize::from(to)].alight {
        return Some(Rejection::BoardingNotAllowed);
    }
    is_closed(run, inputs, calendar, from).then_some(Rejection::SaleClosed)
}

pub(crate) fn is_closed(run: &RunDefinition, inputs: &DecisionInputs, calendar: Time, from: u16) -> bool {
    let departs = run.stops[usize::from(from)].departs_at;
    departs.is_some_and(|at| at.unix_secs * 1_000 - inputs.policy.sale_closes_ms <= calendar.0 as i64)
}

/// Seats that a new hold of the span could have.
pub(crate) fn available(p: &Partition, inputs: &DecisionInputs, calendar: Time, from: u16, to: u16) -> u32 {
    match refusal(p.run.as_ref(), inputs, calendar, from, to) {
        Some(_) => 0,
        None => p.free(from, to),
    }
}

impl Slot {
    pub(crate) fn offer(&self, inputs: &DecisionInputs, calendar: Time, key: &PartitionKey) -> Offer {
        match (inputs.edition.find(key), self.fixed_run(key)) {
            (Listing::NotSold, _) | (Listing::AdHoc, Some(_)) => Offer::NotSold,
            (Listing::AdHoc, None) => Offer::AdHoc,
            (Listing::Sold(definition), fixed) => {
                let run = fixed.unwrap_or(definition.run);
                let departed = run.ends_at.plus(inputs.policy.departed_ms) <= calendar;
                if departed { Offer::NotSold } else { Offer::Sold(Definition { run, ..definition }) }
            }
        }
    }

    /// The stops that the first partition of the same run was opened with.
    fn fixed_run(&self, key: &PartitionKey) -> Option<RunDefinition> {
        let (run, _) = key.as_str().rsplit_once('|')?;
        let of_run = |other: &PartitionKey| other.as_str().rsplit_once('|').is_some_and(|(r, _)| r == run);
        self.partitions.iter().filter(|(other, _)| of_run(other)).find_map(|(_, p)| p.run.clone())
    }

    /// No timetable has the key, nor has any had its run.
    pub(crate) fn is_ad_hoc(&self, inputs: &DecisionInputs, key: &PartitionKey) -> bool {
        matches!(inputs.edition.find(key), Listing::AdHoc) && self.fixed_run(key).is_none()
    }

    /// Ad hoc, nobody has seats of it, and nobody has still to be told of a hold in it.
    pub(crate) fn is_vacant(&self, key: &PartitionKey, p: &Partition) -> bool {
        let is_of_it = |(of, _): (&PartitionKey, _)| of == key;
        p.run.is_none()
            && p.holds.values().all(|hold| !hold.has_seats())
            && !self.outbox.values().any(|fact| fact.hold().is_some_and(is_of_it))
    }

    /// Open ad hoc and vacant, and the timetable sells that key: nothing is said of it before it has gone.
    pub(crate) fn gives_way(&self, inputs: &DecisionInputs, calendar: Time, key: &PartitionKey) -> bool {
        let is_vacant = self.partitions.get(key).is_some_and(|p| self.is_vacant(key, p));
        is_vacant && matches!(self.offer(inputs, calendar, key), Offer::Sold(_))
    }
}
