//! Why a credential is not ready for use.

use std::{sync::Arc, time::Duration};

use nebula_action::{ActionError, ErrorClass};
use nebula_core::CredentialId;
use nebula_ports::ErrorKind;
use nebula_vault::VaultError;

/// Why a credential is not ready for use. No value shows in it.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum AccessError {
    /// It cannot be opened.
    #[error(transparent)]
    Vault(#[from] Arc<VaultError>),
    /// Its server does not give tokens for it any more; trying again does not help.
    #[error("the credential `{id}` cannot be refreshed: {origin} answers `{code}`")]
    Refused {
        /// The credential.
        id: CredentialId,
        /// Of the server.
        origin: String,
        /// The error code of the answer (RFC 6749, section 5.2), or its status.
        code: String,
    },
    /// What its server gave is no token.
    #[error("the credential `{id}` cannot be refreshed: the answer of {origin} {why}")]
    NoToken {
        /// The credential.
        id: CredentialId,
        /// Of the server.
        origin: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The request may not or cannot be sent.
    #[error("the credential `{id}` cannot be refreshed: {why}")]
    NoWay {
        /// The credential.
        id: CredentialId,
        /// Why not.
        why: String,
    },
    /// The gates before the way out let nothing to its server now: nothing was sent.
    #[error("the credential `{id}` is not refreshed now: {why}")]
    Held {
        /// The credential.
        id: CredentialId,
        /// Which gate, and why.
        why: String,
        /// When it may come again, from now.
        after: Duration,
        /// Whether its server fails; else it is a limit of this engine, or a pause that was asked for.
        fault: bool,
    },
    /// Its server could not be asked, or was busy; later it may work.
    #[error("the credential `{id}` could not be refreshed now: {why}")]
    Later {
        /// The credential.
        id: CredentialId,
        /// What happened.
        why: String,
        /// How long the server asked to wait.
        after: Option<Duration>,
    },
}

impl From<VaultError> for AccessError {
    fn from(error: VaultError) -> Self {
        Self::Vault(Arc::new(error))
    }
}

impl AccessError {
    /// What it means for the attempt that asked, which has done nothing outside.
    #[must_use]
    pub fn of_attempt(&self) -> ActionError {
        let later = ErrorClass::Retryable { after: None };
        let (code, class, advice) = match self {
            Self::Vault(error) => {
                let (code, class) = match &**error {
                    VaultError::Unknown(_) => ("CREDENTIAL_UNKNOWN", ErrorClass::Fatal),
                    VaultError::Contended(_) => ("CREDENTIAL_UNAVAILABLE", later),
                    VaultError::Port(error) if is_passing(error.kind) => {
                        ("CREDENTIAL_UNAVAILABLE", later)
                    }
                    _ => ("CREDENTIAL_UNREADABLE", ErrorClass::Fatal),
                };
                (code, class, error.advice())
            }
            Self::Refused { .. } => (
                "CREDENTIAL_REFUSED",
                ErrorClass::Fatal,
                "connect it again: give it new values with `nebula credentials rotate`",
            ),
            Self::NoToken { .. } => (
                "CREDENTIAL_REFUSED",
                ErrorClass::Fatal,
                "check the field `token_url`",
            ),
            Self::NoWay { .. } => (
                "CREDENTIAL_REFUSED",
                ErrorClass::Fatal,
                "check the field `token_url`",
            ),
            Self::Held { after, fault, .. } => (
                "CREDENTIAL_REFRESH",
                match fault {
                    true => ErrorClass::Retryable {
                        after: Some(*after),
                    },
                    false => ErrorClass::Deferred { after: *after },
                },
                "the attempt is made again when that may be sent",
            ),
            Self::Later { after, .. } => (
                "CREDENTIAL_REFRESH",
                ErrorClass::Retryable { after: *after },
                "a `retry` at the node tries again by itself",
            ),
        };
        ActionError::new(code, format!("{self}; {advice}"), class)
    }
}

/// Whether a failure of a store may have passed by the next attempt.
fn is_passing(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Unavailable | ErrorKind::Full | ErrorKind::ReadOnly
    )
}

#[cfg(test)]
mod tests {
    use nebula_ports::PortError;

    use super::*;

    #[test]
    fn a_store_that_is_away_is_asked_again_and_a_damaged_one_is_not() {
        for (kind, passes) in [
            (ErrorKind::Unavailable, true),
            (ErrorKind::Full, true),
            (ErrorKind::ReadOnly, true),
            (ErrorKind::Corrupt, false),
            (ErrorKind::Format, false),
            (ErrorKind::Key, false),
            (ErrorKind::Invalid, false),
            (ErrorKind::Unsupported, false),
        ] {
            let error = PortError::new(kind, "test", "get a credential", "no");
            let error = AccessError::from(VaultError::from(error)).of_attempt();
            let (code, class) = match passes {
                true => (
                    "CREDENTIAL_UNAVAILABLE",
                    ErrorClass::Retryable { after: None },
                ),
                false => ("CREDENTIAL_UNREADABLE", ErrorClass::Fatal),
            };
            assert_eq!((&*error.code, error.class), (code, class), "{kind:?}");
        }
    }
}
