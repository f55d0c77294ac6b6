//! Why a command ends without its result, and which exit code says so.

use std::{borrow::Cow, fmt, path::Path, time::Duration};

use nebula_core::duration_text;
use nebula_ports::{ErrorKind, PortError};
use nebula_system::ShutdownSignal;
use nebula_vault::VaultError;
use nebula_workflow::LocatedDiagnostic;
use serde::Serialize;

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// 0: done, completed.
    Completed,
    /// 1: failed, cancelled or timed out.
    Ended,
    /// 2: bad usage, an invalid definition, a grant that is missing.
    Invalid,
    /// 3: file, database, disk, or whatever else is around the program.
    Environment,
    /// 4: a person must decide.
    Waits,
    /// 130 or 143.
    Signal(u8),
}

impl Exit {
    /// As the operating system gets it.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Completed => 0,
            Self::Ended => 1,
            Self::Invalid => 2,
            Self::Environment => 3,
            Self::Waits => 4,
            Self::Signal(code) => code,
        }
    }
}

impl From<ShutdownSignal> for Exit {
    fn from(signal: ShutdownSignal) -> Self {
        Self::Signal(signal.exit_code())
    }
}

/// Why a command gave no result: what, where, why, and what to do.
#[derive(Debug)]
pub struct Failure {
    /// How the process ends.
    pub exit: Exit,
    /// Stable, upper case.
    pub code: Cow<'static, str>,
    /// What happened, to what, and why: lower case, no full stop.
    pub message: String,
    /// What to do now.
    pub advice: Option<Box<str>>,
    /// When the same may be tried again, from now.
    pub try_after: Option<Box<Duration>>,
    /// Problems with their places, for programs.
    pub diagnostics: Box<[LocatedDiagnostic]>,
    /// The same, drawn on the source for people; empty if there is nothing to draw.
    pub drawn: Box<str>,
    /// What a store said, where that is all.
    pub port: Option<Box<PortError>>,
}

/// What programs read of a failure.
#[derive(Debug, Serialize)]
struct Document<'a> {
    execution: Option<&'a str>,
    error: DocumentError<'a>,
    diagnostics: &'a [LocatedDiagnostic],
}

#[derive(Debug, Serialize)]
struct DocumentError<'a> {
    code: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
    /// A span of time, as text: `5s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    try_after: Option<String>,
}

impl Failure {
    /// With a code that stays, in upper case.
    pub fn new(exit: Exit, code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self {
            exit,
            code: code.into(),
            message: message.into(),
            advice: None,
            try_after: None,
            diagnostics: Box::default(),
            drawn: Box::default(),
            port: None,
        }
    }

    /// Exit code 2: what was asked for is wrong.
    pub fn invalid(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::new(Exit::Invalid, code, message)
    }

    /// Exit code 3: what is around the program is wrong.
    pub fn environment(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::new(Exit::Environment, code, message)
    }

    /// Exit code 3: `path` cannot be used for `what`.
    #[must_use]
    pub fn file(path: &Path, what: &str, error: &std::io::Error) -> Self {
        let message = format!("cannot {what} {}: {}", path.display(), reason(error));
        let failure = Self::environment("FILE_UNUSABLE", message);
        match error.kind() {
            std::io::ErrorKind::NotFound => failure.advice("check the path and the current folder"),
            std::io::ErrorKind::PermissionDenied => {
                failure.advice("check who may read and write it")
            }
            std::io::ErrorKind::StorageFull => failure.advice("free some disk space"),
            _ => failure,
        }
    }

    /// Says what to do.
    #[must_use]
    pub fn advice(mut self, advice: impl Into<String>) -> Self {
        let advice: String = advice.into();
        self.advice = Some(advice.into());
        self
    }

    /// Says when the same may be tried again.
    #[must_use]
    pub fn try_after(mut self, after: Duration) -> Self {
        self.try_after = Some(Box::new(after));
        self
    }

    /// Adds the problems, for programs and for people.
    #[must_use]
    pub fn diagnostics(mut self, list: Vec<LocatedDiagnostic>, drawn: String) -> Self {
        (self.diagnostics, self.drawn) = (list.into(), drawn.into());
        self
    }

    /// What programs read: `{ "execution": null, "error": { code, message }, "diagnostics": [] }`.
    pub fn document(&self) -> impl Serialize {
        Document {
            execution: None,
            error: DocumentError {
                code: &self.code,
                message: &self.message,
                hint: self.advice.as_deref(),
                try_after: self.try_after.as_deref().copied().map(duration_text),
            },
            diagnostics: &self.diagnostics,
        }
    }
}

/// The operating system's reason without its number.
#[must_use]
pub fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((reason, _)) => reason.to_lowercase(),
        None => text,
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl From<PortError> for Failure {
    fn from(error: PortError) -> Self {
        let code = match error.kind {
            ErrorKind::Unavailable => "STORE_UNAVAILABLE",
            ErrorKind::Full => "STORE_FULL",
            ErrorKind::ReadOnly => "STORE_READ_ONLY",
            ErrorKind::Corrupt => "STORE_CORRUPT",
            ErrorKind::Format => "STORE_FORMAT",
            ErrorKind::Key => "STORE_KEY",
            ErrorKind::Invalid => "STORE_INVALID",
            ErrorKind::Unsupported => "STORE_UNSUPPORTED",
        };
        let failure = Self::environment(code, error.to_string()).advice(error.kind.advice());
        Self {
            port: Some(Box::new(error)),
            ..failure
        }
    }
}

impl From<VaultError> for Failure {
    fn from(error: VaultError) -> Self {
        let advice = error.advice();
        let code = match error {
            VaultError::Unknown(_) => {
                return Self::invalid("UNKNOWN_CREDENTIAL", error.to_string()).advice(advice);
            }
            VaultError::MissingKey { .. } | VaultError::WrongKey { .. } => "STORE_KEY",
            VaultError::Port(error) => return error.into(),
            VaultError::Seal { .. } => "CREDENTIAL_DAMAGED",
            VaultError::Left { .. } => "KEYS_LEFT",
            _ => "CREDENTIAL_UNAVAILABLE",
        };
        Self::environment(code, error.to_string()).advice(advice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_exit_code_of_several_is_the_greatest_exit() {
        let all = [
            Exit::Completed,
            Exit::Ended,
            Exit::Invalid,
            Exit::Environment,
            Exit::Waits,
            Exit::Signal(130),
        ];
        assert!(all.is_sorted_by(|a, b| a < b && a.code() < b.code()));
    }
}
