//! The bytes of records and of a slot's image: what was written once is read for ever, and rubbish is refused.

use std::path::PathBuf;

use allocator::{Coach, Layout, RowBlock};
use engine::answer::{CancelReason, HoldStatus, OrderStatus, RefundReason, Settlement};
use engine::catalogue::RunDefinition;
use engine::decide::Policy;
use engine::ids::{Cents, OrderId, OrderKey, Reference, SlotId, Time};
use engine::record::{
    Body, ExpiredHold, GoesBack, HoldRow, Kept, Kind, OrderRow, PartitionOpened, PurchaseRow, RECORD_VERSION,
    Record, RefundRow, ReleaseReason, Reservation, TellId,
};
use engine::state::{IMAGE_VERSION, Slot};
use engine::text::Text;

use crate::support::catalogue::run;
use crate::support::names::{hold, key, order_name, partition, txn};

const NOW: Time = Time(1_800_000_000_123);
const SLOT: SlotId = SlotId::new(0x5a5);

fn labels(texts: &[&str]) -> Vec<Text> {
    texts.iter().map(|text| Text::from(*text)).collect()
}

const GOES_BACK: GoesBack = GoesBack { amount: Cents(10_000), reason: RefundReason::HoldExpired };

fn order() -> OrderId {
    OrderId::new(SLOT, 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef)
}

/// The changes of the partition that make its holds.
const MADE: [(&str, u64); 8] =
    [("a", 1), ("b", 4), ("c", 6), ("d", 7), ("e", 11), ("f", 12), ("g", 14), ("h", 16)];

fn hold_row(seq: u64, id: &str, status: HoldStatus, seats: Vec<u32>, named: &[&str]) -> HoldRow {
    HoldRow {
        partition: partition("G1|2027-01-15|2nd"),
        hold: hold(id),
        made: MADE.iter().find(|(name, _)| *name == id).expect("a hold of these records").1,
        partition_seq: seq,
        status,
        owner: None,
        quantity: seats.len() as u32,
        from: 0,
        to: 2,
        segments: 2,
        capacity: 5,
        seats,
        labels: labels(named),
        deadline: NOW.plus(120_000),
        txn: None,
        release_reason: None,
        keep_until: NOW,
    }
}

fn order_row(status: OrderStatus) -> OrderRow {
    OrderRow {
        order: order(),
        key: OrderKey::Plain(key("key-1")),
        status,
        amount: Cents(12_345),
        created_at: NOW,
        abandon_at: NOW.plus(86_400_000),
        reservation: None,
        cancel_reason: None,
        txn: None,
    }
}

fn reservation() -> Reservation {
    Reservation {
        partition: partition("G1|2027-01-15|2nd"),
        hold: hold("a"),
        made: 1,
        quantity: 2,
        from: 0,
        to: 2,
        segments: 2,
        capacity: 5,
        labels: labels(&["05-1A", "05-1C"]),
        deadline: NOW.plus(120_000),
        ends_at: Some(NOW.plus(86_400_000)),
    }
}

pub(crate) fn expired(hold: HoldRow) -> ExpiredHold {
    ExpiredHold { hold, purchase: None }
}

fn expired_purchase() -> ExpiredHold {
    let PurchaseRow { order, hold } = purchase(17, "h", HoldStatus::Expired);
    ExpiredHold { hold, purchase: Some(Box::new(order)) }
}

/// A purchase with one seat of the two that nobody else has, and its hold at that change.
fn purchase(seq: u64, id: &str, status: HoldStatus) -> PurchaseRow {
    let (seat, label, entropy) =
        if id == "f" { (3, "05-12上", 103) } else { (4, "05-12下", 103 + seq / 2) };
    let order_status = match status {
        HoldStatus::Held => OrderStatus::Reserved,
        HoldStatus::Confirmed => OrderStatus::Paid,
        HoldStatus::Released | HoldStatus::Expired => OrderStatus::Cancelled,
    };
    let has_ended = order_status == OrderStatus::Cancelled;
    let txn = (status == HoldStatus::Confirmed).then(|| txn("txn-4"));
    let hold = HoldRow {
        owner: Some(OrderId::new(SLOT, u128::from(entropy) << 100)),
        txn: txn.clone(),
        release_reason: (status == HoldStatus::Released).then_some(ReleaseReason::Requested),
        ..hold_row(seq, id, status, vec![seat], &[label])
    };
    let cancel_reason = match status {
        HoldStatus::Released => Some(CancelReason::Requested),
        HoldStatus::Expired => Some(CancelReason::HoldExpired),
        HoldStatus::Held | HoldStatus::Confirmed => None,
    };
    let order = OrderRow {
        order: OrderId::new(SLOT, u128::from(entropy) << 100),
        key: OrderKey::of_purchase(&hold.partition, key(id)),
        abandon_at: NOW,
        reservation: Some(Reservation {
            hold: hold.hold.clone(),
            made: hold.made,
            quantity: 1,
            labels: if has_ended { Vec::new() } else { labels(&[label]) },
            ..reservation()
        }),
        cancel_reason,
        txn,
        ..order_row(order_status)
    };
    PurchaseRow { order, hold }
}

fn refund_row() -> RefundRow {
    RefundRow {
        number: 1,
        order: order().name(),
        txn: txn("txn-2"),
        amount: Some(Cents(12_345)),
        reason: RefundReason::AlreadyPaid,
        created_at: NOW,
        settled: None,
    }
}

/// With the times that the golden files have.
fn golden_run() -> RunDefinition {
    let mut run = run("stop", 3, NOW.plus(86_400_000));
    for (stop, at) in run.stops.iter_mut().zip([0, 600, 1_200]) {
        stop.arrives_at.iter_mut().for_each(|time| time.unix_secs = at);
        stop.departs_at.iter_mut().for_each(|time| time.unix_secs = at + 60);
    }
    run
}

fn partition_opened() -> Body {
    let block = |first_row, plan: &str| RowBlock { first_row, rows: 1, plan: plan.into() };
    let rows = vec![block(1, "AC F"), block(12, "上 下")];
    Body::PartitionOpened(PartitionOpened {
        partition: partition("G1|2027-01-15|2nd"),
        layout: Layout::Labelled(vec![Coach { number: "05".into(), rows }]),
        segments: 2,
        run: Some(golden_run()),
        seq: 0,
    })
}

/// One record of every kind that version 1 has, such that a slot can apply them one after the other.
fn records_since_version_1() -> Vec<(&'static str, Record)> {
    use HoldStatus::{Confirmed, Expired, Held, Released};
    let a = |seq, status| HoldRow {
        owner: Some(order()),
        ..hold_row(seq, "a", status, vec![0, 1], &["05-1A", "05-1C"])
    };
    let paid = || OrderRow {
        reservation: Some(reservation()),
        txn: Some(txn("txn-1")),
        ..order_row(OrderStatus::Paid)
    };
    let settled = Settlement { reference: Reference::parse("booking 7").unwrap(), at: NOW.plus(9) };
    let bodies = [
        ("order_created", Body::OrderCreated(order_row(OrderStatus::Init))),
        ("partition_opened", partition_opened()),
        (
            "partition_opened_ad_hoc",
            Body::PartitionOpened(PartitionOpened {
                partition: partition("ad hoc"),
                layout: Layout::AdHoc { seats: 100_000 },
                segments: 1,
                run: None,
                seq: 0,
            }),
        ),
        ("hold_made", Body::HoldMade(hold_row(1, "a", Held, vec![0, 1], &["05-1A", "05-1C"]))),
        ("hold_adopted", Body::HoldAdopted(a(2, Held))),
        (
            "order_reserved",
            Body::OrderReserved(OrderRow {
                reservation: Some(reservation()),
                ..order_row(OrderStatus::Reserved)
            }),
        ),
        ("txn_claimed", Body::TxnClaimed { txn: txn("txn-1"), order: order(), goes_back: None }),
        ("hold_confirmed", Body::HoldConfirmed(HoldRow { txn: Some(txn("txn-1")), ..a(3, Confirmed) })),
        ("order_paid", Body::OrderPaid(paid())),
        ("order_ticketed", Body::OrderTicketed(OrderRow { status: OrderStatus::Ticketed, ..paid() })),
        ("hold_made_2", Body::HoldMade(hold_row(4, "b", Held, vec![2], &["05-1F"]))),
        (
            "hold_released",
            Body::HoldReleased(HoldRow {
                release_reason: Some(ReleaseReason::Declined),
                ..hold_row(5, "b", Released, vec![2], &["05-1F"])
            }),
        ),
        ("hold_made_3", Body::HoldMade(hold_row(6, "c", Held, vec![3], &["05-12上"]))),
        ("hold_made_4", Body::HoldMade(hold_row(7, "d", Held, vec![4], &["05-12下"]))),
        (
            "holds_expired",
            Body::HoldsExpired(vec![
                expired(hold_row(8, "c", Expired, vec![3], &["05-12上"])),
                expired(hold_row(9, "d", Expired, vec![4], &["05-12下"])),
            ]),
        ),
        (
            "holds_forgotten",
            Body::HoldsForgotten {
                partition: partition("G1|2027-01-15|2nd"),
                holds: vec![hold("c"), hold("d")],
            },
        ),
        (
            "order_cancelled",
            Body::OrderCancelled(OrderRow {
                order: OrderId::new(SLOT, 1 << 100),
                key: OrderKey::Plain(key("key-2")),
                cancel_reason: Some(CancelReason::Abandoned),
                ..order_row(OrderStatus::Cancelled)
            }),
        ),
        ("refund_owed", Body::RefundOwed(refund_row())),
        ("refund_settled", Body::RefundSettled(RefundRow { settled: Some(settled), ..refund_row() })),
        ("tells_acked", Body::TellsAcked { tells: vec![TellId(1), TellId(3)] }),
        ("partition_forgotten", Body::PartitionForgotten { partition: partition("ad hoc") }),
        ("hold_made_5", Body::HoldMade(hold_row(11, "e", Held, vec![2], &["05-1F"]))),
        (
            "order_created_2",
            Body::OrderCreated(OrderRow {
                order: OrderId::new(SLOT, 1 << 101),
                key: OrderKey::Plain(key("key-3")),
                ..order_row(OrderStatus::Init)
            }),
        ),
    ];
    let record = |(i, (name, body))| {
        let (seq, trace) = (i as u64 + 1, Text::from("0af7651916cd43dd8448eb211c80319c"));
        (name, Record { slot: SLOT, seq, time: NOW.plus(i as u64), trace, body })
    };
    bodies.into_iter().enumerate().map(record).collect()
}

/// One record of every kind, such that a slot can apply them one after the other.
pub(crate) fn records() -> Vec<(&'static str, Record)> {
    let mut records = records_since_version_1();
    let abandoned = OrderRow {
        order: OrderId::new(SLOT, 1 << 101),
        key: OrderKey::Plain(key("key-3")),
        cancel_reason: Some(CancelReason::Abandoned),
        ..order_row(OrderStatus::Cancelled)
    };
    let unmatched = RefundRow {
        number: 2,
        order: order_name("nobody's"),
        reason: RefundReason::HistoryLost,
        amount: None,
        ..refund_row()
    };
    let settled = Some(Settlement { reference: Reference::parse("booking 8").unwrap(), at: NOW.plus(30) });
    let ad_hoc = Reservation { ends_at: None, ..reservation() };
    let ticketed = OrderRow { reservation: Some(ad_hoc), ..order_row(OrderStatus::Ticketed) };
    let since = [
        ("orders_abandoned", Body::OrdersAbandoned(vec![abandoned.clone()])),
        ("orders_forgotten", Body::OrdersForgotten { orders: vec![abandoned.order] }),
        ("order_leaving", Body::OrderLeaving { order: order(), txns: vec![txn("txn-1"), txn("txn-2")] }),
        ("tells_acked_2", Body::TellsAcked { tells: vec![TellId(4)] }),
        (
            "claim_forgotten",
            Body::ClaimForgotten { txn: txn("txn-1"), order: order(), tell: Some(TellId(2)) },
        ),
        ("refund_owed_2", Body::RefundOwed(unmatched.clone())),
        ("refund_settled_2", Body::RefundSettled(RefundRow { settled, ..unmatched })),
        ("refunds_forgotten", Body::RefundsForgotten { numbers: vec![2] }),
        ("txn_claimed_2", Body::TxnClaimed { txn: txn("txn-3"), order: order(), goes_back: Some(GOES_BACK) }),
        (
            "order_ticketed_2",
            Body::OrderTicketed(OrderRow {
                order: OrderId::new(SLOT, 1 << 102),
                key: OrderKey::Plain(key("key-4")),
                ..ticketed
            }),
        ),
        (
            "order_kept",
            Body::OrderKept {
                order: OrderId::new(SLOT, 1 << 102),
                kept: Kept::UntilAtLeast(NOW.plus(400 * 86_400_000)),
            },
        ),
    ];
    let purchases = [
        ("purchase_made", Body::PurchaseMade(Box::new(purchase(12, "f", HoldStatus::Held)))),
        ("purchase_paid", Body::PurchasePaid(Box::new(purchase(13, "f", HoldStatus::Confirmed)))),
        ("purchase_made_2", Body::PurchaseMade(Box::new(purchase(14, "g", HoldStatus::Held)))),
        ("purchase_cancelled", Body::PurchaseCancelled(Box::new(purchase(15, "g", HoldStatus::Released)))),
        ("purchase_made_3", Body::PurchaseMade(Box::new(purchase(16, "h", HoldStatus::Held)))),
        ("holds_expired_purchase", Body::HoldsExpired(vec![expired_purchase()])),
    ];
    for (name, body) in since.into_iter().chain(purchases) {
        let (_, last) = records.last().expect("there are some");
        let (seq, time) = (last.seq + 1, last.time.plus(1));
        records.push((name, Record { seq, time, body, ..last.clone() }));
    }
    records
}

/// The same as version 1 says it: it does not know when a hold was made, nor when its run ends.
fn as_of_version_1(mut record: Record) -> Record {
    match &mut record.body {
        Body::HoldMade(row) | Body::HoldAdopted(row) | Body::HoldConfirmed(row) | Body::HoldReleased(row) => {
            row.made = 0;
        }
        Body::HoldsExpired(rows) => rows.iter_mut().for_each(|row| row.hold.made = 0),
        Body::OrderReserved(row) | Body::OrderPaid(row) | Body::OrderTicketed(row) => {
            let reservation = row.reservation.as_mut().expect("these have one");
            (reservation.made, reservation.ends_at) = (0, None);
        }
        _ => {}
    }
    record
}

pub(crate) fn slot() -> Slot {
    let mut slot = Slot::new(SLOT);
    records().iter().for_each(|(_, record)| slot.apply(record, &mut Vec::new()));
    slot
}

pub(crate) fn encoded(record: &Record) -> Vec<u8> {
    let mut bytes = Vec::new();
    record.encode(&mut bytes);
    bytes
}

pub(crate) fn image(slot: &Slot) -> Vec<u8> {
    let mut bytes = Vec::new();
    slot.encode(&mut bytes);
    bytes
}

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.bin"))
}

fn read(name: &str) -> Vec<u8> {
    std::fs::read(golden(name)).unwrap_or_else(|error| panic!("{}: {error}", golden(name).display()))
}

/// The golden file. `INTERLOCK_MAKE_GOLDEN` makes those that are not there, once for each new version; what is there is
/// never touched again.
fn kept(name: &str, made_now: &[u8]) -> Vec<u8> {
    let path = golden(name);
    if std::env::var_os("INTERLOCK_MAKE_GOLDEN").is_some() && !path.exists() {
        std::fs::write(&path, made_now).unwrap();
    }
    read(name)
}

/// A stop where passengers may only get off. Version 1 cannot say so.
fn opened_with_a_stop_to_alight() -> Record {
    let (_, mut record) = records().swap_remove(1);
    let Body::PartitionOpened(opened) = &mut record.body else { unreachable!("that is an opening") };
    let stops = &mut opened.run.as_mut().expect("it is a run's").stops;
    (stops[0].alight, stops[1].board, stops[2].board) = (false, false, false);
    record
}

#[test]
fn records_of_version_2_are_read_and_written_as_they_were() {
    let alight = ("partition_opened_alight", opened_with_a_stop_to_alight());
    for (name, record) in records().into_iter().chain([alight]) {
        let bytes = kept(&format!("record_v2_{name}"), &encoded(&record));
        assert_eq!(Record::decode(&bytes).as_ref(), Ok(&record), "{name}");
        assert!(encoded(&record) == bytes, "{name} is written differently");
    }
}

/// They say what they said; at every stop of a run passengers may get on and off, and nothing says when a hold was made.
#[test]
fn records_of_version_1_are_read() {
    for (name, record) in records_since_version_1() {
        let record = as_of_version_1(record);
        let bytes = read(&format!("record_v1_{name}"));
        assert_eq!(bytes[0], 1);
        assert_eq!(Record::decode(&bytes).as_ref(), Ok(&record), "{name}");
    }
}

#[test]
fn there_is_a_golden_record_of_every_kind() {
    let kinds: std::collections::BTreeSet<_> = records()
        .iter()
        .map(|(_, record)| std::mem::discriminant(&record.body))
        .map(|d| format!("{d:?}"))
        .collect();
    assert_eq!(kinds.len(), Kind::ALL.len());
}

/// By number, as it stands in the log; an order's hold is told from a stranger's.
#[test]
fn a_label_tells_what_a_record_is() {
    for (name, record) in records() {
        let mut bytes = encoded(&record);
        let label = Record::label_of(&bytes).unwrap();
        assert_eq!(label, record.body.label(), "{name}");
        assert_eq!(bytes[1], label.kind as u8 | if label.is_of_order { 0x80 } else { 0 }, "{name}");
        assert!(name.starts_with(label.kind.wire_name()), "{name}");
        for byte in [bytes[1] ^ 0x80, bytes[1] ^ 1, 0, 0x7f] {
            bytes[1] = byte;
            assert!(Record::decode(&bytes).is_err(), "{name} with label {byte}");
        }
    }
    for (name, record) in records_since_version_1() {
        let label = Record::label_of(&read(&format!("record_v1_{name}"))).unwrap();
        assert_eq!(label, record.body.label(), "{name}");
    }
    for (number, kind) in (1..).zip(Kind::ALL) {
        assert_eq!(kind as u8, number);
    }
    let row = hold_row(1, "a", HoldStatus::Expired, vec![], &[]);
    let owned = HoldRow { owner: Some(order()), ..row.clone() };
    for (rows, expected) in [(vec![], false), (vec![row.clone()], false), (vec![row, owned], true)] {
        let rows = rows.into_iter().map(expired).collect();
        assert_eq!(Body::HoldsExpired(rows).label().is_of_order, expected);
    }
    for unknown in [&[2][..], &[2, 27], &[2, 0x80], &[3, 1], &[]] {
        assert!(Record::label_of(unknown).is_err(), "{unknown:?}");
    }
}

#[test]
fn an_image_of_version_2_is_read_and_written_as_it_was() {
    let bytes = kept("slot_v2", &image(&slot()));
    let read = Slot::decode(&bytes).unwrap();
    assert!(image(&read) == bytes, "the image is written differently");
    assert!(image(&slot()) == bytes, "the records make another slot");
    // What is derived is there again: the agendas, the bitmaps.
    assert_eq!(read.next_due(&Policy::default()), slot().next_due(&Policy::default()));
    let key = partition("G1|2027-01-15|2nd");
    let (p, live) = (read.partitions().get(&key).unwrap(), slot());
    assert_eq!(p.inventory(), live.partitions().get(&key).unwrap().inventory());
    assert_eq!(read.outbox(), live.outbox());
    assert_eq!(read.next_tell(), live.next_tell());
}

/// State from records or from an image of version 1 is that of the same records, as far as version 1 says it.
#[test]
fn a_slot_of_version_1_goes_on_in_version_2() {
    let (mut expected, mut slot) = (Slot::new(SLOT), Slot::new(SLOT));
    for (name, record) in records_since_version_1() {
        expected.apply(&as_of_version_1(record), &mut Vec::new());
        let record = Record::decode(&read(&format!("record_v1_{name}"))).unwrap();
        assert_eq!(slot.check(&record), Ok(()), "{name}");
        slot.apply(&record, &mut Vec::new());
    }
    assert!(image(&slot) == image(&expected), "the records make another slot");
    let old = read("slot_v1");
    assert_eq!(old[0], 1);
    let old = Slot::decode(&old).unwrap();
    // An image of version 1 does not say when a partition changed, nor which sequence a forgotten one had.
    let key = partition("G1|2027-01-15|2nd");
    let (p, live) = (old.partitions().get(&key).unwrap(), expected.partitions().get(&key).unwrap());
    assert_eq!((p.changed_at(), old.forgotten_seq()), (old.time(), 0));
    assert_eq!((p.seq(), p.inventory(), p.run()), (live.seq(), live.inventory(), live.run()));
    assert!(p.holds().eq(live.holds()));
    assert!(old.orders().iter().eq(expected.orders().iter()));
    assert!(old.refunds().after(0).eq(expected.refunds().after(0)));
    assert_eq!((old.outbox(), old.next_tell()), (expected.outbox(), expected.next_tell()));
    assert_eq!(old.claim(&txn("txn-1")), Some(order()));
    let written = image(&old);
    assert_eq!(written[0], IMAGE_VERSION);
    assert!(image(&Slot::decode(&written).unwrap()) == written, "what is written is read as it was");
}

#[test]
fn bytes_go_behind_what_is_there() {
    let (_, record) = &records()[0];
    let mut bytes = b"before".to_vec();
    record.encode(&mut bytes);
    assert_eq!(&bytes[..6], b"before");
    assert_eq!(Record::decode(&bytes[6..]).as_ref(), Ok(record));
}

#[test]
fn another_version_is_refused_by_name() {
    let (mut record, mut slot) = (read("record_v2_hold_made"), read("slot_v2"));
    assert_eq!((record[0], slot[0]), (RECORD_VERSION, IMAGE_VERSION));
    for version in [0, RECORD_VERSION + 1, 0xff] {
        record[0] = version;
        slot[0] = version;
        let said = format!("version {version}, expected 1 to 2");
        assert_eq!(Record::decode(&record).unwrap_err().to_string(), format!("record {said}"));
        assert_eq!(Slot::decode(&slot).unwrap_err().to_string(), format!("slot image {said}"));
    }
    assert_eq!(Record::decode(&[]).unwrap_err().to_string(), "an empty record");
    assert_eq!(Slot::decode(&[]).unwrap_err().to_string(), "an empty slot image");
}

/// Damage is an error, or at worst another record; never a panic.
#[test]
fn damaged_records_never_panic() {
    let mut refused = 0;
    let (old, new) = (records_since_version_1(), records());
    let all = old.iter().map(|one| (1, one)).chain(new.iter().map(|one| (2, one)));
    for (version, (name, _)) in all {
        let bytes = read(&format!("record_v{version}_{name}"));
        for end in 0..bytes.len() {
            refused += usize::from(Record::decode(&bytes[..end]).is_err());
        }
        let mut damaged = bytes.clone();
        for bit in 0..bytes.len() * 8 {
            damaged[bit / 8] ^= 1 << (bit % 8);
            // What is believed can be written again.
            match Record::decode(&damaged) {
                Ok(record) => drop(encoded(&record)),
                Err(_) => refused += 1,
            }
            damaged[bit / 8] ^= 1 << (bit % 8);
        }
        for byte in 0..bytes.len() {
            for value in [0x00, 0x7f, 0x80, 0xff] {
                let before = std::mem::replace(&mut damaged[byte], value);
                drop(Record::decode(&damaged));
                damaged[byte] = before;
            }
        }
    }
    assert!(refused > 1_000, "only {refused} damages were noticed");
}
