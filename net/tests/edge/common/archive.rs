//! A read model in memory: orders in a list, looked through from its beginning for every question.

use engine::answer::{OrderStatus, OrderView};
use engine::ids::{IdempotencyKey, OrderId, SlotId};
use engine::read_model::{OrderPosition, OrdersPage, OrdersQuestion, Question, Reading};

use super::{PlayedRead, samples};

/// Orders by creation, then by id.
#[derive(Clone, Default)]
pub(crate) struct Archive(Vec<OrderView>);

impl Archive {
    pub(crate) fn new(mut orders: Vec<OrderView>) -> Archive {
        orders.sort_by_key(position);
        Archive(orders)
    }

    /// So many ticketed orders that differ in id and key; three each were created in the same millisecond.
    pub(crate) fn of(count: u64) -> Archive {
        let order = |number: u64| OrderView {
            order: OrderId::new(SlotId::new((number * 7 % 4_096) as u16), u128::from(number) << 12),
            key: IdempotencyKey::parse(&format!("{number:0>100}")).unwrap(),
            created_at: samples::MOMENT.plus(number / 3),
            ..samples::order(OrderStatus::Ticketed)
        };
        Archive::new((0..count).map(order).collect())
    }

    pub(crate) fn orders(&self) -> &[OrderView] {
        &self.0
    }

    pub(crate) fn ids(&self) -> Vec<String> {
        self.0.iter().map(|order| order.order.to_string()).collect()
    }

    /// The answer to a question about orders.
    pub(crate) fn answer(&self, question: &Question) -> PlayedRead {
        PlayedRead::Answer(Ok(match question {
            Question::Order(id) => Reading::Order(self.find(*id).map(Box::new)),
            Question::Orders(question) => Reading::Orders(self.page(question)),
            Question::History(_) | Question::Payment { .. } | Question::Refunds(_) => {
                panic!("it has orders alone")
            }
        }))
    }

    fn find(&self, id: OrderId) -> Option<OrderView> {
        self.0.iter().find(|order| order.order == id).cloned()
    }

    fn page(&self, question: &OrdersQuestion) -> OrdersPage {
        let mut orders: Vec<OrderView> =
            self.0.iter().filter(|order| fits(order, question)).cloned().collect();
        let more = orders.len() > question.limit;
        orders.truncate(question.limit);
        OrdersPage { next: orders.last().filter(|_| more).map(position), orders }
    }
}

fn position(order: &OrderView) -> OrderPosition {
    OrderPosition { created_at: order.created_at, order: order.order }
}

fn fits(order: &OrderView, question: &OrdersQuestion) -> bool {
    let parts = order.reservation.as_ref().and_then(|reservation| reservation.partition.parts());
    let [train, date, class] = [parts.map(|p| p.0), parts.map(|p| p.1), parts.map(|p| p.2)];
    question.status.is_none_or(|status| status == order.status)
        && question.train.as_ref().is_none_or(|wanted| train == Some(wanted.as_str()))
        && question.date.as_ref().is_none_or(|wanted| date == Some(wanted.as_str()))
        && question.class.as_ref().is_none_or(|wanted| class == Some(wanted.as_str()))
        && question.key.as_ref().is_none_or(|key| *key == order.key)
        && question.txn.as_ref().is_none_or(|txn| Some(txn) == order.txn.as_ref())
        && question.since.is_none_or(|since| order.created_at >= since)
        && question.until.is_none_or(|until| order.created_at < until)
        && question.after.is_none_or(|after| position(order) > after)
}
