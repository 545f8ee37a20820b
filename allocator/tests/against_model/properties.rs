//! Random formations and random histories: the inventory and the model answer everything alike.

use crate::model::{Model, numbers};
use allocator::{Coach, Inventory, Layout, RowBlock, SEGMENTS_MAX, Span};
use proptest::prelude::*;
use proptest::sample::Index;

/// One thing that happens to a partition. Numbers are turned into what there is when it happens.
#[derive(Clone, Debug)]
enum Step {
    /// Find so many and take what was found.
    Hold {
        span: (Index, Index),
        quantity: Quantity,
    },
    /// Take one seat by its number, where it is free.
    Take {
        span: (Index, Index),
        seat: Index,
    },
    Sell {
        hold: Index,
    },
    Release {
        hold: Index,
    },
    /// Only ask.
    Find {
        span: (Index, Index),
        quantity: Quantity,
    },
}

#[derive(Clone, Debug)]
enum Quantity {
    Few(u32),
    /// Up to all that are available and one more.
    OfAvailable(Index),
}

#[derive(Clone, Debug)]
struct Hold {
    span: Span,
    seats: Vec<usize>,
    sold: bool,
}

fn layouts() -> impl Strategy<Value = Layout> {
    let plan =
        prop::sample::select(vec!["ABC DF", "AC DF", "A C F", "A", "AB", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"]);
    let blocks = prop::collection::vec((1u16..8, plan), 1..4);
    let labelled = prop::collection::vec(blocks, 1..6).prop_map(|coaches| {
        let coaches = coaches.into_iter().enumerate().map(|(number, blocks)| {
            let blocks = blocks.into_iter().enumerate();
            let rows = blocks.map(|(at, (rows, plan))| RowBlock {
                first_row: at as u16 * 10 + 1,
                rows,
                plan: plan.into(),
            });
            Coach { number: format!("{number:02}"), rows: rows.collect() }
        });
        Layout::Labelled(coaches.collect())
    });
    prop_oneof![(1u32..260).prop_map(|seats| Layout::AdHoc { seats }), labelled]
}

fn segments() -> impl Strategy<Value = u16> {
    prop_oneof![Just(1), 2u16..8, 8..=SEGMENTS_MAX, Just(SEGMENTS_MAX)]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let quantity = || {
        prop_oneof![
            5 => (0u32..10).prop_map(Quantity::Few),
            1 => any::<Index>().prop_map(Quantity::OfAvailable),
        ]
    };
    let step = prop_oneof![
        4 => (any::<(Index, Index)>(), quantity()).prop_map(|(span, quantity)| Step::Hold { span, quantity }),
        8 => any::<((Index, Index), Index)>().prop_map(|(span, seat)| Step::Take { span, seat }),
        1 => any::<Index>().prop_map(|hold| Step::Sell { hold }),
        3 => any::<Index>().prop_map(|hold| Step::Release { hold }),
        4 => (any::<(Index, Index)>(), quantity()).prop_map(|(span, quantity)| Step::Find { span, quantity }),
    ];
    prop::collection::vec(step, 1..120)
}

/// The inventory and the model side by side.
struct Pair {
    inventory: Inventory,
    model: Model,
    holds: Vec<Hold>,
}

impl Pair {
    fn new(layout: Layout, segments: u16) -> Pair {
        let model = Model::new(&layout, segments);
        Pair { inventory: Inventory::new(layout, segments), model, holds: Vec::new() }
    }

    fn run(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match step {
            Step::Find { span, quantity } => {
                self.find(self.span(span), quantity)?;
            }
            Step::Hold { span, quantity } => {
                let span = self.span(span);
                if let Some(seats) = self.find(span, quantity)? {
                    self.take(span, seats);
                }
            }
            Step::Take { span, seat } => {
                let (span, seat) = (self.span(span), seat.index(self.model.seats()));
                if self.model.is_free(seat, span) {
                    self.take(span, vec![seat]);
                }
            }
            Step::Sell { hold } => {
                let Some((hold, _)) = self.pick(hold) else { return Ok(()) };
                let Hold { span, seats, sold } = &mut self.holds[hold];
                *sold = true;
                self.inventory.sell(*span, &numbers(seats));
                self.model.sell(*span, seats);
            }
            Step::Release { hold } => {
                let Some((hold, Hold { span, seats, .. })) = self.pick(hold) else { return Ok(()) };
                self.holds.swap_remove(hold);
                self.inventory.release(span, &numbers(&seats));
                self.model.release(span, &seats);
            }
        }
        self.compare()
    }

    /// Asks both, checks what was found by itself, and returns it.
    fn find(&self, span: Span, quantity: &Quantity) -> Result<Option<Vec<usize>>, TestCaseError> {
        let quantity = match quantity {
            Quantity::Few(quantity) => *quantity,
            Quantity::OfAvailable(index) => index.index(self.model.available(span) + 2) as u32,
        };
        let found = self.inventory.find(span, quantity);
        prop_assert_eq!(&found, &self.model.find(span, quantity as usize));
        let Some(found) = found else { return Ok(None) };
        prop_assert_eq!(found.seats.len(), quantity as usize);
        prop_assert!(found.seats.is_sorted_by(|a, b| a < b));
        prop_assert!(found.seats.iter().all(|&seat| self.inventory.is_free(seat, span)));
        Ok(Some(found.seats.iter().map(|seat| seat.0 as usize).collect()))
    }

    fn take(&mut self, span: Span, seats: Vec<usize>) {
        self.inventory.take(span, &numbers(&seats));
        self.model.take(span, &seats);
        self.holds.push(Hold { span, seats, sold: false });
    }

    fn compare(&self) -> Result<(), TestCaseError> {
        let segments = self.inventory.segments();
        let edges =
            [Span::whole(segments), Span::new(0, 1).unwrap(), Span::new(segments - 1, segments).unwrap()];
        for span in edges.into_iter().chain(Span::new(segments / 3, segments / 2 + 1)) {
            prop_assert_eq!(self.inventory.available(span) as usize, self.model.available(span));
            prop_assert_eq!(self.inventory.sold(span) as usize, self.model.sold(span));
        }
        Ok(())
    }

    fn span(&self, (from, length): &(Index, Index)) -> Span {
        let segments = usize::from(self.inventory.segments());
        let from = from.index(segments);
        let to = from + 1 + length.index(segments - from);
        Span::new(from as u16, to as u16).unwrap()
    }

    /// One of the holds that are not sold.
    fn pick(&self, index: &Index) -> Option<(usize, Hold)> {
        let open: Vec<usize> = (0..self.holds.len()).filter(|&hold| !self.holds[hold].sold).collect();
        let hold = *open.get(index.index(open.len().max(1)))?;
        Some((hold, self.holds[hold].clone()))
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_inventory_is_the_model(layout in layouts(), segments in segments(), steps in steps()) {
        let mut pair = Pair::new(layout, segments);
        for step in &steps {
            pair.run(step)?;
        }
    }

    #[test]
    fn a_full_and_a_nearly_full_train(layout in layouts(), segments in segments(), steps in steps()) {
        let mut pair = Pair::new(layout, segments);
        pair.take(Span::whole(segments), (0..pair.model.seats()).collect());
        // What is released becomes free and is found again.
        let hold = pair.holds.remove(0);
        pair.holds.extend(hold.seats.iter().map(|&seat| Hold { seats: vec![seat], ..hold.clone() }));
        for step in &steps {
            pair.run(step)?;
        }
    }

    #[test]
    fn generated_layouts_are_valid_and_labels_differ(layout in layouts()) {
        prop_assert_eq!(layout.validate(), Ok(()));
        let labels = (0..layout.seats()).map(|seat| layout.label(allocator::SeatNo(seat)));
        prop_assert_eq!(labels.collect::<std::collections::HashSet<_>>().len(), layout.seats() as usize);
        prop_assert_eq!(layout.coaches().map(|(_, seats)| seats).sum::<u32>(), layout.seats());
        prop_assert_eq!(Model::new(&layout, 1).seats(), layout.seats() as usize);
    }
}
