//! The whole history of a run as one number: everything that was chosen, written, sent and answered goes into it. Two runs
//! of one seed that differ anywhere have different numbers.

use std::fmt;

/// The hash of everything that happened; printed as well where somebody watches.
#[derive(Debug)]
pub(crate) struct History {
    hash: u64,
    events: u64,
    watched: bool,
}

impl History {
    #[must_use]
    pub(crate) fn new(seed: u64, watched: bool) -> History {
        History { hash: seed ^ 0x51_7c_c1_b7_27_22_0a_95, events: 0, watched }
    }

    /// Something that happened, in words. The words are part of the history.
    pub(crate) fn note(&mut self, what: fmt::Arguments<'_>) {
        self.events += 1;
        if self.watched {
            eprintln!("{:>6} {what}", self.events);
        }
        // A text as good as never fails to be written into a number.
        let _ = fmt::write(self, what);
        self.mix(self.events);
    }

    /// Something that happens all the time.
    pub(crate) fn number(&mut self, number: u64) {
        self.mix(number);
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        let words = bytes.chunks_exact(8);
        let rest = words.remainder();
        for word in words {
            self.mix(u64::from_le_bytes(word.try_into().expect("eight bytes")));
        }
        rest.iter().for_each(|byte| self.mix(u64::from(*byte)));
    }

    fn mix(&mut self, number: u64) {
        self.hash = (self.hash.rotate_left(23) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    /// The number.
    #[must_use]
    pub(crate) fn hash(&self) -> u64 {
        (self.hash ^ (self.hash >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93)
    }
}

impl fmt::Write for History {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.bytes(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(events: &[&str]) -> u64 {
        let mut history = History::new(1, false);
        events.iter().for_each(|event| history.note(format_args!("{event}")));
        history.hash()
    }

    #[test]
    fn any_difference_shows() {
        assert_eq!(of(&["a", "b"]), of(&["a", "b"]));
        let others = [of(&["b", "a"]), of(&["a"]), of(&["ab"]), of(&["a", "b", "c"]), of(&[])];
        assert!(others.iter().all(|other| *other != of(&["a", "b"])));
    }
}
