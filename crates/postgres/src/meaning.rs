//! What an error says about the transaction in which it came.

use std::error::Error as _;

use tokio_postgres::{Error, error::SqlState};

/// What a transaction that failed can be followed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// It was in the way of another one, or a row came between its look and its write: the whole transaction
    /// can be tried again at once.
    Again,
    /// The server did not answer, or ended the connection: a commit that was under way may have happened.
    Unknown,
    /// The server has no room left for what is written.
    Full,
    /// It takes no writes now: a standby, or one that was told so.
    ReadOnly,
    /// What is stored is damaged, or is not what it is taken for.
    Corrupt,
    /// It refuses who asks: password, role or right.
    Refused,
    /// It takes no more connections, or is starting or stopping.
    Busy,
    /// Something that it cannot do, or does not understand.
    Unsupported,
}

/// What this error means for its transaction.
#[must_use]
pub fn meaning(error: &Error) -> Meaning {
    let Some(state) = error.code() else {
        return Meaning::Unknown;
    };
    match *state {
        SqlState::T_R_SERIALIZATION_FAILURE
        | SqlState::T_R_DEADLOCK_DETECTED
        | SqlState::UNIQUE_VIOLATION
        | SqlState::LOCK_NOT_AVAILABLE => Meaning::Again,
        SqlState::ADMIN_SHUTDOWN
        | SqlState::CRASH_SHUTDOWN
        | SqlState::QUERY_CANCELED
        | SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT => Meaning::Unknown,
        SqlState::CANNOT_CONNECT_NOW | SqlState::TOO_MANY_CONNECTIONS => Meaning::Busy,
        SqlState::DISK_FULL => Meaning::Full,
        SqlState::READ_ONLY_SQL_TRANSACTION => Meaning::ReadOnly,
        SqlState::DATA_CORRUPTED | SqlState::INDEX_CORRUPTED => Meaning::Corrupt,
        _ => match state.code().get(..2) {
            Some("08") => Meaning::Unknown,
            Some("53") => Meaning::Busy,
            Some("28") => Meaning::Refused,
            Some("22" | "23") => Meaning::Corrupt,
            _ if *state == SqlState::INSUFFICIENT_PRIVILEGE => Meaning::Refused,
            _ => Meaning::Unsupported,
        },
    }
}

/// What happened, in the server's words: without the statement, and without its detail, which can have values.
#[must_use]
pub fn message(error: &Error) -> String {
    if let Some(said) = error.as_db_error() {
        return format!("{} (SQLSTATE {})", said.message(), said.code().code());
    }
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
