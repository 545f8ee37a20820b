//! Money that is owed back.

use engine::answer::{Answer as Engine, Rejection};
use engine::command::{Command, ListRefunds, RefundFilter};
use engine::ids::{OrderName, Reference, TxnId};
use engine::read_model::RefundsQuestion;

use crate::app::{App, RequestContext};
use crate::backend::Backend;
use crate::errors::{Code, Problem};
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
    let question = ListRefunds { status, after, limit: limit + 1 };
    let mut found = match app.ask(cx, Command::ListRefunds(question.clone())).await? {
        Engine::Refunds(found) => found,
        _ => return Err(Problem::INTERNAL),
    };
    // What is owed the engine has. What is settled may have left it: where both have it, the engine's word wins.
    if status != Some(RefundFilter::Required) {
        let ListRefunds { status, after, limit } = question;
        let unmatched = status == Some(RefundFilter::Unmatched);
        let settled = RefundsQuestion { of: None, unmatched, after, limit };
        found.extend(app.settled_refunds(cx, settled).await?);
        found.sort_by_key(|refund| refund.cursor);
        found.dedup_by_key(|refund| refund.cursor);
    }
    let page = &found[..found.len().min(limit)];
    let next = page.last().filter(|_| found.len() > limit).map(|last| last.cursor);
    Ok(Answer::json(views::refunds(page, next)))
}

pub(super) async fn settle<B: Backend>(app: &App<B>, cx: &RequestContext<'_>, body: &[u8]) -> Outcome {
    let body: SettleBody<'_> = parse(body)?;
    let order = fields::required("order_id", body.order_id.as_deref(), OrderName::parse)?;
    let txn = fields::required("provider_txn_id", body.provider_txn_id.as_deref(), TxnId::parse)?;
    let reference = fields::required("reference", body.reference.as_deref(), Reference::parse)?;
    let (of, again) = ((order.clone(), txn.clone()), reference.clone());
    match app.ask(cx, Command::SettleRefund { order, txn, reference }).await {
        Ok(Engine::Refund(view)) => Ok(Answer::json(views::refund(&view))),
        Ok(_) => Err(Problem::INTERNAL),
        Err(problem) if problem.code == Code::RefundNotFound => {
            // It may have been settled, and have left.
            let question = RefundsQuestion { of: Some(of), unmatched: false, after: None, limit: 1 };
            let left = Box::pin(app.settled_refunds(cx, question)).await?;
            let left = left.first().ok_or(problem)?;
            if left.settled.as_ref().is_some_and(|settled| settled.reference == again) {
                Ok(Answer::json(views::refund(left)))
            } else {
                Err(cx.route.spec().rejected(Rejection::RefundSettled))
            }
        }
        Err(problem) => Err(problem),
    }
}
