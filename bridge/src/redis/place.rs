//! The place of Redis: `REDIS_ADDR`, `REDIS_PASSWORD`, `REDIS_DB`.

use std::fmt;

use redis::{Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo};
use thiserror::Error;

const DEFAULT_PORT: u16 = 6379;

/// The place of a database. It is shown without its password.
#[derive(Clone)]
pub struct Place {
    info: ConnectionInfo,
}

/// It cannot be read. Nothing of it is repeated.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("it is written as host:port, redis://host:port or rediss://host:port")]
pub struct PlaceError;

impl Place {
    /// `address` is `host:port`, `host`, or an URL of the scheme `redis`, `rediss` (TLS) or `unix`.
    ///
    /// # Errors
    /// It is none of them.
    pub fn new(address: &str, password: Option<&str>, db: u16) -> Result<Place, PlaceError> {
        let info = match address.contains("://") {
            true => address.into_connection_info().map_err(|_| PlaceError)?,
            false => {
                let (host, port) = match address.rsplit_once(':') {
                    Some((host, port)) => (host, port.parse().map_err(|_| PlaceError)?),
                    None => (address, DEFAULT_PORT),
                };
                let host = host.trim_start_matches('[').trim_end_matches(']');
                if host.is_empty() {
                    return Err(PlaceError);
                }
                (host, port).into_connection_info().map_err(|_| PlaceError)?
            }
        };
        let mut settings = info.redis_settings().clone();
        if let Some(password) = password {
            settings = settings.set_password(password);
        }
        if db > 0 {
            settings = settings.set_db(db.into());
        }
        Ok(Place { info: info.set_redis_settings(settings) })
    }

    pub(super) fn client(&self) -> redis::RedisResult<Client> {
        Client::open(self.info.clone())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.info.addr() {
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
                write!(f, "{host}:{port}")?;
            }
            other => write!(f, "{other}")?,
        }
        write!(f, "/{}", self.info.redis_settings().db())
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_and_shown_without_the_password() {
        let check = |address: &str, expected: &str| {
            let place = Place::new(address, Some("secret"), 3).unwrap();
            assert_eq!((place.to_string(), format!("{place:?}")), (expected.to_owned(), expected.to_owned()));
        };
        check("h:6380", "h:6380/3");
        check("h", "h:6379/3");
        check("[::1]:6380", "::1:6380/3");
        check("redis://h:6380", "h:6380/3");
        check("rediss://u:secret@h:6380", "h:6380/3");
        check("unix:///run/redis.sock", "/run/redis.sock/3");
        assert_eq!(Place::new("redis://h:1/7", None, 0).unwrap().to_string(), "h:1/7");
    }

    #[test]
    fn what_is_wrong_is_not_repeated() {
        for address in ["", ":1", "h:secret", "http://secret", "redis://u:secret@h:x"] {
            let error = Place::new(address, None, 0).expect_err(address);
            assert!(!error.to_string().contains("secret"));
        }
    }
}
