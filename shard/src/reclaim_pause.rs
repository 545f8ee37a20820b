//! Reclaim pause: when it is worth looking again for memory to free.

use engine::ids::Time;
use engine::record::Body;

/// Nothing could be freed until this time. All slots are looked at for it, so it is not done for every sale that is refused.
#[derive(Debug, Default)]
pub(crate) struct ReclaimPause(pub(crate) Time);

impl ReclaimPause {
    /// Something may have ended that can be freed.
    pub(crate) fn recorded(&mut self, body: &Body) {
        if matches!(
            body,
            Body::HoldReleased(_)
                | Body::HoldsExpired(_)
                | Body::PurchaseCancelled(_)
                | Body::TellsAcked { .. }
        ) {
            self.0 = Time(0);
        }
    }
}
