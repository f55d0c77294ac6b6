//! What this process takes of its machine. Linux says so in `/proc/self`; elsewhere nothing is known.

use std::{fs, path::Path};

use nebula_core::ByteSize;

/// Ticks of `/proc/self/stat` in a second: `USER_HZ`, which Linux shows as 100 on every architecture
/// that this program is built for (`time(7)`).
const TICKS: f64 = 100.0;

/// What this process takes, as far as the system says.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ProcessUse {
    /// Processor time in seconds, in user and system mode, of all its threads.
    pub cpu_seconds: Option<f64>,
    /// Memory in RAM.
    pub resident: Option<ByteSize>,
    /// Files, sockets and the like that are open.
    pub open_files: Option<u64>,
    /// How many of these may be open; nothing where there is no limit.
    pub max_files: Option<u64>,
    /// Threads.
    pub threads: Option<u64>,
    /// When it began, in seconds since 1970.
    pub started_at: Option<f64>,
}

impl ProcessUse {
    /// Reads what is so now: four small files and a folder of `/proc`.
    #[must_use]
    pub fn read() -> Self {
        Self::below(Path::new("/proc"))
    }

    fn below(proc: &Path) -> Self {
        let text = |name: &str| fs::read_to_string(proc.join(name)).unwrap_or_default();
        let own = Self::parse(
            &text("self/stat"),
            &text("self/status"),
            &text("self/limits"),
            &text("stat"),
        );
        let open = fs::read_dir(proc.join("self/fd")).ok();
        Self {
            open_files: open.map(|open| open.count() as u64),
            ..own
        }
    }

    fn parse(stat: &str, status: &str, limits: &str, machine: &str) -> Self {
        // The name of the program comes second, in brackets, and may hold anything.
        let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
        // Fields of proc(5), of which the first here is the third.
        let ticks = |field: usize| -> Option<f64> {
            fields.split_ascii_whitespace().nth(field - 3)?.parse().ok()
        };
        let named = |text: &str, name: &str| -> Option<u64> {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_ascii_whitespace().next()?.parse().ok()
        };
        let booted = named(machine, "btime ");
        Self {
            cpu_seconds: ticks(14)
                .zip(ticks(15))
                .map(|(user, system)| (user + system) / TICKS),
            resident: named(status, "VmRSS:").map(|kib| ByteSize::bytes(kib.saturating_mul(1024))),
            open_files: None,
            max_files: named(limits, "Max open files"),
            threads: named(status, "Threads:"),
            #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 fit")]
            started_at: booted
                .zip(ticks(22))
                .map(|(at, since)| at as f64 + since / TICKS),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "4242 (ne) bula (x) S 1 2 3 4 5 6 7 8 9 10 250 150 0 0 20 0 9 0 1000 7 8";

    #[test]
    fn the_texts_of_linux_are_read() {
        let found = ProcessUse::parse(
            STAT,
            "Name:\tx\nVmRSS:\t    2048 kB\nThreads:\t9\n",
            "Limit  Soft Limit  Hard Limit  Units\nMax open files            1024                 4096                 files\n",
            "cpu 1 2\nbtime 1700000000\n",
        );
        let expected = ProcessUse {
            cpu_seconds: Some(4.0),
            resident: Some(ByteSize::mib(2)),
            open_files: None,
            max_files: Some(1_024),
            threads: Some(9),
            started_at: Some(1_700_000_010.0),
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_not_there_is_not_known() {
        assert_eq!(
            ProcessUse::parse("", "VmRSS: much", "", ""),
            ProcessUse::default()
        );
        let found = ProcessUse::parse("", "", "Max open files unlimited unlimited files", "");
        assert_eq!(found.max_files, None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_takes_something() {
        let found = ProcessUse::read();
        assert!(found.resident.unwrap() > ByteSize::kib(100), "{found:?}");
        assert!(found.open_files.unwrap() >= 3 && found.threads.unwrap() >= 1);
        assert!(found.started_at.unwrap() > 1.6e9 && found.cpu_seconds.is_some());
    }
}
