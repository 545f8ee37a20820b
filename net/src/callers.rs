//! Host and Origin checks: the names under which the server is called (`Host`, RFC 9112 section 3.2), and the web pages that may call it
//! (`Origin`, with CORS).
//!
//! If payments are not verified and only this machine can connect, the browser of whoever works on it can: any page it shows could
//! post payments, under the server's own address or, after its name was made to mean this machine, under the page's. Such a page
//! cannot hide its name, so there the names decide. Ports do not matter: the page would choose the right one.

use std::net::{IpAddr, Ipv6Addr};

use hyper::Version;
use hyper::header::{HOST, HeaderMap, HeaderValue, ORIGIN};
use hyper::http::request::Parts;

use crate::errors::Problem;

/// The names and pages that are served, fixed at start.
#[derive(Clone, Debug, Default)]
pub struct Callers {
    /// Names of this machine beside `localhost` and loopback addresses; `None` where any name and page is served.
    own: Option<Vec<HostName>>,
    origins: Vec<AllowedOrigin>,
}

/// The name or address of a host, without a port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HostName(String);

/// The origin of pages that may call from other sites, for example `https://shop.example:8443`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AllowedOrigin {
    /// As browsers send it: in lower case, without the port that its scheme has anyway.
    text: String,
    host: HostName,
}

impl HostName {
    /// `None` for what is no host, or has a port.
    #[must_use]
    pub fn parse(text: &str) -> Option<HostName> {
        let (host, port) = split_authority(text)?;
        (port.is_empty() && !has_wildcard(text)).then(|| HostName::of(host))
    }

    /// A trailing dot says that the name is whole; it is the same name.
    fn of(host: &str) -> HostName {
        HostName(host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase())
    }
}

impl AllowedOrigin {
    /// `None` for anything but `http` or `https`, `://`, a host and a port that may be absent.
    #[must_use]
    pub fn parse(text: &str) -> Option<AllowedOrigin> {
        let (scheme, authority) = text.split_once("://")?;
        let scheme = scheme.to_ascii_lowercase();
        let usual = match scheme.as_str() {
            "http" => "80",
            "https" => "443",
            _ => return None,
        };
        let (host, port) = split_authority(authority).filter(|(host, _)| !has_wildcard(host))?;
        let port = if port.is_empty() || port == usual { String::new() } else { format!(":{port}") };
        let text = format!("{scheme}://{}{port}", host.to_ascii_lowercase());
        Some(AllowedOrigin { text, host: HostName::of(host) })
    }
}

/// CORS headers of an answer, for the page that asked.
#[derive(Debug, Default)]
pub(crate) struct Cors {
    /// The page's origin, where it may read the answer.
    pub(crate) allowed: Option<HeaderValue>,
    /// Another origin would get another answer.
    pub(crate) varies: bool,
}

impl Callers {
    /// Everybody is served.
    #[must_use]
    pub fn any(origins: Vec<AllowedOrigin>) -> Callers {
        Callers { own: None, origins }
    }

    /// Only who calls this machine by its name is served: `localhost`, a loopback address, one of `own`, or the host of an allowed
    /// origin; and only pages of these.
    #[must_use]
    pub fn of_this_machine(own: Vec<HostName>, origins: Vec<AllowedOrigin>) -> Callers {
        Callers { own: Some(own), origins }
    }

    /// The refusal of a request, if it is refused. A route that is open is so to every name and page.
    pub(crate) fn refusal(&self, head: &Parts, is_open: bool) -> Option<Problem> {
        let mut named: Option<&HeaderValue> = None;
        let mut is_foreign_page = false;
        // One walk: requests have few headers, and looking each up would hash its name.
        for (name, value) in &head.headers {
            if name == HOST {
                if named.replace(value).is_some() {
                    return Some(Problem::INVALID_HOST);
                }
            } else if name == ORIGIN {
                is_foreign_page |= self.own.is_some() && !self.is_own_page(value);
            }
        }
        let host = match named {
            Some(value) => match value.to_str().ok().and_then(split_authority) {
                Some((host, _)) => Some(host),
                None => return Some(Problem::INVALID_HOST),
            },
            None if head.version <= Version::HTTP_10 => None,
            None => return Some(Problem::INVALID_HOST),
        };
        // A target with a host of its own goes before the header.
        let host = match head.uri.authority() {
            Some(authority) => match split_authority(authority.as_str()) {
                Some((host, _)) => Some(host),
                None => return Some(Problem::INVALID_HOST),
            },
            None => host,
        };
        let is_foreign = is_foreign_page || host.is_some_and(|host| !self.is_own(host));
        (is_foreign && !is_open).then_some(Problem::FOREIGN_ORIGIN)
    }

    /// For the answer to a request of these headers.
    pub(crate) fn cors(&self, headers: &HeaderMap) -> Cors {
        if self.origins.is_empty() {
            return Cors::default();
        }
        let mut given = headers.get_all(ORIGIN).iter();
        let page = given.next().filter(|_| given.next().is_none());
        let is_allowed = |page: &&HeaderValue| {
            self.origins.iter().any(|origin| page.as_bytes().eq_ignore_ascii_case(origin.text.as_bytes()))
        };
        Cors { allowed: page.filter(is_allowed).cloned(), varies: true }
    }

    fn is_own_page(&self, origin: &HeaderValue) -> bool {
        let authority = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
        let host = authority.and_then(|(_, authority)| split_authority(authority));
        host.is_some_and(|(host, _)| self.is_own(host))
    }

    fn is_own(&self, host: &str) -> bool {
        let Some(own) = &self.own else { return true };
        let host = host.strip_suffix('.').unwrap_or(host);
        let configured = self.origins.iter().map(|origin| &origin.host);
        is_loopback(host) || own.iter().chain(configured).any(|known| known.0.eq_ignore_ascii_case(host))
    }
}

/// To the grammar it is a letter like others, and who configures it means more.
fn has_wildcard(host: &str) -> bool {
    host.contains('*')
}

/// `localhost`, a name below it, or an address that only this machine has.
fn is_loopback(host: &str) -> bool {
    const NAME: &str = "localhost";
    let (above, last) = host.split_at_checked(host.len().saturating_sub(NAME.len())).unwrap_or(("", ""));
    if last.eq_ignore_ascii_case(NAME) && (above.is_empty() || above.ends_with('.')) {
        return true;
    }
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    address.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

/// Host and port of an authority (RFC 3986, section 3.2) without user information. The port is empty where there is none.
fn split_authority(text: &str) -> Option<(&str, &str)> {
    let end = match text.strip_prefix('[') {
        Some(address) => address.find(']')? + 2,
        None => text.find(':').unwrap_or(text.len()),
    };
    let (host, port) = text.split_at(end);
    let port = if port.is_empty() { port } else { port.strip_prefix(':')? };
    let port_fits =
        port.bytes().all(|b| b.is_ascii_digit()) && (port.is_empty() || port.parse::<u16>().is_ok());
    let host_fits = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => is_registered_name(host.as_bytes()),
    };
    (port_fits && host_fits).then_some((host, port))
}

/// An address of version 4 is one as well, to its grammar.
fn is_registered_name(mut name: &[u8]) -> bool {
    if name.is_empty() {
        return false;
    }
    loop {
        name = match name {
            [] => return true,
            [b'%', high, low, rest @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => rest,
            [byte, rest @ ..] if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(byte) => rest,
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::*;

    fn head(version: Version, target: &str, headers: &[(&str, &str)]) -> Parts {
        let request = Request::builder().version(version).uri(target);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        request.body(()).unwrap().into_parts().0
    }

    fn machine() -> Callers {
        Callers::of_this_machine(
            vec![HostName::parse("build-7").unwrap(), HostName::parse("Proxy.Example.").unwrap()],
            vec![AllowedOrigin::parse("https://Shop.example:8443").unwrap()],
        )
    }

    fn check(callers: &Callers, headers: &[(&str, &str)], expected: Option<Problem>) {
        assert_eq!(
            callers.refusal(&head(Version::HTTP_11, "/orders", headers), false),
            expected,
            "{headers:?}"
        );
    }

    #[test]
    fn a_host_that_is_missing_repeated_or_malformed_is_refused() {
        for callers in [Callers::default(), machine()] {
            check(&callers, &[], Some(Problem::INVALID_HOST));
            check(&callers, &[("host", "localhost"), ("host", "localhost")], Some(Problem::INVALID_HOST));
            for bad in [
                "", " ", "a b", "a,\u{e9}", "a/b", "user@a", "a:b", "a:1:2", ":80", "a:65536", "[::1", "[]",
                "[g::1]", "::1", "[::1]x", "a%2", "a%zz", "http://a", "a?b", "a#b", "\"a\"",
            ] {
                let headers = HeaderValue::from_bytes(bad.as_bytes()).unwrap();
                let mut head = head(Version::HTTP_11, "/", &[]);
                head.headers.insert(HOST, headers);
                assert_eq!(callers.refusal(&head, true), Some(Problem::INVALID_HOST), "{bad:?}");
            }
            for good in
                ["localhost", "LOCALHOST:8081", "localhost:", "127.0.0.1:1", "[::1]:8080", "localhost."]
            {
                check(&callers, &[("host", good)], None);
            }
        }
    }

    #[test]
    fn an_old_client_may_leave_the_host_out() {
        for version in [Version::HTTP_09, Version::HTTP_10] {
            assert_eq!(machine().refusal(&head(version, "/", &[]), false), None);
        }
        let named = head(Version::HTTP_10, "/", &[("host", "evil.example")]);
        assert_eq!(machine().refusal(&named, false), Some(Problem::FOREIGN_ORIGIN));
    }

    #[test]
    fn a_whole_target_names_the_host() {
        let refusal =
            |target, host| machine().refusal(&head(Version::HTTP_11, target, &[("host", host)]), false);
        assert_eq!(refusal("http://localhost:8080/orders", "evil.example"), None);
        assert_eq!(refusal("http://evil.example/orders", "localhost"), Some(Problem::FOREIGN_ORIGIN));
        assert_eq!(refusal("http://a@localhost/orders", "localhost"), Some(Problem::INVALID_HOST));
        assert_eq!(refusal("http://localhost/orders", "a b"), Some(Problem::INVALID_HOST));
    }

    #[test]
    fn names_of_this_machine_and_configured_ones_are_its_own() {
        for own in [
            "localhost",
            "api.localhost:9",
            "127.8.9.1",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "BUILD-7:1",
            "proxy.example",
            "proxy.example.",
            "shop.example",
        ] {
            check(&machine(), &[("host", own)], None);
        }
        for foreign in [
            "evil.example",
            "notlocalhost",
            "localhost.evil.example",
            "128.0.0.1",
            "0.0.0.0",
            "[::]",
            "[fe80::1]",
            "127.0.0.1.evil.example",
            "build-7.evil.example",
            "%6cocalhost",
        ] {
            check(&machine(), &[("host", foreign)], Some(Problem::FOREIGN_ORIGIN));
            check(&Callers::default(), &[("host", foreign)], None);
            let open = head(Version::HTTP_11, "/healthz", &[("host", foreign)]);
            assert_eq!(machine().refusal(&open, true), None, "{foreign}");
        }
    }

    #[test]
    fn pages_of_others_are_foreign() {
        for own in
            ["http://localhost:3000", "https://127.0.0.1", "https://shop.example:8443", "http://shop.example"]
        {
            check(&machine(), &[("host", "localhost"), ("origin", own)], None);
        }
        for foreign in
            ["null", "", "https://evil.example", "https://localhost.evil.example", "localhost", "file://"]
        {
            let headers = [("host", "localhost"), ("origin", foreign)];
            check(&machine(), &headers, Some(Problem::FOREIGN_ORIGIN));
            check(&Callers::default(), &headers, None);
        }
        let two = [("host", "localhost"), ("origin", "http://localhost"), ("origin", "https://evil.example")];
        check(&machine(), &two, Some(Problem::FOREIGN_ORIGIN));
    }

    #[test]
    fn only_allowed_origins_read_across_sites() {
        for callers in [machine(), Callers::any(machine().origins)] {
            let allowed = |origin: &str| {
                let cors = callers.cors(&head(Version::HTTP_11, "/", &[("origin", origin)]).headers);
                assert!(cors.varies, "{origin}");
                cors.allowed.is_some()
            };
            assert!(allowed("https://shop.example:8443") && allowed("https://SHOP.example:8443"));
            for other in ["https://shop.example", "http://shop.example:8443", "http://localhost", "null"] {
                assert!(!allowed(other), "{other}");
            }
        }
        assert!(!Callers::default().cors(&HeaderMap::new()).varies);
    }

    #[test]
    fn an_allowed_origin_is_kept_as_browsers_send_it() {
        for (given, kept) in [
            ("https://Shop.example:8443", Some("https://shop.example:8443")),
            ("HTTPS://shop.example:443", Some("https://shop.example")),
            ("http://[::1]:80", Some("http://[::1]")),
            ("shop.example", None),
            ("ftp://shop.example", None),
            ("https://shop.example/", None),
            ("https://*.example", None),
            ("https://a@shop.example", None),
            ("https://", None),
            ("null", None),
            ("*", None),
        ] {
            assert_eq!(AllowedOrigin::parse(given).map(|origin| origin.text).as_deref(), kept, "{given}");
        }
    }
}
