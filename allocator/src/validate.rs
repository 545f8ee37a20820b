//! Validation of layouts. They are validated before they are logged, so that a log never contains an invalid one.

use alloc::collections::BTreeSet;
use alloc::string::String;
use core::fmt;

use crate::layout::{Coach, Layout, RowBlock};
use crate::{AD_HOC_SEATS_MAX, COACH_NUMBER_BYTES_MAX, LABELLED_SEATS_MAX, ROW_SEATS_MAX};

/// A [`Layout`] is refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LayoutError {
    /// There is not a single seat.
    NoSeats,
    /// More than [`LABELLED_SEATS_MAX`] or [`AD_HOC_SEATS_MAX`] seats.
    TooManySeats {
        /// The number of seats.
        seats: u32,
        /// The limit.
        max: u32,
    },
    /// A coach number that is empty, longer than [`COACH_NUMBER_BYTES_MAX`], or has a blank, `-`, `,` or a control
    /// character in it (labels are split at `-` and joined by `,`).
    CoachNumber {
        /// The number.
        coach: String,
    },
    /// Two coaches with the same number.
    DuplicateCoach {
        /// Their number.
        coach: String,
    },
    /// A coach without rows.
    EmptyCoach {
        /// Its number.
        coach: String,
    },
    /// A block of no rows, or of rows with numbers beyond 65,535.
    RowNumbers {
        /// The coach's number.
        coach: String,
        /// The block's first row.
        first_row: u16,
        /// The number of its rows.
        rows: u16,
    },
    /// Two rows of a coach with the same number.
    DuplicateRow {
        /// The coach's number.
        coach: String,
        /// The rows' number.
        row: u16,
    },
    /// A plan that is not made of letters with single blanks between them, or has more than [`ROW_SEATS_MAX`] letters.
    Plan {
        /// The coach's number.
        coach: String,
        /// The plan.
        plan: String,
    },
    /// A letter that comes twice in a row.
    DuplicateLetter {
        /// The coach's number.
        coach: String,
        /// The row's plan.
        plan: String,
        /// The letter.
        letter: char,
    },
}

impl fmt::Display for LayoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSeats => write!(f, "no seats"),
            Self::TooManySeats { seats, max } => write!(f, "{seats} seats are more than {max}"),
            Self::CoachNumber { coach } => write!(
                f,
                "coach number {coach:?} is not 1 to {COACH_NUMBER_BYTES_MAX} bytes without blanks, '-', ',' and \
                 control characters"
            ),
            Self::DuplicateCoach { coach } => write!(f, "coach {coach:?} comes twice"),
            Self::EmptyCoach { coach } => write!(f, "coach {coach:?} has no rows"),
            Self::RowNumbers { coach, first_row, rows } => {
                write!(f, "coach {coach:?}: {rows} rows from {first_row} are none or go beyond {}", u16::MAX)
            }
            Self::DuplicateRow { coach, row } => write!(f, "coach {coach:?}: row {row} comes twice"),
            Self::Plan { coach, plan } => write!(
                f,
                "coach {coach:?}: plan {plan:?} is not 1 to {ROW_SEATS_MAX} letters with single blanks between them"
            ),
            Self::DuplicateLetter { coach, plan, letter } => {
                write!(f, "coach {coach:?}: letter {letter:?} comes twice in plan {plan:?}")
            }
        }
    }
}

impl core::error::Error for LayoutError {}

impl Layout {
    /// Checks that the seats are within the limits, and that each label can be printed and names one seat only.
    pub fn validate(&self) -> Result<(), LayoutError> {
        let (coaches, max) = match self {
            Layout::AdHoc { .. } => (None, AD_HOC_SEATS_MAX),
            Layout::Labelled(coaches) => (Some(coaches), LABELLED_SEATS_MAX),
        };
        let seats = self.seats();
        // Too many first, so that what is looked at more closely is small.
        if seats > max {
            return Err(LayoutError::TooManySeats { seats, max });
        }
        coaches.map_or(Ok(()), |coaches| validate_coaches(coaches))?;
        if seats == 0 { Err(LayoutError::NoSeats) } else { Ok(()) }
    }
}

fn validate_coaches(coaches: &[Coach]) -> Result<(), LayoutError> {
    let mut numbers = BTreeSet::new();
    for Coach { number, rows } in coaches {
        if number.is_empty() || number.len() > COACH_NUMBER_BYTES_MAX || number.contains(unfit_for_a_label) {
            return Err(LayoutError::CoachNumber { coach: number.clone() });
        }
        if !numbers.insert(number) {
            return Err(LayoutError::DuplicateCoach { coach: number.clone() });
        }
        if rows.is_empty() {
            return Err(LayoutError::EmptyCoach { coach: number.clone() });
        }
        validate_rows(number, rows)?;
    }
    Ok(())
}

fn unfit_for_a_label(letter: char) -> bool {
    letter == '-' || letter == ',' || letter.is_control() || letter.is_whitespace()
}

fn validate_rows(coach: &str, blocks: &[RowBlock]) -> Result<(), LayoutError> {
    let mut taken = BTreeSet::new();
    for &RowBlock { first_row, rows, ref plan } in blocks {
        validate_plan(coach, plan)?;
        let Some(last_row) = rows.checked_sub(1).and_then(|more| first_row.checked_add(more)) else {
            return Err(LayoutError::RowNumbers { coach: coach.into(), first_row, rows });
        };
        if let Some(row) = (first_row..=last_row).find(|&row| !taken.insert(row)) {
            return Err(LayoutError::DuplicateRow { coach: coach.into(), row });
        }
    }
    Ok(())
}

fn validate_plan(coach: &str, plan: &str) -> Result<(), LayoutError> {
    let bad = || LayoutError::Plan { coach: coach.into(), plan: plan.into() };
    let mut letters = BTreeSet::new();
    // Split at single blanks: an empty part is a blank at an end or beside another one.
    for part in plan.split(' ') {
        // Letters, not digits: "1" in row 1 and row 11 would be hard to tell apart.
        if part.is_empty() || !part.chars().all(char::is_alphabetic) {
            return Err(bad());
        }
        if let Some(letter) = part.chars().find(|&letter| !letters.insert(letter)) {
            return Err(LayoutError::DuplicateLetter { coach: coach.into(), plan: plan.into(), letter });
        }
    }
    if letters.len() > ROW_SEATS_MAX as usize {
        return Err(bad());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use alloc::vec::Vec;
    use alloc::{format, vec};

    use super::*;

    fn coach(number: &str, blocks: &[(u16, u16, &str)]) -> Coach {
        let block =
            |&(first_row, rows, plan): &(u16, u16, &str)| RowBlock { first_row, rows, plan: plan.into() };
        Coach { number: number.into(), rows: blocks.iter().map(block).collect() }
    }

    /// `expected` is the message, empty where the layout is right.
    fn check(layout: Layout, expected: &str) {
        let message = layout.validate().err().map(|error| error.to_string()).unwrap_or_default();
        assert_eq!(message, expected, "{layout:?}");
    }

    fn check_coaches(coaches: impl IntoIterator<Item = Coach>, expected: &str) {
        check(Layout::Labelled(coaches.into_iter().collect()), expected);
    }

    #[test]
    fn sizes() {
        check(Layout::AdHoc { seats: 0 }, "no seats");
        check(Layout::AdHoc { seats: 1 }, "");
        check(Layout::AdHoc { seats: 100_000 }, "");
        check(Layout::AdHoc { seats: 100_001 }, "100001 seats are more than 100000");
        check_coaches([], "no seats");
        check_coaches([coach("1", &[(1, 400, "ABC DF")])], "");
        check_coaches([coach("1", &[(1, 400, "ABC DF")]), coach("2", &[(1, 1, "A")])], {
            "2001 seats are more than 2000"
        });
        let full = (0..2_000)
            .map(|number| coach(&format!("{number}"), &[(1, u16::MAX, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")]));
        check_coaches(full.take(40), "68156400 seats are more than 2000");
    }

    #[test]
    fn coach_numbers() {
        let check = |number: &str, good: bool| {
            let error = LayoutError::CoachNumber { coach: number.into() };
            let expected = if good { "".into() } else { error.to_string() };
            check_coaches([coach(number, &[(1, 1, "A")])], &expected);
        };
        check("05", true);
        check("+3", true);
        check("硬座", true);
        check("0123456789abcdef", true);
        check("0123456789abcdefg", false);
        check("", false);
        check("0 5", false);
        check(" 05", false);
        check("0\u{a0}5", false);
        check("0-5", false);
        check("0,5", false);
        check("05\n", false);
        check("05\u{7f}", false);
        let twice = [coach("05", &[(1, 1, "A")]), coach("06", &[(1, 1, "A")]), coach("05", &[(2, 1, "A")])];
        check_coaches(twice, "coach \"05\" comes twice");
        check_coaches([coach("05", &[])], "coach \"05\" has no rows");
    }

    #[test]
    fn rows() {
        let check =
            |blocks: &[(u16, u16, &str)], expected: &str| check_coaches([coach("05", blocks)], expected);
        check(&[(1, 3, "A"), (4, 3, "AB")], "");
        check(&[(4, 3, "A"), (1, 3, "AB")], "");
        check(&[(0, 1, "A"), (u16::MAX, 1, "A")], "");
        check(&[(1, 3, "A"), (3, 3, "B")], "coach \"05\": row 3 comes twice");
        check(&[(7, 1, "A"), (1, 9, "B")], "coach \"05\": row 7 comes twice");
        check(&[(1, 0, "A")], "coach \"05\": 0 rows from 1 are none or go beyond 65535");
        check(&[(65_535, 2, "A")], "coach \"05\": 2 rows from 65535 are none or go beyond 65535");
    }

    #[test]
    fn plans() {
        let bad = |plan: &str| LayoutError::Plan { coach: "05".into(), plan: plan.into() }.to_string();
        let check = |plan: &str, expected: &str| check_coaches([coach("05", &[(1, 1, plan)])], expected);
        for plan in ["A", "ABC DF", "A C F", "A BC D", "ab AB", "上中下"] {
            check(plan, "");
        }
        for plan in ["", " ", " A", "A ", "AB  CD", "A-B", "A,B", "A1", "A\tB", "A\u{a0}B"] {
            check(plan, &bad(plan));
        }
        let letters: Vec<char> = ('\u{4e00}'..).take(51).collect();
        check(&letters[..50].iter().collect::<alloc::string::String>(), "");
        let long = letters.iter().collect::<alloc::string::String>();
        check(&long, &bad(&long));
        check("ABC BF", "coach \"05\": letter 'B' comes twice in plan \"ABC BF\"");
        let blocks = vec![coach("05", &[(1, 1, "AB"), (2, 1, "AB")])];
        check_coaches(blocks, "");
    }
}
