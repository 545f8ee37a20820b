//! Stations and trains: stops and times from the timetable, seats from the engine.

use std::borrow::Cow;

use engine::Span;
use engine::answer::{Answer as Engine, RunView};
use engine::catalogue::{LocalTime, RunDefinition, Stop};
use engine::command::{Command, RunQuery};
use engine::ids::is_date;
use engine::text::Text;
use timetable::{Date, Journey, Station, Timetable};

use crate::app::{App, RequestContext};
use crate::backend::Backend;
use crate::errors::Problem;
use crate::fields;
use crate::join::join_all;
use crate::json::time::write_local;
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
    let search = Search { from: timetable.station(from), to: timetable.station(to), date };
    let mut offers = Vec::with_capacity(journeys.len());
    for journeys in journeys.chunks(RUNS_AT_ONCE) {
        let asked_for = journeys.iter().map(|journey| offer(app, cx, &search, journey)).collect();
        for offer in join_all(asked_for).await {
            offers.extend(offer?);
        }
    }
    // An opened run keeps the times that it was opened with.
    offers.sort_by_key(|offer| offer.departs_at().map(|at| at.unix_secs));
    Ok(Answer::json(views::trains(date, search.from, search.to, &offers)))
}

/// A search, as it is asked for.
struct Search<'t> {
    from: &'t Station,
    to: &'t Station,
    date: Date,
}

/// The offer of a run for a journey; `None` where it was opened by another timetable and its stops do not make the journey on that day.
async fn offer<'t, B: Backend>(
    app: &App<B>,
    cx: &RequestContext<'_>,
    search: &Search<'_>,
    journey: &Journey<'t>,
) -> Result<Option<TrainOffer<'t>>, Problem> {
    let (train, date) = (journey.run.train(), journey.run.date());
    let wanted = Span::new(journey.from_index, journey.to_index);
    let mut view = run_view(app, cx, train, date, wanted).await?;
    let Some(span) = span_on(&view.run, search) else { return Ok(None) };
    if wanted != Some(span) {
        // The first answer is of another stretch.
        view = run_view(app, cx, train, date, Some(span)).await?;
    }
    Ok(Some(TrainOffer { train, date, span, view }))
}

/// The span of a run as it was opened, by the rule of the timetable's own searches.
fn span_on(run: &RunDefinition, search: &Search<'_>) -> Option<Span> {
    let ends = |stop: &Stop| {
        (stop.board && *stop.code == *search.from.code, stop.alight && *stop.code == *search.to.code)
    };
    let (from, to) = timetable::journey_stops(run.stops.iter().map(ends))?;
    let departs_at = run.stops[usize::from(from)].departs_at;
    departs_at.is_none_or(|at| is_on(at, search.date)).then(|| Span::new(from, to))?
}

/// The civil day of the moment, as answers show it.
fn is_on(time: LocalTime, date: Date) -> bool {
    let mut shown = Vec::new();
    write_local(&mut shown, time.unix_secs, time.offset_secs);
    shown.starts_with(date.to_string().as_bytes())
}

pub(super) async fn train<B: Backend>(app: &App<B>, cx: &RequestContext<'_>) -> Outcome {
    let train = decoded(cx.path[0])?;
    let date = date(&decoded(cx.path[1])?)?;
    let view = run_view(app, cx, &train, date, None).await.map_err(|problem| {
        let is_other_date = problem == Problem::TRAIN_NOT_FOUND && app.backend.timetable().has_train(&train);
        if is_other_date { Problem::DATE_NOT_FOUND } else { problem }
    })?;
    Ok(Answer::json(views::train(&train, date, &view)))
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

pub(super) fn decoded(segment: &str) -> Result<Cow<'_, str>, Problem> {
    query::decode(segment, false).ok_or(Problem::TRAIN_NOT_FOUND)
}

/// `YYYY-MM-DD` and no other form of a date.
pub(super) fn date(text: &str) -> Result<Date, Problem> {
    let date = is_date(text).then(|| text.parse::<Date>().ok()).flatten();
    date.ok_or(Problem::INVALID_DATE)
}

/// Refuses a date outside the days for which the timetable has trains.
fn on_sale(timetable: &Timetable, date: Date) -> Result<(), Problem> {
    match timetable.dates() {
        Some((first, last)) if (first..=last).contains(&date) => Ok(()),
        _ => Err(Problem::DATE_NOT_FOUND),
    }
}
