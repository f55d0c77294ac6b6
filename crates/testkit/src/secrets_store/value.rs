//! Rules of single secrets: what is kept, replaced, deleted, refused.

use nebula_core::SecretString;
use nebula_ports::{ErrorKind, MAX_SECRET_BYTES, SecretDeleted, SecretSet};

use super::fixture::*;
use crate::ManualClock;

/// What was set is read. Guard: `SecretsGuard::Keeps`.
pub async fn a_secret_is_read_as_it_was_set(store: &Store, _: &ManualClock) {
    let _ = set(store, "shop-key", "hunter2").await;
    assert_eq!(get(store, "shop-key").await.as_deref(), Some("hunter2"));
}

/// What was never set is not there, and that is no error. Guard: `SecretsGuard::UnknownIsNone`.
pub async fn an_unknown_secret_is_none(store: &Store, _: &ManualClock) {
    assert_eq!(get(store, "shop-key").await, None);
    let _ = set(store, "shop-key", "hunter2").await;
    assert_eq!(get(store, "shop").await, None);
}

/// Spaces, line ends, NUL and characters of any plane belong to a value. Guard: `SecretsGuard::Exact`.
pub async fn text_of_any_kind_comes_back_byte_for_byte(store: &Store, _: &ManualClock) {
    let values = [
        " padded ",
        "line\r\nline\n",
        "\0\u{1}\u{7f}",
        "ключ 🗝 ",
        "\\\"{}",
    ];
    for (number, value) in values.into_iter().enumerate() {
        let _ = set(store, &format!("s{number}"), value).await;
    }
    for (number, value) in values.into_iter().enumerate() {
        let found = get(store, &format!("s{number}")).await;
        assert_eq!(found.as_deref(), Some(value), "value {number}");
    }
}

/// The last value counts. Guard: `SecretsGuard::Replaces`.
pub async fn a_second_value_replaces_the_first(store: &Store, _: &ManualClock) {
    for value in ["first", "second, which is longer", "3"] {
        let _ = set(store, "shop-key", value).await;
        assert_eq!(get(store, "shop-key").await.as_deref(), Some(value));
    }
    assert_eq!(ids(store, &tenant()).await, ["shop-key"]);
}

/// Whoever sets a secret learns whether there was one. Guard: `SecretsGuard::SetTells`.
pub async fn a_set_says_whether_the_secret_is_new(store: &Store, _: &ManualClock) {
    assert_eq!(set(store, "shop-key", "a").await, SecretSet::New);
    assert_eq!(set(store, "shop-key", "b").await, SecretSet::Replaced);
    assert_eq!(set(store, "other-key", "b").await, SecretSet::New);
}

/// Ids that begin alike, or differ in case, are different secrets. Guard: `SecretsGuard::WholeId`.
pub async fn one_secret_says_nothing_of_another(store: &Store, _: &ManualClock) {
    for name in ["key", "key2", "Key", "key.2"] {
        let _ = set(store, name, &format!("value of {name}")).await;
    }
    let _ = delete(store, "key").await;
    for name in ["key2", "Key", "key.2"] {
        assert_eq!(get(store, name).await, Some(format!("value of {name}")));
    }
}

/// What was deleted cannot be read. Guard: `SecretsGuard::Deletes`.
pub async fn a_deleted_secret_is_gone(store: &Store, _: &ManualClock) {
    let _ = set(store, "shop-key", "hunter2").await;
    let _ = delete(store, "shop-key").await;
    assert_eq!(get(store, "shop-key").await, None);
}

/// Whoever deletes learns whether there was one. Guard: `SecretsGuard::DeleteTells`.
pub async fn deleting_says_whether_there_was_one(store: &Store, _: &ManualClock) {
    assert_eq!(delete(store, "shop-key").await, SecretDeleted::Unknown);
    let _ = set(store, "shop-key", "hunter2").await;
    assert_eq!(delete(store, "shop-key").await, SecretDeleted::Deleted);
    assert_eq!(delete(store, "shop-key").await, SecretDeleted::Unknown);
}

/// Nothing remains of a deleted secret. Guard: `SecretsGuard::Forgets`.
pub async fn a_secret_that_was_deleted_is_new_again(store: &Store, _: &ManualClock) {
    let _ = set(store, "shop-key", "old").await;
    let _ = delete(store, "shop-key").await;
    assert_eq!(set(store, "shop-key", "new").await, SecretSet::New);
    assert_eq!(get(store, "shop-key").await.as_deref(), Some("new"));
}

/// The limit itself is allowed. Guard: `SecretsGuard::Largest`.
pub async fn a_secret_of_the_largest_size_is_kept(store: &Store, _: &ManualClock) {
    let value = "x".repeat(MAX_SECRET_BYTES);
    let _ = set(store, "large", &value).await;
    assert_eq!(get(store, "large").await, Some(value));
}

/// One byte more is refused, and the value before stays. Guard: `SecretsGuard::MaxSize`.
pub async fn a_secret_that_is_too_large_changes_nothing(store: &Store, _: &ManualClock) {
    let _ = set(store, "large", "small").await;
    let value = SecretString::from("x".repeat(MAX_SECRET_BYTES + 1));
    let refused = store.set(&tenant(), &id("large"), value).await;
    assert_eq!(refused.unwrap_err().kind, ErrorKind::Invalid);
    assert_eq!(get(store, "large").await.as_deref(), Some("small"));
}

/// An empty value is a mistake of the one who sets it. Guard: `SecretsGuard::Empty`.
pub async fn an_empty_secret_changes_nothing(store: &Store, _: &ManualClock) {
    let _ = set(store, "shop-key", "hunter2").await;
    for name in ["shop-key", "other-key"] {
        let refused = store
            .set(&tenant(), &id(name), SecretString::from(""))
            .await;
        assert_eq!(refused.unwrap_err().kind, ErrorKind::Invalid);
    }
    assert_eq!(get(store, "shop-key").await.as_deref(), Some("hunter2"));
    assert_eq!(ids(store, &tenant()).await, ["shop-key"]);
}

/// A store that is logged tells nothing. Guard: `SecretsGuard::Debug`.
pub async fn no_value_shows_in_a_debug_text(store: &Store, _: &ManualClock) {
    let _ = set(store, "shop-key", "hunter2").await;
    let found = store.get(&tenant(), &id("shop-key")).await.unwrap();
    for shown in [
        format!("{store:?}"),
        format!("{store:#?}"),
        format!("{found:?}"),
    ] {
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

/// A refusal says how large the value was, not what. Guard: `SecretsGuard::ErrorText`.
pub async fn no_value_shows_in_an_error(store: &Store, _: &ManualClock) {
    let value = "hunter2-".repeat(MAX_SECRET_BYTES / 8 + 1);
    let value = SecretString::from(value);
    let refused = store.set(&tenant(), &id("large"), value).await;
    let error = refused.unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(
        shown.contains(&MAX_SECRET_BYTES.to_string()),
        "it names the limit: {shown}"
    );
}

/// Writers that meet take nothing from each other. Guard: `SecretsGuard::AtOnce`.
pub async fn of_secrets_set_at_once_each_is_kept(store: &Store, _: &ManualClock) {
    let names: Vec<_> = (10..18).map(|number| format!("s{number}")).collect();
    let all = names.iter().map(|name| set(store, name, name));
    let _ = futures_util::future::join_all(all).await;
    assert_eq!(ids(store, &tenant()).await, names);
    for name in &names {
        assert_eq!(get(store, name).await.as_ref(), Some(name));
    }
}
