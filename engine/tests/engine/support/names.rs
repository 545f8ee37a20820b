//! Names that hash to chosen slots, and the commands that are made of them.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use allocator::Span;
use engine::command::{
    AdHoc, Cancel, Command, CreateOrder, ExpectedHold, HoldRef, Pay, Reserve, SeatRequest,
};
use engine::ids::{Cents, HoldId, IdempotencyKey, OrderId, OrderName, PartitionKey, SlotId, TxnId};
use engine::slots::SlotHash;

pub(crate) const SECRET: [u8; 16] = *b"a test's secret.";

pub(crate) fn partition(text: &str) -> PartitionKey {
    PartitionKey::parse(text).unwrap()
}

pub(crate) fn hold(text: &str) -> HoldId {
    HoldId::parse(text).unwrap()
}

pub(crate) fn key(text: &str) -> IdempotencyKey {
    IdempotencyKey::parse(text).unwrap()
}

pub(crate) fn txn(text: &str) -> TxnId {
    TxnId::parse(text).unwrap()
}

pub(crate) fn order_name(text: &str) -> OrderName {
    OrderName::parse(text).unwrap()
}

pub(crate) fn span(from: u16, to: u16) -> Option<Span> {
    Some(Span::new(from, to).expect("a span of a test"))
}

/// Which slots the orders, the partition and the transaction ids are in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Placement {
    pub(crate) order: u16,
    pub(crate) partition: u16,
    pub(crate) txn: u16,
}

/// Every way in which three things can share slots.
pub(crate) const PLACEMENTS: [Placement; 5] = [
    Placement { order: 7, partition: 7, txn: 7 },
    Placement { order: 7, partition: 7, txn: 9 },
    Placement { order: 7, partition: 8, txn: 7 },
    Placement { order: 7, partition: 9, txn: 9 },
    Placement { order: 7, partition: 8, txn: 9 },
];
pub(crate) const TOGETHER: Placement = PLACEMENTS[0];
pub(crate) const APART: Placement = PLACEMENTS[4];

#[derive(Clone, Debug)]
pub(crate) struct Names {
    hash: SlotHash,
    placement: Placement,
    pub(crate) partition: PartitionKey,
}

impl Names {
    pub(crate) fn new(placement: Placement) -> Names {
        let hash = SlotHash::new(SECRET);
        let place = |text: &str| hash.partition(&partition(text));
        let partition = partition(&search(placement.partition, place, "train", 0));
        Names { partition, hash, placement }
    }

    /// An idempotency key in the orders' slot.
    pub(crate) fn key(&self, nth: usize) -> IdempotencyKey {
        let place = |text: &str| self.hash.idempotency_key(&key(text));
        key(&search(self.placement.order, place, "key", nth))
    }

    /// A transaction id in their slot.
    pub(crate) fn txn(&self, nth: usize) -> TxnId {
        let place = |text: &str| self.hash.txn(&txn(text));
        txn(&search(self.placement.txn, place, "txn", nth))
    }

    /// The id that the order of the key with the same number has.
    pub(crate) fn order(&self, nth: usize) -> OrderId {
        OrderId::new(SlotId::new(self.placement.order), entropy(nth))
    }

    pub(crate) fn create(&self, nth: usize) -> Command {
        create(self.key(nth), 100 + nth as i64, nth)
    }

    /// One seat on the whole run, under the order's own id.
    pub(crate) fn reserve(&self, nth: usize) -> Reserve {
        let order = self.order(nth);
        Reserve { order, seats: self.seats(order.hold_id(), 1) }
    }

    /// The same with other seats.
    pub(crate) fn reserve_with(&self, nth: usize, change: impl FnOnce(&mut SeatRequest)) -> Reserve {
        let mut reserve = self.reserve(nth);
        change(&mut reserve.seats);
        reserve
    }

    pub(crate) fn cancel(&self, nth: usize) -> Command {
        Command::Cancel(Cancel { order: self.order(nth), expected: ExpectedHold::default() })
    }

    /// The order is paid with that transaction, by a verified callback.
    pub(crate) fn pay(&self, nth: usize, txn: usize) -> Command {
        Command::Pay(Pay {
            order: self.order(nth).name(),
            txn: self.txn(txn),
            expected: ExpectedHold::default(),
            verified: true,
        })
    }

    pub(crate) fn get(&self, nth: usize) -> Command {
        Command::GetOrder { order: self.order(nth) }
    }

    pub(crate) fn ticket(&self, nth: usize) -> Command {
        Command::IssueTicket { order: self.order(nth) }
    }

    pub(crate) fn try_hold(&self, id: &str, quantity: u32) -> SeatRequest {
        self.seats(hold(id), quantity)
    }

    fn seats(&self, hold: HoldId, quantity: u32) -> SeatRequest {
        let ad_hoc = AdHoc { capacity: 4, segments: 2 };
        SeatRequest { partition: self.partition.clone(), hold, quantity, span: None, ad_hoc }
    }

    pub(crate) fn hold_ref(&self, id: &str) -> HoldRef {
        HoldRef { partition: self.partition.clone(), hold: hold(id) }
    }
}

pub(crate) fn create(key: IdempotencyKey, cents: i64, nth: usize) -> Command {
    Command::CreateOrder(CreateOrder { key, amount: Cents(cents), entropy: entropy(nth) })
}

fn entropy(nth: usize) -> u128 {
    (nth as u128 + 1) << 20
}

/// The texts `<stem>-0`, `<stem>-1`, … in the order of their numbers, of which one in 4,096 is in a slot.
fn search(slot: u16, place: impl Fn(&str) -> SlotId, stem: &'static str, nth: usize) -> String {
    type Found = BTreeMap<(&'static str, u16), Vec<(u32, String)>>;
    static FOUND: Mutex<Found> = Mutex::new(Found::new());
    let mut found = FOUND.lock().unwrap_or_else(PoisonError::into_inner);
    let found = found.entry((stem, slot)).or_default();
    while found.len() <= nth {
        let from = found.last().map_or(0, |(last, _)| last + 1);
        let texts = (from..).map(|i| (i, format!("{stem}-{i}")));
        found.extend(texts.into_iter().find(|(_, text)| place(text) == SlotId::new(slot)));
    }
    found[nth].1.clone()
}
