//! `interlock health`: whether the server of these settings is ready, asked over HTTP as a load balancer would. For where there is no other
//! client: a container with nothing but the program in it.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use net::{Addresses, Service};

use crate::config::Config;
use crate::log_tools::say;

/// A server that says nothing for so long is not ready.
const TIMEOUT: Duration = Duration::from_secs(3);
/// Bytes that are read of an answer: its beginning tells.
const ANSWER_BYTES_MAX: u64 = 4_096;

/// Asks the order service: it sells whether MySQL, Redis and Kafka are there or not.
///
/// # Errors
/// It does not answer, or is not ready.
pub(crate) fn ask(config: &Config) -> Result<(), Box<dyn std::error::Error>> {
    let addresses = Addresses { ip: config.listen, offset: config.port_offset };
    let address = reachable(addresses.of(Service::Orders));
    let failed = |error: std::io::Error| format!("{address} does not answer: {error}");
    let answer = get(address).map_err(failed)?;
    let status = answer.split(' ').nth(1).unwrap_or_default();
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body.trim_end());
    if status == "200" {
        say(&format!("{body}\n"))
    } else {
        Err(format!("not ready: {status} {body}").into())
    }
}

fn get(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let host = if address.is_ipv6() { "[::1]" } else { "localhost" };
    stream
        .write_all(format!("GET /readyz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").as_bytes())?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// One that listens on every address is asked on its own.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}
