//! Readings of the machine: processors, time stolen by its host, CPU time and memory of a process.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The processors that this process may use.
#[must_use]
pub fn cpus() -> Vec<usize> {
    let Ok(set) = sched_getaffinity(None) else { return vec![0] };
    (0..CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)).collect()
}

/// Keeps the calling thread, and whatever it starts from then on, on these processors. A system that refuses leaves it where it is.
pub fn pin_to(cpus: &[usize]) {
    let mut set = CpuSet::new();
    for &cpu in cpus {
        set.set(cpu);
    }
    if let Err(e) = sched_setaffinity(None, &set) {
        eprintln!("the processors {cpus:?} are refused: {e}");
    }
}

pub fn pin_thread(cpu: usize) {
    pin_to(&[cpu]);
}

/// As many open files as the system allows: each connection is one.
pub fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

/// Clock ticks (hundredths of a second) that the host took from all processors since the machine started.
#[must_use]
pub fn steal_ticks() -> u64 {
    steal(&fs::read_to_string("/proc/stat").unwrap_or_default())
}

fn steal(stat: &str) -> u64 {
    let line = stat.lines().find(|line| line.starts_with("cpu ")).unwrap_or_default();
    line.split_ascii_whitespace().nth(8).and_then(|ticks| ticks.parse().ok()).unwrap_or(0)
}

/// CPU time of all living threads of a process, in nanoseconds. It includes what the host stole while one of them ran.
#[must_use]
pub fn process_cpu_ns(pid: u32) -> u64 {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return 0 };
    tasks.flatten().map(|task| thread_cpu_ns(&task.path().join("schedstat"))).sum()
}

/// CPU time of the threads of a process that have this name, in nanoseconds.
#[must_use]
pub fn named_threads_cpu_ns(pid: u32, name: &str) -> u64 {
    named_threads(pid, name).map(|task| thread_cpu_ns(&task.join("schedstat"))).sum()
}

/// Keeps the threads of a process that have this name on one processor. A system that refuses leaves them where they are.
pub fn pin_named_threads(pid: u32, name: &str, cpu: usize) {
    let mut set = CpuSet::new();
    set.set(cpu);
    for task in named_threads(pid, name) {
        let id = task.file_name().and_then(|id| id.to_str()?.parse().ok()).and_then(Pid::from_raw);
        if let Err(e) = sched_setaffinity(id, &set) {
            eprintln!("the processor {cpu} is refused to {name}: {e}");
        }
    }
}

fn named_threads(pid: u32, name: &str) -> impl Iterator<Item = PathBuf> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).ok().into_iter().flatten().flatten();
    let is_named =
        move |task: &PathBuf| fs::read_to_string(task.join("comm")).is_ok_and(|comm| comm.trim_end() == name);
    tasks.map(|task| task.path()).filter(is_named)
}

/// CPU time of the calling thread, in nanoseconds.
#[must_use]
pub fn own_cpu_ns() -> u64 {
    thread_cpu_ns(Path::new("/proc/thread-self/schedstat"))
}

fn thread_cpu_ns(schedstat: &Path) -> u64 {
    let text = fs::read_to_string(schedstat).unwrap_or_default();
    text.split_ascii_whitespace().next().and_then(|ns| ns.parse().ok()).unwrap_or(0)
}

/// Memory of a process that is in RAM, in bytes.
#[must_use]
pub fn resident_bytes(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_ascii_whitespace().next().and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) * 1_024
}

/// Bytes that a process has read (`rchar`) or written (`wchar`) by system calls since it started.
#[must_use]
pub fn io_bytes(pid: u32, what: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(what)?.strip_prefix(": "));
    line.and_then(|bytes| bytes.parse().ok()).unwrap_or(0)
}

/// The processor's name and the kernel, for the head of a report.
#[must_use]
pub fn describe() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let model = model.map_or("unknown processor", |(_, name)| name);
    format!("{model}, {} processors, Linux {}", cpus().len(), kernel.trim())
}

#[cfg(test)]
mod tests {
    use super::{io_bytes, own_cpu_ns, process_cpu_ns, resident_bytes, steal};

    #[test]
    fn steal_is_the_eighth_number_of_all_processors() {
        assert_eq!(steal("cpu  1 2 3 4 5 6 7 88 9 10\ncpu0 1 2 3 4 5 6 7 1 9 10\n"), 88);
        assert_eq!(steal(""), 0);
    }

    #[test]
    fn a_process_has_time_and_memory() {
        let before = own_cpu_ns();
        // The kernel counts by its ticks.
        while own_cpu_ns() <= before {
            std::hint::spin_loop();
        }
        assert!(process_cpu_ns(std::process::id()) > before);
        assert!(resident_bytes(std::process::id()) > 100_000);
        assert!(io_bytes(std::process::id(), "rchar") > 0);
        assert_eq!((process_cpu_ns(u32::MAX), resident_bytes(u32::MAX)), (0, 0));
    }
}
