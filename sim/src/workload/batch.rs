//! Batches: several requests at once, those of each core as one parcel. What is about one partition takes effect in the order of the list.

use std::collections::BTreeMap;

use engine::answer::{Answer, Reply};
use engine::command::{Command, HoldRef, SeatRequest};
use engine::ids::PartitionKey;

use super::{Call, Clients, end_hold, next, purchase, try_hold};
use crate::counters::Covered;
use crate::rng::Rng;
use crate::world::World;

/// Requests in one batch.
const OPERATIONS: (u64, u64) = (2, 9);

/// Answers of batches under way, as far as they have come.
#[derive(Debug, Default)]
pub(super) struct Batches {
    count: u64,
    /// The sequence that each answer shows of its partition, by its place in the list.
    shown: BTreeMap<(u64, PartitionKey), BTreeMap<usize, u64>>,
}

impl Batches {
    /// # Panics
    /// When an answer shows an earlier state of its partition than one before it in the list.
    pub(super) fn replied(&mut self, world: &mut World, (batch, place): (u64, usize), reply: &Reply) {
        let Ok(Answer::Partition(view)) = reply else { return };
        let shown = self.shown.entry((batch, view.partition.clone())).or_default();
        shown.insert(place, view.last_seq);
        assert!(
            shown.values().is_sorted(),
            "a batch was done in another order: {shown:?} of {}",
            view.partition
        );
        if shown.len() > 1 {
            world.coverage.count(Covered::BatchAnswered);
        }
    }

    pub(super) fn hung_up(&mut self) {
        self.shown.clear();
    }
}

/// A batch of anything, or one about few holds of one partition.
pub(super) fn begin(clients: &mut Clients, world: &mut World) {
    let count = world.rng.between(OPERATIONS.0, OPERATIONS.1);
    let commands = if world.rng.percent(50) {
        of_one_partition(clients, &mut world.rng, count)
    } else {
        let any = (0..2 * count).filter_map(|_| next(&mut clients.book, &mut world.rng));
        any.filter(|command| !matches!(command, Command::ListRefunds(_))).take(count as usize).collect()
    };
    if commands.is_empty() {
        return;
    }
    let numbers: Vec<usize> = commands.iter().map(|command| clients.asked(world, command)).collect();
    clients.batches.count += 1;
    let callers = world.ask_batch(&commands);
    for (place, ((caller, number), command)) in callers.into_iter().zip(numbers).zip(commands).enumerate() {
        let batch = Some((clients.batches.count, place));
        clients.calls.insert(caller, Call { number, command, abandoned: false, batch });
    }
}

/// Holds, their ends and purchases, one after the other.
fn of_one_partition(clients: &mut Clients, rng: &mut Rng, count: u64) -> Vec<Command> {
    let book = &mut clients.book;
    let place = book.place(rng);
    let mut commands = Vec::new();
    let mut last: Option<SeatRequest> = None;
    for _ in 0..count {
        let command = match (rng.below(4), &last) {
            (0, Some(seats)) => {
                let HoldRef { partition, hold } =
                    HoldRef { partition: place.key.clone(), hold: seats.hold.clone() };
                match rng.percent(50) {
                    true => Command::ConfirmHold(HoldRef { partition, hold }),
                    false => Command::ReleaseHold(HoldRef { partition, hold }),
                }
            }
            (1, _) => match purchase::next(book, rng) {
                Command::Purchase(mut c) => {
                    (c.partition, c.ad_hoc) = (place.key.clone(), place.ad_hoc);
                    Command::Purchase(c)
                }
                other => other,
            },
            (2, _) => end_hold::next(book, rng),
            _ => match try_hold::next(book, rng) {
                Command::TryHold(mut seats) => {
                    (seats.partition, seats.ad_hoc) = (place.key.clone(), place.ad_hoc);
                    last = Some(seats.clone());
                    Command::TryHold(seats)
                }
                other => other,
            },
        };
        commands.push(command);
    }
    commands
}
