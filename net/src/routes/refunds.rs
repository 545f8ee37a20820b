//! Money that is owed back.

use engine::answer::Answer as Engine;
use engine::command::{Command, ListRefunds, RefundFilter};
use engine::ids::{OrderName, Reference, TxnId};

use crate::app::{App, RequestContext};
use crate::backend::Backend;
use crate::errors::Problem;
use crate::fields;
use crate::json::read::{Str, parse, request_body};
use crate::json::views;
use crate::limits::{REFUNDS_PAGE_DEFAULT, REFUNDS_PAGE_MAX};
use crate::query;
use crate::reply::{Answer, Outcome};

request_body! {
    SettleBody<'a> { order_id: Str<'a>, provider_txn_id: Str<'a>, reference: Str<'a> }
}

pub(super) async fn list<B: Backend>(app: &App<B>, cx: &RequestContext<'_>) -> Outcome {
    let status = match query::get(cx.query, "status")?.as_deref() {
        None | Some("") => None,
        Some("required") => Some(RefundFilter::Required),
        Some("settled") => Some(RefundFilter::Settled),
        Some("unmatched") => Some(RefundFilter::Unmatched),
        Some(_) => return Err(Problem::INVALID_STATUS),
    };
    let after = fields::after(cx.query)?;
    let limit = fields::limit(cx.query, REFUNDS_PAGE_DEFAULT, REFUNDS_PAGE_MAX)?;
    // One more than is shown tells whether there is more.
    let command = Command::ListRefunds(ListRefunds { status, after, limit: limit + 1 });
    match app.ask(cx, command).await? {
        Engine::Refunds(found) => {
            let page = &found[..found.len().min(limit)];
            let next = page.last().filter(|_| found.len() > limit).map(|last| last.cursor);
            Ok(Answer::json(views::refunds(page, next)))
        }
        _ => Err(Problem::INTERNAL),
    }
}

pub(super) async fn settle<B: Backend>(app: &App<B>, cx: &RequestContext<'_>, body: &[u8]) -> Outcome {
    let body: SettleBody<'_> = parse(body)?;
    let order = fields::required("order_id", body.order_id.as_deref(), OrderName::parse)?;
    let txn = fields::required("provider_txn_id", body.provider_txn_id.as_deref(), TxnId::parse)?;
    let reference = fields::required("reference", body.reference.as_deref(), Reference::parse)?;
    match app.ask(cx, Command::SettleRefund { order, txn, reference }).await? {
        Engine::Refund(view) => Ok(Answer::json(views::refund(&view))),
        _ => Err(Problem::INTERNAL),
    }
}
