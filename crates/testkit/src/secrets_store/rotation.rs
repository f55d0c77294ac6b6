//! Rules of the key: it changes, and nothing else does.

use nebula_core::{KeyId, SecretString};
use nebula_ports::SecretsRotated;

use super::fixture::*;
use crate::ManualClock;

/// The keys before and after, and how many secrets there are.
async fn turn(store: &Store) -> (KeyId, KeyId, usize) {
    match rotated(store).await {
        SecretsRotated::Rotated { from, to, secrets } => (from, to, secrets),
        none @ SecretsRotated::NoNewerKey { .. } => panic!("{none:?}"),
    }
}

/// After a rotation another key is used. Guard: `SecretsGuard::RotateKey`.
pub async fn a_rotation_changes_the_key(store: &Store, _: &ManualClock) {
    let _ = set(store, "shop-key", "hunter2").await;
    let (from, to, _) = turn(store).await;
    assert_ne!(from, to);
}

/// No value changes, of no tenant. Guard: `SecretsGuard::RotateKeeps`.
pub async fn a_rotation_keeps_the_values_of_all_tenants(store: &Store, _: &ManualClock) {
    for name in ["a", "b"] {
        let _ = set(store, name, &format!("value of {name}")).await;
    }
    let value = SecretString::from("theirs");
    let _ = store.set(&other_tenant(), &id("a"), value).await.unwrap();
    for _ in 0..3 {
        let _ = turn(store).await;
    }
    for name in ["a", "b"] {
        assert_eq!(get(store, name).await, Some(format!("value of {name}")));
    }
    let theirs = get_of(store, &other_tenant(), "a").await;
    assert_eq!(theirs.as_deref(), Some("theirs"));
}

/// It says how much it encrypted anew. Guard: `SecretsGuard::RotateCounts`.
pub async fn a_rotation_counts_the_secrets(store: &Store, _: &ManualClock) {
    for name in ["a", "b"] {
        let _ = set(store, name, "x").await;
    }
    let value = SecretString::from("theirs");
    let _ = store.set(&other_tenant(), &id("a"), value).await.unwrap();
    assert_eq!(turn(store).await.2, 3);
}

/// The key before is the one that the last rotation gave. Guard: `SecretsGuard::RotateChain`.
pub async fn each_rotation_begins_where_the_last_one_ended(store: &Store, _: &ManualClock) {
    let _ = set(store, "shop-key", "hunter2").await;
    let (_, mut key, _) = turn(store).await;
    for _ in 0..3 {
        let (from, to, _) = turn(store).await;
        assert_eq!(from, key);
        key = to;
    }
}

/// There is something to rotate before there is a secret. Guard: `SecretsGuard::RotateEmpty`.
pub async fn an_empty_store_can_be_rotated(store: &Store, _: &ManualClock) {
    let (from, to, secrets) = turn(store).await;
    assert_ne!(from, to);
    assert_eq!(secrets, 0);
    let _ = set(store, "shop-key", "hunter2").await;
    assert_eq!(get(store, "shop-key").await.as_deref(), Some("hunter2"));
}

/// Writing goes on with the new key. Guard: `SecretsGuard::RotateWrites`.
pub async fn what_is_set_after_a_rotation_is_read(store: &Store, _: &ManualClock) {
    let _ = set(store, "a", "before").await;
    let _ = turn(store).await;
    let _ = set(store, "a", "after").await;
    let _ = set(store, "b", "after").await;
    for name in ["a", "b"] {
        assert_eq!(get(store, name).await.as_deref(), Some("after"));
    }
}

/// A rotation takes nothing from writers that meet it. Guard: `SecretsGuard::RotateAtOnce`.
pub async fn of_secrets_set_during_a_rotation_each_is_kept(store: &Store, _: &ManualClock) {
    let _ = set(store, "s0", "s0").await;
    let names: Vec<_> = (1..5).map(|number| format!("s{number}")).collect();
    let all = names.iter().map(|name| set(store, name, name));
    let all = futures_util::future::join_all(all);
    let _ = futures_util::future::join(turn(store), all).await;
    for name in ["s0"].into_iter().chain(names.iter().map(String::as_str)) {
        assert_eq!(get(store, name).await.as_deref(), Some(name));
    }
}
