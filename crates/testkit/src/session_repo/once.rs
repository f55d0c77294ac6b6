//! Rules of tokens for one use.

use std::time::Duration;

use futures_util::future::join_all;
use nebula_ports::{ErrorKind, MAX_ONCE_CONTENT, MAX_ONCE_PURPOSE, MAX_ONCE_TOKENS, NewOnce};

use super::fixture::*;
use crate::ManualClock;

/// With what it stands for. Guard: `SessionGuard::OnceTaken`.
pub async fn a_token_for_one_use_is_taken_once(repo: &Repo, _: &ManualClock) {
    for token in ["a", "b"] {
        put_once(repo, once(token)).await;
    }
    assert_eq!(take(repo, "a").await.as_deref(), Some("content of a"));
    assert_eq!(take(repo, "a").await, None);
    assert_eq!(take(repo, "b").await.as_deref(), Some("content of b"));
    assert_eq!(take(repo, "unknown").await, None);
}

/// Nobody else. Guard: `SessionGuard::OnceAtOnce`.
pub async fn of_takers_at_once_one_gets_it(repo: &Repo, _: &ManualClock) {
    put_once(repo, once("a")).await;
    let answers = join_all((0..5).map(|_| take(repo, "a"))).await;
    assert_eq!(answers.iter().flatten().count(), 1, "{answers:?}");
}

/// Whoever tries another one does not spend it. Guard: `SessionGuard::OncePurpose`.
pub async fn a_token_is_taken_for_its_purpose_alone(repo: &Repo, _: &ManualClock) {
    put_once(repo, once("a")).await;
    let taken = repo.take_once(&tenant(), "Ticket", hash("a")).await;
    assert_eq!(taken.unwrap(), None);
    assert!(take(repo, "a").await.is_some());
}

/// By the store's clock. Guard: `SessionGuard::OnceEnds`.
pub async fn a_token_for_one_use_ends_at_its_time(repo: &Repo, clock: &ManualClock) {
    for token in ["a", "b"] {
        put_once(repo, once(token)).await;
    }
    clock.advance(60 * SECOND - Duration::from_millis(1));
    assert!(take(repo, "a").await.is_some());
    clock.advance(Duration::from_millis(1));
    assert_eq!(take(repo, "b").await, None);
}

/// Of those with its purpose. Guard: `SessionGuard::OnceAlone`.
pub async fn a_token_alone_takes_the_place_of_others(repo: &Repo, _: &ManualClock) {
    let other = NewOnce {
        purpose: "other".to_owned(),
        ..once("other")
    };
    put_once(repo, other).await;
    put_once(repo, once("a")).await;
    put_once(repo, once("b")).await;
    let alone = NewOnce {
        alone: true,
        ..once("c")
    };
    put_once(repo, alone).await;
    assert_eq!(take(repo, "a").await, None);
    assert_eq!(take(repo, "b").await, None);
    assert!(take(repo, "c").await.is_some());
    let taken = repo.take_once(&tenant(), "other", hash("other")).await;
    assert!(taken.unwrap().is_some());
}

/// The limits themselves are allowed. Guard: `SessionGuard::OnceSizes`.
pub async fn a_token_without_possible_texts_is_refused(repo: &Repo, _: &ManualClock) {
    let with = |purpose: usize, content: usize| NewOnce {
        purpose: "x".repeat(purpose),
        content: "y".repeat(content),
        ..once("a")
    };
    for (purpose, content) in [(0, 1), (MAX_ONCE_PURPOSE + 1, 1), (1, MAX_ONCE_CONTENT + 1)] {
        let refused = repo.put_once(&tenant(), with(purpose, content)).await;
        assert_eq!(refused.unwrap_err().kind, ErrorKind::Invalid);
    }
    let largest = with(MAX_ONCE_PURPOSE, MAX_ONCE_CONTENT);
    put_once(repo, largest.clone()).await;
    let taken = repo.take_once(&tenant(), &largest.purpose, hash("a")).await;
    assert_eq!(taken.unwrap(), Some(largest.content));
}

async fn fill(repo: &Repo) {
    let all = (0..MAX_ONCE_TOKENS).map(|number| put_once(repo, once(&format!("n{number}"))));
    join_all(all).await;
}

/// The limit itself is allowed. Guard: `SessionGuard::OnceLimit`.
pub async fn more_tokens_than_the_limit_are_refused(repo: &Repo, _: &ManualClock) {
    fill(repo).await;
    let refused = repo.put_once(&tenant(), once("more")).await;
    assert_eq!(refused.unwrap_err().kind, ErrorKind::Full);
    assert!(take(repo, "n0").await.is_some());
    put_once(repo, once("more")).await;
}

/// Nobody has to clear them away. Guard: `SessionGuard::OnceRoom`.
pub async fn tokens_that_are_over_make_room(repo: &Repo, clock: &ManualClock) {
    fill(repo).await;
    clock.advance(60 * SECOND);
    put_once(repo, once("more")).await;
    assert!(take(repo, "more").await.is_some());
}
