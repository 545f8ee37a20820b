//! Backups and what is made of them, with a crash at every step.

mod common;

use common::{Pair, SLOTS, State, Taken, crash_everywhere, options, read};
use wal::files::{Files, MemoryFiles};
use wal::follow::Cursor;
use wal::{Backup, DataDir, Lsn, OpenError, SnapshotSink, Snapshots};

/// Seven groups of records, a snapshot after the fourth.
fn example() -> Pair {
    let files = MemoryFiles::new();
    DataDir::open_on(files.clone(), &options())
        .unwrap()
        .sink_registry()
        .set_read_model_bytes(1 << 31)
        .unwrap();
    let mut pair = Pair::new(&files, options());
    for group in 0..7 {
        pair.group(&[30, 5_000]);
        pair.finish_all().unwrap();
        if group == 3 {
            pair.snapshot();
        }
    }
    pair
}

fn images(state: &State, sink: &mut SnapshotSink<'_>) -> Result<(), OpenError> {
    (0..SLOTS).try_for_each(|slot| sink.slot(slot, &state.image(slot)))
}

fn back_up(from: &Snapshots<MemoryFiles>, state: &State, to: &MemoryFiles) -> Result<(), OpenError> {
    let writer = from.begin_backup();
    writer.write(to, |_, sink| images(state, sink))?;
    writer.finish(to)
}

fn restore(backup: &Backup<MemoryFiles>, to: &MemoryFiles) -> Result<Cursor, OpenError> {
    let mut taken = Taken::default();
    backup.read(0, &mut taken)?;
    let state = taken.state();
    wal::restore(backup, to, &options(), "read-model", |_, sink| images(&state, sink), |_| Ok(()))
}

fn empty() -> MemoryFiles {
    let files = MemoryFiles::new();
    files.make_dir("").unwrap();
    files
}

/// Catches: a snapshot that goes away while it is read; one that is read from where another began.
#[test]
fn a_snapshot_that_is_open_is_read_though_another_takes_its_place() {
    let mut pair = example();
    let snapshots = Snapshots::open(&pair.files).unwrap();
    assert_eq!(snapshots.beginning().cores, [Lsn::NONE]);
    pair.group(&[30]);
    pair.finish_all().unwrap();
    pair.snapshot();
    let mut taken = Taken::default();
    let read = snapshots.into_cores().next().expect("a core").read(&mut taken).unwrap();
    assert_eq!((read.begin, read.end), (Lsn(8), Lsn(8)));
    assert_ne!(taken.state(), pair.state);
}

/// Catches: half a backup that counts; a backup that is sold from; one that a crash takes back once it was said to be there.
#[test]
fn a_backup_is_there_whole_or_not_at_all() {
    let pair = example();
    let work = |to: &MemoryFiles| {
        _ = back_up(&Snapshots::open(&pair.files).unwrap(), &pair.state, to);
    };
    let (mut whole, mut none) = (0, 0);
    crash_everywhere(&empty(), work, |to| match Backup::open(&to) {
        Ok(backup) => {
            let mut taken = Taken::default();
            backup.read(0, &mut taken).unwrap();
            assert_eq!(taken.state(), pair.state);
            whole += 1;
            let refused = DataDir::open_on(to, &options()).expect_err("nobody sells from a backup");
            assert!(matches!(refused, OpenError::IsBackup { .. }), "{refused}");
        }
        Err(OpenError::Missing { .. }) => none += 1,
        Err(other) => panic!("{other}"),
    });
    assert!(whole > 3 && none > 10, "{whole} {none}");
}

/// Catches: half a restore that is sold from, or that the next one goes on with; lives that are the same.
#[test]
fn a_restored_directory_is_there_whole_or_not_at_all() {
    let pair = example();
    let files = empty();
    back_up(&Snapshots::open(&pair.files).unwrap(), &pair.state, &files).unwrap();
    let backup = Backup::open(&files).unwrap();
    let (mut whole, mut none) = (0, 0);
    crash_everywhere(
        &MemoryFiles::new(),
        |to| _ = restore(&backup, to),
        |to| {
            let found = to.list("").unwrap().unwrap_or_default();
            if found.iter().any(|name| name == "superblock") {
                let (taken, at) = read(&to, &options()).unwrap();
                assert_eq!((taken.state(), at.last), (pair.state.clone(), Lsn::NONE));
                let dir = DataDir::open_on(to, &options()).unwrap();
                let sinks = dir.sink_registry().sinks().clone();
                assert_eq!(
                    sinks.get("read-model").and_then(|sink| sink.relied.clone()),
                    Some(dir.beginning())
                );
                assert_eq!((sinks.sinks.len(), sinks.read_model_bytes), (1, Some(1 << 31)));
                whole += 1;
                return;
            }
            none += 1;
            // Once there is an epoch, neither a start nor another restore takes it for its own.
            if found.iter().any(|name| name.starts_with("epoch-")) {
                let refused = DataDir::open_on(to.clone(), &options()).expect_err("a start");
                assert!(
                    matches!(refused, OpenError::Missing { .. } | OpenError::Foreign { .. }),
                    "{refused}"
                );
                let refused = restore(&backup, &to).expect_err("another restore");
                assert!(matches!(refused, OpenError::NotEmpty { .. }), "{refused}");
            }
        },
    );
    assert!(whole > 3 && none > 10, "{whole} {none}");

    let original = DataDir::open_on(pair.files.restart(), &options()).unwrap().beginning();
    let [one, other] = [0; 2].map(|_| restore(&backup, &MemoryFiles::new()).unwrap());
    assert_eq!([one.directory, other.directory], [original.directory; 2]);
    assert!(one.epoch > original.epoch && other.epoch > original.epoch);
    assert!(one.life != original.life && other.life != original.life && one.life != other.life);
}
