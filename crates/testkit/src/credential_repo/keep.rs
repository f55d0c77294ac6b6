//! Rules of versions: put, replaced, encrypted anew, deleted, listed.

use std::time::Duration;

use nebula_core::Clock as _;
use nebula_ports::{
    CredentialDeleted, CredentialPut, CredentialRewrapped, CredentialVersion, ErrorKind,
    MAX_CREDENTIAL_KIND, MAX_ENVELOPE_BYTES,
};

use super::fixture::*;
use crate::ManualClock;

/// Every part is read as it was put. Guard: `CredentialGuard::Keeps`.
pub async fn a_credential_is_read_as_it_was_put(repo: &Repo, _: &ManualClock) {
    let new = version("shop", 1, b"\0\xff envelope");
    let _ = put(repo, new.clone()).await;
    assert_eq!(get(repo, "shop").await, Some(new));
}

/// What is not there is none. Guard: `CredentialGuard::UnknownIsNone`.
pub async fn an_unknown_credential_is_none(repo: &Repo, _: &ManualClock) {
    assert_eq!(get(repo, "shop").await, None);
}

/// Versions begin at 1. Guard: `CredentialGuard::FirstVersion`.
pub async fn the_first_version_is_one(repo: &Repo, _: &ManualClock) {
    for number in [0, 2, 7] {
        let refused = put(repo, version("shop", number, b"x")).await;
        assert_eq!(refused, CredentialPut::Conflict { version: 0 });
    }
    assert_eq!(get(repo, "shop").await, None);
    let first = put(repo, version("shop", 1, b"x")).await;
    assert_eq!(first, CredentialPut::Stored);
}

/// The newest version is the credential. Guard: `CredentialGuard::Replaces`.
pub async fn the_next_version_takes_the_place_of_the_last(repo: &Repo, _: &ManualClock) {
    with_versions(repo, "shop", 3).await;
    assert_eq!(get(repo, "shop").await, Some(version("shop", 3, b"v3")));
}

/// Who read an older version overwrites nothing. Guard: `CredentialGuard::NextVersion`.
pub async fn a_version_that_is_not_the_next_changes_nothing(repo: &Repo, _: &ManualClock) {
    with_versions(repo, "shop", 3).await;
    for number in [1, 2, 3, 5] {
        let refused = put(repo, version("shop", number, b"late")).await;
        assert_eq!(refused, CredentialPut::Conflict { version: 3 }, "{number}");
    }
    assert_eq!(get(repo, "shop").await, Some(version("shop", 3, b"v3")));
}

/// A retry after a lost reply is told from a conflict. Guard: `CredentialGuard::Repeated`.
pub async fn a_put_that_is_repeated_is_the_same(repo: &Repo, _: &ManualClock) {
    with_versions(repo, "shop", 2).await;
    let again = put(repo, version("shop", 2, b"v2")).await;
    assert_eq!(again, CredentialPut::Same);
    assert_eq!(get(repo, "shop").await, Some(version("shop", 2, b"v2")));
}

/// Of several next versions one is stored. Guard: `CredentialGuard::PutAtOnce`.
pub async fn of_puts_at_once_one_wins(repo: &Repo, _: &ManualClock) {
    with_versions(repo, "shop", 1).await;
    let all = (0..4_u8).map(|number| put(repo, version("shop", 2, &[number])));
    let answers = futures_util::future::join_all(all).await;
    let stored = answers.iter().filter(|it| **it == CredentialPut::Stored);
    assert_eq!(stored.count(), 1, "{answers:?}");
    assert_eq!(get(repo, "shop").await.unwrap().version, 2);
}

/// The limit itself is allowed. Guard: `CredentialGuard::Largest`.
pub async fn an_envelope_of_the_largest_size_is_kept(repo: &Repo, _: &ManualClock) {
    let new = version("shop", 1, &vec![7; MAX_ENVELOPE_BYTES]);
    let _ = put(repo, new.clone()).await;
    assert_eq!(get(repo, "shop").await, Some(new));
}

/// Nothing, and more than the limit, are refused. Guard: `CredentialGuard::Size`.
pub async fn an_envelope_without_a_possible_size_changes_nothing(repo: &Repo, _: &ManualClock) {
    let kind = |kind: String| CredentialVersion {
        kind,
        ..version("shop", 1, b"x")
    };
    for wrong in [
        version("shop", 1, b""),
        version("shop", 1, &vec![7; MAX_ENVELOPE_BYTES + 1]),
        kind(String::new()),
        kind("x".repeat(MAX_CREDENTIAL_KIND + 1)),
    ] {
        let refused = repo.put(&tenant(), wrong.clone()).await.unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Invalid);
        let refused = repo.rewrap(&tenant(), &key("k1"), wrong).await.unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Invalid);
    }
    assert_eq!(get(repo, "shop").await, None);
}

/// A version has the time at which it was put. Guard: `CredentialGuard::StoreTime`.
pub async fn a_listing_has_the_time_of_the_store(repo: &Repo, clock: &ManualClock) {
    for number in 1..=2 {
        clock.advance(Duration::from_secs(60));
        let _ = put(repo, version("shop", number, b"x")).await;
        let listed = repo.list(&tenant(), None, 10).await.unwrap();
        assert_eq!((listed[0].version, listed[0].put_at), (number, clock.now()));
    }
}

pub(super) fn under(name: &str, new: CredentialVersion) -> CredentialVersion {
    CredentialVersion {
        key: key(name),
        ..new
    }
}

/// Another master key is no other version. Guard: `CredentialGuard::Rewraps`.
pub async fn a_rewrap_changes_key_and_envelope_alone(repo: &Repo, _: &ManualClock) {
    with_versions(repo, "shop", 2).await;
    let _ = promote(repo, "k1", "k2").await;
    let new = under("k2", version("shop", 2, b"anew"));
    let done = repo.rewrap(&tenant(), &key("k1"), new.clone()).await;
    assert_eq!(done.unwrap(), CredentialRewrapped::Rewrapped);
    assert_eq!(get(repo, "shop").await, Some(new));
    let listed = repo.list(&tenant(), None, 10).await.unwrap();
    assert_eq!(listed[0].key, key("k2"));
}

/// It takes the place of what it was made from only. Guard: `CredentialGuard::RewrapKey`.
pub async fn a_rewrap_from_another_key_changes_nothing(repo: &Repo, _: &ManualClock) {
    with_versions(repo, "shop", 1).await;
    let _ = promote(repo, "k1", "k3").await;
    let new = under("k3", version("shop", 1, b"anew"));
    let refused = repo.rewrap(&tenant(), &key("k2"), new).await.unwrap();
    assert_eq!(refused, CredentialRewrapped::Changed);
    assert_eq!(get(repo, "shop").await, Some(version("shop", 1, b"v1")));
}

/// It never brings an older version back. Guard: `CredentialGuard::RewrapVersion`.
pub async fn a_rewrap_of_another_version_changes_nothing(repo: &Repo, _: &ManualClock) {
    with_versions(repo, "shop", 2).await;
    let _ = promote(repo, "k1", "k2").await;
    for number in [1, 3] {
        let new = under("k2", version("shop", number, b"anew"));
        let refused = repo.rewrap(&tenant(), &key("k1"), new).await.unwrap();
        assert_eq!(refused, CredentialRewrapped::Changed);
    }
    assert_eq!(get(repo, "shop").await, Some(version("shop", 2, b"v2")));
}

/// It makes no credential. Guard: `CredentialGuard::RewrapUnknown`.
pub async fn a_rewrap_needs_its_credential(repo: &Repo, _: &ManualClock) {
    let new = under("k2", version("shop", 1, b"anew"));
    let refused = repo.rewrap(&tenant(), &key("k1"), new.clone()).await;
    assert_eq!(refused.unwrap(), CredentialRewrapped::Unknown);
    assert_eq!(get(repo, "shop").await, None);
    with_versions(repo, "shop", 1).await;
    let _ = repo.delete(&tenant(), &id("shop")).await.unwrap();
    let _ = promote(repo, "k1", "k2").await;
    let refused = repo.rewrap(&tenant(), &key("k1"), new).await.unwrap();
    assert_eq!(refused, CredentialRewrapped::Unknown);
    assert_eq!(get(repo, "shop").await, None);
}

/// Nothing can be read any more. Guard: `CredentialGuard::Deletes`.
pub async fn a_deleted_credential_is_gone(repo: &Repo, _: &ManualClock) {
    with_versions(repo, "shop", 2).await;
    let _ = repo.delete(&tenant(), &id("shop")).await.unwrap();
    assert_eq!(get(repo, "shop").await, None);
}

/// Whoever deletes learns whether there was one. Guard: `CredentialGuard::DeleteTells`.
pub async fn deleting_says_whether_there_was_a_credential(repo: &Repo, _: &ManualClock) {
    let delete = async || repo.delete(&tenant(), &id("shop")).await.unwrap();
    assert_eq!(delete().await, CredentialDeleted::Unknown);
    with_versions(repo, "shop", 1).await;
    assert_eq!(delete().await, CredentialDeleted::Deleted);
    assert_eq!(delete().await, CredentialDeleted::Unknown);
}

/// Nobody takes one for another of before. Guard: `CredentialGuard::VersionsGoOn`.
pub async fn versions_go_on_after_a_deletion(repo: &Repo, _: &ManualClock) {
    with_versions(repo, "shop", 2).await;
    let _ = repo.delete(&tenant(), &id("shop")).await.unwrap();
    for number in [1, 2] {
        let refused = put(repo, version("shop", number, b"v2")).await;
        assert!(matches!(refused, CredentialPut::Conflict { version: 2.. }));
    }
    let stored = put(repo, version("shop", 4, b"v4")).await;
    assert_eq!(stored, CredentialPut::Stored);
    assert_eq!(get(repo, "shop").await.unwrap().version, 4);
}

/// Who read a version before the deletion, a refresh for one, brings nothing back. Guard: `CredentialGuard::DeletionCounts`.
pub async fn a_deletion_takes_a_number(repo: &Repo, _: &ManualClock) {
    with_versions(repo, "shop", 2).await;
    for _ in 0..2 {
        let _ = repo.delete(&tenant(), &id("shop")).await.unwrap();
    }
    let refused = put(repo, version("shop", 3, b"refreshed")).await;
    assert_eq!(refused, CredentialPut::Conflict { version: 3 });
    assert_eq!(get(repo, "shop").await, None);
}

/// In ascending order. Guard: `CredentialGuard::ListOrder`.
pub async fn credentials_are_listed_by_id(repo: &Repo, _: &ManualClock) {
    for name in ["b", "a", "c.d", "B"] {
        with_versions(repo, name, 1).await;
    }
    assert_eq!(ids(repo, &tenant()).await, ["B", "a", "b", "c.d"]);
}

/// Each page goes on after the last id, within its limit. Guard: `CredentialGuard::ListPages`.
pub async fn pages_of_credentials_join(repo: &Repo, _: &ManualClock) {
    for number in 0..5 {
        with_versions(repo, &format!("c{number}"), 1).await;
    }
    let mut joined = Vec::new();
    for _ in 0..5 {
        let after = joined.last().map(|last: &String| id(last));
        let page = repo.list(&tenant(), after.as_ref(), 2).await.unwrap();
        assert!(page.len() <= 2);
        joined.extend(page.iter().map(|it| it.id.to_string()));
    }
    assert_eq!(joined, ids(repo, &tenant()).await);
}

/// What is gone is not listed. Guard: `CredentialGuard::ListDeleted`.
pub async fn a_deleted_credential_leaves_the_listing(repo: &Repo, _: &ManualClock) {
    for name in ["a", "b"] {
        with_versions(repo, name, 1).await;
    }
    let _ = repo.delete(&tenant(), &id("a")).await.unwrap();
    assert_eq!(ids(repo, &tenant()).await, ["b"]);
}
