//! What a server must be, so that it keeps what it is given.

use nebula_ports::{ErrorKind, PortError, Result};

use crate::error::DRIVER;

/// The oldest version that runs the scripts.
const OLDEST: (u32, u32) = (7, 0);

pub(crate) fn too_old(version: &str) -> String {
    let (major, minor) = OLDEST;
    format!(
        "has version {version}, and {major}.{minor} is the oldest that runs the queue: update it"
    )
}

/// Refuses the server at `address` that says this of itself in `INFO`.
pub(crate) fn check(address: &str, info: &str) -> Result<()> {
    let says = |name: &str| {
        let mut lines = info.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
    };
    let version = says("redis_version").unwrap_or("unknown");
    let policy = says("maxmemory_policy").unwrap_or("unknown");
    let what = if parsed(version).is_none_or(|version| version < OLDEST) {
        too_old(version)
    } else if policy != "noeviction" {
        format!(
            "throws tasks away when its memory is full (`maxmemory-policy` is {policy}): set it to noeviction"
        )
    } else if says("redis_mode") == Some("cluster") {
        "is part of a cluster, of which this driver does not ask where a key lies: use one server or a pair with failover"
            .to_owned()
    } else {
        return Ok(());
    };
    Err(PortError::new(
        ErrorKind::Unsupported,
        DRIVER,
        "connect",
        format!("the Redis at {address} {what}"),
    ))
}

fn parsed(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split('.').map(str::parse);
    Some((parts.next()?.ok()?, parts.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(version: &str, policy: &str, mode: &str) -> Option<String> {
        let info = format!(
            "# Server\r\nredis_version:{version}\r\nredis_mode:{mode}\r\n# Memory\r\nmaxmemory_policy:{policy}\r\n"
        );
        let error = check("here", &info).err()?;
        assert_eq!(error.kind, ErrorKind::Unsupported);
        Some(error.message)
    }

    #[test]
    fn a_server_that_is_too_old_is_refused() {
        for (version, fits) in [
            ("7.0.15", true),
            ("7.2.4", true),
            ("10.0.0", true),
            ("6.2.14", false),
            ("unknown", false),
        ] {
            let refusal = refusal(version, "noeviction", "standalone");
            assert_eq!(refusal.is_none(), fits, "{version}: {refusal:?}");
            assert!(refusal.is_none_or(|it| it.contains(version) && it.contains("7.0")));
        }
    }

    #[test]
    fn a_server_that_throws_away_is_refused() {
        for policy in ["allkeys-lru", "volatile-lru", "volatile-ttl"] {
            let refusal = refusal("7.0.15", policy, "standalone").unwrap();
            assert!(
                refusal.contains(policy) && refusal.contains("noeviction"),
                "{refusal}"
            );
        }
    }

    #[test]
    fn a_cluster_is_refused() {
        assert!(
            refusal("7.0.15", "noeviction", "cluster")
                .unwrap()
                .contains("cluster")
        );
    }
}
