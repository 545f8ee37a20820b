//! Restarts: a process ends, and the next one begins, with the same number of cores or another, perhaps only at the third
//! try, and always with everything that was durable.

use std::collections::BTreeMap;

use engine::catalogue::{Catalogue, Listing};
use engine::ids::{SlotId, Time};
use shard::Across;
use wal::{OpenError, SnapshotState};

use super::World;
use super::disk::EIO;
use super::process::Process;
use super::start::{self, Found};
use crate::checks::model::DecisionInputs;
use crate::counters::Covered;
use crate::faults::{clock, damage};
use crate::plan::{HOUR_MS, STATE_BYTES_MIN};
use crate::rng::Rng;
use crate::sinks;
use crate::timetable::Edition;

/// Tries of a start that are made to fail.
const FAILED_STARTS_MAX: usize = 3;

/// A way for a process to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The machine stops with it.
    PowerCut,
    /// The machine goes on.
    Killed,
    /// It has come to rest before.
    Stopped,
}

/// A fault that strikes a start.
#[derive(Clone, Copy)]
enum FailedStart {
    KilledSoon,
    KilledLate,
    ReadFails,
    DiskFull,
}

impl World {
    /// The process ends, and another one takes over. `calm`: without further faults.
    ///
    /// # Panics
    /// When that does not start, or has lost something.
    pub(crate) fn restart(&mut self, end: End, calm: bool) {
        self.history.note(format_args!("the process ends: {end:?}"));
        if !calm {
            self.coverage.count(match end {
                End::PowerCut => Covered::PowerCut,
                End::Killed => Covered::Killed,
                End::Stopped => Covered::CleanStop,
            });
        }
        self.count_process();
        self.set_memory();
        // What was in it is gone before anything else is done.
        self.process.cores.clear();
        self.sinks.ended();
        self.questions.clear();
        self.parcels.clear();
        self.end(end);
        self.machine.files.set_capacity(None);
        if !calm && self.plan.faults.damage && self.rng.percent(40) {
            damage::try_some(self);
        }
        if !calm && self.plan.faults.clocks && self.rng.percent(8) {
            clock::set_wrong(self);
        }
        let edition = self.next_edition();
        let cores = if !calm && self.rng.percent(30) {
            self.rng.between(1, u64::from(self.plan.cores_max)) as u16
        } else {
            self.model_cores()
        };
        let mut whole = end == End::Stopped;
        if !calm {
            for _ in 0..FAILED_STARTS_MAX {
                if self.rng.percent(15) {
                    self.fail_start(cores, &edition);
                    whole = false;
                }
            }
        }
        let mut found = Found::default();
        let started = self.start(cores, &edition, &mut found);
        self.process = started.unwrap_or_else(|error| panic!("it does not start: {error}"));
        assert!(!whole || found.cuts == 0, "a stop in good order leaves a torn tail");
        self.coverage.add(Covered::Restarts, u64::from(!calm));
        self.coverage.add(Covered::OtherCores, u64::from(found.redistributed));
        self.coverage.add(Covered::TailCut, found.cuts as u64);
        self.coverage.add(Covered::OtherTimetable, u64::from(edition.number != self.edition.number));
        self.taken_over(cores, edition);
    }

    /// If memory is short, the next process may have a little more than this one has taken, or less.
    fn set_memory(&mut self) {
        if self.plan.state_bytes_max.is_some() {
            let taken = self.process.cores.iter().map(|core| core.shard().state_bytes()).max();
            let percent = self.rng.between(70, 150);
            self.plan.state_bytes_max = taken.map(|taken| taken.max(STATE_BYTES_MIN) * percent / 100);
        }
    }

    fn start(&mut self, cores: u16, edition: &Edition, found: &mut Found) -> Result<Process, OpenError> {
        let ring_chances = Rng::new(self.rng.number());
        let names = self.sinks.names();
        let started = start::start(&self.machine, &self.plan, cores, edition, ring_chances, &names, found);
        self.sinks.read(found);
        started
    }

    fn model_cores(&self) -> u16 {
        self.flights.len() as u16
    }

    fn taken_over(&mut self, cores: u16, edition: Edition) {
        self.edition = edition;
        self.flights = vec![None; usize::from(cores)];
        self.process_number += 1;
        let (hash, policy) = (self.process.hash.clone(), self.plan.policy.clone());
        let is_tight = self.plan.state_bytes_max.is_some();
        let inputs = DecisionInputs { hash, policy, edition: self.edition.clone(), is_tight };
        let slots = self.process.cores.iter().flat_map(|core| core.shard().slots());
        let found: BTreeMap<SlotId, u64> =
            slots.filter(|slot| !slot.is_blank()).map(|slot| (slot.id(), slot.seq())).collect();
        self.look_across();
        self.model.recovered(&found, inputs, cores);
        self.compare();
        self.count_start();
        self.sinks.started(&mut self.process, &self.plan);
        sinks::look_at_start(self);
        self.history.note(format_args!("process {} with {cores} cores: {found:?}", self.process_number));
    }

    /// Orders and holds agree by what the slots themselves know: a crash leaves what a backup may have.
    fn look_across(&self) {
        let mut across = Across::default();
        self.process.cores.iter().flat_map(|core| core.shard().slots()).for_each(|slot| across.add(slot));
        across.check().unwrap_or_else(|wrong| panic!("orders and holds do not agree: {wrong}"));
    }

    fn count_start(&mut self) {
        let wall = Time(self.machine.clocks().wall_ms);
        let mut last = Time(0);
        let mut has_lost = false;
        for (_, slot) in self.model.latest() {
            last = last.max(slot.time);
            let mut runs = slot.partitions.iter().filter(|(_, p)| p.run.is_some());
            self.coverage
                .add(Covered::StartedLeaving, u64::from(slot.orders.values().any(|order| order.is_leaving)));
            has_lost |= runs.any(|(key, _)| matches!(self.edition.find(key), Listing::AdHoc));
        }
        self.coverage.add(Covered::StartAhead, u64::from(wall >= last.plus(24 * HOUR_MS)));
        self.coverage.add(Covered::StartBehind, u64::from(last >= wall.plus(24 * HOUR_MS)));
        self.coverage.add(Covered::TrainLost, u64::from(has_lost));
    }

    /// Counts what this process has done, and what its end cuts short.
    pub(crate) fn count_process(&mut self) {
        self.coverage.add(Covered::MessageCrossed, u64::from(self.process.rings.borrow().messages() > 0));
        for core in &self.process.cores {
            let (log, stats) = (core.shard().log(), core.shard().stats());
            self.coverage
                .add(Covered::SnapshotInFlight, u64::from(log.snapshot_state() != SnapshotState::Idle));
            self.coverage.add(Covered::Snapshots, log.stats().snapshots);
            self.coverage.add(Covered::ImagePieces, stats.image_pieces);
            self.coverage.add(Covered::Recycled, log.stats().segments_recycled);
            let pruned = log.stats().segments_recycled + log.stats().segments_removed;
            let is_followed = !self.process.registry.sinks().sinks.is_empty();
            self.coverage.add(Covered::PrunedBehind, if is_followed { pruned } else { 0 });
            self.coverage.add(Covered::Resent, stats.tells_resent);
        }
        let seen = self.model.take_seen();
        self.coverage.add(Covered::Records, std::mem::take(&mut self.model.records));
        self.coverage.add(Covered::Expired, seen.expired);
        self.coverage.add(Covered::Forgotten, seen.forgotten);
        self.coverage.add(Covered::ForgottenEarly, seen.forgotten_early);
        self.coverage.add(Covered::Departed, seen.departed);
        self.coverage.add(Covered::KeptOver, seen.kept_over);
        self.coverage.add(Covered::GaveWay, seen.gave_way);
        self.coverage.add(Covered::Reopened, std::mem::take(&mut self.model.memory.reopened));
        self.coverage.add(Covered::MadeAgain, std::mem::take(&mut self.model.memory.made_again));
        self.coverage.add(Covered::CreatedAgain, std::mem::take(&mut self.model.memory.created_again));
        self.coverage.add(Covered::GivenUp, seen.given_up);
        self.coverage.add(Covered::Left, seen.left);
        self.coverage.add(Covered::LeftEarly, seen.left_early);
        self.coverage.add(Covered::LeftWithMoney, seen.left_with_money);
        self.coverage.add(Covered::Leaving, seen.leaving);
        self.coverage.add(Covered::Stayed, seen.stayed);
        self.coverage.add(Covered::Kept, seen.kept);
        self.coverage.add(Covered::KeptPastEnd, seen.kept_past_end);
        self.coverage.add(Covered::ClaimsForgotten, seen.claims_forgotten);
        self.coverage.add(Covered::ClaimsLate, seen.claims_late);
        self.coverage.add(Covered::LeftPaid, seen.left_paid);
        self.coverage.add(Covered::LeftRefunds, seen.left_refunds);
        self.coverage.add(Covered::HistoryLost, seen.history_lost);
        self.coverage.add(Covered::AbandonedOrder, seen.abandoned);
        self.coverage.add(Covered::Declined, seen.declined);
        self.coverage.add(Covered::RefundOwed, seen.refunds);
        self.coverage.add(Covered::TicketIssued, seen.tickets);
        self.coverage.add(Covered::Purchased, seen.purchases);
        self.coverage.add(Covered::PurchasePaid, seen.purchases_paid);
        self.coverage.add(Covered::PurchaseCancelled, seen.purchases_cancelled);
        self.coverage.add(Covered::PurchaseExpired, seen.purchases_expired);
    }

    /// Puts the files into the state that this kind of end leaves behind.
    fn end(&mut self, end: End) {
        self.machine.files.forgive();
        if end != End::PowerCut {
            self.machine.files = self.machine.files.restart();
            return;
        }
        let percent = *self.rng.pick(&self.plan.keeps);
        let (mut kept, mut lost) = (0_u64, 0_u64);
        let rng = &mut self.rng;
        self.machine.files = self.machine.files.crash(|| {
            let keep = rng.percent(percent);
            *(if keep { &mut kept } else { &mut lost }) += 1;
            keep
        });
        self.machine.steady_us = self.rng.between(0, 5_000_000);
        let in_flight = self.flights.iter().any(Option::is_some);
        self.coverage.add(Covered::TornWrite, u64::from(in_flight && kept > 0 && lost > 0));
        self.coverage.add(Covered::UnsyncedSurvives, u64::from(kept > 0 && lost == 0));
        self.coverage.add(Covered::UnsyncedLost, u64::from(kept == 0 && lost > 0));
        self.history.note(format_args!("a power cut keeps {kept} and loses {lost}"));
    }

    fn next_edition(&mut self) -> Edition {
        let number = if self.rng.percent(40) { self.rng.number() % 100 } else { self.edition.number };
        Edition { number, ..self.edition.clone() }
    }

    /// A start that is cut short, refused by its disk, or short of room.
    fn fail_start(&mut self, cores: u16, edition: &Edition) {
        let files = &self.machine.files;
        let on = &self.plan.faults;
        let kind = self.rng.weighted(&[
            (1, FailedStart::KilledSoon),
            (1, FailedStart::KilledLate),
            (u32::from(on.failing_reads), FailedStart::ReadFails),
            (u32::from(on.full_disk), FailedStart::DiskFull),
        ]);
        match kind {
            FailedStart::KilledSoon => files.stop_at(files.steps() + self.rng.below(6) as u64),
            FailedStart::KilledLate => files.stop_at(files.steps() + self.rng.below(90) as u64),
            FailedStart::ReadFails => files.fail_read(files.reads() + self.rng.below(12) as u64, EIO),
            FailedStart::DiskFull => {
                files.set_capacity(Some(self.machine.used() + self.rng.below(1 << 20) as u64));
            }
        }
        let mut found = Found::default();
        let started = self.start(cores, edition, &mut found);
        self.machine.files.set_capacity(None);
        let Err(error) = started else {
            // It has come through in spite of everything, and is killed at its first turn.
            drop(started);
            self.end(End::Killed);
            return;
        };
        self.history.note(format_args!("a start fails: {error}"));
        self.coverage.count(match kind {
            FailedStart::ReadFails => Covered::ReadFails,
            FailedStart::DiskFull => Covered::DiskFull,
            _ if found.redistributed => Covered::KilledInRedistribution,
            _ => Covered::KilledInStart,
        });
        let end = if self.rng.percent(50) { End::PowerCut } else { End::Killed };
        self.end(end);
    }
}
