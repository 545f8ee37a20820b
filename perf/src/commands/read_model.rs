//! `perf read-model`: whole orders into the read model beside the sale. How many a second; how soon an order is seen there after its answer; what
//! that costs beside a program that only inserts the same rows; and what the sale notices of a read model that is down, and that catches up.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, params_from_iter};
use serde::Serialize;

use super::Setting;
use crate::figures::{Figures, HEAD, Percentiles, line, measure};
use crate::load::Pace;
use crate::machine;
use crate::report::{Page, Report, number};
use crate::scrape::{backlog, catch_up};
use crate::statistics::median;
use crate::target::Target;

/// The thread that fills the read model.
const THREAD: &str = "read-model";
/// The pause between two orders that are looked for.
const PROBE_PAUSE: Duration = Duration::from_millis(20);
/// Orders that are inserted for comparison in one transaction.
const PLAIN_ORDERS_PER_TRANSACTION: usize = 1_000;

#[derive(Debug, Serialize)]
struct ReadModelReport {
    command: String,
    machine: String,
    /// Of the load that was offered; it took so many, and had so many records to write when it ended.
    orders_offered_per_second: f64,
    orders_taken_per_second: f64,
    backlog_records: u64,
    /// From the answer to a creation until SQLite shows it, at half of that.
    visible_after: Percentiles,
    cpu_us_per_order: f64,
    plain_cpu_us_per_order: f64,
    /// p99 of all answers by the server's own histogram, in windows with the read model down, and catching up, over that of those before.
    p99_down_times: f64,
    p99_catching_up_times: f64,
    errors_while_down: u64,
    windows: Vec<(&'static str, Figures)>,
}

/// # Errors
/// If the server does not start, or the report cannot be written.
pub fn run(
    setting: &Setting,
    workload: &str,
    connections: usize,
    orders: u32,
    rounds: u32,
    cpu: Option<usize>,
) -> io::Result<PathBuf> {
    let sale = setting.sale()?;
    let target = setting.interlock()?;
    let workload = crate::workloads::Choice::by_name(workload).expect("it is one of them");
    let database = target.data_dir().ok_or_else(|| io::Error::other("no directory"))?.join("read-model.db");
    let pid = target.pid.unwrap_or(0);
    if let Some(cpu) = cpu {
        machine::pin_named_threads(pid, THREAD, cpu);
    }
    println!("{HEAD}");
    let load = |pace: f64| -> io::Result<Figures> {
        let plan =
            setting.load.plan(&target, connections, Pace::Open(pace / f64::from(workload.of_an_arrival)));
        let figures = measure(&target, &plan, &sale, workload, None)?.figures;
        println!("{}", line(&figures));
        Ok(figures)
    };
    let (full, half) = (f64::from(orders), f64::from(orders) / 2.0);

    let before = count(&database)?;
    let started = Instant::now();
    let whole = load(full)?;
    let backlog_records = backlog(&target);
    catch_up(&target)?;
    let orders_taken_per_second = (count(&database)? - before) as f64 / started.elapsed().as_secs_f64();

    let (orders_before, cpu_before) = (count(&database)?, machine::named_threads_cpu_ns(pid, THREAD));
    let seen = AtomicBool::new(false);
    let (visible, halved) = std::thread::scope(|scope| {
        let probe = scope.spawn(|| probe(&target, &database, &seen));
        let halved = load(half);
        seen.store(true, Ordering::Relaxed);
        (probe.join().expect("a probe"), halved)
    });
    let halved = halved?;
    catch_up(&target)?;
    let written = (count(&database)? - orders_before).max(1) as f64;
    let cpu_us_per_order = (machine::named_threads_cpu_ns(pid, THREAD) - cpu_before) as f64 / 1e3 / written;
    let plain_cpu_us_per_order = plain(&database, orders_before)?;

    let mut windows = vec![("full", whole), ("half", halved)];
    for _ in 0..rounds {
        windows.push(("before", load(half)?));
        catch_up(&target)?;
        let lock = Connection::open(&database).map_err(io::Error::other)?;
        lock.execute_batch("BEGIN IMMEDIATE").map_err(io::Error::other)?;
        windows.push(("down", load(half)?));
        lock.execute_batch("ROLLBACK").map_err(io::Error::other)?;
        windows.push(("catching up", load(half)?));
        catch_up(&target)?;
    }
    let p99 = |name: &str| {
        let of =
            windows.iter().filter(|(window, _)| *window == name).map(|(_, figures)| figures.server_p99());
        median(&of.collect::<Vec<_>>())
    };
    let errors = |figures: &Figures| figures.errors.values().sum::<u64>();
    let report = ReadModelReport {
        command: setting.command.clone(),
        machine: machine::describe(),
        orders_offered_per_second: full,
        orders_taken_per_second,
        backlog_records,
        visible_after: Percentiles::of(&visible),
        cpu_us_per_order,
        plain_cpu_us_per_order,
        p99_down_times: p99("down") / p99("before").max(1e-9),
        p99_catching_up_times: p99("catching up") / p99("before").max(1e-9),
        errors_while_down: windows.iter().filter(|(name, _)| *name == "down").map(|(_, f)| errors(f)).sum(),
        windows,
    };
    let out = Report::new(&setting.out)?;
    out.json(&report)?;
    let page = page(&report);
    for said in said(&report) {
        println!("{said}");
    }
    out.page(&page)
}

fn said(report: &ReadModelReport) -> [String; 4] {
    [
        format!(
            "{} orders a second were offered, {} were taken; {} records were still to be written at the end of the load",
            number(report.orders_offered_per_second),
            number(report.orders_taken_per_second.round()),
            report.backlog_records
        ),
        format!(
            "at half of that, an order is seen after {:.0} ms (p50), {:.0} ms (p99)",
            report.visible_after.p50_us / 1e3,
            report.visible_after.p99_us / 1e3
        ),
        format!(
            "{:.0} us of CPU an order; a program that only inserts the same rows takes {:.0} us: {:.1} times",
            report.cpu_us_per_order,
            report.plain_cpu_us_per_order,
            report.cpu_us_per_order / report.plain_cpu_us_per_order.max(1e-9)
        ),
        format!(
            "p99 of answers with the read model down: {:.2} times that before, {} errors; while it catches up: {:.2} times",
            report.p99_down_times, report.errors_while_down, report.p99_catching_up_times
        ),
    ]
}

fn page(report: &ReadModelReport) -> Page {
    let mut page = Page::new("The read model", &report.machine, &report.command);
    said(report).iter().for_each(|text| page.text(text));
    for window in report.windows.iter().filter_map(|(_, figures)| figures.invalid.as_ref()) {
        page.warning(window);
    }
    page
}

fn read_only(database: &Path) -> io::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(database, flags).map_err(io::Error::other)
}

fn count(database: &Path) -> io::Result<u64> {
    let count = read_only(database)?
        .query_row("SELECT max(id) FROM order_rows", [], |row| row.get::<_, Option<i64>>(0));
    count.map(|count| count.unwrap_or(0).unsigned_abs()).map_err(io::Error::other)
}

/// Creates an order now and then, and looks for it. Its answer came when it was durable.
fn probe(target: &Target, database: &Path, is_over: &AtomicBool) -> Histogram<u64> {
    let mut times = Histogram::new(3).expect("three digits");
    let (mut session, connection) = (
        target.interlock_session().expect("a server that was started here"),
        read_only(database).expect("a database"),
    );
    let mut find = connection
        .prepare("SELECT 1 FROM order_rows WHERE order_id = ?1 AND created_at IS NOT NULL")
        .expect("a statement");
    for nth in 0_u64.. {
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        let order = session.new_order(&format!("probe-{}-{nth}", std::process::id()));
        let answered = Instant::now();
        while !find.exists([&order]).expect("an answer") {
            std::thread::sleep(Duration::from_millis(1));
        }
        times.record(answered.elapsed().as_nanos() as u64).expect("it grows");
        std::thread::sleep(PROBE_PAUSE);
    }
    times
}

/// CPU time of inserting the same rows from memory, each once, durably, into the same tables with the same rows before them: microseconds
/// an order. Those up to `before` are not counted: an insertion costs more the larger the tables are.
fn plain(database: &Path, before: u64) -> io::Result<f64> {
    let scratch = tempfile::tempdir_in(database.parent().unwrap_or(Path::new(".")))?;
    insert_plainly(database, &scratch.path().join("plain.db"), before).map_err(io::Error::other)
}

fn insert_plainly(database: &Path, path: &Path, before: u64) -> rusqlite::Result<f64> {
    let from = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut to = Connection::open(path)?;
    to.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    to.execute_batch(
        "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 2048; PRAGMA cache_size = -65536",
    )?;
    let mut schema =
        from.prepare("SELECT sql FROM sqlite_schema WHERE type IN ('table', 'index') AND sql IS NOT NULL")?;
    for sql in schema.query_map([], |row| row.get::<_, String>(0))? {
        to.execute_batch(&sql?)?;
    }
    let last: i64 = from.query_row("SELECT max(id) FROM order_rows", [], |row| row.get(0))?;
    let first = before as i64;
    let tables = [("order_rows", "id"), ("order_events", "order_row"), ("run_events", "order_row")];
    to.execute("ATTACH ?1 AS source", [database.to_str()])?;
    for (table, order) in tables {
        to.execute_batch(&format!(
            "INSERT INTO {table} SELECT * FROM source.{table} WHERE {order} <= {first} ORDER BY {order}"
        ))?;
    }
    to.execute_batch("DETACH source; PRAGMA wal_checkpoint(TRUNCATE)")?;
    let mut rows = Vec::new();
    for (table, order) in tables {
        rows.push(all(
            &from,
            &format!("SELECT {order}, * FROM {table} WHERE {order} > {first} ORDER BY {order}"),
        )?);
    }
    let (cpu, mut next) = (machine::own_cpu_ns(), [0; 3]);
    for end in (first..=last).step_by(PLAIN_ORDERS_PER_TRANSACTION) {
        let end = end + PLAIN_ORDERS_PER_TRANSACTION as i64;
        let transaction = to.transaction()?;
        for ((table, _), (rows, next)) in tables.iter().zip(rows.iter().zip(&mut next)) {
            let Some((_, values)) = rows.first() else { continue };
            let places = vec!["?"; values.len()].join(", ");
            let mut insert = transaction.prepare_cached(&format!("INSERT INTO {table} VALUES ({places})"))?;
            while let Some((order, values)) = rows.get(*next).filter(|(order, _)| *order <= end) {
                debug_assert!(*order <= end);
                insert.execute(params_from_iter(values))?;
                *next += 1;
            }
        }
        transaction.commit()?;
    }
    Ok((machine::own_cpu_ns() - cpu) as f64 / 1e3 / (last - first).max(1) as f64)
}

/// Each row behind the number of its order.
fn all(connection: &Connection, sql: &str) -> rusqlite::Result<Vec<(i64, Vec<Value>)>> {
    let mut statement = connection.prepare(sql)?;
    let columns = statement.column_count();
    let row = |row: &rusqlite::Row<'_>| {
        let values = (1..columns).map(|column| row.get(column)).collect::<Result<_, _>>()?;
        Ok((row.get(0)?, values))
    };
    statement.query_map([], row)?.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_inserted_as_they_are() {
        let scratch = tempfile::tempdir().expect("a directory");
        let from = scratch.path().join("from.db");
        let tables = Connection::open(&from).expect("a database");
        tables
            .execute_batch(
                "CREATE TABLE order_rows (id INTEGER PRIMARY KEY, order_id TEXT);
                CREATE TABLE order_events (order_row INTEGER, kind TEXT);
                CREATE TABLE run_events (run TEXT, order_row INTEGER);
                CREATE INDEX by_id ON order_rows (order_id);
                INSERT INTO order_rows VALUES (1, 'a'), (2, 'b');
                INSERT INTO order_events VALUES (1, 'x'), (2, 'y'), (2, 'z');
                INSERT INTO run_events VALUES ('r', 2);",
            )
            .expect("tables");
        let to = scratch.path().join("to.db");
        assert!(insert_plainly(&from, &to, 1).expect("inserted") > 0.0);
        let both = [tables, Connection::open(&to).expect("a database")].map(|connection| {
            let sql = "SELECT id, order_id, kind, run FROM order_rows JOIN order_events ON order_events.order_row = id
                LEFT JOIN run_events ON run_events.order_row = id ORDER BY id, kind";
            all(&connection, sql).expect("rows")
        });
        assert_eq!(both[0], both[1]);
        assert_eq!(both[0].len(), 3);
    }
}
