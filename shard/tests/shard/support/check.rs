//! What must hold in a world: always, and once nothing is under way.

use engine::answer::OrderStatus;
use testkit::check::State;

use super::World;

fn state(world: &World) -> State<'_> {
    State { hash: &world.hash, slots: world.slots().collect() }
}

/// In every state, whatever is under way.
#[track_caller]
pub(crate) fn always(world: &World) {
    state(world).holds_always();
}

/// Every outbox is empty and no operation is under way.
#[track_caller]
pub(crate) fn no_message_waits(world: &World) {
    for slot in world.slots() {
        assert!(slot.outbox().is_empty(), "slot {}: {:?}", slot.id().get(), slot.outbox());
    }
    for node in &world.nodes {
        assert_eq!(node.shard.operations_waiting(), 0, "an operation never ends");
    }
}

/// When nothing is under way and every deadline is past: orders and holds agree.
#[track_caller]
pub(crate) fn at_rest(world: &World) {
    no_message_waits(world);
    state(world).is_settled();
    for slot in world.slots() {
        for order in slot.orders().iter() {
            assert_ne!(order.row.status, OrderStatus::Reserved, "past its deadline: {:?}", order.row);
        }
        for (key, p) in slot.partitions().iter() {
            assert!(p.is_settled(), "{key}: a hold is past its deadline");
        }
    }
}
