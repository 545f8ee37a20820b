//! Two orders, or an order and a client, over one seat, one hold id or one transaction.

use super::Event::{
    Abandon, Cancel, CancelNeighbour, ConfirmHold, Expire, Pay, PayNeighbour, ReleaseHold, Reserve,
    ReserveNeighbour, ReserveSameHold, TryHold,
};
use super::{CALM, CRASH, Chaos, DOUBLE, Event, Start, race};
use crate::support::names::{APART, TOGETHER};

fn check(start: Start, events: &[Event], chaos: &[Chaos]) {
    for placement in [TOGETHER, APART] {
        for chaos in chaos {
            let states = race(placement, start, events, *chaos);
            assert!(states > 20, "{states} states are no race");
        }
    }
}

#[test]
fn one_transaction() {
    check(Start::Both, &[Pay, PayNeighbour], &[CRASH, DOUBLE]);
    check(Start::Init, &[Pay, PayNeighbour], &[CRASH, DOUBLE]);
    race(APART, Start::Both, &[Pay, PayNeighbour, Expire], CALM);
    check(Start::Both, &[Pay, PayNeighbour, Cancel], &[CALM]);
}

#[test]
fn one_seat() {
    check(Start::OneSeat, &[Reserve, ReserveNeighbour], &[CRASH, DOUBLE]);
    check(Start::OneSeat, &[Reserve, ReserveNeighbour, Expire], &[CALM]);
    check(Start::OneSeat, &[Reserve, ReserveNeighbour, Cancel], &[CALM]);
    check(Start::OneSeat, &[Reserve, TryHold], &[CRASH, DOUBLE]);
}

#[test]
fn one_hold_id() {
    check(Start::Init, &[Reserve, ReserveSameHold], &[CRASH, DOUBLE]);
    check(Start::Held, &[Reserve, ReserveSameHold], &[CRASH, DOUBLE]);
    check(Start::Held, &[Reserve, ReserveSameHold, Cancel], &[CALM]);
    check(Start::Held, &[Reserve, ReserveSameHold, CancelNeighbour], &[CALM]);
}

#[test]
fn adoption() {
    check(Start::Held, &[Reserve, ReleaseHold], &[CRASH, DOUBLE]);
    check(Start::Held, &[Reserve, ConfirmHold], &[CRASH, DOUBLE]);
    check(Start::Held, &[Reserve, Expire], &[CRASH, DOUBLE]);
    check(Start::Held, &[Reserve, Cancel], &[CRASH, DOUBLE]);
    check(Start::Held, &[Reserve, Pay], &[CRASH, DOUBLE]);
    check(Start::Init, &[Reserve, TryHold], &[CRASH, DOUBLE]);
    check(Start::Init, &[Reserve, TryHold, Expire], &[CALM]);
}

#[test]
fn a_day_passes() {
    check(Start::Init, &[Reserve, Abandon], &[CRASH, DOUBLE]);
    check(Start::Init, &[Reserve, Pay, Abandon], &[CALM]);
    check(Start::Init, &[Reserve, Cancel, Abandon], &[CALM]);
    check(Start::Held, &[Reserve, Abandon], &[CRASH, DOUBLE]);
}
