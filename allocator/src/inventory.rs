//! The inventory of one partition: the seats taken and sold, by segment.

use core::ops::Range;

use crate::bitmap::{Bitmaps, GROUP_SEATS};
use crate::layout::{Layout, SeatNo};
use crate::span::Span;
use crate::{Found, SEGMENTS_MAX, find};

/// The seats of one class of a train run, free and taken.
///
/// Every method that takes a [`Span`] panics if it goes beyond the run, and every one that takes a [`SeatNo`] if there is
/// no such seat: the caller has checked them.
///
/// - getters: [`layout`](Self::layout), [`seats`](Self::seats), [`segments`](Self::segments),
///   [`available`](Self::available), [`sold`](Self::sold), [`is_free`](Self::is_free);
/// - choice, which changes nothing: [`find`](Self::find);
/// - changes: [`take`](Self::take), [`sell`](Self::sell), [`release`](Self::release).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Inventory {
    layout: Layout,
    seats: u32,
    segments: u16,
    /// Held or sold. The bits beyond the last seat are set on every segment for ever, so that nothing finds them free.
    taken: Bitmaps,
    /// A part of `taken`. Made at the first sale, since many partitions never see one.
    sold: Option<Bitmaps>,
}

impl Inventory {
    /// All seats free.
    ///
    /// # Panics
    ///
    /// If the layout is not [valid](Layout::validate), or the run has no segments or more than [`SEGMENTS_MAX`].
    pub fn new(layout: Layout, segments: u16) -> Inventory {
        if let Err(error) = layout.validate() {
            panic!("invalid layout: {error}");
        }
        assert!(segments > 0, "a run has at least one segment");
        assert!(segments <= SEGMENTS_MAX, "{segments} segments are more than {SEGMENTS_MAX}");
        let seats = layout.seats();
        let mut taken = Bitmaps::new(seats, segments);
        for beyond in seats..seats.next_multiple_of(GROUP_SEATS) {
            taken.set(SeatNo(beyond), 0..segments.into());
        }
        Inventory { layout, seats, segments, taken, sold: None }
    }

    /// The seats and their labels.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The number of seats.
    pub fn seats(&self) -> u32 {
        self.seats
    }

    /// The number of segments of the run: its stops less one.
    pub fn segments(&self) -> u16 {
        self.segments
    }

    /// The number of seats that are free on every segment of the span.
    pub fn available(&self, span: Span) -> u32 {
        self.taken.bits() - self.taken.count_any(self.checked(span))
    }

    /// The number of seats that are sold on any segment of the span.
    pub fn sold(&self, span: Span) -> u32 {
        let segments = self.checked(span);
        self.sold.as_ref().map_or(0, |sold| sold.count_any(segments))
    }

    /// True if the seat is free on every segment of the span.
    pub fn is_free(&self, seat: SeatNo, span: Span) -> bool {
        self.check_seat(seat);
        !self.taken.any(seat, self.checked(span))
    }

    /// Chooses seats that are free on the whole span; `None` when there are fewer than `quantity`, or `quantity` is 0.
    /// They are returned in the order of their numbers. The same state always gives the same choice.
    ///
    /// The *gap* of a seat is the number of consecutive free segments immediately to the left of the span and immediately
    /// to its right: what would be left over around it. Tight gaps are used up first, so that long free stretches stay whole
    /// for those who travel far.
    ///
    /// - **One seat** ([`Together::Single`](crate::Together::Single)): the one with the smallest gap; among equals the
    ///   lowest number.
    /// - **Several, side by side** ([`Together::Row`](crate::Together::Row)): consecutive letters of one row, the aisle
    ///   being no obstacle. Among all such places the one with the smallest sum of gaps; among equals the one with the
    ///   lowest numbers. An ad hoc coach counts as one row.
    /// - **Else in one coach** ([`Together::Coach`](crate::Together::Coach)): the coach which has enough free seats on the
    ///   span and the fewest to spare; among equals the first. In it the seats with the smallest gaps; among equals the lowest
    ///   numbers.
    /// - **Else anywhere** ([`Together::Anywhere`](crate::Together::Anywhere)), in as few coaches as possible: all free
    ///   seats of the coach that has most of them (among equals of the first), then of the next, until the rest fits into
    ///   one of those left; there as above.
    pub fn find(&self, span: Span, quantity: u32) -> Option<Found> {
        let segments = self.checked(span);
        find::find(&self.layout, &self.taken, segments, quantity)
    }

    /// Takes the seats on every segment of the span.
    ///
    /// # Panics
    ///
    /// If one of them is not free on every segment of the span, or is named twice.
    pub fn take(&mut self, span: Span, seats: &[SeatNo]) {
        let segments = self.checked(span);
        for &seat in seats {
            self.check_seat(seat);
            assert!(!self.taken.any(seat, segments.clone()), "seat {} is not free on {span:?}", seat.0);
            self.taken.set(seat, segments.clone());
        }
    }

    /// Marks taken seats as sold on the span. They stay so: what is sold is not released.
    ///
    /// # Panics
    ///
    /// If one of them is not taken on every segment of the span, is sold on any of them already, or is named twice.
    pub fn sell(&mut self, span: Span, seats: &[SeatNo]) {
        let segments = self.checked(span);
        for &seat in seats {
            self.check_seat(seat);
            assert!(self.taken.all(seat, segments.clone()), "seat {} is not taken on {span:?}", seat.0);
            let sold = self.sold.get_or_insert_with(|| Bitmaps::new(self.seats, self.segments));
            assert!(!sold.any(seat, segments.clone()), "seat {} is sold already on {span:?}", seat.0);
            sold.set(seat, segments.clone());
        }
    }

    /// Frees taken seats on every segment of the span.
    ///
    /// # Panics
    ///
    /// If one of them is not taken on every segment of the span, is sold on any of them, or is named twice.
    pub fn release(&mut self, span: Span, seats: &[SeatNo]) {
        let segments = self.checked(span);
        for &seat in seats {
            self.check_seat(seat);
            assert!(self.taken.all(seat, segments.clone()), "seat {} is not taken on {span:?}", seat.0);
            let sold = self.sold.as_ref().is_some_and(|sold| sold.any(seat, segments.clone()));
            assert!(!sold, "seat {} is sold on {span:?}", seat.0);
            self.taken.clear(seat, segments.clone());
        }
    }

    fn checked(&self, span: Span) -> Range<usize> {
        assert!(span.to() <= self.segments, "{span:?} goes beyond {} segments", self.segments);
        span.segments()
    }

    /// The bits beyond the last seat are not seats.
    fn check_seat(&self, seat: SeatNo) {
        assert!(seat.0 < self.seats, "seat {} of {}", seat.0, self.seats);
    }
}
