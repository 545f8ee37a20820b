//! Log lines: JSON on standard error, one object each, written by a thread of their own.
//!
//! Whoever reads standard error may stop doing so, and then a write to it waits for ever: no core writes to it. Lines wait in a bounded
//! queue; one that finds it full is dropped and counted. Only the end of the process waits for the queue, and not for long.

use std::io::{self, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use net::logs::JsonLines;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::layer;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::Config;

/// The service that lines speak of when they are about none in particular.
const SERVICE: &str = "interlock";
/// Lines that wait to be written.
const LINES_WAITING_MAX: usize = 1_024;
/// The longest that the end of the process waits for room in the queue, then for its last lines; and between two looks at it.
const LAST_LINES_MS: u64 = 500;
const LAST_LINES_PAUSE_MS: u64 = 1;

static QUEUE: OnceLock<&'static LineQueue> = OnceLock::new();

/// Lines on their way to standard error.
#[derive(Debug)]
struct LineQueue {
    lines: SyncSender<Vec<u8>>,
    /// Lines that came, and lines that are written or lost.
    came: AtomicU64,
    done: AtomicU64,
    dropped: AtomicU64,
    /// The process ends: a line waits for room, for it may be the last.
    is_ending: AtomicBool,
}

impl LineQueue {
    /// Starts the thread that writes to `to`.
    fn start(to: impl Write + Send + 'static) -> io::Result<&'static LineQueue> {
        let (lines, written) = sync_channel::<Vec<u8>>(LINES_WAITING_MAX);
        let queue = LineQueue {
            lines,
            came: AtomicU64::new(0),
            done: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            is_ending: AtomicBool::new(false),
        };
        let queue: &LineQueue = Box::leak(Box::new(queue));
        let mut to = to;
        thread::Builder::new().name("log-lines".to_owned()).spawn(move || {
            for line in written {
                if to.write_all(&line).is_err() {
                    queue.dropped.fetch_add(1, Ordering::Relaxed);
                }
                queue.done.fetch_add(1, Ordering::Release);
            }
        })?;
        Ok(queue)
    }

    fn push(&self, line: &[u8]) {
        self.came.fetch_add(1, Ordering::Relaxed);
        let mut line = line.to_vec();
        let asked = Instant::now();
        while let Err(refused) = self.lines.try_send(line) {
            match refused {
                TrySendError::Full(back) if self.is_ending.load(Ordering::Relaxed) && !is_over(asked) => {
                    line = back
                }
                TrySendError::Full(_) | TrySendError::Disconnected(_) => {
                    self.dropped.fetch_add(1, Ordering::Relaxed);
                    self.done.fetch_add(1, Ordering::Release);
                    return;
                }
            }
            thread::sleep(Duration::from_millis(LAST_LINES_PAUSE_MS));
        }
    }

    /// Waits until every line that has come is written, but not for long.
    fn flush(&self) {
        let (asked, came) = (Instant::now(), self.came.load(Ordering::Relaxed));
        while self.done.load(Ordering::Acquire) < came && !is_over(asked) {
            thread::sleep(Duration::from_millis(LAST_LINES_PAUSE_MS));
        }
    }
}

fn is_over(asked: Instant) -> bool {
    asked.elapsed() >= Duration::from_millis(LAST_LINES_MS)
}

/// One event is one write.
struct LineWriter(&'static LineQueue);

impl Write for LineWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// # Errors
/// If the thread that writes lines cannot be started.
pub(crate) fn start(config: &Config) -> io::Result<()> {
    let queue = LineQueue::start(io::stderr())?;
    // Started once: where it was already, that one stays.
    let queue = *QUEUE.get_or_init(|| queue);
    let lines = JsonLines::new(SERVICE, &config.env, &config.version);
    let lines = layer().event_format(lines).with_writer(move || LineWriter(queue));
    tracing_subscriber::registry().with(lines.with_filter(LevelFilter::from_level(config.log_level))).init();
    Ok(())
}

/// Lines that were dropped, because nobody read fast enough or they could not be written.
pub(crate) fn dropped() -> u64 {
    QUEUE.get().map_or(0, |queue| queue.dropped.load(Ordering::Relaxed))
}

/// Gets the last lines out, `last` after all others, while somebody reads them.
pub(crate) fn finish(last: impl FnOnce()) {
    let Some(queue) = QUEUE.get() else { return last() };
    queue.is_ending.store(true, Ordering::Relaxed);
    last();
    queue.flush();
}

/// Ends the process after `last` has said why.
pub(crate) fn exit(code: i32, last: impl FnOnce()) -> ! {
    finish(last);
    std::process::exit(code)
}

/// The last word of a process that failed, as plain text.
pub(crate) fn say_last(text: &str) {
    match QUEUE.get() {
        Some(queue) => finish(|| queue.push(format!("{text}\n").as_bytes())),
        None => eprintln!("{text}"),
    }
}

/// A panic of any thread is logged and ends the process.
pub(crate) fn end_on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let what = panic.payload_as_str().unwrap_or("no message");
        let trace = std::backtrace::Backtrace::force_capture().to_string();
        exit(crate::EXIT_FATAL, || {
            tracing::error!(place, backtrace = trace, "internal error, the process ends: {what}");
        })
    }));
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};

    use super::*;

    /// Writes a line for each permit, and shows which.
    struct Slow(Receiver<()>, std::sync::mpsc::Sender<Vec<u8>>);

    impl Write for Slow {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            // Without a permit any more, all may go.
            let _ = self.0.recv();
            let _ = self.1.send(line.to_vec());
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn nobody_waits_for_a_reader_and_what_is_dropped_is_counted() {
        let ((permits, permitted), (shown, seen)) = (channel(), channel());
        let queue = LineQueue::start(Slow(permitted, shown)).expect("a thread");
        // One more may be in the writer's hands.
        let pushed = 2 * LINES_WAITING_MAX as u64;
        (0..pushed).for_each(|line| queue.push(line.to_string().as_bytes()));
        let dropped = queue.dropped.load(Ordering::Relaxed);
        assert!(
            dropped == pushed - LINES_WAITING_MAX as u64 || dropped == pushed - LINES_WAITING_MAX as u64 - 1
        );
        drop(permits);
        queue.flush();
        let seen: Vec<Vec<u8>> = seen.try_iter().collect();
        assert_eq!(seen.len() as u64, pushed - dropped, "the others are written");
        assert_eq!(seen[0], b"0");
        assert_eq!(queue.dropped.load(Ordering::Relaxed), dropped);
    }

    #[test]
    fn the_last_line_waits_for_room() {
        let ((permits, permitted), (shown, seen)) = (channel(), channel());
        let queue = LineQueue::start(Slow(permitted, shown)).expect("a thread");
        (0..2 * LINES_WAITING_MAX).for_each(|_| queue.push(b"more than there is room for"));
        queue.is_ending.store(true, Ordering::Relaxed);
        drop(permits);
        queue.push(b"last");
        queue.flush();
        assert_eq!(seen.try_iter().last().as_deref(), Some(b"last".as_slice()));
    }
}
