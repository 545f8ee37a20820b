//! Several futures of one task at a time.

use std::future::Future;
use std::pin::Pin;
use std::task::Poll;

/// Runs all to their ends; outputs in the futures' order.
pub(crate) async fn join_all<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut running: Vec<Option<Pin<Box<F>>>> = futures.into_iter().map(|f| Some(Box::pin(f))).collect();
    let mut outputs: Vec<Option<F::Output>> = running.iter().map(|_| None).collect();
    std::future::poll_fn(|cx| {
        for (future, output) in running.iter_mut().zip(&mut outputs) {
            let Some(polled) = future else { continue };
            if let Poll::Ready(done) = polled.as_mut().poll(cx) {
                *output = Some(done);
                *future = None;
            }
        }
        if running.iter().all(Option::is_none) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    outputs.into_iter().map(|output| output.expect("every future has ended")).collect()
}
