//! Rules of tenants: each sees its own.

use nebula_ports::{
    CredentialDeleted, CredentialPut, CredentialRewrapped, CredentialUser, CredentialVersion,
    KeyDropped, KeyPromoted, RefreshLease, UseRecorded,
};

use super::fixture::*;
use crate::ManualClock;

/// Under another tenant's name nothing is read. Guard: `CredentialGuard::TenantReads`.
pub async fn another_tenant_reads_no_credential(repo: &Repo, _: &ManualClock) {
    with_versions(repo, "shop", 1).await;
    let theirs = repo.get(&other_tenant(), &id("shop")).await.unwrap();
    assert_eq!(theirs, None);
}

/// Not even the id is seen. Guard: `CredentialGuard::TenantLists`.
pub async fn another_tenant_lists_no_credential(repo: &Repo, _: &ManualClock) {
    with_versions(repo, "shop", 1).await;
    assert!(ids(repo, &other_tenant()).await.is_empty());
}

/// It cannot be deleted from there. Guard: `CredentialGuard::TenantDeletes`.
pub async fn another_tenant_deletes_no_credential(repo: &Repo, _: &ManualClock) {
    with_versions(repo, "shop", 1).await;
    let deleted = repo.delete(&other_tenant(), &id("shop")).await.unwrap();
    assert_eq!(deleted, CredentialDeleted::Unknown);
    assert!(get(repo, "shop").await.is_some());
}

/// Nor encrypted anew. Guard: `CredentialGuard::TenantRewraps`.
pub async fn another_tenant_rewraps_no_credential(repo: &Repo, _: &ManualClock) {
    with_versions(repo, "shop", 1).await;
    let new = CredentialVersion {
        key: key("k2"),
        ..version("shop", 1, b"theirs")
    };
    let refused = repo.rewrap(&other_tenant(), &key("k1"), new).await.unwrap();
    assert_eq!(refused, CredentialRewrapped::Unknown);
    assert_eq!(get(repo, "shop").await, Some(version("shop", 1, b"v1")));
}

/// Nor leased. Guard: `CredentialGuard::TenantLeases`.
pub async fn another_tenant_leases_no_credential(repo: &Repo, _: &ManualClock) {
    with_versions(repo, "shop", 1).await;
    let (theirs, id) = (other_tenant(), id("shop"));
    let leased = repo.lease_refresh(&theirs, &id, 1, holder(1), TTL).await;
    assert_eq!(leased.unwrap(), RefreshLease::Unknown);
}

/// The same id elsewhere is another credential. Guard: `CredentialGuard::TenantPuts`.
pub async fn one_id_in_two_tenants_is_two_credentials(repo: &Repo, _: &ManualClock) {
    with_versions(repo, "shop", 2).await;
    let theirs = version("shop", 1, b"theirs");
    let promoted = repo.promote_key(&other_tenant(), None, &key("k1")).await;
    let _ = promoted.unwrap();
    let stored = repo.put(&other_tenant(), theirs.clone()).await.unwrap();
    assert_eq!(stored, CredentialPut::Stored);
    assert_eq!(get(repo, "shop").await, Some(version("shop", 2, b"v2")));
    let found = repo.get(&other_tenant(), &id("shop")).await.unwrap();
    assert_eq!(found, Some(theirs));
}

/// Its keys are its own, whatever those of others are. Guard: `CredentialGuard::TenantKeys`.
pub async fn another_tenant_has_keys_of_its_own(repo: &Repo, _: &ManualClock) {
    let _ = promote(repo, "", "k1").await;
    assert!(keys(repo, &other_tenant()).await.is_empty());
    let theirs = repo.put(&other_tenant(), version("shop", 1, b"x")).await;
    assert_eq!(theirs.unwrap(), CredentialPut::OtherKey { primary: None });
    let promoted = repo.promote_key(&other_tenant(), None, &key("k9")).await;
    assert_eq!(promoted.unwrap(), KeyPromoted::Promoted);
    assert_eq!(keys(repo, &tenant()).await, ["k1"]);
    let _ = promote(repo, "k1", "k2").await;
    let dropped = repo.drop_key(&other_tenant(), &key("k1")).await.unwrap();
    assert_eq!(dropped, KeyDropped::Unknown);
    assert_eq!(keys(repo, &tenant()).await, ["k2", "k1"]);
}

/// Nobody learns from there who used what. Guard: `CredentialGuard::TenantUses`.
pub async fn another_tenant_sees_and_records_no_use(repo: &Repo, _: &ManualClock) {
    with_versions(repo, "shop", 1).await;
    let test = CredentialUser::Test;
    let recorded = repo
        .record_use(&other_tenant(), &id("shop"), 1, &test)
        .await;
    assert_eq!(recorded.unwrap(), UseRecorded::Unknown);
    let recorded = repo.record_use(&tenant(), &id("shop"), 1, &test).await;
    assert_eq!(recorded.unwrap(), UseRecorded::Recorded);
    let theirs = repo.uses(&other_tenant(), &id("shop"), None, 10).await;
    assert_eq!(theirs.unwrap(), []);
}
