//! One connection: what is under way on it, until when, and how it ends.
//!
//! Nothing here sets a timer. A connection notes its deadline; the core's sweep looks at all of them every
//! [`Limits::sweep_ms`](crate::Limits::sweep_ms) and wakes those that are overdue.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use hyper::rt::ReadBufCursor;

use crate::guard::Guard;
use crate::limits::{LINGER_MS, PIPELINED_REQUESTS_MAX};
use crate::runtime::Stream;

/// Phase of a connection; each has its own deadline.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Phase {
    /// Between requests, or sending an answer.
    Idle,
    /// A head has begun.
    Head,
    /// A body is being read.
    Body,
    /// The engine was asked, or the read model.
    Asked,
    /// The answer is out; what the client still sends is dropped until it closes.
    Linger,
}

/// The end that a connection was told to come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    /// Go on.
    No,
    /// Once nothing is under way.
    WhenIdle,
    /// Now: the head took too long.
    SlowHead,
    /// Now.
    Now,
}

/// A time limit has struck.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Overdue;

/// State of one connection, shared by its task, its requests and the sweep of its core.
///
/// Its task calls [`driven_by`](Connection::driven_by) whenever it is polled, then looks at [`end`](Connection::end).
/// [`GuardedStream`] enters [`Phase::Head`]. A request counts against the budget with
/// [`has_spent_budget`](Connection::has_spent_budget), enters [`Phase::Body`] and [`Phase::Asked`], waits through
/// [`in_time`](Connection::in_time) in both, and calls [`answered`](Connection::answered) last. An answer that is made while it leaves
/// enters [`Phase::Idle`] anew with each piece, and calls that again at its end. The sweep calls [`check`](Connection::check); only
/// that acts on a deadline.
#[derive(Debug)]
pub(crate) struct Connection {
    /// Beyond the budget: it gets one answer, and no time but what it has from the start.
    is_reserved: bool,
    phase: Cell<Phase>,
    /// On the core's own clock.
    deadline_ms: Cell<u64>,
    /// The limit of the phase has struck, and the request should answer so.
    overdue: Cell<bool>,
    /// The bytes read so far end within another head.
    head_begun: Cell<bool>,
    /// The moment at which that head began.
    head_begun_at: Cell<Option<Instant>>,
    /// Pieces that were read from the socket.
    pieces: Cell<u64>,
    /// Pipelined requests served since the socket last ran dry: the connection's fairness budget.
    pipelined: Cell<u32>,
    end: Cell<End>,
    task: RefCell<Option<Waker>>,
}

impl Connection {
    /// To send its first request until `deadline_ms`.
    pub(crate) fn new(is_reserved: bool, deadline_ms: u64) -> Connection {
        Connection {
            is_reserved,
            phase: Cell::new(Phase::Idle),
            deadline_ms: Cell::new(deadline_ms),
            overdue: Cell::new(false),
            head_begun: Cell::new(false),
            head_begun_at: Cell::new(None),
            pieces: Cell::new(0),
            pipelined: Cell::new(0),
            end: Cell::new(End::No),
            task: RefCell::new(None),
        }
    }

    pub(crate) fn is_reserved(&self) -> bool {
        self.is_reserved
    }

    pub(crate) fn enter(&self, phase: Phase, deadline_ms: u64) {
        self.phase.set(phase);
        if !(self.is_reserved && matches!(phase, Phase::Head | Phase::Body)) {
            self.deadline_ms.set(deadline_ms);
        }
        self.overdue.set(false);
    }

    /// Counts a request against the budget of [`PIPELINED_REQUESTS_MAX`]; true once it is spent and others come first.
    pub(crate) fn has_spent_budget(&self) -> bool {
        let pipelined = self.pipelined.get() + 1;
        let spent = pipelined > PIPELINED_REQUESTS_MAX;
        self.pipelined.set(if spent { 0 } else { pipelined });
        spent
    }

    /// A head is whole, at `now`: the moment at which it began.
    pub(crate) fn begun_at(&self, now: Instant) -> Instant {
        self.head_begun_at.take().unwrap_or(now)
    }

    /// Pieces that were read from the socket so far.
    pub(crate) fn pieces(&self) -> u64 {
        self.pieces.get()
    }

    /// The request under way has its answer: until `idle_ms` for the next one, or `head_ms` where it has begun.
    pub(crate) fn answered(&self, now: Instant, idle_ms: u64, head_ms: u64) {
        if self.head_begun.get() {
            // What came while the answer was on its way waited for that.
            self.head_begun_at.set(Some(now));
            self.enter(Phase::Head, head_ms);
        } else {
            self.enter(Phase::Idle, idle_ms);
        }
    }

    pub(crate) fn end(&self) -> End {
        self.end.get()
    }

    /// Tells the connection to end. A harder end is not softened.
    pub(crate) fn finish(&self, end: End) {
        if !matches!((self.end.get(), end), (End::Now, _) | (End::SlowHead, End::WhenIdle)) {
            self.end.set(end);
        }
        self.wake();
    }

    /// Called by the sweep: acts on a deadline that has passed.
    pub(crate) fn check(&self, now_ms: u64) {
        if now_ms < self.deadline_ms.get() {
            return;
        }
        match self.phase.get() {
            Phase::Idle | Phase::Head | Phase::Body if self.is_reserved => self.finish(End::Now),
            // Told a second time, it has not even closed in time.
            Phase::Idle if self.end.get() == End::WhenIdle => self.finish(End::Now),
            Phase::Idle => {
                self.deadline_ms.set(now_ms + LINGER_MS);
                self.finish(End::WhenIdle);
            }
            Phase::Head => self.finish(End::SlowHead),
            Phase::Linger => self.finish(End::Now),
            Phase::Body | Phase::Asked => {
                self.overdue.set(true);
                self.wake();
            }
        }
    }

    /// Requests that have not arrived whole are not waited for any longer.
    pub(crate) fn wait_no_more(&self) {
        match self.phase.get() {
            Phase::Head => self.finish(End::SlowHead),
            Phase::Body => {
                self.overdue.set(true);
                self.wake();
            }
            Phase::Idle | Phase::Asked | Phase::Linger => {}
        }
    }

    /// Called whenever the task that drives the connection is polled: the sweep wakes that task.
    pub(crate) fn driven_by(&self, cx: &Context<'_>) {
        let mut task = self.task.borrow_mut();
        if !task.as_ref().is_some_and(|task| task.will_wake(cx.waker())) {
            *task = Some(cx.waker().clone());
        }
    }

    fn wake(&self) {
        if let Some(task) = &*self.task.borrow() {
            task.wake_by_ref();
        }
    }

    /// The deadline of the phase has passed.
    pub(crate) fn is_out_of_time(&self) -> bool {
        self.overdue.get()
    }

    /// Waits for `future`, but not beyond the deadline of the phase.
    pub(crate) async fn in_time<F: Future>(&self, future: F) -> Result<F::Output, Overdue> {
        let mut future = std::pin::pin!(future);
        std::future::poll_fn(|cx| {
            // The future first: what is there in time is never thrown away.
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Ok(output));
            }
            if self.overdue.get() { Poll::Ready(Err(Overdue)) } else { Poll::Pending }
        })
        .await
    }
}

/// A connection's bytes on their way to hyper, through the guard.
#[derive(Debug)]
pub(crate) struct GuardedStream {
    stream: Stream,
    guard: Guard,
    connection: Rc<Connection>,
    /// The core's clock, and how much of it a head may take.
    clock: Rc<Cell<u64>>,
    header_ms: u64,
    /// The client will send no more.
    ended: bool,
    refused: bool,
}

impl GuardedStream {
    pub(crate) fn new(
        stream: Stream,
        connection: Rc<Connection>,
        clock: Rc<Cell<u64>>,
        header_ms: u64,
    ) -> GuardedStream {
        GuardedStream {
            stream,
            guard: Guard::new(),
            connection,
            clock,
            header_ms,
            ended: false,
            refused: false,
        }
    }

    /// True if hyper was refused more of a spoiled head, and so has not answered it.
    pub(crate) fn took_refusal(&self) -> bool {
        self.refused
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }

    pub(crate) fn write_now(&self, bytes: &[u8]) {
        self.stream.write_now(bytes);
    }

    pub(crate) fn close_sending(&self) {
        self.stream.close_sending();
    }

    /// Notes when a head begins. One that waits behind a request under way begins with that one's answer.
    fn note(&self) {
        let in_head = self.guard.in_head();
        self.connection.head_begun.set(in_head);
        self.connection.pieces.set(self.connection.pieces.get() + 1);
        // The clock is read only where a head comes in pieces.
        if in_head && self.connection.head_begun_at.get().is_none() {
            self.connection.head_begun_at.set(Some(Instant::now()));
        }
        if in_head && self.connection.phase.get() == Phase::Idle {
            self.connection.enter(Phase::Head, self.clock.get() + self.header_ms);
        }
    }

    /// Reads and drops until the client closes, has sent too much, or `connection` is told to end.
    pub(crate) async fn linger(&mut self, bytes_max: usize) {
        let mut scratch = [std::mem::MaybeUninit::<u8>::uninit(); 4096];
        let mut dropped = 0;
        std::future::poll_fn(|cx| {
            self.connection.driven_by(cx);
            while dropped < bytes_max && self.connection.end() != End::Now {
                let mut buf = hyper::rt::ReadBuf::uninit(&mut scratch);
                match hyper::rt::Read::poll_read(Pin::new(&mut self.stream), cx, buf.unfilled()) {
                    Poll::Ready(Ok(())) if !buf.filled().is_empty() => dropped += buf.filled().len(),
                    Poll::Ready(_) => break,
                    Poll::Pending => return Poll::Pending,
                }
            }
            Poll::Ready(())
        })
        .await;
    }
}

impl hyper::rt::Read for GuardedStream {
    #[inline]
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.guard.has_refused() {
            // hyper wants more of a head that was spoiled at its very end.
            this.refused = true;
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        // SAFETY: nothing uninitialised is read from the buffer, and nothing initialised is made uninitialised.
        let free = unsafe { buf.as_mut() };
        let mut filled = hyper::rt::ReadBuf::uninit(free);
        match hyper::rt::Read::poll_read(Pin::new(&mut this.stream), cx, filled.unfilled()) {
            Poll::Ready(Ok(())) => {}
            other => {
                // A client that waits for each reply gets its whole budget back here; one that pipelines does not.
                this.connection.pipelined.set(0);
                return other;
            }
        }
        let count = filled.filled().len();
        this.ended |= count == 0;
        // SAFETY: the stream has just written that many bytes at the front of the buffer.
        this.guard.follow(unsafe { std::slice::from_raw_parts_mut(free.as_mut_ptr().cast::<u8>(), count) });
        this.note();
        // SAFETY: as above.
        unsafe { buf.advance(count) };
        Poll::Ready(Ok(()))
    }
}

impl hyper::rt::Write for GuardedStream {
    #[inline]
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    #[inline]
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    #[inline]
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    #[inline]
    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    #[inline]
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }
}
