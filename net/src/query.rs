//! Query strings and percent signs.

use std::borrow::Cow;

use crate::errors::Problem;

/// The first value that `query` has for `name`, decoded.
pub(crate) fn get<'q>(query: Option<&'q str>, name: &str) -> Result<Option<Cow<'q, str>>, Problem> {
    for pair in query.unwrap_or("").split('&') {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if decode(key, true).ok_or(Problem::INVALID_QUERY)? == name {
            return decode(value, true).ok_or(Problem::INVALID_QUERY).map(Some);
        }
    }
    Ok(None)
}

/// Undoes percent-encoding; `None` where it is malformed or yields what is not UTF-8. In a query `+` is a blank.
pub(crate) fn decode(text: &str, in_query: bool) -> Option<Cow<'_, str>> {
    if !text.bytes().any(|byte| byte == b'%' || (in_query && byte == b'+')) {
        return Some(Cow::Borrowed(text));
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => digit(bytes.next()?)? * 16 + digit(bytes.next()?)?,
            b'+' if in_query => b' ',
            byte => byte,
        });
    }
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(query: &str, name: &str, expected: Result<Option<&str>, ()>) {
        let got = get(Some(query), name);
        let got = got.as_ref().map(|value| value.as_deref()).map_err(|_| ());
        assert_eq!(got, expected, "{query:?} {name:?}");
    }

    #[test]
    fn values_are_decoded() {
        check("partition_key=G1%7C2026-02-11%7c2nd", "partition_key", Ok(Some("G1|2026-02-11|2nd")));
        check("partition_key=G1|2nd", "partition_key", Ok(Some("G1|2nd")));
        check("q=%E7%81%AB+%2B", "q", Ok(Some("火 +")));
        check("a=1&b=2&a=3", "a", Ok(Some("1")));
        check("a=b=c", "a", Ok(Some("b=c")));
        check("a&b=", "a", Ok(Some("")));
        check("A=1", "a", Ok(None));
        check("%61=1", "a", Ok(Some("1")));
        check("", "a", Ok(None));
    }

    #[test]
    fn what_is_malformed_is_an_error() {
        for query in ["a=%", "a=%2", "a=%zz", "a=%ff", "a=%+1", "%=1&a=1"] {
            check(query, "a", Err(()));
        }
    }

    #[test]
    fn a_plus_is_a_blank_only_in_queries() {
        assert_eq!(decode("D1%2FD2+", false).as_deref(), Some("D1/D2+"));
    }
}
