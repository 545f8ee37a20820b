//! Stations and trains: from the timetable, and what is left to sell from the engine.

use std::borrow::Cow;

use engine::Span;
use engine::answer::{Answer as Engine, ClassView, RunView};
use engine::catalogue::{LocalTime, RunDefinition};
use engine::command::{Command, RunQuery};
use engine::ids::is_date;
use engine::text::Text;
use hyper::StatusCode;
use timetable::{Date, Journey, Station, Timetable};

use super::Outcome;
use crate::backend::Backend;
use crate::edge::Edge;
use crate::errors::{Code, Problem};
use crate::fields;
use crate::handle::Asked;
use crate::join::join_all;
use crate::json::write::{Object, object};
use crate::limits::{RUNS_AT_ONCE, STATIONS_PAGE_DEFAULT, STATIONS_PAGE_MAX};
use crate::query;
use crate::reply::Answer;

pub(super) fn stations<B: Backend>(edge: &Edge<B>, asked: &Asked<'_>) -> Outcome {
    let text = query::get(asked.query, "q")?.unwrap_or_default();
    let after = query::get(asked.query, "after")?;
    let limit = fields::limit(asked.query, STATIONS_PAGE_DEFAULT, STATIONS_PAGE_MAX)?;
    let timetable = edge.backend.timetable();
    // One more than is shown tells whether there is more.
    let found = timetable.stations(&text, after.as_deref(), limit + 1);
    let page = &found[..found.len().min(limit)];
    let mut body = Vec::new();
    object(&mut body, |o| {
        o.objects("stations", page.iter(), |o, station| {
            o.text("code", &station.code);
            o.text("name", &station.name);
        });
        if let Some(last) = page.last().filter(|_| found.len() > limit) {
            o.text("next", &last.code);
        }
    });
    Ok(Answer::json(body))
}

/// One train of a search.
struct Offer<'t> {
    train: &'t str,
    /// The run's own: the day before, for whoever boards a night train after midnight.
    date: Date,
    span: Span,
    view: RunView,
}

impl Offer<'_> {
    fn departs_at(&self) -> Option<LocalTime> {
        self.view.run.stops[usize::from(self.span.from())].departs_at
    }

    fn arrives_at(&self) -> Option<LocalTime> {
        self.view.run.stops[usize::from(self.span.to())].arrives_at
    }
}

pub(super) async fn search<B: Backend>(edge: &Edge<B>, asked: &Asked<'_>) -> Outcome {
    let timetable = edge.backend.timetable();
    let (from, to) = (needed(asked, "from")?, needed(asked, "to")?);
    let date = date(&needed(asked, "date")?)?;
    let station = |text: &str| timetable.find_station(text).ok_or_else(station_not_found);
    let (from, to) = (station(&from)?, station(&to)?);
    let journeys = timetable.journeys(from, to, date);
    if journeys.is_empty() {
        on_sale(&timetable, date)?;
    }
    let mut offers = Vec::with_capacity(journeys.len());
    for journeys in journeys.chunks(RUNS_AT_ONCE) {
        let asked_for = journeys.iter().map(|journey| offer(edge, asked, journey)).collect();
        for offer in join_all(asked_for).await {
            offers.extend(offer?);
        }
    }
    // An opened run keeps the times that it was opened with.
    offers.sort_by_key(|offer| offer.departs_at().map(|at| at.unix_secs));
    Ok(Answer::json(search_body(date, timetable.station(from), timetable.station(to), &offers)))
}

fn search_body(date: Date, from: &Station, to: &Station, offers: &[Offer<'_>]) -> Vec<u8> {
    let mut body = Vec::new();
    object(&mut body, |o| {
        o.text("date", &date.to_string());
        for (key, station) in [("from", from), ("to", to)] {
            o.object(key, |o| {
                o.text("code", &station.code);
                o.text("name", &station.name);
            });
        }
        o.objects("trains", offers.iter(), |o, offer| {
            o.text("train", offer.train);
            o.text("date", &offer.date.to_string());
            o.number("from_index", offer.span.from());
            o.number("to_index", offer.span.to());
            time_field(o, "departs_at", offer.departs_at());
            time_field(o, "arrives_at", offer.arrives_at());
            o.objects("classes", offer.view.classes.iter(), class_fields);
        });
    });
    body
}

/// What a run offers on a journey; none where its stops do not make it: it was opened by another timetable.
async fn offer<'t, B: Backend>(
    edge: &Edge<B>,
    asked: &Asked<'_>,
    journey: &Journey<'t>,
) -> Result<Option<Offer<'t>>, Problem> {
    let (train, date) = (journey.run.train(), journey.run.date());
    let wanted = Span::new(journey.from_index, journey.to_index);
    let mut view = run_view(edge, asked, train, date, wanted).await?;
    let Some(span) = span_on(&view.run, journey) else { return Ok(None) };
    if wanted != Some(span) {
        // What was answered is of another stretch.
        view = run_view(edge, asked, train, date, Some(span)).await?;
    }
    Ok(Some(Offer { train, date, span, view }))
}

/// Where a run calls at the ends of a journey: there where the timetable has them, or else the shortest stretch.
fn span_on(run: &RunDefinition, journey: &Journey<'_>) -> Option<Span> {
    let mut stops = journey.run.stops();
    let from = stops.nth(usize::from(journey.from_index))?.station;
    let to = stops.nth(usize::from(journey.to_index - journey.from_index - 1))?.station;
    let is_at = |index: u16, station: &Station| {
        run.stops.get(usize::from(index)).is_some_and(|stop| *stop.code == *station.code)
    };
    if is_at(journey.from_index, from) && is_at(journey.to_index, to) {
        return Span::new(journey.from_index, journey.to_index);
    }
    let calls = |station| (0..=run.segments()).filter(move |index| is_at(*index, station));
    let spans = calls(to).filter_map(|to| Some((calls(from).rfind(|from| *from < to)?, to)));
    let (from, to) = spans.min_by_key(|(from, to)| to - from)?;
    Span::new(from, to)
}

pub(super) async fn train<B: Backend>(edge: &Edge<B>, asked: &Asked<'_>) -> Outcome {
    let train = decoded(asked.open[0])?;
    let date = date(&decoded(asked.open[1])?)?;
    let view = run_view(edge, asked, &train, date, None).await.map_err(|problem| {
        let is_other_date = problem.code == Code::TrainNotFound && edge.backend.timetable().has_train(&train);
        if is_other_date { date_not_found() } else { problem }
    })?;
    let mut body = Vec::new();
    object(&mut body, |o| {
        o.text("train", &train);
        o.text("date", &date.to_string());
        o.objects("stops", view.run.stops.iter().enumerate(), |o, (index, stop)| {
            o.number("index", index);
            o.text("code", &stop.code);
            o.text("name", &stop.name);
            time_field(o, "arrives_at", stop.arrives_at);
            time_field(o, "departs_at", stop.departs_at);
        });
        o.objects("classes", view.classes.iter(), |o, class| {
            class_fields(o, class);
            o.objects("coaches", class.coaches.iter(), |o, (coach, seats)| {
                o.text("coach", coach.as_str());
                o.number("seats", *seats);
            });
        });
    });
    Ok(Answer::json(body))
}

fn time_field(o: &mut Object<'_>, key: &str, time: Option<LocalTime>) {
    match time {
        Some(time) => o.local_time(key, time.unix_secs, time.offset_secs),
        None => o.null(key),
    }
}

fn class_fields(o: &mut Object<'_>, class: &ClassView) {
    o.text("class", class.partition.parts().map_or("", |(_, _, class)| class));
    o.text("partition_key", class.partition.as_str());
    o.number("capacity", class.capacity);
    o.number("available", class.available);
}

/// What the engine says about a run.
async fn run_view<B: Backend>(
    edge: &Edge<B>,
    asked: &Asked<'_>,
    train: &str,
    date: Date,
    span: Option<Span>,
) -> Result<RunView, Problem> {
    let date = Text::from(date.to_string().as_str());
    match edge.ask(asked, Command::Run(RunQuery { train: Text::from(train), date, span })).await? {
        Engine::Run(view) => Ok(view),
        _ => Err(Problem::internal()),
    }
}

fn needed<'q>(asked: &Asked<'q>, name: &str) -> Result<Cow<'q, str>, Problem> {
    let given = query::get(asked.query, name)?.filter(|text| !text.is_empty());
    given.ok_or_else(|| Problem::bad(Code::MissingField, "from, to and date are required"))
}

fn decoded(segment: &str) -> Result<Cow<'_, str>, Problem> {
    query::decode(segment, false).ok_or_else(train_not_found)
}

/// `YYYY-MM-DD`, and nothing else that could be read as a date.
fn date(text: &str) -> Result<Date, Problem> {
    let date = is_date(text).then(|| text.parse::<Date>().ok()).flatten();
    date.ok_or_else(|| Problem::bad(Code::InvalidDate, "invalid date"))
}

/// Whether any train runs by the timetable on days around that one.
fn on_sale(timetable: &Timetable, date: Date) -> Result<(), Problem> {
    match timetable.dates() {
        Some((first, last)) if (first..=last).contains(&date) => Ok(()),
        _ => Err(date_not_found()),
    }
}

fn station_not_found() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, Code::StationNotFound, "station not found")
}

fn train_not_found() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, Code::TrainNotFound, "train not found")
}

fn date_not_found() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, Code::DateNotFound, "date not found")
}
