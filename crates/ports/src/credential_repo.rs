//! Where credentials are kept: envelopes, never what is in them.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use nebula_core::{CredentialId, KeyId, TenantId, Timestamp};
use uuid::Uuid;

use crate::Result;

/// The most bytes of one envelope.
pub const MAX_ENVELOPE_BYTES: usize = 1 << 20;

/// The most bytes of a type's name.
pub const MAX_CREDENTIAL_KIND: usize = 64;

/// One version of a credential, encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialVersion {
    /// Which credential.
    pub id: CredentialId,
    /// The name of its type, for listings; the envelope proves it.
    pub kind: String,
    /// Its version, from 1.
    pub version: u32,
    /// The master key under which it is encrypted.
    pub key: KeyId,
    /// The ciphertext: 1 to [`MAX_ENVELOPE_BYTES`] bytes.
    pub envelope: Vec<u8>,
}

/// What a listing says of a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialSummary {
    /// Which credential.
    pub id: CredentialId,
    /// The name of its type.
    pub kind: String,
    /// Its version.
    pub version: u32,
    /// The master key under which it is encrypted; a key that no listing names is not needed any more.
    pub key: KeyId,
    /// When this version was put, by the store's clock.
    pub put_at: Timestamp,
}

/// What became of a version that was put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum CredentialPut {
    /// It is the credential's version now.
    Stored,
    /// It was there already, with the same envelope: a retry after a lost reply.
    Same,
    /// It is not the next version; nothing was written.
    Conflict {
        /// The version that is there; 0 if there never was one.
        version: u32,
    },
}

/// What became of an envelope that was encrypted anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum CredentialRewrapped {
    /// It stands in the place of the one before.
    Rewrapped,
    /// The credential has another version, or another key than expected; nothing was written.
    Changed,
    /// There is no such credential.
    Unknown,
}

/// What became of a credential that was to be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum CredentialDeleted {
    /// Its envelope is gone for good.
    Deleted,
    /// There was none.
    Unknown,
}

/// Who may refresh a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum RefreshLease {
    /// The one who asked, and nobody else until then.
    Granted {
        /// When others may, by the store's clock.
        until: Timestamp,
    },
    /// Another one does it: wait until then, or for the next version.
    Held {
        /// When others may, by the store's clock.
        until: Timestamp,
    },
    /// It has another version than the one to refresh: read that one.
    Stale {
        /// The version that is there.
        version: u32,
    },
    /// There is no such credential.
    Unknown,
}

/// Keeps credentials as ciphertext.
///
/// Rules (each is a test of `nebula_testkit::credential_repo!`): versions are numbered 1, 2, 3… and go
/// on after a deletion, so that nobody who read an older one overwrites a newer one; of writers at
/// once one wins, and a repeated write changes nothing; a new envelope of the same version takes the
/// place of exactly the one that it was made from; one refresher at a time holds a lease, until it
/// puts a version, gives it back, or its time is over; another tenant sees and changes nothing.
#[async_trait]
pub trait CredentialRepo: fmt::Debug + Send + Sync + 'static {
    /// The credential's version, if there is one.
    ///
    /// # Errors
    /// `Corrupt`: what is stored is damaged. `Unavailable`.
    async fn get(&self, tenant: &TenantId, id: &CredentialId) -> Result<Option<CredentialVersion>>;

    /// Puts the next version: its number is one higher than that of the version that is there. Ends
    /// any lease for a refresh.
    ///
    /// # Errors
    /// `Invalid`: the envelope is empty or too large, or the type's name is. `Unavailable`: it may be
    /// stored; the same call again answers `Same` then.
    async fn put(&self, tenant: &TenantId, new: CredentialVersion) -> Result<CredentialPut>;

    /// Puts the same version, encrypted under another master key, in the place of the one under `from`.
    ///
    /// # Errors
    /// As [`CredentialRepo::put`]; the same call again answers `Changed` then.
    async fn rewrap(
        &self,
        tenant: &TenantId,
        from: &KeyId,
        new: CredentialVersion,
    ) -> Result<CredentialRewrapped>;

    /// Deletes a credential; its number of versions stays known.
    ///
    /// # Errors
    /// `Unavailable`: it may be deleted.
    async fn delete(&self, tenant: &TenantId, id: &CredentialId) -> Result<CredentialDeleted>;

    /// Credentials by id, at most `limit`, those after `after`.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn list(
        &self,
        tenant: &TenantId,
        after: Option<&CredentialId>,
        limit: usize,
    ) -> Result<Vec<CredentialSummary>>;

    /// Asks for the right to refresh this version, for `ttl`; again by the same holder: for longer.
    ///
    /// It keeps others from doing the same work; what is put is guarded by its version alone.
    ///
    /// # Errors
    /// `Unavailable`: the lease may be granted, and ends by its time.
    async fn lease_refresh(
        &self,
        tenant: &TenantId,
        id: &CredentialId,
        version: u32,
        holder: Uuid,
        ttl: Duration,
    ) -> Result<RefreshLease>;

    /// Gives the lease back after a refresh that failed; of another holder's nothing changes.
    ///
    /// # Errors
    /// `Unavailable`: it ends by its time.
    async fn release_refresh(
        &self,
        tenant: &TenantId,
        id: &CredentialId,
        holder: Uuid,
    ) -> Result<()>;
}
