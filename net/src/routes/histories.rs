//! Histories of orders and of runs, from the read model.

use engine::answer::Rejection;
use engine::ids::OrderId;
use engine::read_model::{HistoryQuestion, Question, Reading, Subject};
use engine::text::Text;

use super::trains::{date, decoded};
use crate::app::{App, RequestContext};
use crate::backend::Backend;
use crate::errors::Problem;
use crate::fields;
use crate::json::views;
use crate::limits::{HISTORY_PAGE_DEFAULT, HISTORY_PAGE_MAX};
use crate::query;
use crate::reply::{Answer, Outcome};

pub(super) async fn order<B: Backend>(app: &App<B>, cx: &RequestContext<'_>) -> Outcome {
    let id = query::decode(cx.path[0], false).and_then(|id| OrderId::parse(&id));
    let order = id.ok_or_else(|| cx.route.spec().rejected(Rejection::OrderNotFound))?;
    let question = question(cx, Subject::Order(order))?;
    // An order of which nothing was recorded yet is not an unknown one.
    app.find_order(cx, order).await?;
    history(app, cx, question).await
}

pub(super) async fn run<B: Backend>(app: &App<B>, cx: &RequestContext<'_>) -> Outcome {
    let train = Text::from(&*decoded(cx.path[0])?);
    let date = date(&decoded(cx.path[1])?)?;
    let subject = Subject::Run { train, date: Text::from(&*date.to_string()) };
    history(app, cx, question(cx, subject)?).await
}

/// The page of a history that a query asks for.
fn question(cx: &RequestContext<'_>, subject: Subject) -> Result<HistoryQuestion, Problem> {
    let limit = fields::limit_within(cx.query, HISTORY_PAGE_DEFAULT, HISTORY_PAGE_MAX)?;
    Ok(HistoryQuestion { subject, after: fields::after(cx.query)?, limit })
}

async fn history<B: Backend>(app: &App<B>, cx: &RequestContext<'_>, question: HistoryQuestion) -> Outcome {
    match app.read(cx, Question::History(question)).await? {
        Reading::History(page) => {
            Ok(Answer::json(views::history(&page)).behind_by(app.backend.read_model_lag_ms()))
        }
        _ => Err(Problem::INTERNAL),
    }
}
