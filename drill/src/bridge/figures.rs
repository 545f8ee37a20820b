//! Figures of the drill: what it did, met and found.

use std::collections::BTreeMap;
use std::fmt;

use super::plan::Fault;

#[derive(Clone, Default, Debug)]
pub struct Figures {
    pub cycles: u64,
    /// How often each fault was carried out, and the writes that were acknowledged meanwhile.
    pub faults: BTreeMap<Fault, (u64, u64)>,
    pub starts: u64,
    /// How often the server said that the read model is down, by what it calls the trouble.
    pub noticed: BTreeMap<&'static str, u64>,
    /// Writes that were acknowledged while the read model could not be written.
    pub acknowledged_meanwhile: u64,
    pub acknowledged: u64,
    /// Of them those that were operations of batches.
    pub batched: u64,
    pub reads: u64,
    pub cut_off: u64,
    pub late: u64,
    pub unavailable: u64,
    pub found: Found,
}

/// Counts of what the audit compared; all of it agreed.
#[derive(Clone, Default, Debug)]
pub struct Found {
    /// Orders in the end, by status.
    pub orders: BTreeMap<String, u64>,
    /// Creations that were cut off and given up, and were done all the same.
    pub given_up: u64,
    /// Orders that the engine no longer had.
    pub left: u64,
    pub refunds: u64,
    pub refunds_settled: u64,
    pub refunds_unmatched: u64,
    pub order_events: u64,
    pub run_events: u64,
    pub free_holds: u64,
    /// Seats sold, counted by segment.
    pub seats_sold: u64,
    /// Of Kafka, and how many different ones they are.
    pub messages: u64,
    pub events: u64,
}

impl Figures {
    pub(super) fn add_fault(&mut self, fault: Fault, acknowledged: u64) {
        let (count, sum) = self.faults.entry(fault).or_default();
        *count += 1;
        *sum += acknowledged;
    }

    /// In short.
    #[must_use]
    pub fn line(&self) -> String {
        let faults: u64 = self.faults.values().map(|(count, _)| count).sum();
        format!("{faults} faults, {} starts, {} writes acknowledged", self.starts, self.acknowledged)
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} cycles, {}", self.cycles, self.line())?;
        for (fault, (count, acknowledged)) in &self.faults {
            writeln!(f, "  {count:>7} times {} ({acknowledged} writes acknowledged)", fault.name())?;
        }
        for (trouble, count) in &self.noticed {
            writeln!(f, "  {count:>7} times the server said that the read model is down: {trouble}")?;
        }
        let Found { orders, .. } = &self.found;
        let counts = [
            (self.acknowledged_meanwhile, "writes acknowledged while the read model could not be written"),
            (self.batched, "operations of batches among the writes that were acknowledged"),
            (self.reads, "reads answered"),
            (self.unavailable, "questions that the read model alone can answer refused with 503"),
            (self.cut_off, "requests cut off, or refused by a machine whose server was away"),
            (self.late, "requests not answered in time and sent again"),
            (
                orders.values().sum(),
                "orders agree: HTTP by id, listing, both exports, SQLite, MySQL, Kafka, and what clients were told",
            ),
            (self.found.given_up, "of them creations that were cut off and given up"),
            (self.found.left, "orders had left the engine"),
            (self.found.refunds, "refunds agree"),
            (self.found.refunds_settled, "of them settled"),
            (self.found.refunds_unmatched, "of them for orders that nobody knows"),
            (self.found.order_events, "events of orders, each status change once and in order"),
            (self.found.run_events, "events of runs, which give exactly the seats of the orders"),
            (self.found.free_holds, "holds without an order sold"),
            (self.found.seats_sold, "seats sold by segment, none twice"),
            (
                self.found.events,
                "events of Kafka, each by one id; MySQL has the rows of SQLite, and Redis no hold that has ended",
            ),
            (self.found.messages - self.found.events, "messages that came again"),
        ];
        for (count, what) in counts {
            writeln!(f, "  {count:>7} {what}")?;
        }
        for (status, count) in orders {
            writeln!(f, "  {count:>7} orders {status} in the end")?;
        }
        write!(
            f,
            "        0 orders lost or made up, 0 that went back, 0 requests failed for want of the read model"
        )
    }
}
