//! Two cores and what passes between them, in every order that the memory model allows: the sending end as it runs
//! ([`Outgoing`]), the wake-up as it runs ([`CoalescedWake`]), over loom's atomics. The ring is a model of `rtrb`'s (one producer, one
//! consumer, two counters): its own orders are its own tests' business, and are the weakest here that one can rely on.
//!
//! Property: whatever was sent arrives, in order, and no receiver sleeps beside a parcel. Where one does, loom finds all threads
//! asleep and says so.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;
use net::coalesced_wake::{CoalescedWake, Flag};

use super::outgoing::{Outgoing, Ring, Wake};

/// Parcels in one ring: fewer than are sent, so that it is full at times.
const ROOM: usize = 2;

struct Slots {
    cells: [UnsafeCell<usize>; ROOM],
    /// Parcels ever put in and taken out.
    put: AtomicUsize,
    taken: AtomicUsize,
}

struct Sender(Arc<Slots>);
struct Receiver(Arc<Slots>);

fn ring() -> (Sender, Receiver) {
    let cells = [UnsafeCell::new(0), UnsafeCell::new(0)];
    let slots = Arc::new(Slots { cells, put: AtomicUsize::new(0), taken: AtomicUsize::new(0) });
    (Sender(slots.clone()), Receiver(slots))
}

impl Sender {
    fn put(&self) -> usize {
        // Only this end changes it.
        self.0.put.load(Ordering::Relaxed)
    }
}

impl Ring<usize> for Sender {
    fn is_full(&self) -> bool {
        self.put() - self.0.taken.load(Ordering::Acquire) == ROOM
    }

    fn push(&mut self, item: usize) {
        let put = self.put();
        // SAFETY: there is room, so the receiver has left this cell, and looks at it after the counter below says so. Loom
        // holds it against every order.
        self.0.cells[put % ROOM].with_mut(|cell| unsafe { *cell = item });
        self.0.put.store(put + 1, Ordering::Release);
    }
}

impl Receiver {
    fn is_empty(&self) -> bool {
        self.0.taken.load(Ordering::Relaxed) == self.0.put.load(Ordering::Acquire)
    }

    fn pop(&self) -> Option<usize> {
        if self.is_empty() {
            return None;
        }
        let taken = self.0.taken.load(Ordering::Relaxed);
        // SAFETY: it is not empty, so the sender has written this cell, and leaves it alone until the counter below goes on.
        let item = self.0.cells[taken % ROOM].with(|cell| unsafe { *cell });
        self.0.taken.store(taken + 1, Ordering::Release);
        Some(item)
    }
}

struct LoomFlag(AtomicBool);

impl Flag for LoomFlag {
    fn swap(&self, value: bool) -> bool {
        self.0.swap(value, Ordering::AcqRel)
    }
}

/// A waker as `net::runtime` has it, with a counter in place of the eventfd.
struct CoreWaker {
    wake: CoalescedWake<LoomFlag>,
    signals: Mutex<u64>,
    readable: Condvar,
}

impl CoreWaker {
    fn new() -> Arc<CoreWaker> {
        let wake = CoalescedWake::new(LoomFlag(AtomicBool::new(false)));
        Arc::new(CoreWaker { wake, signals: Mutex::new(0), readable: Condvar::new() })
    }

    fn wait(&self) {
        let readable = async || {
            let mut signals = self.signals.lock().unwrap();
            while *signals == 0 {
                signals = self.readable.wait(signals).unwrap();
            }
            Ok(())
        };
        let drain = || *self.signals.lock().unwrap() = 0;
        let waiting = pin!(self.wake.wait(readable, drain));
        // It blocks its thread, which a core does not, and so is never pending.
        assert!(matches!(waiting.poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(Ok(()))));
    }
}

impl Wake for Arc<CoreWaker> {
    fn wake(&self) {
        self.wake.wake(|| {
            *self.signals.lock().unwrap() += 1;
            self.readable.notify_one();
        });
    }
}

/// The receiver's loop: takes what is there, looks again, sleeps.
fn receive(rings: &[Receiver], waker: &CoreWaker, count: usize) -> Vec<usize> {
    let mut got = Vec::new();
    loop {
        while let Some(parcel) = rings.iter().find_map(Receiver::pop) {
            got.push(parcel);
        }
        if got.len() == count {
            return got;
        }
        if rings.iter().all(Receiver::is_empty) {
            waker.wait();
        }
    }
}

/// Sends parcels in several turns; what a full ring holds back goes in a later one.
fn send<R: Ring<usize>>(mut out: Outgoing<usize, R, Arc<CoreWaker>>, turns: &[&[usize]]) {
    for parcels in turns {
        parcels.iter().for_each(|parcel| out.send(*parcel));
        out.flush();
    }
    while out.waiting() > 0 {
        thread::yield_now();
        out.flush();
    }
}

/// Every order, up to so many switches away from a thread that could go on.
fn explore(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

#[test]
fn no_parcel_waits_beside_a_sleeping_receiver() {
    explore(|| {
        let ((sender, receiver), waker) = (ring(), CoreWaker::new());
        let out = Outgoing::new(sender, waker.clone());
        let sending = thread::spawn(move || send(out, &[&[1], &[2]]));
        assert_eq!(receive(&[receiver], &waker, 2), [1, 2]);
        sending.join().unwrap();
    });
}

#[test]
fn a_full_ring_blocks_nobody_and_what_waits_goes_later() {
    explore(|| {
        let ((sender, receiver), waker) = (ring(), CoreWaker::new());
        let out = Outgoing::new(sender, waker.clone());
        let sending = thread::spawn(move || send(out, &[&[1, 2, 3]]));
        assert_eq!(receive(&[receiver], &waker, 3), [1, 2, 3]);
        sending.join().unwrap();
    });
}

#[test]
fn two_senders_share_a_waker() {
    explore(|| {
        let (first, second, waker) = (ring(), ring(), CoreWaker::new());
        let outs = [Outgoing::new(first.0, waker.clone()), Outgoing::new(second.0, waker.clone())];
        let sending: Vec<_> = outs
            .into_iter()
            .enumerate()
            .map(|(from, out)| thread::spawn(move || send(out, &[&[from]])))
            .collect();
        let mut got = receive(&[first.1, second.1], &waker, 2);
        got.sort_unstable();
        assert_eq!(got, [0, 1]);
        sending.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

/// A ring that publishes one parcel late: after the wake. What the order in `flush` is for.
struct Late(Sender, Vec<usize>);

impl Ring<usize> for Late {
    fn is_full(&self) -> bool {
        self.0.is_full()
    }

    fn push(&mut self, item: usize) {
        self.1.push(item);
    }
}

impl Drop for Late {
    fn drop(&mut self) {
        for item in std::mem::take(&mut self.1) {
            self.0.push(item);
        }
    }
}

#[test]
#[ignore = "ends in a deadlock on purpose, and with it the process; the next test runs it in one of its own"]
fn a_wake_before_the_parcel() {
    explore(|| {
        let ((sender, receiver), waker) = (ring(), CoreWaker::new());
        let out = Outgoing::new(Late(sender, Vec::new()), waker.clone());
        let sending = thread::spawn(move || send(out, &[&[1]]));
        assert_eq!(receive(&[receiver], &waker, 1), [1]);
        sending.join().unwrap();
    });
}

#[test]
fn a_wake_before_the_parcel_leaves_it_beside_a_sleeping_receiver() {
    let tests = std::env::current_exe().expect("this program");
    let run = std::process::Command::new(tests)
        .args(["--exact", "links::model::a_wake_before_the_parcel", "--ignored", "--nocapture"])
        .output()
        .expect("this program runs");
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(!run.status.success() && said.contains("deadlock; threads"), "it was not found: {said}");
}
