//! CSV reader for the tables of a feed: record by record, each with the line on which it starts.
//!
//! RFC 4180 as GTFS has it: quoted fields with doubled quotes, commas and line breaks in them; a byte order mark, CRLF,
//! blank lines and blanks around fields are fine. It is our own reader for the sake of the lines: the `csv` crate counts
//! them from the end of the record before, which is off by one after CRLF and by the number of blank lines.

use std::io::{BufRead, BufReader, Read};
use std::ops::Range;

use crate::error::LoadError;
use crate::limits::RECORD_BYTES_MAX;
use crate::source::Source;

pub(crate) struct Table<'a> {
    file: String,
    input: BufReader<Box<dyn Read + 'a>>,
    /// Lines read so far.
    lines: u64,
    raw: Vec<u8>,
    header: Vec<String>,
    record: Record,
}

/// The fields of one record, in one buffer that is used again for the next.
#[derive(Default)]
struct Record {
    text: String,
    fields: Vec<Range<usize>>,
    line: u64,
}

/// A column's place in its table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column(usize);

#[derive(Clone, Copy)]
pub(crate) struct Row<'a> {
    file: &'a str,
    record: &'a Record,
}

impl<'a> Table<'a> {
    /// Opens a table that the feed must have.
    pub(crate) fn required(source: &'a mut Source, name: &str) -> Result<Table<'a>, LoadError> {
        let file = source.shown(name);
        Table::optional(source, name)?.ok_or_else(|| LoadError::whole(file, "missing"))
    }

    /// Opens a table that the feed may leave out.
    pub(crate) fn optional(source: &'a mut Source, name: &str) -> Result<Option<Table<'a>>, LoadError> {
        let file = source.shown(name);
        let Some(input) = source.read(name)? else { return Ok(None) };
        let mut table = Table {
            file,
            input: BufReader::with_capacity(64 << 10, input),
            lines: 0,
            raw: Vec::new(),
            header: Vec::new(),
            record: Record::default(),
        };
        table.read_header()?;
        Ok(Some(table))
    }

    fn read_header(&mut self) -> Result<(), LoadError> {
        if !self.read_record()? {
            return Err(self.refuse(1, "empty: not even a header"));
        }
        let line = self.record.line;
        for index in 0..self.record.fields.len() {
            let name = self.record.field(index).to_owned();
            if !name.is_empty() && self.header.contains(&name) {
                return Err(self.refuse(line, format!("column {name} stands twice")));
            }
            self.header.push(name);
        }
        Ok(())
    }

    pub(crate) fn column(&self, name: &str) -> Option<Column> {
        self.header.iter().position(|column| column == name).map(Column)
    }

    pub(crate) fn required_column(&self, name: &str) -> Result<Column, LoadError> {
        self.column(name).ok_or_else(|| self.refuse(self.record.line, format!("column {name} is missing")))
    }

    /// The next record that is not blank.
    pub(crate) fn next(&mut self) -> Result<Option<Row<'_>>, LoadError> {
        if !self.read_record()? {
            return Ok(None);
        }
        let (has, wants) = (self.record.fields.len(), self.header.len());
        if has != wants {
            return Err(self.refuse(self.record.line, format!("{has} fields, where the header has {wants}")));
        }
        Ok(Some(Row { file: &self.file, record: &self.record }))
    }

    fn refuse(&self, line: u64, what: impl Into<String>) -> LoadError {
        LoadError::at(&self.file, line, what)
    }

    fn read_record(&mut self) -> Result<bool, LoadError> {
        self.raw.clear();
        loop {
            if !self.read_line()? {
                return Ok(false);
            }
            if !self.raw.trim_ascii().is_empty() {
                break;
            }
            self.raw.clear();
        }
        let line = self.lines;
        // A quoted field may go on over several lines: until its quotes are closed, there is more.
        while open_quote(&self.raw) {
            if !self.read_line()? {
                return Err(self.refuse(line, "a quote is opened and never closed"));
            }
        }
        self.record.line = line;
        let Ok(raw) = std::str::from_utf8(&self.raw) else { return Err(self.refuse(line, "not UTF-8")) };
        self.record
            .split(raw.trim_end_matches(['\r', '\n']))
            .map_err(|what| LoadError::at(&self.file, line, what))?;
        Ok(true)
    }

    /// Appends the next line to `raw`; false at the end of the file.
    fn read_line(&mut self) -> Result<bool, LoadError> {
        let left = (RECORD_BYTES_MAX + 1).saturating_sub(self.raw.len()) as u64;
        let read = (&mut self.input).take(left).read_until(b'\n', &mut self.raw);
        match read {
            Ok(0) => return Ok(false),
            Ok(_) => self.lines += 1,
            Err(e) => return Err(self.refuse(self.lines + 1, format!("cannot be read: {e}"))),
        }
        if self.lines == 1 && self.raw.starts_with(b"\xef\xbb\xbf") {
            self.raw.drain(..3);
        }
        if self.raw.len() > RECORD_BYTES_MAX {
            return Err(self.refuse(self.lines, format!("a record of more than {RECORD_BYTES_MAX} bytes")));
        }
        Ok(true)
    }
}

/// True if the text ends within quotes. A doubled quote closes and opens, so counting them is enough.
fn open_quote(raw: &[u8]) -> bool {
    raw.iter().filter(|byte| **byte == b'"').count() % 2 == 1
}

impl Record {
    fn field(&self, index: usize) -> &str {
        &self.text[self.fields[index].clone()]
    }

    fn split(&mut self, raw: &str) -> Result<(), &'static str> {
        self.text.clear();
        self.fields.clear();
        let mut rest = raw;
        loop {
            let start = self.text.len();
            let unquoted = rest.trim_start_matches([' ', '\t']);
            let after = if let Some(quoted) = unquoted.strip_prefix('"') {
                let after = self.unquote(quoted)?.trim_start_matches([' ', '\t']);
                if !after.is_empty() && !after.starts_with(',') {
                    return Err("text after a closing quote");
                }
                after
            } else {
                let end = rest.find(',').unwrap_or(rest.len());
                if rest[..end].contains('"') {
                    return Err("a quote within an unquoted field");
                }
                self.text.push_str(&rest[..end]);
                &rest[end..]
            };
            self.fields.push(trimmed(&self.text, start));
            match after.strip_prefix(',') {
                Some(next) => rest = next,
                None => return Ok(()),
            }
        }
    }

    /// Appends what stands before the closing quote, and gives what stands behind it.
    fn unquote<'t>(&mut self, mut quoted: &'t str) -> Result<&'t str, &'static str> {
        loop {
            let end = quoted.find('"').ok_or("a quote is opened and never closed")?;
            self.text.push_str(&quoted[..end]);
            quoted = &quoted[end + 1..];
            match quoted.strip_prefix('"') {
                Some(after) => {
                    self.text.push('"');
                    quoted = after;
                }
                None => return Ok(quoted),
            }
        }
    }
}

fn trimmed(text: &str, start: usize) -> Range<usize> {
    let field = &text[start..];
    let from = start + (field.len() - field.trim_start().len());
    from..from + field.trim().len()
}

impl<'a> Row<'a> {
    pub(crate) fn line(&self) -> u64 {
        self.record.line
    }

    /// The field, without blanks around it; empty where the table has no such column.
    pub(crate) fn get(&self, column: impl Into<Option<Column>>) -> &'a str {
        column.into().map_or("", |Column(index)| self.record.field(index))
    }

    /// A field that must say something.
    pub(crate) fn filled(&self, column: Column, name: &str) -> Result<&'a str, LoadError> {
        let field = self.get(column);
        if field.is_empty() {
            return Err(self.refuse(format!("{name} is empty")));
        }
        Ok(field)
    }

    pub(crate) fn refuse(&self, what: impl Into<String>) -> LoadError {
        LoadError::at(self.file, self.record.line, what)
    }
}
