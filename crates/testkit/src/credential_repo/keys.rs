//! Rules of master keys: which one is primary, which ones are in use.

use nebula_ports::{
    CredentialPut, CredentialRewrapped, ErrorKind, KeyDropped, KeyPromoted, MAX_CREDENTIAL_KEYS,
};

use super::{fixture::*, keep::under};
use crate::ManualClock;

/// A writer who still has the key before learns so. Guard: `CredentialGuard::PutKey`.
pub async fn a_put_under_another_key_changes_nothing(repo: &Repo, _: &ManualClock) {
    let refused = repo.put(&tenant(), version("shop", 1, b"x")).await.unwrap();
    assert_eq!(refused, CredentialPut::OtherKey { primary: None });
    with_versions(repo, "shop", 1).await;
    let _ = promote(repo, "k1", "k2").await;
    let refused = put(repo, version("shop", 2, b"v2")).await;
    let primary = Some(key("k2"));
    assert_eq!(refused, CredentialPut::OtherKey { primary });
    assert_eq!(get(repo, "shop").await, Some(version("shop", 1, b"v1")));
    // What was put before is still known.
    let again = put(repo, version("shop", 1, b"v1")).await;
    assert_eq!(again, CredentialPut::Same);
    let new = under("k2", version("shop", 2, b"v2"));
    assert_eq!(put(repo, new.clone()).await, CredentialPut::Stored);
    assert_eq!(get(repo, "shop").await, Some(new));
}

/// Nothing goes back to a key that is to go. Guard: `CredentialGuard::RewrapPrimary`.
pub async fn a_rewrap_to_another_key_changes_nothing(repo: &Repo, _: &ManualClock) {
    with_versions(repo, "shop", 1).await;
    let _ = promote(repo, "k1", "k2").await;
    for other in ["k1", "k3"] {
        let new = under(other, version("shop", 1, b"anew"));
        let refused = repo.rewrap(&tenant(), &key("k1"), new).await.unwrap();
        let primary = Some(key("k2"));
        assert_eq!(refused, CredentialRewrapped::OtherKey { primary });
    }
    assert_eq!(get(repo, "shop").await, Some(version("shop", 1, b"v1")));
}

/// The first one is primary. Guard: `CredentialGuard::KeyOrder`.
pub async fn keys_are_listed_newest_first(repo: &Repo, _: &ManualClock) {
    assert!(keys(repo, &tenant()).await.is_empty());
    for (from, to) in [("", "k1"), ("k1", "k3"), ("k3", "k2")] {
        assert_eq!(promote(repo, from, to).await, KeyPromoted::Promoted);
    }
    assert_eq!(keys(repo, &tenant()).await, ["k2", "k3", "k1"]);
}

/// Who saw another primary key changes nothing. Guard: `CredentialGuard::PromoteFrom`.
pub async fn a_promotion_from_another_key_changes_nothing(repo: &Repo, _: &ManualClock) {
    let changed = promote(repo, "k1", "k2").await;
    assert_eq!(changed, KeyPromoted::Changed { primary: None });
    let _ = promote(repo, "", "k1").await;
    let primary = || Some(key("k1"));
    for from in ["", "k3"] {
        let changed = promote(repo, from, "k2").await;
        assert_eq!(changed, KeyPromoted::Changed { primary: primary() });
    }
    assert_eq!(keys(repo, &tenant()).await, ["k1"]);
}

/// Of several first keys one is primary. Guard: `CredentialGuard::PromoteAtOnce`.
pub async fn of_promotions_at_once_one_wins(repo: &Repo, _: &ManualClock) {
    let names = ["k1", "k2", "k3", "k4"];
    let all = names.map(|name| promote(repo, "", name));
    let answers = futures_util::future::join_all(all).await;
    let promoted = answers.iter().filter(|it| **it == KeyPromoted::Promoted);
    assert_eq!(promoted.count(), 1, "{answers:?}");
    assert_eq!(keys(repo, &tenant()).await.len(), 1);
}

/// A retry after a lost reply is told from a change. Guard: `CredentialGuard::PromoteRepeated`.
pub async fn a_promotion_that_is_repeated_is_the_same(repo: &Repo, _: &ManualClock) {
    for (from, to) in [("", "k1"), ("k1", "k2")] {
        let _ = promote(repo, from, to).await;
        assert_eq!(promote(repo, from, to).await, KeyPromoted::Same);
    }
    assert_eq!(keys(repo, &tenant()).await, ["k2", "k1"]);
}

/// So what is under it gets less, and never more. Guard: `CredentialGuard::PromoteOlder`.
pub async fn an_older_key_is_never_primary_again(repo: &Repo, _: &ManualClock) {
    let _ = promote(repo, "", "k1").await;
    let _ = promote(repo, "k1", "k2").await;
    let refused = repo
        .promote_key(&tenant(), Some(&key("k2")), &key("k1"))
        .await;
    assert_eq!(refused.unwrap_err().kind, ErrorKind::Invalid);
    assert_eq!(keys(repo, &tenant()).await, ["k2", "k1"]);
}

/// The limit itself is allowed. Guard: `CredentialGuard::KeyLimit`.
pub async fn more_keys_than_the_limit_are_refused(repo: &Repo, _: &ManualClock) {
    let mut last = String::new();
    for number in 1..=MAX_CREDENTIAL_KEYS {
        let next = format!("k{number}");
        assert_eq!(promote(repo, &last, &next).await, KeyPromoted::Promoted);
        last = next;
    }
    let from = key(&last);
    let refused = repo.promote_key(&tenant(), Some(&from), &key("more")).await;
    assert_eq!(refused.unwrap_err().kind, ErrorKind::Full);
    assert_eq!(keys(repo, &tenant()).await.len(), MAX_CREDENTIAL_KEYS);
    // Where one went, there is room.
    assert_eq!(drop_key(repo, "k1").await, KeyDropped::Dropped);
    assert_eq!(promote(repo, &last, "more").await, KeyPromoted::Promoted);
}

/// Without it nothing could be put. Guard: `CredentialGuard::DropPrimary`.
pub async fn the_primary_key_is_not_dropped(repo: &Repo, _: &ManualClock) {
    let _ = promote(repo, "", "k1").await;
    let _ = promote(repo, "k1", "k2").await;
    assert_eq!(drop_key(repo, "k2").await, KeyDropped::InUse);
    assert_eq!(keys(repo, &tenant()).await, ["k2", "k1"]);
}

/// What is encrypted with it would be lost. Guard: `CredentialGuard::DropUsed`.
pub async fn a_key_in_use_is_not_dropped(repo: &Repo, _: &ManualClock) {
    for name in ["a", "b"] {
        with_versions(repo, name, 1).await;
    }
    let _ = promote(repo, "k1", "k2").await;
    for name in ["a", "b"] {
        assert_eq!(drop_key(repo, "k1").await, KeyDropped::InUse);
        let new = under("k2", version(name, 1, b"anew"));
        let done = repo.rewrap(&tenant(), &key("k1"), new).await.unwrap();
        assert_eq!(done, CredentialRewrapped::Rewrapped);
    }
    assert_eq!(drop_key(repo, "k1").await, KeyDropped::Dropped);
}

/// Nothing of it can be read any more. Guard: `CredentialGuard::DropDeleted`.
pub async fn a_deleted_credential_uses_no_key(repo: &Repo, _: &ManualClock) {
    with_versions(repo, "shop", 1).await;
    let _ = promote(repo, "k1", "k2").await;
    let _ = repo.delete(&tenant(), &id("shop")).await.unwrap();
    assert_eq!(drop_key(repo, "k1").await, KeyDropped::Dropped);
}

/// Nothing names it any more. Guard: `CredentialGuard::Drops`.
pub async fn a_dropped_key_is_gone(repo: &Repo, _: &ManualClock) {
    for (from, to) in [("", "k1"), ("k1", "k2"), ("k2", "k3")] {
        let _ = promote(repo, from, to).await;
    }
    assert_eq!(drop_key(repo, "k2").await, KeyDropped::Dropped);
    assert_eq!(keys(repo, &tenant()).await, ["k3", "k1"]);
}

/// Whoever drops learns whether it was there. Guard: `CredentialGuard::DropTells`.
pub async fn dropping_says_whether_there_was_a_key(repo: &Repo, _: &ManualClock) {
    assert_eq!(drop_key(repo, "k1").await, KeyDropped::Unknown);
    let _ = promote(repo, "", "k1").await;
    let _ = promote(repo, "k1", "k2").await;
    assert_eq!(drop_key(repo, "k1").await, KeyDropped::Dropped);
    assert_eq!(drop_key(repo, "k1").await, KeyDropped::Unknown);
}
