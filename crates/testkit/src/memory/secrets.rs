//! The model of a keeper of secrets.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use async_trait::async_trait;
use nebula_core::{ExposeSecret as _, KeyId, SecretId, SecretString, TenantId};
use nebula_ports::{
    ErrorKind, MAX_SECRET_BYTES, MAX_TENANT_SECRETS, PortError, Result, SecretDeleted, SecretSet,
    SecretsRotated, SecretsStore,
};
use parking_lot::Mutex;

use super::{SecretsGuard as Guard, record::DRIVER};

/// A [`SecretsStore`] in memory: the oracle for drivers, and the store of other crates' tests.
#[derive(Default)]
pub struct MemorySecretsStore {
    removed: Option<Guard>,
    state: Mutex<State>,
}

type Place = (TenantId, SecretId);

#[derive(Clone, Default)]
struct State {
    secrets: BTreeMap<Place, Kept>,
    /// What was deleted, for a model that does not forget.
    deleted: BTreeSet<Place>,
    /// How often the key was rotated.
    key: u32,
}

#[derive(Clone)]
struct Kept {
    value: SecretString,
    key: u32,
}

impl fmt::Debug for MemorySecretsStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.lock();
        let mut shown = f.debug_struct("MemorySecretsStore");
        shown.field("secrets", &state.secrets.len());
        if !self.keep(Guard::Debug) {
            let values = state.secrets.values();
            shown.field("values", &values.map(exposed).collect::<Vec<_>>());
        }
        shown.finish_non_exhaustive()
    }
}

fn exposed(kept: &Kept) -> &str {
    kept.value.expose_secret()
}

fn key_id(number: u32) -> KeyId {
    KeyId::new(format!("key-{number}")).expect("it has letters, digits and `-`")
}

impl MemorySecretsStore {
    /// An empty store that lacks `guard`, to test the suite itself.
    #[must_use]
    pub fn without(guard: Guard) -> Self {
        Self {
            removed: Some(guard),
            ..Self::default()
        }
    }

    fn keep(&self, guard: Guard) -> bool {
        self.removed != Some(guard)
    }

    fn place(&self, tenant: &TenantId, id: &SecretId, guard: Guard) -> Place {
        let tenant = match self.keep(guard) {
            true => tenant.clone(),
            false => TenantId::local(),
        };
        let id = match self.keep(Guard::WholeId) {
            true => id.clone(),
            false => SecretId::new(id.as_str().to_lowercase()).expect("it stays an id"),
        };
        (tenant, id)
    }

    fn check(&self, value: &SecretString) -> Result<()> {
        let text = value.expose_secret();
        let refused = |message: String| {
            let error = PortError::new(ErrorKind::Invalid, DRIVER, "set a secret", message);
            Err(error)
        };
        let limit = match self.keep(Guard::Largest) {
            true => MAX_SECRET_BYTES,
            false => MAX_SECRET_BYTES - 1,
        };
        if text.len() > limit && self.keep(Guard::MaxSize) {
            let bytes = text.len();
            let mut message = format!("it has {bytes} bytes; the limit is {MAX_SECRET_BYTES}");
            if !self.keep(Guard::ErrorText) {
                message.push_str(text);
            }
            return refused(message);
        }
        if text.is_empty() && self.keep(Guard::Empty) {
            return refused("it is empty".to_owned());
        }
        Ok(())
    }

    fn check_room(&self, state: &State, place: &Place) -> Result<()> {
        let known = state.secrets.contains_key(place) && self.keep(Guard::MostReplaces);
        let mine = state
            .secrets
            .keys()
            .filter(|(owner, _)| *owner == place.0 || !self.keep(Guard::MostOfTenant));
        if known || mine.count() < MAX_TENANT_SECRETS || !self.keep(Guard::Most) {
            return Ok(());
        }
        let message = format!("the tenant has {MAX_TENANT_SECRETS} secrets");
        let error = PortError::new(ErrorKind::Full, DRIVER, "set a secret", message);
        Err(error)
    }

    fn write(&self, state: &mut State, place: Place, value: &SecretString) -> SecretSet {
        let key = match self.keep(Guard::RotateWrites) {
            true => state.key,
            false => 0,
        };
        let known = state.secrets.contains_key(&place)
            || (!self.keep(Guard::Forgets) && state.deleted.contains(&place));
        let value = match self.keep(Guard::Exact) {
            true => value.clone(),
            false => value.expose_secret().trim().into(),
        };
        if self.keep(Guard::Keeps) && (self.keep(Guard::Replaces) || !known) {
            state.secrets.insert(place, Kept { value, key });
        }
        match known && self.keep(Guard::SetTells) {
            true => SecretSet::Replaced,
            false => SecretSet::New,
        }
    }
}

#[async_trait]
impl SecretsStore for MemorySecretsStore {
    async fn get(&self, tenant: &TenantId, id: &SecretId) -> Result<Option<SecretString>> {
        let state = self.state.lock();
        let place = self.place(tenant, id, Guard::TenantReads);
        let failed = |message| PortError::new(ErrorKind::Corrupt, DRIVER, "get a secret", message);
        match state.secrets.get(&place) {
            None if !self.keep(Guard::UnknownIsNone) => Err(failed("it is not there")),
            None => Ok(None),
            Some(kept) if kept.key != state.key => Err(failed("another key opens it")),
            Some(kept) => Ok(Some(kept.value.clone())),
        }
    }

    async fn set(
        &self,
        tenant: &TenantId,
        id: &SecretId,
        value: SecretString,
    ) -> Result<SecretSet> {
        self.check(&value)?;
        let place = self.place(tenant, id, Guard::TenantWrites);
        if self.keep(Guard::AtOnce) {
            let mut state = self.state.lock();
            self.check_room(&state, &place)?;
            return Ok(self.write(&mut state, place, &value));
        }
        let mut state = self.state.lock().clone();
        tokio::task::yield_now().await;
        let set = self.write(&mut state, place, &value);
        *self.state.lock() = state;
        Ok(set)
    }

    async fn delete(&self, tenant: &TenantId, id: &SecretId) -> Result<SecretDeleted> {
        let mut state = self.state.lock();
        let place = self.place(tenant, id, Guard::TenantDeletes);
        let known = state.secrets.contains_key(&place);
        if self.keep(Guard::Deletes) {
            state.secrets.remove(&place);
        }
        state.deleted.insert(place);
        match known || !self.keep(Guard::DeleteTells) {
            true => Ok(SecretDeleted::Deleted),
            false => Ok(SecretDeleted::Unknown),
        }
    }

    async fn list(
        &self,
        tenant: &TenantId,
        after: Option<&SecretId>,
        limit: usize,
    ) -> Result<Vec<SecretId>> {
        let state = self.state.lock();
        let mut places: Vec<_> = state.secrets.keys().collect();
        if !self.keep(Guard::ListDeleted) {
            places.extend(&state.deleted);
        }
        if !self.keep(Guard::ListOrder) {
            places.reverse();
        }
        let mine = places.into_iter().filter(|(owner, id)| {
            (owner == tenant || !self.keep(Guard::TenantLists))
                && (after.is_none_or(|after| id > after) || !self.keep(Guard::ListPages))
        });
        let limit = match self.keep(Guard::ListLimit) {
            true => limit,
            false => limit + 1,
        };
        Ok(mine.map(|(_, id)| id.clone()).take(limit).collect())
    }

    async fn rotate(&self) -> Result<SecretsRotated> {
        let mut state = self.state.lock().clone();
        if !self.keep(Guard::RotateAtOnce) {
            tokio::task::yield_now().await;
        }
        let from = state.key;
        if state.secrets.is_empty() && !self.keep(Guard::RotateEmpty) {
            return Ok(SecretsRotated::NoNewerKey { key: key_id(from) });
        }
        if self.keep(Guard::RotateKey) {
            state.key += 1;
        }
        let (key, keeps) = (state.key, self.keep(Guard::RotateKeeps));
        state.secrets.retain(|place, kept| {
            kept.key = key;
            keeps || place.0 == TenantId::local()
        });
        let secrets = match self.keep(Guard::RotateCounts) {
            true => state.secrets.len(),
            false => 0,
        };
        *self.state.lock() = state;
        let told = match self.keep(Guard::RotateChain) {
            true => from,
            false => 0,
        };
        Ok(SecretsRotated::Rotated {
            from: key_id(told),
            to: key_id(key),
            secrets,
        })
    }
}
