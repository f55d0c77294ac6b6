//! Why somebody is not let in, may not, or cannot be served.

use nebula_core::Timestamp;
use nebula_ports::PortError;

use crate::{Permission, Why};

/// Why nobody is let in. It never says whether somebody exists.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotAuthenticated {
    /// What was shown opens nothing: unknown, wrong, over, revoked, or disabled.
    #[error("what was shown opens nothing")]
    Refused,
    /// Whoever a provider has named has no account here, and proved who they are: so they are told.
    #[error("nobody here has this identity")]
    NoAccount,
    /// The session is right, and its request brings no or another CSRF token.
    #[error("the request does not bring the CSRF token of its session")]
    Csrf,
    /// It was tried too often.
    #[error("it was tried too often; try again after {until}")]
    Wait {
        /// From when on.
        until: Timestamp,
    },
    /// Too many log in at the moment.
    #[error("too many log in at the moment; try again in a second")]
    Busy,
    /// It cannot be settled.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// Why something about identities was not done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// They may not.
    #[error("{permission} is not allowed: {why}")]
    Denied {
        /// What it needs.
        permission: Permission,
        /// What is missing.
        why: Why,
    },
    /// What it concerns is not there.
    #[error("there is no {0}")]
    Unknown(String),
    /// Somebody else has it.
    #[error("{0} is taken")]
    Taken(String),
    /// It was changed by somebody else.
    #[error("{0} was changed meanwhile; look at it again")]
    Changed(String),
    /// Nobody would own the tenant any more.
    #[error("nobody else owns this tenant: give somebody the role `owner` in all projects first")]
    LastOwner,
    /// A text or a number is not possible.
    #[error("{0}")]
    Invalid(String),
    /// The password is not the one that is there.
    #[error("the password is another one")]
    WrongPassword,
    /// It was tried too often.
    #[error("it was tried too often; try again after {until}")]
    Wait {
        /// From when on.
        until: Timestamp,
    },
    /// Too many passwords are hashed at the moment.
    #[error("too many passwords are hashed at the moment; try again in a second")]
    Busy,
    /// It cannot be settled.
    #[error(transparent)]
    Port(#[from] PortError),
}

impl IdentityError {
    /// What to do, as the end of a sentence.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Denied { .. } => "ask whoever manages this installation for a role that has it",
            Self::Unknown(_) => "list what there is",
            Self::Taken(_) => "choose another one",
            Self::Changed(_) => "read it and try again",
            Self::LastOwner => "make somebody else an owner first",
            Self::Invalid(_) => "correct it",
            Self::WrongPassword => "type it again",
            Self::Wait { .. } | Self::Busy => "wait and try again",
            Self::Port(error) => error.kind.advice(),
        }
    }
}
