//! The read model, played by the first sink: how far it is relied on, and what it knows of a payment whose order the engine does not have.

use engine::answer::{OrderView, ReservationView};
use engine::command::Found;
use engine::ids::{OrderId, OrderName, TxnId};
use wal::Lsn;

use super::Sinks;
use super::place::Place;
use super::plan::READ_MODEL;
use super::sink::{Sink, Standing};
use crate::checks::model::Model;
use crate::checks::model::state::{Left, Slot};
use crate::world::process::Process;

/// The last record of a core's log that the registry relies on it for.
pub(super) fn relied(process: &Process, core: usize) -> Option<Lsn> {
    let newest = process.registry.beginning().epoch;
    let kept = process.registry.sinks().get(READ_MODEL)?.relied.as_ref()?;
    (kept.epoch == newest).then(|| kept.cores[core])
}

impl Sinks {
    fn read_model(&self) -> Option<&Sink> {
        let mut sinks = self.sinks.iter();
        sinks.find(|sink| sink.name == READ_MODEL && sink.standing == Standing::Registered)
    }

    /// There is one.
    pub(crate) fn has_read_model(&self) -> bool {
        self.read_model().is_some()
    }

    /// By core: the last record that the read model is relied on for, as it was counted here.
    pub(super) fn relied(&self, epoch: u32, cores: usize) -> Vec<Option<u64>> {
        let place = self.read_model().and_then(|sink| sink.relied.as_ref());
        let place = place.filter(|place| place.epoch == epoch);
        (0..cores).map(|core| place.map(|place| place.cores[core])).collect()
    }

    /// The read model's word on a payment whose order the engine does not have; `None`: it cannot be asked now.
    ///
    /// # Panics
    /// When it has all that there ever was, and lacks an order that has left.
    pub(crate) fn look_up(&self, model: &Model, order: &OrderName, txn: &TxnId) -> Option<Found> {
        let sink = self.read_model()?;
        let place = sink.committed()?;
        let slot = model.slot(model.inputs.hash.order_name(order));
        // What had left before it was copied anew it does not have.
        let lacks = |left| sink.copied.as_ref().is_some_and(|copied: &Place| copied.has(left));
        let id = OrderId::parse(order.as_str());
        let left_order = id.and_then(|id| slot.left.get(&id)).filter(|left| !lacks(left.left));
        let refund = slot.left_refunds.get(&(order.clone(), txn.clone())).filter(|left| !lacks(left.left));
        let changed = left_order.map(|left| left.changed).into_iter().chain(refund.map(|left| left.changed));
        if let Some(missing) = { changed }.find(|changed| !place.has(*changed)) {
            assert!(
                sink.copied.is_some(),
                "the read model is at {place:?}, and what {missing:?} changed has left"
            );
            return None;
        }
        let refund = refund.map(|left| left.row.reason);
        // What is recorded since, and is here still, the engine knows by itself.
        let refund = refund.or_else(|| slot.refund(order, txn).map(|row| row.reason));
        match left_order {
            Some(left) => Some(Found::Order { order: view(&slot, left), refund }),
            None if id.is_some_and(|id| slot.orders.contains_key(&id)) => None,
            None => Some(Found::Nothing { refund, history_lost: sink.copied.is_some() }),
        }
    }
}

/// An order as it was last.
fn view(slot: &Slot, left: &Left) -> OrderView {
    let row = &left.row;
    let reservation = row.reservation.as_ref().map(|r| ReservationView {
        partition: r.partition.clone(),
        hold: r.hold.clone(),
        quantity: r.quantity,
        from: r.from,
        to: r.to,
        seats: r.labels.clone(),
        expires_at: r.deadline,
    });
    OrderView {
        order: row.order,
        key: row.key.name().clone(),
        status: row.status,
        amount: row.amount,
        created_at: row.created_at,
        updated_at: left.updated_at,
        reservation,
        cancel_reason: row.cancel_reason,
        txn: row.txn.clone(),
        refund: slot.left_refund_status(&row.order.name()),
    }
}
