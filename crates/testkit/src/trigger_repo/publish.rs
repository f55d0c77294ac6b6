//! Rules of publications and changes.

use nebula_ports::{
    ErrorKind, LeftOut, MAX_TRIGGERS, NewTrigger, PreviousHook, Published, TriggerRepo,
    TriggerState, TriggerUpdated,
};
use serde_json::json;

use super::fixture::*;
use crate::ManualClock;

/// What a version has is registered, and stands where the publication says. Guard: `TriggerGuard::Registers`.
pub async fn a_publication_registers_its_triggers(stores: &Stores, clock: &ManualClock) {
    let new = trigger(clock, "nightly", "daily", 5);
    published(stores, vec![new.clone(), trigger(clock, "hourly", "h", 1)]).await;
    let record = get(stores, "nightly").await;
    assert_eq!((record.version, record.kind.as_str()), (1, "cron"));
    assert_eq!(record.definition, new.definition);
    let state = TriggerState {
        paused: false,
        through: new.through,
        due: new.due,
        last: None,
        hook: None,
        previous: None,
        left_out: None,
    };
    assert_eq!(record.state, state);
    assert!(find(stores, "hourly").await.is_some());
}

/// What the next version has not is gone. Guard: `TriggerGuard::Unregisters`.
pub async fn a_publication_removes_what_it_has_not(stores: &Stores, clock: &ManualClock) {
    let (one, two) = (trigger(clock, "a", "p", 1), trigger(clock, "b", "p", 1));
    published(stores, vec![one.clone(), two]).await;
    published(stores, vec![one]).await;
    assert!(find(stores, "a").await.is_some());
    assert_eq!(find(stores, "b").await, None);
}

/// A publication from an outdated revision changes no trigger. Guard: `TriggerGuard::RefusedRegisters`.
pub async fn a_refused_publication_changes_no_trigger(stores: &Stores, clock: &ManualClock) {
    published(stores, vec![trigger(clock, "a", "p", 1)]).await;
    let (version, revision) = saved(stores, &tenant(), "orders").await;
    let new = vec![trigger(clock, "b", "p", 1)];
    let late = stores
        .workflows
        .publish(&tenant(), &workflow("orders"), version, revision - 1, new)
        .await;
    assert!(matches!(late.unwrap(), Published::Conflict { .. }));
    assert!(find(stores, "a").await.is_some());
    assert_eq!(find(stores, "b").await, None);
}

async fn refused(stores: &Stores, triggers: Vec<NewTrigger>) {
    let refused = publish_for(stores, &tenant(), "orders", triggers).await;
    assert_eq!(refused.unwrap_err().kind, ErrorKind::Invalid);
    let versions = stores
        .workflows
        .versions(&tenant(), &workflow("orders"), None, 0)
        .await;
    let found = versions.unwrap().unwrap();
    assert_eq!(found.workflow.published, None);
}

/// A version has at most `MAX_TRIGGERS`. Guard: `TriggerGuard::Checked`.
pub async fn too_many_triggers_are_refused(stores: &Stores, clock: &ManualClock) {
    let many = |n: usize| {
        let all = (0..n).map(|n| trigger(clock, &format!("t{n}"), "p", 1));
        all.collect::<Vec<_>>()
    };
    refused(stores, many(MAX_TRIGGERS + 1)).await;
    published(stores, many(MAX_TRIGGERS)).await;
}

/// An id names one trigger. Guard: `TriggerGuard::Checked`.
pub async fn one_id_twice_is_refused(stores: &Stores, clock: &ManualClock) {
    let both = vec![trigger(clock, "a", "p", 1), trigger(clock, "a", "q", 1)];
    refused(stores, both).await;
}

/// A trigger that goes as before goes on where it was. Guard: `TriggerGuard::StateStays`.
pub async fn a_trigger_of_the_same_pace_goes_on(stores: &Stores, clock: &ManualClock) {
    published(stores, vec![trigger(clock, "a", "p", 1)]).await;
    let record = get(stores, "a").await;
    let _ = create(stores, started_by(clock, 1, &record, 7), None).await;
    let moved = get(stores, "a").await.state;
    clock.advance(MINUTE);
    published(stores, vec![trigger(clock, "a", "p", 3)]).await;
    assert_eq!(get(stores, "a").await.state, moved);
}

/// A trigger that goes otherwise begins where the publication says. Guard: `TriggerGuard::PaceBegins`.
pub async fn a_trigger_of_another_pace_begins_anew(stores: &Stores, clock: &ManualClock) {
    published(stores, vec![trigger(clock, "a", "p", 1)]).await;
    clock.advance(MINUTE);
    let other = trigger(clock, "a", "q", 3);
    published(stores, vec![other.clone()]).await;
    let state = get(stores, "a").await.state;
    assert_eq!((state.through, state.due), (other.through, other.due));
}

/// A person's pause and what ran last outlast a new pace. Guard: `TriggerGuard::PauseStays`.
pub async fn a_trigger_of_another_pace_stays_paused(stores: &Stores, clock: &ManualClock) {
    published(stores, vec![trigger(clock, "a", "p", 1)]).await;
    let _ = create(
        stores,
        started_by(clock, 1, &get(stores, "a").await, 7),
        None,
    )
    .await;
    let record = get(stores, "a").await;
    let _ = update(stores, &record, paused(&record)).await;
    published(stores, vec![trigger(clock, "a", "q", 3)]).await;
    let state = get(stores, "a").await.state;
    assert!(state.paused);
    assert!(state.last.is_some() && state.last == record.state.last);
}

/// What fires is what was published last. Guard: `TriggerGuard::DefinitionMoves`.
pub async fn a_trigger_has_the_definition_of_its_version(stores: &Stores, clock: &ManualClock) {
    published(stores, vec![trigger(clock, "a", "p", 1)]).await;
    let new = NewTrigger {
        definition: json!({ "input": 2 }),
        ..trigger(clock, "a", "p", 1)
    };
    published(stores, vec![new.clone()]).await;
    let record = get(stores, "a").await;
    assert_eq!((record.version, record.definition), (2, new.definition));
}

/// Who read a trigger before a publication changes and starts nothing. Guard: `TriggerGuard::PublishRaises`.
pub async fn a_publication_outdates_what_was_read(stores: &Stores, clock: &ManualClock) {
    published(stores, vec![trigger(clock, "a", "p", 1)]).await;
    let before = get(stores, "a").await;
    published(stores, vec![trigger(clock, "a", "p", 1)]).await;
    let late = update(stores, &before, paused(&before)).await;
    assert!(matches!(late, TriggerUpdated::Conflict { .. }), "{late:?}");
    assert!(!get(stores, "a").await.state.paused);
}

/// What was removed and comes back has another revision. Guard: `TriggerGuard::ComesBack`.
pub async fn a_trigger_that_comes_back_is_another_one(stores: &Stores, clock: &ManualClock) {
    published(stores, vec![trigger(clock, "a", "p", 1)]).await;
    let mut before = vec![get(stores, "a").await.revision];
    for n in 1..4 {
        let record = get(stores, "a").await;
        let _ = create(stores, started_by(clock, n, &record, 7), None).await;
        before.push(get(stores, "a").await.revision);
    }
    published(stores, Vec::new()).await;
    published(stores, vec![trigger(clock, "a", "p", 1)]).await;
    let record = get(stores, "a").await;
    assert!(!before.contains(&record.revision), "{before:?}");
    assert_eq!(record.state.last, None);
    let first = <dyn TriggerRepo>::first_revision(0);
    assert!(record.revision > first);
}

/// What a trigger is told stands. Guard: `TriggerGuard::UpdateStays`.
pub async fn a_change_stays(stores: &Stores, clock: &ManualClock) {
    published(stores, vec![trigger(clock, "a", "p", 1)]).await;
    let record = get(stores, "a").await;
    let state = TriggerState {
        paused: true,
        through: after(clock, 3),
        due: None,
        last: None,
        hook: Some(hook("abc")),
        previous: Some(PreviousHook {
            hook: hook("abb"),
            until: after(clock, 9),
        }),
        left_out: Some(LeftOut {
            occurrence: after(clock, 1),
            at: after(clock, 2),
            why: "no room, and 2 before it".to_owned(),
        }),
    };
    let updated = update(stores, &record, state.clone()).await;
    let now = get(stores, "a").await;
    assert_eq!(now.state, state);
    let revision = now.revision;
    assert_eq!(updated, TriggerUpdated::Updated { revision });
}

/// Who looked at an older revision changes nothing. Guard: `TriggerGuard::UpdateCompares`.
pub async fn a_change_from_an_outdated_revision_changes_nothing(
    stores: &Stores,
    clock: &ManualClock,
) {
    published(stores, vec![trigger(clock, "a", "p", 1)]).await;
    let record = get(stores, "a").await;
    let _ = update(stores, &record, paused(&record)).await;
    let late = update(stores, &record, record.state.clone()).await;
    let revision = get(stores, "a").await.revision;
    assert_eq!(late, TriggerUpdated::Conflict { revision });
    assert!(get(stores, "a").await.state.paused);
}

/// A change raises the revision. Guard: `TriggerGuard::UpdateRaises`.
pub async fn of_changes_from_one_revision_one_wins(stores: &Stores, clock: &ManualClock) {
    published(stores, vec![trigger(clock, "a", "p", 1)]).await;
    let record = get(stores, "a").await;
    let mut won = 0;
    for _ in 0..3 {
        let updated = update(stores, &record, paused(&record)).await;
        won += u32::from(matches!(updated, TriggerUpdated::Updated { .. }));
    }
    assert_eq!(won, 1);
}

/// Only what is registered can be changed. Guard: `TriggerGuard::UpdateUnknown`.
pub async fn changing_says_whether_there_is_a_trigger(stores: &Stores, clock: &ManualClock) {
    published(stores, vec![trigger(clock, "a", "p", 1)]).await;
    let record = get(stores, "a").await;
    published(stores, Vec::new()).await;
    let gone = update(stores, &record, paused(&record)).await;
    assert_eq!(gone, TriggerUpdated::Unknown);
}
