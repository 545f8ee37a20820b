//! Requests of a client, and what may go wrong with them: the server is away for a moment, or answers too late. That the read model is
//! down excuses nothing but questions that it alone can answer.

use std::fmt::Display;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use super::told::Known;
use crate::crash::history::Outcome;
use crate::session::{list, text};
use crate::{Port, Response, Session, until};

/// The server between its life and its next one. Odd: it is being ended or started, and connections may break.
#[derive(Debug, Default)]
pub struct Downs(AtomicU64);

impl Downs {
    /// From here on the server may be away.
    pub fn begin(&self) {
        assert!(self.0.fetch_add(1, Ordering::SeqCst).is_multiple_of(2), "it is up");
    }

    /// It is ready again.
    pub fn end(&self) {
        assert!(!self.0.fetch_add(1, Ordering::SeqCst).is_multiple_of(2), "it was away");
    }

    fn now(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    /// True where the server was away at some time since `before`.
    fn since(&self, before: u64) -> bool {
        !before.is_multiple_of(2) || self.now() != before
    }
}

/// Answers, counted by what became of them.
#[derive(Debug, Default)]
pub struct Counts {
    /// Writes that were answered with 200.
    pub acknowledged: AtomicU64,
    /// Of them those that were operations of batches.
    pub batched: AtomicU64,
    /// Requests that were cut off because the server was ended.
    pub cut_off: AtomicU64,
    /// 408, 503 and 504 of a server that was too busy or stood still; each was sent again.
    pub late: AtomicU64,
    /// Reads that were answered.
    pub reads: AtomicU64,
    /// Questions that the read model alone can answer, and could not.
    pub unavailable: AtomicU64,
}

pub(super) fn add(count: &AtomicU64) {
    count.fetch_add(1, Ordering::SeqCst);
}

/// An answer of the read model's is needed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Needs {
    Engine,
    ReadModel,
}

/// A client's connections.
pub struct Caller<'a> {
    pub session: Session,
    pub downs: &'a Downs,
    pub counts: &'a Counts,
}

impl Caller<'_> {
    /// Sends a write once. `None`: what became of it is not known.
    pub fn write(&mut self, port: Port, path: &str, body: &Value, needs: Needs) -> Option<Outcome> {
        let body = body.to_string();
        let answer = self.once(port, "POST", path, Some(body.as_bytes()), needs)?;
        let outcome = Outcome::of(&answer)?;
        if outcome.is_ok() {
            add(&self.counts.acknowledged);
        }
        Some(outcome)
    }

    /// Sends a write until its outcome is known.
    pub fn write_until_known(&mut self, port: Port, path: &str, body: &Value, needs: Needs) -> Outcome {
        until(&format!("an outcome of {path} {body}"), || self.write(port, path, body, needs))
    }

    /// Sends operations in batches until the outcome of each is known. `before`: what was known of the order that it is about.
    pub fn batch(&mut self, operations: &[Value], before: &[Option<Known>]) -> Vec<Outcome> {
        let mut outcomes: Vec<Option<Outcome>> = vec![None; operations.len()];
        until(&format!("an outcome of all of {operations:?}"), || {
            let open: Vec<usize> = (0..operations.len()).filter(|i| outcomes[*i].is_none()).collect();
            let body = json!({"operations": open.iter().map(|i| &operations[*i]).collect::<Vec<_>>()});
            let body = body.to_string();
            let answer =
                self.once(Port::Gateway, "POST", "/v1/batch", Some(body.as_bytes()), Needs::Engine)?.ok();
            let results = list(&answer, "results");
            assert_eq!(results.len(), open.len(), "a result for each operation");
            for (i, result) in open.into_iter().zip(results) {
                outcomes[i] = Outcome::of_result(result, &operations[i]);
                match &outcomes[i] {
                    Some(outcome) if outcome.is_ok() => {
                        add(&self.counts.acknowledged);
                        add(&self.counts.batched);
                    }
                    Some(_) => {}
                    None => {
                        let needs = before[i].as_ref().map_or(Needs::Engine, Known::needs);
                        self.too_late(text(&result["body"], "code"), &operations[i], needs);
                    }
                }
            }
            outcomes.iter().all(Option::is_some).then_some(())
        });
        outcomes.into_iter().flatten().collect()
    }

    /// Reads once. `None`: there was no answer.
    pub fn read(&mut self, port: Port, path: &str, needs: Needs) -> Option<Value> {
        let answer = self.once(port, "GET", path, None, needs)?;
        add(&self.counts.reads);
        Some(answer.ok())
    }

    fn once(
        &mut self,
        port: Port,
        method: &str,
        path: &str,
        body: Option<&[u8]>,
        needs: Needs,
    ) -> Option<Response> {
        let before = self.downs.now();
        match self.session.try_call(port, method, path, &[], body) {
            Ok(answer) if [408, 503, 504].contains(&answer.status) => {
                self.too_late(text(&answer.json(), "code"), &answer.asked, needs);
                None
            }
            Ok(answer) => Some(answer),
            Err(error) => {
                self.cut_off(before, &error, path);
                None
            }
        }
    }

    fn cut_off(&self, before: u64, error: &io::Error, path: &str) {
        assert!(
            self.downs.since(before),
            "{path}: a connection broke while the server was meant to run: {error}"
        );
        add(&self.counts.cut_off);
    }

    fn too_late(&self, code: &str, asked: &dyn Display, needs: Needs) {
        match code {
            "read_model_unavailable" if needs == Needs::ReadModel => add(&self.counts.unavailable),
            "busy" | "outcome_unknown" | "timeout" | "request_timeout" | "stopping" => add(&self.counts.late),
            _ => panic!("a request fails: {asked}: {code}"),
        }
    }
}
