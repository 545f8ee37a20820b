//! Views that the backend answers with.

use std::sync::Arc;

use engine::answer::{
    Answer, ClassView, HoldStatus, HoldView, OrderStatus, OrderView, PartitionView, RefundReason,
    RefundStatus, RefundView, Rejection, Reply, ReservationView, RunView,
};
use engine::catalogue::{LocalTime, RunDefinition, Stop};
use engine::command::{RefundCursor, RunQuery};
use engine::ids::{Cents, HoldId, IdempotencyKey, OrderId, OrderName, PartitionKey, SlotId, Time, TxnId};
use engine::text::Text;
use timetable::{DateWindow, Timetable};

/// The engine's answer about a run that nothing was sold of: the built-in timetable's word.
pub(crate) fn unopened_run(query: &RunQuery) -> Reply {
    let timetable = Timetable::built_in(DateWindow::WHOLE);
    let date = query.date.as_str().parse().unwrap();
    let run = timetable.run(query.train.as_str(), date).ok_or(Rejection::RunNotFound)?;
    let local = |time: timetable::LocalTime| {
        Some(LocalTime { unix_secs: time.unix_secs(), offset_secs: time.offset_secs() })
    };
    let stops = run.stops().map(|stop| Stop {
        code: stop.station.code.to_string(),
        name: stop.station.name.to_string(),
        arrives_at: local(stop.arrives_at),
        departs_at: local(stop.departs_at),
        board: true,
        alight: true,
    });
    let classes = run.classes().iter().map(|class| ClassView {
        partition: PartitionKey::parse(&format!("{}|{}", query.key(), class.name)).unwrap(),
        capacity: class.seats,
        available: class.seats,
        coaches: class.layout.coaches().map(|(coach, seats)| (Text::from(&*coach), seats)).collect(),
    });
    let definition = RunDefinition { stops: stops.collect(), ends_at: Time(0) };
    Ok(Answer::Run(RunView { is_closed: false, run: Arc::new(definition), classes: classes.collect() }))
}

pub(crate) const DEFAULT_PARTITION: &str = "G123|2026-02-11|2nd";
/// `2026-02-11T08:10:06.007Z`
pub(crate) const MOMENT: Time = Time(1_770_797_406_007);
/// The text of [`order_id`].
pub(crate) const ORDER: &str = "00512345-6789-8bcd-af01-23456789abcd";

pub(crate) fn order_id() -> OrderId {
    OrderId::parse(ORDER).unwrap()
}

pub(crate) fn partition() -> PartitionView {
    PartitionView {
        partition: PartitionKey::parse(DEFAULT_PARTITION).unwrap(),
        capacity: 100,
        available: 98,
        confirmed: 0,
        last_seq: 7,
        hold: HoldView {
            hold: HoldId::parse("h\"1").unwrap(),
            quantity: 2,
            status: HoldStatus::Held,
            seats: vec![Text::from("1-1"), Text::from("1-2")],
            expires_at: MOMENT,
        },
    }
}

pub(crate) fn held() -> Answer {
    Answer::Partition(Box::new(partition()))
}

/// An order of the status, with a reservation unless it never had one.
pub(crate) fn order(status: OrderStatus) -> OrderView {
    let reservation = ReservationView {
        partition: PartitionKey::parse(DEFAULT_PARTITION).unwrap(),
        hold: order_id().hold_id(),
        quantity: 2,
        from: 0,
        to: 3,
        seats: vec![Text::from("05-12A"), Text::from("05-12B")],
        expires_at: MOMENT,
    };
    OrderView {
        order: order_id(),
        key: IdempotencyKey::parse("key").unwrap(),
        status,
        amount: Cents(12_300),
        created_at: MOMENT,
        updated_at: MOMENT.plus(1_000),
        reservation: (status != OrderStatus::Init).then_some(reservation),
        cancel_reason: None,
        txn: None,
        refund: None,
    }
}

pub(crate) fn refund(number: u64) -> RefundView {
    RefundView {
        cursor: RefundCursor { slot: SlotId::new(5), number },
        order: OrderName::parse(ORDER).unwrap(),
        txn: TxnId::parse(&format!("t-{number}")).unwrap(),
        amount: Some(Cents(12_300)),
        reason: RefundReason::HoldExpired,
        status: RefundStatus::Required,
        created_at: MOMENT,
        settled: None,
    }
}
