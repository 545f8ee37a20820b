//! Orders by what they have, from the read model: a page, or all of them as a file.

use std::rc::Rc;

use engine::ids::{IdempotencyKey, PartitionKey, TxnId};
use engine::read_model::{OrdersPage, OrdersQuestion, Question, Reading};
use engine::status::OrderStatus;
use engine::text::Text;

use super::trains::date;
use crate::app::{App, RequestContext};
use crate::backend::Backend;
use crate::errors::Problem;
use crate::export::{Export, Format};
use crate::fields;
use crate::json::views;
use crate::limits::{EXPORT_PAGE, ORDERS_PAGE_DEFAULT, ORDERS_PAGE_MAX};
use crate::reply::{Answer, Outcome};
use crate::stream::Streamed;

const STATUSES: [OrderStatus; 5] = [
    OrderStatus::Init,
    OrderStatus::Reserved,
    OrderStatus::Paid,
    OrderStatus::Ticketed,
    OrderStatus::Cancelled,
];

pub(super) async fn orders<B: Backend>(app: &App<B>, cx: &RequestContext<'_>) -> Outcome {
    let limit = fields::limit_within(cx.query, ORDERS_PAGE_DEFAULT, ORDERS_PAGE_MAX)?;
    let page = read(app, cx, question(cx.query, limit)?).await?;
    Ok(Answer::json(views::orders(&page)).behind_by(app.backend.read_model_lag_ms()))
}

pub(super) async fn export<B: Backend>(app: &Rc<App<B>>, cx: &RequestContext<'_>) -> Outcome {
    let format = format(cx.query)?;
    let question = question(cx.query, EXPORT_PAGE)?;
    let permit = app.begin_export().ok_or(Problem::TOO_MANY_EXPORTS)?;
    // Before the answer begins: what is wrong now can still be said.
    let first = read(app, cx, question.clone()).await?;
    let export = Export::new(app, cx.connection, format, question, permit);
    let body = Streamed::new(|outlet| export.run(first, outlet));
    let answer = Answer::file(format.content_type(), format.disposition(), body);
    Ok(answer.behind_by(app.backend.read_model_lag_ms()))
}

async fn read<B: Backend>(
    app: &App<B>,
    cx: &RequestContext<'_>,
    question: OrdersQuestion,
) -> Result<OrdersPage, Problem> {
    match app.read(cx, Question::Orders(Box::new(question))).await? {
        Reading::Orders(page) => Ok(page),
        _ => Err(Problem::INTERNAL),
    }
}

/// The page of orders that a query asks for.
fn question(query: Option<&str>, limit: usize) -> Result<OrdersQuestion, Problem> {
    Ok(OrdersQuestion {
        status: fields::given(query, "status")?.map(|text| status(&text)).transpose()?,
        train: part_of_key(query, "train")?,
        date: fields::given(query, "date")?.map(|text| date(&text)).transpose()?.map(text_of),
        class: part_of_key(query, "class")?,
        key: fields::query_id(query, "key", IdempotencyKey::parse)?,
        txn: fields::query_id(query, "txn", TxnId::parse)?,
        since: fields::query_time(query, "since")?,
        until: fields::query_time(query, "until")?,
        after: fields::after(query)?,
        limit,
    })
}

fn status(text: &str) -> Result<OrderStatus, Problem> {
    let found = STATUSES.into_iter().find(|status| status.wire_name() == text);
    found.ok_or(Problem::INVALID_STATUS)
}

/// A part of a partition's key is held to the rules of the whole.
fn part_of_key(query: Option<&str>, name: &str) -> Result<Option<Text>, Problem> {
    let part = fields::query_id(query, name, PartitionKey::parse)?;
    Ok(part.map(|part| Text::from(part.as_str())))
}

fn text_of(date: timetable::Date) -> Text {
    Text::from(&*date.to_string())
}

/// CSV where the query does not say.
fn format(query: Option<&str>) -> Result<Format, Problem> {
    let Some(name) = fields::given(query, "format")? else { return Ok(Format::Csv) };
    Format::ALL.into_iter().find(|format| format.name() == name).ok_or(Problem::INVALID_FORMAT)
}
