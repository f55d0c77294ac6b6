//! Credentials as ciphertext, their keys and their uses.

use std::time::Duration;

use async_trait::async_trait;
use nebula_core::{CredentialId, KeyId, TenantId};
use nebula_ports::{
    CredentialDeleted, CredentialPut, CredentialRepo, CredentialRewrapped, CredentialSummary,
    CredentialUse, CredentialUser, CredentialVersion, KeyDropped, KeyPromoted, RefreshLease,
    Result, UseRecorded,
};
use uuid::Uuid;

use crate::{Postgres, credential_keys, credential_uses, credentials};

#[async_trait]
impl CredentialRepo for Postgres {
    async fn get(&self, tenant: &TenantId, id: &CredentialId) -> Result<Option<CredentialVersion>> {
        let data = (tenant.clone(), id.clone());
        self.read("get a credential", data, |link, (tenant, id)| {
            Box::pin(credentials::get(link, tenant, id))
        })
        .await
    }

    async fn put(&self, tenant: &TenantId, new: CredentialVersion) -> Result<CredentialPut> {
        let (bytes, data) = (new.envelope.len(), (tenant.clone(), new));
        self.write("put a credential", bytes, data, |tx, (tenant, new)| {
            Box::pin(credentials::put(tx, tenant, new))
        })
        .await
    }

    async fn rewrap(
        &self,
        tenant: &TenantId,
        from: &KeyId,
        new: CredentialVersion,
    ) -> Result<CredentialRewrapped> {
        let (bytes, data) = (new.envelope.len(), (tenant.clone(), from.clone(), new));
        self.write(
            "rewrap a credential",
            bytes,
            data,
            |tx, (tenant, from, new)| Box::pin(credentials::rewrap(tx, tenant, from, new)),
        )
        .await
    }

    async fn delete(&self, tenant: &TenantId, id: &CredentialId) -> Result<CredentialDeleted> {
        let data = (tenant.clone(), id.clone());
        self.write("delete a credential", 0, data, |tx, (tenant, id)| {
            Box::pin(credentials::delete(tx, tenant, id))
        })
        .await
    }

    async fn list(
        &self,
        tenant: &TenantId,
        after: Option<&CredentialId>,
        limit: usize,
    ) -> Result<Vec<CredentialSummary>> {
        let data = (tenant.clone(), after.cloned(), limit);
        self.read("list credentials", data, |link, (tenant, after, limit)| {
            Box::pin(credentials::list(link, tenant, after.as_ref(), *limit))
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
        let data = (tenant.clone(), id.clone(), version, (holder, ttl));
        self.write(
            "lease a refresh",
            0,
            data,
            |tx, (tenant, id, version, lease)| {
                Box::pin(credentials::lease_refresh(tx, tenant, id, *version, *lease))
            },
        )
        .await
    }

    async fn release_refresh(
        &self,
        tenant: &TenantId,
        id: &CredentialId,
        holder: Uuid,
    ) -> Result<()> {
        let data = (tenant.clone(), id.clone(), holder);
        self.write("release a refresh", 0, data, |tx, (tenant, id, holder)| {
            Box::pin(credentials::release_refresh(tx, tenant, id, *holder))
        })
        .await
    }

    async fn keys(&self, tenant: &TenantId) -> Result<Vec<KeyId>> {
        let list = "list the keys of credentials";
        self.read(list, tenant.clone(), |link, tenant| {
            Box::pin(credential_keys::all(link, tenant))
        })
        .await
    }

    async fn promote_key(
        &self,
        tenant: &TenantId,
        from: Option<&KeyId>,
        to: &KeyId,
    ) -> Result<KeyPromoted> {
        let data = (tenant.clone(), from.cloned(), to.clone());
        self.write("promote a key", 0, data, |tx, (tenant, from, to)| {
            Box::pin(credential_keys::promote(tx, tenant, from.as_ref(), to))
        })
        .await
    }

    async fn drop_key(&self, tenant: &TenantId, key: &KeyId) -> Result<KeyDropped> {
        let data = (tenant.clone(), key.clone());
        self.write("drop a key", 0, data, |tx, (tenant, key)| {
            Box::pin(credential_keys::forget(tx, tenant, key))
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
        let data = (tenant.clone(), id.clone(), version, user.clone());
        let record = "record the use of a credential";
        self.write(record, 0, data, |tx, (tenant, id, version, user)| {
            Box::pin(credential_uses::record(tx, tenant, id, *version, user))
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
        let data = (tenant.clone(), id.clone(), before, limit);
        let list = "list the uses of a credential";
        self.read(list, data, |link, (tenant, id, before, limit)| {
            Box::pin(credential_uses::list(link, tenant, id, *before, *limit))
        })
        .await
    }
}
