//! Orders: each is created, reserves seats, is paid, and is looked at until it has its ticket; or less of that. A purchase is created and reserved at once.

use std::io::Write as _;

use super::{Common, ORDER_ID_BYTES, Step, Workload, get_end, post};
use crate::json::text_field;
use crate::limits::LOOKS_MAX;
use crate::load::Kind;

const CREATED: u32 = 0;
const RESERVED: u32 = 1;
const PAID: u32 = 2;
/// This and each following one is a look.
const LOOK: u32 = 3;

pub(super) struct Orders {
    common: Common,
    /// Created and reserved by one request.
    are_purchases: bool,
    are_paid: bool,
    /// Looked at until they have their tickets.
    are_looked_at: bool,
}

impl Orders {
    pub(super) fn paid(common: Common) -> Orders {
        Orders { common, are_purchases: false, are_paid: true, are_looked_at: true }
    }

    pub(super) fn unpaid(common: Common) -> Orders {
        Orders { are_paid: false, ..Orders::paid(common) }
    }

    pub(super) fn paid_unseen(common: Common) -> Orders {
        Orders { are_looked_at: false, ..Orders::paid(common) }
    }

    pub(super) fn purchases(common: Common) -> Orders {
        Orders { are_purchases: true, ..Orders::paid_unseen(common) }
    }
}

impl Workload for Orders {
    fn begin(&mut self, request: &mut Vec<u8>) -> Step {
        let wish = self.common.wish();
        let id = self.common.next_id();
        if self.are_purchases {
            let partition = self.common.sale.demand.partition(&wish);
            let (amount, seats, from, to) = (wish.seats * 55_300, wish.seats, wish.from, wish.to);
            post(request, "/v1/purchases", |body| {
                write!(
                    body,
                    r#"{{"key":"k-{:015x}","amount_cents":{amount},"partition_key":"{partition}","qty":{seats},"from_index":{from},"to_index":{to}}}"#,
                    id.0
                )
            });
            return Step { stage: RESERVED, ..Step::new(Kind::NewHold, id, wish) };
        }
        post(request, "/orders", |body| {
            write!(body, r#"{{"idempotency_key":"k-{:015x}","amount_cents":{}}}"#, id.0, wish.seats * 55_300)
        });
        Step::new(Kind::OtherWrite, id, wish)
    }

    fn answered(&mut self, step: &Step, status: u16, body: &[u8], request: &mut Vec<u8>) -> Option<Step> {
        if status != 200 {
            return None;
        }
        let mut next = Step { stage: step.stage + 1, ..*step };
        if step.stage == CREATED || self.are_purchases && step.stage == RESERVED {
            let id: [u8; ORDER_ID_BYTES] = text_field(body, "OrderID")?.as_bytes().try_into().ok()?;
            next.order = id;
        }
        let order = std::str::from_utf8(&next.order).ok()?;
        match next.stage {
            RESERVED => {
                next.kind = Kind::NewHold;
                let partition = self.common.sale.demand.partition(&step.wish);
                let (seats, from, to) = (step.wish.seats, step.wish.from, step.wish.to);
                post(request, "/orders/reserve", |body| {
                    write!(
                        body,
                        r#"{{"order_id":"{order}","partition_key":"{partition}","qty":{seats},"from_index":{from},"to_index":{to}}}"#
                    )
                });
            }
            PAID if !self.are_paid => return None,
            PAID => {
                next.kind = Kind::OtherWrite;
                post(request, "/payments/callback", |body| {
                    write!(
                        body,
                        r#"{{"order_id":"{order}","provider_txn_id":"t-{:015x}","status":"SUCCESS"}}"#,
                        step.id.0
                    )
                });
            }
            LOOK if !self.are_looked_at => return None,
            stage if stage < LOOK + LOOKS_MAX && text_field(body, "Status") != Some("TICKETED") => {
                next.kind = Kind::Query;
                get_end_of(request, order);
            }
            _ => return None,
        }
        Some(next)
    }
}

fn get_end_of(request: &mut Vec<u8>, order: &str) {
    request.extend_from_slice(b"GET /orders/get?order_id=");
    get_end(request, format_args!("{order}"));
}
