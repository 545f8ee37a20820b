//! The file system under the data directory fills up while it sells, and has room again later.
//!
//! With no room, new sales are refused with 503 and what was begun goes on: held orders are paid and cancelled, holds
//! released. The server is killed while the disk is full (every second time by a power cut), starts on the full disk,
//! and goes on as before. With room again sales resume, and everything that was ever answered is audited.

use std::fmt;
use std::sync::Arc;

use crate::crash::book::{Journey, Op, Place, Told, Want};
use crate::crash::era::settle_all;
use crate::crash::ledger::Ledger;
use crate::crash::load::read;
use crate::crash::rules::follows;
use crate::crash::{Failing, Settings, audit, pool};
use crate::power::ground::Mount;
use crate::session::SIGN_KEY;
use crate::{Launch, Port, Rng, Server, Session, chance, until};

/// Filling a disk takes as long as so many cycles of other drills.
const CYCLES_PER_ROUND: u64 = 5;
/// Orders that are held when the disk fills up. Not all of them are paid or cancelled: the rest expires.
const HELD: usize = 40;
const PAID_WHILE_FULL: usize = 10;
const CANCELLED_WHILE_FULL: usize = 4;
/// Connections that sell until they are refused.
const SELLERS: u64 = 16;
/// So many keys in a row are on all cores.
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

/// # Panics
/// With what was found, if anything was.
pub fn run(launch: &Launch, settings: &Settings) -> Figures {
    let mut figures = Figures::default();
    let mut mount = Mount::new(launch.home());
    let rounds = settings.cycles.div_ceil(CYCLES_PER_ROUND);
    for round in settings.first..settings.first + rounds {
        let _failing = Failing { settings, era: round, cycle: round };
        mount.replace();
        let mut rng = chance::of_part(settings.seed, round);
        let launch = launch
            .clone()
            .cores(rng.u32(1..=2))
            .data_dir(&mount.data())
            .env("INVENTORY_HOLD_TTL_SECS", HOLD_SECS)
            .env("PAYMENT_CALLBACK_SIGN_KEY", SIGN_KEY)
            .env("INTERLOCK_SEGMENT_BYTES", "2097152")
            .env("INTERLOCK_SNAPSHOT_LOG_BYTES", "4194304");
        one(&launch, round, &mut mount, &mut rng, &mut figures);
        figures.rounds += 1;
    }
    figures
}

fn one(launch: &Launch, round: u64, mount: &mut Mount, rng: &mut Rng, figures: &mut Figures) {
    let place = Arc::new(Place { key: format!("full-{round}"), capacity: CAPACITY, segments: 1 });
    let mut server = launch.start();
    let mut held: Vec<Journey> = (0..HELD)
        .map(|i| {
            let mut order = Journey::new(Want { place: place.clone(), qty: 1, span: None });
            assert!(sell(&mut server.session(), &mut order, &format!("held-{i}")).is_some(), "there is room");
            order
        })
        .collect();
    mount.disk().with(|store| store.capacity = store.used());
    let mut sold = fill(&server, &place, figures);
    figures.refused += refuses_sales(&server, &place);
    go_on(&server, &mut held[..HELD / 4 + 4], figures);
    if round.is_multiple_of(2) {
        server.kill_now();
    } else {
        mount.cut(&mut server, rng);
    }
    drop(server);
    let server = launch.start();
    held.iter().chain(&sold).for_each(|journey| is_still_true(&mut server.session(), journey));
    figures.refused += refuses_sales(&server, &place);
    go_on(&server, &mut held[HELD / 4 + 4..HELD / 2 + 8], figures);

    mount.disk().with(|store| store.capacity = u64::MAX);
    until("sales to resume", || {
        let mut order = Journey::new(Want { place: place.clone(), qty: 1, span: None });
        sell(&mut server.session(), &mut order, "resumed").map(|()| sold.push(order))
    });
    held.append(&mut sold);
    audit_all(server, held, round, figures);
}

/// Creates and reserves, as far as the server lets it; `None` where it does not.
fn sell(session: &mut Session, order: &mut Journey, key: &str) -> Option<()> {
    let create = Op::Create { key: key.to_owned(), amount_cents: 5_000 };
    let created = order.go(session, create).expect("an answer").filter(Told::is_ok)?;
    let id = created.body["OrderID"].as_str().expect("an id").to_owned();
    order.go(session, Op::Reserve { order: id }).expect("an answer").filter(Told::is_ok).map(|_| ())
}

/// Sells on many connections until nothing is taken any more, whichever core it is for.
fn fill(server: &Server, place: &Arc<Place>, figures: &mut Figures) -> Vec<Journey> {
    let work = |seller: u64| {
        let mut session = server.session();
        let mut sold = Vec::new();
        let mut refused = 0;
        for i in 0.. {
            let mut order = Journey::new(Want { place: place.clone(), qty: 1, span: None });
            sell(&mut session, &mut order, &format!("sold-{seller}-{i}"));
            refused = if order.order().is_none() { refused + 1 } else { 0 };
            sold.push(order);
            if refused == REFUSED_IN_A_ROW {
                break;
            }
        }
        sold
    };
    let sold: Vec<Journey> = std::thread::scope(|scope| {
        let sellers: Vec<_> = (0..SELLERS).map(|seller| scope.spawn(move || work(seller))).collect();
        sellers.into_iter().flat_map(|seller| seller.join().expect("a seller")).collect()
    });
    let acknowledged =
        |journey: &Journey| journey.steps.iter().filter(|step| step.told.is_some()).count() as u64;
    figures.sold_until_full += sold.iter().map(acknowledged).sum::<u64>();
    sold
}

/// Every kind of new sale is refused with 503, and says when to come back. Gives how many were tried.
fn refuses_sales(server: &Server, place: &Arc<Place>) -> u64 {
    let want = Want { place: place.clone(), qty: 1, span: None };
    // Enough of each that every core is asked.
    let tries = (0..8).flat_map(|i| {
        [
            Op::Create { key: format!("refused-{i}"), amount_cents: 1 },
            Op::TryHold { hold: format!("refused-{i}") },
        ]
    });
    let mut session = server.session();
    let mut refused = 0;
    for op in tries {
        let answer = op.send(&mut session, &want).expect("an answer");
        assert_eq!(answer.status, 503, "a sale on a full disk: {} {}", answer.asked, answer.text());
        assert!(answer.header("retry-after").is_some(), "{}: no Retry-After", answer.asked);
        refused += 1;
    }
    let metrics = session.get(Port::Gateway, "/metrics");
    let full = metrics.text().lines().find_map(|line| line.strip_prefix("interlock_log_full ")?.parse().ok());
    assert!(full.is_some_and(|cores: f64| cores > 0.0), "a full disk is shown: {full:?}");
    assert!(server.log().contains("no room for new sales"), "and told: {}", server.log_tail());
    assert_eq!(session.get(Port::Order, "/readyz").status, 200, "payments must find their way");
    refused
}

/// What was begun goes on: payments to their tickets, and cancels.
fn go_on(server: &Server, held: &mut [Journey], figures: &mut Figures) {
    let mut session = server.session();
    let (to_pay, to_cancel) = held.split_at_mut(PAID_WHILE_FULL);
    for journey in to_pay {
        let order = journey.order().expect("a held order").to_owned();
        let txn = format!("{order}-txn");
        let told = journey.go(&mut session, Op::Pay { order: order.clone(), txn }).expect("an answer");
        assert!(told.as_ref().is_some_and(Told::is_ok), "a payment on a full disk: {told:?}");
        until("the ticket of an order that was paid on a full disk", || {
            let now = read(&mut session, &order, false).expect("an answer");
            (now["Status"] == "TICKETED").then_some(())
        });
        figures.paid_while_full += 1;
    }
    for journey in to_cancel.iter_mut().take(CANCELLED_WHILE_FULL) {
        let order = journey.order().expect("a held order").to_owned();
        let told = journey.go(&mut session, Op::Cancel { order }).expect("an answer");
        assert!(told.as_ref().is_some_and(Told::is_ok), "a cancel on a full disk: {told:?}");
        figures.cancelled_while_full += 1;
    }
}

/// What was answered still holds, by reading alone.
fn is_still_true(session: &mut Session, journey: &Journey) {
    let Some(order) = journey.order() else { return };
    let now = read(session, order, false).expect("an answer");
    for told in journey.steps.iter().filter_map(|step| step.told.as_ref()).filter(|told| told.is_ok()) {
        follows(&told.body, &now).unwrap_or_else(|what| panic!("{what}\nthe journey: {journey:#?}"));
    }
}

fn audit_all(server: Server, mut journeys: Vec<Journey>, round: u64, figures: &mut Figures) {
    pool::each(&server, &mut journeys, audit::repeat);
    settle_all(&server, &mut journeys, round);
    pool::each(&server, &mut journeys, audit::repeat);
    figures.repeated += journeys.iter().map(|journey| 2 * journey.steps.len() as u64).sum::<u64>();
    audit::check_refunds(&mut server.session(), journeys.iter());
    let mut ledger = Ledger::default();
    journeys.iter().for_each(|journey| ledger.add(journey));
    ledger.check_all(&server);
    let launch = server.stop();
    let check = launch.run(&["log", "check", &launch.dir().display().to_string()]);
    assert!(check.status.success(), "the log is sound: {}", check.said());
}
