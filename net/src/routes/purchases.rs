//! Purchases: an order and its seats in one request.

use engine::answer::Rejection;
use engine::command::{Command, Purchase};
use engine::ids::{Cents, IdempotencyKey, PartitionKey};

use super::orders;
use crate::app::{App, RequestContext};
use crate::backend::Backend;
use crate::errors::Problem;
use crate::fields;
use crate::json::read::{Str, parse, request_body};
use crate::reply::Outcome;

request_body! {
    PurchaseBody<'a> {
        key: Str<'a>,
        amount_cents: i64,
        partition_key: Str<'a>,
        qty: i64,
        capacity: i64,
        from_index: i64,
        to_index: i64,
        ttl_secs: i64,
    }
}

pub(super) fn read_purchase<B: Backend>(app: &App<B>, body: &[u8]) -> Result<Command, Problem> {
    let body: PurchaseBody<'_> = parse(body)?;
    let key = fields::required("key", body.key.as_deref(), IdempotencyKey::parse)?;
    let partition = fields::required("partition_key", body.partition_key.as_deref(), PartitionKey::parse)?;
    let amount = fields::amount(body.amount_cents)?;
    let defaults = &app.config.defaults;
    Ok(Command::Purchase(Purchase {
        key,
        amount: Cents(amount),
        partition,
        quantity: fields::quantity(body.qty.unwrap_or(0))?,
        span: fields::span(body.from_index, body.to_index)?,
        ad_hoc: fields::ad_hoc(body.capacity, defaults.order_capacity, defaults.segments)?,
        ttl_ms: body.ttl_secs.map(ttl_ms).transpose()?,
        entropy: app.backend.fresh_entropy(),
    }))
}

pub(super) async fn purchase<B: Backend>(app: &App<B>, cx: &RequestContext<'_>, body: &[u8]) -> Outcome {
    orders::order(app.ask(cx, read_purchase(app, body)?).await?)
}

/// A duration; one that is longer than a hold may last is for the engine to refuse.
fn ttl_ms(secs: i64) -> Result<u64, Problem> {
    let secs = u64::try_from(secs).map_err(|_| Problem::from(Rejection::InvalidTtl))?;
    Ok(secs.saturating_mul(1_000))
}
