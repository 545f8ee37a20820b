//! CSV reader for the tables of a feed: record by record, each with the line on which it starts.
//!
//! RFC 4180 as GTFS has it: quoted fields with doubled quotes, commas and line breaks in them; a byte order mark, CRLF,
//! blank lines and blanks around fields are fine. It is our own reader for the sake of the lines: the `csv` crate counts
//! them from the end of the record before, which is off by one after CRLF and by the number of blank lines.

use std::borrow::Cow;
use std::io::{BufRead, BufReader, Read};
use std::ops::Range;

use crate::error::LoadError;
use crate::limits::RECORD_BYTES_MAX;
use crate::report::{Kind, Report};
use crate::source::Source;

pub(crate) struct Table<'a> {
    file: String,
    input: BufReader<Box<dyn Read + 'a>>,
    /// Lines read so far.
    lines: u64,
    raw: Vec<u8>,
    header: Vec<String>,
    record: Record,
    /// A row that is lost changes what others mean: it is refused.
    is_whole: bool,
}

/// The fields of one record, in one buffer that is used again for the next.
#[derive(Default)]
struct Record {
    text: String,
    fields: Vec<Range<usize>>,
    line: u64,
    has_stray_quotes: bool,
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
    pub(crate) fn required(
        source: &'a mut Source,
        name: &str,
        report: &mut Report,
    ) -> Result<Table<'a>, LoadError> {
        let file = source.shown(name);
        let is_there = source.read(name)?.is_some();
        let table = Table::optional(source, name, report)?;
        table.ok_or_else(|| match is_there {
            true => LoadError::at(file, 1, "empty: not even a header"),
            false => LoadError::whole(file, "missing"),
        })
    }

    /// Opens a table that the feed may leave out.
    pub(crate) fn optional(
        source: &'a mut Source,
        name: &str,
        report: &mut Report,
    ) -> Result<Option<Table<'a>>, LoadError> {
        let file = source.shown(name);
        let Some(input) = source.read(name)? else { return Ok(None) };
        let mut table = Table {
            file,
            input: BufReader::with_capacity(64 << 10, input),
            lines: 0,
            raw: Vec::new(),
            header: Vec::new(),
            record: Record::default(),
            is_whole: false,
        };
        if !table.read_record(report)? {
            // One that may be missing may be empty.
            return if report.is_strict() {
                Err(table.refuse(1, "empty: not even a header"))
            } else {
                Ok(None)
            };
        }
        table.read_header()?;
        Ok(Some(table))
    }

    /// Of this table no row may be lost: without it others would mean something else.
    pub(crate) fn whole(self) -> Table<'a> {
        Table { is_whole: true, ..self }
    }

    fn read_header(&mut self) -> Result<(), LoadError> {
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

    /// The next record that is not blank. Fields that are missing at its end are empty.
    pub(crate) fn next(&mut self, report: &mut Report) -> Result<Option<Row<'_>>, LoadError> {
        while self.read_record(report)? {
            let (has, wants) = (self.record.fields.len(), self.header.len());
            let what =
                || self.refuse(self.record.line, format!("{has} fields, where the header has {wants}"));
            if has < wants && report.is_strict() {
                return Err(what());
            }
            let is_whole = has == wants || has < wants && !self.record.has_stray_quotes;
            if is_whole {
                return Ok(Some(Row { file: &self.file, record: &self.record }));
            }
            if self.is_whole {
                return Err(what());
            }
            report.note(Kind::MoreFields, what)?;
        }
        Ok(None)
    }

    fn refuse(&self, line: u64, what: impl Into<String>) -> LoadError {
        LoadError::at(&self.file, line, what)
    }

    fn read_record(&mut self, report: &mut Report) -> Result<bool, LoadError> {
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
        let raw = match std::str::from_utf8(&self.raw) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => {
                report.note(Kind::NotUtf8, || LoadError::at(&self.file, line, "not UTF-8"))?;
                // Latin-1: each byte is a character of its own, so that ids which differ stay different.
                Cow::Owned(self.raw.iter().map(|byte| char::from(*byte)).collect())
            }
        };
        let wrong = self.record.split(raw.trim_end_matches(['\r', '\n']));
        self.record.has_stray_quotes = wrong.is_some();
        if let Some(what) = wrong {
            let what = || LoadError::at(&self.file, line, what);
            // Over several lines nobody knows which of them are records of their own.
            if self.lines > line {
                return Err(what());
            }
            report.note(Kind::Quotes, what)?;
        }
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
        if self.lines == 1 && (self.raw.starts_with(b"\xff\xfe") || self.raw.starts_with(b"\xfe\xff")) {
            return Err(self.refuse(1, "UTF-16, where a feed has UTF-8"));
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

    /// Takes the record apart. What is wrong with its quotes, if anything: they are then taken as they stand.
    fn split(&mut self, raw: &str) -> Option<&'static str> {
        let mut wrong = None;
        self.text.clear();
        self.fields.clear();
        let mut rest = raw;
        loop {
            let start = self.text.len();
            let unquoted = rest.trim_start_matches([' ', '\t']);
            let after = if let Some(quoted) = unquoted.strip_prefix('"') {
                let (after, is_closed) = self.unquote(quoted);
                if !is_closed {
                    wrong = Some("a quote is opened and never closed");
                }
                let after = after.trim_start_matches([' ', '\t']);
                if after.is_empty() || after.starts_with(',') {
                    after
                } else {
                    wrong = Some("text after a closing quote");
                    self.take_as_it_stands(after)
                }
            } else {
                if rest.split(',').next().is_some_and(|field| field.contains('"')) {
                    wrong = Some("a quote within an unquoted field");
                }
                self.take_as_it_stands(rest)
            };
            self.fields.push(trimmed(&self.text, start));
            match after.strip_prefix(',') {
                Some(next) => rest = next,
                None => return wrong,
            }
        }
    }

    /// Appends what stands before the next comma, and gives the rest.
    fn take_as_it_stands<'t>(&mut self, text: &'t str) -> &'t str {
        let end = text.find(',').unwrap_or(text.len());
        self.text.push_str(&text[..end]);
        &text[end..]
    }

    /// Appends what stands before the closing quote, and gives what stands behind it, and whether there is one.
    fn unquote<'t>(&mut self, mut quoted: &'t str) -> (&'t str, bool) {
        loop {
            let end = quoted.find('"').unwrap_or(quoted.len());
            self.text.push_str(&quoted[..end]);
            if end == quoted.len() {
                return ("", false);
            }
            quoted = &quoted[end + 1..];
            match quoted.strip_prefix('"') {
                Some(after) => {
                    self.text.push('"');
                    quoted = after;
                }
                None => return (quoted, true),
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
        let field =
            |Column(index): Column| (index < self.record.fields.len()).then(|| self.record.field(index));
        column.into().and_then(field).unwrap_or("")
    }

    /// A field that must say something; `None` where it does not, which is noted.
    pub(crate) fn filled(
        &self,
        column: Column,
        name: &str,
        report: &mut Report,
    ) -> Result<Option<&'a str>, LoadError> {
        let field = self.get(column);
        if field.is_empty() {
            report.note(Kind::WrongField, || self.refuse(format!("{name} is empty")))?;
            return Ok(None);
        }
        Ok(Some(field))
    }

    pub(crate) fn refuse(&self, what: impl Into<String>) -> LoadError {
        LoadError::at(self.file, self.record.line, what)
    }
}
