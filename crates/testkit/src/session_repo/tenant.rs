//! Rules of tenants: each sees its own.

use nebula_ports::{Attempted, Closing, Rotated, SessionKey, SessionOpened};
use uuid::Uuid;

use super::fixture::*;
use crate::ManualClock;

/// By no key; nor is it exchanged or closed. Guard: `SessionGuard::TenantSessions`.
pub async fn another_tenant_has_no_session(repo: &Repo, _: &ManualClock) {
    with_sessions(repo, [1]).await;
    let theirs = other_tenant();
    for key in [
        SessionKey::Token(hash("t1")),
        SessionKey::Id(Uuid::from_u128(1)),
    ] {
        assert_eq!(repo.session(&theirs, key).await.unwrap(), None);
    }
    assert_eq!(repo.sessions(&theirs, id(1)).await.unwrap(), []);
    let rotated = repo.rotate(&theirs, hash("t1"), hash("a")).await.unwrap();
    assert_eq!(rotated, Rotated::Unknown);
    let (principal, but) = (id(1), None);
    for which in [
        Closing::One(principal, Uuid::from_u128(1)),
        Closing::All { principal, but },
    ] {
        assert_eq!(repo.close_sessions(&theirs, which).await.unwrap(), 0);
    }
    assert!(used(repo, "t1").await.is_some());
    let opened = repo.open_session(&theirs, session(1)).await.unwrap();
    assert!(matches!(opened, SessionOpened::Opened(_)));
}

/// Nor spends it. Guard: `SessionGuard::TenantOnce`.
pub async fn another_tenant_takes_no_token(repo: &Repo, _: &ManualClock) {
    put_once(repo, once("a")).await;
    let taken = repo.take_once(&other_tenant(), "ticket", hash("a")).await;
    assert_eq!(taken.unwrap(), None);
    assert!(take(repo, "a").await.is_some());
}

/// Nobody is locked out from there. Guard: `SessionGuard::TenantAttempts`.
pub async fn another_tenant_counts_its_own_tries(repo: &Repo, _: &ManualClock) {
    let _ = attempt(repo, "a").await;
    let theirs = other_tenant();
    let tried = repo.attempt(&theirs, hash("a"), &LOCKOUT).await.unwrap();
    assert_eq!(tried, Attempted::Go { tries: 1 });
    repo.forget_attempts(&theirs, hash("a")).await.unwrap();
    assert_eq!(attempt(repo, "a").await, Attempted::Go { tries: 2 });
}
