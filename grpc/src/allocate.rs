//! `AllocateSeat`: what is asked, and whom the engine is asked for it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::Span;
use engine::answer::{Answer, OrderStatus, OrderView, Rejection, Reply};
use engine::command::{AdHoc, Command, Request, SeatRequest};
use engine::ids::{HoldId, IdError, OrderId, OrderName, PartitionKey};
use engine::limits::TRACE_ID_BYTES_MAX;
use engine::read_model::{Question, Reading};
use engine::text::Text;
use tonic::metadata::MetadataMap;
use tonic::{Code, Response, Status};

use crate::Engine;
use crate::metrics::GrpcMetrics;
use crate::proto::seat_allocator_server::SeatAllocator;
use crate::proto::{AllocateSeatRequest, AllocateSeatResponse};
use crate::status;

/// An ad hoc partition that is opened here, as the system before had it.
const AD_HOC: AdHoc = AdHoc { capacity: 200, segments: 64 };
/// Between the parts of a partition key.
const BAR: char = '|';
/// The id of the trace that a call belongs to, as with HTTP.
const TRACE_ID: &str = "x-trace-id";

/// The service.
pub(crate) struct Allocator<E> {
    pub(crate) engine: Arc<E>,
    pub(crate) metrics: Arc<GrpcMetrics>,
    /// For the engine's answer.
    pub(crate) patience: Duration,
}

#[tonic::async_trait]
impl<E: Engine> SeatAllocator for Allocator<E> {
    async fn allocate_seat(
        &self,
        request: tonic::Request<AllocateSeatRequest>,
    ) -> Result<Response<AllocateSeatResponse>, Status> {
        let since = Instant::now();
        let trace = trace(request.metadata());
        let allocated = match Wanted::read(request.get_ref()) {
            Ok(wanted) => self.allocate_in_time(wanted, &trace).await,
            Err(status) => Err(status),
        };
        self.metrics.count(allocated.as_ref().map_or_else(Status::code, |_| Code::Ok), since.elapsed());
        let mut response = Response::new(AllocateSeatResponse { seat_no: allocated? });
        if let Ok(id) = trace.parse() {
            response.metadata_mut().insert(TRACE_ID, id);
        }
        Ok(response)
    }
}

impl<E: Engine> Allocator<E> {
    async fn allocate_in_time(&self, wanted: Wanted, trace: &str) -> Result<String, Status> {
        let allocated = tokio::time::timeout(self.patience, self.allocate(wanted, trace)).await;
        allocated
            .unwrap_or_else(|_| Err(Status::deadline_exceeded("nobody knows what became of it, repeat it")))
    }

    async fn allocate(&self, wanted: Wanted, trace: &str) -> Result<String, Status> {
        if let Some(order) = wanted.order
            && let Some(view) = self.find(order, trace).await?
        {
            return seats_of(&view);
        }
        match self.ask(Command::Allocate(wanted.seats), trace).await? {
            Ok(Answer::Partition(view)) => Ok(joined(&view.hold.seats)),
            Ok(_) => Err(Status::internal("internal error")),
            Err(rejection) => Err(status::of(rejection)),
        }
    }

    /// An order as it is: the engine's, or the read model's of one that has left.
    async fn find(&self, order: OrderId, trace: &str) -> Result<Option<Box<OrderView>>, Status> {
        match self.ask(Command::GetOrder { order }, trace).await? {
            Ok(Answer::Order(view)) => return Ok(Some(view)),
            Ok(_) => return Err(Status::internal("internal error")),
            Err(Rejection::OrderNotFound) => {}
            Err(rejection) => return Err(status::of(rejection)),
        }
        match self.engine.read(Question::Order(order)).await {
            Some(Ok(Reading::Order(found))) => Ok(found),
            Some(Ok(_)) => Err(Status::internal("internal error")),
            Some(Err(unavailable)) => {
                Err(Status::unavailable(format!("the read model is down: {}", unavailable.reason)))
            }
            None => Err(status::of(Rejection::Stopping)),
        }
    }

    async fn ask(&self, command: Command, trace: &str) -> Result<Reply, Status> {
        let request = Request { command, trace: Text::from(trace) };
        self.engine.call(request).await.ok_or_else(|| status::of(Rejection::Stopping))
    }
}

/// A request, read.
#[derive(Debug)]
struct Wanted {
    /// The id is one that the engine gives to orders.
    order: Option<OrderId>,
    seats: SeatRequest,
}

impl Wanted {
    fn read(request: &AllocateSeatRequest) -> Result<Wanted, Status> {
        let AllocateSeatRequest { order_id, train_id, travel_date, coach_type, from_index, to_index } =
            request;
        let parts = [("train_id", train_id), ("travel_date", travel_date), ("coach_type", coach_type)];
        for (field, part) in parts {
            if part.is_empty() {
                return Err(refused(field, "is required"));
            }
            if part.contains(BAR) {
                return Err(refused(field, "has a bar, which stands between the parts of a partition key"));
            }
        }
        let key = format!("{train_id}{BAR}{travel_date}{BAR}{coach_type}");
        let partition =
            PartitionKey::parse(&key).map_err(|error| invalid("train_id, travel_date, coach_type", error))?;
        OrderName::parse(order_id).map_err(|error| invalid("order_id", error))?;
        let hold = HoldId::parse(order_id).map_err(|error| invalid("order_id", error))?;
        let stop = |field, index: u32| {
            u16::try_from(index).map_err(|_| refused(field, "is beyond the last stop of any run"))
        };
        let span = Span::new(stop("from_index", *from_index)?, stop("to_index", *to_index)?);
        let span = span.ok_or_else(|| refused("from_index", "must be before to_index"))?;
        let seats = SeatRequest { partition, hold, quantity: 1, span: Some(span), ad_hoc: AD_HOC };
        Ok(Wanted { order: OrderId::parse(order_id), seats })
    }
}

fn invalid(field: &str, error: IdError) -> Status {
    refused(field, &error.to_string())
}

fn refused(field: &str, why: &str) -> Status {
    Status::invalid_argument(format!("{field} {why}"))
}

/// Whatever it asked for: an order that has seats is answered with them.
fn seats_of(order: &OrderView) -> Result<String, Status> {
    let why = match (order.status, &order.reservation) {
        (OrderStatus::Reserved | OrderStatus::Paid | OrderStatus::Ticketed, Some(reservation)) => {
            return Ok(joined(&reservation.seats));
        }
        (OrderStatus::Cancelled, _) => "the order is cancelled",
        _ => "the order has no seats: it is not reserved",
    };
    Err(Status::failed_precondition(why))
}

fn joined(seats: &[Text]) -> String {
    seats.iter().map(Text::as_str).collect::<Vec<_>>().join(",")
}

/// The caller's own id, or a fresh one.
fn trace(metadata: &MetadataMap) -> String {
    let given = metadata.get(TRACE_ID).and_then(|value| value.to_str().ok());
    match given.filter(|id| !id.is_empty() && id.len() <= TRACE_ID_BYTES_MAX) {
        Some(id) => id.to_owned(),
        None => {
            let mut bytes = [0; 16];
            let read = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
            assert_eq!(read, Ok(bytes.len()), "the system has random bits once it has started");
            uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
        }
    }
}
