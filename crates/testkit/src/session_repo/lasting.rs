//! Rules of sessions: how long they last.

use std::time::Duration;

use nebula_core::Clock;
use nebula_ports::{
    Closing, ErrorKind, MAX_SESSION_TEXT, MAX_SESSIONS, NewSession, SessionKind, SessionOpened,
    USE_WRITTEN_EVERY,
};
use uuid::Uuid;

use super::fixture::*;
use crate::ManualClock;

/// Every part comes back. Guard: `SessionGuard::Keeps`.
pub async fn a_session_is_read_as_it_was_opened(repo: &Repo, clock: &ManualClock) {
    for (number, kind) in [(1, SessionKind::Browser), (2, SessionKind::Program)] {
        clock.advance(SECOND);
        let new = NewSession {
            kind,
            principal: id(number + 10),
            ..session(number)
        };
        let opened = open(repo, new.clone()).await;
        let now = clock.now();
        assert_eq!((opened.id, opened.principal), (new.id, new.principal));
        assert_eq!((opened.kind, &opened.from), (kind, &new.from));
        assert_eq!((&opened.agent, opened.opened_at), (&new.agent, now));
        assert_eq!((opened.used_at, opened.idle_at), (now, now.plus(IDLE)));
        assert_eq!(opened.ends_at, now.plus(LASTS));
        assert_eq!(
            used(repo, &format!("t{number}")).await,
            Some(opened.clone())
        );
        assert_eq!(look(repo, number).await, Some(opened));
    }
}

/// None is no error. Guard: `SessionGuard::UnknownIsNone`.
pub async fn an_unknown_token_opens_nothing(repo: &Repo, _: &ManualClock) {
    assert_eq!(used(repo, "t1").await, None);
    assert_eq!(look(repo, 1).await, None);
}

/// A retry after a lost reply is told from another. Guard: `SessionGuard::OpenRepeated`.
pub async fn an_opening_that_is_repeated_is_the_same(repo: &Repo, clock: &ManualClock) {
    let first = open(repo, session(1)).await;
    clock.advance(SECOND);
    let again = repo.open_session(&tenant(), session(1)).await.unwrap();
    assert_eq!(again, SessionOpened::Same(first));
}

/// Also a token that was exchanged. Guard: `SessionGuard::OpenTaken`.
pub async fn an_id_or_token_of_another_session_is_taken(repo: &Repo, _: &ManualClock) {
    with_sessions(repo, [1, 2]).await;
    let _ = rotate(repo, "t2", "next").await;
    let theirs = |number, token: &str| NewSession {
        principal: id(2),
        token: hash(token),
        ..session(number)
    };
    for new in [
        theirs(1, "x"),
        theirs(3, "t1"),
        theirs(3, "t2"),
        theirs(3, "next"),
    ] {
        let refused = repo.open_session(&tenant(), new).await.unwrap();
        assert_eq!(refused, SessionOpened::Taken);
    }
    assert_eq!(used(repo, "t1").await.unwrap().principal, id(1));
}

/// The limits themselves are allowed. Guard: `SessionGuard::Sizes`.
pub async fn a_session_without_possible_texts_is_refused(repo: &Repo, _: &ManualClock) {
    let long = "x".repeat(MAX_SESSION_TEXT);
    let with = |from: &str, agent: &str| NewSession {
        from: from.to_owned(),
        agent: agent.to_owned(),
        ..session(1)
    };
    let more = format!("{long}x");
    for new in [with(&more, ""), with("", &more)] {
        let refused = repo.open_session(&tenant(), new).await.unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Invalid);
    }
    let _ = open(repo, with(&long, &long)).await;
}

/// At its idle time. Guard: `SessionGuard::IdleEnds`.
pub async fn a_session_ends_without_a_use(repo: &Repo, clock: &ManualClock) {
    with_sessions(repo, [1]).await;
    clock.advance(IDLE - Duration::from_millis(1));
    assert!(look(repo, 1).await.is_some());
    clock.advance(Duration::from_millis(1));
    assert_eq!(look(repo, 1).await, None);
    assert_eq!(used(repo, "t1").await, None);
}

/// For its idle time. Guard: `SessionGuard::UseKeeps`.
pub async fn a_use_keeps_a_session(repo: &Repo, clock: &ManualClock) {
    with_sessions(repo, [1]).await;
    for _ in 0..3 {
        clock.advance(IDLE - SECOND);
        let session = used(repo, "t1").await.unwrap();
        assert_eq!(session.used_at, clock.now());
        assert_eq!(session.idle_at, clock.now().plus(IDLE));
        assert_eq!(look(repo, 1).await, Some(session));
    }
}

/// A listing or a check keeps nobody in. Guard: `SessionGuard::LookIsNoUse`.
pub async fn a_look_by_id_is_no_use(repo: &Repo, clock: &ManualClock) {
    let opened = open(repo, session(1)).await;
    clock.advance(IDLE - SECOND);
    assert_eq!(look(repo, 1).await, Some(opened));
    clock.advance(SECOND);
    assert_eq!(used(repo, "t1").await, None);
}

/// However much it is used. Guard: `SessionGuard::Ends`.
pub async fn a_session_ends_at_the_latest_at_its_time(repo: &Repo, clock: &ManualClock) {
    with_sessions(repo, [1]).await;
    let end = clock.now().plus(LASTS);
    while clock.now() < end {
        assert!(used(repo, "t1").await.is_some());
        clock.advance(IDLE / 2);
    }
    assert_eq!(used(repo, "t1").await, None);
    assert_eq!(look(repo, 1).await, None);
}

/// Not with every request. Guard: `SessionGuard::UseSeldom`.
pub async fn uses_of_a_session_are_written_seldom(repo: &Repo, clock: &ManualClock) {
    let opened = open(repo, session(1)).await;
    clock.advance(USE_WRITTEN_EVERY - Duration::from_millis(1));
    assert_eq!(used(repo, "t1").await, Some(opened));
    clock.advance(Duration::from_millis(1));
    assert_eq!(used(repo, "t1").await.unwrap().used_at, clock.now());
}

/// By its token and by its id. Guard: `SessionGuard::Closes`.
pub async fn a_closed_session_is_gone(repo: &Repo, _: &ManualClock) {
    with_sessions(repo, [1]).await;
    let one = Closing::One(id(1), Uuid::from_u128(1));
    assert_eq!(close(repo, one).await, 1);
    assert_eq!(used(repo, "t1").await, None);
    assert_eq!(look(repo, 1).await, None);
    assert_eq!(close(repo, one).await, 0);
}

/// Of the same principal. Guard: `SessionGuard::ClosesOne`.
pub async fn closing_one_leaves_the_others(repo: &Repo, _: &ManualClock) {
    with_sessions(repo, 1..=3).await;
    let one = Closing::One(id(1), Uuid::from_u128(2));
    assert_eq!(close(repo, one).await, 1);
    assert!(used(repo, "t1").await.is_some() && used(repo, "t3").await.is_some());
}

/// The one from which the others are closed. Guard: `SessionGuard::ClosesBut`.
pub async fn closing_all_may_keep_one(repo: &Repo, _: &ManualClock) {
    with_sessions(repo, 1..=3).await;
    let theirs = NewSession {
        principal: id(2),
        ..session(4)
    };
    let _ = open(repo, theirs).await;
    let but = Some(Uuid::from_u128(2));
    let principal = id(1);
    assert_eq!(close(repo, Closing::All { principal, but }).await, 2);
    assert_eq!(listed(repo, 1).await, [2]);
    let but = None;
    assert_eq!(close(repo, Closing::All { principal, but }).await, 1);
    assert!(listed(repo, 1).await.is_empty());
    assert_eq!(listed(repo, 2).await, [4]);
}

/// Whoever knows its id. Guard: `SessionGuard::ClosesOwn`.
pub async fn a_session_of_another_principal_is_not_closed(repo: &Repo, _: &ManualClock) {
    with_sessions(repo, [1]).await;
    let theirs = Closing::One(id(2), Uuid::from_u128(1));
    assert_eq!(close(repo, theirs).await, 0);
    assert!(used(repo, "t1").await.is_some());
}

/// And nothing else. Guard: `SessionGuard::CloseCounts`.
pub async fn closing_counts_what_lasted(repo: &Repo, clock: &ManualClock) {
    with_sessions(repo, [1]).await;
    clock.advance(IDLE);
    let second = NewSession {
        idle: LASTS,
        ..session(2)
    };
    let _ = open(repo, second).await;
    clock.advance(SECOND);
    let third = NewSession {
        idle: SECOND,
        ..session(3)
    };
    let _ = open(repo, third).await;
    clock.advance(SECOND);
    let (principal, but) = (id(1), None);
    assert_eq!(close(repo, Closing::All { principal, but }).await, 1);
}

/// By when they were opened. Guard: `SessionGuard::ListOrder`.
pub async fn sessions_are_listed_newest_first(repo: &Repo, clock: &ManualClock) {
    for number in [2, 1, 3] {
        clock.advance(SECOND);
        with_sessions(repo, [number]).await;
    }
    assert_eq!(listed(repo, 1).await, [3, 1, 2]);
}

/// Nobody is shown what opens nothing. Guard: `SessionGuard::ListLasting`.
pub async fn what_is_over_is_not_listed(repo: &Repo, clock: &ManualClock) {
    for (number, idle) in [(1, SECOND), (2, IDLE)] {
        let new = NewSession {
            idle,
            ..session(number)
        };
        let _ = open(repo, new).await;
    }
    clock.advance(SECOND);
    assert_eq!(listed(repo, 1).await, [2]);
}

/// Of its principal's. Guard: `SessionGuard::SessionLimit`.
pub async fn above_the_limit_the_longest_unused_session_goes(repo: &Repo, clock: &ManualClock) {
    let last = u128::try_from(MAX_SESSIONS).unwrap();
    let theirs = NewSession {
        principal: id(2),
        ..session(1_000)
    };
    let _ = open(repo, theirs).await;
    for number in 1..=last {
        clock.advance(SECOND);
        with_sessions(repo, [number]).await;
    }
    clock.advance(USE_WRITTEN_EVERY);
    assert!(used(repo, "t1").await.is_some());
    with_sessions(repo, [last + 1]).await;
    let listed = listed(repo, 1).await;
    assert_eq!(listed.len(), MAX_SESSIONS);
    assert!(listed.contains(&1) && !listed.contains(&2));
    assert!(used(repo, "t1000").await.is_some());
}
