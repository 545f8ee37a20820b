//! Every bound of the Kafka sink, by name.

use std::time::Duration;

/// Partitions of a topic that is made here.
pub(super) const PARTITIONS: i32 = 3;
/// The wait for what the cluster says of itself, and for topics that are made.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest silence: if nothing is delivered for so long, the cluster is down.
pub(super) const DELIVERY_PATIENCE: Duration = Duration::from_secs(15);
/// Delivery reports are looked for so often.
pub(super) const POLL: Duration = Duration::from_millis(5);
/// Settings in one file.
pub(super) const SETTINGS_MAX: usize = 200;
