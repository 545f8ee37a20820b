//! Requests: objects whose fields are told by their exact names.
//!
//! Unknown fields are skipped by JSON's grammar alone, without recursion: a number that no type holds, half of a surrogate pair or a
//! deep nest in them never makes a request bad. `null` is the same as absent. Anything else that is off is the same error: a
//! document that is not UTF-8 or not an object, a wrong type, a field that comes twice, bytes behind the document.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

use crate::errors::Problem;

/// A string, borrowed from the body where it has no escapes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Str<'a>(Cow<'a, str>);

impl Deref for Str<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Str<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Str<'de>, D::Error> {
        struct Take;
        impl<'de> Visitor<'de> for Take {
            type Value = Str<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Str<'de>, E> {
                Ok(Str(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Str<'de>, E> {
                Ok(Str(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Take)
    }
}

/// The name of a field, of which nobody has to make sense: one that is no Unicode text (half of a surrogate pair) is no known one's.
pub(crate) struct Name<'a>(Cow<'a, [u8]>);

impl Name<'_> {
    /// Empty where it is no text.
    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Name<'de>, D::Error> {
        struct Take;
        impl<'de> Visitor<'de> for Take {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_borrowed_bytes<E: Error>(self, name: &'de [u8]) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(name)))
            }

            fn visit_bytes<E: Error>(self, name: &[u8]) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(name.to_owned())))
            }
        }
        // As bytes: read as a string, half of a surrogate pair would make the document bad.
        deserializer.deserialize_bytes(Take)
    }
}

/// A type that a field may have, and how it is read.
pub(crate) trait Field<'de>: Sized {
    type Written: Deserialize<'de> + Into<Self>;
}

impl<'de> Field<'de> for Str<'de> {
    type Written = Str<'de>;
}

impl<'de> Field<'de> for i64 {
    type Written = Integer;
}

/// An integer as JSON writes it, `-0` included: no point, no exponent.
pub(crate) struct Integer(i64);

impl From<Integer> for i64 {
    fn from(integer: Integer) -> i64 {
        integer.0
    }
}

impl<'de> Deserialize<'de> for Integer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Integer, D::Error> {
        // Read as an `i64`, `-0` would be the float that it is to the parser, and `-0.0` the same one.
        let written = <&serde_json::value::RawValue>::deserialize(deserializer)?;
        written.get().parse().map(Integer).map_err(D::Error::custom)
    }
}

/// Declares what a route reads: a struct of optional fields under the names that they have in JSON.
macro_rules! request_body {
    ($(#[$doc:meta])* $name:ident<$a:lifetime> { $($field:ident: $type:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub(crate) struct $name<$a> {
            $(pub(crate) $field: Option<$type>,)*
        }

        impl<$a> serde::Deserialize<$a> for $name<$a> {
            fn deserialize<D: serde::Deserializer<$a>>(deserializer: D) -> Result<Self, D::Error> {
                struct Take;
                impl<$a> serde::de::Visitor<$a> for Take {
                    type Value = $name<$a>;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("an object")
                    }

                    fn visit_map<A: serde::de::MapAccess<$a>>(self, mut map: A) -> Result<$name<$a>, A::Error> {
                        $(let mut $field: Option<Option<$type>> = None;)*
                        while let Some(key) = map.next_key::<$crate::json::read::Name<$a>>()? {
                            match key.as_str() {
                                $(stringify!($field) => {
                                    let written: Option<<$type as $crate::json::read::Field<$a>>::Written> = map.next_value()?;
                                    if $field.replace(written.map(Into::into)).is_some() {
                                        return Err(serde::de::Error::duplicate_field(stringify!($field)));
                                    }
                                })*
                                other => {
                                    $(if other.eq_ignore_ascii_case(stringify!($field)) {
                                        return Err(serde::de::Error::unknown_field(other, &[stringify!($field)]));
                                    })*
                                    map.next_value::<serde::de::IgnoredAny>()?;
                                }
                            }
                        }
                        Ok($name { $($field: $field.flatten(),)* })
                    }
                }
                deserializer.deserialize_map(Take)
            }
        }
    };
}
pub(crate) use request_body;

/// Reads a body.
pub(crate) fn parse<'b, T: Deserialize<'b>>(body: &'b [u8]) -> Result<T, Problem> {
    let text = std::str::from_utf8(body).map_err(|_| Problem::INVALID_JSON)?;
    serde_json::from_str(text).map_err(|_| Problem::INVALID_JSON)
}

#[cfg(test)]
mod tests {
    use super::*;

    request_body! {
        Sample<'a> { name: Str<'a>, count: i64 }
    }

    fn check(body: &str, expected: Option<(Option<&str>, Option<i64>)>) {
        let read = parse::<Sample<'_>>(body.as_bytes()).ok();
        let read = read.as_ref().map(|sample| (sample.name.as_deref(), sample.count));
        assert_eq!(read, expected, "{body:?}");
    }

    fn refuse(body: &str) {
        check(body, None);
    }

    #[test]
    fn fields_are_told_by_their_exact_names() {
        check(r#"{"name":"a","count":-3}"#, Some((Some("a"), Some(-3))));
        check(" \n{ \"count\" : 9223372036854775807 }\t", Some((None, Some(i64::MAX))));
        check(r#"{"name":null,"count":null}"#, Some((None, None)));
        check("{}", Some((None, None)));
        // Another case is a slip, and ignoring it would leave out what the caller asked for.
        refuse(r#"{"Name":"a"}"#);
        refuse(r#"{"name":"a","COUNT":1}"#);
        check(r#"{"na\u006de":"\u00e9\n"}"#, Some((Some("é\n"), None)));
    }

    #[test]
    fn unknown_fields_are_ignored_whatever_they_hold() {
        let value = r#"[1,-1,1.5e3,true,null,"x",{"a":[{}]},18446744073709551615]"#;
        check(&format!(r#"{{"x":{value},"count":1,"x":2}}"#), Some((None, Some(1))));
        for value in [r#""\ud83d""#, "1e400", "-1e-400", r#"{"a":1,"a":2}"#, &"9".repeat(1_000)] {
            check(&format!(r#"{{"x":{value},"count":1}}"#), Some((None, Some(1))));
        }
        // Its name is skipped like the rest.
        for name in [r"\ud83d", r"\udc00 x", r"count\ud800", r"\u0000"] {
            check(&format!(r#"{{"{name}":[1],"count":1}}"#), Some((None, Some(1))));
        }
        refuse(r#"{"\ud8":1}"#);
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let value = format!("{}1{}", open.repeat(200_000), close.repeat(200_000));
            check(&format!(r#"{{"x":{value},"count":1}}"#), Some((None, Some(1))));
        }
    }

    #[test]
    fn an_unknown_field_that_breaks_the_grammar_is_refused() {
        for value in
            ["01", "1.", "+1", "nul", "\"\t\"", r#""\x""#, r#""\u12""#, "[1,]", "{\"a\"}", "[}", "'a'"]
        {
            refuse(&format!(r#"{{"x":{value},"count":1}}"#));
        }
    }

    #[test]
    fn a_minus_before_a_zero_is_an_integer_still() {
        check(r#"{"count":-0}"#, Some((None, Some(0))));
        check("{\"count\":\n-0 }", Some((None, Some(0))));
        for value in ["-0.0", "-0e0", "-00", "-", "+0", "- 0"] {
            refuse(&format!(r#"{{"count":{value}}}"#));
        }
    }

    #[test]
    fn what_is_no_document_is_refused() {
        for body in
            ["", " ", "nul", "{", "}", r#"{"count"}"#, r#"{"count":}"#, r#"{"count":1,}"#, "{'count':1}"]
        {
            refuse(body);
        }
        let whole = r#"{"name":"a","count":12}"#;
        for end in 0..whole.len() {
            refuse(&whole[..end]);
        }
    }

    #[test]
    fn bytes_behind_the_document_are_refused() {
        for rest in ["x", "{}", ",", "null", "\0", "//"] {
            refuse(&format!(r#"{{"count":1}}{rest}"#));
        }
    }

    #[test]
    fn wrong_types_are_refused() {
        for body in ["null", "1", "true", r#""x""#, "[]", r#"["a",1]"#] {
            refuse(body);
        }
        for value in
            ["1.0", "1e2", "\"1\"", "true", "[]", "{}", "9223372036854775808", "-9223372036854775809"]
        {
            refuse(&format!(r#"{{"count":{value}}}"#));
        }
        for value in ["1", "true", "[]", "{}"] {
            refuse(&format!(r#"{{"name":{value}}}"#));
        }
    }

    #[test]
    fn a_field_that_comes_twice_is_refused() {
        refuse(r#"{"count":1,"count":1}"#);
        refuse(r#"{"count":null,"count":1}"#);
        refuse(r#"{"name":"a","na\u006de":"b"}"#);
    }

    #[test]
    fn deep_nests_that_are_read_or_do_not_end_are_refused() {
        for depth in [200, 10_000] {
            refuse(&"[".repeat(depth));
            refuse(&"{\"a\":".repeat(depth));
            refuse(&format!(r#"{{"x":{}"#, "[".repeat(depth)));
            refuse(&format!(r#"{{"name":{}{}}}"#, "[".repeat(depth), "]".repeat(depth)));
        }
    }

    #[test]
    fn what_is_not_utf8_is_refused() {
        assert!(parse::<Sample<'_>>(b"{\"name\":\"\xff\"}").is_err());
        assert!(parse::<Sample<'_>>(b"{\"x\":\"\xff\"}").is_err());
        refuse(r#"{"name":"\ud800"}"#);
    }
}
