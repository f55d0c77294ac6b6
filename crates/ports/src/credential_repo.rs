//! Where credentials are kept: envelopes, never what is in them.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use nebula_core::{CredentialId, ExecutionId, KeyId, TenantId, Timestamp};
use uuid::Uuid;

use crate::Result;

/// The most bytes of one envelope.
pub const MAX_ENVELOPE_BYTES: usize = 1 << 20;

/// The most bytes of a type's name.
pub const MAX_CREDENTIAL_KIND: usize = 64;

/// The most credentials that a tenant may have; those that were deleted do not count.
pub const MAX_TENANT_CREDENTIALS: usize = 1_000;

/// The most master keys that a tenant's credentials may be encrypted with at a time: the primary one
/// and those of rotations that did not come to their end.
pub const MAX_CREDENTIAL_KEYS: usize = 16;

/// How many uses of a credential are kept: the newest.
pub const MAX_CREDENTIAL_USES: usize = 1_000;

/// Of how many deleted credentials of a tenant the uses are kept: those that were deleted last.
pub const MAX_DELETED_WITH_USES: usize = 100;

/// The most bytes of the node in a use: its path of ids.
pub const MAX_USE_NODE: usize = 4_096;

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
    /// When any version was used last, by the store's clock.
    pub used_at: Option<Timestamp>,
}

/// Who uses a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialUser {
    /// An attempt of a node.
    Attempt {
        /// The execution.
        execution: ExecutionId,
        /// The node's path of ids, as in reports: 1 to [`MAX_USE_NODE`] bytes.
        node: String,
        /// The number of the attempt, from 1.
        attempt: u32,
    },
    /// A refresh of the credential itself.
    Refresh,
    /// A person who tests it.
    Test,
    /// A person who changes some of its fields and keeps the others.
    Change,
}

/// One use of a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialUse {
    /// Its place in the order of all uses of this credential; later ones are higher.
    pub number: u64,
    /// The version that was used.
    pub version: u32,
    /// When, by the store's clock.
    pub at: Timestamp,
    /// By whom.
    pub user: CredentialUser,
}

/// What became of a version that was put.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum CredentialPut {
    /// It is the credential's version now.
    Stored,
    /// It was there already, with the same envelope: a retry after a lost reply.
    Same,
    /// It is not the next version; nothing was written.
    Conflict {
        /// The version that is there, or the number of its deletion; 0 if there never was one.
        version: u32,
    },
    /// It is not encrypted with the primary key; nothing was written.
    OtherKey {
        /// The primary key, if there is one.
        primary: Option<KeyId>,
    },
}

/// What became of an envelope that was encrypted anew.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum CredentialRewrapped {
    /// It stands in the place of the one before.
    Rewrapped,
    /// The credential has another version, or another key than expected; nothing was written.
    Changed,
    /// The new envelope is not encrypted with the primary key; nothing was written.
    OtherKey {
        /// The primary key, if there is one.
        primary: Option<KeyId>,
    },
    /// There is no such credential.
    Unknown,
}

/// What became of a key that was to be the primary one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum KeyPromoted {
    /// Only what is encrypted with it is put from now on.
    Promoted,
    /// It was the primary key already: a retry after a lost reply.
    Same,
    /// Another key than the expected one is primary; nothing was written.
    Changed {
        /// The primary key, if there is one.
        primary: Option<KeyId>,
    },
}

/// What became of a key that was to be forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum KeyDropped {
    /// It is not among the keys any more.
    Dropped,
    /// It is the primary key, or a credential is encrypted with it; nothing was written.
    InUse,
    /// It is not among the keys.
    Unknown,
}

/// What became of a use that was to be recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum UseRecorded {
    /// It is durable.
    Recorded,
    /// There is no such credential, or not any more; nothing was written.
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
/// on after a deletion, which takes a number of its own, so that nobody who read an older one
/// overwrites a newer one or brings it back; of writers at
/// once one wins, and a repeated write changes nothing; a new envelope of the same version takes the
/// place of exactly the one that it was made from; one refresher at a time holds a lease, until it
/// puts a version, gives it back, or its time is over; only what is encrypted with the primary key is
/// put, and no older key becomes primary again, so that what is encrypted with an older key gets less
/// and never more; a key that something is encrypted with is not forgotten; the newest uses are kept,
/// also of what was deleted, but not of all that ever was; a tenant has so many credentials and no more; another tenant sees and
/// changes nothing.
#[async_trait]
pub trait CredentialRepo: fmt::Debug + Send + Sync + 'static {
    /// The credential's version, if there is one.
    ///
    /// # Errors
    /// `Corrupt`: what is stored is damaged. `Unavailable`.
    async fn get(&self, tenant: &TenantId, id: &CredentialId) -> Result<Option<CredentialVersion>>;

    /// Puts the next version: its number is one higher than that of the version that is there, and its
    /// key is the primary one. Ends any lease for a refresh.
    ///
    /// # Errors
    /// `Invalid`: the envelope is empty or too large, or the type's name is. `Full`: it is another
    /// credential, and the tenant has [`MAX_TENANT_CREDENTIALS`]; those that are there get new versions.
    /// `Unavailable`: it may be stored; the same call again answers `Same` then.
    async fn put(&self, tenant: &TenantId, new: CredentialVersion) -> Result<CredentialPut>;

    /// Puts the same version, encrypted under the primary key, in the place of the one under `from`.
    ///
    /// # Errors
    /// As [`CredentialRepo::put`]; the same call again answers `Changed` then.
    async fn rewrap(
        &self,
        tenant: &TenantId,
        from: &KeyId,
        new: CredentialVersion,
    ) -> Result<CredentialRewrapped>;

    /// Deletes a credential; its number of versions stays known, and one higher. Above
    /// [`MAX_DELETED_WITH_USES`] the uses of the one that was deleted longest ago go.
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

    /// The keys that credentials may be encrypted with, newest first: the first is the primary one.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn keys(&self, tenant: &TenantId) -> Result<Vec<KeyId>>;

    /// Makes `to`, which was never among the keys, the primary one in the place of `from`, which stays
    /// among them; `from` is `None` where there is no key yet.
    ///
    /// # Errors
    /// `Invalid`: `to` is one of the older keys. `Full`: there are [`MAX_CREDENTIAL_KEYS`].
    /// `Unavailable`: it may be primary; the same call again answers `Same` then.
    async fn promote_key(
        &self,
        tenant: &TenantId,
        from: Option<&KeyId>,
        to: &KeyId,
    ) -> Result<KeyPromoted>;

    /// Forgets a key that nothing is encrypted with any more.
    ///
    /// # Errors
    /// `Unavailable`: it may be forgotten.
    async fn drop_key(&self, tenant: &TenantId, key: &KeyId) -> Result<KeyDropped>;

    /// Records a use, before the value is given to whoever uses it. Above [`MAX_CREDENTIAL_USES`] the
    /// oldest one of this credential goes.
    ///
    /// # Errors
    /// `Invalid`: the node's path is empty or too long. `Unavailable`: it may be recorded.
    async fn record_use(
        &self,
        tenant: &TenantId,
        id: &CredentialId,
        version: u32,
        user: &CredentialUser,
    ) -> Result<UseRecorded>;

    /// Uses of a credential, newest first, at most `limit`, those before the use with the number
    /// `before`. They stay when the credential is deleted, as long as it is among the last
    /// [`MAX_DELETED_WITH_USES`] that were.
    ///
    /// # Errors
    /// `Corrupt`: what is stored is damaged. `Unavailable`.
    async fn uses(
        &self,
        tenant: &TenantId,
        id: &CredentialId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<CredentialUse>>;
}
