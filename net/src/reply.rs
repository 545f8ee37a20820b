//! Answers as they leave: status, headers that are ready beforehand, and a body of one piece.

use std::borrow::Cow;
use std::convert::Infallible;
use std::io::Cursor;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};

use crate::errors::Problem;
use crate::json::write::Object;
use crate::limits::RETRY_AFTER_SECS;
use crate::trace::{Ids, X_REQUEST_ID, X_TRACE_ID};

/// Canned responses for connections that are closed before a request was parsed.
pub(crate) const REFUSED_FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\
    content-type: application/json\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 47\r\n\r\n\
    {\"error\":\"too many connections\",\"code\":\"busy\"}\n";
pub(crate) const REFUSED_SLOW_HEAD: &[u8] = b"HTTP/1.1 408 Request Timeout\r\n\
    content-type: application/json\r\nconnection: close\r\ncontent-length: 53\r\n\r\n\
    {\"error\":\"request timeout\",\"code\":\"request_timeout\"}\n";
pub(crate) const REFUSED_FRAMING: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\
    connection: close\r\ncontent-length: 0\r\n\r\n";

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const CLOSE: HeaderValue = HeaderValue::from_static("close");
const LATER: HeaderValue = HeaderValue::from_static(RETRY_AFTER_SECS);

/// A route's answer, or why there is none.
pub(crate) type Outcome = Result<Answer, Problem>;

/// An answer before its headers are written.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Cow<'static, [u8]>,
    pub(crate) content_type: HeaderValue,
    pub(crate) allow: Option<&'static str>,
    pub(crate) retry: bool,
    /// No further request is read: this one's body is still on its way.
    pub(crate) close: bool,
}

impl Answer {
    pub(crate) fn json(body: impl Into<Cow<'static, [u8]>>) -> Answer {
        Answer {
            status: StatusCode::OK,
            body: body.into(),
            content_type: JSON,
            allow: None,
            retry: false,
            close: false,
        }
    }

    pub(crate) fn text(content_type: &'static str, body: impl Into<Cow<'static, [u8]>>) -> Answer {
        Answer { content_type: HeaderValue::from_static(content_type), ..Answer::json(body) }
    }

    pub(crate) fn with_status(self, status: StatusCode) -> Answer {
        Answer { status, ..self }
    }

    /// `headers` are those of the request, emptied here: their room is used again.
    pub(crate) fn into_response(self, mut headers: HeaderMap, ids: Ids) -> Response<Payload> {
        headers.clear();
        headers.insert(CONTENT_TYPE, self.content_type);
        headers.insert(X_TRACE_ID, ids.trace);
        headers.insert(X_REQUEST_ID, ids.request);
        if let Some(allow) = self.allow {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        if self.retry {
            headers.insert(RETRY_AFTER, LATER);
        }
        if self.close {
            headers.insert(CONNECTION, CLOSE);
        }
        let mut response = Response::new(Payload(self.body));
        *response.status_mut() = self.status;
        *response.headers_mut() = headers;
        response
    }
}

impl From<Problem> for Answer {
    fn from(problem: Problem) -> Answer {
        let mut body = Vec::with_capacity(64 + problem.text.len());
        let mut object = Object::begin(&mut body);
        object.text("error", &problem.text);
        object.text("code", problem.code.word());
        object.end();
        Answer { retry: problem.is_retry(), ..Answer::json(body).with_status(problem.status) }
    }
}

/// A body of one piece.
#[derive(Debug)]
pub(crate) struct Payload(Cow<'static, [u8]>);

impl Body for Payload {
    type Data = Cursor<Cow<'static, [u8]>>;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Infallible>>> {
        let body = std::mem::take(&mut self.0);
        if body.is_empty() {
            Poll::Ready(None)
        } else {
            Poll::Ready(Some(Ok(Frame::data(Cursor::new(body)))))
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canned_responses_are_as_long_as_they_say() {
        for response in [REFUSED_FULL, REFUSED_SLOW_HEAD, REFUSED_FRAMING] {
            let text = std::str::from_utf8(response).unwrap();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            assert!(head.contains(&format!("content-length: {}", body.len())), "{text}");
        }
    }
}
