//! Workloads: what clients ask for, one file each.
//!
//! An arrival is one request or several that follow from each other's answers. Ids carry the number of the run and of the thread, so
//! that nobody ever asked for them before, unless a workload repeats one on purpose.

mod batched_orders;
mod many_queries;
mod orders;
mod sale_opening;
mod steady_day;

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use crate::demand::{Demand, Wish};
use crate::load::Kind;

/// The request that was just written.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Kind of the request if it is answered with 200.
    pub kind: Kind,
    /// Of the workload: where in the arrival this is.
    pub stage: u32,
    /// Of the workload: what the arrival is about.
    pub id: Id,
    pub wish: Wish,
    pub order: [u8; ORDER_ID_BYTES],
}

pub const ORDER_ID_BYTES: usize = 36;

/// A hold, an order or a payment that nobody ever asked for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Id(u64);

impl Step {
    #[must_use]
    pub fn new(kind: Kind, id: Id, wish: Wish) -> Step {
        Step { kind, stage: 0, id, wish, order: [b'0'; ORDER_ID_BYTES] }
    }
}

/// Behaviour of clients. One of each thread.
pub trait Workload: Send {
    /// Writes the first request of the next arrival.
    fn begin(&mut self, request: &mut Vec<u8>) -> Step;

    /// Takes an answer, and writes the request that follows from it, if any.
    fn answered(&mut self, step: &Step, status: u16, body: &[u8], request: &mut Vec<u8>) -> Option<Step> {
        let _ = (step, status, body, request);
        None
    }
}

/// A workload by name.
pub struct Choice {
    pub name: &'static str,
    pub about: &'static str,
    /// Holds or orders of one arrival.
    pub of_an_arrival: u32,
    make: fn(Common) -> Box<dyn Workload>,
}

pub const ALL: [Choice; 8] = [
    Choice {
        name: "sale-opening",
        about: "everybody wants the same ten trains; when they are sold out, ten others go on sale",
        of_an_arrival: 1,
        make: |common| Box::new(sale_opening::SaleOpening::new(common)),
    },
    Choice {
        name: "steady-day",
        about: "holds on all trains that are confirmed, given back or left to expire, and as many looks at what is left",
        of_an_arrival: 1,
        make: |common| Box::new(steady_day::SteadyDay::new(common)),
    },
    Choice {
        name: "many-queries",
        about: "a hundred queries for each hold",
        of_an_arrival: 1,
        make: |common| Box::new(many_queries::ManyQueries::new(common)),
    },
    Choice {
        name: "orders",
        about: "whole orders: order, reservation, payment, ticket",
        of_an_arrival: 1,
        make: |common| Box::new(orders::Orders::paid(common)),
    },
    Choice {
        name: "unpaid-orders",
        about: "orders with a reservation that nobody pays: they expire, and leave",
        of_an_arrival: 1,
        make: |common| Box::new(orders::Orders::unpaid(common)),
    },
    Choice {
        name: "paid-orders",
        about: "order, reservation and payment by three requests, to be held against purchases",
        of_an_arrival: 1,
        make: |common| Box::new(orders::Orders::paid_unseen(common)),
    },
    Choice {
        name: "purchases",
        about: "the same by two requests: purchase and payment",
        of_an_arrival: 1,
        make: |common| Box::new(orders::Orders::purchases(common)),
    },
    Choice {
        name: "batched-orders",
        about: "order, reservation and payment by three batches, each of 32 orders",
        of_an_arrival: batched_orders::ORDERS,
        make: |common| Box::new(batched_orders::BatchedOrders::new(common)),
    },
];

impl Choice {
    #[must_use]
    pub fn by_name(name: &str) -> Option<&'static Choice> {
        ALL.iter().find(|choice| choice.name == name)
    }
}

/// State that the runs on one server share: nothing is asked for twice, and what is sold out stays so.
#[derive(Clone, Debug)]
pub struct Sale {
    demand: Arc<Demand>,
    openings: Arc<Vec<Vec<u32>>>,
    /// The opening that is on sale.
    open: Arc<AtomicUsize>,
    runs: Arc<AtomicUsize>,
}

impl Sale {
    #[must_use]
    pub fn new(demand: Demand) -> Sale {
        let openings = demand.openings(sale_opening::TRAINS);
        Sale {
            demand: Arc::new(demand),
            openings: Arc::new(openings),
            open: Arc::default(),
            runs: Arc::default(),
        }
    }

    /// A sale opening of so many trains at most, the most wanted ones: the first of them go on sale again after the last.
    #[must_use]
    pub fn of_trains(mut self, trains: usize) -> Sale {
        let openings = trains.div_ceil(sale_opening::TRAINS).min(self.openings.len());
        self.openings = Arc::new(self.openings[..openings].to_vec());
        self
    }

    /// The workloads of one more run, by thread.
    pub fn workloads<'a>(
        &'a self,
        choice: &'a Choice,
        seed: u64,
    ) -> impl FnMut(usize) -> Box<dyn Workload> + 'a {
        let run = self.runs.fetch_add(1, std::sync::atomic::Ordering::Relaxed) as u64;
        move |thread| {
            (choice.make)(Common {
                sale: self.clone(),
                chance: fastrand::Rng::with_seed(seed ^ (run << 20) ^ ((thread as u64) << 8)),
                next: Id((run << 48) | ((thread as u64) << 40)),
            })
        }
    }
}

/// Parts that every workload has.
struct Common {
    sale: Sale,
    chance: fastrand::Rng,
    next: Id,
}

impl Common {
    fn next_id(&mut self) -> Id {
        self.next.0 += 1;
        self.next
    }

    fn wish(&mut self) -> Wish {
        self.sale.demand.draw(&mut self.chance)
    }

    fn percent(&mut self, percent: u32) -> bool {
        self.chance.u32(..100) < percent
    }

    fn try_hold(&self, request: &mut Vec<u8>, id: Id, wish: &Wish) {
        let partition = self.sale.demand.partition(wish);
        post(request, "/inventory/try-hold", |body| {
            write!(
                body,
                r#"{{"partition_key":"{partition}","hold_id":"h-{:015x}","qty":{},"from_index":{},"to_index":{}}}"#,
                id.0, wish.seats, wish.from, wish.to
            )
        });
    }

    fn end_hold(&self, request: &mut Vec<u8>, path: &str, id: Id, wish: &Wish) {
        let partition = self.sale.demand.partition(wish);
        post(request, path, |body| {
            write!(body, r#"{{"partition_key":"{partition}","hold_id":"h-{:015x}"}}"#, id.0)
        });
    }

    /// Availability on the wish's span.
    fn availability(&self, request: &mut Vec<u8>, wish: &Wish) {
        request.extend_from_slice(b"GET /inventory/availability?partition_key=");
        encode(request, self.sale.demand.partition(wish));
        get_end(request, format_args!("&from_index={}&to_index={}", wish.from, wish.to));
    }

    /// The run with its stops and classes.
    fn run(&self, request: &mut Vec<u8>, wish: &Wish) {
        let (train, date) = self.sale.demand.train(wish);
        request.extend_from_slice(b"GET /v1/trains/");
        encode(request, train);
        get_end(request, format_args!("/{date}"));
    }
}

fn get_end(request: &mut Vec<u8>, rest: std::fmt::Arguments<'_>) {
    let written = write!(request, "{rest} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    written.expect("memory takes what is written");
}

fn post(request: &mut Vec<u8>, path: &str, body: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>) {
    // The length has a place of fixed width in front of the body, so that nothing is moved: leading zeros are digits.
    let written = write!(
        request,
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 0000\r\n\r\n"
    );
    written.expect("memory takes what is written");
    let start = request.len();
    body(request).expect("memory takes what is written");
    let mut length = request.len() - start;
    for place in (start - 8..start - 4).rev() {
        request[place] = b'0' + (length % 10) as u8;
        length /= 10;
    }
}

fn encode(request: &mut Vec<u8>, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            request.push(byte);
        } else {
            write!(request, "%{byte:02X}").expect("memory takes what is written");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use jiff::civil::date;
    use timetable::{DateWindow, Timetable};

    use super::{ALL, Choice, Sale};
    use crate::demand::Demand;
    use crate::load::Kind;

    fn sale() -> Sale {
        let timetable = Timetable::built_in(DateWindow::WHOLE);
        Sale::new(Demand::new(&timetable, &[date(2027, 3, 1), date(2027, 3, 2)]))
    }

    #[test]
    fn every_request_is_well_formed() {
        let sale = sale();
        for choice in &ALL {
            let mut workload = sale.workloads(choice, 1)(0);
            for _ in 0..300 {
                let mut request = Vec::new();
                workload.begin(&mut request);
                let mut headers = [httparse::EMPTY_HEADER; 8];
                let mut parsed = httparse::Request::new(&mut headers);
                let head = parsed.parse(&request).unwrap().unwrap();
                let length = parsed.headers.iter().find(|h| h.name == "Content-Length");
                let length = length.map_or(0, |h| std::str::from_utf8(h.value).unwrap().parse().unwrap());
                assert_eq!(head + length, request.len(), "{}", String::from_utf8_lossy(&request));
                if length > 0 {
                    serde_json::from_slice::<serde_json::Value>(&request[head..]).unwrap();
                }
            }
        }
    }

    #[test]
    fn orders_of_a_batch_go_from_the_order_to_the_payment() {
        let sale = sale();
        let choice = Choice::by_name("batched-orders").unwrap();
        let mut workload = sale.workloads(choice, 7)(0);
        let mut request = Vec::new();
        let mut step = workload.begin(&mut request);
        let mut asked = Vec::new();
        loop {
            let text = String::from_utf8(std::mem::take(&mut request)).unwrap();
            let body: serde_json::Value =
                serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap();
            let operations = body["operations"].as_array().unwrap();
            asked.push((operations[0]["op"].as_str().unwrap().to_owned(), operations.len()));
            // The first of each batch is refused.
            let result = |nth| match nth {
                0 => serde_json::json!({"status": 409, "body": {"error": "insufficient stock"}}),
                nth => serde_json::json!({"status": 200, "body": {"OrderID": format!("o-{nth}")}}),
            };
            let results: Vec<_> = (0..operations.len()).map(result).collect();
            let answer = serde_json::json!({ "results": results }).to_string();
            match workload.answered(&step, 200, answer.as_bytes(), &mut request) {
                Some(next) => step = next,
                None => break,
            }
        }
        let orders = choice.of_an_arrival as usize;
        let expected = [("create", orders), ("reserve", orders - 1), ("pay", orders - 2)];
        assert_eq!(asked, expected.map(|(op, count)| (op.to_owned(), count)));
    }

    #[test]
    fn no_two_runs_or_threads_ask_for_the_same_hold() {
        let sale = sale();
        let choice = Choice::by_name("sale-opening").unwrap();
        let mut seen = HashSet::new();
        for _ in 0..3 {
            let mut workloads = sale.workloads(choice, 7);
            for thread in 0..2 {
                let mut workload = workloads(thread);
                for _ in 0..500 {
                    let mut request = Vec::new();
                    let step = workload.begin(&mut request);
                    assert_eq!(step.kind, Kind::NewHold);
                    let text = String::from_utf8(request).unwrap();
                    let id =
                        text.split("\"hold_id\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
                    assert!(seen.insert(id), "{text}");
                }
            }
        }
    }

    #[test]
    fn a_sale_moves_on_when_it_is_sold_out() {
        let sale = sale();
        let mut workload = sale.workloads(Choice::by_name("sale-opening").unwrap(), 7)(0);
        let refused = br#"{"error":"insufficient stock","code":"insufficient_stock"}"#;
        let mut opened = HashSet::new();
        for _ in 0..10_000 {
            let mut request = Vec::new();
            let step = workload.begin(&mut request);
            opened.insert(sale.demand.train(&step.wish).1);
            assert!(workload.answered(&step, 409, refused, &mut request).is_none());
        }
        assert_eq!(opened.len(), 2, "both dates went on sale");
    }

    #[test]
    fn a_sale_of_few_trains_begins_anew() {
        let sale = sale().of_trains(10);
        let mut workload = sale.workloads(Choice::by_name("sale-opening").unwrap(), 7)(0);
        let mut wanted = HashSet::new();
        for _ in 0..10_000 {
            let mut request = Vec::new();
            let step = workload.begin(&mut request);
            wanted.insert(sale.demand.train(&step.wish));
            workload.answered(&step, 409, b"", &mut request);
        }
        assert_eq!(wanted.len(), 10);
    }

    #[test]
    fn a_purchase_goes_from_the_order_to_the_ticket() {
        let sale = sale();
        let mut workload = sale.workloads(Choice::by_name("orders").unwrap(), 7)(0);
        let id = "01234567-89ab-8def-8123-456789abcdef";
        let mut request = Vec::new();
        let mut step = workload.begin(&mut request);
        let mut kinds = Vec::new();
        for status in ["INIT", "RESERVED", "PAID", "PAID", "TICKETED"] {
            kinds.push(step.kind);
            let body = format!(r#"{{"OrderID":"{id}","Status":"{status}"}}"#);
            request.clear();
            match workload.answered(&step, 200, body.as_bytes(), &mut request) {
                Some(next) => step = next,
                None => assert_eq!(status, "TICKETED"),
            }
            assert_eq!(request.is_empty(), status == "TICKETED");
        }
        assert_eq!(kinds, [Kind::OtherWrite, Kind::NewHold, Kind::OtherWrite, Kind::Query, Kind::Query]);
    }
}
