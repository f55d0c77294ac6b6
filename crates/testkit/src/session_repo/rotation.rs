//! Rules of tokens that are exchanged.

use futures_util::future::join_all;
use nebula_core::Clock;
use nebula_ports::{MAX_SPENT_TOKENS, NewSession, Rotated, Session, SessionKind};
use uuid::Uuid;

use super::fixture::*;
use crate::ManualClock;

async fn rotated(repo: &Repo, from: &str, to: &str) -> Session {
    let rotated = rotate(repo, from, to).await;
    let Rotated::Rotated(session) = rotated else {
        panic!("{rotated:?}")
    };
    session
}

fn reused(number: u128) -> Rotated {
    Rotated::Reused {
        id: Uuid::from_u128(number),
        principal: id(1),
    }
}

/// And the one before opens nothing. Guard: `SessionGuard::Rotates`.
pub async fn a_rotation_gives_the_next_token(repo: &Repo, _: &ManualClock) {
    with_sessions(repo, [1]).await;
    let session = rotated(repo, "t1", "a").await;
    assert_eq!(session.id, Uuid::from_u128(1));
    assert_eq!(used(repo, "t1").await, None);
    assert_eq!(used(repo, "a").await, Some(session));
    let _ = rotated(repo, "a", "b").await;
    assert!(used(repo, "b").await.is_some());
    assert_eq!(rotate(repo, "unknown", "c").await, Rotated::Unknown);
}

/// Whoever comes for the next token is there. Guard: `SessionGuard::RotateIsUse`.
pub async fn a_rotation_is_a_use(repo: &Repo, clock: &ManualClock) {
    with_sessions(repo, [1]).await;
    clock.advance(IDLE - SECOND);
    let session = rotated(repo, "t1", "a").await;
    assert_eq!(session.used_at, clock.now());
    clock.advance(IDLE - SECOND);
    assert!(look(repo, 1).await.is_some());
}

/// Somebody has stolen one of the two. Guard: `SessionGuard::ReuseCloses`.
pub async fn a_spent_token_that_comes_again_closes_its_session(repo: &Repo, _: &ManualClock) {
    with_sessions(repo, [1, 2]).await;
    for (from, to) in [("t1", "a"), ("a", "b")] {
        let _ = rotated(repo, from, to).await;
    }
    assert_eq!(rotate(repo, "t1", "stolen").await, reused(1));
    for token in ["t1", "a", "b", "stolen"] {
        assert_eq!(used(repo, token).await, None);
    }
    assert_eq!(look(repo, 1).await, None);
    assert_eq!(rotate(repo, "b", "c").await, Rotated::Unknown);
    assert!(used(repo, "t2").await.is_some());
}

/// A retry after a lost reply is told from theft. Guard: `SessionGuard::RotateRepeated`.
pub async fn a_rotation_that_is_repeated_is_the_same(repo: &Repo, _: &ManualClock) {
    with_sessions(repo, [1]).await;
    let first = rotated(repo, "t1", "a").await;
    assert_eq!(rotated(repo, "t1", "a").await, first);
    assert!(used(repo, "a").await.is_some());
    // Later it is theft.
    let _ = rotated(repo, "a", "b").await;
    assert_eq!(rotate(repo, "t1", "a").await, reused(1));
}

/// The others are theft. Guard: `SessionGuard::RotateAtOnce`.
pub async fn of_rotations_at_once_one_wins(repo: &Repo, _: &ManualClock) {
    with_sessions(repo, [1]).await;
    let all = ["a", "b", "c"].map(|to| rotate(repo, "t1", to));
    let answers = join_all(all).await;
    let rotated = answers
        .iter()
        .filter(|it| matches!(it, Rotated::Rotated(_)));
    assert_eq!(rotated.count(), 1, "{answers:?}");
}

/// Neither idle nor after its time. Guard: `SessionGuard::RotateLasting`.
pub async fn a_session_that_is_over_is_not_rotated(repo: &Repo, clock: &ManualClock) {
    with_sessions(repo, [1]).await;
    clock.advance(IDLE);
    assert_eq!(rotate(repo, "t1", "a").await, Rotated::Unknown);
    assert_eq!(used(repo, "a").await, None);
}

/// A cookie is no refresh token. Guard: `SessionGuard::RotateKind`.
pub async fn a_session_of_a_browser_is_not_rotated(repo: &Repo, _: &ManualClock) {
    let browser = NewSession {
        kind: SessionKind::Browser,
        ..session(1)
    };
    let _ = open(repo, browser).await;
    assert_eq!(rotate(repo, "t1", "a").await, Rotated::Unknown);
    assert!(used(repo, "t1").await.is_some());
}

/// An older one is refused and closes nothing. Guard: `SessionGuard::SpentLimit`.
pub async fn only_the_newest_spent_tokens_are_known(repo: &Repo, _: &ManualClock) {
    for number in [1, 2] {
        with_sessions(repo, [number]).await;
        let mut last = format!("t{number}");
        for n in 0..=MAX_SPENT_TOKENS {
            let next = format!("{number}-{n}");
            let _ = rotated(repo, &last, &next).await;
            last = next;
        }
    }
    assert_eq!(rotate(repo, "t1", "x").await, Rotated::Unknown);
    assert!(look(repo, 1).await.is_some());
    assert_eq!(rotate(repo, "2-0", "x").await, reused(2));
}
