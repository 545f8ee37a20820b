//! Others at the database: other writers, other directories, and the database itself.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use bridge::sink::{Sink, Trouble};

use super::database::{Database, begin, follow};
use super::rows::assert_same_rows;
use crate::support::{Filled, batch, cursor, some_history};

/// Catches: two directories in one database.
#[test]
fn another_directory_is_refused_by_name() {
    let database = Database::new();
    let filled = Filled::new();
    begin(&mut database.sink(&filled));
    let error = database.sink_of([7; 16], &filled).open().expect_err("it is refused");
    assert_eq!(error.trouble, Trouble::AnotherDirectory);
    assert!(error.text.contains("09090909090909090909090909090909"), "{error}");

    // Also while the copy of the first is not whole.
    let database = Database::new();
    let mut sink = database.sink(&filled);
    sink.open().unwrap();
    sink.begin_copy().unwrap();
    let error = database.sink_of([7; 16], &filled).open().expect_err("it is refused");
    assert_eq!(error.trouble, Trouble::AnotherDirectory);
}

/// Catches: a copy of the directory that writes beside the original.
#[test]
fn the_second_writer_is_stopped_until_somebody_looks() {
    let history = some_history();
    let log = &history.world.log;
    let filled = Filled::of(log);
    let database = Database::new();
    let (mut one, mut other) = (database.sink(&filled), database.sink(&filled));
    begin(&mut one);
    assert_eq!(other.open().unwrap(), Some(cursor(0)));
    follow(&mut one, log, 0, 3);
    let error = other.write(&batch(&log[..1]), &cursor(1)).expect_err("it is stopped");
    assert_eq!(error.trouble, Trouble::AnotherWriter);
    assert_eq!(other.open().expect_err("it stays stopped"), error);
    one.write(&batch(&[]), &cursor(99)).unwrap();
    one.check().unwrap();

    other.discard().unwrap();
    assert_eq!(other.open().unwrap(), None);
    other.begin_copy().unwrap();
    let error = one.check().expect_err("now it is the other's");
    assert_eq!(error.trouble, Trouble::AnotherWriter);
    assert_eq!(one.open().expect_err("it stays stopped"), error);
}

/// Catches: a row that is skipped; an error that does not say which row it is.
#[test]
fn a_row_that_is_refused_stops_the_sink_until_it_is_taken() {
    let history = some_history();
    let log = &history.world.log;
    let filled = Filled::of(log);
    let mut database = Database::new();
    let empty = Filled::new();
    let mut sink = database.sink(&empty);
    begin(&mut sink);
    let order = history.orders()[1].to_string();
    database.run(&format!("ALTER TABLE orders ADD CONSTRAINT never CHECK (order_id <> '{order}')"));
    let error = sink.write(&batch(log), &cursor(log.len() as u64)).expect_err("it is refused");
    assert_eq!(error.trouble, Trouble::Rejected, "{error}");
    assert!(error.text.contains(&format!("row {order} of orders")), "{error}");
    assert_eq!(database.select::<i64>("SELECT COUNT(*) FROM orders"), [0], "nothing of the batch is there");

    assert_eq!(sink.open().unwrap(), Some(cursor(0)));
    database.run("ALTER TABLE orders DROP CONSTRAINT never");
    follow(&mut sink, log, 0, log.len());
    assert_same_rows(&filled, &mut database);
}

/// Catches: a transaction that is given up for another's sake and not done again.
#[test]
fn a_deadlock_is_done_again() {
    let history = some_history();
    let log = history.world.log.clone();
    let filled = Filled::of(&log);
    let mut database = Database::new();
    let mut sink = database.sink(&filled);
    begin(&mut sink);
    follow(&mut sink, &log, 0, log.len());

    // The other transaction has changed more, so that ours is the one that is given up.
    database.run("CREATE TABLE others (id INT PRIMARY KEY) ENGINE = InnoDB");
    database.run("INSERT INTO others SELECT seq FROM (SELECT ROW_NUMBER() OVER () AS seq FROM information_schema.columns) AS many");
    database.run("BEGIN");
    database.run("UPDATE others SET id = id + 100000");
    database.run("UPDATE orders SET amount_cents = amount_cents + 0, seq = seq - 1");
    thread::scope(|scope| {
        let (done, is_done) = mpsc::channel();
        let records = batch(&log);
        scope.spawn(move || {
            done.send(sink.write(&records, &cursor(1_000)).map(|()| sink)).unwrap();
        });
        // It has the cursor's row and waits for one of the orders.
        let waiting = "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'";
        while database.select::<i64>(waiting) == [0] {
            // InnoDB looks again only where nobody has asked for a tenth of a second.
            thread::sleep(Duration::from_millis(110));
        }
        database.run("UPDATE interlock_cursor SET moved_at = moved_at");
        database.run("COMMIT");
        let mut sink = is_done.recv().unwrap().unwrap();
        assert_eq!(sink.open().unwrap(), Some(cursor(1_000)));
    });
    assert_same_rows(&filled, &mut database);
}

/// Catches: a connection that is lost and never opened again; a cursor that is not where the rows are.
#[test]
fn a_connection_that_is_lost_is_opened_again() {
    let history = some_history();
    let log = &history.world.log;
    let filled = Filled::of(log);
    let mut database = Database::new();
    let mut sink = database.sink(&filled);
    begin(&mut sink);
    follow(&mut sink, &log[..3], 0, 3);
    let others =
        "SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()";
    for id in database.select::<u64>(others) {
        database.run(&format!("KILL {id}"));
    }
    let error = sink.write(&batch(&log[3..]), &cursor(log.len() as u64)).expect_err("it is gone");
    assert_eq!(error.trouble, Trouble::Failed, "{error}");
    assert_eq!(sink.open().unwrap(), Some(cursor(3)));
    follow(&mut sink, log, 3, log.len());
    assert_same_rows(&filled, &mut database);
}

/// Catches: a connection that is not encrypted although it is to be, or to whoever answers.
#[test]
fn tls_is_verified_unless_told_otherwise() {
    let mut database = Database::new();
    let plain = database.dsn_text.clone();
    let filled = Filled::new();
    database.dsn = format!("{plain}?tls=skip-verify").parse().unwrap();
    let mut sink = database.sink(&filled);
    begin(&mut sink);
    database.run("CREATE USER IF NOT EXISTS 'needs_tls'@'127.0.0.1' IDENTIFIED BY 's' REQUIRE SSL");
    database.run("GRANT ALL ON *.* TO 'needs_tls'@'127.0.0.1'");
    let place = plain.split_once('@').unwrap().1.to_owned();
    let of = |parameters: &str| format!("needs_tls:s@{place}{parameters}").parse().unwrap();
    database.dsn = of("?tls=skip-verify");
    database.sink(&filled).open().unwrap();
    database.dsn = of("");
    let error = database.sink(&filled).open().expect_err("it is not encrypted");
    assert!(error.text.contains("Access denied"), "{error}");
    // Nobody vouches for the server.
    database.dsn = of("?tls=true");
    let error = database.sink(&filled).open().expect_err("it is not verified");
    assert!(error.text.contains("certificate"), "{error}");
}

/// Catches: an error that tells a password.
#[test]
fn no_error_tells_the_password() {
    let filled = Filled::new();
    let database = Database::new();
    for dsn in ["u:the-secret@tcp(127.0.0.1:1)/db", "nobody:the-secret@tcp(no.such.host.invalid:3306)/db"] {
        let mut other = Database::new();
        other.dsn = dsn.parse().unwrap();
        let error = other.sink(&filled).open().expect_err("nobody answers");
        assert!(!format!("{error} {error:?}").contains("the-secret"), "{error}");
    }
    drop(database);
}
