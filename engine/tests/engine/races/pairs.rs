//! Two at a time, wherever the things live.

use super::Event::{Cancel, Create, Expire, Get, Pay, PayAgain, Reserve, ReserveOther, Ticket};
use super::{CRASH, Chaos, DOUBLE, Event, Start, race};
use crate::support::names::{APART, PLACEMENTS, TOGETHER};

const EVENTS: [Event; 9] = [Create, Reserve, ReserveOther, Cancel, Pay, PayAgain, Ticket, Get, Expire];

/// Every pair, an event with itself included.
fn pairs(start: Start, chaos: Chaos) {
    let mut states = 0;
    for (i, first) in EVENTS.iter().enumerate() {
        for second in &EVENTS[i..] {
            states += race(APART, start, &[*first, *second], chaos);
            if chaos.doubles == 0 {
                states += race(TOGETHER, start, &[*first, *second], chaos);
            }
        }
    }
    assert!(states > 500, "{states} states are no race");
}

#[test]
fn of_an_init_order_with_a_crash() {
    pairs(Start::Init, CRASH);
}

#[test]
fn of_an_init_order_with_messages_doubled() {
    pairs(Start::Init, DOUBLE);
}

#[test]
fn of_a_reserved_order_with_a_crash() {
    pairs(Start::Reserved, CRASH);
}

#[test]
fn of_a_reserved_order_with_messages_doubled() {
    pairs(Start::Reserved, DOUBLE);
}

#[test]
fn of_a_paid_order() {
    pairs(Start::Paid, CRASH);
    pairs(Start::Paid, DOUBLE);
}

#[test]
fn of_payment_and_expiry_in_every_placement() {
    for placement in PLACEMENTS {
        race(placement, Start::Reserved, &[Pay, Expire], Chaos { crashes: 1, doubles: 1 });
    }
}
