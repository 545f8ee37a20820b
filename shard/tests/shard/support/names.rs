//! Names that live on chosen cores, and the commands that are made of them.

use allocator::Span;
use engine::command::{
    AdHoc, Cancel, Command, CreateOrder, ExpectedHold, HoldRef, Pay, Reserve, SeatRequest,
};
use engine::ids::{Cents, HoldId, IdempotencyKey, OrderId, PartitionKey, Reference, SlotId, TxnId};
use engine::slots::{SlotHash, core_of};

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

pub(crate) fn reference(text: &str) -> Reference {
    Reference::parse(text).unwrap()
}

pub(crate) fn span(from: u16, to: u16) -> Option<Span> {
    Some(Span::new(from, to).expect("a span of a test"))
}

/// Which cores the orders, the partition and the transaction ids are on.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    hash: SlotHash,
    cores: u16,
    pub(crate) orders_on: u16,
    pub(crate) partition_on: u16,
    pub(crate) txns_on: u16,
    pub(crate) partition: PartitionKey,
    pub(crate) ad_hoc: AdHoc,
}

impl Names {
    pub(crate) fn new(
        hash: &SlotHash,
        cores: u16,
        [orders_on, partition_on, txns_on]: [u16; 3],
        ad_hoc: AdHoc,
    ) -> Names {
        let place = |text: &str| hash.partition(&partition(text));
        let partition = partition(&search(place, cores, partition_on, "train", 0));
        Names { hash: hash.clone(), cores, orders_on, partition_on, txns_on, partition, ad_hoc }
    }

    /// The nth partition on the same core.
    pub(crate) fn with_partition(&self, nth: usize) -> Names {
        let place = |text: &str| self.hash.partition(&partition(text));
        let text = search(place, self.cores, self.partition_on, "train", nth);
        Names { partition: partition(&text), ..self.clone() }
    }

    pub(crate) fn key(&self, nth: usize) -> IdempotencyKey {
        let place = |text: &str| self.hash.idempotency_key(&key(text));
        key(&search(place, self.cores, self.orders_on, "key", nth))
    }

    pub(crate) fn txn(&self, nth: usize) -> TxnId {
        let place = |text: &str| self.hash.txn(&txn(text));
        txn(&search(place, self.cores, self.txns_on, "txn", nth))
    }

    /// The id that the order of the key with the same number has.
    pub(crate) fn order(&self, nth: usize) -> OrderId {
        OrderId::new(self.hash.idempotency_key(&self.key(nth)), entropy(nth))
    }

    pub(crate) fn create(&self, nth: usize) -> Command {
        create(self.key(nth), 100 + nth as i64, nth)
    }

    /// One seat on the whole run, under the order's own id.
    pub(crate) fn reserve(&self, nth: usize) -> Command {
        Command::Reserve(self.reservation(nth))
    }

    pub(crate) fn reservation(&self, nth: usize) -> Reserve {
        let order = self.order(nth);
        Reserve { order, seats: self.seats(order.hold_id(), 1) }
    }

    fn seats(&self, hold: HoldId, quantity: u32) -> SeatRequest {
        let (partition, ad_hoc) = (self.partition.clone(), self.ad_hoc);
        SeatRequest { partition, hold, quantity, span: None, ad_hoc }
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

    pub(crate) fn try_hold(&self, id: &str, quantity: u32) -> Command {
        Command::TryHold(self.seats(hold(id), quantity))
    }

    pub(crate) fn release(&self, id: &str) -> Command {
        Command::ReleaseHold(HoldRef { partition: self.partition.clone(), hold: hold(id) })
    }

    pub(crate) fn confirm(&self, id: &str) -> Command {
        Command::ConfirmHold(HoldRef { partition: self.partition.clone(), hold: hold(id) })
    }

    pub(crate) fn availability(&self) -> Command {
        Command::Availability { partition: self.partition.clone(), span: None }
    }
}

pub(crate) fn create(key: IdempotencyKey, cents: i64, nth: usize) -> Command {
    Command::CreateOrder(CreateOrder { key, amount: Cents(cents), entropy: entropy(nth) })
}

fn entropy(nth: usize) -> u128 {
    (nth as u128 + 1) << 20
}

/// The nth of the texts `<stem>-0`, `<stem>-1`, … whose slot is on the core.
fn search(place: impl Fn(&str) -> SlotId, cores: u16, core: u16, stem: &str, nth: usize) -> String {
    let texts = (0..).map(|i| format!("{stem}-{i}"));
    let mut here = texts.filter(|text| core_of(place(text), cores) == core);
    here.nth(nth).expect("texts do not end")
}
