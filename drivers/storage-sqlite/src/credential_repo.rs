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

use crate::{Sqlite, credential_keys, credential_uses, credentials};

#[async_trait]
impl CredentialRepo for Sqlite {
    async fn get(&self, tenant: &TenantId, id: &CredentialId) -> Result<Option<CredentialVersion>> {
        let (tenant, id) = (tenant.clone(), id.clone());
        self.read("get a credential", move |db| {
            credentials::get(db, &tenant, &id)
        })
        .await
    }

    async fn put(&self, tenant: &TenantId, new: CredentialVersion) -> Result<CredentialPut> {
        let (tenant, bytes) = (tenant.clone(), new.envelope.len());
        self.write("put a credential", bytes, move |tx| {
            credentials::put(tx, &tenant, &new)
        })
        .await
    }

    async fn rewrap(
        &self,
        tenant: &TenantId,
        from: &KeyId,
        new: CredentialVersion,
    ) -> Result<CredentialRewrapped> {
        let (tenant, from, bytes) = (tenant.clone(), from.clone(), new.envelope.len());
        self.write("rewrap a credential", bytes, move |tx| {
            credentials::rewrap(tx, &tenant, &from, &new)
        })
        .await
    }

    async fn delete(&self, tenant: &TenantId, id: &CredentialId) -> Result<CredentialDeleted> {
        let (tenant, id) = (tenant.clone(), id.clone());
        self.write("delete a credential", 0, move |tx| {
            credentials::delete(tx, &tenant, &id)
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
        self.read("list credentials", move |db| {
            credentials::list(db, &tenant, after.as_ref(), limit)
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
        self.write("lease a refresh", 0, move |tx| {
            credentials::lease_refresh(tx, &tenant, &id, version, holder, ttl)
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
        self.write("release a refresh", 0, move |tx| {
            credentials::release_refresh(tx, &tenant, &id, holder)
        })
        .await
    }

    async fn keys(&self, tenant: &TenantId) -> Result<Vec<KeyId>> {
        let tenant = tenant.clone();
        self.read("list the keys of credentials", move |db| {
            credential_keys::all(db, &tenant)
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
        self.write("promote a key", 0, move |tx| {
            credential_keys::promote(tx, &tenant, from.as_ref(), &to)
        })
        .await
    }

    async fn drop_key(&self, tenant: &TenantId, key: &KeyId) -> Result<KeyDropped> {
        let (tenant, key) = (tenant.clone(), key.clone());
        self.write("drop a key", 0, move |tx| {
            credential_keys::forget(tx, &tenant, &key)
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
        self.write("record the use of a credential", 0, move |tx| {
            credential_uses::record(tx, &tenant, &id, version, &user)
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
        self.read("list the uses of a credential", move |db| {
            credential_uses::list(db, &tenant, &id, before, limit)
        })
        .await
    }
}
