//! Addresses and ports: claimed by one process first, then shared between its cores.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};

use crate::limits::{BACKLOG, PORT_CLAIM_PAUSE_MS, PORT_CLAIM_TIMEOUT_MS};
use crate::service::Service;

/// Addresses of the five services.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Addresses {
    pub ip: IpAddr,
    /// Added to every service's own port; at most [`PORT_OFFSET_MAX`].
    pub offset: u16,
}

/// The port of the seat allocator, before any offset. It speaks gRPC.
pub const GRPC_PORT: u16 = 50_051;
/// Its name, beside those of the services.
pub const GRPC_SERVICE: &str = "seat-allocator";
/// Beyond it the last of them would have no port.
pub const PORT_OFFSET_MAX: u16 = u16::MAX - GRPC_PORT;

/// A service's port that cannot be had.
#[derive(Debug)]
pub struct PortError {
    pub service: &'static str,
    pub address: SocketAddr,
    pub error: io::Error,
}

impl fmt::Display for PortError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cannot listen on {}: {}", self.service, self.address, self.error)
    }
}

impl std::error::Error for PortError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

/// A socket that listens for one service on one core.
pub type ServiceListener = (Service, TcpListener);

impl Addresses {
    /// # Panics
    /// If the offset is beyond [`PORT_OFFSET_MAX`].
    #[must_use]
    pub fn of(&self, service: Service) -> SocketAddr {
        assert!(self.offset <= PORT_OFFSET_MAX, "ports end at 65535");
        SocketAddr::new(self.ip, service.port() + self.offset)
    }

    /// Of the seat allocator.
    ///
    /// # Panics
    /// As with [`of`](Addresses::of).
    #[must_use]
    pub fn grpc(&self) -> SocketAddr {
        assert!(self.offset <= PORT_OFFSET_MAX, "ports end at 65535");
        SocketAddr::new(self.ip, GRPC_PORT + self.offset)
    }
}

/// Refuses ports that another process has: cores bind with `SO_REUSEPORT`, and would share them with it unnoticed. Nothing
/// listens afterwards.
///
/// A process that was killed keeps its ports until the kernel has taken its rings down, some milliseconds after it is
/// gone: a port in use is tried again for a while (`PORT_CLAIM_TIMEOUT_MS`).
///
/// # Errors
/// The first port that cannot be had.
pub fn claim_ports(addresses: &Addresses) -> Result<(), PortError> {
    waiting(|| {
        let sockets = Service::ALL.map(|service| bind(addresses, service, false));
        sockets.into_iter().try_for_each(|socket| socket.map(drop))
    })
}

fn waiting<T>(claim: impl Fn() -> Result<T, PortError>) -> Result<T, PortError> {
    let deadline = Instant::now() + Duration::from_millis(PORT_CLAIM_TIMEOUT_MS);
    loop {
        match claim() {
            Err(taken) if taken.error.kind() == io::ErrorKind::AddrInUse && Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(PORT_CLAIM_PAUSE_MS));
            }
            done => return done,
        }
    }
}

/// The listeners of one core.
///
/// # Errors
/// The first port that cannot be had.
pub fn core_listeners(addresses: &Addresses) -> Result<Vec<ServiceListener>, PortError> {
    Service::ALL.into_iter().map(|service| Ok((service, bind(addresses, service, true)?))).collect()
}

fn bind(addresses: &Addresses, service: Service, shared: bool) -> Result<TcpListener, PortError> {
    let address = addresses.of(service);
    open(address, shared).map_err(|error| PortError { service: service.name(), address, error })
}

/// The listener of the seat allocator; it is one thread's.
///
/// # Errors
/// Its port cannot be had.
pub fn grpc_listener(addresses: &Addresses) -> Result<TcpListener, PortError> {
    let address = addresses.grpc();
    waiting(|| open(address, false).map_err(|error| PortError { service: GRPC_SERVICE, address, error }))
}

/// A listening socket; `shared` lets every core of this user have one on the same port.
pub(crate) fn open(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // So that a restart need not wait for connections of its predecessor to be forgotten.
    socket.set_reuse_address(true)?;
    if shared {
        socket.set_reuse_port(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn a_port_that_is_taken_is_named() {
        // Of those that an offset leads to.
        let bind = |offset| TcpListener::bind((Ipv4Addr::LOCALHOST, Service::Query.port() + offset)).ok();
        let (offset, _taken) =
            (9_000..PORT_OFFSET_MAX).find_map(|offset| Some((offset, bind(offset)?))).unwrap();
        let addresses = Addresses { ip: Ipv4Addr::LOCALHOST.into(), offset };
        let error = claim_ports(&addresses).expect_err("the port is taken");
        assert_eq!(error.error.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn cores_share_a_port() {
        let first = open((Ipv4Addr::LOCALHOST, 0).into(), true).unwrap();
        let address = first.local_addr().unwrap();
        open(address, true).expect("a second core listens on the same port");
        let alone = open(address, false).expect_err("a claim sees that it is taken");
        assert_eq!(alone.kind(), io::ErrorKind::AddrInUse);
    }
}
