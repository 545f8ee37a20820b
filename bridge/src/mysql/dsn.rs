//! `MYSQL_DSN`, as Go's MySQL driver writes it: `user:password@tcp(host:port)/database?name=value&...`.

use std::fmt;
use std::str::FromStr;

use mysql_async::{OptsBuilder, SslOpts};
use thiserror::Error;

const DEFAULT_PORT: u16 = 3306;

/// The place of a database, and who connects. It is shown without its password.
#[derive(Clone, PartialEq, Eq)]
pub struct Dsn {
    user: String,
    password: Option<String>,
    address: Address,
    database: String,
    tls: Tls,
    /// Parameters that mean nothing here: those of Go's driver that say how it hands values over, and unknown ones.
    pub ignored: Vec<String>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Address {
    Tcp(String, u16),
    Unix(String),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Tls {
    Off,
    Verified,
    /// Encrypted, whoever answers.
    Unverified,
}

/// It cannot be read. What is wrong is said without repeating any of it: a password may be anywhere in what is not understood.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("{0}; it is written as user:password@tcp(host:port)/database?tls=true")]
pub struct DsnError(&'static str);

impl FromStr for Dsn {
    type Err = DsnError;

    fn from_str(text: &str) -> Result<Dsn, DsnError> {
        // A password may contain anything but the end: the last slash and the last @ before it count.
        let (before, after) = text.rsplit_once('/').ok_or(DsnError("there is no / before the database"))?;
        let (account, address) = before.rsplit_once('@').unwrap_or(("", before));
        let (user, password) = match account.split_once(':') {
            Some((user, password)) => (user, Some(password.to_owned())),
            None => (account, None),
        };
        let (database, parameters) = after.split_once('?').unwrap_or((after, ""));
        if database.is_empty() {
            return Err(DsnError("there is no database"));
        }
        let mut dsn = Dsn {
            user: user.to_owned(),
            password,
            address: address.parse()?,
            database: database.to_owned(),
            tls: Tls::Off,
            ignored: Vec::new(),
        };
        for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
            match parameter.split_once('=') {
                Some(("tls", "false")) => dsn.tls = Tls::Off,
                Some(("tls", "true")) => dsn.tls = Tls::Verified,
                Some(("tls", "skip-verify")) => dsn.tls = Tls::Unverified,
                Some(("tls", _)) => return Err(DsnError("tls is true, false or skip-verify")),
                Some((name, _)) => dsn.ignored.push(name.to_owned()),
                None => return Err(DsnError("a parameter has no value")),
            }
        }
        Ok(dsn)
    }
}

impl FromStr for Address {
    type Err = DsnError;

    fn from_str(text: &str) -> Result<Address, DsnError> {
        let (network, place) = match text.split_once('(') {
            Some((network, rest)) => {
                (network, rest.strip_suffix(')').ok_or(DsnError("the address does not end with )"))?)
            }
            None if text.is_empty() => ("tcp", "127.0.0.1"),
            None => return Err(DsnError("the address is not tcp(host:port) or unix(/path)")),
        };
        match network {
            "unix" => Ok(Address::Unix(place.to_owned())),
            "tcp" => {
                let is_whole = place.ends_with(']') || !place.contains(':');
                let (host, port) = match place.rsplit_once(':').filter(|_| !is_whole) {
                    Some((host, port)) => {
                        (host, port.parse().map_err(|_| DsnError("the port is not a number"))?)
                    }
                    None => (place, DEFAULT_PORT),
                };
                let host = host.trim_start_matches('[').trim_end_matches(']');
                if host.is_empty() {
                    return Err(DsnError("there is no host"));
                }
                Ok(Address::Tcp(host.to_owned(), port))
            }
            _ => Err(DsnError("the address is not tcp(host:port) or unix(/path)")),
        }
    }
}

impl Dsn {
    pub(super) fn options(&self) -> OptsBuilder {
        let options = OptsBuilder::default()
            .user(Some(&self.user))
            .pass(self.password.as_ref())
            .db_name(Some(&self.database))
            .prefer_socket(false);
        let options = match &self.address {
            Address::Tcp(host, port) => options.ip_or_hostname(host).tcp_port(*port),
            Address::Unix(path) => options.socket(Some(path)),
        };
        options.ssl_opts(match self.tls {
            Tls::Off => None,
            Tls::Verified => Some(SslOpts::default()),
            Tls::Unverified => Some(
                SslOpts::default()
                    .with_danger_accept_invalid_certs(true)
                    .with_danger_skip_domain_validation(true),
            ),
        })
    }
}

impl fmt::Display for Dsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.address {
            Address::Tcp(host, port) => write!(f, "{host}:{port}/{}", self.database),
            Address::Unix(path) => write!(f, "{path}/{}", self.database),
        }
    }
}

impl fmt::Debug for Dsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(user: &str, password: Option<&str>, host: &str, port: u16, tls: Tls, ignored: &[&str]) -> Dsn {
        Dsn {
            user: user.to_owned(),
            password: password.map(str::to_owned),
            address: Address::Tcp(host.to_owned(), port),
            database: "db".to_owned(),
            tls,
            ignored: ignored.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    #[test]
    fn dsns_of_gos_driver_are_read() {
        let check = |text: &str, expected: Dsn| assert_eq!(text.parse(), Ok(expected), "{text}");
        check("u:p@tcp(h:3307)/db", tcp("u", Some("p"), "h", 3307, Tls::Off, &[]));
        check("u@tcp(h)/db", tcp("u", None, "h", 3306, Tls::Off, &[]));
        check("u:@tcp([::1]:3307)/db", tcp("u", Some(""), "::1", 3307, Tls::Off, &[]));
        check("u:p@tcp([::1])/db", tcp("u", Some("p"), "::1", 3306, Tls::Off, &[]));
        check("/db", tcp("", None, "127.0.0.1", 3306, Tls::Off, &[]));
        check("u:a/b@c:d@tcp(h:1)/db", tcp("u", Some("a/b@c:d"), "h", 1, Tls::Off, &[]));
        check("u:p@tcp(h:1)/db?tls=true", tcp("u", Some("p"), "h", 1, Tls::Verified, &[]));
        let text = "u:p@tcp(h:1)/db?parseTime=true&tls=skip-verify&loc=UTC";
        check(text, tcp("u", Some("p"), "h", 1, Tls::Unverified, &["parseTime", "loc"]));
        let unix =
            Dsn { address: Address::Unix("/run/m.sock".to_owned()), ..tcp("u", None, "", 0, Tls::Off, &[]) };
        check("u@unix(/run/m.sock)/db", unix);
    }

    #[test]
    fn what_is_wrong_is_said_without_repeating_it() {
        let wrong = [
            "",
            "secret",
            "u:secret@tcp(h:1)/",
            "u:secret@tcp(h:1)",
            "u:secret@tcp(h:x)/db",
            "u:secret@tcp(h:1/db",
            "u:secret@tcp(:1)/db",
            "u:secret@udp(h:1)/db",
            "u:secret@h:1/db",
            "u:secret@tcp(h:1)/db?tls=maybe",
            "u:secret@tcp(h:1)/db?secret",
        ];
        for text in wrong {
            let error = text.parse::<Dsn>().expect_err(text);
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn it_is_shown_without_its_password() {
        let dsn: Dsn = "user:secret@tcp(h:1)/db".parse().unwrap();
        assert_eq!((dsn.to_string(), format!("{dsn:?}")), ("h:1/db".to_owned(), "h:1/db".to_owned()));
    }
}
