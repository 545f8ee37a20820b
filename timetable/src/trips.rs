//! `agency.txt`, `routes.txt` and `trips.txt`: the time zone, the kinds of route, and which trip bears which train
//! number on which service.

use hashbrown::HashMap;

use crate::calendar::Services;
use crate::error::LoadError;
use crate::limits::{AGENCIES_MAX, ROUTES_MAX, TRAIN_BYTES_MAX, TRIPS_MAX};
use crate::source::Source;
use crate::table::{Row, Table};
use crate::time::Zone;

/// The time zone of the agencies. GTFS has all of a feed's agencies share one.
pub(crate) fn read_zone(source: &mut Source) -> Result<Zone, LoadError> {
    let file = source.shown("agency.txt");
    let mut table = Table::required(source, "agency.txt")?;
    let column = table.required_column("agency_timezone")?;
    let mut found: Option<(String, Zone)> = None;
    let mut agencies = 0;
    while let Some(row) = table.next()? {
        agencies += 1;
        if agencies > AGENCIES_MAX {
            return Err(row.refuse(format!("more than {AGENCIES_MAX} agencies")));
        }
        let name = row.filled(column, "agency_timezone")?;
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

/// Reads `routes.txt`: the `route_type` of each route by its id.
pub(crate) fn read_routes(source: &mut Source) -> Result<HashMap<String, u16>, LoadError> {
    let mut table = Table::required(source, "routes.txt")?;
    let id_column = table.required_column("route_id")?;
    let kind_column = table.required_column("route_type")?;
    let mut routes = HashMap::new();
    while let Some(row) = table.next()? {
        if routes.len() == ROUTES_MAX {
            return Err(row.refuse(format!("more than {ROUTES_MAX} routes")));
        }
        let id = row.filled(id_column, "route_id")?;
        let text = row.get(kind_column);
        let kind = text.parse().map_err(|_| row.refuse(format!("route_type {text:?} is no number")))?;
        if routes.insert(id.to_owned(), kind).is_some() {
            return Err(row.refuse(format!("route {id} stands twice")));
        }
    }
    Ok(routes)
}

/// A row of `trips.txt`.
#[derive(Debug)]
pub(crate) struct TripRow {
    /// The train's number: `trip_short_name`, or the trip's id where it has none.
    pub(crate) train: String,
    pub(crate) route_type: u16,
    pub(crate) service: u32,
    pub(crate) line: u64,
}

/// The trips of a feed in the order of the file, and by their ids.
pub(crate) struct Trips {
    pub(crate) rows: Vec<TripRow>,
    ids: HashMap<String, u32>,
}

impl Trips {
    pub(crate) fn read(
        source: &mut Source,
        routes: &HashMap<String, u16>,
        services: &Services,
    ) -> Result<Trips, LoadError> {
        let mut table = Table::required(source, "trips.txt")?;
        let id_column = table.required_column("trip_id")?;
        let route_column = table.required_column("route_id")?;
        let service_column = table.required_column("service_id")?;
        let name_column = table.column("trip_short_name");
        let mut rows: Vec<TripRow> = Vec::new();
        let mut ids = HashMap::new();
        while let Some(row) = table.next()? {
            if rows.len() == TRIPS_MAX {
                return Err(row.refuse(format!("more than {TRIPS_MAX} trips")));
            }
            let id = row.filled(id_column, "trip_id")?;
            if let Some(before) = ids.insert(id.to_owned(), rows.len() as u32) {
                let line = rows[before as usize].line;
                return Err(row.refuse(format!("trip {id} is there already, in line {line}")));
            }
            let route = row.get(route_column);
            let route_type =
                *routes.get(route).ok_or_else(|| row.refuse(format!("unknown route {route}")))?;
            let service = services.find(row.get(service_column), row)?;
            let train = Some(row.get(name_column)).filter(|name| !name.is_empty()).unwrap_or(id);
            check_train(train, row)?;
            rows.push(TripRow { train: train.to_owned(), route_type, service, line: row.line() });
        }
        Ok(Trips { rows, ids })
    }

    /// The index of the trip that a row names.
    pub(crate) fn find(&self, id: &str, row: Row<'_>) -> Result<u32, LoadError> {
        self.ids.get(id).copied().ok_or_else(|| row.refuse(format!("unknown trip {id}")))
    }
}

/// A train's number is part of partition keys, `train|date|class`.
fn check_train(train: &str, row: Row<'_>) -> Result<(), LoadError> {
    if train.len() > TRAIN_BYTES_MAX {
        return Err(row.refuse(format!("a train number of more than {TRAIN_BYTES_MAX} bytes")));
    }
    if train.contains('|') {
        return Err(row.refuse(format!("train number {train} has a | in it")));
    }
    if train.chars().any(char::is_control) {
        return Err(row.refuse("a control character in a train number"));
    }
    Ok(())
}

/// Refuses `frequencies.txt`: a trip that runs every so many minutes has no run on a date to sell a seat on.
pub(crate) fn refuse_frequencies(source: &mut Source) -> Result<(), LoadError> {
    let Some(mut table) = Table::optional(source, "frequencies.txt")? else { return Ok(()) };
    match table.next()? {
        Some(row) => Err(row.refuse("trips by frequency have no single run on a date: they cannot be sold")),
        None => Ok(()),
    }
}
