//! `calendar.txt` and `calendar_dates.txt`: the days on which each service runs. One of the two may be missing.

use hashbrown::HashMap;

use crate::days::{DaySet, date_of, day_of};
use crate::error::LoadError;
use crate::limits::{EXCEPTIONS_MAX, SERVICE_DAYS_MAX, SERVICE_DAYS_TOTAL_MAX, SERVICES_MAX};
use crate::report::{Kind, Report};
use crate::source::Source;
use crate::table::{Column, Row, Table};
use crate::time::{is_far_date, parse_date};

/// The services of a feed by their ids.
pub(crate) struct Services {
    pub(crate) days: Vec<DaySet>,
    ids: HashMap<String, u32>,
}

/// One service, as the two tables define it.
#[derive(Default)]
struct Service {
    regular: Option<Regular>,
    exceptions: Vec<Exception>,
    /// Something of it cannot be read: nobody knows when it runs.
    is_out: bool,
}

/// Weekdays within a span of days, both ends included.
struct Regular {
    /// From Monday on.
    weekdays: [bool; 7],
    first: i32,
    last: i32,
    line: u64,
}

struct Exception {
    day: i32,
    runs: bool,
    line: u64,
}

/// Later than any day that can be counted.
const FAR_DAY: i32 = i32::MAX;
const WEEKDAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

impl Services {
    pub(crate) fn read(source: &mut Source, report: &mut Report) -> Result<Services, LoadError> {
        let mut ids = HashMap::new();
        let mut services: Vec<Service> = Vec::new();
        let mut entry = |row: Row<'_>, id: &str| -> Result<u32, LoadError> {
            if let Some(index) = ids.get(id) {
                return Ok(*index);
            }
            if ids.len() == SERVICES_MAX {
                return Err(row.refuse(format!("more than {SERVICES_MAX} services")));
            }
            let index = ids.len() as u32;
            ids.insert(id.to_owned(), index);
            Ok(index)
        };
        let regular_file = source.shown("calendar.txt");
        let exceptions_file = source.shown("calendar_dates.txt");
        let has_regular = read_regular(source, &mut services, &mut entry, report)?;
        let has_exceptions = read_exceptions(source, &mut services, &mut entry, report)?;
        if !has_regular && !has_exceptions {
            return Err(LoadError::whole(regular_file, "missing, and so is calendar_dates.txt"));
        }

        let mut total = 0;
        let mut days = Vec::with_capacity(services.len());
        for service in &mut services {
            service.sort_exceptions(&exceptions_file, report)?;
            let set = service.days(&regular_file, &exceptions_file, report)?;
            total += set.room();
            if total > SERVICE_DAYS_TOTAL_MAX {
                let what = format!("all services together span more than {SERVICE_DAYS_TOTAL_MAX} days");
                return Err(LoadError::whole(regular_file, what));
            }
            days.push(set);
        }
        ids.retain(|_, index| services.get(*index as usize).is_some_and(|service| !service.is_out));
        Ok(Services { days, ids })
    }

    pub(crate) fn find(&self, id: &str) -> Option<u32> {
        self.ids.get(id).copied()
    }
}

type Entry<'a> = &'a mut dyn FnMut(Row<'_>, &str) -> Result<u32, LoadError>;

/// The service at a place, made where it is new.
fn service_at(services: &mut Vec<Service>, index: u32) -> &mut Service {
    let index = index as usize;
    services.resize_with(services.len().max(index + 1), Service::default);
    &mut services[index]
}

/// False where there is no such table.
fn read_regular(
    source: &mut Source,
    services: &mut Vec<Service>,
    entry: Entry<'_>,
    report: &mut Report,
) -> Result<bool, LoadError> {
    let Some(mut table) = Table::optional(source, "calendar.txt", report)? else { return Ok(false) };
    let id_column = table.required_column("service_id")?;
    let start_column = table.required_column("start_date")?;
    let end_column = table.required_column("end_date")?;
    let mut weekday_columns = Vec::with_capacity(WEEKDAYS.len());
    for weekday in WEEKDAYS {
        weekday_columns.push(table.required_column(weekday)?);
    }
    while let Some(row) = table.next(report)? {
        let Some(id) = row.filled(id_column, "service_id", report)? else { continue };
        let read = || -> Result<([bool; 7], i32, i32), LoadError> {
            let mut weekdays = [false; 7];
            for ((runs, column), name) in weekdays.iter_mut().zip(&weekday_columns).zip(WEEKDAYS) {
                *runs = match row.get(*column) {
                    "1" => true,
                    "0" => false,
                    other => return Err(row.refuse(format!("{name} is {other:?}, neither 0 nor 1"))),
                };
            }
            let first = read_day(row, start_column, "start_date")?;
            let last = match read_day(row, end_column, "end_date") {
                // Cut off with its service.
                Err(_) if is_far_date(row.get(end_column)) => FAR_DAY,
                last => last?,
            };
            if last < first {
                return Err(row.refuse(format!("service {id} ends before it starts")));
            }
            Ok((weekdays, first, last))
        };
        let (weekdays, first, last) = match read() {
            Ok(read) => read,
            Err(why) => {
                report.note(Kind::Calendar, || why)?;
                service_at(services, entry(row, id)?).is_out = true;
                continue;
            }
        };
        if last == FAR_DAY && report.is_strict() {
            return Err(read_day(row, end_column, "end_date").expect_err("it is too far for a date"));
        }
        let service = service_at(services, entry(row, id)?);
        if let Some(before) = &service.regular {
            report.note(Kind::DoubleRow, || {
                row.refuse(format!("service {id} is there already, in line {}", before.line))
            })?;
            // Which of the two is meant is not known.
            service.is_out |= (before.weekdays, before.first, before.last) != (weekdays, first, last);
            continue;
        }
        service.regular = Some(Regular { weekdays, first, last, line: row.line() });
    }
    Ok(true)
}

/// False where there is no such table.
fn read_exceptions(
    source: &mut Source,
    services: &mut Vec<Service>,
    entry: Entry<'_>,
    report: &mut Report,
) -> Result<bool, LoadError> {
    let Some(table) = Table::optional(source, "calendar_dates.txt", report)? else { return Ok(false) };
    let mut table = table.whole();
    let id_column = table.required_column("service_id")?;
    let date_column = table.required_column("date")?;
    let kind_column = table.required_column("exception_type")?;
    let mut rows = 0;
    while let Some(row) = table.next(report)? {
        rows += 1;
        if rows > EXCEPTIONS_MAX {
            return Err(row.refuse(format!("more than {EXCEPTIONS_MAX} exceptions")));
        }
        let id = row.get(id_column);
        if id.is_empty() {
            // Of which service it takes a date away is not known.
            return Err(row.refuse("service_id is empty"));
        }
        let read = || -> Result<(i32, bool), LoadError> {
            let day = read_day(row, date_column, "date")?;
            let runs = match row.get(kind_column) {
                "1" => true,
                "2" => false,
                other => return Err(row.refuse(format!("exception_type is {other:?}, neither 1 nor 2"))),
            };
            Ok((day, runs))
        };
        let (day, runs) = match read() {
            Ok(read) => read,
            Err(why) => {
                report.note(Kind::Calendar, || why)?;
                service_at(services, entry(row, id)?).is_out = true;
                continue;
            }
        };
        let exception = Exception { day, runs, line: row.line() };
        service_at(services, entry(row, id)?).exceptions.push(exception);
    }
    Ok(true)
}

fn read_day(row: Row<'_>, column: Column, name: &str) -> Result<i32, LoadError> {
    let text = row.get(column);
    parse_date(text).map(day_of).ok_or_else(|| row.refuse(format!("{name} {text:?} is no date (YYYYMMDD)")))
}

impl Service {
    /// In the order of their days, one of each day.
    fn sort_exceptions(&mut self, file: &str, report: &mut Report) -> Result<(), LoadError> {
        self.exceptions.sort_by_key(|exception| exception.day);
        for pair in self.exceptions.windows(2) {
            if pair[0].day == pair[1].day {
                report.note(Kind::DoubleRow, || {
                    let what = format!("this service and date are there already, in line {}", pair[0].line);
                    LoadError::at(file, pair[1].line, what)
                })?;
            }
        }
        // A date that is taken away as well as added is not sold.
        self.exceptions.sort_by_key(|exception| (exception.day, exception.runs));
        self.exceptions.dedup_by_key(|exception| exception.day);
        Ok(())
    }

    fn days(
        &self,
        regular_file: &str,
        exceptions_file: &str,
        report: &mut Report,
    ) -> Result<DaySet, LoadError> {
        let regular = self.regular.iter().map(|regular| (regular.first, regular.last));
        let added = self.exceptions.iter().filter(|exception| exception.runs);
        let spans = regular.chain(added.map(|exception| (exception.day, exception.day)));
        let Some((first, mut last)) = spans.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))) else {
            return Ok(DaySet::default());
        };
        if last - first >= SERVICE_DAYS_MAX {
            report.note(Kind::LongService, || {
                let what = format!("a service that spans more than {SERVICE_DAYS_MAX} days");
                match &self.regular {
                    Some(regular) => LoadError::at(regular_file, regular.line, what),
                    None => LoadError::at(exceptions_file, self.exceptions[0].line, what),
                }
            })?;
            last = first + SERVICE_DAYS_MAX - 1;
        }
        let mut days = DaySet::with_room(first, last);
        if let Some(regular) = &self.regular {
            let monday = i32::from(date_of(regular.first).weekday().to_monday_zero_offset());
            for day in regular.first..=regular.last.min(last) {
                if regular.weekdays[((day - regular.first + monday) % 7) as usize] {
                    days.insert(day);
                }
            }
        }
        for exception in self.exceptions.iter().filter(|exception| exception.day <= last) {
            if exception.runs {
                days.insert(exception.day);
            } else {
                days.remove(exception.day);
            }
        }
        Ok(days)
    }
}
