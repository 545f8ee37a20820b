//! The same fields as rows of a table (RFC 4180): a comma between cells, CRLF behind each row, quotes where a cell needs them.

use engine::ids::Time;

use super::time;
use super::write::Fields;

/// The row of names.
pub(crate) fn head(columns: &[&str]) -> Vec<u8> {
    let mut out = columns.join(",").into_bytes();
    out.extend_from_slice(b"\r\n");
    out
}

/// A row. `fill` gives fields in the order of `columns`; one that it leaves out is an empty cell.
pub(crate) fn row(out: &mut Vec<u8>, columns: &[&str], fill: impl FnOnce(&mut Row<'_>)) {
    let mut row = Row { out, columns, column: 0 };
    fill(&mut row);
    row.go_to(columns.len() - 1);
    out.extend_from_slice(b"\r\n");
}

/// A row under construction.
#[derive(Debug)]
pub(crate) struct Row<'r> {
    out: &'r mut Vec<u8>,
    columns: &'r [&'r str],
    /// The column of the last cell, or the first one.
    column: usize,
}

impl Row<'_> {
    fn go_to(&mut self, column: usize) {
        self.out.extend(std::iter::repeat_n(b',', column - self.column));
        self.column = column;
    }

    fn cell(&mut self, key: &str, write: impl FnOnce(&mut Vec<u8>)) {
        let ahead = self.columns[self.column..].iter().position(|column| *column == key);
        self.go_to(self.column + ahead.expect("fields come in the order of the columns"));
        let start = self.out.len();
        write(self.out);
        if self.out[start..].iter().any(|byte| matches!(byte, b',' | b'"' | b'\r' | b'\n')) {
            quote(self.out, start);
        }
    }
}

impl Fields for Row<'_> {
    fn text(&mut self, key: &str, value: &str) {
        self.cell(key, |out| out.extend_from_slice(value.as_bytes()));
    }

    fn number(&mut self, key: &str, value: impl itoa::Integer) {
        self.cell(key, |out| out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes()));
    }

    fn time(&mut self, key: &str, value: Time) {
        self.cell(key, |out| time::write_utc(out, value));
    }

    /// Joined by commas.
    fn texts<'t>(&mut self, key: &str, values: impl Iterator<Item = &'t str>) {
        self.cell(key, |out| {
            for (i, value) in values.enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                out.extend_from_slice(value.as_bytes());
            }
        });
    }
}

/// Puts the cell that begins at `start` in quotes, and doubles those in it.
fn quote(out: &mut Vec<u8>, start: usize) {
    let cell = out.split_off(start);
    out.push(b'"');
    for byte in cell {
        if byte == b'"' {
            out.push(b'"');
        }
        out.push(byte);
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [&str; 4] = ["a", "b", "c", "d"];

    fn check(fill: impl FnOnce(&mut Row<'_>), expected: &str) {
        let mut out = Vec::new();
        row(&mut out, &COLUMNS, fill);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn every_row_has_every_column() {
        check(|_| {}, ",,,\r\n");
        check(|row| row.text("a", "x"), "x,,,\r\n");
        check(|row| row.text("d", "x"), ",,,x\r\n");
        check(
            |row| {
                row.text("a", "");
                row.number("b", -7i64);
                row.time("d", Time(0));
            },
            ",-7,,1970-01-01T00:00:00.000Z\r\n",
        );
        assert_eq!(head(&COLUMNS), b"a,b,c,d\r\n");
    }

    #[test]
    fn a_cell_is_quoted_where_it_must_be_and_as_it_is_otherwise() {
        for (text, cell) in [
            ("plain", "plain"),
            (" blank ", " blank "),
            ("=1+1", "=1+1"),
            ("火车", "火车"),
            ("a;b'c", "a;b'c"),
            ("a,b", "\"a,b\""),
            ("\"", "\"\"\"\""),
            ("a\"b\"", "\"a\"\"b\"\"\""),
            ("a\nb", "\"a\nb\""),
            ("a\rb", "\"a\rb\""),
        ] {
            check(|row| row.text("b", text), &format!(",{cell},,\r\n"));
        }
    }

    #[test]
    fn several_texts_are_one_cell() {
        for (texts, cell) in [(&[][..], ""), (&["1-1"], "1-1"), (&["1-1", "1-2"], "\"1-1,1-2\"")] {
            check(|row| row.texts("c", texts.iter().copied()), &format!(",,{cell},\r\n"));
        }
    }

    #[test]
    #[should_panic(expected = "in the order of the columns")]
    fn a_field_that_has_no_column_is_a_defect() {
        check(
            |row| {
                row.text("b", "x");
                row.text("a", "x");
            },
            "",
        );
    }
}
