//! Rules of executions that triggers start.

use nebula_core::Clock;
use nebula_ports::{Created, LeftOut, TriggerState};

use super::fixture::*;
use crate::ManualClock;

/// Trigger and execution move together. Guard: `TriggerGuard::CreateMoves`.
pub async fn a_creation_moves_its_trigger(stores: &Stores, clock: &ManualClock) {
    published(stores, vec![trigger(clock, "a", "p", 1)]).await;
    let record = get(stores, "a").await;
    let new = started_by(clock, 1, &record, 7);
    let id = new.id;
    assert_eq!(
        create(stores, new, Some("slot")).await,
        Created::Created(None)
    );
    let now = get(stores, "a").await;
    let state = &now.state;
    let due = Some(after(clock, 7));
    assert_eq!((state.through, state.due), (clock.now().plus(MINUTE), due));
    assert!(now.revision > record.revision);
    let created = stores.executions.get(&tenant(), id).await.unwrap();
    assert!(created.is_some());
}

/// A trigger knows what it started last. Guard: `TriggerGuard::CreateNames`.
pub async fn a_creation_is_the_last_of_its_trigger(stores: &Stores, clock: &ManualClock) {
    published(stores, vec![trigger(clock, "a", "p", 1)]).await;
    for n in 1..=2 {
        let new = started_by(clock, n, &get(stores, "a").await, 7);
        let id = new.id;
        let _ = create(stores, new, None).await;
        assert_eq!(get(stores, "a").await.state.last, Some(id));
    }
}

/// Whoever comes second starts nothing. Guard: `TriggerGuard::CreateCompares`.
pub async fn of_two_creations_from_one_revision_one_exists(stores: &Stores, clock: &ManualClock) {
    published(stores, vec![trigger(clock, "a", "p", 1)]).await;
    let record = get(stores, "a").await;
    let first = started_by(clock, 1, &record, 7);
    assert_eq!(create(stores, first, None).await, Created::Created(None));
    let second = started_by(clock, 2, &record, 9);
    let id = second.id;
    assert_eq!(create(stores, second, None).await, Created::Outdated);
    let created = stores.executions.get(&tenant(), id).await.unwrap();
    assert_eq!(created, None);
    assert_eq!(get(stores, "a").await.state.due, Some(after(clock, 7)));
}

/// What no published version has starts nothing. Guard: `TriggerGuard::CreateUnknown`.
pub async fn a_creation_by_a_trigger_that_is_gone_is_outdated(
    stores: &Stores,
    clock: &ManualClock,
) {
    published(stores, vec![trigger(clock, "a", "p", 1)]).await;
    let record = get(stores, "a").await;
    published(stores, Vec::new()).await;
    let new = started_by(clock, 1, &record, 7);
    assert_eq!(create(stores, new, None).await, Created::Outdated);
}

/// A creation that comes too late keeps no key. Guard: `TriggerGuard::OutdatedForgets`.
pub async fn an_outdated_creation_leaves_nothing_behind(stores: &Stores, clock: &ManualClock) {
    published(stores, vec![trigger(clock, "a", "p", 1)]).await;
    let record = get(stores, "a").await;
    let _ = update(stores, &record, paused(&record)).await;
    let late = started_by(clock, 1, &record, 7);
    assert_eq!(create(stores, late, Some("slot")).await, Created::Outdated);
    let new = started_by(clock, 2, &get(stores, "a").await, 7);
    assert_eq!(
        create(stores, new, Some("slot")).await,
        Created::Created(None)
    );
}

/// A creation whose key was seen moves nothing, however the trigger stands.
/// Guard: `TriggerGuard::ExistsMovesNothing`.
pub async fn a_repeated_creation_moves_nothing(stores: &Stores, clock: &ManualClock) {
    published(stores, vec![trigger(clock, "a", "p", 1)]).await;
    let first = started_by(clock, 1, &get(stores, "a").await, 7);
    let id = first.id;
    let _ = create(stores, first.clone(), Some("slot")).await;
    let before = get(stores, "a").await;
    for again in [first, started_by(clock, 2, &before, 9)] {
        let exists = create(stores, again, Some("slot")).await;
        assert!(matches!(exists, Created::Exists { id: found, .. } if found == id));
        assert_eq!(get(stores, "a").await, before);
    }
}

/// A creation for which there is no room moves nothing. Guard: `TriggerGuard::RefusedMovesNothing`.
pub async fn a_refused_creation_moves_nothing(stores: &Stores, clock: &ManualClock) {
    published(stores, vec![trigger(clock, "a", "p", 1)]).await;
    let first = started_by(clock, 1, &get(stores, "a").await, 7);
    let _ = create(stores, slotted(first, 0), None).await;
    let before = get(stores, "a").await;
    let second = started_by(clock, 2, &before, 9);
    let refused = create(stores, slotted(second, 0), None).await;
    assert_eq!(refused, Created::Full { waiting: 0 });
    assert_eq!(get(stores, "a").await, before);
}

/// A creation that waits for its slot is one. Guard: `TriggerGuard::WaitingMoves`.
pub async fn a_creation_that_waits_moves_its_trigger(stores: &Stores, clock: &ManualClock) {
    published(stores, vec![trigger(clock, "a", "p", 1)]).await;
    for (n, expected) in [
        (1, Created::Created(None)),
        (2, Created::Waits { ahead: 0 }),
    ] {
        let record = get(stores, "a").await;
        let new = slotted(started_by(clock, n, &record, 7), 5);
        assert_eq!(create(stores, new, None).await, expected);
        assert!(get(stores, "a").await.revision > record.revision);
    }
}

/// What was left out is of no interest once something starts. Guard: `TriggerGuard::CreateTakesBack`.
pub async fn a_creation_takes_back_what_was_left_out(stores: &Stores, clock: &ManualClock) {
    published(stores, vec![trigger(clock, "a", "p", 1)]).await;
    let record = get(stores, "a").await;
    let left_out = LeftOut {
        occurrence: clock.now(),
        at: after(clock, 1),
        why: "the queue is full".to_owned(),
    };
    let state = TriggerState {
        left_out: Some(left_out.clone()),
        ..record.state.clone()
    };
    let _ = update(stores, &record, state).await;
    let record = get(stores, "a").await;
    assert_eq!(record.state.left_out, Some(left_out));
    let created = create(stores, started_by(clock, 1, &record, 2), None).await;
    assert_eq!(created, Created::Created(None));
    assert_eq!(get(stores, "a").await.state.left_out, None);
}
