//! Rules of the projects to which workflows belong.

use nebula_ports::{NewVersion, WorkflowFilter};

use super::fixture::*;
use crate::ManualClock;

fn of(names: &[&str]) -> WorkflowFilter {
    WorkflowFilter {
        projects: Some(names.iter().map(|it| project(it)).collect()),
        ..WorkflowFilter::default()
    }
}

fn within(name: &str, new: NewVersion) -> NewVersion {
    NewVersion {
        project: Some(project(name)),
        ..new
    }
}

/// A new workflow belongs to the project that its first save names. Guard: `WorkflowGuard::ProjectFirst`.
pub async fn a_new_workflow_belongs_to_its_project(repo: &Repo, _: &ManualClock) {
    let _ = save(repo, within("shop", definition("orders", 1))).await;
    let _ = save(repo, definition("audit", 1)).await;
    assert_eq!(summary(repo, "orders").await.project, Some(project("shop")));
    assert_eq!(summary(repo, "audit").await.project, None);
    let told = repo.versions(&tenant(), &id("orders"), None, 0).await;
    assert_eq!(
        told.unwrap().unwrap().workflow.project,
        Some(project("shop"))
    );
}

/// A later save leaves a workflow where it is. Guard: `WorkflowGuard::ProjectStays`.
pub async fn a_save_moves_no_workflow(repo: &Repo, _: &ManualClock) {
    let _ = save(repo, within("shop", definition("orders", 1))).await;
    let _ = save(repo, within("other", definition("orders", 2))).await;
    let _ = save(repo, definition("orders", 3)).await;
    assert_eq!(summary(repo, "orders").await.project, Some(project("shop")));
}

/// A workflow is moved to another project, and out of all; its revision stays. Guard:
/// `WorkflowGuard::ProjectMoves`.
pub async fn a_workflow_is_moved(repo: &Repo, _: &ManualClock) {
    let revision = saved(repo, "orders", 1).await;
    for to in [Some(project("shop")), Some(project("other")), None] {
        let (tenant, orders) = (tenant(), id("orders"));
        assert!(repo.move_to(&tenant, &orders, to.as_ref()).await.unwrap());
        let summary = summary(repo, "orders").await;
        assert_eq!((summary.project, summary.revision), (to, revision));
    }
}

/// Moving tells whether there was anything to move. Guard: `WorkflowGuard::MoveUnknown`.
pub async fn moving_says_whether_there_is_a_workflow(repo: &Repo, _: &ManualClock) {
    let shop = project("shop");
    let moved = repo.move_to(&tenant(), &id("orders"), Some(&shop)).await;
    assert!(!moved.unwrap());
}

/// Nobody moves a workflow of another tenant. Guard: `WorkflowGuard::TenantMoves`.
pub async fn another_tenant_moves_no_workflow(repo: &Repo, _: &ManualClock) {
    let _ = saved(repo, "orders", 1).await;
    let (other, orders, shop) = (other_tenant(), id("orders"), project("shop"));
    assert!(!repo.move_to(&other, &orders, Some(&shop)).await.unwrap());
    assert_eq!(summary(repo, "orders").await.project, None);
}

/// A listing of some projects has theirs alone, also page by page. Guard: `WorkflowGuard::ProjectFilter`.
pub async fn a_listing_of_projects_has_theirs_alone(repo: &Repo, _: &ManualClock) {
    for (name, place) in [("a", "shop"), ("b", "other"), ("c", "shop"), ("d", "third")] {
        let _ = save(repo, within(place, definition(name, 1))).await;
    }
    let _ = save(repo, definition("e", 1)).await;
    assert_eq!(names(repo, &of(&["shop"])).await, ["a", "c"]);
    assert_eq!(names(repo, &of(&["shop", "third"])).await, ["a", "c", "d"]);
    assert_eq!(names(repo, &of(&[])).await, Vec::<String>::new());
    let (filter, mut found, mut after) = (of(&["shop", "third"]), Vec::new(), None);
    for _ in 0..3 {
        let page = repo.list(&tenant(), &filter, after.as_ref(), 1).await;
        let page = page.unwrap();
        found.extend(page.items.into_iter().map(|it| it.id.to_string()));
        after = page.next;
    }
    assert_eq!((found.concat().as_str(), after), ("acd", None));
}
