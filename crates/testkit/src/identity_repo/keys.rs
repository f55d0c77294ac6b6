//! Rules of API keys.

use std::time::Duration;

use nebula_core::Clock;
use nebula_ports::{
    ApiKeyRecord, ErrorKind, KeyAdded, MAX_API_KEYS, MAX_IDENTITY_TEXT, MAX_KEY_PREFIX, MAX_SCOPES,
    PrincipalKey, RecordDeleted, StoredKey, USE_WRITTEN_EVERY,
};

use super::fixture::*;
use crate::ManualClock;

async fn stored(repo: &Repo, prefix: &str) -> StoredKey {
    repo.key(&tenant(), prefix).await.unwrap().unwrap()
}

/// Every part comes back. Guard: `IdentityGuard::KeyKeeps`.
pub async fn a_key_is_read_as_it_was_added(repo: &Repo, clock: &ManualClock) {
    with_people(repo, [1]).await;
    with_projects(repo, ["shop"]).await;
    let full = ApiKeyRecord {
        project: Some(project("shop")),
        scopes: Some(vec!["a:b".to_owned(), "a\"b".to_owned()]),
        expires_at: Some(clock.now().plus(Duration::from_hours(1))),
        ..key("full", 1)
    };
    let bare = ApiKeyRecord {
        scopes: None,
        ..key("bare", 1)
    };
    let none = ApiKeyRecord {
        scopes: Some(Vec::new()),
        ..key("none", 1)
    };
    for new in [full, bare, none] {
        clock.advance(Duration::from_secs(1));
        assert_eq!(add(repo, new.clone()).await, KeyAdded::Added);
        let expected = StoredKey {
            key: new.clone(),
            added_at: clock.now(),
            used_at: None,
            use_is_due: true,
            expired: false,
        };
        assert_eq!(stored(repo, &new.prefix).await, expected);
    }
    assert!(!has_key(repo, "Full").await);
}

/// Nobody has none. Guard: `IdentityGuard::KeyUnknown`.
pub async fn a_key_needs_its_principal_and_its_project(repo: &Repo, _: &ManualClock) {
    with_people(repo, [1]).await;
    let elsewhere = ApiKeyRecord {
        project: Some(project("shop")),
        ..key("b", 1)
    };
    for new in [key("a", 2), elsewhere] {
        let prefix = new.prefix.clone();
        assert_eq!(add(repo, new).await, KeyAdded::Unknown);
        assert!(!has_key(repo, &prefix).await);
    }
}

/// A key is never changed. Guard: `IdentityGuard::KeyTaken`.
pub async fn a_prefix_belongs_to_one_key(repo: &Repo, _: &ManualClock) {
    with_people(repo, [1, 2]).await;
    let _ = add(repo, key("a", 1)).await;
    let wider = ApiKeyRecord {
        scopes: None,
        ..key("a", 1)
    };
    for other in [key("a", 2), wider] {
        assert_eq!(add(repo, other).await, KeyAdded::Taken);
    }
    assert_eq!(stored(repo, "a").await.key, key("a", 1));
}

/// A retry after a lost reply is told from another key. Guard: `IdentityGuard::KeyRepeated`.
pub async fn an_addition_that_is_repeated_is_the_same(repo: &Repo, _: &ManualClock) {
    with_people(repo, [1]).await;
    let _ = add(repo, key("a", 1)).await;
    assert_eq!(add(repo, key("a", 1)).await, KeyAdded::Same);
}

/// The limits themselves are allowed. Guard: `IdentityGuard::KeySizes`.
pub async fn a_key_without_possible_texts_is_refused(repo: &Repo, _: &ManualClock) {
    with_people(repo, [1]).await;
    fn scopes(count: usize, bytes: usize) -> Option<Vec<String>> {
        Some(vec!["x".repeat(bytes); count])
    }
    let changes: [fn(&mut ApiKeyRecord); 7] = [
        |it| it.prefix.clear(),
        |it| it.prefix = "x".repeat(MAX_KEY_PREFIX + 1),
        |it| it.name.clear(),
        |it| it.name = "x".repeat(MAX_IDENTITY_TEXT + 1),
        |it| it.scopes = scopes(MAX_SCOPES + 1, 1),
        |it| it.scopes = scopes(1, MAX_SCOPES + 1),
        |it| it.scopes = scopes(1, 0),
    ];
    for change in changes {
        let mut new = key("a", 1);
        change(&mut new);
        let refused = repo.add_key(&tenant(), new).await.unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Invalid);
    }
    let largest = ApiKeyRecord {
        prefix: "x".repeat(MAX_KEY_PREFIX),
        name: "x".repeat(MAX_IDENTITY_TEXT),
        scopes: scopes(MAX_SCOPES, MAX_SCOPES),
        ..key("a", 1)
    };
    assert_eq!(add(repo, largest).await, KeyAdded::Added);
    assert_eq!(repo.keys(&tenant(), id(1)).await.unwrap().len(), 1);
}

/// From its time on. Guard: `IdentityGuard::KeyExpires`.
pub async fn a_key_is_over_by_the_time_of_the_store(repo: &Repo, clock: &ManualClock) {
    with_people(repo, [1]).await;
    let until = clock.now().plus(Duration::from_secs(10));
    let new = ApiKeyRecord {
        expires_at: Some(until),
        ..key("a", 1)
    };
    let _ = add(repo, new).await;
    clock.advance(Duration::from_millis(9_999));
    assert!(!stored(repo, "a").await.expired);
    clock.advance(Duration::from_millis(1));
    assert!(stored(repo, "a").await.expired);
    assert!(repo.keys(&tenant(), id(1)).await.unwrap()[0].expired);
}

/// With what either is alone. Guard: `IdentityGuard::KeyStands`.
pub async fn a_key_comes_with_its_principal(repo: &Repo, clock: &ManualClock) {
    with_people(repo, [1, 2]).await;
    for (prefix, of) in [("a", 1), ("b", 2)] {
        let over = clock.now().plus(Duration::from_secs(1));
        let new = ApiKeyRecord {
            expires_at: Some(over),
            ..key(prefix, of)
        };
        let _ = add(repo, new).await;
    }
    let check = async || {
        for (prefix, of) in [("a", 1), ("b", 2)] {
            let found = repo.key_and_standing(&tenant(), prefix).await.unwrap();
            let standing = repo.standing(&tenant(), PrincipalKey::Id(id(of))).await;
            let apart = (stored(repo, prefix).await, standing.unwrap().unwrap());
            assert_eq!(found.unwrap(), apart, "{prefix}");
        }
    };
    check().await;
    repo.key_used(&tenant(), "a").await.unwrap();
    clock.advance(Duration::from_secs(1));
    check().await;
    let none = repo.key_and_standing(&tenant(), "c").await;
    assert_eq!(none.unwrap(), None);
    let other = "other".parse().unwrap();
    assert_eq!(repo.key_and_standing(&other, "a").await.unwrap(), None);
}

/// By the store's clock. Guard: `IdentityGuard::KeyUsed`.
pub async fn a_use_of_a_key_is_noted(repo: &Repo, clock: &ManualClock) {
    with_people(repo, [1]).await;
    for prefix in ["a", "b"] {
        let _ = add(repo, key(prefix, 1)).await;
    }
    clock.advance(Duration::from_secs(5));
    repo.key_used(&tenant(), "a").await.unwrap();
    repo.key_used(&tenant(), "unknown").await.unwrap();
    assert_eq!(stored(repo, "a").await.used_at, Some(clock.now()));
    assert_eq!(stored(repo, "b").await.used_at, None);
    clock.advance(USE_WRITTEN_EVERY);
    repo.key_used(&tenant(), "a").await.unwrap();
    assert_eq!(stored(repo, "a").await.used_at, Some(clock.now()));
}

/// Not with every request. Guard: `IdentityGuard::KeySeldom`.
pub async fn uses_of_a_key_are_written_seldom(repo: &Repo, clock: &ManualClock) {
    with_people(repo, [1]).await;
    let _ = add(repo, key("a", 1)).await;
    repo.key_used(&tenant(), "a").await.unwrap();
    let first = clock.now();
    clock.advance(USE_WRITTEN_EVERY - Duration::from_millis(1));
    assert!(!stored(repo, "a").await.use_is_due);
    repo.key_used(&tenant(), "a").await.unwrap();
    assert_eq!(stored(repo, "a").await.used_at, Some(first));
    clock.advance(Duration::from_millis(1));
    assert!(stored(repo, "a").await.use_is_due);
}

/// It opens nothing, and its prefix is free. Guard: `IdentityGuard::KeyRemoves`.
pub async fn a_removed_key_is_gone(repo: &Repo, _: &ManualClock) {
    with_people(repo, [1]).await;
    let _ = add(repo, key("a", 1)).await;
    for expected in [RecordDeleted::Deleted, RecordDeleted::Unknown] {
        assert_eq!(repo.remove_key(&tenant(), "a").await.unwrap(), expected);
        assert!(!has_key(repo, "a").await);
    }
    assert_eq!(add(repo, key("a", 1)).await, KeyAdded::Added);
}

/// And of nobody else. Guard: `IdentityGuard::KeyLists`.
pub async fn keys_are_those_of_one_principal_by_prefix(repo: &Repo, _: &ManualClock) {
    with_people(repo, [1, 2]).await;
    for (prefix, number) in [("c", 1), ("a", 2), ("b", 1)] {
        let _ = add(repo, key(prefix, number)).await;
    }
    let listed = repo.keys(&tenant(), id(1)).await.unwrap();
    let listed: Vec<_> = listed.into_iter().map(|it| it.key).collect();
    assert_eq!(listed, [key("b", 1), key("c", 1)]);
}

/// The limit itself is allowed. Guard: `IdentityGuard::KeyLimit`.
pub async fn more_keys_than_the_limit_are_refused(repo: &Repo, _: &ManualClock) {
    with_people(repo, [1, 2]).await;
    for number in 1..=MAX_API_KEYS {
        let added = add(repo, key(&format!("k{number}"), 1)).await;
        assert_eq!(added, KeyAdded::Added);
    }
    let refused = repo.add_key(&tenant(), key("more", 1)).await;
    assert_eq!(refused.unwrap_err().kind, ErrorKind::Full);
    assert_eq!(add(repo, key("theirs", 2)).await, KeyAdded::Added);
    let _ = repo.remove_key(&tenant(), "k1").await.unwrap();
    assert_eq!(add(repo, key("more", 1)).await, KeyAdded::Added);
}
