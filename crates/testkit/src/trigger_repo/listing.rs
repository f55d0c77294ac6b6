//! Rules of listings, tenants and addresses.

use nebula_ports::{ErrorKind, NewTrigger, PageToken, PreviousHook, TriggerState, TriggerUpdated};

use super::fixture::*;
use crate::ManualClock;

async fn list(stores: &Stores, of: Option<&str>, limit: usize) -> Vec<String> {
    let of = of.map(workflow);
    let mut after = None;
    let mut found = Vec::new();
    loop {
        let triggers = &stores.triggers;
        let (tenant, of) = (tenant(), of.as_ref());
        let page = triggers.list(&tenant, of, after.as_ref(), limit).await;
        let page = page.unwrap();
        assert!(page.items.len() <= limit);
        let names = page.items.iter();
        found.extend(names.map(|it| format!("{}/{}", it.workflow, it.trigger)));
        after = page.next;
        if after.is_none() {
            return found;
        }
    }
}

async fn three(stores: &Stores, clock: &ManualClock) {
    for (name, triggers) in [("b", vec!["x"]), ("a", vec!["z", "y"])] {
        let new = triggers.into_iter().map(|it| trigger(clock, it, "p", 1));
        let _ = publish_for(stores, &tenant(), name, new.collect()).await;
    }
}

/// Listings have one order. Guard: `TriggerGuard::ListOrder`.
pub async fn triggers_are_listed_by_workflow_and_id(stores: &Stores, clock: &ManualClock) {
    three(stores, clock).await;
    assert_eq!(list(stores, None, 10).await, ["a/y", "a/z", "b/x"]);
}

/// Pages join without gaps. Guard: `TriggerGuard::ListPages`.
pub async fn pages_of_triggers_join(stores: &Stores, clock: &ManualClock) {
    three(stores, clock).await;
    assert_eq!(list(stores, None, 1).await, ["a/y", "a/z", "b/x"]);
    assert_eq!(list(stores, None, 2).await, ["a/y", "a/z", "b/x"]);
}

/// A workflow's triggers are found by it. Guard: `TriggerGuard::ListWorkflow`.
pub async fn a_listing_of_a_workflow_has_its_triggers_alone(stores: &Stores, clock: &ManualClock) {
    three(stores, clock).await;
    assert_eq!(list(stores, Some("a"), 10).await, ["a/y", "a/z"]);
    assert_eq!(list(stores, Some("a"), 1).await, ["a/y", "a/z"]);
}

/// A token that nobody gave is the caller's mistake. Guard: `TriggerGuard::TokenCheck`.
pub async fn a_foreign_trigger_token_is_refused(stores: &Stores, _: &ManualClock) {
    let token = PageToken("nonsense".to_owned());
    let refused = stores.triggers.list(&tenant(), None, Some(&token), 1).await;
    assert_eq!(refused.unwrap_err().kind, ErrorKind::Invalid);
}

/// A trigger is seen by its tenant alone. Guard: `TriggerGuard::TenantReads`.
pub async fn another_tenant_sees_no_trigger(stores: &Stores, clock: &ManualClock) {
    published(stores, vec![trigger(clock, "a", "p", 1)]).await;
    let (other, orders) = (other_tenant(), workflow("orders"));
    let triggers = &stores.triggers;
    assert_eq!(triggers.get(&other, &orders, &id("a")).await.unwrap(), None);
    let listed = triggers.list(&other, None, None, 10).await.unwrap();
    assert!(listed.items.is_empty());
}

/// And changed by it alone. Guard: `TriggerGuard::TenantWrites`.
pub async fn another_tenant_moves_no_trigger(stores: &Stores, clock: &ManualClock) {
    published(stores, vec![trigger(clock, "a", "p", 1)]).await;
    let record = get(stores, "a").await;
    let (other, orders, a) = (other_tenant(), workflow("orders"), id("a"));
    let change = stores
        .triggers
        .update(&other, &orders, &a, record.revision, paused(&record));
    assert_eq!(change.await.unwrap(), TriggerUpdated::Unknown);
    assert_eq!(get(stores, "a").await, record);
}

fn hooked(clock: &ManualClock, name: &str, address: &str) -> NewTrigger {
    NewTrigger {
        hook: Some(hook(address)),
        due: None,
        ..trigger(clock, name, "p", 1)
    }
}

async fn at(stores: &Stores, address: &str) -> Option<String> {
    let found = stores.triggers.hooked(&hook(address)).await.unwrap();
    found.map(|(owner, record)| format!("{owner}/{}/{}", record.workflow, record.trigger))
}

/// Who calls an address reaches its trigger, of whatever tenant. Guard: `TriggerGuard::Hooks`.
pub async fn an_address_leads_to_its_trigger(stores: &Stores, clock: &ManualClock) {
    for (owner, address) in [(tenant(), "one"), (other_tenant(), "two")] {
        let new = vec![hooked(clock, "a", address)];
        let _ = publish_for(stores, &owner, "orders", new).await.unwrap();
    }
    assert_eq!(at(stores, "one").await.as_deref(), Some("local/orders/a"));
    assert_eq!(at(stores, "two").await.as_deref(), Some("other/orders/a"));
    assert_eq!(at(stores, "three").await, None);
}

/// An address that was replaced is none any more. Guard: `TriggerGuard::HookRotates`.
pub async fn a_rotated_address_leads_nowhere(stores: &Stores, clock: &ManualClock) {
    published(stores, vec![hooked(clock, "a", "old")]).await;
    let record = get(stores, "a").await;
    let rotated = TriggerState {
        hook: Some(hook("new")),
        ..record.state.clone()
    };
    let _ = update(stores, &record, rotated).await;
    assert_eq!(at(stores, "old").await, None);
    assert_eq!(at(stores, "new").await.as_deref(), Some("local/orders/a"));
}

/// A trigger whose address was replaced five minutes ago, with ten minutes of grace; a publication came
/// between.
async fn rotated(stores: &Stores, clock: &ManualClock) {
    published(stores, vec![hooked(clock, "a", "old")]).await;
    let record = get(stores, "a").await;
    let rotated = TriggerState {
        hook: Some(hook("new")),
        previous: Some(PreviousHook {
            hook: hook("old"),
            until: after(clock, 10),
        }),
        ..record.state.clone()
    };
    let _ = update(stores, &record, rotated).await;
    published(stores, vec![hooked(clock, "a", "another")]).await;
    clock.advance(MINUTE * 5);
}

/// Whoever was not told the new address yet can go on calling the old one. Guard:
/// `TriggerGuard::HookGrace`.
pub async fn an_address_before_leads_there_for_its_grace(stores: &Stores, clock: &ManualClock) {
    rotated(stores, clock).await;
    for address in ["old", "new"] {
        let found = at(stores, address).await;
        assert_eq!(found.as_deref(), Some("local/orders/a"), "{address}");
    }
}

/// But not for ever. Guard: `TriggerGuard::GraceEnds`.
pub async fn an_address_before_leads_nowhere_after_its_grace(stores: &Stores, clock: &ManualClock) {
    rotated(stores, clock).await;
    clock.advance(MINUTE * 5);
    assert_eq!(at(stores, "old").await, None);
    assert_eq!(at(stores, "new").await.as_deref(), Some("local/orders/a"));
}

/// Whoever was given an address can go on calling it. Guard: `TriggerGuard::HookStays`.
pub async fn an_address_stays_through_publications(stores: &Stores, clock: &ManualClock) {
    published(stores, vec![hooked(clock, "a", "first")]).await;
    for pace in ["p", "q"] {
        let new = NewTrigger {
            pace: nebula_core::Digest::of(pace.as_bytes()),
            ..hooked(clock, "a", "another")
        };
        published(stores, vec![new]).await;
        assert_eq!(at(stores, "first").await.as_deref(), Some("local/orders/a"));
        assert_eq!(at(stores, "another").await, None);
    }
}
