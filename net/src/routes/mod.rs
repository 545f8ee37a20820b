//! What each route does: reads its request, asks the engine, writes its answer.

mod health;
mod inventory;
mod orders;
mod payments;
mod refunds;
mod trains;

use crate::backend::Backend;
use crate::edge::Edge;
use crate::errors::Problem;
use crate::handle::Asked;
use crate::openapi;
use crate::reply::Answer;
use crate::router::Route;

/// A route's answer, or why there is none.
pub(crate) type Outcome = Result<Answer, Problem>;

pub(crate) async fn answer<B: Backend>(edge: &Edge<B>, asked: &Asked<'_>, body: &[u8]) -> Outcome {
    match asked.route {
        Route::TryHold => inventory::try_hold(edge, asked, body).await,
        Route::ReleaseHold | Route::ConfirmHold => inventory::end_hold(edge, asked, body).await,
        Route::Availability => inventory::availability(edge, asked).await,
        Route::CreateOrder => orders::create(edge, asked, body).await,
        Route::Reserve => orders::reserve(edge, asked, body).await,
        Route::Cancel => orders::cancel(edge, asked, body).await,
        Route::GetOrder | Route::QueryOrder => orders::get(edge, asked).await,
        Route::Pay => payments::callback(edge, asked, body).await,
        // Rare, and long: kept out of the size of every request's future.
        Route::Trains => Box::pin(trains::search(edge, asked)).await,
        Route::Train => Box::pin(trains::train(edge, asked)).await,
        Route::Stations => trains::stations(edge, asked),
        Route::Refunds => refunds::list(edge, asked).await,
        Route::SettleRefund => refunds::settle(edge, asked, body).await,
        Route::Healthz => health::healthz(),
        Route::Readyz => health::readyz(edge, asked.service),
        Route::Metrics => health::metrics(edge, asked.service),
        Route::WorkerStatus => health::worker(edge),
        Route::OpenapiIndex => openapi::index(),
        Route::OpenapiDocument => openapi::document(asked.open[0]),
        Route::Unknown => Err(Problem::not_found()),
    }
}
