//! Instructions for each operation of the engine, held against `perf/instructions.toml`.
//!
//! The limit is on growth: whoever makes an operation dearer by more has to say so, by writing the file anew
//! (`INSTRUCTIONS=write cargo test -p perf --test instructions`). Counts are of the build that tests use, so they are good for
//! comparing with themselves only. They need valgrind, and the compiler and the kind of processor that the file names: the C library
//! chooses its copying by the processor.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use perf::commands::engine::Operation;
use perf::limits::INSTRUCTIONS_GROWTH_MAX;
use serde::{Deserialize, Serialize};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Recorded {
    /// As `rustc --version` says it.
    compiler: String,
    /// As `/proc/cpuinfo` says it.
    processor: String,
    /// By operation: instructions of one.
    instructions: BTreeMap<String, u64>,
}

/// What callgrind collected in all, and how many operations that were.
fn count(operation: Operation) -> u64 {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--toggle-collect=*measured_part*", "--callgrind-out-file=/dev/null"])
        .arg(env!("CARGO_BIN_EXE_perf"))
        .args(["engine-count", operation.name()])
        .output()
        .expect("valgrind runs");
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    let number = |name: &str| -> u64 {
        let rest = said.split(name).nth(1).unwrap_or_else(|| panic!("no {name:?} in: {said}"));
        let rest = rest.trim_start_matches([' ', ':']);
        rest.split_whitespace().next().and_then(|number| number.parse().ok()).expect("a number")
    };
    let (collected, operations) = (number("Collected"), number("operations:"));
    assert!(collected > operations * 100, "callgrind did not see the measured part: {said}");
    collected / operations
}

/// Vendor, family, model and stepping.
fn processor() -> String {
    let said = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let value = |name: &str| {
        let mut lines = said.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(key, _)| key.trim() == name).map_or("", |(_, value)| value.trim()).to_owned()
    };
    ["vendor_id", "cpu family", "model", "stepping"].map(value).join(" ")
}

/// What is wrong with counts, by name.
fn grown(recorded: &BTreeMap<String, u64>, counted: &BTreeMap<String, u64>) -> Vec<String> {
    let check = |(operation, &now): (&String, &u64)| {
        let Some(&before) = recorded.get(operation) else {
            return Some(format!("{operation} is not recorded"));
        };
        let growth = now as f64 / before as f64 - 1.0;
        (now as f64 > before as f64 * (1.0 + INSTRUCTIONS_GROWTH_MAX))
            .then(|| format!("{operation}: {now} instructions, {:.1}% more than {before}", growth * 100.0))
    };
    counted.iter().filter_map(check).collect()
}

#[test]
fn no_operation_of_the_engine_grows_unnoticed() {
    if Command::new("valgrind").arg("--version").output().is_err() {
        eprintln!("SKIPPED: no valgrind here (Debian: apt-get install valgrind)");
        return;
    }
    let compiler = Command::new("rustc").arg("--version").output().expect("a compiler");
    let compiler = String::from_utf8_lossy(&compiler.stdout).trim().to_owned();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("instructions.toml");
    let write = std::env::var("INSTRUCTIONS").is_ok_and(|value| value == "write");
    let recorded: Option<Recorded> =
        if write { None } else { Some(toml::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap()) };
    let here = (compiler, processor());
    let is_other = |recorded: &&Recorded| (&recorded.compiler, &recorded.processor) != (&here.0, &here.1);
    if let Some(recorded) = recorded.as_ref().filter(is_other) {
        eprintln!("SKIPPED: counted with {} on {}, this is {here:?}", recorded.compiler, recorded.processor);
        return;
    }
    let counted: BTreeMap<String, u64> =
        Operation::ALL.into_iter().map(|operation| (operation.name().to_owned(), count(operation))).collect();
    let Some(recorded) = recorded else {
        let mut text = "# Instructions of one operation of the engine, in the build that tests use. perf/tests/instructions.rs writes this.\n".to_owned();
        let (compiler, processor) = here;
        text.push_str(&format!("compiler = {compiler:?}\nprocessor = {processor:?}\n\n[instructions]\n"));
        for (operation, count) in &counted {
            text.push_str(&format!("{operation} = {count}\n"));
        }
        std::fs::write(&path, text).unwrap();
        return;
    };
    let grown = grown(&recorded.instructions, &counted);
    assert!(
        grown.is_empty(),
        "{}\nIf that is meant: INSTRUCTIONS=write cargo test -p perf --test instructions",
        grown.join("\n")
    );
    let unknown: Vec<_> = recorded.instructions.keys().filter(|name| !counted.contains_key(*name)).collect();
    assert!(unknown.is_empty(), "recorded, and nothing that there is: {unknown:?}");
}

#[test]
fn growth_beyond_the_limit_is_named() {
    let counts = |hold: u64| BTreeMap::from([("hold".to_owned(), hold), ("expire".to_owned(), 500)]);
    assert!(grown(&counts(1_000), &counts(1_030)).is_empty());
    assert!(grown(&counts(1_000), &counts(600)).is_empty(), "less is fine");
    assert_eq!(grown(&counts(1_000), &counts(1_031)), ["hold: 1031 instructions, 3.1% more than 1000"]);
    assert_eq!(grown(&BTreeMap::from([("expire".to_owned(), 500)]), &counts(1)), ["hold is not recorded"]);
}
