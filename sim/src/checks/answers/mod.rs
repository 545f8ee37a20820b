//! Answers: each has to be given by a state that the caller may be shown: not older than the question, and durable by
//! the time the answer leaves. What each state answers is said here in the model's own terms.

mod inventory;
mod money;
mod orders;

use std::rc::Rc;

use engine::answer::{Rejection, Reply};
use engine::command::Command;
use engine::ids::{SlotId, Time};

use super::model::state::Slot;
use super::model::{DecisionInputs, Model};

/// A request, and what was known when it came in.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub command: Command,
    /// The slots that it may show, how far each had come, and what time it was on the core of each.
    pub shown: Vec<Shown>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown {
    pub slot: SlotId,
    pub from: usize,
    pub time: Time,
    /// Turns that its core had had.
    pub turns: usize,
}

/// The states that one slot may have been shown in.
struct Window {
    states: Vec<Rc<Slot>>,
    time: Time,
    /// Times that the calendar showed meanwhile.
    calendars: Vec<Time>,
}

/// Inputs of an answer beside the state.
struct At<'a> {
    inputs: &'a DecisionInputs,
    /// It was not given before this.
    time: Time,
    calendar: Time,
}

impl Window {
    fn any(&self, is_so: impl Fn(&Slot) -> bool) -> bool {
        self.states.iter().any(|state| is_so(state))
    }

    /// In some state, at some time that the calendar has shown.
    fn any_at(&self, inputs: &DecisionInputs, is_so: impl Fn(&Slot, &At<'_>) -> bool) -> bool {
        let at = |calendar| At { inputs, time: self.time, calendar };
        self.calendars.iter().any(|calendar| self.any(|state| is_so(state, &at(*calendar))))
    }
}

/// Not an answer about any state: nothing was done, try again.
#[must_use]
pub(crate) fn is_try_again(reply: &Reply) -> bool {
    matches!(reply, Err(Rejection::Busy | Rejection::LimitReached | Rejection::LogFull | Rejection::Stopping))
}

/// Holds an answer against the model, at the moment when it leaves its shard.
///
/// # Panics
/// When no state gives it.
pub(crate) fn check(model: &Model, question: &Question, reply: &Reply) {
    if is_try_again(reply) {
        let is_short = *reply != Err(Rejection::LimitReached) || model.inputs.is_tight;
        assert!(is_short, "refused for want of memory, and there is plenty: {:?}", question.command);
        return;
    }
    if let Command::ListRefunds(list) = &question.command {
        return money::listed(model, question, list, reply);
    }
    let window = |shown: &Shown| Window {
        states: model.window(shown.slot, shown.from),
        time: shown.time,
        calendars: model.calendars_since(shown.slot, shown.turns),
    };
    let main = window(&question.shown[0]);
    let second = question.shown.get(1).map(window);
    let inputs = &model.inputs;
    let given = match &question.command {
        Command::TryHold(c) => main.any_at(inputs, |s, at| inventory::hold(s, at, c, reply)),
        Command::Allocate(c) => main.any_at(inputs, |s, at| inventory::allocate(s, at, c, reply)),
        Command::ReleaseHold(c) => main.any_at(inputs, |s, at| inventory::end(s, at, c, reply, false)),
        Command::ConfirmHold(c) => main.any_at(inputs, |s, at| inventory::end(s, at, c, reply, true)),
        Command::Availability { partition, span } => {
            main.any_at(inputs, |s, at| inventory::availability(s, at, partition, *span, reply))
        }
        Command::Run(c) => main.any_at(inputs, |s, at| inventory::run(s, at, c, reply)),
        Command::CreateOrder(c) => main.any(|s| orders::create(s, main.time, c, reply)),
        Command::Purchase(c) => main.any_at(inputs, |s, at| orders::purchase(s, at, c, reply)),
        Command::GetOrder { order } => main.any(|s| orders::get(s, main.time, *order, reply)),
        Command::IssueTicket { order } => main.any(|s| orders::ticket(s, *order, reply)),
        Command::Cancel(c) => main.any(|s| orders::cancel(s, c, reply)),
        Command::Reserve(c) => {
            let partition = second.as_ref().expect("a reserve shows its partition");
            main.any(|s| orders::reserve(s, main.time, c, reply))
                || (reply.is_err() && partition.any_at(inputs, |s, at| inventory::refuse(s, at, c, reply)))
        }
        Command::Pay(c) => {
            let claim = second.as_ref().expect("a payment shows its claim");
            main.any(|s| money::pay(s, main.time, c, reply)) || claim.any(|s| money::used(s, c, reply))
        }
        Command::SettleRefund { order, txn, reference } => {
            main.any(|s| money::settle(s, order, txn, reference, reply))
        }
        Command::AskKept { .. } => unreachable!("no client asks that"),
        Command::ListRefunds(_) => unreachable!("looked at above"),
    };
    if given {
        return;
    }
    let last = model.version(question.shown[0].slot, model.seq(question.shown[0].slot));
    panic!(
        "no durable state since it was asked gives this answer: {reply:?} to {:?} from {:?}; {} states, the last one \
         written is {last:?}",
        question.command,
        question.shown,
        main.states.len()
    );
}
