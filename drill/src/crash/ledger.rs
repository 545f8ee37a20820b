//! The ledger of seats: which were certainly whose and when, which are sold, and that all others are free.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::history::{Journey, Op};
use super::partitions::Partition;
use super::pool::each;
use super::rules::{CLOCK_SLACK_MS, Occupancy, overlap};
use crate::session::texts;
use crate::time::{is_server_clock_ours, rfc3339_ms};
use crate::{Rng, Server, Session, chance, until};

#[derive(Debug, Default)]
pub struct SeatLedger {
    partitions: BTreeMap<String, PartitionSeats>,
    /// Partitions that were written to since the last check.
    touched: BTreeSet<String>,
}

#[derive(Debug)]
struct PartitionSeats {
    partition: Arc<Partition>,
    /// By seat and segment.
    occupancies: BTreeMap<(String, usize), Vec<Occupancy>>,
}

impl SeatLedger {
    /// Adds what a journey's answers say about seats. The journey is settled.
    pub fn add(&mut self, journey: &Journey) {
        let Some((seats, occupancy)) = occupancy(journey) else { return };
        assert_eq!(seats.len() as u64, journey.seats.qty, "as many seats as were asked for: {journey:#?}");
        let partition = &journey.seats.partition;
        self.touched.insert(partition.key.clone());
        let entry = self.partitions.entry(partition.key.clone());
        let entry = entry
            .or_insert_with(|| PartitionSeats { partition: partition.clone(), occupancies: BTreeMap::new() });
        let (from, to) = journey.seats.ends();
        for seat in seats {
            for segment in from..to {
                entry.occupancies.entry((seat.clone(), segment)).or_default().push(occupancy.clone());
            }
        }
    }

    /// Checks that no seat was two people's on a segment, and that every seat which is not sold is free, on each segment
    /// and on the whole run: in all partitions that were written to since the last check, and in `more` others.
    pub fn check(&mut self, server: &Server, rng: &mut Rng, more: usize) {
        let mut keys = std::mem::take(&mut self.touched);
        let all: Vec<&String> = self.partitions.keys().collect();
        keys.extend((0..more.min(all.len())).map(|_| (*chance::pick(rng, &all)).clone()));
        check(server, keys.iter().filter_map(|key| self.partitions.get(key)).collect());
    }

    /// The same in all partitions.
    pub fn check_all(&self, server: &Server) {
        check(server, self.partitions.values().collect());
    }

    /// Seats sold, counted by segment.
    #[must_use]
    pub fn seats_sold(&self) -> usize {
        self.partitions.values().map(|partition| partition.sold().count()).sum()
    }
}

fn check(server: &Server, mut partitions: Vec<&PartitionSeats>) {
    partitions.iter().for_each(|partition| partition.check_occupancies());
    each(server, &mut partitions, |session, partition| partition.check_availability(session));
}

impl PartitionSeats {
    fn sold(&self) -> impl Iterator<Item = (&str, usize)> {
        let sold = self.occupancies.iter().filter(|(_, all)| all.iter().any(Occupancy::is_sold));
        sold.map(|((seat, segment), _)| (seat.as_str(), *segment))
    }

    fn check_occupancies(&self) {
        let key = &self.partition.key;
        for ((seat, segment), occupancies) in &self.occupancies {
            if let Some((a, b)) = overlap(occupancies) {
                panic!(
                    "{key}: seat {seat} on segment {segment} was {}'s from {} until {} and {}'s from {} until {}",
                    a.who, a.start_ms, a.end_ms, b.who, b.start_ms, b.end_ms
                );
            }
        }
    }

    fn check_availability(&self, session: &mut Session) {
        let partition = &self.partition;
        let mut sold = vec![BTreeSet::new(); partition.segments];
        for (seat, segment) in self.sold() {
            sold[segment].insert(seat);
        }
        let anywhere: BTreeSet<&str> = sold.iter().flatten().copied().collect();
        let mut spans: Vec<(usize, usize, usize)> =
            sold.iter().enumerate().map(|(segment, seats)| (segment, segment + 1, seats.len())).collect();
        spans.push((0, partition.segments, anywhere.len()));
        for (from, to, sold) in spans {
            let expected = partition.capacity - sold as i64;
            let key = &partition.key;
            until(&format!("{key} to have {expected} seats from {from} to {to}"), || {
                let free = session.available_on(key, from, to);
                assert!(free <= expected, "{key}: {free} seats from {from} to {to}, not {expected}");
                (free == expected).then_some(())
            });
        }
    }
}

/// The seats that a journey was given, and the time in which they certainly were its own.
fn occupancy(journey: &Journey) -> Option<(Vec<String>, Occupancy)> {
    let (given, seats, expires_at, is_sold, end) = if journey.key().is_some() {
        let (given, order) = journey.accepted(Op::reserves)?;
        if order.body["Seats"].is_null() {
            return None;
        }
        let expires_at = order.body["ExpiresAt"].as_str().map(|text| rfc3339_ms(text) as u64);
        let is_sold = journey.settled.as_ref()?["Status"] == "TICKETED";
        let end = journey.first_sent_ms(|op| matches!(op, Op::Cancel { .. }));
        (given, texts(&order.body, "Seats"), expires_at, is_sold, end)
    } else {
        let (given, held) = journey.accepted(|op| matches!(op, Op::TryHold { .. }))?;
        let is_sold = journey.accepted(|op| matches!(op, Op::Confirm { .. })).is_some();
        let end = journey.first_sent_ms(|op| matches!(op, Op::Release { .. }));
        (given, texts(journey.hold_in(held), "seats"), Some(journey.expires_ms(held)), is_sold, end)
    };
    // Under a clock that jumps nobody knows how long an unsold seat was whose.
    let expires_at = expires_at.filter(|_| is_server_clock_ours());
    let expired = expires_at.unwrap_or(given.done_ms).saturating_sub(CLOCK_SLACK_MS);
    let end_ms = if is_sold { Occupancy::SOLD } else { end.map_or(expired, |end| end.min(expired)) };
    let who = journey.order().or(journey.hold()).unwrap_or_default().to_owned();
    Some((seats, Occupancy { who, start_ms: given.done_ms, end_ms }))
}
