//! What a drill did, counted.

use std::collections::BTreeMap;
use std::fmt;

use super::moments::Moment;

#[derive(Clone, Default, Debug)]
pub struct Figures {
    pub cycles: u64,
    /// Crashes by the moment at which they came.
    pub crashes: BTreeMap<Moment, u64>,
    /// Named moments that did not come in time; the crash came all the same.
    pub missed: u64,
    /// Writes that were answered with 200 before a crash.
    pub acknowledged: u64,
    /// Writes that were held against what became of them: by sending them again, but for holds and reservations that were
    /// refused and may be possible now.
    pub repeated: u64,
    /// Reads that were given before a crash, each compared with the order after it.
    pub reads: u64,
    /// Writes that were cut off and that nobody asked for again.
    pub abandoned: u64,
    pub refunds: u64,
    /// Seats sold, counted by segment.
    pub seats_sold: u64,
}

impl Figures {
    pub fn count(&mut self, moment: Moment) {
        *self.crashes.entry(moment).or_default() += 1;
    }

    #[must_use]
    pub fn of(&self, moment: Moment) -> u64 {
        self.crashes.get(&moment).copied().unwrap_or_default()
    }

    /// In short.
    #[must_use]
    pub fn line(&self) -> String {
        let crashes: u64 = self.crashes.values().sum();
        format!(
            "{crashes} crashes, {} writes acknowledged, {} answers audited",
            self.acknowledged,
            self.repeated + self.reads
        )
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} cycles, {}", self.cycles, self.line())?;
        for moment in Moment::ALL {
            writeln!(f, "  {:>7} crashes: {}", self.of(moment), moment.name())?;
        }
        writeln!(f, "  {:>7} named moments did not come in time (counted as random)", self.missed)?;
        writeln!(f, "  {:>7} writes acknowledged before a crash", self.acknowledged)?;
        writeln!(f, "  {:>7} writes audited", self.repeated)?;
        writeln!(f, "  {:>7} reads compared", self.reads)?;
        writeln!(f, "  {:>7} writes cut off and left to the server", self.abandoned)?;
        writeln!(f, "  {:>7} refunds owed, each announced and listed once", self.refunds)?;
        writeln!(f, "  {:>7} seats sold by segment, none twice", self.seats_sold)?;
        write!(f, "        0 acknowledged writes lost, 0 seats sold twice, 0 orders stuck")
    }
}
