//! Layouts: the seats of a class and their labels.
//!
//! Seats are numbered from 0 through the coaches in their order, in a coach through its rows, in a row through the
//! letters of the plan from window to window. So a row and a coach are ranges of seat numbers.

use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use rkyv::{Archive, Deserialize, Serialize};

use crate::{AD_HOC_SEATS_MAX, AD_HOC_SEATS_PER_COACH};

/// A seat's place in the order of its [`Layout`], from 0.
#[derive(Archive, Serialize, Deserialize, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[rkyv(derive(Debug))]
pub struct SeatNo(pub u32);

/// The seats of one class of a train run. Compact, because it is logged when a partition is opened and lives as long as
/// the partition does.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
#[rkyv(derive(Debug))]
pub enum Layout {
    /// Seats of which only the number is known. Coaches of [`AD_HOC_SEATS_PER_COACH`] seats; seat `i` is called
    /// `coach-seat`, both counted from 1: `1-1`, `1-2` to `1-50`, then `2-1`. A coach counts as one row.
    AdHoc {
        /// The number of seats.
        seats: u32,
    },
    /// Seats with their coaches and rows; a seat is called by coach, row and letter: `05-12A`.
    Labelled(Vec<Coach>),
}

/// One coach of a formation, or the part of it that belongs to one class.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
#[rkyv(derive(Debug))]
pub struct Coach {
    /// As printed on tickets, for example `05`.
    pub number: String,
    /// From one end of the coach to the other.
    pub rows: Vec<RowBlock>,
}

/// Consecutive rows with the same seats.
#[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
#[rkyv(derive(Debug))]
pub struct RowBlock {
    /// Number of the first row; the others follow.
    pub first_row: u16,
    /// The number of rows.
    pub rows: u16,
    /// The letters of a row from window to window with a blank for the aisle, for example `ABC DF`: the letters at both
    /// ends are window seats, those beside a blank are aisle seats.
    pub plan: String,
}

/// One seat, described.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seat<'a> {
    /// The coach's number.
    pub coach: Cow<'a, str>,
    /// The row in the coach; of an ad hoc seat its number in the coach.
    pub row: u16,
    /// The letter in the row; ad hoc seats have none.
    pub letter: Option<char>,
    /// At a window; not known, hence false, of ad hoc seats.
    pub window: bool,
    /// Beside the aisle; not known, hence false, of ad hoc seats.
    pub aisle: bool,
}

impl Layout {
    /// The number of seats; `u32::MAX` for more than that, which a validated layout never has.
    pub fn seats(&self) -> u32 {
        match self {
            Layout::AdHoc { seats } => *seats,
            Layout::Labelled(coaches) => {
                coaches.iter().fold(0, |sum, coach| sum.saturating_add(coach.seats()))
            }
        }
    }

    /// The coaches in their order: coach number and number of seats.
    pub fn coaches(&self) -> impl Iterator<Item = (Cow<'_, str>, u32)> {
        let (unnamed, coaches) = self.parts();
        let unnamed =
            ad_hoc_coaches(unnamed).zip(1u32..).map(|(seats, number)| (number.to_string().into(), seats));
        unnamed.chain(coaches.iter().map(|coach| (Cow::from(&coach.number), coach.seats())))
    }

    /// The label of a seat, as on tickets.
    ///
    /// # Panics
    ///
    /// If there is no such seat.
    pub fn label(&self, seat: SeatNo) -> String {
        let mut label = String::new();
        self.write_label(seat, &mut label).expect("a string takes everything");
        label
    }

    /// Writes the label of a seat.
    ///
    /// It avoids `write!`: every hold shows its labels, and formatting would cost more than choosing the seat.
    ///
    /// # Errors
    ///
    /// When `out` returns one.
    ///
    /// # Panics
    ///
    /// If there is no such seat.
    pub fn write_label(&self, seat: SeatNo, out: &mut impl fmt::Write) -> fmt::Result {
        if let Layout::AdHoc { seats } = self
            && seat.0 < *seats
        {
            let (coach, place) = ad_hoc_place(seat.0);
            write_decimal(coach, out)?;
            out.write_char('-')?;
            return write_decimal(place.into(), out);
        }
        let Seat { coach, row, letter, .. } = self.seat(seat);
        out.write_str(&coach)?;
        out.write_char('-')?;
        write_decimal(row.into(), out)?;
        letter.map_or(Ok(()), |letter| out.write_char(letter))
    }

    /// The description of a seat.
    ///
    /// # Panics
    ///
    /// If there is no such seat.
    pub fn seat(&self, seat: SeatNo) -> Seat<'_> {
        let found = match self {
            Layout::AdHoc { seats } => (seat.0 < *seats).then(|| ad_hoc_seat(seat.0)),
            Layout::Labelled(coaches) => labelled_seat(coaches, seat.0),
        };
        found.unwrap_or_else(|| panic!("seat {} of {}", seat.0, self.seats()))
    }

    /// The seat numbers of each coach.
    pub(crate) fn coach_ranges(&self) -> impl Iterator<Item = Range<u32>> {
        let (unnamed, coaches) = self.parts();
        one_after_another(ad_hoc_coaches(unnamed).chain(coaches.iter().map(Coach::seats)))
    }

    /// Consecutive rows of the same size; an ad hoc coach counts as one row.
    pub(crate) fn row_blocks(&self) -> impl Iterator<Item = Rows> {
        let (unnamed, coaches) = self.parts();
        let blocks = coaches.iter().flat_map(|coach| &coach.rows);
        let blocks = blocks.map(|block| (block.letters(), block.rows.into()));
        let blocks = ad_hoc_coaches(unnamed).map(|seats| (seats, 1)).chain(blocks);
        blocks.scan(0, |next, (row_seats, rows)| {
            let first = *next;
            *next += row_seats * rows;
            Some(Rows { seats: first..*next, row_seats })
        })
    }

    /// The ad hoc seats and the coaches with names: one of the two is empty, and both are walked the same way.
    fn parts(&self) -> (u32, &[Coach]) {
        match self {
            Layout::AdHoc { seats } => (*seats, &[]),
            Layout::Labelled(coaches) => (0, coaches),
        }
    }
}

/// Rows of the same size, one behind the other.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Rows {
    /// The seat numbers of all of them.
    pub(crate) seats: Range<u32>,
    /// Seats in each row.
    pub(crate) row_seats: u32,
}

impl Rows {
    /// The seat numbers of each row; there are seats in them.
    pub(crate) fn each(&self) -> impl Iterator<Item = Range<u32>> {
        let row_seats = self.row_seats;
        self.seats.clone().step_by(row_seats as usize).map(move |first| first..first + row_seats)
    }
}

impl Coach {
    /// The number of seats in it.
    pub(crate) fn seats(&self) -> u32 {
        self.rows.iter().fold(0, |sum, block| sum.saturating_add(block.seats()))
    }
}

impl RowBlock {
    /// Seats in each row.
    pub(crate) fn letters(&self) -> u32 {
        // Counted by the bytes that begin a character: a plan is read for every label.
        let letters = self.plan.bytes().filter(|&byte| byte != b' ' && !(0x80..0xc0).contains(&byte)).count();
        u32::try_from(letters).unwrap_or(u32::MAX)
    }

    pub(crate) fn seats(&self) -> u32 {
        self.letters().saturating_mul(self.rows.into())
    }
}

/// Sizes of the coaches that hold so many ad hoc seats.
fn ad_hoc_coaches(seats: u32) -> impl Iterator<Item = u32> {
    (0..seats)
        .step_by(AD_HOC_SEATS_PER_COACH as usize)
        .map(move |first| (seats - first).min(AD_HOC_SEATS_PER_COACH))
}

// The number of a seat in its coach fits beside the rows of labelled layouts.
const _: () = assert!(AD_HOC_SEATS_PER_COACH <= u16::MAX as u32);
const _: () = assert!(AD_HOC_SEATS_MAX > AD_HOC_SEATS_PER_COACH);

fn write_decimal(number: u32, out: &mut impl fmt::Write) -> fmt::Result {
    if number >= 100 {
        write_decimal(number / 100, out)?;
        return out.write_str(two_digits(number % 100));
    }
    out.write_str(if number >= 10 { two_digits(number) } else { &two_digits(number)[1..] })
}

fn two_digits(number: u32) -> &'static str {
    const PAIRS: &str = "00010203040506070809101112131415161718192021222324252627282930313233343536373839\
        40414243444546474849505152535455565758596061626364656667686970717273747576777879\
        8081828384858687888990919293949596979899";
    let at = number as usize * 2;
    &PAIRS[at..at + 2]
}

/// The coach of an ad hoc seat, and its place there; both begin at 1.
fn ad_hoc_place(seat: u32) -> (u32, u16) {
    (seat / AD_HOC_SEATS_PER_COACH + 1, (seat % AD_HOC_SEATS_PER_COACH + 1) as u16)
}

fn ad_hoc_seat(seat: u32) -> Seat<'static> {
    let (coach, row) = ad_hoc_place(seat);
    Seat { coach: Cow::Owned(coach.to_string()), row, letter: None, window: false, aisle: false }
}

fn labelled_seat(coaches: &[Coach], seat: u32) -> Option<Seat<'_>> {
    let mut rest = seat;
    for coach in coaches {
        for block in &coach.rows {
            let letters = block.letters();
            let seats = letters.saturating_mul(block.rows.into());
            if rest >= seats {
                rest -= seats;
                continue;
            }
            let row = rest / letters;
            let (letter, window, aisle) = letter_of(&block.plan, (rest % letters) as usize)?;
            return Some(Seat {
                coach: Cow::Borrowed(&coach.number),
                row: block.first_row + row as u16,
                letter: Some(letter),
                window,
                aisle,
            });
        }
    }
    None
}

/// The letter at a place in the row, whether it is at a window, and whether beside the aisle.
fn letter_of(plan: &str, place: usize) -> Option<(char, bool, bool)> {
    let (at, letter) = plan.char_indices().filter(|&(_, letter)| letter != ' ').nth(place)?;
    let (before, after) = (&plan[..at], &plan[at + letter.len_utf8()..]);
    let window = before.is_empty() || after.is_empty();
    let aisle = before.ends_with(' ') || after.starts_with(' ');
    Some((letter, window, aisle))
}

/// Turns lengths into the ranges that they make when laid side by side.
fn one_after_another(lengths: impl Iterator<Item = u32>) -> impl Iterator<Item = Range<u32>> {
    lengths.scan(0u32, |next, length| {
        let first = *next;
        *next = first.saturating_add(length);
        Some(first..*next)
    })
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    fn second_class() -> Layout {
        let block = |first_row, rows, plan: &str| RowBlock { first_row, rows, plan: plan.into() };
        Layout::Labelled(vec![
            Coach { number: "05".into(), rows: vec![block(1, 1, "AC DF"), block(2, 2, "ABC DF")] },
            Coach { number: "06".into(), rows: vec![block(12, 1, "A B F"), block(20, 1, "上中下")] },
        ])
    }

    #[test]
    fn labels_of_a_formation() {
        let layout = second_class();
        let labels: Vec<String> = (0..layout.seats()).map(|seat| layout.label(SeatNo(seat))).collect();
        assert_eq!(
            labels.join(" "),
            "05-1A 05-1C 05-1D 05-1F 05-2A 05-2B 05-2C 05-2D 05-2F 05-3A 05-3B 05-3C 05-3D 05-3F \
             06-12A 06-12B 06-12F 06-20上 06-20中 06-20下"
        );
    }

    #[test]
    fn ad_hoc_labels() {
        let layout = Layout::AdHoc { seats: 120 };
        let check = |seat, label: &str| assert_eq!(layout.label(SeatNo(seat)), label);
        check(0, "1-1");
        check(1, "1-2");
        check(49, "1-50");
        check(50, "2-1");
        check(119, "3-20");
        assert_eq!(Layout::AdHoc { seats: 100_000 }.label(SeatNo(99_999)), "2000-50");
    }

    #[test]
    fn windows_and_aisles() {
        let check = |plan: &str, expected: &[(char, bool, bool)]| {
            let places: Vec<_> = (0..).map_while(|place| letter_of(plan, place)).collect();
            assert_eq!(places, expected, "{plan:?}");
        };
        let (window, aisle) = (true, true);
        check(
            "ABC DF",
            &[
                ('A', window, false),
                ('B', false, false),
                ('C', false, aisle),
                ('D', false, aisle),
                ('F', window, false),
            ],
        );
        check("A C F", &[('A', window, aisle), ('C', false, aisle), ('F', window, aisle)]);
        check("A", &[('A', window, false)]);
    }

    #[test]
    fn a_seat_in_full() {
        let layout = second_class();
        let seat = Seat { coach: "05".into(), row: 3, letter: Some('F'), window: true, aisle: false };
        assert_eq!(layout.seat(SeatNo(13)), seat);
        let ad_hoc = Seat { coach: "2".into(), row: 1, letter: None, window: false, aisle: false };
        assert_eq!(Layout::AdHoc { seats: 51 }.seat(SeatNo(50)), ad_hoc);
    }

    #[test]
    fn coaches_with_their_seats() {
        let check = |layout: Layout, expected: &[(&str, u32)]| {
            let coaches: Vec<_> = layout.coaches().collect();
            let expected: Vec<_> =
                expected.iter().map(|&(number, seats)| (Cow::Borrowed(number), seats)).collect();
            assert_eq!(coaches, expected);
        };
        check(second_class(), &[("05", 14), ("06", 6)]);
        check(Layout::AdHoc { seats: 101 }, &[("1", 50), ("2", 50), ("3", 1)]);
        check(Layout::AdHoc { seats: 50 }, &[("1", 50)]);
    }

    #[test]
    fn rows_and_coaches_are_ranges() {
        let layout = second_class();
        let rows = |layout: &Layout| {
            layout.row_blocks().flat_map(|rows| rows.each().collect::<Vec<_>>()).collect::<Vec<_>>()
        };
        assert_eq!(rows(&layout), [0..4, 4..9, 9..14, 14..17, 17..20]);
        assert_eq!(layout.coach_ranges().collect::<Vec<_>>(), [0..14, 14..20]);
        let ad_hoc = Layout::AdHoc { seats: 70 };
        assert_eq!(rows(&ad_hoc), [0..50, 50..70]);
        assert_eq!(ad_hoc.coach_ranges().collect::<Vec<_>>(), [0..50, 50..70]);
    }

    #[test]
    #[should_panic(expected = "seat 20 of 20")]
    fn no_such_labelled_seat() {
        second_class().label(SeatNo(20));
    }

    #[test]
    #[should_panic(expected = "seat 7 of 7")]
    fn no_such_ad_hoc_seat() {
        Layout::AdHoc { seats: 7 }.seat(SeatNo(7));
    }

    /// Labels of such seats are written another way than [`Layout::seat`] goes.
    #[test]
    #[should_panic(expected = "seat 7 of 7")]
    fn no_label_of_the_seat_behind_the_last() {
        Layout::AdHoc { seats: 7 }.label(SeatNo(7));
    }

    #[test]
    #[should_panic(expected = "seat 60 of 7")]
    fn no_label_of_a_seat_far_beyond() {
        Layout::AdHoc { seats: 7 }.label(SeatNo(60));
    }

    #[test]
    fn an_archived_layout_is_validated_and_comes_back() {
        let layout = second_class();
        let bytes = rkyv::to_bytes::<rkyv::rancor::Error>(&layout).unwrap();
        let back = rkyv::from_bytes::<Layout, rkyv::rancor::Error>(&bytes).unwrap();
        assert_eq!(back, layout);
        assert!(rkyv::from_bytes::<Layout, rkyv::rancor::Error>(&bytes[1..]).is_err());
    }
}
