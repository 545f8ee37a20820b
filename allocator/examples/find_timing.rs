//! Benchmark of `find`: `cargo run --release -p allocator --example find_timing`.

use std::hint::black_box;
use std::time::Instant;

use allocator::{Coach, Inventory, Layout, RowBlock, SeatNo, Span};

fn main() {
    for (name, sold_percent) in [("empty", 0), ("half sold", 50), ("90% sold", 90)] {
        let inventory = sold_in_part(formation(), 37, sold_percent);
        println!("1,000 seats, 37 segments, {name}");
        for (from, to) in [(0, 37), (10, 20), (18, 19)] {
            let span = Span::new(from, to).unwrap();
            for quantity in [1, 2, 5, 8, 40, 200] {
                time(&inventory, span, quantity);
            }
        }
    }
    let mut big = Inventory::new(Layout::AdHoc { seats: 100_000 }, 1);
    for taken in [0, 50_000, 99_990, 100_000] {
        let upto: Vec<SeatNo> = (big.seats() - big.available(Span::whole(1))..taken).map(SeatNo).collect();
        big.take(Span::whole(1), &upto);
        println!("100,000 seats, 1 segment, the first {taken} taken");
        for quantity in [1, 2, 8, 2_000] {
            time(&big, Span::whole(1), quantity);
        }
    }
}

fn time(inventory: &Inventory, span: Span, quantity: u32) {
    let runs = 2_000;
    let measure = |work: &dyn Fn()| {
        let best = (0..5).map(|_| {
            let start = Instant::now();
            (0..runs).for_each(|_| work());
            start.elapsed().as_nanos() / runs
        });
        best.min().unwrap()
    };
    let find_ns = measure(&|| _ = black_box(inventory.find(black_box(span), black_box(quantity))));
    let available_ns = measure(&|| _ = black_box(inventory.available(black_box(span))));
    let found = inventory.find(span, quantity).map(|found| found.together);
    println!(
        "  {:>2}..{:<2} quantity {quantity:>4}: find {find_ns:>7} ns, available {available_ns:>5} ns, {found:?}",
        span.from(),
        span.to()
    );
}

fn formation() -> Layout {
    let coach = |number| {
        let rows = vec![RowBlock { first_row: 1, rows: 20, plan: "ABC DF".into() }];
        Coach { number: format!("{number:02}"), rows }
    };
    Layout::Labelled((1..=10).map(coach).collect())
}

/// Takes seats for short and long journeys until this part of the train is taken. Seeded, so that every run measures the same.
fn sold_in_part(layout: Layout, segments: u16, percent: u64) -> Inventory {
    let mut inventory = Inventory::new(layout, segments);
    let cells = u64::from(inventory.seats()) * u64::from(segments);
    let (mut taken, mut rng) = (0, fastrand::Rng::with_seed(1));
    while taken * 100 < cells * percent {
        let from = rng.u16(..segments);
        let to = from + 1 + rng.u16(..(segments - from).min(12));
        let (span, seat) = (Span::new(from, to).unwrap(), SeatNo(rng.u32(..inventory.seats())));
        if inventory.is_free(seat, span) {
            inventory.take(span, &[seat]);
            taken += u64::from(to - from);
        }
    }
    inventory
}
