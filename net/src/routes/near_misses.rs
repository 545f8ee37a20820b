//! Trains and classes that are not there: the refusal names the one that could be meant.

use std::borrow::Cow;

use engine::ids::is_date;
use timetable::{Date, Timetable};

use super::inventory::HoldBody;
use super::trains::decoded;
use crate::app::{App, RequestContext};
use crate::backend::Backend;
use crate::errors::{Code, Problem};
use crate::json::read::parse;
use crate::query;

/// The same refusal, with what the timetable knows of what was asked for. Whoever mistypes a train is rare, so the request is read again.
pub(super) fn explained<B: Backend>(
    app: &App<B>,
    cx: &RequestContext<'_>,
    body: &[u8],
    problem: Problem,
) -> Problem {
    let asked = match problem.code {
        Code::TrainNotFound => cx.path.first().and_then(|train| decoded(train).ok()).map(Cow::into_owned),
        Code::PartitionNotFound => partition_key(cx, body),
        _ => None,
    };
    let detail = asked.and_then(|asked| meant(&app.backend.timetable(), &asked));
    Problem { detail: detail.or(problem.detail), ..problem }
}

fn partition_key(cx: &RequestContext<'_>, body: &[u8]) -> Option<String> {
    if let Ok(Some(key)) = query::get(cx.query, "partition_key") {
        return Some(key.into_owned());
    }
    let body: HoldBody<'_> = parse(body).ok()?;
    Some(body.partition_key?.to_string())
}

/// The reason why there is no such train, or no such partition of it.
fn meant(timetable: &Timetable, key: &str) -> Option<String> {
    let mut parts = key.splitn(3, '|');
    let train = parts.next().unwrap_or_default();
    if !timetable.has_train(train) {
        return timetable.train_like(key).map(|train| format!("the timetable has a train {train}"));
    }
    let date = parts.next()?;
    let Some(day) = is_date(date).then(|| date.parse::<Date>().ok()).flatten() else {
        return Some(format!("{date:?} is no date (YYYY-MM-DD)"));
    };
    let Some(run) = timetable.run(train, day) else {
        return Some(format!("{train} does not run on {date}, or is not on sale"));
    };
    if parts.next().is_some_and(|class| run.class(class).is_some()) {
        return None;
    }
    let classes: Vec<&str> = run.classes().iter().map(|class| &*class.name).collect();
    Some(format!("{train} has the classes {} on {date}", classes.join(", ")))
}
