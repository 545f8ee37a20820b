//! `interlock backup` and `interlock restore`: what a data directory held at one moment, to another directory and back.
//!
//! A backup has what every core had recorded up to one engine time. No record is older than its cause, on whatever core that is, so this is a
//! state that a power cut could have left. The read model is copied first, then the snapshots are opened, and the moment comes last: it is
//! later than whatever those hold. A running server is asked to keep its log meanwhile, and for the moment.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use bridge::read_model::{self, Keep, ReadModel, Settings};
use bridge::runner::Stop;
use bridge::sink::{Batch, Sink as _};
use engine::ids::Time;
use engine::record::Record;
use serde_json::json;
use shard::{Across, Counts, Recovery};
use wal::files::OsFiles;
use wal::follow::{Cursor, Follower, Reach, Stopped};
use wal::{Backup, Lsn, OpenError, Options, Recover as _, Snapshot, SnapshotSink, Snapshots, inspect};

use crate::config::READ_MODEL_FILE;
use crate::control::{Answered, HOLD_TIME, ask};
use crate::log_events;
use crate::log_tools::say;
use crate::parents::make_parents;
use crate::sinks::{READ_MODEL, read_model_wants};

type Error = Box<dyn std::error::Error>;

/// Bytes of log that are given to the read model at once.
const BATCH_BYTES: usize = 4 << 20;
/// The Kafka sink's cursor, in the data directory.
const KAFKA_CURSOR: &str = "cursor-kafka";

/// Copies the data directory `from`, whether a server has it open or not, to the directory `to`, which is absent or empty.
///
/// # Errors
/// Damage, by file and offset; a directory that is not empty; orders and holds that do not agree. What was written is no backup then.
pub(crate) fn back_up(from: &Path, to: &Path, read_model: Option<PathBuf>) -> Result<(), Error> {
    let files = OsFiles::new(from)?;
    let source = Origin::find(from, &files, read_model)?;
    // It need not be there yet: what is there of its path counts.
    let there = std::path::absolute(to)?;
    let there = there.ancestors().find_map(|path| path.canonicalize().ok());
    if there.is_some_and(|there| from.canonicalize().is_ok_and(|whole| there.starts_with(whole))) {
        let refused = format!("{} lies in {}: what loses one loses both", to.display(), from.display());
        return Err(refused.into());
    }
    make_empty(to)?;
    let to_files = OsFiles::new(to)?;
    let copy_of_read_model = to.join(READ_MODEL_FILE);
    read_model::copy(source.read_model(), &copy_of_read_model)?;
    if let Some(cursor) = present(&from.join(KAFKA_CURSOR)) {
        copy(cursor, &to.join(KAFKA_CURSOR))?;
    }
    let snapshots = Snapshots::open(&files)?;
    let epoch = snapshots.beginning();
    if epoch != *source.newest() {
        return Err(
            "the data directory was started with another number of cores meanwhile: begin again".into()
        );
    }
    let moment = source.moment(from)?;

    let mut read_model = Followed::open(&copy_of_read_model, &epoch, &moment)?;
    let writer = snapshots.begin_backup();
    let mut across = Across::default();
    let mut last = Time(0);
    let mut snapshots = snapshots.into_cores();
    writer.write(&to_files, |core, sink| {
        let snapshot = snapshots.next().expect("a snapshot of each core");
        let slots = read_core(&files, snapshot, core, &epoch, &moment, &mut read_model).map_err(refused)?;
        last = last.max(slots.last_time());
        write_core(&slots, &mut across, sink)
    })?;
    if last > moment.time {
        return Err("a snapshot has what came after the moment of the backup: begin again".into());
    }
    let counts = across.check().map_err(|wrong| format!("orders and holds do not agree: {wrong}"))?;
    read_model.finish(&writer.beginning())?;
    writer.finish(&to_files)?;
    drop(source);
    say(&format!(
        "{} is a backup of {}, as of {}: {}\n",
        to.display(),
        from.display(),
        when(last),
        told(counts)
    ))
}

/// Makes the data directory `to`, which is absent or empty, of the backup `from`.
///
/// # Errors
/// It is no backup, or is damaged; a directory that is not empty. What was written is no data directory then.
pub(crate) fn restore(from: &Path, to: &Path, read_model: Option<PathBuf>) -> Result<(), Error> {
    let backup = Backup::open(&OsFiles::new(from)?)?;
    let read_model = read_model.unwrap_or_else(|| to.join(READ_MODEL_FILE));
    make_empty(to)?;
    // What SQLite kept beside another database is not this one's.
    for file in read_model::files(&read_model) {
        if file.exists() {
            return Err(format!("{} is there already; nothing was changed", file.display()).into());
        }
    }
    let cores = backup.beginning().cores.len() as u16;
    let mut across = Across::default();
    let last = Cell::new(Time(0));
    let mut counts = Counts::default();
    let images = |core, sink: &mut SnapshotSink<'_>| {
        let mut slots = Recovery::new(core, cores);
        backup.read(core, &mut slots)?;
        last.set(last.get().max(slots.last_time()));
        write_core(&slots, &mut across, sink)?;
        counts = if core + 1 == cores { across.check().map_err(refused)? } else { counts };
        Ok(())
    };
    let beside = |beginning: &Cursor| -> Result<(), Error> {
        copy(&from.join(READ_MODEL_FILE), &read_model)?;
        read_model::begin_life(&read_model, beginning, last.get())?;
        for synced in [&*read_model, read_model.parent().filter(|dir| *dir != "").unwrap_or(Path::new("."))] {
            fs::File::open(synced)?.sync_all()?;
        }
        if let Some(cursor) = present(&from.join(KAFKA_CURSOR)) {
            copy(cursor, &to.join(KAFKA_CURSOR))?;
        }
        Ok(())
    };
    wal::restore(&backup, &OsFiles::new(to)?, &Options::default(), READ_MODEL, images, beside)?;
    say(&format!(
        "{} has what {} had, as of {}: {}\nWhat came later is lost. MySQL, Redis and Kafka may have it: each stays down until `interlock sink rebuild NAME`\n",
        to.display(),
        from.display(),
        when(last.get()),
        told(counts)
    ))
}

/// The directory that is copied.
enum Origin {
    /// A server has it open, and keeps its log as long as it is asked to.
    Running { newest: Cursor, read_model: PathBuf, _hold: Hold },
    /// Nobody has, and nobody can open it meanwhile.
    Stopped { stopped: Stopped<OsFiles>, read_model: PathBuf },
}

/// The last record time of a backup, and how far each log has to be read for it.
struct Moment {
    time: Time,
    reach: Vec<Reach>,
}

impl Origin {
    fn find(dir: &Path, files: &OsFiles, read_model: Option<PathBuf>) -> Result<Origin, Error> {
        let name = format!("backup-{}", std::process::id());
        match ask(dir, &json!({ "command": "hold", "name": name }))? {
            Answered::By(answer) => {
                let (newest, _) = log_events::parse(&answer).ok_or(NO_SENSE)?;
                let read_model = answer["read_model"].as_str().ok_or(NO_SENSE)?.into();
                Ok(Origin::Running { newest, read_model, _hold: Hold::start(dir, name) })
            }
            Answered::NobodyThere => {
                let read_model = read_model.unwrap_or_else(|| dir.join(READ_MODEL_FILE));
                Ok(Origin::Stopped { stopped: inspect::stopped(files)?, read_model })
            }
        }
    }

    fn read_model(&self) -> &Path {
        match self {
            Origin::Running { read_model, .. } | Origin::Stopped { read_model, .. } => read_model,
        }
    }

    fn newest(&self) -> &Cursor {
        match self {
            Origin::Running { newest, .. } | Origin::Stopped { stopped: Stopped { newest, .. }, .. } => {
                newest
            }
        }
    }

    /// A moment that is later than all that was recorded so far.
    fn moment(&self, dir: &Path) -> Result<Moment, Error> {
        let Origin::Running { newest, .. } = self else {
            let Origin::Stopped { stopped, .. } = self else { unreachable!("one or the other") };
            return Ok(Moment { time: Time(u64::MAX), reach: stopped.reach.clone() });
        };
        let Answered::By(answer) = ask(dir, &json!({ "command": "moment" }))? else {
            return Err("the server has stopped meanwhile: begin again".into());
        };
        let (of, reach) = log_events::parse(&answer).ok_or(NO_SENSE)?;
        if of != *newest {
            return Err("the server was started again meanwhile: begin again".into());
        }
        Ok(Moment { time: Time(answer["time"].as_u64().ok_or(NO_SENSE)?), reach })
    }
}

const NO_SENSE: &str = "the server's answer makes no sense";

/// Asks the server again and again to keep its log, and to let it go when the copy is made. Of one that is killed it lets go by itself.
struct Hold {
    stop: Arc<Stop>,
    thread: Option<JoinHandle<()>>,
}

impl Hold {
    fn start(dir: &Path, name: String) -> Hold {
        let stop = Arc::new(Stop::default());
        let (dir, stopped) = (dir.to_owned(), stop.clone());
        let thread = thread::spawn(move || {
            while !stopped.is_set() {
                // A log that is gone is noticed by whoever reads it.
                let _ = ask(&dir, &json!({ "command": "hold", "name": name }));
                stopped.wait(HOLD_TIME / 4);
            }
            let _ = ask(&dir, &json!({ "command": "let_go", "name": name }));
        });
        Hold { stop, thread: Some(thread) }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.stop.set();
        self.thread.take().map(JoinHandle::join);
    }
}

/// The copy of the read model, which is brought up to the moment.
struct Followed {
    path: PathBuf,
    read_model: ReadModel,
    cursor: Cursor,
    batch: Batch,
    bytes: usize,
}

impl Followed {
    fn open(path: &Path, epoch: &Cursor, moment: &Moment) -> Result<Followed, Error> {
        let keep = Keep { rows_ms: None, bytes: None };
        let settings = Settings { path: path.to_owned(), directory: epoch.directory, create: false, keep };
        let mut read_model = ReadModel::new(settings);
        let cursor = read_model.open()?.ok_or("the read model is not filled yet: begin again once it is")?;
        if (cursor.life, cursor.epoch) != (epoch.life, epoch.epoch) {
            return Err(
                "the read model does not follow the log: begin again once `interlock sink list` says so"
                    .into(),
            );
        }
        if cursor.cores.iter().zip(&moment.reach).any(|(seen, reach)| *seen > reach.lsn) {
            return Err(
                "the read model has more than the log: the disk has lost the end of one of them".into()
            );
        }
        let batch = Batch { life: epoch.life, records: Vec::new() };
        Ok(Followed { path: path.to_owned(), read_model, cursor, batch, bytes: 0 })
    }

    fn add(&mut self, core: u16, lsn: Lsn, record: Record, bytes: &[u8]) -> Result<(), Error> {
        let seen = &mut self.cursor.cores[usize::from(core)];
        if lsn > *seen {
            *seen = lsn;
            self.bytes += bytes.len();
            if read_model_wants(Record::label_of(bytes)?) {
                self.batch.records.push(record);
            }
        }
        if self.bytes >= BATCH_BYTES { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<(), Error> {
        self.read_model.write(&self.batch, &self.cursor)?;
        self.batch.records.clear();
        self.bytes = 0;
        Ok(())
    }

    /// It has everything, and goes on from the beginning of the backup's epoch.
    fn finish(mut self, beginning: &Cursor) -> Result<(), Error> {
        self.write()?;
        self.cursor = beginning.clone();
        self.write()?;
        drop(self.read_model);
        // What was not written back when it was closed would be missing.
        match read_model::wal_bytes(&self.path) {
            0 => Ok(()),
            _ => Err(format!("{} could not be closed", self.path.display()).into()),
        }
    }
}

/// The slots of a core as they were at the moment. Gives the read model what it lacks.
fn read_core(
    files: &OsFiles,
    snapshot: Snapshot,
    core: u16,
    epoch: &Cursor,
    moment: &Moment,
    read_model: &mut Followed,
) -> Result<Recovery, Error> {
    let place = usize::from(core);
    let mut slots = Recovery::new(core, epoch.cores.len() as u16);
    let snapshot = snapshot.read(&mut slots)?;
    if snapshot.end > moment.reach[place].lsn {
        return Err(format!(
            "the log of core {core} ends before its snapshot: the disk has lost the end of it"
        )
        .into());
    }
    let snapshot_has = snapshot.begin;
    // The log of this core alone.
    let mut reach = vec![Reach::NOTHING; epoch.cores.len()];
    reach[place] = moment.reach[place];
    let mut from = epoch.clone();
    from.cores[place] = snapshot_has.min(read_model.cursor.cores[place]);
    let mut follower = Follower::new(files.clone(), from, epoch)?;
    while let Some(records) = follower.next(&reach)? {
        let first = records.first;
        for (lsn, bytes) in (first.0..).map(Lsn).zip(records) {
            let record = Record::decode(bytes)?;
            if record.time > moment.time {
                return Ok(slots);
            }
            if lsn > snapshot_has {
                slots.record(lsn, bytes)?;
            }
            read_model.add(core, lsn, record, bytes)?;
        }
    }
    Ok(slots)
}

fn write_core(slots: &Recovery, across: &mut Across, sink: &mut SnapshotSink<'_>) -> Result<(), OpenError> {
    let mut image = Vec::new();
    for slot in slots.slots() {
        across.add(slot);
        image.clear();
        if !slot.is_blank() {
            slot.encode(&mut image);
        }
        sink.slot(slot.id().get(), &image)?;
    }
    Ok(())
}

fn refused(reason: impl ToString) -> OpenError {
    OpenError::Options { reason: reason.to_string() }
}

/// Only an empty directory is written to.
fn make_empty(dir: &Path) -> Result<(), Error> {
    make_parents(dir)?;
    match fs::create_dir(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        made => made.map_err(|error| format!("{} cannot be made: {error}", dir.display()))?,
    }
    let found = fs::read_dir(dir).map_err(|error| format!("{} cannot be read: {error}", dir.display()))?;
    // The root of a file system has it.
    let counts = |name: &std::ffi::OsString| name != "lost+found";
    match found.filter_map(|entry| entry.ok().map(|entry| entry.file_name())).find(counts) {
        Some(_) => Err(format!("{} is not empty; nothing was changed", dir.display()).into()),
        None => Ok(()),
    }
}

/// The contents alone: a backup may be kept where nobody may write.
fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    let copied = || std::io::copy(&mut fs::File::open(from)?, &mut fs::File::create_new(to)?);
    copied().map_err(|error| format!("{} cannot be copied to {}: {error}", from.display(), to.display()))?;
    Ok(())
}

fn present(file: &Path) -> Option<&Path> {
    file.exists().then_some(file)
}

fn when(time: Time) -> String {
    i64::try_from(time.0)
        .ok()
        .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok())
        .map_or_else(|| format!("{} ms", time.0), |at| at.strftime("%FT%T%.3fZ").to_string())
}

fn told(Counts { partitions, holds, orders, refunds }: Counts) -> String {
    format!(
        "{partitions} partitions, {holds} holds, {orders} orders, {refunds} refunds; orders and holds agree"
    )
}
