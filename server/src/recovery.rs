//! From a data directory to shards: every core's snapshot and log read in parallel, and the slots dealt out again when
//! the number of cores has changed.

use std::thread;

use shard::{Recovery, redistribute};
use wal::{DataDir, OpenError, Recovered};

/// One core's slots, and where its log goes on.
pub(crate) type Core = (Recovery, Recovered);

/// Reads the directory for `cores` cores.
///
/// # Errors
/// What refuses to be read or written, by file and offset.
pub(crate) fn recover(dir: &mut DataDir, cores: u16) -> Result<Vec<Core>, OpenError> {
    let found = read_all(dir)?;
    if dir.cores() == cores {
        return Ok(found);
    }
    tracing::info!(
        from = u64::from(dir.cores()),
        to = u64::from(cores),
        "dealing the slots out to another number of cores"
    );
    redistribute(dir, found.into_iter().map(|(core, _)| core), cores)?;
    read_all(dir)
}

fn read_all(dir: &DataDir) -> Result<Vec<Core>, OpenError> {
    let cores = dir.cores();
    let read = |core| {
        let mut recovery = Recovery::new(core, cores);
        let recovered = dir.recover(core, &mut recovery)?;
        Ok((recovery, recovered))
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..cores).map(|core| scope.spawn(move || read(core))).collect();
        threads.into_iter().map(|thread| thread.join().expect("a panic ends the process")).collect()
    })
}
