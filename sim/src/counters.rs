//! Coverage: how often each fault and each named race was met. One that is met too rarely is not tested, and fails the run of seeds.

use std::fmt;

/// Times that a fault or a race has to be met over a whole range of seeds.
pub const COVERED_MIN: u64 = 100;
/// Seeds from which on [`COVERED_MIN`] is asked for.
pub const SEEDS_MIN: u64 = 2_000;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Has to be met.
    Fault,
    /// Has to be met.
    Race,
    /// Has to be met: a path of recovery or of the log that the faults are there to reach.
    Path,
    /// Told only.
    Count,
}

macro_rules! counted {
    ($($kind:ident $name:ident $text:literal;)*) => {
        /// A fault, a race or a path.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Covered { $($name,)* }

        /// Each with what it is called.
        const ALL: &[(Covered, Kind, &str)] = &[$((Covered::$name, Kind::$kind, $text),)*];
    };
}

counted! {
    Count Operations "client operations";
    Count Replies "replies";
    Count Refused "replies that say: not now";
    Count Repeated "exact repeats of a request";
    Count Changed "requests about one order beside another one of it";
    Count Turns "turns of shards";
    Count Frames "frames of the log";
    Count Records "records held against the model";
    Count Searched "histories searched for a linear order";
    Count Calmed "runs whose faults had to end, or they would not have";
    Count Followed "records that sinks followed";
    Count GaveUp "histories too entangled to search";

    Fault PowerCut "the machine loses power";
    Fault Killed "the process is killed, the machine goes on";
    Fault KilledInStart "killed while it starts";
    Fault KilledInRedistribution "killed while slots are dealt out";
    Fault TornWrite "a log write is torn: some of its sectors survive";
    Fault UnsyncedSurvives "all unsynced bytes survive a power cut";
    Fault UnsyncedLost "no unsynced byte survives a power cut";
    Fault LostWrite "a lying disk: an acknowledged log write was never made";
    Fault LostLastWrite "a lying disk: the last acknowledged log write was never made";
    Fault Misdirected "a write went to another place";
    Fault RotInOld "a bit of old log bytes flips";
    Fault RotInNew "a bit of the last frames flips";
    Fault RotInSnapshot "a bit of a snapshot flips";
    Fault RotElsewhere "a bit of a superblock, a spare segment or an empty place flips";
    Fault WriteFails "a log write fails";
    Fault SyncFails "a step of a job fails";
    Fault ReadFails "a read fails";
    Fault ShortWrite "a write stops half way";
    Fault DiskFull "the disk is full";
    Fault Stall "a disk completes nothing for a long time";
    Fault OutOfOrder "the lanes of a disk complete out of order";
    Fault ClockForwards "the wall clock jumps forwards";
    Fault ClockBackwards "the wall clock jumps backwards";
    Fault StartAhead "a start with a wall clock that is a day or more ahead of the last record";
    Fault StartBehind "a start with a wall clock that is a day or more behind the last record";
    Fault ClocksApart "a core whose clocks are not the machine's takes its turn";
    Fault RingGone "a core's rings are not served any more, and then the process dies";
    Fault MessageLate "messages between two cores are held up";
    Fault MessageDoubled "a message arrives twice";
    Fault MessageOvertakes "a message overtakes older parcels of its ring";
    Fault MessageCrossed "a crash while a message is between two cores";
    Fault RingFull "a ring is full";
    Fault FollowerReadFails "a read of a sink's follower fails";
    Fault KeeperFails "the keeper cannot write down how far sinks are";
    Fault KilledInKeeper "killed while the keeper writes down how far sinks are";

    Race PayPay "race: two payments of one order";
    Race PayCancel "race: payment and cancel";
    Race PayReserve "race: payment and reserve";
    Race PayExpiry "race: payment at the deadline";
    Race CancelExpiry "race: cancel at the deadline";
    Race ConfirmExpiry "race: confirm or release at the deadline";
    Race AdoptExpiry "race: a hold is adopted at its deadline";
    Race ReserveCancel "race: reserve and cancel";
    Race ReserveReserve "race: two reserves of one order";
    Race CreateCreate "race: two creates under one key";
    Race PurchasePurchase "race: two purchases under one key";
    Race OneTxnTwoOrders "race: one transaction id, two orders";
    Race AdoptRelease "race: a hold is adopted and released";
    Race LastSeat "race: two holds, one seat left";
    Race SettleSettle "race: a refund is settled twice";
    Race TicketCancel "race: ticket and cancel";

    Path Restarts "starts that went through";
    Path OtherCores "starts with another number of cores";
    Path OtherTimetable "starts with another timetable";
    Path CleanStop "stops in good order";
    Path StoppedBusy "stops with requests under way";
    Path TailCut "torn tails that were cut";
    Path Abandoned "requests that their clients left";
    Path CommitDelayed "turns after which a commit waits for company";
    Path Jammed "commands refused because a ring is jammed";
    Path Snapshots "snapshots that came to count";
    Path ImagePieces "pieces of slot images that another one followed";
    Path SnapshotInFlight "a crash while a snapshot is under way";
    Path Recycled "segments that were recycled";
    Path Resent "tells that were sent again";
    Path Expired "holds that expired";
    Path Forgotten "holds and partitions that were forgotten";
    Path ForgottenEarly "ended holds that were forgotten before their time";
    Path Departed "partitions that were forgotten because their run has departed";
    Path KeptOver "ad hoc partitions with sold seats that were forgotten";
    Path GaveWay "ad hoc partitions that gave way to the timetable";
    Path Reopened "partitions opened under a key that was forgotten";
    Path MadeAgain "holds of an id that one before them had";
    Path TrainLost "starts with a timetable that has lost an open run";
    Path TimeAhead "turns whose engine time is an hour or more ahead of the wall clock";
    Path SaleClosed "sales refused because the train has left";
    Path BoardingNotAllowed "sales refused because nobody gets on or off there";
    Path MemoryShort "sales refused because memory is short";
    Path GivenUp "orders given up because memory is short";
    Path Left "orders that left";
    Path LeftEarly "orders that left early because memory is short";
    Path LeftWithMoney "orders that left after the slots of their transaction ids were told";
    Path StartedLeaving "starts with an order that is leaving";
    Path Leaving "orders that began to leave";
    Path Stayed "orders that were leaving when money was owed back for them";
    Path Kept "orders whose partition said how long it is kept";
    Path KeptPastEnd "orders whose partition had gone or ended";
    Path ClaimsForgotten "claims of orders that left";
    Count ClaimsLate "claims whose order left before it heard of them";
    Path LeftPaid "payments owed back whose order has left";
    Path LeftRefunds "settled refunds that left without an order";
    Count HistoryLost "payments owed back because the read model was lost";
    Path LookedUp "payments that were looked up in the read model";
    Path LookedUpKept "and have paid their order";
    Path LookedUpRefused "and were owed back before";
    Path LookedUpNobody "and are of nobody's order";
    Path LookedUpLate "and whose answer came too late";
    Count LookedUpNever "and could not be";
    Path AskedOfLeft "requests about orders that have left";
    Path CreatedAgain "orders created under a key whose order has left";
    Path AbandonedOrder "orders given up";
    Path Declined "holds that their orders did not want";
    Path RefundOwed "refunds owed";
    Path TicketIssued "tickets issued";
    Path BatchParcel "parcels of batches";
    Path BatchAnswered "batches whose answers were held against their order";
    Path Purchased "purchases made";
    Path PurchasePaid "purchases paid";
    Path PurchaseCancelled "purchases cancelled";
    Path PurchaseExpired "purchases whose hold expired";
    Path KeyReused "purchases refused because their key came before with other contents";
    Path LogFull "sales refused because the log has no room";
    Path Exhausted "turns of a shard whose log has no room for anything";
    Path FollowedOn "sinks that went on after a restart";
    Path FollowedEpochs "ends of an epoch that sinks went through";
    Path Copied "sinks that copied the state first";
    Path Detached "sinks that were detached";
    Path Audited "times that all that was kept for a sink was followed";
    Path PrunedBehind "segments that were pruned behind sinks";
    Path BudgetReached "times that what sinks need reached the budget";
    Path BudgetLeft "times that it was below the budget again";
    Path RotRefused "damage that was refused by name";
    Path RotHarmless "damage without effect";
    Path RotCut "damage of a last frame, cut and reported";
}

const LEN: usize = ALL.len();

/// Counts of one run, or of many.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Counters([u64; LEN]);

impl Default for Counters {
    fn default() -> Counters {
        Counters([0; LEN])
    }
}

impl Counters {
    pub fn count(&mut self, what: Covered) {
        self.add(what, 1);
    }

    pub fn add(&mut self, what: Covered, times: u64) {
        self.0[what as usize] += times;
    }

    #[must_use]
    pub fn get(&self, what: Covered) -> u64 {
        self.0[what as usize]
    }

    pub fn merge(&mut self, other: &Counters) {
        self.0.iter_mut().zip(other.0).for_each(|(to, from)| *to += from);
    }

    /// Faults, races and paths that had to be met and were not met often enough.
    pub fn missing(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let needed = ALL.iter().filter(|(_, kind, _)| *kind != Kind::Count);
        needed.map(|(what, _, text)| (*text, self.get(*what))).filter(|(_, times)| *times < COVERED_MIN)
    }

    /// As a line that [`Counters::parse`] reads.
    #[must_use]
    pub fn line(&self) -> String {
        self.0.map(|count| count.to_string()).join(" ")
    }

    /// Reads a line; `None` where it is not one of this version.
    #[must_use]
    pub fn parse(line: &str) -> Option<Counters> {
        let counts: Option<Vec<u64>> = line.split(' ').map(|count| count.parse().ok()).collect();
        Some(Counters(counts?.try_into().ok()?))
    }
}

impl fmt::Display for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, kind, text) in ALL {
            let kind = format!("{kind:?}").to_lowercase();
            writeln!(f, "{:>12}  {kind:<5}  {text}", self.get(*what))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_met_too_rarely_is_named() {
        let mut counters = Counters::default();
        for (what, ..) in ALL {
            counters.add(*what, COVERED_MIN);
        }
        assert_eq!(counters.missing().count(), 0);
        counters.0[Covered::PayCancel as usize] -= 1;
        counters.0[Covered::Turns as usize] = 0;
        assert_eq!(counters.missing().collect::<Vec<_>>(), [("race: payment and cancel", 99)]);
    }

    #[test]
    fn a_line_is_read_as_it_was_written() {
        let mut counters = Counters::default();
        counters.add(Covered::Killed, 17);
        assert_eq!(Counters::parse(&counters.line()), Some(counters));
        assert_eq!(Counters::parse("1 2 3"), None);
    }
}
