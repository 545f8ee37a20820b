//! Stations and trains: from the timetable, and what is left to sell from the engine.

use std::borrow::Cow;

use engine::Span;
use engine::answer::{Answer as Engine, ClassView, RunView};
use engine::catalogue::{LocalTime, RunDefinition};
use engine::command::{Command, RunQuery};
use engine::text::Text;
use hyper::StatusCode;
use timetable::{Date, Journey, Run, Station, Timetable};

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

/// One train of a search, as it is shown.
struct Offer<'t> {
    train: &'t str,
    /// The run's own: the day before, for whoever boards a night train after midnight.
    date: Date,
    from: u16,
    to: u16,
    departs_at: LocalTime,
    arrives_at: LocalTime,
    classes: Vec<ClassOffer>,
}

/// One class of a run.
struct ClassOffer {
    class: String,
    partition: String,
    capacity: u32,
    available: u32,
    coaches: Vec<(String, u32)>,
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
    offers.sort_by_key(|offer| offer.departs_at.unix_secs);
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
            o.number("from_index", offer.from);
            o.number("to_index", offer.to);
            o.local_time("departs_at", offer.departs_at.unix_secs, offer.departs_at.offset_secs);
            o.local_time("arrives_at", offer.arrives_at.unix_secs, offer.arrives_at.offset_secs);
            o.objects("classes", offer.classes.iter(), class_fields);
        });
    });
    body
}

/// What a run offers on a journey; none where it was opened with stops that do not make it.
async fn offer<'t, B: Backend>(
    edge: &Edge<B>,
    asked: &Asked<'_>,
    journey: &Journey<'t>,
) -> Result<Option<Offer<'t>>, Problem> {
    let run = journey.run;
    let span = Span::new(journey.from_index, journey.to_index);
    let mut view = run_view(edge, asked, run.train(), run.date(), span).await?;
    let Some(definition) = view.definition.clone() else {
        return Ok(Some(Offer {
            train: run.train(),
            date: run.date(),
            from: journey.from_index,
            to: journey.to_index,
            departs_at: local(journey.departs_at),
            arrives_at: local(journey.arrives_at),
            classes: classes(edge, &run, &view),
        }));
    };
    let Some(opened) = opened_span(&definition, journey) else { return Ok(None) };
    if span != Some(opened) {
        // Opened with other stops than the feed has now: what was answered is of another stretch.
        view = run_view(edge, asked, run.train(), run.date(), Some(opened)).await?;
    }
    let stop = |index: u16| &definition.stops[usize::from(index)];
    Ok(Some(Offer {
        train: run.train(),
        date: run.date(),
        from: opened.from(),
        to: opened.to(),
        departs_at: stop(opened.from()).departs_at.unwrap_or_else(|| local(journey.departs_at)),
        arrives_at: stop(opened.to()).arrives_at.unwrap_or_else(|| local(journey.arrives_at)),
        classes: classes(edge, &run, &view),
    }))
}

/// Where an opened run calls at the ends of a journey: the later `from` and the earlier `to` that fit.
fn opened_span(definition: &RunDefinition, journey: &Journey<'_>) -> Option<Span> {
    let mut stops = journey.run.stops();
    let from = stops.nth(usize::from(journey.from_index))?.station;
    let to = stops.nth(usize::from(journey.to_index - journey.from_index - 1))?.station;
    let calls = |station: &Station| {
        let code = station.code.to_string();
        let called = definition.stops.iter().enumerate().filter(move |(_, stop)| stop.code == code);
        called.filter_map(|(index, _)| u16::try_from(index).ok())
    };
    let spans = calls(to).filter_map(|to| Some((calls(from).rfind(|from| *from < to)?, to)));
    let (from, to) = spans.min_by_key(|(from, to)| to - from)?;
    Span::new(from, to)
}

pub(super) async fn train<B: Backend>(edge: &Edge<B>, asked: &Asked<'_>) -> Outcome {
    let timetable = edge.backend.timetable();
    let train = decoded(asked.open[0])?;
    let date = date(&decoded(asked.open[1])?)?;
    let run = timetable.run(&train, date);
    let view = run_view(edge, asked, &train, date, None).await?;
    if run.is_none() && view.definition.is_none() {
        return Err(if timetable.has_train(&train) { date_not_found() } else { train_not_found() });
    }
    let mut body = Vec::new();
    object(&mut body, |o| {
        o.text("train", &train);
        o.text("date", &date.to_string());
        match (&view.definition, &run) {
            (Some(definition), _) => {
                o.objects("stops", definition.stops.iter().enumerate(), |o, (index, stop)| {
                    stop_fields(o, index, &stop.code, &stop.name, stop.arrives_at, stop.departs_at);
                });
            }
            (None, Some(run)) => o.objects("stops", run.stops(), |o, stop| {
                let (arrives, departs) = (Some(local(stop.arrives_at)), Some(local(stop.departs_at)));
                let station = stop.station;
                stop_fields(o, usize::from(stop.index), &station.code, &station.name, arrives, departs);
            }),
            (None, None) => unreachable!("refused above"),
        }
        let classes = run.map_or_else(|| opened_classes(&view), |run| classes(edge, &run, &view));
        o.objects("classes", classes.iter(), |o, class| {
            class_fields(o, class);
            o.objects("coaches", class.coaches.iter(), |o, (coach, seats)| {
                o.text("coach", coach);
                o.number("seats", *seats);
            });
        });
    });
    Ok(Answer::json(body))
}

fn stop_fields(
    o: &mut Object<'_>,
    index: usize,
    code: &str,
    name: &str,
    arrives: Option<LocalTime>,
    departs: Option<LocalTime>,
) {
    o.number("index", index);
    o.text("code", code);
    o.text("name", name);
    for (key, time) in [("arrives_at", arrives), ("departs_at", departs)] {
        match time {
            Some(time) => o.local_time(key, time.unix_secs, time.offset_secs),
            None => o.null(key),
        }
    }
}

fn class_fields(o: &mut Object<'_>, class: &ClassOffer) {
    o.text("class", &class.class);
    o.text("partition_key", &class.partition);
    o.number("capacity", class.capacity);
    o.number("available", class.available);
}

/// The classes that the timetable has, then those that were opened before it changed. Nothing is free in one that cannot be
/// opened any more.
fn classes<B: Backend>(edge: &Edge<B>, run: &Run<'_>, view: &RunView) -> Vec<ClassOffer> {
    // An open run ends when it was opened to end.
    let opened = view.definition.as_ref().and_then(|definition| i64::try_from(definition.ends_at.0).ok());
    let has_departed = edge.backend.has_departed(opened.unwrap_or_else(|| run.ends_ms()));
    let key = format!("{}|{}", run.train(), run.date());
    let mut classes: Vec<ClassOffer> = Vec::with_capacity(run.classes().len());
    for class in run.classes() {
        let partition = format!("{key}|{}", class.name);
        let opened = view.classes.iter().find(|view| view.partition.as_str() == partition);
        classes.push(opened.map_or_else(
            || ClassOffer {
                class: class.name.to_string(),
                partition,
                capacity: class.seats,
                available: if has_departed { 0 } else { class.seats },
                coaches: class.layout.coaches().map(|(coach, seats)| (coach.into_owned(), seats)).collect(),
            },
            opened_class,
        ));
    }
    let gone =
        view.classes.iter().filter(|view| run.classes().iter().all(|class| *class.name != *class_of(view)));
    classes.extend(gone.map(opened_class).collect::<Vec<_>>());
    classes
}

fn opened_classes(view: &RunView) -> Vec<ClassOffer> {
    view.classes.iter().map(opened_class).collect()
}

fn opened_class(view: &ClassView) -> ClassOffer {
    ClassOffer {
        class: class_of(view).to_owned(),
        partition: view.partition.to_string(),
        capacity: view.capacity,
        available: view.available,
        coaches: view.coaches.iter().map(|(coach, seats)| (coach.as_str().to_owned(), *seats)).collect(),
    }
}

fn class_of(view: &ClassView) -> &str {
    view.partition.parts().map_or("", |(_, _, class)| class)
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
    let shaped = text.len() == 10
        && text
            .bytes()
            .enumerate()
            .all(|(i, b)| if matches!(i, 4 | 7) { b == b'-' } else { b.is_ascii_digit() });
    let date = shaped.then(|| text.parse::<Date>().ok()).flatten();
    date.ok_or_else(|| Problem::bad(Code::InvalidDate, "invalid date"))
}

/// Whether any train runs by the timetable on days around that one.
fn on_sale(timetable: &Timetable, date: Date) -> Result<(), Problem> {
    match timetable.dates() {
        Some((first, last)) if (first..=last).contains(&date) => Ok(()),
        _ => Err(date_not_found()),
    }
}

fn local(time: timetable::LocalTime) -> LocalTime {
    LocalTime { unix_secs: time.unix_secs(), offset_secs: time.offset_secs() }
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
