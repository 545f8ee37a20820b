//! `stops.txt`: stations, and the platforms that belong to them.

use std::borrow::Cow;

use hashbrown::{HashMap, HashSet};

use crate::error::LoadError;
use crate::limits::{STATION_CODE_BYTES_MAX, STATION_NAME_BYTES_MAX, STOPS_MAX};
use crate::report::{Kind as Noted, Report};
use crate::source::Source;
use crate::station::{Station, StationId, Stations};
use crate::table::Table;

/// The stops of a feed by their ids, for the tables that name them.
pub(crate) struct Stops {
    pub(crate) stations: Stations,
    by_id: HashMap<String, ResolvedStop>,
}

/// A stop, resolved to its station.
#[derive(Clone, Copy)]
enum ResolvedStop {
    Station(StationId),
    /// An entrance, or another place where no train calls.
    Elsewhere,
}

/// A row of the table, before the parents are known.
struct StopRow {
    id: String,
    kind: Kind,
    parent: String,
    code: String,
    name: String,
    line: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Platform,
    Station,
    Elsewhere,
}

impl Stops {
    pub(crate) fn read(source: &mut Source, report: &mut Report) -> Result<Stops, LoadError> {
        let file = source.shown("stops.txt");
        let mut rows = read_rows(source, report)?;
        check_parents(&mut rows, &file, report)?;
        let found = read_stations(&rows, &file, report)?;
        let ids = found.iter().enumerate();
        let ids: HashMap<&str, StationId> =
            ids.map(|(index, (_, row))| (row.id.as_str(), StationId(index as u32))).collect();
        let mut by_id = HashMap::with_capacity(rows.len());
        for row in &rows {
            let station = if row.parent.is_empty() { row.id.as_str() } else { row.parent.as_str() };
            let resolved = match row.kind {
                Kind::Elsewhere => ResolvedStop::Elsewhere,
                // One that is left out is noted already.
                Kind::Station | Kind::Platform => match ids.get(station) {
                    Some(id) => ResolvedStop::Station(*id),
                    None => ResolvedStop::Elsewhere,
                },
            };
            by_id.insert(row.id.clone(), resolved);
        }
        let stations = Stations::new(found.into_iter().map(|(station, _)| station).collect());
        Ok(Stops { stations, by_id })
    }

    /// The station of a stop.
    ///
    /// # Errors
    /// With what is wrong where there is none.
    pub(crate) fn station(&self, stop: &str) -> Result<StationId, String> {
        match self.by_id.get(stop) {
            Some(ResolvedStop::Station(id)) => Ok(*id),
            Some(ResolvedStop::Elsewhere) => Err(format!("no train calls at {stop}: it is no platform")),
            None => Err(format!("unknown stop {stop}")),
        }
    }
}

fn read_rows(source: &mut Source, report: &mut Report) -> Result<Vec<StopRow>, LoadError> {
    let mut table = Table::required(source, "stops.txt", report)?;
    let id_column = table.required_column("stop_id")?;
    let name_column = table.required_column("stop_name")?;
    let code_column = table.column("stop_code");
    let kind_column = table.column("location_type");
    let parent_column = table.column("parent_station");
    let mut rows = Vec::new();
    let mut lines = HashMap::new();
    while let Some(row) = table.next(report)? {
        if rows.len() == STOPS_MAX {
            return Err(row.refuse(format!("more than {STOPS_MAX} stops")));
        }
        let Some(id) = row.filled(id_column, "stop_id", report)? else { continue };
        if let Some(line) = lines.get(id) {
            report.note(Noted::DoubleRow, || {
                row.refuse(format!("stop {id} is there already, in line {line}"))
            })?;
            continue;
        }
        lines.insert(id.to_owned(), row.line());
        let kind = match row.get(kind_column) {
            "" | "0" => Kind::Platform,
            "1" => Kind::Station,
            "2" | "3" | "4" => Kind::Elsewhere,
            other => {
                let what = || row.refuse(format!("location_type {other} is none of 0 to 4"));
                report.note(Noted::WrongField, what)?;
                continue;
            }
        };
        rows.push(StopRow {
            id: id.to_owned(),
            kind,
            parent: row.get(parent_column).to_owned(),
            code: row.get(code_column).to_owned(),
            name: row.get(name_column).to_owned(),
            line: row.line(),
        });
    }
    Ok(rows)
}

/// Takes away the parents that are none: such a stop is a station of its own.
fn check_parents(rows: &mut [StopRow], file: &str, report: &mut Report) -> Result<(), LoadError> {
    let is_station = |row: &&StopRow| row.kind == Kind::Station;
    let stations: HashSet<String> = rows.iter().filter(is_station).map(|row| row.id.clone()).collect();
    for row in rows {
        let what = match row.kind {
            _ if row.parent.is_empty() => continue,
            Kind::Elsewhere => continue,
            Kind::Station => "a station with a parent_station".to_owned(),
            Kind::Platform if stations.contains(&row.parent) => continue,
            Kind::Platform => format!("parent_station {} is no station (location_type 1)", row.parent),
        };
        report.note(Noted::UnknownParent, || LoadError::at(file, row.line, what))?;
        row.parent.clear();
    }
    Ok(())
}

/// The stations with their rows, in the order of their codes.
fn read_stations<'a>(
    rows: &'a [StopRow],
    file: &str,
    report: &mut Report,
) -> Result<Vec<(Station, &'a StopRow)>, LoadError> {
    let mut found: Vec<(Station, &StopRow)> = Vec::new();
    for row in rows.iter().filter(|row| row.kind != Kind::Elsewhere && row.parent.is_empty()) {
        let code = if row.code.is_empty() { &row.id } else { &row.code };
        let code = match check_text("code", code, STATION_CODE_BYTES_MAX) {
            Ok(()) => code,
            Err(what) if check_text("code", &row.id, STATION_CODE_BYTES_MAX).is_ok() => {
                report.note(Noted::StopCode, || LoadError::at(file, row.line, what))?;
                &row.id
            }
            Err(what) => {
                report.note(Noted::WrongField, || LoadError::at(file, row.line, what))?;
                continue;
            }
        };
        let name = read_name(row, file, report)?;
        found.push((Station { code: code.as_str().into(), name: name.into() }, row));
    }
    go_by_ids(&mut found, file, report)?;
    found.sort_by(|(a, _), (b, _)| a.code.cmp(&b.code));
    Ok(found)
}

/// Lets stations go by their ids whose codes others have as well. Ids are each there once, so this comes to an end.
fn go_by_ids(found: &mut Vec<(Station, &StopRow)>, file: &str, report: &mut Report) -> Result<(), LoadError> {
    loop {
        let shared = sharing(found, file, report.is_strict())?;
        if shared.is_empty() {
            return Ok(());
        }
        let mut too_long = Vec::new();
        for index in shared {
            let (station, row) = &mut found[index];
            let what = format!("station code {} is another one's as well", station.code);
            if check_text("code", &row.id, STATION_CODE_BYTES_MAX).is_ok() {
                report.note(Noted::StopCode, || LoadError::at(file, row.line, what))?;
                station.code = row.id.as_str().into();
            } else {
                report.note(Noted::WrongField, || LoadError::at(file, row.line, what))?;
                too_long.push(index);
            }
        }
        for index in too_long.into_iter().rev() {
            found.remove(index);
        }
    }
}

/// The stations whose codes others have as well, but for those that go by their ids already.
///
/// # Errors
/// With the first of them, where the load is strict.
fn sharing(found: &[(Station, &StopRow)], file: &str, is_strict: bool) -> Result<Vec<usize>, LoadError> {
    let mut lines: HashMap<&str, (u64, bool)> = HashMap::with_capacity(found.len());
    for (station, row) in found {
        let (first, is_shared) = lines.entry(&station.code).or_insert((row.line, false));
        *is_shared |= *first != row.line;
        if *is_shared && is_strict {
            let what = format!("station code {} is taken by line {first}", station.code);
            return Err(LoadError::at(file, row.line, what));
        }
    }
    let is_shared = |index: &usize| {
        let (station, row) = &found[*index];
        lines[&*station.code].1 && *station.code != *row.id
    };
    Ok((0..found.len()).filter(is_shared).collect())
}

/// A name that can be shown: the id where there is none, without what cannot be seen, cut where it is too long.
fn read_name<'r>(row: &'r StopRow, file: &str, report: &mut Report) -> Result<Cow<'r, str>, LoadError> {
    let name = if row.name.is_empty() {
        report.note(Noted::StationName, || LoadError::at(file, row.line, "stop_name is empty"))?;
        &row.id
    } else {
        &row.name
    };
    let Err(what) = check_text("name", name, STATION_NAME_BYTES_MAX) else { return Ok(Cow::Borrowed(name)) };
    report.note(Noted::StationName, || LoadError::at(file, row.line, what))?;
    let mut name: String = name.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    name.truncate(name.floor_char_boundary(STATION_NAME_BYTES_MAX));
    Ok(Cow::Owned(name))
}

fn check_text(what: &str, text: &str, bytes_max: usize) -> Result<(), String> {
    if text.len() > bytes_max {
        return Err(format!("a station's {what} of more than {bytes_max} bytes"));
    }
    if text.chars().any(char::is_control) {
        return Err(format!("a control character in a station's {what}"));
    }
    Ok(())
}
