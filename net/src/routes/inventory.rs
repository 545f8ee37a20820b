//! Holds and availability.

use engine::answer::Answer as Engine;
use engine::command::{Command, HoldRef, TryHold};
use engine::ids::{HoldId, PartitionKey};

use crate::app::{App, RequestContext};
use crate::backend::Backend;
use crate::errors::Problem;
use crate::fields;
use crate::json::read::{Str, parse, request_body};
use crate::json::views;
use crate::query;
use crate::reply::{Answer, Outcome};
use crate::router::Route;

request_body! {
    TryHoldBody<'a> {
        partition_key: Str<'a>,
        hold_id: Str<'a>,
        qty: i64,
        capacity: i64,
        from_index: i64,
        to_index: i64,
    }
}

request_body! {
    HoldBody<'a> { partition_key: Str<'a>, hold_id: Str<'a> }
}

pub(super) async fn try_hold<B: Backend>(app: &App<B>, cx: &RequestContext<'_>, body: &[u8]) -> Outcome {
    let body: TryHoldBody<'_> = parse(body)?;
    let HoldRef { partition, hold } = hold_ref(&body.partition_key, &body.hold_id)?;
    let defaults = &app.config.defaults;
    let command = Command::TryHold(TryHold {
        partition,
        hold,
        quantity: fields::quantity(body.qty.unwrap_or(0))?,
        span: fields::span(body.from_index, body.to_index)?,
        ad_hoc: fields::ad_hoc(body.capacity, defaults.hold_capacity, defaults.segments)?,
    });
    state(app.ask(cx, command).await?)
}

/// Releases or confirms.
pub(super) async fn end_hold<B: Backend>(app: &App<B>, cx: &RequestContext<'_>, body: &[u8]) -> Outcome {
    let body: HoldBody<'_> = parse(body)?;
    let hold = hold_ref(&body.partition_key, &body.hold_id)?;
    let command =
        if cx.route == Route::ReleaseHold { Command::ReleaseHold(hold) } else { Command::ConfirmHold(hold) };
    state(app.ask(cx, command).await?)
}

pub(super) async fn availability<B: Backend>(app: &App<B>, cx: &RequestContext<'_>) -> Outcome {
    let key = query::get(cx.query, "partition_key")?;
    let missing = "partition_key is required";
    let partition = fields::required("partition_key", key.as_deref(), missing, PartitionKey::parse)?;
    let span = fields::query_span(cx.query)?;
    match app.ask(cx, Command::Availability { partition, span }).await? {
        Engine::Availability { partition, available } => {
            Ok(Answer::json(views::availability(partition.as_str(), available)))
        }
        _ => Err(Problem::internal()),
    }
}

fn hold_ref(partition: &Option<Str<'_>>, hold: &Option<Str<'_>>) -> Result<HoldRef, Problem> {
    let missing = "partition_key and hold_id are required";
    // Both are looked for before either is looked at.
    let (partition, hold) = (partition.as_deref().unwrap_or(""), hold.as_deref().unwrap_or(""));
    let both = !partition.is_empty() && !hold.is_empty();
    let partition = both.then_some(partition);
    Ok(HoldRef {
        partition: fields::required("partition_key", partition, missing, PartitionKey::parse)?,
        hold: fields::required("hold_id", Some(hold), missing, HoldId::parse)?,
    })
}

fn state(answer: Engine) -> Outcome {
    match answer {
        Engine::Partition(view) => Ok(Answer::json(views::state(&view))),
        _ => Err(Problem::internal()),
    }
}
