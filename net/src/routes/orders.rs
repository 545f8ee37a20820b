//! Orders from their creation to their cancellation.

use engine::answer::{Answer as Engine, OrderStatus, OrderView, Rejection};
use engine::command::{Cancel, Command, CreateOrder, ExpectedHold, Reserve, SeatRequest};
use engine::ids::{Cents, HoldId, IdempotencyKey, PartitionKey};

use crate::app::{AboutOrder, App, RequestContext};
use crate::backend::Backend;
use crate::errors::Problem;
use crate::fields::{self, trimmed};
use crate::json::read::{Str, parse, request_body};
use crate::json::views;
use crate::query;
use crate::reply::{Answer, Outcome};
use crate::router::Route;

request_body! {
    CreateBody<'a> { idempotency_key: Str<'a>, amount_cents: i64 }
}

request_body! {
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

request_body! {
    CancelBody<'a> { order_id: Str<'a>, partition_key: Str<'a>, hold_id: Str<'a> }
}

pub(super) fn read_create<B: Backend>(app: &App<B>, body: &[u8]) -> Result<Command, Problem> {
    let body: CreateBody<'_> = parse(body)?;
    let key = fields::required("idempotency_key", body.idempotency_key.as_deref(), IdempotencyKey::parse)?;
    let amount = fields::amount(body.amount_cents)?;
    let entropy = app.backend.fresh_entropy();
    Ok(Command::CreateOrder(CreateOrder { key, amount: Cents(amount), entropy }))
}

pub(super) async fn create<B: Backend>(app: &App<B>, cx: &RequestContext<'_>, body: &[u8]) -> Outcome {
    order(app.ask(cx, read_create(app, body)?).await?)
}

pub(super) fn read_reserve<B: Backend>(app: &App<B>, body: &[u8]) -> Result<Reserve, Problem> {
    let body: ReserveBody<'_> = parse(body)?;
    let defaults = &app.config.defaults;
    let id = fields::order(Route::Reserve.spec(), trimmed(&body.order_id))?;
    let partition = match trimmed(&body.partition_key) {
        Some(key) => fields::id("partition_key", key, PartitionKey::parse)?,
        None => defaults.partition.clone(),
    };
    let hold = match trimmed(&body.hold_id) {
        Some(hold) => fields::id("hold_id", hold, HoldId::parse)?,
        None => id.hold_id(),
    };
    let quantity = match body.qty.unwrap_or(0) {
        0 => defaults.quantity,
        given => fields::quantity(given)?,
    };
    let span = fields::span(body.from_index, body.to_index)?;
    let ad_hoc = fields::ad_hoc(body.capacity, defaults.order_capacity, defaults.segments)?;
    let seats = SeatRequest { partition, hold, quantity, span, ad_hoc };
    Ok(Reserve { order: id, seats })
}

pub(super) async fn reserve<B: Backend>(app: &App<B>, cx: &RequestContext<'_>, body: &[u8]) -> Outcome {
    let reserve = read_reserve(app, body)?;
    match app.ask_about(cx, reserve.order, Command::Reserve(reserve)).await? {
        AboutOrder::Here(answer) => order(answer),
        AboutOrder::Left(_) => Err(cx.route.spec().rejected(Rejection::InvalidTransition)),
    }
}

pub(super) fn read_cancel(body: &[u8]) -> Result<Cancel, Problem> {
    let body: CancelBody<'_> = parse(body)?;
    let expected = expected(&body.partition_key, &body.hold_id)?;
    let order = fields::order(Route::Cancel.spec(), trimmed(&body.order_id))?;
    Ok(Cancel { order, expected })
}

pub(super) async fn cancel<B: Backend>(app: &App<B>, cx: &RequestContext<'_>, body: &[u8]) -> Outcome {
    let cancel = read_cancel(body)?;
    let expected = cancel.expected.clone();
    match app.ask_about(cx, cancel.order, Command::Cancel(cancel)).await? {
        AboutOrder::Here(answer) => order(answer),
        AboutOrder::Left(view) => cancel_left(&view, &expected)
            .map(|()| Answer::json(views::order(&view)))
            .map_err(|rejection| cx.route.spec().rejected(rejection)),
    }
}

/// An order that has left is what it was: a cancelled one is cancelled again.
fn cancel_left(view: &OrderView, expected: &ExpectedHold) -> Result<(), Rejection> {
    if let Some(own) = &view.reservation {
        expected.check(&own.partition, &own.hold)?;
    }
    if view.status == OrderStatus::Cancelled { Ok(()) } else { Err(Rejection::InvalidTransition) }
}

/// The order as the order service shows it.
pub(super) async fn get<B: Backend>(app: &App<B>, cx: &RequestContext<'_>) -> Outcome {
    Ok(Answer::json(views::order(&*asked(app, cx).await?)))
}

/// The order as the query service shows it.
pub(super) async fn query<B: Backend>(app: &App<B>, cx: &RequestContext<'_>) -> Outcome {
    Ok(Answer::json(views::order_view(&*asked(app, cx).await?)))
}

async fn asked<B: Backend>(app: &App<B>, cx: &RequestContext<'_>) -> Result<Box<OrderView>, Problem> {
    let given = query::get(cx.query, "order_id")?;
    let order = fields::order(cx.route.spec(), given.as_deref())?;
    app.find_order(cx, order).await
}

pub(super) fn order(answer: Engine) -> Outcome {
    match answer {
        Engine::Order(view) => Ok(Answer::json(views::order(&view))),
        _ => Err(Problem::INTERNAL),
    }
}

/// The hold that a caller expects the order to have.
pub(super) fn expected(partition: &Option<Str<'_>>, hold: &Option<Str<'_>>) -> Result<ExpectedHold, Problem> {
    Ok(ExpectedHold {
        partition: fields::optional("partition_key", trimmed(partition), PartitionKey::parse)?,
        hold: fields::optional("hold_id", trimmed(hold), HoldId::parse)?,
    })
}
