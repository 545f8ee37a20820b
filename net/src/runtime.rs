//! The one place that names the runtime: tasks, timers, sockets and wake-ups of one core.
//!
//! Everything else in this crate and the server's core loop is written against what is here, so that another driver is
//! another file. Nothing here knows HTTP beyond the two traits through which hyper reads and writes.
//!
//! A [`Runtime`] belongs to the thread that built it. Its tasks never move to another thread.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::future::Future;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use monoio::io::poll_io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use monoio::net::tcp::stream_poll::TcpStreamPoll;
use monoio::time::TimeDriver;
use monoio::{FusionRuntime, IoUringDriver, LegacyDriver, RuntimeBuilder};
use rustix::event::{EventfdFlags, eventfd};

use crate::coalesced_wake::CoalescedWake;

/// Entries of a core's submission ring; what does not fit is submitted early, never refused.
const RING_ENTRIES: u32 = 1024;

/// The system interface that a core is to run on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum DriverChoice {
    /// io_uring where the kernel allows it, else epoll.
    #[default]
    Auto,
    Uring,
    Epoll,
}

/// The driver that a [`Runtime`] came to run on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Driver {
    Uring,
    Epoll,
}

type Fusion = FusionRuntime<TimeDriver<IoUringDriver>, TimeDriver<LegacyDriver>>;

/// The executor of one core.
#[allow(missing_debug_implementations, reason = "the runtime below has none")]
pub struct Runtime {
    fusion: Fusion,
    driver: Driver,
    refused: Option<io::Error>,
}

impl Runtime {
    /// Builds the executor of the calling thread.
    ///
    /// # Errors
    /// The kernel's error; with [`DriverChoice::Auto`] only if epoll is refused too.
    pub fn new(choice: DriverChoice) -> io::Result<Runtime> {
        match choice {
            DriverChoice::Uring => Runtime::uring(),
            DriverChoice::Epoll => Runtime::epoll(None),
            DriverChoice::Auto => Runtime::uring().or_else(|refused| Runtime::epoll(Some(refused))),
        }
    }

    fn uring() -> io::Result<Runtime> {
        if !monoio::utils::detect_uring() {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "io_uring is not available here"));
        }
        let runtime =
            RuntimeBuilder::<IoUringDriver>::new().with_entries(RING_ENTRIES).enable_timer().build()?;
        Ok(Runtime { fusion: runtime.into(), driver: Driver::Uring, refused: None })
    }

    fn epoll(refused: Option<io::Error>) -> io::Result<Runtime> {
        let runtime = RuntimeBuilder::<LegacyDriver>::new().enable_timer().build()?;
        Ok(Runtime { fusion: runtime.into(), driver: Driver::Epoll, refused })
    }

    #[must_use]
    pub const fn driver(&self) -> Driver {
        self.driver
    }

    /// The reason for which [`DriverChoice::Auto`] fell back from io_uring.
    ///
    /// `ENOMEM` means that the locked-memory limit (`ulimit -l`) is too small, `EPERM` that a sandbox forbids it.
    #[must_use]
    pub const fn refused(&self) -> Option<&io::Error> {
        self.refused.as_ref()
    }

    /// Runs `main` and everything it spawns until `main` ends; tasks still running are dropped with the runtime.
    pub fn block_on<F: Future>(&mut self, main: F) -> F::Output {
        self.fusion.block_on(main)
    }
}

/// Starts a task on the calling core and lets it go.
pub fn spawn<F: Future<Output = ()> + 'static>(task: F) {
    drop(monoio::spawn(task));
}

pub async fn sleep(duration: Duration) {
    monoio::time::sleep(duration).await;
}

/// The shortest time that the timer knows.
const PAUSE: Duration = Duration::from_millis(1);

/// Yields to everything else: other tasks, sockets, timers. Takes about a millisecond.
///
/// A task that only wakes itself would not: the runtime runs it again before any other, and does not look at sockets and
/// timers while a task is ready to run.
pub async fn pause() {
    sleep(PAUSE).await;
}

/// Yields like [`pause`], for as long as everything else has something to do and no longer: for work that is long and goes on by itself.
#[derive(Debug)]
pub(crate) struct Breather {
    /// `None` where the system has no descriptor left: then a pause has to do.
    event: Option<(Rc<File>, Readable)>,
}

impl Breather {
    pub(crate) fn new() -> Breather {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).ok();
        let event = event.and_then(|event| Some((Readable::new(&event).ok()?, File::from(event))));
        Breather { event: event.map(|(readable, event)| (Rc::new(event), readable)) }
    }

    /// The signal comes from a task behind all that are ready, and through the system.
    pub(crate) async fn breathe(&self) {
        let Some((event, readable)) = &self.event else { return pause().await };
        let signal = event.clone();
        spawn(async move {
            _ = (&*signal).write(&1u64.to_ne_bytes());
        });
        if readable.wait().await.is_err() {
            pause().await;
        }
        _ = (&**event).read(&mut [0; 8]);
    }
}

/// Waits until a file descriptor of any pollable kind (eventfd, another ring, a listener) is readable.
///
/// Holds a duplicate of the descriptor: the original may be closed at any time. Never reads from it.
#[derive(Debug)]
pub struct Readable {
    // A duplicate under a type that the driver can poll; nothing about it is used but the descriptor.
    inner: monoio::net::UnixStream,
}

impl Readable {
    /// # Errors
    /// If the descriptor cannot be duplicated or polled.
    pub fn new(fd: &impl AsFd) -> io::Result<Readable> {
        let duplicate: OwnedFd = fd.as_fd().try_clone_to_owned()?;
        let inner = monoio::net::UnixStream::from_std(duplicate.into())?;
        Ok(Readable { inner })
    }

    /// Ends when the descriptor is readable, has hung up or is in error. At once where it already is.
    ///
    /// # Errors
    /// The driver's error.
    pub async fn wait(&self) -> io::Result<()> {
        self.inner.readable(false).await
    }
}

/// Wakes one task of one core from any thread. Signals that come before they are taken count as one.
#[derive(Clone, Debug)]
pub struct CoreWaker {
    shared: Arc<WakeShared>,
}

#[derive(Debug)]
struct WakeShared {
    event: File,
    wake: CoalescedWake,
}

/// The receiving end of a [`CoreWaker`]; belongs to a core.
#[derive(Debug)]
pub struct WakeWaiter {
    shared: Arc<WakeShared>,
    readable: Readable,
}

impl CoreWaker {
    /// # Errors
    /// If no event descriptor can be had.
    pub fn new() -> io::Result<CoreWaker> {
        let event = File::from(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        Ok(CoreWaker { shared: Arc::new(WakeShared { event, wake: CoalescedWake::default() }) })
    }

    /// Wakes the waiter. One system call at most between two wake-ups, however often it is called.
    pub fn wake(&self) {
        // The counter cannot overflow: it is at most one between two wake-ups.
        self.shared.wake.wake(|| _ = (&self.shared.event).write(&1u64.to_ne_bytes()));
    }

    /// The receiving end, on the core that calls. One for each waker.
    ///
    /// # Errors
    /// If the event descriptor cannot be polled.
    pub fn waiter(&self) -> io::Result<WakeWaiter> {
        Ok(WakeWaiter { shared: self.shared.clone(), readable: Readable::new(&self.shared.event)? })
    }
}

impl WakeWaiter {
    /// Ends once there was a wake-up since the last call ended. What was published before it is visible after.
    ///
    /// # Errors
    /// The driver's error.
    pub async fn wait(&self) -> io::Result<()> {
        self.shared.wake.wait(async || self.readable.wait().await, || self.drain()).await
    }

    fn drain(&self) {
        let _ = (&self.shared.event).read(&mut [0; 8]);
    }
}

/// A switch of one core that is thrown once; any number of tasks wait for it.
#[derive(Debug, Default)]
pub struct Switch {
    thrown: Cell<bool>,
    waiting: RefCell<Vec<Waker>>,
}

impl Switch {
    #[must_use]
    pub fn new() -> Switch {
        Switch::default()
    }

    pub fn throw(&self) {
        self.thrown.set(true);
        for waker in self.waiting.take() {
            waker.wake();
        }
    }

    #[must_use]
    pub fn is_thrown(&self) -> bool {
        self.thrown.get()
    }

    pub async fn wait(&self) {
        std::future::poll_fn(|cx| {
            if self.thrown.get() {
                return Poll::Ready(());
            }
            let mut waiting = self.waiting.borrow_mut();
            if !waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
                waiting.push(cx.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }
}

/// A listening socket of one core.
///
/// Accepts on readiness rather than by a pending accept: a cancelled accept can lose a connection that it had taken.
#[derive(Debug)]
pub struct Listener {
    socket: std::net::TcpListener,
    readable: Readable,
}

impl Listener {
    /// # Errors
    /// If the socket cannot be made non-blocking or polled.
    pub fn new(socket: std::net::TcpListener) -> io::Result<Listener> {
        socket.set_nonblocking(true)?;
        let readable = Readable::new(&socket)?;
        Ok(Listener { socket, readable })
    }

    /// A connection that is waiting, and whose it is, without waiting for one.
    ///
    /// # Errors
    /// The kernel's error; `WouldBlock` is `Ok(None)`.
    pub fn try_accept(&self) -> io::Result<Option<(std::net::TcpStream, std::net::SocketAddr)>> {
        match self.socket.accept() {
            Ok(connection) => Ok(Some(connection)),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Waits until a connection is waiting or the socket was shut down.
    ///
    /// # Errors
    /// The driver's error.
    pub async fn readable(&self) -> io::Result<()> {
        self.readable.wait().await
    }

    /// Stops listening at once, even while a poll of the socket is still with the kernel.
    pub fn close(&self) {
        let _ = socket2::SockRef::from(&self.socket).shutdown(std::net::Shutdown::Both);
    }

    /// # Errors
    /// The kernel's error.
    pub fn local_addr(&self) -> io::Result<std::net::SocketAddr> {
        self.socket.local_addr()
    }
}

/// A connection as hyper reads and writes it.
#[derive(Debug)]
pub struct Stream {
    inner: TcpStreamPoll,
}

impl Stream {
    /// # Errors
    /// If the socket cannot be handed to the driver.
    pub fn new(socket: std::net::TcpStream) -> io::Result<Stream> {
        socket.set_nodelay(true)?;
        socket.set_nonblocking(true)?;
        let stream = monoio::net::TcpStream::from_std(socket)?;
        let inner = stream.try_into_poll_io().map_err(|(e, _)| e)?;
        Ok(Stream { inner })
    }

    /// Writes what the socket takes at once, for a last word before closing.
    pub fn write_now(&self, bytes: &[u8]) {
        let _ = socket2::SockRef::from(&self.borrowed()).send(bytes);
    }

    /// Tells the client that nothing more is coming.
    pub fn close_sending(&self) {
        let _ = socket2::SockRef::from(&self.borrowed()).shutdown(std::net::Shutdown::Write);
    }

    fn borrowed(&self) -> BorrowedFd<'_> {
        // SAFETY: the descriptor is open for as long as `self` lives.
        unsafe { BorrowedFd::borrow_raw(self.inner.as_raw_fd()) }
    }
}

impl hyper::rt::Read for Stream {
    #[inline]
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        // SAFETY: the driver only writes into the buffer; nothing uninitialised is read.
        let mut into = ReadBuf::uninit(unsafe { buf.as_mut() });
        match Pin::new(&mut self.inner).poll_read(cx, &mut into) {
            Poll::Ready(Ok(())) => {
                let filled = into.filled().len();
                // SAFETY: that many bytes were just written by the driver.
                unsafe { buf.advance(filled) };
                Poll::Ready(Ok(()))
            }
            other => other,
        }
    }
}

impl hyper::rt::Write for Stream {
    #[inline]
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    #[inline]
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    #[inline]
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }

    #[inline]
    fn is_write_vectored(&self) -> bool {
        true
    }

    #[inline]
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    /// On every driver that the machine has.
    fn check<F: Future>(main: impl Fn() -> F) {
        Runtime::new(DriverChoice::Epoll).expect("epoll is always there").block_on(main());
        if let Ok(mut runtime) = Runtime::new(DriverChoice::Uring) {
            runtime.block_on(main());
        }
    }

    #[test]
    fn what_was_published_before_a_wake_is_seen_after_the_wait() {
        const ROUNDS: u64 = 10_000;
        check(|| async {
            let (waker, published) = (CoreWaker::new().unwrap(), Arc::new(AtomicU64::new(0)));
            let waiter = waker.waiter().unwrap();
            let publisher = published.clone();
            let thread = std::thread::spawn(move || {
                for round in 1..=ROUNDS {
                    publisher.store(round, Ordering::Release);
                    waker.wake();
                }
            });
            let mut seen = 0;
            while seen < ROUNDS {
                waiter.wait().await.unwrap();
                seen = published.load(Ordering::Acquire);
            }
            thread.join().unwrap();
        });
    }

    /// However often it breathes, a timer and other tasks have their turn in between.
    #[test]
    fn whoever_breathes_lets_others_go_first() {
        check(|| async {
            let (breather, turns) = (Breather::new(), Rc::new(Cell::new(0)));
            assert!(breather.event.is_some());
            let (count, other) = (turns.clone(), CoreWaker::new().unwrap());
            let waiter = other.waiter().unwrap();
            spawn(async move {
                loop {
                    waiter.wait().await.unwrap();
                    count.set(count.get() + 1);
                }
            });
            for _ in 0..100 {
                let before = turns.get();
                other.wake();
                breather.breathe().await;
                // Both may have been ready at the same look at the system.
                breather.breathe().await;
                assert_eq!(turns.get(), before + 1, "what another descriptor brings does not wait");
            }
        });
    }

    #[test]
    fn wakes_that_were_not_taken_count_as_one() {
        check(|| async {
            let waker = CoreWaker::new().unwrap();
            let waiter = waker.waiter().unwrap();
            waker.wake();
            waker.wake();
            waiter.wait().await.unwrap();
            let mut again = std::pin::pin!(waiter.wait());
            let silent = std::future::poll_fn(|cx| Poll::Ready(again.as_mut().poll(cx).is_pending())).await;
            assert!(silent, "nobody woke it since");
            waker.wake();
            again.await.unwrap();
        });
    }

    #[test]
    fn a_foreign_descriptor_is_readable_until_it_is_read() {
        check(|| async {
            let event = File::from(eventfd(1, EventfdFlags::NONBLOCK).unwrap());
            let readable = Readable::new(&event).unwrap();
            readable.wait().await.unwrap();
            readable.wait().await.unwrap();
            (&event).read_exact(&mut [0; 8]).unwrap();
            let mut empty = Box::pin(readable.wait());
            let waiting = std::future::poll_fn(|cx| Poll::Ready(empty.as_mut().poll(cx).is_pending())).await;
            assert!(waiting, "it was read");
            // A wait that was given up does not disturb the next one.
            drop(empty);
            (&event).write_all(&1u64.to_ne_bytes()).unwrap();
            readable.wait().await.unwrap();
        });
    }

    #[test]
    fn a_switch_wakes_all_who_wait_and_lets_later_ones_pass() {
        check(|| async {
            let (switch, woken) = (Rc::new(Switch::new()), Rc::new(Cell::new(0)));
            for _ in 0..3 {
                let (switch, woken) = (switch.clone(), woken.clone());
                spawn(async move {
                    switch.wait().await;
                    woken.set(woken.get() + 1);
                });
            }
            pause().await;
            assert_eq!(woken.get(), 0);
            switch.throw();
            while woken.get() < 3 {
                pause().await;
            }
            switch.wait().await;
        });
    }
}
