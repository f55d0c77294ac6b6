//! Rules of reading: journals, summaries, listings.

use std::sync::Arc;

use nebula_action::ActionError;
use nebula_core::{Clock, Priority, Timestamp, WorkflowId};
use nebula_execution::{EndReason, Entry, Fact, ItemOutcome, Status, Taken};
use nebula_ports::{ErrorKind, ExecutionFilter, ExecutionSummary, PageToken, Step};
use serde_json::json;

use super::fixture::*;
use crate::ManualClock;

/// A journal is read page by page, in order, to its end. Guard: `ExecutionGuard::JournalPages`.
pub async fn a_journal_is_read_in_pages(repo: &Repo, clock: &ManualClock) {
    let lease = driven(repo, clock, 1).await;
    let mut seq = 2;
    for id in 1..=20 {
        seq = apply(repo, &lease, append(id, seq, 2)).await;
    }
    let (mut read, mut from) = (Vec::new(), Some(1));
    // Bounded: a store whose pages never end fails, too.
    for _ in 0..41 {
        let Some(at) = from else { break };
        let page = repo
            .journal(&tenant(), lease.execution, at, 5)
            .await
            .unwrap();
        assert!(
            (1..=5).contains(&page.entries.len()),
            "{} entries on a page of 5",
            page.entries.len()
        );
        read.extend(page.entries);
        from = page.next;
    }
    assert_eq!(read, journal(repo, lease.execution).await);
    assert_eq!(read.len(), 41);
}

/// A batch that is larger than the page comes as one, so that reading always goes on. Guard: `ExecutionGuard::WholeBatch`.
pub async fn a_batch_larger_than_the_page_comes_whole(repo: &Repo, clock: &ManualClock) {
    let lease = driven(repo, clock, 1).await;
    apply(repo, &lease, append(1, 2, 9)).await;
    let page = repo
        .journal(&tenant(), lease.execution, 2, 3)
        .await
        .unwrap();
    assert_eq!((page.entries.len(), page.next), (9, None));
}

/// Reading may begin within a batch. Guard: `ExecutionGuard::JournalFrom`.
pub async fn reading_may_begin_within_a_batch(repo: &Repo, clock: &ManualClock) {
    let lease = driven(repo, clock, 1).await;
    apply(repo, &lease, append(1, 2, 5)).await;
    let page = repo
        .journal(&tenant(), lease.execution, 4, 10)
        .await
        .unwrap();
    assert_eq!(
        page.entries
            .iter()
            .map(|entry| entry.seq)
            .collect::<Vec<_>>(),
        [4, 5, 6]
    );
    let page = repo
        .journal(&tenant(), lease.execution, 7, 10)
        .await
        .unwrap();
    assert_eq!((page.entries.len(), page.next), (0, None));
}

/// Every entry comes back as it was. Guard: `ExecutionGuard::EntriesUnchanged`.
pub async fn every_fact_comes_back_as_it_was(repo: &Repo, clock: &ManualClock) {
    let lease = driven(repo, clock, 1).await;
    let instance: nebula_execution::InstanceId = "price#2[3]".parse().unwrap();
    let output = Arc::new(json!({ "z": [1, 2.5, null], "a": "ü\u{0}\u{1f600}", "big": u64::MAX }));
    let facts = [
        Fact::AttemptSucceeded {
            instance: instance.clone(),
            attempt: 2,
            output: Arc::clone(&output),
            port: "other".into(),
            lineage: Some(vec![0, 0, 4]),
            taken: Taken::Only(vec!["x".into(), "y:in".into()]),
            micros: 12,
        },
        Fact::AttemptFailed {
            instance: instance.clone(),
            attempt: 1,
            error: ActionError::retryable("TOO_BUSY", "try later"),
            retry_at: Some(Timestamp::from_millis(5)),
            counts: false,
            taken: Taken::All,
        },
        Fact::ItemsSettled {
            instance,
            from: 3,
            outcomes: vec![ItemOutcome::Ok(output)],
        },
        Fact::CancellationRequested {
            reason: EndReason::Requested("a person".to_owned()),
        },
    ];
    let at = clock.now().plus(SECOND);
    let entries: Vec<_> = facts.into_iter().map(|fact| Entry { at, fact }).collect();
    apply(
        repo,
        &lease,
        Step {
            entries: entries.clone(),
            ..append(1, 2, 0)
        },
    )
    .await;
    let stored = journal(repo, lease.execution).await;
    assert!(
        stored
            .into_iter()
            .skip(1)
            .map(|stored| stored.entry)
            .eq(entries)
    );
}

/// A summary tells everything that a listing shows. Guard: `ExecutionGuard::LeasedFlag`.
pub async fn a_summary_tells_what_there_is(repo: &Repo, clock: &ManualClock) {
    let lease = driven(repo, clock, 1).await;
    let created_at = clock.now();
    clock.advance(SECOND);
    apply(
        repo,
        &lease,
        Step {
            wake_at: Some(clock.now().plus(DAY)),
            ..append(1, 2, 2)
        },
    )
    .await;
    let expected = ExecutionSummary {
        id: lease.execution,
        workflow: WorkflowId::new("orders").unwrap(),
        version: 7,
        status: Status::Running,
        created_at,
        updated_at: clock.now(),
        wake_at: Some(clock.now().plus(DAY)),
        entries: 3,
        leased: true,
        begins_at: None,
        priority: Priority::Normal,
    };
    assert_eq!(summary(repo, lease.execution).await, expected);
    clock.advance(TTL);
    assert!(!summary(repo, lease.execution).await.leased);
}

/// Executions are listed newest first. Guard: `ExecutionGuard::NewestFirst`.
pub async fn executions_are_listed_newest_first(repo: &Repo, clock: &ManualClock) {
    let mut ids = many(repo, clock, 5).await;
    ids.reverse();
    assert_eq!(
        list(repo, &ExecutionFilter::default(), None, 10).await.0,
        ids
    );
}

/// The pages of a listing join without gap or repetition. Guard: `ExecutionGuard::ListPages`.
pub async fn pages_of_a_listing_join(repo: &Repo, clock: &ManualClock) {
    let mut ids = many(repo, clock, 7).await;
    ids.reverse();
    let (mut found, mut after) = (Vec::new(), None);
    for page_size in [3, 3, 1] {
        let (page, next) = list(repo, &ExecutionFilter::default(), after.as_ref(), 3).await;
        assert_eq!(page.len(), page_size);
        found.extend(page);
        after = next;
    }
    assert_eq!((found, after), (ids, None));
}

/// What begins while somebody reads page by page shifts no page. Guard: `ExecutionGuard::ListCursor`.
pub async fn a_new_execution_shifts_no_page(repo: &Repo, clock: &ManualClock) {
    let ids = many(repo, clock, 4).await;
    let (first, next) = list(repo, &ExecutionFilter::default(), None, 2).await;
    clock.advance(SECOND);
    let _ = created(repo, clock, 99).await;
    let (second, _) = list(repo, &ExecutionFilter::default(), next.as_ref(), 2).await;
    assert_eq!([first, second].concat(), [ids[3], ids[2], ids[1], ids[0]]);
}

/// A listing may be of one workflow. Guard: `ExecutionGuard::FilterWorkflow`.
pub async fn a_listing_filters_by_workflow(repo: &Repo, clock: &ManualClock) {
    let _ = many(repo, clock, 2).await;
    let refund = execution_of(clock, 9, "refunds", &json!({}));
    let id = refund.id;
    let _ = repo.create(&tenant(), refund, None, None).await.unwrap();
    let filter = ExecutionFilter {
        workflow: Some(WorkflowId::new("refunds").unwrap()),
        ..ExecutionFilter::default()
    };
    assert_eq!(list(repo, &filter, None, 10).await.0, [id]);
}

/// A listing may be of some statuses. Guard: `ExecutionGuard::FilterStatus`.
pub async fn a_listing_filters_by_status(repo: &Repo, clock: &ManualClock) {
    let _ = created(repo, clock, 1).await;
    let (done, waits) = (
        ended(repo, clock, 2).await.execution,
        asleep(repo, clock, 3).await,
    );
    let of = |statuses: &[Status]| ExecutionFilter {
        statuses: statuses.to_vec(),
        ..ExecutionFilter::default()
    };
    assert_eq!(
        list(repo, &of(&[Status::Completed]), None, 10).await.0,
        [done]
    );
    let mut both = list(repo, &of(&[Status::Completed, Status::Waiting]), None, 10)
        .await
        .0;
    both.sort();
    assert_eq!(both, [done, waits]);
    assert_eq!(list(repo, &of(&[Status::Failed]), None, 10).await.0, []);
}

/// A listing may be of a range of ids, both ends included. Guard: `ExecutionGuard::FilterIds`.
pub async fn a_listing_filters_by_a_range_of_ids(repo: &Repo, clock: &ManualClock) {
    let mut ids = many(repo, clock, 6).await;
    let done = ended(repo, clock, 7).await.execution;
    ids.push(done);
    ids.sort();
    let newest_first = |mut ids: Vec<_>| {
        ids.reverse();
        ids
    };
    let of = |from: usize, to: usize| ExecutionFilter {
        ids: Some(ids[from]..=ids[to]),
        ..ExecutionFilter::default()
    };
    let expected = newest_first(ids[1..=4].to_vec());
    assert_eq!(
        list(repo, &of(1, 4), None, 10).await,
        (expected.clone(), None)
    );
    assert_eq!(list(repo, &of(2, 2), None, 10).await.0, [ids[2]]);
    assert_eq!(list(repo, &of(4, 1), None, 10).await.0, []);
    // Pages join within it, and the other filters hold too.
    let (first, next) = list(repo, &of(1, 4), None, 3).await;
    let (second, end) = list(repo, &of(1, 4), next.as_ref(), 3).await;
    assert_eq!(([first, second].concat(), end), (expected, None));
    let queued = ExecutionFilter {
        workflow: Some(WorkflowId::new("orders").unwrap()),
        statuses: vec![Status::Queued, Status::Completed],
        ..of(5, 6)
    };
    assert_eq!(
        list(repo, &queued, None, 10).await.0,
        newest_first(ids[5..].to_vec())
    );
    let other = ExecutionFilter {
        workflow: Some(WorkflowId::new("refunds").unwrap()),
        ..of(0, 6)
    };
    assert_eq!(list(repo, &other, None, 10).await.0, []);
}

/// A token that no page gave is refused. Guard: `ExecutionGuard::TokenCheck`.
pub async fn a_foreign_token_is_refused(repo: &Repo, clock: &ManualClock) {
    let _ = created(repo, clock, 1).await;
    let token = PageToken("'; drop table executions".to_owned());
    let refused = repo
        .list(&tenant(), &ExecutionFilter::default(), Some(&token), 10)
        .await
        .unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Invalid);
}

/// So many executions, a second apart, oldest first.
async fn many(repo: &Repo, clock: &ManualClock, count: u8) -> Vec<nebula_core::ExecutionId> {
    let mut ids = Vec::new();
    for n in 1..=count {
        ids.push(created(repo, clock, n).await);
        clock.advance(SECOND);
    }
    ids
}

async fn list(
    repo: &Repo,
    filter: &ExecutionFilter,
    after: Option<&PageToken>,
    limit: usize,
) -> (Vec<nebula_core::ExecutionId>, Option<PageToken>) {
    let page = repo.list(&tenant(), filter, after, limit).await.unwrap();
    (
        page.items.into_iter().map(|summary| summary.id).collect(),
        page.next,
    )
}
