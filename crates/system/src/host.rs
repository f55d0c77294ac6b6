//! How much of the machine this process may use, and how hard memory is to get.
//!
//! Linux says so in `/proc` and in control groups, version 2 or 1, or both beside each other. What is
//! read is parsed by pure functions of `control`; here are only the files. Elsewhere nothing is known
//! but the cores.

use std::{
    fs::File,
    io::Read as _,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    thread,
};

use nebula_core::ByteSize;

use crate::control::{self, Group, Version};

/// The largest file of `/proc` or a control group that is read; `mountinfo` is the longest.
const MAX_FILE: u64 = 1 << 20;

/// Memory counts as scarce when less than this part of what the process may use is left, in percent.
const SCARCE_LEFT: u64 = 10;

/// Memory counts as scarce when something waited for it for longer than this, in percent of the
/// last ten seconds.
const SCARCE_STALLED: f32 = 10.0;

/// What this process may use of its machine.
#[derive(Debug, Clone, PartialEq)]
pub struct Host {
    /// How many threads can run at once: cores, less what affinity and CPU quotas take. One where it
    /// is not known.
    pub cores: NonZeroUsize,
    /// Memory; nothing where the system does not say.
    pub memory: Option<Memory>,
    /// For how long something waited for memory; nothing where the kernel does not measure it.
    pub stalled: Option<Stalled>,
}

/// Memory that this process may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// Of the machine.
    pub machine: ByteSize,
    /// The smallest limit of the control groups that the process is in, if one has any.
    pub limit: Option<ByteSize>,
    /// What could be used now without anything being swapped or killed: of the machine, or left of
    /// the limit, whichever is less. Files in the page cache that can go count as free.
    pub available: ByteSize,
}

/// Pressure stall information, for memory: what part of the time something waited, in percent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stalled {
    /// Some task waited, on average of the last 10 seconds.
    pub some: f32,
    /// All tasks waited, on average of the last 10 seconds.
    pub full: f32,
}

impl Memory {
    /// All that the process may use: of the machine, or its limit.
    #[must_use]
    pub fn usable(&self) -> ByteSize {
        self.limit
            .map_or(self.machine, |limit| limit.min(self.machine))
    }
}

impl Host {
    /// Reads what is so now. Takes a few small files; nothing is cached.
    #[must_use]
    pub fn read() -> Self {
        Self::below(Path::new("/"))
    }

    /// Whether memory is hard to get: less than a tenth of it is left, or tasks waited for it for more
    /// than a tenth of the last ten seconds.
    #[must_use]
    pub fn is_short_of_memory(&self) -> bool {
        let little = self.memory.is_some_and(|memory| {
            let usable = memory.usable().as_u64();
            memory.available.as_u64() < usable / 100 * SCARCE_LEFT
        });
        little
            || self
                .stalled
                .is_some_and(|stalled| stalled.some > SCARCE_STALLED)
    }

    /// Reads the files below another root than `/`.
    fn below(root: &Path) -> Self {
        let groups = groups(root);
        let memory = read(root, "proc/meminfo")
            .and_then(|text| control::meminfo(&text))
            .map(|(machine, free)| {
                let (mut limit, mut available) = (None, free);
                for (group, folder) in &groups {
                    let Some(most) = group_limit(group.version, folder) else {
                        continue;
                    };
                    limit = Some(limit.map_or(most, |least: u64| least.min(most)));
                    available = available.min(most.saturating_sub(used(group.version, folder)));
                }
                Memory {
                    machine: ByteSize::bytes(machine),
                    limit: limit.map(ByteSize::bytes),
                    available: ByteSize::bytes(available),
                }
            });
        // The process's own group says more than the whole machine.
        let own = groups
            .iter()
            .filter(|(group, _)| group.version == Version::Two)
            .find_map(|(_, folder)| file(&folder.join("memory.pressure")));
        let stalled = own.or_else(|| read(root, "proc/pressure/memory"));
        Self {
            cores: thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            memory,
            stalled: stalled.and_then(|text| control::stalled(&text)),
        }
    }
}

/// The control groups that account for the process's memory, the innermost first, with their folders.
fn groups(root: &Path) -> Vec<(Group, PathBuf)> {
    let (Some(mounts), Some(membership)) = (
        read(root, "proc/self/mountinfo"),
        read(root, "proc/self/cgroup"),
    ) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for group in control::groups(&mounts, &membership) {
        let mount = root.join(group.mount.trim_start_matches('/'));
        // A limit of any group around the own one holds as well.
        let folder = mount.join(group.path.trim_start_matches('/'));
        let around: Vec<_> = folder
            .ancestors()
            .take_while(|folder| folder.starts_with(&mount))
            .map(Path::to_owned)
            .collect();
        found.extend(around.into_iter().map(|folder| (group.clone(), folder)));
    }
    found
}

fn group_limit(version: Version, folder: &Path) -> Option<u64> {
    let limit = |name: &str| control::limit(&file(&folder.join(name))?);
    match version {
        Version::One => limit("memory.limit_in_bytes"),
        // Over `high` the group is slowed down until it is below.
        Version::Two => [limit("memory.max"), limit("memory.high")]
            .into_iter()
            .flatten()
            .min(),
    }
}

/// What a group uses, without the files in the page cache that can go.
fn used(version: Version, folder: &Path) -> u64 {
    let (usage, cached) = match version {
        Version::One => ("memory.usage_in_bytes", "total_inactive_file"),
        Version::Two => ("memory.current", "inactive_file"),
    };
    let number = |text: String| text.trim().parse::<u64>().ok();
    let usage = file(&folder.join(usage)).and_then(number).unwrap_or(0);
    let stat = file(&folder.join("memory.stat")).unwrap_or_default();
    usage.saturating_sub(control::stat(&stat, cached).unwrap_or(0))
}

fn read(root: &Path, name: &str) -> Option<String> {
    file(&root.join(name))
}

fn file(path: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    File::open(path)
        .ok()?
        .take(MAX_FILE)
        .read_to_end(&mut bytes)
        .ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const MEMINFO: &str =
        "MemTotal:       16000000 kB\nMemFree: 100 kB\nMemAvailable:    8000000 kB\n";

    /// A root with these files, and what is read there.
    fn host(files: &[(&str, &str)]) -> Host {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Host::below(root.path())
    }

    fn memory(machine: u64, limit: Option<u64>, available: u64) -> Memory {
        Memory {
            machine: ByteSize::bytes(machine),
            limit: limit.map(ByteSize::bytes),
            available: ByteSize::bytes(available),
        }
    }

    #[test]
    fn without_groups_the_machine_is_the_limit() {
        let host = host(&[
            ("proc/meminfo", MEMINFO),
            (
                "proc/pressure/memory",
                "some avg10=12.50 avg60=1.00 avg300=0.00 total=9\nfull avg10=3.25 avg60=0.00 avg300=0.00 total=1\n",
            ),
        ]);
        assert_eq!(
            host.memory,
            Some(memory(16_000_000 << 10, None, 8_000_000 << 10))
        );
        assert_eq!(
            host.stalled,
            Some(Stalled {
                some: 12.5,
                full: 3.25
            })
        );
        assert!(host.is_short_of_memory(), "12.5 % of ten seconds");
    }

    #[test]
    fn version_2_takes_the_least_of_all_groups_around_and_its_own_pressure() {
        let host = host(&[
            ("proc/meminfo", MEMINFO),
            (
                "proc/self/mountinfo",
                "29 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n",
            ),
            ("proc/self/cgroup", "0::/app.slice/nebula\n"),
            ("sys/fs/cgroup/app.slice/nebula/memory.max", "max\n"),
            (
                "sys/fs/cgroup/app.slice/nebula/memory.pressure",
                "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
            ),
            ("sys/fs/cgroup/app.slice/memory.max", "1000000000\n"),
            ("sys/fs/cgroup/app.slice/memory.high", "900000000\n"),
            ("sys/fs/cgroup/app.slice/memory.current", "700000000\n"),
            (
                "sys/fs/cgroup/app.slice/memory.stat",
                "anon 1\ninactive_file 100000000\n",
            ),
            (
                "proc/pressure/memory",
                "some avg10=99.00 avg60=0.00 avg300=0.00 total=0\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
            ),
        ]);
        assert_eq!(
            host.memory,
            Some(memory(16_000_000 << 10, Some(900_000_000), 300_000_000))
        );
        assert_eq!(
            host.stalled,
            Some(Stalled {
                some: 0.0,
                full: 0.0
            })
        );
        assert!(!host.is_short_of_memory());
    }

    #[test]
    fn of_groups_within_each_other_the_least_counts_wherever_it_is() {
        let inner = "sys/fs/cgroup/app.slice/nebula";
        let outer = "sys/fs/cgroup/app.slice";
        let read = |[inner_max, inner_used, outer_max, outer_used]: [&str; 4]| {
            let host = host(&[
                ("proc/meminfo", MEMINFO),
                (
                    "proc/self/mountinfo",
                    "29 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
                ),
                ("proc/self/cgroup", "0::/app.slice/nebula\n"),
                (&format!("{inner}/memory.max"), inner_max),
                (&format!("{inner}/memory.current"), inner_used),
                (&format!("{outer}/memory.max"), outer_max),
                (&format!("{outer}/memory.current"), outer_used),
                // Above the mount are files of something else.
                ("sys/fs/memory.max", "1\n"),
                ("memory.max", "1\n"),
            ]);
            host.memory.unwrap()
        };
        let machine = 16_000_000 << 10;
        assert_eq!(
            read(["500000000", "100000000", "900000000", "100000000"]),
            memory(machine, Some(500_000_000), 400_000_000)
        );
        assert_eq!(
            read(["900000000", "100000000", "500000000", "100000000"]),
            memory(machine, Some(500_000_000), 400_000_000)
        );
        assert_eq!(
            read(["500000000", "100000000", "900000000", "850000000"]),
            memory(machine, Some(500_000_000), 50_000_000)
        );
    }

    #[test]
    fn a_limit_above_the_machine_is_none() {
        let machine = memory(1_000, Some(2_000), 500);
        assert_eq!(machine.usable(), ByteSize::bytes(1_000));
    }

    #[test]
    fn a_file_is_read_only_so_far() {
        let most = usize::try_from(MAX_FILE).unwrap();
        let long = " \n".repeat(most / 2) + MEMINFO;
        assert_eq!(host(&[("proc/meminfo", &long)]).memory, None);
    }

    #[test]
    fn version_1_beside_version_2_and_a_mount_of_a_part_of_the_tree() {
        let host = host(&[
            ("proc/meminfo", MEMINFO),
            (
                "proc/self/mountinfo",
                "35 31 0:32 /docker/abc /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                 41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
            ),
            (
                "proc/self/cgroup",
                "4:memory:/docker/abc/inner\n1:cpu:/x\n0::/\n",
            ),
            (
                "sys/fs/cgroup/memory/inner/memory.limit_in_bytes",
                "500000000\n",
            ),
            (
                "sys/fs/cgroup/memory/inner/memory.usage_in_bytes",
                "490000000\n",
            ),
            (
                "sys/fs/cgroup/memory/inner/memory.stat",
                "inactive_file 1\ntotal_inactive_file 5000000\n",
            ),
            (
                "sys/fs/cgroup/memory/memory.limit_in_bytes",
                "9223372036854771712\n",
            ),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "9\n"),
        ]);
        assert_eq!(
            host.memory,
            Some(memory(16_000_000 << 10, Some(500_000_000), 15_000_000))
        );
        assert!(host.is_short_of_memory(), "3 % are left");
        assert_eq!(host.memory.unwrap().usable(), ByteSize::bytes(500_000_000));
    }

    #[test]
    fn a_path_that_leads_out_of_its_mount_is_not_followed() {
        let host = host(&[
            ("proc/meminfo", MEMINFO),
            (
                "proc/self/mountinfo",
                "29 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
            ),
            ("proc/self/cgroup", "0::/../../etc\n"),
            ("etc/memory.max", "1\n"),
        ]);
        assert_eq!(host.memory.unwrap().limit, None);
    }

    #[test]
    fn where_the_system_says_nothing_only_cores_are_known() {
        let host = host(&[]);
        assert_eq!((host.memory, host.stalled), (None, None));
        assert!(!host.is_short_of_memory());
        // And here, whatever this machine is, it holds together.
        let here = Host::read();
        if let Some(memory) = here.memory {
            assert!(memory.usable() <= memory.machine && memory.available <= memory.usable());
        }
    }
}
