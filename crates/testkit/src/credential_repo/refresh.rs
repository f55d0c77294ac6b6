//! Rules of the lease: one refreshes, the others wait.

use std::time::Duration;

use nebula_core::Clock as _;
use nebula_ports::RefreshLease;

use super::fixture::*;
use crate::ManualClock;

/// Of several that ask at once, one is granted. Guard: `CredentialGuard::OneRefresher`.
pub async fn of_refreshers_one_is_granted(repo: &Repo, clock: &ManualClock) {
    with_versions(repo, "shop", 1).await;
    let until = clock.now().plus(TTL);
    let answers = futures_util::future::join_all((1..5).map(|who| lease(repo, 1, who))).await;
    let granted = answers
        .iter()
        .filter(|it| **it == RefreshLease::Granted { until });
    assert_eq!(granted.count(), 1, "{answers:?}");
    let held = answers
        .iter()
        .filter(|it| **it == RefreshLease::Held { until });
    assert_eq!(held.count(), 3, "{answers:?}");
}

/// A refresher that died holds nobody up for ever. Guard: `CredentialGuard::LeaseEnds`.
pub async fn a_lease_ends_by_its_time(repo: &Repo, clock: &ManualClock) {
    with_versions(repo, "shop", 1).await;
    let until = clock.now().plus(TTL);
    let _ = lease(repo, 1, 1).await;
    clock.advance(TTL - Duration::from_millis(1));
    assert_eq!(lease(repo, 1, 2).await, RefreshLease::Held { until });
    clock.advance(Duration::from_millis(1));
    let until = clock.now().plus(TTL);
    assert_eq!(lease(repo, 1, 2).await, RefreshLease::Granted { until });
}

/// The holder may ask again. Guard: `CredentialGuard::SameRefresher`.
pub async fn the_same_refresher_is_granted_for_longer(repo: &Repo, clock: &ManualClock) {
    with_versions(repo, "shop", 1).await;
    let _ = lease(repo, 1, 1).await;
    clock.advance(TTL / 2);
    let until = clock.now().plus(TTL);
    assert_eq!(lease(repo, 1, 1).await, RefreshLease::Granted { until });
    assert_eq!(lease(repo, 1, 2).await, RefreshLease::Held { until });
}

/// Who comes after the refresh reads its result. Guard: `CredentialGuard::Stale`.
pub async fn a_refresh_of_another_version_is_stale(repo: &Repo, _: &ManualClock) {
    with_versions(repo, "shop", 2).await;
    for number in [1, 3] {
        let stale = lease(repo, number, 1).await;
        assert_eq!(stale, RefreshLease::Stale { version: 2 });
    }
}

/// There must be something to refresh. Guard: `CredentialGuard::LeaseUnknown`.
pub async fn a_refresh_needs_its_credential(repo: &Repo, _: &ManualClock) {
    assert_eq!(lease(repo, 1, 1).await, RefreshLease::Unknown);
    with_versions(repo, "shop", 1).await;
    let _ = repo.delete(&tenant(), &id("shop")).await.unwrap();
    assert_eq!(lease(repo, 1, 1).await, RefreshLease::Unknown);
}

/// The next version can be refreshed at once. Guard: `CredentialGuard::PutEndsLease`.
pub async fn a_put_ends_the_lease(repo: &Repo, clock: &ManualClock) {
    with_versions(repo, "shop", 1).await;
    let _ = lease(repo, 1, 1).await;
    let _ = put(repo, version("shop", 2, b"x")).await;
    let until = clock.now().plus(TTL);
    assert_eq!(lease(repo, 2, 2).await, RefreshLease::Granted { until });
}

/// What comes after a deletion is held by nobody. Guard: `CredentialGuard::DeleteEndsLease`.
pub async fn a_deletion_ends_the_lease(repo: &Repo, clock: &ManualClock) {
    with_versions(repo, "shop", 1).await;
    let _ = lease(repo, 1, 1).await;
    let _ = repo.delete(&tenant(), &id("shop")).await.unwrap();
    assert_eq!(lease(repo, 1, 2).await, RefreshLease::Unknown);
    let _ = put(repo, version("shop", 3, b"x")).await;
    let until = clock.now().plus(TTL);
    assert_eq!(lease(repo, 3, 2).await, RefreshLease::Granted { until });
}

/// After a refresh that failed, another one tries. Guard: `CredentialGuard::Releases`.
pub async fn a_lease_that_was_given_back_is_free(repo: &Repo, clock: &ManualClock) {
    with_versions(repo, "shop", 1).await;
    let _ = lease(repo, 1, 1).await;
    release(repo, "shop", 1).await;
    let until = clock.now().plus(TTL);
    assert_eq!(lease(repo, 1, 2).await, RefreshLease::Granted { until });
}

/// A refresher that was overtaken takes nothing from the next. Guard: `CredentialGuard::ReleaseHolder`.
pub async fn another_refresher_gives_nothing_back(repo: &Repo, clock: &ManualClock) {
    with_versions(repo, "shop", 1).await;
    let until = clock.now().plus(TTL);
    let _ = lease(repo, 1, 1).await;
    release(repo, "shop", 2).await;
    release(repo, "unknown", 1).await;
    assert_eq!(lease(repo, 1, 4).await, RefreshLease::Held { until });
}
