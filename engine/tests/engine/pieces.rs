//! Images in pieces: as large as they are asked for, and refused where they do not belong together. That they are of the moment at
//! which they began is checked in every world, in `support/check.rs`.

use engine::record::{Body, HoldRow};
use engine::state::Slot;

use crate::formats::{image, slot};
use crate::support::names::hold;
use crate::weights::{SLOT, ad_hoc, apply, held};

fn pieces(slot: &mut Slot, bytes: usize) -> Vec<Vec<u8>> {
    slot.begin_image();
    let (mut pieces, mut is_last) = (Vec::new(), false);
    while !is_last {
        let mut piece = Vec::new();
        is_last = slot.next_piece(bytes, &mut piece);
        pieces.push(piece);
    }
    pieces
}

/// Live holds of one seat each in a partition of that many, on 60 segments: its bitmaps are large, and in no image.
fn large(holds: u32) -> Slot {
    let mut slot = Slot::new(SLOT);
    apply(&mut slot, ad_hoc(holds, 60));
    for number in 1..=holds {
        let (id, seq) = (format!("h{number:06}"), u64::from(number));
        let row = HoldRow {
            made: seq,
            partition_seq: seq,
            segments: 60,
            capacity: holds,
            seats: vec![number - 1],
            labels: Vec::new(),
            hold: hold(&id),
            ..held(&id, 1)
        };
        apply(&mut slot, Body::HoldMade(row));
    }
    slot
}

#[test]
fn a_piece_is_about_as_large_as_it_is_asked_for() {
    let mut slot = large(5_000);
    let whole = image(&slot).len();
    for bytes in [4_096, 32_768] {
        let pieces = pieces(&mut slot, bytes);
        assert!(pieces.iter().all(|piece| piece.len() <= bytes), "none is larger than {bytes}");
        let most = 8 * whole / bytes + 2;
        assert!(
            pieces.len() <= most,
            "{} pieces of {bytes} bytes for {whole}, more than {most}",
            pieces.len()
        );
    }
    assert_eq!(pieces(&mut slot, usize::MAX), [image(&slot)], "with room enough it is one, the whole");
}

/// Feeds pieces to a slot, and gives the refusal.
fn refusal(id: engine::ids::SlotId, pieces: &[&Vec<u8>]) -> String {
    let mut slot = Slot::new(id);
    let refused = pieces.iter().find_map(|piece| slot.restore_piece(piece).err());
    refused.map_or_else(String::new, |error| error.to_string())
}

#[test]
fn pieces_that_do_not_belong_together_are_refused() {
    const DIFFERENT: &str = "pieces of different images";
    let mut one = slot();
    let pieces_of_one = pieces(&mut one, 1);
    assert!(pieces_of_one.len() > 4, "{} pieces", pieces_of_one.len());
    let all: Vec<_> = pieces_of_one.iter().collect();
    assert_eq!(refusal(one.id(), &all), "");
    // Each comes once, and in order.
    for (nth, piece) in pieces_of_one.iter().enumerate() {
        let twice: Vec<_> = all[..=nth].iter().copied().chain([piece]).collect();
        let said = refusal(one.id(), &twice);
        // The last piece may have nothing, and a partition without holds says nothing new.
        let is_empty = Slot::decode(piece).is_ok_and(|slot| {
            slot.orders().is_empty()
                && slot.outbox().is_empty()
                && slot.claims_count() == 0
                && slot.refunds().is_empty()
                && slot.partitions().iter().all(|(_, p)| p.holds_count() == 0)
        });
        assert!(is_empty || said.contains("come twice or out of order"), "piece {nth}: {said:?}");
    }
    let reversed: Vec<_> = all.iter().rev().copied().collect();
    assert!(!refusal(one.id(), &reversed).is_empty());
    let other_slot = engine::ids::SlotId::new(one.id().get() ^ 1);
    assert!(refusal(other_slot, &all).contains("and stands as slot"));

    let (mut before, mut after) = (large(10), large(11));
    let (before, after) = (pieces(&mut before, 1), pieces(&mut after, 1));
    assert!(refusal(SLOT, &[&before[0], &after[1]]).contains(DIFFERENT));
}

/// Another begins where one was not finished, or was dropped.
#[test]
fn an_image_begins_anew() {
    let mut slot = large(10);
    slot.begin_image();
    slot.next_piece(1, &mut Vec::new());
    assert_eq!(pieces(&mut slot, usize::MAX), [image(&slot)]);
    slot.begin_image();
    slot.next_piece(1, &mut Vec::new());
    slot.drop_image();
    let mut changed = large(10);
    for slot in [&mut slot, &mut changed] {
        let released = vec![hold("h000001")];
        let row = HoldRow { partition_seq: 11, ..held("h000001", 1) };
        let row = HoldRow { seats: vec![0], capacity: 10, segments: 60, labels: Vec::new(), ..row };
        let ended = HoldRow { status: engine::answer::HoldStatus::Expired, ..row };
        apply(slot, Body::HoldsExpired(vec![crate::formats::expired(ended)]));
        apply(
            slot,
            Body::HoldsForgotten { partition: crate::support::names::partition("p"), holds: released },
        );
    }
    assert_eq!(pieces(&mut slot, 1), pieces(&mut changed, 1));
}
