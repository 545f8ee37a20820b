//! How far a long run of seeds has come, in a small file, so that it can be stopped and taken up again.

use std::fs;
use std::ops::Range;
use std::path::Path;

use crate::counters::Counters;

/// A range of seeds that is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    range: Range<u64>,
    /// The first seed that has not been run.
    pub next: u64,
    /// What it has taken so far.
    pub milliseconds: u64,
    pub counters: Counters,
    /// Milliseconds of this process alone that are in `milliseconds` already.
    noted: u64,
}

impl Progress {
    #[must_use]
    pub fn new(range: Range<u64>) -> Progress {
        let next = range.start;
        Progress { range, next, milliseconds: 0, counters: Counters::default(), noted: 0 }
    }

    /// Goes on from a file; from the beginning where there is none, or one of another range or version.
    ///
    /// # Errors
    /// A file that is there and cannot be read.
    pub fn read(file: &Path, range: &Range<u64>) -> Result<Progress, String> {
        let text = match fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(format!("cannot read {}: {error}", file.display())),
        };
        let fresh = Progress::new(range.clone());
        Ok(fresh.parse(&text).unwrap_or(fresh))
    }

    fn parse(&self, text: &str) -> Option<Progress> {
        let mut lines = text.lines();
        let numbers: Vec<u64> = lines.next()?.split(' ').map_while(|number| number.parse().ok()).collect();
        let [start, end, next, milliseconds] = numbers[..] else { return None };
        let counters = Counters::parse(lines.next()?)?;
        let same = (start, end) == (self.range.start, self.range.end);
        same.then_some(Progress { range: start..end, next, milliseconds, counters, noted: 0 })
    }

    /// Seeds up to `next` have been run, `elapsed` milliseconds after this process began.
    pub fn add(&mut self, next: u64, counters: &Counters, elapsed: u64) {
        self.next = next;
        self.counters.merge(counters);
        self.milliseconds += elapsed - self.noted;
        self.noted = elapsed;
    }

    fn text(&self) -> String {
        let Progress { range, next, milliseconds, counters, .. } = self;
        format!("{} {} {next} {milliseconds}\n{}\n", range.start, range.end, counters.line())
    }

    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, file: &Path) -> Result<(), String> {
        let new = file.with_extension("new");
        let written = fs::write(&new, self.text()).and_then(|()| fs::rename(&new, file));
        written.map_err(|error| format!("cannot write {}: {error}", file.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counters::Met;

    #[test]
    fn is_taken_up_where_it_stopped() {
        let mut progress = Progress::new(10..30);
        let mut counters = Counters::default();
        counters.add(Met::Killed, 3);
        progress.add(20, &counters, 1_500);
        let read = Progress::new(10..30).parse(&progress.text()).expect("its own text");
        assert_eq!((read.next, read.milliseconds, read.counters.get(Met::Killed)), (20, 1_500, 3));
        assert_eq!(Progress::new(10..31).parse(&progress.text()), None, "another range");
        assert_eq!(Progress::new(10..30).parse("nonsense"), None);
    }
}
