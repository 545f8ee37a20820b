//! Reading a request's body: one piece as a rule, and never more than the limit.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body as _, Bytes, Incoming};

use crate::errors::Problem;

/// The reason why a body could not be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum BodyError {
    TooLarge,
    /// Chunks that are none, or a client that left.
    Broken,
}

impl BodyError {
    pub(crate) fn problem(self) -> Problem {
        match self {
            BodyError::TooLarge => Problem::BODY_TOO_LARGE,
            BodyError::Broken => Problem::INVALID_JSON,
        }
    }
}

/// Future of a whole body. Made with the limit, polled to its end once.
#[derive(Debug)]
pub(crate) struct ReadBody<'b> {
    body: &'b mut Incoming,
    bytes_max: usize,
    /// The first piece as it came; copied only when a second one follows.
    first: Bytes,
    all: Vec<u8>,
}

impl<'b> ReadBody<'b> {
    pub(crate) fn new(body: &'b mut Incoming, bytes_max: usize) -> ReadBody<'b> {
        ReadBody { body, bytes_max, first: Bytes::new(), all: Vec::new() }
    }

    fn take(&mut self, piece: Bytes) -> Result<(), BodyError> {
        if self.all.len() + self.first.len() + piece.len() > self.bytes_max {
            return Err(BodyError::TooLarge);
        }
        if self.first.is_empty() && self.all.is_empty() {
            self.first = piece;
            return Ok(());
        }
        self.all.extend_from_slice(&std::mem::take(&mut self.first));
        self.all.extend_from_slice(&piece);
        Ok(())
    }

    fn whole(&mut self) -> Bytes {
        if self.all.is_empty() {
            std::mem::take(&mut self.first)
        } else {
            std::mem::take(&mut self.all).into()
        }
    }
}

impl Future for ReadBody<'_> {
    type Output = Result<Bytes, BodyError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if this.body.size_hint().lower() > this.bytes_max as u64 {
            return Poll::Ready(Err(BodyError::TooLarge));
        }
        while !this.body.is_end_stream() {
            match Pin::new(&mut *this.body).poll_frame(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => break,
                Poll::Ready(Some(Err(_))) => return Poll::Ready(Err(BodyError::Broken)),
                Poll::Ready(Some(Ok(frame))) => {
                    // Trailers say nothing to anybody here.
                    if let Ok(piece) = frame.into_data()
                        && let Err(error) = this.take(piece)
                    {
                        return Poll::Ready(Err(error));
                    }
                }
            }
        }
        Poll::Ready(Ok(this.whole()))
    }
}

/// True, and the body is dropped, if all of it is there already.
pub(crate) fn is_drained(body: &mut Incoming, bytes_max: usize, cx: &mut Context<'_>) -> bool {
    matches!(Pin::new(&mut ReadBody::new(body, bytes_max)).poll(cx), Poll::Ready(Ok(_)))
}
