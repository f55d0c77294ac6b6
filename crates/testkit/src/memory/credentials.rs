//! The model of a store of credentials.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use nebula_core::{Clock, CredentialId, KeyId, TenantId, Timestamp};
use nebula_ports::{
    CredentialDeleted, CredentialPut, CredentialRepo, CredentialRewrapped, CredentialSummary,
    CredentialUse, CredentialUser, CredentialVersion, ErrorKind, KeyDropped, KeyPromoted,
    MAX_CREDENTIAL_KEYS, MAX_CREDENTIAL_KIND, MAX_CREDENTIAL_USES, MAX_DELETED_WITH_USES,
    MAX_ENVELOPE_BYTES, MAX_TENANT_CREDENTIALS, MAX_USE_NODE, PortError, RefreshLease, Result,
    UseRecorded,
};
use parking_lot::Mutex;
use uuid::Uuid;

use super::{CredentialGuard as Guard, record::DRIVER};

/// A [`CredentialRepo`] in memory: the oracle for drivers, and the store of other crates' tests.
pub struct MemoryCredentialRepo {
    clock: Arc<dyn Clock>,
    removed: Option<Guard>,
    state: Mutex<State>,
}

#[derive(Clone, Default)]
struct State {
    rows: BTreeMap<(TenantId, CredentialId), Row>,
    /// Newest first.
    keys: BTreeMap<TenantId, Vec<KeyId>>,
    deletions: u64,
}

impl State {
    /// Forgets the uses of what a tenant deleted before so many others.
    fn forget_uses(&mut self, tenant: &TenantId) {
        let rows = self.rows.iter_mut();
        let mut deleted: Vec<_> = rows
            .filter(|((of, _), row)| of == tenant && row.deleted)
            .map(|(_, row)| row)
            .collect();
        deleted.sort_unstable_by_key(|row| std::cmp::Reverse(row.deleted_as));
        for row in deleted.into_iter().skip(MAX_DELETED_WITH_USES) {
            row.uses.clear();
        }
    }

    fn primary(&self, tenant: &TenantId) -> Option<KeyId> {
        self.keys.get(tenant).and_then(|keys| keys.first().cloned())
    }
}

#[derive(Clone)]
struct Row {
    /// The last version that was put, and whether it was deleted since, which counts as a version.
    last: CredentialVersion,
    deleted: bool,
    /// In the order of deletions.
    deleted_as: u64,
    put_at: Timestamp,
    lease: Option<(Uuid, Timestamp)>,
    /// Oldest first.
    uses: VecDeque<CredentialUse>,
    next_use: u64,
}

impl fmt::Debug for MemoryCredentialRepo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryCredentialRepo")
            .field("credentials", &self.state.lock().rows.len())
            .finish_non_exhaustive()
    }
}

impl MemoryCredentialRepo {
    /// An empty store; versions are stamped with the time of `clock`.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            removed: None,
            state: Mutex::default(),
        }
    }

    /// An empty store that lacks `guard`, to test the suite itself.
    #[must_use]
    pub fn without(clock: Arc<dyn Clock>, guard: Guard) -> Self {
        Self {
            removed: Some(guard),
            ..Self::new(clock)
        }
    }

    fn keep(&self, guard: Guard) -> bool {
        self.removed != Some(guard)
    }

    fn place(
        &self,
        tenant: &TenantId,
        id: &CredentialId,
        guard: Guard,
    ) -> (TenantId, CredentialId) {
        let tenant = match self.keep(guard) {
            true => tenant.clone(),
            false => TenantId::local(),
        };
        (tenant, id.clone())
    }

    fn check(&self, new: &CredentialVersion) -> Result<()> {
        let limit = match self.keep(Guard::Largest) {
            true => MAX_ENVELOPE_BYTES,
            false => MAX_ENVELOPE_BYTES - 1,
        };
        let possible = (1..=limit).contains(&new.envelope.len())
            && (1..=MAX_CREDENTIAL_KIND).contains(&new.kind.len());
        if possible || !self.keep(Guard::Size) {
            return Ok(());
        }
        let message = format!(
            "the envelope has {} bytes and the type's name {}; the limits are 1 to {MAX_ENVELOPE_BYTES} and 1 to {MAX_CREDENTIAL_KIND}",
            new.envelope.len(),
            new.kind.len()
        );
        Err(PortError::new(
            ErrorKind::Invalid,
            DRIVER,
            "put a credential",
            message,
        ))
    }

    fn key_owner(&self, tenant: &TenantId) -> TenantId {
        match self.keep(Guard::TenantKeys) {
            true => tenant.clone(),
            false => TenantId::local(),
        }
    }

    fn invalid(operation: &'static str, message: impl Into<String>) -> PortError {
        PortError::new(ErrorKind::Invalid, DRIVER, operation, message)
    }

    /// Whether the tenant of a place may have another credential there.
    fn check_room(&self, state: &State, place: &(TenantId, CredentialId)) -> Result<()> {
        let is_there = |row: &Row| !row.deleted || !self.keep(Guard::MostDeleted);
        let known = state.rows.get(place).is_some_and(is_there);
        let mine = state.rows.iter().filter(|((tenant, _), row)| {
            is_there(row) && (*tenant == place.0 || !self.keep(Guard::MostOfTenant))
        });
        let count = mine.count();
        let full = count >= MAX_TENANT_CREDENTIALS && (!known || !self.keep(Guard::MostVersions));
        match full && self.keep(Guard::Most) {
            false => Ok(()),
            true => Err(PortError::new(
                ErrorKind::Full,
                DRIVER,
                "put a credential",
                format!("the tenant has {count} credentials"),
            )),
        }
    }

    /// What becomes of a put over `row`, and what is there afterwards.
    fn decide(
        &self,
        primary: Option<KeyId>,
        row: Option<&Row>,
        new: CredentialVersion,
    ) -> (CredentialPut, Option<Row>) {
        let there = row.map_or(0, |row| {
            match row.deleted && !self.keep(Guard::VersionsGoOn) {
                true => 0,
                false => {
                    row.last.version + u32::from(row.deleted && self.keep(Guard::DeletionCounts))
                }
            }
        });
        if let Some(row) = row {
            let same = !row.deleted && row.last == new;
            if same && self.keep(Guard::Repeated) {
                return (CredentialPut::Same, None);
            }
        }
        if primary.as_ref() != Some(&new.key) && self.keep(Guard::PutKey) {
            return (CredentialPut::OtherKey { primary }, None);
        }
        let guard = match there {
            0 => Guard::FirstVersion,
            _ => Guard::NextVersion,
        };
        if new.version != there + 1 && self.keep(guard) {
            return (CredentialPut::Conflict { version: there }, None);
        }
        let put_at = match self.keep(Guard::StoreTime) {
            true => self.clock.now(),
            false => Timestamp::default(),
        };
        let kept = match row {
            Some(row) if !self.keep(Guard::Replaces) => row.last.clone(),
            _ if !self.keep(Guard::Keeps) => CredentialVersion {
                envelope: String::from_utf8_lossy(&new.envelope).into_owned().into(),
                ..new
            },
            _ => new,
        };
        let lease = row.and_then(|row| row.lease);
        let lease = match row.is_some_and(|row| row.deleted) {
            true => lease.filter(|_| !self.keep(Guard::DeleteEndsLease)),
            false => lease.filter(|_| !self.keep(Guard::PutEndsLease)),
        };
        let row = Row {
            last: kept,
            deleted: false,
            deleted_as: 0,
            put_at,
            lease,
            uses: row.map(|row| row.uses.clone()).unwrap_or_default(),
            next_use: row.map_or(1, |row| row.next_use),
        };
        (CredentialPut::Stored, Some(row))
    }
}

#[async_trait]
impl CredentialRepo for MemoryCredentialRepo {
    async fn get(&self, tenant: &TenantId, id: &CredentialId) -> Result<Option<CredentialVersion>> {
        let place = self.place(tenant, id, Guard::TenantReads);
        let state = self.state.lock();
        let row = state.rows.get(&place);
        if row.is_none() && !self.keep(Guard::UnknownIsNone) {
            let message = "it is not there";
            return Err(PortError::new(
                ErrorKind::Corrupt,
                DRIVER,
                "get a credential",
                message,
            ));
        }
        let there = row.filter(|row| !row.deleted || !self.keep(Guard::Deletes));
        Ok(there.map(|row| row.last.clone()))
    }

    async fn put(&self, tenant: &TenantId, new: CredentialVersion) -> Result<CredentialPut> {
        self.check(&new)?;
        let place = self.place(tenant, &new.id, Guard::TenantPuts);
        let owner = self.key_owner(tenant);
        if !self.keep(Guard::PutAtOnce) {
            let before = self.state.lock().clone();
            tokio::task::yield_now().await;
            let (put, row) = self.decide(before.primary(&owner), before.rows.get(&place), new);
            if let Some(row) = row {
                self.check_room(&before, &place)?;
                self.state.lock().rows.insert(place, row);
            }
            return Ok(put);
        }
        let mut state = self.state.lock();
        let (put, row) = self.decide(state.primary(&owner), state.rows.get(&place), new);
        if let Some(row) = row {
            self.check_room(&state, &place)?;
            state.rows.insert(place, row);
        }
        Ok(put)
    }

    async fn rewrap(
        &self,
        tenant: &TenantId,
        from: &KeyId,
        new: CredentialVersion,
    ) -> Result<CredentialRewrapped> {
        self.check(&new)?;
        let place = self.place(tenant, &new.id, Guard::TenantRewraps);
        let mut state = self.state.lock();
        let primary = state.primary(&self.key_owner(tenant));
        let there = |row: &&mut Row| !row.deleted || !self.keep(Guard::RewrapUnknown);
        let Some(row) = state.rows.get_mut(&place).filter(there) else {
            return Ok(CredentialRewrapped::Unknown);
        };
        let key = row.last.key == *from || !self.keep(Guard::RewrapKey);
        let version = row.last.version == new.version || !self.keep(Guard::RewrapVersion);
        if !key || !version {
            return Ok(CredentialRewrapped::Changed);
        }
        if primary.as_ref() != Some(&new.key) && self.keep(Guard::RewrapPrimary) {
            return Ok(CredentialRewrapped::OtherKey { primary });
        }
        row.deleted = false;
        row.last = new;
        if !self.keep(Guard::Rewraps) {
            row.last.version += 1;
        }
        Ok(CredentialRewrapped::Rewrapped)
    }

    async fn delete(&self, tenant: &TenantId, id: &CredentialId) -> Result<CredentialDeleted> {
        let place = self.place(tenant, id, Guard::TenantDeletes);
        let mut state = self.state.lock();
        state.deletions += 1;
        let deletions = state.deletions;
        let there = state.rows.get_mut(&place).filter(|row| !row.deleted);
        let known = there.map(|row| {
            row.deleted = true;
            row.deleted_as = deletions;
        });
        let known = known.is_some();
        if known && self.keep(Guard::DeletedUses) {
            state.forget_uses(&place.0);
        }
        match known || !self.keep(Guard::DeleteTells) {
            true => Ok(CredentialDeleted::Deleted),
            false => Ok(CredentialDeleted::Unknown),
        }
    }

    async fn list(
        &self,
        tenant: &TenantId,
        after: Option<&CredentialId>,
        limit: usize,
    ) -> Result<Vec<CredentialSummary>> {
        let state = self.state.lock();
        let mut mine: Vec<_> = state
            .rows
            .iter()
            .filter(|((owner, id), row)| {
                (owner == tenant || !self.keep(Guard::TenantLists))
                    && (!row.deleted || !self.keep(Guard::ListDeleted))
                    && (after.is_none_or(|after| id > after) || !self.keep(Guard::ListPages))
            })
            .map(|(_, row)| CredentialSummary {
                id: row.last.id.clone(),
                kind: row.last.kind.clone(),
                version: row.last.version,
                key: row.last.key.clone(),
                put_at: row.put_at,
                used_at: match self.keep(Guard::UsedAt) {
                    true => row.uses.back().map(|last| last.at),
                    false => None,
                },
            })
            .collect();
        if !self.keep(Guard::ListOrder) {
            mine.reverse();
        }
        mine.truncate(limit);
        Ok(mine)
    }

    async fn lease_refresh(
        &self,
        tenant: &TenantId,
        id: &CredentialId,
        version: u32,
        holder: Uuid,
        ttl: Duration,
    ) -> Result<RefreshLease> {
        let place = self.place(tenant, id, Guard::TenantLeases);
        let mut state = self.state.lock();
        let now = self.clock.now();
        let there = |row: &&mut Row| !row.deleted || !self.keep(Guard::LeaseUnknown);
        let Some(row) = state.rows.get_mut(&place).filter(there) else {
            return Ok(RefreshLease::Unknown);
        };
        if row.last.version != version && self.keep(Guard::Stale) {
            let version = row.last.version;
            return Ok(RefreshLease::Stale { version });
        }
        if let Some((other, until)) = row.lease {
            let same = other == holder && self.keep(Guard::SameRefresher);
            let lives = until > now || !self.keep(Guard::LeaseEnds);
            if lives && !same && self.keep(Guard::OneRefresher) {
                return Ok(RefreshLease::Held { until });
            }
        }
        let until = now.plus(ttl);
        row.lease = Some((holder, until));
        Ok(RefreshLease::Granted { until })
    }

    async fn release_refresh(
        &self,
        tenant: &TenantId,
        id: &CredentialId,
        holder: Uuid,
    ) -> Result<()> {
        let place = self.place(tenant, id, Guard::TenantLeases);
        if let Some(row) = self.state.lock().rows.get_mut(&place) {
            row.lease.take_if(|(other, _)| {
                self.keep(Guard::Releases) && (*other == holder || !self.keep(Guard::ReleaseHolder))
            });
        }
        Ok(())
    }

    async fn keys(&self, tenant: &TenantId) -> Result<Vec<KeyId>> {
        let state = self.state.lock();
        let keys = state.keys.get(&self.key_owner(tenant)).cloned();
        let mut keys = keys.unwrap_or_default();
        if !self.keep(Guard::KeyOrder) {
            keys.reverse();
        }
        Ok(keys)
    }

    async fn promote_key(
        &self,
        tenant: &TenantId,
        from: Option<&KeyId>,
        to: &KeyId,
    ) -> Result<KeyPromoted> {
        const OPERATION: &str = "promote a key";
        let owner = self.key_owner(tenant);
        let seen = self.state.lock().primary(&owner);
        if !self.keep(Guard::PromoteAtOnce) {
            tokio::task::yield_now().await;
        }
        let mut state = self.state.lock();
        let primary = match self.keep(Guard::PromoteAtOnce) {
            true => state.primary(&owner),
            false => seen,
        };
        if primary.as_ref() == Some(to) && self.keep(Guard::PromoteRepeated) {
            return Ok(KeyPromoted::Same);
        }
        if primary.as_ref() != from && self.keep(Guard::PromoteFrom) {
            return Ok(KeyPromoted::Changed { primary });
        }
        let keys = state.keys.entry(owner).or_default();
        if keys.contains(to) && self.keep(Guard::PromoteOlder) {
            let message = "it is one of the older keys";
            return Err(Self::invalid(OPERATION, message));
        }
        if keys.len() >= MAX_CREDENTIAL_KEYS && self.keep(Guard::KeyLimit) {
            let message =
                format!("there are {MAX_CREDENTIAL_KEYS} keys, the most that there may be");
            return Err(PortError::new(ErrorKind::Full, DRIVER, OPERATION, message));
        }
        keys.insert(0, to.clone());
        Ok(KeyPromoted::Promoted)
    }

    async fn drop_key(&self, tenant: &TenantId, key: &KeyId) -> Result<KeyDropped> {
        let owner = self.key_owner(tenant);
        let mut state = self.state.lock();
        let primary = state.primary(&owner).as_ref() == Some(key);
        let used = state.rows.iter().any(|((tenant, _), row)| {
            let there = !row.deleted || !self.keep(Guard::DropDeleted);
            *tenant == owner && there && row.last.key == *key
        });
        if primary && self.keep(Guard::DropPrimary) || used && self.keep(Guard::DropUsed) {
            return Ok(KeyDropped::InUse);
        }
        let keys = state.keys.entry(owner).or_default();
        let known = keys.contains(key);
        if self.keep(Guard::Drops) {
            keys.retain(|other| other != key);
        }
        match known || !self.keep(Guard::DropTells) {
            true => Ok(KeyDropped::Dropped),
            false => Ok(KeyDropped::Unknown),
        }
    }

    async fn record_use(
        &self,
        tenant: &TenantId,
        id: &CredentialId,
        version: u32,
        user: &CredentialUser,
    ) -> Result<UseRecorded> {
        if let CredentialUser::Attempt { node, .. } = user
            && !(1..=MAX_USE_NODE).contains(&node.len())
            && self.keep(Guard::UseNode)
        {
            let bytes = node.len();
            let message = format!("the node has {bytes} bytes; there may be 1 to {MAX_USE_NODE}");
            return Err(Self::invalid("record a use", message));
        }
        let place = self.place(tenant, id, Guard::TenantUses);
        let at = match self.keep(Guard::UseTime) {
            true => self.clock.now(),
            false => Timestamp::default(),
        };
        let mut state = self.state.lock();
        let there = |row: &&mut Row| !row.deleted || !self.keep(Guard::UseUnknown);
        let Some(row) = state.rows.get_mut(&place).filter(there) else {
            return Ok(UseRecorded::Unknown);
        };
        let version = match self.keep(Guard::UseKeeps) {
            true => version,
            false => row.last.version,
        };
        row.uses.push_back(CredentialUse {
            number: row.next_use,
            version,
            at,
            user: user.clone(),
        });
        row.next_use += 1;
        if row.uses.len() > MAX_CREDENTIAL_USES && self.keep(Guard::UseLimit) {
            row.uses.pop_front();
        }
        Ok(UseRecorded::Recorded)
    }

    async fn uses(
        &self,
        tenant: &TenantId,
        id: &CredentialId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<CredentialUse>> {
        let place = self.place(tenant, id, Guard::TenantUses);
        let state = self.state.lock();
        let there = |row: &&Row| !row.deleted || self.keep(Guard::UseStays);
        let Some(row) = state.rows.get(&place).filter(there) else {
            return Ok(Vec::new());
        };
        let before = before.filter(|_| self.keep(Guard::UsePages));
        let mut uses: Vec<_> = row
            .uses
            .iter()
            .rev()
            .filter(|it| before.is_none_or(|before| it.number < before))
            .cloned()
            .collect();
        if !self.keep(Guard::UseOrder) {
            uses.reverse();
        }
        uses.truncate(limit);
        Ok(uses)
    }
}
