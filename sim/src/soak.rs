//! Soak: the progress of a long run of seeds, in a small file, so that it can be stopped and taken up again.

use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::ops::Range;
use std::path::Path;

use crate::counters::Counters;

/// A range of seeds that is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Which build of the simulator: another one's seeds are other runs.
    build: u64,
    range: Range<u64>,
    /// The first seed that has not been run.
    pub next: u64,
    /// The time that it has taken so far.
    pub milliseconds: u64,
    pub counters: Counters,
    /// Milliseconds of this process alone that are in `milliseconds` already.
    noted: u64,
}

impl Progress {
    #[must_use]
    pub fn new(build: u64, range: Range<u64>) -> Progress {
        let next = range.start;
        Progress { build, range, next, milliseconds: 0, counters: Counters::default(), noted: 0 }
    }

    /// Goes on from a file; from the beginning where there is none, or one of another range or build.
    ///
    /// # Errors
    /// A file that is there and cannot be read.
    pub fn read(file: &Path, build: u64, range: &Range<u64>) -> Result<Progress, String> {
        let text = match fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(format!("cannot read {}: {error}", file.display())),
        };
        let fresh = Progress::new(build, range.clone());
        Ok(fresh.parse(&text).unwrap_or(fresh))
    }

    fn parse(&self, text: &str) -> Option<Progress> {
        let mut lines = text.lines();
        let numbers: Vec<u64> = lines.next()?.split(' ').map_while(|number| number.parse().ok()).collect();
        let [build, start, end, next, milliseconds] = numbers[..] else { return None };
        let counters = Counters::parse(lines.next()?)?;
        let same = (build, start..end) == (self.build, self.range.clone());
        same.then_some(Progress { build, range: start..end, next, milliseconds, counters, noted: 0 })
    }

    /// Seeds up to `next` have been run, `elapsed` milliseconds after this process began.
    pub fn add(&mut self, next: u64, counters: &Counters, elapsed: u64) {
        self.next = next;
        self.counters.merge(counters);
        self.milliseconds += elapsed - self.noted;
        self.noted = elapsed;
    }

    fn text(&self) -> String {
        let Progress { build, range, next, milliseconds, counters, .. } = self;
        format!("{build} {} {} {next} {milliseconds}\n{}\n", range.start, range.end, counters.line())
    }

    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, file: &Path) -> Result<(), String> {
        let new = file.with_extension("new");
        let written = fs::write(&new, self.text()).and_then(|()| fs::rename(&new, file));
        written.map_err(|error| format!("cannot write {}: {error}", file.display()))
    }
}

/// The build that runs.
///
/// # Errors
/// The program cannot read itself.
pub fn this_build() -> Result<u64, String> {
    let program = std::env::current_exe().and_then(fs::read);
    let program = program.map_err(|error| format!("cannot read this program: {error}"))?;
    let mut hasher = DefaultHasher::new();
    hasher.write(&program);
    Ok(hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counters::Covered;

    #[test]
    fn is_taken_up_where_it_stopped() {
        let mut progress = Progress::new(7, 10..30);
        let mut counters = Counters::default();
        counters.add(Covered::Killed, 3);
        progress.add(20, &counters, 1_500);
        let read = Progress::new(7, 10..30).parse(&progress.text()).expect("its own text");
        assert_eq!((read.next, read.milliseconds, read.counters.get(Covered::Killed)), (20, 1_500, 3));
        assert_eq!(Progress::new(7, 10..31).parse(&progress.text()), None, "another range");
        assert_eq!(Progress::new(8, 10..30).parse(&progress.text()), None, "another build");
        assert_eq!(Progress::new(7, 10..30).parse("nonsense"), None);
    }
}
