//! What PostgreSQL says, in the words of the ports.

use nebula_ports::{ErrorKind, PortError};
use nebula_postgres::{ConnectError, Error, Meaning, meaning, message};

/// The name under which this driver reports.
pub(crate) const DRIVER: &str = "storage-postgres";

/// Why a piece of work failed, before the name of the operation is known.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The server refused or did not answer, or a stored value has an impossible type.
    Sql(Error),
    /// This driver refused.
    Own { kind: ErrorKind, message: String },
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Sql(error)
    }
}

impl From<ConnectError> for Fault {
    fn from(error: ConnectError) -> Self {
        Self::new(kind_of(error.meaning), error.message)
    }
}

impl Fault {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self::Own {
            kind,
            message: message.into(),
        }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    pub(crate) fn corrupt(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Corrupt, message)
    }

    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, message)
    }

    /// Whether the whole transaction can be tried again at once.
    pub(crate) fn is_again(&self) -> bool {
        match self {
            Self::Sql(error) => meaning(error) == Meaning::Again,
            Self::Own { .. } => false,
        }
    }

    /// Whether the connection is of no use any more.
    pub(crate) fn breaks(&self) -> bool {
        match self {
            Self::Sql(error) => error.code().is_none() || meaning(error) == Meaning::Unknown,
            Self::Own { kind, .. } => *kind == ErrorKind::Unavailable,
        }
    }

    /// The port's error for `operation`.
    pub(crate) fn into_port(self, operation: &'static str) -> PortError {
        match self {
            Self::Sql(error) => {
                let (kind, text) = (kind_of(meaning(&error)), message(&error));
                let unreadable = error.code().is_none() && is_conversion(&error);
                let kind = if unreadable { ErrorKind::Corrupt } else { kind };
                PortError::new(kind, DRIVER, operation, text).with_source(error)
            }
            Self::Own { kind, message } => PortError::new(kind, DRIVER, operation, message),
        }
    }
}

/// Whether a value had another type than was read.
fn is_conversion(error: &Error) -> bool {
    let text = error.to_string();
    text.starts_with("error deserializing column") || text.starts_with("invalid column")
}

fn kind_of(meaning: Meaning) -> ErrorKind {
    match meaning {
        Meaning::Again | Meaning::Unknown | Meaning::Busy => ErrorKind::Unavailable,
        Meaning::Full => ErrorKind::Full,
        Meaning::ReadOnly | Meaning::Refused => ErrorKind::ReadOnly,
        Meaning::Corrupt => ErrorKind::Corrupt,
        Meaning::Unsupported => ErrorKind::Unsupported,
    }
}
