//! Answers as they leave: status, headers that are ready beforehand, and a body of one piece or of many.

use std::borrow::Cow;
use std::io::Cursor;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ALLOW, CONNECTION, CONTENT_DISPOSITION,
    CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, VARY,
};
use hyper::{Response, StatusCode};

use crate::callers::Cors;
use crate::errors::Problem;
use crate::json::write::{Object, object};
use crate::limits::PREFLIGHT_SECS;
use crate::stream::{Cut, Streamed};
use crate::trace::{Ids, X_REQUEST_ID, X_TRACE_ID};

/// Canned responses for connections that are closed before a request was parsed.
pub(crate) const REFUSED_SLOW_HEAD: &[u8] = b"HTTP/1.1 408 Request Timeout\r\n\
    content-type: application/json\r\nconnection: close\r\ncontent-length: 53\r\n\r\n\
    {\"error\":\"request timeout\",\"code\":\"request_timeout\"}\n";
pub(crate) const REFUSED_FRAMING: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\
    connection: close\r\ncontent-length: 0\r\n\r\n";

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const CLOSE: HeaderValue = HeaderValue::from_static("close");

/// Headers that pages of other sites may send and read.
const CORS_TAKES: HeaderValue =
    HeaderValue::from_static("content-type, authorization, x-trace-id, x-request-id, traceparent");
const CORS_SHOWS: HeaderValue = HeaderValue::from_static(
    "x-trace-id, x-request-id, retry-after, x-read-model-lag-ms, content-disposition",
);
/// The lag of the read model behind the engine, for an answer of it.
const READ_MODEL_LAG: HeaderName = HeaderName::from_static("x-read-model-lag-ms");
const VARIES: HeaderValue = HeaderValue::from_static("origin");

/// A route's answer, or why there is none.
pub(crate) type Outcome = Result<Answer, Problem>;

/// An answer before its headers are written.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Payload,
    pub(crate) content_type: Option<HeaderValue>,
    /// Headers that few answers have.
    pub(crate) extra: Vec<(HeaderName, HeaderValue)>,
    pub(crate) allow: Option<&'static str>,
    /// Tells a browser what its page may send.
    pub(crate) is_preflight: bool,
    pub(crate) retry_after_secs: Option<u16>,
    /// No further request is read: this one's body is still on its way.
    pub(crate) close: bool,
}

impl Answer {
    pub(crate) fn json(body: impl Into<Cow<'static, [u8]>>) -> Answer {
        Answer {
            status: StatusCode::OK,
            body: Payload::Whole(body.into()),
            content_type: Some(JSON),
            extra: Vec::new(),
            allow: None,
            is_preflight: false,
            retry_after_secs: None,
            close: false,
        }
    }

    pub(crate) fn text(content_type: &'static str, body: impl Into<Cow<'static, [u8]>>) -> Answer {
        Answer { content_type: Some(HeaderValue::from_static(content_type)), ..Answer::json(body) }
    }

    /// A file whose body is made while it leaves.
    pub(crate) fn file(content_type: &'static str, disposition: &'static str, body: Streamed) -> Answer {
        let mut answer = Answer::text(content_type, b"".as_slice());
        answer.body = Payload::Streamed(Box::new(body));
        answer.extra.push((CONTENT_DISPOSITION, HeaderValue::from_static(disposition)));
        answer
    }

    /// Says how old an answer of the read model may be.
    pub(crate) fn behind_by(mut self, lag_ms: u64) -> Answer {
        self.extra.push((READ_MODEL_LAG, lag_ms.into()));
        self
    }

    /// The answer to a browser that asks whether its page may send a request to a route that takes `methods`.
    pub(crate) fn preflight(methods: &'static str) -> Answer {
        let empty = Answer::json(b"".as_slice()).with_status(StatusCode::NO_CONTENT);
        Answer { content_type: None, allow: Some(methods), is_preflight: true, ..empty }
    }

    pub(crate) fn with_status(self, status: StatusCode) -> Answer {
        Answer { status, ..self }
    }

    /// `headers` are those of the request, emptied here: their room is used again.
    pub(crate) fn into_response(self, mut headers: HeaderMap, ids: Ids, cors: Cors) -> Response<Payload> {
        headers.clear();
        if let Some(content_type) = self.content_type {
            headers.insert(CONTENT_TYPE, content_type);
        }
        for (name, value) in self.extra {
            headers.insert(name, value);
        }
        headers.insert(X_TRACE_ID, ids.trace);
        headers.insert(X_REQUEST_ID, ids.request);
        if let Some(allow) = self.allow {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        if let Some(secs) = self.retry_after_secs {
            headers.insert(RETRY_AFTER, secs.into());
        }
        if self.close {
            headers.insert(CONNECTION, CLOSE);
        }
        cors.write(&mut headers);
        if self.is_preflight {
            headers.insert(
                ACCESS_CONTROL_ALLOW_METHODS,
                HeaderValue::from_static(self.allow.unwrap_or_default()),
            );
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, CORS_TAKES);
            headers.insert(ACCESS_CONTROL_MAX_AGE, PREFLIGHT_SECS.into());
        }
        let mut response = Response::new(self.body);
        *response.status_mut() = self.status;
        *response.headers_mut() = headers;
        response
    }
}

impl Cors {
    fn write(self, headers: &mut HeaderMap) {
        if self.varies {
            headers.insert(VARY, VARIES);
        }
        if let Some(origin) = self.allowed {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, CORS_SHOWS);
        }
    }
}

impl Problem {
    pub(crate) fn fields(&self, o: &mut Object<'_>) {
        o.text("error", &self.text);
        o.text("code", self.code.word());
        if let Some(detail) = &self.detail {
            o.text("detail", detail);
        }
    }
}

impl From<Problem> for Answer {
    fn from(problem: Problem) -> Answer {
        let mut body = Vec::with_capacity(64 + problem.text.len());
        object(&mut body, |o| problem.fields(o));
        body.push(b'\n');
        Answer {
            retry_after_secs: problem.retry_after_secs(),
            ..Answer::json(body).with_status(problem.status)
        }
    }
}

/// The body of an answer.
#[derive(Debug)]
pub(crate) enum Payload {
    /// Of one piece.
    Whole(Cow<'static, [u8]>),
    /// Made piece by piece while it leaves.
    Streamed(Box<Streamed>),
}

impl Body for Payload {
    type Data = Cursor<Cow<'static, [u8]>>;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Cut>>> {
        let frame = |piece| Frame::data(Cursor::new(piece));
        match &mut *self {
            Payload::Whole(body) => {
                let body = std::mem::take(body);
                Poll::Ready((!body.is_empty()).then(|| Ok(frame(body))))
            }
            Payload::Streamed(body) => {
                body.poll_piece(cx).map(|piece| piece.map(|piece| piece.map(|piece| frame(piece.into()))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Payload::Whole(body) if body.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Payload::Whole(body) => SizeHint::with_exact(body.len() as u64),
            Payload::Streamed(_) => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canned_responses_are_as_long_as_they_say() {
        for response in [REFUSED_SLOW_HEAD, REFUSED_FRAMING] {
            let text = std::str::from_utf8(response).unwrap();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            assert!(head.contains(&format!("content-length: {}", body.len())), "{text}");
        }
    }
}
