//! The envelope of a batch: its operations as they are written, each to be read by itself, so that one that is bad is nobody else's trouble.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::errors::Problem;
use crate::json::read::{Field, Str, parse, request_body};
use crate::limits::BATCH_OPERATIONS_MAX;
use crate::router::Route;

request_body! {
    Envelope<'a> { operations: Elements<'a> }
}

request_body! {
    Named<'a> { op: Str<'a> }
}

/// The elements of a list, unread; one more than may be at most.
#[derive(Debug)]
pub(crate) struct Elements<'a>(Vec<&'a RawValue>);

impl<'de> Deserialize<'de> for Elements<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Elements<'de>, D::Error> {
        struct Take;
        impl<'de> Visitor<'de> for Take {
            type Value = Elements<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Elements<'de>, A::Error> {
                let mut elements = Vec::new();
                while elements.len() <= BATCH_OPERATIONS_MAX {
                    let Some(element) = seq.next_element()? else { return Ok(Elements(elements)) };
                    elements.push(element);
                }
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Elements(elements))
            }
        }
        deserializer.deserialize_seq(Take)
    }
}

impl<'de> Field<'de> for Elements<'de> {
    type Written = Elements<'de>;
}

/// The operations of a batch, as they are written.
pub(crate) fn operations(body: &[u8]) -> Result<Vec<&str>, Problem> {
    let envelope: Envelope<'_> = parse(body)?;
    let Elements(operations) = envelope.operations.ok_or_else(|| Problem::missing("operations"))?;
    if operations.len() > BATCH_OPERATIONS_MAX {
        return Err(Problem::TOO_MANY_OPERATIONS);
    }
    Ok(operations.into_iter().map(RawValue::get).collect())
}

/// The route that an operation is one of.
pub(crate) fn route(operation: &str) -> Result<Route, Problem> {
    let named: Named<'_> = parse(operation.as_bytes())?;
    Ok(match named.op.as_deref() {
        None => return Err(Problem::missing("op")),
        Some("hold") => Route::TryHold,
        Some("confirm") => Route::ConfirmHold,
        Some("release") => Route::ReleaseHold,
        Some("create") => Route::CreateOrder,
        Some("reserve") => Route::Reserve,
        Some("pay") => Route::Pay,
        Some("cancel") => Route::Cancel,
        Some("purchase") => Route::Purchase,
        Some(_) => return Err(Problem::INVALID_OPERATION),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::errors::Code;

    fn refused<T: fmt::Debug>(result: Result<T, Problem>) -> Code {
        result.expect_err("refused").code
    }

    #[test]
    fn only_the_envelope_can_make_the_whole_batch_bad() {
        let body = br#" {"x":[{}],"operations":[ {"op":"hold"} ,7,null,"x",[],{"a":{"b":[1]}}],"y":1} "#;
        let expected = [r#"{"op":"hold"}"#, "7", "null", "\"x\"", "[]", r#"{"a":{"b":[1]}}"#];
        assert_eq!(operations(body).unwrap(), expected);
        assert_eq!(operations(br#"{"operations":[]}"#).unwrap(), [""; 0]);
        assert_eq!(refused(operations(b"{}")), Code::MissingField);
        assert_eq!(refused(operations(br#"{"operations":null}"#)), Code::MissingField);
        let bad = [
            "",
            "[]",
            "{",
            r#"{"operations":{}}"#,
            r#"{"operations":1}"#,
            r#"{"operations":[1,]}"#,
            r#"{"operations":[{"op":}]}"#,
            r#"{"operations":[1]}x"#,
            r#"{"operations":[],"operations":[]}"#,
        ];
        for body in bad {
            assert_eq!(refused(operations(body.as_bytes())), Code::InvalidJson, "{body}");
        }
    }

    #[test]
    fn operations_are_counted() {
        let of = |count: usize| format!(r#"{{"operations":[{}]}}"#, vec!["1"; count].join(","));
        assert_eq!(operations(of(BATCH_OPERATIONS_MAX).as_bytes()).unwrap().len(), BATCH_OPERATIONS_MAX);
        for more in [1, 2, 1_000] {
            let body = of(BATCH_OPERATIONS_MAX + more);
            assert_eq!(refused(operations(body.as_bytes())), Code::TooManyOperations);
        }
    }

    #[test]
    fn an_operation_is_told_by_its_name() {
        assert_eq!(route(r#"{"hold_id":1,"op":"confirm"}"#), Ok(Route::ConfirmHold));
        assert_eq!(route(r#"{"\u006fp":"p\u0061y"}"#), Ok(Route::Pay));
        assert_eq!(refused(route(r#"{"op":"HOLD"}"#)), Code::InvalidOperation);
        assert_eq!(refused(route(r#"{"op":""}"#)), Code::InvalidOperation);
        assert_eq!(refused(route("{}")), Code::MissingField);
        for bad in ["7", "null", "[]", r#"{"op":7}"#, r#"{"op":"hold","op":"hold"}"#, r#"{"Op":"hold"}"#] {
            assert_eq!(refused(route(bad)), Code::InvalidJson, "{bad}");
        }
    }
}
