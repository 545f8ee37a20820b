//! Preparation of a core's files between recovery and the first write of the log.

use std::sync::Arc;

use crate::bytes::is_zero;
use crate::core_dir::CoreDir;
use crate::disk::jobs::JobRunner;
use crate::disk::{Job, JobError};
use crate::error::{During, OpenError};
use crate::files::{File, Files};
use crate::limits::{CHUNK_BYTES, FRAME_BYTES_MAX};
use crate::names;
use crate::options::Options;
use crate::recover::Recovered;
use crate::recover::scan::SegmentFile;

/// Removes temporary files and older snapshots, drops spare segments of another size, zeroes the places where a write can have
/// been in flight, and makes the missing spare segments. Idempotent: a crash in between does no harm.
pub(super) fn prepare<F: Files>(
    core: &CoreDir<F>,
    mut at: Recovered,
    options: &Options,
) -> Result<Recovered, OpenError> {
    for name in &at.listing.temporary {
        remove(core, name)?;
    }
    // The snapshots before the newest were about to be removed; the log they would need may be gone already.
    for number in at.listing.snapshots.iter().filter(|number| **number != at.snapshot.number) {
        remove(core, &names::snapshot(*number))?;
    }
    // From the highest down, so that no crash leaves a gap. A spare segment behind one that is dropped goes too.
    let keep = at.spares.iter().take_while(|spare| spare.bytes == options.segment_bytes).count();
    for spare in at.spares.drain(keep..).rev() {
        remove(core, &names::segment(spare.generation))?;
    }
    invalidate(core, &at)?;
    add_spares(core, &mut at, options)?;
    Ok(at)
}

/// Zeroes what a torn frame may have left at the end of the log and at the beginning of the next segment, seen by recovery or
/// not. Otherwise a block of it could later be taken for a frame, or for proof that one was durable.
fn invalidate<F: Files>(core: &CoreDir<F>, at: &Recovered) -> Result<(), OpenError> {
    let (current, _) = at.segments.last().expect("a log has a segment");
    let reach = FRAME_BYTES_MAX as u64;
    zero_unless_zero(core, current.generation, at.offset, current.bytes.min(at.offset + reach))?;
    match at.spares.first() {
        Some(next) => zero_unless_zero(core, next.generation, 0, next.bytes.min(reach)),
        None => Ok(()),
    }
}

/// Makes missing spare segments. On a full disk the log starts with those that there are, and tries again while it runs.
fn add_spares<F: Files>(core: &CoreDir<F>, at: &mut Recovered, options: &Options) -> Result<(), OpenError> {
    let (current, _) = *at.segments.last().expect("a log has a segment");
    let mut runner = JobRunner::new(core.clone());
    while at.spares.len() < options.spare_segments as usize {
        let generation = current.generation + at.spares.len() as u64 + 1;
        let bytes = options.segment_bytes;
        match runner.run(Job::CreateSegment { generation, bytes }) {
            Ok(()) => at.spares.push(SegmentFile { generation, bytes }),
            Err(JobError::NoSpace(_)) => break,
            Err(JobError::Abandoned(error) | JobError::Fatal(error)) => {
                let source = Arc::try_unwrap(error.source).unwrap_or_else(|error| error.kind().into());
                return Err(source).during(error.op, &core.files.display(&core.path(&error.file)));
            }
        }
    }
    Ok(())
}

fn zero_unless_zero<F: Files>(
    core: &CoreDir<F>,
    generation: u64,
    from: u64,
    to: u64,
) -> Result<(), OpenError> {
    let path = core.path(&names::segment(generation));
    let name = core.files.display(&path);
    let file = core.files.open_write(&path).during("open", &name)?;
    let mut bytes = vec![0; CHUNK_BYTES];
    let mut offset = from;
    while offset < to {
        let piece = usize::try_from((to - offset).min(CHUNK_BYTES as u64)).expect("at most a chunk");
        let read = file.read_at(&mut bytes[..piece], offset).during("read", &name)?;
        if !is_zero(&bytes[..read]) {
            file.fill(from, to).during("write", &name)?;
            return file.sync().during("sync", &name);
        }
        offset += piece as u64;
    }
    Ok(())
}

fn remove<F: Files>(core: &CoreDir<F>, name: &str) -> Result<(), OpenError> {
    let path = core.path(name);
    let name = core.files.display(&path);
    core.files.remove(&path).during("remove", &name)?;
    core.files.sync_dir(&core.dir).during("sync the directory of", &name)
}
