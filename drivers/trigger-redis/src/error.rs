//! What Redis says, as what somebody can do.

use nebula_ports::{ErrorKind, PortError};
use redis::{RedisError, ServerErrorKind};

const DRIVER: &str = "trigger-redis";

/// What will not be otherwise at the next try.
pub(crate) fn refused(message: impl Into<String>) -> PortError {
    PortError::new(ErrorKind::Invalid, DRIVER, "listen", message)
}

/// What may be otherwise at the next try.
pub(crate) fn over(message: impl Into<String>) -> PortError {
    PortError::new(ErrorKind::Unavailable, DRIVER, "listen", message)
}

/// Whether the group is not there any more, or never was.
pub(crate) fn no_group(error: &RedisError) -> bool {
    // The second is said to whoever waits as the stream goes.
    matches!(error.code(), Some("NOGROUP" | "UNBLOCKED"))
}

/// The error of `command`, of the Redis at `address`.
pub(crate) fn said(address: &str, command: &str, error: RedisError) -> PortError {
    use redis::ErrorKind as Kind;
    let detail = error.detail().unwrap_or_default().to_owned();
    let (may_pass, what) = match (error.kind(), error.code()) {
        (_, Some("NOAUTH")) => (
            false,
            "asks for a password: name the secret that holds it (`secret`), and `user` if it has users".to_owned(),
        ),
        (_, Some("WRONGPASS")) | (Kind::AuthenticationFailed, _) => (
            false,
            "refuses the user or the password: check `user`, and the secret that `secret` names".to_owned(),
        ),
        (_, Some("NOPERM")) => (
            false,
            format!(
                "does not let this user run {command} there ({detail}): give it `+@stream +@connection +info` and `~` with the names of the streams"
            ),
        ),
        (_, Some("WRONGTYPE")) => (
            false,
            "has something else than a stream under one of these names: check `streams`".to_owned(),
        ),
        (_, Some("NOGROUP")) => (
            true,
            "has lost the group of this consumer: it is made again at the next try".to_owned(),
        ),
        (_, Some("OOM")) => (
            true,
            "has no memory left for a group: raise its `maxmemory`".to_owned(),
        ),
        (_, Some("CROSSSLOT" | "MOVED" | "CLUSTERDOWN")) => (
            false,
            "is part of a cluster, of which is not asked where a stream lies: use one server or a pair with failover".to_owned(),
        ),
        (Kind::Server(ServerErrorKind::ReadOnly), _) => (
            true,
            "is a replica and keeps no group: name the one that takes writes".to_owned(),
        ),
        (Kind::Server(ServerErrorKind::BusyLoading), _) => {
            (true, "is still reading its data: it answers when it is done".to_owned())
        }
        (Kind::RESP3NotSupported, _) => (false, too_old("older than 6")),
        (Kind::Io, _) => (true, format!("cannot be reached any more ({error})")),
        (Kind::UnexpectedReturnType | Kind::Parse, _) => {
            (false, format!("answers what no Redis answers ({error})"))
        }
        _ => (true, format!("refuses {command}: {error}")),
    };
    let message = format!("the Redis at {address} {what}");
    match may_pass {
        true => over(message),
        false => refused(message),
    }
    .with_source(error)
}

pub(crate) fn too_old(version: &str) -> String {
    format!("has version {version}, and 7.0 is the oldest whose streams are listened to: update it")
}
