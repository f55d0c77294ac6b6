//! Rules of reading: journals, summaries, listings.

use std::sync::Arc;

use nebula_action::ActionError;
use nebula_core::{Clock, Labels, Priority, Timestamp, WorkflowId};
use nebula_execution::{EndReason, Entry, Fact, ItemOutcome, NewExecution, Status, Taken};
use nebula_ports::{Created, ErrorKind, ExecutionFilter, ExecutionSummary, PageToken, Step};
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
    let mut new = new_execution(clock, 1);
    let labels: Labels = "customer=ada,order=4711".parse().unwrap();
    label(&mut new, &labels);
    let created = repo.create(&tenant(), new, None, Some(request(1))).await;
    let Created::Created(Some(lease)) = created.unwrap() else {
        panic!("no lease for the creator");
    };
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
        labels,
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

/// A listing may be of a span of time: from a moment on, and before another. Guards:
/// `ExecutionGuard::FilterSince`, `ExecutionGuard::FilterUntil`.
pub async fn a_listing_filters_by_time(repo: &Repo, clock: &ManualClock) {
    let first = clock.now();
    let ids = many(repo, clock, 4).await;
    let at = |second: u32| Some(first.plus(SECOND * second));
    let of = |since, until| ExecutionFilter {
        since,
        until,
        ..ExecutionFilter::default()
    };
    let found = async |since, until| list(repo, &of(since, until), None, 10).await.0;
    assert_eq!(found(at(2), None).await, [ids[3], ids[2]]);
    assert_eq!(found(None, at(2)).await, [ids[1], ids[0]]);
    assert_eq!(found(at(1), at(3)).await, [ids[2], ids[1]]);
    assert_eq!(found(at(3), at(1)).await, []);
    let queued = ExecutionFilter {
        workflow: Some(WorkflowId::new("orders").unwrap()),
        statuses: vec![Status::Queued, Status::Failed],
        ..of(at(1), at(3))
    };
    let (page, next) = list(repo, &queued, None, 1).await;
    let (rest, end) = list(repo, &queued, next.as_ref(), 1).await;
    assert_eq!(([page, rest].concat(), end), (vec![ids[2], ids[1]], None));
}

/// A listing may be of those with some labels: with all of them. Guard: `ExecutionGuard::FilterLabels`.
pub async fn a_listing_filters_by_labels(repo: &Repo, clock: &ManualClock) {
    let mut ids = Vec::new();
    for (n, labels) in ["a=1,b=1", "a=1,b=2", "a=2", "b=1"].into_iter().enumerate() {
        let n = u8::try_from(n).unwrap() + 1;
        ids.push(labelled(repo, clock, n, labels).await);
    }
    let _ = created(repo, clock, 99).await;
    let of = |labels: &str| ExecutionFilter {
        labels: labels.parse().unwrap(),
        ..ExecutionFilter::default()
    };
    let found = async |labels| list(repo, &of(labels), None, 10).await.0;
    assert_eq!(found("a=1").await, [ids[1], ids[0]]);
    assert_eq!(found("b=1").await, [ids[3], ids[0]]);
    assert_eq!(found("a=1,b=1").await, [ids[0]]);
    assert_eq!(found("a=2,b=1").await, []);
    assert_eq!(found("a=3").await, []);
    let (first, next) = list(repo, &of("a=1"), None, 1).await;
    let (second, end) = list(repo, &of("a=1"), next.as_ref(), 1).await;
    assert_eq!(
        ([first, second].concat(), end),
        (vec![ids[1], ids[0]], None)
    );
    let with_others = ExecutionFilter {
        workflow: Some(WorkflowId::new("orders").unwrap()),
        statuses: vec![Status::Queued],
        ids: Some(ids[1]..=ids[3]),
        ..of("a=1")
    };
    assert_eq!(list(repo, &with_others, None, 10).await.0, [ids[1]]);
}

/// A listing may be of those with a text in the id of their workflow or in a label. Guard:
/// `ExecutionGuard::FilterText`.
pub async fn a_listing_filters_by_text(repo: &Repo, clock: &ManualClock) {
    let ada = labelled(repo, clock, 1, "customer=Ada Lovelace,text=100%").await;
    let bob = labelled(repo, clock, 2, "customer=Bob").await;
    let refund = execution_of(clock, 3, "refunds", &json!({ "customer": "Ada" }));
    let refunded = refund.id;
    let _ = repo.create(&tenant(), refund, None, None).await.unwrap();
    let of = |text: &str| ExecutionFilter {
        text: Some(text.to_owned()),
        ..ExecutionFilter::default()
    };
    let found = async |text| list(repo, &of(text), None, 10).await.0;
    assert_eq!(found("LOVE").await, [ada]);
    assert_eq!(found("fund").await, [refunded]);
    assert_eq!(found("RDER").await, [bob, ada]);
    // No text means anything but itself.
    assert_eq!(found("100%").await, [ada]);
    assert_eq!(found("1%0").await, []);
    assert_eq!(found("a_a").await, []);
    // Nor do keys, and what lies in a label is found as it is.
    assert_eq!(found("customer").await, []);
    assert_eq!(found("Bob\"").await, []);
    let both = ExecutionFilter {
        labels: "customer=Bob".parse().unwrap(),
        ..of("orders")
    };
    assert_eq!(list(repo, &both, None, 10).await.0, [bob]);
}

/// A queued execution with these labels; the next one is a second later.
async fn labelled(
    repo: &Repo,
    clock: &ManualClock,
    n: u8,
    labels: &str,
) -> nebula_core::ExecutionId {
    let mut new = new_execution(clock, n);
    label(&mut new, &labels.parse().unwrap());
    let id = new.id;
    let _ = repo.create(&tenant(), new, None, None).await.unwrap();
    clock.advance(SECOND);
    id
}

fn label(new: &mut NewExecution, labels: &Labels) {
    if let Some(Fact::ExecutionStarted(started)) = new.entries.first_mut().map(|it| &mut it.fact) {
        started.labels = labels.clone();
    }
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
