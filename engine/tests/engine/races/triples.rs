//! Three at a time.

use super::Event::{Cancel, Expire, Pay, PayAgain, Reserve};
use super::{CALM, CRASH, Chaos, Event, Start, race};
use crate::support::names::{APART, TOGETHER};

const EVENTS: [Event; 5] = [Reserve, Cancel, Pay, PayAgain, Expire];

fn triples(start: Start, chaos: Chaos) {
    let t = std::time::Instant::now();
    let mut states = 0;
    for i in 0..EVENTS.len() {
        for j in i + 1..EVENTS.len() {
            for k in j + 1..EVENTS.len() {
                let events = [EVENTS[i], EVENTS[j], EVENTS[k]];
                states += race(APART, start, &events, chaos);
                if chaos.crashes == 0 {
                    states += race(TOGETHER, start, &events, chaos);
                }
            }
        }
    }
    eprintln!("{start:?} {chaos:?}: {states} states {:?}", t.elapsed());
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
