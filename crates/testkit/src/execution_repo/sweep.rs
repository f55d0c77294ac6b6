//! Rules of `runnable`, the safety net under every lost ring.

use std::time::Duration;

use nebula_core::{Clock, ExecutionId, Group, Groups, Labels, Priority, Timestamp};
use nebula_execution::{Fact, NewExecution, Status};
use nebula_ports::{Created, Runnable, Step};
use serde_json::json;

use super::fixture::*;
use crate::ManualClock;

async fn rung(repo: &Repo, rung_before: Timestamp) -> Vec<ExecutionId> {
    let page = repo.runnable(rung_before, &Groups::All, 100).await.unwrap();
    page.runnable
        .into_iter()
        .map(|found| found.execution)
        .collect()
}

/// What somebody holds is not runnable, although it is due. Guard: `ExecutionGuard::RunnableUnheld`.
pub async fn a_held_execution_is_not_runnable(repo: &Repo, clock: &ManualClock) {
    let id = created(repo, clock, 1).await;
    let _ = grant(repo, id, 1).await;
    assert_eq!(due(repo).await, []);
}

/// What waits, is parked or has ended is not runnable. Guard: `ExecutionGuard::RunnableDue`.
pub async fn only_what_is_due_is_runnable(repo: &Repo, clock: &ManualClock) {
    let _ = (ended(repo, clock, 1).await, asleep(repo, clock, 2).await);
    let (parked, later) = (driven(repo, clock, 3).await, driven(repo, clock, 4).await);
    apply(repo, &parked, park(1, 2)).await;
    apply(repo, &later, sleep(1, 2, Some(clock.now().plus(DAY)))).await;
    assert_eq!(due(repo).await, []);
    clock.advance(DAY);
    assert_eq!(due(repo).await, [later.execution]);
}

/// What was rung since `rung_before` is left out. Guard: `ExecutionGuard::RungMark`.
pub async fn what_was_rung_is_not_rung_again_at_once(repo: &Repo, clock: &ManualClock) {
    let id = created(repo, clock, 1).await;
    let before = clock.now();
    assert_eq!(rung(repo, before).await, [id]);
    assert_eq!(rung(repo, before).await, []);
    clock.advance(SECOND);
    assert_eq!(rung(repo, before).await, []);
}

/// A ring that nobody answered is rung again. Guard: `ExecutionGuard::RungAgain`.
pub async fn what_was_rung_long_ago_is_rung_again(repo: &Repo, clock: &ManualClock) {
    let id = created(repo, clock, 1).await;
    assert_eq!(rung(repo, clock.now()).await, [id]);
    clock.advance(SECOND * 60);
    assert_eq!(rung(repo, clock.now()).await, [id]);
}

/// A grant answers the ring: the next reason to run is rung at once. Guard: `ExecutionGuard::GrantAnswersRing`.
pub async fn a_grant_answers_the_ring(repo: &Repo, clock: &ManualClock) {
    let id = created(repo, clock, 1).await;
    let before = clock.now();
    assert_eq!(rung(repo, before).await, [id]);
    let granted = grant(repo, id, 1).await;
    apply(
        repo,
        &granted.lease,
        sleep(1, 2, Some(clock.now().plus(SECOND))),
    )
    .await;
    clock.advance(SECOND);
    assert_eq!(rung(repo, before).await, [id]);
}

/// One tenant's many executions do not push another's aside. Guard: `ExecutionGuard::Interleaved`.
pub async fn tenants_take_turns_in_the_sweep(repo: &Repo, clock: &ManualClock) {
    for n in 1..=6 {
        let _ = created(repo, clock, n).await;
    }
    for n in 7..=8 {
        let theirs = NewExecution {
            tenant: other_tenant(),
            ..new_execution(clock, n)
        };
        let _ = repo
            .create(&other_tenant(), theirs, None, None)
            .await
            .unwrap();
    }
    let page = repo.runnable(clock.now(), &Groups::All, 4).await.unwrap();
    let theirs = page
        .runnable
        .iter()
        .filter(|found| found.tenant == other_tenant())
        .count();
    assert_eq!((page.runnable.len(), theirs), (4, 2));
}

/// Creates execution `n` of a workflow, so urgent.
async fn begun(
    repo: &Repo,
    clock: &ManualClock,
    (n, workflow, priority): (u8, &str, Priority),
) -> ExecutionId {
    let mut new = execution_of(clock, n, workflow, &json!({ "n": n }));
    if let Some(Fact::ExecutionStarted(started)) = new.entries.first_mut().map(|it| &mut it.fact) {
        started.priority = priority;
    }
    let id = new.id;
    let created = repo.create(&tenant(), new, None, None).await;
    assert_eq!(created.unwrap(), Created::Created(None));
    id
}

/// The executions of a page of so many, in its order.
async fn page(repo: &Repo, clock: &ManualClock, limit: usize) -> Vec<Runnable> {
    repo.runnable(clock.now(), &Groups::All, limit)
        .await
        .unwrap()
        .runnable
}

/// One workflow's many executions do not push another's single one aside, however long they have
/// been due. Guard: `ExecutionGuard::SweepWorkflows`.
pub async fn workflows_take_turns_in_the_sweep(repo: &Repo, clock: &ManualClock) {
    for n in 1..=20 {
        let _ = begun(repo, clock, (n, "many", Priority::Normal)).await;
    }
    clock.advance(SECOND);
    let single = begun(repo, clock, (21, "single", Priority::Normal)).await;
    let found = page(repo, clock, 2).await;
    let found: Vec<_> = found
        .iter()
        .map(|it| (it.workflow.as_str(), it.execution == single))
        .collect();
    assert_eq!(found, [("many", false), ("single", true)]);
}

/// Guard: `ExecutionGuard::SweepPriority`.
pub async fn a_higher_priority_is_rung_first(repo: &Repo, clock: &ManualClock) {
    for (n, priority) in (1..).zip(Priority::ALL) {
        let id = begun(repo, clock, (n, "orders", priority)).await;
        assert_eq!(summary(repo, id).await.priority, priority);
        clock.advance(SECOND);
    }
    let found = page(repo, clock, 10).await;
    let found: Vec<_> = found.iter().map(|it| it.priority).collect();
    assert_eq!(found, Priority::ALL.into_iter().rev().collect::<Vec<_>>());
}

/// Among many that are more urgent, each has its place where its patience ends.
/// Guard: `ExecutionGuard::SweepPatience`.
pub async fn a_low_priority_is_rung_among_many_that_are_higher(repo: &Repo, clock: &ManualClock) {
    let _ = begun(repo, clock, (1, "orders", Priority::Normal)).await;
    for n in 2..=20 {
        let _ = begun(repo, clock, (n, "orders", Priority::Highest)).await;
    }
    let found = page(repo, clock, 10).await;
    let place = found.iter().position(|it| it.priority == Priority::Normal);
    assert_eq!(place, Some(8));
}

/// Creates execution `n` for the workers of a group; some have other labels, too.
async fn for_group(repo: &Repo, clock: &ManualClock, n: u8, of: &Group) -> ExecutionId {
    let mut new = execution_of(clock, n, "orders", &json!({ "n": n }));
    let first = new.entries.first_mut().map(|it| &mut it.fact);
    if let Some(Fact::ExecutionStarted(started)) = first {
        let given = if n > 3 { "a=gpu,b=\"x" } else { "" };
        let labels: Labels = given.parse().unwrap_or_default();
        started.labels = labels.in_group(of);
    }
    let id = new.id;
    let created = repo.create(&tenant(), new, None, None).await;
    assert_eq!(created.unwrap(), Created::Created(None));
    assert_eq!(summary(repo, id).await.labels.group(), *of);
    id
}

/// It says for which workers how much is due. Guard: `ExecutionGuard::BacklogGroups`.
pub async fn the_backlog_says_for_whom_something_is_due(repo: &Repo, clock: &ManualClock) {
    assert!(repo.backlog().await.unwrap().of_group.is_empty());
    let gpu = Group::new("gpu").unwrap();
    for (n, of) in (1..).zip([&gpu, &Group::default(), &gpu, &gpu]) {
        let id = for_group(repo, clock, n, of).await;
        if n == 4 {
            let _ = grant(repo, id, 1).await;
        }
    }
    let backlog = repo.backlog().await.unwrap();
    let of: Vec<_> = backlog.of_group.into_iter().collect();
    assert_eq!(
        (backlog.due, of),
        (3, vec![(Group::default(), 1), (gpu, 2)])
    );
}

/// Whoever looks for some groups is told of theirs alone, and others find the rest as if nobody had
/// looked; whatever other labels there are. Guard: `ExecutionGuard::SweepGroups`.
pub async fn a_sweep_finds_what_is_for_its_groups(repo: &Repo, clock: &ManualClock) {
    let group = |name: &str| Group::new(name).unwrap();
    let (usual, gpu, far) = (Group::default(), group("gpu"), group("eu-1.far"));
    let mut expected = Vec::new();
    for (n, of) in (1..).zip([&usual, &gpu, &far, &gpu, &usual]) {
        expected.push((for_group(repo, clock, n, of).await, of.clone()));
    }
    let before = clock.now();
    let found = async |groups: Groups, limit| {
        let page = repo.runnable(before, &groups, limit).await.unwrap();
        let found = page.runnable.into_iter();
        let mut found: Vec<_> = found.map(|it| (it.execution, it.group)).collect();
        found.sort();
        (found, page.more)
    };
    let of = |wanted: &[&Group]| {
        let all = expected.iter().filter(|(_, it)| wanted.contains(&it));
        let mut all: Vec<_> = all.cloned().collect();
        all.sort();
        all
    };
    let groups = |names: &[&Group]| names.iter().map(|it| (*it).clone()).collect::<Groups>();
    assert_eq!(found(groups(&[]), 10).await, (vec![], false));
    // What is for others takes no place of a page.
    assert_eq!(found(groups(&[&far]), 1).await, (of(&[&far]), false));
    assert_eq!(found(groups(&[&gpu]), 10).await, (of(&[&gpu]), false));
    assert_eq!(found(groups(&[&gpu, &far]), 10).await, (vec![], false));
    assert_eq!(found(Groups::All, 10).await, (of(&[&usual]), false));
}

/// A page has at most its limit, says that there is more, and the next goes on. Guards: `ExecutionGuard::RunnableLimit`, `RunnableMore`.
pub async fn a_sweep_goes_page_by_page(repo: &Repo, clock: &ManualClock) {
    let mut expected = Vec::new();
    for n in 1..=5 {
        expected.push(created(repo, clock, n).await);
    }
    let (mut found, mut mores) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let page = repo.runnable(clock.now(), &Groups::All, 2).await.unwrap();
        found.extend(page.runnable.into_iter().map(|found| found.execution));
        mores.push(page.more);
    }
    found.sort();
    assert_eq!((found, mores), (expected, vec![true, true, false]));
}

/// The sweep learns when the next execution becomes due. Guards: `ExecutionGuard::NextDueWake`, `NextDueFuture`.
pub async fn the_sweep_knows_when_to_look_again(repo: &Repo, clock: &ManualClock) {
    assert_eq!(
        repo.runnable(clock.now(), &Groups::All, 10)
            .await
            .unwrap()
            .next_due,
        None
    );
    for (n, seconds) in [(1, 50), (2, 20), (3, 90)] {
        let lease = driven(repo, clock, n).await;
        apply(
            repo,
            &lease,
            sleep(1, 2, Some(clock.now().plus(SECOND * seconds))),
        )
        .await;
    }
    let _ = (
        asleep(repo, clock, 4).await,
        ended(repo, clock, 5).await,
        created(repo, clock, 6).await,
    );
    let next = clock.now().plus(SECOND * 20);
    assert_eq!(
        repo.runnable(clock.now(), &Groups::All, 10)
            .await
            .unwrap()
            .next_due,
        Some(next)
    );
    clock.advance(SECOND * 20);
    let next = clock.now().plus(SECOND * 30);
    assert_eq!(
        repo.runnable(clock.now(), &Groups::All, 10)
            .await
            .unwrap()
            .next_due,
        Some(next)
    );
}

/// The sweep learns when the next lease ends: its holder may have vanished. Guard: `ExecutionGuard::NextDueLease`.
pub async fn the_sweep_knows_when_the_next_lease_ends(repo: &Repo, clock: &ManualClock) {
    let lease = driven(repo, clock, 1).await;
    apply(
        repo,
        &lease,
        Step {
            wake_at: Some(clock.now().plus(DAY)),
            ..append(1, 2, 1)
        },
    )
    .await;
    let next = clock.now().plus(TTL);
    assert_eq!(
        repo.runnable(clock.now(), &Groups::All, 10)
            .await
            .unwrap()
            .next_due,
        Some(next)
    );
}

/// The backlog has what has not ended, of all tenants. Guard: `ExecutionGuard::BacklogOpen`.
pub async fn the_backlog_has_what_is_open_by_status(repo: &Repo, clock: &ManualClock) {
    assert_eq!(repo.backlog().await.unwrap().open.values().sum::<u64>(), 0);
    let _ = (ended(repo, clock, 1).await, asleep(repo, clock, 2).await);
    let (parked, _) = (driven(repo, clock, 3).await, driven(repo, clock, 4).await);
    apply(repo, &parked, park(1, 2)).await;
    let theirs = NewExecution {
        tenant: other_tenant(),
        ..new_execution(clock, 5)
    };
    let _ = repo.create(&other_tenant(), theirs, None, None).await;
    let _ = created(repo, clock, 6).await;
    let mut open = repo.backlog().await.unwrap().open;
    open.retain(|_, count| *count > 0);
    let open: Vec<_> = open.into_iter().collect();
    let expected = [
        (Status::Queued, 2),
        (Status::Running, 1),
        (Status::Waiting, 1),
        (Status::Parked, 1),
    ];
    assert_eq!(open, expected);
}

/// It says how much is due that nobody has, and for how long. Guard: `ExecutionGuard::BacklogHeld`.
pub async fn the_backlog_says_what_is_due_and_for_how_long(repo: &Repo, clock: &ManualClock) {
    let due = async || {
        let backlog = repo.backlog().await.unwrap();
        (backlog.due, backlog.longest)
    };
    assert_eq!(due().await, (0, None));
    let later = driven(repo, clock, 1).await;
    apply(repo, &later, sleep(1, 2, Some(clock.now().plus(DAY)))).await;
    let id = created(repo, clock, 2).await;
    clock.advance(SECOND * 5);
    let _ = created(repo, clock, 3).await;
    assert_eq!(due().await, (2, Some(SECOND * 5)));
    // A ring makes nothing newer, and what is held is not due.
    assert_eq!(
        repo.runnable(clock.now(), &Groups::All, 10)
            .await
            .unwrap()
            .runnable
            .len(),
        2
    );
    assert_eq!(due().await, (2, Some(SECOND * 5)));
    let _ = grant(repo, id, 1).await;
    assert_eq!(due().await, (1, Some(Duration::ZERO)));
}
