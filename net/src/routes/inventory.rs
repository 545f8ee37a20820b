//! Holds and availability.

use engine::answer::Answer as Engine;
use engine::command::{Command, HoldRef, SeatRequest};
use engine::ids::{HoldId, PartitionKey};

use crate::app::{App, RequestContext};
use crate::backend::Backend;
use crate::errors::Problem;
use crate::fields;
use crate::json::read::{Str, parse, request_body};
use crate::json::views;
use crate::query;
use crate::reply::{Answer, Outcome};

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

pub(super) fn read_try_hold<B: Backend>(app: &App<B>, body: &[u8]) -> Result<Command, Problem> {
    let body: TryHoldBody<'_> = parse(body)?;
    let HoldRef { partition, hold } = hold_ref(&body.partition_key, &body.hold_id)?;
    let defaults = &app.config.defaults;
    Ok(Command::TryHold(SeatRequest {
        partition,
        hold,
        quantity: fields::quantity(body.qty.unwrap_or(0))?,
        span: fields::span(body.from_index, body.to_index)?,
        ad_hoc: fields::ad_hoc(body.capacity, defaults.hold_capacity, defaults.segments)?,
    }))
}

pub(super) async fn try_hold<B: Backend>(app: &App<B>, cx: &RequestContext<'_>, body: &[u8]) -> Outcome {
    state(app.ask(cx, read_try_hold(app, body)?).await?)
}

/// The hold that is to be released or confirmed.
pub(super) fn read_hold(body: &[u8]) -> Result<HoldRef, Problem> {
    let body: HoldBody<'_> = parse(body)?;
    hold_ref(&body.partition_key, &body.hold_id)
}

pub(super) async fn release_hold<B: Backend>(app: &App<B>, cx: &RequestContext<'_>, body: &[u8]) -> Outcome {
    state(app.ask(cx, Command::ReleaseHold(read_hold(body)?)).await?)
}

pub(super) async fn confirm_hold<B: Backend>(app: &App<B>, cx: &RequestContext<'_>, body: &[u8]) -> Outcome {
    state(app.ask(cx, Command::ConfirmHold(read_hold(body)?)).await?)
}

pub(super) async fn availability<B: Backend>(app: &App<B>, cx: &RequestContext<'_>) -> Outcome {
    let key = query::get(cx.query, "partition_key")?;
    let partition = fields::required("partition_key", key.as_deref(), PartitionKey::parse)?;
    let span = fields::query_span(cx.query)?;
    match app.ask(cx, Command::Availability { partition, span }).await? {
        Engine::Availability { partition, available } => {
            Ok(Answer::json(views::availability(partition.as_str(), available)))
        }
        _ => Err(Problem::INTERNAL),
    }
}

fn hold_ref(partition: &Option<Str<'_>>, hold: &Option<Str<'_>>) -> Result<HoldRef, Problem> {
    let (partition, hold) = (partition.as_deref().unwrap_or(""), hold.as_deref().unwrap_or(""));
    // Either field is reported as missing before any is validated.
    if partition.is_empty() || hold.is_empty() {
        return Err(Problem::MISSING_HOLD);
    }
    Ok(HoldRef {
        partition: fields::id("partition_key", partition, PartitionKey::parse)?,
        hold: fields::id("hold_id", hold, HoldId::parse)?,
    })
}

fn state(answer: Engine) -> Outcome {
    match answer {
        Engine::Partition(view) => Ok(Answer::json(views::state(&view))),
        _ => Err(Problem::INTERNAL),
    }
}
