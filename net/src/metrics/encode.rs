//! The Prometheus text format, version 0.0.4.

use std::fmt::{Display, Write};

/// A text under construction.
#[derive(Debug)]
pub(super) struct Encoder {
    text: String,
}

/// Label pairs as they stand in the text: `a="x",b="y"`.
pub(super) type Labels = String;

/// Writes a pair behind those that are there.
pub(super) fn push_label(labels: &mut Labels, name: &str, value: &str) {
    if !labels.is_empty() {
        labels.push(',');
    }
    labels.push_str(name);
    labels.push_str("=\"");
    for c in value.chars() {
        match c {
            '\\' => labels.push_str("\\\\"),
            '"' => labels.push_str("\\\""),
            '\n' => labels.push_str("\\n"),
            c => labels.push(c),
        }
    }
    labels.push('"');
}

impl Encoder {
    pub(super) fn new() -> Encoder {
        Encoder { text: String::with_capacity(16 << 10) }
    }

    pub(super) fn finish(self) -> String {
        self.text
    }

    /// Begins a family; its samples follow.
    pub(super) fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.text, "# HELP {name} {}", help.replace('\\', "\\\\").replace('\n', "\\n"));
        let _ = writeln!(self.text, "# TYPE {name} {kind}");
    }

    pub(super) fn sample(&mut self, name: &str, labels: &str, value: impl Display) {
        self.text.push_str(name);
        if !labels.is_empty() {
            let _ = write!(self.text, "{{{labels}}}");
        }
        let _ = writeln!(self.text, " {value}");
    }

    /// The samples of one distribution. Bounds and sum are divided by `scale`, which makes the unit of the name of them.
    pub(super) fn histogram(&mut self, name: &str, labels: &str, data: &HistogramData<'_>) {
        let bucket = format!("{name}_bucket");
        let mut below = 0;
        for (i, count) in data.buckets.iter().enumerate() {
            below += count;
            let mut labels = labels.to_owned();
            match data.bounds.get(i) {
                Some(bound) => push_label(&mut labels, "le", &(*bound as f64 / data.scale).to_string()),
                None => push_label(&mut labels, "le", "+Inf"),
            }
            self.sample(&bucket, &labels, below);
        }
        self.sample(&format!("{name}_sum"), labels, data.sum as f64 / data.scale);
        self.sample(&format!("{name}_count"), labels, below);
    }
}

/// One distribution as it is shown.
#[derive(Debug)]
pub(super) struct HistogramData<'a> {
    pub(super) bounds: &'a [u64],
    /// Not cumulative; one more than bounds.
    pub(super) buckets: &'a [u64],
    pub(super) sum: u64,
    pub(super) scale: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_cumulative_and_end_with_all() {
        let mut encoder = Encoder::new();
        let data = HistogramData {
            bounds: &[500_000, 1_000_000_000],
            buckets: &[2, 3, 1],
            sum: 2_500_000_000,
            scale: 1e9,
        };
        encoder.family("t_seconds", "histogram", "Times.");
        encoder.histogram("t_seconds", "a=\"b\"", &data);
        let expected = "# HELP t_seconds Times.\n\
                        # TYPE t_seconds histogram\n\
                        t_seconds_bucket{a=\"b\",le=\"0.0005\"} 2\n\
                        t_seconds_bucket{a=\"b\",le=\"1\"} 5\n\
                        t_seconds_bucket{a=\"b\",le=\"+Inf\"} 6\n\
                        t_seconds_sum{a=\"b\"} 2.5\n\
                        t_seconds_count{a=\"b\"} 6\n";
        assert_eq!(encoder.finish(), expected);
    }

    #[test]
    fn label_values_are_escaped() {
        let mut labels = Labels::new();
        push_label(&mut labels, "a", "x\"y\\z\n");
        push_label(&mut labels, "b", "火车");
        assert_eq!(labels, "a=\"x\\\"y\\\\z\\n\",b=\"火车\"");
    }
}
