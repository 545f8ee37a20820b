//! Names that live in chosen slots or on chosen cores, and the commands that are made of them.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use allocator::Span;
use engine::command::{
    AdHoc, Cancel, Command, CreateOrder, ExpectedHold, HoldRef, Pay, Reserve, SeatRequest,
};
use engine::ids::{
    Cents, HoldId, IdempotencyKey, OrderId, OrderName, PartitionKey, Reference, SlotId, TxnId,
};
use engine::limits::SLOTS;
use engine::slots::{SlotHash, core_of};

/// The secret of the slot hash where a test has no data directory.
pub const SECRET: [u8; 16] = *b"a test's secret.";

macro_rules! parsed {
    ($($name:ident $id:ident;)*) => {
        $(
            /// # Panics
            /// When it is no such id.
            #[must_use]
            pub fn $name(text: &str) -> $id {
                $id::parse(text).expect("a test's id")
            }
        )*
    };
}

parsed! {
    partition PartitionKey;
    hold HoldId;
    key IdempotencyKey;
    txn TxnId;
    order_name OrderName;
    reference Reference;
}

/// # Panics
/// When it is no span.
#[must_use]
pub fn span(from: u16, to: u16) -> Option<Span> {
    Some(Span::new(from, to).expect("a span of a test"))
}

/// Which slots the orders, the partition and the transaction ids are in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Placement {
    pub order: u16,
    pub partition: u16,
    pub txn: u16,
}

/// Every way in which three things can share slots.
pub const PLACEMENTS: [Placement; 5] = [
    Placement { order: 7, partition: 7, txn: 7 },
    Placement { order: 7, partition: 7, txn: 9 },
    Placement { order: 7, partition: 8, txn: 7 },
    Placement { order: 7, partition: 9, txn: 9 },
    Placement { order: 7, partition: 8, txn: 9 },
];
pub const TOGETHER: Placement = PLACEMENTS[0];
pub const APART: Placement = PLACEMENTS[4];

/// Orders, transaction ids and a partition by number, each kind in one place, and commands about them.
#[derive(Clone, Debug)]
pub struct Names {
    hash: SlotHash,
    cores: u16,
    /// By core; with as many cores as slots, by slot.
    placement: Placement,
    pub partition: PartitionKey,
    pub ad_hoc: AdHoc,
}

impl Names {
    /// In those slots, under [`SECRET`].
    #[must_use]
    pub fn new(placement: Placement) -> Names {
        let Placement { order, partition, txn } = placement;
        let ad_hoc = AdHoc { capacity: 4, segments: 2 };
        // A slot is a core's alone where each has its own.
        Names::on_cores(&SlotHash::new(SECRET), SLOTS, [order, partition, txn], ad_hoc)
    }

    /// Orders, partition and transaction ids on those cores.
    #[must_use]
    pub fn on_cores(hash: &SlotHash, cores: u16, on: [u16; 3], ad_hoc: AdHoc) -> Names {
        let [order, on_core, txn] = on;
        let placement = Placement { order, partition: on_core, txn };
        let names = Names { hash: hash.clone(), cores, placement, partition: partition("none"), ad_hoc };
        names.with_partition(0)
    }

    /// With the nth partition in the same place.
    #[must_use]
    pub fn with_partition(&self, nth: usize) -> Names {
        let place = |text: &str| self.hash.partition(&partition(text));
        let text = self.search(self.placement.partition, place, "train", nth);
        Names { partition: partition(&text), ..self.clone() }
    }

    #[must_use]
    pub fn key(&self, nth: usize) -> IdempotencyKey {
        let place = |text: &str| self.hash.idempotency_key(&key(text));
        key(&self.search(self.placement.order, place, "key", nth))
    }

    #[must_use]
    pub fn txn(&self, nth: usize) -> TxnId {
        let place = |text: &str| self.hash.txn(&txn(text));
        txn(&self.search(self.placement.txn, place, "txn", nth))
    }

    /// The id that the order of the key with the same number has.
    #[must_use]
    pub fn order(&self, nth: usize) -> OrderId {
        OrderId::new(self.hash.idempotency_key(&self.key(nth)), entropy(nth))
    }

    #[must_use]
    pub fn create(&self, nth: usize) -> Command {
        create(self.key(nth), 100 + nth as i64, nth)
    }

    /// One seat on the whole run, under the order's own id.
    #[must_use]
    pub fn reserve(&self, nth: usize) -> Command {
        self.reserve_with(nth, |_| ())
    }

    #[must_use]
    pub fn reserve_with(&self, nth: usize, change: impl FnOnce(&mut SeatRequest)) -> Command {
        let mut reservation = self.reservation(nth);
        change(&mut reservation.seats);
        Command::Reserve(reservation)
    }

    #[must_use]
    pub fn reservation(&self, nth: usize) -> Reserve {
        let order = self.order(nth);
        Reserve { order, seats: self.seats(order.hold_id(), 1) }
    }

    /// Seats on the whole run.
    #[must_use]
    pub fn seats(&self, hold: HoldId, quantity: u32) -> SeatRequest {
        let (partition, ad_hoc) = (self.partition.clone(), self.ad_hoc);
        SeatRequest { partition, hold, quantity, span: None, ad_hoc }
    }

    #[must_use]
    pub fn try_hold(&self, id: &str, quantity: u32) -> Command {
        self.try_hold_with(id, quantity, |_| ())
    }

    #[must_use]
    pub fn try_hold_with(&self, id: &str, quantity: u32, change: impl FnOnce(&mut SeatRequest)) -> Command {
        let mut seats = self.seats(hold(id), quantity);
        change(&mut seats);
        Command::TryHold(seats)
    }

    #[must_use]
    pub fn release(&self, id: &str) -> Command {
        Command::ReleaseHold(self.hold_ref(id))
    }

    #[must_use]
    pub fn confirm(&self, id: &str) -> Command {
        Command::ConfirmHold(self.hold_ref(id))
    }

    fn hold_ref(&self, id: &str) -> HoldRef {
        HoldRef { partition: self.partition.clone(), hold: hold(id) }
    }

    #[must_use]
    pub fn availability(&self) -> Command {
        Command::Availability { partition: self.partition.clone(), span: None }
    }

    #[must_use]
    pub fn cancel(&self, nth: usize) -> Command {
        Command::Cancel(Cancel { order: self.order(nth), expected: ExpectedHold::default() })
    }

    /// The order is paid with that transaction, by a verified callback.
    #[must_use]
    pub fn pay(&self, nth: usize, txn: usize) -> Command {
        let (order, txn) = (self.order(nth).name(), self.txn(txn));
        Command::Pay(Pay { order, txn, expected: ExpectedHold::default(), verified: true, looked_up: None })
    }

    #[must_use]
    pub fn get(&self, nth: usize) -> Command {
        Command::GetOrder { order: self.order(nth) }
    }

    #[must_use]
    pub fn ticket(&self, nth: usize) -> Command {
        Command::IssueTicket { order: self.order(nth) }
    }

    /// The nth of the texts `<stem>-0`, `<stem>-1`, … that are on the core. Remembered: it may be one in 4,096.
    fn search(&self, core: u16, place: impl Fn(&str) -> SlotId, stem: &str, nth: usize) -> String {
        type Found = BTreeMap<String, Vec<(u32, String)>>;
        static FOUND: Mutex<Found> = Mutex::new(Found::new());
        let mut found = FOUND.lock().unwrap_or_else(PoisonError::into_inner);
        let found = found.entry(format!("{:?} {} {core} {stem}", self.hash, self.cores)).or_default();
        while found.len() <= nth {
            let from = found.last().map_or(0, |(last, _)| last + 1);
            let texts = (from..).map(|i| (i, format!("{stem}-{i}")));
            found.extend({ texts }.find(|(_, text)| core_of(place(text), self.cores) == core));
        }
        found[nth].1.clone()
    }
}

#[must_use]
pub fn create(key: IdempotencyKey, cents: i64, nth: usize) -> Command {
    Command::CreateOrder(CreateOrder { key, amount: Cents(cents), entropy: entropy(nth) })
}

/// The random bits of the order with that number.
#[must_use]
pub fn entropy(nth: usize) -> u128 {
    (nth as u128 + 1) << 20
}
