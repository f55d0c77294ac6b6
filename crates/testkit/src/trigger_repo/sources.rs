//! Rules of what sources bring to triggers, and of where they stand.

use nebula_core::Clock;
use nebula_ports::{
    Brought, Created, ErrorKind, MAX_ARRIVALS, MAX_BROUGHT, MAX_CURSOR, TriggerUpdated,
};
use serde_json::{Value, json};

use super::fixture::*;
use crate::ManualClock;

/// Behind what waits, also where somebody listens. Guard: `TriggerGuard::BringArrives`.
pub async fn what_is_brought_arrives_in_its_order(stores: &Stores, clock: &ManualClock) {
    published(stores, vec![sourced(clock, "a", "files")]).await;
    let revision = get(stores, "a").await.revision;
    for items in [[json!(2), json!({ "b": [1] })], [json!(null), json!("ä")]] {
        let brought = bring(stores, "a", has(&items)).await.unwrap();
        // So a source that nobody looks at outdates nobody who starts by it.
        assert_eq!(brought, Brought::Taken { revision });
    }
    let all = [json!(2), json!({ "b": [1] }), json!(null), json!("ä")];
    assert_eq!(waiting(stores, "a").await, all);
    let all = arrivals(stores, "a").await;
    assert!(all.windows(2).all(|pair| pair[0].n < pair[1].n));
    assert!(all.iter().all(|it| it.at == clock.now()));
}

/// Guard: `TriggerGuard::BringWakes`.
pub async fn what_is_brought_is_due(stores: &Stores, clock: &ManualClock) {
    published(stores, vec![sourced(clock, "a", "files")]).await;
    for items in [&[][..], &[json!(1)]] {
        let _ = bring(stores, "a", has(items)).await.unwrap();
        let due = (!items.is_empty()).then_some(clock.now());
        assert_eq!(get(stores, "a").await.state.due, due);
    }
}

/// Guard: `TriggerGuard::BringUnknown`.
pub async fn bringing_says_whether_there_is_a_trigger(stores: &Stores, clock: &ManualClock) {
    let brought = bring(stores, "a", has(&[json!(1)])).await.unwrap();
    assert_eq!(brought, Brought::Unknown);
    published(stores, vec![sourced(clock, "a", "files")]).await;
    let (whose, of) = (other_tenant(), workflow("orders"));
    let items = has(&[json!(1)]);
    let brought = stores.triggers.bring(&whose, &of, &id("a"), items).await;
    assert_eq!(brought.unwrap(), Brought::Unknown);
    assert_eq!(arrivals(stores, "a").await, []);
}

/// Guard: `TriggerGuard::BringChecked`.
pub async fn what_is_too_large_is_not_brought(stores: &Stores, clock: &ManualClock) {
    published(stores, vec![sourced(clock, "a", "files")]).await;
    let record = get(stores, "a").await;
    let text = |bytes: usize| Value::from("x".repeat(bytes - 2));
    for brings in [
        has(&[json!(1), text(MAX_BROUGHT + 1)]),
        looked(clock, &record, &[], Some(text(MAX_CURSOR + 1))),
    ] {
        let refused = bring(stores, "a", brings).await;
        assert_eq!(refused.unwrap_err().kind, ErrorKind::Invalid);
    }
    assert_eq!(get(stores, "a").await, record);
    assert_eq!(arrivals(stores, "a").await, []);
    let fits = looked(clock, &record, &[text(MAX_BROUGHT)], Some(text(MAX_CURSOR)));
    let brought = bring(stores, "a", fits).await.unwrap();
    assert!(matches!(brought, Brought::Taken { .. }));
}

/// Guard: `TriggerGuard::BringCompares`.
pub async fn of_two_looks_from_one_revision_one_counts(stores: &Stores, clock: &ManualClock) {
    published(stores, vec![sourced(clock, "a", "files")]).await;
    let record = get(stores, "a").await;
    let first = looked(clock, &record, &[json!(1)], Some(json!([1])));
    let Brought::Taken { revision } = bring(stores, "a", first).await.unwrap() else {
        panic!("the first one counts");
    };
    assert!(revision > record.revision);
    let second = looked(clock, &record, &[json!(1)], Some(json!([2])));
    let second = bring(stores, "a", second).await.unwrap();
    assert_eq!(second, Brought::Conflict { revision });
    assert_eq!(waiting(stores, "a").await, [json!(1)]);
    assert_eq!(cursor(stores, "a").await, Some(json!([1])));
}

/// Guard: `TriggerGuard::BringMoves`.
pub async fn a_look_says_where_the_source_stands(stores: &Stores, clock: &ManualClock) {
    published(stores, vec![sourced(clock, "a", "files")]).await;
    assert_eq!(cursor(stores, "a").await, None);
    clock.advance(MINUTE);
    let record = get(stores, "a").await;
    let nothing = looked(clock, &record, &[], Some(json!({ "seen": ["x"] })));
    let _ = bring(stores, "a", nothing).await.unwrap();
    let after_it = get(stores, "a").await;
    assert_eq!(after_it.state.through, clock.now());
    assert_eq!(after_it.state.due, Some(after(clock, 5)));
    assert_eq!(cursor(stores, "a").await, Some(json!({ "seen": ["x"] })));
    // What waits comes first; then the next look.
    let some = looked(clock, &after_it, &[json!(1), json!(2)], Some(json!(2)));
    let _ = bring(stores, "a", some).await.unwrap();
    let record = get(stores, "a").await;
    assert_eq!(record.state.due, Some(clock.now()));
    let all = arrivals(stores, "a").await;
    let mut new = started_by(clock, 1, &record, 3);
    new.trigger.as_mut().unwrap().takes = vec![all[0].n];
    assert_eq!(create(stores, new, None).await, Created::Created(None));
    let record = get(stores, "a").await;
    assert_eq!(record.state.due, Some(all[1].at));
    let mut new = started_by(clock, 2, &record, 3);
    new.trigger.as_mut().unwrap().takes = vec![all[1].n];
    assert_eq!(create(stores, new, None).await, Created::Created(None));
    assert_eq!(get(stores, "a").await.state.due, Some(after(clock, 3)));
}

/// Guard: `TriggerGuard::BringKeepsCursor`.
pub async fn a_look_without_a_cursor_leaves_it(stores: &Stores, clock: &ManualClock) {
    published(stores, vec![sourced(clock, "a", "files")]).await;
    for now in [Some(json!(1)), None, Some(json!(null))] {
        let record = get(stores, "a").await;
        let before = cursor(stores, "a").await;
        let _ = bring(stores, "a", looked(clock, &record, &[], now.clone()))
            .await
            .unwrap();
        assert_eq!(cursor(stores, "a").await, now.or(before));
    }
}

/// Guard: `TriggerGuard::BringFull`.
pub async fn what_has_no_room_is_not_brought(stores: &Stores, clock: &ManualClock) {
    published(stores, vec![sourced(clock, "a", "files")]).await;
    let most = usize::try_from(MAX_ARRIVALS).unwrap();
    let record = get(stores, "a").await;
    let many = vec![json!(1); most - 1];
    let _ = bring(stores, "a", has(&many)).await.unwrap();
    let two = looked(clock, &record, &[json!(2), json!(2)], Some(json!(2)));
    assert_eq!(bring(stores, "a", two).await.unwrap(), Brought::Full);
    assert_eq!(cursor(stores, "a").await, None);
    let one = bring(stores, "a", has(&[json!(2)])).await.unwrap();
    assert!(matches!(one, Brought::Taken { .. }));
    let none = bring(stores, "a", has(&[json!(3)])).await.unwrap();
    assert_eq!(none, Brought::Full);
    assert_eq!(get(stores, "a").await.state.left_out, None);
}

/// Guard: `TriggerGuard::CursorTenant`.
pub async fn another_tenant_sees_no_cursor(stores: &Stores, clock: &ManualClock) {
    published(stores, vec![sourced(clock, "a", "files")]).await;
    let record = get(stores, "a").await;
    let _ = bring(stores, "a", looked(clock, &record, &[], Some(json!(1))))
        .await
        .unwrap();
    let (whose, of) = (other_tenant(), workflow("orders"));
    let found = stores.triggers.cursor(&whose, &of, &id("a")).await;
    assert_eq!(found.unwrap(), None);
}

/// And goes with its trigger. Guard: `TriggerGuard::CursorOfPace`.
pub async fn a_cursor_stays_with_its_pace(stores: &Stores, clock: &ManualClock) {
    published(stores, vec![sourced(clock, "a", "files")]).await;
    let record = get(stores, "a").await;
    let _ = bring(stores, "a", looked(clock, &record, &[], Some(json!(1))))
        .await
        .unwrap();
    published(stores, vec![sourced(clock, "a", "files")]).await;
    assert_eq!(cursor(stores, "a").await, Some(json!(1)));
    published(stores, vec![sourced(clock, "a", "other files")]).await;
    assert_eq!(cursor(stores, "a").await, None);
    let record = get(stores, "a").await;
    let _ = bring(stores, "a", looked(clock, &record, &[], Some(json!(2))))
        .await
        .unwrap();
    published(stores, Vec::new()).await;
    published(stores, vec![sourced(clock, "a", "other files")]).await;
    assert_eq!(cursor(stores, "a").await, None);
}

/// Where it has a source still. Guard: `TriggerGuard::SourcedHears`.
pub async fn what_was_brought_stays_through_publications(stores: &Stores, clock: &ManualClock) {
    published(stores, vec![sourced(clock, "a", "files")]).await;
    let _ = bring(stores, "a", has(&[json!(1)])).await.unwrap();
    published(stores, vec![sourced(clock, "a", "other files")]).await;
    assert_eq!(waiting(stores, "a").await, [json!(1)]);
    assert_eq!(get(stores, "a").await.state.due, Some(clock.now()));
    let passed = pass(stores, &get(stores, "a").await, &[], None).await;
    assert!(matches!(passed, TriggerUpdated::Updated { .. }));
    published(stores, vec![trigger(clock, "a", "files", 1)]).await;
    assert_eq!(arrivals(stores, "a").await, []);
}
