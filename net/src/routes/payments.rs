//! What the payment provider calls.

use engine::command::{Command, Pay};
use engine::ids::{OrderName, TxnId};
use hyper::StatusCode;

use super::{Outcome, orders};
use crate::backend::Backend;
use crate::edge::Edge;
use crate::errors::{Code, Problem};
use crate::fields;
use crate::handle::Asked;
use crate::json::read::{Str, fields as object, parse};

object! {
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

pub(super) async fn callback<B: Backend>(edge: &Edge<B>, asked: &Asked<'_>, body: &[u8]) -> Outcome {
    let body: CallbackBody<'_> = parse(body)?;
    let order = body.order_id.as_deref();
    let order = fields::required("order_id", order, "order_id is required", OrderName::parse)?;
    let txn = body.provider_txn_id.as_deref();
    let txn = fields::required("provider_txn_id", txn, "provider_txn_id is required", TxnId::parse)?;
    let expected = orders::expected(&body.partition_key, &body.hold_id)?;
    let status = body.status.as_deref().unwrap_or("");
    if !status.eq_ignore_ascii_case(SUCCESS) {
        return Err(Problem::bad(Code::InvalidPaymentStatus, "invalid payment status"));
    }
    let key = edge.config.sign_key.as_ref();
    let signature = body.signature.as_deref().unwrap_or("");
    if key.is_some_and(|key| !key.verifies(order.as_str(), txn.as_str(), status, signature)) {
        let text = "invalid payment signature";
        return Err(Problem::new(StatusCode::UNAUTHORIZED, Code::InvalidSignature, text));
    }
    // What is signed runs the two ids together with a `|`: of an order that has one in its id the money may be another's. No
    // order of ours has one.
    let verified = key.is_some() && !order.as_str().contains('|');
    orders::order(edge.ask(asked, Command::Pay(Pay { order, txn, expected, verified })).await?)
}
