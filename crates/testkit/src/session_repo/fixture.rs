//! What the rules begin with: sessions, tokens, times.

use std::{sync::Arc, time::Duration};

use nebula_core::{Digest, PrincipalId, TenantId};
use nebula_ports::{
    Attempted, Closing, Lockout, NewOnce, NewSession, Rotated, Session, SessionKey, SessionKind,
    SessionOpened, SessionRepo,
};
use uuid::Uuid;

pub(super) type Repo = Arc<dyn SessionRepo>;

pub(super) const IDLE: Duration = Duration::from_hours(1);
pub(super) const LASTS: Duration = Duration::from_hours(24);
pub(super) const SECOND: Duration = Duration::from_secs(1);

pub(super) fn tenant() -> TenantId {
    TenantId::local()
}

pub(super) fn other_tenant() -> TenantId {
    TenantId::new("other").unwrap()
}

pub(super) fn id(number: u128) -> PrincipalId {
    Uuid::from_u128(number).into()
}

pub(super) fn hash(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

/// The session with this number of the principal 1, whose token is `t<number>`.
pub(super) fn session(number: u128) -> NewSession {
    NewSession {
        id: Uuid::from_u128(number),
        principal: id(1),
        kind: SessionKind::Program,
        token: hash(&format!("t{number}")),
        from: "192.0.2.7".to_owned(),
        agent: "a browser".to_owned(),
        idle: IDLE,
        lasts: LASTS,
    }
}

pub(super) async fn open(repo: &Repo, new: NewSession) -> Session {
    let opened = repo.open_session(&tenant(), new).await.unwrap();
    let SessionOpened::Opened(session) = opened else {
        panic!("{opened:?}")
    };
    session
}

/// Opens the sessions with these numbers.
pub(super) async fn with_sessions(repo: &Repo, numbers: impl IntoIterator<Item = u128>) {
    for number in numbers {
        let _ = open(repo, session(number)).await;
    }
}

/// A use of a token.
pub(super) async fn used(repo: &Repo, token: &str) -> Option<Session> {
    let key = SessionKey::Token(hash(token));
    repo.session(&tenant(), key).await.unwrap()
}

/// A look at a session.
pub(super) async fn look(repo: &Repo, number: u128) -> Option<Session> {
    let key = SessionKey::Id(Uuid::from_u128(number));
    repo.session(&tenant(), key).await.unwrap()
}

pub(super) async fn close(repo: &Repo, which: Closing) -> usize {
    repo.close_sessions(&tenant(), which).await.unwrap()
}

pub(super) async fn rotate(repo: &Repo, from: &str, to: &str) -> Rotated {
    repo.rotate(&tenant(), hash(from), hash(to)).await.unwrap()
}

/// The numbers of a principal's sessions.
pub(super) async fn listed(repo: &Repo, principal: u128) -> Vec<u128> {
    let listed = repo.sessions(&tenant(), id(principal)).await.unwrap();
    listed.iter().map(|it| it.id.as_u128()).collect()
}

pub(super) fn once(token: &str) -> NewOnce {
    NewOnce {
        token: hash(token),
        purpose: "ticket".to_owned(),
        content: format!("content of {token}"),
        ttl: 60 * SECOND,
        alone: false,
    }
}

pub(super) async fn put_once(repo: &Repo, new: NewOnce) {
    repo.put_once(&tenant(), new).await.unwrap();
}

pub(super) async fn take(repo: &Repo, token: &str) -> Option<String> {
    let taken = repo.take_once(&tenant(), "ticket", hash(token)).await;
    taken.unwrap()
}

/// Three tries are free; then 1 s, 2 s, 4 s… up to 10 s.
pub(super) const LOCKOUT: Lockout = Lockout {
    free: 3,
    first: SECOND,
    longest: Duration::from_secs(10),
    forget: Duration::from_hours(1),
};

pub(super) async fn attempt(repo: &Repo, who: &str) -> Attempted {
    let tried = repo.attempt(&tenant(), hash(who), &LOCKOUT).await;
    tried.unwrap()
}
