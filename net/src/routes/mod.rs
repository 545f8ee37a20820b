//! Route handlers: each reads its request, asks the engine and writes its answer.

mod batch;
mod health;
mod histories;
mod inventory;
mod listings;
mod near_misses;
mod orders;
mod payments;
mod purchases;
mod refunds;
mod trains;

use std::rc::Rc;

use crate::app::{App, RequestContext};
use crate::backend::Backend;
use crate::errors::Problem;
use crate::openapi;
use crate::reply::Outcome;
use crate::router::Route;

/// Calls the one function that a route has.
pub(crate) async fn answer<B: Backend>(app: &Rc<App<B>>, cx: &RequestContext<'_>, body: &[u8]) -> Outcome {
    let outcome = asked(app, cx, body).await;
    outcome.map_err(|problem| near_misses::explained(app, cx, body, problem))
}

async fn asked<B: Backend>(app: &Rc<App<B>>, cx: &RequestContext<'_>, body: &[u8]) -> Outcome {
    match cx.route {
        Route::TryHold => inventory::try_hold(app, cx, body).await,
        Route::ReleaseHold => inventory::release_hold(app, cx, body).await,
        Route::ConfirmHold => inventory::confirm_hold(app, cx, body).await,
        Route::Availability => inventory::availability(app, cx).await,
        Route::CreateOrder => orders::create(app, cx, body).await,
        Route::Reserve => orders::reserve(app, cx, body).await,
        Route::Cancel => orders::cancel(app, cx, body).await,
        Route::Purchase => purchases::purchase(app, cx, body).await,
        Route::GetOrder => orders::get(app, cx).await,
        Route::QueryOrder => orders::query(app, cx).await,
        Route::Pay => payments::callback(app, cx, body).await,
        // Rare, and long: kept out of the size of every request's future.
        Route::Batch => Box::pin(batch::batch(app, cx, body)).await,
        Route::Trains => Box::pin(trains::search(app, cx)).await,
        Route::Train => Box::pin(trains::train(app, cx)).await,
        Route::Orders => Box::pin(listings::orders(app, cx)).await,
        Route::ExportOrders => Box::pin(listings::export(app, cx)).await,
        Route::OrderHistory => Box::pin(histories::order(app, cx)).await,
        Route::RunHistory => Box::pin(histories::run(app, cx)).await,
        Route::Stations => trains::stations(app, cx),
        Route::Refunds => refunds::list(app, cx).await,
        Route::SettleRefund => refunds::settle(app, cx, body).await,
        Route::Healthz => health::healthz(),
        Route::Readyz => health::readyz(app, cx.service),
        Route::Metrics => health::metrics(app, cx.service),
        Route::WorkerStatus => health::worker(app),
        Route::OpenapiIndex => openapi::index(),
        Route::OpenapiDocument => openapi::document(cx.path[0]),
        Route::Unknown => Err(Problem::NOT_FOUND),
    }
}
