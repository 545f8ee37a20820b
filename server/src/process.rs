//! The process: everything that its cores share.

use std::sync::Arc;

use engine::slots::SlotHash;
use net::ConnectionBudget;
use net::metrics::Metrics;
use shard::Shutdown;

use crate::catalogue::OnSale;
use crate::desk::Desk;
use crate::log_space::LogSpace;
use crate::sinks::{ReadDesk, SinkHandles};
use crate::tickets::TicketHandles;

/// Shared by all cores of the process.
#[derive(Clone)]
pub(crate) struct ProcessHandles {
    pub(crate) cores: u16,
    pub(crate) hash: SlotHash,
    pub(crate) on_sale: Arc<OnSale>,
    pub(crate) shutdown: Arc<Shutdown>,
    pub(crate) tickets: TicketHandles,
    pub(crate) desk: Arc<Desk>,
    pub(crate) log_space: Arc<LogSpace>,
    pub(crate) sinks: Arc<SinkHandles>,
    pub(crate) read_desk: ReadDesk,
    pub(crate) edge: Arc<net::Config>,
    pub(crate) connections: Arc<ConnectionBudget>,
    pub(crate) metrics: Arc<Metrics>,
}

impl ProcessHandles {
    /// A log that is full but for its reserve still takes payments and cancellations, which must find their way here.
    pub(crate) fn is_ready(&self) -> bool {
        !self.shutdown.is_requested() && !self.log_space.is_any_exhausted()
    }
}
