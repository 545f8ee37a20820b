//! Stations and trains: stops and times from the timetable, seats from the engine.

use std::borrow::Cow;

use engine::Span;
use engine::answer::{Answer as Engine, RunView};
use engine::catalogue::RunDefinition;
use engine::command::{Command, RunQuery};
use engine::ids::is_date;
use engine::text::Text;
use timetable::{Date, Journey, Station, Timetable};

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
    offers.sort_by_key(|offer| offer.departs_at().map(|at| at.unix_secs));
    Ok(Answer::json(views::trains(date, timetable.station(from), timetable.station(to), &offers)))
}

/// The offer of a run for a journey; `None` where its stops do not make it: it was opened by another timetable.
async fn offer<'t, B: Backend>(
    app: &App<B>,
    cx: &RequestContext<'_>,
    journey: &Journey<'t>,
) -> Result<Option<TrainOffer<'t>>, Problem> {
    let (train, date) = (journey.run.train(), journey.run.date());
    let wanted = Span::new(journey.from_index, journey.to_index);
    let mut view = run_view(app, cx, train, date, wanted).await?;
    let Some(span) = span_on(&view.run, journey) else { return Ok(None) };
    if wanted != Some(span) {
        // The first answer is of another stretch.
        view = run_view(app, cx, train, date, Some(span)).await?;
    }
    Ok(Some(TrainOffer { train, date, span, view }))
}

/// The span of a run between the ends of a journey: the timetable's own, or else the shortest.
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

fn decoded(segment: &str) -> Result<Cow<'_, str>, Problem> {
    query::decode(segment, false).ok_or(Problem::TRAIN_NOT_FOUND)
}

/// `YYYY-MM-DD` and no other form of a date.
fn date(text: &str) -> Result<Date, Problem> {
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
