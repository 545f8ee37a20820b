//! Images that were changed: each is refused, or is the image of a slot whose parts agree. Never a panic, and never a slot
//! that no records make.

use std::collections::BTreeSet;

use allocator::Layout;
use engine::answer::{HoldStatus, OrderStatus, Settlement};
use engine::decide::Policy;
use engine::ids::{OrderId, Reference, SlotId, Time};
use engine::record::{Body, HoldRow, OrderRow, PartitionOpened, RefundRow, ReleaseReason, Reservation};
use engine::state::{Partition, Slot};

use crate::formats::{expired, image, slot};
use crate::support::catalogue::run;
use crate::support::names::{hold, partition, txn};
use crate::support::world::START;
use crate::weights::{SLOT, ad_hoc, apply, held, order, refund};

/// What holds of every slot that records make.
pub(crate) fn check(slot: &Slot, from: &dyn Fn() -> String) {
    let bytes = image(slot);
    let again = Slot::decode(&bytes).unwrap_or_else(|error| panic!("{}: not read again: {error}", from()));
    assert!(image(&again) == bytes, "{}: written differently the second time", from());
    for (key, partition) in slot.partitions().iter() {
        assert_eq!(partition.inventory().available(whole(partition)), free(partition), "{}: {key}", from());
    }
    for order in slot.orders().iter() {
        let by_key = slot.orders().by_key(&order.row.key).map(|found| found.row.order);
        assert_eq!(by_key, Some(order.row.order), "{}", from());
        assert_eq!(order.row.order.slot(), slot.id(), "{}", from());
    }
    for refund in slot.refunds().after(0) {
        assert_eq!(slot.refunds().get(&refund.order, &refund.txn), Some(refund), "{}", from());
        assert!(refund.number < slot.refunds().next_number(), "{}", from());
    }
    assert!(slot.outbox().keys().all(|id| *id < slot.next_tell()), "{}", from());
    // What the loop asks of every slot.
    let due = slot.next_due(&Policy::default());
    let all: Vec<_> = slot.partitions().iter().flat_map(|(_, p)| p.due(Time(u64::MAX))).collect();
    assert!(due.is_some() || all.is_empty(), "{}: live holds, and nothing is due", from());
    assert!(slot.is_blank() || slot.memory_estimate() >= bytes.len() / 4, "{}", from());
}

fn whole(partition: &Partition) -> engine::Span {
    partition.span(None).expect("a partition has segments")
}

/// Seats that no live hold has on any segment, counted from the holds alone.
fn free(partition: &Partition) -> u32 {
    let live = |status| matches!(status, HoldStatus::Held | HoldStatus::Confirmed);
    let holds = partition.holds().collect::<Vec<_>>();
    let taken = holds.iter().filter(|(_, hold)| live(hold.status)).flat_map(|(_, hold)| hold.seats.iter());
    let mut places = BTreeSet::new();
    for (_, hold) in holds.iter().filter(|(_, hold)| live(hold.status)) {
        for segment in hold.span.segments() {
            for seat in &hold.seats {
                assert!(places.insert((seat.0, segment)), "seat {} is held twice", seat.0);
            }
        }
    }
    partition.inventory().seats() - taken.map(|seat| seat.0).collect::<BTreeSet<_>>().len() as u32
}

/// Decodes changed bytes. Whether they were refused.
fn refused(bytes: &[u8], from: &dyn Fn() -> String) -> bool {
    match Slot::decode(bytes) {
        Ok(slot) => {
            check(&slot, from);
            false
        }
        Err(error) => {
            assert!(!error.to_string().is_empty(), "{}", from());
            true
        }
    }
}

#[test]
fn a_sound_image_passes() {
    check(&slot(), &|| "the example".to_owned());
    check(&Slot::new(SlotId::new(7)), &|| "a blank slot".to_owned());
}

#[test]
fn every_flipped_bit_and_every_length() {
    let sound = image(&slot());
    let mut count = [0, 0];
    for bit in 0..sound.len() * 8 {
        let mut bytes = sound.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        count[usize::from(refused(&bytes, &|| format!("bit {bit}")))] += 1;
    }
    for length in 0..sound.len() {
        refused(&sound[..length], &|| format!("length {length}"));
    }
    // Times, amounts and names can be others; the rest is seen.
    assert!(count[1] > sound.len() * 2, "{count:?} of {} bits were refused", sound.len() * 8);
}

/// Values that are likely to be wrong where they stand: small ones, large ones, those of neighbours, pieces that change places.
#[test]
fn many_changes_at_once() {
    let sound = image(&slot());
    let rounds: u64 =
        std::env::var("INTERLOCK_IMAGES").map_or(20_000, |text| text.parse().expect("a number"));
    let mut passed = 0;
    for seed in 1..=rounds {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut bytes = sound.clone();
        for _ in 0..1 + rng.usize(..4) {
            let at = 1 + rng.usize(..bytes.len() - 9);
            match rng.usize(..5) {
                0 => bytes[at] = [0, 1, 2, 3, 0x7f, 0x80, 0xff][rng.usize(..7)],
                1 => bytes[at] = bytes[at].wrapping_add(1),
                2 => bytes[at] = bytes[at].wrapping_sub(1),
                3 => bytes[at..at + 8].fill([0, 0xff][rng.usize(..2)]),
                _ => {
                    let (from, length) = (1 + rng.usize(..bytes.len() - 33), 1 + rng.usize(..32));
                    let at = at.min(bytes.len() - length);
                    bytes.copy_within(from..from + length, at);
                }
            }
        }
        passed += u64::from(!refused(&bytes, &|| format!("seed {seed}")));
    }
    assert!(
        passed > rounds / 100,
        "only {passed} of {rounds} were read: the changes are too coarse to find anything"
    );
}

/// Each is an image that the archive's own validation lets pass.
#[test]
fn what_is_wrong_is_said() {
    let sound = image(&slot());
    let place =
        |what: &[u8]| sound.windows(what.len()).position(|bytes| bytes == what).expect("in the image");
    let said = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = sound.clone();
        change(&mut bytes);
        Slot::decode(&bytes).expect_err("refused").to_string()
    };
    // The number of the slot stands once.
    let slot = place(&0x5a5_u16.to_le_bytes());
    let text = said(&|bytes| bytes[slot..slot + 2].copy_from_slice(&5_000_u16.to_le_bytes()));
    assert!(text.contains("5000") || text.contains("slot"), "{text}");
    // Seats 0 and 1 of the confirmed hold: another one's, one that is not there, one twice.
    let seats = place(&[0, 0, 0, 0, 1, 0, 0, 0]);
    for (seat, expected) in [(2_u32, "taken by another hold"), (5, "seat 5 of 5"), (0, "come twice")] {
        let text = said(&|bytes| bytes[seats + 4..seats + 8].copy_from_slice(&seat.to_le_bytes()));
        assert!(text.starts_with("slot image: ") && text.contains(expected), "{text}");
    }
}

/// A slot with every text that an image can hold; each stands for one thing alone, wherever it is repeated.
fn with_every_text() -> Slot {
    let mut slot = Slot::new(SLOT);
    let owner = Some(OrderId::new(SLOT, 1));
    apply(&mut slot, ad_hoc(50, 2));
    let mut seq = 0;
    let mut row = |id: &str, status, txn, release_reason| {
        seq += 1;
        HoldRow { partition_seq: seq, status, owner, txn, release_reason, ..held(id, 1) }
    };
    let requested = Some(ReleaseReason::Requested);
    let changes = [
        Body::HoldMade(row("h-released", HoldStatus::Held, None, None)),
        Body::HoldReleased(row("h-released", HoldStatus::Released, None, requested)),
        Body::HoldMade(row("h-expired", HoldStatus::Held, None, None)),
        Body::HoldsExpired(vec![expired(row("h-expired", HoldStatus::Expired, None, None))]),
        Body::HoldMade(row("h-confirmed", HoldStatus::Held, None, None)),
        Body::HoldConfirmed(row("h-confirmed", HoldStatus::Confirmed, Some(txn("t-confirmed")), None)),
        Body::TxnClaimed { txn: txn("t-claimed"), order: OrderId::new(SLOT, 1), goes_back: None },
        Body::OrderCreated(order("k-order")),
        paid_order("p-reserved", "h-reserved", (0, 2)),
    ];
    changes.into_iter().for_each(|body| apply(&mut slot, body));
    let Body::RefundOwed(owed) = refund("o-refund", "t-refund") else { unreachable!("that is a refund") };
    let settled = Some(Settlement { reference: Reference::parse("r-refund").unwrap(), at: START });
    apply(&mut slot, Body::RefundOwed(owed.clone()));
    apply(&mut slot, Body::RefundSettled(RefundRow { settled, ..owed }));
    slot
}

fn paid_order(partition_text: &str, id: &str, (from, to): (u16, u16)) -> Body {
    let reservation = Some(Reservation {
        partition: partition(partition_text),
        hold: hold(id),
        made: 1,
        quantity: 1,
        from,
        to,
        segments: 2,
        capacity: 50,
        labels: Vec::new(),
        deadline: START,
        ends_at: None,
    });
    let txn = Some(txn("t-order"));
    Body::OrderPaid(OrderRow { status: OrderStatus::Paid, reservation, txn, ..order("k-order") })
}

/// A text that no client could have given is refused wherever it stands, in what is still to be told as well.
#[test]
fn texts_that_are_no_ids_are_refused_wherever_they_stand() {
    let sound = image(&with_every_text());
    assert!(Slot::decode(&sound).is_ok());
    // How often each stands there: with its hold, order, claim or refund, and in tells.
    for (text, expected) in [
        ("h-released", 3),
        ("h-expired", 3),
        ("h-confirmed", 3),
        ("t-confirmed", 2),
        ("t-claimed", 2),
        ("k-order", 1),
        ("p-reserved", 1),
        ("h-reserved", 1),
        ("t-order", 1),
        ("o-refund", 1),
        ("t-refund", 1),
        ("r-refund", 1),
    ] {
        let places = sound.windows(text.len()).enumerate().filter(|(_, bytes)| *bytes == text.as_bytes());
        let places: Vec<usize> = places.map(|(place, _)| place).collect();
        assert_eq!(places.len(), expected, "{text}");
        for place in places {
            let mut bytes = sound.clone();
            // The last letter, so that lists stay in order.
            let last = text.len() - 1;
            bytes[place + last] = 0x7f;
            let said = Slot::decode(&bytes).expect_err(text).to_string();
            let changed = format!("{}\u{7f}", &text[..last]);
            let expected = format!("{changed:?} contains a control character");
            assert!(said.contains(&expected), "{said}");
        }
    }
}

/// Each is what records can make that nobody logs.
#[test]
fn contents_that_no_slot_has_are_refused() {
    let check = |bodies: Vec<Body>, expected: &str| {
        let mut slot = Slot::new(SLOT);
        bodies.into_iter().for_each(|body| apply(&mut slot, body));
        let said = Slot::decode(&image(&slot)).map_or_else(|error| error.to_string(), |_| String::new());
        assert!(
            said.ends_with(expected) && said.is_empty() == expected.is_empty(),
            "{said:?}, not {expected:?}"
        );
    };
    let opened = |segments, stops| {
        let (partition, layout) = (partition("p"), Layout::AdHoc { seats: 50 });
        let run = Some(run("stop", stops, START));
        vec![Body::PartitionOpened(PartitionOpened { partition, layout, segments, run, seq: 0 })]
    };
    check(opened(2, 3), "");
    check(opened(2, 2), "2 segments between 2 stops");
    check(opened(2, 4), "2 segments between 4 stops");
    check(opened(64, 65), "");

    let elsewhere = OrderRow { order: OrderId::new(SlotId::new(8), 1), ..order("k") };
    check(vec![Body::OrderCreated(elsewhere)], "it lives in slot 8");
    let reserved = |span| vec![Body::OrderCreated(order("k-order")), paid_order("p", "h", span)];
    check(reserved((1, 2)), "");
    check(reserved((2, 2)), "reserved from 2 to 2 of 2 segments");
    check(reserved((1, 3)), "reserved from 1 to 3 of 2 segments");

    let owner = Some(OrderId::new(SLOT, 1));
    let confirmed = |owner, txn| {
        let made = HoldRow { owner, ..held("h", 1) };
        let sold = HoldRow { status: HoldStatus::Confirmed, partition_seq: 2, txn, ..made.clone() };
        vec![ad_hoc(50, 1), Body::HoldMade(made), Body::HoldConfirmed(sold)]
    };
    check(confirmed(owner, Some(txn("t"))), "");
    check(confirmed(None, None), "");
    check(confirmed(owner, None), "it is confirmed for an order without a payment");

    let owed = |number| {
        let Body::RefundOwed(row) = refund("o", "t") else { unreachable!("that is a refund") };
        vec![Body::RefundOwed(RefundRow { number, ..row })]
    };
    check(owed(1), "");
    check(owed(u64::MAX), "number of the next refund 18446744073709551615");
    // A slot does not write refund 0 at all.
    let number = 0x0123_4567_89ab_cdef_u64;
    let mut slot = Slot::new(SLOT);
    owed(number).into_iter().for_each(|body| apply(&mut slot, body));
    let mut bytes = image(&slot);
    let place = bytes.windows(8).position(|bytes| bytes == number.to_le_bytes()).expect("in the image");
    bytes[place..place + 8].fill(0);
    let said = Slot::decode(&bytes).unwrap_err().to_string();
    assert!(said.ends_with("refund 0: numbers begin with 1"), "{said}");
}

/// Numbers after which there is no next one, and a next tell that was told already. They stand at the end of an image.
#[test]
fn numbers_must_have_a_next_one() {
    // The number of the slot, the sequence, the time, five lists, the next tell, the highest sequence that was forgotten, the next refund,
    // what has left.
    const ROOT: usize = 2 + 8 + 8 + 5 * 8 + 8 + 8 + 8 + 8;
    let slot = with_every_text();
    let sound = image(&slot);
    let (seq, next_tell, forgotten) = (sound.len() - ROOT + 2, sound.len() - 32, sound.len() - 24);
    let (next_refund, left) = (sound.len() - 16, sound.len() - 8);
    let number = |at: usize| u64::from_le_bytes(sound[at..at + 8].try_into().unwrap());
    assert_eq!((number(seq), number(next_tell)), (slot.seq(), slot.next_tell().0));
    let last = slot.next_tell().0 - 1;
    let last_refund = slot.refunds().next_number() - 1;
    for (at, changed, expected) in [
        (seq, u64::MAX, "sequence 18446744073709551615"),
        (seq, u64::MAX - 1, ""),
        (next_tell, u64::MAX, "number of the next tell 18446744073709551615"),
        (next_tell, last, &*format!("the next tell is number {last}, and others have it")),
        (next_tell, last + 2, ""),
        (forgotten, u64::MAX, "sequence of a forgotten partition 18446744073709551615"),
        (forgotten, 7, ""),
        (next_refund, u64::MAX, "number of the next refund 18446744073709551615"),
        (next_refund, last_refund, &*format!("the next refund is number {last_refund}, and others have it")),
        (next_refund, last_refund + 2, ""),
        (left, u64::MAX, "number of what has left 18446744073709551615"),
        (left, 7, ""),
    ] {
        let mut bytes = sound.clone();
        bytes[at..at + 8].copy_from_slice(&changed.to_le_bytes());
        let said = Slot::decode(&bytes).map_or_else(|error| error.to_string(), |_| String::new());
        assert!(said.ends_with(expected) && said.is_empty() == expected.is_empty(), "{said}");
    }
    let mut blank = image(&Slot::new(SLOT));
    let end = blank.len();
    blank[end - 32..end - 24].fill(0);
    let said = Slot::decode(&blank).unwrap_err().to_string();
    assert!(said.ends_with("the next tell is number 0, and others have it"), "{said}");
}
