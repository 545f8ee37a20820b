//! Three at a time.

use super::Event::{Cancel, Expire, Pay, PayAgain, Reserve};
use super::{CALM, CRASH, Chaos, Event, Start, race};
use crate::support::names::{APART, TOGETHER};

const EVENTS: [Event; 5] = [Reserve, Cancel, Pay, PayAgain, Expire];

fn triples(start: Start, chaos: Chaos) {
    let mut states = 0;
    for (i, first) in EVENTS.iter().enumerate() {
        for (j, second) in EVENTS.iter().enumerate().skip(i + 1) {
            for third in &EVENTS[j + 1..] {
                let events = [*first, *second, *third];
                states += race(APART, start, &events, chaos);
                if chaos.crashes == 0 {
                    states += race(TOGETHER, start, &events, chaos);
                }
            }
        }
    }
    assert!(states > 500, "{states} states are no race");
}

#[test]
fn of_an_init_order() {
    triples(Start::Init, CALM);
}

#[test]
fn of_a_reserved_order() {
    triples(Start::Reserved, CALM);
}

#[test]
fn of_an_init_order_with_a_crash() {
    triples(Start::Init, CRASH);
}

#[test]
fn of_a_reserved_order_with_a_crash() {
    triples(Start::Reserved, CRASH);
}
