//! Seats: whose they certainly were and when, which are sold, and that all others are free.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::book::{Journey, Op, Place};
use super::pool::each;
use super::rules::{CLOCK_SLACK_MS, Stay, overlap};
use crate::session::texts;
use crate::time::{is_server_clock_ours, rfc3339_ms};
use crate::{Rng, Server, Session, chance, until};

/// Which seats were certainly whose, and which are sold.
#[derive(Debug, Default)]
pub struct Ledger {
    pages: BTreeMap<String, Page>,
    /// Written to since seats were checked last.
    touched: BTreeSet<String>,
}

/// One place of the ledger.
#[derive(Debug)]
struct Page {
    place: Arc<Place>,
    /// By seat and segment.
    stays: BTreeMap<(String, usize), Vec<Stay>>,
}

impl Ledger {
    /// Adds what a journey's answers say about seats. The journey is settled.
    pub fn add(&mut self, journey: &Journey) {
        let Some((seats, stay)) = stay(journey) else { return };
        assert_eq!(seats.len() as u64, journey.want.qty, "as many seats as were asked for: {journey:#?}");
        let place = &journey.want.place;
        self.touched.insert(place.key.clone());
        let page = self.pages.entry(place.key.clone());
        let page = page.or_insert_with(|| Page { place: place.clone(), stays: BTreeMap::new() });
        let (from, to) = journey.want.ends();
        for seat in seats {
            for segment in from..to {
                page.stays.entry((seat.clone(), segment)).or_default().push(stay.clone());
            }
        }
    }

    /// No seat was two people's on a segment, and every seat that is not sold is free, on each segment and on the whole
    /// run: in all places that were written to since the last check, and in `more` others.
    pub fn check(&mut self, server: &Server, rng: &mut Rng, more: usize) {
        let mut keys = std::mem::take(&mut self.touched);
        let all: Vec<&String> = self.pages.keys().collect();
        keys.extend((0..more.min(all.len())).map(|_| (*chance::pick(rng, &all)).clone()));
        let pages: Vec<&Page> = keys.iter().filter_map(|key| self.pages.get(key)).collect();
        check(server, pages);
    }

    /// The same of all places.
    pub fn check_all(&self, server: &Server) {
        check(server, self.pages.values().collect());
    }

    pub fn seats_sold(&self) -> usize {
        let sold = |stays: &Vec<Stay>| stays.iter().any(|s| s.end_ms == u64::MAX);
        self.pages.values().map(|page| page.stays.values().filter(|s| sold(s)).count()).sum()
    }
}

fn check(server: &Server, mut pages: Vec<&Page>) {
    pages.iter().for_each(|page| page.check_stays());
    each(server, &mut pages, |session, page| page.check_availability(session));
}

impl Page {
    fn check_stays(&self) {
        let key = &self.place.key;
        for ((seat, segment), stays) in &self.stays {
            if let Some((a, b)) = overlap(stays) {
                panic!(
                    "{key}: seat {seat} on segment {segment} was {}'s from {} until {} and {}'s from {} until {}",
                    a.who, a.start_ms, a.end_ms, b.who, b.start_ms, b.end_ms
                );
            }
        }
    }

    fn check_availability(&self, session: &mut Session) {
        let place = &self.place;
        let mut sold = vec![BTreeSet::new(); place.segments];
        for ((seat, segment), stays) in &self.stays {
            if stays.iter().any(|s| s.end_ms == u64::MAX) {
                sold[*segment].insert(seat.as_str());
            }
        }
        let anywhere: BTreeSet<&str> = sold.iter().flatten().copied().collect();
        let mut spans: Vec<(usize, usize, usize)> =
            sold.iter().enumerate().map(|(segment, seats)| (segment, segment + 1, seats.len())).collect();
        spans.push((0, place.segments, anywhere.len()));
        for (from, to, sold) in spans {
            let expected = place.capacity - sold as i64;
            until(&format!("{} to have {expected} seats from {from} to {to}", place.key), || {
                let free = session.available_on(&place.key, from, to);
                assert!(free <= expected, "{}: {free} seats from {from} to {to}, not {expected}", place.key);
                (free == expected).then_some(())
            });
        }
    }
}

/// The seats that a journey was given, and for how long they were certainly its own.
fn stay(journey: &Journey) -> Option<(Vec<String>, Stay)> {
    let (given, seats, expires_at, sold, end) = if journey.is_order() {
        let given = journey.accepted(|op| matches!(op, Op::Reserve { .. }))?;
        let order = &given.told.as_ref()?.body;
        if order["Seats"].is_null() {
            return None;
        }
        let expires_at = order["ExpiresAt"].as_str().map(|t| rfc3339_ms(t) as u64);
        let sold = journey.settled.as_ref()?["Status"] == "TICKETED";
        (
            given,
            texts(order, "Seats"),
            expires_at,
            sold,
            journey.first_sent_ms(|op| matches!(op, Op::Cancel { .. })),
        )
    } else {
        let given = journey.accepted(|op| matches!(op, Op::TryHold { .. }))?;
        let told = given.told.as_ref()?;
        let sold = journey.accepted(|op| matches!(op, Op::Confirm { .. })).is_some();
        let end = journey.first_sent_ms(|op| matches!(op, Op::Release { .. }));
        (given, texts(journey.hold_in(told), "seats"), Some(journey.expires_ms(told)), sold, end)
    };
    // By a clock that jumps nobody knows for how long an unsold seat was whose.
    let expires_at = expires_at.filter(|_| is_server_clock_ours());
    let expired = expires_at.unwrap_or(given.done_ms).saturating_sub(CLOCK_SLACK_MS);
    let end_ms = if sold { u64::MAX } else { end.unwrap_or(u64::MAX - 1).min(expired) };
    let who = journey.order().or(journey.hold()).unwrap_or_default().to_owned();
    Some((seats, Stay { who, start_ms: given.done_ms, end_ms }))
}
