//! Slots with a million claims or refunds, the most that one remembers: money that comes then is not taken, and what was
//! taken is still known.

#![expect(clippy::result_large_err, reason = "decisions are what they are")]

use engine::answer::{RefundReason, Rejection};
use engine::command::{Command, ExpectedHold, Found, LookedUp, Pay};
use engine::decide::{Context, Pending, Policy, Progress, decide, decide_ask};
use engine::ids::{OrderId, SlotId};
use engine::limits::{CLAIMS_PER_SLOT_MAX, REFUNDS_PER_SLOT_MAX};
use engine::message::{Ask, Fact};
use engine::record::{Body, Record, RefundRow};
use engine::state::Slot;
use engine::text::Text;

use crate::support::catalogue::Table;
use crate::support::names::{order_name, txn};
use crate::support::world::START;

const SLOT: SlotId = SlotId::new(1);

fn apply(slot: &mut Slot, body: Body) {
    let (seq, trace) = (slot.seq() + 1, Text::from(""));
    slot.apply(&Record { slot: SLOT, seq, time: START, trace, body }, &mut Vec::new());
}

fn with_context<T>(decide: impl FnOnce(&Context<'_>) -> T) -> T {
    let (catalogue, policy) = (Table::default(), Policy::default());
    decide(&Context { now: START, calendar: START, catalogue: &catalogue, policy: &policy })
}

#[test]
fn claims_of_a_slot() {
    let order = OrderId::new(SLOT, 0);
    let id = |i: usize| txn(&format!("{i}"));
    let claim = |slot: &Slot, i: usize| {
        with_context(|context| decide_ask(slot, context, &Ask::Claim { txn: id(i), order, goes_back: None }))
    };
    let mut slot = Slot::new(SLOT);
    for i in 0..CLAIMS_PER_SLOT_MAX {
        if i + 1 == CLAIMS_PER_SLOT_MAX {
            assert_eq!(
                claim(&slot, i),
                Err(Pending::Append(Body::TxnClaimed { txn: id(i), order, goes_back: None }))
            );
        }
        let tell = slot.next_tell();
        apply(&mut slot, Body::TxnClaimed { txn: id(i), order, goes_back: None });
        apply(&mut slot, Body::TellsAcked { tells: vec![tell] });
    }
    assert_eq!(claim(&slot, CLAIMS_PER_SLOT_MAX), Err(Rejection::LimitReached.into()));
    assert_eq!(claim(&slot, 7), Ok(Fact::TxnClaimed { order, txn: id(7), goes_back: None }));
}

#[test]
fn refunds_of_a_slot() {
    let order = || order_name("nobody's");
    let id = |i: usize| txn(&format!("{i}"));
    let row = |i: usize| RefundRow {
        number: i as u64 + 1,
        order: order(),
        txn: id(i),
        amount: None,
        reason: RefundReason::Unmatched,
        created_at: START,
        settled: None,
    };
    let pay = |slot: &Slot, i: usize| {
        let found = Found::Nothing { refund: None, history_lost: false };
        let looked_up = Some(Box::new(LookedUp { at: START, found }));
        let (order, txn) = (order(), id(i));
        let pay = Pay { order, txn, expected: ExpectedHold::default(), verified: true, looked_up };
        with_context(|context| decide(slot, context, &Command::Pay(pay), Progress::default()))
    };
    let mut slot = Slot::new(SLOT);
    for i in 0..REFUNDS_PER_SLOT_MAX {
        if i + 1 == REFUNDS_PER_SLOT_MAX {
            assert_eq!(pay(&slot, i), Err(Pending::Append(Body::RefundOwed(row(i)))));
        }
        apply(&mut slot, Body::RefundOwed(row(i)));
    }
    assert_eq!(pay(&slot, REFUNDS_PER_SLOT_MAX), Err(Rejection::LimitReached.into()));
    assert_eq!(pay(&slot, 7), Err(Rejection::OrderNotFound.into()));
}
