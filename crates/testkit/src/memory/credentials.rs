//! The model of a store of credentials.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use nebula_core::{Clock, CredentialId, KeyId, TenantId, Timestamp};
use nebula_ports::{
    CredentialDeleted, CredentialPut, CredentialRepo, CredentialRewrapped, CredentialSummary,
    CredentialVersion, ErrorKind, MAX_CREDENTIAL_KIND, MAX_ENVELOPE_BYTES, PortError, RefreshLease,
    Result,
};
use parking_lot::Mutex;
use uuid::Uuid;

use super::{CredentialGuard as Guard, record::DRIVER};

/// A [`CredentialRepo`] in memory: the oracle for drivers, and the store of other crates' tests.
pub struct MemoryCredentialRepo {
    clock: Arc<dyn Clock>,
    removed: Option<Guard>,
    rows: Mutex<BTreeMap<(TenantId, CredentialId), Row>>,
}

#[derive(Clone)]
struct Row {
    /// The last version that was put, and whether it was deleted since.
    last: CredentialVersion,
    deleted: bool,
    put_at: Timestamp,
    lease: Option<(Uuid, Timestamp)>,
}

impl fmt::Debug for MemoryCredentialRepo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryCredentialRepo")
            .field("credentials", &self.rows.lock().len())
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
            rows: Mutex::default(),
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

    /// What becomes of a put over `row`, and what is there afterwards.
    fn decide(&self, row: Option<&Row>, new: CredentialVersion) -> (CredentialPut, Option<Row>) {
        let there = row.map_or(0, |row| {
            match row.deleted && !self.keep(Guard::VersionsGoOn) {
                true => 0,
                false => row.last.version,
            }
        });
        if let Some(row) = row {
            let same = !row.deleted && row.last == new;
            if same && self.keep(Guard::Repeated) {
                return (CredentialPut::Same, None);
            }
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
            put_at,
            lease,
        };
        (CredentialPut::Stored, Some(row))
    }
}

#[async_trait]
impl CredentialRepo for MemoryCredentialRepo {
    async fn get(&self, tenant: &TenantId, id: &CredentialId) -> Result<Option<CredentialVersion>> {
        let place = self.place(tenant, id, Guard::TenantReads);
        let rows = self.rows.lock();
        let row = rows.get(&place);
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
        if !self.keep(Guard::PutAtOnce) {
            let row = self.rows.lock().get(&place).cloned();
            tokio::task::yield_now().await;
            let (put, row) = self.decide(row.as_ref(), new);
            if let Some(row) = row {
                self.rows.lock().insert(place, row);
            }
            return Ok(put);
        }
        let mut rows = self.rows.lock();
        let (put, row) = self.decide(rows.get(&place), new);
        if let Some(row) = row {
            rows.insert(place, row);
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
        let mut rows = self.rows.lock();
        let there = |row: &&mut Row| !row.deleted || !self.keep(Guard::RewrapUnknown);
        let Some(row) = rows.get_mut(&place).filter(there) else {
            return Ok(CredentialRewrapped::Unknown);
        };
        let key = row.last.key == *from || !self.keep(Guard::RewrapKey);
        let version = row.last.version == new.version || !self.keep(Guard::RewrapVersion);
        if !key || !version {
            return Ok(CredentialRewrapped::Changed);
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
        let mut rows = self.rows.lock();
        let known = match rows.get_mut(&place) {
            Some(row) => !std::mem::replace(&mut row.deleted, true),
            None => false,
        };
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
        let rows = self.rows.lock();
        let mut mine: Vec<_> = rows
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
        let mut rows = self.rows.lock();
        let now = self.clock.now();
        let there = |row: &&mut Row| !row.deleted || !self.keep(Guard::LeaseUnknown);
        let Some(row) = rows.get_mut(&place).filter(there) else {
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
        if let Some(row) = self.rows.lock().get_mut(&place) {
            row.lease.take_if(|(other, _)| {
                self.keep(Guard::Releases) && (*other == holder || !self.keep(Guard::ReleaseHolder))
            });
        }
        Ok(())
    }
}
