//! The simulator's command line: `sim run SEED [--trace]` and `sim seeds A..B [--resume FILE]`.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use sim::counters::SEEDS_MIN;
use sim::run::Choices;
use sim::seeds::{self, Failure, Sum};
use sim::soak::{Progress, this_build};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const USAGE: &str = "usage:
  sim run SEED [--trace]
      one run; --trace says everything that happens
  sim seeds A..B [--resume FILE] [--threads N]
      all seeds from A up to and without B; stops at the first failure; FILE keeps how far it has come";

/// Seeds between two notes of how far it has come.
const CHUNK: u64 = 500;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match obey(&args) {
        Ok(code) => code,
        Err(wrong) => {
            eprintln!("{wrong}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn obey(args: &[&str]) -> Result<ExitCode, String> {
    match args {
        ["run", seed] => Ok(one(parse(seed)?, Choices { watched: false })),
        ["run", seed, "--trace"] => Ok(one(parse(seed)?, Choices { watched: true })),
        ["seeds", range, rest @ ..] => {
            let (mut threads, mut file) = (seeds::processors(), None);
            for option in rest.chunks(2) {
                match option {
                    ["--threads", number] => threads = parse(number)? as usize,
                    ["--resume", path] => file = Some(PathBuf::from(path)),
                    other => return Err(format!("unknown: {}", other.join(" "))),
                }
            }
            many(range_of(range)?, file.as_deref(), threads.max(1))
        }
        _ => Err("what to run?".to_owned()),
    }
}

fn parse(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("{text:?} is not a number"))
}

fn range_of(text: &str) -> Result<Range<u64>, String> {
    let (from, to) = text.split_once("..").ok_or_else(|| format!("{text:?} is not a range A..B"))?;
    let range = parse(from)?..parse(to)?;
    if range.is_empty() { Err(format!("{text} holds no seed")) } else { Ok(range) }
}

fn one(seed: u64, choices: Choices) -> ExitCode {
    match seeds::attempt(seed, choices) {
        Ok(summary) => {
            println!("{}seed {seed}: history {:016x}", summary.counters, summary.hash);
            ExitCode::SUCCESS
        }
        Err(failure) => fail(&[failure]),
    }
}

fn fail(failures: &[Failure]) -> ExitCode {
    failures.iter().for_each(|failure| eprintln!("{failure}"));
    ExitCode::FAILURE
}

fn many(range: Range<u64>, file: Option<&Path>, threads: usize) -> Result<ExitCode, String> {
    let choices = Choices { watched: false };
    let mut progress = match file {
        Some(file) => Progress::read(file, this_build()?, &range)?,
        None => Progress::new(0, range.clone()),
    };
    if progress.next > range.start {
        eprintln!("up to seed {} they were run before, by this build", progress.next);
    }
    let begun = Instant::now();
    let mut done = 0;
    while progress.next < range.end {
        let chunk = progress.next..range.end.min(progress.next + CHUNK);
        let Sum { seeds, counters, failures } = seeds::run_all(chunk.clone(), threads, 1, choices);
        done += seeds;
        if !failures.is_empty() {
            return Ok(fail(&failures));
        }
        let seconds = begun.elapsed().as_secs();
        progress.add(chunk.end, &counters, begun.elapsed().as_millis() as u64);
        if let Some(file) = file {
            progress.write(file)?;
        }
        eprintln!("up to seed {}: {done} seeds in {seconds} s", chunk.end);
    }
    print!("{}", progress.counters);
    let count = range.end - range.start;
    println!("{count} seeds, no failure, {} s", progress.milliseconds / 1_000);
    let missing: Vec<_> = progress.counters.missing().collect();
    if count >= SEEDS_MIN && !missing.is_empty() {
        missing.iter().for_each(|(what, times)| eprintln!("met too rarely, {times} times: {what}"));
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}
