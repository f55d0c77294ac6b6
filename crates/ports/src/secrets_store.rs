//! Where secrets are kept.

use std::fmt;

use async_trait::async_trait;
use nebula_core::{KeyId, SecretId, SecretString, TenantId};

use crate::Result;

/// The most bytes of one secret: enough for a key with its chain of certificates.
pub const MAX_SECRET_BYTES: usize = 64 << 10;

/// The most secrets that a tenant may have, the master keys of its credentials counted.
pub const MAX_TENANT_SECRETS: usize = 1_000;

/// What became of a secret that was set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum SecretSet {
    /// There was none with this id.
    New,
    /// There was one, and it is gone for good.
    Replaced,
}

/// What became of a secret that was to be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum SecretDeleted {
    /// It is gone for good.
    Deleted,
    /// There was none with this id.
    Unknown,
}

/// What became of the key of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum SecretsRotated {
    /// Everything is encrypted with another key now, and the key before opens nothing any more.
    Rotated {
        /// The key before.
        from: KeyId,
        /// The key now.
        to: KeyId,
        /// How many secrets there are, of all tenants.
        secrets: usize,
    },
    /// Whoever keeps the key has given no newer one; nothing was written.
    NoNewerKey {
        /// The key that everything is encrypted with.
        key: KeyId,
    },
}

/// Keeps secrets, encrypted, for those who may read them.
///
/// Rules (each is a test of `nebula_testkit::secrets_store!`): a secret is read as it was set, byte
/// for byte; an empty one and one above [`MAX_SECRET_BYTES`] are refused and change nothing, and so is
/// one more than [`MAX_TENANT_SECRETS`]; ids are
/// listed in order, in pages that join, and never with values; of writes at once none is lost;
/// another tenant reads, lists, replaces and deletes nothing; a rotation changes the key and no
/// value; no value shows in a debug text or in an error.
#[async_trait]
pub trait SecretsStore: fmt::Debug + Send + Sync + 'static {
    /// The secret, if there is one.
    ///
    /// # Errors
    /// `Key`: the key is missing or another one. `Corrupt`: what is stored is damaged. `Unavailable`.
    ///
    /// # Cancel safety
    /// Nothing happens but the read.
    async fn get(&self, tenant: &TenantId, id: &SecretId) -> Result<Option<SecretString>>;

    /// Sets a secret: 1 to [`MAX_SECRET_BYTES`] bytes of text. It is durable when this answers.
    ///
    /// # Errors
    /// `Invalid`: it is empty or too large. `Full`: there is no room for another one, or the tenant has
    /// [`MAX_TENANT_SECRETS`]; those that are there get new values. `Key`,
    /// `Corrupt`: as in [`SecretsStore::get`], and nothing was written. `Unavailable`: it may be set;
    /// the same call again is safe.
    ///
    /// # Cancel safety
    /// It is set or not, as a whole.
    async fn set(&self, tenant: &TenantId, id: &SecretId, value: SecretString)
    -> Result<SecretSet>;

    /// Deletes a secret.
    ///
    /// # Errors
    /// As [`SecretsStore::set`].
    ///
    /// # Cancel safety
    /// It is deleted or not, as a whole.
    async fn delete(&self, tenant: &TenantId, id: &SecretId) -> Result<SecretDeleted>;

    /// The ids of a tenant's secrets in ascending order, at most `limit`, those after `after`.
    ///
    /// # Errors
    /// As [`SecretsStore::get`].
    async fn list(
        &self,
        tenant: &TenantId,
        after: Option<&SecretId>,
        limit: usize,
    ) -> Result<Vec<SecretId>>;

    /// Encrypts everything with a newer key. It concerns all tenants and touches no value, so it
    /// names none. Readers and writers go on meanwhile, in other processes too.
    ///
    /// # Errors
    /// As [`SecretsStore::set`]. After any of them, and after a crash, one of the two keys opens what
    /// is stored, and both are still there.
    ///
    /// # Cancel safety
    /// It happens or not, as a whole.
    async fn rotate(&self) -> Result<SecretsRotated>;
}
