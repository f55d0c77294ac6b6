//! Rules of tenants: each sees its own.

use nebula_core::SecretString;
use nebula_ports::{SecretDeleted, SecretSet};

use super::fixture::*;
use crate::ManualClock;

/// A secret is read under its own tenant's name only. Guard: `SecretsGuard::TenantReads`.
pub async fn another_tenant_reads_no_secret(store: &Store, _: &ManualClock) {
    let _ = set(store, "shop-key", "hunter2").await;
    assert_eq!(get_of(store, &other_tenant(), "shop-key").await, None);
}

/// Not even its id is seen. Guard: `SecretsGuard::TenantLists`.
pub async fn another_tenant_lists_no_secret(store: &Store, _: &ManualClock) {
    let _ = set(store, "shop-key", "hunter2").await;
    assert!(ids(store, &other_tenant()).await.is_empty());
}

/// It cannot be deleted from there. Guard: `SecretsGuard::TenantDeletes`.
pub async fn another_tenant_deletes_no_secret(store: &Store, _: &ManualClock) {
    let _ = set(store, "shop-key", "hunter2").await;
    let deleted = store.delete(&other_tenant(), &id("shop-key")).await;
    assert_eq!(deleted.unwrap(), SecretDeleted::Unknown);
    assert_eq!(get(store, "shop-key").await.as_deref(), Some("hunter2"));
}

/// The same id elsewhere is another secret. Guard: `SecretsGuard::TenantWrites`.
pub async fn one_id_in_two_tenants_is_two_secrets(store: &Store, _: &ManualClock) {
    let _ = set(store, "shop-key", "hunter2").await;
    let value = SecretString::from("theirs");
    let theirs = store.set(&other_tenant(), &id("shop-key"), value).await;
    assert_eq!(theirs.unwrap(), SecretSet::New);
    assert_eq!(get(store, "shop-key").await.as_deref(), Some("hunter2"));
    let theirs = get_of(store, &other_tenant(), "shop-key").await;
    assert_eq!(theirs.as_deref(), Some("theirs"));
}
