//! What a drill did, counted.

use std::collections::BTreeMap;
use std::fmt;

use super::kill_points::KillPoint;

#[derive(Clone, Default, Debug)]
pub struct Figures {
    pub cycles: u64,
    pub crashes: BTreeMap<KillPoint, u64>,
    /// Kill points that did not come in time; the crash came all the same.
    pub missed: u64,
    /// Writes that were answered with 200 before a crash.
    pub acknowledged: u64,
    /// Writes that were compared with what became of them: by sending them again, but for holds and reservations that were
    /// refused and may be possible now.
    pub repeated: u64,
    /// Reads that were answered before a crash, each compared with the order after it.
    pub reads: u64,
    /// Writes that were cut off and not sent again by anybody.
    pub abandoned: u64,
    pub refunds: u64,
    /// Seats sold, counted by segment.
    pub seats_sold: u64,
}

impl Figures {
    pub fn count(&mut self, kill_point: KillPoint) {
        *self.crashes.entry(kill_point).or_default() += 1;
    }

    #[must_use]
    pub fn of(&self, kill_point: KillPoint) -> u64 {
        self.crashes.get(&kill_point).copied().unwrap_or_default()
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
        for kill_point in KillPoint::ALL {
            writeln!(f, "  {:>7} crashes: {}", self.of(kill_point), kill_point.name())?;
        }
        let counts = [
            (self.missed, "kill points did not come in time (counted as random)"),
            (self.acknowledged, "writes acknowledged before a crash"),
            (self.repeated, "writes audited"),
            (self.reads, "reads compared"),
            (self.abandoned, "writes cut off and left to the server"),
            (self.refunds, "refunds owed, each announced and listed once"),
            (self.seats_sold, "seats sold by segment, none twice"),
        ];
        for (count, what) in counts {
            writeln!(f, "  {count:>7} {what}")?;
        }
        write!(f, "        0 acknowledged writes lost, 0 seats sold twice, 0 orders stuck")
    }
}
