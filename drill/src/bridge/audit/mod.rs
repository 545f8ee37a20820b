//! The audit of the read model: what clients were told, what HTTP says and what SQLite has is the same. It shares no code with the
//! program that fills the tables.
//!
//! 1. Every order ends, and the read model catches up (`catch_up`).
//! 2. [`orders`]: each order by id, in the listing, in both exports and in each table; each is what its client did, and was told.
//! 3. [`refunds`]: exactly those that were announced, and what became of them.
//! 4. [`histories`]: each order's events give its status, each change once and in order; HTTP pages have the same.
//! 5. [`seats`]: each run's events, played back, give exactly the seats of the orders, and no seat is two people's.
//! 6. [`tables`]: MySQL has the rows of SQLite; [`events`]: Kafka has of each order what became of it, of each partition its seats, and each
//!    event id stands for one event; [`keys`]: Redis has no hold that has ended.
//!
//! | defect | found by |
//! |---|---|
//! | a row or an event is lost, or is there twice | [`orders`], [`histories`], [`refunds`] |
//! | a row went back, or did not go forward | [`orders`]; listings while the clients work |
//! | an order, a hold or a refund that nobody caused | each of them |
//! | the cursor is ahead of its rows, or an epoch is skipped | `catch_up`, [`orders`] |
//! | seats of an order and of its run disagree | [`seats`] |

pub mod database;
pub mod events;
pub mod files;
pub mod histories;
pub mod keys;
pub mod orders;
pub mod refunds;
pub mod seats;
pub mod tables;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::LAG;
use super::clients::ClientLog;
use super::figures::Found;
use super::orders::{FreeHold, OrderLog, Unmatched};
use super::told::Known;
use crate::crash::history::read_now;
use crate::crash::partitions::{Partition, SeatRequest};
use crate::crash::pool::each;
use crate::services::Place;
use crate::session::{list, text};
use crate::{Port, Server, until};
use database::Database;

/// Orders whose records come behind all others: so many are on every core's log.
const MARKERS: usize = 64;

/// All that is known of a directory.
#[derive(Debug, Default)]
pub struct Evidence {
    pub orders: BTreeMap<String, OrderLog>,
    pub holds: Vec<FreeHold>,
    pub unmatched: Vec<Unmatched>,
    /// Amounts by key.
    pub given_up: HashMap<String, i64>,
    pub told: HashMap<String, Known>,
    pub partitions: BTreeMap<String, Arc<Partition>>,
}

impl Evidence {
    pub fn add(&mut self, log: ClientLog) {
        for order in log.orders {
            let twice = self.orders.insert(order.order.clone(), order);
            assert!(twice.is_none(), "two creations gave the same order: {twice:?}");
        }
        self.holds.extend(log.holds);
        self.unmatched.extend(log.unmatched);
        self.given_up.extend(log.given_up);
    }
}

/// Audits everything.
///
/// # Panics
/// When anything disagrees, with what it is.
pub fn run(server: &Server, path: &Path, place: &Place, mut evidence: Evidence, found: &mut Found) {
    until_ended(server, &evidence);
    catch_up(server, path, &mut evidence);
    let database = Database::open(path);
    found.given_up += orders::adopt_given_up(server, &database, &mut evidence);
    let truth = orders::check(server, &database, &evidence);
    for order in truth.values() {
        *found.orders.entry(text(order, "Status").to_owned()).or_default() += 1;
    }
    refunds::check(server, &database, &evidence, found);
    histories::check(server, &database, &evidence, &truth, found);
    seats::check(server, &database, &evidence, &truth, found);
    database.check();
    until_everywhere(server);
    tables::check(place, &database, &truth);
    events::check(place, &evidence, &truth, found);
    keys::check(place);
}

/// Waits until every sink has everything.
pub fn until_everywhere(server: &Server) {
    let mut session = server.session();
    until("every sink to have everything", || {
        let answer = session.get(Port::Gateway, "/readyz");
        let has_all = |sink: &Value| sink["state"] == "following" && sink["backlog"] == 0;
        (answer.status == 200 && list(&answer.json(), "sinks").iter().all(has_all)).then_some(())
    });
}

/// Waits until nothing is under way any more.
fn until_ended(server: &Server, evidence: &Evidence) {
    let mut ids: Vec<&String> = evidence.orders.keys().collect();
    each(server, &mut ids, |session, order| {
        until(&format!("order {order} to end"), || {
            let now = read_now(session, order);
            ["INIT", "TICKETED", "CANCELLED"].contains(&text(&now, "Status")).then_some(())
        });
    });
}

/// Waits until the read model has everything: orders that come behind all others, on every core's log.
fn catch_up(server: &Server, path: &Path, evidence: &mut Evidence) {
    let mut session = server.session();
    let partition = Partition::ad_hoc("markers".to_owned(), 1);
    for i in 0..MARKERS {
        let key = format!("marker-{i}-of-{}", evidence.orders.len());
        let order = session.create(&key, 1);
        let id = text(&order, "OrderID").to_owned();
        let log = OrderLog::new(id.clone(), key, 1, SeatRequest::one(&partition));
        evidence.orders.insert(id.clone(), log);
        evidence.told.insert(id, Known { told: order, listed: Value::Null });
    }
    let database = Database::open(path);
    let sql = "SELECT count(*) FROM orders WHERE idempotency_key LIKE 'marker-%'";
    until("the read model to catch up", || {
        let answer = session.get(Port::Gateway, "/v1/orders?limit=1");
        let lag = answer.header(LAG).filter(|_| answer.status == 200)?.to_owned();
        let markers: Vec<i64> = database.rows(sql, |row| row.get(0));
        (lag == "0" && markers == [MARKERS as i64]).then_some(())
    });
}
