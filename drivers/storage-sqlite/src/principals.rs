//! Persons and service accounts, with what they are where.

use nebula_core::{PrincipalId, ProjectId, TenantId, Timestamp};
use nebula_ports::{
    ErrorKind, MAX_IDENTITY_TEXT, MAX_PASSWORD_HASH, MAX_PRINCIPALS, Membership, PasswordHash,
    PrincipalKey, PrincipalKind, PrincipalRecord, RecordDeleted, RecordPut, Standing, StoredKey,
};
use rusqlite::{Connection, OptionalExtension, Row as SqlRow, params};

use crate::{api_keys, error::Fault, memberships, row::counted, sum, writer::Tx};

const BY_ID: &str =
    "SELECT id, version, kind, login, name, password, subject, disabled, put_at, sum
    FROM principals WHERE tenant = ? AND id = ?";
const BY_LOGIN: &str =
    "SELECT id, version, kind, login, name, password, subject, disabled, put_at, sum
    FROM principals WHERE tenant = ? AND login = ?";
const BY_SUBJECT: &str =
    "SELECT id, version, kind, login, name, password, subject, disabled, put_at, sum
    FROM principals WHERE tenant = ? AND subject = ?";
const LIST: &str = "SELECT id, version, kind, login, name, password, subject, disabled, put_at, sum
    FROM principals WHERE tenant = ? AND login > ? ORDER BY login LIMIT ?";
const LOGIN_OF: &str = "SELECT id FROM principals WHERE tenant = ? AND login = ?";
const SUBJECT_OF: &str = "SELECT id FROM principals WHERE tenant = ? AND subject = ?";
const COUNT: &str = "SELECT count(*) FROM principals WHERE tenant = ?";
const PUT: &str = "INSERT OR REPLACE INTO principals
    (tenant, id, version, kind, login, name, password, subject, disabled, put_at, sum)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
const DELETE: &str = "DELETE FROM principals WHERE tenant = ? AND id = ?";
const DELETE_KEYS: &str = "DELETE FROM api_keys WHERE tenant = ? AND principal = ?";

const PERSON: i64 = 1;
const SERVICE: i64 = 2;

fn kind_number(kind: PrincipalKind) -> i64 {
    match kind {
        PrincipalKind::Person => PERSON,
        PrincipalKind::Service => SERVICE,
    }
}

/// What a version adds up to, with the place that it belongs to.
fn sum_of(tenant: &TenantId, it: &PrincipalRecord, put_at: i64) -> i64 {
    let password = it.password.as_ref().map(PasswordHash::as_str);
    sum::of(&[
        tenant.as_str().as_bytes(),
        it.id.as_bytes(),
        &it.version.to_be_bytes(),
        &kind_number(it.kind).to_be_bytes(),
        it.login.as_bytes(),
        it.name.as_bytes(),
        &[u8::from(password.is_some())],
        password.unwrap_or_default().as_bytes(),
        it.subject.as_deref().unwrap_or_default().as_bytes(),
        &[u8::from(it.disabled)],
        &put_at.to_be_bytes(),
    ])
}

fn read(row: &SqlRow<'_>, tenant: &TenantId) -> Result<(PrincipalRecord, Timestamp), Fault> {
    let kind = match row.get(2)? {
        PERSON => PrincipalKind::Person,
        SERVICE => PrincipalKind::Service,
        other => return Err(Fault::corrupt(format!("{other} is no kind of a principal"))),
    };
    let record = PrincipalRecord {
        id: PrincipalId::from_bytes(row.get(0)?),
        version: row.get(1)?,
        kind,
        login: row.get(3)?,
        name: row.get(4)?,
        password: row.get::<_, Option<String>>(5)?.map(PasswordHash::new),
        subject: row.get(6)?,
        disabled: row.get(7)?,
    };
    let put_at: i64 = row.get(8)?;
    if sum_of(tenant, &record, put_at) != row.get::<_, i64>(9)? {
        return Err(Fault::corrupt(format!(
            "the principal {} is damaged: its content does not match its sum",
            record.id
        )));
    }
    Ok((record, Timestamp::from_millis(put_at)))
}

fn find(
    db: &Connection,
    tenant: &TenantId,
    key: PrincipalKey<'_>,
) -> Result<Option<(PrincipalRecord, Timestamp)>, Fault> {
    let tenant_text = tenant.as_str();
    let found = match key {
        PrincipalKey::Id(id) => db
            .prepare_cached(BY_ID)?
            .query_row(params![tenant_text, id.as_bytes()], |row| {
                Ok(read(row, tenant))
            }),
        PrincipalKey::Login(login) => db
            .prepare_cached(BY_LOGIN)?
            .query_row(params![tenant_text, login], |row| Ok(read(row, tenant))),
        PrincipalKey::Subject(subject) => db
            .prepare_cached(BY_SUBJECT)?
            .query_row(params![tenant_text, subject], |row| Ok(read(row, tenant))),
    };
    found.optional()?.transpose()
}

pub(crate) fn get(
    db: &Connection,
    tenant: &TenantId,
    id: PrincipalId,
) -> Result<Option<PrincipalRecord>, Fault> {
    Ok(find(db, tenant, PrincipalKey::Id(id))?.map(|(record, _)| record))
}

fn with_memberships(
    db: &Connection,
    tenant: &TenantId,
    (principal, put_at): (PrincipalRecord, Timestamp),
) -> Result<Standing, Fault> {
    let memberships = memberships::of(db, tenant, principal.id)?;
    Ok(Standing {
        principal,
        put_at,
        memberships,
    })
}

pub(crate) fn standing(
    db: &Connection,
    tenant: &TenantId,
    key: PrincipalKey<'_>,
) -> Result<Option<Standing>, Fault> {
    // Both reads see the same commit, or a role could go with a person who never had it.
    let snapshot = Snapshot::begin(db)?;
    let found = find(db, tenant, key)?;
    let standing = found
        .map(|found| with_memberships(db, tenant, found))
        .transpose();
    snapshot.end()?;
    standing
}

/// A key and whose it is.
pub(crate) fn of_key(
    db: &Connection,
    tenant: &TenantId,
    prefix: &str,
    now: Timestamp,
) -> Result<Option<(StoredKey, Standing)>, Fault> {
    let snapshot = Snapshot::begin(db)?;
    let found = match api_keys::get(db, tenant, prefix, now)? {
        Some(key) => {
            let standing = standing(db, tenant, PrincipalKey::Id(key.key.principal))?;
            let nobody = || Fault::corrupt("an API key is damaged: its principal is not there");
            Some((key, standing.ok_or_else(nobody)?))
        }
        None => None,
    };
    snapshot.end()?;
    Ok(found)
}

pub(crate) fn list(
    db: &Connection,
    tenant: &TenantId,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<Standing>, Fault> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let snapshot = Snapshot::begin(db)?;
    let mut list = db.prepare_cached(LIST)?;
    let mut rows = list.query(params![tenant.as_str(), after.unwrap_or_default(), limit])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(row, tenant)?);
    }
    drop(rows);
    let listed = found
        .into_iter()
        .map(|found| with_memberships(db, tenant, found))
        .collect();
    snapshot.end()?;
    listed
}

/// Several reads of one commit; inside of a transaction they are that anyway.
struct Snapshot<'a>(Option<&'a Connection>);

impl<'a> Snapshot<'a> {
    fn begin(db: &'a Connection) -> Result<Self, Fault> {
        if !db.is_autocommit() {
            return Ok(Self(None));
        }
        db.execute_batch("BEGIN DEFERRED")?;
        Ok(Self(Some(db)))
    }

    fn end(mut self) -> Result<(), Fault> {
        if let Some(db) = self.0.take() {
            db.execute_batch("COMMIT")?;
        }
        Ok(())
    }
}

impl Drop for Snapshot<'_> {
    fn drop(&mut self) {
        if let Some(db) = self.0 {
            // It has read only: nothing is lost.
            let _ = db.execute_batch("ROLLBACK");
        }
    }
}

fn check(new: &PrincipalRecord) -> Result<(), Fault> {
    let subject = new.subject.as_deref();
    let possible = (1..=MAX_IDENTITY_TEXT).contains(&new.login.len())
        && new.name.len() <= MAX_IDENTITY_TEXT
        && subject.is_none_or(|it| (1..=MAX_IDENTITY_TEXT).contains(&it.len()))
        && new.password.as_ref().map_or(0, |it| it.as_str().len()) <= MAX_PASSWORD_HASH;
    match possible {
        true => Ok(()),
        false => Err(Fault::invalid(format!(
            "the login, the name or the subject is empty or has more than {MAX_IDENTITY_TEXT} bytes, or the password's hash has more than {MAX_PASSWORD_HASH}"
        ))),
    }
}

/// Whether somebody else has this login or this subject.
fn taken(db: &Connection, tenant: &TenantId, new: &PrincipalRecord) -> Result<bool, Fault> {
    for (sql, text) in [
        (LOGIN_OF, Some(&new.login)),
        (SUBJECT_OF, new.subject.as_ref()),
    ] {
        let Some(text) = text else { continue };
        let mut of = db.prepare_cached(sql)?;
        let found: Option<[u8; 16]> = of
            .query_row(params![tenant.as_str(), text], |row| row.get(0))
            .optional()?;
        if found.is_some_and(|id| id != *new.id.as_bytes()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Puts the next version, or says why not.
pub(crate) fn put(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    new: &PrincipalRecord,
) -> Result<RecordPut, Fault> {
    check(new)?;
    let there = get(tx.connection, tenant, new.id)?;
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
    if taken(tx.connection, tenant, new)? {
        return Ok(RecordPut::Taken);
    }
    let disables = new.disabled && there.as_ref().is_some_and(|it| !it.disabled);
    if disables && memberships::is_last_owner(tx.connection, tenant, new.id)? {
        return Ok(RecordPut::LastOwner);
    }
    if there.is_none() {
        let count = counted(tx.connection, COUNT, [tenant.as_str()])?;
        if count >= MAX_PRINCIPALS {
            return Err(Fault::new(
                ErrorKind::Full,
                format!("there are {MAX_PRINCIPALS} principals, the most that there may be"),
            ));
        }
    }
    let mut put = tx.connection.prepare_cached(PUT)?;
    let put_at = tx.now.as_millis();
    put.execute(params![
        tenant.as_str(),
        new.id.as_bytes(),
        new.version,
        kind_number(new.kind),
        new.login,
        new.name,
        new.password.as_ref().map(PasswordHash::as_str),
        new.subject,
        new.disabled,
        put_at,
        sum_of(tenant, new, put_at),
    ])?;
    Ok(RecordPut::Stored)
}

/// Deletes a principal with all that hangs on it, or says why not.
pub(crate) fn delete(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    id: PrincipalId,
) -> Result<RecordDeleted, Fault> {
    if memberships::is_last_owner(tx.connection, tenant, id)? {
        return Ok(RecordDeleted::LastOwner);
    }
    let place = params![tenant.as_str(), id.as_bytes()];
    let mut delete = tx.connection.prepare_cached(DELETE)?;
    if delete.execute(place)? == 0 {
        return Ok(RecordDeleted::Unknown);
    }
    tx.connection.prepare_cached(DELETE_KEYS)?.execute(place)?;
    memberships::delete_of(tx.connection, tenant, id)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::check_query_plans;

    #[test]
    fn every_statement_finds_its_rows_by_an_index() {
        check_query_plans(&[
            BY_ID,
            BY_LOGIN,
            BY_SUBJECT,
            LIST,
            LOGIN_OF,
            SUBJECT_OF,
            COUNT,
            DELETE,
            DELETE_KEYS,
        ]);
    }
}
