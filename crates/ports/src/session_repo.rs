//! Who is let in for now: sessions, tokens for one use, and how often somebody has tried.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use nebula_core::{Digest, PrincipalId, TenantId, Timestamp};
use uuid::Uuid;

use crate::Result;

/// The most sessions of one principal; the one that was used longest ago goes for the next.
pub const MAX_SESSIONS: usize = 50;

/// The most bytes of each text of a session.
pub const MAX_SESSION_TEXT: usize = 256;

/// How many spent tokens of a session are known: the newest.
pub const MAX_SPENT_TOKENS: usize = 200;

/// The most tokens for one use in a tenant, without those whose time is over.
pub const MAX_ONCE_TOKENS: usize = 4_096;

/// The most bytes of what a token for one use stands for.
pub const MAX_ONCE_CONTENT: usize = 4_096;

/// The most bytes of the purpose of a token for one use.
pub const MAX_ONCE_PURPOSE: usize = 64;

/// How many of those who tried are known in a tenant; above that the one with the fewest tries goes,
/// of those the one whose last is longest ago.
pub const MAX_ATTEMPT_KEYS: usize = 4_096;

/// What a session is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SessionKind {
    /// A browser's cookie: one token as long as it lasts.
    Browser,
    /// A program's refresh token: each use gives the next one.
    Program,
}

/// A session to open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSession {
    /// Its id, which is no secret.
    pub id: Uuid,
    /// Whose it is.
    pub principal: PrincipalId,
    /// What it is for.
    pub kind: SessionKind,
    /// The SHA-256 of its token.
    pub token: Digest,
    /// From where it was opened, at most [`MAX_SESSION_TEXT`] bytes.
    pub from: String,
    /// What opened it, at most [`MAX_SESSION_TEXT`] bytes.
    pub agent: String,
    /// How long it lasts without a use, some minutes at least: uses are written at most every
    /// [`USE_WRITTEN_EVERY`](crate::USE_WRITTEN_EVERY).
    pub idle: Duration,
    /// How long it lasts at most.
    pub lasts: Duration,
}

/// A session that lasts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its id.
    pub id: Uuid,
    /// Whose it is.
    pub principal: PrincipalId,
    /// What it is for.
    pub kind: SessionKind,
    /// From where it was opened.
    pub from: String,
    /// What opened it.
    pub agent: String,
    /// When, by the store's clock.
    pub opened_at: Timestamp,
    /// When it was used last, by the store's clock.
    pub used_at: Timestamp,
    /// When it ends without a further use.
    pub idle_at: Timestamp,
    /// When it ends at the latest.
    pub ends_at: Timestamp,
}

/// By what a session is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionKey {
    /// By its token's hash: this is a use.
    Token(Digest),
    /// By its id: this is none.
    Id(Uuid),
}

/// Which sessions to close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closing {
    /// This one of the principal.
    One(PrincipalId, Uuid),
    /// All of the principal, but perhaps one.
    All {
        /// Whose.
        principal: PrincipalId,
        /// The one to keep.
        but: Option<Uuid>,
    },
}

/// What became of a session that was to be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum SessionOpened {
    /// It lasts from now on.
    Opened(Session),
    /// The same session was there already: a retry after a lost reply.
    Same(Session),
    /// Another session has this id or this token; nothing was written.
    Taken,
}

/// What became of a token that was to be exchanged for the next one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Rotated {
    /// The next token is the session's now; also of a retry of the same exchange.
    Rotated(Session),
    /// It was exchanged before: somebody else has it, too. The session was closed.
    Reused {
        /// The session that was closed.
        id: Uuid,
        /// Whose it was.
        principal: PrincipalId,
    },
    /// No session that lasts knows it.
    Unknown,
}

/// A token for one use.
#[derive(Clone, PartialEq, Eq)]
pub struct NewOnce {
    /// The SHA-256 of the token.
    pub token: Digest,
    /// What it is for: 1 to [`MAX_ONCE_PURPOSE`] bytes. For another purpose it is none.
    pub purpose: String,
    /// What its taker is told: at most [`MAX_ONCE_CONTENT`] bytes.
    pub content: String,
    /// How long it can be taken.
    pub ttl: Duration,
    /// Whether it takes the place of every other one with this purpose.
    pub alone: bool,
}

impl fmt::Debug for NewOnce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewOnce")
            .field("purpose", &self.purpose)
            .field("ttl", &self.ttl)
            .finish_non_exhaustive()
    }
}

/// How long whoever tries again and again waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lockout {
    /// So many tries need not wait for each other.
    pub free: u32,
    /// How long the next one waits after the last; each further one twice as long.
    pub first: Duration,
    /// The longest wait.
    pub longest: Duration,
    /// How long after the last try none of them counts any more.
    pub forget: Duration,
}

impl Lockout {
    /// How long after the last of `tries` the next one waits.
    #[must_use]
    pub fn wait(&self, tries: u32) -> Duration {
        if tries < self.free {
            return Duration::ZERO;
        }
        let doubled = 1_u32
            .checked_shl((tries - self.free).min(31))
            .unwrap_or(u32::MAX);
        self.first.saturating_mul(doubled).min(self.longest)
    }
}

/// Whether somebody may try now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Attempted {
    /// It may, and the try is counted.
    Go {
        /// How many there were, with this one.
        tries: u32,
    },
    /// It may not yet; nothing was counted.
    Wait {
        /// When it may, by the store's clock.
        until: Timestamp,
    },
}

/// Keeps who is let in for now, by hashes alone.
///
/// Rules (each is a test of `nebula_testkit::session_repo!`): a session is found by its token or its id
/// until it is closed, was not used for its idle time, or has lasted its time, whichever is first; uses
/// are written seldom; a token that was exchanged and comes again closes its session, unless the very
/// same exchange is repeated; of exchanges at once one wins; a token for one use is taken once, for its
/// purpose, before its time is over; tries are counted before they are made, so that of those at once
/// none is free; everything is bounded; another tenant sees and changes nothing.
#[async_trait]
pub trait SessionRepo: fmt::Debug + Send + Sync + 'static {
    /// Opens a session. Above [`MAX_SESSIONS`] of its principal the one that was used longest ago goes.
    ///
    /// # Errors
    /// `Invalid`: a text is too long. `Unavailable`: it may be open; the same call again answers
    /// `Same` then.
    async fn open_session(&self, tenant: &TenantId, new: NewSession) -> Result<SessionOpened>;

    /// The session that lasts, if there is one.
    ///
    /// # Errors
    /// `Corrupt`: what is stored is damaged. `Unavailable`.
    async fn session(&self, tenant: &TenantId, key: SessionKey) -> Result<Option<Session>>;

    /// Exchanges the token of a session of a program for the next one.
    ///
    /// # Errors
    /// `Unavailable`: it may be exchanged; the same call again answers `Rotated` then.
    async fn rotate(&self, tenant: &TenantId, from: Digest, to: Digest) -> Result<Rotated>;

    /// Closes sessions, and says how many there were that lasted.
    ///
    /// # Errors
    /// `Unavailable`: they may be closed.
    async fn close_sessions(&self, tenant: &TenantId, which: Closing) -> Result<usize>;

    /// The sessions of a principal that last, the one that was opened last first.
    ///
    /// # Errors
    /// `Corrupt`. `Unavailable`.
    async fn sessions(&self, tenant: &TenantId, principal: PrincipalId) -> Result<Vec<Session>>;

    /// Puts a token for one use.
    ///
    /// # Errors
    /// `Invalid`: a text is empty or too long. `Full`: there are [`MAX_ONCE_TOKENS`]. `Unavailable`: it
    /// may be there.
    async fn put_once(&self, tenant: &TenantId, new: NewOnce) -> Result<()>;

    /// Takes a token for one use, and gives what it stands for; whoever comes later gets `None`.
    ///
    /// # Errors
    /// `Unavailable`: it may be taken.
    async fn take_once(
        &self,
        tenant: &TenantId,
        purpose: &str,
        token: Digest,
    ) -> Result<Option<String>>;

    /// Counts a try of whoever `key` stands for, if it may be made now.
    ///
    /// # Errors
    /// `Unavailable`: it may be counted.
    async fn attempt(&self, tenant: &TenantId, key: Digest, lockout: &Lockout)
    -> Result<Attempted>;

    /// Forgets the tries of whoever `key` stands for.
    ///
    /// # Errors
    /// `Unavailable`: they may be forgotten.
    async fn forget_attempts(&self, tenant: &TenantId, key: Digest) -> Result<()>;
}
