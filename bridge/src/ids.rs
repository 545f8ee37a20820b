//! Ids of events, payments and tickets: made from names, so that the same thing has the same id whenever it is written.
//!
//! They are UUIDs of version 5 (RFC 9562, section 5.5: SHA-1 of a namespace and a name). The namespace is the id of the data
//! directory. The names are texts, so that anybody can make the ids again.

use std::io::Write;

use engine::ids::{OrderId, SlotId};
use uuid::Uuid;

/// The origin of records: a data directory in one of its lives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Origin {
    /// The id of the directory.
    pub directory: [u8; 16],
    pub life: u64,
}

/// Room for the longest name.
const NAME_BYTES_MAX: usize = 64;

/// The id of one event of a record. Its name is `life/slot/seq/index`: the life as 16 hexadecimal digits, the rest decimal.
#[must_use]
pub fn record_id(origin: Origin, slot: SlotId, seq: u64, index: u32) -> Uuid {
    named(origin.directory, format_args!("{:016x}/{}/{seq}/{index}", origin.life, slot.get()))
}

/// A thing that an order has once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OfOrder {
    Payment,
    Ticket,
}

/// The id of a payment or a ticket, the same from a record and from a copy of the state. Its name is `payment/order id` or
/// `ticket/order id`.
#[must_use]
pub fn id_of(directory: [u8; 16], what: OfOrder, order: OrderId) -> Uuid {
    let what = match what {
        OfOrder::Payment => "payment",
        OfOrder::Ticket => "ticket",
    };
    named(directory, format_args!("{what}/{order}"))
}

fn named(directory: [u8; 16], name: std::fmt::Arguments<'_>) -> Uuid {
    let mut bytes = [0; NAME_BYTES_MAX];
    let mut rest = &mut bytes[..];
    rest.write_fmt(name).expect("a name has room");
    let length = NAME_BYTES_MAX - rest.len();
    Uuid::new_v5(&Uuid::from_bytes(directory), &bytes[..length])
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIRECTORY: [u8; 16] = *b"\x6b\xa7\xb8\x10\x9d\xad\x11\xd1\x80\xb4\x00\xc0\x4f\xd4\x30\xc8";

    /// Made with Python's `uuid.uuid5(uuid.UUID(bytes=directory), name)`.
    #[test]
    fn ids_are_uuids_of_names() {
        let check = |life, slot, seq, index, expected: &str| {
            let id = record_id(Origin { directory: DIRECTORY, life }, SlotId::new(slot), seq, index);
            assert_eq!(id.to_string(), expected, "{life} {slot} {seq} {index}");
        };
        check(0, 0, 1, 0, "06fb703f-308b-51a6-bc5a-0afd87333570");
        check(0, 7, 12, 0, "1b28fbfa-3e3b-539a-ab00-c2a936b4fbc9");
        check(171, 7, 12, 0, "c5e7cbc8-d15d-5c0e-b4df-2d711dfe3fe5");
        check(171, 7, 12, 1, "17256337-2ac9-5a0c-8c61-e540314101aa");
        check(u64::MAX, 4095, u64::MAX, u32::MAX, "f3cbe023-3a71-5e8f-994d-307658c04c66");
    }

    #[test]
    fn ids_of_what_an_order_has() {
        let order = OrderId::parse("00710000-0000-8000-8000-000000100000").unwrap();
        let check = |what, expected: &str| assert_eq!(id_of(DIRECTORY, what, order).to_string(), expected);
        check(OfOrder::Payment, "0ebcecfc-2e6e-52bd-a218-80db5f6b26c6");
        check(OfOrder::Ticket, "e412272b-f80a-58ff-a4f0-daba8a969d94");
    }

    #[test]
    fn the_longest_names_have_room() {
        let origin = Origin { directory: DIRECTORY, life: u64::MAX };
        let of_record = record_id(origin, SlotId::new(4_095), u64::MAX, u32::MAX);
        let of_order = id_of(DIRECTORY, OfOrder::Payment, OrderId::new(SlotId::new(4_095), u128::MAX));
        assert_ne!(of_record, of_order);
    }
}
