//! Posts: what the cores of this process and those who follow their logs tell each other. A core says how far its log is durable and how
//! large it is; the keeper says which records the sinks still need.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use wal::Lsn;
use wal::follow::Reach;
use wal::limits::{BLOCK_BYTES, SEGMENT_BYTES_MAX};

/// Bits for the offset of a frame, in blocks.
const OFFSET_BITS: u32 = 20;
const _: () = assert!(SEGMENT_BYTES_MAX / (BLOCK_BYTES as u64) < 1 << OFFSET_BITS);

/// One post for each core.
#[derive(Debug)]
pub(crate) struct Posts {
    cores: Box<[Post]>,
    /// Somebody waits for records.
    is_awaited: AtomicBool,
    waiting: Mutex<()>,
    more: Condvar,
}

/// Written by one core but for `needed_from`, read by any thread.
#[derive(Debug)]
struct Post {
    durable: AtomicU64,
    /// The end of the last durable frame: generation and offset. Never behind that of `durable`.
    end: AtomicU64,
    needed_bytes: AtomicU64,
    kept_bytes: AtomicU64,
    /// But for the sinks, some of the log could go.
    is_kept_for_sinks: AtomicBool,
    /// The first record that some sink needs.
    needed_from: AtomicU64,
    /// The record behind the last one that the read model is relied on to have; [`UNKNOWN`] where nothing is known.
    read_model_next: AtomicU64,
}

const UNKNOWN: u64 = 0;

/// The size of a core's log.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct LogSize {
    pub(crate) needed_bytes: u64,
    pub(crate) kept_bytes: u64,
    pub(crate) is_kept_for_sinks: bool,
}

impl Posts {
    /// For each core how far its log is durable at the start, and the last record that no sink needs.
    pub(crate) fn new(cores: impl IntoIterator<Item = (Reach, Lsn)>) -> Posts {
        let post = |(reach, floor): (Reach, Lsn)| Post {
            durable: AtomicU64::new(reach.lsn.0),
            end: AtomicU64::new(end(&reach)),
            needed_bytes: AtomicU64::new(0),
            kept_bytes: AtomicU64::new(0),
            is_kept_for_sinks: AtomicBool::new(false),
            needed_from: AtomicU64::new(floor.next().0),
            read_model_next: AtomicU64::new(UNKNOWN),
        };
        Posts {
            cores: cores.into_iter().map(post).collect(),
            is_awaited: AtomicBool::new(false),
            waiting: Mutex::new(()),
            more: Condvar::new(),
        }
    }

    /// Says how far the log of a core is durable. Costs a system call only where somebody waits for it.
    pub(crate) fn publish(&self, core: u16, reach: Reach, size: LogSize) {
        let post = &self.cores[usize::from(core)];
        post.needed_bytes.store(size.needed_bytes, Ordering::Relaxed);
        post.kept_bytes.store(size.kept_bytes, Ordering::Relaxed);
        post.is_kept_for_sinks.store(size.is_kept_for_sinks, Ordering::Relaxed);
        // The end first: whoever sees the record sees its end, or a later one.
        post.end.store(end(&reach), Ordering::Release);
        if post.durable.load(Ordering::Relaxed) == reach.lsn.0 {
            return;
        }
        post.durable.store(reach.lsn.0, Ordering::SeqCst);
        if self.is_awaited.load(Ordering::SeqCst) && self.is_awaited.swap(false, Ordering::SeqCst) {
            let _waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            self.more.notify_all();
        }
    }

    /// The reach of each core's log: how far it is durable.
    pub(crate) fn reach(&self) -> Vec<Reach> {
        let reach = |post: &Post| {
            let lsn = Lsn(post.durable.load(Ordering::Acquire));
            let end = post.end.load(Ordering::Acquire);
            let offset = (end & ((1 << OFFSET_BITS) - 1)) * BLOCK_BYTES as u64;
            Reach { lsn, generation: end >> OFFSET_BITS, offset }
        };
        self.cores.iter().map(reach).collect()
    }

    /// The last durable record of each core.
    pub(crate) fn durable(&self) -> Vec<Lsn> {
        self.cores.iter().map(|post| Lsn(post.durable.load(Ordering::Acquire))).collect()
    }

    /// Waits until some core has a durable record behind `seen`, at most so long.
    pub(crate) fn wait(&self, seen: &[Lsn], timeout: Duration) {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let nothing_new = |_: &mut ()| {
            self.is_awaited.store(true, Ordering::SeqCst);
            let durable = self.cores.iter().map(|post| post.durable.load(Ordering::SeqCst));
            !durable.zip(seen).any(|(durable, seen)| durable > seen.0)
        };
        drop(self.more.wait_timeout_while(waiting, timeout, nothing_new));
    }

    /// The log of each core is kept behind these records.
    pub(crate) fn set_floors(&self, floors: &[Lsn]) {
        for (post, floor) in self.cores.iter().zip(floors) {
            post.needed_from.store(floor.next().0, Ordering::Relaxed);
        }
    }

    /// The first record that the log of a core keeps for sinks.
    pub(crate) fn needed_from(&self, core: u16) -> Lsn {
        Lsn(self.cores[usize::from(core)].needed_from.load(Ordering::Relaxed))
    }

    /// The read model has these records of each core, and all before them, and is relied on for it; `None`: nobody knows. Whether somebody
    /// does who did not before.
    pub(crate) fn set_read_model(&self, has: Option<&[Lsn]>) -> bool {
        let mut is_news = false;
        for (core, post) in self.cores.iter().enumerate() {
            let next = has.map_or(UNKNOWN, |has| has[core].0.saturating_add(1));
            let before = post.read_model_next.swap(next, Ordering::Relaxed);
            is_news |= before == UNKNOWN && next != UNKNOWN;
        }
        is_news
    }

    /// The last record of a core that the read model is relied on to have.
    pub(crate) fn read_model_has(&self, core: u16) -> Option<Lsn> {
        let next = self.cores[usize::from(core)].read_model_next.load(Ordering::Relaxed);
        (next != UNKNOWN).then(|| Lsn(next - 1))
    }

    pub(crate) fn sizes(&self) -> impl Iterator<Item = LogSize> {
        self.cores.iter().map(|post| LogSize {
            needed_bytes: post.needed_bytes.load(Ordering::Relaxed),
            kept_bytes: post.kept_bytes.load(Ordering::Relaxed),
            is_kept_for_sinks: post.is_kept_for_sinks.load(Ordering::Relaxed),
        })
    }
}

/// Generation and offset in one number, so that they are read together.
fn end(reach: &Reach) -> u64 {
    (reach.generation << OFFSET_BITS) | (reach.offset / BLOCK_BYTES as u64)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::*;

    #[test]
    fn a_reach_is_read_as_it_was_published() {
        let posts = Posts::new([(Reach::NOTHING, Lsn::MAX), (Reach::NOTHING, Lsn(7))]);
        let largest = Reach { lsn: Lsn(u64::MAX), generation: (1 << 44) - 1, offset: SEGMENT_BYTES_MAX };
        for reach in [Reach { lsn: Lsn(5), generation: 3, offset: 8_192 }, largest] {
            posts.publish(1, reach, LogSize::default());
            assert_eq!(posts.reach(), [Reach::NOTHING, reach]);
        }
        assert_eq!([posts.needed_from(0), posts.needed_from(1)], [Lsn::MAX, Lsn(8)]);
        assert_eq!([posts.read_model_has(0), posts.read_model_has(1)], [None, None]);
        assert!(posts.set_read_model(Some(&[Lsn(0), Lsn(9)])));
        assert_eq!([posts.read_model_has(0), posts.read_model_has(1)], [Some(Lsn(0)), Some(Lsn(9))]);
        assert!(!posts.set_read_model(Some(&[Lsn(0), Lsn(9)])));
        assert!(!posts.set_read_model(None));
        assert_eq!(posts.read_model_has(1), None);
    }

    #[test]
    fn whoever_waits_is_woken_by_a_record() {
        let posts = Arc::new(Posts::new([(Reach::NOTHING, Lsn::MAX)]));
        let publisher = posts.clone();
        let thread = thread::spawn(move || {
            for lsn in 1..=1_000 {
                publisher.publish(0, Reach { lsn: Lsn(lsn), generation: 1, offset: 0 }, LogSize::default());
            }
        });
        let mut seen = Lsn(0);
        while seen < Lsn(1_000) {
            // Without a wake-up this test takes for ever.
            posts.wait(&[seen], Duration::from_secs(1_000));
            seen = posts.durable()[0];
        }
        thread.join().expect("a publisher");
    }
}
