//! Rules of rates: how often executions begin.

use std::time::Duration;

use nebula_core::{Clock, Timestamp};
use nebula_execution::{NewExecution, StartRate, StartSlot, Status};
use nebula_ports::{Acquired, Created, ErrorKind, LeaseRequest, Step};

use super::{fixture::*, slot_fixture::queue};
use crate::ManualClock;

/// A token comes back every ten seconds.
const INTERVAL: Duration = Duration::from_secs(10);

/// Execution `n`, of which so many begin at once and then one in each [`INTERVAL`].
fn rated(clock: &ManualClock, n: u8, burst: u32, max_waiting: u32) -> NewExecution {
    NewExecution {
        rate: Some(StartRate {
            key: "k".to_owned(),
            limit: 6,
            per: INTERVAL * 6,
            burst,
            max_waiting,
        }),
        ..new_execution(clock, n)
    }
}

fn slot(max_waiting: u32) -> Option<StartSlot> {
    Some(StartSlot {
        key: "k".to_owned(),
        capacity: 1,
        max_waiting,
    })
}

async fn create(repo: &Repo, new: NewExecution, lease: Option<LeaseRequest>) -> Created {
    let tenant = new.tenant.clone();
    repo.create(&tenant, new, None, lease).await.unwrap()
}

fn later(clock: &ManualClock, intervals: u32) -> Timestamp {
    clock.now().plus(INTERVAL * intervals)
}

fn begins_later(clock: &ManualClock, intervals: u32, ahead: u32) -> Created {
    Created::Later {
        begins_at: later(clock, intervals),
        ahead,
    }
}

fn limited(waiting: u32, try_after: Duration) -> Created {
    Created::Limited { waiting, try_after }
}

/// As many begin at once as the bucket has tokens, and the creator gets its lease. Guard: `ExecutionGuard::Rate`.
pub async fn a_rate_lets_its_burst_begin_at_once(repo: &Repo, clock: &ManualClock) {
    for n in 1..=2 {
        let created = create(repo, rated(clock, n, 2, 0), Some(request(1))).await;
        assert!(matches!(created, Created::Created(Some(_))), "{created:?}");
    }
    assert_eq!(
        create(repo, rated(clock, 3, 2, 0), None).await,
        limited(0, INTERVAL)
    );
}

/// The others begin one after the other, each at its time and in the order of their creations.
/// Guards: `ExecutionGuard::Rate`, `RateSleeps`.
pub async fn a_start_beyond_its_rate_begins_later(repo: &Repo, clock: &ManualClock) {
    let _ = create(repo, rated(clock, 1, 1, 9), None).await;
    let mut ids = Vec::new();
    for n in 2..=4 {
        let new = rated(clock, n, 1, 9);
        ids.push(new.id);
        let ahead = u32::from(n) - 2;
        let created = create(repo, new, Some(request(1))).await;
        assert_eq!(created, begins_later(clock, ahead + 1, ahead));
    }
    let found = summary(repo, ids[0]).await;
    assert_eq!((found.status, found.leased), (Status::Queued, false));
    let at = Some(later(clock, 1));
    assert_eq!((found.wake_at, found.begins_at), (at, at));
    assert_eq!(acquire(repo, ids[0], 3).await, Acquired::NotDue);
    assert_eq!(due(repo).await, [execution_id(clock, 1)]);
    clock.advance(INTERVAL);
    let granted = grant(repo, ids[0], 3).await;
    assert_eq!((granted.status, granted.begins_at), (Status::Running, None));
    assert_eq!(summary(repo, ids[0]).await.begins_at, None);
    assert_eq!(acquire(repo, ids[1], 3).await, Acquired::NotDue);
    clock.advance(INTERVAL);
    let _ = grant(repo, ids[1], 3).await;
}

/// What was not used comes back, one token in each interval, up to the burst. Guard: `ExecutionGuard::RateComesBack`.
pub async fn a_rate_comes_back_with_time(repo: &Repo, clock: &ManualClock) {
    for n in 1..=2 {
        let _ = create(repo, rated(clock, n, 2, 0), None).await;
    }
    clock.advance(INTERVAL);
    let again = create(repo, rated(clock, 3, 2, 0), None).await;
    assert_eq!(again, Created::Created(None));
    let none = create(repo, rated(clock, 4, 2, 0), None).await;
    assert_eq!(none, limited(0, INTERVAL));
    clock.advance(DAY);
    for (n, expected) in [
        (5, Created::Created(None)),
        (6, Created::Created(None)),
        (7, limited(0, INTERVAL)),
    ] {
        assert_eq!(create(repo, rated(clock, n, 2, 0), None).await, expected);
    }
}

/// Guard: `ExecutionGuard::RateKey`.
pub async fn each_key_of_a_rate_counts_for_itself(repo: &Repo, clock: &ManualClock) {
    let _ = create(repo, rated(clock, 1, 1, 0), None).await;
    let mut other = rated(clock, 2, 1, 0);
    other.rate.as_mut().expect("it has one").key = "other".to_owned();
    assert_eq!(create(repo, other, None).await, Created::Created(None));
}

/// Guard: `ExecutionGuard::RateTenant`.
pub async fn rates_belong_to_a_tenant(repo: &Repo, clock: &ManualClock) {
    let _ = create(repo, rated(clock, 1, 1, 0), None).await;
    let theirs = NewExecution {
        tenant: other_tenant(),
        ..rated(clock, 2, 1, 0)
    };
    assert_eq!(create(repo, theirs, None).await, Created::Created(None));
}

/// A refused start is told when there is room again, exactly; it can be made then, also under its
/// dedupe key. Guard: `ExecutionGuard::RateRefusalForgets`.
pub async fn a_start_that_its_rate_refuses_leaves_nothing(repo: &Repo, clock: &ManualClock) {
    let _ = create(repo, rated(clock, 1, 1, 1), None).await;
    let _ = create(repo, rated(clock, 2, 1, 1), None).await;
    clock.advance(SECOND);
    let (new, tenant) = (rated(clock, 3, 1, 1), tenant());
    let create = || repo.create(&tenant, new.clone(), Some(key("delivery")), None);
    for (after, passes) in [(SECOND * 9, SECOND * 8), (SECOND, SECOND)] {
        assert_eq!(create().await.unwrap(), limited(1, after));
        assert_eq!(repo.get(&tenant, new.id).await.unwrap(), None);
        clock.advance(passes);
    }
    assert_eq!(create().await.unwrap(), begins_later(clock, 1, 0));
}

/// Guard: `ExecutionGuard::RateOnce`.
pub async fn a_repeated_creation_takes_nothing_of_its_rate(repo: &Repo, clock: &ManualClock) {
    let (new, tenant) = (rated(clock, 1, 2, 0), tenant());
    let create_once = || repo.create(&tenant, new.clone(), Some(key("delivery")), None);
    assert_eq!(create_once().await.unwrap(), Created::Created(None));
    for _ in 0..3 {
        let (id, same_input) = (new.id, true);
        assert_eq!(
            create_once().await.unwrap(),
            Created::Exists { id, same_input }
        );
    }
    let other = create(repo, rated(clock, 2, 2, 0), None).await;
    assert_eq!(other, Created::Created(None));
}

/// Guard: `ExecutionGuard::RateAfterSlot`.
pub async fn a_start_that_is_refused_for_its_slot_takes_nothing_of_its_rate(
    repo: &Repo,
    clock: &ManualClock,
) {
    for (n, expected) in [
        (1, Created::Created(None)),
        (2, Created::Full { waiting: 0 }),
        (3, Created::Full { waiting: 0 }),
    ] {
        let new = NewExecution {
            slot: slot(0),
            ..rated(clock, n, 2, 9)
        };
        assert_eq!(create(repo, new, None).await, expected);
    }
    // One token is left.
    let free = create(repo, rated(clock, 4, 2, 9), None).await;
    assert_eq!(free, Created::Created(None));
}

/// While it waits for its time it keeps nobody from a slot. Guard: `ExecutionGuard::RateBeforeSlot`.
pub async fn a_start_beyond_its_rate_claims_no_slot_yet(repo: &Repo, clock: &ManualClock) {
    let _ = create(repo, rated(clock, 1, 1, 9), None).await;
    let new = NewExecution {
        slot: slot(9),
        ..rated(clock, 2, 1, 9)
    };
    assert_eq!(create(repo, new, None).await, begins_later(clock, 1, 0));
    assert_eq!(queue(repo, "k").await, []);
}

/// A signal wakes it before its time; whoever comes is told that it must not begin.
/// Guard: `ExecutionGuard::RateGrantTells`.
pub async fn a_grant_before_its_time_says_so(repo: &Repo, clock: &ManualClock) {
    let _ = create(repo, rated(clock, 1, 1, 9), None).await;
    let new = rated(clock, 2, 1, 9);
    let (id, at) = (new.id, later(clock, 1));
    let _ = create(repo, new, None).await;
    let _ = send(repo, id, "poke").await;
    let granted = grant(repo, id, 1).await;
    assert_eq!(granted.begins_at, Some(at));
    let back = Step {
        to: Some(Status::Queued),
        inbox_through: 1,
        ..sleep(1, 2, Some(at))
    };
    apply(repo, &granted.lease, back).await;
    assert_eq!(acquire(repo, id, 1).await, Acquired::NotDue);
    clock.advance(INTERVAL);
    assert_eq!(grant(repo, id, 1).await.begins_at, None);
}

/// However many wait, a child is not refused. Guard: `ExecutionGuard::RateOfChild`.
pub async fn a_child_beyond_its_rate_begins_later(repo: &Repo, clock: &ManualClock) {
    let parent = driven(repo, clock, 1).await;
    let children: Vec<_> = (2..=4).map(|n| rated(clock, n, 1, 0)).collect();
    let ids: Vec<_> = children.iter().map(|child| child.id).collect();
    let step = Step {
        children,
        ..append(1, 2, 1)
    };
    apply(repo, &parent, step).await;
    let mut times = Vec::new();
    for id in ids {
        times.push(summary(repo, id).await.wake_at);
    }
    assert_eq!(times, [0, 1, 2].map(|n| Some(later(clock, n))));
}

/// A rate without a name, a token or a span is refused. Guard: `ExecutionGuard::Rate`.
pub async fn an_impossible_rate_is_refused(repo: &Repo, clock: &ManualClock) {
    let impossible: [fn(&mut StartRate); 4] = [
        |rate| rate.key.clear(),
        |rate| rate.limit = 0,
        |rate| rate.burst = 0,
        |rate| rate.per = Duration::ZERO,
    ];
    for spoil in impossible {
        let mut new = rated(clock, 1, 1, 0);
        spoil(new.rate.as_mut().expect("it has one"));
        let refused = repo.create(&tenant(), new, None, None).await.unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Invalid, "{refused}");
    }
    let there = repo.get(&tenant(), execution_id(clock, 1)).await.unwrap();
    assert_eq!(there, None);
    // What is possible is not, and counts.
    let possible = create(repo, rated(clock, 1, 1, 0), None).await;
    assert_eq!(possible, Created::Created(None));
    assert_eq!(
        create(repo, rated(clock, 2, 1, 0), None).await,
        limited(0, INTERVAL)
    );
}
