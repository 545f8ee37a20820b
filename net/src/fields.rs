//! Fields of requests, validated: from a client's text or number to the engine's type, or the refusal that names the fault.

use std::borrow::Cow;

use engine::Span;
use engine::answer::Rejection;
use engine::command::AdHoc;
use engine::ids::{IdError, OrderId, OrderName, Time};
use engine::limits::{AD_HOC_CAPACITY_MAX, QUANTITY_MAX};

use crate::errors::Problem;
use crate::json::cursor::Cursor;
use crate::json::read::Str;
use crate::json::time;
use crate::query;
use crate::router::RouteSpec;

type Parse<T> = fn(&str) -> Result<T, IdError>;

/// An id that has to be there.
pub(crate) fn required<T>(name: &str, text: Option<&str>, parse: Parse<T>) -> Result<T, Problem> {
    match text {
        None | Some("") => Err(Problem::missing(name)),
        Some(text) => id(name, text, parse),
    }
}

/// An id that may be absent.
pub(crate) fn optional<T>(name: &str, text: Option<&str>, parse: Parse<T>) -> Result<Option<T>, Problem> {
    text.map(|text| id(name, text, parse)).transpose()
}

/// A text of reserve, pay or cancel, whose callers may write blanks around it; nothing else is as good as absent. Other routes
/// refuse outer blanks.
pub(crate) fn trimmed<'t>(text: &'t Option<Str<'_>>) -> Option<&'t str> {
    text.as_deref().map(str::trim).filter(|text| !text.is_empty())
}

/// An id that is there.
pub(crate) fn id<T>(name: &str, text: &str, parse: Parse<T>) -> Result<T, Problem> {
    parse(text).map_err(|error| Problem::invalid_id(name, error))
}

/// An order id that only an order of ours can have. What has not the shape of one names no order.
pub(crate) fn order(route: &RouteSpec, text: Option<&str>) -> Result<OrderId, Problem> {
    let name = required("order_id", text, OrderName::parse)?;
    OrderId::parse(name.as_str()).ok_or_else(|| route.rejected(Rejection::OrderNotFound))
}

/// An amount of money, in cents.
pub(crate) fn amount(given: Option<i64>) -> Result<i64, Problem> {
    given.filter(|amount| *amount > 0).ok_or(Problem::INVALID_AMOUNT)
}

/// A quantity that is given.
pub(crate) fn quantity(given: i64) -> Result<u32, Problem> {
    match u32::try_from(given) {
        Ok(quantity @ 1..=QUANTITY_MAX) => Ok(quantity),
        _ => Err(Problem::INVALID_QUANTITY),
    }
}

/// The shape of an ad hoc partition; no capacity, or 0, is the default.
pub(crate) fn ad_hoc(given: Option<i64>, default: u32, segments: u16) -> Result<AdHoc, Problem> {
    let capacity = match given.unwrap_or(0) {
        0 => default,
        given => match u32::try_from(given) {
            Ok(capacity @ 1..=AD_HOC_CAPACITY_MAX) => capacity,
            _ => return Err(Problem::INVALID_CAPACITY),
        },
    };
    Ok(AdHoc { capacity, segments })
}

/// A span; none where neither end is given.
pub(crate) fn span(from: Option<i64>, to: Option<i64>) -> Result<Option<Span>, Problem> {
    let (from, to) = match (from, to) {
        (None, None) => return Ok(None),
        (Some(from), Some(to)) => (from, to),
        (Some(_), None) | (None, Some(_)) => return Err(Problem::HALF_A_SPAN),
    };
    let ends = u16::try_from(from).ok().zip(u16::try_from(to).ok());
    let span = ends.and_then(|(from, to)| Span::new(from, to));
    span.map(Some).ok_or(Problem::INVALID_SPAN)
}

/// A span in a query.
pub(crate) fn query_span(query: Option<&str>) -> Result<Option<Span>, Problem> {
    let index = |name| {
        let text = crate::query::get(query, name)?;
        let number = text.map(|text| text.parse::<i64>()).transpose();
        number.map_err(|_| Problem::INVALID_SPAN)
    };
    span(index("from_index")?, index("to_index")?)
}

/// The value of `name` in a query; an empty text is as good as absent.
pub(crate) fn given<'q>(query: Option<&'q str>, name: &str) -> Result<Option<Cow<'q, str>>, Problem> {
    Ok(query::get(query, name)?.filter(|text| !text.is_empty()))
}

/// An id that a query may give.
pub(crate) fn query_id<T>(query: Option<&str>, name: &str, parse: Parse<T>) -> Result<Option<T>, Problem> {
    given(query, name)?.map(|text| id(name, &text, parse)).transpose()
}

/// A time that a query may give, as RFC 3339 writes it. A part of a millisecond counts as a whole one: nothing has a time in between.
pub(crate) fn query_time(query: Option<&str>, name: &str) -> Result<Option<Time>, Problem> {
    let parse = |text: Cow<'_, str>| time::parse(&text).ok_or_else(|| Problem::invalid_time(name));
    given(query, name)?.map(parse).transpose()
}

/// The place behind which a page begins; none for the first page.
pub(crate) fn after<C: Cursor>(query: Option<&str>) -> Result<Option<C>, Problem> {
    let parse = |text: Cow<'_, str>| C::parse(&text).ok_or(Problem::INVALID_CURSOR);
    given(query, "after")?.map(parse).transpose()
}

/// Page size: `default` if the query does not say. More than `max` is refused.
pub(crate) fn limit_within(query: Option<&str>, default: usize, max: usize) -> Result<usize, Problem> {
    match given(query, "limit")?.map(|text| text.parse::<usize>()) {
        None => Ok(default),
        Some(Ok(limit)) if (1..=max).contains(&limit) => Ok(limit),
        Some(_) => Err(Problem::INVALID_LIMIT),
    }
}

/// Page size: `default` if the query does not say, never more than `max`.
pub(crate) fn limit(query: Option<&str>, default: usize, max: usize) -> Result<usize, Problem> {
    match crate::query::get(query, "limit")? {
        None => Ok(default),
        Some(text) => match text.parse::<usize>() {
            Ok(limit @ 1..) => Ok(limit.min(max)),
            _ => Err(Problem::INVALID_LIMIT),
        },
    }
}

#[cfg(test)]
mod tests {
    use engine::ids::HoldId;

    use super::*;

    fn text<T>(result: Result<T, Problem>) -> Option<String> {
        result.err().map(|problem| problem.text.into_owned())
    }

    #[test]
    fn an_id_says_what_is_wrong_with_it() {
        let check = |given: Option<&str>, expected: Option<&str>| {
            let result = required("hold_id", given, HoldId::parse);
            assert_eq!(text(result).as_deref(), expected, "{given:?}");
        };
        check(Some("a"), None);
        check(Some(&"x".repeat(128)), None);
        check(None, Some("hold_id is required"));
        check(Some(""), Some("hold_id is required"));
        check(Some(" a"), Some("hold_id begins or ends with a blank"));
        check(Some("a\u{a0}"), Some("hold_id begins or ends with a blank"));
        check(Some("a\u{7f}b"), Some("hold_id contains a control character"));
        check(Some(&"x".repeat(129)), Some("hold_id is too long"));
        let empty = optional("hold_id", Some(""), HoldId::parse);
        assert_eq!(text(empty).as_deref(), Some("hold_id is empty"));
    }

    #[test]
    fn quantities_and_capacities_have_bounds() {
        for (given, good) in
            [(1, true), (2_000, true), (0, false), (-1, false), (2_001, false), (i64::MAX, false)]
        {
            assert_eq!(quantity(given).is_ok(), good, "{given}");
        }
        let capacity = |given| ad_hoc(given, 100, 1).map(|ad_hoc| ad_hoc.capacity).ok();
        assert_eq!(capacity(None), Some(100));
        assert_eq!(capacity(Some(0)), Some(100));
        assert_eq!(capacity(Some(100_000)), Some(100_000));
        assert_eq!(capacity(Some(100_001)), None);
        assert_eq!(capacity(Some(-1)), None);
        assert_eq!(capacity(Some(i64::MIN)), None);
    }

    #[test]
    fn spans_have_both_ends_in_order() {
        let check = |from, to, expected: Result<Option<(u16, u16)>, ()>| {
            let got = span(from, to).map(|span| span.map(|span| (span.from(), span.to()))).map_err(|_| ());
            assert_eq!(got, expected, "{from:?}..{to:?}");
        };
        check(None, None, Ok(None));
        check(Some(0), Some(1), Ok(Some((0, 1))));
        check(Some(0), None, Err(()));
        check(None, Some(1), Err(()));
        check(Some(1), Some(1), Err(()));
        check(Some(2), Some(1), Err(()));
        check(Some(-1), Some(1), Err(()));
        check(Some(0), Some(65_536), Err(()));
    }
}
