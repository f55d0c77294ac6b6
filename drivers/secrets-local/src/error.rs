//! What goes wrong, in the words of the ports.

use std::{io, path::Path};

use nebula_ports::{ErrorKind, PortError};

/// The name under which this driver reports.
const DRIVER: &str = "secrets-local";

/// Why something failed, before the name of the operation is known.
#[derive(Debug)]
pub(crate) struct Fault {
    kind: ErrorKind,
    message: String,
    source: Option<io::Error>,
}

impl Fault {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    pub(crate) fn key(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Key, message)
    }

    pub(crate) fn corrupt(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Corrupt, message)
    }

    /// `path` could not be read, which changes nothing.
    pub(crate) fn read(path: &Path, error: io::Error) -> Self {
        let message = format!("{} cannot be read: {error}", path.display());
        Self {
            source: Some(error),
            ..Self::new(ErrorKind::Unavailable, message)
        }
    }

    /// `path` could not be replaced.
    pub(crate) fn write(path: &Path, error: io::Error) -> Self {
        use io::ErrorKind as Io;
        let kind = match error.kind() {
            Io::StorageFull | Io::QuotaExceeded | Io::FileTooLarge => ErrorKind::Full,
            Io::PermissionDenied | Io::ReadOnlyFilesystem => ErrorKind::ReadOnly,
            _ => ErrorKind::Unavailable,
        };
        let message = format!("{} cannot be written: {error}", path.display());
        Self {
            source: Some(error),
            ..Self::new(kind, message)
        }
    }

    /// The same, with the file that it is about before it.
    pub(crate) fn about(mut self, path: &Path) -> Self {
        self.message = format!("{}: {}", path.display(), self.message);
        self
    }

    pub(crate) fn during(self, operation: &'static str) -> PortError {
        let error = PortError::new(self.kind, DRIVER, operation, self.message);
        match self.source {
            Some(source) => error.with_source(source),
            None => error,
        }
    }
}
