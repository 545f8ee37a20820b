//! What a random history is made of.

use proptest::prelude::*;

pub(super) const HOLD_TTL_MS: u64 = 100;
pub(super) const RETENTION_MS: u64 = 150;
pub(super) const ABANDON_MS: u64 = 400;
pub(super) const DEPARTED_MS: u64 = 100;
/// After the start.
pub(super) const RUN_ENDS_AT_MS: u64 = 500;
/// Its first stop departs a second after the start, and sales close before that.
pub(super) const FIRST_STOP_DEPARTS_AT_MS: u64 = 1_000;
pub(super) const SALE_CLOSES_MS: u64 = 700;

/// Orders that are created by themselves; the numbers behind them are of purchases.
pub(super) const ORDERS: usize = 4;
/// Keys of purchases: each is another purchase in each place.
const PURCHASE_KEYS: usize = 2;
pub(super) const ALL_ORDERS: usize = ORDERS + 2 * PURCHASE_KEYS;
pub(super) const HOLD_TTL_MAX_MS: u64 = 200;

/// The number of the order that a purchase makes.
pub(super) fn purchase(key: usize, place: Place) -> usize {
    ORDERS + 2 * key + usize::from(place == Place::AdHoc)
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Place {
    /// Six seats, two segments, by the timetable.
    Run,
    /// Four seats, three segments.
    AdHoc,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum HoldName {
    /// ExpectedHold after an order.
    Own(usize),
    Free(usize),
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Who {
    Order(usize),
    Stranger,
}

type Asked = Option<(u16, u16)>;

#[derive(Clone, PartialEq, Debug)]
pub(super) enum Op {
    TryHold {
        place: Place,
        hold: HoldName,
        quantity: u32,
        span: Asked,
    },
    Release {
        place: Place,
        hold: HoldName,
    },
    Confirm {
        place: Place,
        hold: HoldName,
    },
    Available {
        place: Place,
        span: Asked,
    },
    Create {
        order: usize,
        amount: i64,
    },
    Purchase {
        key: usize,
        place: Place,
        amount: i64,
        quantity: u32,
        span: Asked,
        ttl_ms: Option<u64>,
    },
    Reserve {
        order: usize,
        place: Place,
        hold: HoldName,
        quantity: u32,
        span: Asked,
    },
    Cancel {
        order: usize,
        named: Option<HoldName>,
    },
    Pay {
        who: Who,
        txn: usize,
        verified: bool,
        named: Option<HoldName>,
    },
    Ticket {
        order: usize,
    },
    Get {
        order: usize,
    },
    Settle {
        who: Who,
        txn: usize,
        reference: usize,
    },
    /// Lets time pass; `due` says whether anything is done about it.
    Wait {
        ms: u64,
        due: bool,
    },
    /// Every slot goes through its snapshot.
    Reload,
}

fn place() -> impl Strategy<Value = Place> {
    prop_oneof![Just(Place::Run), Just(Place::AdHoc)]
}

fn hold() -> impl Strategy<Value = HoldName> {
    prop_oneof![3 => (0..3usize).prop_map(HoldName::Free), 1 => (0..ORDERS).prop_map(HoldName::Own)]
}

fn any_hold() -> impl Strategy<Value = HoldName> {
    prop_oneof![3 => hold(), 1 => (ORDERS..ALL_ORDERS).prop_map(HoldName::Own)]
}

fn quantity() -> impl Strategy<Value = u32> {
    prop_oneof![6 => 1..=2u32, 1 => 3..=7u32]
}

fn span() -> impl Strategy<Value = Asked> {
    let some = (0..3u16, 1..3u16).prop_map(|(from, length)| Some((from, from + length)));
    prop_oneof![2 => Just(None), 3 => some]
}

fn who() -> impl Strategy<Value = Who> {
    prop_oneof![8 => (0..ALL_ORDERS).prop_map(Who::Order), 1 => Just(Who::Stranger)]
}

/// Most often the order's own transaction; sometimes another one's, or a second one.
fn who_and_txn() -> impl Strategy<Value = (Who, usize)> {
    (who(), prop_oneof![2 => Just(None), 1 => (0..ALL_ORDERS + 1).prop_map(Some)]).prop_map(|(who, txn)| {
        match who {
            Who::Order(order) => (who, txn.unwrap_or(order)),
            Who::Stranger => (who, txn.unwrap_or(0)),
        }
    })
}

fn named() -> impl Strategy<Value = Option<HoldName>> {
    prop_oneof![5 => Just(None), 1 => any_hold().prop_map(Some)]
}

pub(super) fn op() -> impl Strategy<Value = Op> {
    let order = || 0..ALL_ORDERS;
    let amount = || prop_oneof![9 => Just(1i64), 1 => Just(2i64)];
    let ttl_ms = prop_oneof![6 => Just(None), 2 => Just(Some(30)), 1 => Just(Some(0)), 1 => Just(Some(HOLD_TTL_MAX_MS + 1))];
    let purchase = (0..PURCHASE_KEYS, place(), amount(), quantity(), span(), ttl_ms).prop_map(
        |(key, place, amount, quantity, span, ttl_ms)| Op::Purchase {
            key,
            place,
            amount,
            quantity,
            span,
            ttl_ms,
        },
    );
    let own = (order(), place(), quantity(), span()).prop_map(|(order, place, quantity, span)| Op::Reserve {
        order,
        place,
        hold: HoldName::Own(order),
        quantity,
        span,
    });
    let other = (0..ORDERS, place(), hold(), quantity(), span())
        .prop_map(|(order, place, hold, quantity, span)| Op::Reserve { order, place, hold, quantity, span });
    let pay = (who_and_txn(), prop::bool::weighted(0.8), named());
    prop_oneof![
        4 => (place(), hold(), quantity(), span())
            .prop_map(|(place, hold, quantity, span)| Op::TryHold { place, hold, quantity, span }),
        2 => (place(), any_hold()).prop_map(|(place, hold)| Op::Release { place, hold }),
        2 => (place(), any_hold()).prop_map(|(place, hold)| Op::Confirm { place, hold }),
        2 => (place(), span()).prop_map(|(place, span)| Op::Available { place, span }),
        4 => purchase,
        4 => (0..ORDERS, amount())
            .prop_map(|(order, amount)| Op::Create { order, amount }),
        5 => own,
        4 => other,
        2 => (order(), named()).prop_map(|(order, named)| Op::Cancel { order, named }),
        7 => pay.prop_map(|((who, txn), verified, named)| Op::Pay { who, txn, verified, named }),
        2 => order().prop_map(|order| Op::Ticket { order }),
        2 => order().prop_map(|order| Op::Get { order }),
        2 => (who_and_txn(), 0..2usize)
            .prop_map(|((who, txn), reference)| Op::Settle { who, txn, reference }),
        4 => (0..120u64, any::<bool>()).prop_map(|(ms, due)| Op::Wait { ms, due }),
        1 => Just(Op::Reload),
    ]
}
