//! Settings of the edge, fixed at start.

use engine::ids::PartitionKey;

use crate::callers::Callers;
use crate::limits::Limits;
use crate::signature::SignKey;

/// Settings that all cores share.
#[derive(Clone, Debug)]
pub struct Config {
    /// `env` of every log line (`APP_ENV`).
    pub env: String,
    /// `version` of every log line (`APP_VERSION`).
    pub version: String,
    /// Key of payment callbacks (`PAYMENT_CALLBACK_SIGN_KEY`); without one they are not verified.
    pub sign_key: Option<SignKey>,
    /// Names and web pages that are served (`INTERLOCK_ALLOWED_HOSTS`, `INTERLOCK_ALLOWED_ORIGINS`).
    pub callers: Callers,
    pub defaults: Defaults,
    pub limits: Limits,
}

/// Values for fields that a request leaves out.
#[derive(Clone, Debug)]
pub struct Defaults {
    /// Partition of a reservation that names none (`ORDER_INVENTORY_PARTITION_KEY`).
    pub partition: PartitionKey,
    /// Seats of a reservation that names none (`ORDER_INVENTORY_DEFAULT_QTY`).
    pub quantity: u32,
    /// Capacity of an ad hoc partition that an order opens (`ORDER_INVENTORY_CAPACITY`).
    pub order_capacity: u32,
    /// Capacity of an ad hoc partition that a hold opens.
    pub hold_capacity: u32,
    /// Segments of an ad hoc partition that HTTP opens.
    pub segments: u16,
}

impl Defaults {
    /// The contract's defaults, for the partition that reservations go to.
    #[must_use]
    pub fn new(partition: PartitionKey) -> Defaults {
        Defaults { partition, quantity: 1, order_capacity: 500, hold_capacity: 100, segments: 1 }
    }
}
