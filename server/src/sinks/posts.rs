//! Posts: what the cores of this process and those who follow their logs tell each other. A core says how far its log is durable and how
//! large it is; the keeper says which records the sinks still need.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use engine::ids::Time;
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
    /// By name.
    held: Mutex<BTreeMap<String, Held>>,
}

/// The log behind these records is kept for a backup, until it does not say so any more.
#[derive(Debug)]
struct Held {
    floors: Vec<Lsn>,
    until: Instant,
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
    /// Engine time: the core's own, and the one up to which everything that it ever records is durable.
    now: AtomicU64,
    passed: AtomicU64,
    /// The last record that the newest snapshot holds for every slot.
    snapshot_holds: AtomicU64,
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
            now: AtomicU64::new(0),
            passed: AtomicU64::new(0),
            snapshot_holds: AtomicU64::new(0),
        };
        Posts {
            cores: cores.into_iter().map(post).collect(),
            is_awaited: AtomicBool::new(false),
            waiting: Mutex::new(()),
            more: Condvar::new(),
            held: Mutex::default(),
        }
    }

    /// Says what time it is on a core, and how far its log is durable. Costs a system call only where somebody waits for it.
    pub(crate) fn publish(&self, core: u16, now: Time, reach: Reach, size: LogSize) {
        let post = &self.cores[usize::from(core)];
        // The time first: whoever sees a record sees a time that is not before it.
        post.now.store(now.0, Ordering::Release);
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

    /// Says up to which time a core has recorded durably, and what its newest snapshot holds. Comes behind [`Posts::publish`]: whoever sees
    /// the time sees a reach that has all records up to it.
    pub(crate) fn pass(&self, core: u16, passed: Time, snapshot_holds: Lsn) {
        let post = &self.cores[usize::from(core)];
        post.snapshot_holds.store(snapshot_holds.0, Ordering::Relaxed);
        post.passed.store(passed.0, Ordering::Release);
    }

    /// The latest time on any core.
    pub(crate) fn now(&self) -> Time {
        Time(self.cores.iter().map(|post| post.now.load(Ordering::Acquire)).max().unwrap_or(0))
    }

    /// The time up to which no core will record any more, and all that they have recorded is durable.
    pub(crate) fn passed(&self) -> Time {
        Time(self.cores.iter().map(|post| post.passed.load(Ordering::Acquire)).min().unwrap_or(0))
    }

    /// Keeps the log for a backup of this name, for so long: behind what the newest snapshots hold, and behind `floors`. What is kept for it
    /// already is kept for longer.
    pub(crate) fn hold(&self, by: &str, floors: &[Lsn], time: Duration) {
        let until = Instant::now() + time;
        let mut held = self.live_holds();
        if let Some(held) = held.get_mut(by) {
            held.until = until;
            return;
        }
        let of_snapshots = self.cores.iter().map(|post| Lsn(post.snapshot_holds.load(Ordering::Relaxed)));
        let floors = of_snapshots.zip(floors).map(|(snapshot, floor)| snapshot.min(*floor)).collect();
        held.insert(by.to_owned(), Held { floors, until });
    }

    /// Nothing is kept for a backup of this name any more.
    pub(crate) fn let_go(&self, by: &str) {
        self.live_holds().remove(by);
    }

    /// The log is kept for a backup.
    pub(crate) fn is_held(&self) -> bool {
        !self.live_holds().is_empty()
    }

    fn live_holds(&self) -> MutexGuard<'_, BTreeMap<String, Held>> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        held.retain(|_, held| now < held.until);
        held
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

    /// The log of each core is kept behind these records. Whether that is news for any of them.
    pub(crate) fn set_floors(&self, floors: &[Lsn]) -> bool {
        let held = self.live_holds();
        let mut is_news = false;
        for (core, (post, floor)) in self.cores.iter().zip(floors).enumerate() {
            let floor = held.values().map(|held| held.floors[core]).fold(*floor, Lsn::min);
            let next = floor.next().0;
            is_news |= post.needed_from.swap(next, Ordering::Relaxed) != next;
        }
        is_news
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

/// The time up to which everything that a core ever records is durable, found out turn by turn.
#[derive(Debug, Default)]
pub(crate) struct DurableTime {
    /// The last record of some turn, and when that was: no later record is older.
    mark: Option<(Lsn, Time)>,
    passed: Time,
}

impl DurableTime {
    /// After a turn at `now`, whose last record is `appended`.
    pub(crate) fn turn(&mut self, now: Time, appended: Lsn, durable: Lsn) -> Time {
        for _ in 0..2 {
            let (lsn, at) = *self.mark.get_or_insert((appended, now));
            if durable < lsn {
                break;
            }
            // Records of the same millisecond may still come.
            self.passed = Time(at.0.saturating_sub(1));
            self.mark = None;
        }
        self.passed
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
            posts.publish(1, Time(0), reach, LogSize::default());
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

    /// Catches: a time that counts as passed while a record of it is in flight, or can still come.
    #[test]
    fn a_time_has_passed_once_no_record_of_it_can_come() {
        let mut time = DurableTime::default();
        assert_eq!(time.turn(Time(100), Lsn(5), Lsn(5)), Time(99), "nothing is in flight");
        assert_eq!(time.turn(Time(110), Lsn(8), Lsn(5)), Time(99), "three records of this turn are");
        assert_eq!(time.turn(Time(120), Lsn(9), Lsn(7)), Time(99));
        assert_eq!(time.turn(Time(130), Lsn(12), Lsn(8)), Time(109), "as of the turn that is durable");
        assert_eq!(time.turn(Time(140), Lsn(15), Lsn(12)), Time(129));
        assert_eq!(time.turn(Time(150), Lsn(15), Lsn(15)), Time(149));
    }

    /// Catches: a log that goes on being pruned while somebody copies it, or is kept for ever for one that has gone.
    #[test]
    fn a_log_is_held_for_a_while() {
        let posts = Posts::new([(Reach::NOTHING, Lsn(3)), (Reach::NOTHING, Lsn(3))]);
        posts.publish(0, Time(50), Reach::NOTHING, LogSize::default());
        posts.publish(1, Time(60), Reach::NOTHING, LogSize::default());
        posts.pass(0, Time(49), Lsn(7));
        posts.pass(1, Time(20), Lsn(90));
        assert_eq!((posts.now(), posts.passed()), (Time(60), Time(20)));
        let needed = |floors: [u64; 2]| {
            posts.set_floors(&floors.map(Lsn));
            [posts.needed_from(0), posts.needed_from(1)].map(|lsn| lsn.0)
        };
        let long = Duration::from_secs(1_000);
        posts.hold("one", &[Lsn(10), Lsn(20)], long);
        assert_eq!(needed([100, 15]), [8, 16]);
        posts.pass(0, Time(49), Lsn(70));
        posts.hold("one", &[Lsn(100), Lsn(100)], long);
        posts.hold("other", &[Lsn(100), Lsn(30)], long);
        assert_eq!(needed([100, 100]), [8, 21], "as far as either needs it");
        posts.let_go("one");
        assert_eq!(needed([100, 100]), [71, 31]);
        posts.hold("other", &[], Duration::ZERO);
        assert!(!posts.is_held());
        assert_eq!(needed([100, 100]), [101, 101]);
    }

    #[test]
    fn whoever_waits_is_woken_by_a_record() {
        let posts = Arc::new(Posts::new([(Reach::NOTHING, Lsn::MAX)]));
        let publisher = posts.clone();
        let thread = thread::spawn(move || {
            for lsn in 1..=1_000 {
                publisher.publish(
                    0,
                    Time(lsn),
                    Reach { lsn: Lsn(lsn), generation: 1, offset: 0 },
                    LogSize::default(),
                );
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
