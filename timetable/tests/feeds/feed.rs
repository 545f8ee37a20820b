//! A small feed that is in order, to be changed by each test in the one place that it is about.

use std::io::Write;
use std::path::Path;

use tempfile::TempDir;
use timetable::{DateWindow, LoadError, Timetable};
use zip::write::SimpleFileOptions;

#[derive(Clone)]
pub(crate) struct Feed {
    files: Vec<(String, String)>,
}

impl Feed {
    /// Two trains on the line A, B, C: `G1` every day in January 2027, `K9/8` over midnight on the weekends.
    pub(crate) fn new() -> Feed {
        Feed { files: Vec::new() }
            .with(
                "agency.txt",
                "agency_id,agency_name,agency_url,agency_timezone\nX,X,http://x.example,Asia/Shanghai\n",
            )
            .with("stops.txt", "stop_id,stop_name,stop_code\na,Alpha,AAA\nb,Beta,BBB\nc,Gamma,CCC\n")
            .with("routes.txt", "route_id,route_short_name,route_type\nr,R,2\n")
            .with(
                "trips.txt",
                "route_id,service_id,trip_id,trip_short_name\nr,daily,t1,G1\nr,weekend,t2,K9/8\n",
            )
            .with(
                "stop_times.txt",
                "trip_id,arrival_time,departure_time,stop_id,stop_sequence\n\
                 t1,08:00:00,08:00:00,a,1\nt1,09:00:00,09:02:00,b,2\nt1,10:00:00,10:00:00,c,3\n\
                 t2,23:00:00,23:00:00,c,1\nt2,24:30:00,24:35:00,b,2\nt2,26:00:00,26:00:00,a,3\n",
            )
            .with(
                "calendar.txt",
                "service_id,monday,tuesday,wednesday,thursday,friday,saturday,sunday,start_date,end_date\n\
                 daily,1,1,1,1,1,1,1,20270101,20270131\nweekend,0,0,0,0,0,1,1,20270101,20270131\n",
            )
    }

    /// With a file in place of the one of that name.
    pub(crate) fn with(mut self, name: &str, text: impl Into<String>) -> Feed {
        self = self.without(name);
        self.files.push((name.to_owned(), text.into()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Feed {
        self.files.retain(|(file, _)| file != name);
        self
    }

    /// With one text of a file in place of another.
    pub(crate) fn replaced(self, name: &str, from: &str, to: &str) -> Feed {
        let text = self.text(name);
        assert!(text.contains(from), "{from:?} is not in {name}");
        let text = text.replacen(from, to, 1);
        self.with(name, text)
    }

    /// With more at the end of a file.
    pub(crate) fn and(self, name: &str, more: &str) -> Feed {
        let text = self.text(name).to_owned() + more;
        self.with(name, text)
    }

    /// With one more column in a file; its values go to the rows from the first on, and the others have none.
    pub(crate) fn with_column(self, name: &str, column: &str, values: &[&str]) -> Feed {
        let fields = [column].into_iter().chain(values.iter().copied()).chain(std::iter::repeat(""));
        let lines = self.text(name).lines().zip(fields).map(|(line, field)| format!("{line},{field}\n"));
        let text: String = lines.collect();
        self.with(name, text)
    }

    pub(crate) fn text(&self, name: &str) -> &str {
        &self.files.iter().find(|(file, _)| file == name).expect("a file of the feed").1
    }

    pub(crate) fn map(mut self, change: impl Fn(&str) -> String) -> Feed {
        for (_, text) in &mut self.files {
            *text = change(text);
        }
        self
    }

    pub(crate) fn write(&self, directory: &Path) {
        for (name, text) in &self.files {
            std::fs::write(directory.join(name), text).unwrap();
        }
    }

    /// As a zip file with the tables in a folder, which may be empty or end with a slash.
    pub(crate) fn write_zip(&self, path: &Path, folder: &str) {
        let mut zip = zip::ZipWriter::new(std::fs::File::create(path).unwrap());
        for (name, text) in &self.files {
            zip.start_file(format!("{folder}{name}"), SimpleFileOptions::default()).unwrap();
            zip.write_all(text.as_bytes()).unwrap();
        }
        zip.finish().unwrap();
    }

    /// Loaded strictly.
    pub(crate) fn try_load(&self) -> Result<Timetable, LoadError> {
        let directory = TempDir::new().unwrap();
        self.write(directory.path());
        let prefix = format!("{}/", directory.path().display());
        Timetable::load_strict(directory.path(), None, DateWindow::WHOLE).map_err(|mut error| {
            error.file = error.file.strip_prefix(&prefix).unwrap_or(&error.file).to_owned();
            error
        })
    }

    /// As far as it can be sold, and the report, without the directory of the feed.
    pub(crate) fn load_leniently(&self) -> Result<(Timetable, String), String> {
        let directory = TempDir::new().unwrap();
        self.write(directory.path());
        let place = directory.path().display().to_string();
        let loaded = Timetable::load(directory.path(), None, DateWindow::WHOLE);
        match loaded {
            Ok((timetable, report)) => Ok((timetable, report.to_string().replace(&format!("{place}/"), ""))),
            Err(error) => Err(error.to_string().replace(&format!("{place}/"), "").replace(&place, "FEED")),
        }
    }

    pub(crate) fn load(&self) -> Timetable {
        self.try_load().unwrap_or_else(|error| panic!("{error}"))
    }
}

/// A run's stops on one line each, `code arrives departs`, for comparison.
pub(crate) fn stops(timetable: &Timetable, train: &str, date: &str) -> Vec<String> {
    let run = timetable.run(train, date.parse().unwrap()).expect("a run");
    assert_eq!(run.stops().len(), usize::from(run.segments()) + 1);
    run.stops()
        .enumerate()
        .map(|(index, stop)| {
            assert_eq!(usize::from(stop.index), index);
            format!("{} {} {}", stop.station.code, stop.arrives_at, stop.departs_at)
        })
        .collect()
}
