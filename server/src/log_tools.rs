//! `interlock log check` and `interlock log dump`: a data directory as it lies there. Nothing is written to it.

use std::fmt::Write as _;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

use bridge::read_model;
use bridge::sink::Trouble;
use engine::record::Record;
use shard::Recovery;
use wal::inspect::{self, CoreReport, Report};

use crate::config::READ_MODEL_FILE;
use crate::record_json;

type Error = Box<dyn std::error::Error>;

/// Verifies the directory whole, every record and every slot image included, and prints what it holds.
///
/// # Errors
/// Damage, by file and offset.
pub(crate) fn check(dir: &Path) -> Result<(), Error> {
    let report = inspect::check(dir)?;
    let mut said = String::new();
    let checked = tell(&report, dir, &mut said);
    say(&said)?;
    checked
}

fn tell(report: &Report, dir: &Path, said: &mut String) -> Result<(), Error> {
    let id = report.id.iter().fold(String::new(), |mut id, byte| {
        let _ = write!(id, "{byte:02x}");
        id
    });
    writeln!(said, "{}: id {id}, epoch {}, {} cores", report.path, report.epoch, report.cores.len())?;
    if !report.superblock_whole {
        writeln!(said, "superblock: one of its two copies is not sound; the next start writes it again")?;
    }
    for core in &report.cores {
        writeln!(said, "{}", describe(core))?;
    }
    for sink in &report.sinks.sinks {
        let place = sink.relied.as_ref().map_or("nothing is known of its place".to_owned(), |place| {
            let cores: Vec<_> = place.cores.iter().map(|lsn| lsn.0.to_string()).collect();
            format!("relied on up to epoch {}, records {}", place.epoch, cores.join(", "))
        });
        writeln!(said, "sink {}: {place}", sink.name)?;
    }
    if let Some(problem) = report.beside.first() {
        return Err(format!("a start can do without it, who follows the log cannot: {problem}").into());
    }
    let problems: Vec<_> = report.cores.iter().filter_map(|core| core.problem.as_ref()).collect();
    if let Some(problem) = problems.first() {
        return Err(
            format!("{} of {} cores are damaged: {problem}", problems.len(), report.cores.len()).into()
        );
    }
    let cores = report.cores.len() as u16;
    for core in 0..cores {
        // Every image and record is read and applied, as a start would.
        let mut slots = Recovery::new(core, cores);
        inspect::replay(dir, core, &mut slots)?;
        writeln!(said, "core {core}: sound; it holds {}", contents(slots))?;
    }
    let read_model = dir.join(READ_MODEL_FILE);
    if read_model.exists() {
        match read_model::check_at_rest(&read_model) {
            Ok(orders) => writeln!(said, "read model: sound; it has {orders} orders")?,
            Err(error) if error.trouble == Trouble::Unreadable => return Err(error.into()),
            // A full disk, say: it has no room for what SQLite needs beside a database.
            Err(error) => writeln!(said, "read model: it cannot be checked now: {error}")?,
        }
    }
    Ok(())
}

fn contents(slots: Recovery) -> String {
    let (mut partitions, mut holds, mut orders, mut refunds, mut tells) = (0, 0, 0, 0, 0);
    for slot in slots.into_slots() {
        partitions += slot.partitions().len();
        holds += slot.partitions().iter().map(|(_, partition)| partition.holds_count()).sum::<usize>();
        orders += slot.orders().len();
        refunds += slot.refunds().len();
        tells += slot.outbox().len();
    }
    format!(
        "{partitions} partitions, {holds} holds, {orders} orders, {refunds} refunds, {tells} messages on their way"
    )
}

fn describe(core: &CoreReport) -> String {
    let mut line = format!("core {}: ", core.core);
    match &core.snapshot {
        Some(s) => write!(
            line,
            "snapshot {} up to record {}, {} slots, {} bytes; ",
            s.number, s.end.0, s.slots, s.bytes
        ),
        None => write!(line, "no snapshot; "),
    }
    .expect("text");
    write!(
        line,
        "{} segments and {} spare, {} frames, {} records ({} to {}), {} bytes",
        core.segments, core.spare_segments, core.frames, core.records, core.first.0, core.last.0, core.bytes
    )
    .expect("text");
    if let Some(cut) = &core.cut {
        write!(
            line,
            "; torn at {} offset {} ({}): the next start cuts {} bytes",
            cut.file, cut.offset, cut.reason, cut.bytes
        )
        .expect("text");
    }
    if let Some(problem) = &core.problem {
        write!(line, "; DAMAGED: {problem}").expect("text");
    }
    line
}

/// Prints every record of the logs as a JSON line.
///
/// # Errors
/// Damage that ends the reading, by file and offset.
pub(crate) fn dump(dir: &Path) -> Result<(), Error> {
    let mut out = BufWriter::new(io::stdout().lock());
    for entry in inspect::records(dir)? {
        let entry = entry?;
        let record = Record::decode(&entry.bytes)
            .map_err(|e| format!("core {} record {}: {e}", entry.core, entry.lsn.0))?;
        let mut line = serde_json::to_vec(&record_json::record(entry.core, entry.lsn.0, &record))?;
        line.push(b'\n');
        if !is_wanted(out.write_all(&line))? {
            return Ok(());
        }
    }
    is_wanted(out.flush())?;
    Ok(())
}

/// To standard output.
///
/// # Errors
/// It cannot be written to.
pub(crate) fn say(text: &str) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    is_wanted(out.write_all(text.as_bytes()).and_then(|()| out.flush()))?;
    Ok(())
}

/// False where the reader has closed the pipe: it has seen enough, and that is no error.
pub(crate) fn is_wanted(written: io::Result<()>) -> Result<bool, Error> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(format!("standard output cannot be written: {error}").into()),
        Ok(()) => Ok(true),
    }
}
