//! What the rules begin with: tenants, ids, values.

use std::sync::Arc;

use nebula_core::{ExposeSecret as _, SecretId, SecretString, TenantId};
use nebula_ports::{SecretDeleted, SecretSet, SecretsRotated, SecretsStore};

pub(super) type Store = Arc<dyn SecretsStore>;

pub(super) fn tenant() -> TenantId {
    TenantId::local()
}

pub(super) fn other_tenant() -> TenantId {
    TenantId::new("other").unwrap()
}

pub(super) fn id(text: &str) -> SecretId {
    SecretId::new(text).unwrap()
}

pub(super) async fn set(store: &Store, name: &str, value: &str) -> SecretSet {
    let value = SecretString::from(value);
    store.set(&tenant(), &id(name), value).await.unwrap()
}

pub(super) async fn get(store: &Store, name: &str) -> Option<String> {
    get_of(store, &tenant(), name).await
}

pub(super) async fn get_of(store: &Store, tenant: &TenantId, name: &str) -> Option<String> {
    let found = store.get(tenant, &id(name)).await.unwrap();
    found.map(|value| value.expose_secret().to_owned())
}

pub(super) async fn delete(store: &Store, name: &str) -> SecretDeleted {
    store.delete(&tenant(), &id(name)).await.unwrap()
}

/// All ids of a tenant.
pub(super) async fn ids(store: &Store, tenant: &TenantId) -> Vec<String> {
    let found = store.list(tenant, None, 1_000).await.unwrap();
    found.iter().map(ToString::to_string).collect()
}

pub(super) async fn rotated(store: &Store) -> SecretsRotated {
    store.rotate().await.unwrap()
}
