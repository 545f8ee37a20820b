//! What must hold in a world: always, and once nothing is under way.

use std::collections::BTreeMap;

use engine::answer::OrderStatus;
use engine::ids::SlotId;
use engine::record::{Body, Record};
use engine::state::Slot;
use testkit::check::State;

use super::world::World;
use crate::formats::image;

fn state(world: &World) -> State<'_> {
    State { hash: world.hash(), slots: world.slots().collect() }
}

/// In every state, whatever is under way.
pub(crate) fn always(world: &World) {
    let due = world.due_slots();
    for slot in world.slots() {
        let departure = slot.next_departure(&world.policy).map(|(at, _)| at);
        let first = slot.next_due(&world.policy).into_iter().chain(departure).min();
        let says_so = first.is_some_and(|at| at <= world.now);
        assert_eq!(says_so, due.contains(&slot.id()), "{:?} says when it is due", slot.id());
    }
    state(world).holds_always();
}

/// Once nothing is under way.
pub(crate) fn settled(world: &World) {
    always(world);
    assert!(world.is_idle(), "something is still under way");
    state(world).is_settled();
    for order in world.slots().flat_map(|slot| slot.orders().iter()) {
        let is_stuck = order.row.status == OrderStatus::Reserved && order.is_due(world.now);
        assert!(!is_stuck, "stuck: {order:?}");
    }
}

/// The records alone make the same state, and none of them sells what had expired. An image that is taken in pieces between them is of
/// the slot as it was when it began.
pub(crate) fn replay(world: &World) {
    let mut slots: BTreeMap<SlotId, Slot> = BTreeMap::new();
    let mut images: BTreeMap<SlotId, Image> = BTreeMap::new();
    let mut rng = fastrand::Rng::with_seed(world.log.len() as u64);
    for record in &world.log {
        let sold = match &record.body {
            Body::HoldConfirmed(row) | Body::HoldAdopted(row) => Some(row),
            Body::PurchasePaid(row) => Some(&row.hold),
            _ => None,
        };
        assert!(sold.is_none_or(|row| record.time < row.deadline), "too late: {record:?}");
        let mut bytes = Vec::new();
        record.encode(&mut bytes);
        let decoded = Record::decode(&bytes).expect("a record that was just made");
        assert_eq!(decoded, **record, "a record comes back from its bytes");
        let slot = slots.entry(record.slot).or_insert_with(|| Slot::new(record.slot));
        slot.apply(&decoded, &mut Vec::new());
        let is_whole = match images.get_mut(&record.slot) {
            None if rng.u32(..16) == 0 => images.insert(record.slot, Image::begin(slot)).is_some(),
            Some(image) if rng.bool() => image.next(slot, rng.usize(..4_096)),
            _ => false,
        };
        if is_whole {
            images.remove(&record.slot);
        }
    }
    for (id, mut image) in images {
        while !image.next(slots.get_mut(&id).expect("a slot of records"), rng.usize(..4_096)) {}
    }
    for slot in world.slots() {
        let replayed = slots.remove(&slot.id()).unwrap_or_else(|| Slot::new(slot.id()));
        let (mut live, mut again) = (Vec::new(), Vec::new());
        slot.encode(&mut live);
        replayed.encode(&mut again);
        assert!(live == again, "{:?} replayed is not what it was", slot.id());
        let image = Slot::decode(&live).expect("an image that was just made");
        assert_eq!(
            (replayed.memory_estimate(), image.memory_estimate()),
            (slot.memory_estimate(), slot.memory_estimate())
        );
    }
    assert!(slots.is_empty(), "records of slots that are not there");
}

/// An image that is taken in pieces.
struct Image {
    whole: Vec<u8>,
    restored: Slot,
}

impl Image {
    fn begin(slot: &mut Slot) -> Image {
        slot.begin_image();
        Image { whole: image(slot), restored: Slot::new(slot.id()) }
    }

    /// Takes the next piece. Whether it was the last one: then together they are the slot as it was.
    fn next(&mut self, slot: &mut Slot, bytes: usize) -> bool {
        let mut piece = Vec::new();
        let is_last = slot.next_piece(bytes, &mut piece);
        self.restored.restore_piece(&piece).expect("a piece that was just made");
        if is_last {
            assert!(image(&self.restored) == self.whole, "pieces of {:?} are not what it was", slot.id());
        }
        is_last
    }
}
