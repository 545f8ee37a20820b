//! The contract's JSON answers, written from the engine's views and the timetable.

use engine::Span;
use engine::answer::{ClassView, OrderStatus, OrderView, PartitionView, RefundView, RunView};
use engine::catalogue::LocalTime;
use engine::command::RefundCursor;
use engine::read_model::{HistoryEvent, HistoryPage, OrdersPage};
use engine::text::Text;
use timetable::{Date, Station};

use super::cursor::Cursor;
use super::write::{Fields, Object, object};
use crate::backend::{Dependency, SinkStatus, WorkerStatus};
use crate::service::Service;

/// Room for a usual answer, so that it is allocated once.
const USUAL_BYTES: usize = 512;

fn json(fill: impl FnOnce(&mut Object<'_>)) -> Vec<u8> {
    let mut out = Vec::with_capacity(USUAL_BYTES);
    object(&mut out, fill);
    out.push(b'\n');
    out
}

/// `State`
pub(crate) fn state(view: &PartitionView) -> Vec<u8> {
    json(|o| state_fields(o, view))
}

pub(crate) fn state_fields(o: &mut Object<'_>, view: &PartitionView) {
    o.text("partition_key", view.partition.as_str());
    o.number("capacity", view.capacity);
    o.number("available", view.available);
    o.number("confirmed", view.confirmed);
    o.number("last_seq", view.last_seq);
    o.object("holds", |holds| {
        let hold = &view.hold;
        holds.foreign_key_object(hold.hold.as_str(), |o| {
            o.text("hold_id", hold.hold.as_str());
            o.number("qty", hold.quantity);
            o.texts("seats", hold.seats.iter().map(Text::as_str));
            o.time("expires_at", hold.expires_at);
            o.text("status", hold.status.wire_name());
        });
    });
}

pub(crate) fn availability(partition: &str, available: u32) -> Vec<u8> {
    json(|o| {
        o.text("partition_key", partition);
        o.number("available", available);
    })
}

/// `Order`
pub(crate) fn order(view: &OrderView) -> Vec<u8> {
    json(|o| order_fields(o, view))
}

/// All fields that an `Order` can have, in their order.
pub(crate) const ORDER_FIELDS: [&str; 16] = [
    "OrderID",
    "IdempotencyKey",
    "Status",
    "AmountCents",
    "CreatedAt",
    "UpdatedAt",
    "PartitionKey",
    "HoldID",
    "Qty",
    "FromIndex",
    "ToIndex",
    "Seats",
    "ExpiresAt",
    "CancelReason",
    "ProviderTxnID",
    "Refund",
];

/// The fields of an `Order` that mean something, as an object or as a row.
pub(crate) fn order_fields(o: &mut impl Fields, view: &OrderView) {
    o.text("OrderID", order_id(view).as_str());
    o.text("IdempotencyKey", view.key.as_str());
    o.text("Status", view.status.wire_name());
    o.number("AmountCents", view.amount.0);
    o.time("CreatedAt", view.created_at);
    o.time("UpdatedAt", view.updated_at);
    if let Some(reservation) = &view.reservation {
        o.text("PartitionKey", reservation.partition.as_str());
        o.text("HoldID", reservation.hold.as_str());
        o.number("Qty", reservation.quantity);
        o.number("FromIndex", reservation.from);
        o.number("ToIndex", reservation.to);
        // A cancelled order has none any more.
        if view.status != OrderStatus::Cancelled {
            o.texts("Seats", reservation.seats.iter().map(Text::as_str));
        }
        // Once it is paid or cancelled, nothing expires any more.
        if view.status == OrderStatus::Reserved {
            o.time("ExpiresAt", reservation.expires_at);
        }
    }
    if let Some(reason) = view.cancel_reason {
        o.text("CancelReason", reason.wire_name());
    }
    if let Some(txn) = &view.txn {
        o.text("ProviderTxnID", txn.as_str());
    }
    if let Some(refund) = view.refund {
        o.text("Refund", refund.wire_name());
    }
}

/// A page of orders, and the cursor that the next one begins behind.
pub(crate) fn orders(page: &OrdersPage) -> Vec<u8> {
    json(|o| {
        o.objects("orders", page.orders.iter(), |o, view| order_fields(o, view));
        next_field(o, page.next.as_ref());
    })
}

/// A page of a history, and the cursor that the next one begins behind.
pub(crate) fn history(page: &HistoryPage) -> Vec<u8> {
    json(|o| {
        o.objects("events", page.events.iter(), event_fields);
        next_field(o, page.next.as_ref());
    })
}

fn event_fields(o: &mut Object<'_>, event: &HistoryEvent) {
    o.text("position", &event.position.text());
    o.time("time", event.position.time);
    o.text("kind", event.kind.as_str());
    if let Some(partition) = &event.partition {
        o.text("partition_key", partition.as_str());
    }
    if let Some(hold) = &event.hold {
        o.text("hold_id", hold.as_str());
    }
    if let Some(order) = event.order {
        o.text("order_id", order.name().as_str());
    }
    if let Some(quantity) = event.quantity {
        o.number("qty", quantity);
    }
    if !event.seats.is_empty() {
        o.texts("seats", event.seats.iter().map(Text::as_str));
    }
    if let Some(from) = event.from {
        o.number("from_index", from);
    }
    if let Some(to) = event.to {
        o.number("to_index", to);
    }
    if let Some(reason) = &event.reason {
        o.text("reason", reason.as_str());
    }
    if !event.trace.as_str().is_empty() {
        o.text("trace_id", event.trace.as_str());
    }
}

/// Absent on the last page.
fn next_field(o: &mut Object<'_>, next: Option<&impl Cursor>) {
    if let Some(next) = next {
        o.text("next", &next.text());
    }
}

/// `OrderView`
pub(crate) fn order_view(view: &OrderView) -> Vec<u8> {
    json(|o| {
        o.text("order_id", order_id(view).as_str());
        o.text("status", view.status.wire_name());
        o.number("amount_cents", view.amount.0);
        if let Some(txn) = &view.txn {
            o.text("provider_txn_id", txn.as_str());
        }
        // Seats are a ticket's: before there is one, they are only held.
        if view.status == OrderStatus::Ticketed
            && let Some(reservation) = &view.reservation
        {
            o.joined("seat_no", reservation.seats.iter().map(Text::as_str));
            o.texts("seats", reservation.seats.iter().map(Text::as_str));
        }
        o.time("updated_at", view.updated_at);
    })
}

pub(crate) fn refund(view: &RefundView) -> Vec<u8> {
    json(|o| refund_fields(o, view))
}

/// A page of refunds, and the cursor that the next one begins behind.
pub(crate) fn refunds(page: &[RefundView], next: Option<RefundCursor>) -> Vec<u8> {
    json(|o| {
        o.objects("refunds", page.iter(), refund_fields);
        next_field(o, next.as_ref());
    })
}

fn refund_fields(o: &mut Object<'_>, view: &RefundView) {
    o.text("order_id", view.order.as_str());
    o.text("provider_txn_id", view.txn.as_str());
    if let Some(amount) = view.amount {
        o.number("amount_cents", amount.0);
    }
    o.text("reason", view.reason.wire_name());
    if !view.reason.detail().is_empty() {
        o.text("detail", view.reason.detail());
    }
    o.text("status", view.status.wire_name());
    o.time("created_at", view.created_at);
    if let Some(settled) = &view.settled {
        o.text("reference", settled.reference.as_str());
        o.time("settled_at", settled.at);
    }
}

/// A page of stations, and the last one if more follow.
pub(crate) fn stations(page: &[&Station], next: Option<&Station>) -> Vec<u8> {
    json(|o| {
        o.objects("stations", page.iter(), |o, station| station_fields(o, station));
        if let Some(next) = next {
            o.text("next", &next.code);
        }
    })
}

fn station_fields(o: &mut Object<'_>, station: &Station) {
    o.text("code", &station.code);
    o.text("name", &station.name);
}

/// One train of a search.
#[derive(Debug)]
pub(crate) struct TrainOffer<'t> {
    pub(crate) train: &'t str,
    /// The run's own date: the day before the search's where a night train is boarded after midnight.
    pub(crate) date: Date,
    pub(crate) span: Span,
    pub(crate) view: RunView,
}

impl TrainOffer<'_> {
    pub(crate) fn departs_at(&self) -> Option<LocalTime> {
        self.view.run.stops[usize::from(self.span.from())].departs_at
    }

    fn arrives_at(&self) -> Option<LocalTime> {
        self.view.run.stops[usize::from(self.span.to())].arrives_at
    }
}

/// The trains between two stations on a date.
pub(crate) fn trains(date: Date, from: &Station, to: &Station, offers: &[TrainOffer<'_>]) -> Vec<u8> {
    json(|o| {
        o.text("date", &date.to_string());
        o.object("from", |o| station_fields(o, from));
        o.object("to", |o| station_fields(o, to));
        o.objects("trains", offers.iter(), |o, offer| {
            o.text("train", offer.train);
            o.text("date", &offer.date.to_string());
            o.number("from_index", offer.span.from());
            o.number("to_index", offer.span.to());
            time_field(o, "departs_at", offer.departs_at());
            time_field(o, "arrives_at", offer.arrives_at());
            if offer.view.is_closed {
                o.flag("departed", true);
            }
            o.objects("classes", offer.view.classes.iter(), class_fields);
        });
    })
}

/// One train with all its stops, classes and coaches.
pub(crate) fn train(train: &str, date: Date, view: &RunView) -> Vec<u8> {
    json(|o| {
        o.text("train", train);
        o.text("date", &date.to_string());
        o.objects("stops", view.run.stops.iter().enumerate(), |o, (index, stop)| {
            o.number("index", index);
            o.text("code", &stop.code);
            o.text("name", &stop.name);
            time_field(o, "arrives_at", stop.arrives_at);
            time_field(o, "departs_at", stop.departs_at);
            o.flag("board", stop.board);
            o.flag("alight", stop.alight);
        });
        o.objects("classes", view.classes.iter(), |o, class| {
            class_fields(o, class);
            o.objects("coaches", class.coaches.iter(), |o, (coach, seats)| {
                o.text("coach", coach.as_str());
                o.number("seats", *seats);
            });
        });
    })
}

fn time_field(o: &mut Object<'_>, key: &str, time: Option<LocalTime>) {
    match time {
        Some(time) => o.local_time(key, time),
        None => o.null(key),
    }
}

fn class_fields(o: &mut Object<'_>, view: &ClassView) {
    o.text("class", view.partition.parts().map_or("", |(_, _, class)| class));
    o.text("partition_key", view.partition.as_str());
    o.number("capacity", view.capacity);
    o.number("available", view.available);
}

/// Readiness of a service, or the first dependency that keeps it from that; and the sinks, where it has some.
pub(crate) fn readiness(missing: Option<Dependency>, sinks: &[SinkStatus]) -> Vec<u8> {
    json(|o| {
        o.text("status", if missing.is_none() { "ready" } else { "not_ready" });
        if let Some(missing) = missing {
            o.text("dependency", missing.name());
        }
        if !sinks.is_empty() {
            o.objects("sinks", sinks.iter(), sink_fields);
        }
    })
}

fn sink_fields(o: &mut Object<'_>, sink: &SinkStatus) {
    o.text("name", &sink.name);
    o.text("state", sink.state);
    o.number("backlog", sink.backlog);
    o.number("lag_ms", sink.lag_ms);
    match &sink.last_error {
        Some(error) => o.text("last_error", error),
        None => o.null("last_error"),
    }
    o.flag("fills_log", sink.fills_log);
}

pub(crate) fn worker(status: &WorkerStatus, sinks: &[SinkStatus]) -> Vec<u8> {
    json(|o| {
        o.number("position", status.position);
        o.number("backlog", status.backlog);
        o.number("lag_ms", status.lag_ms);
        match &status.last_error {
            Some(error) => o.text("last_error", error),
            None => o.null("last_error"),
        }
        o.objects("sinks", sinks.iter(), sink_fields);
    })
}

/// The index of the OpenAPI documents.
pub(crate) fn documents(services: impl Iterator<Item = Service>) -> Vec<u8> {
    json(|o| {
        o.objects("documents", services, |o, service| {
            o.text("service", service.name());
            o.text("path", &format!("/openapi/{service}.yaml"));
        });
    })
}

fn order_id(view: &OrderView) -> engine::ids::OrderName {
    view.order.name()
}
