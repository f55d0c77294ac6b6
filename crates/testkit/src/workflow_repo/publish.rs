//! Rules of publication, archive and plans.

use nebula_core::Digest;
use nebula_ports::{Published, Saved, WorkflowFilter};

use super::fixture::*;
use crate::ManualClock;

/// A publication moves the pointer to its version, forth and back. Guard: `WorkflowGuard::PublishMoves`.
pub async fn a_publication_moves_the_pointer(repo: &Repo, _: &ManualClock) {
    let mut revision = saved(repo, "orders", 3).await;
    assert_eq!(summary(repo, "orders").await.published, None);
    for version in [2, 3, 1] {
        let published = repo
            .publish(&tenant(), &id("orders"), version, revision, Vec::new())
            .await
            .unwrap();
        let Published::Published { revision: now } = published else {
            panic!("{published:?}")
        };
        assert_eq!(summary(repo, "orders").await.published, Some(version));
        revision = now;
    }
}

/// A new version is not published by itself. Guard: `WorkflowGuard::SaveKeepsPointer`.
pub async fn a_save_leaves_the_pointer_alone(repo: &Repo, _: &ManualClock) {
    let revision = saved(repo, "orders", 1).await;
    let _ = repo
        .publish(&tenant(), &id("orders"), 1, revision, Vec::new())
        .await
        .unwrap();
    let _ = saved(repo, "orders", 2).await;
    let summary = summary(repo, "orders").await;
    assert_eq!((summary.published, summary.latest), (Some(1), 2));
}

/// Whoever looked at an older revision publishes nothing. Guard: `WorkflowGuard::PublishRevision`.
pub async fn a_publication_from_an_outdated_revision_changes_nothing(repo: &Repo, _: &ManualClock) {
    let revision = saved(repo, "orders", 2).await;
    let late = repo
        .publish(&tenant(), &id("orders"), 1, revision - 1, Vec::new())
        .await
        .unwrap();
    assert_eq!(late, Published::Conflict { revision });
    assert_eq!(summary(repo, "orders").await.published, None);
}

/// Only what is there can be published. Guard: `WorkflowGuard::PublishUnknown`.
pub async fn a_publication_needs_its_version(repo: &Repo, _: &ManualClock) {
    let revision = saved(repo, "orders", 1).await;
    assert_eq!(
        repo.publish(&tenant(), &id("orders"), 2, revision, Vec::new())
            .await
            .unwrap(),
        Published::Unknown
    );
    assert_eq!(
        repo.publish(&tenant(), &id("refunds"), 1, 0, Vec::new())
            .await
            .unwrap(),
        Published::Unknown
    );
    assert_eq!(summary(repo, "orders").await.published, None);
}

/// An author who began before a publication learns of it. Guard: `WorkflowGuard::PublishRaises`.
pub async fn a_publication_is_seen_by_the_next_author(repo: &Repo, _: &ManualClock) {
    let revision = saved(repo, "orders", 1).await;
    let published = repo
        .publish(&tenant(), &id("orders"), 1, revision, Vec::new())
        .await
        .unwrap();
    let Published::Published { revision: now } = published else {
        panic!("{published:?}")
    };
    assert_eq!(summary(repo, "orders").await.revision, now);
    assert_eq!(
        save(repo, from(revision, definition("orders", 2))).await,
        Saved::Conflict { revision: now }
    );
}

/// An archived workflow is listed only for who asks for it. Guard: `WorkflowGuard::ArchivedHidden`.
pub async fn an_archived_workflow_leaves_the_listing(repo: &Repo, _: &ManualClock) {
    let _ = (
        saved(repo, "orders", 1).await,
        saved(repo, "refunds", 1).await,
    );
    assert!(repo.archive(&tenant(), &id("orders"), true).await.unwrap());
    assert_eq!(names(repo, &WorkflowFilter::default()).await, ["refunds"]);
    let all = list(
        repo,
        &WorkflowFilter {
            search: None,
            archived: true,
            projects: None,
        },
    )
    .await;
    assert_eq!(
        all.iter()
            .map(|summary| summary.archived)
            .collect::<Vec<_>>(),
        [true, false]
    );
}

/// Executions go on although their workflow was archived. Guard: `WorkflowGuard::ArchivedKept`.
pub async fn an_archived_workflow_can_still_be_read(repo: &Repo, _: &ManualClock) {
    let _ = saved(repo, "orders", 2).await;
    let _ = repo.archive(&tenant(), &id("orders"), true).await.unwrap();
    assert_eq!(
        repo.get(&tenant(), &id("orders"), Some(1))
            .await
            .unwrap()
            .unwrap()
            .version,
        1
    );
    assert_eq!(
        repo.get(&tenant(), &id("orders"), None)
            .await
            .unwrap()
            .unwrap()
            .version,
        2
    );
}

/// What was archived can be brought back. Guard: `WorkflowGuard::Unarchive`.
pub async fn an_archived_workflow_comes_back(repo: &Repo, _: &ManualClock) {
    let _ = saved(repo, "orders", 1).await;
    for archived in [true, false] {
        assert!(
            repo.archive(&tenant(), &id("orders"), archived)
                .await
                .unwrap()
        );
    }
    assert_eq!(names(repo, &WorkflowFilter::default()).await, ["orders"]);
}

/// Archiving tells whether there was anything to archive. Guard: `WorkflowGuard::ArchiveUnknown`.
pub async fn archiving_says_whether_there_is_one(repo: &Repo, _: &ManualClock) {
    assert!(!repo.archive(&tenant(), &id("orders"), true).await.unwrap());
}

/// A plan is found under its digest, byte for byte. Guard: `WorkflowGuard::Plans`.
pub async fn plans_are_kept_by_their_digest(repo: &Repo, _: &ManualClock) {
    for plan in [b"\0\xff plan".as_slice(), b"another"] {
        repo.put_plan(&tenant(), Digest::of(plan), plan)
            .await
            .unwrap();
    }
    for plan in [b"\0\xff plan".as_slice(), b"another"] {
        assert_eq!(
            repo.plan(&tenant(), Digest::of(plan))
                .await
                .unwrap()
                .as_deref(),
            Some(plan)
        );
    }
    assert_eq!(
        repo.plan(&tenant(), Digest::of(b"never")).await.unwrap(),
        None
    );
}

/// A plan that is there stays as it is. Guard: `WorkflowGuard::PlanOnce`.
pub async fn the_same_plan_again_changes_nothing(repo: &Repo, _: &ManualClock) {
    for _ in 0..3 {
        repo.put_plan(&tenant(), Digest::of(b"plan"), b"plan")
            .await
            .unwrap();
    }
    assert_eq!(
        repo.plan(&tenant(), Digest::of(b"plan"))
            .await
            .unwrap()
            .as_deref(),
        Some(b"plan".as_slice())
    );
}

/// A plan is not read under another tenant's name. Guard: `WorkflowGuard::PlanTenant`.
pub async fn plans_belong_to_their_tenant(repo: &Repo, _: &ManualClock) {
    repo.put_plan(&tenant(), Digest::of(b"plan"), b"plan")
        .await
        .unwrap();
    assert_eq!(
        repo.plan(&other_tenant(), Digest::of(b"plan"))
            .await
            .unwrap(),
        None
    );
}
