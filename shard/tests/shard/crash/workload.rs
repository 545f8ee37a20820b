//! What clients ask for: every operation, on so few names that they meet all the time.

use engine::command::{
    AdHoc, Cancel, Command, ExpectedHold, HoldRef, ListRefunds, Pay, Reserve, RunQuery, SeatRequest,
};
use engine::ids::{HoldId, PartitionKey};
use engine::limits::QUANTITY_MAX;
use engine::text::Text;

use crate::support::Names;
use crate::support::catalogue::{Table, coach, run};
use crate::support::names::{create, hold, partition, reference, span};
use crate::support::rng::Rng;
use crate::support::world::START;

pub(super) const ORDERS: usize = 7;
pub(super) const TXNS: usize = 8;
/// Two partitions are classes of this run, the others on their own.
const RUN: [&str; 2] = ["G7", "2027-05-01"];
const AD_HOC: AdHoc = AdHoc { capacity: 3, segments: 3 };

/// What the timetable sells of the run.
pub(super) fn catalogue() -> Table {
    let [train, date] = RUN;
    let ends_at = START.plus(1 << 40);
    Table::default().sells(&format!("{train}|{date}|1st"), coach("1", 1, 1), run(4, ends_at)).sells(
        &format!("{train}|{date}|2nd"),
        coach("2", 1, 2),
        run(4, ends_at),
    )
}

pub(super) struct Workload {
    pub(super) names: Names,
    partitions: Vec<PartitionKey>,
    /// Large holds that fill the log, so many percent of commands.
    pub(super) large_percent: usize,
    larges: usize,
}

impl Workload {
    pub(super) fn new(names: Names, large_percent: usize) -> Workload {
        let [train, date] = RUN;
        let mut partitions: Vec<_> = (0..2).map(|nth| names.with_partition(nth).partition).collect();
        partitions.push(partition(&format!("{train}|{date}|1st")));
        partitions.push(partition(&format!("{train}|{date}|2nd")));
        Workload { names, partitions, large_percent, larges: 0 }
    }

    pub(super) fn next(&mut self, rng: &mut Rng) -> Command {
        if rng.chance(self.large_percent) {
            return self.large();
        }
        let nth = rng.below(ORDERS);
        match rng.below(100) {
            0..8 => self.create(rng, nth),
            8..36 => Command::Reserve(self.reserve(rng, nth)),
            36..54 => Command::Pay(self.pay(rng, nth)),
            54..60 => self.cancel(rng, nth),
            60..68 => self.names.get(nth),
            68..70 => self.names.ticket(nth),
            70..82 => self.try_hold(rng),
            82..86 => Command::ReleaseHold(self.hold_ref(rng)),
            86..90 => Command::ConfirmHold(self.hold_ref(rng)),
            90..95 => {
                let partition = rng.pick(&self.partitions);
                Command::Availability { partition, span: rng.pick(&[None, span(0, 1), span(1, 3)]) }
            }
            95..97 => {
                let [train, date] = RUN;
                Command::Run(RunQuery { train: Text::from(train), date: Text::from(date), span: None })
            }
            97..99 => Command::SettleRefund {
                order: self.names.order(nth).name(),
                txn: self.names.txn(rng.below(TXNS)),
                reference: reference(rng.pick(&["one", "two"])),
            },
            _ => Command::ListRefunds(ListRefunds { status: None, after: None, limit: 100 }),
        }
    }

    /// A hold as large as can be.
    pub(super) fn large(&mut self) -> Command {
        self.larges += 1;
        let mut n = self.names.with_partition(2 + self.larges % 2);
        n.ad_hoc = AdHoc { capacity: 100_000, segments: 1 };
        n.try_hold(&format!("large-{}", self.larges), QUANTITY_MAX)
    }

    fn create(&self, rng: &mut Rng, nth: usize) -> Command {
        let cents = if rng.chance(10) { 7 } else { 100 + nth as i64 };
        create(self.names.key(nth), cents, nth)
    }

    fn reserve(&self, rng: &mut Rng, nth: usize) -> Reserve {
        let order = self.names.order(nth);
        let own = order.hold_id();
        let seats = SeatRequest {
            partition: self.partitions[if rng.chance(80) { nth % 4 } else { rng.below(4) }].clone(),
            hold: if rng.chance(75) { own } else { self.hold_id(rng) },
            quantity: if rng.chance(80) { 1 } else { 2 },
            span: if rng.chance(70) { None } else { span(0, 1 + rng.below(3) as u16) },
            ad_hoc: AD_HOC,
        };
        Reserve { order, seats }
    }

    fn pay(&self, rng: &mut Rng, nth: usize) -> Pay {
        let txn = if rng.chance(75) { nth } else { rng.below(TXNS) };
        let expected =
            ExpectedHold { partition: rng.chance(5).then(|| rng.pick(&self.partitions)), hold: None };
        Pay { order: self.names.order(nth).name(), txn: self.names.txn(txn), expected, verified: true }
    }

    fn cancel(&self, rng: &mut Rng, nth: usize) -> Command {
        let order = self.names.order(nth);
        let expected = ExpectedHold { partition: None, hold: rng.chance(30).then(|| order.hold_id()) };
        Command::Cancel(Cancel { order, expected })
    }

    fn try_hold(&self, rng: &mut Rng) -> Command {
        Command::TryHold(SeatRequest {
            partition: rng.pick(&self.partitions),
            hold: self.hold_id(rng),
            quantity: 1 + rng.below(3) as u32 / 2,
            span: if rng.chance(50) { None } else { span(rng.below(2) as u16, 3) },
            ad_hoc: AD_HOC,
        })
    }

    fn hold_ref(&self, rng: &mut Rng) -> HoldRef {
        HoldRef { partition: rng.pick(&self.partitions), hold: self.hold_id(rng) }
    }

    fn hold_id(&self, rng: &mut Rng) -> HoldId {
        hold(&format!("h{}", rng.below(5)))
    }
}
