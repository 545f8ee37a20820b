//! Callbacks of the payment provider.

use engine::command::Pay;
use engine::ids::{OrderName, TxnId};

use super::orders;
use crate::app::{App, RequestContext};
use crate::backend::Backend;
use crate::errors::Problem;
use crate::fields::{self, trimmed};
use crate::json::read::{Str, parse, request_body};
use crate::reply::Outcome;

request_body! {
    CallbackBody<'a> {
        order_id: Str<'a>,
        provider_txn_id: Str<'a>,
        status: Str<'a>,
        partition_key: Str<'a>,
        hold_id: Str<'a>,
        signature: Str<'a>,
    }
}

/// The one status that is money.
const SUCCESS: &str = "SUCCESS";

pub(super) fn read_callback<B: Backend>(app: &App<B>, body: &[u8]) -> Result<Pay, Problem> {
    let body: CallbackBody<'_> = parse(body)?;
    let order = fields::required("order_id", trimmed(&body.order_id), OrderName::parse)?;
    let txn = fields::required("provider_txn_id", trimmed(&body.provider_txn_id), TxnId::parse)?;
    let expected = orders::expected(&body.partition_key, &body.hold_id)?;
    let status = body.status.as_deref().unwrap_or("");
    if !status.eq_ignore_ascii_case(SUCCESS) {
        return Err(Problem::INVALID_PAYMENT_STATUS);
    }
    let key = app.config.sign_key.as_ref();
    let signature = body.signature.as_deref().unwrap_or("");
    if key.is_some_and(|key| !key.verifies(order.as_str(), txn.as_str(), status, signature)) {
        return Err(Problem::INVALID_SIGNATURE);
    }
    // The signed text is `order_id|txn_id|STATUS` without escaping, so an order id that contains `|` could be a different
    // (order, txn) pair under the same signature. Ours never contain it.
    let verified = key.is_some() && !order.as_str().contains('|');
    Ok(Pay { order, txn, expected, verified, looked_up: None })
}

pub(super) async fn callback<B: Backend>(app: &App<B>, cx: &RequestContext<'_>, body: &[u8]) -> Outcome {
    orders::order(app.pay(cx, read_callback(app, body)?).await?)
}
