//! Engine metrics for Prometheus: published by each core, summed at the scrape.

use std::sync::Arc;

use net::metrics::{Cells, CoreCell, Registry};
use shard::{Shard, Stats};
use wal::Space;
use wal::disk::Driver;

use crate::logging;

/// Takes one number out of [`Stats`].
type Read = fn(&Stats) -> u64;

/// Name, help, labels and source.
type Counter = (&'static str, &'static str, &'static [(&'static str, &'static str)], Read);

const COUNTERS: &[Counter] = &[
    ("interlock_holds_total", "Holds by what became of them.", &[("outcome", "made")], |s| {
        s.tally.holds_made
    }),
    ("interlock_holds_total", "", &[("outcome", "confirmed")], |s| s.tally.holds_confirmed),
    ("interlock_holds_total", "", &[("outcome", "released")], |s| s.tally.holds_released),
    ("interlock_holds_total", "", &[("outcome", "expired")], |s| s.tally.holds_expired),
    ("interlock_purchases_total", "Orders that were made with their hold at once.", &[], |s| {
        s.tally.purchases_made
    }),
    ("interlock_orders_total", "Orders by the status they reached.", &[("status", "INIT")], |s| {
        s.tally.orders_created
    }),
    ("interlock_orders_total", "", &[("status", "RESERVED")], |s| s.tally.orders_reserved),
    ("interlock_orders_total", "", &[("status", "PAID")], |s| s.tally.orders_paid),
    ("interlock_orders_total", "", &[("status", "TICKETED")], |s| s.tally.orders_ticketed),
    ("interlock_orders_total", "", &[("status", "CANCELLED")], |s| s.tally.orders_cancelled),
    ("interlock_refunds_total", "Refunds by what became of them.", &[("status", "required")], |s| {
        s.tally.refunds_owed
    }),
    ("interlock_refunds_total", "", &[("status", "settled")], |s| s.tally.refunds_settled),
    (
        "interlock_orders_left_total",
        "Orders that left the engine after their retention: the read model has them.",
        &[],
        |s| s.tally.orders_forgotten,
    ),
    ("interlock_partitions_opened_total", "Partitions opened.", &[], |s| s.tally.partitions_opened),
    ("interlock_commands_total", "Commands that a shard took.", &[], |s| s.commands),
    (
        "interlock_batch_parcels_total",
        "Parcels of commands that came in batches, one for each core that they are for.",
        &[],
        |s| s.batches,
    ),
    (
        "interlock_batched_commands_total",
        "Commands that came in batches; they count in interlock_commands_total as well.",
        &[],
        |s| s.batched_commands,
    ),
    ("interlock_commands_refused_total", "Commands that were refused.", &[], |s| s.commands_refused),
    ("interlock_messages_total", "Messages sent to other cores.", &[], |s| s.messages_sent),
    (
        "interlock_tells_resent_total",
        "Tells sent again because they were not acknowledged in time.",
        &[],
        |s| s.tells_resent,
    ),
    ("interlock_asks_repeated_total", "Second copies of asks, dropped.", &[], |s| s.asks_repeated),
    ("interlock_log_records_total", "Records appended to the log.", &[], |s| s.tally.records),
    ("interlock_log_frames_total", "Frames written to the log, each a durable write.", &[], |s| s.log_frames),
    ("interlock_log_bytes_total", "Bytes of the frames written to the log.", &[], |s| s.log_bytes),
    ("interlock_snapshots_total", "Snapshots handed to the log.", &[], |s| s.snapshots),
];

/// Cells for all cores.
#[derive(Debug)]
pub(crate) struct Gauges {
    counters: Vec<(Arc<Cells>, Read)>,
    waiting: Arc<Cells>,
    state: Arc<Cells>,
    backlog: Arc<Cells>,
    full: Arc<Cells>,
    time_lead: Arc<Cells>,
}

/// The cells of one core.
#[derive(Debug)]
pub(crate) struct CoreGauges {
    counters: Vec<(CoreCell, Read)>,
    waiting: CoreCell,
    state: CoreCell,
    backlog: CoreCell,
    full: CoreCell,
    /// Of one core only: all count the same time.
    time_lead: Option<CoreCell>,
}

impl Gauges {
    pub(crate) fn register(registry: &mut Registry) -> Gauges {
        let counters = COUNTERS
            .iter()
            .map(|(name, help, labels, read)| (registry.counter(name, help, labels), *read))
            .collect();
        registry.counter_of(
            "interlock_log_lines_dropped_total",
            "Log lines that were dropped because nobody read standard error fast enough.",
            &[],
            logging::dropped,
        );
        Gauges {
            counters,
            waiting: registry.gauge(
                "interlock_operations_waiting",
                "Operations that wait for another slot.",
                &[],
            ),
            state: registry.gauge("interlock_state_bytes", "Memory that the state takes, as estimated.", &[]),
            backlog: registry.gauge(
                "interlock_log_backlog_bytes",
                "Bytes appended and not yet durable.",
                &[],
            ),
            full: registry.gauge("interlock_log_full", "Cores whose log has no room for new sales.", &[]),
            time_lead: registry.gauge(
                "interlock_time_lead_seconds",
                "How far engine time is ahead of the wall clock.",
                &[],
            ),
        }
    }

    pub(crate) fn core(&self, core: usize) -> CoreGauges {
        CoreGauges {
            counters: self.counters.iter().map(|(cells, read)| (cells.core(core), *read)).collect(),
            waiting: self.waiting.core(core),
            state: self.state.core(core),
            backlog: self.backlog.core(core),
            full: self.full.core(core),
            time_lead: (core == 0).then(|| self.time_lead.core(core)),
        }
    }
}

impl CoreGauges {
    pub(crate) fn publish(&self, shard: &Shard<Driver>) {
        let stats = shard.stats();
        for (cell, read) in &self.counters {
            cell.set(read(&stats));
        }
        self.waiting.set(shard.operations_waiting() as u64);
        self.state.set(shard.state_bytes());
        self.backlog.set(shard.log().backlog_bytes() as u64);
        self.full.set(u64::from(shard.log().space() != Space::Plenty));
        if let Some(time_lead) = &self.time_lead {
            time_lead.set(shard.time_lead_ms() / 1_000);
        }
    }
}
