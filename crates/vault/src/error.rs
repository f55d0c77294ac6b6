//! Why a credential could not be kept or opened.

use nebula_core::{CredentialId, KeyId, SecretId};
use nebula_credential::SealError;
use nebula_ports::PortError;

/// Why the vault could not answer. No value shows in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// There is no such credential.
    #[error("there is no credential `{0}`")]
    Unknown(CredentialId),
    /// The secrets do not have a master key that credentials are encrypted with. Nothing was written.
    #[error(
        "the credentials are encrypted with the master key {key}, and the secrets have no `{secret}`: they are not those that belong to this database"
    )]
    MissingKey {
        /// The key.
        key: KeyId,
        /// Where it was looked for.
        secret: SecretId,
    },
    /// What the secrets have in the place of a master key is another one, or none at all. Nothing was
    /// written.
    #[error("the secret `{secret}` does not hold the master key {key}: it was changed")]
    WrongKey {
        /// The key that should be there.
        key: KeyId,
        /// Where it should be.
        secret: SecretId,
    },
    /// The envelope of a credential cannot be made or opened.
    #[error("credential `{id}`: {source}")]
    Seal {
        /// The credential.
        id: CredentialId,
        /// What is wrong with its envelope.
        #[source]
        source: SealError,
    },
    /// A rotation has encrypted all but some credentials with the new key; the keys of those stay.
    #[error(
        "{count} of the credentials could not be encrypted with the new master key {to}, first `{first}`: {reason}; everything else is, and no key was deleted"
    )]
    Left {
        /// The primary key now.
        to: KeyId,
        /// The first of them by id.
        first: CredentialId,
        /// What is wrong with it.
        reason: Box<VaultError>,
        /// How many there are.
        count: usize,
    },
    /// Others changed the same, again and again.
    #[error("{0} was changed by others again and again")]
    Contended(String),
    /// The store of the credentials, or that of the secrets.
    #[error(transparent)]
    Port(#[from] PortError),
}

impl VaultError {
    /// What to do, as the end of a sentence.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Unknown(_) => {
                "`nebula credentials list` shows what is there; `nebula credentials add` adds one"
            }
            Self::MissingKey { .. } | Self::WrongKey { .. } => {
                "restore the copy of the secrets that belongs to this database; without it, remove the credentials, which nothing opens any more, and add them again"
            }
            Self::Seal { source, .. } => match source {
                SealError::TooLarge(_) => "give it fewer or shorter fields",
                SealError::Format(_) => "use the build that wrote it, or a newer one",
                _ => "restore a backup of the database, or remove the credential and add it again",
            },
            Self::Left { reason, .. } => match **reason {
                Self::Port(_) => "rotate again: the rotation goes on where it stopped",
                _ => {
                    "restore what is missing or damaged, or remove that credential; then rotate again"
                }
            },
            Self::Contended(_) => "try again",
            Self::Port(error) => error.kind.advice(),
        }
    }
}
