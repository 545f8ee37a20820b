//! The five HTTP services, their names and their ports.

use std::fmt;

/// One of the HTTP services that the old system ran as processes of their own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Service {
    Gateway,
    Orders,
    Inventory,
    Query,
    Worker,
}

impl Service {
    pub const ALL: [Service; 5] =
        [Service::Gateway, Service::Orders, Service::Inventory, Service::Query, Service::Worker];

    /// As metrics and logs call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Service::Gateway => "gateway",
            Service::Orders => "order-service",
            Service::Inventory => "inventory-service",
            Service::Query => "query-service",
            Service::Worker => "ticket-worker",
        }
    }

    /// Its port, before any offset.
    #[must_use]
    pub const fn port(self) -> u16 {
        match self {
            Service::Gateway => 8080,
            Service::Orders => 8081,
            Service::Inventory => 8082,
            Service::Query => 8083,
            Service::Worker => 8084,
        }
    }

    pub(crate) const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
