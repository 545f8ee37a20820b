//! Ids as they come in, and where keys live.

use engine::ids::{
    HoldId, IdError, IdempotencyKey, OrderId, OrderName, PartitionKey, Reference, SlotId, TxnId,
};
use engine::limits::SLOTS;
use engine::slots::{SlotHash, core_of};

use crate::support::names::{key, order_name, partition, txn};

type Parse = fn(&str) -> Result<String, IdError>;

/// Every kind of id and the bytes that it may have.
fn kinds() -> [(&'static str, usize, Parse); 6] {
    [
        ("partition key", 128, |text| PartitionKey::parse(text).map(|id| id.to_string())),
        ("hold id", 128, |text| HoldId::parse(text).map(|id| id.to_string())),
        ("idempotency key", 128, |text| IdempotencyKey::parse(text).map(|id| id.to_string())),
        ("transaction id", 128, |text| TxnId::parse(text).map(|id| id.to_string())),
        ("order name", 64, |text| OrderName::parse(text).map(|id| id.to_string())),
        ("reference", 128, |text| Reference::parse(text).map(|id| id.to_string())),
    ]
}

#[test]
fn texts_that_are_ids_and_texts_that_are_not() {
    for (kind, bytes_max, parse) in kinds() {
        let check = |text: &str, expected: Option<IdError>| {
            assert_eq!(parse(text), expected.map_or(Ok(text.into()), Err), "{kind} {text:?}");
        };
        check("a", None);
        check("a b", None);
        check("G123|2026-02-11|2nd", None);
        check("硬座", None);
        check("\u{200b}", None);
        check(&"x".repeat(bytes_max), None);
        check(&"é".repeat(bytes_max / 2), None);

        check("", Some(IdError::Empty));
        check(&"x".repeat(bytes_max + 1), Some(IdError::TooLong));
        check(&("é".repeat(bytes_max / 2) + "x"), Some(IdError::TooLong));
        for blank in [" ", "\t", "\n", "\u{a0}", "\u{3000}"] {
            check(blank, Some(IdError::OuterBlank));
            check(&format!("{blank}a"), Some(IdError::OuterBlank));
            check(&format!("a{blank}"), Some(IdError::OuterBlank));
        }
        for control in ["\0", "\t", "\n", "\r", "\u{1b}", "\u{7f}", "\u{85}"] {
            check(&format!("a{control}b"), Some(IdError::ControlCharacter));
        }
        check("a\u{a0}b", None);
    }
}

#[test]
fn every_byte_of_an_id_is_looked_at_wherever_it_is() {
    for length in 1..=33 {
        for place in 0..length {
            for byte in 0..0x80 {
                let mut text = vec![b'~'; length];
                text[place] = byte;
                let text = String::from_utf8(text).unwrap();
                let is_outer = place == 0 || place == length - 1;
                let expected = match char::from(byte) {
                    c if c.is_whitespace() && is_outer => Err(IdError::OuterBlank),
                    c if c.is_control() => Err(IdError::ControlCharacter),
                    _ => Ok(text.clone()),
                };
                assert_eq!(HoldId::parse(&text).map(|id| id.to_string()), expected, "{text:?}");
            }
        }
    }
}

#[test]
fn train_date_and_class() {
    let check = |text: &str, expected: Option<(&str, &str, &str)>| {
        let key = partition(text);
        assert_eq!(key.parts(), expected, "{text}");
        let run = expected.map(|(train, date, _)| format!("{train}|{date}"));
        assert_eq!(key.run(), run.as_deref(), "{text}");
    };
    check("G123|2026-02-11|2nd", Some(("G123", "2026-02-11", "2nd")));
    check("D1/D4|2026-02-11|first class", Some(("D1/D4", "2026-02-11", "first class")));
    check("G1|0000-99-99|x", Some(("G1", "0000-99-99", "x")));
    for other in [
        "G123",
        "G123|2026-02-11",
        "G123|2026-02-11|",
        "|2026-02-11|2nd",
        "G123|2026-2-11|2nd",
        "G123|20260211|2nd",
        "G123|2026-02-1a|2nd",
        "G123|2026/02/11|2nd",
        "G123|2026-02-11|2nd|x",
        "a|G123|2026-02-11|2nd",
        "G123||2nd",
        "|||",
        "G123|２０２６-02-11|2nd",
    ] {
        check(other, None);
    }
}

#[test]
fn an_order_id_carries_its_slot() {
    let entropies = [0, 1, u128::MAX, 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef];
    for slot in [0, 1, 0x0ab, 0xabc, 4_095] {
        for entropy in entropies {
            let id = OrderId::new(SlotId::new(slot), entropy);
            assert_eq!(id.slot(), SlotId::new(slot));
            let text = id.to_string();
            assert_eq!(text.len(), 36);
            assert!(text.starts_with(&format!("{slot:03x}")), "{text} of slot {slot}");
            // A UUID of version 8 and the variant of RFC 9562.
            assert_eq!(&text[14..15], "8", "{text}");
            assert!("89ab".contains(&text[19..20]), "{text}");
            assert_eq!(OrderId::parse(&text), Some(id));
            assert_eq!((id.name().as_str(), id.hold_id().as_str()), (&*text, &*text));
            assert_eq!(format!("{id:?}"), text);
        }
    }
    let distinct: std::collections::BTreeSet<_> =
        (0..1_000u128).map(|i| OrderId::new(SlotId::new(5), i << 12)).collect();
    assert_eq!(distinct.len(), 1_000);
}

#[test]
fn an_order_id_has_one_text_form() {
    let id = OrderId::parse("abc00000-0001-8002-8003-00000000000f").unwrap();
    assert_eq!(
        (id.slot(), id.to_string().as_str()),
        (SlotId::new(0xabc), "abc00000-0001-8002-8003-00000000000f")
    );
    for other in [
        "",
        "abc",
        "ABC00000-0001-8002-8003-00000000000f",
        "abc00000-0001-8002-8003-00000000000F",
        "abc0000000018002800300000000000f",
        "abc00000-0001-8002-8003-00000000000",
        "abc00000-0001-8002-8003-00000000000f0",
        "abc000000-001-8002-8003-00000000000f",
        "abc00000-0001-8002-8003_00000000000f",
        "abc00000-0001-8002-8003-00000000000g",
        "abc00000-0001-8002-8003-0000000000é",
        "{bc00000-0001-8002-8003-00000000000}",
    ] {
        assert_eq!(OrderId::parse(other), None, "{other}");
    }
}

#[test]
#[should_panic(expected = "slot < SLOTS")]
fn there_is_no_slot_beyond_the_last() {
    let _ = SlotId::new(SLOTS);
}

// Placement. SipHash-2-4 written down once more, from its paper, and held against the paper's own vector.

fn sip_hash_2_4(key: [u8; 16], message: &[u8]) -> u64 {
    fn round(v: &mut [u64; 4]) {
        v[0] = v[0].wrapping_add(v[1]);
        v[1] = v[1].rotate_left(13) ^ v[0];
        v[0] = v[0].rotate_left(32);
        v[2] = v[2].wrapping_add(v[3]);
        v[3] = v[3].rotate_left(16) ^ v[2];
        v[0] = v[0].wrapping_add(v[3]);
        v[3] = v[3].rotate_left(21) ^ v[0];
        v[2] = v[2].wrapping_add(v[1]);
        v[1] = v[1].rotate_left(17) ^ v[2];
        v[2] = v[2].rotate_left(32);
    }
    let word = |bytes: &[u8]| bytes.iter().rev().fold(0u64, |word, byte| word << 8 | u64::from(*byte));
    let (k0, k1) = (word(&key[..8]), word(&key[8..]));
    let mut v = [
        k0 ^ 0x736f_6d65_7073_6575,
        k1 ^ 0x646f_7261_6e64_6f6d,
        k0 ^ 0x6c79_6765_6e65_7261,
        k1 ^ 0x7465_6462_7974_6573,
    ];
    let whole = message.len() / 8 * 8;
    let last = word(&message[whole..]) | (message.len() as u64) << 56;
    for block in message[..whole].chunks(8).map(word).chain([last]) {
        v[3] ^= block;
        round(&mut v);
        round(&mut v);
        v[0] ^= block;
    }
    v[2] ^= 0xff;
    (0..4).for_each(|_| round(&mut v));
    v[0] ^ v[1] ^ v[2] ^ v[3]
}

/// The secret of the paper's test vectors: 00, 01, 02 and so on.
const SECRET: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

#[test]
fn the_hash_is_the_one_of_the_paper() {
    // "SipHash: a fast short-input PRF", appendix A.
    let message: Vec<u8> = (0..15).collect();
    assert_eq!(sip_hash_2_4(SECRET, &message), 0xa129_ca61_49be_45e5);
    // The first of the authors' reference vectors: the empty message.
    assert_eq!(sip_hash_2_4(SECRET, b""), 0x726f_db47_dd0e_0e31);
}

#[test]
fn keys_are_placed_by_domain_and_text() {
    let hash = SlotHash::new(SECRET);
    let place = |hashed: &str| SlotId::new((sip_hash_2_4(SECRET, hashed.as_bytes()) & 0xfff) as u16);
    for text in ["a", "seven b", "eight by", "nine byte", "硬座", &"x".repeat(64)] {
        assert_eq!(hash.partition(&partition(text)), place(&format!("p{text}")));
        assert_eq!(hash.idempotency_key(&key(text)), place(&format!("o{text}")));
        assert_eq!(hash.txn(&txn(text)), place(&format!("t{text}")));
        assert_eq!(hash.order_name(&order_name(text)), place(&format!("n{text}")));
        assert_eq!(hash.run(text), place(&format!("p{text}")));
    }
    assert_eq!(hash.partition(&partition("G1|2026-02-11|2nd")), place("pG1|2026-02-11"));
    assert_eq!(hash.partition(&partition("G1|today|2nd")), place("pG1|today|2nd"));
    let order = OrderId::new(SlotId::new(0x123), 5);
    assert_eq!(hash.order_name(&order.name()), SlotId::new(0x123));
}

/// Computed apart from this code, by the paper.
const PLACED: [u16; 5] = [835, 3417, 2200, 3724, 3099];

/// For ever: a data directory that another build made is found again.
#[test]
fn places_that_never_change() {
    let hash = SlotHash::new(SECRET);
    assert_eq!(hash.partition(&partition("G123|2026-02-11|2nd")).get(), PLACED[0]);
    assert_eq!(hash.partition(&partition("anything")).get(), PLACED[1]);
    assert_eq!(hash.idempotency_key(&key("key-1")).get(), PLACED[2]);
    assert_eq!(hash.txn(&txn("txn-1")).get(), PLACED[3]);
    assert_eq!(hash.order_name(&order_name("theirs")).get(), PLACED[4]);
    let other = SlotHash::new([7; 16]);
    assert_ne!(other.partition(&partition("anything")), hash.partition(&partition("anything")));
}

#[test]
fn every_slot_has_one_core() {
    for cores in [1, 2, 3, 64] {
        let mut owned = vec![0; usize::from(cores)];
        for slot in 0..SLOTS {
            owned[usize::from(core_of(SlotId::new(slot), cores))] += 1;
        }
        let (least, most) = (owned.iter().min().unwrap(), owned.iter().max().unwrap());
        assert!(most - least <= 1, "{owned:?}");
    }
}
