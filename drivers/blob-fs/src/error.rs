//! What the file system says, in the words of the ports.

use std::{fmt, io};

use nebula_ports::{ErrorKind, PortError};

/// The name under which this driver reports.
pub(crate) const DRIVER: &str = "blob-fs";

/// Why a piece of work failed, before the name of the operation is known.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) kind: ErrorKind,
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

    pub(crate) fn corrupt(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Corrupt, message)
    }

    /// A failure of the file system at `place`.
    pub(crate) fn io(error: io::Error, place: impl fmt::Display) -> Self {
        use io::ErrorKind as Kind;

        let kind = match error.kind() {
            Kind::StorageFull | Kind::QuotaExceeded | Kind::FileTooLarge => ErrorKind::Full,
            Kind::ReadOnlyFilesystem | Kind::PermissionDenied => ErrorKind::ReadOnly,
            Kind::Unsupported => ErrorKind::Unsupported,
            _ => ErrorKind::Unavailable,
        };
        Self {
            kind,
            message: format!("{place}: {}", error.kind()),
            source: Some(error),
        }
    }

    /// The port's error for `operation`.
    pub(crate) fn into_port(self, operation: &'static str) -> PortError {
        let error = PortError::new(self.kind, DRIVER, operation, self.message);
        match self.source {
            Some(source) => error.with_source(source),
            None => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(number: i32, expected: ErrorKind) {
        let error = Fault::io(io::Error::from_raw_os_error(number), "a/b").into_port("put");
        assert_eq!(error.kind, expected, "{number}");
        assert!(error.message.contains("a/b"), "{error}");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn errors_of_the_system_say_what_to_do() {
        check(28, ErrorKind::Full);
        check(122, ErrorKind::Full);
        check(27, ErrorKind::Full);
        check(30, ErrorKind::ReadOnly);
        check(13, ErrorKind::ReadOnly);
        check(1, ErrorKind::ReadOnly);
        check(95, ErrorKind::Unsupported);
        check(5, ErrorKind::Unavailable);
        check(24, ErrorKind::Unavailable);
    }
}
