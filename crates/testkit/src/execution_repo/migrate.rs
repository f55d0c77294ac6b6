//! Rules of moving an execution to another version of its workflow.

use nebula_core::Digest;
use nebula_execution::{Entry, Fact, Status};
use nebula_ports::{ErrorKind, Moved, Snapshot, Step};

use super::fixture::*;
use crate::{ManualClock, START};

pub(super) fn moves() -> Entry {
    let fact = Fact::Migrated {
        version: 8,
        plan: Digest::of(b"another plan"),
    };
    Entry { at: START, fact }
}

/// Version, plan and journal move together, with an epoch of their own. Guards:
/// `ExecutionGuard::MigrateVersion`, `MigratePlan`, `MigrateEntry`, `MigrateEpoch`.
pub async fn a_migration_moves_version_plan_and_journal_together(repo: &Repo, clock: &ManualClock) {
    let id = asleep(repo, clock, 1).await;
    clock.advance(SECOND);
    let moved = repo.migrate(&tenant(), id, 3, moves()).await.unwrap();
    assert_eq!(moved, Moved::Moved { next_seq: 4 });
    let summary = repo.get(&tenant(), id).await.unwrap().unwrap();
    assert_eq!((summary.version, summary.entries), (8, 3));
    assert_eq!(summary.status, Status::Waiting);
    let page = repo.journal(&tenant(), id, 3, 10).await.unwrap();
    let last = page.entries.last().unwrap();
    assert_eq!((last.seq, &last.entry), (3, &moves()));
    assert_eq!(last.epoch, 2, "it is newer than any lease before");
    let granted = grant(repo, id, 2).await;
    assert_eq!(granted.plan, Digest::of(b"another plan"));
    assert_eq!((granted.next_seq, granted.lease.epoch), (4, 3));
}

/// A snapshot is of the plan that made it. Guard: `ExecutionGuard::MigrateSnapshot`.
pub async fn a_migration_forgets_the_snapshot(repo: &Repo, clock: &ManualClock) {
    let lease = driven(repo, clock, 1).await;
    let snapshot = Snapshot {
        through: 2,
        state: b"of the old plan".to_vec().into(),
    };
    let step = Step {
        snapshot: Some(snapshot),
        ..sleep(1, 2, None)
    };
    apply(repo, &lease, step).await;
    let id = lease.execution;
    let _ = repo.migrate(&tenant(), id, 3, moves()).await.unwrap();
    assert_eq!(grant(repo, id, 2).await.snapshot, None);
}

/// What was moved may have work. Guard: `ExecutionGuard::MigrateWakes`.
pub async fn a_migrated_execution_is_due(repo: &Repo, clock: &ManualClock) {
    let id = asleep(repo, clock, 1).await;
    let _ = repo.migrate(&tenant(), id, 3, moves()).await.unwrap();
    assert_eq!(grant(repo, id, 2).await.status, Status::Running);
}

/// What was checked is what is moved. Guard: `ExecutionGuard::MigratePlace`.
pub async fn a_migration_at_another_place_conflicts(repo: &Repo, clock: &ManualClock) {
    let id = asleep(repo, clock, 1).await;
    for place in [2, 4] {
        let moved = repo.migrate(&tenant(), id, place, moves()).await.unwrap();
        assert_eq!(moved, Moved::Conflict { actual: 3 });
    }
    let summary = repo.get(&tenant(), id).await.unwrap().unwrap();
    assert_eq!((summary.version, summary.entries), (7, 2));
}

/// Nobody's plan changes under their hands, also where their lease is over: they may still write.
/// Guards: `ExecutionGuard::MigrateHeld`, `MigrateExpired`.
pub async fn a_driven_execution_is_not_migrated(repo: &Repo, clock: &ManualClock) {
    let lease = driven(repo, clock, 1).await;
    for _ in 0..2 {
        let moved = repo.migrate(&tenant(), lease.execution, 2, moves()).await;
        assert_eq!(moved.unwrap(), Moved::Held);
        clock.advance(TTL * 2);
    }
    apply(repo, &lease, append(1, 2, 1)).await;
}

/// What has ended stays of its version. Guard: `ExecutionGuard::MigrateTerminal`.
pub async fn an_ended_execution_is_not_migrated(repo: &Repo, clock: &ManualClock) {
    let lease = driven(repo, clock, 1).await;
    apply(repo, &lease, end(1, 2)).await;
    let moved = repo.migrate(&tenant(), lease.execution, 3, moves()).await;
    assert_eq!(moved.unwrap(), Moved::Terminal(Status::Completed));
}

/// Nobody moves what belongs to others. Guard: `ExecutionGuard::MigrateTenant`.
pub async fn a_migration_stays_in_its_tenant(repo: &Repo, clock: &ManualClock) {
    let id = asleep(repo, clock, 1).await;
    let moved = repo.migrate(&other_tenant(), id, 3, moves()).await.unwrap();
    assert_eq!(moved, Moved::Unknown);
}

/// The journal says that it was moved. Guard: `ExecutionGuard::MigrateFact`.
pub async fn an_entry_that_migrates_nothing_is_refused(repo: &Repo, clock: &ManualClock) {
    let id = asleep(repo, clock, 1).await;
    let fact = Fact::Resumed;
    let entry = Entry { at: START, fact };
    let refused = repo.migrate(&tenant(), id, 3, entry).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Invalid);
    assert_eq!(repo.get(&tenant(), id).await.unwrap().unwrap().entries, 2);
}
