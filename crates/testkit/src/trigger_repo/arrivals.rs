//! Rules of what is announced to triggers, and of what becomes of it.

use nebula_core::{Clock, Digest};
use nebula_ports::{
    ARRIVALS_FULL, Arrived, Begun, Created, LeftOut, MAX_ARRIVALS, NewTrigger, Passing, Step,
    Stepped, Subscription, TriggerState, TriggerUpdated,
};
use serde_json::json;

use super::fixture::*;
use crate::{ManualClock, execution_repo::fixture::execution_of};

/// A step tells those that listen. Guard: `TriggerGuard::Announces`.
pub async fn what_a_step_announces_arrives(stores: &Stores, clock: &ManualClock) {
    published(
        stores,
        vec![
            listener(clock, "a", &["x", "y"]),
            listener(clock, "b", &["x"]),
        ],
    )
    .await;
    let lease = announced(stores, clock, (1, "shop"), &["x", "y"]).await;
    assert_eq!(topics(stores, "a").await, ["x", "y"]);
    let all = arrivals(stores, "b").await;
    assert_eq!(all.len(), 1);
    let what = Arrived::Announced {
        topic: "x".to_owned(),
        execution: lease.execution,
        seq: 2,
    };
    assert_eq!(all[0].what, what);
    assert_eq!(all[0].at, clock.now());
}

/// So does one with which an execution begins. Guard: `TriggerGuard::Announces`.
pub async fn a_beginning_announces(stores: &Stores, clock: &ManualClock) {
    published(stores, vec![listener(clock, "a", &["x"])]).await;
    let new = execution_of(clock, 1, "shop", &json!(1));
    let lease = first_lease(&new);
    let step = Step {
        entries: new.entries,
        ..announces(1, &["x"])
    };
    let begun = stores.executions.begin(&lease, None, step.clone()).await;
    assert!(matches!(begun.unwrap(), Begun::Applied { .. }));
    let again = stores.executions.begin(&lease, None, step).await;
    assert!(matches!(again.unwrap(), Begun::Replayed { .. }));
    assert_eq!(topics(stores, "a").await, ["x"]);
}

/// Guard: `TriggerGuard::AnnounceTopic`.
pub async fn another_topic_does_not_arrive(stores: &Stores, clock: &ManualClock) {
    published(stores, vec![listener(clock, "a", &["x"])]).await;
    let _ = announced(stores, clock, (1, "shop"), &["xy", "X", ""]).await;
    assert_eq!(arrivals(stores, "a").await, []);
}

/// Guard: `TriggerGuard::AnnounceSource`.
pub async fn another_source_does_not_arrive(stores: &Stores, clock: &ManualClock) {
    let listens = ["shop", "store"].map(|name| Subscription {
        topic: "x".to_owned(),
        source: Some(workflow(name)),
    });
    let new = NewTrigger {
        listens: listens.to_vec(),
        ..listener(clock, "a", &[])
    };
    published(stores, vec![new]).await;
    for (n, of) in [(1, "shop"), (2, "sho"), (3, "store"), (4, "orders")] {
        let _ = announced(stores, clock, (n, of), &["x"]).await;
    }
    assert_eq!(arrivals(stores, "a").await.len(), 2);
}

/// Guard: `TriggerGuard::AnnounceTenant`.
pub async fn what_another_tenant_announces_does_not_arrive(stores: &Stores, clock: &ManualClock) {
    published(stores, vec![listener(clock, "a", &["x"])]).await;
    let new = execution_of(clock, 1, "shop", &json!(1));
    let lease = driven(stores, &other_tenant(), new).await;
    let stepped = stores.executions.step(&lease, announces(2, &["x"])).await;
    assert!(matches!(stepped.unwrap(), Stepped::Applied { .. }));
    assert_eq!(arrivals(stores, "a").await, []);
}

/// Guard: `TriggerGuard::AnnounceWritten`.
pub async fn a_repeated_step_announces_nothing(stores: &Stores, clock: &ManualClock) {
    published(stores, vec![listener(clock, "a", &["x"])]).await;
    let lease = announced(stores, clock, (1, "shop"), &["x"]).await;
    let again = stores.executions.step(&lease, announces(2, &["x"])).await;
    assert!(matches!(again.unwrap(), Stepped::Replayed { .. }));
    assert_eq!(arrivals(stores, "a").await.len(), 1);
}

/// Guard: `TriggerGuard::AnnounceWritten`.
pub async fn a_refused_step_announces_nothing(stores: &Stores, clock: &ManualClock) {
    published(stores, vec![listener(clock, "a", &["x"])]).await;
    let lease = announced(stores, clock, (1, "shop"), &[]).await;
    let late = stores.executions.step(&lease, announces(7, &["x"])).await;
    assert!(matches!(late.unwrap(), Stepped::Conflict { .. }));
    assert_eq!(arrivals(stores, "a").await, []);
}

/// Guard: `TriggerGuard::AnnounceWakes`.
pub async fn what_arrives_is_due(stores: &Stores, clock: &ManualClock) {
    published(stores, vec![listener(clock, "a", &["x"])]).await;
    assert_eq!(stores.triggers.due(9).await.unwrap().due, []);
    let _ = announced(stores, clock, (1, "shop"), &["x"]).await;
    let due = stores.triggers.due(9).await.unwrap().due;
    assert_eq!(due.len(), 1);
    assert_eq!(due[0].1.state.due, Some(clock.now()));
}

/// By their commits. Guard: `TriggerGuard::ArrivalsOrder`.
pub async fn arrivals_come_in_their_order(stores: &Stores, clock: &ManualClock) {
    published(stores, vec![listener(clock, "a", &["x", "y", "z"])]).await;
    let _ = announced(stores, clock, (2, "shop"), &["z", "x"]).await;
    let _ = announced(stores, clock, (1, "shop"), &["y"]).await;
    assert_eq!(topics(stores, "a").await, ["z", "x", "y"]);
    let all = arrivals(stores, "a").await;
    assert!(all[0].n < all[1].n && all[1].n < all[2].n);
}

/// Guard: `TriggerGuard::ArrivalsLimit`.
pub async fn a_page_of_arrivals_has_its_limit(stores: &Stores, clock: &ManualClock) {
    published(stores, vec![listener(clock, "a", &["x", "y"])]).await;
    let _ = announced(stores, clock, (1, "shop"), &["y", "x", "y"]).await;
    let (whose, of) = (tenant(), workflow("orders"));
    let page = stores
        .triggers
        .arrivals(&whose, &of, &id("a"), 2)
        .await
        .unwrap();
    let all = arrivals(stores, "a").await;
    assert_eq!((page.as_slice(), all.len()), (&all[..2], 3));
}

/// Guard: `TriggerGuard::ArrivalsTenant`.
pub async fn another_tenant_sees_no_arrival(stores: &Stores, clock: &ManualClock) {
    published(stores, vec![listener(clock, "a", &["x"])]).await;
    let _ = announced(stores, clock, (1, "shop"), &["x"]).await;
    let (whose, of) = (other_tenant(), workflow("orders"));
    let page = stores.triggers.arrivals(&whose, &of, &id("a"), 9).await;
    assert_eq!(page.unwrap(), []);
}

/// Guard: `TriggerGuard::ArrivalsFull`.
pub async fn what_arrives_at_a_full_trigger_is_left_out(stores: &Stores, clock: &ManualClock) {
    published(stores, vec![listener(clock, "a", &["x"])]).await;
    let lease = announced(stores, clock, (1, "shop"), &["x"]).await;
    let most = usize::try_from(MAX_ARRIVALS).unwrap();
    // Some are announced at a time, so that a step stays small.
    let (mut seq, mut announced) = (3, 1);
    while announced < most {
        let some = vec!["x"; (most - announced).min(1_000)];
        announced += some.len();
        let step = stores.executions.step(&lease, announces(seq, &some)).await;
        assert!(matches!(step.unwrap(), Stepped::Applied { .. }));
        seq += 1;
    }
    assert_eq!(get(stores, "a").await.state.left_out, None);
    let step = stores.executions.step(&lease, announces(seq, &["x"])).await;
    assert!(matches!(step.unwrap(), Stepped::Applied { .. }));
    let left_out = get(stores, "a").await.state.left_out;
    assert_eq!(left_out.unwrap().why, ARRIVALS_FULL);
    let (whose, of) = (tenant(), workflow("orders"));
    let all = stores
        .triggers
        .arrivals(&whose, &of, &id("a"), most * 2)
        .await;
    assert_eq!(all.unwrap().len(), most);
}

/// Guard: `TriggerGuard::ArrivalsStay`.
pub async fn arrivals_stay_through_publications(stores: &Stores, clock: &ManualClock) {
    published(stores, vec![listener(clock, "a", &["x"])]).await;
    let _ = announced(stores, clock, (1, "shop"), &["x"]).await;
    published(stores, vec![listener(clock, "a", &["y"])]).await;
    let _ = announced(stores, clock, (2, "shop"), &["x", "y"]).await;
    assert_eq!(topics(stores, "a").await, ["x", "y"]);
}

/// Guard: `TriggerGuard::DeafForgets`.
pub async fn a_trigger_that_listens_no_more_has_no_arrivals(stores: &Stores, clock: &ManualClock) {
    published(stores, vec![listener(clock, "a", &["x"])]).await;
    let _ = announced(stores, clock, (1, "shop"), &["x"]).await;
    published(stores, vec![listener(clock, "a", &[])]).await;
    let _ = announced(stores, clock, (2, "shop"), &["x"]).await;
    assert_eq!(arrivals(stores, "a").await, []);
}

/// Guard: `TriggerGuard::PublishKeepsDue`.
pub async fn arrivals_stay_due_through_publications(stores: &Stores, clock: &ManualClock) {
    published(stores, vec![listener(clock, "a", &["x"])]).await;
    let _ = announced(stores, clock, (1, "shop"), &["x"]).await;
    let new = NewTrigger {
        pace: Digest::of(b"another"),
        ..listener(clock, "a", &["y"])
    };
    published(stores, vec![new]).await;
    assert_eq!(get(stores, "a").await.state.due, Some(clock.now()));
}

/// Guard: `TriggerGuard::ArrivalsGo`.
pub async fn arrivals_go_with_their_trigger(stores: &Stores, clock: &ManualClock) {
    published(stores, vec![listener(clock, "a", &["x"])]).await;
    let _ = announced(stores, clock, (1, "shop"), &["x"]).await;
    published(stores, Vec::new()).await;
    let _ = announced(stores, clock, (2, "shop"), &["x"]).await;
    published(stores, vec![listener(clock, "a", &["x"])]).await;
    assert_eq!(arrivals(stores, "a").await, []);
}

/// Guard: `TriggerGuard::CreateTakes`.
pub async fn a_creation_takes_its_arrivals(stores: &Stores, clock: &ManualClock) {
    published(stores, vec![listener(clock, "a", &["x", "y", "z"])]).await;
    let _ = announced(stores, clock, (1, "shop"), &["x", "y", "z"]).await;
    let (record, all) = (get(stores, "a").await, arrivals(stores, "a").await);
    let mut new = started_by(clock, 2, &record, 7);
    new.trigger.as_mut().unwrap().takes = vec![all[0].n, all[2].n];
    // One that is outdated takes none.
    let mut late = started_by(clock, 3, &record, 7);
    late.trigger.as_mut().unwrap().takes = vec![all[1].n];
    assert_eq!(create(stores, new, None).await, Created::Created(None));
    assert_eq!(create(stores, late, None).await, Created::Outdated);
    assert_eq!(topics(stores, "a").await, ["y"]);
}

/// Guard: `TriggerGuard::CreateLeavesDue`.
pub async fn a_creation_leaves_the_next_arrival_due(stores: &Stores, clock: &ManualClock) {
    published(stores, vec![listener(clock, "a", &["x"])]).await;
    let _ = announced(stores, clock, (1, "shop"), &["x"]).await;
    clock.advance(MINUTE / 2);
    let _ = announced(stores, clock, (2, "shop"), &["x"]).await;
    let second = clock.now();
    for (n, due) in [(3, second), (4, after(clock, 7))] {
        let (record, all) = (get(stores, "a").await, arrivals(stores, "a").await);
        let mut new = started_by(clock, n, &record, 7);
        new.trigger.as_mut().unwrap().takes = vec![all[0].n];
        assert_eq!(create(stores, new, None).await, Created::Created(None));
        assert_eq!(get(stores, "a").await.state.due, Some(due));
    }
}

/// A change that was made before an arrival was seen. Guard: `TriggerGuard::UpdateKeepsDue`.
pub async fn a_change_hides_no_arrival(stores: &Stores, clock: &ManualClock) {
    published(stores, vec![listener(clock, "a", &["x"])]).await;
    let record = get(stores, "a").await;
    let _ = announced(stores, clock, (1, "shop"), &["x"]).await;
    let state = TriggerState {
        paused: true,
        ..record.state.clone()
    };
    let updated = update(stores, &get(stores, "a").await, state).await;
    assert!(matches!(updated, TriggerUpdated::Updated { .. }));
    assert_eq!(get(stores, "a").await.state.due, Some(clock.now()));
}

/// Guard: `TriggerGuard::PassTakes`.
pub async fn what_is_passed_over_is_gone(stores: &Stores, clock: &ManualClock) {
    published(stores, vec![listener(clock, "a", &["x", "y"])]).await;
    let _ = announced(stores, clock, (1, "shop"), &["x", "y"]).await;
    let (record, all) = (get(stores, "a").await, arrivals(stores, "a").await);
    let passed = pass(stores, &record, &[all[0].n], None).await;
    assert!(matches!(passed, TriggerUpdated::Updated { revision } if revision > record.revision));
    assert_eq!(topics(stores, "a").await, ["y"]);
}

/// Guard: `TriggerGuard::PassLeavesDue`.
pub async fn passing_over_leaves_the_next_arrival_due(stores: &Stores, clock: &ManualClock) {
    published(stores, vec![listener(clock, "a", &["x"])]).await;
    let _ = announced(stores, clock, (1, "shop"), &["x"]).await;
    clock.advance(MINUTE / 2);
    let _ = announced(stores, clock, (2, "shop"), &["x"]).await;
    let (second, later) = (clock.now(), after(clock, 3));
    for (due, found) in [
        (Some(later), Some(second)),
        (Some(later), Some(later)),
        (None, None),
    ] {
        let (record, all) = (get(stores, "a").await, arrivals(stores, "a").await);
        let passing = Passing {
            arrivals: all.first().map(|it| it.n).into_iter().collect(),
            due,
            left_out: None,
        };
        let (of, trigger, revision) = (&record.workflow, &record.trigger, record.revision);
        let (triggers, whose) = (&stores.triggers, tenant());
        let passed = triggers.pass(&whose, of, trigger, revision, passing);
        assert!(matches!(
            passed.await.unwrap(),
            TriggerUpdated::Updated { .. }
        ));
        assert_eq!(get(stores, "a").await.state.due, found);
    }
}

/// Guard: `TriggerGuard::PassSays`.
pub async fn passing_over_says_why(stores: &Stores, clock: &ManualClock) {
    published(stores, vec![listener(clock, "a", &["x"])]).await;
    let _ = announced(stores, clock, (1, "shop"), &["x"]).await;
    let (record, all) = (get(stores, "a").await, arrivals(stores, "a").await);
    let left_out = LeftOut {
        occurrence: all[0].at,
        at: clock.now(),
        why: "it went round too often".to_owned(),
    };
    let _ = pass(stores, &record, &[all[0].n], Some(left_out.clone())).await;
    assert_eq!(get(stores, "a").await.state.left_out, Some(left_out));
}

/// Guard: `TriggerGuard::PassCompares`.
pub async fn passing_over_from_an_outdated_revision_changes_nothing(
    stores: &Stores,
    clock: &ManualClock,
) {
    published(stores, vec![listener(clock, "a", &["x"])]).await;
    let _ = announced(stores, clock, (1, "shop"), &["x"]).await;
    let (record, all) = (get(stores, "a").await, arrivals(stores, "a").await);
    let _ = update(stores, &record, paused(&record)).await;
    let passed = pass(stores, &record, &[all[0].n], None).await;
    assert!(matches!(passed, TriggerUpdated::Conflict { revision } if revision > record.revision));
    assert_eq!(topics(stores, "a").await, ["x"]);
}
