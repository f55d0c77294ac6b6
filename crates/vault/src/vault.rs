//! The calls of users: open, put, list, remove, and the lease of a refresh.

use std::{sync::Arc, time::Duration};

use futures_util::future;
use nebula_core::{CredentialId, Entropy, KeyId, ProjectId, TenantId};
use nebula_credential::{AllowedHosts, Credential, CredentialType, Place, SealError, Sealed};
use nebula_ports::{
    AuditLog, CredentialDeleted, CredentialPut, CredentialRepo, CredentialSummary, CredentialUse,
    CredentialUser, CredentialVersion, RefreshLease, Result as PortResult, SecretsStore,
    UseRecorded,
};

use crate::{VaultError, keys::Cache};

/// How often a call begins anew because others changed what it read.
pub(crate) const ROUNDS: usize = 16;

/// How many credentials are listed at once.
pub(crate) const PAGE: usize = 100;

/// Credentials by id, encrypted in their store.
///
/// Any number of vaults, in any number of processes, may stand over one store and the secrets that
/// belong to it. Master keys that were used stay in this one's memory.
#[derive(Debug)]
pub struct Vault {
    pub(crate) repo: Arc<dyn CredentialRepo>,
    pub(crate) secrets: Arc<dyn SecretsStore>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) cache: Cache,
    pub(crate) audit: Option<Arc<dyn AuditLog>>,
    #[cfg(sim_bug)]
    seen: parking_lot::Mutex<std::collections::BTreeMap<(TenantId, CredentialId), Opened>>,
}

/// A credential in the clear, with its version.
#[derive(Debug, Clone)]
pub struct Opened {
    /// Its version, from 1.
    pub version: u32,
    /// What is in it.
    pub credential: Credential,
}

/// What there is to say of a credential beside its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// Its version, from 1.
    pub version: u32,
    /// Its type.
    pub kind: CredentialType,
    /// The hosts that it may be sent to.
    pub hosts: AllowedHosts,
    /// The project to which it belongs; `None` is none.
    pub project: Option<ProjectId>,
}

/// What became of a credential that was put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum VaultPut {
    /// It is the credential now, and durable.
    Stored {
        /// Its version.
        version: u32,
    },
    /// Another version is there than the expected one; nothing was written.
    Conflict {
        /// That version; `None` if there is no such credential.
        version: Option<u32>,
    },
}

impl Vault {
    /// A vault over a store and the secrets that belong to it; `entropy` must be fit for keys. Nothing
    /// is read or written yet.
    #[must_use]
    pub fn new(
        repo: Arc<dyn CredentialRepo>,
        secrets: Arc<dyn SecretsStore>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        let cache = Cache::default();
        Self {
            repo,
            secrets,
            entropy,
            cache,
            audit: None,
            #[cfg(sim_bug)]
            seen: parking_lot::Mutex::default(),
        }
    }

    /// The same, whose uses by attempts and refreshes stand in the audit log as well, and no value is given
    /// out where that cannot be written.
    #[must_use]
    pub fn audited(mut self, log: Arc<dyn AuditLog>) -> Self {
        self.audit = Some(log);
        self
    }

    /// Decrypts a credential for a user. Its use is durable when this answers.
    ///
    /// # Errors
    /// [`VaultError::Unknown`], [`VaultError::MissingKey`], [`VaultError::WrongKey`],
    /// [`VaultError::Seal`], [`VaultError::Port`].
    ///
    /// # Cancel safety
    /// The use may be recorded.
    pub async fn open(
        &self,
        tenant: &TenantId,
        id: &CredentialId,
        user: &CredentialUser,
    ) -> Result<Opened, VaultError> {
        let opened = self.read(tenant, id).await?;
        #[cfg(sim_bug)]
        let opened = match nebula_core::sim_bug::is_awake("credential-is-opened-once-for-all") {
            true => {
                let place = (tenant.clone(), id.clone());
                self.seen.lock().entry(place).or_insert(opened).clone()
            }
            false => opened,
        };
        #[cfg(sim_bug)]
        if nebula_core::sim_bug::is_awake("use-is-not-recorded") {
            return Ok(opened);
        }
        let recorded = self.repo.record_use(tenant, id, opened.version, user);
        let version = ("version", opened.version.into());
        let told = self.used(tenant, id, user, version);
        // At once, so that they share a commit where they share a store.
        let (recorded, told) = future::join(recorded, told).await;
        told?;
        match recorded? {
            UseRecorded::Recorded => Ok(opened),
            UseRecorded::Unknown => Err(VaultError::Unknown(id.clone())),
        }
    }

    /// The type of a credential and the hosts that it may be sent to. No value is given out, so no use is
    /// recorded.
    ///
    /// # Errors
    /// As [`Vault::open`].
    pub async fn hosts(
        &self,
        tenant: &TenantId,
        id: &CredentialId,
    ) -> Result<(CredentialType, AllowedHosts), VaultError> {
        let about = self.about(tenant, id).await?;
        Ok((about.kind, about.hosts))
    }

    /// What there is to say of a credential. No value is given out, so no use is recorded.
    ///
    /// # Errors
    /// As [`Vault::open`].
    pub async fn about(&self, tenant: &TenantId, id: &CredentialId) -> Result<About, VaultError> {
        let Opened {
            version,
            credential,
        } = self.read(tenant, id).await?;
        Ok(About {
            version,
            kind: credential.kind(),
            hosts: credential.hosts().clone(),
            project: credential.project().cloned(),
        })
    }

    async fn read(&self, tenant: &TenantId, id: &CredentialId) -> Result<Opened, VaultError> {
        let mut missing = None;
        loop {
            let stored = self.repo.get(tenant, id).await?;
            let stored = stored.ok_or_else(|| VaultError::Unknown(id.clone()))?;
            let sealed = self.sealed(&stored)?;
            let master = match self.key(tenant, sealed.key()).await {
                // A rotation may have come to its end since: then it has another key now.
                Err(VaultError::MissingKey { key, .. }) if missing.as_ref() != Some(&key) => {
                    missing = Some(key);
                    continue;
                }
                other => other?,
            };
            let version = stored.version;
            let place = Place {
                tenant,
                id,
                version,
            };
            let credential = sealed.open(place, &master);
            let credential = credential.map_err(|source| wrong(id, source))?;
            return Ok(Opened {
                version,
                credential,
            });
        }
    }

    /// Encrypts a credential and puts it in the place of the version `expected`, or as a new one.
    ///
    /// The first one of a tenant makes its master key.
    ///
    /// # Errors
    /// [`VaultError::MissingKey`], [`VaultError::WrongKey`]: nothing was written. [`VaultError::Seal`]:
    /// it is too large. [`VaultError::Port`]: it may be stored.
    ///
    /// # Cancel safety
    /// It is stored or not, as a whole; a key may be left behind that nothing is encrypted with.
    pub async fn put(
        &self,
        tenant: &TenantId,
        id: &CredentialId,
        expected: Option<u32>,
        credential: &Credential,
    ) -> Result<VaultPut, VaultError> {
        let mut version = expected.unwrap_or(0).saturating_add(1);
        for _ in 0..ROUNDS {
            let master = self.primary(tenant).await?;
            let place = Place {
                tenant,
                id,
                version,
            };
            let sealed = Sealed::seal(credential, place, &master, &*self.entropy);
            let sealed = sealed.map_err(|source| wrong(id, source))?;
            let new = stored(id, version, &sealed);
            match self.repo.put(tenant, new).await? {
                CredentialPut::Stored | CredentialPut::Same => {
                    return Ok(VaultPut::Stored { version });
                }
                // The keys were rotated since they were read.
                CredentialPut::OtherKey { .. } => {}
                CredentialPut::Conflict { version: last } => {
                    let there = self.repo.get(tenant, id).await?.map(|it| it.version);
                    if there.is_some() || expected.is_some() {
                        return Ok(VaultPut::Conflict { version: there });
                    }
                    // Versions go on after a deletion.
                    version = last.saturating_add(1);
                }
            }
        }
        Err(VaultError::Contended(format!("credential `{id}`")))
    }

    /// Credentials by id, at most `limit`, those after `after`. Nothing is decrypted.
    ///
    /// # Errors
    /// Those of the port.
    pub async fn list(
        &self,
        tenant: &TenantId,
        after: Option<&CredentialId>,
        limit: usize,
    ) -> PortResult<Vec<CredentialSummary>> {
        self.repo.list(tenant, after, limit).await
    }

    /// Whether there is such a credential; nothing is decrypted, and no use is recorded.
    ///
    /// # Errors
    /// Those of the port.
    pub async fn exists(&self, tenant: &TenantId, id: &CredentialId) -> PortResult<bool> {
        Ok(self.repo.get(tenant, id).await?.is_some())
    }

    /// Removes a credential; its uses stay known.
    ///
    /// # Errors
    /// Those of the port.
    pub async fn remove(
        &self,
        tenant: &TenantId,
        id: &CredentialId,
    ) -> PortResult<CredentialDeleted> {
        self.repo.delete(tenant, id).await
    }

    /// Uses of a credential, newest first, at most `limit`, those before the number `before`.
    ///
    /// # Errors
    /// Those of the port.
    pub async fn uses(
        &self,
        tenant: &TenantId,
        id: &CredentialId,
        before: Option<u64>,
        limit: usize,
    ) -> PortResult<Vec<CredentialUse>> {
        self.repo.uses(tenant, id, before, limit).await
    }

    /// Asks for the right to refresh a version, as [`CredentialRepo::lease_refresh`] does. What comes of
    /// the refresh is put with [`Vault::put`] in the place of that version, which ends the lease.
    ///
    /// # Errors
    /// Those of the port.
    pub async fn lease_refresh(
        &self,
        tenant: &TenantId,
        id: &CredentialId,
        version: u32,
        holder: uuid::Uuid,
        ttl: Duration,
    ) -> PortResult<RefreshLease> {
        let repo = &self.repo;
        repo.lease_refresh(tenant, id, version, holder, ttl).await
    }

    /// Gives the lease back after a refresh that failed.
    ///
    /// # Errors
    /// Those of the port.
    pub async fn release_refresh(
        &self,
        tenant: &TenantId,
        id: &CredentialId,
        holder: uuid::Uuid,
    ) -> PortResult<()> {
        self.repo.release_refresh(tenant, id, holder).await
    }

    /// Reads an envelope; the key that it names is the one that counts.
    pub(crate) fn sealed(&self, stored: &CredentialVersion) -> Result<Sealed, VaultError> {
        let sealed = Sealed::read(&stored.envelope);
        sealed.map_err(|source| wrong(&stored.id, source))
    }
}

pub(crate) fn wrong(id: &CredentialId, source: SealError) -> VaultError {
    let id = id.clone();
    VaultError::Seal { id, source }
}

/// An envelope with what the store says of it.
pub(crate) fn stored(id: &CredentialId, version: u32, sealed: &Sealed) -> CredentialVersion {
    let key: &KeyId = sealed.key();
    CredentialVersion {
        id: id.clone(),
        kind: sealed.kind().name().to_owned(),
        version,
        key: key.clone(),
        envelope: sealed.as_bytes().to_vec(),
    }
}
