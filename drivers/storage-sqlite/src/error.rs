//! What SQLite and the file system say, in the words of the ports.

use std::io;

use nebula_ports::{ErrorKind, PortError};
use rusqlite::ErrorCode;

/// The name under which this driver reports.
pub(crate) const DRIVER: &str = "storage-sqlite";

/// Why a piece of work failed, before the name of the operation is known.
#[derive(Debug)]
pub(crate) enum Fault {
    /// SQLite refused, or a stored value has an impossible type.
    Sql(rusqlite::Error),
    /// This driver refused.
    Own { kind: ErrorKind, message: String },
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
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

    /// A failure of the file system at `what`.
    pub(crate) fn io(error: &io::Error, what: impl Into<String>) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::Full,
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                ErrorKind::ReadOnly
            }
            _ => ErrorKind::Unavailable,
        };
        Self::new(kind, format!("{}: {error}", what.into()))
    }

    /// The port's error for `operation`.
    pub(crate) fn into_port(self, operation: &'static str) -> PortError {
        match self {
            Self::Sql(error) => {
                PortError::new(kind_of(&error), DRIVER, operation, message_of(&error))
                    .with_source(error)
            }
            Self::Own { kind, message } => PortError::new(kind, DRIVER, operation, message),
        }
    }
}

/// What the caller can do about an error of SQLite.
pub(crate) fn kind_of(error: &rusqlite::Error) -> ErrorKind {
    use rusqlite::Error as E;
    match error {
        E::SqliteFailure(failure, _) => match failure.code {
            ErrorCode::DiskFull => ErrorKind::Full,
            // The index of the write-ahead log is grown by writing it: this is how a full disk shows there.
            _ if failure.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE => ErrorKind::Full,
            ErrorCode::ReadOnly | ErrorCode::PermissionDenied => ErrorKind::ReadOnly,
            ErrorCode::DatabaseCorrupt
            | ErrorCode::NotADatabase
            | ErrorCode::ConstraintViolation
            | ErrorCode::TypeMismatch => ErrorKind::Corrupt,
            ErrorCode::TooBig => ErrorKind::Invalid,
            _ => ErrorKind::Unavailable,
        },
        E::FromSqlConversionFailure(..)
        | E::IntegralValueOutOfRange(..)
        | E::InvalidColumnType(..)
        | E::Utf8Error(..) => ErrorKind::Corrupt,
        _ => ErrorKind::Unavailable,
    }
}

/// What happened, without the SQL text and without any value.
fn message_of(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqliteFailure(failure, text) => match failure.code {
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
                "another process holds the database's write lock".to_owned()
            }
            _ => text.clone().unwrap_or_else(|| failure.to_string()),
        },
        rusqlite::Error::FromSqlConversionFailure(column, found, _) => {
            format!("column {column} of a row holds {found} that cannot be read")
        }
        rusqlite::Error::InvalidColumnType(_, name, found) => {
            format!("column `{name}` of a row holds {found}")
        }
        rusqlite::Error::IntegralValueOutOfRange(column, _) => {
            format!("column {column} of a row holds a number out of range")
        }
        // Its own text quotes the whole statement.
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(code: i32, expected: ErrorKind) {
        let error = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None);
        assert_eq!(kind_of(&error), expected, "{code}");
    }

    #[test]
    fn each_failure_has_the_kind_that_says_what_to_do() {
        use rusqlite::ffi;
        check(ffi::SQLITE_FULL, ErrorKind::Full);
        check(ffi::SQLITE_IOERR_SHMSIZE, ErrorKind::Full);
        check(ffi::SQLITE_READONLY_DIRECTORY, ErrorKind::ReadOnly);
        check(ffi::SQLITE_CORRUPT_INDEX, ErrorKind::Corrupt);
        check(ffi::SQLITE_NOTADB, ErrorKind::Corrupt);
        check(ffi::SQLITE_BUSY_SNAPSHOT, ErrorKind::Unavailable);
        check(ffi::SQLITE_IOERR_FSYNC, ErrorKind::Unavailable);
        check(ffi::SQLITE_CANTOPEN, ErrorKind::Unavailable);
        check(ffi::SQLITE_TOOBIG, ErrorKind::Invalid);
    }

    #[test]
    fn a_full_disk_outside_sqlite_is_full_too() {
        let full = io::Error::from(io::ErrorKind::StorageFull);
        assert_eq!(
            Fault::io(&full, "the folder").into_port("test").kind,
            ErrorKind::Full
        );
        let denied = io::Error::from(io::ErrorKind::PermissionDenied);
        assert_eq!(
            Fault::io(&denied, "the folder").into_port("test").kind,
            ErrorKind::ReadOnly
        );
    }
}
