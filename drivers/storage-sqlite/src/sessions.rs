//! Sessions by the hashes of their tokens, and the tokens that were exchanged.

use std::time::Duration;

use nebula_core::{Digest, PrincipalId, TenantId, Timestamp};
use nebula_ports::{
    Closing, MAX_SESSION_TEXT, MAX_SESSIONS, MAX_SPENT_TOKENS, NewSession, Rotated, Session,
    SessionKey, SessionKind, SessionOpened,
};
use rusqlite::{Connection, OptionalExtension, Row as SqlRow, params};
use uuid::Uuid;

use crate::{api_keys::is_due, error::Fault, writer::Tx};

const BY_ID: &str = "SELECT id, principal, kind, first_token, token, origin, agent, idle, lasts,
    opened_at, used_at FROM sessions WHERE tenant = ? AND id = ?";
const BY_TOKEN: &str = "SELECT id, principal, kind, first_token, token, origin, agent, idle, lasts,
    opened_at, used_at FROM sessions WHERE tenant = ? AND token = ?";
const OF: &str = "SELECT id, principal, kind, first_token, token, origin, agent, idle, lasts,
    opened_at, used_at FROM sessions WHERE tenant = ? AND principal = ?";
const OPEN: &str = "INSERT INTO sessions (tenant, id, principal, kind, first_token, token, origin,
    agent, idle, lasts, opened_at, used_at, over_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
const USE: &str = "UPDATE sessions SET token = ?3, used_at = ?4, over_at = ?5
    WHERE tenant = ?1 AND id = ?2";
const CLOSE: &str = "DELETE FROM sessions WHERE tenant = ? AND id = ?";
const OVER: &str = "SELECT id FROM sessions WHERE tenant = ? AND over_at <= ? LIMIT ?";
const SPENT: &str = "SELECT session, place FROM spent_tokens WHERE tenant = ? AND token = ?";
const LAST_SPENT: &str = "SELECT token, place FROM spent_tokens
    WHERE tenant = ? AND session = ? ORDER BY place DESC LIMIT 1";
const SPEND: &str = "INSERT INTO spent_tokens (tenant, token, session, place) VALUES (?, ?, ?, ?)";
const FORGET_SPENT: &str =
    "DELETE FROM spent_tokens WHERE tenant = ? AND session = ? AND place <= ?";

/// How many sessions that are over one opening clears away.
const CLEARED: i64 = 100;

const BROWSER: i64 = 1;
const PROGRAM: i64 = 2;

struct Row {
    first_token: Digest,
    token: Digest,
    idle: Duration,
    lasts: Duration,
    session: Session,
}

impl Row {
    fn read(row: &SqlRow<'_>) -> Result<Self, Fault> {
        let kind = match row.get(2)? {
            BROWSER => SessionKind::Browser,
            PROGRAM => SessionKind::Program,
            other => return Err(Fault::corrupt(format!("{other} is no kind of a session"))),
        };
        let millis = |column| {
            let millis: i64 = row.get(column)?;
            let millis = u64::try_from(millis)
                .map_err(|_| Fault::corrupt("a session lasts less than no time"))?;
            Ok::<_, Fault>(Duration::from_millis(millis))
        };
        let (idle, lasts) = (millis(7)?, millis(8)?);
        let opened_at = Timestamp::from_millis(row.get(9)?);
        let used_at = Timestamp::from_millis(row.get(10)?);
        Ok(Self {
            first_token: Digest::from(row.get::<_, [u8; 32]>(3)?),
            token: Digest::from(row.get::<_, [u8; 32]>(4)?),
            idle,
            lasts,
            session: Session {
                id: Uuid::from_bytes(row.get(0)?),
                principal: PrincipalId::from_bytes(row.get(1)?),
                kind,
                from: row.get(5)?,
                agent: row.get(6)?,
                opened_at,
                used_at,
                idle_at: used_at.plus(idle),
                ends_at: opened_at.plus(lasts),
            },
        })
    }

    fn lasts(&self, now: Timestamp) -> bool {
        self.over_at() > now
    }

    fn over_at(&self) -> Timestamp {
        self.session.idle_at.min(self.session.ends_at)
    }

    fn is_of(&self, new: &NewSession) -> bool {
        let session = &self.session;
        self.first_token == new.token
            && session.principal == new.principal
            && session.kind == new.kind
            && session.from == new.from
            && session.agent == new.agent
            && (self.idle, self.lasts) == (whole(new.idle), whole(new.lasts))
    }

    /// Notes a use at `now`, under this token from now on.
    fn use_at(&mut self, db: &Connection, tenant: &TenantId, now: Timestamp) -> Result<(), Fault> {
        self.session.used_at = now;
        self.session.idle_at = now.plus(self.idle);
        db.prepare_cached(USE)?.execute(params![
            tenant.as_str(),
            self.session.id.as_bytes(),
            self.token.as_bytes(),
            now.as_millis(),
            self.over_at().as_millis(),
        ])?;
        Ok(())
    }
}

/// The milliseconds that are stored of a time.
fn whole(duration: Duration) -> Duration {
    let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    Duration::from_millis(millis.unsigned_abs())
}

fn stored(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn find(db: &Connection, tenant: &TenantId, key: SessionKey) -> Result<Option<Row>, Fault> {
    let tenant = tenant.as_str();
    let read = |row: &SqlRow<'_>| Ok(Row::read(row));
    let found = match key {
        SessionKey::Id(id) => db
            .prepare_cached(BY_ID)?
            .query_row(params![tenant, id.as_bytes()], read),
        SessionKey::Token(token) => db
            .prepare_cached(BY_TOKEN)?
            .query_row(params![tenant, token.as_bytes()], read),
    };
    found.optional()?.transpose()
}

fn of(db: &Connection, tenant: &TenantId, principal: PrincipalId) -> Result<Vec<Row>, Fault> {
    let mut of = db.prepare_cached(OF)?;
    let mut rows = of.query(params![tenant.as_str(), principal.as_bytes()])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(Row::read(row)?);
    }
    Ok(found)
}

/// The session of a spent token, and the token's place among those of that session.
fn spent(db: &Connection, tenant: &TenantId, token: Digest) -> Result<Option<(Uuid, i64)>, Fault> {
    let mut spent = db.prepare_cached(SPENT)?;
    let found: Option<([u8; 16], i64)> = spent
        .query_row(params![tenant.as_str(), token.as_bytes()], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    Ok(found.map(|(id, place)| (Uuid::from_bytes(id), place)))
}

fn last_spent(
    db: &Connection,
    tenant: &TenantId,
    session: Uuid,
) -> Result<Option<(Digest, i64)>, Fault> {
    let mut last = db.prepare_cached(LAST_SPENT)?;
    let found: Option<([u8; 32], i64)> = last
        .query_row(params![tenant.as_str(), session.as_bytes()], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    Ok(found.map(|(token, place)| (Digest::from(token), place)))
}

fn forget(db: &Connection, tenant: &TenantId, id: Uuid) -> Result<(), Fault> {
    let mut spent = db.prepare_cached(FORGET_SPENT)?;
    spent.execute(params![tenant.as_str(), id.as_bytes(), i64::MAX])?;
    let mut close = db.prepare_cached(CLOSE)?;
    close.execute(params![tenant.as_str(), id.as_bytes()])?;
    Ok(())
}

/// Opens a session, or says why not.
pub(crate) fn open(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    new: &NewSession,
) -> Result<SessionOpened, Fault> {
    let longest = new.from.len().max(new.agent.len());
    if longest > MAX_SESSION_TEXT {
        return Err(Fault::invalid(format!(
            "a text has {longest} bytes; the limit is {MAX_SESSION_TEXT}"
        )));
    }
    let (db, now) = (tx.connection, tx.now);
    let there = find(db, tenant, SessionKey::Id(new.id))?;
    if let Some(row) = there {
        return Ok(match row.is_of(new) {
            true => SessionOpened::Same(row.session),
            false => SessionOpened::Taken,
        });
    }
    let known = find(db, tenant, SessionKey::Token(new.token))?.is_some();
    if known || spent(db, tenant, new.token)?.is_some() {
        return Ok(SessionOpened::Taken);
    }
    let mut mine = of(db, tenant, new.principal)?;
    mine.retain(|row| row.lasts(now));
    if mine.len() >= MAX_SESSIONS {
        let order = |row: &&Row| (row.session.used_at, row.session.opened_at, row.session.id);
        if let Some(oldest) = mine.iter().min_by_key(order) {
            forget(db, tenant, oldest.session.id)?;
        }
    }
    clear(db, tenant, now)?;
    let kind = match new.kind {
        SessionKind::Browser => BROWSER,
        SessionKind::Program => PROGRAM,
    };
    let session = Session {
        id: new.id,
        principal: new.principal,
        kind: new.kind,
        from: new.from.clone(),
        agent: new.agent.clone(),
        opened_at: now,
        used_at: now,
        idle_at: now.plus(new.idle),
        ends_at: now.plus(new.lasts),
    };
    db.prepare_cached(OPEN)?.execute(params![
        tenant.as_str(),
        new.id.as_bytes(),
        new.principal.as_bytes(),
        kind,
        new.token.as_bytes(),
        new.token.as_bytes(),
        new.from,
        new.agent,
        stored(new.idle),
        stored(new.lasts),
        now.as_millis(),
        now.as_millis(),
        session.idle_at.min(session.ends_at).as_millis(),
    ])?;
    Ok(SessionOpened::Opened(session))
}

/// Clears some sessions away that are over.
fn clear(db: &Connection, tenant: &TenantId, now: Timestamp) -> Result<(), Fault> {
    let mut over = db.prepare_cached(OVER)?;
    let mut rows = over.query(params![tenant.as_str(), now.as_millis(), CLEARED])?;
    let mut ids: Vec<[u8; 16]> = Vec::new();
    while let Some(row) = rows.next()? {
        ids.push(row.get(0)?);
    }
    for id in ids {
        forget(db, tenant, Uuid::from_bytes(id))?;
    }
    Ok(())
}

/// The session that lasts, and whether its use is to be written.
pub(crate) fn get(
    db: &Connection,
    tenant: &TenantId,
    key: SessionKey,
    now: Timestamp,
) -> Result<Option<(Session, bool)>, Fault> {
    let found = find(db, tenant, key)?.filter(|row| row.lasts(now));
    Ok(found.map(|row| {
        let use_ = matches!(key, SessionKey::Token(_));
        let due = use_ && is_due(Some(row.session.used_at), now);
        (row.session, due)
    }))
}

/// The session that lasts, whose use is noted.
pub(crate) fn used(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    key: SessionKey,
) -> Result<Option<Session>, Fault> {
    let found = find(tx.connection, tenant, key)?.filter(|row| row.lasts(tx.now));
    let Some(mut row) = found else {
        return Ok(None);
    };
    if is_due(Some(row.session.used_at), tx.now) {
        row.use_at(tx.connection, tenant, tx.now)?;
    }
    Ok(Some(row.session))
}

/// Exchanges a token for the next one, or says why not.
pub(crate) fn rotate(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    from: Digest,
    to: Digest,
) -> Result<Rotated, Fault> {
    let (db, now) = (tx.connection, tx.now);
    if let Some((id, place)) = spent(db, tenant, from)? {
        let found = find(db, tenant, SessionKey::Id(id))?.filter(|row| row.lasts(now));
        let Some(row) = found else {
            return Ok(Rotated::Unknown);
        };
        let last = last_spent(db, tenant, id)?.is_some_and(|(_, last)| last == place);
        if last && row.token == to {
            return Ok(Rotated::Rotated(row.session));
        }
        forget(db, tenant, id)?;
        let principal = row.session.principal;
        return Ok(Rotated::Reused { id, principal });
    }
    let found = find(db, tenant, SessionKey::Token(from))?.filter(|row| row.lasts(now));
    let Some(mut row) = found.filter(|row| row.session.kind == SessionKind::Program) else {
        return Ok(Rotated::Unknown);
    };
    let id = row.session.id;
    let place = last_spent(db, tenant, id)?.map_or(1, |(_, last)| last + 1);
    let mut spend = db.prepare_cached(SPEND)?;
    spend.execute(params![
        tenant.as_str(),
        from.as_bytes(),
        id.as_bytes(),
        place
    ])?;
    let kept = i64::try_from(MAX_SPENT_TOKENS).expect("a small number");
    let mut forget = db.prepare_cached(FORGET_SPENT)?;
    forget.execute(params![tenant.as_str(), id.as_bytes(), place - kept])?;
    row.token = to;
    row.use_at(db, tenant, now)?;
    Ok(Rotated::Rotated(row.session))
}

/// Closes sessions; how many of them lasted.
pub(crate) fn close(tx: &mut Tx<'_>, tenant: &TenantId, which: Closing) -> Result<usize, Fault> {
    let db = tx.connection;
    let (principal, one, but) = match which {
        Closing::One(principal, id) => (principal, Some(id), None),
        Closing::All { principal, but } => (principal, None, but),
    };
    let mut count = 0;
    for row in of(db, tenant, principal)? {
        let id = row.session.id;
        if one.is_some_and(|one| one != id) || but == Some(id) {
            continue;
        }
        forget(db, tenant, id)?;
        count += usize::from(row.lasts(tx.now));
    }
    Ok(count)
}

/// The sessions of a principal that last, the newest first.
pub(crate) fn list(
    db: &Connection,
    tenant: &TenantId,
    principal: PrincipalId,
    now: Timestamp,
) -> Result<Vec<Session>, Fault> {
    let mut mine = of(db, tenant, principal)?;
    mine.retain(|row| row.lasts(now));
    let mut listed: Vec<_> = mine.into_iter().map(|row| row.session).collect();
    listed.sort_by_key(|it| std::cmp::Reverse((it.opened_at, it.id)));
    Ok(listed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::check_query_plans;

    #[test]
    fn every_statement_finds_its_rows_by_an_index() {
        check_query_plans(&[
            BY_ID,
            BY_TOKEN,
            OF,
            USE,
            CLOSE,
            OVER,
            SPENT,
            LAST_SPENT,
            FORGET_SPENT,
        ]);
    }
}
