//! Rules of what is due.

use nebula_core::Clock;
use nebula_ports::{DueTriggers, TriggerState};

use super::fixture::*;
use crate::ManualClock;

async fn due(stores: &Stores) -> DueTriggers {
    stores.triggers.due(100).await.unwrap()
}

async fn names(stores: &Stores) -> Vec<String> {
    let due = due(stores).await.due;
    due.into_iter()
        .map(|(_, it)| it.trigger.to_string())
        .collect()
}

/// A trigger is due from its moment on, and not once it has moved.
/// Guard: `TriggerGuard::DueByClock`.
pub async fn a_trigger_is_due_by_the_clock_of_the_store(stores: &Stores, clock: &ManualClock) {
    published(stores, vec![trigger(clock, "a", "p", 1)]).await;
    assert!(names(stores).await.is_empty());
    clock.advance(MINUTE);
    assert_eq!(names(stores).await, ["a"]);
    let _ = create(
        stores,
        started_by(clock, 1, &get(stores, "a").await, 1),
        None,
    )
    .await;
    assert!(names(stores).await.is_empty());
    let record = get(stores, "a").await;
    let never = TriggerState {
        due: None,
        ..record.state.clone()
    };
    let _ = update(stores, &record, never).await;
    clock.advance(MINUTE * 99);
    assert!(names(stores).await.is_empty());
}

/// Nobody waits behind those that came later. Guard: `TriggerGuard::DueOrder`.
pub async fn the_longest_due_comes_first(stores: &Stores, clock: &ManualClock) {
    let all = [("a", 2), ("b", 1), ("c", 3)].map(|(name, in_)| trigger(clock, name, "p", in_));
    published(stores, all.to_vec()).await;
    clock.advance(MINUTE * 5);
    assert_eq!(names(stores).await, ["b", "a", "c"]);
}

/// A page has at most so many, and says whether there are more. Guard: `TriggerGuard::DueLimit`.
pub async fn a_page_of_what_is_due_has_its_limit(stores: &Stores, clock: &ManualClock) {
    let all = [("a", 1), ("b", 2), ("c", 3)].map(|(name, in_)| trigger(clock, name, "p", in_));
    published(stores, all.to_vec()).await;
    clock.advance(MINUTE * 5);
    for (limit, found, more) in [(2, 2, true), (3, 3, false)] {
        let page = stores.triggers.due(limit).await.unwrap();
        assert_eq!((page.due.len(), page.more), (found, more));
    }
}

/// Whoever fires knows how long to sleep. Guard: `TriggerGuard::NextDue`.
pub async fn the_next_one_is_announced(stores: &Stores, clock: &ManualClock) {
    assert_eq!(due(stores).await.next_due, None);
    let all = [("a", 1), ("b", 4), ("c", 3)].map(|(name, in_)| trigger(clock, name, "p", in_));
    published(stores, all.to_vec()).await;
    let third = after(clock, 3);
    assert_eq!(due(stores).await.next_due, Some(after(clock, 1)));
    clock.advance(MINUTE * 2);
    assert_eq!(due(stores).await.next_due, Some(third));
}

/// Whoever fires goes by the clock of the store, and not by its own. Guard: `TriggerGuard::DueSaysWhen`.
pub async fn the_time_of_what_is_due_is_the_store_s(stores: &Stores, clock: &ManualClock) {
    for _ in 0..2 {
        clock.advance(MINUTE * 3);
        assert_eq!(due(stores).await.now, clock.now());
    }
}

/// A paused trigger starts nothing until somebody says so. Guard: `TriggerGuard::DuePaused`.
pub async fn a_paused_trigger_is_not_due(stores: &Stores, clock: &ManualClock) {
    published(stores, vec![trigger(clock, "a", "p", 1)]).await;
    clock.advance(MINUTE);
    let record = get(stores, "a").await;
    let _ = update(stores, &record, paused(&record)).await;
    assert!(names(stores).await.is_empty());
    let stopped = get(stores, "a").await;
    let _ = update(stores, &stopped, record.state).await;
    assert_eq!(names(stores).await, ["a"]);
}

/// Nothing of an archived workflow is started. Guard: `TriggerGuard::DueArchived`.
pub async fn a_trigger_of_an_archived_workflow_is_not_due(stores: &Stores, clock: &ManualClock) {
    published(stores, vec![trigger(clock, "a", "p", 1)]).await;
    clock.advance(MINUTE);
    for archived in [true, false] {
        let orders = workflow("orders");
        let done = stores.workflows.archive(&tenant(), &orders, archived).await;
        assert!(done.unwrap());
        assert_eq!(names(stores).await.is_empty(), archived);
    }
}

/// Whoever fires does so for everybody. Guard: `TriggerGuard::DueTenants`.
pub async fn what_is_due_is_of_all_tenants(stores: &Stores, clock: &ManualClock) {
    for owner in [tenant(), other_tenant()] {
        let new = vec![trigger(clock, "a", "p", 1)];
        let _ = publish_for(stores, &owner, "orders", new).await.unwrap();
    }
    clock.advance(MINUTE);
    let mut owners: Vec<_> = due(stores)
        .await
        .due
        .into_iter()
        .map(|(it, _)| it)
        .collect();
    owners.sort();
    assert_eq!(owners, [tenant(), other_tenant()]);
}
