//! The choice rules by example, and what is refused.

use allocator::{Coach, Found, Inventory, Layout, RowBlock, SeatNo, Span, Together};

/// A train drawn as one line for each coach, rows in brackets, each seat as its segments (`.` free, `x` taken), so that a
/// seat's gap can be seen: `[..x ...] [... xx.]` is a coach with two rows of two seats on a run of three segments.
fn train(coaches: &[&str]) -> Inventory {
    let rows_of = |coach: &str| -> Vec<Vec<String>> {
        let rows = coach.split(']').map(|row| row.trim_start_matches([' ', '[']));
        rows.filter(|row| !row.is_empty()).map(|row| row.split(' ').map(String::from).collect()).collect()
    };
    let coaches: Vec<Vec<Vec<String>>> = coaches.iter().map(|coach| rows_of(coach)).collect();
    let formation = coaches.iter().zip(1..).map(|(rows, number)| {
        let rows = rows.iter().zip(1..).map(|(row, first_row)| RowBlock {
            first_row,
            rows: 1,
            plan: ('A'..).take(row.len()).collect(),
        });
        Coach { number: format!("{number:02}"), rows: rows.collect() }
    });
    let seats = coaches.concat().concat();
    let mut inventory = Inventory::new(Layout::Labelled(formation.collect()), seats[0].len() as u16);
    for (seat, segments) in (0..).zip(&seats) {
        for (segment, _) in (0..).zip(segments.bytes()).filter(|&(_, state)| state == b'x') {
            inventory.take(span(segment, segment + 1), &[SeatNo(seat)]);
        }
    }
    inventory
}

fn span(from: u16, to: u16) -> Span {
    Span::new(from, to).unwrap()
}

/// `expected`: the labels, and how near to each other the seats are.
fn check(coaches: &[&str], (from, to): (u16, u16), quantity: u32, expected: Option<(&str, Together)>) {
    check_in(&train(coaches), (from, to), quantity, expected);
}

fn check_in(
    inventory: &Inventory,
    (from, to): (u16, u16),
    quantity: u32,
    expected: Option<(&str, Together)>,
) {
    let found = inventory.find(span(from, to), quantity).map(|Found { seats, together }| {
        let labels: Vec<String> = seats.iter().map(|&seat| inventory.layout().label(seat)).collect();
        (labels.join(" "), together)
    });
    let expected = expected.map(|(labels, together)| (labels.into(), together));
    assert_eq!(found, expected);
}

#[test]
fn one_seat_takes_the_tightest_gap() {
    let single = |label| Some((label, Together::Single));
    check(&["[.... .... ....]"], (1, 2), 1, single("01-1A"));
    check(&["[.... x... x..x]"], (1, 3), 1, single("01-1C"));
    check(&["[.... x... ...x]"], (1, 3), 1, single("01-1B"));
    check(&["[.... ...x] [x...]", "[x.xx]"], (1, 2), 1, single("02-1A"));
    check(&["[.... .x.. x.xx]"], (2, 3), 1, single("01-1B"));
    // Left over beyond a taken segment does not count.
    check(&["[..x...... .........]"], (4, 5), 1, single("01-1A"));
    check(&["[x.x xx. .xx]"], (0, 3), 1, None);
    check(&["[x.x xx. .xx]"], (2, 3), 1, single("01-1B"));
}

#[test]
fn several_sit_side_by_side_in_the_smallest_sum_of_gaps() {
    let row = |labels| Some((labels, Together::Row));
    check(&["[... ... ...]"], (0, 1), 2, row("01-1A 01-1B"));
    check(&["[... .xx .xx]"], (0, 1), 2, row("01-1B 01-1C"));
    check(&["[.xx ... .xx] [.xx ..x]"], (0, 1), 2, row("01-2A 01-2B"));
    // Not around a taken seat, and not from one row into the next.
    check(&["[.xx xxx .xx .] [.xx .xx]"], (0, 1), 2, row("01-2A 01-2B"));
    check(&["[... ...] [... .xx]", "[.xx .xx ...]"], (0, 1), 2, row("02-1A 02-1B"));
    check(&["[x.. ... ...] [... ... ...]"], (0, 1), 3, row("01-2A 01-2B 01-2C"));
}

#[test]
fn several_else_sit_in_the_coach_that_fits_best() {
    let coach = |labels| Some((labels, Together::Coach));
    // Two rows of one: more than a row has.
    check(&["[.] [.] [.]", "[.] [.]"], (0, 1), 2, coach("02-1A 02-2A"));
    check(&["[.] [.]", "[.] [.]"], (0, 1), 2, coach("01-1A 01-2A"));
    // Of three, the two with the tightest gaps; returned in order.
    check(&["[..x] [...] [.xx]"], (0, 1), 2, coach("01-1A 01-3A"));
    check(&["[...] [...] [.xx]"], (0, 1), 2, coach("01-1A 01-3A"));
    // In one row, but not side by side.
    check(&["[. x .]", "[.]"], (0, 1), 2, coach("01-1A 01-1C"));
    // A row that has room is better than a coach that fits.
    check(&["[. x .]", "[. . .]"], (0, 1), 2, Some(("02-1A 02-1B", Together::Row)));
    check(&["[. .] [. .]", "[. .] [. .] [. .]"], (0, 1), 3, coach("01-1A 01-1B 01-2A"));
}

#[test]
fn several_else_sit_in_few_coaches() {
    let anywhere = |labels| Some((labels, Together::Anywhere));
    // All of the second, which has most; the one left over fits into the third exactly.
    check(&["[. .]", "[. . .]", "[.]"], (0, 1), 4, anywhere("02-1A 02-1B 02-1C 03-1A"));
    check(&["[. .]", "[. .]", "[. .]"], (0, 1), 3, anywhere("01-1A 01-1B 02-1A"));
    // The rest takes the tightest gaps where it goes.
    check(&["[..]", "[.. ..] [..]", "[.. .x]"], (0, 1), 4, anywhere("01-1A 02-1A 02-1B 02-2A"));
    check(&["[.. .. .x]", "[.. .. ..]"], (0, 1), 4, anywhere("01-1A 01-1B 01-1C 02-1A"));
    check(&["[.. .. ..]", "[.. .. .x]"], (0, 1), 4, anywhere("01-1A 01-1B 01-1C 02-1C"));
    check(&["[. .]", "[. . .]", "[.]"], (0, 1), 6, anywhere("01-1A 01-1B 02-1A 02-1B 02-1C 03-1A"));
}

#[test]
fn too_few_and_none() {
    check(&["[. x .]"], (0, 1), 3, None);
    check(&["[.x x.]"], (0, 2), 1, None);
    check(&["[. .]"], (0, 1), 0, None);
    check(&["[. .]"], (0, 1), u32::MAX, None);
}

#[test]
fn an_ad_hoc_coach_is_one_row() {
    let mut inventory = Inventory::new(Layout::AdHoc { seats: 120 }, 1);
    inventory.take(Span::whole(1), &(0..49).map(SeatNo).collect::<Vec<_>>());
    check_in(&inventory, (0, 1), 1, Some(("1-50", Together::Single)));
    // 1-50 and 2-1 are in two coaches.
    check_in(&inventory, (0, 1), 2, Some(("2-1 2-2", Together::Row)));
    let all_of_2 = (1..=50).map(|seat| format!("2-{seat}")).collect::<Vec<_>>().join(" ");
    check_in(&inventory, (0, 1), 50, Some((&all_of_2, Together::Row)));
    check_in(&inventory, (0, 1), 51, Some((&format!("1-50 {all_of_2}"), Together::Anywhere)));
}

#[test]
fn two_thousand_at_once() {
    let mut inventory = Inventory::new(Layout::AdHoc { seats: 100_000 }, 1);
    let found = inventory.find(Span::whole(1), 2_000).unwrap();
    assert_eq!(found.seats, (0..2_000).map(SeatNo).collect::<Vec<_>>());
    assert_eq!(found.together, Together::Anywhere);
    inventory.take(Span::whole(1), &found.seats);
    assert_eq!(inventory.find(Span::whole(1), 1).unwrap().seats, [SeatNo(2_000)]);
    assert_eq!(inventory.available(Span::whole(1)), 98_000);
}

#[test]
fn an_inventory_says_what_it_was_made_of() {
    let inventory = train(&["[.... ....] [....]", "[....]"]);
    assert_eq!((inventory.seats(), inventory.segments()), (4, 4));
    assert_eq!(inventory.layout().seats(), 4);
}

#[test]
fn sold_seats_are_counted_on_any_part_of_a_span() {
    let mut inventory = Inventory::new(Layout::AdHoc { seats: 70 }, 4);
    inventory.take(span(0, 2), &[SeatNo(0), SeatNo(69)]);
    inventory.take(span(2, 4), &[SeatNo(0)]);
    assert_eq!(inventory.sold(Span::whole(4)), 0);
    inventory.sell(span(0, 2), &[SeatNo(0), SeatNo(69)]);
    inventory.sell(span(2, 4), &[SeatNo(0)]);
    assert_eq!(inventory.sold(Span::whole(4)), 2);
    assert_eq!(inventory.sold(span(1, 3)), 2);
    assert_eq!(inventory.sold(span(2, 3)), 1);
    assert_eq!(inventory.available(Span::whole(4)), 68);
}

#[test]
fn equal_states_are_equal_whatever_came_before() {
    let fresh = Inventory::new(Layout::AdHoc { seats: 70 }, 4);
    let mut other = fresh.clone();
    other.take(span(1, 3), &[SeatNo(69)]);
    assert_ne!(other, fresh);
    other.sell(span(1, 3), &[]);
    other.release(span(1, 3), &[SeatNo(69)]);
    assert_eq!(other, fresh);
}

mod misuse {
    use super::*;

    fn inventory() -> Inventory {
        let mut inventory = Inventory::new(Layout::AdHoc { seats: 10 }, 4);
        inventory.take(span(1, 3), &[SeatNo(5)]);
        inventory
    }

    #[test]
    #[should_panic(expected = "seat 5 is not free")]
    fn take_what_is_taken_on_a_part() {
        inventory().take(span(2, 4), &[SeatNo(4), SeatNo(5)]);
    }

    #[test]
    #[should_panic(expected = "seat 4 is not free")]
    fn take_one_twice() {
        inventory().take(span(2, 4), &[SeatNo(4), SeatNo(4)]);
    }

    #[test]
    #[should_panic(expected = "seat 10 of 10")]
    fn take_beyond_the_last_seat() {
        inventory().take(span(0, 1), &[SeatNo(10)]);
    }

    #[test]
    #[should_panic(expected = "seat 100 of 10")]
    fn ask_for_a_seat_far_beyond() {
        inventory().is_free(SeatNo(100), span(0, 1));
    }

    #[test]
    #[should_panic(expected = "seat 5 is not taken")]
    fn release_more_than_was_taken() {
        inventory().release(span(1, 4), &[SeatNo(5)]);
    }

    #[test]
    #[should_panic(expected = "seat 12 of 10")]
    fn release_beyond_the_last_seat() {
        inventory().release(span(0, 1), &[SeatNo(12)]);
    }

    #[test]
    #[should_panic(expected = "seat 5 is sold on")]
    fn release_what_is_sold() {
        let mut inventory = inventory();
        inventory.sell(span(1, 2), &[SeatNo(5)]);
        inventory.release(span(1, 3), &[SeatNo(5)]);
    }

    #[test]
    #[should_panic(expected = "seat 5 is not taken")]
    fn sell_what_is_not_taken() {
        inventory().sell(span(0, 3), &[SeatNo(5)]);
    }

    #[test]
    #[should_panic(expected = "seat 5 is sold already")]
    fn sell_twice() {
        let mut inventory = inventory();
        inventory.sell(span(1, 2), &[SeatNo(5)]);
        inventory.sell(span(1, 3), &[SeatNo(5)]);
    }

    #[test]
    #[should_panic(expected = "goes beyond 4 segments")]
    fn a_span_beyond_the_run() {
        inventory().available(span(3, 5));
    }

    #[test]
    #[should_panic(expected = "goes beyond 4 segments")]
    fn a_find_beyond_the_run() {
        inventory().find(span(4, 5), 1);
    }

    #[test]
    #[should_panic(expected = "at least one segment")]
    fn no_segments() {
        Inventory::new(Layout::AdHoc { seats: 10 }, 0);
    }

    #[test]
    #[should_panic(expected = "65 segments are more than 64")]
    fn too_many_segments() {
        Inventory::new(Layout::AdHoc { seats: 10 }, 65);
    }

    #[test]
    #[should_panic(expected = "invalid layout: 100001 seats are more than 100000")]
    fn too_many_seats() {
        Inventory::new(Layout::AdHoc { seats: 100_001 }, 1);
    }
}
