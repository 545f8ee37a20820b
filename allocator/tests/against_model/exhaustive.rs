//! Small trains in every state they can be in: every span, every quantity.

use crate::model::{Model, numbers};
use allocator::{Coach, Inventory, Layout, RowBlock, Span};

/// Coaches between blanks, in them rows between slashes, each as its plan without an aisle: `AB/A CD`.
fn labelled(coaches: &str) -> Layout {
    let coaches = coaches.split(' ').enumerate().map(|(number, rows)| {
        let rows = rows.split('/').zip(1..);
        let rows = rows.map(|(plan, first_row)| RowBlock { first_row, rows: 1, plan: plan.into() });
        Coach { number: format!("{number}"), rows: rows.collect() }
    });
    Layout::Labelled(coaches.collect())
}

fn check(layout: Layout, segments: u16) {
    let cells = layout.seats() * u32::from(segments);
    for state in 0u32..1 << cells {
        let mut inventory = Inventory::new(layout.clone(), segments);
        let mut model = Model::new(&layout, segments);
        for cell in (0..cells).filter(|cell| state >> cell & 1 != 0) {
            let (seat, segment) = (cell as usize / usize::from(segments), cell as u16 % segments);
            let span = Span::new(segment, segment + 1).unwrap();
            inventory.take(span, &numbers(&[seat]));
            model.take(span, &[seat]);
        }
        for span in spans(segments) {
            assert_eq!(inventory.available(span) as usize, model.available(span));
            for quantity in 0..=layout.seats() + 1 {
                let expected = model.find(span, quantity as usize);
                assert_eq!(
                    inventory.find(span, quantity),
                    expected,
                    "{layout:?} {state:b} {span:?} {quantity}"
                );
            }
        }
    }
}

/// Every span of a run.
fn spans(segments: u16) -> impl Iterator<Item = Span> {
    (0..segments).flat_map(move |from| (from + 1..=segments).filter_map(move |to| Span::new(from, to)))
}

#[test]
fn one_row() {
    check(labelled("ABCD"), 3);
}

#[test]
fn two_rows() {
    check(labelled("AB/AB"), 3);
}

#[test]
fn two_coaches() {
    check(labelled("AB AB"), 3);
}

#[test]
fn unequal_coaches() {
    check(labelled("A/AB A"), 3);
    check(labelled("A AB A/A"), 2);
}

#[test]
fn ad_hoc() {
    check(Layout::AdHoc { seats: 4 }, 3);
}

#[test]
fn longer_runs() {
    check(Layout::AdHoc { seats: 2 }, 6);
    check(labelled("A A"), 6);
    check(Layout::AdHoc { seats: 1 }, 10);
}
