//! Stations and trains: stops and times from the timetable, seats from the engine.

use std::borrow::Cow;

use engine::Span;
use engine::answer::{Answer as Engine, ClassView, RunView};
use engine::catalogue::{LocalTime, RunDefinition, Stop};
use engine::command::{Command, RunQuery};
use engine::ids::PartitionKey;
use engine::text::Text;
use timetable::{Date, Journey, Run, Station, Timetable};

use crate::app::{App, RequestContext};
use crate::backend::Backend;
use crate::errors::Problem;
use crate::fields;
use crate::join::join_all;
use crate::json::views::{self, TrainOffer};
use crate::limits::{RUNS_AT_ONCE, STATIONS_PAGE_DEFAULT, STATIONS_PAGE_MAX};
use crate::query;
use crate::reply::{Answer, Outcome};

pub(super) fn stations<B: Backend>(app: &App<B>, cx: &RequestContext<'_>) -> Outcome {
    let text = query::get(cx.query, "q")?.unwrap_or_default();
    let after = query::get(cx.query, "after")?;
    let limit = fields::limit(cx.query, STATIONS_PAGE_DEFAULT, STATIONS_PAGE_MAX)?;
    let timetable = app.backend.timetable();
    // One more than is shown tells whether there is more.
    let found = timetable.stations(&text, after.as_deref(), limit + 1);
    let page = &found[..found.len().min(limit)];
    let next = page.last().filter(|_| found.len() > limit);
    Ok(Answer::json(views::stations(page, next.copied())))
}

pub(super) async fn search<B: Backend>(app: &App<B>, cx: &RequestContext<'_>) -> Outcome {
    let timetable = app.backend.timetable();
    let (from, to) = (needed(cx, "from")?, needed(cx, "to")?);
    let date = date(&needed(cx, "date")?)?;
    let station = |text: &str| timetable.find_station(text).ok_or(Problem::STATION_NOT_FOUND);
    let (from, to) = (station(&from)?, station(&to)?);
    let journeys = timetable.journeys(from, to, date);
    if journeys.is_empty() {
        on_sale(&timetable, date)?;
    }
    let mut offers = Vec::with_capacity(journeys.len());
    for journeys in journeys.chunks(RUNS_AT_ONCE) {
        let asked_for = journeys.iter().map(|journey| offer(app, cx, journey)).collect();
        for offer in join_all(asked_for).await {
            offers.extend(offer?);
        }
    }
    // An opened run keeps the times that it was opened with.
    offers.sort_by_key(|offer| offer.departs_at.unix_secs);
    Ok(Answer::json(views::trains(date, timetable.station(from), timetable.station(to), &offers)))
}

/// The offer of a run for a journey; `None` if the run was opened with stops that do not make it.
async fn offer<'t, B: Backend>(
    app: &App<B>,
    cx: &RequestContext<'_>,
    journey: &Journey<'t>,
) -> Result<Option<TrainOffer<'t>>, Problem> {
    let run = journey.run;
    let Some(mut span) = Span::new(journey.from_index, journey.to_index) else { return Ok(None) };
    let (mut departs_at, mut arrives_at) = (local(journey.departs_at), local(journey.arrives_at));
    let mut view = run_view(app, cx, run.train(), run.date(), Some(span)).await?;
    if let Some(definition) = view.definition.clone() {
        let Some(opened) = opened_span(&definition, journey) else { return Ok(None) };
        if opened != span {
            // Opened with other stops than the feed has now: the first answer is of another stretch.
            view = run_view(app, cx, run.train(), run.date(), Some(opened)).await?;
        }
        let stop = |index: u16| &definition.stops[usize::from(index)];
        departs_at = stop(opened.from()).departs_at.unwrap_or(departs_at);
        arrives_at = stop(opened.to()).arrives_at.unwrap_or(arrives_at);
        span = opened;
    }
    let (train, date, classes) = (run.train(), run.date(), classes(app, &run, view));
    Ok(Some(TrainOffer { train, date, span, departs_at, arrives_at, classes }))
}

/// The shortest span of an opened run from a call at the one end of a journey to a call at the other.
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

pub(super) async fn train<B: Backend>(app: &App<B>, cx: &RequestContext<'_>) -> Outcome {
    let timetable = app.backend.timetable();
    let train = decoded(cx.path[0])?;
    let date = date(&decoded(cx.path[1])?)?;
    let run = timetable.run(&train, date);
    let view = run_view(app, cx, &train, date, None).await?;
    let stops: Vec<Stop> = match (&view.definition, &run) {
        (Some(definition), _) => definition.stops.clone(),
        (None, Some(run)) => run.stops().map(timetable_stop).collect(),
        (None, None) if timetable.has_train(&train) => return Err(Problem::DATE_NOT_FOUND),
        (None, None) => return Err(Problem::TRAIN_NOT_FOUND),
    };
    let classes = match &run {
        Some(run) => classes(app, run, view),
        None => view.classes,
    };
    Ok(Answer::json(views::train(&train, date, &stops, &classes)))
}

/// All classes of a run: those of the timetable, each as the engine has it if it was opened, then those that were opened
/// before the timetable changed. The one place where the two are merged.
fn classes<B: Backend>(app: &App<B>, run: &Run<'_>, view: RunView) -> Vec<ClassView> {
    // An open run ends when it was opened to end.
    let opened_end = view.definition.as_ref().and_then(|definition| i64::try_from(definition.ends_at.0).ok());
    let has_departed = app.backend.has_departed(opened_end.unwrap_or_else(|| run.ends_ms()));
    let key = format!("{}|{}", run.train(), run.date());
    let mut opened = view.classes;
    let of_timetable = run.classes().iter().map(|class| {
        let partition = format!("{key}|{}", class.name);
        match opened.iter().position(|view| view.partition.as_str() == partition) {
            Some(place) => opened.remove(place),
            None => ClassView {
                partition: PartitionKey::parse(&partition).expect("the timetable's names make good keys"),
                capacity: class.seats,
                // Nothing is free in a class that cannot be opened any more.
                available: if has_departed { 0 } else { class.seats },
                coaches: class.layout.coaches().map(|(coach, seats)| (Text::from(&*coach), seats)).collect(),
            },
        }
    });
    let mut classes: Vec<ClassView> = of_timetable.collect();
    classes.append(&mut opened);
    classes
}

/// The engine's view of a run.
async fn run_view<B: Backend>(
    app: &App<B>,
    cx: &RequestContext<'_>,
    train: &str,
    date: Date,
    span: Option<Span>,
) -> Result<RunView, Problem> {
    let date = Text::from(date.to_string().as_str());
    match app.ask(cx, Command::Run(RunQuery { train: Text::from(train), date, span })).await? {
        Engine::Run(view) => Ok(view),
        _ => Err(Problem::INTERNAL),
    }
}

fn needed<'q>(cx: &RequestContext<'q>, name: &str) -> Result<Cow<'q, str>, Problem> {
    let given = query::get(cx.query, name)?.filter(|text| !text.is_empty());
    given.ok_or(Problem::MISSING_SEARCH)
}

fn decoded(segment: &str) -> Result<Cow<'_, str>, Problem> {
    query::decode(segment, false).ok_or(Problem::TRAIN_NOT_FOUND)
}

/// `YYYY-MM-DD` and no other form of a date.
fn date(text: &str) -> Result<Date, Problem> {
    let date = text.parse::<Date>().ok().filter(|date| date.year() >= 0 && date.to_string() == text);
    date.ok_or(Problem::INVALID_DATE)
}

/// Refuses a date outside the days for which the timetable has trains.
fn on_sale(timetable: &Timetable, date: Date) -> Result<(), Problem> {
    match timetable.dates() {
        Some((first, last)) if (first..=last).contains(&date) => Ok(()),
        _ => Err(Problem::DATE_NOT_FOUND),
    }
}

fn timetable_stop(stop: timetable::Stop<'_>) -> Stop {
    Stop {
        code: stop.station.code.to_string(),
        name: stop.station.name.to_string(),
        arrives_at: Some(local(stop.arrives_at)),
        departs_at: Some(local(stop.departs_at)),
    }
}

fn local(time: timetable::LocalTime) -> LocalTime {
    LocalTime { unix_secs: time.unix_secs(), offset_secs: time.offset_secs() }
}
