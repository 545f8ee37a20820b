//! The file system under the data directory fills up while the server sells, and has room again later.
//!
//! With no room, new sales are refused with 503 and what was begun goes on: held orders are paid and cancelled. The
//! server is killed while the disk is full (every second time by a power cut), starts on the full disk, and goes on as
//! before. With room again sales resume, and everything that was ever answered is audited.

use std::fmt;
use std::sync::Arc;

use crate::crash::history::{Journey, Op, Outcome, read_now};
use crate::crash::ledger::SeatLedger;
use crate::crash::partitions::{Partition, SeatRequest};
use crate::crash::{HOLD_MEMORY_SECS, RepeatHint, Settings, audit, pool};
use crate::power::mount::Mount;
use crate::session::SIGN_KEY;
use crate::{Launch, Port, Rng, Server, Session, chance, until};

/// A round takes as long as so many cycles of other drills.
const CYCLES_PER_ROUND: u64 = 5;
/// Orders that are held when the disk fills up: some are paid and cancelled before the restart, as many after it, and the
/// rest expires.
const HELD: usize = 40;
const PAID: usize = 10;
const CANCELLED: usize = 4;
/// Connections that sell until they are refused.
const SELLERS: u64 = 16;
/// Refusals in a row after which no core takes anything: so many keys are on all cores.
const REFUSED_IN_A_ROW: u32 = 16;
/// Holds outlive the filling and the restart.
const HOLD_SECS: &str = "20";
const CAPACITY: i64 = 50_000;

#[derive(Clone, Default, Debug)]
pub struct Figures {
    pub rounds: u64,
    pub sold_until_full: u64,
    pub refused: u64,
    pub paid_while_full: u64,
    pub cancelled_while_full: u64,
    pub repeated: u64,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} full disks: {} writes acknowledged until full, {} sales refused with 503, {} orders paid and {} cancelled \
             while full (half of them after a restart on the full disk), {} writes audited; 0 lost",
            self.rounds,
            self.sold_until_full,
            self.refused,
            self.paid_while_full,
            self.cancelled_while_full,
            self.repeated
        )
    }
}

/// Runs the drill, a round for every five cycles.
///
/// # Panics
/// When the audit finds something, with what it found.
pub fn run(launch: &Launch, settings: &Settings) -> Figures {
    let mut figures = Figures::default();
    let mut mount = Mount::new(launch.home());
    let rounds = settings.cycles.div_ceil(CYCLES_PER_ROUND);
    for number in settings.first..settings.first + rounds {
        let _hint = RepeatHint { settings, first: number, cycle: number };
        mount.replace();
        let mut rng = chance::of_part(settings.seed, number);
        let launch = launch
            .clone()
            .cores(rng.u32(1..=2))
            .data_dir(&mount.data())
            .env("INVENTORY_HOLD_TTL_SECS", HOLD_SECS)
            .env("INTERLOCK_HOLD_MEMORY_SECS", HOLD_MEMORY_SECS)
            .env("PAYMENT_CALLBACK_SIGN_KEY", SIGN_KEY)
            .env("INTERLOCK_SEGMENT_BYTES", "2097152")
            .env("INTERLOCK_SNAPSHOT_LOG_BYTES", "4194304");
        round(&launch, number, &mut mount, &mut rng, &mut figures);
        figures.rounds += 1;
    }
    figures
}

fn round(launch: &Launch, number: u64, mount: &mut Mount, rng: &mut Rng, figures: &mut Figures) {
    let partition = Partition::ad_hoc(format!("full-{number}"), CAPACITY);
    let mut server = launch.start();
    let mut held: Vec<Journey> = (0..HELD)
        .map(|i| {
            let mut order = Journey::new(SeatRequest::one(&partition));
            assert!(sell(&mut server.session(), &mut order, &format!("held-{i}")).is_some(), "there is room");
            order
        })
        .collect();
    mount.disk().with(|store| store.capacity = store.used());
    let mut sold = fill(&server, &partition);
    figures.sold_until_full += sold.iter().map(|order| order.acknowledged().count() as u64).sum::<u64>();
    figures.refused += check_refused(&server, &partition);
    go_on(&server, &mut held[..PAID + CANCELLED], figures);
    if number.is_multiple_of(2) {
        server.kill_now();
    } else {
        mount.cut(&mut server, rng);
    }
    drop(server);
    let server = launch.start();
    audit::check_recovered(&server, &mut held, &[]);
    audit::check_recovered(&server, &mut sold, &[]);
    figures.refused += check_refused(&server, &partition);
    go_on(&server, &mut held[PAID + CANCELLED..2 * (PAID + CANCELLED)], figures);

    mount.disk().with(|store| store.capacity = u64::MAX);
    until("sales to resume", || {
        let mut order = Journey::new(SeatRequest::one(&partition));
        sell(&mut server.session(), &mut order, "resumed").map(|()| sold.push(order))
    });
    held.append(&mut sold);
    audit_all(server, held, number, figures);
}

/// Creates an order and reserves for it, as far as the server lets it; `None` where it does not.
fn sell(session: &mut Session, order: &mut Journey, key: &str) -> Option<()> {
    let create = Op::Create { key: key.to_owned(), amount_cents: 5_000 };
    let created = order.send(session, create).expect("an answer").filter(Outcome::is_ok)?;
    let id = created.body["OrderID"].as_str().expect("an id").to_owned();
    order.send(session, Op::Reserve { order: id }).expect("an answer").filter(Outcome::is_ok).map(|_| ())
}

/// Sells on many connections until no core takes anything any more.
fn fill(server: &Server, partition: &Arc<Partition>) -> Vec<Journey> {
    let work = |seller: u64| {
        let mut session = server.session();
        let mut sold = Vec::new();
        let mut refused = 0;
        for i in 0.. {
            let mut order = Journey::new(SeatRequest::one(partition));
            sell(&mut session, &mut order, &format!("sold-{seller}-{i}"));
            refused = if order.order().is_none() { refused + 1 } else { 0 };
            sold.push(order);
            if refused == REFUSED_IN_A_ROW {
                break;
            }
        }
        sold
    };
    std::thread::scope(|scope| {
        let sellers: Vec<_> = (0..SELLERS).map(|seller| scope.spawn(move || work(seller))).collect();
        sellers.into_iter().flat_map(|seller| seller.join().expect("a seller")).collect()
    })
}

/// Checks that every kind of new sale is refused with 503 and `Retry-After`, and that the operator can see why. Gives the
/// number of sales that were tried.
fn check_refused(server: &Server, partition: &Arc<Partition>) -> u64 {
    let seats = SeatRequest::one(partition);
    // Enough of each that every core is asked.
    let sales = (0..8).flat_map(|i| {
        [
            Op::Create { key: format!("refused-{i}"), amount_cents: 1 },
            Op::TryHold { hold: format!("refused-{i}") },
        ]
    });
    let mut session = server.session();
    let mut refused = 0;
    for op in sales {
        let answer = op.send(&mut session, &seats).expect("an answer");
        assert_eq!(answer.status, 503, "a sale on a full disk: {} {}", answer.asked, answer.text());
        assert!(answer.header("retry-after").is_some(), "{}: no Retry-After", answer.asked);
        refused += 1;
    }
    let metrics = session.get(Port::Gateway, "/metrics");
    let full = metrics.text().lines().find_map(|line| line.strip_prefix("interlock_log_full ")?.parse().ok());
    assert!(full.is_some_and(|cores: f64| cores > 0.0), "a full disk is not in the metrics: {full:?}");
    assert!(server.log().contains("no room for new sales"), "nor in the log: {}", server.log_tail());
    assert_eq!(session.get(Port::Order, "/readyz").status, 200, "payments must find their way");
    refused
}

/// Checks that what was begun goes on: orders are paid and ticketed, and cancelled.
fn go_on(server: &Server, held: &mut [Journey], figures: &mut Figures) {
    let mut session = server.session();
    let mut accept = |journey: &mut Journey, op: Op| {
        let outcome = journey.send(&mut session, op.clone()).expect("an answer");
        assert!(outcome.as_ref().is_some_and(Outcome::is_ok), "{op:?} on a full disk: {outcome:?}");
    };
    let (to_pay, to_cancel) = held.split_at_mut(PAID);
    for journey in &mut *to_pay {
        let order = journey.order().expect("a held order").to_owned();
        accept(journey, Op::Pay { txn: format!("{order}-txn"), order });
    }
    for journey in to_cancel {
        let order = journey.order().expect("a held order").to_owned();
        accept(journey, Op::Cancel { order });
        figures.cancelled_while_full += 1;
    }
    for journey in to_pay {
        let order = journey.order().expect("a held order");
        until("the ticket of an order that was paid on a full disk", || {
            (read_now(&mut session, order)["Status"] == "TICKETED").then_some(())
        });
        figures.paid_while_full += 1;
    }
}

fn audit_all(server: Server, mut journeys: Vec<Journey>, round: u64, figures: &mut Figures) {
    pool::each(&server, &mut journeys, audit::repeat);
    audit::settle_all(&server, &mut journeys, round);
    pool::each(&server, &mut journeys, audit::repeat);
    figures.repeated += journeys.iter().map(|journey| 2 * journey.writes.len() as u64).sum::<u64>();
    audit::check_refunds(&mut server.session(), journeys.iter());
    let mut ledger = SeatLedger::default();
    journeys.iter().for_each(|journey| ledger.add(journey));
    ledger.check_all(&server);
    server.stop().check_log();
}
