//! `agency.txt`, `routes.txt` and `trips.txt`: the time zone, the kinds of route, and which trip bears which train
//! number on which service.

use hashbrown::{HashMap, HashSet};

use crate::calendar::Services;
use crate::error::LoadError;
use crate::limits::{AGENCIES_MAX, ROUTES_MAX, TRAIN_BYTES_MAX, TRIPS_MAX};
use crate::report::{Kind, Report};
use crate::source::Source;
use crate::table::{Row, Table};
use crate::time::Zone;

/// The time zone of the agencies. GTFS has all of a feed's agencies share one.
pub(crate) fn read_zone(source: &mut Source, report: &mut Report) -> Result<Zone, LoadError> {
    let file = source.shown("agency.txt");
    let mut table = Table::required(source, "agency.txt", report)?;
    let column = table.required_column("agency_timezone")?;
    let mut found: Option<(String, Zone)> = None;
    let mut agencies = 0;
    while let Some(row) = table.next(report)? {
        agencies += 1;
        if agencies > AGENCIES_MAX {
            return Err(row.refuse(format!("more than {AGENCIES_MAX} agencies")));
        }
        let Some(name) = row.filled(column, "agency_timezone", report)? else { continue };
        match &found {
            Some((first, _)) if first == name => {}
            Some((first, _)) => {
                let what = format!("time zone {name}, where the agency before has {first}: a feed has one");
                return Err(row.refuse(what));
            }
            None => {
                let zone =
                    Zone::named(name).ok_or_else(|| row.refuse(format!("unknown time zone {name}")))?;
                found = Some((name.to_owned(), zone));
            }
        }
    }
    found.map(|(_, zone)| zone).ok_or_else(|| LoadError::at(file, 1, "no agency, hence no time zone"))
}

/// Reads `routes.txt`: the `route_type` of each route by its id. Only formations ask for it.
pub(crate) fn read_routes(
    source: &mut Source,
    report: &mut Report,
) -> Result<HashMap<String, u16>, LoadError> {
    let mut routes = HashMap::new();
    let table = if report.is_strict() {
        Some(Table::required(source, "routes.txt", report)?)
    } else {
        Table::optional(source, "routes.txt", report)?
    };
    let Some(mut table) = table else { return Ok(routes) };
    let columns =
        table.required_column("route_id").and_then(|id| Ok((id, table.required_column("route_type")?)));
    let (id_column, kind_column) = match columns {
        Ok(columns) => columns,
        Err(missing) if report.is_strict() => return Err(missing),
        // Its trips have no type then, which is noted of each.
        Err(_) => return Ok(routes),
    };
    while let Some(row) = table.next(report)? {
        if routes.len() == ROUTES_MAX {
            return Err(row.refuse(format!("more than {ROUTES_MAX} routes")));
        }
        let Some(id) = row.filled(id_column, "route_id", report)? else { continue };
        let text = row.get(kind_column);
        let Ok(kind) = text.parse() else {
            report.note(Kind::WrongField, || row.refuse(format!("route_type {text:?} is no number")))?;
            continue;
        };
        if routes.contains_key(id) {
            report.note(Kind::DoubleRow, || row.refuse(format!("route {id} stands twice")))?;
        } else {
            routes.insert(id.to_owned(), kind);
        }
    }
    Ok(routes)
}

/// A row of `trips.txt`.
#[derive(Debug)]
pub(crate) struct TripRow {
    pub(crate) id: String,
    /// The train's number: `trip_short_name`, or the trip's id where it has none or that cannot be.
    pub(crate) train: String,
    /// The number as the feed has it, for the rules of formations.
    pub(crate) number: String,
    /// `None`: its route is unknown.
    pub(crate) route_type: Option<u16>,
    pub(crate) service: u32,
    pub(crate) line: u64,
}

/// The trips of a feed in the order of the file, and by their ids.
pub(crate) struct Trips {
    pub(crate) rows: Vec<TripRow>,
    /// `None`: it is left out.
    ids: HashMap<String, Option<u32>>,
}

impl Trips {
    /// Reads `trips.txt`, without those that run by frequency.
    pub(crate) fn read(
        source: &mut Source,
        routes: &HashMap<String, u16>,
        services: &Services,
        by_frequency: &HashSet<String>,
        report: &mut Report,
    ) -> Result<Trips, LoadError> {
        let mut table = Table::required(source, "trips.txt", report)?;
        let id_column = table.required_column("trip_id")?;
        let route_column = table.required_column("route_id")?;
        let service_column = table.required_column("service_id")?;
        let name_column = table.column("trip_short_name");
        let mut trips = Trips { rows: Vec::new(), ids: HashMap::new() };
        while let Some(row) = table.next(report)? {
            if trips.ids.len() == TRIPS_MAX {
                return Err(row.refuse(format!("more than {TRIPS_MAX} trips")));
            }
            let Some(id) = row.filled(id_column, "trip_id", report)? else { continue };
            if let Some(before) = trips.ids.get(id) {
                let line = before.map(|before| trips.rows[before as usize].line);
                let place = line.map_or_else(String::new, |line| format!(", in line {line}"));
                report.note(Kind::DoubleRow, || row.refuse(format!("trip {id} is there already{place}")))?;
                continue;
            }
            // Left out unless it is put in below.
            let index = trips.ids.entry(id.to_owned()).insert(None);
            if by_frequency.contains(id) {
                continue;
            }
            let route = row.get(route_column);
            let route_type = routes.get(route).copied();
            if route_type.is_none() {
                report.note(Kind::UnknownRoute, || row.refuse(format!("unknown route {route}")))?;
            }
            let service = row.get(service_column);
            let Some(service) = services.find(service) else {
                report.note(Kind::UnknownService, || row.refuse(format!("unknown service {service}")))?;
                continue;
            };
            let name = Some(row.get(name_column)).filter(|name| !name.is_empty());
            let Some(train) = number_of(name, id, row, report)? else { continue };
            *index.into_mut() = Some(trips.rows.len() as u32);
            let number = name.unwrap_or(id).to_owned();
            let (id, train, line) = (id.to_owned(), train.to_owned(), row.line());
            trips.rows.push(TripRow { id, train, number, route_type, service, line });
        }
        Ok(trips)
    }

    /// The index of a trip, or that it is left out; `None` where there is none.
    pub(crate) fn find(&self, id: &str) -> Option<Option<u32>> {
        self.ids.get(id).copied()
    }
}

/// The number by which a trip goes; `None` where neither its name nor its id can be one.
fn number_of<'r>(
    name: Option<&'r str>,
    id: &'r str,
    row: Row<'_>,
    report: &mut Report,
) -> Result<Option<&'r str>, LoadError> {
    if let Some(name) = name {
        let Err(what) = check_train(name) else { return Ok(Some(name)) };
        if check_train(id).is_ok() {
            report.note(Kind::TripNumber, || row.refuse(what))?;
            return Ok(Some(id));
        }
    }
    let Err(what) = check_train(id) else { return Ok(Some(id)) };
    report.note(Kind::NoNumber, || row.refuse(what))?;
    Ok(None)
}

/// A train's number is part of partition keys, `train|date|class`.
///
/// # Errors
/// With what is wrong with it.
pub(crate) fn check_train(train: &str) -> Result<(), String> {
    if train.len() > TRAIN_BYTES_MAX {
        return Err(format!("a train number of more than {TRAIN_BYTES_MAX} bytes"));
    }
    if train.contains('|') {
        return Err(format!("train number {train} has a | in it"));
    }
    if train.chars().any(char::is_control) {
        return Err("a control character in a train number".to_owned());
    }
    Ok(())
}

/// The trips of `frequencies.txt`: one that runs every so many minutes has no run on a date to sell a seat on.
pub(crate) fn read_frequencies(
    source: &mut Source,
    report: &mut Report,
) -> Result<HashSet<String>, LoadError> {
    let mut trips = HashSet::new();
    let Some(table) = Table::optional(source, "frequencies.txt", report)? else { return Ok(trips) };
    let mut table = table.whole();
    let (column, missing) = (table.column("trip_id"), table.required_column("trip_id").err());
    while let Some(row) = table.next(report)? {
        if let Some(missing) = missing {
            return Err(missing);
        }
        let id = row.get(column);
        if !trips.contains(id) {
            trips.insert(id.to_owned());
            report.note(Kind::FrequencyTrip, || {
                row.refuse("trips by frequency have no single run on a date: they cannot be sold")
            })?;
        }
    }
    Ok(trips)
}
