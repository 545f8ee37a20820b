//! Rows as statements. Each row goes into its place by its own id, and only forwards; so anything may be written twice.

use std::fmt::Write;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Params};

use super::limits::ROWS_PER_STATEMENT;
use super::tables::{Row, Rows, Table};
use super::trouble::{Failure, is_of_a_row, within};
use crate::sink::{SinkError, Trouble};

/// The rows that may be replaced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mode {
    /// An older row of the same life.
    Follow,
    /// A row of another life as well.
    Copy,
}

/// In the caller's transaction.
pub(super) async fn write(conn: &mut Conn, rows: &Rows, mode: Mode) -> Result<(), Failure> {
    for (table, rows) in rows.tables() {
        for chunk in chunks(rows) {
            if let Err(error) = upsert(conn, table, chunk, mode).await {
                return Err(Failure::OfRows { error, table, rows: chunk.to_vec() });
            }
        }
    }
    Ok(())
}

async fn upsert(conn: &mut Conn, table: &Table, rows: &[Row], mode: Mode) -> Result<(), mysql_async::Error> {
    let values = rows.iter().flat_map(|row| row.values.iter().cloned()).collect();
    within(conn.exec_drop(statement(table, rows.len(), mode), Params::Positional(values))).await
}

/// Full statements first, then powers of two: few statements are ever prepared.
fn chunks(rows: &[Row]) -> impl Iterator<Item = &[Row]> {
    let mut rest = rows;
    std::iter::from_fn(move || {
        let size = match rest.len() {
            0 => return None,
            ROWS_PER_STATEMENT.. => ROWS_PER_STATEMENT,
            fewer => 1 << fewer.ilog2(),
        };
        let (chunk, others) = rest.split_at(size);
        rest = others;
        Some(chunk)
    })
}

/// Columns are set from the left to the right, and a later one sees the earlier ones as they are by then: what the condition reads, `seq` and
/// `life`, comes last, and `life` behind `seq`.
fn statement(table: &Table, rows: usize, mode: Mode) -> String {
    let Table { name, id_columns, columns, is_fixed } = table;
    let is_newer = match (mode, is_fixed) {
        (Mode::Follow, true) => "FALSE",
        (Mode::Follow, false) => "life = VALUES(life) AND VALUES(seq) > seq",
        (Mode::Copy, true) => "NOT (life <=> VALUES(life))",
        (Mode::Copy, false) => "NOT (life <=> VALUES(life)) OR VALUES(seq) > seq",
    };
    let one = format!("({})", vec!["?"; columns.len()].join(","));
    let mut sql = format!("INSERT INTO {name} ({}) VALUES {one}", columns.join(","));
    for _ in 1..rows {
        sql.push(',');
        sql.push_str(&one);
    }
    for (nth, column) in columns[*id_columns..].iter().enumerate() {
        let comma = if nth == 0 { " ON DUPLICATE KEY UPDATE " } else { "," };
        write!(sql, "{comma}{column}=IF({is_newer},VALUES({column}),{column})")
            .expect("text is written to memory");
    }
    sql
}

/// Finds which row the database refuses, in a transaction that comes to nothing.
pub(super) async fn find_rejected(conn: &mut Conn, table: &Table, rows: &[Row]) -> Option<SinkError> {
    within(conn.query_drop("START TRANSACTION")).await.ok()?;
    let mut found = None;
    for row in rows {
        if let Err(error) = upsert(conn, table, std::slice::from_ref(row), Mode::Follow).await {
            let text = format!("the database refuses row {} of {}: {error}", row.id, table.name);
            found = is_of_a_row(&error).then(|| SinkError::new(Trouble::Rejected, text));
            break;
        }
    }
    within(conn.query_drop("ROLLBACK")).await.ok()?;
    found
}

#[cfg(test)]
mod tests {
    use super::super::tables::{ORDER_VIEW, ORDERS, PAYMENTS, REFUNDS, TICKETS};
    use super::*;

    #[test]
    fn a_statement() {
        let table = Table { name: "t", id_columns: 1, columns: &["id", "a", "seq", "life"], is_fixed: false };
        let expected = "INSERT INTO t (id,a,seq,life) VALUES (?,?,?,?),(?,?,?,?) ON DUPLICATE KEY UPDATE \
            a=IF(life = VALUES(life) AND VALUES(seq) > seq,VALUES(a),a),\
            seq=IF(life = VALUES(life) AND VALUES(seq) > seq,VALUES(seq),seq),\
            life=IF(life = VALUES(life) AND VALUES(seq) > seq,VALUES(life),life)";
        assert_eq!(statement(&table, 2, Mode::Follow), expected);
    }

    #[test]
    fn what_a_condition_reads_is_set_last() {
        for table in [&ORDERS, &ORDER_VIEW, &PAYMENTS, &TICKETS, &REFUNDS] {
            assert!(table.columns.ends_with(&["seq", "life"]), "{}", table.name);
        }
    }

    #[test]
    fn rows_go_in_few_sizes() {
        let check = |count: usize, expected: &[usize]| {
            let rows = vec![Row { id: String::new(), values: vec![] }; count];
            let sizes: Vec<usize> = chunks(&rows).map(<[Row]>::len).collect();
            assert_eq!(sizes, expected, "{count}");
        };
        check(0, &[]);
        check(1, &[1]);
        check(7, &[4, 2, 1]);
        check(300, &[128, 128, 32, 8, 4]);
    }
}
