//! The process as the kernel sees it, under the names that Prometheus clients agree on.

use std::fs;

use super::encode::Encoder;

/// Ticks a second of the times in `/proc`; part of the kernel's interface on every machine we run on.
const TICKS_PER_SEC: f64 = 100.0;

/// Writes what `/proc` gives; what cannot be read is left out.
pub(super) fn encode(encoder: &mut Encoder) {
    let stat = fs::read_to_string("/proc/self/stat").ok();
    let times = stat.as_deref().and_then(times);
    if let Some((cpu_secs, started_after_boot)) = times {
        encoder.family("process_cpu_seconds_total", "counter", "User and system time spent.");
        encoder.sample("process_cpu_seconds_total", "", cpu_secs);
        if let Some(boot) = fs::read_to_string("/proc/stat").ok().as_deref().and_then(boot_time) {
            encoder.family("process_start_time_seconds", "gauge", "Start, in seconds since the Unix epoch.");
            encoder.sample("process_start_time_seconds", "", boot + started_after_boot);
        }
    }
    if let Ok(status) = fs::read_to_string("/proc/self/status") {
        gauge(encoder, "process_resident_memory_bytes", "Resident memory.", kib(&status, "VmRSS:"));
        gauge(encoder, "process_virtual_memory_bytes", "Virtual memory.", kib(&status, "VmSize:"));
    }
    let open = fs::read_dir("/proc/self/fd").ok().map(|dir| dir.count() as u64);
    gauge(encoder, "process_open_fds", "Open file descriptors.", open);
    let limits = fs::read_to_string("/proc/self/limits").ok();
    let max = limits.as_deref().and_then(|limits| field(limits, "Max open files")?.parse().ok());
    gauge(encoder, "process_max_fds", "Most file descriptors that may be open.", max);
}

fn gauge(encoder: &mut Encoder, name: &str, help: &str, value: Option<u64>) {
    if let Some(value) = value {
        encoder.family(name, "gauge", help);
        encoder.sample(name, "", value);
    }
}

/// Processor time, and start after boot, in seconds. The second field is a name that may contain blanks and brackets.
fn times(stat: &str) -> Option<(f64, f64)> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = after_name.split_ascii_whitespace().collect();
    let ticks = |place: usize| fields.get(place)?.parse::<f64>().ok();
    let (user, system, start) = (ticks(11)?, ticks(12)?, ticks(19)?);
    Some(((user + system) / TICKS_PER_SEC, start / TICKS_PER_SEC))
}

fn boot_time(stat: &str) -> Option<f64> {
    field(stat, "btime")?.parse().ok()
}

fn kib(status: &str, name: &str) -> Option<u64> {
    Some(field(status, name)?.parse::<u64>().ok()? * 1024)
}

/// The first word behind `name` on the line that begins with it.
fn field<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.lines().find_map(|line| line.strip_prefix(name))?.split_ascii_whitespace().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_does_not_shift_the_fields() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 3 0 1200 1 2";
        assert_eq!(times(stat), Some((3.0, 12.0)));
    }

    #[test]
    fn this_process_is_described_whole() {
        let mut encoder = Encoder::new();
        encode(&mut encoder);
        let text = encoder.finish();
        for name in [
            "process_cpu_seconds_total",
            "process_start_time_seconds",
            "process_resident_memory_bytes",
            "process_virtual_memory_bytes",
            "process_open_fds",
            "process_max_fds",
        ] {
            assert!(text.contains(&format!("\n{name} ")), "{name} is missing from {text}");
        }
    }
}
