//! Rules of memberships, and of who owns a tenant.

use futures_util::future::join_all;
use nebula_ports::{
    ErrorKind, MAX_MEMBERSHIPS, MembershipChanged, PrincipalRecord, RecordDeleted, RecordPut, Role,
};

use super::fixture::*;
use crate::ManualClock;

/// Each role, given and taken. Guard: `IdentityGuard::MembershipKeeps`.
pub async fn a_membership_is_read_as_it_was_changed(repo: &Repo, _: &ManualClock) {
    with_people(repo, [1]).await;
    with_projects(repo, ["shop"]).await;
    let mut from = None;
    for role in Role::ALL {
        let changed = change(repo, 1, "shop", from, Some(role)).await;
        assert_eq!(changed, MembershipChanged::Changed);
        assert_eq!(roles(repo, 1).await, [format!("shop {role}")]);
        from = Some(role);
    }
    let changed = change(repo, 1, "shop", from, None).await;
    assert_eq!(changed, MembershipChanged::Changed);
    assert!(roles(repo, 1).await.is_empty());
}

/// Who saw another one changes nothing. Guard: `IdentityGuard::MembershipFrom`.
pub async fn a_membership_changes_only_from_the_role_that_was_seen(repo: &Repo, _: &ManualClock) {
    with_people(repo, [1]).await;
    let (viewer, editor, admin) = (Role::Viewer, Role::Editor, Role::Admin);
    let refused = change(repo, 1, "", Some(viewer), Some(editor)).await;
    assert_eq!(refused, MembershipChanged::Conflict { role: None });
    give(repo, 1, "", viewer).await;
    for (from, to) in [
        (None, Some(admin)),
        (Some(editor), Some(admin)),
        (Some(editor), None),
    ] {
        let refused = change(repo, 1, "", from, to).await;
        let role = Some(viewer);
        assert_eq!(refused, MembershipChanged::Conflict { role });
    }
    assert_eq!(roles(repo, 1).await, ["* viewer"]);
}

/// A retry after a lost reply is told from a conflict. Guard: `IdentityGuard::MembershipRepeated`.
pub async fn a_change_of_a_membership_that_is_repeated_is_the_same(repo: &Repo, _: &ManualClock) {
    with_people(repo, [1]).await;
    let viewer = Some(Role::Viewer);
    for (from, to) in [(None, viewer), (viewer, None)] {
        let _ = change(repo, 1, "", from, to).await;
        assert_eq!(change(repo, 1, "", from, to).await, MembershipChanged::Same);
    }
}

/// Nobody and nothing has none. Guard: `IdentityGuard::MembershipUnknown`.
pub async fn a_membership_needs_its_principal_and_its_project(repo: &Repo, _: &ManualClock) {
    with_people(repo, [1]).await;
    with_projects(repo, ["shop"]).await;
    let viewer = Some(Role::Viewer);
    for (number, name) in [(2, ""), (2, "shop"), (1, "other")] {
        let refused = change(repo, number, name, None, viewer).await;
        assert_eq!(refused, MembershipChanged::Unknown);
    }
    assert!(roles(repo, 1).await.is_empty());
}

/// Neither stands for the other. Guard: `IdentityGuard::MembershipApart`.
pub async fn a_role_in_all_projects_is_apart_from_one_in_a_project(repo: &Repo, _: &ManualClock) {
    with_people(repo, [1]).await;
    with_projects(repo, ["b", "a"]).await;
    for (name, role) in [("b", Role::Editor), ("", Role::Viewer), ("a", Role::Admin)] {
        give(repo, 1, name, role).await;
    }
    assert_eq!(roles(repo, 1).await, ["* viewer", "a admin", "b editor"]);
    let members = repo.members(&tenant(), None, None, 10).await.unwrap();
    assert_eq!(members, [(id(1), Role::Viewer)]);
    let members = repo.members(&tenant(), Some(&project("a")), None, 10).await;
    assert_eq!(members.unwrap(), [(id(1), Role::Admin)]);
}

/// One of several changes from one role happens. Guard: `IdentityGuard::MembershipAtOnce`.
pub async fn of_changes_of_a_membership_at_once_one_wins(repo: &Repo, _: &ManualClock) {
    with_people(repo, [1]).await;
    let all = [Role::Viewer, Role::Operator, Role::Editor, Role::Admin];
    let all = all.map(|role| change(repo, 1, "", None, Some(role)));
    let answers = join_all(all).await;
    let changed = answers
        .iter()
        .filter(|it| **it == MembershipChanged::Changed);
    assert_eq!(changed.count(), 1, "{answers:?}");
}

/// By id, each on one page. Guard: `IdentityGuard::MemberPages`.
pub async fn pages_of_members_join(repo: &Repo, _: &ManualClock) {
    with_people(repo, 1..=5).await;
    for number in [3, 1, 5, 2, 4] {
        give(repo, number, "", Role::Viewer).await;
    }
    let mut seen = Vec::new();
    loop {
        let page = repo.members(&tenant(), None, seen.last().copied(), 2).await;
        let page = page.unwrap();
        assert!(page.len() <= 2 && seen.len() <= 5);
        if page.is_empty() {
            break;
        }
        seen.extend(page.into_iter().map(|(id, _)| id));
    }
    assert_eq!(seen, [1, 2, 3, 4, 5].map(id));
}

/// The limit itself is allowed. Guard: `IdentityGuard::MembershipLimit`.
pub async fn more_memberships_than_the_limit_are_refused(repo: &Repo, _: &ManualClock) {
    with_people(repo, [1, 2]).await;
    let names: Vec<_> = (1..=MAX_MEMBERSHIPS).map(|n| format!("p{n}")).collect();
    with_projects(repo, names.iter().map(String::as_str)).await;
    for name in &names {
        give(repo, 1, name, Role::Viewer).await;
    }
    let tenant = tenant();
    let more = repo.change_membership(&tenant, id(1), None, None, Some(Role::Viewer));
    assert_eq!(more.await.unwrap_err().kind, ErrorKind::Full);
    // What is there changes; others have their own; where one went, there is room.
    let viewer = Some(Role::Viewer);
    let changed = change(repo, 1, "p1", viewer, Some(Role::Editor)).await;
    assert_eq!(changed, MembershipChanged::Changed);
    give(repo, 2, "", Role::Viewer).await;
    let _ = change(repo, 1, "p2", viewer, None).await;
    give(repo, 1, "", Role::Viewer).await;
}

/// Somebody can always give it to somebody else. Guard: `IdentityGuard::OwnerRole`.
pub async fn the_last_owner_keeps_its_role(repo: &Repo, _: &ManualClock) {
    with_people(repo, [1, 2]).await;
    give(repo, 1, "", Role::Owner).await;
    let owner = Some(Role::Owner);
    for to in [None, Some(Role::Admin)] {
        let refused = change(repo, 1, "", owner, to).await;
        assert_eq!(refused, MembershipChanged::LastOwner);
    }
    assert_eq!(roles(repo, 1).await, ["* owner"]);
    give(repo, 2, "", Role::Owner).await;
    let changed = change(repo, 1, "", owner, None).await;
    assert_eq!(changed, MembershipChanged::Changed);
}

/// Nor shut out. Guard: `IdentityGuard::OwnerDisabled`.
pub async fn the_last_owner_is_not_disabled(repo: &Repo, _: &ManualClock) {
    with_people(repo, [1, 2]).await;
    give(repo, 1, "", Role::Owner).await;
    let off = PrincipalRecord {
        disabled: true,
        ..person(1, 2)
    };
    assert_eq!(put(repo, off.clone()).await, RecordPut::LastOwner);
    assert_eq!(record(repo, 1).await, Some(person(1, 1)));
    give(repo, 2, "", Role::Owner).await;
    assert_eq!(put(repo, off).await, RecordPut::Stored);
}

/// Nor deleted. Guard: `IdentityGuard::OwnerDeleted`.
pub async fn the_last_owner_is_not_deleted(repo: &Repo, _: &ManualClock) {
    with_people(repo, [1, 2]).await;
    give(repo, 1, "", Role::Owner).await;
    let refused = repo.delete_principal(&tenant(), id(1)).await.unwrap();
    assert_eq!(refused, RecordDeleted::LastOwner);
    assert_eq!(roles(repo, 1).await, ["* owner"]);
    give(repo, 2, "", Role::Owner).await;
    let deleted = repo.delete_principal(&tenant(), id(1)).await.unwrap();
    assert_eq!(deleted, RecordDeleted::Deleted);
}

/// Nor who owns one project. Guard: `IdentityGuard::OwnerCounts`.
pub async fn who_is_disabled_or_no_person_is_no_other_owner(repo: &Repo, _: &ManualClock) {
    with_people(repo, [1]).await;
    with_projects(repo, ["shop"]).await;
    let off = PrincipalRecord {
        disabled: true,
        ..person(2, 1)
    };
    for new in [off, service(3), person(4, 1)] {
        assert_eq!(put(repo, new).await, RecordPut::Stored);
    }
    for number in [1, 2, 3] {
        give(repo, number, "", Role::Owner).await;
    }
    give(repo, 4, "shop", Role::Owner).await;
    let refused = change(repo, 1, "", Some(Role::Owner), None).await;
    assert_eq!(refused, MembershipChanged::LastOwner);
    // These may go: somebody else owns the tenant.
    for number in [2, 3] {
        let changed = change(repo, number, "", Some(Role::Owner), None).await;
        assert_eq!(changed, MembershipChanged::Changed);
    }
}
