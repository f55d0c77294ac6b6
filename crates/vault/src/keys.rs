//! Master keys as secrets: each under an id of its own, never overwritten.

use std::collections::BTreeMap;

use nebula_core::{KeyId, SecretId, TenantId};
use nebula_credential::MasterKeys;
use nebula_ports::KeyPromoted;
use parking_lot::Mutex;

use crate::{Vault, VaultError};

/// What the ids of secrets begin with that belong to the engine. Whoever sets, reads or deletes
/// secrets by name refuses these ([`is_reserved`]).
pub const RESERVED: &str = "nebula.";

const PREFIX: &str = "nebula.credential-key.";

/// How many keys are kept in memory at most; above that they are read again.
const MAX_CACHED: usize = 1_024;

/// Whether a secret is the engine's own.
#[must_use]
pub fn is_reserved(id: &SecretId) -> bool {
    // An id is told from another by case; a person may not tell them so easily.
    let start = id.as_str().get(..RESERVED.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(RESERVED))
}

/// The id of the secret that holds a master key.
///
/// Each key has one of its own, which is written once and deleted once: so no two processes can
/// overwrite each other's, and the secrets need no compare-and-set.
#[must_use]
pub fn key_secret(key: &KeyId) -> SecretId {
    // The id of a key that `MasterKeys` made has 16 characters; longer ones are cut, and then the key
    // that is found is another one.
    let name: String = key.as_str().chars().take(64).collect();
    SecretId::new(format!("{PREFIX}{name}")).expect("a key's id has letters, digits and `-`")
}

/// A master key that credentials of a tenant may be encrypted with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyState {
    /// Its id.
    pub key: KeyId,
    /// Whether new versions are encrypted with it.
    pub primary: bool,
    /// What the secrets have in its place.
    pub found: KeyFound,
}

/// What the secrets have in the place of a master key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyFound {
    /// The key.
    Right,
    /// Nothing.
    Missing,
    /// Another key, or no key at all.
    Wrong,
}

/// Keys that were read. Under its id a key never changes, so nothing here is ever out of date.
#[derive(Debug, Default)]
pub(crate) struct Cache(Mutex<BTreeMap<(TenantId, KeyId), MasterKeys>>);

impl Cache {
    fn get(&self, tenant: &TenantId, key: &KeyId) -> Option<MasterKeys> {
        let place = (tenant.clone(), key.clone());
        self.0.lock().get(&place).cloned()
    }

    fn put(&self, tenant: &TenantId, master: &MasterKeys) {
        let mut keys = self.0.lock();
        if keys.len() >= MAX_CACHED {
            keys.clear();
        }
        keys.insert((tenant.clone(), master.id()), master.clone());
    }

    pub(crate) fn forget(&self, tenant: &TenantId, key: &KeyId) {
        self.0.lock().remove(&(tenant.clone(), key.clone()));
    }
}

impl Vault {
    /// The master keys of a tenant, newest first, and whether the secrets have them; without those that
    /// a rotation has deleted and not yet forgotten. Reads only, and not from memory.
    ///
    /// # Errors
    /// Those of the ports.
    pub async fn keys(&self, tenant: &TenantId) -> Result<Vec<KeyState>, VaultError> {
        let mut states = Vec::new();
        for (at, key) in self.repo.keys(tenant).await?.into_iter().enumerate() {
            let found = match self.read_key(tenant, &key).await {
                Ok(_) => KeyFound::Right,
                Err(VaultError::MissingKey { .. }) => KeyFound::Missing,
                Err(VaultError::WrongKey { .. }) => KeyFound::Wrong,
                Err(error) => return Err(error),
            };
            let primary = at == 0;
            if found == KeyFound::Missing && !primary && !self.encrypts(tenant, &key).await? {
                continue;
            }
            states.push(KeyState {
                key,
                primary,
                found,
            });
        }
        Ok(states)
    }

    /// One key alone.
    pub(crate) async fn key(
        &self,
        tenant: &TenantId,
        key: &KeyId,
    ) -> Result<MasterKeys, VaultError> {
        match self.cache.get(tenant, key) {
            Some(master) => Ok(master),
            None => {
                let master = self.read_key(tenant, key).await?;
                self.cache.put(tenant, &master);
                Ok(master)
            }
        }
    }

    async fn read_key(&self, tenant: &TenantId, key: &KeyId) -> Result<MasterKeys, VaultError> {
        let secret = key_secret(key);
        let Some(text) = self.secrets.get(tenant, &secret).await? else {
            let key = key.clone();
            return Err(VaultError::MissingKey { key, secret });
        };
        match MasterKeys::parse(&text) {
            Ok(master) if master.ids().eq([key.clone()]) => Ok(master),
            _ => Err(VaultError::WrongKey {
                key: key.clone(),
                secret,
            }),
        }
    }

    /// A new key in the place of the primary key `from`; another one if somebody else was faster.
    pub(crate) async fn make_key(
        &self,
        tenant: &TenantId,
        from: Option<&KeyId>,
    ) -> Result<KeyMade, VaultError> {
        let master = MasterKeys::random(&*self.entropy);
        let (key, secret) = (master.id(), key_secret(&master.id()));
        let _ = self.secrets.set(tenant, &secret, master.text()).await?;
        match self.repo.promote_key(tenant, from, &key).await {
            Ok(KeyPromoted::Promoted | KeyPromoted::Same) => {
                self.cache.put(tenant, &master);
                Ok(KeyMade::Mine)
            }
            Ok(KeyPromoted::Changed { .. }) => {
                // It was never primary, so nothing is encrypted with it.
                let _ = self.secrets.delete(tenant, &secret).await?;
                Ok(KeyMade::Others)
            }
            // It may be primary: what is there decides.
            Err(error) => Err(error.into()),
        }
    }

    /// The key that encrypts, made where there is none yet.
    pub(crate) async fn primary(&self, tenant: &TenantId) -> Result<MasterKeys, VaultError> {
        for _ in 0..crate::vault::ROUNDS {
            let first =
                async || Ok::<_, VaultError>(self.repo.keys(tenant).await?.into_iter().next());
            let Some(primary) = first().await? else {
                let _ = self.make_key(tenant, None).await?;
                continue;
            };
            match self.key(tenant, &primary).await {
                // A rotation may have come to its end since.
                Err(VaultError::MissingKey { .. }) if first().await?.as_ref() != Some(&primary) => {
                }
                // A key that is lost holds up nobody, once nothing is lost with it.
                Err(VaultError::MissingKey { .. }) if !self.encrypts(tenant, &primary).await? => {
                    let _ = self.make_key(tenant, Some(&primary)).await?;
                }
                other => return other,
            }
        }
        Err(VaultError::Contended("the primary master key".to_owned()))
    }

    /// Whether any credential is encrypted with the key.
    pub(crate) async fn encrypts(
        &self,
        tenant: &TenantId,
        key: &KeyId,
    ) -> Result<bool, VaultError> {
        let mut after = None;
        loop {
            let page = self
                .repo
                .list(tenant, after.as_ref(), crate::vault::PAGE)
                .await?;
            if page.iter().any(|it| it.key == *key) {
                return Ok(true);
            }
            match page.last() {
                Some(last) if page.len() == crate::vault::PAGE => after = Some(last.id.clone()),
                _ => return Ok(false),
            }
        }
    }
}

/// Whose key is primary after one was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyMade {
    Mine,
    Others,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secrets_of_keys_are_reserved() {
        let secret = |id: &str| SecretId::new(id).unwrap();
        let key = KeyId::new("0123456789abcdef").unwrap();
        assert!(is_reserved(&key_secret(&key)));
        assert!(is_reserved(&secret("Nebula.anything")));
        for id in ["nebula", "nebula-key", "my.nebula.key", "n"] {
            assert!(!is_reserved(&secret(id)), "{id}");
        }
    }

    #[test]
    fn only_so_many_keys_are_kept_in_memory() {
        let (cache, entropy) = (Cache::default(), nebula_testkit::SeededEntropy::new(1));
        let mut last = None;
        for _ in 0..=MAX_CACHED {
            let master = MasterKeys::random(&entropy);
            cache.put(&TenantId::local(), &master);
            last = Some(master.id());
        }
        assert!(cache.0.lock().len() <= MAX_CACHED);
        let last = last.expect("there is one");
        assert!(cache.get(&TenantId::local(), &last).is_some());
    }

    #[test]
    fn the_longest_id_of_a_key_has_a_secret() {
        let key = KeyId::new("k".repeat(nebula_core::MAX_ID_LEN)).unwrap();
        assert!(is_reserved(&key_secret(&key)));
    }
}
