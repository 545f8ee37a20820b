//! Conformance suites: one list of cases for every disk driver, and one for every kind of files. What a log rests on in tests
//! and in the simulator, which have theirs in memory, must do what the real ones do.

#[path = "../common/mod.rs"]
mod common;
mod disk_cases;
mod disks;
mod files;

fn temp() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// A case and its name.
type Case<T> = (&'static str, fn(T));

/// Runs each case on something fresh, and names it before, so that a failure tells which one it was.
fn run<T>(cases: &[Case<T>], fresh: impl Fn() -> T) {
    for (name, case) in cases {
        println!("{name}");
        case(fresh());
    }
}

/// A list of cases with their names.
macro_rules! cases {
    ($($case:ident),* $(,)?) => { &[$((stringify!($case), $case)),*] };
}
pub(crate) use cases;
