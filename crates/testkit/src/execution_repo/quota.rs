//! Rules of quotas: how much one tenant may use.

use std::time::Duration;

use futures_util::future::join_all;
use nebula_execution::{NewExecution, StartRate, StartSlot};
use nebula_ports::{Created, Exceeded, Quota, Quotas};

use super::fixture::*;
use crate::ManualClock;

fn executions(most: u32) -> Quotas {
    Quotas {
        executions: Some(most),
        ..Quotas::default()
    }
}

fn starts(most: u32) -> Quotas {
    Quotas {
        starts_per_second: Some(most),
        ..Quotas::default()
    }
}

/// Execution `n` of a tenant that has these quotas.
fn bounded(clock: &ManualClock, n: u8, quotas: Quotas) -> NewExecution {
    NewExecution {
        quotas,
        ..new_execution(clock, n)
    }
}

async fn create(repo: &Repo, new: NewExecution) -> Created {
    let tenant = new.tenant.clone();
    repo.create(&tenant, new, None, None).await.unwrap()
}

fn over(quota: Quota, used: u64, limit: u64, try_after: Option<Duration>) -> Created {
    Created::OverQuota {
        exceeded: Exceeded { quota, used, limit },
        try_after,
    }
}

/// As many as the quota says, whether they wait or are driven. Guard: `ExecutionGuard::QuotaExecutions`.
pub async fn a_quota_of_executions_refuses_one_more(repo: &Repo, clock: &ManualClock) {
    let _ = asleep(repo, clock, 1).await;
    let second = create(repo, bounded(clock, 2, executions(2))).await;
    assert_eq!(second, Created::Created(None));
    let third = bounded(clock, 3, executions(2));
    let id = third.id;
    let refused = create(repo, third).await;
    assert_eq!(refused, over(Quota::Executions, 2, 2, None));
    assert_eq!(repo.get(&tenant(), id).await.unwrap(), None);
    // Of a quota that was lowered, no more is told than that it is used up.
    let lowered = create(repo, bounded(clock, 3, executions(1))).await;
    assert_eq!(lowered, over(Quota::Executions, 1, 1, None));
    // Whose tenant has room is not refused.
    let room = create(repo, bounded(clock, 3, executions(3))).await;
    assert_eq!(room, Created::Created(None));
    let unbounded = create(repo, bounded(clock, 4, Quotas::default())).await;
    assert_eq!(unbounded, Created::Created(None));
}

/// However many come together. Guard: `ExecutionGuard::QuotaExecutions`.
pub async fn creations_at_once_keep_to_the_quota(repo: &Repo, clock: &ManualClock) {
    let all = (1..=16).map(|n| create(repo, bounded(clock, n, executions(5))));
    let created = join_all(all).await;
    let begun = created.iter().filter(|it| **it == Created::Created(None));
    assert_eq!(begun.count(), 5);
    assert_eq!(repo.usage(&tenant()).await.unwrap().executions, 5);
}

/// Guard: `ExecutionGuard::QuotaOpen`.
pub async fn what_has_ended_leaves_room_in_the_quota(repo: &Repo, clock: &ManualClock) {
    let _ = ended(repo, clock, 1).await;
    let next = create(repo, bounded(clock, 2, executions(1))).await;
    assert_eq!(next, Created::Created(None));
}

/// Guard: `ExecutionGuard::QuotaTenant`.
pub async fn quotas_belong_to_a_tenant(repo: &Repo, clock: &ManualClock) {
    let both = Quotas {
        starts_per_second: Some(1),
        ..executions(1)
    };
    let mine = create(repo, bounded(clock, 1, both)).await;
    assert_eq!(mine, Created::Created(None));
    let theirs = NewExecution {
        tenant: other_tenant(),
        ..bounded(clock, 2, both)
    };
    assert_eq!(create(repo, theirs).await, Created::Created(None));
}

/// The same start comes again when there is room. Guard: `ExecutionGuard::QuotaRefusalForgets`.
pub async fn a_start_that_a_quota_refuses_leaves_nothing(repo: &Repo, clock: &ManualClock) {
    let lease = driven(repo, clock, 1).await;
    let asked = || async {
        let new = bounded(clock, 2, executions(1));
        let created = repo.create(&tenant(), new, Some(key("k")), None).await;
        created.unwrap()
    };
    assert_eq!(asked().await, over(Quota::Executions, 1, 1, None));
    apply(repo, &lease, end(1, 2)).await;
    assert_eq!(asked().await, Created::Created(None));
    // What was seen is answered as that, with the quota used up.
    let seen = asked().await;
    assert!(matches!(seen, Created::Exists { .. }), "{seen:?}");
}

/// Guard: `ExecutionGuard::QuotaStarts`.
pub async fn a_quota_of_starts_refuses_one_more_in_a_second(repo: &Repo, clock: &ManualClock) {
    let half = Duration::from_millis(500);
    for n in 1..=2 {
        let begun = create(repo, bounded(clock, n, starts(2))).await;
        assert_eq!(begun, Created::Created(None));
    }
    let third = || create(repo, bounded(clock, 3, starts(2)));
    let refused = over(Quota::StartsPerSecond, 2, 2, Some(half));
    assert_eq!(third().await, refused);
    assert_eq!(third().await, refused);
    clock.advance(half);
    assert_eq!(third().await, Created::Created(None));
}

/// Guard: `ExecutionGuard::QuotaAfterSlot`.
pub async fn what_is_refused_otherwise_takes_no_start_of_the_quota(
    repo: &Repo,
    clock: &ManualClock,
) {
    let slotted = |n| NewExecution {
        slot: Some(StartSlot {
            key: "k".to_owned(),
            capacity: 1,
            max_waiting: 0,
        }),
        ..bounded(clock, n, starts(2))
    };
    assert_eq!(create(repo, slotted(1)).await, Created::Created(None));
    for n in 2..=4 {
        let refused = create(repo, slotted(n)).await;
        assert_eq!(refused, Created::Full { waiting: 0 });
    }
    let left = create(repo, bounded(clock, 5, starts(2))).await;
    assert_eq!(left, Created::Created(None));
}

/// Guard: `ExecutionGuard::QuotaAfterRate`.
pub async fn what_its_rate_refuses_takes_no_start_of_the_quota(repo: &Repo, clock: &ManualClock) {
    let rated = |n| NewExecution {
        rate: Some(StartRate {
            key: "k".to_owned(),
            limit: 1,
            per: Duration::from_secs(60),
            burst: 1,
            max_waiting: 0,
        }),
        ..bounded(clock, n, starts(2))
    };
    assert_eq!(create(repo, rated(1)).await, Created::Created(None));
    for n in 2..=4 {
        let refused = create(repo, rated(n)).await;
        assert!(matches!(refused, Created::Limited { .. }), "{refused:?}");
    }
    let left = create(repo, bounded(clock, 5, starts(2))).await;
    assert_eq!(left, Created::Created(None));
}

/// Guards: `ExecutionGuard::UsageBytes`, `ExecutionGuard::UsageHeld`.
pub async fn usage_counts_what_is_open_and_held(repo: &Repo, clock: &ManualClock) {
    let none = repo.usage(&tenant()).await.unwrap();
    assert_eq!((none.executions, none.held, none.bytes), (0, 0, 0));
    let _ = created(repo, clock, 1).await;
    let _ = driven(repo, clock, 2).await;
    let before = repo.usage(&tenant()).await.unwrap();
    assert_eq!((before.executions, before.held), (2, 1));
    assert!(before.bytes > 0);
    let _ = ended(repo, clock, 3).await;
    let after = repo.usage(&tenant()).await.unwrap();
    assert_eq!((after.executions, after.held), (2, 1));
    // What has ended has a journal.
    assert!(after.bytes > before.bytes);
}

/// Guard: `ExecutionGuard::QuotaTenant`.
pub async fn usage_is_that_of_a_tenant(repo: &Repo, clock: &ManualClock) {
    let _ = driven(repo, clock, 1).await;
    let theirs = repo.usage(&other_tenant()).await.unwrap();
    assert_eq!((theirs.executions, theirs.held, theirs.bytes), (0, 0, 0));
}
