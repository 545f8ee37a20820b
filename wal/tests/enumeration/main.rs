//! All small workloads, all crashes: every log and snapshot workload of up to three operations, a crash before each change
//! that it makes to the disk, and every subset of what is not durable at that moment surviving. What comes back is always
//! a prefix of the groups that holds every record which was reported durable, a log goes on from it, and a later
//! recovery agrees with the first.
//!
//! The alphabet (`workload.rs`): a small record; a group of two records that fills more than a block; groups that fill
//! a segment, so that the log changes to the next one; idle time, which lets the closing frame be written; a snapshot begun
//! and some slots imaged; the other slots and the end of the snapshot; the floor of the log lifted, which recycles and removes
//! segments; the process restarted. Each operation before the last is either waited for or left under way, so that the
//! operations that follow overlap it. After the last one everything is finished, log writes first or jobs first. The
//! workloads begin in a new directory and in one whose segments are recycled, full of old frames.
//!
//! Subsets are exact where few enough sectors and names can be kept or lost (`units_max` in `check.rs`); `subsets.rs` says what
//! is taken together beyond that, and why nothing is missed by it.
//!
//! It never sleeps and takes no chances: each run tries the same crashes. A failure prints the command that tries the one
//! workload again.

#[path = "../common/mod.rs"]
mod common;

mod check;
mod subsets;
mod workload;

/// Disks are copied all the time; the system's allocator gives their memory back and takes it anew each time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use check::{Counts, Seen, try_all};
use workload::{Base, Bases, Workload};

/// All workloads of up to `operations_max` operations.
fn workloads(operations_max: usize) -> Vec<Workload> {
    (1..=operations_max).flat_map(Workload::all).collect()
}

/// Tries them on all processors, and adds up what was met.
fn run(workloads: &[Workload]) -> Counts {
    let bases = Bases::build();
    let seen = Seen::default();
    let (next, total) = (AtomicUsize::new(0), Mutex::new(Counts::default()));
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut counts = Counts::default();
                while let Some(workload) = workloads.get(next.fetch_add(1, Ordering::Relaxed)) {
                    // Without this line a panic would not say how to come to it again.
                    let guard = Repeat(workload);
                    try_all(workload, bases.of(workload.base), &seen, &mut counts);
                    std::mem::forget(guard);
                }
                total.lock().expect("nobody panics with it").add(&counts);
            });
        }
    });
    total.into_inner().expect("nobody panics with it")
}

/// Says how to repeat what panics while it is held.
struct Repeat<'a>(&'a Workload);

impl Drop for Repeat<'_> {
    fn drop(&mut self) {
        eprintln!("to repeat: WAL_WORKLOAD='{}' cargo test -p wal --test enumeration", self.0);
    }
}

#[test]
fn every_crash_of_every_small_workload() {
    if let Ok(one) = std::env::var("WAL_WORKLOAD") {
        println!("{:?}", run(&[one.parse().expect("a workload as it was printed")]));
        return;
    }
    let all = workloads(3);
    // Two beginnings and two orders of the end; eight operations, those before the last in two ways.
    assert_eq!(all.len(), 2 * 2 * (8 + 16 * 8 + 16 * 16 * 8));
    let began = std::time::Instant::now();
    let counts = run(&all);
    println!("{} workloads, {counts:?}, {:?}", all.len(), began.elapsed());
    counts.check_nothing_shrank();
}

#[test]
fn workloads_are_read_as_they_are_written() {
    for workload in workloads(2) {
        assert_eq!(workload.to_string().parse(), Ok(workload));
    }
    assert!(Base::ALL.len() == 2 && "new jobs small?".parse::<Workload>().is_err());
}
