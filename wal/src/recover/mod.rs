//! Recovery: reads a core's snapshot and then its log.

pub(crate) mod listing;
pub(crate) mod scan;
mod window;

use std::time::Duration;

use crate::core_dir::CoreDir;
use crate::error::{During, OpenError};
use crate::files::{File, Files};
use crate::frame::Owner;
use crate::limits::CLAIM_WAIT_MS;
use crate::names;
use crate::replay::Recover;
use crate::snapshot::{self, SnapshotInfo};
use crate::types::Lsn;

use listing::Listing;
use scan::{Scan, ScanItem, SegmentFile};

/// A torn tail: the frame that was being written when the process died. It was never acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// The segment.
    pub file: String,
    /// Offset of the torn frame.
    pub offset: u64,
    /// Its length if its header can be read, otherwise that of its first block.
    pub bytes: u64,
    /// The defect.
    pub reason: String,
}

/// The result of recovery, from which [`DataDir::log`](crate::DataDir::log) starts the log.
#[derive(Debug)]
pub struct Recovered {
    /// The last record; it and all before it are durable.
    pub last: Lsn,
    /// The snapshot that recovery began with.
    pub snapshot: SnapshotInfo,
    /// Records that were replayed.
    pub records: u64,
    /// Bytes of log from the snapshot on.
    pub log_bytes: u64,
    /// The torn tail, if there was one.
    pub cut: Option<Cut>,
    pub(crate) owner: Owner,
    /// Segments with frames; the log continues in the last one. The second number is the last record in the segment, or a later
    /// one for segments that were not read.
    pub(crate) segments: Vec<(SegmentFile, u64)>,
    pub(crate) spares: Vec<SegmentFile>,
    pub(crate) offset: u64,
    pub(crate) previous_crc: u32,
    pub(crate) closed: bool,
    pub(crate) listing: Listing,
}

/// Reads snapshot and log of one core. Everything must have been synced before.
pub(crate) fn recover<F: Files>(
    core: &CoreDir<F>,
    owner: Owner,
    sink: &mut dyn Recover,
) -> Result<Recovered, OpenError> {
    let listing = Listing::read(core)?;
    await_stray_writes(core, &listing)?;
    let number = *listing.snapshots.last().expect("checked by the listing");
    let path = core.path(&names::snapshot(number));
    let snapshot = snapshot::read(&core.files, &path, &owner, number, sink)?;
    let mut scan = Scan::new(core.clone(), owner, &listing, Some(snapshot.begin.0 + 1))?;
    let (mut records, mut log_bytes) = (0, 0);
    let tail = loop {
        match scan.next()? {
            ScanItem::End(tail) => break tail,
            ScanItem::Frame(header) => {
                if header.next_lsn() > snapshot.begin.0 + 1 {
                    log_bytes += header.frame_bytes() as u64;
                    records += replay_frame(&scan, header.first_lsn, snapshot.begin, sink)?;
                }
            }
        }
    };
    scan.check_snapshot(&snapshot, snapshot.begin.0 + 1, &tail)?;
    let (segments, spares) = scan.into_segments(&tail);
    Ok(Recovered {
        last: Lsn(tail.next_lsn - 1),
        snapshot,
        records,
        log_bytes,
        cut: tail.cut,
        owner,
        segments,
        spares,
        offset: tail.offset,
        previous_crc: tail.previous_crc,
        closed: tail.closed,
        listing,
    })
}

/// Replays the records of a frame from `after` on: those up to it are in every image. Returns their number.
fn replay_frame<F: Files>(
    scan: &Scan<F>,
    first: u64,
    after: Lsn,
    sink: &mut dyn Recover,
) -> Result<u64, OpenError> {
    let mut given = 0;
    for (lsn, record) in (first..).map(Lsn).zip(scan.records()) {
        if lsn <= after {
            continue;
        }
        given += 1;
        sink.record(lsn, record).map_err(|reason| {
            let (file, offset) = scan.frame_position();
            OpenError::Refused { file, offset, what: format!("record {lsn}"), reason }
        })?;
    }
    Ok(given)
}

/// Waits until no write of a dead process is in flight any more: one could land after this place was read.
fn await_stray_writes<F: Files>(core: &CoreDir<F>, listing: &Listing) -> Result<(), OpenError> {
    for generation in &listing.segments {
        let path = core.path(&names::segment(*generation));
        let name = core.files.display(&path);
        let opened = core.files.open_read(&path).during("open", &name)?;
        let Some(file) = opened else { continue };
        if !file.wait_for_writes(Duration::from_millis(CLAIM_WAIT_MS)).during("lock", &name)? {
            let holder = "a write that is still in flight".to_owned();
            return Err(OpenError::Locked { path: name, holder });
        }
    }
    Ok(())
}
