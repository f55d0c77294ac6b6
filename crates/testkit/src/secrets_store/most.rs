//! How many secrets a tenant may have: one rule, since a store of them all takes its time.

use nebula_core::SecretString;
use nebula_ports::{ErrorKind, MAX_TENANT_SECRETS, SecretDeleted, SecretSet};

use super::fixture::*;
use crate::ManualClock;

/// The limit itself is allowed, what is there gets new values, what is deleted leaves room, and nobody's
/// secrets are counted on another. Guard: `SecretsGuard::Most`, `MostReplaces`, `MostOfTenant`.
pub async fn a_tenant_has_so_many_secrets_and_no_more(store: &Store, _: &ManualClock) {
    for number in 0..MAX_TENANT_SECRETS {
        assert_eq!(set(store, &format!("s{number}"), "x").await, SecretSet::New);
    }
    let (mine, more, value) = (tenant(), id("more"), SecretString::from("hunter2"));
    let error = store.set(&mine, &more, value.clone()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Full);
    assert!(!error.to_string().contains("hunter2"), "{error}");
    assert_eq!(get(store, "more").await, None);
    assert_eq!(set(store, "s7", "next").await, SecretSet::Replaced);
    assert_eq!(get(store, "s7").await.as_deref(), Some("next"));
    let theirs = store.set(&other_tenant(), &more, value.clone()).await;
    assert_eq!(theirs.unwrap(), SecretSet::New);
    assert_eq!(delete(store, "s7").await, SecretDeleted::Deleted);
    let room = store.set(&mine, &more, value).await;
    assert_eq!(room.unwrap(), SecretSet::New);
}
