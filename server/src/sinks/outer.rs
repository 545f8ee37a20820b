//! The outer sinks: the databases and topics around the engine. Each runs where it is configured.

use std::path::Path;

use bridge::kafka::{Cluster, Kafka};
use bridge::mysql::{Dsn, MySql};
use bridge::redis::{Place, Redis};
use engine::record::{Kind, Label};
use wal::CursorFile;

use super::Starter;

/// The names of the outer sinks among all sinks.
pub(crate) const MYSQL: &str = "mysql";
pub(crate) const REDIS: &str = "redis";
pub(crate) const KAFKA: &str = "kafka";

/// The outer sinks that are configured.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outer {
    pub(crate) mysql: Option<Dsn>,
    pub(crate) redis: Option<Place>,
    pub(crate) kafka: Option<Cluster>,
    /// Codes and names, for the table of stations.
    pub(crate) stations: Vec<(String, String)>,
}

impl Outer {
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        let Outer { mysql, redis, kafka, .. } = self;
        let all = [(MYSQL, mysql.is_some()), (REDIS, redis.is_some()), (KAFKA, kafka.is_some())];
        all.into_iter().filter_map(|(name, is_configured)| is_configured.then_some(name))
    }

    pub(super) fn start(
        &self,
        starter: &mut Starter<'_>,
        directory: [u8; 16],
        read_model: &Path,
    ) -> std::io::Result<()> {
        if let Some(dsn) = &self.mysql {
            let settings = bridge::mysql::Settings {
                dsn: dsn.clone(),
                directory,
                read_model: read_model.to_owned(),
                stations: self.stations.clone(),
            };
            let sink = MySql::new(settings, starter.stop.clone())?;
            starter.follow(MYSQL, sink, mysql_wants)?;
        }
        if let Some(place) = &self.redis {
            starter.follow(REDIS, Redis::new(place.clone(), directory), redis_wants)?;
        }
        if let Some(cluster) = &self.kafka {
            let file = CursorFile::new(starter.files, directory, KAFKA);
            let sink = Kafka::new(cluster.clone(), directory, file, starter.stop.clone());
            starter.follow(KAFKA, sink, kafka_wants)?;
        }
        Ok(())
    }
}

/// Records that change a row. Histories are kept in the read model alone.
fn mysql_wants(label: Label) -> bool {
    match label.kind {
        Kind::RefundOwed | Kind::RefundSettled => true,
        // A purchase ends with its hold.
        Kind::HoldsExpired => label.is_of_order,
        kind => changes_order(kind),
    }
}

/// Records that change a hold or the view of an order.
fn redis_wants(label: Label) -> bool {
    match label.kind {
        Kind::HoldMade
        | Kind::HoldAdopted
        | Kind::HoldConfirmed
        | Kind::HoldReleased
        | Kind::HoldsExpired => true,
        kind => changes_order(kind),
    }
}

/// Records that have an event.
fn kafka_wants(label: Label) -> bool {
    match label.kind {
        Kind::RefundOwed => true,
        Kind::HoldAdopted => false,
        _ => redis_wants(label),
    }
}

fn changes_order(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::OrderCreated
            | Kind::OrderReserved
            | Kind::OrderPaid
            | Kind::OrderTicketed
            | Kind::OrderCancelled
            | Kind::OrdersAbandoned
            | Kind::PurchaseMade
            | Kind::PurchasePaid
            | Kind::PurchaseCancelled
    )
}
