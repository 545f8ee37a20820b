//! What one record of each kind changes, row by row.

use bridge::ids::{OfOrder, id_of};
use bridge::rows::{Change, of_record};
use engine::ids::OrderId;
use engine::record::{Body, ExpiredHold, Kept, OrderRow, PartitionOpened, PurchaseRow, TellId};
use engine::status::{HoldStatus, OrderStatus, RefundReason};
use engine::text::Text;

use crate::samples::{ID, ORIGIN, OTHER, expired_hold, hold_row, order, order_row, record, refund};
use crate::support::names::{hold, partition, txn};

/// A change in one line.
fn line(change: &Change<'_>) -> String {
    match change {
        Change::Order(row) => {
            let ticketed = row.ticketed_seats().map_or(0, <[Text]>::len);
            format!(
                "order {} {} at {} {ticketed}",
                row.order.order,
                row.order.status.wire_name(),
                row.updated_at.0
            )
        }
        Change::Payment(row) => {
            format!("payment {} {} {} {}", row.payment, row.order, row.txn, row.created_at.0)
        }
        Change::Ticket(row) => format!("ticket {} {} {:?}", row.ticket, row.order, row.seats),
        Change::Refund(row) => {
            format!("refund {} {} settled {}", row.refund.order, row.refund.txn, row.refund.settled.is_some())
        }
        Change::OrderLeft(order, row) => format!("left {order} at {}", row.at.0),
        Change::RefundLeft(number, row) => format!("left {number} at {}", row.at.0),
        Change::PartitionLeft(partition, at) => format!("left {partition} at {}", at.0),
        Change::OrderEvent(order, event) => format!(
            "of order {order}: {} {} {:?} {:?} {:?} {:?} {}",
            event.position.index,
            event.kind,
            event.quantity,
            event.seats.len(),
            event.from,
            event.reason,
            event.trace.as_str(),
        ),
        Change::RunEvent(partition, event) => {
            let of = event.order.map_or("nobody".into(), |order| order.to_string());
            format!("of {partition}: {} {} of {of} {}", event.position.index, event.kind, event.seats.len())
        }
    }
}

#[track_caller]
fn check(body: Body, expected: &[&str]) {
    let record = record(body);
    let of = |what| id_of(ORIGIN.directory, what, order()).to_string();
    let lines: Vec<String> = of_record(ORIGIN, &record).iter().map(line).collect();
    let (payment, ticket) = (of(OfOrder::Payment), of(OfOrder::Ticket));
    let names = [("ORDER", ID), ("OTHER", OTHER), ("PAYMENT_ID", &payment), ("TICKET_ID", &ticket)];
    let fill = |line: &&str| names.iter().fold((*line).to_owned(), |line, (name, id)| line.replace(name, id));
    assert_eq!(lines, expected.iter().map(fill).collect::<Vec<_>>());
}

#[test]
fn holds() {
    use HoldStatus::{Confirmed, Held, Released};
    let owned = |status| hold_row(status, Some(order()));
    let free = |status| hold_row(status, None);
    check(Body::HoldMade(free(Held)), &[]);
    check(Body::HoldReleased(free(Released)), &[]);
    check(Body::HoldConfirmed(free(Confirmed)), &["of G1|2026-02-11|2nd: 0 hold_confirmed of nobody 2"]);
    check(
        Body::HoldMade(owned(Held)),
        &[
            "of order ORDER: 0 hold_made Some(2) 2 Some(0) None t-1",
            "of G1|2026-02-11|2nd: 0 hold_made of ORDER 2",
        ],
    );
    check(
        Body::HoldAdopted(owned(Held)),
        &[
            "of order ORDER: 0 hold_adopted Some(2) 2 Some(0) None t-1",
            "of G1|2026-02-11|2nd: 0 hold_adopted of ORDER 2",
        ],
    );
    check(
        Body::HoldReleased(owned(Released)),
        &[
            "of order ORDER: 0 hold_released Some(2) 2 Some(0) Some(\"requested\") t-1",
            "of G1|2026-02-11|2nd: 0 hold_released of ORDER 2",
        ],
    );
    check(
        Body::HoldsExpired(vec![expired_hold(None), expired_hold(Some(order()))]),
        &[
            "of order ORDER: 1 holds_expired Some(2) 2 Some(0) None t-1",
            "of G1|2026-02-11|2nd: 1 holds_expired of ORDER 2",
        ],
    );
}

/// One event in each history, and the order's row beside it.
#[test]
fn purchases() {
    use HoldStatus::{Confirmed, Expired, Held, Released};
    let of = |status, order_status| {
        Box::new(PurchaseRow { order: order_row(order_status), hold: hold_row(status, Some(order())) })
    };
    check(
        Body::PurchaseMade(of(Held, OrderStatus::Reserved)),
        &[
            "of order ORDER: 0 purchase_made Some(2) 2 Some(0) None t-1",
            "of G1|2026-02-11|2nd: 0 purchase_made of ORDER 2",
            "order ORDER RESERVED at 5000 0",
        ],
    );
    check(
        Body::PurchasePaid(of(Confirmed, OrderStatus::Paid)),
        &[
            "of order ORDER: 0 purchase_paid Some(2) 2 Some(0) None t-1",
            "of G1|2026-02-11|2nd: 0 purchase_paid of ORDER 2",
            "order ORDER PAID at 5000 0",
            "payment PAYMENT_ID ORDER p-1 5000",
        ],
    );
    check(
        Body::PurchaseCancelled(of(Released, OrderStatus::Cancelled)),
        &[
            "of order ORDER: 0 purchase_cancelled Some(2) 2 Some(0) Some(\"hold_expired\") t-1",
            "of G1|2026-02-11|2nd: 0 purchase_cancelled of ORDER 2",
            "order ORDER CANCELLED at 5000 0",
        ],
    );
    let purchase = Some(Box::new(order_row(OrderStatus::Cancelled)));
    let row = ExpiredHold { hold: hold_row(Expired, Some(order())), purchase };
    check(
        Body::HoldsExpired(vec![expired_hold(None), row]),
        &[
            "of order ORDER: 1 holds_expired Some(2) 2 Some(0) Some(\"hold_expired\") t-1",
            "of G1|2026-02-11|2nd: 1 holds_expired of ORDER 2",
            "order ORDER CANCELLED at 5000 0",
        ],
    );
}

#[test]
fn orders() {
    use OrderStatus::{Cancelled, Init, Paid, Reserved, Ticketed};
    check(
        Body::OrderCreated(order_row(Init)),
        &["order ORDER INIT at 5000 0", "of order ORDER: 0 order_created None 0 None None t-1"],
    );
    check(
        Body::OrderReserved(order_row(Reserved)),
        &["order ORDER RESERVED at 5000 0", "of order ORDER: 0 order_reserved Some(2) 2 Some(0) None t-1"],
    );
    check(
        Body::OrderPaid(order_row(Paid)),
        &[
            "order ORDER PAID at 5000 0",
            "of order ORDER: 0 order_paid Some(2) 2 Some(0) None t-1",
            "payment PAYMENT_ID ORDER p-1 5000",
        ],
    );
    check(
        Body::OrderTicketed(order_row(Ticketed)),
        &[
            "order ORDER TICKETED at 5000 2",
            "of order ORDER: 0 order_ticketed Some(2) 2 Some(0) None t-1",
            "ticket TICKET_ID ORDER [\"05-1A\", \"05-1C\"]",
        ],
    );
    check(
        Body::OrderCancelled(order_row(Cancelled)),
        &[
            "order ORDER CANCELLED at 5000 0",
            "of order ORDER: 0 order_cancelled Some(2) 0 Some(0) Some(\"hold_expired\") t-1",
        ],
    );
    let dropped = OrderRow { reservation: None, ..order_row(Cancelled) };
    let other = OrderRow { order: OrderId::parse(OTHER).unwrap(), ..dropped.clone() };
    check(
        Body::OrdersAbandoned(vec![dropped, other]),
        &[
            "order ORDER CANCELLED at 5000 0",
            "of order ORDER: 0 orders_abandoned None 0 None Some(\"hold_expired\") t-1",
            "order OTHER CANCELLED at 5000 0",
            "of order OTHER: 1 orders_abandoned None 0 None Some(\"hold_expired\") t-1",
        ],
    );
}

#[test]
fn refunds() {
    check(
        Body::RefundOwed(refund(ID, RefundReason::AlreadyPaid, false)),
        &[
            "refund ORDER p-2 settled false",
            "of order ORDER: 0 refund_owed None 0 None Some(\"already_paid\") t-1",
        ],
    );
    check(
        Body::RefundSettled(refund(ID, RefundReason::HoldExpired, true)),
        &[
            "refund ORDER p-2 settled true",
            "of order ORDER: 0 refund_settled None 0 None Some(\"hold_expired\") t-1",
        ],
    );
    let unmatched = RefundReason::Unmatched;
    check(
        Body::RefundOwed(refund("a stranger's", unmatched, false)),
        &["refund a stranger's p-2 settled false"],
    );
    check(Body::RefundOwed(refund(ID, unmatched, false)), &["refund ORDER p-2 settled false"]);
}

#[test]
fn what_leaves() {
    let orders = vec![order(), OrderId::parse(OTHER).unwrap()];
    check(Body::OrdersForgotten { orders }, &["left ORDER at 5000", "left OTHER at 5000"]);
    check(Body::RefundsForgotten { numbers: vec![3] }, &["left 3 at 5000"]);
    let partition = partition("G1|2026-02-11|2nd");
    check(Body::PartitionForgotten { partition }, &["left G1|2026-02-11|2nd at 5000"]);
}

#[test]
fn what_only_the_engine_needs() {
    let partition = || partition("G1|2026-02-11|2nd");
    let layout = crate::support::catalogue::coaches(&["05"]);
    let opened = PartitionOpened { partition: partition(), layout, segments: 2, run: None, seq: 0 };
    check(Body::PartitionOpened(opened), &[]);
    check(Body::HoldsForgotten { partition: partition(), holds: vec![hold("h")] }, &[]);
    check(Body::TxnClaimed { txn: txn("p-1"), order: order(), goes_back: None }, &[]);
    check(Body::ClaimForgotten { txn: txn("p-1"), order: order(), tell: None }, &[]);
    check(Body::OrderLeaving { order: order(), txns: vec![txn("p-1")] }, &[]);
    check(Body::OrderKept { order: order(), kept: Kept::PastEnd(engine::ids::Time(7)) }, &[]);
    check(Body::TellsAcked { tells: vec![TellId(1)] }, &[]);
}
