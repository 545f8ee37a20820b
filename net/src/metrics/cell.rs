//! Cells with one writer each.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A number that one thread writes and any thread reads.
///
/// Two writers would lose updates of each other; no memory rule would be broken.
#[derive(Debug, Default)]
pub struct Cell64(AtomicU64);

impl Cell64 {
    #[inline]
    pub fn add(&self, n: u64) {
        self.set(self.get().wrapping_add(n));
    }

    #[inline]
    pub fn sub(&self, n: u64) {
        self.set(self.get().wrapping_sub(n));
    }

    #[inline]
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    #[inline]
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Alone in its cache lines: a neighbour core's writes do not slow it down.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Padded(Cell64);

/// One cell for each core.
#[derive(Debug)]
pub struct Cells {
    cores: Box<[Padded]>,
}

impl Cells {
    pub(super) fn new(cores: usize) -> Arc<Cells> {
        Arc::new(Cells { cores: (0..cores).map(|_| Padded::default()).collect() })
    }

    /// The cell that the core writes.
    #[must_use]
    pub fn core(self: &Arc<Cells>, core: usize) -> CoreCell {
        assert!(core < self.cores.len(), "no such core");
        CoreCell { cells: self.clone(), core }
    }

    pub(super) fn sum(&self) -> u64 {
        self.cores.iter().fold(0, |sum, cell| sum.wrapping_add(cell.0.get()))
    }
}

/// One core's cell of several.
#[derive(Clone, Debug)]
pub struct CoreCell {
    cells: Arc<Cells>,
    core: usize,
}

impl Deref for CoreCell {
    type Target = Cell64;

    #[inline]
    fn deref(&self) -> &Cell64 {
        &self.cells.cores[self.core].0
    }
}

/// A distribution that one thread writes: how many values fell under each bound but not the one before, and their sum.
#[derive(Debug)]
pub(super) struct Histogram {
    /// One for each bound, and one for what is beyond the last.
    buckets: Box<[Cell64]>,
    sum: Cell64,
}

impl Histogram {
    pub(super) fn new(bounds: usize) -> Histogram {
        Histogram { buckets: (0..=bounds).map(|_| Cell64::default()).collect(), sum: Cell64::default() }
    }

    #[inline]
    pub(super) fn observe(&self, bounds: &[u64], value: u64) {
        let bucket = bounds.iter().position(|bound| value <= *bound).unwrap_or(bounds.len());
        self.buckets[bucket].add(1);
        self.sum.add(value);
    }

    /// Adds what is counted here to `buckets`, and returns the sum of the values.
    pub(super) fn add_to(&self, buckets: &mut [u64]) -> u64 {
        for (total, bucket) in buckets.iter_mut().zip(&self.buckets) {
            *total += bucket.get();
        }
        self.sum.get()
    }
}

/// One distribution for each core, over the same bounds.
#[derive(Debug)]
pub struct Histograms {
    pub(super) bounds: &'static [u64],
    cores: Box<[Histogram]>,
}

impl Histograms {
    pub(super) fn new(cores: usize, bounds: &'static [u64]) -> Arc<Histograms> {
        assert!(bounds.is_sorted(), "bounds are in rising order");
        let cores = (0..cores).map(|_| Histogram::new(bounds.len())).collect();
        Arc::new(Histograms { bounds, cores })
    }

    /// The distribution that the core writes.
    #[must_use]
    pub fn core(self: &Arc<Histograms>, core: usize) -> CoreHistogram {
        assert!(core < self.cores.len(), "no such core");
        CoreHistogram { histograms: self.clone(), core }
    }

    /// Counts by bucket, and the sum of the values.
    pub(super) fn total(&self) -> (Vec<u64>, u64) {
        let mut buckets = vec![0; self.bounds.len() + 1];
        let sum = self.cores.iter().map(|core| core.add_to(&mut buckets)).sum();
        (buckets, sum)
    }
}

/// One core's distribution of several.
#[derive(Clone, Debug)]
pub struct CoreHistogram {
    histograms: Arc<Histograms>,
    core: usize,
}

impl CoreHistogram {
    /// Counts one value, in the unit of the bounds.
    #[inline]
    pub fn observe(&self, value: u64) {
        self.histograms.cores[self.core].observe(self.histograms.bounds, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_on_a_bound_is_under_it() {
        let histograms = Histograms::new(2, &[10, 20]);
        let (first, second) = (histograms.core(0), histograms.core(1));
        first.observe(10);
        first.observe(11);
        second.observe(20);
        second.observe(21);
        assert_eq!(histograms.total(), (vec![1, 2, 1], 62));
    }

    #[test]
    fn cores_are_summed() {
        let cells = Cells::new(3);
        cells.core(0).add(5);
        cells.core(2).set(7);
        cells.core(2).sub(1);
        assert_eq!(cells.sum(), 11);
    }
}
