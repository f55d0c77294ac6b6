//! Rules of those who try again and again.

use std::time::Duration;

use futures_util::future::join_all;
use nebula_core::Clock;
use nebula_ports::{Attempted, MAX_ATTEMPT_KEYS};

use super::fixture::*;
use crate::ManualClock;

/// Somebody may mistype. Guard: `SessionGuard::AttemptFree`.
pub async fn the_first_tries_need_not_wait(repo: &Repo, _: &ManualClock) {
    for tries in 1..=LOCKOUT.free {
        assert_eq!(attempt(repo, "a").await, Attempted::Go { tries });
    }
    assert_eq!(attempt(repo, "b").await, Attempted::Go { tries: 1 });
}

/// Each further one twice as long. Guard: `SessionGuard::AttemptGrows`.
pub async fn waits_grow_up_to_the_longest(repo: &Repo, clock: &ManualClock) {
    for _ in 0..LOCKOUT.free {
        let _ = attempt(repo, "a").await;
    }
    for (more, seconds) in (1..).zip([1, 2, 4, 8, 10, 10]) {
        let until = clock.now().plus(Duration::from_secs(seconds));
        assert_eq!(attempt(repo, "a").await, Attempted::Wait { until });
        clock.advance(until.since(clock.now()) - Duration::from_millis(1));
        assert_eq!(attempt(repo, "a").await, Attempted::Wait { until });
        clock.advance(Duration::from_millis(1));
        let tries = LOCKOUT.free + more;
        assert_eq!(attempt(repo, "a").await, Attempted::Go { tries });
    }
}

/// Or nobody ever got in again. Guard: `SessionGuard::AttemptWaits`.
pub async fn a_try_that_has_to_wait_is_not_counted(repo: &Repo, clock: &ManualClock) {
    for _ in 0..LOCKOUT.free {
        let _ = attempt(repo, "a").await;
    }
    let until = clock.now().plus(SECOND);
    for _ in 0..4 {
        assert_eq!(attempt(repo, "a").await, Attempted::Wait { until });
        clock.advance(SECOND / 4);
    }
    let tries = LOCKOUT.free + 1;
    assert_eq!(attempt(repo, "a").await, Attempted::Go { tries });
}

/// None of them is free because of the others. Guard: `SessionGuard::AttemptAtOnce`.
pub async fn tries_at_once_are_all_counted(repo: &Repo, _: &ManualClock) {
    let answers = join_all((0..10).map(|_| attempt(repo, "a"))).await;
    let went = answers
        .iter()
        .filter(|it| matches!(it, Attempted::Go { .. }));
    assert_eq!(went.count(), usize::try_from(LOCKOUT.free).unwrap());
}

/// From the last one on. Guard: `SessionGuard::AttemptForgets`.
pub async fn tries_are_forgotten_by_their_time(repo: &Repo, clock: &ManualClock) {
    for tries in 1..=2 {
        clock.advance(LOCKOUT.forget - SECOND);
        assert_eq!(attempt(repo, "a").await, Attempted::Go { tries });
    }
    clock.advance(LOCKOUT.forget);
    assert_eq!(attempt(repo, "a").await, Attempted::Go { tries: 1 });
}

/// Of one who got in. Guard: `SessionGuard::AttemptForgotten`.
pub async fn forgetting_tries_begins_anew(repo: &Repo, _: &ManualClock) {
    for who in ["a", "b"] {
        for _ in 0..LOCKOUT.free {
            let _ = attempt(repo, who).await;
        }
    }
    repo.forget_attempts(&tenant(), hash("a")).await.unwrap();
    assert_eq!(attempt(repo, "a").await, Attempted::Go { tries: 1 });
    assert!(matches!(attempt(repo, "b").await, Attempted::Wait { .. }));
}

/// Whoever tries much stays known. Guard: `SessionGuard::AttemptLimit`.
pub async fn above_the_limit_who_tried_least_is_forgotten(repo: &Repo, clock: &ManualClock) {
    for who in ["much", "much", "much", "first"] {
        let _ = attempt(repo, who).await;
        clock.advance(SECOND);
    }
    let names: Vec<_> = (2..MAX_ATTEMPT_KEYS).map(|n| format!("n{n}")).collect();
    join_all(names.iter().map(|who| attempt(repo, who))).await;
    clock.advance(SECOND);
    let _ = attempt(repo, "last").await;
    assert_eq!(attempt(repo, "first").await, Attempted::Go { tries: 1 });
    assert_eq!(attempt(repo, "last").await, Attempted::Go { tries: 2 });
    assert_eq!(attempt(repo, "much").await, Attempted::Go { tries: 4 });
}
