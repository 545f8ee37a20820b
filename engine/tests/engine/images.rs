//! Images that were changed: each is refused, or is the image of a slot whose parts agree. Never a panic, and never a slot
//! that no records make.

use std::collections::BTreeSet;

use engine::answer::HoldStatus;
use engine::ids::{SlotId, Time};
use engine::state::{Partition, Slot};

use crate::formats::{image, slot};

/// Small random numbers that are the same for the same seed.
struct Rng(u64);

impl Rng {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % end
    }
}

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
    let due = slot.next_due(&Default::default());
    let all: Vec<_> = slot.partitions().iter().flat_map(|(_, p)| p.due(Time(u64::MAX))).collect();
    assert!(due.is_some() || all.is_empty(), "{}: live holds, and nothing is due", from());
    assert!(slot.is_blank() || slot.weight() >= bytes.len() / 4, "{}", from());
}

fn whole(partition: &Partition) -> engine::Span {
    partition.span(None).expect("a partition has segments")
}

/// Seats that no live hold has on any segment, counted from the holds alone.
fn free(partition: &Partition) -> u32 {
    let live = |status| matches!(status, HoldStatus::Held | HoldStatus::Confirmed);
    let holds = partition.holds_sorted();
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
        let mut rng = Rng(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let mut bytes = sound.clone();
        for _ in 0..1 + rng.below(4) {
            let at = 1 + rng.below(bytes.len() - 9);
            match rng.below(5) {
                0 => bytes[at] = [0, 1, 2, 3, 0x7f, 0x80, 0xff][rng.below(7)],
                1 => bytes[at] = bytes[at].wrapping_add(1),
                2 => bytes[at] = bytes[at].wrapping_sub(1),
                3 => bytes[at..at + 8].fill([0, 0xff][rng.below(2)]),
                _ => {
                    let (from, length) = (1 + rng.below(bytes.len() - 33), 1 + rng.below(32));
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
