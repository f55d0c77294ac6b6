//! What Redis says, as what a caller can do.

use nebula_ports::{ErrorKind, PortError};
use redis::{RedisError, ServerErrorKind};

pub(crate) const DRIVER: &str = "queue-redis";

/// Whether the connection on which this happened is to be replaced: it is gone, nobody answers on it, or
/// the server behind it is no longer the one that takes writes.
pub(crate) fn ends_the_connection(error: &RedisError) -> bool {
    let moved = [
        ServerErrorKind::ReadOnly,
        ServerErrorKind::MasterDown,
        ServerErrorKind::Moved,
    ];
    error.is_io_error()
        || error.is_unrecoverable_error()
        || matches!(error.kind(), redis::ErrorKind::Server(kind) if moved.contains(&kind))
}

/// The error of a call to the server at `address`.
pub(crate) fn port_error(operation: &'static str, address: &str, error: RedisError) -> PortError {
    use redis::ErrorKind as Kind;
    let (kind, what) = match (error.kind(), error.code()) {
        (_, Some("OOM")) => (
            ErrorKind::Full,
            "has no memory left: raise its `maxmemory`, or make the queue smaller".to_owned(),
        ),
        (_, Some("WRONGTYPE")) => (
            ErrorKind::Corrupt,
            "has something else under the keys of this queue: choose another name for the queue, or remove them"
                .to_owned(),
        ),
        (_, Some("NOAUTH" | "WRONGPASS" | "NOPERM")) | (Kind::AuthenticationFailed, _) => (
            ErrorKind::Unavailable,
            format!("does not let us in: check user, password and rights ({error})"),
        ),
        (Kind::Server(ServerErrorKind::ReadOnly), _) => (
            ErrorKind::Unavailable,
            "is a replica and takes no writes: connect to the one that does".to_owned(),
        ),
        (Kind::Server(ServerErrorKind::BusyLoading), _) => (
            ErrorKind::Unavailable,
            "is still reading its data: it answers when it is done".to_owned(),
        ),
        (Kind::RESP3NotSupported, _) => (
            ErrorKind::Unsupported,
            crate::server::too_old("older than 6"),
        ),
        (Kind::Io, _) if error.is_timeout() => (
            ErrorKind::Unavailable,
            "does not answer in time: check that it is reachable and not overloaded".to_owned(),
        ),
        (Kind::Io, _) => (
            ErrorKind::Unavailable,
            format!("cannot be reached: check its address and that it runs ({error})"),
        ),
        (Kind::UnexpectedReturnType | Kind::Parse, _) => (
            ErrorKind::Corrupt,
            format!("answers what no queue answers: {error}"),
        ),
        (Kind::Server(ServerErrorKind::ResponseError), _) => (
            ErrorKind::Corrupt,
            format!("cannot run what the queue asks: {error}"),
        ),
        _ => (ErrorKind::Unavailable, format!("refused: {error}")),
    };
    PortError::new(
        kind,
        DRIVER,
        operation,
        format!("the Redis at {address} {what}"),
    )
    .with_source(error)
}
