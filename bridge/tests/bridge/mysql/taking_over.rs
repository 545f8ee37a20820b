//! Databases of the system before, and of newer and cut-off programs.

use bridge::mysql::MySql;
use bridge::sink::{Sink, Trouble};

use super::database::{Database, begin, follow};
use crate::support::{Filled, some_history};

/// The tables of the system before, with indexes of its own names and the server's usual collation.
const OLD: &str = "
CREATE TABLE orders (id BIGINT AUTO_INCREMENT PRIMARY KEY, order_id VARCHAR(64) NOT NULL UNIQUE, idempotency_key VARCHAR(128) NOT NULL,
    status VARCHAR(32) NOT NULL, amount_cents BIGINT NOT NULL, created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, UNIQUE KEY idx_key (idempotency_key));
CREATE TABLE payments (id BIGINT AUTO_INCREMENT PRIMARY KEY, payment_id VARCHAR(64) NOT NULL UNIQUE, order_id VARCHAR(64) NOT NULL,
    provider_txn_id VARCHAR(128) NOT NULL UNIQUE, status VARCHAR(32) NOT NULL, created_at DATETIME NOT NULL, updated_at DATETIME NOT NULL);
CREATE TABLE tickets (id BIGINT AUTO_INCREMENT PRIMARY KEY, ticket_id VARCHAR(64) NOT NULL UNIQUE, order_id VARCHAR(64) NOT NULL UNIQUE,
    passenger_name VARCHAR(128) NOT NULL, created_at DATETIME NOT NULL);
CREATE TABLE query_order_view (order_id VARCHAR(64) PRIMARY KEY, status VARCHAR(32) NOT NULL, amount_cents BIGINT NOT NULL,
    provider_txn_id VARCHAR(128), seat_no VARCHAR(64), updated_at DATETIME NOT NULL);
CREATE TABLE outbox (id BIGINT AUTO_INCREMENT PRIMARY KEY, payload JSON);
CREATE TABLE stations (station_code VARCHAR(64) PRIMARY KEY, station_name VARCHAR(128) NOT NULL);
SET time_zone = '+00:00';
INSERT INTO orders VALUES (7, 'old-1', 'k', 'TICKETED', 100, '2026-01-02 03:04:05', '2026-01-02 03:04:06');
INSERT INTO payments VALUES (8, 'p-1', 'old-1', 't-1', 'SUCCESS', '2026-01-02 03:04:05', '2026-01-02 03:04:05');
INSERT INTO tickets VALUES (9, 'k-1', 'old-1', '1-1', '2026-01-02 03:04:05');
INSERT INTO query_order_view VALUES ('old-1', 'TICKETED', 100, 't-1', '1-1', '2026-01-02 03:04:05');
INSERT INTO outbox (payload) VALUES ('{}');
INSERT INTO stations VALUES ('BJS', 'Beijing')";

const SCHEMA: &str =
    "SELECT table_name, column_name, column_type, collation_name, is_nullable FROM information_schema.columns
    WHERE table_schema = DATABASE() AND table_name NOT IN ('outbox', 'interlock_migrations')";
const INDEXES: &str =
    "SELECT table_name, non_unique, GROUP_CONCAT(column_name ORDER BY seq_in_index) FROM information_schema.statistics
    WHERE table_schema = DATABASE() AND table_name NOT IN ('outbox', 'interlock_migrations') GROUP BY table_name, non_unique, index_name";

/// Catches: a row of the old system that is lost or changed; an index of it that refuses what is right; a column left as it was.
#[test]
fn a_database_of_the_system_before_is_taken_over() {
    let (mut old, mut new) = (Database::new(), Database::new());
    OLD.split(";\n").for_each(|sql| old.run(sql));
    assert_eq!(MySql::migrate(&old.dsn).unwrap(), ["0001_old_system", "0002_interlock", "0003_lost"]);
    assert_eq!(MySql::migrate(&old.dsn).unwrap(), [""; 0]);
    assert_eq!(MySql::migrate(&new.dsn).unwrap().len(), 3);
    assert_eq!(old.texts(INDEXES), new.texts(INDEXES));
    // But for a default, and the length of what the old system wrote itself.
    assert_eq!(old.texts(SCHEMA), new.texts(SCHEMA));

    let history = some_history();
    let filled = Filled::of(&history.world.log);
    let mut sink = old.sink(&filled);
    begin(&mut sink);
    follow(&mut sink, &history.world.log, 0, 10);
    let row = "SELECT id, order_id, idempotency_key, status, CAST(created_at AS CHAR), seq FROM orders WHERE order_id = 'old-1'";
    let expected =
        ["7", "old-1", "k", "TICKETED", "2026-01-02 03:04:05.000"].map(|text| Some(text.to_owned()));
    assert_eq!(old.texts(row), [[&expected[..], &[None]].concat()]);
    for table in ["payments", "tickets", "query_order_view", "outbox"] {
        let sql = format!("SELECT COUNT(*) FROM {table}");
        let ours = if table == "query_order_view" { 3 } else { i64::from(table != "outbox") };
        assert_eq!(old.select::<i64>(&sql), [1 + ours], "{table}");
    }
}

/// Catches: a migration that cannot be run again behind a crash.
#[test]
fn a_migration_that_was_cut_off_goes_on() {
    let mut database = Database::new();
    MySql::migrate(&database.dsn).unwrap();
    let (schema, indexes) = (database.texts(SCHEMA), database.texts(INDEXES));
    database.run("DELETE FROM interlock_migrations WHERE number >= 2");
    database.run("DROP INDEX payments_by_txn ON payments");
    database.run("ALTER TABLE tickets DROP COLUMN seq");
    database.run("DROP TABLE refunds_lost");
    assert_eq!(MySql::migrate(&database.dsn).unwrap(), ["0002_interlock", "0003_lost"]);
    assert_eq!((database.texts(SCHEMA), database.texts(INDEXES)), (schema, indexes));
}

/// Catches: an old program that writes to tables that it does not know.
#[test]
fn tables_of_a_newer_program_are_refused() {
    let mut database = Database::new();
    MySql::migrate(&database.dsn).unwrap();
    database.run("INSERT INTO interlock_migrations (number, name) VALUES (999, 'of tomorrow')");
    let filled = Filled::new();
    let error = database.sink(&filled).open().expect_err("it is refused");
    assert_eq!(error.trouble, Trouble::Newer, "{error}");
}
