//! Reports: JSON, histograms and a page for each measurement.

mod page;
mod svg;

use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};
use serde::Serialize;

pub use page::{Page, escape};
pub use svg::{Chart, Point, Scale, Series, number};

/// The directory of one measurement.
#[derive(Debug)]
pub struct Report {
    dir: PathBuf,
}

impl Report {
    /// # Errors
    /// If the directory cannot be made.
    pub fn new(dir: &Path) -> io::Result<Report> {
        fs::create_dir_all(dir)?;
        Ok(Report { dir: dir.to_owned() })
    }

    /// Writes `figures.json`.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn json(&self, figures: &impl Serialize) -> io::Result<()> {
        let mut text = serde_json::to_vec_pretty(figures)?;
        text.push(b'\n');
        fs::write(self.dir.join("figures.json"), text)
    }

    /// Writes `latency.hlog`: an HdrHistogram log (V2, compressed, base64) of nanoseconds, one line for each name.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn histograms<'a>(
        &self,
        histograms: impl IntoIterator<Item = (String, Duration, &'a Histogram<u64>)>,
    ) -> io::Result<()> {
        let mut file = BufWriter::new(File::create(self.dir.join("latency.hlog"))?);
        let mut serializer = V2DeflateSerializer::new();
        let mut log = IntervalLogWriterBuilder::new()
            .add_comment("nanoseconds from the intended send time to the end of the answer")
            .with_start_time(SystemTime::now())
            .with_max_value_divisor(1_000_000.0)
            .begin_log_with(&mut file, &mut serializer)?;
        for (name, duration, histogram) in histograms {
            // A tag ends at a comma and cannot have blanks.
            let name = name.replace([',', ' ', '\n'], "_");
            let written = log.write_histogram(histogram, Duration::ZERO, duration, Tag::new(&name));
            written.map_err(|e| io::Error::other(format!("{name}: {e:?}")))?;
        }
        Ok(())
    }

    /// Writes `index.html` and gives its path.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn page(&self, page: &Page) -> io::Result<PathBuf> {
        let path = self.dir.join("index.html");
        fs::write(&path, page.html())?;
        Ok(path)
    }
}
