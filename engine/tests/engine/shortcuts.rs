//! Properties of a command that are known without a decision; the shard relies on them.

use engine::command::{Command, ListRefunds, RunQuery};
use engine::ids::Reference;
use engine::text::Text;

use crate::support::names::{Names, TOGETHER};

/// Where room runs short, what takes seats or begins an order is refused; money, ends and reading go on.
#[test]
fn new_sales_are_three_kinds_of_commands() {
    let names = Names::new(TOGETHER);
    let partition = names.partition.clone();
    let Command::Pay(pay) = names.pay(0, 0) else { unreachable!("that is a payment") };
    let reference = Reference::parse("r").unwrap();
    let [train, date] = ["G1", "2027-01-01"].map(Text::from);
    for (command, is_new_sale) in [
        (names.try_hold("h", 1), true),
        (names.create(0), true),
        (names.reserve(0), true),
        (names.release("h"), false),
        (names.confirm("h"), false),
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
