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
/// Messages that the ticket worker deals with at once.
pub(super) const MESSAGES_MAX: usize = 500;
/// The ticket worker asks again after so long where a ticket cannot be issued, and begins anew from its last offset after so much longer.
pub(super) const TICKET_RETRY_PAUSE: Duration = Duration::from_millis(200);
pub(super) const TICKET_PATIENCE: Duration = Duration::from_secs(30);
/// The ticket worker asks so often whether the cluster is still there.
pub(super) const TICKET_CHECK_INTERVAL: Duration = Duration::from_secs(10);
/// The reason of an unreadable message, which may repeat what it says.
pub(super) const REASON_BYTES_MAX: usize = 500;
