//! Rules of the versions of one workflow.

use std::time::Duration;

use nebula_core::Digest;
use nebula_ports::{Published, VersionSummary, WorkflowVersions};

use super::fixture::*;
use crate::ManualClock;

async fn versions(repo: &Repo, before: Option<u32>, limit: usize) -> WorkflowVersions {
    let (tenant, orders) = (tenant(), id("orders"));
    let found = repo.versions(&tenant, &orders, before, limit).await;
    found.unwrap().expect("it was saved")
}

fn numbers(found: &WorkflowVersions) -> Vec<u32> {
    found
        .versions
        .iter()
        .map(|version| version.version)
        .collect()
}

/// The newest version comes first, each with its digest and time. Guard: `WorkflowGuard::VersionsOrder`.
pub async fn versions_are_listed_newest_first(repo: &Repo, clock: &ManualClock) {
    let mut expected = Vec::new();
    for content in 1..=3 {
        let new = definition("orders", content);
        let digest = new.digest;
        let saved_at = nebula_core::Clock::now(clock);
        let _ = save(repo, new).await;
        expected.insert(0, (content, digest, saved_at));
        clock.advance(Duration::from_secs(1));
    }
    let _ = saved(repo, "refunds", 5).await;
    let found = versions(repo, None, 10).await;
    let listed: Vec<(u32, Digest, _)> = found
        .versions
        .into_iter()
        .map(
            |VersionSummary {
                 version,
                 digest,
                 saved_at,
             }| (version, digest, saved_at),
        )
        .collect();
    assert_eq!((listed, found.next), (expected, None));
}

/// A part goes on where the one before ended. Guard: `WorkflowGuard::VersionsJoin`.
pub async fn parts_of_the_versions_join(repo: &Repo, _: &ManualClock) {
    let _ = saved(repo, "orders", 5).await;
    let (mut found, mut before) = (Vec::new(), None);
    for size in [2, 2, 1] {
        let part = versions(repo, before, 2).await;
        assert_eq!(part.versions.len(), size);
        found.extend(numbers(&part));
        before = part.next;
    }
    assert_eq!((found, before), (vec![5, 4, 3, 2, 1], None));
}

/// The workflow itself is told too, alone with a limit of 0. Guard: `WorkflowGuard::VersionsTell`.
pub async fn versions_come_with_their_workflow(repo: &Repo, _: &ManualClock) {
    let revision = saved(repo, "orders", 2).await;
    let published = repo
        .publish(&tenant(), &id("orders"), 1, revision, Vec::new())
        .await;
    let Published::Published { .. } = published.unwrap() else {
        panic!("it could not be published")
    };
    for limit in [0, 5] {
        let found = versions(repo, None, limit).await;
        assert_eq!(found.workflow, summary(repo, "orders").await);
        assert_eq!(found.workflow.published, Some(1));
        assert_eq!(found.versions.len(), limit.min(2));
    }
}

/// An archived workflow is told with its versions. Guard: `WorkflowGuard::VersionsArchived`.
pub async fn an_archived_workflow_has_its_versions(repo: &Repo, _: &ManualClock) {
    let _ = saved(repo, "orders", 2).await;
    assert!(repo.archive(&tenant(), &id("orders"), true).await.unwrap());
    let found = versions(repo, None, 5).await;
    assert!(found.workflow.archived);
    assert_eq!(numbers(&found), [2, 1]);
}

/// Of what was never saved there is nothing to tell, nor of another tenant's. Guard: `WorkflowGuard::VersionsUnknown`.
pub async fn an_unknown_workflow_has_no_versions(repo: &Repo, _: &ManualClock) {
    let _ = saved(repo, "refunds", 1).await;
    let _ = repo.save(&other_tenant(), definition("orders", 1)).await;
    let found = repo.versions(&tenant(), &id("orders"), None, 5).await;
    assert_eq!(found.unwrap(), None);
}
