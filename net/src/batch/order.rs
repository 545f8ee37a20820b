//! The order of a batch: what is about one partition, or about one order, takes effect in the order of the list.
//!
//! Each operation has a level. Those of one level go at once, each core's as one parcel in their order; those of the next when all of
//! them are answered. What a partition's own slot does at once (holds, their ends, purchases) needs no levels of its own: the parcel keeps the order.
//! An operation that asks another slot first may be overtaken on the way, and is waited for.

use std::collections::HashMap;

use engine::command::Command;
use engine::ids::OrderId;
use engine::limits::QUANTITY_MAX;

use crate::limits::{BATCH_WAVE_MAX, BATCH_WAVE_SEATS_MAX};

/// A thing that operations are about.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Thing<'c> {
    Partition(&'c str),
    Order(OrderId),
    /// The name of no order.
    Name(&'c str),
}

/// The last operations about a thing.
#[derive(Clone, Copy)]
struct Last {
    level: u32,
    /// They are done at once, in the thing's own slot.
    is_direct: bool,
}

/// The level of each command, in their order; 0 where there is none.
pub(crate) fn levels<'c>(commands: impl Iterator<Item = Option<&'c Command>>) -> Vec<u32> {
    let mut lasts: HashMap<Thing<'c>, Last> = HashMap::new();
    let level = |command: Option<&'c Command>| {
        let Some(command) = command else { return 0 };
        let is_direct = is_direct(command);
        let after = |last: &Last| last.level + u32::from(!(is_direct && last.is_direct));
        let things = things(command);
        let level =
            things.iter().flatten().filter_map(|thing| lasts.get(thing)).map(after).max().unwrap_or(0);
        for thing in things.into_iter().flatten() {
            lasts.insert(thing, Last { level, is_direct });
        }
        level
    };
    commands.map(level).collect()
}

/// Pieces of a level that go at a time: bounded in operations, and in the seats that these ask for.
pub(crate) fn waves(level: &[usize], seats: impl Fn(usize) -> u32) -> impl Iterator<Item = &[usize]> {
    let mut rest = level;
    std::iter::from_fn(move || {
        let mut asked = 0;
        let fits = |nth: &&usize| {
            asked += seats(**nth);
            asked <= BATCH_WAVE_SEATS_MAX
        };
        let fitting = rest.iter().take(BATCH_WAVE_MAX).take_while(fits).count();
        let (wave, more) = rest.split_at(fitting);
        rest = more;
        (!wave.is_empty()).then_some(wave)
    })
}

/// The seats that a command asks for. More than a hold may have are refused.
pub(crate) fn seats(command: &Command) -> u32 {
    let asked = match command {
        Command::TryHold(c) => c.quantity,
        Command::Reserve(c) => c.seats.quantity,
        Command::Purchase(c) => c.quantity,
        _ => 0,
    };
    if asked > QUANTITY_MAX { 0 } else { asked }
}

/// It is done in its partition's slot, without asking another.
fn is_direct(command: &Command) -> bool {
    matches!(
        command,
        Command::TryHold(_) | Command::ReleaseHold(_) | Command::ConfirmHold(_) | Command::Purchase(_)
    )
}

/// The partition and the order that a command names. A payment says which partition it expects, and changes nothing that is free in it.
fn things(command: &Command) -> [Option<Thing<'_>>; 2] {
    let partition = match command {
        Command::TryHold(c) => Some(&c.partition),
        Command::ReleaseHold(c) | Command::ConfirmHold(c) => Some(&c.partition),
        Command::Purchase(c) => Some(&c.partition),
        Command::Reserve(c) => Some(&c.seats.partition),
        Command::Cancel(c) => c.expected.partition.as_ref(),
        _ => None,
    };
    let order = match command {
        Command::Reserve(c) => Some(Thing::Order(c.order)),
        Command::Cancel(c) => Some(Thing::Order(c.order)),
        Command::Pay(c) => {
            let name = c.order.as_str();
            Some(OrderId::parse(name).map_or(Thing::Name(name), Thing::Order))
        }
        _ => None,
    };
    [partition.map(|key| Thing::Partition(key.as_str())), order]
}

#[cfg(test)]
mod tests {
    use engine::command::{
        AdHoc, Cancel, CreateOrder, ExpectedHold, HoldRef, Pay, Purchase, Reserve, SeatRequest,
    };
    use engine::ids::{Cents, HoldId, IdempotencyKey, OrderName, PartitionKey, SlotId, TxnId};

    use super::*;

    fn partition(nth: u8) -> PartitionKey {
        PartitionKey::parse(&format!("p-{nth}")).unwrap()
    }

    fn order(nth: u8) -> OrderId {
        OrderId::new(SlotId::new(u16::from(nth)), u128::from(nth) << 64)
    }

    fn hold() -> HoldId {
        HoldId::parse("h").unwrap()
    }

    const AD_HOC: AdHoc = AdHoc { capacity: 1, segments: 1 };

    fn seats(nth: u8) -> SeatRequest {
        SeatRequest { partition: partition(nth), hold: hold(), quantity: 1, span: None, ad_hoc: AD_HOC }
    }

    /// `h2`: a hold on partition 2. `c`onfirm, `l`et go, `b`uy; `r13`: reserve partition 3 for order 1; `x1`: cancel it, `x13`: naming
    /// partition 3; `p1`: pay it, `pn`: pay nobody; `n`: a new order.
    fn command(text: &str) -> Command {
        let digit = |at: usize| text.as_bytes().get(at).map(|digit| digit - b'0');
        let first = digit(1).unwrap_or(0);
        let hold_ref = || HoldRef { partition: partition(first), hold: hold() };
        match text.as_bytes()[0] {
            b'h' => Command::TryHold(seats(first)),
            b'c' => Command::ConfirmHold(hold_ref()),
            b'l' => Command::ReleaseHold(hold_ref()),
            b'b' => Command::Purchase(Purchase {
                key: IdempotencyKey::parse("k").unwrap(),
                amount: Cents(1),
                partition: partition(first),
                quantity: 1,
                span: None,
                ad_hoc: AD_HOC,
                ttl_ms: None,
                entropy: 0,
            }),
            b'r' => Command::Reserve(Reserve { order: order(first), seats: seats(digit(2).unwrap()) }),
            b'x' => {
                let expected = ExpectedHold { partition: digit(2).map(partition), hold: None };
                Command::Cancel(Cancel { order: order(first), expected })
            }
            b'p' => {
                let name =
                    if text == "pn" { OrderName::parse("nobody").unwrap() } else { order(first).name() };
                let expected = ExpectedHold { partition: Some(partition(0)), hold: None };
                let txn = TxnId::parse("t").unwrap();
                Command::Pay(Pay { order: name, txn, expected, verified: true, looked_up: None })
            }
            b'n' => Command::CreateOrder(CreateOrder {
                key: IdempotencyKey::parse("k").unwrap(),
                amount: Cents(1),
                entropy: 0,
            }),
            other => panic!("no command begins with {other}"),
        }
    }

    fn levels_of(texts: &[&str]) -> Vec<u32> {
        let commands: Vec<Command> = texts.iter().map(|text| command(text)).collect();
        levels(commands.iter().map(Some))
    }

    #[test]
    fn what_one_slot_does_at_once_needs_no_levels() {
        assert_eq!(levels_of(&["h1", "c1", "h1", "b1", "l1", "h2", "n", "n"]), [0; 8]);
    }

    #[test]
    fn what_asks_another_slot_is_waited_for() {
        // Reserve, pay and cancel of one order, one after the other; those of another one beside them.
        assert_eq!(levels_of(&["r11", "p1", "x1", "r22", "p2"]), [0, 1, 2, 0, 1]);
        // Reserves of one partition, and holds between them.
        assert_eq!(levels_of(&["h1", "r11", "h1", "c1", "r21", "h1", "h2"]), [0, 1, 2, 2, 3, 4, 0]);
        // The seats that a cancel gives back are wanted by who comes after it, where it names them.
        assert_eq!(levels_of(&["x11", "h1", "x2", "h2"]), [0, 1, 0, 0]);
        assert_eq!(levels_of(&["pn", "pn", "p1"]), [0, 1, 0]);
        assert_eq!(
            levels([None, Some(&command("r11")), None, Some(&command("h1"))].into_iter()),
            [0, 0, 0, 1]
        );
    }

    /// Whatever comes in whatever order: of two that share a thing the later one has a higher level, or the same where both are done at
    /// once in its slot.
    #[test]
    fn nothing_overtakes_what_it_shares_a_thing_with() {
        let all =
            ["h1", "h2", "c1", "l2", "b1", "r11", "r12", "r21", "x1", "x12", "x2", "p1", "p2", "pn", "n"];
        let mut rng = fastrand::Rng::with_seed(7);
        for _ in 0..300 {
            let commands: Vec<Command> =
                (0..rng.usize(1..40)).map(|_| command(all[rng.usize(..all.len())])).collect();
            let levels = levels(commands.iter().map(Some));
            for j in 0..commands.len() {
                for i in 0..j {
                    let (earlier, later) = (&commands[i], &commands[j]);
                    let shares =
                        things(earlier).into_iter().flatten().any(|t| things(later).contains(&Some(t)));
                    let in_order = is_direct(earlier) && is_direct(later) && levels[i] == levels[j];
                    assert!(
                        !shares || levels[i] < levels[j] || in_order,
                        "{earlier:?} and {later:?}: {} and {}",
                        levels[i],
                        levels[j]
                    );
                }
            }
        }
    }

    #[test]
    fn a_wave_is_bounded_in_operations_and_in_seats() {
        let of = |count: usize, each: u32| -> Vec<usize> {
            let level: Vec<usize> = (0..count).collect();
            let waves: Vec<&[usize]> = waves(&level, |_| each).collect();
            assert_eq!(waves.concat(), level, "each once, in its order");
            waves.iter().map(|wave| wave.len()).collect()
        };
        assert_eq!(of(0, 1), [0; 0]);
        assert_eq!(of(2_049, 0), [2_048, 1]);
        assert_eq!(of(4_096, 32), [2_048, 2_048]);
        assert_eq!(of(100, QUANTITY_MAX), [32, 32, 32, 4]);
        let mut large = seats(0);
        for (quantity, expected) in
            [(1, 1), (QUANTITY_MAX, QUANTITY_MAX), (QUANTITY_MAX + 1, 0), (u32::MAX, 0)]
        {
            large.quantity = quantity;
            assert_eq!(super::seats(&Command::TryHold(large.clone())), expected);
        }
    }
}
