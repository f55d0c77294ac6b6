//! What is wrong with services, its timelines, and counters.

use nebula_core::{TenantId, Timestamp};
use nebula_ports::{
    CounterChange, ErrorKind, Incident, IncidentChange, IncidentChanged, IncidentFilter,
    IncidentOpened, IncidentRef, IncidentStatus, MAX_INCIDENT_COUNTERS, MAX_INCIDENT_OPS,
    MAX_INCIDENTS, MAX_TIMELINE, NewIncident, Operation, Page, PageToken, TimelineEntry,
};
use rusqlite::{Connection, OptionalExtension, params};
use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;

use crate::{
    error::Fault,
    row::{counted, number, stored},
    writer::Tx,
};

const BY_ID: &str = "SELECT n, record FROM incidents WHERE tenant = ? AND id = ?";
const BY_KEY: &str =
    "SELECT n, record FROM incidents WHERE tenant = ? AND key = ? AND open IS NOT NULL";
const COUNT: &str = "SELECT count(*) FROM incidents WHERE tenant = ?";
const ADD: &str = "INSERT INTO incidents (tenant, id, key, open, opened_at, updated_at, record)
    VALUES (?, ?, ?, 1, ?, ?, ?)";
const SET: &str = "UPDATE incidents SET open = ?2, updated_at = ?3, record = ?4 WHERE n = ?1";
const FIRST_OVER: &str = "SELECT n FROM incidents WHERE tenant = ? AND open IS NULL
    ORDER BY updated_at, id LIMIT 1";
const REMOVE: &str = "DELETE FROM incidents WHERE n = ?";
const REMOVE_ENTRIES: &str = "DELETE FROM incident_entries WHERE incident = ?";
const PAGE: &str = "SELECT record FROM incidents WHERE tenant = ?1 AND (opened_at, id) < (?2, ?3)
    ORDER BY opened_at DESC, id DESC";
const ENTER: &str = "INSERT INTO incident_entries (incident, seq, entry) VALUES (?, ?, ?)";
const FORGET: &str = "DELETE FROM incident_entries WHERE incident = ? AND seq <= ?";
const ENTRIES: &str = "SELECT entry FROM incident_entries WHERE incident = ? AND seq > ?
    ORDER BY seq LIMIT ?";
const DONE: &str = "SELECT incident, counted FROM incident_ops WHERE tenant = ? AND key = ?";
const LAST: &str = "SELECT number FROM incident_ops WHERE tenant = ? ORDER BY number DESC LIMIT 1";
const REMEMBER: &str = "INSERT INTO incident_ops (tenant, number, key, incident, counted)
    VALUES (?, ?, ?, ?, ?)";
const UNLEARN: &str = "DELETE FROM incident_ops WHERE tenant = ? AND number <= ?";
const COUNTER: &str = "SELECT value FROM incident_counters WHERE tenant = ? AND name = ?";
const COUNTERS: &str = "SELECT count(*) FROM incident_counters WHERE tenant = ?";
const SET_COUNTER: &str =
    "INSERT OR REPLACE INTO incident_counters (tenant, name, value) VALUES (?, ?, ?)";
const REMOVE_COUNTER: &str = "DELETE FROM incident_counters WHERE tenant = ? AND name = ?";

/// What an operation came to.
enum Done {
    Of(Uuid),
    Counted(u64),
}

pub(crate) fn open(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    id: Uuid,
    (operation, new): (&Operation, NewIncident),
) -> Result<IncidentOpened, Fault> {
    let (db, now) = (tx.connection, tx.now);
    if let Some(same) = same(db, tenant, operation)? {
        return Ok(IncidentOpened::Same(same));
    }
    let by_key = IncidentRef::Key(new.key.clone());
    if let Some((n, mut incident)) = find(db, tenant, &by_key)? {
        let entry = incident.say_again(new, &operation.by, now);
        write(db, n, &incident, &entry)?;
        remember(db, tenant, operation, &Done::Of(incident.id))?;
        return Ok(IncidentOpened::Updated(incident));
    }
    room(db, tenant)?;
    let (incident, entry) = Incident::open(id, new, &operation.by, now);
    let at = now.as_millis();
    db.prepare_cached(ADD)?.execute(params![
        tenant.as_str(),
        id.as_bytes(),
        incident.key,
        at,
        at,
        json(&incident)?,
    ])?;
    enter(db, db.last_insert_rowid(), &entry)?;
    remember(db, tenant, operation, &Done::Of(id))?;
    Ok(IncidentOpened::Opened(incident))
}

pub(crate) fn change(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    which: &IncidentRef,
    (operation, change): (&Operation, &IncidentChange),
) -> Result<IncidentChanged, Fault> {
    let (db, now) = (tx.connection, tx.now);
    if let Some(same) = same(db, tenant, operation)? {
        return Ok(IncidentChanged::Same(same));
    }
    let Some((n, mut incident)) = find(db, tenant, which)? else {
        return Ok(IncidentChanged::Unknown);
    };
    if incident.status == IncidentStatus::Resolved {
        return Ok(IncidentChanged::Over(incident));
    }
    let Some(entry) = incident.change(change, &operation.by, now) else {
        return Ok(IncidentChanged::Same(incident));
    };
    write(db, n, &incident, &entry)?;
    remember(db, tenant, operation, &Done::Of(incident.id))?;
    Ok(IncidentChanged::Changed(incident))
}

pub(crate) fn get(
    db: &Connection,
    tenant: &TenantId,
    which: &IncidentRef,
) -> Result<Option<Incident>, Fault> {
    Ok(find(db, tenant, which)?.map(|(_, incident)| incident))
}

/// A tenant has at most [`MAX_INCIDENTS`], so that a walk is bounded whatever is filtered for.
pub(crate) fn list(
    db: &Connection,
    tenant: &TenantId,
    filter: &IncidentFilter,
    (after, limit): (Option<&PageToken>, usize),
) -> Result<Page<Incident>, Fault> {
    let (at, id) = match after {
        Some(token) => place_of(token)?,
        None => (i64::MAX, Uuid::max()),
    };
    let mut page = db.prepare_cached(PAGE)?;
    let mut rows = page.query(params![tenant.as_str(), at, id.as_bytes()])?;
    let (mut items, mut next): (Vec<Incident>, _) = (Vec::new(), None);
    while let Some(row) = rows.next()? {
        let incident = read(row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?)?;
        if !filter.takes(&incident) {
            continue;
        }
        if items.len() == limit {
            next = items.last().map(token_of);
            break;
        }
        items.push(incident);
    }
    Ok(Page { items, next })
}

pub(crate) fn timeline(
    db: &Connection,
    tenant: &TenantId,
    id: Uuid,
    (after, limit): (u64, usize),
) -> Result<Vec<TimelineEntry>, Fault> {
    let Some((n, _)) = find(db, tenant, &IncidentRef::Id(id))? else {
        return Ok(Vec::new());
    };
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    let mut entries = db.prepare_cached(ENTRIES)?;
    let mut rows = entries.query(params![n, after, limit])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(read(
            row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?,
        )?);
    }
    Ok(all)
}

pub(crate) fn count(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    name: &str,
    (operation, change): (&Operation, CounterChange),
) -> Result<u64, Fault> {
    let db = tx.connection;
    if let Some(Done::Counted(value)) = done(db, tenant, operation)? {
        return Ok(value);
    }
    let place = params![tenant.as_str(), name];
    let before: Option<i64> = db
        .prepare_cached(COUNTER)?
        .query_row(place, |row| row.get(0))
        .optional()?;
    let before = before.map(number).transpose()?;
    let value = match change {
        CounterChange::Add => before.unwrap_or(0).saturating_add(1),
        CounterChange::Reset => 0,
    };
    if value == 0 {
        db.prepare_cached(REMOVE_COUNTER)?.execute(place)?;
    } else {
        if before.is_none() && counted(db, COUNTERS, [tenant.as_str()])? >= MAX_INCIDENT_COUNTERS {
            let message = format!(
                "there are {MAX_INCIDENT_COUNTERS} counters that do not stand at 0, the most that a tenant may have"
            );
            return Err(Fault::new(ErrorKind::Full, message));
        }
        let mut set = db.prepare_cached(SET_COUNTER)?;
        set.execute(params![tenant.as_str(), name, stored(value)?])?;
    }
    remember(db, tenant, operation, &Done::Counted(value))?;
    Ok(value)
}

fn find(
    db: &Connection,
    tenant: &TenantId,
    which: &IncidentRef,
) -> Result<Option<(i64, Incident)>, Fault> {
    let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
    let found: Option<(i64, String)> = match which {
        IncidentRef::Id(id) => db
            .prepare_cached(BY_ID)?
            .query_row(params![tenant.as_str(), id.as_bytes()], row)
            .optional()?,
        IncidentRef::Key(key) => db
            .prepare_cached(BY_KEY)?
            .query_row(params![tenant.as_str(), key], row)
            .optional()?,
    };
    let found = found.map(|(n, record)| Ok::<_, Fault>((n, read(&record)?)));
    found.transpose()
}

/// The incident to which this very operation was done before.
fn same(
    db: &Connection,
    tenant: &TenantId,
    operation: &Operation,
) -> Result<Option<Incident>, Fault> {
    match done(db, tenant, operation)? {
        Some(Done::Of(id)) => get(db, tenant, &IncidentRef::Id(id)),
        Some(Done::Counted(_)) | None => Ok(None),
    }
}

fn done(db: &Connection, tenant: &TenantId, operation: &Operation) -> Result<Option<Done>, Fault> {
    let found: Option<(Option<[u8; 16]>, Option<i64>)> = db
        .prepare_cached(DONE)?
        .query_row(params![tenant.as_str(), operation.key], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    Ok(match found {
        Some((Some(id), _)) => Some(Done::Of(Uuid::from_bytes(id))),
        Some((None, Some(value))) => Some(Done::Counted(number(value)?)),
        Some((None, None)) | None => None,
    })
}

fn remember(
    db: &Connection,
    tenant: &TenantId,
    operation: &Operation,
    done: &Done,
) -> Result<(), Fault> {
    let last: Option<i64> = db
        .prepare_cached(LAST)?
        .query_row([tenant.as_str()], |row| row.get(0))
        .optional()?;
    let number = last.unwrap_or(0) + 1;
    let (incident, counted) = match done {
        Done::Of(id) => (Some(id.as_bytes().to_vec()), None),
        Done::Counted(value) => (None, Some(stored(*value)?)),
    };
    let mut add = db.prepare_cached(REMEMBER)?;
    add.execute(params![
        tenant.as_str(),
        number,
        operation.key,
        incident,
        counted
    ])?;
    let most = i64::try_from(MAX_INCIDENT_OPS).unwrap_or(i64::MAX);
    let mut unlearn = db.prepare_cached(UNLEARN)?;
    unlearn.execute(params![tenant.as_str(), number.saturating_sub(most)])?;
    Ok(())
}

/// Makes room for one more.
fn room(db: &Connection, tenant: &TenantId) -> Result<(), Fault> {
    if counted(db, COUNT, [tenant.as_str()])? < MAX_INCIDENTS {
        return Ok(());
    }
    let first: Option<i64> = db
        .prepare_cached(FIRST_OVER)?
        .query_row([tenant.as_str()], |row| row.get(0))
        .optional()?;
    let Some(n) = first else {
        let message = format!(
            "there are {MAX_INCIDENTS} incidents, the most that a tenant may have, and none of them is resolved"
        );
        return Err(Fault::new(ErrorKind::Full, message));
    };
    db.prepare_cached(REMOVE_ENTRIES)?.execute([n])?;
    db.prepare_cached(REMOVE)?.execute([n])?;
    Ok(())
}

fn write(db: &Connection, n: i64, incident: &Incident, entry: &TimelineEntry) -> Result<(), Fault> {
    let open = (incident.status != IncidentStatus::Resolved).then_some(1);
    let at = incident.updated_at.as_millis();
    let mut set = db.prepare_cached(SET)?;
    set.execute(params![n, open, at, json(incident)?])?;
    enter(db, n, entry)
}

fn enter(db: &Connection, n: i64, entry: &TimelineEntry) -> Result<(), Fault> {
    let mut enter = db.prepare_cached(ENTER)?;
    enter.execute(params![n, stored(entry.seq)?, json(entry)?])?;
    let past = entry.seq.saturating_sub(MAX_TIMELINE as u64);
    if past > 0 {
        let mut forget = db.prepare_cached(FORGET)?;
        forget.execute(params![n, stored(past)?])?;
    }
    Ok(())
}

fn json<T: Serialize>(value: &T) -> Result<String, Fault> {
    serde_json::to_string(value)
        .map_err(|error| Fault::corrupt(format!("an incident cannot be written: {error}")))
}

fn read<T: DeserializeOwned>(text: &str) -> Result<T, Fault> {
    serde_json::from_str(text)
        .map_err(|error| Fault::corrupt(format!("an incident cannot be read: {error}")))
}

fn token_of(incident: &Incident) -> PageToken {
    let at: Timestamp = incident.opened_at;
    PageToken(format!("{}.{}", at.as_millis(), incident.id))
}

fn place_of(PageToken(token): &PageToken) -> Result<(i64, Uuid), Fault> {
    let place = token
        .split_once('.')
        .and_then(|(at, id)| Some((at.parse().ok()?, id.parse().ok()?)));
    place.ok_or_else(|| Fault::invalid("the page token is not from a page before"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::check_query_plans;

    #[test]
    fn every_statement_finds_its_rows_by_an_index() {
        check_query_plans(&[
            BY_ID,
            BY_KEY,
            COUNT,
            SET,
            FIRST_OVER,
            REMOVE,
            REMOVE_ENTRIES,
            PAGE,
            FORGET,
            ENTRIES,
            DONE,
            LAST,
            UNLEARN,
            COUNTER,
            COUNTERS,
            REMOVE_COUNTER,
        ]);
    }
}
