//! What is said of a command, or of its record, without a decision: whoever drives relies on both.

use engine::answer::HoldStatus;
use engine::command::{Command, ListRefunds, RunQuery, TryHold};
use engine::decide::answered_by;
use engine::ids::{Reference, SlotId};
use engine::record::Body;
use engine::text::Text;

use crate::support::catalogue::Table;
use crate::support::names::{APART, Names, TOGETHER, span};
use crate::support::partition_of;
use crate::support::world::World;

/// A hold that was just made is answered by its record, as the same request again would be.
#[test]
fn the_record_of_a_new_hold_says_its_answer() {
    let names = Names::new(TOGETHER);
    let mut world = World::new(Table::default());
    let slot = SlotId::new(TOGETHER.partition);
    world.run(Command::TryHold(names.try_hold("sold", 1))).unwrap();
    world.run(Command::ConfirmHold(names.hold_ref("sold"))).unwrap();
    for (id, quantity, on) in [("whole", 1, None), ("part", 2, span(1, 2)), ("rest", 2, span(0, 1))] {
        let command = Command::TryHold(TryHold { span: on, ..names.try_hold(id, quantity) });
        let reply = world.run(command.clone());
        let Some(Body::HoldMade(row)) = world.log.last().map(|record| record.body.clone()) else {
            panic!("no hold was made: {:?}", world.log.last());
        };
        let answer = answered_by(world.slot(slot).unwrap(), &command, Body::HoldMade(row.clone()));
        assert_eq!(answer, Some(reply.clone().unwrap()));
        assert_eq!(world.run(command), reply);
        let view = partition_of(&reply);
        assert_eq!((view.hold.status, view.confirmed), (HoldStatus::Held, 1));
        // For an order it is a fact that is sent, no answer.
        let reserve = Command::Reserve(names.reserve(0));
        assert_eq!(answered_by(world.slot(slot).unwrap(), &reserve, Body::HoldMade(row)), None);
    }
}

/// Other records leave something to be decided: the opening of a partition is followed by its hold.
#[test]
fn other_records_do_not_say_an_answer() {
    let names = Names::new(APART);
    let mut world = World::new(Table::default());
    let command = Command::TryHold(names.try_hold("h", 1));
    world.run(command.clone()).unwrap();
    let opened = world.log[0].body.clone();
    assert!(matches!(opened, Body::PartitionOpened(_)));
    let slot = world.slot(SlotId::new(APART.partition)).unwrap();
    assert_eq!(answered_by(slot, &command, opened), None);
}

/// Where room runs short, what takes seats or begins an order is refused; money, ends and reading go on.
#[test]
fn new_sales_are_three_kinds_of_commands() {
    let names = Names::new(TOGETHER);
    let partition = names.partition.clone();
    let Command::Pay(pay) = names.pay(0, 0) else { unreachable!("that is a payment") };
    let reference = Reference::parse("r").unwrap();
    let [train, date] = ["G1", "2027-01-01"].map(Text::from);
    for (command, is_new_sale) in [
        (Command::TryHold(names.try_hold("h", 1)), true),
        (names.create(0), true),
        (Command::Reserve(names.reserve(0)), true),
        (Command::ReleaseHold(names.hold_ref("h")), false),
        (Command::ConfirmHold(names.hold_ref("h")), false),
        (Command::Availability { partition, span: None }, false),
        (Command::Run(RunQuery { train, date, span: None }), false),
        (names.cancel(0), false),
        (names.get(0), false),
        (names.ticket(0), false),
        (names.pay(0, 0), false),
        (Command::SettleRefund { order: pay.order, txn: pay.txn, reference }, false),
        (Command::ListRefunds(ListRefunds { status: None, after: None, limit: 1 }), false),
    ] {
        assert_eq!(command.is_new_sale(), is_new_sale, "{command:?}");
    }
}
