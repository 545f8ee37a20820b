//! Orders from their creation to their cancellation.

use engine::answer::Answer as Engine;
use engine::command::{Cancel, Command, CreateOrder, ExpectedHold, Reserve, SeatRequest};
use engine::ids::{Cents, HoldId, IdempotencyKey, PartitionKey};

use super::Outcome;
use crate::backend::Backend;
use crate::edge::Edge;
use crate::errors::{Code, Problem};
use crate::fields;
use crate::handle::Asked;
use crate::json::read::{Str, fields as object, parse};
use crate::json::views;
use crate::query;
use crate::reply::Answer;
use crate::router::Route;

object! {
    CreateBody<'a> { idempotency_key: Str<'a>, amount_cents: i64 }
}

object! {
    ReserveBody<'a> {
        order_id: Str<'a>,
        partition_key: Str<'a>,
        hold_id: Str<'a>,
        qty: i64,
        capacity: i64,
        from_index: i64,
        to_index: i64,
    }
}

object! {
    CancelBody<'a> { order_id: Str<'a>, partition_key: Str<'a>, hold_id: Str<'a> }
}

pub(super) async fn create<B: Backend>(edge: &Edge<B>, asked: &Asked<'_>, body: &[u8]) -> Outcome {
    let body: CreateBody<'_> = parse(body)?;
    let given = body.idempotency_key.as_deref();
    let missing = "idempotency_key is required";
    let key = fields::required("idempotency_key", given, missing, IdempotencyKey::parse)?;
    let amount = body.amount_cents.unwrap_or(0);
    if amount <= 0 {
        return Err(Problem::bad(Code::InvalidAmount, "invalid amount"));
    }
    let entropy = edge.backend.fresh_entropy();
    order(edge.ask(asked, Command::CreateOrder(CreateOrder { key, amount: Cents(amount), entropy })).await?)
}

pub(super) async fn reserve<B: Backend>(edge: &Edge<B>, asked: &Asked<'_>, body: &[u8]) -> Outcome {
    let body: ReserveBody<'_> = parse(body)?;
    let defaults = &edge.config.defaults;
    let id = fields::order(asked.route, trimmed(&body.order_id))?;
    let partition = match trimmed(&body.partition_key) {
        Some(key) => fields::required("partition_key", Some(key), "", PartitionKey::parse)?,
        None => defaults.partition.clone(),
    };
    let hold = match trimmed(&body.hold_id) {
        Some(hold) => fields::required("hold_id", Some(hold), "", HoldId::parse)?,
        None => id.hold_id(),
    };
    let quantity = match body.qty.unwrap_or(0) {
        0 => defaults.quantity,
        given => fields::quantity(given)?,
    };
    let span = fields::span(body.from_index, body.to_index)?;
    let ad_hoc = fields::ad_hoc(body.capacity, defaults.order_capacity, defaults.segments)?;
    let seats = SeatRequest { partition, hold, quantity, span, ad_hoc };
    order(edge.ask(asked, Command::Reserve(Reserve { order: id, seats })).await?)
}

pub(super) async fn cancel<B: Backend>(edge: &Edge<B>, asked: &Asked<'_>, body: &[u8]) -> Outcome {
    let body: CancelBody<'_> = parse(body)?;
    let expected = expected(&body.partition_key, &body.hold_id)?;
    let id = fields::order(asked.route, body.order_id.as_deref())?;
    order(edge.ask(asked, Command::Cancel(Cancel { order: id, expected })).await?)
}

/// The order as it is, in the shape of the route that asks.
pub(super) async fn get<B: Backend>(edge: &Edge<B>, asked: &Asked<'_>) -> Outcome {
    let given = query::get(asked.query, "order_id")?;
    let id = fields::order(asked.route, given.as_deref())?;
    match (edge.ask(asked, Command::GetOrder { order: id }).await?, asked.route) {
        (Engine::Order(view), Route::QueryOrder) => Ok(Answer::json(views::order_view(&view))),
        (answer, _) => order(answer),
    }
}

pub(super) fn order(answer: Engine) -> Outcome {
    match answer {
        Engine::Order(view) => Ok(Answer::json(views::order(&view))),
        _ => Err(Problem::internal()),
    }
}

/// What a caller believes an order holds.
pub(super) fn expected(partition: &Option<Str<'_>>, hold: &Option<Str<'_>>) -> Result<ExpectedHold, Problem> {
    Ok(ExpectedHold {
        partition: fields::optional("partition_key", partition.as_deref(), PartitionKey::parse)?,
        hold: fields::optional("hold_id", hold.as_deref(), HoldId::parse)?,
    })
}

/// A reservation's ids come with blanks around them; nothing else is as good as absent.
fn trimmed<'t>(text: &'t Option<Str<'_>>) -> Option<&'t str> {
    text.as_deref().map(str::trim).filter(|text| !text.is_empty())
}
