//! Every target over its corpus and over some thousand mutations of it, the same ones on every run.
//!
//! `INTERLOCK_FUZZ=target:seed` runs one mutation, as a failure prints. `INTERLOCK_MAKE_CORPUS` writes the examples that are
//! made by code (segments and snapshots) where they are missing.

use std::path::PathBuf;

use fuzz::{TARGETS, Target, example_segment, example_snapshot, mutate};

/// Mutations of each target; `INTERLOCK_MUTATIONS` sets another number.
const MUTATIONS: u64 = 4_000;

fn folder(target: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target)
}

/// The corpus of a target, in the order of the files' names.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(folder(target)).expect("every target has a corpus");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
    paths.sort();
    assert!(paths.len() >= 2, "the corpus of {target} is gone");
    paths.iter().map(|path| std::fs::read(path).expect("a readable file")).collect()
}

/// Prints how to repeat an input, should the target panic while this is held.
struct RepeatHint<'a>(&'a str, u64);

impl Drop for RepeatHint<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("to repeat: INTERLOCK_FUZZ={}:{} cargo test -p fuzz", self.0, self.1);
        }
    }
}

fn check(name: &str) {
    let (_, target): (_, Target) = *TARGETS.iter().find(|(other, _)| *other == name).expect("a target");
    let corpus = corpus(name);
    let mutated = |seed| {
        let _hint = RepeatHint(name, seed);
        target(&mutate::mutate(&corpus, seed));
    };
    if let Ok(one) = std::env::var("INTERLOCK_FUZZ") {
        let (asked, seed) = one.split_once(':').expect("target:seed");
        if asked == name {
            mutated(seed.parse().expect("a seed"));
        }
        return;
    }
    for input in &corpus {
        target(input);
    }
    let mutations = std::env::var("INTERLOCK_MUTATIONS").map(|text| text.parse().expect("a number"));
    (0..mutations.unwrap_or(MUTATIONS)).for_each(mutated);
    // It still works after all of them.
    target(&corpus[0]);
}

#[test]
fn frames() {
    check("frames");
}

#[test]
fn snapshot() {
    check("snapshot");
}

#[test]
fn http() {
    check("http");
}

#[test]
fn grpc() {
    check("grpc");
}

#[test]
fn feed() {
    check("feed");
}

/// The examples are written by the code of today; older ones stay.
#[test]
fn examples_of_every_format_are_in_the_corpus() {
    let image = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../engine/tests/golden/slot_v2.bin");
    let image = std::fs::read(image).expect("a golden image");
    for (path, bytes) in [
        (folder("frames").join("segment"), example_segment()),
        (folder("frames").join("segment-as-it-is"), [&[0], &example_segment()[1..]].concat()),
        (folder("snapshot").join("snapshot-v2"), example_snapshot(&image)),
        (folder("snapshot").join("snapshot-v2-as-it-is"), [&[0], &example_snapshot(&image)[1..]].concat()),
    ] {
        if std::env::var_os("INTERLOCK_MAKE_CORPUS").is_some() && !path.exists() {
            std::fs::write(&path, &bytes).expect("a writable corpus");
        }
        let kept = std::fs::read(&path).expect("an example");
        assert!(
            kept == bytes,
            "{} is no longer what is written: keep it, and add the new one",
            path.display()
        );
    }
}
