//! The floor: the same runtime, sockets and HTTP, reading each body and answering a constant.
//!
//! `constant <port> [uring|epoll]`. What the full edge takes beyond this on the same load is what its own work costs.

use std::borrow::Cow;
use std::convert::Infallible;
use std::io::Cursor;
use std::net::{Ipv4Addr, TcpListener};
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use net::runtime::{DriverChoice, Listener, Runtime, Stream, spawn};

/// With its head as long as the answer that the engine gives to a try-hold of `perf/try_hold.lua`.
const ANSWER: &[u8] = br#"{"partition_key":"P-1-12","capacity":1000,"available":998,"confirmed":0,"last_seq":2,"holds":{"hold-1-00000002":{"hold_id":"hold-1-00000002","qty":1,"seats":["1-2"],"expires_at":"2026-02-11T08:10:06.007Z","status":"held"}}}"#;
const X_TRACE_ID: HeaderName = HeaderName::from_static("x-trace-id");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const ID: HeaderValue = HeaderValue::from_static("4bf92f35-77b3-4da6-a3ce-929d0e0e4736");

struct Constant(Option<&'static [u8]>);

impl Body for Constant {
    type Data = Cursor<Cow<'static, [u8]>>;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Infallible>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(Cursor::new(Cow::Borrowed(bytes))))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.map_or(0, |bytes| bytes.len() as u64))
    }
}

async fn answer(mut request: Request<Incoming>) -> Result<Response<Constant>, Infallible> {
    let body = request.body_mut();
    while !body.is_end_stream() {
        let frame = std::future::poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await;
        if !matches!(frame, Some(Ok(_))) {
            break;
        }
    }
    let mut response = Response::new(Constant(Some(ANSWER)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(X_TRACE_ID, ID);
    headers.insert(X_REQUEST_ID, ID);
    Ok(response)
}

fn main() -> std::io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let port =
        arguments.next().and_then(|port| port.parse().ok()).expect("usage: constant <port> [uring|epoll]");
    let choice = match arguments.next().as_deref() {
        Some("uring") => DriverChoice::Uring,
        Some("epoll") => DriverChoice::Epoll,
        _ => DriverChoice::Auto,
    };
    let mut runtime = Runtime::new(choice)?;
    runtime.block_on(async {
        let listener = Listener::new(TcpListener::bind((Ipv4Addr::LOCALHOST, port))?)?;
        loop {
            listener.readable().await?;
            while let Some((socket, _)) = listener.try_accept()? {
                let stream = Stream::new(socket)?;
                spawn(async move {
                    let mut http = http1::Builder::new();
                    http.half_close(true).writev(false);
                    let _ = http.serve_connection(stream, service_fn(answer)).await;
                });
            }
        }
    })
}
