//! Counters, gauges and distributions that the process registers beside those of HTTP: engine, log, bridge.

use std::fmt;
use std::sync::Arc;

use super::cell::{Cells, Histograms};
use super::encode::{Encoder, HistogramData, Labels, push_label};

/// Series that the gateway's port shows beside HTTP. Filled at start, then only read.
#[derive(Debug)]
pub struct Registry {
    cores: usize,
    families: Vec<Family>,
}

#[derive(Debug)]
struct Family {
    name: &'static str,
    help: &'static str,
    kind: &'static str,
    series: Vec<(Labels, Source)>,
}

#[derive(Debug)]
enum Source {
    Cells(Arc<Cells>),
    Read(Read),
    Histograms { histograms: Arc<Histograms>, scale: f64 },
}

struct Read(Box<dyn Fn() -> u64 + Send + Sync>);

impl fmt::Debug for Read {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Read")
    }
}

impl Registry {
    #[must_use]
    pub fn new(cores: usize) -> Registry {
        Registry { cores, families: Vec::new() }
    }

    /// A number that only rises, by core. The name ends with `_total`.
    pub fn counter(&mut self, name: &'static str, help: &'static str, labels: &[(&str, &str)]) -> Arc<Cells> {
        let cells = Cells::new(self.cores);
        self.add(name, help, "counter", labels, Source::Cells(cells.clone()));
        cells
    }

    /// A number that rises and falls, by core; shown as the sum over all.
    pub fn gauge(&mut self, name: &'static str, help: &'static str, labels: &[(&str, &str)]) -> Arc<Cells> {
        let cells = Cells::new(self.cores);
        self.add(name, help, "gauge", labels, Source::Cells(cells.clone()));
        cells
    }

    /// A number of the whole process that only rises, read at the scrape. The name ends with `_total`.
    pub fn counter_of(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: &[(&str, &str)],
        read: impl Fn() -> u64 + Send + Sync + 'static,
    ) {
        self.add(name, help, "counter", labels, Source::Read(Read(Box::new(read))));
    }

    /// A number of the whole process that rises and falls, read at the scrape.
    pub fn gauge_of(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: &[(&str, &str)],
        read: impl Fn() -> u64 + Send + Sync + 'static,
    ) {
        self.add(name, help, "gauge", labels, Source::Read(Read(Box::new(read))));
    }

    /// A distribution, by core. `bounds` are in the unit that is observed; `scale` of them make one of the unit in the
    /// name (a million for microseconds shown as seconds).
    pub fn histogram(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: &[(&str, &str)],
        bounds: &'static [u64],
        scale: f64,
    ) -> Arc<Histograms> {
        let histograms = Histograms::new(self.cores, bounds);
        let source = Source::Histograms { histograms: histograms.clone(), scale };
        self.add(name, help, "histogram", labels, source);
        histograms
    }

    fn add(
        &mut self,
        name: &'static str,
        help: &'static str,
        kind: &'static str,
        labels: &[(&str, &str)],
        source: Source,
    ) {
        let mut text = Labels::new();
        for (label, value) in labels {
            push_label(&mut text, label, value);
        }
        let family = match self.families.iter().position(|family| family.name == name) {
            Some(place) => &mut self.families[place],
            None => {
                self.families.push(Family { name, help, kind, series: Vec::new() });
                self.families.last_mut().expect("just pushed")
            }
        };
        assert_eq!(family.kind, kind, "{name} is one kind of metric");
        assert!(family.series.iter().all(|(other, _)| *other != text), "{name}{{{text}}} is there already");
        family.series.push((text, source));
    }

    pub(super) fn encode(&self, encoder: &mut Encoder) {
        for family in &self.families {
            encoder.family(family.name, family.kind, family.help);
            for (labels, source) in &family.series {
                match source {
                    Source::Cells(cells) => encoder.sample(family.name, labels, cells.sum()),
                    Source::Read(Read(read)) => encoder.sample(family.name, labels, read()),
                    Source::Histograms { histograms, scale } => {
                        let (buckets, sum) = histograms.total();
                        let bounds = histograms.bounds;
                        let data = HistogramData { bounds, buckets: &buckets, sum, scale: *scale };
                        encoder.histogram(family.name, labels, &data);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_of_one_name_are_one_family() {
        let mut registry = Registry::new(2);
        let held = registry.counter("holds_total", "Holds.", &[("outcome", "held")]);
        let refused = registry.counter("holds_total", "Holds.", &[("outcome", "refused")]);
        registry.gauge("lag_seconds", "Lag.", &[]).core(0).set(2);
        held.core(0).add(2);
        held.core(1).add(3);
        refused.core(1).add(1);
        let mut encoder = Encoder::new();
        registry.encode(&mut encoder);
        let expected = "# HELP holds_total Holds.\n\
                        # TYPE holds_total counter\n\
                        holds_total{outcome=\"held\"} 5\n\
                        holds_total{outcome=\"refused\"} 1\n\
                        # HELP lag_seconds Lag.\n\
                        # TYPE lag_seconds gauge\n\
                        lag_seconds 2\n";
        assert_eq!(encoder.finish(), expected);
    }
}
