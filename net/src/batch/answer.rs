//! The answer of a batch: the results of its operations in the order of the list, in whatever order they become known.

use std::ops::Range;

use engine::answer::Answer as EngineAnswer;
use hyper::StatusCode;

use crate::errors::Problem;
use crate::json::views;
use crate::json::write::object;

const HEAD: &[u8] = b"{\"results\":[";
const TAIL: &[u8] = b"]}\n";

/// Results as they are written: [`put`](Results::put) each once, then take [`whole`](Results::whole).
#[derive(Debug)]
pub(crate) struct Results {
    written: Vec<u8>,
    places: Vec<Range<usize>>,
}

impl Results {
    pub(crate) fn new(operations: usize) -> Results {
        Results { written: HEAD.to_vec(), places: vec![0..0; operations] }
    }

    /// Bytes of all results so far.
    pub(crate) fn bytes(&self) -> usize {
        self.written.len()
    }

    pub(crate) fn put(&mut self, nth: usize, result: Result<&EngineAnswer, &Problem>) {
        let status = result.map_or_else(|problem| problem.status, |_| StatusCode::OK);
        self.write(nth, |out| {
            object(out, |o| {
                o.number("status", status.as_u16());
                o.object("body", |o| match result {
                    Ok(EngineAnswer::Partition(view)) => views::state_fields(o, view),
                    Ok(EngineAnswer::Order(view)) => views::order_fields(o, view),
                    Ok(_) => Problem::INTERNAL.fields(o),
                    Err(problem) => problem.fields(o),
                });
            });
        });
    }

    /// A result whose body is written already.
    pub(crate) fn put_written(&mut self, nth: usize, status: StatusCode, body: &[u8]) {
        self.write(nth, |out| {
            object(out, |o| {
                o.number("status", status.as_u16());
                o.raw("body", body.trim_ascii_end());
            });
        });
    }

    fn write(&mut self, nth: usize, write: impl FnOnce(&mut Vec<u8>)) {
        debug_assert!(self.places[nth].is_empty(), "an operation has one result");
        if self.written.len() > HEAD.len() {
            self.written.push(b',');
        }
        let begin = self.written.len();
        write(&mut self.written);
        self.places[nth] = begin..self.written.len();
    }

    /// The body of the answer.
    pub(crate) fn whole(self) -> Vec<u8> {
        debug_assert!(self.places.iter().all(|place| !place.is_empty()), "every operation has a result");
        let is_ordered = self.places.is_sorted_by_key(|place| place.start);
        let mut out = if is_ordered {
            self.written
        } else {
            let mut out = Vec::with_capacity(self.written.len() + TAIL.len());
            out.extend_from_slice(HEAD);
            for (nth, place) in self.places.into_iter().enumerate() {
                if nth > 0 {
                    out.push(b',');
                }
                out.extend_from_slice(&self.written[place]);
            }
            out
        };
        out.extend_from_slice(TAIL);
        out
    }
}

#[cfg(test)]
mod tests {
    use engine::ids::PartitionKey;

    use super::*;

    fn text(results: Results) -> String {
        String::from_utf8(results.whole()).unwrap()
    }

    #[test]
    fn results_stand_in_the_order_of_the_list() {
        assert_eq!(text(Results::new(0)), "{\"results\":[]}\n");
        let expected = concat!(
            r#"{"results":[{"status":404,"body":{"error":"not found","code":"not_found"}},{"status":200,"body":{"a":1}},"#,
            r#"{"status":500,"body":{"error":"internal error","code":"internal"}}]}"#,
            "\n"
        );
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let mut results = Results::new(3);
            for nth in order {
                match nth {
                    0 => results.put(0, Err(&Problem::NOT_FOUND)),
                    1 => results.put_written(1, StatusCode::OK, b"{\"a\":1}\n"),
                    _ => results.put(2, Err(&Problem::INTERNAL)),
                }
            }
            assert_eq!(text(results), expected);
        }
        let mut odd = Results::new(1);
        let partition = PartitionKey::parse("p").unwrap();
        odd.put(0, Ok(&EngineAnswer::Availability { partition, available: 1 }));
        assert!(text(odd).contains("internal"));
    }
}
