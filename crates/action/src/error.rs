//! What went wrong in an attempt, and what may be done about it.

use std::{fmt, time::Duration};

use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Capability, Refusal, RefusalReason};

/// Why an attempt gave no result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ActionError {
    /// Stable, upper case: `FILE_NOT_FOUND`.
    pub code: CompactString,
    /// What happened, to what, and what to do; never a secret or a whole payload.
    pub message: String,
    /// What may be done about it.
    pub class: ErrorClass,
}

/// What may be done about an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorClass {
    /// Trying again may help, not before `after` if the other side said so.
    Retryable {
        /// How long the other side asked to wait.
        #[serde(
            default,
            skip_serializing_if = "Option::is_none",
            with = "nebula_core::serde_duration::option"
        )]
        after: Option<Duration>,
    },
    /// Nothing was done yet: a limit of this engine, or a pause that the other side asked for, puts it off.
    /// Made again when it is due, without counting against the node's `retry`.
    Deferred {
        /// When it is due, from now.
        #[serde(with = "nebula_core::serde_duration")]
        after: Duration,
    },
    /// Trying again gives the same error.
    Fatal,
    /// The attempt was told to stop and did. Of one that nobody told, the engine makes
    /// [`Unknown`](Self::Unknown) of it.
    Cancelled,
    /// A capability is missing.
    Denied {
        /// Its text form, ready for `--grant`.
        capability: String,
    },
    /// A parameter has a wrong value.
    InvalidInput {
        /// JSON pointer within the parameters.
        pointer: String,
    },
    /// The deadline passed.
    Timeout,
    /// A named limit was reached.
    LimitExceeded,
    /// The outside may or may not have been changed.
    Unknown,
}

impl ErrorClass {
    /// The name in JSON and on screen.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Retryable { .. } => "retryable",
            Self::Deferred { .. } => "deferred",
            Self::Fatal => "fatal",
            Self::Cancelled => "cancelled",
            Self::Denied { .. } => "denied",
            Self::InvalidInput { .. } => "invalid_input",
            Self::Timeout => "timeout",
            Self::LimitExceeded => "limit_exceeded",
            Self::Unknown => "unknown",
        }
    }
}

impl ActionError {
    /// An error of any class.
    #[must_use]
    pub fn new(code: &str, message: impl Into<String>, class: ErrorClass) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
            class,
        }
    }

    /// An error that comes again at every try.
    #[must_use]
    pub fn fatal(code: &str, message: impl Into<String>) -> Self {
        Self::new(code, message, ErrorClass::Fatal)
    }

    /// An error that another try may get past.
    #[must_use]
    pub fn retryable(code: &str, message: impl Into<String>) -> Self {
        Self::new(code, message, ErrorClass::Retryable { after: None })
    }

    /// A parameter at `pointer` has a wrong value.
    #[must_use]
    pub fn invalid_input(
        code: &str,
        pointer: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self::new(
            code,
            message,
            ErrorClass::InvalidInput {
                pointer: pointer.into(),
            },
        )
    }

    /// `CAPABILITY_DENIED`: `what` may not be done without `capability`; the message says what to
    /// write into the definition to ask for it.
    #[must_use]
    pub fn denied(what: impl fmt::Display, capability: &Capability) -> Self {
        let capability = capability.to_string();
        let asked = Value::from(capability.as_str());
        let message = format!(
            "{what}: the capability `{capability}` is missing; \
             write `requires: [{asked}]` at the node, and grant that"
        );
        Self::new(
            "CAPABILITY_DENIED",
            message,
            ErrorClass::Denied { capability },
        )
    }

    /// `CAPABILITY_DENIED`: `what` may not be done because of where it leads.
    #[must_use]
    pub fn refused(what: impl fmt::Display, refusal: &Refusal) -> Self {
        match &refusal.capability {
            Some(capability) if refusal.reason == RefusalReason::NotGranted => {
                Self::denied(what, capability)
            }
            Some(capability) => Self::denied(format_args!("{what}: {refusal}"), capability),
            None => Self::new(
                "CAPABILITY_DENIED",
                format!("{what}: {refusal}; no grant opens it"),
                ErrorClass::Denied {
                    capability: String::new(),
                },
            ),
        }
    }

    /// A named limit was reached.
    #[must_use]
    pub fn limit(code: &str, message: impl Into<String>) -> Self {
        Self::new(code, message, ErrorClass::LimitExceeded)
    }
}
