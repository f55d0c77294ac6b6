//! Rules of changes: whoever follows them learns of all.

use nebula_core::{Clock as _, ExecutionId, TenantId};
use nebula_execution::Status;
use nebula_ports::{
    Begun, ChangeCursor, Changes, ExecutionSummary, Lease, MAX_CHANGES_BEHIND, Signalled, Step,
};

use super::fixture::*;
use super::{begin::beginning, migrate::moves};
use crate::ManualClock;

/// Far more than there is.
const ALL: usize = 1_000;

async fn read(
    repo: &Repo,
    tenant: &TenantId,
    after: &ChangeCursor,
    limit: usize,
) -> (Vec<ExecutionSummary>, ChangeCursor, bool) {
    match repo.changes(tenant, Some(after), limit).await.unwrap() {
        Changes::Changed {
            executions,
            next,
            more,
        } => (executions, next, more),
        Changes::Lost { .. } => panic!("{after:?} is lost"),
    }
}

/// Where now is.
async fn begun(repo: &Repo) -> ChangeCursor {
    match repo.changes(&tenant(), None, ALL).await.unwrap() {
        Changes::Changed {
            executions,
            next,
            more: false,
        } if executions.is_empty() => next,
        other => panic!("nobody has asked for anything: {other:?}"),
    }
}

/// What changed since, and moves the cursor.
async fn changed(repo: &Repo, cursor: &mut ChangeCursor) -> Vec<ExecutionId> {
    let mut ids = Vec::new();
    // Bounded: a store whose pages never end fails, too.
    for _ in 0..10 {
        let (executions, next, more) = read(repo, &tenant(), cursor, ALL).await;
        *cursor = next;
        ids.extend(executions.iter().map(|it| it.id));
        if !more {
            ids.sort();
            return ids;
        }
    }
    panic!("the pages do not end");
}

/// What is created is told, as it stands. Guard: `ExecutionGuard::ChangeCreated`.
pub async fn a_creation_is_a_change(repo: &Repo, clock: &ManualClock) {
    created(repo, clock, 1).await;
    let cursor = begun(repo).await;
    let id = created(repo, clock, 2).await;
    let (executions, ..) = read(repo, &tenant(), &cursor, ALL).await;
    assert_eq!(executions, [summary(repo, id).await]);
}

/// What begins with its first step is told, also where that is the end. Guard: `ExecutionGuard::ChangeCreated`.
pub async fn a_beginning_is_a_change(repo: &Repo, clock: &ManualClock) {
    let mut cursor = begun(repo).await;
    for (n, step) in [(1, append(1, 2, 0)), (2, end(2, 2)), (3, sleep(3, 2, None))] {
        let (lease, step) = beginning(clock, n, n.into(), step);
        let begun = repo.begin(&lease, None, step).await.unwrap();
        assert!(matches!(begun, Begun::Applied { .. }), "{begun:?}");
        assert_eq!(changed(repo, &mut cursor).await, [lease.execution]);
    }
}

/// What gets entries is told. Guard: `ExecutionGuard::ChangeWritten`.
pub async fn a_step_is_a_change(repo: &Repo, clock: &ManualClock) {
    let (lease, other) = (driven(repo, clock, 1).await, driven(repo, clock, 2).await);
    let mut cursor = begun(repo).await;
    apply(repo, &lease, append(1, 2, 3)).await;
    assert_eq!(changed(repo, &mut cursor).await, [lease.execution]);
    apply(repo, &other, append(2, 2, 1)).await;
    apply(repo, &lease, end(3, 5)).await;
    let (executions, ..) = read(repo, &tenant(), &cursor, ALL).await;
    assert_eq!(executions.len(), 2, "{executions:?}");
    let ended = executions.iter().find(|it| it.id == lease.execution);
    assert_eq!(ended.map(|it| it.status), Some(Status::Completed));
}

/// A status that a step moves is told, also without an entry. Guard: `ExecutionGuard::ChangeMoved`.
pub async fn a_status_that_moves_alone_is_a_change(repo: &Repo, clock: &ManualClock) {
    let lease = driven(repo, clock, 1).await;
    let cursor = begun(repo).await;
    let step = Step {
        to: Some(Status::Waiting),
        ..append(1, 2, 0)
    };
    apply(repo, &lease, step).await;
    let (executions, ..) = read(repo, &tenant(), &cursor, ALL).await;
    assert_eq!(executions, [summary(repo, lease.execution).await]);
    assert_eq!(executions[0].status, Status::Waiting);
}

/// What the store itself writes is told. Guard: `ExecutionGuard::ChangeWritten`.
pub async fn a_parked_and_a_migrated_execution_changed(repo: &Repo, clock: &ManualClock) {
    let (poisoned, moved) = (created(repo, clock, 1).await, asleep(repo, clock, 2).await);
    for holder in 0..MAX_GRANTS {
        grant(repo, poisoned, holder.into()).await;
        clock.advance(TTL);
    }
    let mut cursor = begun(repo).await;
    let _ = acquire(repo, poisoned, 9).await;
    assert_eq!(summary(repo, poisoned).await.status, Status::Parked);
    assert_eq!(changed(repo, &mut cursor).await, [poisoned]);
    let _ = repo.migrate(&tenant(), moved, 3, moves()).await.unwrap();
    assert_eq!(changed(repo, &mut cursor).await, [moved]);
}

/// A renewal, a signal, an empty step and a release are no changes. Guard: `ExecutionGuard::ChangeNothing`.
pub async fn what_changes_nothing_is_not_told(repo: &Repo, clock: &ManualClock) {
    let lease = driven(repo, clock, 1).await;
    let mut cursor = begun(repo).await;
    let _ = repo.renew(std::slice::from_ref(&lease)).await.unwrap();
    let sent = send(repo, lease.execution, "a").await;
    assert_eq!(sent, Signalled::Delivered { seq: 1 });
    apply(repo, &lease, append(1, 2, 0)).await;
    repo.release(&lease).await.unwrap();
    assert_eq!(changed(repo, &mut cursor).await, []);
}

/// What was told is not told again. Guard: `ExecutionGuard::ChangeOnce`.
pub async fn what_was_told_is_not_told_again(repo: &Repo, clock: &ManualClock) {
    let mut cursor = begun(repo).await;
    let lease = driven(repo, clock, 1).await;
    apply(repo, &lease, append(1, 2, 1)).await;
    assert_eq!(changed(repo, &mut cursor).await, [lease.execution]);
    assert_eq!(changed(repo, &mut cursor).await, []);
    let other = created(repo, clock, 2).await;
    assert_eq!(changed(repo, &mut cursor).await, [other]);
}

/// A page has no more than was asked for, and the next ones have the rest. Guard: `ExecutionGuard::ChangePages`.
pub async fn changes_are_read_in_pages(repo: &Repo, clock: &ManualClock) {
    let mut cursor = begun(repo).await;
    let mut leases = Vec::<Lease>::new();
    for n in 1..=7 {
        leases.push(driven(repo, clock, n).await);
    }
    for (id, lease) in (1..).zip(&leases) {
        apply(repo, lease, append(id, 2, 1)).await;
    }
    let mut told = Vec::new();
    for page in 0.. {
        let (executions, next, more) = read(repo, &tenant(), &cursor, 2).await;
        assert!(executions.len() <= 2 && page < 20, "{executions:?}");
        cursor = next;
        told.extend(executions.iter().map(|it| it.id));
        if !more {
            break;
        }
    }
    told.sort();
    told.dedup();
    let mut all: Vec<_> = leases.iter().map(|lease| lease.execution).collect();
    all.sort();
    assert_eq!(told, all);
}

/// Nobody is told of others. Guard: `ExecutionGuard::ChangeTenant`.
pub async fn changes_belong_to_a_tenant(repo: &Repo, clock: &ManualClock) {
    let cursor = begun(repo).await;
    let id = created(repo, clock, 1).await;
    let (others, ..) = read(repo, &other_tenant(), &cursor, ALL).await;
    assert_eq!(others, []);
    let (ours, ..) = read(repo, &tenant(), &cursor, ALL).await;
    assert_eq!(ours.len(), 1, "{ours:?}");
    assert_eq!(ours[0].id, id);
}

/// What comes after a deletion is told to whoever stopped before it. Guard: `ExecutionGuard::ChangeNumbers`.
pub async fn a_deletion_hides_no_change(repo: &Repo, clock: &ManualClock) {
    let kept = driven(repo, clock, 1).await;
    for n in 2..=5 {
        ended(repo, clock, n).await;
    }
    let mut cursor = begun(repo).await;
    clock.advance(DAY);
    assert_eq!(
        repo.delete_ended(&tenant(), clock.now(), 10).await.unwrap(),
        4
    );
    apply(repo, &kept, append(1, 2, 1)).await;
    let new = created(repo, clock, 9).await;
    assert_eq!(
        changed(repo, &mut cursor).await,
        [kept.execution, new],
        "their numbers came again"
    );
    assert_eq!(changed(repo, &mut cursor).await, []);
}

/// The same where nothing is left, several times. Guard: `ExecutionGuard::ChangeNumbers`.
pub async fn a_deletion_of_the_last_execution_hides_no_change(repo: &Repo, clock: &ManualClock) {
    for n in 1..=3 {
        ended(repo, clock, n).await;
    }
    let mut cursor = begun(repo).await;
    let mut last = ExecutionId::from_bytes([0; 16]);
    for n in 4..=6 {
        clock.advance(DAY);
        let deleted = repo.delete_ended(&tenant(), clock.now(), 10).await;
        assert!(deleted.unwrap() > 0);
        last = ended(repo, clock, n).await.execution;
    }
    assert_eq!(changed(repo, &mut cursor).await, [last]);
    assert_eq!(changed(repo, &mut cursor).await, []);
}

/// A cursor that the store has not made is lost, and so is one that is ahead of it. Guard: `ExecutionGuard::ChangeCursor`.
pub async fn a_foreign_cursor_of_changes_is_lost(repo: &Repo, clock: &ManualClock) {
    created(repo, clock, 1).await;
    let ChangeCursor(now) = begun(repo).await;
    let ahead = now.replace(|digit: char| digit.is_ascii_digit(), "9");
    // As if the store had been set back since.
    let a_little = match now.strip_suffix('9') {
        Some(_) => format!("{now}9"),
        None => format!("{}9", &now[..now.len() - 1]),
    };
    for foreign in ["", "x", "1;2", &ahead, &a_little] {
        let foreign = ChangeCursor(foreign.to_owned());
        let answer = repo.changes(&tenant(), Some(&foreign), ALL).await.unwrap();
        let Changes::Lost { mut next } = answer else {
            panic!("{foreign:?}: {answer:?}");
        };
        let id = created(repo, clock, 2).await;
        assert_eq!(changed(repo, &mut next).await, [id]);
        clock.advance(SECOND);
    }
}

/// Whoever has too much to catch up with is told so, and where now is. Guard: `ExecutionGuard::ChangeBehind`.
pub async fn who_is_too_far_behind_is_told(repo: &Repo, clock: &ManualClock) {
    let parent = driven(repo, clock, 1).await;
    let cursor = begun(repo).await;
    let mut seq = 2;
    // Each child is a change, and many come with one step.
    for _ in 0..=MAX_CHANGES_BEHIND / 200 {
        let mut step = append(seq.into(), seq, 1);
        step.children = (0..200)
            .map(|n| {
                clock.advance(std::time::Duration::from_millis(u64::from(n == 0)));
                new_execution(clock, n)
            })
            .collect();
        seq = apply(repo, &parent, step).await;
    }
    let answer = repo.changes(&tenant(), Some(&cursor), ALL).await.unwrap();
    let Changes::Lost { mut next } = answer else {
        panic!("more than {MAX_CHANGES_BEHIND} changes are told");
    };
    apply(repo, &parent, append(1, seq, 1)).await;
    assert_eq!(changed(repo, &mut next).await, [parent.execution]);
}
