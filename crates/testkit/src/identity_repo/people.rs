//! Rules of persons and service accounts.

use std::time::Duration;

use futures_util::future::join_all;
use nebula_core::Clock;
use nebula_ports::{
    ErrorKind, MAX_IDENTITY_TEXT, MAX_PASSWORD_HASH, MAX_PRINCIPALS, PasswordHash, PrincipalKey,
    PrincipalKind, PrincipalRecord, RecordDeleted, RecordPut, Role,
};

use super::fixture::*;
use crate::ManualClock;

/// Every part comes back. Guard: `IdentityGuard::Keeps`.
pub async fn a_principal_is_read_as_it_was_put(repo: &Repo, _: &ManualClock) {
    let full = PrincipalRecord {
        login: "Änne@example".to_owned(),
        name: "Änne Ö.".to_owned(),
        subject: Some("https://id.example 17".to_owned()),
        disabled: true,
        ..person(1, 1)
    };
    let bare = PrincipalRecord {
        name: String::new(),
        ..service(2)
    };
    for new in [full, bare] {
        assert_eq!(put(repo, new.clone()).await, RecordPut::Stored);
        let found = repo.standing(&tenant(), PrincipalKey::Id(new.id)).await;
        let found = found.unwrap().unwrap();
        assert_eq!((found.principal, found.memberships), (new, Vec::new()));
    }
}

/// None is no error. Guard: `IdentityGuard::UnknownIsNone`.
pub async fn an_unknown_principal_is_none(repo: &Repo, _: &ManualClock) {
    let keys = [
        PrincipalKey::Id(id(1)),
        PrincipalKey::Login("user1"),
        PrincipalKey::Subject("17"),
    ];
    for key in keys {
        assert_eq!(repo.standing(&tenant(), key).await.unwrap(), None);
    }
}

/// The newest one counts. Guard: `IdentityGuard::Replaces`.
pub async fn the_next_version_takes_the_place_of_the_last(repo: &Repo, _: &ManualClock) {
    with_people(repo, [1]).await;
    let next = PrincipalRecord {
        name: "another".to_owned(),
        password: None,
        ..person(1, 2)
    };
    assert_eq!(put(repo, next.clone()).await, RecordPut::Stored);
    assert_eq!(record(repo, 1).await, Some(next));
}

/// Who saw an older one overwrites nothing. Guard: `IdentityGuard::NextVersion`.
pub async fn a_version_that_is_not_the_next_changes_nothing(repo: &Repo, _: &ManualClock) {
    let early = put(repo, person(1, 2)).await;
    assert_eq!(early, RecordPut::Conflict { version: 0 });
    with_people(repo, [1]).await;
    for version in [0, 3] {
        let refused = put(repo, person(1, version)).await;
        assert_eq!(refused, RecordPut::Conflict { version: 1 });
    }
    let other = PrincipalRecord {
        name: "another".to_owned(),
        ..person(1, 1)
    };
    let refused = put(repo, other).await;
    assert_eq!(refused, RecordPut::Conflict { version: 1 });
    assert_eq!(record(repo, 1).await, Some(person(1, 1)));
}

/// A retry after a lost reply is told from a conflict. Guard: `IdentityGuard::Repeated`.
pub async fn a_put_that_is_repeated_is_the_same(repo: &Repo, _: &ManualClock) {
    for version in [1, 2] {
        assert_eq!(put(repo, person(1, version)).await, RecordPut::Stored);
        assert_eq!(put(repo, person(1, version)).await, RecordPut::Same);
    }
}

/// One of several next versions is stored. Guard: `IdentityGuard::PutAtOnce`.
pub async fn of_puts_at_once_one_wins(repo: &Repo, _: &ManualClock) {
    let named = |name: &str| PrincipalRecord {
        name: name.to_owned(),
        ..person(1, 1)
    };
    let all = ["a", "b", "c", "d"].map(|name| put(repo, named(name)));
    let answers = join_all(all).await;
    let stored = answers.iter().filter(|it| **it == RecordPut::Stored);
    assert_eq!(stored.count(), 1, "{answers:?}");
}

/// So whoever logs in is one. Guard: `IdentityGuard::LoginOnce`.
pub async fn a_login_belongs_to_one_principal(repo: &Repo, _: &ManualClock) {
    with_people(repo, [1, 2]).await;
    let named = |number, version| PrincipalRecord {
        login: "user1".to_owned(),
        ..person(number, version)
    };
    assert_eq!(put(repo, named(3, 1)).await, RecordPut::Taken);
    assert_eq!(put(repo, named(2, 2)).await, RecordPut::Taken);
    assert_eq!(record(repo, 3).await, None);
    assert_eq!(record(repo, 2).await, Some(person(2, 1)));
}

/// So whoever comes from elsewhere is one. Guard: `IdentityGuard::SubjectOnce`.
pub async fn a_subject_belongs_to_one_principal(repo: &Repo, _: &ManualClock) {
    let known = |number| PrincipalRecord {
        subject: Some("17".to_owned()),
        ..person(number, 1)
    };
    assert_eq!(put(repo, known(1)).await, RecordPut::Stored);
    assert_eq!(put(repo, known(2)).await, RecordPut::Taken);
    // None is nobody's.
    with_people(repo, [3, 4]).await;
    assert_eq!(record(repo, 2).await, None);
}

/// After another login, and after a deletion. Guard: `IdentityGuard::Freed`.
pub async fn a_login_that_was_given_up_is_free(repo: &Repo, _: &ManualClock) {
    with_people(repo, [1]).await;
    let renamed = PrincipalRecord {
        login: "other".to_owned(),
        subject: Some("17".to_owned()),
        ..person(1, 2)
    };
    assert_eq!(put(repo, renamed).await, RecordPut::Stored);
    let second = PrincipalRecord {
        login: "user1".to_owned(),
        ..person(2, 1)
    };
    assert_eq!(put(repo, second).await, RecordPut::Stored);
    let _ = repo.delete_principal(&tenant(), id(1)).await.unwrap();
    let third = PrincipalRecord {
        login: "other".to_owned(),
        subject: Some("17".to_owned()),
        ..person(3, 1)
    };
    assert_eq!(put(repo, third).await, RecordPut::Stored);
}

/// A program's account never gets to log in. Guard: `IdentityGuard::KindStays`.
pub async fn a_kind_never_changes(repo: &Repo, _: &ManualClock) {
    with_people(repo, [1]).await;
    let changed = PrincipalRecord {
        version: 2,
        ..service(1)
    };
    let refused = repo.put_principal(&tenant(), changed).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Invalid);
    let kind = record(repo, 1).await.unwrap().kind;
    assert_eq!(kind, PrincipalKind::Person);
}

/// The limits themselves are allowed. Guard: `IdentityGuard::Sizes`.
pub async fn a_principal_without_possible_texts_is_refused(repo: &Repo, _: &ManualClock) {
    fn long() -> String {
        "x".repeat(MAX_IDENTITY_TEXT + 1)
    }
    fn hash(bytes: usize) -> Option<PasswordHash> {
        Some(PasswordHash::new("x".repeat(bytes)))
    }
    let changes: [fn(&mut PrincipalRecord); 6] = [
        |it| it.login.clear(),
        |it| it.login = long(),
        |it| it.name = long(),
        |it| it.subject = Some(String::new()),
        |it| it.subject = Some(long()),
        |it| it.password = hash(MAX_PASSWORD_HASH + 1),
    ];
    for change in changes {
        let mut new = person(1, 1);
        change(&mut new);
        let refused = repo.put_principal(&tenant(), new).await.unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Invalid);
    }
    assert_eq!(record(repo, 1).await, None);
    let largest = PrincipalRecord {
        login: long()[1..].to_owned(),
        name: long()[1..].to_owned(),
        subject: Some(long()[1..].to_owned()),
        password: hash(MAX_PASSWORD_HASH),
        ..person(1, 1)
    };
    assert_eq!(put(repo, largest.clone()).await, RecordPut::Stored);
    assert_eq!(record(repo, 1).await, Some(largest));
}

/// Nobody else's. Guard: `IdentityGuard::StoreTime`.
pub async fn a_standing_has_the_time_of_the_store(repo: &Repo, clock: &ManualClock) {
    for version in [1, 2] {
        clock.advance(Duration::from_secs(5));
        let _ = put(repo, person(1, version)).await;
        let found = standing(repo, 1).await.unwrap();
        assert_eq!(found.put_at, clock.now());
    }
}

/// Byte for byte. Guard: `IdentityGuard::Finds`.
pub async fn a_principal_is_found_by_login_and_subject(repo: &Repo, _: &ManualClock) {
    let known = PrincipalRecord {
        subject: Some("Sub".to_owned()),
        ..person(1, 1)
    };
    assert_eq!(put(repo, known).await, RecordPut::Stored);
    give(repo, 1, "", Role::Editor).await;
    let whole = standing(repo, 1).await;
    for key in [PrincipalKey::Login("user1"), PrincipalKey::Subject("Sub")] {
        assert_eq!(repo.standing(&tenant(), key).await.unwrap(), whole);
    }
    for key in [
        PrincipalKey::Login("User1"),
        PrincipalKey::Login("Sub"),
        PrincipalKey::Subject("sub"),
    ] {
        assert_eq!(repo.standing(&tenant(), key).await.unwrap(), None);
    }
}

/// Whatever the order in which they came. Guard: `IdentityGuard::ListOrder`.
pub async fn principals_are_listed_by_login(repo: &Repo, _: &ManualClock) {
    for (number, login) in [(1, "c"), (2, "a"), (3, "B"), (4, "b")] {
        let new = PrincipalRecord {
            login: login.to_owned(),
            ..person(number, 1)
        };
        let _ = put(repo, new).await;
    }
    give(repo, 2, "", Role::Viewer).await;
    let listed = repo.principals(&tenant(), None, 10).await.unwrap();
    let logins: Vec<_> = listed.iter().map(|it| &*it.principal.login).collect();
    assert_eq!(logins, ["B", "a", "b", "c"]);
    assert_eq!(listed[1].memberships.len(), 1);
}

/// Each is on one page. Guard: `IdentityGuard::ListPages`.
pub async fn pages_of_principals_join(repo: &Repo, _: &ManualClock) {
    with_people(repo, 1..=5).await;
    let mut seen = Vec::new();
    loop {
        let after: Option<&String> = seen.last();
        let page = repo
            .principals(&tenant(), after.map(String::as_str), 2)
            .await;
        let page = page.unwrap();
        assert!(page.len() <= 2 && seen.len() <= 5);
        if page.is_empty() {
            break;
        }
        seen.extend(page.into_iter().map(|it| it.principal.login));
    }
    assert_eq!(seen, ["user1", "user2", "user3", "user4", "user5"]);
}

/// The limit itself is allowed. Guard: `IdentityGuard::PrincipalLimit`.
pub async fn more_principals_than_the_limit_are_refused(repo: &Repo, _: &ManualClock) {
    let last = u128::try_from(MAX_PRINCIPALS).unwrap();
    let all = (1..=last).map(|number| put(repo, person(number, 1)));
    let answers = join_all(all).await;
    assert!(answers.iter().all(|it| *it == RecordPut::Stored));
    let refused = repo.put_principal(&tenant(), person(last + 1, 1)).await;
    assert_eq!(refused.unwrap_err().kind, ErrorKind::Full);
    // Those who are there change; where one went, there is room.
    assert_eq!(put(repo, person(1, 2)).await, RecordPut::Stored);
    let _ = repo.delete_principal(&tenant(), id(1)).await.unwrap();
    assert_eq!(put(repo, person(last + 1, 1)).await, RecordPut::Stored);
}

/// By no name is it found. Guard: `IdentityGuard::Deletes`.
pub async fn a_deleted_principal_is_gone(repo: &Repo, _: &ManualClock) {
    with_people(repo, [1, 2]).await;
    let deleted = repo.delete_principal(&tenant(), id(1)).await.unwrap();
    assert_eq!(deleted, RecordDeleted::Deleted);
    assert_eq!(standing(repo, 1).await, None);
    let key = PrincipalKey::Login("user1");
    assert_eq!(repo.standing(&tenant(), key).await.unwrap(), None);
    let listed = repo.principals(&tenant(), None, 10).await.unwrap();
    assert_eq!(listed.len(), 1);
    let late = put(repo, person(1, 2)).await;
    assert_eq!(late, RecordPut::Conflict { version: 0 });
}

/// Whoever deletes learns whether there was one. Guard: `IdentityGuard::DeleteTells`.
pub async fn deleting_says_whether_there_was_a_principal(repo: &Repo, _: &ManualClock) {
    with_people(repo, [1]).await;
    for expected in [RecordDeleted::Deleted, RecordDeleted::Unknown] {
        let deleted = repo.delete_principal(&tenant(), id(1)).await.unwrap();
        assert_eq!(deleted, expected);
    }
}

/// Whoever comes back under the id has none. Guard: `IdentityGuard::DeleteMemberships`.
pub async fn a_deleted_principal_leaves_no_memberships(repo: &Repo, _: &ManualClock) {
    with_people(repo, [1]).await;
    with_projects(repo, ["shop"]).await;
    give(repo, 1, "", Role::Editor).await;
    give(repo, 1, "shop", Role::Admin).await;
    let _ = repo.delete_principal(&tenant(), id(1)).await.unwrap();
    for project in [None, Some(&project("shop"))] {
        let members = repo.members(&tenant(), project, None, 10).await.unwrap();
        assert_eq!(members, []);
    }
    with_people(repo, [1]).await;
    assert!(roles(repo, 1).await.is_empty());
}

/// None of them opens anything. Guard: `IdentityGuard::DeleteKeys`.
pub async fn a_deleted_principal_leaves_no_keys(repo: &Repo, _: &ManualClock) {
    with_people(repo, [1, 2]).await;
    let _ = add(repo, key("one", 1)).await;
    let _ = add(repo, key("two", 2)).await;
    let _ = repo.delete_principal(&tenant(), id(1)).await.unwrap();
    assert!(!has_key(repo, "one").await && has_key(repo, "two").await);
    let listed = repo.keys(&tenant(), id(1)).await.unwrap();
    assert_eq!(listed, []);
}
