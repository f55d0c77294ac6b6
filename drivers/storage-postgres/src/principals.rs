//! Persons and service accounts, with what they are where.

use nebula_core::{PrincipalId, ProjectId, TenantId, Timestamp};
use nebula_ports::{
    ErrorKind, MAX_IDENTITY_TEXT, MAX_PASSWORD_HASH, MAX_PRINCIPALS, Membership, PasswordHash,
    PrincipalKey, PrincipalKind, PrincipalRecord, RecordDeleted, RecordPut, Standing, StoredKey,
};
use nebula_postgres::{Row, params};
use uuid::Uuid;

use crate::{
    api_keys,
    ask::{Ask, counted, version},
    error::Fault,
    link::Link,
    memberships,
    row::limited,
    texts::check_texts,
    tx::Tx,
};

/// What [`read`] reads.
macro_rules! columns {
    () => {
        "p.id, p.version, p.kind, p.login, p.name, p.password, p.subject, p.disabled, p.put_at"
    };
}
/// A principal with what it is where, in one statement: a role goes with nobody who never had it.
macro_rules! standing {
    ($which:literal) => {
        concat!(
            "SELECT ",
            columns!(),
            ", m.project, m.role FROM principals AS p
             LEFT JOIN memberships AS m ON m.tenant = p.tenant AND m.principal = p.id
             WHERE p.tenant = $1 AND ",
            $which,
            " = $2 ORDER BY m.project"
        )
    };
}
const BY_ID: &str = standing!("p.id");
const BY_LOGIN: &str = standing!("p.login");
const BY_SUBJECT: &str = standing!("p.subject");
const LIST: &str = concat!(
    "SELECT ",
    columns!(),
    ", m.project, m.role FROM (SELECT * FROM principals WHERE tenant = $1 AND login > $2
        ORDER BY login LIMIT $3) AS p
     LEFT JOIN memberships AS m ON m.tenant = p.tenant AND m.principal = p.id
     ORDER BY p.login, m.project"
);
const OF_KEY: &str = concat!(
    "SELECT ",
    columns!(),
    ", m.project, m.role, k.prefix, k.principal, k.name, k.hash, k.project, k.scopes, k.expires_at,
        k.added_at, k.used_at
     FROM api_keys AS k LEFT JOIN principals AS p ON p.tenant = k.tenant AND p.id = k.principal
     LEFT JOIN memberships AS m ON m.tenant = p.tenant AND m.principal = p.id
     WHERE k.tenant = $1 AND k.prefix = $2 ORDER BY m.project"
);
const FIND: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM principals AS p WHERE p.tenant = $1 AND p.id = $2"
);
const TAKEN: &str = "SELECT 1 FROM principals
    WHERE tenant = $1 AND (login = $2 OR subject = $3) AND id <> $4 LIMIT 1";
const COUNT: &str = "SELECT count(*) FROM principals WHERE tenant = $1";
const PUT: &str = "INSERT INTO principals
        (tenant, id, version, kind, login, name, password, subject, disabled, put_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
    ON CONFLICT (tenant, id) DO UPDATE SET version = $3, kind = $4, login = $5, name = $6, password = $7,
        subject = $8, disabled = $9, put_at = $10";
const DELETE: &str = "DELETE FROM principals WHERE tenant = $1 AND id = $2";
const DELETE_KEYS: &str = "DELETE FROM api_keys WHERE tenant = $1 AND principal = $2";

const PERSON: i16 = 1;
const SERVICE: i16 = 2;

/// The id of a principal as its column has it.
pub(crate) fn uuid(id: PrincipalId) -> Uuid {
    Uuid::from_bytes(*id.as_bytes())
}

/// Waits until nobody else changes who is who in this tenant, and keeps others waiting: such changes decide by
/// rows of each other (the last owner, how many there are, who has a login), and are rare.
pub(crate) async fn lock(tx: &Tx, tenant: &TenantId) -> Result<(), Fault> {
    tx.lock("identities", tenant, "").await
}

fn read(row: &Row) -> Result<(PrincipalRecord, Timestamp), Fault> {
    let kind = match row.try_get::<_, i16>(2)? {
        PERSON => PrincipalKind::Person,
        SERVICE => PrincipalKind::Service,
        other => return Err(Fault::corrupt(format!("{other} is no kind of a principal"))),
    };
    let record = PrincipalRecord {
        id: PrincipalId::from_bytes(row.try_get::<_, Uuid>(0)?.into_bytes()),
        version: version(row.try_get(1)?)?,
        kind,
        login: row.try_get(3)?,
        name: row.try_get(4)?,
        password: row.try_get::<_, Option<String>>(5)?.map(PasswordHash::new),
        subject: row.try_get(6)?,
        disabled: row.try_get(7)?,
    };
    Ok((record, Timestamp::from_millis(row.try_get(8)?)))
}

/// Puts rows together of which each has a principal and one of its memberships.
fn standings(rows: &[Row]) -> Result<Vec<Standing>, Fault> {
    let mut all: Vec<Standing> = Vec::new();
    for row in rows {
        let id: Uuid = row.try_get(0)?;
        if all.last().is_none_or(|last| uuid(last.principal.id) != id) {
            let (principal, put_at) = read(row)?;
            all.push(Standing {
                principal,
                put_at,
                memberships: Vec::new(),
            });
        }
        let (project, role): (Option<&str>, Option<&str>) = (row.try_get(9)?, row.try_get(10)?);
        if let (Some(last), Some(project), Some(role)) = (all.last_mut(), project, role) {
            last.memberships.push(membership(project, role)?);
        }
    }
    Ok(all)
}

pub(crate) async fn get(
    db: &impl Ask,
    tenant: &TenantId,
    id: PrincipalId,
) -> Result<Option<PrincipalRecord>, Fault> {
    let found = db.row(FIND, params![tenant.as_str(), uuid(id)]).await?;
    let found = found.as_ref().map(read).transpose()?;
    Ok(found.map(|(record, _)| record))
}

pub(crate) async fn standing(
    link: &Link,
    tenant: &TenantId,
    key: PrincipalKey<'_>,
) -> Result<Option<Standing>, Fault> {
    let of = tenant.as_str();
    let rows = match key {
        PrincipalKey::Id(id) => link.rows(BY_ID, params![of, uuid(id)]).await?,
        PrincipalKey::Login(text) | PrincipalKey::Subject(text) if text.contains('\0') => {
            return Ok(None);
        }
        PrincipalKey::Login(login) => link.rows(BY_LOGIN, params![of, login]).await?,
        PrincipalKey::Subject(subject) => link.rows(BY_SUBJECT, params![of, subject]).await?,
    };
    Ok(standings(&rows)?.pop())
}

/// A key and whose it is.
pub(crate) async fn of_key(
    link: &Link,
    tenant: &TenantId,
    prefix: &str,
) -> Result<Option<(StoredKey, Standing)>, Fault> {
    if prefix.contains('\0') {
        return Ok(None);
    }
    let now = link.now().await?;
    let rows = link.rows(OF_KEY, params![tenant.as_str(), prefix]).await?;
    let Some(first) = rows.first() else {
        return Ok(None);
    };
    if first.try_get::<_, Option<Uuid>>(0)?.is_none() {
        return Err(Fault::corrupt(
            "an API key is damaged: its principal is not there",
        ));
    }
    let key = api_keys::read(first, 11, now)?;
    Ok(standings(&rows)?.pop().map(|standing| (key, standing)))
}

pub(crate) async fn list(
    link: &Link,
    tenant: &TenantId,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<Standing>, Fault> {
    let after = after.unwrap_or_default();
    check_texts([after])?;
    let rows = link
        .rows(LIST, params![tenant.as_str(), after, limited(limit)])
        .await?;
    standings(&rows)
}

fn check(new: &PrincipalRecord) -> Result<(), Fault> {
    let subject = new.subject.as_deref();
    let password = new.password.as_ref().map(PasswordHash::as_str);
    check_texts(
        [new.login.as_str(), &new.name]
            .into_iter()
            .chain(subject)
            .chain(password),
    )?;
    let possible = (1..=MAX_IDENTITY_TEXT).contains(&new.login.len())
        && new.name.len() <= MAX_IDENTITY_TEXT
        && subject.is_none_or(|it| (1..=MAX_IDENTITY_TEXT).contains(&it.len()))
        && password.map_or(0, str::len) <= MAX_PASSWORD_HASH;
    match possible {
        true => Ok(()),
        false => Err(Fault::invalid(format!(
            "the login, the name or the subject is empty or has more than {MAX_IDENTITY_TEXT} bytes, or the password's hash has more than {MAX_PASSWORD_HASH}"
        ))),
    }
}

/// Puts the next version, or says why not.
pub(crate) async fn put(
    tx: &Tx,
    tenant: &TenantId,
    new: &PrincipalRecord,
) -> Result<RecordPut, Fault> {
    check(new)?;
    lock(tx, tenant).await?;
    let (of, id) = (tenant.as_str(), uuid(new.id));
    let there = get(tx, tenant, new.id).await?;
    if there.as_ref() == Some(new) {
        return Ok(RecordPut::Same);
    }
    let version = there.as_ref().map_or(0, |it| it.version);
    if u64::from(new.version) != u64::from(version) + 1 {
        return Ok(RecordPut::Conflict { version });
    }
    if there.as_ref().is_some_and(|it| it.kind != new.kind) {
        return Err(Fault::invalid(
            "a person stays a person, and a service account one",
        ));
    }
    let taken = tx
        .row(TAKEN, params![of, new.login, new.subject, id])
        .await?;
    if taken.is_some() {
        return Ok(RecordPut::Taken);
    }
    let disables = new.disabled && there.as_ref().is_some_and(|it| !it.disabled);
    if disables && memberships::is_last_owner(tx, tenant, new.id).await? {
        return Ok(RecordPut::LastOwner);
    }
    if there.is_none() && counted(tx, COUNT, params![of]).await? >= MAX_PRINCIPALS {
        return Err(Fault::new(
            ErrorKind::Full,
            format!("there are {MAX_PRINCIPALS} principals, the most that there may be"),
        ));
    }
    let kind = match new.kind {
        PrincipalKind::Person => PERSON,
        PrincipalKind::Service => SERVICE,
    };
    tx.execute(
        PUT,
        params![
            of,
            id,
            i64::from(new.version),
            kind,
            new.login,
            new.name,
            new.password.as_ref().map(PasswordHash::as_str),
            new.subject,
            new.disabled,
            tx.now.as_millis(),
        ],
    )
    .await?;
    Ok(RecordPut::Stored)
}

/// Deletes a principal with all that hangs on it, or says why not.
pub(crate) async fn delete(
    tx: &Tx,
    tenant: &TenantId,
    id: PrincipalId,
) -> Result<RecordDeleted, Fault> {
    lock(tx, tenant).await?;
    if memberships::is_last_owner(tx, tenant, id).await? {
        return Ok(RecordDeleted::LastOwner);
    }
    let (of, uuid) = (tenant.as_str(), uuid(id));
    if tx.execute(DELETE, params![of, uuid]).await? == 0 {
        return Ok(RecordDeleted::Unknown);
    }
    tx.execute(DELETE_KEYS, params![of, uuid]).await?;
    memberships::delete_of(tx, tenant, id).await?;
    Ok(RecordDeleted::Deleted)
}

/// A membership as it is stored.
pub(crate) fn membership(project: &str, role: &str) -> Result<Membership, Fault> {
    let project = match project {
        "" => None,
        id => Some(ProjectId::new(id).map_err(|error| {
            Fault::corrupt(format!("a stored membership has no project: {error}"))
        })?),
    };
    let role = role
        .parse()
        .map_err(|error| Fault::corrupt(format!("a stored membership has no role: {error}")))?;
    Ok(Membership { project, role })
}
