//! What the rules begin with: definitions to save.

use std::sync::Arc;

use nebula_core::{Digest, ProjectId, TenantId, WorkflowId};
use nebula_ports::{NewVersion, Saved, WorkflowFilter, WorkflowRepo, WorkflowSummary};
use serde_json::json;

pub(super) type Repo = Arc<dyn WorkflowRepo>;

pub(super) fn tenant() -> TenantId {
    TenantId::local()
}

pub(super) fn other_tenant() -> TenantId {
    TenantId::new("other").unwrap()
}

pub(super) fn id(text: &str) -> WorkflowId {
    WorkflowId::new(text).unwrap()
}

pub(super) fn project(text: &str) -> ProjectId {
    ProjectId::new(text).unwrap()
}

/// The definition `content` of workflow `name`, from whatever revision.
pub(super) fn definition(name: &str, content: u32) -> NewVersion {
    let definition = json!({ "nodes": [{ "id": "a", "n": content }], "name": name });
    NewVersion {
        id: id(name),
        name: format!("The {name}"),
        digest: Digest::of_json(&definition),
        definition,
        expected_revision: None,
        project: None,
    }
}

/// The same, from this revision.
pub(super) fn from(revision: u64, new: NewVersion) -> NewVersion {
    NewVersion {
        expected_revision: Some(revision),
        ..new
    }
}

pub(super) async fn save(repo: &Repo, new: NewVersion) -> Saved {
    repo.save(&tenant(), new).await.unwrap()
}

/// Saves definitions 1 to `count` of workflow `name`; the revision then.
pub(super) async fn saved(repo: &Repo, name: &str, count: u32) -> u64 {
    for content in 1..=count {
        let _ = save(repo, definition(name, content)).await;
    }
    summary(repo, name).await.revision
}

pub(super) async fn list(repo: &Repo, filter: &WorkflowFilter) -> Vec<WorkflowSummary> {
    let page = repo.list(&tenant(), filter, None, 1_000).await.unwrap();
    assert_eq!(page.next, None);
    page.items
}

pub(super) async fn names(repo: &Repo, filter: &WorkflowFilter) -> Vec<String> {
    list(repo, filter)
        .await
        .into_iter()
        .map(|summary| summary.id.to_string())
        .collect()
}

pub(super) async fn summary(repo: &Repo, name: &str) -> WorkflowSummary {
    let all = list(
        repo,
        &WorkflowFilter {
            search: None,
            archived: true,
            projects: None,
        },
    )
    .await;
    all.into_iter()
        .find(|summary| summary.id.as_str() == name)
        .expect("it was saved")
}
