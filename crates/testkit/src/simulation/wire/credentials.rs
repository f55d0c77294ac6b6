//! The way to the credentials; what is read, used and put is told to the world.

use std::time::Duration;

use async_trait::async_trait;
use nebula_core::{CredentialId, KeyId, TenantId};
use nebula_ports::{
    CredentialDeleted, CredentialPut, CredentialRepo, CredentialRewrapped, CredentialSummary,
    CredentialUse, CredentialUser, CredentialVersion, KeyDropped, KeyPromoted, RefreshLease,
    Result, UseRecorded,
};
use uuid::Uuid;

use super::Wire;
use crate::simulation::{
    scheduler::Life,
    swarm::Fault,
    world::{Faults, World},
};

/// What happens to the store of credentials.
const FAULTS: Faults = Faults {
    often: 2,
    latency: 500,
    refused: Fault::CredentialsRefused,
    unanswered: Fault::CredentialsAnswerLost,
    slow: Fault::CredentialsSlow,
    full: Fault::CredentialsFull,
    before: Fault::DeathBeforeCredential,
    after: Fault::DeathAfterCredential,
};

impl Wire {
    /// Asks who gives tokens.
    pub(in crate::simulation) async fn ask_for_token<T: Send + 'static>(
        &self,
        work: impl FnOnce(&World, Life) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.credential("token", true, work).await
    }

    async fn credential<T: Send + 'static>(
        &self,
        operation: &'static str,
        writes: bool,
        work: impl FnOnce(&World, Life) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let fate = self.world.fate_by(&FAULTS, self.life, writes);
        self.fated(operation, fate, work).await
    }
}

#[async_trait]
impl CredentialRepo for Wire {
    async fn get(&self, tenant: &TenantId, id: &CredentialId) -> Result<Option<CredentialVersion>> {
        let (tenant, id) = (tenant.clone(), id.clone());
        self.credential("credential get", false, move |world, life| {
            let found = world.ask(world.credentials.get(&tenant, &id))?;
            if let Some(found) = &found {
                world.read_version(life, &tenant, &id, found.version);
            }
            Ok(found)
        })
        .await
    }

    async fn put(&self, tenant: &TenantId, new: CredentialVersion) -> Result<CredentialPut> {
        let tenant = tenant.clone();
        self.credential("credential put", true, move |world, life| {
            world.look_for_secrets("an envelope", &new.envelope);
            let (id, version) = (new.id.clone(), new.version);
            let put = world.ask(world.credentials.put(&tenant, new))?;
            world.note("put", format_args!("{life} {id} {version} → {put:?}"));
            match put {
                CredentialPut::Stored => world.put_version(&tenant, &id, version),
                CredentialPut::OtherKey { .. }
                | CredentialPut::Same
                | CredentialPut::Conflict { .. } => {}
            }
            Ok(put)
        })
        .await
    }

    async fn rewrap(
        &self,
        tenant: &TenantId,
        from: &KeyId,
        new: CredentialVersion,
    ) -> Result<CredentialRewrapped> {
        let (tenant, from) = (tenant.clone(), from.clone());
        self.credential("credential rewrap", true, move |world, life| {
            world.look_for_secrets("an envelope", &new.envelope);
            let (id, version) = (new.id.clone(), new.version);
            let rewrapped = world.ask(world.credentials.rewrap(&tenant, &from, new))?;
            world.note(
                "rewrap",
                format_args!("{life} {id} {version} → {rewrapped:?}"),
            );
            Ok(rewrapped)
        })
        .await
    }

    async fn delete(&self, tenant: &TenantId, id: &CredentialId) -> Result<CredentialDeleted> {
        let (tenant, id) = (tenant.clone(), id.clone());
        self.credential("credential delete", true, move |world, _| {
            world.ask(world.credentials.delete(&tenant, &id))
        })
        .await
    }

    async fn list(
        &self,
        tenant: &TenantId,
        after: Option<&CredentialId>,
        limit: usize,
    ) -> Result<Vec<CredentialSummary>> {
        let (tenant, after) = (tenant.clone(), after.cloned());
        self.credential("credential list", false, move |world, _| {
            world.ask(world.credentials.list(&tenant, after.as_ref(), limit))
        })
        .await
    }

    async fn lease_refresh(
        &self,
        tenant: &TenantId,
        id: &CredentialId,
        version: u32,
        holder: Uuid,
        ttl: Duration,
    ) -> Result<RefreshLease> {
        let (tenant, id) = (tenant.clone(), id.clone());
        self.credential("refresh lease", true, move |world, life| {
            let repo = &world.credentials;
            let lease = world.ask(repo.lease_refresh(&tenant, &id, version, holder, ttl))?;
            if let RefreshLease::Granted { until } = lease {
                world.may_refresh(life, (&tenant, &id, version), until);
            }
            Ok(lease)
        })
        .await
    }

    async fn release_refresh(
        &self,
        tenant: &TenantId,
        id: &CredentialId,
        holder: Uuid,
    ) -> Result<()> {
        let (tenant, id) = (tenant.clone(), id.clone());
        self.credential("refresh release", true, move |world, _| {
            world.ask(world.credentials.release_refresh(&tenant, &id, holder))
        })
        .await
    }

    async fn keys(&self, tenant: &TenantId) -> Result<Vec<KeyId>> {
        let tenant = tenant.clone();
        self.credential("keys", false, move |world, _| {
            world.ask(world.credentials.keys(&tenant))
        })
        .await
    }

    async fn promote_key(
        &self,
        tenant: &TenantId,
        from: Option<&KeyId>,
        to: &KeyId,
    ) -> Result<KeyPromoted> {
        let (tenant, from, to) = (tenant.clone(), from.cloned(), to.clone());
        self.credential("key promote", true, move |world, _| {
            world.ask(world.credentials.promote_key(&tenant, from.as_ref(), &to))
        })
        .await
    }

    async fn drop_key(&self, tenant: &TenantId, key: &KeyId) -> Result<KeyDropped> {
        let (tenant, key) = (tenant.clone(), key.clone());
        self.credential("key drop", true, move |world, _| {
            world.ask(world.credentials.drop_key(&tenant, &key))
        })
        .await
    }

    async fn record_use(
        &self,
        tenant: &TenantId,
        id: &CredentialId,
        version: u32,
        user: &CredentialUser,
    ) -> Result<UseRecorded> {
        let (tenant, id, user) = (tenant.clone(), id.clone(), user.clone());
        self.credential("credential use", true, move |world, _| {
            let repo = &world.credentials;
            let recorded = world.ask(repo.record_use(&tenant, &id, version, &user))?;
            if recorded == UseRecorded::Recorded {
                world.used_version(&tenant, &id, version, &user);
            }
            Ok(recorded)
        })
        .await
    }

    async fn uses(
        &self,
        tenant: &TenantId,
        id: &CredentialId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<CredentialUse>> {
        let (tenant, id) = (tenant.clone(), id.clone());
        self.credential("credential uses", false, move |world, _| {
            world.ask(world.credentials.uses(&tenant, &id, before, limit))
        })
        .await
    }
}
