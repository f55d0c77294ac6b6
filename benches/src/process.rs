//! What a process cost the machine, where the kernel tells.

use std::{fs, time::Duration};

/// Readings at one moment; what is between two of them is what was spent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Processor time of all threads.
    pub cpu: Duration,
    /// Bytes that went to the disk's queue.
    pub written: u64,
}

/// Clock ticks of `/proc` in a second; the same on every Linux that Rust runs on.
const TICKS: u64 = 100;

/// Those of this process; zero where there is no `/proc`.
#[must_use]
pub fn usage() -> Usage {
    usage_in("self")
}

/// Those of another process of the same user.
#[must_use]
pub fn usage_of(pid: u32) -> Usage {
    usage_in(&pid.to_string())
}

fn usage_in(process: &str) -> Usage {
    Usage {
        cpu: cpu(&told(process, "stat")),
        written: written(&told(process, "io")),
    }
}

/// A file of `proc(5)`; nothing where there is none.
fn told(process: &str, file: &str) -> String {
    fs::read_to_string(format!("/proc/{process}/{file}")).unwrap_or_default()
}

/// The most memory that this process had at a time, in bytes; zero where there is no `/proc`.
#[must_use]
pub fn peak() -> u64 {
    memory("VmHWM:", &told("self", "status"))
}

/// The memory of this process that is in use now, in bytes; zero where there is no `/proc`.
#[must_use]
pub fn rss() -> u64 {
    memory("VmRSS:", &told("self", "status"))
}

/// The same of another process.
#[must_use]
pub fn rss_of(pid: u32) -> u64 {
    memory("VmRSS:", &told(&pid.to_string(), "status"))
}

/// A line of `proc_pid_status(5)`, which is in KiB there.
fn memory(name: &str, status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB"));
    kib.and_then(|kib| kib.trim().parse::<u64>().ok())
        .unwrap_or(0)
        * 1024
}

impl Usage {
    /// What was spent since `earlier`.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            cpu: self.cpu.saturating_sub(earlier.cpu),
            written: self.written.saturating_sub(earlier.written),
        }
    }
}

/// Fields 14 and 15 (user and system time) of `proc_pid_stat(5)`; the second field may hold spaces.
fn cpu(stat: &str) -> Duration {
    let fields = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_ascii_whitespace();
    let ticks: u64 = fields
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    Duration::from_millis(ticks * 1000 / TICKS)
}

fn written(io: &str) -> u64 {
    let line = io
        .lines()
        .find_map(|line| line.strip_prefix("write_bytes:"));
    line.and_then(|bytes| bytes.trim().parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_are_those_of_the_kernel() {
        let stat = "7 (a b) R 1 1 1 0 -1 0 0 0 0 0 150 25 0 0 20 0 1 0 5 1 1";
        assert_eq!(cpu(stat), Duration::from_millis(1750));
        assert_eq!(written("rchar: 1\nwrite_bytes: 4096\n"), 4096);
        let status = "VmPeak:\t 9 kB\nVmHWM:\t    2048 kB\nVmRSS:\t    1234 kB\n";
        assert_eq!(memory("VmHWM:", status), 2048 * 1024);
        assert_eq!(memory("VmRSS:", status), 1234 * 1024);
        assert_eq!((cpu(""), written("")), (Duration::ZERO, 0));
        assert_eq!(memory("VmRSS:", ""), 0);
    }
}
