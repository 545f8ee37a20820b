//! `interlock log events`: the events of a directory's logs as JSON lines, whether a server has it open or not.

use std::io::{self, BufWriter, Write as _};
use std::path::Path;
use std::thread;
use std::time::Duration;

use bridge::events;
use bridge::ids::Origin;
use engine::record::Record;
use serde_json::{Value, json};
use wal::files::OsFiles;
use wal::follow::{Cursor, Follower, Reach, Stopped, earliest};
use wal::{Lsn, inspect};

use crate::control::{Answered, ask};
use crate::log_tools::is_wanted;

type Error = Box<dyn std::error::Error>;

/// The interval at which a running server is asked for more.
const POLL: Duration = Duration::from_millis(100);

/// The logs' reach, and who says so.
enum Logs {
    /// A server that has the directory open.
    Running { newest: Cursor, reach: Vec<Reach> },
    /// Nobody: they end where they end, and nobody can open the directory meanwhile.
    Stopped(Stopped<OsFiles>),
}

impl Logs {
    fn look(dir: &Path, files: &OsFiles) -> Result<Logs, Error> {
        match ask(dir, &json!({ "command": "reach" }))? {
            Answered::By(answer) => {
                let (newest, reach) = parse(&answer).ok_or("the server's answer makes no sense")?;
                Ok(Logs::Running { newest, reach })
            }
            Answered::NobodyThere => Ok(Logs::Stopped(inspect::stopped(files)?)),
        }
    }

    fn newest(&self) -> &Cursor {
        match self {
            Logs::Running { newest, .. } | Logs::Stopped(Stopped { newest, .. }) => newest,
        }
    }

    fn reach(&self) -> &[Reach] {
        match self {
            Logs::Running { reach, .. } | Logs::Stopped(Stopped { reach, .. }) => reach,
        }
    }
}

pub(crate) fn parse(answer: &Value) -> Option<(Cursor, Vec<Reach>)> {
    let cores = answer["cores"].as_array()?.iter().map(|core| {
        Some(Reach {
            lsn: Lsn(core["lsn"].as_u64()?),
            generation: core["generation"].as_u64()?,
            offset: core["offset"].as_u64()?,
        })
    });
    let reach = cores.collect::<Option<Vec<_>>>()?;
    let directory = uuid::Uuid::parse_str(answer["directory"].as_str()?).ok()?.into_bytes();
    let (life, epoch) = (answer["life"].as_u64()?, u32::try_from(answer["epoch"].as_u64()?).ok()?);
    Some((Cursor::beginning(directory, life, epoch, u16::try_from(reach.len()).ok()?), reach))
}

/// Prints the events of every record that is there; with `is_followed` those that come, for as long as the server runs.
///
/// # Errors
/// Damage, by file and offset; a record that was recycled before it was read, by its number.
pub(crate) fn print(dir: &Path, is_followed: bool) -> Result<(), Error> {
    let files = OsFiles::new(dir)?;
    let mut logs = Logs::look(dir, &files)?;
    let mut follower = Follower::new(files.clone(), earliest(&files, logs.newest())?, logs.newest())?;
    let mut out = BufWriter::new(io::stdout().lock());
    loop {
        while let Some(records) = follower.next(logs.reach())? {
            let origin = Origin { directory: logs.newest().directory, life: records.life };
            for record in records {
                for event in events::of_record(origin, &Record::decode(record)?) {
                    let mut line = event.to_json();
                    line.push('\n');
                    if !is_wanted(out.write_all(line.as_bytes()))? {
                        return Ok(());
                    }
                }
            }
        }
        if !is_wanted(out.flush())? || !is_followed || matches!(logs, Logs::Stopped(_)) {
            return Ok(());
        }
        thread::sleep(POLL);
        logs = Logs::look(dir, &files)?;
        if logs.newest().epoch != follower.cursor().epoch {
            // It was started again with another number of cores.
            follower = Follower::new(files.clone(), follower.cursor().clone(), logs.newest())?;
        }
    }
}
