//! Rules of the chain.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use nebula_core::{Clock, TenantId};
use nebula_ports::{
    AuditEntry, AuditHead, AuditLog, AuditOutcome, ErrorKind, MAX_AUDIT_CHANGE, MAX_AUDIT_PAGE,
    MAX_AUDIT_TEXT, NewAudit, audit_root, follow,
};
use uuid::Uuid;

use crate::ManualClock;

type Log = Arc<dyn AuditLog>;

const ROOT: u64 = 0;

fn tenant() -> TenantId {
    TenantId::local()
}

fn new(number: u128) -> NewAudit {
    NewAudit {
        id: Uuid::from_u128(number),
        who: "person:17".to_owned(),
        via: "session:18".to_owned(),
        from: "192.0.2.7".to_owned(),
        what: "keys.create".to_owned(),
        target: format!("key:{number}"),
        outcome: AuditOutcome::Allowed,
        change: r#"{"name":"Läden"}"#.to_owned(),
    }
}

async fn append(log: &Log, numbers: impl IntoIterator<Item = u128>) {
    for number in numbers {
        log.append(&tenant(), new(number)).await.unwrap();
    }
}

async fn all(log: &Log) -> Vec<AuditEntry> {
    log.entries(&tenant(), ROOT, 500).await.unwrap()
}

/// The whole chain, from its root on.
async fn followed(log: &Log) -> AuditHead {
    let root = AuditHead {
        seq: ROOT,
        hash: audit_root(),
    };
    follow(&tenant(), root, &all(log).await).unwrap()
}

/// Every part comes back, both outcomes, with and without texts. Guard: `AuditGuard::Keeps`.
pub async fn an_entry_is_read_as_it_was_appended(log: &Log, _: &ManualClock) {
    let bare = NewAudit {
        who: String::new(),
        via: String::new(),
        from: String::new(),
        target: String::new(),
        change: String::new(),
        outcome: AuditOutcome::Denied,
        ..new(2)
    };
    let mut appended = Vec::new();
    for new in [new(1), bare] {
        let entry = log.append(&tenant(), new.clone()).await.unwrap();
        assert_eq!(entry.new, new);
        appended.push(entry);
    }
    assert_eq!(all(log).await, appended);
}

/// From 1. Guard: `AuditGuard::Numbers`.
pub async fn entries_are_numbered_without_gaps(log: &Log, _: &ManualClock) {
    append(log, 1..=3).await;
    let numbers: Vec<_> = all(log).await.iter().map(|it| it.seq).collect();
    assert_eq!(numbers, [1, 2, 3]);
}

/// So none can be changed unseen. Guard: `AuditGuard::Chains`.
pub async fn each_hash_follows_the_one_before(log: &Log, _: &ManualClock) {
    append(log, 1..=3).await;
    assert_eq!(followed(log).await.seq, 3);
}

/// Each gets a number of its own. Guard: `AuditGuard::AppendAtOnce`.
pub async fn of_appends_at_once_the_chain_does_not_fork(log: &Log, _: &ManualClock) {
    let tenant = tenant();
    let appends = (1..=20).map(|number| log.append(&tenant, new(number)));
    let mut numbers: Vec<_> = join_all(appends)
        .await
        .into_iter()
        .map(|entry| entry.unwrap().seq)
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=20).collect::<Vec<_>>());
    assert_eq!(followed(log).await.seq, 20);
}

/// The entry that is there is given. Guard: `AuditGuard::AppendRepeated`.
pub async fn an_append_that_is_repeated_adds_nothing(log: &Log, clock: &ManualClock) {
    append(log, 1..=2).await;
    clock.advance(Duration::from_secs(1));
    let again = log.append(&tenant(), new(1)).await.unwrap();
    assert_eq!(again, all(log).await[0]);
    assert_eq!(followed(log).await.seq, 2);
}

/// Nothing takes the place of anything. Guard: `AuditGuard::AppendOther`.
pub async fn an_id_of_another_entry_is_refused(log: &Log, _: &ManualClock) {
    append(log, [1]).await;
    let other = NewAudit {
        target: "other".to_owned(),
        ..new(1)
    };
    let refused = log.append(&tenant(), other).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Invalid);
    assert_eq!(all(log).await.len(), 1);
}

/// Nobody else's. Guard: `AuditGuard::StoreTime`.
pub async fn an_entry_has_the_time_of_the_store(log: &Log, clock: &ManualClock) {
    for number in 1..=2 {
        clock.advance(Duration::from_millis(1_500));
        append(log, [number]).await;
        assert_eq!(all(log).await.last().unwrap().at, clock.now());
    }
}

/// The limits themselves are allowed. Guard: `AuditGuard::Sizes`.
pub async fn an_entry_without_possible_texts_is_refused(log: &Log, _: &ManualClock) {
    let changes: [fn(&mut NewAudit, usize); 6] = [
        |it, over| it.who = "x".repeat(MAX_AUDIT_TEXT + over),
        |it, over| it.via = "x".repeat(MAX_AUDIT_TEXT + over),
        |it, over| it.from = "x".repeat(MAX_AUDIT_TEXT + over),
        |it, over| it.what = "x".repeat(MAX_AUDIT_TEXT + over),
        |it, over| it.target = "x".repeat(MAX_AUDIT_TEXT + over),
        |it, over| it.change = "x".repeat(MAX_AUDIT_CHANGE + over),
    ];
    for change in changes {
        let mut new = new(1);
        change(&mut new, 1);
        let refused = log.append(&tenant(), new).await.unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Invalid);
    }
    let unsaid = NewAudit {
        what: String::new(),
        ..new(1)
    };
    assert!(log.append(&tenant(), unsaid).await.is_err());
    assert_eq!(all(log).await, []);
    let mut largest = new(1);
    for change in changes {
        change(&mut largest, 0);
    }
    log.append(&tenant(), largest.clone()).await.unwrap();
    assert_eq!(all(log).await[0].new, largest);
}

/// Each is on one page. Guard: `AuditGuard::Pages`.
pub async fn pages_of_entries_join(log: &Log, _: &ManualClock) {
    append(log, 1..=5).await;
    let mut seen = Vec::new();
    loop {
        let after = seen.last().copied().unwrap_or(ROOT);
        let page = log.entries(&tenant(), after, 2).await.unwrap();
        assert!(page.len() <= 2 && seen.len() <= 5);
        if page.is_empty() {
            break;
        }
        seen.extend(page.iter().map(|it| it.seq));
    }
    assert_eq!(seen, [1, 2, 3, 4, 5]);
}

/// Whatever was asked for. Guard: `AuditGuard::PageLimit`.
pub async fn a_page_of_entries_is_bounded(log: &Log, _: &ManualClock) {
    let (tenant, last) = (tenant(), u128::try_from(MAX_AUDIT_PAGE).unwrap() + 1);
    let appends = (1..=last).map(|number| log.append(&tenant, new(number)));
    for entry in join_all(appends).await {
        entry.unwrap();
    }
    let page = log.entries(&tenant, ROOT, usize::MAX).await.unwrap();
    assert_eq!(page.len(), MAX_AUDIT_PAGE);
}

/// What is remembered elsewhere. Guard: `AuditGuard::Head`.
pub async fn the_head_is_the_last_entry(log: &Log, _: &ManualClock) {
    for number in 1..=2 {
        append(log, [number]).await;
        let head = log.head(&tenant()).await.unwrap().unwrap();
        assert_eq!(head, followed(log).await);
    }
}

/// None is not zero. Guard: `AuditGuard::EmptyHead`.
pub async fn an_empty_log_has_no_head(log: &Log, _: &ManualClock) {
    assert_eq!(log.head(&tenant()).await.unwrap(), None);
    assert_eq!(all(log).await, []);
}

/// With numbers from 1, and ids of its own. Guard: `AuditGuard::TenantChain`.
pub async fn another_tenant_has_a_chain_of_its_own(log: &Log, _: &ManualClock) {
    let theirs = TenantId::new("other").unwrap();
    append(log, 1..=2).await;
    assert_eq!(log.entries(&theirs, ROOT, 10).await.unwrap(), []);
    assert_eq!(log.head(&theirs).await.unwrap(), None);
    let entry = log.append(&theirs, new(1)).await.unwrap();
    assert_eq!(entry.seq, 1);
    assert_ne!(entry.hash, all(log).await[0].hash);
    assert_eq!(followed(log).await.seq, 2);
}
