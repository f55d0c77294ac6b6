//! Rules of listings and tenants.

use nebula_ports::{ErrorKind, NewVersion, PageToken, Published, Saved, WorkflowFilter};

use super::fixture::*;
use crate::ManualClock;

fn search(text: &str) -> WorkflowFilter {
    WorkflowFilter {
        search: Some(text.to_owned()),
        archived: false,
        projects: None,
    }
}

/// Workflows are listed by id, whatever the order in which they were saved. Guard: `WorkflowGuard::ListOrder`.
pub async fn workflows_are_listed_by_id(repo: &Repo, _: &ManualClock) {
    for name in ["refunds", "audit", "orders"] {
        let _ = saved(repo, name, 1).await;
    }
    assert_eq!(
        names(repo, &WorkflowFilter::default()).await,
        ["audit", "orders", "refunds"]
    );
}

/// The pages of a listing join, also when something is saved meanwhile. Guard: `WorkflowGuard::ListPages`.
pub async fn pages_of_workflows_join(repo: &Repo, _: &ManualClock) {
    for name in ["b", "c", "d", "e", "f"] {
        let _ = saved(repo, name, 1).await;
    }
    let (mut found, mut after) = (Vec::new(), None);
    for size in [2, 2, 1] {
        let page = repo
            .list(&tenant(), &WorkflowFilter::default(), after.as_ref(), 2)
            .await
            .unwrap();
        assert_eq!(page.items.len(), size);
        found.extend(page.items.into_iter().map(|summary| summary.id.to_string()));
        after = page.next;
        let _ = save(repo, definition("a", 1)).await;
    }
    assert_eq!((found.concat().as_str(), after), ("bcdef", None));
}

/// A listing has the name that the latest version has. Guard: `WorkflowGuard::LatestName`.
pub async fn a_listing_has_the_latest_name(repo: &Repo, _: &ManualClock) {
    let _ = saved(repo, "orders", 1).await;
    let renamed = NewVersion {
        name: "Sales".to_owned(),
        ..definition("orders", 2)
    };
    let _ = save(repo, renamed).await;
    assert_eq!(summary(repo, "orders").await.name, "Sales");
}

/// A search ignores ASCII case. Guard: `WorkflowGuard::SearchCase`.
pub async fn a_search_ignores_case(repo: &Repo, _: &ManualClock) {
    let _ = (
        saved(repo, "orders", 1).await,
        saved(repo, "refunds", 1).await,
    );
    assert_eq!(names(repo, &search("ORD")).await, ["orders"]);
    assert_eq!(names(repo, &search("the r")).await, ["refunds"]);
}

/// A search looks at id and name, and takes no character for a wildcard. Guard: `WorkflowGuard::SearchId`.
pub async fn a_search_looks_at_id_and_name(repo: &Repo, _: &ManualClock) {
    let _ = save(
        repo,
        NewVersion {
            name: "100% of sales".to_owned(),
            ..definition("daily_report", 1)
        },
    )
    .await;
    let _ = save(
        repo,
        NewVersion {
            name: "Half".to_owned(),
            ..definition("dailyXreport", 1)
        },
    )
    .await;
    assert_eq!(names(repo, &search("daily_report")).await, ["daily_report"]);
    assert_eq!(names(repo, &search("0% o")).await, ["daily_report"]);
    assert_eq!(names(repo, &search("f%l")).await, Vec::<String>::new());
}

/// A token that no page gave is refused. Guard: `WorkflowGuard::TokenCheck`.
pub async fn a_foreign_workflow_token_is_refused(repo: &Repo, _: &ManualClock) {
    let token = PageToken("'; drop table workflows".to_owned());
    let refused = repo
        .list(&tenant(), &WorkflowFilter::default(), Some(&token), 10)
        .await
        .unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Invalid);
}

/// Nothing of a tenant is read under another's name. Guard: `WorkflowGuard::TenantReads`.
pub async fn another_tenant_sees_no_workflow(repo: &Repo, _: &ManualClock) {
    let _ = saved(repo, "orders", 1).await;
    let other = other_tenant();
    assert_eq!(repo.get(&other, &id("orders"), None).await.unwrap(), None);
    let page = repo
        .list(&other, &WorkflowFilter::default(), None, 10)
        .await
        .unwrap();
    assert_eq!(page.items, []);
}

/// The same id in two tenants names two workflows; neither is changed through the other. Guard: `WorkflowGuard::TenantWrites`.
pub async fn one_id_in_two_tenants_is_two_workflows(repo: &Repo, _: &ManualClock) {
    let (other, orders) = (other_tenant(), id("orders"));
    let revision = saved(repo, "orders", 2).await;
    assert_eq!(
        repo.publish(&other, &orders, 1, revision, Vec::new())
            .await
            .unwrap(),
        Published::Unknown
    );
    assert!(!repo.archive(&other, &orders, true).await.unwrap());
    let theirs = repo.save(&other, definition("orders", 9)).await.unwrap();
    assert!(
        matches!(theirs, Saved::New { version: 1, .. }),
        "{theirs:?}"
    );
    let summary = summary(repo, "orders").await;
    assert_eq!(
        (summary.latest, summary.revision, summary.archived),
        (2, revision, false)
    );
}
