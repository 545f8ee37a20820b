//! A backup, taken while seats are sold, and what is made of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use serde_json::Value;

use crate::support::process::CommandOutput;
use crate::support::session::{list, number, text, texts};
use crate::support::{Launch, Port, Session, until};

const SELLERS: usize = 3;
const PARTITIONS: usize = 8;
const CAPACITY: u32 = 3_000;
/// Orders of each phase at least: before the backup, while it is made, after it.
const ORDERS_PER_PHASE: usize = 60;

fn partition(number: usize) -> String {
    format!("backup-train-{number}")
}

fn path(dir: &Path) -> String {
    dir.display().to_string()
}

fn back_up(launch: &Launch, to: &Path) -> CommandOutput {
    launch.run(&["backup", &path(to), "--data-dir", &path(launch.dir())])
}

/// A data directory of the backup, beside it, and how to start it.
fn restored(launch: &Launch, backup: &Path, name: &str) -> Launch {
    let dir = launch.home().join(name);
    let done = launch.run(&["restore", &path(backup), "--data-dir", &path(&dir)]);
    assert!(done.status.success(), "{}", done.said());
    assert!(done.stdout.contains("orders and holds agree"), "{}", done.said());
    Launch::new().cores(2).data_dir(&dir)
}

/// One order as somebody sold it: the phases in which it was begun and ended, and what was acknowledged.
#[derive(Debug)]
struct Sold {
    id: String,
    begun: usize,
    created: usize,
    /// `None`: not asked for.
    paid: Option<(usize, usize)>,
}

/// Sells until it is told to stop.
fn sell(
    session: &mut Session,
    seller: usize,
    phase: &AtomicUsize,
    stop: &AtomicBool,
    count: &[AtomicUsize; 3],
) -> Vec<Sold> {
    let mut sold = Vec::new();
    while !stop.load(Ordering::SeqCst) {
        let n = sold.len();
        let begun = phase.load(Ordering::SeqCst);
        let order = session.reserved(&format!("{seller}-{n}"), &partition(n % PARTITIONS), 1);
        let (id, created) = (text(&order, "OrderID").to_owned(), phase.load(Ordering::SeqCst));
        let paid = (n % 3 > 0).then(|| {
            let begun = phase.load(Ordering::SeqCst);
            session.pay(&id, &format!("txn-{seller}-{n}")).ok();
            (begun, phase.load(Ordering::SeqCst))
        });
        sold.push(Sold { id, begun, created, paid });
        count[begun].fetch_add(1, Ordering::SeqCst);
    }
    sold
}

/// Every order that is listed.
fn orders(session: &mut Session) -> Vec<Value> {
    let mut all = Vec::new();
    let mut after = String::new();
    loop {
        let page = session.get(Port::Gateway, &format!("/v1/orders?limit=500{after}")).ok();
        all.extend_from_slice(list(&page, "orders"));
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            _ => return all,
        }
    }
}

/// No seat is two orders', and what is left is what nobody has.
fn audit_seats(session: &mut Session, orders: &[Value]) {
    let mut taken: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for order in orders {
        if !["RESERVED", "PAID", "TICKETED"].contains(&text(order, "Status")) {
            continue;
        }
        for seat in texts(order, "Seats") {
            let of = taken.entry(text(order, "PartitionKey").to_owned()).or_default();
            assert!(of.insert(seat.clone()), "{seat} of {order} is sold twice");
        }
    }
    assert_eq!(taken.len(), PARTITIONS);
    for (partition, seats) in taken {
        // The one that opened it has a seat as well.
        let left = i64::from(CAPACITY) - seats.len() as i64 - 1;
        assert_eq!(session.available(&partition), left, "{partition}");
    }
}

/// The events of a directory that nobody has open, by id.
fn events(launch: &Launch) -> BTreeMap<String, String> {
    let printed = launch.run(&["log", "events", &path(launch.dir())]);
    assert!(printed.status.success(), "{}", printed.said());
    let parse = |line: &str| {
        let event: Value = serde_json::from_str(line).expect("a line of JSON");
        (text(&event, "event_id").to_owned(), line.to_owned())
    };
    printed.stdout.lines().map(parse).collect()
}

/// Catches: a copy made core by core, which has an order without its hold or a hold without its order; what was acknowledged before and
/// is missing; a read model that is not of the same moment, or does not go on; an event id that stands for two effects.
#[test]
fn a_backup_that_is_taken_while_seats_are_sold_is_one_moment_on_all_cores() {
    // Snapshots and pruning go on beside it.
    let small = ["--segment-bytes", "262144", "--snapshot-log-bytes", "262144", "--log-keep-hours", "0"];
    let server = Launch::new().cores(2).args(&small).start();
    for number in 0..PARTITIONS {
        server.session().held(&partition(number), "opener", 1, CAPACITY);
    }
    let backup = server.launch().home().join("backup");
    let (phase, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let count = [const { AtomicUsize::new(0) }; 3];
    let sold: Vec<Sold> = thread::scope(|scope| {
        let (phase, stop, count, server) = (&phase, &stop, &count, &server);
        let sellers: Vec<_> = (0..SELLERS)
            .map(|seller| scope.spawn(move || sell(&mut server.session(), seller, phase, stop, count)))
            .collect();
        let enough = |of: usize| {
            until("enough orders", || (count[of].load(Ordering::SeqCst) >= ORDERS_PER_PHASE).then_some(()));
        };
        enough(0);
        phase.store(1, Ordering::SeqCst);
        let done = back_up(server.launch(), &backup);
        assert!(done.status.success(), "{}", done.said());
        assert!(done.stdout.contains("orders and holds agree"), "{}", done.said());
        phase.store(2, Ordering::SeqCst);
        enough(2);
        stop.store(true, Ordering::SeqCst);
        sellers.into_iter().flat_map(|seller| seller.join().expect("a seller")).collect()
    });
    let original = server.stop();

    let mut ids: Vec<BTreeMap<String, String>> = vec![events(&original)];
    for name in ["first", "second"] {
        let launch = restored(&original, &backup, name);
        launch.check_log();
        let server = launch.start();
        let mut session = server.session();
        let listed: BTreeMap<String, Value> = orders(&mut session)
            .into_iter()
            .map(|order| (text(&order, "OrderID").to_owned(), order))
            .collect();
        let mut there = 0;
        for order in &sold {
            let answer = session.get_order(&order.id);
            if order.begun == 2 {
                assert_eq!(answer.status, 404, "sold after the backup: {order:?}");
                continue;
            }
            if order.created > 0 && answer.status == 404 {
                continue;
            }
            there += 1;
            let order_now = answer.ok();
            assert_eq!(text(&listed[&order.id], "OrderID"), text(&order_now, "OrderID"));
            let status = text(&order_now, "Status");
            match order.paid {
                Some((_, 0)) => assert!(["PAID", "TICKETED"].contains(&status), "{order:?}: {order_now}"),
                Some((2, _)) | None => {
                    assert!(["INIT", "RESERVED"].contains(&status), "{order:?}: {order_now}")
                }
                Some(_) => {}
            }
            if order.created == 0 {
                assert_ne!(status, "INIT", "{order:?}");
            }
        }
        assert!(there >= ORDERS_PER_PHASE, "{there} orders");
        assert_eq!(there, listed.len(), "the read model has no others");

        // What was paid gets its ticket, and the same seats go to others.
        for order in sold.iter().filter(|order| matches!(order.paid, Some((_, 0)))).take(5) {
            session.until_ticketed(&order.id);
        }
        for number in 0..PARTITIONS {
            let id = text(&session.reserved(&format!("{name}-{number}"), &partition(number), 5), "OrderID")
                .to_owned();
            session.pay(&id, &format!("txn-{name}-{number}")).ok();
            session.until_ticketed(&id);
        }
        let now = until("the read model to have the new ones", || {
            let now = orders(&mut session);
            let ticketed = |order: &&Value| text(order, "Status") == "TICKETED" && number(order, "Qty") == 5;
            (now.iter().filter(ticketed).count() == PARTITIONS).then_some(now)
        });
        audit_seats(&mut session, &now);
        let launch = server.stop();
        launch.check_log();
        ids.push(events(&launch));
    }
    let [original, first, second] = &ids[..] else { panic!("three directories") };
    assert!(first.len() > PARTITIONS && second.len() > PARTITIONS);
    for (one, other) in [(original, first), (original, second), (first, second)] {
        assert!(one.keys().all(|id| !other.contains_key(id)), "an id stands for two effects");
    }
}

/// Catches: a backup that one can sell from; one that goes where something is; a restore over what is there; half a backup that counts.
#[test]
fn a_backup_of_a_stopped_directory_is_restored_to_an_empty_one_alone() {
    let server = Launch::new().cores(1).start();
    let mut session = server.session();
    let order = session.reserved("stopped", "stopped-train", 2);
    let id = text(&order, "OrderID").to_owned();
    // A crash: its log is read as a start would.
    let launch = server.kill();
    let backup = launch.home().join("backup");
    let done = back_up(&launch, &backup);
    assert!(done.status.success(), "{}", done.said());
    back_up(&launch, &backup).assert_refused(&["backup", "is not empty"]);
    let inside = launch.dir().join("backup");
    back_up(&launch, &inside).assert_refused(&["what loses one loses both"]);
    assert!(!inside.exists());
    let serve: Launch = Launch::new().cores(1).data_dir(&backup);
    serve.serve_to_end().assert_refused(&["is a backup", "restore"]);
    launch
        .run(&["restore", &path(&backup), "--data-dir", &path(launch.dir())])
        .assert_refused(&["is not empty", "nothing was changed"]);
    launch
        .run(&["restore", &path(launch.dir()), "--data-dir", &path(&launch.home().join("none"))])
        .assert_refused(&["no backup"]);

    let elsewhere = launch.home().join("elsewhere.db");
    std::fs::write(format!("{}-wal", elsewhere.display()), "of another one").expect("a file");
    let to = path(&launch.home().join("none"));
    launch
        .run(&["restore", &path(&backup), "--data-dir", &to, "--read-model", &path(&elsewhere)])
        .assert_refused(&["elsewhere.db-wal is there already", "nothing was changed"]);

    // Other cores than before.
    let server = restored(&launch, &backup, "restored").start();
    let mut session = server.session();
    assert_eq!(session.order(&id), order);
    session.pay(&id, "stopped-txn").ok();
    session.until_ticketed(&id);
    until("the read model to follow", || {
        let listed = orders(&mut session);
        (listed.len() == 1 && text(&listed[0], "Status") == "TICKETED").then_some(())
    });
    server.stop();

    // A byte of it.
    let snapshot = files_named(&backup, "snapshot-").remove(0);
    let mut bytes = std::fs::read(&snapshot).expect("a snapshot");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&snapshot, bytes).expect("a snapshot");
    let to = launch.home().join("of-damage");
    launch
        .run(&["restore", &path(&backup), "--data-dir", &path(&to)])
        .assert_refused(&["is damaged at byte"]);
    Launch::new().data_dir(&to).serve_to_end().assert_refused(&["superblock", "missing"]);
    std::fs::remove_file(backup.join("backup")).expect("its mark");
    launch
        .run(&["restore", &path(&backup), "--data-dir", &path(&launch.home().join("of-half"))])
        .assert_refused(&["no backup"]);
}

fn files_named(dir: &Path, prefix: &str) -> Vec<PathBuf> {
    let of = crate::support::process::files(dir);
    let named =
        |file: &&PathBuf| file.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix));
    of.keys().filter(named).map(|file| dir.join(file)).collect()
}
