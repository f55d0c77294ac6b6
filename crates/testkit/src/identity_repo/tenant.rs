//! Rules of tenants: each sees its own.

use nebula_ports::{
    KeyAdded, MembershipChanged, PrincipalKey, PrincipalRecord, RecordDeleted, RecordPut, Role,
};

use super::fixture::*;
use crate::ManualClock;

/// By no name. Guard: `IdentityGuard::TenantReads`.
pub async fn another_tenant_reads_no_principal(repo: &Repo, _: &ManualClock) {
    let known = PrincipalRecord {
        subject: Some("17".to_owned()),
        ..person(1, 1)
    };
    let _ = put(repo, known).await;
    let keys = [
        PrincipalKey::Id(id(1)),
        PrincipalKey::Login("user1"),
        PrincipalKey::Subject("17"),
    ];
    for key in keys {
        assert_eq!(repo.standing(&other_tenant(), key).await.unwrap(), None);
    }
    let listed = repo.principals(&other_tenant(), None, 10).await.unwrap();
    assert_eq!(listed, []);
}

/// The same id and login elsewhere are somebody else. Guard: `IdentityGuard::TenantPuts`.
pub async fn one_login_in_two_tenants_is_two_principals(repo: &Repo, _: &ManualClock) {
    with_people(repo, [1]).await;
    let theirs = PrincipalRecord {
        name: "theirs".to_owned(),
        ..person(1, 1)
    };
    let stored = repo.put_principal(&other_tenant(), theirs.clone()).await;
    assert_eq!(stored.unwrap(), RecordPut::Stored);
    assert_eq!(record(repo, 1).await, Some(person(1, 1)));
    let key = PrincipalKey::Login("user1");
    let found = repo.standing(&other_tenant(), key).await.unwrap().unwrap();
    assert_eq!(found.principal, theirs);
}

/// Nor its projects and keys. Guard: `IdentityGuard::TenantDeletes`.
pub async fn another_tenant_deletes_nothing(repo: &Repo, _: &ManualClock) {
    with_people(repo, [1]).await;
    let deleted = repo.delete_principal(&other_tenant(), id(1)).await.unwrap();
    assert_eq!(deleted, RecordDeleted::Unknown);
    assert!(record(repo, 1).await.is_some());
}

/// Whatever they are called. Guard: `IdentityGuard::TenantProjects`.
pub async fn another_tenant_has_projects_of_its_own(repo: &Repo, _: &ManualClock) {
    with_projects(repo, ["shop"]).await;
    assert!(projects(repo, &other_tenant()).await.is_empty());
    let deleted = repo.delete_project(&other_tenant(), &project("shop")).await;
    assert_eq!(deleted.unwrap(), RecordDeleted::Unknown);
    let put = repo.put_project(&other_tenant(), shop("shop", 1)).await;
    assert_eq!(put.unwrap(), RecordPut::Stored);
    assert_eq!(projects(repo, &tenant()).await, ["shop"]);
}

/// Nor lists one. Guard: `IdentityGuard::TenantMembers`.
pub async fn another_tenant_changes_no_membership(repo: &Repo, _: &ManualClock) {
    with_people(repo, [1]).await;
    give(repo, 1, "", Role::Viewer).await;
    let (theirs, viewer) = (other_tenant(), Some(Role::Viewer));
    let changed = repo.change_membership(&theirs, id(1), None, viewer, Some(Role::Owner));
    assert_eq!(changed.await.unwrap(), MembershipChanged::Unknown);
    assert_eq!(roles(repo, 1).await, ["* viewer"]);
    let members = repo.members(&theirs, None, None, 10).await.unwrap();
    assert_eq!(members, []);
}

/// Nor uses, lists or removes one. Guard: `IdentityGuard::TenantKeys`.
pub async fn another_tenant_has_no_key(repo: &Repo, _: &ManualClock) {
    with_people(repo, [1]).await;
    let _ = add(repo, key("a", 1)).await;
    let theirs = other_tenant();
    assert_eq!(repo.key(&theirs, "a").await.unwrap(), None);
    assert_eq!(repo.keys(&theirs, id(1)).await.unwrap(), []);
    repo.key_used(&theirs, "a").await.unwrap();
    let removed = repo.remove_key(&theirs, "a").await.unwrap();
    assert_eq!(removed, RecordDeleted::Unknown);
    let mine = repo.key(&tenant(), "a").await.unwrap().unwrap();
    assert_eq!(mine.used_at, None);
    let added = repo.add_key(&theirs, key("b", 1)).await.unwrap();
    assert_eq!(added, KeyAdded::Unknown);
}
