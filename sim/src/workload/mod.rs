//! The workload of clients: every operation, one file each, on few names; exact repeats, repeats with other contents, and requests
//! that race each other on purpose.

mod batch;
pub(crate) mod book;
mod cancel;
mod create;
mod end_hold;
pub(crate) mod left;
mod look_up;
mod pay;
mod purchase;
mod query;
mod races;
mod refunds;
mod reserve;
mod try_hold;

use std::collections::{BTreeMap, VecDeque};

use engine::answer::{Answer, Rejection, Reply};
use engine::command::{Cancel, Command, CreateOrder, ExpectedHold, Pay, Purchase};
use engine::ids::{OrderId, Time};
use shard::Caller;

use crate::counters::Covered;
use crate::faults;
use crate::rng::Rng;
use crate::world::World;
use book::Book;
use look_up::LookUp;

/// A request under way.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// Its place in the history of all requests.
    pub number: usize,
    pub command: Command,
    /// The client has gone away.
    pub abandoned: bool,
    /// The batch that it is one of, and its place in that.
    batch: Option<(u64, usize)>,
}

/// A request from its beginning to its end, as its client saw it.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub command: Command,
    /// Moments on one scale for all requests.
    pub called: u64,
    pub returned: Option<u64>,
    pub reply: Option<Reply>,
    /// Latest time on any core by then.
    pub time: Time,
}

#[derive(Debug)]
pub(crate) struct Clients {
    pub book: Book,
    pub calls: BTreeMap<Caller, Call>,
    /// Payments whose order the engine does not have: the read model is asked.
    lookups: VecDeque<LookUp>,
    /// All requests, in the order in which they were made.
    pub history: Vec<Told>,
    /// Batches so far, and what has been answered of those that are under way.
    batches: batch::Batches,
    /// Made already: the moment goes on with every call and every return.
    moment: u64,
    pub made: u64,
}

impl Clients {
    #[must_use]
    pub(crate) fn new(rng: &mut Rng) -> Clients {
        let (book, calls, lookups) = (Book::new(rng), BTreeMap::new(), VecDeque::new());
        let batches = batch::Batches::default();
        Clients { book, calls, lookups, history: Vec::new(), batches, moment: 0, made: 0 }
    }

    /// One client does something.
    pub(crate) fn act(&mut self, world: &mut World) {
        if self.looks_up() && world.rng.percent(60) {
            return self.look_up(world);
        }
        let kind = world.rng.below(105);
        if kind >= 102 {
            return batch::begin(self, world);
        }
        if kind >= 100 {
            return self.abandon_one(world);
        }
        if kind < 8 && !self.book.made.is_empty() {
            let command = world.rng.pick(self.book.made.make_contiguous()).clone();
            world.coverage.count(Covered::Repeated);
            let command = again(command, &mut world.rng);
            return self.ask(world, command);
        }
        if kind < 26 {
            return races::begin(self, world);
        }
        if let Some(command) = next(&mut self.book, &mut world.rng) {
            self.ask(world, command);
        }
    }

    pub(crate) fn ask(&mut self, world: &mut World, command: Command) {
        let number = self.asked(world, &command);
        self.send(world, number, command);
    }

    /// Notes a request; its place in the history.
    fn asked(&mut self, world: &mut World, command: &Command) -> usize {
        races::count(self, world, command);
        self.moment += 1;
        self.made += 1;
        world.coverage.count(Covered::Operations);
        let has_left = order_of(command).is_some_and(|order| world.model.left(order).is_some());
        world.coverage.add(Covered::AskedOfLeft, u64::from(has_left));
        self.book.remember(command);
        let number = self.history.len();
        self.history.push(Told {
            command: command.clone(),
            called: self.moment,
            returned: None,
            reply: None,
            time: world.now(),
        });
        number
    }

    fn send(&mut self, world: &mut World, number: usize, command: Command) {
        let callers = world.ask(&command);
        let (first, parts) = callers.split_first().expect("somebody is asked");
        let abandoned = world.rng.percent(2);
        self.calls.insert(*first, Call { number, command: command.clone(), abandoned: false, batch: None });
        if abandoned {
            self.abandon(world, *first);
        }
        for part in parts {
            // Of a listing each part is held against the model by itself; one of them stands for the whole.
            self.calls.insert(*part, Call { number, command: command.clone(), abandoned: true, batch: None });
            world.process.abandon(*part);
        }
    }

    /// A client goes away before it is answered.
    fn abandon(&mut self, world: &mut World, caller: Caller) {
        self.calls.get_mut(&caller).expect("a call under way").abandoned = true;
        world.process.abandon(caller);
        world.coverage.count(Covered::Abandoned);
    }

    fn abandon_one(&mut self, world: &mut World) {
        let waiting = self.calls.iter().filter(|(_, call)| !call.abandoned);
        let waiting: Vec<Caller> = waiting.map(|(caller, _)| *caller).collect();
        if !waiting.is_empty() {
            let caller = *world.rng.pick(&waiting);
            self.abandon(world, caller);
        }
    }

    /// Somebody waits at a core for an answer.
    #[must_use]
    pub(crate) fn wait_at(&self, core: u16) -> bool {
        self.calls.iter().any(|(caller, call)| caller.core == core && !call.abandoned)
    }

    /// An answer reaches its client.
    ///
    /// # Panics
    /// When nobody asked.
    pub(crate) fn replied(&mut self, world: &mut World, caller: Caller, reply: Reply) {
        let call = self.calls.remove(&caller).unwrap_or_else(|| panic!("nobody waits for {caller:?}"));
        if let Some(place) = call.batch {
            self.batches.replied(world, place, &reply);
        }
        if call.abandoned {
            return;
        }
        assert_eq!(world.process.take_reply(caller).as_ref(), Some(&reply), "another call's reply");
        if let (Command::Pay(pay), Err(Rejection::OrderNotHere(at))) = (&call.command, &reply) {
            self.lookups.push_back(LookUp { number: call.number, pay: pay.clone(), at: *at });
            return;
        }
        look_up::count(world, &call.command, &reply);
        self.book.learn(&call.command, &reply, &mut world.rng);
        self.moment += 1;
        let told = &mut self.history[call.number];
        told.returned = Some(self.moment);
        told.time = world.now();
        if !matches!(reply, Ok(Answer::Refunds(_))) {
            told.reply = Some(reply);
        }
    }

    /// The process has died: nobody is answered any more. Some clients ask the next one at once, and for something else.
    pub(crate) fn hung_up(&mut self, world: &mut World) {
        self.moment += 1;
        self.batches.hung_up();
        let calls = std::mem::take(&mut self.calls);
        let commands = calls.into_values().map(|call| call.command);
        let lookups = std::mem::take(&mut self.lookups).into_iter();
        let commands: Vec<Command> = commands.chain(lookups.map(|lookup| Command::Pay(lookup.pay))).collect();
        for command in commands {
            let command = match &command {
                Command::Reserve(c) if world.rng.percent(95) => {
                    Command::Cancel(Cancel { order: c.order, expected: ExpectedHold::default() })
                }
                command if world.rng.percent(30) => again(command.clone(), &mut world.rng),
                _ => continue,
            };
            self.ask(world, command);
        }
        if world.cores() > 1 && world.rng.percent(70) {
            faults::hold_rings(world);
        }
    }
}

/// The same request once more: what a client leaves to the server is drawn anew.
fn again(command: Command, rng: &mut Rng) -> Command {
    match command {
        Command::CreateOrder(c) => Command::CreateOrder(CreateOrder { entropy: rng.wide(), ..c }),
        Command::Purchase(c) => Command::Purchase(Purchase { entropy: rng.wide(), ..c }),
        Command::Pay(c) => Command::Pay(Pay { looked_up: None, ..c }),
        other => other,
    }
}

/// The order that a command is about.
#[must_use]
pub(crate) fn order_of(command: &Command) -> Option<OrderId> {
    match command {
        Command::Reserve(c) => Some(c.order),
        Command::Cancel(c) => Some(c.order),
        Command::Pay(c) => OrderId::parse(c.order.as_str()),
        Command::GetOrder { order } | Command::IssueTicket { order } => Some(*order),
        _ => None,
    }
}

fn next(book: &mut Book, rng: &mut Rng) -> Option<Command> {
    match rng.below(100) {
        0..12 => Some(try_hold::next(book, rng)),
        12..14 => Some(try_hold::allocate(book, rng)),
        14..22 => Some(end_hold::next(book, rng)),
        22..28 => Some(purchase::next(book, rng)),
        28..42 => Some(create::next(book, rng)),
        42..60 => reserve::next(book, rng),
        60..76 => pay::next(book, rng),
        76..81 => cancel::next(book, rng),
        81..87 => query::order(book, rng),
        87..89 => query::ticket(book, rng),
        89..93 => Some(query::availability(book, rng)),
        93..95 => query::run(book, rng),
        95..98 => refunds::settle(book, rng),
        _ => Some(refunds::list(rng)),
    }
}
