//! What PostgreSQL says, as what a caller can do.

use nebula_ports::{ErrorKind, PortError};
use nebula_postgres::{ConnectError, Error, Meaning, meaning, message};

pub(crate) const DRIVER: &str = "queue-postgres";

/// Whether the connection on which this happened is to be replaced: it is gone, or what the queue asks is not
/// there any more, and is made again with the next one.
pub(crate) fn ends_the_connection(error: &Error) -> bool {
    let missing = |code: &str| matches!(code, "42883" | "42P01" | "3F000" | "42704");
    meaning(error) == Meaning::Unknown || error.code().is_some_and(|state| missing(state.code()))
}

/// The error of a call to the server at `address`.
pub(crate) fn port_error(operation: &'static str, address: &str, error: Error) -> PortError {
    let said = format!("{address}: {}", message(&error));
    PortError::new(kind(meaning(&error)), DRIVER, operation, said).with_source(error)
}

/// The same, where there is no connection.
pub(crate) fn no_connection(error: ConnectError) -> PortError {
    let (kind, message) = (kind(error.meaning), error.message.clone());
    PortError::new(kind, DRIVER, "connect", message).with_source(error)
}

fn kind(meaning: Meaning) -> ErrorKind {
    match meaning {
        Meaning::Again | Meaning::Unknown | Meaning::Refused | Meaning::Busy => {
            ErrorKind::Unavailable
        }
        Meaning::Full => ErrorKind::Full,
        Meaning::ReadOnly => ErrorKind::ReadOnly,
        Meaning::Corrupt => ErrorKind::Corrupt,
        Meaning::Unsupported => ErrorKind::Unsupported,
    }
}
