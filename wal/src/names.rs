//! The names of files and directories.

pub(crate) const LOCK: &str = "interlock.lock";
pub(crate) const SUPERBLOCK: &str = "superblock";
pub(crate) const SUPERBLOCK_NEW: &str = "superblock.new";
/// In place of the superblock of a directory that is a backup, and under this name until all of it is there.
pub(crate) const BACKUP: &str = "backup";
pub(crate) const BACKUP_NEW: &str = "backup.new";
/// There while the drivers are tried, on a file system that has no files without a name.
pub(crate) const PROBE: &str = "probe.new";
/// The file of sinks: who follows the log, and how far each is relied on.
pub(crate) const SINKS: &str = "sinks";
/// In the directory of an epoch: where it comes from.
pub(crate) const ORIGIN: &str = "origin";
pub(crate) const SNAPSHOT_NEW: &str = "snapshot.new";
/// The end of every temporary name. What bears it counts as nothing and is removed when a log starts.
pub(crate) const NEW: &str = ".new";

pub(crate) fn epoch_dir(epoch: u32) -> String {
    format!("epoch-{epoch:010}")
}

pub(crate) fn core_dir(epoch: u32, core: u16) -> String {
    format!("{}/core-{core:05}", epoch_dir(epoch))
}

pub(crate) fn segment(generation: u64) -> String {
    format!("log-{generation:020}")
}

pub(crate) fn segment_new(generation: u64) -> String {
    format!("log-{generation:020}{NEW}")
}

pub(crate) fn snapshot(number: u64) -> String {
    format!("snapshot-{number:020}")
}

pub(crate) fn parse_epoch(name: &str) -> Option<u32> {
    parse(name, "epoch-", 10).and_then(|number| u32::try_from(number).ok())
}

pub(crate) fn parse_segment(name: &str) -> Option<u64> {
    parse(name, "log-", 20)
}

pub(crate) fn parse_snapshot(name: &str) -> Option<u64> {
    parse(name, "snapshot-", 20)
}

pub(crate) fn is_temporary(name: &str) -> bool {
    name == SNAPSHOT_NEW || name.strip_suffix(NEW).is_some_and(|stem| parse_segment(stem).is_some())
}

/// The number in a name, if the name is written exactly as this module writes it.
fn parse(name: &str, prefix: &str, digits: usize) -> Option<u64> {
    let number = name.strip_prefix(prefix)?;
    if number.len() == digits && number.bytes().all(|byte| byte.is_ascii_digit()) {
        number.parse().ok()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        assert_eq!(parse_segment(&segment(12)), Some(12));
        assert_eq!(segment(12), "log-00000000000000000012");
        assert_eq!(parse_snapshot(&snapshot(u64::MAX)), Some(u64::MAX));
        assert_eq!(parse_epoch(&epoch_dir(7)), Some(7));
        assert_eq!(core_dir(1, 2), "epoch-0000000001/core-00002");
        for foreign in [
            "log-12",
            "log-0000000000000000001x",
            "log-00000000000000000012.new",
            "+og-1",
            "",
            "log-99999999999999999999",
        ] {
            assert_eq!(parse_segment(foreign), None, "{foreign}");
        }
        assert!(is_temporary(&segment_new(3)) && is_temporary(SNAPSHOT_NEW));
        assert!(!is_temporary("notes.new") && !is_temporary(&segment(3)));
    }
}
