//! The names that clients know: few at a time, so that they meet all the time, and new ones as time goes on.

use std::collections::VecDeque;

use allocator::Span;
use engine::answer::{Answer, OrderStatus, OrderView, Rejection, Reply};
use engine::command::{AdHoc, Command};
use engine::ids::{Cents, HoldId, IdempotencyKey, OrderId, OrderName, PartitionKey, Reference, TxnId};

use crate::rng::Rng;
use crate::timetable::{DATE, NEARLY_OVER, OVER};

/// Orders that are talked about at a time.
const ORDERS: usize = 5;
/// The keys of purchases begin so, that answers show of what kind an order is.
const PURCHASE: &str = "buy-";
const PARTITIONS: usize = 4;
/// Orders that were talked about before them.
const OLD_ORDERS: usize = 12;
/// Hold ids of clients that are talked about at a time.
const HOLDS: u64 = 4;

/// An order as its client knows it.
#[derive(Debug, Clone)]
pub(crate) struct KnownOrder {
    pub number: u64,
    pub key: IdempotencyKey,
    pub amount: Cents,
    /// Once a create has been answered.
    pub id: Option<OrderId>,
    pub view: Option<OrderView>,
    /// The partition that it is to be reserved for.
    pub partition: Place,
    pub quantity: u32,
    pub span: Option<Span>,
    /// It is made with its seats at once.
    pub is_purchase: bool,
    /// A client's hold to be adopted instead of a new one.
    pub adopts: Option<HoldId>,
}

/// A partition, and what its first caller says of it.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub key: PartitionKey,
    pub ad_hoc: AdHoc,
}

/// The names in use: made with a run, [`learn`](Book::learn)ing from answers which of them lead somewhere.
#[derive(Debug)]
pub(crate) struct Book {
    pub orders: VecDeque<KnownOrder>,
    /// Those that were talked about before: most of them have ended, and some have left.
    pub old: VecDeque<KnownOrder>,
    pub places: VecDeque<Place>,
    /// Refunds that a listing or a refusal has shown.
    pub refunds: VecDeque<(OrderName, TxnId)>,
    /// Requests that were made, the youngest last.
    pub made: VecDeque<Command>,
    numbers: u64,
}

impl Book {
    #[must_use]
    pub(crate) fn new(rng: &mut Rng) -> Book {
        let mut book = Book {
            orders: VecDeque::new(),
            old: VecDeque::new(),
            places: VecDeque::new(),
            refunds: VecDeque::new(),
            made: VecDeque::new(),
            numbers: 0,
        };
        for _ in 0..PARTITIONS {
            book.new_place(rng);
        }
        for _ in 0..ORDERS {
            book.new_order(rng);
        }
        book
    }

    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    pub(crate) fn new_place(&mut self, rng: &mut Rng) {
        // Some come again: what was forgotten by then is opened once more.
        let old = self.numbers.saturating_sub(rng.between(1, 30));
        let number = if rng.percent(20) { old } else { self.number() };
        let key = match rng.below(6) {
            0 | 1 => format!("ad-{number}"),
            2 => format!("X{number}|{}|any", rng.pick(&[DATE, OVER, NEARLY_OVER])),
            3 => format!("G{}|{DATE}|1st", number / 2),
            4 => format!("G{}|{DATE}|2nd", number / 2),
            // Another class of a run that is there perhaps.
            _ => format!(
                "G{}|{DATE}|{}",
                (number / 2).saturating_sub(rng.between(0, 2)),
                rng.pick(&["1st", "2nd"])
            ),
        };
        let ad_hoc = AdHoc { capacity: rng.between(1, 8) as u32, segments: rng.between(1, 4) as u16 };
        self.places.push_back(Place { key: PartitionKey::parse(&key).expect("a key"), ad_hoc });
        if self.places.len() > PARTITIONS {
            self.places.pop_front();
        }
    }

    pub(crate) fn new_order(&mut self, rng: &mut Rng) {
        let number = self.number();
        let is_purchase = rng.percent(20);
        let adopts = (!is_purchase && rng.percent(25)).then(|| self.hold(rng));
        let key = if is_purchase { format!("{PURCHASE}{number}") } else { format!("key-{number}") };
        self.orders.push_back(KnownOrder {
            number,
            key: IdempotencyKey::parse(&key).expect("a key"),
            amount: Cents(100 + number as i64),
            id: None,
            view: None,
            partition: rng.pick(self.places.make_contiguous()).clone(),
            quantity: *rng.pick(&[1, 1, 1, 2, 3]),
            span: span(rng),
            is_purchase,
            adopts,
        });
        if self.orders.len() > ORDERS {
            self.old.extend(self.orders.pop_front().filter(|order| order.id.is_some()));
        }
        if self.old.len() > OLD_ORDERS {
            self.old.pop_front();
        }
    }

    /// An order, or a purchase, that is to be made: mostly one that is not there yet.
    pub(crate) fn next_to_make(&mut self, is_purchase: bool, rng: &mut Rng) -> KnownOrder {
        loop {
            let of_kind: Vec<_> = self.orders.iter().filter(|o| o.is_purchase == is_purchase).collect();
            let fresh = of_kind.iter().find(|order| order.id.is_none());
            match fresh {
                Some(order) if rng.percent(80) => return (**order).clone(),
                _ if !of_kind.is_empty() => return (*rng.pick(&of_kind)).clone(),
                _ => self.new_order(rng),
            }
        }
    }

    pub(crate) fn order(&mut self, rng: &mut Rng) -> &KnownOrder {
        rng.pick(self.orders.make_contiguous())
    }

    /// An order whose id is known.
    pub(crate) fn created(&mut self, rng: &mut Rng) -> Option<KnownOrder> {
        let created: Vec<_> = self.orders.iter().filter(|order| order.id.is_some()).collect();
        (!created.is_empty()).then(|| (*rng.pick(&created)).clone())
    }

    /// An order that was talked about before.
    pub(crate) fn old(&mut self, rng: &mut Rng) -> Option<KnownOrder> {
        (!self.old.is_empty()).then(|| rng.pick(self.old.make_contiguous()).clone())
    }

    /// An order that was RESERVED when it was last seen.
    pub(crate) fn reserved(&mut self, rng: &mut Rng) -> Option<KnownOrder> {
        let is_reserved =
            |order: &&KnownOrder| order.view.as_ref().is_some_and(|v| v.status == OrderStatus::Reserved);
        let reserved: Vec<_> = self.orders.iter().filter(is_reserved).collect();
        (!reserved.is_empty()).then(|| (*rng.pick(&reserved)).clone())
    }

    pub(crate) fn place(&mut self, rng: &mut Rng) -> Place {
        rng.pick(self.places.make_contiguous()).clone()
    }

    /// The id of a hold of a client: one of the last few, or a new one.
    pub(crate) fn hold(&mut self, rng: &mut Rng) -> HoldId {
        let now = self.numbers / 3;
        let number = rng.between(now.saturating_sub(HOLDS), now);
        HoldId::parse(&format!("h{number}")).expect("an id")
    }

    pub(crate) fn remember(&mut self, command: &Command) {
        self.made.push_back(command.clone());
        if self.made.len() > 10 {
            self.made.pop_front();
        }
    }

    pub(crate) fn learn(&mut self, command: &Command, reply: &Reply, rng: &mut Rng) {
        match (command, reply) {
            (_, Ok(Answer::Order(view))) => {
                let of = |order: &&mut KnownOrder| order.key == view.key;
                if let Some(order) = self.orders.iter_mut().chain(&mut self.old).find(of) {
                    order.id = Some(view.order);
                    order.view = Some((**view).clone());
                }
                // What has ended makes room for something new.
                if matches!(view.status, OrderStatus::Ticketed | OrderStatus::Cancelled) && rng.percent(40) {
                    self.new_order(rng);
                }
            }
            (_, Err(Rejection::InsufficientStock | Rejection::PartitionNotFound)) if rng.percent(15) => {
                self.new_place(rng);
            }
            (Command::Pay(c), Err(why)) if *why != Rejection::TxnUsed => {
                self.refund(c.order.clone(), c.txn.clone());
            }
            (_, Ok(Answer::Refunds(page))) => {
                page.iter().for_each(|view| self.refund(view.order.clone(), view.txn.clone()));
            }
            _ => {}
        }
    }

    fn refund(&mut self, order: OrderName, txn: TxnId) {
        self.refunds.push_back((order, txn));
        if self.refunds.len() > 6 {
            self.refunds.pop_front();
        }
    }
}

/// The run that an order's key counts for; none where it counts everywhere.
pub(crate) fn counts_for(view: &OrderView) -> Option<String> {
    let r = view.reservation.as_ref().filter(|_| view.key.as_str().starts_with(PURCHASE))?;
    Some(run(&r.partition))
}

pub(crate) fn run(key: &PartitionKey) -> String {
    key.run().unwrap_or(key.as_str()).to_owned()
}

pub(crate) fn span(rng: &mut Rng) -> Option<Span> {
    if rng.percent(40) {
        return None;
    }
    let from = rng.between(0, 2) as u16;
    Span::new(from, from + rng.between(1, 3) as u16)
}

/// A transaction id of an order: mostly its own.
pub(crate) fn txn(order: &KnownOrder, rng: &mut Rng) -> TxnId {
    let number = if rng.percent(85) { order.number } else { order.number.saturating_sub(rng.between(1, 3)) };
    TxnId::parse(&format!("txn-{number}-{}", rng.below(8) / 5)).expect("an id")
}

pub(crate) fn reference(rng: &mut Rng) -> Reference {
    Reference::parse(if rng.percent(50) { "one" } else { "two" }).expect("a reference")
}
