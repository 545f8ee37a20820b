//! The floors: hyper on the product's own runtime and sockets, and hyper on tokio. Each reads the body and answers a constant.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use net::runtime::{DriverChoice, Listener, Runtime, Stream, spawn};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Floor {
    Monoio,
    Tokio,
}

impl Floor {
    pub const ALL: [Floor; 2] = [Floor::Monoio, Floor::Tokio];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Floor::Monoio => "hyper-on-monoio",
            Floor::Tokio => "hyper-on-tokio",
        }
    }

    #[must_use]
    pub fn by_name(name: &str) -> Option<Floor> {
        Floor::ALL.into_iter().find(|floor| floor.name() == name)
    }
}

/// Heads have the length of Interlock's.
const X_TRACE_ID: HeaderName = HeaderName::from_static("x-trace-id");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const ID: HeaderValue = HeaderValue::from_static("4bf92f35-77b3-4da6-a3ce-929d0e0e4736");

struct Constant(Option<Bytes>);

impl Body for Constant {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}

async fn answer(mut request: Request<Incoming>, constant: Bytes) -> Result<Response<Constant>, Infallible> {
    let body = request.body_mut();
    while !body.is_end_stream() {
        let frame = std::future::poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await;
        if !matches!(frame, Some(Ok(_))) {
            break;
        }
    }
    let mut response = Response::new(Constant(Some(constant)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(X_TRACE_ID, ID);
    headers.insert(X_REQUEST_ID, ID);
    Ok(response)
}

fn http() -> http1::Builder {
    let mut http = http1::Builder::new();
    http.half_close(true).writev(false);
    http
}

/// Serves on one thread until it is killed.
///
/// # Errors
/// If the port cannot be had.
pub fn serve(floor: Floor, port: u16, body_bytes: usize) -> io::Result<()> {
    let constant = Bytes::from(vec![b' '; body_bytes]);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    match floor {
        Floor::Monoio => Runtime::new(DriverChoice::Auto)?.block_on(on_monoio(listener, constant)),
        Floor::Tokio => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
            listener.set_nonblocking(true)?;
            runtime.block_on(tokio::task::LocalSet::new().run_until(on_tokio(listener, constant)))
        }
    }
}

async fn on_monoio(listener: TcpListener, constant: Bytes) -> io::Result<()> {
    let listener = Listener::new(listener)?;
    loop {
        listener.readable().await?;
        while let Some((socket, _)) = listener.try_accept()? {
            let (stream, constant) = (Stream::new(socket)?, constant.clone());
            spawn(async move {
                let service = service_fn(move |request| answer(request, constant.clone()));
                let _ = http().serve_connection(stream, service).await;
            });
        }
    }
}

async fn on_tokio(listener: TcpListener, constant: Bytes) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let constant = constant.clone();
        tokio::task::spawn_local(async move {
            let service = service_fn(move |request| answer(request, constant.clone()));
            let _ = http().serve_connection(hyper_util::rt::TokioIo::new(socket), service).await;
        });
    }
}
