//! Data directories that must not be opened: in use, foreign, damaged, newer. Each is refused by name and not touched.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::process::{assert_untouched, files};
use crate::support::{Launch, Port};

/// Orders in a log that gets damaged: enough that there are sound ones before and after the damage.
const ORDERS: usize = 200;

/// Bytes of a superblock copy, with its checksum in the last four (`docs/wal-format.md`).
const SUPERBLOCK_BYTES: usize = 4_096;
/// Where a superblock's format version stands, two bytes, little endian.
const VERSION_AT: usize = 8;

/// What is compared: everything but the lock, which says who looked last.
fn contents(launch: &Launch) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = launch.files();
    all.retain(|path, _| path.extension().is_none_or(|e| e != "lock"));
    all
}

/// Asserts that neither `serve` nor `log check` takes the directory, that both name all of `names`, and that nothing
/// in it changes. Gives what `serve` said.
#[track_caller]
fn check_refused(launch: &Launch, names: &[&str]) -> String {
    let before = contents(launch);
    let served = launch.serve_to_end();
    served.assert_refused(names);
    assert_untouched(&before, &contents(launch));
    let checked = launch.run(&["log", "check", &launch.dir().display().to_string()]);
    checked.assert_refused(names);
    assert_untouched(&before, &contents(launch));
    served.said()
}

/// A data directory with some orders in its log, as `kill -9` leaves it.
fn with_orders() -> Launch {
    let server = Launch::new().start();
    let mut session = server.session();
    for i in 0..ORDERS {
        session.new_order(&order_key(i));
    }
    session.held("damaged", "a-hold-of-the-damaged", 3, 10);
    server.kill()
}

fn order_key(i: usize) -> String {
    format!("an-order-of-the-damaged-{i:06}")
}

/// Catches: a data directory that is refused because the directories above it are not there yet.
#[test]
fn directories_above_the_data_are_made() {
    let launch = Launch::new();
    let deep = launch.home().join("a/b/c");
    let server = launch.data_dir(&deep).start();
    let id = server.session().new_order("deep");
    let server = server.kill().start();
    server.session().order(&id);
    assert!(deep.join("superblock").exists());

    let below_a_file = server.launch().home().join("a-file");
    fs::write(&below_a_file, "no directory").expect("a file");
    let launch = Launch::new();
    launch.data_dir(&below_a_file.join("b/c")).serve_to_end().assert_refused(&["a-file"]);
}

/// Catches: two engines writing one log.
#[test]
fn a_directory_in_use_is_refused() {
    let server = Launch::new().start();
    let mut session = server.session();
    let id = session.new_order("before");
    let second = server.launch().clone().other_ports();
    let dir = second.dir().display().to_string();
    second.serve_to_end().assert_refused(&[&dir, "in use"]);
    assert_eq!(session.order(&id)["Status"], "INIT", "the first one goes on");
    session.new_order("after");
    let server = server.kill().other_ports().start();
    server.session().order(&id);
}

/// Catches: somebody else's directory taken for an empty one, or made into a data directory.
#[test]
fn a_foreign_directory_is_refused() {
    let launch = Launch::new();
    fs::create_dir_all(launch.dir()).expect("a directory");
    fs::write(launch.dir().join("holiday.txt"), "not an engine's").expect("a file");
    let before = launch.files();
    let dir = launch.dir().display().to_string();
    launch.serve_to_end().assert_refused(&[&dir, "holiday.txt"]);
    assert_untouched(&before, &launch.files());
    launch.run(&["log", "check", &dir]).assert_refused(&[&dir]);
    assert_untouched(&before, &launch.files());

    let file = launch.home().join("a-file");
    fs::write(&file, "no directory").expect("a file");
    launch.clone().data_dir(&file).serve_to_end().assert_refused(&["a-file"]);
    assert_eq!(fs::read(&file).expect("the file"), b"no directory");
    let absent = launch.home().join("nowhere");
    launch.run(&["log", "check", &absent.display().to_string()]).assert_refused(&["nowhere"]);
    assert!(!absent.exists(), "a check makes nothing");
}

/// Catches: a superblock that is not verified, and a directory given a new one. One sound copy is enough to go on.
#[test]
fn a_damaged_superblock_is_refused() {
    let launch = with_orders();
    let path = launch.dir().join("superblock");
    let sound = fs::read(&path).expect("the superblock");
    for at in [0, VERSION_AT, 20, 40, 100, SUPERBLOCK_BYTES - 1] {
        let mut bytes = sound.clone();
        bytes[at] ^= 1;
        bytes[SUPERBLOCK_BYTES + at] ^= 1;
        fs::write(&path, &bytes).expect("the superblock");
        let said = check_refused(&launch, &["superblock"]);
        assert_offset(&said, "superblock", 0..=bytes.len() as u64);
    }
    for junk in [Vec::new(), b"junk".to_vec(), vec![0; sound.len()]] {
        fs::write(&path, &junk).expect("the superblock");
        check_refused(&launch, &["superblock"]);
    }
    fs::remove_file(&path).expect("the superblock");
    check_refused(&launch, &[&launch.dir().display().to_string()]);

    let mut one = sound.clone();
    one[SUPERBLOCK_BYTES + 20] ^= 1;
    fs::write(&path, &one).expect("the superblock");
    let server = launch.start();
    server.session().create(&order_key(0), 10_000);
    assert_eq!(server.session().available("damaged"), 7);
}

/// Catches: a later format read as if it were this one.
#[test]
fn a_newer_directory_is_refused() {
    let launch = with_orders();
    let path = launch.dir().join("superblock");
    let mut bytes = fs::read(&path).expect("the superblock");
    assert_eq!(bytes.len(), 2 * SUPERBLOCK_BYTES);
    for copy in bytes.chunks_mut(SUPERBLOCK_BYTES) {
        let (content, checksum) = copy.split_at_mut(SUPERBLOCK_BYTES - 4);
        assert_eq!(crc32c(content).to_le_bytes(), checksum, "the test knows the format");
        content[VERSION_AT] += 1;
        checksum.copy_from_slice(&crc32c(content).to_le_bytes());
    }
    fs::write(&path, &bytes).expect("the superblock");
    let said = check_refused(&launch, &["superblock", "version"]);
    assert!(said.contains('2'), "the version found is named: {said}");
}

/// Catches: damage in the middle of the log read over, cut off as if it were a torn write, or started without.
#[test]
fn a_damaged_log_is_refused() {
    let launch = with_orders();
    let (path, at) = find(launch.dir(), &order_key(ORDERS / 2));
    assert!(at < find(launch.dir(), &order_key(ORDERS - 1)).1, "sound records follow");
    let name = path.file_name().expect("a name").to_string_lossy().into_owned();
    let sound = fs::read(&path).expect("the log");
    for (offset, bit) in [(at, 0), (at + 5, 7)] {
        let mut bytes = sound.clone();
        bytes[offset] ^= 1 << bit;
        fs::write(&path, &bytes).expect("the log");
        let said = check_refused(&launch, &[&name]);
        assert_offset(&said, &name, 0..=offset as u64);
        let dump = launch.run(&["log", "dump", &launch.dir().display().to_string()]);
        dump.assert_refused(&[&name]);
        assert!(!dump.stdout.contains(&order_key(ORDERS / 2)), "what is damaged is not shown");
    }
    fs::write(&path, &sound).expect("the log");
    let server = launch.start();
    server.session().create(&order_key(ORDERS / 2), 10_000);
}

/// Catches: a log that is gone, or shorter than what was written, taken for an empty one.
#[test]
fn a_log_that_is_gone_is_not_an_empty_one() {
    let launch = with_orders();
    let (path, at) = find(launch.dir(), &order_key(ORDERS / 2));
    let sound = fs::read(&path).expect("the log");
    fs::remove_file(&path).expect("the log");
    check_refused(&launch, &[]);
    fs::write(&path, &sound[..at]).expect("the log");
    check_refused(&launch, &[]);
    fs::write(&path, &sound).expect("the log");
    let server = launch.start();
    server.session().create(&order_key(ORDERS / 2), 10_000);
}

/// Catches: a listener shared with another program, or with a second engine, in silence.
#[test]
fn a_port_in_use_is_refused() {
    for port in Port::ALL {
        let launch = Launch::new();
        let _taken = std::net::TcpListener::bind(launch.addr(port)).expect("a free port");
        launch.serve_to_end().assert_refused(&[&launch.addr(port).port().to_string()]);
    }
    let server = Launch::new().cores(2).start();
    let second = server.launch().clone().data_dir(&server.launch().home().join("second"));
    second.serve_to_end().assert_refused(&[&server.addr(Port::Gateway).port().to_string()]);
    server.session().new_order("goes on");
}

/// The file below `dir` that contains `text`, and where: the first place in the first such file.
fn find(dir: &Path, text: &str) -> (PathBuf, usize) {
    let found = files(dir).into_iter().find_map(|(path, bytes)| {
        let at = bytes.windows(text.len()).position(|w| w == text.as_bytes())?;
        Some((path, at))
    });
    found.unwrap_or_else(|| panic!("{text} is in no file of {}", dir.display()))
}

/// Asserts that an offset within `range` is named after the file's name.
#[track_caller]
fn assert_offset(said: &str, file: &str, range: std::ops::RangeInclusive<u64>) {
    let after = said.split(file).skip(1);
    let mut words = after.flat_map(|text| {
        let words: Vec<&str> =
            text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty()).collect();
        words.windows(2).map(|w| (w[0].to_owned(), w[1].to_owned())).collect::<Vec<_>>()
    });
    let named = words.any(|(word, number)| {
        ["byte", "offset"].contains(&word.as_str()) && number.parse::<u64>().is_ok_and(|n| range.contains(&n))
    });
    assert!(named, "no offset within {range:?} of {file} is named in: {said}");
}

/// CRC-32C (Castagnoli), bit by bit: a few kilobytes are checked.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, &byte| {
        (0..8).fold(
            crc ^ u32::from(byte),
            |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 },
        )
    })
}

#[test]
fn the_checksum_is_the_standard_one() {
    assert_eq!(crc32c(b"123456789"), 0xe306_9283);
}
