//! Connections of the whole process: one budget, because descriptors are one. Counted where a connection is accepted and where it ends,
//! never by a request.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::limits::{CONNECTIONS_PER_CORE_MAX, RESERVE_CONNECTIONS, RESERVE_PER_CORE_MIN};
use crate::metrics::Registry;

/// The bounds of a process's connections.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConnectionLimits {
    /// Connections that are served; those beyond go to the reserve.
    pub max: usize,
    /// The same of one client address.
    pub per_address_max: usize,
    /// Connections in the reserve of each core.
    pub reserve_max: usize,
}

impl ConnectionLimits {
    /// The bounds of so many cores that have so many descriptors for connections. One address gets so many hundredths of them.
    #[must_use]
    pub fn new(descriptors: usize, cores: usize, per_address_percent: usize) -> ConnectionLimits {
        let max = descriptors.min(CONNECTIONS_PER_CORE_MAX.saturating_mul(cores));
        let per_address_max =
            (max / 100 * per_address_percent + max % 100 * per_address_percent / 100).max(1);
        ConnectionLimits { max, per_address_max, reserve_max: ConnectionLimits::reserve_max(cores) }
    }

    /// The reserve of each of so many cores.
    #[must_use]
    pub fn reserve_max(cores: usize) -> usize {
        RESERVE_CONNECTIONS.div_ceil(cores.max(1)).max(RESERVE_PER_CORE_MIN)
    }

    /// Descriptors that the reserve of a core can take: those in it, and as many that were told to go and are not gone yet.
    #[must_use]
    pub fn reserve_descriptors(cores: usize) -> usize {
        2 * ConnectionLimits::reserve_max(cores)
    }
}

/// The connections that are open, of all cores together.
#[derive(Debug)]
pub struct ConnectionBudget {
    pub(crate) limits: ConnectionLimits,
    open: AtomicUsize,
    reserved: AtomicUsize,
    /// Held for a look-up, by whoever accepts or ends a connection.
    by_address: Mutex<HashMap<IpAddr, usize>>,
}

/// A connection's place in the budget, until it is dropped.
#[derive(Debug)]
pub struct Place {
    budget: Arc<ConnectionBudget>,
    /// `None` in the reserve, where the address does not count.
    address: Option<IpAddr>,
}

/// The limit that a connection would be beyond.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Beyond {
    All,
    Address,
}

impl Beyond {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Beyond::All => "interlock_connections_max",
            Beyond::Address => "interlock_connections_per_address_max",
        }
    }
}

impl ConnectionBudget {
    #[must_use]
    pub fn new(limits: ConnectionLimits) -> Arc<ConnectionBudget> {
        Arc::new(ConnectionBudget {
            limits,
            open: AtomicUsize::new(0),
            reserved: AtomicUsize::new(0),
            by_address: Mutex::default(),
        })
    }

    /// Shows the budget and its use.
    pub fn register(self: &Arc<Self>, registry: &mut Registry) {
        let ConnectionLimits { max, per_address_max, .. } = self.limits;
        let (open, reserved) = (self.clone(), self.clone());
        registry
            .gauge_of("interlock_connections", "Connections that are open.", &[], move || open.open() as u64);
        registry
            .gauge_of("interlock_connections_max", "Connections that may be open.", &[], move || max as u64);
        registry.gauge_of(
            "interlock_connections_per_address_max",
            "Connections that one client address may have.",
            &[],
            move || per_address_max as u64,
        );
        registry.gauge_of(
            "interlock_connections_reserved",
            "Connections beyond the budget, which only health and metrics are answered on.",
            &[],
            move || reserved.reserved.load(Ordering::Relaxed) as u64,
        );
    }

    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// A place for a connection from `address`.
    ///
    /// # Errors
    /// The limit that it would be beyond.
    pub fn admit(self: &Arc<Self>, address: IpAddr) -> Result<Place, Beyond> {
        let address = client(address);
        let mut by_address = self.addresses();
        // Under the lock, so that cores that accept at the same moment do not both take the last place.
        if self.open() >= self.limits.max {
            return Err(Beyond::All);
        }
        let of_it = by_address.entry(address).or_default();
        if *of_it >= self.limits.per_address_max {
            return Err(Beyond::Address);
        }
        *of_it += 1;
        self.open.fetch_add(1, Ordering::Relaxed);
        Ok(Place { budget: self.clone(), address: Some(address) })
    }

    /// A place in the reserve; whether there is room is for its core to know.
    pub(crate) fn reserve(self: &Arc<Self>) -> Place {
        self.reserved.fetch_add(1, Ordering::Relaxed);
        Place { budget: self.clone(), address: None }
    }

    /// Nothing that is done under the lock can panic halfway.
    fn addresses(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.by_address.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(address) = self.address else {
            self.budget.reserved.fetch_sub(1, Ordering::Relaxed);
            return;
        };
        let mut by_address = self.budget.addresses();
        self.budget.open.fetch_sub(1, Ordering::Relaxed);
        let of_it = by_address.get_mut(&address).expect("a connection that is open is counted");
        *of_it -= 1;
        if *of_it == 0 {
            by_address.remove(&address);
        }
    }
}

/// The client behind an address: one of version 6 has a network of them (64 bits).
fn client(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)))
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(max: usize, per_address_max: usize) -> Arc<ConnectionBudget> {
        ConnectionBudget::new(ConnectionLimits { max, per_address_max, reserve_max: 1 })
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_has_its_share_and_all_share_the_rest() {
        let budget = budget(5, 3);
        let greedy: Vec<_> = (0..3).map(|_| budget.admit(address("10.0.0.1")).unwrap()).collect();
        assert_eq!(budget.admit(address("10.0.0.1")).unwrap_err(), Beyond::Address);
        let modest: Vec<_> = (2..4).map(|n| budget.admit(address(&format!("10.0.0.{n}"))).unwrap()).collect();
        assert_eq!(budget.admit(address("10.0.0.9")).unwrap_err(), Beyond::All);
        drop(greedy);
        assert_eq!(budget.open(), 2);
        budget.admit(address("10.0.0.1")).unwrap();
        drop(modest);
        assert!(budget.addresses().is_empty(), "who has left is forgotten");
    }

    #[test]
    fn the_reserve_counts_by_itself() {
        let budget = budget(1, 1);
        let place = budget.admit(address("10.0.0.1")).unwrap();
        let reserved = [budget.reserve(), budget.reserve()];
        assert_eq!((budget.open(), budget.reserved.load(Ordering::Relaxed)), (1, 2));
        drop(place);
        drop(reserved);
        assert_eq!((budget.open(), budget.reserved.load(Ordering::Relaxed)), (0, 0));
    }

    #[test]
    fn a_client_of_version_6_is_its_network() {
        let check = |one, other, same| {
            assert_eq!(client(address(one)) == client(address(other)), same, "{one} {other}")
        };
        check("2001:db8::1", "2001:db8::ffff:2", true);
        check("2001:db8::1", "2001:db8:0:1::1", false);
        check("::ffff:10.0.0.1", "10.0.0.1", true);
        check("::ffff:10.0.0.1", "::ffff:10.0.0.2", false);
        check("::1", "::2", false);
    }

    #[test]
    fn descriptors_are_divided() {
        let limits = ConnectionLimits::new(3_776, 2, 75);
        assert_eq!((limits.max, limits.per_address_max, limits.reserve_max), (3_776, 2_832, 32));
        assert_eq!(ConnectionLimits::new(usize::MAX, 4, 100).max, 4 * CONNECTIONS_PER_CORE_MAX);
        assert_eq!(ConnectionLimits::new(usize::MAX, 4, 100).per_address_max, 4 * CONNECTIONS_PER_CORE_MAX);
        assert_eq!(ConnectionLimits::new(16, 1, 1).per_address_max, 1);
        assert_eq!(ConnectionLimits::new(16, 256, 75).reserve_max, RESERVE_PER_CORE_MIN);
        assert_eq!(ConnectionLimits::new(16, 1, 75).reserve_max, RESERVE_CONNECTIONS);
    }
}
