//! `stops.txt`: stations, and the platforms that belong to them.

use hashbrown::HashMap;

use crate::error::LoadError;
use crate::limits::{STATION_CODE_BYTES_MAX, STATION_NAME_BYTES_MAX, STOPS_MAX};
use crate::source::Source;
use crate::station::{Station, StationId, Stations};
use crate::table::{Row, Table};

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
    line: u64,
    /// Of a station, or of a stop without one: it is a station itself.
    station: Option<Station>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Platform,
    Station,
    Elsewhere,
}

impl Stops {
    pub(crate) fn read(source: &mut Source) -> Result<Stops, LoadError> {
        let file = source.shown("stops.txt");
        let rows = read_rows(source)?;
        let found = order_stations(&rows, &file)?;
        let ids = found.iter().enumerate();
        let ids = ids.map(|(index, (_, row))| (row.id.as_str(), (StationId(index as u32), row.kind)));
        let ids: HashMap<&str, (StationId, Kind)> = ids.collect();
        let stations = Stations::new(found.into_iter().map(|(station, _)| station.clone()).collect());
        let mut by_id = HashMap::with_capacity(rows.len());
        for row in &rows {
            let resolved = match (row.kind, row.parent.as_str()) {
                (Kind::Elsewhere, _) => ResolvedStop::Elsewhere,
                (Kind::Station, _) | (Kind::Platform, "") => ResolvedStop::Station(ids[row.id.as_str()].0),
                (Kind::Platform, parent) => match ids.get(parent) {
                    Some((id, Kind::Station)) => ResolvedStop::Station(*id),
                    _ => {
                        let what = format!("parent_station {parent} is no station (location_type 1)");
                        return Err(LoadError::at(&file, row.line, what));
                    }
                },
            };
            by_id.insert(row.id.clone(), resolved);
        }
        Ok(Stops { stations, by_id })
    }

    /// The station of the stop that a row names.
    pub(crate) fn station(&self, stop: &str, row: Row<'_>) -> Result<StationId, LoadError> {
        match self.by_id.get(stop) {
            Some(ResolvedStop::Station(id)) => Ok(*id),
            Some(ResolvedStop::Elsewhere) => {
                Err(row.refuse(format!("no train calls at {stop}: it is no platform")))
            }
            None => Err(row.refuse(format!("unknown stop {stop}"))),
        }
    }
}

fn read_rows(source: &mut Source) -> Result<Vec<StopRow>, LoadError> {
    let mut table = Table::required(source, "stops.txt")?;
    let id_column = table.required_column("stop_id")?;
    let name_column = table.required_column("stop_name")?;
    let code_column = table.column("stop_code");
    let kind_column = table.column("location_type");
    let parent_column = table.column("parent_station");
    let mut rows = Vec::new();
    let mut lines = HashMap::new();
    while let Some(row) = table.next()? {
        if rows.len() == STOPS_MAX {
            return Err(row.refuse(format!("more than {STOPS_MAX} stops")));
        }
        let id = row.filled(id_column, "stop_id")?;
        if let Some(line) = lines.insert(id.to_owned(), row.line()) {
            return Err(row.refuse(format!("stop {id} is there already, in line {line}")));
        }
        let kind = match row.get(kind_column) {
            "" | "0" => Kind::Platform,
            "1" => Kind::Station,
            "2" | "3" | "4" => Kind::Elsewhere,
            other => return Err(row.refuse(format!("location_type {other} is none of 0 to 4"))),
        };
        let parent = row.get(parent_column);
        if kind == Kind::Station && !parent.is_empty() {
            return Err(row.refuse("a station with a parent_station"));
        }
        let station = if kind == Kind::Station || (kind == Kind::Platform && parent.is_empty()) {
            let code = Some(row.get(code_column)).filter(|code| !code.is_empty()).unwrap_or(id);
            Some(read_station(row, code, row.filled(name_column, "stop_name")?)?)
        } else {
            None
        };
        rows.push(StopRow { id: id.to_owned(), kind, parent: parent.to_owned(), line: row.line(), station });
    }
    Ok(rows)
}

fn read_station(row: Row<'_>, code: &str, name: &str) -> Result<Station, LoadError> {
    for (what, text, bytes_max) in
        [("code", code, STATION_CODE_BYTES_MAX), ("name", name, STATION_NAME_BYTES_MAX)]
    {
        if text.len() > bytes_max {
            return Err(row.refuse(format!("a station's {what} of more than {bytes_max} bytes")));
        }
        if text.chars().any(char::is_control) {
            return Err(row.refuse(format!("a control character in a station's {what}")));
        }
    }
    Ok(Station { code: code.into(), name: name.into() })
}

/// The stations with their rows, in the order of their codes.
fn order_stations<'a>(rows: &'a [StopRow], file: &str) -> Result<Vec<(&'a Station, &'a StopRow)>, LoadError> {
    let mut found: Vec<_> = rows.iter().filter_map(|row| Some((row.station.as_ref()?, row))).collect();
    found.sort_by(|(a, _), (b, _)| a.code.cmp(&b.code));
    for pair in found.windows(2) {
        let ((first, first_row), (second, second_row)) = (pair[0], pair[1]);
        if first.code == second.code {
            let what = format!("station code {} is taken by line {}", second.code, first_row.line);
            return Err(LoadError::at(file, second_row.line, what));
        }
    }
    Ok(found)
}
