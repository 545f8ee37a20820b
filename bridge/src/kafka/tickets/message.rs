//! A message of `order.events`, as far as a ticket depends on it.

use engine::ids::OrderId;
use serde::Deserialize;

const PAID: &str = "OrderPaid";

/// The meaning of a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Read {
    /// This order is paid; `None`: one whose id is none of this engine's.
    Paid(Option<OrderId>),
    /// Something else has happened.
    Other,
    /// It means nothing, and why.
    Unreadable(String),
}

#[derive(Deserialize)]
struct Envelope {
    event_type: String,
    #[serde(default)]
    payload: serde_json::Value,
}

#[derive(Deserialize)]
struct Paid {
    order_id: String,
}

pub(super) fn read(message: Option<&[u8]>) -> Read {
    let Some(message) = message else { return Read::Unreadable("it is empty".to_owned()) };
    let envelope: Envelope = match serde_json::from_slice(message) {
        Ok(envelope) => envelope,
        Err(error) => return Read::Unreadable(format!("no envelope: {error}")),
    };
    if envelope.event_type != PAID {
        return Read::Other;
    }
    match serde_json::from_value::<Paid>(envelope.payload) {
        Ok(Paid { order_id }) => Read::Paid(OrderId::parse(&order_id)),
        Err(error) => Read::Unreadable(format!("no order that is paid: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use engine::ids::SlotId;

    use super::*;

    #[test]
    fn a_paid_order_another_event_and_what_means_nothing() {
        let id = OrderId::new(SlotId::new(3), 77 << 12);
        let paid = format!(
            "{{\"event_id\":\"e\",\"event_type\":\"OrderPaid\",\"payload\":{{\"order_id\":\"{id}\"}}}}"
        );
        assert_eq!(read(Some(paid.as_bytes())), Read::Paid(Some(id)));
        let others = "{\"event_type\":\"OrderPaid\",\"payload\":{\"order_id\":\"of-another-system\"}}";
        assert_eq!(read(Some(others.as_bytes())), Read::Paid(None));
        for other in ["{\"event_type\":\"OrderCreated\"}", "{\"event_type\":\"\",\"payload\":7}"] {
            assert_eq!(read(Some(other.as_bytes())), Read::Other, "{other}");
        }
        let unreadable: [Option<&[u8]>; 8] = [
            None,
            Some(b""),
            Some(b"\xff\xfe"),
            Some(b"[]"),
            Some(b"{}"),
            Some(b"{\"event_type\":7}"),
            Some(b"{\"event_type\":\"OrderPaid\"}"),
            Some(b"{\"event_type\":\"OrderPaid\",\"payload\":{\"order_id\":7}}"),
        ];
        for message in unreadable {
            assert!(matches!(read(message), Read::Unreadable(_)), "{message:?}");
        }
    }
}
