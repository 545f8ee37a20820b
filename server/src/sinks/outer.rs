//! The outer sinks: the databases and topics around the engine. Each runs where it is configured.

use std::path::Path;

use bridge::mysql::{Dsn, MySql};
use engine::record::{Kind, Label};

use super::Starter;

/// The names of the outer sinks among all sinks.
pub(crate) const MYSQL: &str = "mysql";

/// The outer sinks that are configured.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outer {
    pub(crate) mysql: Option<Dsn>,
    /// Codes and names, for the table of stations.
    pub(crate) stations: Vec<(String, String)>,
}

impl Outer {
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        [self.mysql.as_ref().map(|_| MYSQL)].into_iter().flatten()
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
        Ok(())
    }
}

/// What changes a row. Histories are kept in the read model alone.
fn mysql_wants(label: Label) -> bool {
    match label.kind {
        Kind::OrderCreated
        | Kind::OrderReserved
        | Kind::OrderPaid
        | Kind::OrderTicketed
        | Kind::OrderCancelled
        | Kind::OrdersAbandoned
        | Kind::PurchaseMade
        | Kind::PurchasePaid
        | Kind::PurchaseCancelled
        | Kind::RefundOwed
        | Kind::RefundSettled => true,
        // A purchase ends with its hold.
        Kind::HoldsExpired => label.is_of_order,
        _ => false,
    }
}
