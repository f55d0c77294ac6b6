//! Rules of projects.

use futures_util::future::join_all;
use nebula_ports::{
    ApiKeyRecord, ErrorKind, MAX_IDENTITY_TEXT, MAX_PROJECTS, ProjectRecord, RecordDeleted,
    RecordPut, Role,
};

use super::fixture::*;
use crate::ManualClock;

/// Every part comes back. Guard: `IdentityGuard::ProjectKeeps`.
pub async fn a_project_is_listed_as_it_was_put(repo: &Repo, _: &ManualClock) {
    with_projects(repo, ["shop"]).await;
    let next = ProjectRecord {
        name: "Läden".to_owned(),
        ..shop("shop", 2)
    };
    let put = repo.put_project(&tenant(), next.clone()).await.unwrap();
    assert_eq!(put, RecordPut::Stored);
    let listed = repo.projects(&tenant(), None, 10).await.unwrap();
    assert_eq!(listed, [next]);
}

/// Who saw an older one overwrites nothing. Guard: `IdentityGuard::ProjectVersion`.
pub async fn a_version_of_a_project_that_is_not_the_next_changes_nothing(
    repo: &Repo,
    _: &ManualClock,
) {
    let early = repo.put_project(&tenant(), shop("shop", 2)).await.unwrap();
    assert_eq!(early, RecordPut::Conflict { version: 0 });
    with_projects(repo, ["shop"]).await;
    let other = ProjectRecord {
        name: "another".to_owned(),
        ..shop("shop", 1)
    };
    for new in [other, shop("shop", 3)] {
        let refused = repo.put_project(&tenant(), new).await.unwrap();
        assert_eq!(refused, RecordPut::Conflict { version: 1 });
    }
    let listed = repo.projects(&tenant(), None, 10).await.unwrap();
    assert_eq!(listed, [shop("shop", 1)]);
}

/// A retry after a lost reply is told from a conflict. Guard: `IdentityGuard::ProjectRepeated`.
pub async fn a_put_of_a_project_that_is_repeated_is_the_same(repo: &Repo, _: &ManualClock) {
    with_projects(repo, ["shop"]).await;
    let again = repo.put_project(&tenant(), shop("shop", 1)).await.unwrap();
    assert_eq!(again, RecordPut::Same);
}

/// The limits themselves are allowed. Guard: `IdentityGuard::ProjectSizes`.
pub async fn a_project_without_a_possible_name_is_refused(repo: &Repo, _: &ManualClock) {
    let named = |name: String| ProjectRecord {
        name,
        ..shop("shop", 1)
    };
    let long = "x".repeat(MAX_IDENTITY_TEXT);
    for name in [String::new(), format!("{long}x")] {
        let refused = repo.put_project(&tenant(), named(name)).await.unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Invalid);
    }
    assert!(projects(repo, &tenant()).await.is_empty());
    let put = repo.put_project(&tenant(), named(long)).await.unwrap();
    assert_eq!(put, RecordPut::Stored);
}

/// By id, each on one page. Guard: `IdentityGuard::ProjectPages`.
pub async fn pages_of_projects_join(repo: &Repo, _: &ManualClock) {
    with_projects(repo, ["c", "a", "B", "e", "d"]).await;
    let mut seen = Vec::new();
    loop {
        let page = repo.projects(&tenant(), seen.last(), 2).await.unwrap();
        assert!(page.len() <= 2 && seen.len() <= 5);
        if page.is_empty() {
            break;
        }
        seen.extend(page.into_iter().map(|it| it.id));
    }
    let names: Vec<_> = seen.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["B", "a", "c", "d", "e"]);
}

/// The limit itself is allowed. Guard: `IdentityGuard::ProjectLimit`.
pub async fn more_projects_than_the_limit_are_refused(repo: &Repo, _: &ManualClock) {
    let tenant = tenant();
    let all = (1..=MAX_PROJECTS).map(|n| repo.put_project(&tenant, shop(&format!("p{n}"), 1)));
    for put in join_all(all).await {
        assert_eq!(put.unwrap(), RecordPut::Stored);
    }
    let refused = repo.put_project(&tenant, shop("more", 1)).await;
    assert_eq!(refused.unwrap_err().kind, ErrorKind::Full);
    let changed = repo.put_project(&tenant, shop("p1", 2)).await.unwrap();
    assert_eq!(changed, RecordPut::Stored);
    let _ = repo.delete_project(&tenant, &project("p1")).await.unwrap();
    let put = repo.put_project(&tenant, shop("more", 1)).await.unwrap();
    assert_eq!(put, RecordPut::Stored);
}

/// Another project of the same id has no members. Guard: `IdentityGuard::ProjectMemberships`.
pub async fn a_deleted_project_leaves_no_memberships(repo: &Repo, _: &ManualClock) {
    with_people(repo, [1]).await;
    with_projects(repo, ["shop", "other"]).await;
    for (name, role) in [
        ("", Role::Viewer),
        ("shop", Role::Admin),
        ("other", Role::Editor),
    ] {
        give(repo, 1, name, role).await;
    }
    let _ = repo
        .delete_project(&tenant(), &project("shop"))
        .await
        .unwrap();
    assert_eq!(roles(repo, 1).await, ["* viewer", "other editor"]);
    assert_eq!(projects(repo, &tenant()).await, ["other"]);
}

/// None of them opens another one. Guard: `IdentityGuard::ProjectKeys`.
pub async fn a_deleted_project_leaves_no_keys(repo: &Repo, _: &ManualClock) {
    with_people(repo, [1]).await;
    with_projects(repo, ["shop", "other"]).await;
    for name in ["shop", "other"] {
        let new = ApiKeyRecord {
            project: Some(project(name)),
            ..key(name, 1)
        };
        let _ = add(repo, new).await;
    }
    let _ = add(repo, key("all", 1)).await;
    let _ = repo
        .delete_project(&tenant(), &project("shop"))
        .await
        .unwrap();
    assert!(!has_key(repo, "shop").await);
    assert!(has_key(repo, "other").await && has_key(repo, "all").await);
}

/// Whoever deletes learns whether there was one. Guard: `IdentityGuard::ProjectTells`.
pub async fn deleting_says_whether_there_was_a_project(repo: &Repo, _: &ManualClock) {
    with_projects(repo, ["shop"]).await;
    for expected in [RecordDeleted::Deleted, RecordDeleted::Unknown] {
        let deleted = repo.delete_project(&tenant(), &project("shop")).await;
        assert_eq!(deleted.unwrap(), expected);
    }
}
