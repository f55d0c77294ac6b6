//! Sessions by the hashes of their tokens, and the tokens that were exchanged.

use std::time::Duration;

use nebula_core::{Digest, PrincipalId, TenantId, Timestamp};
use nebula_ports::{
    Closing, MAX_SESSION_TEXT, MAX_SESSIONS, MAX_SPENT_TOKENS, NewSession, Rotated, Session,
    SessionKey, SessionKind, SessionOpened,
};
use nebula_postgres::{Row as SqlRow, params};
use uuid::Uuid;

use crate::{
    api_keys::is_due, ask::Ask, error::Fault, link::Link, principals::uuid, row::digest,
    texts::check_texts, tx::Tx,
};

/// What [`Row::read`] reads, of the rows that the condition names.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, principal, kind, first_token, token, origin, agent, idle, lasts, opened_at, used_at
             FROM sessions WHERE tenant = $1 AND ",
            $rest
        )
    };
}
const BY_ID: &str = select!("id = $2");
const BY_TOKEN: &str = select!("token = $2");
const OF: &str = select!("principal = $2");
const OPEN: &str = "INSERT INTO sessions (tenant, id, principal, kind, first_token, token, origin,
    agent, idle, lasts, opened_at, used_at, over_at)
    VALUES ($1, $2, $3, $4, $5, $5, $6, $7, $8, $9, $10, $10, $11)";
const USE: &str = "UPDATE sessions SET token = $3, used_at = $4, over_at = $5
    WHERE tenant = $1 AND id = $2";
const CLOSE: &str = "DELETE FROM sessions WHERE tenant = $1 AND id = $2";
const OVER: &str = "SELECT id FROM sessions WHERE tenant = $1 AND over_at <= $2 LIMIT $3";
const SPENT: &str = "SELECT session, place FROM spent_tokens WHERE tenant = $1 AND token = $2";
const LAST_SPENT: &str = "SELECT place FROM spent_tokens
    WHERE tenant = $1 AND session = $2 ORDER BY place DESC LIMIT 1";
const SPEND: &str =
    "INSERT INTO spent_tokens (tenant, token, session, place) VALUES ($1, $2, $3, $4)";
const FORGET_SPENT: &str =
    "DELETE FROM spent_tokens WHERE tenant = $1 AND session = $2 AND place <= $3";

/// How many sessions that are over one opening clears away.
const CLEARED: i64 = 100;

const BROWSER: i16 = 1;
const PROGRAM: i16 = 2;

struct Row {
    first_token: Digest,
    token: Digest,
    idle: Duration,
    lasts: Duration,
    session: Session,
}

impl Row {
    fn read(row: &SqlRow) -> Result<Self, Fault> {
        let kind = match row.try_get::<_, i16>(2)? {
            BROWSER => SessionKind::Browser,
            PROGRAM => SessionKind::Program,
            other => return Err(Fault::corrupt(format!("{other} is no kind of a session"))),
        };
        let millis = |column: usize| {
            let millis: i64 = row.try_get(column)?;
            let millis = u64::try_from(millis)
                .map_err(|_| Fault::corrupt("a session lasts less than no time"))?;
            Ok::<_, Fault>(Duration::from_millis(millis))
        };
        let (idle, lasts) = (millis(7)?, millis(8)?);
        let opened_at = Timestamp::from_millis(row.try_get(9)?);
        let used_at = Timestamp::from_millis(row.try_get(10)?);
        Ok(Self {
            first_token: digest(row.try_get(3)?)?,
            token: digest(row.try_get(4)?)?,
            idle,
            lasts,
            session: Session {
                id: row.try_get(0)?,
                principal: PrincipalId::from_bytes(row.try_get::<_, Uuid>(1)?.into_bytes()),
                kind,
                from: row.try_get(5)?,
                agent: row.try_get(6)?,
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

    /// Notes a use now, under this token from now on.
    async fn use_now(&mut self, tx: &Tx, tenant: &TenantId) -> Result<(), Fault> {
        self.session.used_at = tx.now;
        self.session.idle_at = tx.now.plus(self.idle);
        let (of, id, token) = (tenant.as_str(), self.session.id, &self.token.as_bytes()[..]);
        let (now, over) = (tx.now.as_millis(), self.over_at().as_millis());
        tx.execute(USE, params![of, id, token, now, over]).await?;
        Ok(())
    }
}

/// Waits until nobody else changes sessions of this tenant: a use must not take back what an exchange or a
/// closing has done.
async fn lock(tx: &Tx, tenant: &TenantId) -> Result<(), Fault> {
    tx.lock("sessions", tenant, "").await
}

/// The milliseconds that are stored of a time.
fn whole(duration: Duration) -> Duration {
    Duration::from_millis(stored(duration).unsigned_abs())
}

fn stored(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

async fn find(db: &impl Ask, tenant: &TenantId, key: SessionKey) -> Result<Option<Row>, Fault> {
    let of = tenant.as_str();
    let found = match key {
        SessionKey::Id(id) => db.row(BY_ID, params![of, id]).await?,
        SessionKey::Token(token) => db.row(BY_TOKEN, params![of, &token.as_bytes()[..]]).await?,
    };
    found.as_ref().map(Row::read).transpose()
}

async fn of(db: &impl Ask, tenant: &TenantId, principal: PrincipalId) -> Result<Vec<Row>, Fault> {
    let rows = db
        .rows(OF, params![tenant.as_str(), uuid(principal)])
        .await?;
    rows.iter().map(Row::read).collect()
}

/// The session of a spent token, and the token's place among those of that session.
async fn spent(tx: &Tx, tenant: &TenantId, token: Digest) -> Result<Option<(Uuid, i64)>, Fault> {
    let token = &token.as_bytes()[..];
    let found = tx.row(SPENT, params![tenant.as_str(), token]).await?;
    let read = |row: SqlRow| Ok((row.try_get(0)?, row.try_get(1)?));
    found.map(read).transpose()
}

async fn last_spent(tx: &Tx, tenant: &TenantId, session: Uuid) -> Result<Option<i64>, Fault> {
    let found = tx
        .row(LAST_SPENT, params![tenant.as_str(), session])
        .await?;
    Ok(found.map(|row| row.try_get(0)).transpose()?)
}

async fn forget(tx: &Tx, tenant: &TenantId, id: Uuid) -> Result<(), Fault> {
    let of = tenant.as_str();
    tx.execute(FORGET_SPENT, params![of, id, i64::MAX]).await?;
    tx.execute(CLOSE, params![of, id]).await?;
    Ok(())
}

/// Opens a session, or says why not.
pub(crate) async fn open(
    tx: &Tx,
    tenant: &TenantId,
    new: &NewSession,
) -> Result<SessionOpened, Fault> {
    let longest = new.from.len().max(new.agent.len());
    if longest > MAX_SESSION_TEXT {
        return Err(Fault::invalid(format!(
            "a text has {longest} bytes; the limit is {MAX_SESSION_TEXT}"
        )));
    }
    check_texts([new.from.as_str(), &new.agent])?;
    lock(tx, tenant).await?;
    let now = tx.now;
    if let Some(row) = find(tx, tenant, SessionKey::Id(new.id)).await? {
        return Ok(match row.is_of(new) {
            true => SessionOpened::Same(row.session),
            false => SessionOpened::Taken,
        });
    }
    let known = find(tx, tenant, SessionKey::Token(new.token))
        .await?
        .is_some();
    if known || spent(tx, tenant, new.token).await?.is_some() {
        return Ok(SessionOpened::Taken);
    }
    let mut mine = of(tx, tenant, new.principal).await?;
    mine.retain(|row| row.lasts(now));
    if mine.len() >= MAX_SESSIONS {
        let order = |row: &&Row| (row.session.used_at, row.session.opened_at, row.session.id);
        if let Some(oldest) = mine.iter().min_by_key(order) {
            forget(tx, tenant, oldest.session.id).await?;
        }
    }
    clear(tx, tenant).await?;
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
    tx.execute(
        OPEN,
        params![
            tenant.as_str(),
            new.id,
            uuid(new.principal),
            kind,
            &new.token.as_bytes()[..],
            new.from,
            new.agent,
            stored(new.idle),
            stored(new.lasts),
            now.as_millis(),
            session.idle_at.min(session.ends_at).as_millis(),
        ],
    )
    .await?;
    Ok(SessionOpened::Opened(session))
}

/// Clears some sessions away that are over.
async fn clear(tx: &Tx, tenant: &TenantId) -> Result<(), Fault> {
    for row in tx
        .rows(OVER, params![tenant.as_str(), tx.now.as_millis(), CLEARED])
        .await?
    {
        forget(tx, tenant, row.try_get(0)?).await?;
    }
    Ok(())
}

/// The session that lasts, and whether its use is to be written.
pub(crate) async fn get(
    link: &Link,
    tenant: &TenantId,
    key: SessionKey,
) -> Result<Option<(Session, bool)>, Fault> {
    let now = link.now().await?;
    let found = find(link, tenant, key).await?.filter(|row| row.lasts(now));
    Ok(found.map(|row| {
        let use_ = matches!(key, SessionKey::Token(_));
        let due = use_ && is_due(Some(row.session.used_at), now);
        (row.session, due)
    }))
}

/// The session that lasts, whose use is noted.
pub(crate) async fn used(
    tx: &Tx,
    tenant: &TenantId,
    key: SessionKey,
) -> Result<Option<Session>, Fault> {
    lock(tx, tenant).await?;
    let found = find(tx, tenant, key).await?;
    let Some(mut row) = found.filter(|row| row.lasts(tx.now)) else {
        return Ok(None);
    };
    if is_due(Some(row.session.used_at), tx.now) {
        row.use_now(tx, tenant).await?;
    }
    Ok(Some(row.session))
}

/// Exchanges a token for the next one, or says why not.
pub(crate) async fn rotate(
    tx: &Tx,
    tenant: &TenantId,
    from: Digest,
    to: Digest,
) -> Result<Rotated, Fault> {
    lock(tx, tenant).await?;
    let now = tx.now;
    if let Some((id, place)) = spent(tx, tenant, from).await? {
        let found = find(tx, tenant, SessionKey::Id(id)).await?;
        let Some(row) = found.filter(|row| row.lasts(now)) else {
            return Ok(Rotated::Unknown);
        };
        let last = last_spent(tx, tenant, id).await? == Some(place);
        if last && row.token == to {
            return Ok(Rotated::Rotated(row.session));
        }
        forget(tx, tenant, id).await?;
        let principal = row.session.principal;
        return Ok(Rotated::Reused { id, principal });
    }
    let found = find(tx, tenant, SessionKey::Token(from)).await?;
    let found = found.filter(|row| row.lasts(now));
    let Some(mut row) = found.filter(|row| row.session.kind == SessionKind::Program) else {
        return Ok(Rotated::Unknown);
    };
    let (of, id) = (tenant.as_str(), row.session.id);
    let place = last_spent(tx, tenant, id).await?.map_or(1, |last| last + 1);
    let spends = &from.as_bytes()[..];
    tx.execute(SPEND, params![of, spends, id, place]).await?;
    let kept = i64::try_from(MAX_SPENT_TOKENS).expect("a small number");
    tx.execute(FORGET_SPENT, params![of, id, place - kept])
        .await?;
    row.token = to;
    row.use_now(tx, tenant).await?;
    Ok(Rotated::Rotated(row.session))
}

/// Closes sessions; how many of them lasted.
pub(crate) async fn close(tx: &Tx, tenant: &TenantId, which: &Closing) -> Result<usize, Fault> {
    lock(tx, tenant).await?;
    let (principal, one, but) = match *which {
        Closing::One(principal, id) => (principal, Some(id), None),
        Closing::All { principal, but } => (principal, None, but),
    };
    let mut count = 0;
    for row in of(tx, tenant, principal).await? {
        let id = row.session.id;
        if one.is_some_and(|one| one != id) || but == Some(id) {
            continue;
        }
        forget(tx, tenant, id).await?;
        count += usize::from(row.lasts(tx.now));
    }
    Ok(count)
}

/// The sessions of a principal that last, the newest first.
pub(crate) async fn list(
    link: &Link,
    tenant: &TenantId,
    principal: PrincipalId,
) -> Result<Vec<Session>, Fault> {
    let now = link.now().await?;
    let mut mine = of(link, tenant, principal).await?;
    mine.retain(|row| row.lasts(now));
    let mut listed: Vec<_> = mine.into_iter().map(|row| row.session).collect();
    listed.sort_by_key(|it| std::cmp::Reverse((it.opened_at, it.id)));
    Ok(listed)
}
