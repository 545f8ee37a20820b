//! What the black-box tests share: the server as a process, an HTTP client that can also send raw bytes, the
//! contract's calls by name, time and chance, all of them the drills'; and a feed. Nothing here links the engine's code.

pub(crate) mod feed;

pub(crate) use drill::{Conn, DEADLINE, Launch, Port, Response, Rng, Server, Session, until};
pub(crate) use drill::{http, process, session, time};

/// Straight to the terminal: what a passing test prints is not shown.
pub(crate) fn skipped(why: &str) {
    use std::io::Write;
    std::io::stderr().write_all(format!("SKIPPED: {why}\n").as_bytes()).expect("a terminal");
}

/// Runs `work(0)` to `work(count - 1)` at the same time and gives the results in that order.
pub(crate) fn together<T: Send>(count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let gate = std::sync::Barrier::new(count);
    std::thread::scope(|scope| {
        let handles: Vec<_> = (0..count)
            .map(|i| {
                let (gate, work) = (&gate, &work);
                scope.spawn(move || {
                    gate.wait();
                    work(i)
                })
            })
            .collect();
        handles.into_iter().map(|h| h.join().unwrap_or_else(|e| std::panic::resume_unwind(e))).collect()
    })
}
