//! Holds and availability.

use engine::answer::Answer as Engine;
use engine::command::{Command, HoldRef, SeatRequest};
use engine::ids::{HoldId, PartitionKey};

use super::Outcome;
use crate::backend::Backend;
use crate::edge::Edge;
use crate::errors::Problem;
use crate::fields;
use crate::handle::Asked;
use crate::json::read::{Str, fields as object, parse};
use crate::json::views;
use crate::query;
use crate::reply::Answer;
use crate::router::Route;

object! {
    TryHoldBody<'a> {
        partition_key: Str<'a>,
        hold_id: Str<'a>,
        qty: i64,
        capacity: i64,
        from_index: i64,
        to_index: i64,
    }
}

object! {
    HoldBody<'a> { partition_key: Str<'a>, hold_id: Str<'a> }
}

pub(super) async fn try_hold<B: Backend>(edge: &Edge<B>, asked: &Asked<'_>, body: &[u8]) -> Outcome {
    let body: TryHoldBody<'_> = parse(body)?;
    let HoldRef { partition, hold } = hold_ref(&body.partition_key, &body.hold_id)?;
    let defaults = &edge.config.defaults;
    let command = Command::TryHold(SeatRequest {
        partition,
        hold,
        quantity: fields::quantity(body.qty.unwrap_or(0))?,
        span: fields::span(body.from_index, body.to_index)?,
        ad_hoc: fields::ad_hoc(body.capacity, defaults.hold_capacity, defaults.segments)?,
    });
    state(edge.ask(asked, command).await?)
}

/// Releases or confirms.
pub(super) async fn end_hold<B: Backend>(edge: &Edge<B>, asked: &Asked<'_>, body: &[u8]) -> Outcome {
    let body: HoldBody<'_> = parse(body)?;
    let hold = hold_ref(&body.partition_key, &body.hold_id)?;
    let command = if asked.route == Route::ReleaseHold {
        Command::ReleaseHold(hold)
    } else {
        Command::ConfirmHold(hold)
    };
    state(edge.ask(asked, command).await?)
}

pub(super) async fn availability<B: Backend>(edge: &Edge<B>, asked: &Asked<'_>) -> Outcome {
    let key = query::get(asked.query, "partition_key")?;
    let missing = "partition_key is required";
    let partition = fields::required("partition_key", key.as_deref(), missing, PartitionKey::parse)?;
    let span = fields::query_span(asked.query)?;
    match edge.ask(asked, Command::Availability { partition, span }).await? {
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
