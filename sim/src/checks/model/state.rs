//! The model's state of one slot: maps, and a grid of booleans for the seats of each partition.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use allocator::Layout;
use engine::answer::{HoldStatus, OrderStatus, RefundStatus};
use engine::catalogue::RunDefinition;
use engine::decide::Policy;
use engine::ids::{HoldId, OrderId, OrderKey, OrderName, PartitionKey, Time, TxnId};
use engine::message::Fact;
use engine::record::{OrderRow, PartitionOpened, RefundRow, ReleaseReason};

/// An order is given up for want of memory no younger.
pub(crate) const TEN_MINUTES_MS: u64 = 600_000;

/// A slot after so many records. Parts are shared between its versions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Slot {
    pub time: Time,
    pub partitions: BTreeMap<PartitionKey, Rc<Partition>>,
    pub orders: BTreeMap<OrderId, Rc<Order>>,
    pub keys: BTreeMap<OrderKey, OrderId>,
    pub claims: BTreeMap<TxnId, OrderId>,
    /// Claims that say what goes back.
    pub explained: BTreeSet<TxnId>,
    pub refunds: BTreeMap<u64, Rc<RefundRow>>,
    /// The last record of each of those.
    pub refund_places: BTreeMap<u64, RecordPlace>,
    /// The highest number of any refund.
    pub last_refund: u64,
    pub outbox: BTreeMap<u64, Rc<Fact>>,
    pub tells: u64,
    /// The highest sequence of any partition that was forgotten.
    pub forgotten_seq: u64,
    /// Orders that have left, and settled refunds.
    pub left: BTreeMap<OrderId, Rc<Left>>,
    pub left_refunds: BTreeMap<(OrderName, TxnId), Rc<LeftRefund>>,
}

/// The place of a record in the logs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct RecordPlace {
    pub epoch: u32,
    pub core: u16,
    pub lsn: u64,
}

/// A settled refund that has left. Its last record, and the one with which it left.
#[derive(Clone, Debug)]
pub(crate) struct LeftRefund {
    pub row: Rc<RefundRow>,
    pub changed: RecordPlace,
    pub left: RecordPlace,
}

/// An order that has left, as it was last.
#[derive(Clone, Debug)]
pub(crate) struct Left {
    pub row: OrderRow,
    pub updated_at: Time,
    /// The last record that changed it, and the one with which it left.
    pub changed: RecordPlace,
    pub left: RecordPlace,
}

#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub row: OrderRow,
    pub updated_at: Time,
    /// The last record that changed what is shown of it.
    pub changed: RecordPlace,
    /// Its partition said that it is kept until then.
    pub ask_at: Option<Time>,
    /// The slots of its transaction ids are told that it leaves, or were.
    pub is_leaving: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Partition {
    /// By segment, then by seat: whether somebody has it.
    pub taken: Vec<Vec<bool>>,
    pub labels: Rc<Vec<String>>,
    /// Coaches and how many seats are in each.
    pub coaches: Rc<Vec<(String, u32)>>,
    pub layout: Rc<Layout>,
    pub run: Option<RunDefinition>,
    pub seq: u64,
    /// When a hold last changed.
    pub changed_at: Time,
    pub holds: BTreeMap<HoldId, Rc<Hold>>,
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Hold {
    /// The partition's sequence at its making: no two holds of one key have the same.
    pub made: u64,
    pub status: HoldStatus,
    pub owner: Option<OrderId>,
    pub from: u16,
    pub to: u16,
    pub quantity: u32,
    /// None once it has ended.
    pub seats: Vec<u32>,
    pub deadline: Time,
    pub txn: Option<TxnId>,
    pub reason: Option<ReleaseReason>,
    pub keep_until: Time,
}

impl Slot {
    pub(crate) fn refund(&self, order: &OrderName, txn: &TxnId) -> Option<&RefundRow> {
        self.refunds.values().find(|row| row.order == *order && row.txn == *txn).map(|row| &**row)
    }

    pub(crate) fn refund_status(&self, order: &OrderName) -> Option<RefundStatus> {
        let mut rows = self.refunds.values().filter(|row| row.order == *order).peekable();
        rows.peek()?;
        Some(if rows.any(|row| row.settled.is_none()) {
            RefundStatus::Required
        } else {
            RefundStatus::Settled
        })
    }
}

impl Slot {
    /// A hold that has ended and that nobody has still to be told of, or an order that never had anything: that one goes once the read model
    /// has it.
    pub(super) fn reclaimable(&self, now: Time, has_read_model: bool) -> Option<String> {
        let is_told = |key, id| self.outbox.values().all(|fact| fact.hold() != Some((key, id)));
        for (key, p) in &self.partitions {
            let ended = p.holds.iter().find(|(id, hold)| !hold.has_seats() && is_told(key, *id));
            if let Some((id, hold)) = ended {
                return Some(format!("hold {id} of {key}: {hold:?}"));
            }
        }
        let is_bare = |order: &&Rc<Order>| {
            has_read_model
                && order.row.status == OrderStatus::Init
                && order.row.created_at.plus(TEN_MINUTES_MS) <= now
                && self.refund_status(&order.row.order.name()).is_none()
        };
        self.orders.values().find(is_bare).map(|order| format!("{:?}", order.row))
    }
}

impl Slot {
    /// The refund of a payment that has left.
    pub(crate) fn left_refund(&self, order: &OrderName, txn: &TxnId) -> Option<&RefundRow> {
        self.left_refunds.get(&(order.clone(), txn.clone())).map(|refund| &*refund.row)
    }

    /// The state of the refunds of an order that has left.
    pub(crate) fn left_refund_status(&self, order: &OrderName) -> Option<RefundStatus> {
        let has_left = self.left_refunds.keys().any(|(of, _)| of == order);
        self.refund_status(order).or_else(|| has_left.then_some(RefundStatus::Settled))
    }

    /// The refund of a payment, here or left.
    pub(crate) fn any_refund(&self, order: &OrderName, txn: &TxnId) -> Option<&RefundRow> {
        self.refund(order, txn).or_else(|| self.left_refund(order, txn))
    }

    /// The payment has an end: it has paid its order, or it was owed back.
    pub(crate) fn has_end(&self, order: OrderId, txn: &TxnId) -> bool {
        let row = self.orders.get(&order).map(|order| &order.row);
        let row = row.or_else(|| self.left.get(&order).map(|left| &left.row));
        let has_paid = row.is_some_and(|row| row.txn.as_ref() == Some(txn));
        has_paid || self.any_refund(&order.name(), txn).is_some()
    }

    /// The numbers of the refunds of an order, by transaction id.
    pub(crate) fn refunds_of(&self, order: OrderId) -> Vec<u64> {
        let name = order.name();
        let mut of: Vec<_> = self.refunds.values().filter(|row| row.order == name).collect();
        of.sort_by(|a, b| a.txn.cmp(&b.txn));
        of.iter().map(|row| row.number).collect()
    }

    /// The transaction ids of an order: of the payment that paid it, and of those that go back.
    pub(crate) fn txns_of(&self, order: &Order) -> Vec<TxnId> {
        let refunded =
            self.refunds_of(order.row.order).into_iter().map(|number| self.refunds[&number].txn.clone());
        order.row.txn.iter().cloned().chain(refunded).collect()
    }

    /// The order has ended, and nothing is owed for it.
    pub(crate) fn is_over(&self, order: &Order) -> bool {
        matches!(order.row.status, OrderStatus::Ticketed | OrderStatus::Cancelled)
            && self.refunds_of(order.row.order).iter().all(|number| self.refunds[number].settled.is_some())
    }
}

impl Order {
    /// When it may leave by the calendar, once it has ended; `None`: nothing says so yet.
    pub(crate) fn leaves_at(&self, policy: &Policy) -> Option<Time> {
        match (self.row.status, &self.row.reservation) {
            (OrderStatus::Ticketed, Some(r)) => {
                Some(r.ends_at?.plus(policy.departed_ms).plus(policy.order_retention_ms))
            }
            (OrderStatus::Cancelled, _) => Some(self.updated_at.plus(policy.order_retention_ms)),
            _ => None,
        }
    }

    /// When it asks its partition how long its seats are kept.
    pub(crate) fn asks_at(&self, policy: &Policy) -> Option<Time> {
        let r = self.row.reservation.as_ref().filter(|_| self.row.status == OrderStatus::Ticketed)?;
        let first = self.updated_at.plus(policy.ad_hoc_keep_ms);
        if r.ends_at.is_some() { None } else { Some(self.ask_at.unwrap_or(first)) }
    }

    /// The very hold that was made then, not another one of its id.
    pub(crate) fn owns(&self, partition: &PartitionKey, hold: &HoldId, made: u64) -> bool {
        let own = self.row.reservation.as_ref();
        own.is_some_and(|r| r.partition == *partition && r.hold == *hold && r.made == made)
    }
}

impl Hold {
    pub(crate) fn is_live(&self) -> bool {
        self.status == HoldStatus::Held
    }

    pub(crate) fn has_seats(&self) -> bool {
        matches!(self.status, HoldStatus::Held | HoldStatus::Confirmed)
    }
}

impl Partition {
    pub(crate) fn new(opened: &PartitionOpened, at: Time) -> Partition {
        let layout = &opened.layout;
        let labels = labels(layout);
        let coaches = match layout {
            Layout::AdHoc { seats } => {
                let coach = |from: u32| ((from / 50 + 1).to_string(), (seats - from).min(50));
                (0..*seats).step_by(50).map(coach).collect()
            }
            Layout::Labelled(_) => {
                let mut coaches: Vec<(String, u32)> = Vec::new();
                for label in &labels {
                    let (coach, _) = label.rsplit_once('-').expect("coach and seat");
                    match coaches.last_mut() {
                        Some((last, seats)) if last == coach => *seats += 1,
                        _ => coaches.push((coach.to_owned(), 1)),
                    }
                }
                coaches
            }
        };
        Partition {
            taken: vec![vec![false; labels.len()]; usize::from(opened.segments)],
            labels: Rc::new(labels),
            coaches: Rc::new(coaches),
            layout: Rc::new(layout.clone()),
            run: opened.run.clone(),
            seq: opened.seq,
            changed_at: at,
            holds: BTreeMap::new(),
        }
    }

    pub(crate) fn capacity(&self) -> u32 {
        self.labels.len() as u32
    }

    pub(crate) fn segments(&self) -> u16 {
        self.taken.len() as u16
    }

    pub(crate) fn is_free(&self, seat: u32, from: u16, to: u16) -> bool {
        (from..to).all(|segment| !self.taken[usize::from(segment)][seat as usize])
    }

    pub(crate) fn free(&self, from: u16, to: u16) -> u32 {
        (0..self.capacity()).filter(|seat| self.is_free(*seat, from, to)).count() as u32
    }

    /// Seats sold on any part of a span.
    pub(crate) fn sold(&self, from: u16, to: u16) -> u32 {
        let sold = |seat: &u32| {
            let mut holds = self.holds.values().filter(|hold| hold.status == HoldStatus::Confirmed);
            holds.any(|hold| hold.seats.contains(seat) && hold.from < to && from < hold.to)
        };
        (0..self.capacity()).filter(sold).count() as u32
    }

    pub(crate) fn put(&mut self, hold: &Hold, taken: bool) {
        for segment in hold.from..hold.to {
            for seat in &hold.seats {
                let place = &mut self.taken[usize::from(segment)][*seat as usize];
                assert_ne!(*place, taken, "looked at before");
                *place = taken;
            }
        }
    }

    /// Somebody owns seats of it.
    pub(crate) fn has_sold(&self) -> bool {
        self.holds.values().any(|hold| hold.status == HoldStatus::Confirmed)
    }

    /// A live hold whose deadline has passed.
    pub(crate) fn overdue(&self, now: Time) -> Option<&HoldId> {
        self.holds.iter().find(|(_, hold)| hold.is_live() && hold.deadline <= now).map(|(id, _)| id)
    }
}

/// What the seats are called, in their order.
fn labels(layout: &Layout) -> Vec<String> {
    match layout {
        Layout::AdHoc { seats } => (0..*seats).map(|i| format!("{}-{}", i / 50 + 1, i % 50 + 1)).collect(),
        Layout::Labelled(coaches) => {
            let mut labels = Vec::new();
            for coach in coaches {
                for block in &coach.rows {
                    for row in block.first_row..block.first_row + block.rows {
                        let letters = block.plan.chars().filter(|letter| *letter != ' ');
                        labels.extend(letters.map(|letter| format!("{}-{row}{letter}", coach.number)));
                    }
                }
            }
            labels
        }
    }
}
