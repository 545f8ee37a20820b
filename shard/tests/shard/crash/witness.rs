//! Every reply has a witness among the records that came back: some state of its slot, not older than the question, that
//! answers the question in the same way. So a reply that showed what a crash took back is found, whether it came from a
//! write, a read or a refusal.

use engine::answer::{Answer, Rejection, Reply};
use engine::command::{Command, Pay, Route};
use engine::decide::{Context, Pending, Policy, Progress, decide, decide_ask};
use engine::ids::{OrderId, SlotId, Time};
use engine::message::Ask;
use engine::state::Slot;

use super::run::Answered;
use crate::support::World;

/// What is asked of each state.
enum Question {
    Command(Command),
    Ask(Ask),
}

#[track_caller]
pub(super) fn check(world: &World, answered: &Answered) {
    let Answered { command, from_seq, reply } = answered;
    if let (Command::ListRefunds(_), Ok(Answer::Refunds(refunds))) = (command, reply) {
        for refund in refunds {
            let row = world.slot(refund.cursor.slot).refunds().get(&refund.order, &refund.txn);
            let row = row.unwrap_or_else(|| panic!("{refund:?} was listed and is gone"));
            assert!(refund.settled.is_none() || row.settled == refund.settled, "{refund:?} is now {row:?}");
        }
        return;
    }
    let (slot, question) = question(world, command, reply);
    let is_routed = command.route(&world.hash) == Route::Slot(slot);
    let from_seq = if is_routed { *from_seq } else { 0 };
    let history = world.history.get(&slot).map_or(&[][..], |history| history);
    let policy = Policy::default();
    // Nothing is due at this time: what had expired is in the records.
    let cx = Context { now: Time(0), catalogue: &*world.setup.catalogue, policy: &policy };
    let mut state = Slot::new(slot);
    let mut records = history.iter();
    loop {
        if state.seq() >= from_seq && is_answered(&state, &cx, &question, reply) {
            return;
        }
        match records.next() {
            Some(record) => state.apply(record, &mut Vec::new()),
            None => break,
        }
    }
    if state.seq() < world.slot(slot).seq() {
        // Only a snapshot holds the records in between: nothing can be said.
        return;
    }
    panic!(
        "{command:?} was answered by {reply:?}, which is not in the records of slot {} from {from_seq} to {}: {:?}",
        slot.get(),
        state.seq(),
        history
    );
}

/// Where the reply comes from in the end, and what shows it there.
fn question(world: &World, command: &Command, reply: &Reply) -> (SlotId, Question) {
    let Route::Slot(slot) = command.route(&world.hash) else { unreachable!("listings are looked at above") };
    let of_order = |order: OrderId| (slot, Question::Command(Command::GetOrder { order }));
    let elsewhere = |ask: Ask| (ask.slot(&world.hash), Question::Ask(ask));
    match (command, reply) {
        (Command::Reserve(c), Ok(_)) => of_order(c.order),
        (Command::Cancel(c), Ok(_)) => of_order(c.order),
        (Command::Pay(c), Ok(_)) => of_order(order_of(c)),
        (Command::Pay(c), Err(Rejection::TxnUsed)) => {
            elsewhere(Ask::Claim { txn: c.txn.clone(), order: order_of(c) })
        }
        (
            Command::Reserve(_),
            Err(Rejection::OrderNotFound | Rejection::InvalidTransition | Rejection::ReservationDiffers),
        ) => (slot, Question::Command(command.clone())),
        (Command::Reserve(c), Err(_)) => elsewhere(Ask::Hold(c.clone())),
        _ => (slot, Question::Command(command.clone())),
    }
}

fn order_of(pay: &Pay) -> OrderId {
    OrderId::parse(pay.order.as_str()).expect("payments of the workload are for orders")
}

fn is_answered(state: &Slot, cx: &Context<'_>, question: &Question, reply: &Reply) -> bool {
    match question {
        Question::Command(command) => match decide(state, cx, command, Progress::default()) {
            Ok(answer) => *reply == Ok(answer),
            Err(Pending::Refused(rejection)) => *reply == Err(rejection),
            Err(_) => false,
        },
        Question::Ask(ask) => match (decide_ask(state, cx, ask), reply) {
            (Err(Pending::Refused(found)), Err(rejection)) => found == *rejection,
            _ => false,
        },
    }
}
