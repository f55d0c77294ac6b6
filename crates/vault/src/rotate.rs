//! A new master key for everything, while others read and write.
//!
//! 1. The new key is set as a secret.
//! 2. It becomes primary: from here the store takes nothing under another one.
//! 3. Each credential is encrypted with it anew; what is under an older key gets less and never more.
//! 4. When nothing is left, the older keys are deleted, and then forgotten.
//!
//! At every moment each credential is under a key that is there. Who finds older keys goes on with
//! step 3, whoever left them.

use nebula_core::{CredentialId, KeyId, TenantId};
use nebula_credential::{MasterKeys, Place};
use nebula_ports::CredentialRewrapped;

use crate::{
    Vault, VaultError,
    keys::{KeyMade, key_secret},
    vault::{PAGE, ROUNDS, stored, wrong},
};

/// What became of a rotation of the master keys.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum KeysRotated {
    /// Everything is encrypted with one key now, and the keys before are deleted.
    Rotated {
        /// The keys before, newest first.
        from: Vec<KeyId>,
        /// The key now.
        to: KeyId,
        /// How many credentials this call encrypted anew.
        credentials: usize,
        /// Whether it went on with a rotation that had not come to its end, and made no key.
        resumed: bool,
    },
    /// There is no key yet: no credential was ever put.
    NoKeys,
}

impl Vault {
    /// Makes a new master key for a tenant, encrypts all of its credentials with it, and deletes the
    /// keys before. Others may read and write meanwhile, in other processes too, and rotate.
    ///
    /// After a crash, and after any error, every credential is readable as before; the next call goes
    /// on. A key may be left behind among the secrets that nothing is encrypted with.
    ///
    /// # Errors
    /// [`VaultError::MissingKey`], [`VaultError::WrongKey`]: nothing was written. [`VaultError::Left`]:
    /// some credentials could not be encrypted anew. [`VaultError::Port`].
    ///
    /// # Cancel safety
    /// As a crash.
    pub async fn rotate_keys(&self, tenant: &TenantId) -> Result<KeysRotated, VaultError> {
        let keys = self.repo.keys(tenant).await?;
        let resumed = match &keys[..] {
            [] => return Ok(KeysRotated::NoKeys),
            [only] => {
                match self.key(tenant, only).await {
                    Err(VaultError::MissingKey { .. }) if !self.encrypts(tenant, only).await? => {}
                    other => drop(other?),
                }
                // Another one's rotation is as good.
                self.make_key(tenant, Some(only)).await? == KeyMade::Others
            }
            _ => true,
        };
        for _ in 0..ROUNDS {
            let mut older = self.repo.keys(tenant).await?;
            if older.is_empty() {
                break;
            }
            let to = older.remove(0);
            let Some(credentials) = self.rewrap_all(tenant, &to).await? else {
                continue; // Another rotation has begun.
            };
            for key in &older {
                self.retire(tenant, key).await?;
            }
            // Those that another one has forgotten meanwhile were there before, too.
            let from = match older.is_empty() {
                true => keys.into_iter().filter(|key| *key != to).collect(),
                false => older,
            };
            return Ok(KeysRotated::Rotated {
                from,
                to,
                credentials,
                resumed,
            });
        }
        Err(VaultError::Contended("the primary master key".to_owned()))
    }

    /// Encrypts everything with the primary key; `None` if it is not primary any more.
    async fn rewrap_all(&self, tenant: &TenantId, to: &KeyId) -> Result<Option<usize>, VaultError> {
        let master = match self.key(tenant, to).await {
            Err(VaultError::MissingKey { .. })
                if self.repo.keys(tenant).await?.first() != Some(to) =>
            {
                return Ok(None);
            }
            other => other?,
        };
        let (mut after, mut done) = (None, 0);
        let mut left: Option<(CredentialId, Box<VaultError>, usize)> = None;
        loop {
            let page = self.repo.list(tenant, after.as_ref(), PAGE).await?;
            for summary in page.iter().filter(|it| it.key != *to) {
                #[cfg(sim_bug)]
                if done > 0 && nebula_core::sim_bug::is_awake("key-goes-before-what-it-encrypts") {
                    continue;
                }
                match self.rewrap(tenant, &summary.id, &master).await {
                    Ok(Rewrap::Done) => done += 1,
                    Ok(Rewrap::Needless) => {}
                    Ok(Rewrap::OtherKey) => return Ok(None),
                    Err(error @ VaultError::Port(_)) => return Err(error),
                    Err(error) => match &mut left {
                        Some((_, _, count)) => *count += 1,
                        None => left = Some((summary.id.clone(), Box::new(error), 1)),
                    },
                }
            }
            match page.last() {
                Some(last) if page.len() == PAGE => after = Some(last.id.clone()),
                _ => break,
            }
        }
        match left {
            None => Ok(Some(done)),
            Some((first, reason, count)) => {
                let to = to.clone();
                Err(VaultError::Left {
                    to,
                    first,
                    reason,
                    count,
                })
            }
        }
    }

    async fn rewrap(
        &self,
        tenant: &TenantId,
        id: &CredentialId,
        master: &MasterKeys,
    ) -> Result<Rewrap, VaultError> {
        let mut missing = None;
        for _ in 0..ROUNDS {
            let Some(there) = self.repo.get(tenant, id).await? else {
                return Ok(Rewrap::Needless);
            };
            if there.key == master.id() {
                return Ok(Rewrap::Needless);
            }
            let sealed = self.sealed(&there)?;
            let old = match self.key(tenant, sealed.key()).await {
                // Another one has encrypted it anew since, and deleted the key.
                Err(VaultError::MissingKey { key, .. }) if missing.as_ref() != Some(&key) => {
                    missing = Some(key);
                    continue;
                }
                other => other?,
            };
            let both = master.with(&old);
            let version = there.version;
            let place = Place {
                tenant,
                id,
                version,
            };
            let again = sealed.rewrap(place, &both, &*self.entropy);
            let again = again.map_err(|source| wrong(id, source))?;
            let new = stored(id, version, &again);
            match self.repo.rewrap(tenant, &there.key, new).await? {
                CredentialRewrapped::Rewrapped => return Ok(Rewrap::Done),
                CredentialRewrapped::OtherKey { .. } => return Ok(Rewrap::OtherKey),
                CredentialRewrapped::Unknown => return Ok(Rewrap::Needless),
                CredentialRewrapped::Changed => {}
            }
        }
        Err(VaultError::Contended(format!("credential `{id}`")))
    }

    /// Deletes a key that nothing is encrypted with any more, and then forgets it: a crash in between
    /// leaves a name without a key, which the next rotation forgets.
    async fn retire(&self, tenant: &TenantId, key: &KeyId) -> Result<(), VaultError> {
        let _ = self.secrets.delete(tenant, &key_secret(key)).await?;
        let _ = self.repo.drop_key(tenant, key).await?;
        self.cache.forget(tenant, key);
        Ok(())
    }
}

/// What became of one credential.
enum Rewrap {
    Done,
    /// It is under the key already, or gone.
    Needless,
    OtherKey,
}
