//! The model of a session repository.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use nebula_core::{Clock, Digest, PrincipalId, TenantId, Timestamp};
use nebula_ports::{
    Attempted, Closing, ErrorKind, Lockout, MAX_ATTEMPT_KEYS, MAX_ONCE_CONTENT, MAX_ONCE_PURPOSE,
    MAX_ONCE_TOKENS, MAX_SESSION_TEXT, MAX_SESSIONS, MAX_SPENT_TOKENS, NewOnce, NewSession,
    PortError, Result, Rotated, Session, SessionKey, SessionKind, SessionOpened, SessionRepo,
    USE_WRITTEN_EVERY,
};
use uuid::Uuid;

use super::{SessionGuard as Guard, record::DRIVER, tenants::Tenants};

/// A [`SessionRepo`] in memory: the oracle for drivers, and the repository of other crates' tests.
pub struct MemorySessionRepo {
    clock: Arc<dyn Clock>,
    removed: Option<Guard>,
    tenants: Tenants<Own>,
}

/// What one tenant has.
#[derive(Clone, Default)]
struct Own {
    sessions: BTreeMap<Uuid, Row>,
    once: BTreeMap<Digest, (NewOnce, Timestamp)>,
    /// The tries, the last one, and when they are forgotten.
    tries: BTreeMap<Digest, (u32, Timestamp, Timestamp)>,
}

#[derive(Clone)]
struct Row {
    new: NewSession,
    opened_at: Timestamp,
    used_at: Timestamp,
    token: Digest,
    /// Oldest first.
    spent: VecDeque<Digest>,
}

impl Row {
    fn session(&self) -> Session {
        let NewSession {
            id,
            principal,
            kind,
            from,
            agent,
            ..
        } = self.new.clone();
        Session {
            id,
            principal,
            kind,
            from,
            agent,
            opened_at: self.opened_at,
            used_at: self.used_at,
            idle_at: self.used_at.plus(self.new.idle),
            ends_at: self.opened_at.plus(self.new.lasts),
        }
    }
}

impl fmt::Debug for MemorySessionRepo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemorySessionRepo").finish_non_exhaustive()
    }
}

fn refused(kind: ErrorKind, operation: &'static str, message: impl Into<String>) -> PortError {
    PortError::new(kind, DRIVER, operation, message)
}

impl MemorySessionRepo {
    /// An empty repository; `clock` is the store's clock.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            removed: None,
            tenants: Tenants::default(),
        }
    }

    /// An empty repository that lacks `guard`, to test the suite itself.
    #[must_use]
    pub fn without(clock: Arc<dyn Clock>, guard: Guard) -> Self {
        Self {
            removed: Some(guard),
            ..Self::new(clock)
        }
    }

    fn keep(&self, guard: Guard) -> bool {
        self.removed != Some(guard)
    }

    fn owner(&self, tenant: &TenantId, guard: Guard) -> TenantId {
        match self.keep(guard) {
            true => tenant.clone(),
            false => TenantId::local(),
        }
    }

    fn lasts(&self, row: &Row) -> bool {
        let (now, session) = (self.clock.now(), row.session());
        let idle = session.idle_at > now || !self.keep(Guard::IdleEnds);
        idle && (session.ends_at > now || !self.keep(Guard::Ends))
    }

    fn open(&self, own: &mut Own, new: NewSession) -> SessionOpened {
        let same_token = |row: &Row| row.token == new.token || row.spent.contains(&new.token);
        if let Some(row) = own.sessions.get(&new.id)
            && row.new == new
            && self.keep(Guard::OpenRepeated)
        {
            return SessionOpened::Same(row.session());
        }
        let taken = own.sessions.contains_key(&new.id) || own.sessions.values().any(same_token);
        if taken && self.keep(Guard::OpenTaken) {
            return SessionOpened::Taken;
        }
        own.sessions.retain(|_, row| self.lasts(row));
        let mine: Vec<_> = own
            .sessions
            .values()
            .filter(|row| row.new.principal == new.principal)
            .map(|row| (row.used_at, row.opened_at, row.new.id))
            .collect();
        if mine.len() >= MAX_SESSIONS && self.keep(Guard::SessionLimit) {
            let oldest = mine.into_iter().min().expect("there are some");
            own.sessions.remove(&oldest.2);
        }
        let now = self.clock.now();
        let new = match self.keep(Guard::Keeps) {
            true => new,
            false => NewSession {
                agent: String::new(),
                ..new
            },
        };
        let row = Row {
            token: new.token,
            new,
            opened_at: now,
            used_at: now,
            spent: VecDeque::new(),
        };
        let session = row.session();
        own.sessions.insert(session.id, row);
        SessionOpened::Opened(session)
    }

    fn exchange(&self, own: &mut Own, from: Digest, to: Digest) -> Rotated {
        let repeated = |row: &Row| row.spent.back() == Some(&from) && row.token == to;
        let rows = || {
            own.sessions
                .values()
                .filter(|row| self.lasts(row) || !self.keep(Guard::RotateLasting))
        };
        if let Some(row) = rows().find(|row| repeated(row))
            && self.keep(Guard::RotateRepeated)
        {
            return Rotated::Rotated(row.session());
        }
        if let Some(row) = rows().find(|row| row.spent.contains(&from)) {
            let (id, principal) = (row.new.id, row.new.principal);
            if self.keep(Guard::ReuseCloses) {
                own.sessions.remove(&id);
            }
            return Rotated::Reused { id, principal };
        }
        let found = rows().find(|row| row.token == from).map(|row| row.new.id);
        let Some(row) = found.and_then(|id| own.sessions.get_mut(&id)) else {
            return Rotated::Unknown;
        };
        if row.new.kind != SessionKind::Program && self.keep(Guard::RotateKind) {
            return Rotated::Unknown;
        }
        if self.keep(Guard::RotateIsUse) {
            row.used_at = self.clock.now();
        }
        if self.keep(Guard::Rotates) {
            row.token = to;
        }
        row.spent.push_back(from);
        if row.spent.len() > MAX_SPENT_TOKENS && self.keep(Guard::SpentLimit) {
            row.spent.pop_front();
        }
        Rotated::Rotated(row.session())
    }

    fn count(&self, own: &mut Own, key: Digest, lockout: &Lockout) -> Attempted {
        let now = self.clock.now();
        let counts = |(_, _, until): &&(u32, Timestamp, Timestamp)| {
            *until > now || !self.keep(Guard::AttemptForgets)
        };
        let before = own.tries.get(&key).filter(counts).copied();
        let (tries, last, _) = before.unwrap_or((0, now, now));
        let wait = match lockout.wait(tries) {
            _ if tries > 0 && !self.keep(Guard::AttemptFree) => lockout.longest,
            wait if !self.keep(Guard::AttemptGrows) => wait.min(lockout.first),
            wait => wait,
        };
        let until = last.plus(wait);
        if wait > Duration::ZERO && until > now {
            if !self.keep(Guard::AttemptWaits) {
                own.tries
                    .insert(key, (tries + 1, now, now.plus(lockout.forget)));
            }
            return Attempted::Wait { until };
        }
        if !own.tries.contains_key(&key)
            && own.tries.len() >= MAX_ATTEMPT_KEYS
            && self.keep(Guard::AttemptLimit)
        {
            let least = own
                .tries
                .iter()
                .min_by_key(|(key, (tries, last, _))| (*tries, *last, **key));
            let least = *least.expect("there are some").0;
            own.tries.remove(&least);
        }
        let tries = tries.saturating_add(1);
        own.tries
            .insert(key, (tries, now, now.plus(lockout.forget)));
        Attempted::Go { tries }
    }
}

#[async_trait]
impl SessionRepo for MemorySessionRepo {
    async fn open_session(&self, tenant: &TenantId, new: NewSession) -> Result<SessionOpened> {
        let longest = new.from.len().max(new.agent.len());
        if longest > MAX_SESSION_TEXT && self.keep(Guard::Sizes) {
            let message = format!("a text has {longest} bytes; the limit is {MAX_SESSION_TEXT}");
            return Err(refused(ErrorKind::Invalid, "open a session", message));
        }
        let owner = self.owner(tenant, Guard::TenantSessions);
        Ok(self.tenants.change(&owner, |own| self.open(own, new)))
    }

    async fn session(&self, tenant: &TenantId, key: SessionKey) -> Result<Option<Session>> {
        let owner = self.owner(tenant, Guard::TenantSessions);
        let found = self.tenants.change(&owner, |own| {
            let mut rows = own.sessions.values_mut().filter(|row| self.lasts(row));
            let (row, used) = match key {
                SessionKey::Token(token) => (rows.find(|row| row.token == token)?, true),
                SessionKey::Id(id) => {
                    let used = !self.keep(Guard::LookIsNoUse);
                    (rows.find(|row| row.new.id == id)?, used)
                }
            };
            let now = self.clock.now();
            let due = now.since(row.used_at) >= USE_WRITTEN_EVERY || !self.keep(Guard::UseSeldom);
            if used && due && self.keep(Guard::UseKeeps) {
                row.used_at = now;
            }
            Some(row.session())
        });
        if found.is_none() && !self.keep(Guard::UnknownIsNone) {
            return Err(refused(
                ErrorKind::Corrupt,
                "find a session",
                "it is not there",
            ));
        }
        Ok(found)
    }

    async fn rotate(&self, tenant: &TenantId, from: Digest, to: Digest) -> Result<Rotated> {
        let owner = self.owner(tenant, Guard::TenantSessions);
        let whole = self.keep(Guard::RotateAtOnce);
        let exchange = |own: &mut Own| self.exchange(own, from, to);
        Ok(self.tenants.change_whole(&owner, whole, exchange).await)
    }

    async fn close_sessions(&self, tenant: &TenantId, which: Closing) -> Result<usize> {
        let owner = self.owner(tenant, Guard::TenantSessions);
        Ok(self.tenants.change(&owner, |own| {
            let closes = |row: &Row| match which {
                Closing::One(principal, id) => {
                    let one = row.new.id == id || !self.keep(Guard::ClosesOne);
                    one && (row.new.principal == principal || !self.keep(Guard::ClosesOwn))
                }
                Closing::All { principal, but } => {
                    let kept = but == Some(row.new.id) && self.keep(Guard::ClosesBut);
                    row.new.principal == principal && !kept
                }
            };
            let lasting = |row: &Row| self.lasts(row) || !self.keep(Guard::CloseCounts);
            let count = own
                .sessions
                .values()
                .filter(|row| closes(row) && lasting(row))
                .count();
            if self.keep(Guard::Closes) {
                own.sessions.retain(|_, row| !closes(row));
            }
            count
        }))
    }

    async fn sessions(&self, tenant: &TenantId, principal: PrincipalId) -> Result<Vec<Session>> {
        let owner = self.owner(tenant, Guard::TenantSessions);
        Ok(self.tenants.look(&owner, |own| {
            let mine = own.sessions.values().filter(|row| {
                row.new.principal == principal
                    && (self.lasts(row) || !self.keep(Guard::ListLasting))
            });
            let mut mine: Vec<_> = mine.map(Row::session).collect();
            if self.keep(Guard::ListOrder) {
                mine.sort_by_key(|it| std::cmp::Reverse((it.opened_at, it.id)));
            }
            mine
        }))
    }

    async fn put_once(&self, tenant: &TenantId, new: NewOnce) -> Result<()> {
        const OPERATION: &str = "put a token for one use";
        let possible = (1..=MAX_ONCE_PURPOSE).contains(&new.purpose.len())
            && new.content.len() <= MAX_ONCE_CONTENT;
        if !possible && self.keep(Guard::OnceSizes) {
            let message = "its purpose is empty or too long, or its content is too long";
            return Err(refused(ErrorKind::Invalid, OPERATION, message));
        }
        let owner = self.owner(tenant, Guard::TenantOnce);
        self.tenants.change(&owner, |own| {
            let now = self.clock.now();
            if self.keep(Guard::OnceRoom) {
                own.once.retain(|_, (_, until)| *until > now);
            }
            if new.alone && self.keep(Guard::OnceAlone) {
                own.once
                    .retain(|_, (other, _)| other.purpose != new.purpose);
            }
            if own.once.len() >= MAX_ONCE_TOKENS && self.keep(Guard::OnceLimit) {
                let message = format!("there are {MAX_ONCE_TOKENS}, the most that there may be");
                return Err(refused(ErrorKind::Full, OPERATION, message));
            }
            let until = now.plus(new.ttl);
            own.once.insert(new.token, (new, until));
            Ok(())
        })
    }

    async fn take_once(
        &self,
        tenant: &TenantId,
        purpose: &str,
        token: Digest,
    ) -> Result<Option<String>> {
        let owner = self.owner(tenant, Guard::TenantOnce);
        let whole = self.keep(Guard::OnceAtOnce);
        let take = |own: &mut Own| {
            let (new, until) = own.once.get(&token)?.clone();
            let fits = new.purpose == purpose || !self.keep(Guard::OncePurpose);
            let early = until > self.clock.now() || !self.keep(Guard::OnceEnds);
            if !fits || !early {
                return None;
            }
            if self.keep(Guard::OnceTaken) {
                own.once.remove(&token);
            }
            Some(new.content)
        };
        Ok(self.tenants.change_whole(&owner, whole, take).await)
    }

    async fn attempt(
        &self,
        tenant: &TenantId,
        key: Digest,
        lockout: &Lockout,
    ) -> Result<Attempted> {
        let owner = self.owner(tenant, Guard::TenantAttempts);
        let whole = self.keep(Guard::AttemptAtOnce);
        let count = |own: &mut Own| self.count(own, key, lockout);
        Ok(self.tenants.change_whole(&owner, whole, count).await)
    }

    async fn forget_attempts(&self, tenant: &TenantId, key: Digest) -> Result<()> {
        let owner = self.owner(tenant, Guard::TenantAttempts);
        if self.keep(Guard::AttemptForgotten) {
            self.tenants.change(&owner, |own| own.tries.remove(&key));
        }
        Ok(())
    }
}
