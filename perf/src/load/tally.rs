//! Tally of a run: latencies of each kind, errors by kind, and how late the generator itself was.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use crate::limits::{DIGITS, LATENCY_NS_MAX};

/// Kind of an answered request, by what it was good for. Headlines count [`Kind::NewHold`] alone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// A durable hold that nobody asked for before.
    NewHold,
    /// A request that came before, answered again.
    Repeat,
    /// Nothing was written.
    Query,
    /// Something else was written: an order, a payment, the end of a hold.
    OtherWrite,
    /// Refused for a reason that the workload expects: the train is sold out.
    Refusal,
}

impl Kind {
    pub const ALL: [Kind; 5] = [Kind::NewHold, Kind::Repeat, Kind::Query, Kind::OtherWrite, Kind::Refusal];

    pub const fn name(self) -> &'static str {
        match self {
            Kind::NewHold => "new_hold",
            Kind::Repeat => "repeat",
            Kind::Query => "query",
            Kind::OtherWrite => "other_write",
            Kind::Refusal => "refusal",
        }
    }

    /// For a heading.
    pub const fn title(self) -> &'static str {
        match self {
            Kind::NewHold => "new durable holds",
            Kind::Repeat => "repeats",
            Kind::Query => "queries",
            Kind::OtherWrite => "other writes",
            Kind::Refusal => "refusals",
        }
    }
}

/// A histogram of nanoseconds.
#[must_use]
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_max(LATENCY_NS_MAX, DIGITS).expect("the bounds are in order")
}

#[derive(Clone, Debug)]
pub struct Tally {
    /// By kind, in the order of [`Kind::ALL`]; nanoseconds from the intended send time to the end of the answer.
    pub latency: [Histogram<u64>; Kind::ALL.len()],
    /// Of arrivals, from the intended time to the answer of their last request: what a whole purchase takes.
    pub arrival: Histogram<u64>,
    /// By which the generator itself was late: from when a request was due and a connection free to its sending.
    pub lag: Histogram<u64>,
    /// Arrivals that found all connections in use, and for how long they waited for one. That is part of their latency.
    pub held_back: Histogram<u64>,
    /// Meant to be sent within the measured time.
    pub offered: u64,
    /// Answered to their end within the measured time, whenever they were sent.
    pub achieved: u64,
    /// The same of new holds.
    pub new_holds_achieved: u64,
    /// Requests answered within the measured time, whatever they were: the server's CPU time is shared between them.
    pub requests: u64,
    pub errors: BTreeMap<String, u64>,
    /// Idle connections that the server closed, and that were opened again.
    pub reopened: u64,
    /// Time in which generator threads did something, and time that they had.
    pub busy_ns: u64,
    pub total_ns: u64,
}

impl Default for Tally {
    fn default() -> Tally {
        Tally {
            latency: Kind::ALL.map(|_| histogram()),
            arrival: histogram(),
            lag: histogram(),
            held_back: histogram(),
            offered: 0,
            achieved: 0,
            new_holds_achieved: 0,
            requests: 0,
            errors: BTreeMap::new(),
            reopened: 0,
            busy_ns: 0,
            total_ns: 0,
        }
    }
}

impl Tally {
    #[must_use]
    pub fn of(&self, kind: Kind) -> &Histogram<u64> {
        &self.latency[kind as usize]
    }

    pub(crate) fn add_latency(&mut self, kind: Kind, ns: u64) {
        self.latency[kind as usize].saturating_record(ns);
    }

    pub(crate) fn add_error(&mut self, what: &str) {
        if let Some(count) = self.errors.get_mut(what) {
            *count += 1;
        } else {
            self.errors.insert(what.to_owned(), 1);
        }
    }

    #[must_use]
    pub fn errors_total(&self) -> u64 {
        self.errors.values().sum()
    }

    /// All kinds of answers together.
    #[must_use]
    pub fn all(&self) -> Histogram<u64> {
        let mut all = histogram();
        for one in &self.latency {
            all.add(one).expect("the same bounds");
        }
        all
    }

    /// Adds what another thread counted in the same run.
    pub fn merge(&mut self, other: &Tally) {
        for (mine, theirs) in self.latency.iter_mut().zip(&other.latency) {
            mine.add(theirs).expect("the same bounds");
        }
        for (mine, theirs) in [
            (&mut self.arrival, &other.arrival),
            (&mut self.lag, &other.lag),
            (&mut self.held_back, &other.held_back),
        ] {
            mine.add(theirs).expect("the same bounds");
        }
        self.offered += other.offered;
        self.achieved += other.achieved;
        self.new_holds_achieved += other.new_holds_achieved;
        self.requests += other.requests;
        for (what, count) in &other.errors {
            *self.errors.entry(what.clone()).or_default() += count;
        }
        self.reopened += other.reopened;
        self.busy_ns += other.busy_ns;
        self.total_ns += other.total_ns;
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, Tally};

    /// The percentile by sorting: the smallest value that at least so large a share does not exceed.
    fn naive(values: &mut [u64], percent: f64) -> u64 {
        values.sort_unstable();
        let rank = (percent / 100.0 * values.len() as f64).ceil().max(1.0) as usize;
        values[rank - 1]
    }

    #[test]
    fn percentiles_are_those_of_a_sorted_list() {
        let mut chance = fastrand::Rng::with_seed(3);
        let mut tally = Tally::default();
        // From microseconds to tens of seconds, every magnitude alike.
        let mut values: Vec<u64> = (0..30_000).map(|_| 10f64.powf(3.0 + 7.0 * chance.f64()) as u64).collect();
        for (i, value) in values.iter().enumerate() {
            let mut other = Tally::default();
            // A part comes from another thread.
            let into = if i % 1_000 == 0 { &mut other } else { &mut tally };
            into.add_latency(Kind::NewHold, *value);
            if i % 1_000 == 0 {
                tally.merge(&other);
            }
        }
        assert_eq!(tally.of(Kind::NewHold).len(), 30_000);
        assert_eq!(tally.of(Kind::Query).len(), 0);
        for percent in [1.0, 25.0, 50.0, 90.0, 99.0, 99.9, 100.0] {
            let exact = naive(&mut values, percent) as f64;
            let found = tally.of(Kind::NewHold).value_at_percentile(percent) as f64;
            assert!((found / exact - 1.0).abs() < 0.002, "p{percent}: {found}, by sorting {exact}");
        }
    }
}
