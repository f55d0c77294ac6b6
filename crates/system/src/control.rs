//! The texts in which Linux tells about memory, parsed. Whatever they hold, nothing panics.
//!
//! Sources: `proc(5)`, the kernel's `admin-guide/cgroup-v1/memory.rst`, `admin-guide/cgroup-v2.rst`
//! and `accounting/psi.rst`.

use crate::host::Stalled;

/// A limit of version 1 from here on is none: the kernel writes the largest number of pages.
const NO_LIMIT: u64 = 1 << 62;

/// Which control groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    One,
    Two,
}

/// The group in which the process's memory is accounted for, and where its tree is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) version: Version,
    pub(crate) mount: String,
    /// Below the mount.
    pub(crate) path: String,
}

/// `MemTotal` and `MemAvailable` of `/proc/meminfo`, in bytes.
pub(crate) fn meminfo(text: &str) -> Option<(u64, u64)> {
    let kib = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        let number: u64 = line
            .strip_prefix(':')?
            .trim()
            .strip_suffix("kB")?
            .trim()
            .parse()
            .ok()?;
        number.checked_mul(1024)
    };
    let total = kib("MemTotal")?;
    Some((total, kib("MemAvailable")?.min(total)))
}

/// The line of a `memory.pressure` or of `/proc/pressure/memory`.
pub(crate) fn stalled(text: &str) -> Option<Stalled> {
    let average = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        let value = line
            .split_ascii_whitespace()
            .find_map(|word| word.strip_prefix("avg10="))?;
        let value: f32 = value.parse().ok()?;
        value.is_finite().then_some(value.clamp(0.0, 100.0))
    };
    Some(Stalled {
        some: average("some ")?,
        full: average("full ")?,
    })
}

/// A limit in bytes; nothing where there is none.
pub(crate) fn limit(text: &str) -> Option<u64> {
    text.trim().parse().ok().filter(|limit| *limit < NO_LIMIT)
}

/// A number of a `memory.stat`.
pub(crate) fn stat(text: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines();
    lines.find_map(|line| {
        line.strip_prefix(name)?
            .strip_prefix(' ')?
            .trim()
            .parse()
            .ok()
    })
}

/// The groups of `/proc/self/cgroup` that are mounted as `/proc/self/mountinfo` says: version 2, and
/// the `memory` tree of version 1. Which of the two accounts for memory, their files tell.
pub(crate) fn groups(mounts: &str, membership: &str) -> Vec<Group> {
    let mut groups = Vec::new();
    for line in membership.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(number), Some(controllers), Some(path)) =
            (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        let version = match (number, controllers) {
            ("0", "") => Version::Two,
            (_, controllers) if controllers.split(',').any(|one| one == "memory") => Version::One,
            _ => continue,
        };
        // A path that leads up stands outside of what this process sees.
        if path.split('/').any(|part| part == "..") {
            continue;
        }
        let found = mounts.lines().find_map(|line| mounted(line, version));
        if let Some((root, mount)) = found {
            // Where a part of the tree is mounted, the path begins with that part, or, seen from a
            // namespace of its own, at the mount.
            let below = match path.strip_prefix(root.trim_end_matches('/')) {
                Some(rest) if rest.is_empty() || rest.starts_with('/') => rest,
                _ => path,
            };
            groups.push(Group {
                version,
                mount,
                path: below.to_owned(),
            });
        }
    }
    groups
}

/// The root and the mount point of a line that mounts control groups with memory.
fn mounted(line: &str, version: Version) -> Option<(String, String)> {
    let (before, after) = line.split_once(" - ")?;
    let mut after = after.split(' ');
    let (kind, options) = (after.next()?, after.nth(1)?);
    let right = match version {
        Version::Two => kind == "cgroup2",
        Version::One => kind == "cgroup" && options.split(',').any(|one| one == "memory"),
    };
    let mut before = before.split(' ').skip(3);
    let (root, mount) = (before.next()?, before.next()?);
    let leads_up = mount.split('/').any(|part| part == "..");
    (right && !leads_up).then(|| (unescaped(root), unescaped(mount)))
}

/// Spaces and their like stand as octal numbers: `\040`.
fn unescaped(text: &str) -> String {
    let mut plain = Vec::new();
    let mut bytes = text.as_bytes();
    while let Some((first, rest)) = bytes.split_first() {
        let octal = match rest {
            [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..] if *first == b'\\' => {
                Some((a - b'0') * 64 + (b - b'0') * 8 + (c - b'0'))
            }
            _ => None,
        };
        plain.push(octal.unwrap_or(*first));
        bytes = if octal.is_some() { &rest[3..] } else { rest };
    }
    String::from_utf8_lossy(&plain).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn limits_that_are_none_are_none() {
        assert_eq!(limit("max\n"), None);
        assert_eq!(limit("9223372036854771712\n"), None);
        assert_eq!(limit("18446744073709551616"), None);
        assert_eq!(limit("-1"), None);
        assert_eq!(limit(" 4096\n"), Some(4096));
        assert_eq!(limit("0"), Some(0));
    }

    #[test]
    fn names_are_whole_names() {
        assert_eq!(
            stat("inactive_file_x 1\ninactive_file 2\n", "inactive_file"),
            Some(2)
        );
        assert_eq!(
            meminfo("MemTotal: 2 kB\nMemAvailable: 9 kB"),
            Some((2048, 2048))
        );
        assert_eq!(meminfo("MemTotal: 2 kB\n"), None);
        assert_eq!(
            meminfo("MemTotal: 99999999999999999999 kB\nMemAvailable: 1 kB"),
            None
        );
        assert_eq!(stalled("some avg10=nan avg60=0\nfull avg10=0"), None);
    }

    #[test]
    fn mounts_are_found_by_kind_and_controller_and_unescaped() {
        let mounts = "1 0 0:1 / /proc rw - proc proc rw\n\
             2 0 0:2 / /a\\040b rw opt:1 - cgroup cgroup rw,memory\n\
             3 0 0:3 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n";
        let group = |mount: &str, path: &str| Group {
            version: Version::One,
            mount: mount.to_owned(),
            path: path.to_owned(),
        };
        assert_eq!(
            groups(mounts, "7:cpu,memory:/x:y\n0::/\n1:cpu:/\n"),
            [group("/a b", "/x:y")]
        );
        assert_eq!(groups(mounts, "4:memory:/../x\n4:memorys:/\nnone\n"), []);
        let up = "2 0 0:2 / /m/../etc rw - cgroup cgroup rw,memory\n";
        assert_eq!(groups(up, "4:memory:/x\n"), []);
        let part = "2 0 0:2 /docker/ab /m rw - cgroup cgroup rw,memory\n";
        assert_eq!(groups(part, "4:memory:/docker/ab\n"), [group("/m", "")]);
        assert_eq!(
            groups(part, "4:memory:/docker/abc\n"),
            [group("/m", "/docker/abc")]
        );
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".*", other in "[0-9:/ a-z,=.\\\\\n-]*") {
            for text in [&text, &other] {
                let _ = (meminfo(text), stalled(text), limit(text), stat(text, "a"));
                let _ = (groups(text, &other), groups(&other, text), unescaped(text));
            }
        }

        #[test]
        fn what_the_kernel_writes_is_read(total in 0_u64..1 << 50, free in 0_u64..1 << 50, some in 0_u32..=10_000, full in 0_u32..=10_000) {
            let text = format!("MemTotal:  {total} kB\nBuffers: 1 kB\nMemAvailable: {free} kB\n");
            prop_assert_eq!(meminfo(&text), Some((total << 10, free.min(total) << 10)));
            let percent = |n: u32| format!("{}.{:02}", n / 100, n % 100);
            let text = format!("some avg10={} avg60=0.00 avg300=0.00 total=1\nfull avg10={} avg60=0.00 avg300=0.00 total=1\n", percent(some), percent(full));
            let read = stalled(&text).unwrap();
            prop_assert!((read.some * 100.0 - some as f32).abs() < 0.5 && (read.full * 100.0 - full as f32).abs() < 0.5);
        }
    }
}
