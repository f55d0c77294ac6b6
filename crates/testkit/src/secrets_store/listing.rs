//! Rules of listings: ids, never values.

use super::fixture::*;
use crate::ManualClock;

/// Ids come in ascending order, however they were set. Guard: `SecretsGuard::ListOrder`.
pub async fn ids_are_listed_in_order(store: &Store, _: &ManualClock) {
    for name in ["b", "a", "c.d", "B", "a-b"] {
        let _ = set(store, name, "x").await;
    }
    let listed = ids(store, &tenant()).await;
    assert_eq!(listed, ["B", "a", "a-b", "b", "c.d"]);
}

/// Each page begins after the last id of the page before. Guard: `SecretsGuard::ListPages`.
pub async fn pages_of_ids_join(store: &Store, _: &ManualClock) {
    for number in 0..7 {
        let _ = set(store, &format!("s{number}"), "x").await;
    }
    let (mut joined, mut after) = (Vec::new(), None);
    for _ in 0..7 {
        let page = store.list(&tenant(), after.as_ref(), 3).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.clone());
        joined.extend(page.iter().map(ToString::to_string));
    }
    assert_eq!(joined, ids(store, &tenant()).await);
    // Where a page begins need not be there any more.
    let after = store
        .list(&tenant(), Some(&id("s1-gone")), 1)
        .await
        .unwrap();
    assert_eq!(after, [id("s2")]);
}

/// The limit holds, also where it is zero. Guard: `SecretsGuard::ListLimit`.
pub async fn a_page_has_no_more_ids_than_its_limit(store: &Store, _: &ManualClock) {
    for name in ["a", "b", "c"] {
        let _ = set(store, name, "x").await;
    }
    for limit in 0..4 {
        let page = store.list(&tenant(), None, limit).await.unwrap();
        assert_eq!(page.len(), limit);
    }
}

/// What is gone is not listed. Guard: `SecretsGuard::ListDeleted`.
pub async fn a_deleted_secret_leaves_the_listing(store: &Store, _: &ManualClock) {
    for name in ["a", "b", "c"] {
        let _ = set(store, name, "x").await;
    }
    let _ = delete(store, "b").await;
    assert_eq!(ids(store, &tenant()).await, ["a", "c"]);
}
