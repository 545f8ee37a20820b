//! Cursors as clients carry them: where a listing goes on. They are opaque, and written and read here alone: numbers in hexadecimal
//! of a fixed width, order ids as ever.

use std::fmt::Write as _;

use engine::command::RefundCursor;
use engine::ids::{OrderId, SlotId, Time};
use engine::read_model::{HistoryPosition, OrderPosition};

const SLOT_DIGITS: usize = 3;
const U64_DIGITS: usize = 16;
const U32_DIGITS: usize = 8;

// A cursor's three digits are exactly a slot.
const _: () = assert!(engine::limits::SLOTS == 1 << 12);

/// A place in a listing.
pub(crate) trait Cursor: Sized {
    fn text(&self) -> String;

    /// `None` for what [`text`](Cursor::text) did not write.
    fn parse(text: &str) -> Option<Self>;
}

/// Slot, then number.
impl Cursor for RefundCursor {
    fn text(&self) -> String {
        format!("{:03x}{:016x}", self.slot.get(), self.number)
    }

    fn parse(text: &str) -> Option<RefundCursor> {
        let mut digits = Digits(text);
        let cursor = RefundCursor { slot: digits.slot()?, number: digits.take(U64_DIGITS)? };
        digits.ended().then_some(cursor)
    }
}

/// The time of creation, then the order.
impl Cursor for OrderPosition {
    fn text(&self) -> String {
        format!("{:016x}{}", self.created_at.0, self.order)
    }

    fn parse(text: &str) -> Option<OrderPosition> {
        let mut digits = Digits(text);
        let created_at = Time(digits.take(U64_DIGITS)?);
        Some(OrderPosition { created_at, order: OrderId::parse(digits.0)? })
    }
}

/// Time, slot, sequence and place in the record.
impl Cursor for HistoryPosition {
    fn text(&self) -> String {
        let mut text = format!("{:016x}{:03x}", self.time.0, self.slot.get());
        write!(text, "{:016x}{:08x}", self.seq, self.index).expect("a text takes everything");
        text
    }

    fn parse(text: &str) -> Option<HistoryPosition> {
        let mut digits = Digits(text);
        let (time, slot) = (Time(digits.take(U64_DIGITS)?), digits.slot()?);
        let (seq, index) = (digits.take(U64_DIGITS)?, digits.take(U32_DIGITS)?);
        let position = HistoryPosition { time, slot, seq, index: u32::try_from(index).ok()? };
        digits.ended().then_some(position)
    }
}

/// The rest of a cursor.
struct Digits<'t>(&'t str);

impl Digits<'_> {
    /// A number of so many digits, in lower case and without a sign.
    fn take(&mut self, digits: usize) -> Option<u64> {
        let (number, rest) = self.0.split_at_checked(digits)?;
        let is_plain = number.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        self.0 = rest;
        is_plain.then(|| u64::from_str_radix(number, 16).ok()).flatten()
    }

    fn slot(&mut self) -> Option<SlotId> {
        Some(SlotId::new(u16::try_from(self.take(SLOT_DIGITS)?).ok()?))
    }

    fn ended(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use super::*;

    /// Comes back as it was, and with any byte changed, missing or added is another one or none.
    fn check<C: Cursor + PartialEq + Debug>(cursor: C) {
        let text = cursor.text();
        assert_eq!(C::parse(&text), Some(cursor), "{text}");
        for cut in 0..text.len() {
            assert_eq!(C::parse(&text[..cut]), None, "{text} cut at {cut}");
        }
        assert_eq!(C::parse(&format!("{text}0")), None);
        for place in 0..text.len() {
            for wrong in ["G", "+", "-", "A", " ", "é"] {
                let changed = format!("{}{wrong}{}", &text[..place], &text[place + 1..]);
                assert!(changed == text || C::parse(&changed).is_none(), "{changed}");
            }
        }
    }

    #[test]
    fn cursors_come_back_as_they_were() {
        for (slot, number) in [(0, 0), (4095, u64::MAX), (17, 3)] {
            let slot = SlotId::new(slot);
            check(RefundCursor { slot, number });
            check(OrderPosition {
                created_at: Time(number),
                order: OrderId::new(slot, u128::from(number) << 40),
            });
            check(HistoryPosition { time: Time(number), slot, seq: number, index: number as u32 });
        }
    }
}
