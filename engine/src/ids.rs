//! Identifiers and units: each is a type of its own, checked once where it comes in.
//!
//! Nothing here makes an id up: entropy is an argument.

use alloc::string::ToString;
use core::fmt;

use rkyv::{Archive, Deserialize, Serialize};

use crate::limits::{KEY_BYTES_MAX, ORDER_ID_BYTES_MAX, REFERENCE_BYTES_MAX, SLOTS, TXN_ID_BYTES_MAX};
use crate::text::Text;

/// Engine time: milliseconds since the Unix epoch. Given by the caller, never read from a clock here.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Archive, Serialize, Deserialize,
)]
pub struct Time(pub u64);

impl Time {
    /// The moment `ms` milliseconds later.
    #[must_use]
    pub const fn plus(self, ms: u64) -> Time {
        Time(self.0.saturating_add(ms))
    }

    /// The moment `ms` milliseconds earlier; `None` before all time.
    #[must_use]
    pub fn minus(self, ms: u64) -> Option<Time> {
        self.0.checked_sub(ms).map(Time)
    }
}

/// Why a text is not an id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IdError {
    Empty,
    TooLong,
    OuterBlank,
    ControlCharacter,
}

impl fmt::Display for IdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            IdError::Empty => "is empty",
            IdError::TooLong => "is too long",
            IdError::OuterBlank => "begins or ends with a blank",
            IdError::ControlCharacter => "contains a control character",
        })
    }
}

fn check(text: &str, bytes_max: usize) -> Result<(), IdError> {
    if text.is_empty() {
        return Err(IdError::Empty);
    }
    if text.len() > bytes_max {
        return Err(IdError::TooLong);
    }
    // Nearly every id is visible ASCII, and has then neither blanks nor controls.
    if text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    if text.starts_with(char::is_whitespace) || text.ends_with(char::is_whitespace) {
        return Err(IdError::OuterBlank);
    }
    if text.chars().any(char::is_control) {
        return Err(IdError::ControlCharacter);
    }
    Ok(())
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $bytes_max:expr) => {
        $(#[$doc])*
        #[derive(
            Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Archive, Serialize, Deserialize,
        )]
        pub struct $name(Text);

        impl $name {
            /// Checks length, outer blanks and control characters; compares byte by byte ever after.
            ///
            /// # Errors
            /// What is wrong with `text`.
            pub fn parse(text: &str) -> Result<$name, IdError> {
                check(text, $bytes_max)?;
                Ok($name(Text::from(text)))
            }

            #[must_use]
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }
        }

        impl core::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                self.0.as_str()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

text_id!(
    /// `train|date|class`, or any other text for an ad hoc partition.
    PartitionKey,
    KEY_BYTES_MAX
);
text_id!(
    /// A hold's id, unique within its partition.
    HoldId,
    KEY_BYTES_MAX
);
text_id!(
    /// The client's name for an order it creates.
    IdempotencyKey,
    KEY_BYTES_MAX
);
text_id!(
    /// The payment provider's id of a payment.
    TxnId,
    TXN_ID_BYTES_MAX
);
text_id!(
    /// An order id as a client wrote it: perhaps one of ours ([`OrderId`]), perhaps nobody's.
    OrderName,
    ORDER_ID_BYTES_MAX
);
text_id!(
    /// The booking under which a refund is settled.
    Reference,
    REFERENCE_BYTES_MAX
);

/// The key of an order: the client's name for it, and where that name counts.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Archive, Serialize, Deserialize)]
pub enum OrderKey {
    /// Of an order that was created by itself: it counts everywhere.
    Plain(IdempotencyKey),
    /// Of a purchase: it counts for its run alone, or for a partition whose key names no run. Its order lives there.
    OfRun { run: Text, key: IdempotencyKey },
}

impl OrderKey {
    /// The key of a purchase of seats of that partition.
    #[must_use]
    pub fn of_purchase(partition: &PartitionKey, key: IdempotencyKey) -> OrderKey {
        OrderKey::OfRun { run: Text::from(partition.run_or_self()), key }
    }

    /// The client's name for the order.
    #[must_use]
    pub const fn name(&self) -> &IdempotencyKey {
        match self {
            OrderKey::Plain(key) | OrderKey::OfRun { key, .. } => key,
        }
    }
}

impl PartitionKey {
    /// The `train|date` part of a key written `train|YYYY-MM-DD|class`; `None` for any other shape.
    ///
    /// The syntax alone decides, not the timetable: where a partition lives must not change with the feed.
    #[must_use]
    pub fn run(&self) -> Option<&str> {
        let (run, class) = self.as_str().rsplit_once('|')?;
        let (train, date) = run.split_once('|')?;
        (!train.is_empty() && !class.is_empty() && is_date(date)).then_some(run)
    }

    /// The run, or the whole key where it names none: what is the same here lives in one slot.
    #[must_use]
    pub fn run_or_self(&self) -> &str {
        self.run().unwrap_or(self.as_str())
    }

    /// Train, date and class of a key written `train|YYYY-MM-DD|class`.
    #[must_use]
    pub fn parts(&self) -> Option<(&str, &str, &str)> {
        let run = self.run()?;
        let (train, date) = run.split_once('|')?;
        Some((train, date, &self.as_str()[run.len() + 1..]))
    }
}

impl PartitionKey {
    /// Midnight, in UTC, of the date in a key written `train|YYYY-MM-DD|class`; `None` for any other shape, or no day since 1970.
    #[must_use]
    pub fn date_start(&self) -> Option<Time> {
        let (_, date, _) = self.parts()?;
        let number = |range: core::ops::Range<usize>| date[range].parse::<u64>().ok();
        let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
        if year < 1970 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return None;
        }
        // Years begin with March, so that a leap day is their last; months then have 31, 30, 31, 30, 31 days, again and again.
        let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
        let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
        Some(Time((days - DAYS_TO_1970) * 86_400_000))
    }
}

/// From the first of March of the year 0 to the first of January 1970.
const DAYS_TO_1970: u64 = 719_468;

/// The shape `YYYY-MM-DD`; the day need not exist.
#[must_use]
pub fn is_date(text: &str) -> bool {
    text.len() == 10
        && text
            .bytes()
            .enumerate()
            .all(|(i, b)| if i == 4 || i == 7 { b == b'-' } else { b.is_ascii_digit() })
}

/// One of [`SLOTS`] parts of the state, each owned by one core.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Archive, Serialize, Deserialize)]
pub struct SlotId(u16);

impl SlotId {
    /// # Panics
    /// When `slot` is not below [`SLOTS`].
    #[must_use]
    pub const fn new(slot: u16) -> SlotId {
        assert!(slot < SLOTS);
        SlotId(slot)
    }

    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

/// An order's id: a UUID of version 8 whose first 12 bits are the slot that it lives in, which is that of its key; the rest is entropy.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Archive, Serialize, Deserialize)]
pub struct OrderId([u8; 16]);

impl OrderId {
    #[must_use]
    pub fn new(slot: SlotId, entropy: u128) -> OrderId {
        let slot_bits = u128::from(slot.get()) << 116;
        let mut bytes = ((entropy >> 12) | slot_bits).to_be_bytes();
        bytes[6] = (bytes[6] & 0x0f) | 0x80;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        OrderId(bytes)
    }

    #[must_use]
    pub fn slot(self) -> SlotId {
        SlotId::new(u16::from_be_bytes([self.0[0], self.0[1]]) >> 4)
    }

    /// Reads the one text form an id has: lower-case hexadecimal, 8-4-4-4-12. Anything else names no order.
    #[must_use]
    pub fn parse(text: &str) -> Option<OrderId> {
        let text = text.as_bytes();
        if text.len() != 36 {
            return None;
        }
        let mut bytes = [0; 16];
        let mut nibbles = 0;
        for (i, &c) in text.iter().enumerate() {
            if matches!(i, 8 | 13 | 18 | 23) {
                if c != b'-' {
                    return None;
                }
                continue;
            }
            let nibble = match c {
                b'0'..=b'9' => c - b'0',
                b'a'..=b'f' => c - b'a' + 10,
                _ => return None,
            };
            bytes[nibbles / 2] = bytes[nibbles / 2] << 4 | nibble;
            nibbles += 1;
        }
        Some(OrderId(bytes))
    }

    /// The hold id of an order that named none.
    #[must_use]
    pub fn hold_id(self) -> HoldId {
        HoldId(Text::from(self.to_string().as_str()))
    }

    #[must_use]
    pub fn name(self) -> OrderName {
        OrderName(Text::from(self.to_string().as_str()))
    }
}

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = u128::from_be_bytes(self.0);
        let group = |shift: u32| (bits >> shift) as u16;
        let (first, last) = ((bits >> 96) as u32, bits as u64 & 0xffff_ffff_ffff);
        write!(f, "{first:08x}-{:04x}-{:04x}-{:04x}-{last:012x}", group(80), group(64), group(48))
    }
}

impl fmt::Debug for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An amount of money in cents.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Archive, Serialize, Deserialize)]
pub struct Cents(pub i64);
