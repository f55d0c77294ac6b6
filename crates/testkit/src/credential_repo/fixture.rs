//! What the rules begin with: versions to put.

use std::{sync::Arc, time::Duration};

use nebula_core::{CredentialId, KeyId, TenantId};
use nebula_ports::{
    CredentialPut, CredentialRepo, CredentialVersion, KeyDropped, KeyPromoted, RefreshLease,
};
use uuid::Uuid;

pub(super) type Repo = Arc<dyn CredentialRepo>;

pub(super) const TTL: Duration = Duration::from_secs(30);

pub(super) fn tenant() -> TenantId {
    TenantId::local()
}

pub(super) fn other_tenant() -> TenantId {
    TenantId::new("other").unwrap()
}

pub(super) fn id(text: &str) -> CredentialId {
    CredentialId::new(text).unwrap()
}

pub(super) fn key(text: &str) -> KeyId {
    KeyId::new(text).unwrap()
}

pub(super) fn holder(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

/// A version under the key `k1`.
pub(super) fn version(name: &str, version: u32, envelope: &[u8]) -> CredentialVersion {
    CredentialVersion {
        id: id(name),
        kind: "bearer".to_owned(),
        version,
        key: key("k1"),
        envelope: envelope.to_vec(),
    }
}

/// Makes a key primary in the place of another, or of none.
pub(super) async fn promote(repo: &Repo, from: &str, to: &str) -> KeyPromoted {
    let from = (!from.is_empty()).then(|| key(from));
    let promoted = repo.promote_key(&tenant(), from.as_ref(), &key(to)).await;
    promoted.unwrap()
}

pub(super) async fn drop_key(repo: &Repo, name: &str) -> KeyDropped {
    repo.drop_key(&tenant(), &key(name)).await.unwrap()
}

/// The keys of a tenant, newest first.
pub(super) async fn keys(repo: &Repo, tenant: &TenantId) -> Vec<String> {
    let keys = repo.keys(tenant).await.unwrap();
    keys.iter().map(KeyId::to_string).collect()
}

/// Puts it; where there is no key yet, `k1` becomes the primary one before.
pub(super) async fn put(repo: &Repo, new: CredentialVersion) -> CredentialPut {
    if keys(repo, &tenant()).await.is_empty() {
        let _ = promote(repo, "", "k1").await;
    }
    repo.put(&tenant(), new).await.unwrap()
}

/// Puts versions 1 to `last` of a credential.
pub(super) async fn with_versions(repo: &Repo, name: &str, last: u32) {
    for number in 1..=last {
        let stored = put(repo, version(name, number, format!("v{number}").as_bytes())).await;
        assert_eq!(stored, CredentialPut::Stored);
    }
}

pub(super) async fn get(repo: &Repo, name: &str) -> Option<CredentialVersion> {
    repo.get(&tenant(), &id(name)).await.unwrap()
}

/// The ids of all credentials of a tenant.
pub(super) async fn ids(repo: &Repo, tenant: &TenantId) -> Vec<String> {
    let listed = repo.list(tenant, None, 1_000).await.unwrap();
    listed.iter().map(|it| it.id.to_string()).collect()
}

/// Asks to refresh a version of the credential `shop`.
pub(super) async fn lease(repo: &Repo, version: u32, number: u128) -> RefreshLease {
    let (tenant, id) = (tenant(), id("shop"));
    let leased = repo
        .lease_refresh(&tenant, &id, version, holder(number), TTL)
        .await;
    leased.unwrap()
}

/// Gives the lease of a credential back.
pub(super) async fn release(repo: &Repo, name: &str, number: u128) {
    let (tenant, id) = (tenant(), id(name));
    let released = repo.release_refresh(&tenant, &id, holder(number)).await;
    released.unwrap();
}
