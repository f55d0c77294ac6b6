//! The one error of all ports: the failures of all backends are alike.

use std::error::Error;

/// What the caller can do about a port's failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The backend cannot be reached or did not answer. The outcome of a write is unknown: read before trying again.
    Unavailable,
    /// There is no room left: free some, then try again. Nothing was written.
    Full,
    /// The backend refuses every write, by permission or mount. Nothing was written.
    ReadOnly,
    /// What is stored is damaged; trying again does not help.
    Corrupt,
    /// What is stored was written in a format that this build does not know.
    Format,
    /// The key is missing, or is not the one with which what is stored was encrypted. Nothing was written.
    Key,
    /// The call itself is wrong: a limit exceeded, an impossible argument. Nothing was written.
    Invalid,
    /// The driver cannot do this; its `capability` says so beforehand.
    Unsupported,
}

impl ErrorKind {
    /// What to do, as the end of a sentence.
    #[must_use]
    pub fn advice(self) -> &'static str {
        match self {
            Self::Unavailable => {
                "check that it is reachable, then try again; what was acknowledged is kept"
            }
            Self::Full => {
                "free some disk space, or delete some of what the limit is of, then resume; what was acknowledged is kept"
            }
            Self::ReadOnly => "make the folder and its files writable, or choose another database",
            Self::Corrupt => "keep the file for analysis and restore a backup",
            Self::Format => "use the build that wrote it, or a newer one",
            Self::Key => "give the key that it was encrypted with, or restore a copy of that key",
            Self::Invalid => "this is a defect of the caller; please report it",
            Self::Unsupported => "choose another driver for this",
        }
    }
}

/// Why a port could not answer.
#[derive(Debug, thiserror::Error)]
#[error("{driver} could not {operation}: {message}")]
pub struct PortError {
    /// What the caller can do.
    pub kind: ErrorKind,
    /// Which driver.
    pub driver: &'static str,
    /// What it was doing, as a verb: `step`, `open the database`.
    pub operation: &'static str,
    /// What happened; never a payload, never a secret.
    pub message: String,
    /// The backend's own error.
    #[source]
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

/// What ports return.
pub type Result<T, E = PortError> = std::result::Result<T, E>;

impl PortError {
    /// An error without a backend's own error behind it.
    #[must_use]
    pub fn new(
        kind: ErrorKind,
        driver: &'static str,
        operation: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            driver,
            operation,
            message: message.into(),
            source: None,
        }
    }

    /// The same with the backend's own error behind it.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}
