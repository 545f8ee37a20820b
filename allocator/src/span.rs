//! Spans: the segments that a passenger rides.

use core::ops::Range;

/// Half-open range of stop indexes `[from, to)`: it covers the segments `from..to`, where segment `i` lies between the
/// stops `i` and `i + 1`. Never empty.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Span {
    from: u16,
    to: u16,
}

impl Span {
    /// `None` unless `from < to`. The [`Inventory`](crate::Inventory) checks it against the run.
    pub const fn new(from: u16, to: u16) -> Option<Span> {
        if from < to { Some(Span { from, to }) } else { None }
    }

    /// The whole of a run of so many segments.
    ///
    /// # Panics
    ///
    /// If there are none.
    pub const fn whole(segments: u16) -> Span {
        assert!(segments > 0, "a run has at least one segment");
        Span { from: 0, to: segments }
    }

    /// Index of the stop where the journey begins.
    pub const fn from(self) -> u16 {
        self.from
    }

    /// Index of the stop where the journey ends; the segment that begins there is not part of the span.
    pub const fn to(self) -> u16 {
        self.to
    }

    /// The segments covered.
    pub const fn segments(self) -> Range<usize> {
        self.from as usize..self.to as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_never_empty() {
        assert_eq!(Span::new(3, 3), None);
        assert_eq!(Span::new(4, 3), None);
        let span = Span::new(3, 5).unwrap();
        assert_eq!((span.from(), span.to(), span.segments()), (3, 5, 3..5));
    }

    #[test]
    fn the_whole_run() {
        assert_eq!(Span::whole(7).segments(), 0..7);
    }

    #[test]
    #[should_panic(expected = "at least one segment")]
    fn a_run_without_segments() {
        Span::whole(0);
    }
}
