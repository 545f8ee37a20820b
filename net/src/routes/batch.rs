//! Many operations in one request, each with its own result.

use std::rc::Rc;

use engine::answer::{Rejection, Reply};
use engine::command::{Command, Request};
use hyper::StatusCode;

use super::{inventory, orders, payments, purchases};
use crate::app::{App, RequestContext};
use crate::backend::Backend;
use crate::batch::answer::Results;
use crate::batch::{envelope, order};
use crate::errors::Problem;
use crate::join::join_all;
use crate::limits::{BATCH_ANSWER_BYTES_MAX, BATCH_LOOKUPS_AT_ONCE, BATCH_PIECE};
use crate::reply::{Answer, Outcome, Payload};
use crate::router::Route;
use crate::runtime::Breather;

/// An operation that was read.
struct Operation<'b> {
    written: &'b str,
    route: Route,
    /// Until it is begun.
    command: Option<Command>,
}

pub(super) async fn batch<B: Backend>(app: &Rc<App<B>>, cx: &RequestContext<'_>, body: &[u8]) -> Outcome {
    let written = envelope::operations(body)?;
    let mut results = Results::new(written.len());
    let breather = Breather::new();
    let mut operations = Vec::with_capacity(written.len());
    for (nth, written) in written.into_iter().enumerate() {
        if nth % BATCH_PIECE == BATCH_PIECE - 1 {
            breather.breathe().await;
        }
        let read = read(app, written);
        if let Err(problem) = &read {
            results.put(nth, Err(problem));
        }
        operations.push(read.ok());
    }
    let levels = order::levels(operations.iter().map(|operation| operation.as_ref()?.command.as_ref()));
    let mut order: Vec<usize> = (0..operations.len()).filter(|nth| operations[*nth].is_some()).collect();
    order.sort_by_key(|nth| levels[*nth]);
    let seats = |operation: &Option<Operation<'_>>| operation.as_ref()?.command.as_ref().map(order::seats);
    let seats: Vec<u32> = operations.iter().map(|operation| seats(operation).unwrap_or(0)).collect();
    for level in order.chunk_by(|a, b| levels[*a] == levels[*b]) {
        for wave in order::waves(level, |nth| seats[nth]) {
            run(app, cx, &breather, &mut operations, wave, &mut results).await;
        }
    }
    Ok(Answer::json(results.whole()))
}

fn read<'b, B: Backend>(app: &App<B>, written: &'b str) -> Result<Operation<'b>, Problem> {
    let (route, body) = (envelope::route(written)?, written.as_bytes());
    let command = match route {
        Route::TryHold => inventory::read_try_hold(app, body)?,
        Route::ConfirmHold => Command::ConfirmHold(inventory::read_hold(body)?),
        Route::ReleaseHold => Command::ReleaseHold(inventory::read_hold(body)?),
        Route::CreateOrder => orders::read_create(app, body)?,
        Route::Reserve => Command::Reserve(orders::read_reserve(app, body)?),
        Route::Cancel => Command::Cancel(orders::read_cancel(body)?),
        Route::Pay => Command::Pay(payments::read_callback(app, body)?),
        Route::Purchase => purchases::read_purchase(app, body)?,
        _ => return Err(Problem::INTERNAL),
    };
    Ok(Operation { written, route, command: Some(command) })
}

/// Operations at once: each has its result in the end.
async fn run<B: Backend>(
    app: &Rc<App<B>>,
    cx: &RequestContext<'_>,
    breather: &Breather,
    operations: &mut [Option<Operation<'_>>],
    wave: &[usize],
    results: &mut Results,
) {
    // An answer that grows beyond all bounds ends here: nothing of the rest is done.
    if results.bytes() > BATCH_ANSWER_BYTES_MAX || cx.connection.is_out_of_time() {
        wave.iter().for_each(|nth| results.put(*nth, Err(&Problem::NOT_BEGUN)));
        return;
    }
    let trace = cx.ids.trace_for_records();
    let request = |nth: &usize| {
        let command = operations[*nth].as_mut().and_then(|operation| operation.command.take());
        Box::new(Request { command: command.expect("each is begun once"), trace: trace.clone() })
    };
    let requests = wave.iter().map(request).collect();
    let mut left = Vec::new();
    for (i, (nth, call)) in wave.iter().zip(app.backend.call_batch(requests)).enumerate() {
        if i % BATCH_PIECE == BATCH_PIECE - 1 {
            breather.breathe().await;
        }
        let operation = operations[*nth].as_ref().expect("it was begun");
        let spec = operation.route.spec();
        match cx.connection.in_time(call).await {
            Ok(Ok(answer)) => results.put(*nth, Ok(&answer)),
            Ok(reply) if may_have_left(operation.route, &reply) => left.push((*nth, operation)),
            Ok(Err(rejection)) => results.put(*nth, Err(&spec.rejected(rejection))),
            Err(_) => results.put(*nth, Err(&spec.unanswered())),
        }
    }
    for some in left.chunks(BATCH_LOOKUPS_AT_ONCE) {
        let alone = some.iter().map(|(nth, operation)| alone(app, cx, *nth, operation)).collect();
        for (nth, status, body) in join_all(alone).await {
            results.put_written(nth, status, &body);
        }
    }
}

/// The engine does not have its order: the read model is asked, as for one that comes alone.
fn may_have_left(route: Route, reply: &Reply) -> bool {
    match route {
        Route::Pay => matches!(reply, Err(Rejection::OrderNotHere(_))),
        Route::Reserve | Route::Cancel => matches!(reply, Err(Rejection::OrderNotFound)),
        _ => false,
    }
}

/// An operation that is done by its own route. Nothing was done about it before.
async fn alone<B: Backend>(
    app: &Rc<App<B>>,
    cx: &RequestContext<'_>,
    nth: usize,
    operation: &Operation<'_>,
) -> (usize, StatusCode, Vec<u8>) {
    let cx = RequestContext { route: operation.route, ..*cx };
    let answer = Box::pin(super::answer(app, &cx, operation.written.as_bytes())).await;
    let Answer { status, body, .. } = answer.unwrap_or_else(Answer::from);
    match body {
        Payload::Whole(body) => (nth, status, body.into_owned()),
        Payload::Streamed(_) => unreachable!("no operation is an export"),
    }
}

#[cfg(test)]
mod tests {
    use engine::answer::{Answer as EngineAnswer, HoldStatus, HoldView, PartitionView};
    use engine::ids::{HoldId, PartitionKey, Time};
    use engine::text::Text;

    use super::*;

    /// Allocations of reading so many operations and of writing as many results.
    fn allocations(operations: usize) -> [u64; 2] {
        let one = r#"{"op":"release","partition_key":"G1|2026-02-11|2nd","hold_id":"h-12345"}"#;
        let body = format!(r#"{{"operations":[{}]}}"#, vec![one; operations].join(","));
        let read = allocation_counter::measure(|| {
            for written in envelope::operations(body.as_bytes()).unwrap() {
                assert_eq!(envelope::route(written), Ok(Route::ReleaseHold));
                assert!(inventory::read_hold(written.as_bytes()).is_ok());
            }
        });
        let answer = EngineAnswer::Partition(Box::new(PartitionView {
            partition: PartitionKey::parse("G1|2026-02-11|2nd").unwrap(),
            capacity: 100,
            available: 99,
            confirmed: 0,
            last_seq: 7,
            hold: HoldView {
                hold: HoldId::parse("h-12345").unwrap(),
                quantity: 1,
                status: HoldStatus::Held,
                seats: vec![Text::from("05-12A")],
                expires_at: Time(0),
            },
        }));
        let written = allocation_counter::measure(|| {
            let mut results = Results::new(operations);
            (0..operations).for_each(|nth| results.put(nth, Ok(&answer)));
            drop(results.whole());
        });
        [read.count_total, written.count_total]
    }

    /// Vectors grow by doubling: four times as many operations are a few allocations more.
    #[test]
    fn no_operation_is_an_allocation() {
        let (few, many) = (allocations(256), allocations(1_024));
        for (few, many) in few.into_iter().zip(many) {
            assert!(few < 30 && many <= few + 4, "{few} for 256 operations, {many} for 1,024");
        }
    }
}
