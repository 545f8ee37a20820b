//! Read-only inspection of a data directory. A directory in use is refused, because the writes of a running log would look like
//! damage.

use std::collections::VecDeque;
use std::path::Path;

use crate::core_dir::CoreDir;
use crate::dir::origin::Origin;
use crate::error::{During, OpenError};
use crate::files::{Files, OsFiles};
use crate::follow::{Cursor, Reach, Stopped};
use crate::frame::Owner;
use crate::names;
use crate::recover::listing::Listing;
use crate::recover::scan::{Scan, ScanItem};
use crate::recover::{Cut, recover};
use crate::replay::Recover;
use crate::sinks::{self, Sinks};
use crate::snapshot::{self, SnapshotInfo};
use crate::superblock::{self, Superblock};
use crate::types::Lsn;

/// The report on a directory.
#[derive(Debug)]
pub struct Report {
    /// The directory.
    pub path: String,
    /// Its id.
    pub id: [u8; 16],
    /// Its epoch; 0 when it was never finished, and holds nothing.
    pub epoch: u32,
    /// Its cores.
    pub cores: Vec<CoreReport>,
    /// Both copies of the superblock are sound and agree. If not, the next start repairs the other one.
    pub superblock_whole: bool,
    /// The sinks: who follows the log.
    pub sinks: Sinks,
    /// Damage among the files that a start can do without: the sinks, the origin of the epoch.
    pub beside: Vec<OpenError>,
}

impl Report {
    /// True if a start would refuse nothing, and who follows the log finds what he needs.
    pub fn is_sound(&self) -> bool {
        self.beside.is_empty() && self.cores.iter().all(|core| core.problem.is_none())
    }
}

/// The report on one core's files, as far as they could be read.
#[derive(Debug, Default)]
pub struct CoreReport {
    /// The number of the core.
    pub core: u16,
    /// The newest snapshot.
    pub snapshot: Option<SnapshotInfo>,
    /// Segments with frames.
    pub segments: usize,
    /// Segments behind the end of the log.
    pub spare_segments: usize,
    /// Frames.
    pub frames: u64,
    /// Records in them.
    pub records: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// The first record that is still there; 0 if there is none.
    pub first: Lsn,
    /// The last record.
    pub last: Lsn,
    /// A torn tail, which the next start cuts.
    pub cut: Option<Cut>,
    /// The error with which a start would refuse this core. It may be in a segment that the snapshot has passed, which a start does
    /// not read.
    pub problem: Option<OpenError>,
}

/// One record of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The core whose log it is in.
    pub core: u16,
    /// Its number there.
    pub lsn: Lsn,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Reads everything in a directory that nobody has open.
///
/// # Errors
/// When it is no data directory, is in use, or has no sound superblock. Errors in a core's files are in its report.
pub fn check(path: impl AsRef<Path>) -> Result<Report, OpenError> {
    check_on(&os_files(path.as_ref())?)
}

/// [`check`] on any [`Files`].
///
/// # Errors
/// As there.
pub fn check_on<F: Files>(files: &F) -> Result<Report, OpenError> {
    let (read, _lock) = lock_and_read(files)?;
    let superblock = read.superblock;
    let core = |number| {
        let mut report = CoreReport { core: number, ..CoreReport::default() };
        report.problem = check_core(files, &superblock, &mut report).err();
        report
    };
    let mut beside = Vec::new();
    let sinks = sinks::read(files, superblock.id).unwrap_or_else(|error| {
        beside.push(error);
        None
    });
    beside.extend(Origin::read(files, superblock.id, superblock.epoch).err());
    Ok(Report {
        path: files.display(""),
        sinks: sinks.unwrap_or_default(),
        beside,
        id: superblock.id,
        epoch: superblock.epoch,
        cores: (0..superblock.cores).map(core).collect(),
        superblock_whole: read.both_agree,
    })
}

/// All records that are in the logs, core by core, also those that a snapshot has passed.
///
/// # Errors
/// As [`check`]. An error in a core's files ends the iteration.
pub fn records(path: impl AsRef<Path>) -> Result<Records<OsFiles>, OpenError> {
    records_on(os_files(path.as_ref())?)
}

/// [`records`] on any [`Files`].
///
/// # Errors
/// As there.
pub fn records_on<F: Files>(files: F) -> Result<Records<F>, OpenError> {
    let (read, lock) = lock_and_read(&files)?;
    Ok(Records {
        files,
        superblock: read.superblock,
        core: 0,
        scan: None,
        frame: VecDeque::new(),
        _lock: lock,
    })
}

/// Gives a core's snapshot and log to `sink`, as a start would.
///
/// # Errors
/// As [`check`]; and errors in the core's files, or records and images that `sink` refuses, by file and offset.
///
/// # Panics
/// When there is no such core.
pub fn replay(path: impl AsRef<Path>, core: u16, sink: &mut dyn Recover) -> Result<(), OpenError> {
    let files = os_files(path.as_ref())?;
    let (read, _lock) = lock_and_read(&files)?;
    assert!(core < read.superblock.cores, "no such core");
    let (dir, owner) = core_of(&files, &read.superblock, core);
    recover(&dir, owner, sink).map(drop)
}

/// Finds out how far the logs of a directory go that nobody has open, for whoever follows them.
///
/// # Errors
/// As [`check`]; and errors in a core's files.
pub fn stopped<F: Files>(files: &F) -> Result<Stopped<F>, OpenError> {
    let (read, lock) = lock_and_read(files)?;
    let Superblock { id, life, epoch, cores, .. } = read.superblock;
    let end = |core| {
        let mut scan = scan_all(files, &read.superblock, core)?;
        loop {
            if let ScanItem::End(tail) = scan.next()? {
                return Ok(Reach::of_closed(Lsn(tail.next_lsn - 1)));
            }
        }
    };
    let reach = (0..cores).map(end).collect::<Result<_, OpenError>>()?;
    Ok(Stopped { newest: Cursor::beginning(id, life, epoch, cores), reach, _lock: lock })
}

/// Iterates over [`records`].
pub struct Records<F: Files> {
    files: F,
    superblock: Superblock,
    core: u16,
    scan: Option<Scan<F>>,
    frame: VecDeque<Entry>,
    _lock: F::Lock,
}

impl<F: Files> std::fmt::Debug for Records<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Records").field("core", &self.core).finish_non_exhaustive()
    }
}

impl<F: Files> Iterator for Records<F> {
    type Item = Result<Entry, OpenError>;

    fn next(&mut self) -> Option<Result<Entry, OpenError>> {
        loop {
            if let Some(entry) = self.frame.pop_front() {
                return Some(Ok(entry));
            }
            if self.core >= self.superblock.cores {
                return None;
            }
            if let Err(error) = self.advance() {
                self.core = self.superblock.cores;
                return Some(Err(error));
            }
        }
    }
}

impl<F: Files> Records<F> {
    /// Reads the next frame, or goes on to the next core.
    fn advance(&mut self) -> Result<(), OpenError> {
        let mut scan = match self.scan.take() {
            Some(scan) => scan,
            None => scan_all(&self.files, &self.superblock, self.core)?,
        };
        match scan.next()? {
            ScanItem::End(_) => self.core += 1,
            ScanItem::Frame(header) => {
                let core = self.core;
                let numbered = (header.first_lsn..).map(Lsn).zip(scan.records());
                self.frame.extend(numbered.map(|(lsn, bytes)| Entry { core, lsn, bytes: bytes.to_vec() }));
                self.scan = Some(scan);
            }
        }
        Ok(())
    }
}

fn os_files(path: &Path) -> Result<OsFiles, OpenError> {
    OsFiles::new(path).during("find", &path.display().to_string())
}

fn lock_and_read<F: Files>(files: &F) -> Result<(superblock::Loaded, F::Lock), OpenError> {
    let read = || {
        superblock::read(files)?.ok_or_else(|| OpenError::Missing {
            file: files.display(names::SUPERBLOCK),
            reason: "without one this is no data directory".to_owned(),
        })
    };
    read()?;
    let locked = files.lock(names::LOCK, false).during("lock", &files.display(names::LOCK))?;
    let lock = locked.map_err(|holder| OpenError::Locked { path: files.display(""), holder })?;
    Ok((read()?, lock))
}

fn core_of<F: Files>(files: &F, superblock: &Superblock, core: u16) -> (CoreDir<F>, Owner) {
    let owner = Owner { id: superblock.id, epoch: superblock.epoch, core };
    (CoreDir::new(files, superblock.epoch, core), owner)
}

fn scan_all<F: Files>(files: &F, superblock: &Superblock, core: u16) -> Result<Scan<F>, OpenError> {
    let (dir, owner) = core_of(files, superblock, core);
    let listing = Listing::read(&dir)?;
    Scan::new(dir, owner, &listing, None)
}

fn check_core<F: Files>(
    files: &F,
    superblock: &Superblock,
    report: &mut CoreReport,
) -> Result<(), OpenError> {
    let (dir, owner) = core_of(files, superblock, report.core);
    let listing = Listing::read(&dir)?;
    let number = *listing.snapshots.last().expect("checked by the listing");
    let path = dir.path(&names::snapshot(number));
    let snapshot = snapshot::read(files, &path, &owner, number, &mut Nobody)?;
    report.snapshot = Some(snapshot);
    let mut scan = Scan::new(dir, owner, &listing, None)?;
    let mut begin = None;
    loop {
        match scan.next()? {
            ScanItem::Frame(header) => {
                begin.get_or_insert(header.first_lsn);
                if header.records > 0 && report.first == Lsn::NONE {
                    report.first = Lsn(header.first_lsn);
                }
                report.segments = scan.frame_segment() + 1;
                report.frames += 1;
                report.records += u64::from(header.records);
                report.bytes += header.frame_bytes() as u64;
                report.last = Lsn(header.next_lsn() - 1);
            }
            ScanItem::End(tail) => {
                report.spare_segments = scan.segments.len() - report.segments;
                report.cut = tail.cut.clone();
                return scan.check_snapshot(&snapshot, begin.unwrap_or(tail.next_lsn), &tail);
            }
        }
    }
}

/// Takes images and forgets them.
struct Nobody;

impl Recover for Nobody {
    fn piece(&mut self, _: u16, _: Lsn, _: &[u8]) -> Result<(), String> {
        Ok(())
    }

    fn record(&mut self, _: Lsn, _: &[u8]) -> Result<(), String> {
        Ok(())
    }
}
