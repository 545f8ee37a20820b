//! The faults of the drill, each from its beginning to its end, and what sales do meanwhile.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode};
use rustix::process::Signal;
use serde_json::Value;

use super::LAG;
use super::budget::Budget;
use super::caller::{Counts, Downs};
use super::disk::SmallDisk;
use super::figures::Figures;
use super::plan::{Fault, Harm, Step};
use crate::services::Place;
use crate::session::list;
use crate::{Launch, Port, Server, until};

/// The read model notices that it is down once it has something to write; it is waited for so long.
const NOTICE_WAIT: Duration = Duration::from_secs(5);

/// The server and what is around it.
pub struct Nemesis<'a> {
    pub server: Option<Server>,
    pub launch: Launch,
    pub database: PathBuf,
    pub disk: Option<&'a SmallDisk>,
    pub place: &'a Place,
    pub downs: &'a Downs,
    pub counts: &'a Counts,
    pub budget: &'a Budget,
    pub figures: &'a mut Figures,
}

impl Nemesis<'_> {
    /// Lets some orders be created, carries the fault out, and lets others be created meanwhile.
    pub fn carry_out(&mut self, step: &Step) {
        if step.fault.trouble().is_some() {
            // What is down already is not taken down; and it has to come back after the last fault.
            self.until_up();
        }
        self.budget.release(step.orders_before);
        let orders_left = if step.fault.ends_server() { step.orders_left } else { 0 };
        until("orders before a fault", || (self.budget.left() <= orders_left).then_some(()));
        if step.fault.ends_server() {
            thread::sleep(step.moment);
        }
        let acknowledged = self.acknowledged();
        match step.fault {
            Fault::Kill => {
                self.restart(None, kill);
                self.sell(step, 0);
            }
            Fault::KillToOtherCores => {
                self.kill_twice(step);
                self.sell(step, 0);
            }
            Fault::Stop => {
                self.budget.release(step.orders_during);
                self.restart(Some(step.cores), |server| {
                    server.stop();
                });
                self.sell(&step.without_orders(), 0);
            }
            Fault::Pause => self.pause(step),
            Fault::WriteLock => {
                let said = self.said();
                let lock = self.lock("BEGIN IMMEDIATE");
                self.sell(step, said);
                drop(lock);
            }
            Fault::KillUnderWriteLock => {
                let said = self.said();
                let lock = self.lock("BEGIN IMMEDIATE");
                self.restart(Some(step.cores), kill);
                self.sell(step, said);
                drop(lock);
            }
            Fault::ExclusiveLock => self.start_under_exclusive_lock(step),
            Fault::OldReader => {
                let reader = self.lock("BEGIN; SELECT count(*) FROM orders");
                self.sell(step, 0);
                drop(reader);
            }
            Fault::FullDisk => {
                let said = self.said();
                self.fill_disk();
                self.sell(step, said);
                self.small_disk().free();
            }
            Fault::KillOnFullDisk => {
                let said = self.said();
                self.fill_disk();
                self.restart(None, kill);
                self.sell(step, said);
                self.small_disk().free();
            }
            Fault::MysqlKilled
            | Fault::MysqlPaused
            | Fault::RedisKilled
            | Fault::RedisFlushed
            | Fault::KafkaKilled
            | Fault::KafkaPaused => self.hurt_service(step),
        }
        self.figures.add_fault(step.fault, self.acknowledged() - acknowledged);
    }

    /// Lets orders be created, for as long as the fault is to last. Where it is to take the read model down, waits until the server's log
    /// says so, behind its first `said` bytes.
    fn sell(&mut self, step: &Step, said: u64) {
        let (started, before) = (Instant::now(), self.acknowledged());
        self.budget.release(step.orders_during);
        until("orders during a fault", || (self.budget.left() == 0).then_some(()));
        if let Some(trouble) = step.fault.trouble() {
            let is_noticed = self.notices(said, trouble);
            *self.figures.noticed.entry(trouble).or_default() += u64::from(is_noticed);
            let sold = self.acknowledged() - before;
            assert!(sold > 0, "nothing is sold: {}", step.fault.name());
            self.figures.acknowledged_meanwhile += sold;
        }
        // The time itself is part of the fault.
        thread::sleep(step.length.saturating_sub(started.elapsed()));
    }

    /// Sales go on as if nothing were.
    fn hurt_service(&mut self, step: &Step) {
        let (service, harm) = step.fault.of_service().expect("a fault of a service");
        let services = &self.place.services;
        match harm {
            Harm::Kill => {
                services.signal(service, Signal::KILL);
                self.sell(step, 0);
                services.up(service);
            }
            Harm::Pause => {
                services.signal(service, Signal::STOP);
                self.sell(step, 0);
                services.signal(service, Signal::CONT);
            }
            Harm::Flush => {
                services.redis(self.place.redis_db, &["FLUSHALL"]);
                self.sell(step, 0);
            }
        }
    }

    /// Waits until the read model has everything.
    fn until_up(&self) {
        let mut session = self.launch.session();
        until("the read model to go on after a fault", || {
            let sinks = session.get(Port::Gateway, "/readyz").json();
            let is_read_model = |sink: &&Value| sink["name"] == "read-model";
            let read_model = list(&sinks, "sinks").iter().find(is_read_model).cloned();
            let is_up =
                read_model.is_some_and(|sink| sink["state"] == "following" && sink["last_error"].is_null());
            let answer = session.get(Port::Gateway, "/v1/orders?limit=1");
            (is_up && answer.status == 200 && answer.header(LAG) == Some("0")).then_some(())
        });
    }

    fn notices(&self, said: u64, trouble: &str) -> bool {
        let started = Instant::now();
        let server = self.server.as_ref().expect("a running server");
        let line = format!("\"trouble\":\"{trouble}\"");
        while started.elapsed() < NOTICE_WAIT {
            if server.log_behind(said).contains(&line) {
                return true;
            }
            thread::sleep(Duration::from_millis(20));
        }
        false
    }

    /// The length of the server's log.
    fn said(&self) -> u64 {
        self.server.as_ref().expect("a running server").log_bytes()
    }

    fn acknowledged(&self) -> u64 {
        self.counts.acknowledged.load(Ordering::SeqCst)
    }

    /// Nothing is left of SQLite's own log that could be written again without room.
    fn fill_disk(&self) {
        drop(self.lock("PRAGMA wal_checkpoint(TRUNCATE)"));
        self.small_disk().fill();
    }

    fn small_disk(&self) -> &SmallDisk {
        self.disk.expect("no such fault is planned without one")
    }

    /// Ends the server and starts it again, with another number of cores where one is given.
    fn restart(&mut self, cores: Option<u32>, end: impl FnOnce(Server)) {
        self.downs.begin();
        end(self.server.take().expect("a running server"));
        self.start(cores);
        self.downs.end();
    }

    fn start(&mut self, cores: Option<u32>) {
        if let Some(cores) = cores {
            self.launch = self.launch.clone().cores(cores);
        }
        // Tickets come from here and from there, start by start.
        let from = ["engine", "kafka"][(self.figures.starts % 2) as usize];
        self.launch = self.launch.clone().env("INTERLOCK_TICKETS", from);
        self.server = Some(self.launch.start());
        self.figures.starts += 1;
    }

    fn kill_twice(&mut self, step: &Step) {
        self.downs.begin();
        kill(self.server.take().expect("a running server"));
        let before = self.launch.cores_now();
        let other = if step.cores == before { before % 3 + 1 } else { step.cores };
        let starting = self.launch.clone().cores(other).spawn();
        thread::sleep(step.killed_start);
        kill(starting);
        self.start(Some(other));
        self.downs.end();
    }

    fn pause(&mut self, step: &Step) {
        let server = self.server.as_ref().expect("a running server");
        server.send_signal("STOP");
        self.budget.release(step.orders_during);
        thread::sleep(step.length);
        server.send_signal("CONT");
        until("orders after a pause", || (self.budget.left() == 0).then_some(()));
    }

    fn start_under_exclusive_lock(&mut self, step: &Step) {
        let said = self.said();
        self.downs.begin();
        kill(self.server.take().expect("a running server"));
        let lock = self.lock("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE");
        self.start(None);
        self.downs.end();
        self.sell(step, said);
        drop(lock);
    }

    /// A foreign connection to the database, with an open transaction. It is let go when it is dropped.
    fn lock(&self, sql: &str) -> Connection {
        until("a lock on the database", || {
            let connection = Connection::open(&self.database).expect("the database opens");
            let Err(error) = connection.execute_batch(sql) else { return Some(connection) };
            let code = error.sqlite_error_code();
            assert!(code == Some(ErrorCode::DatabaseBusy), "{sql}: {error}");
            None
        })
    }
}

fn kill(server: Server) {
    server.kill();
}

impl Step {
    fn without_orders(&self) -> Step {
        Step { orders_during: 0, ..self.clone() }
    }
}
