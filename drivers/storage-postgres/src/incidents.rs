//! What is wrong with services, its timelines, and counters.

use nebula_core::TenantId;
use nebula_ports::{
    CounterChange, ErrorKind, Incident, IncidentChange, IncidentChanged, IncidentFilter,
    IncidentOpened, IncidentRef, IncidentStatus, MAX_INCIDENT_COUNTERS, MAX_INCIDENT_OPS,
    MAX_INCIDENTS, MAX_TIMELINE, NewIncident, Operation, Page, PageToken, TimelineEntry,
};
use nebula_postgres::params;
use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;

use crate::{
    ask::{Ask, counted},
    error::Fault,
    link::Link,
    row::{limited, number, stored},
    texts::check_texts,
    tx::Tx,
};

const BY_ID: &str = "SELECT n, record FROM incidents WHERE tenant = $1 AND id = $2";
const BY_KEY: &str = "SELECT n, record FROM incidents WHERE tenant = $1 AND key = $2 AND open";
const COUNT: &str = "SELECT count(*) FROM incidents WHERE tenant = $1";
const ADD: &str = "INSERT INTO incidents (tenant, id, key, open, opened_at, updated_at, record)
    VALUES ($1, $2, $3, TRUE, $4, $4, $5) RETURNING n";
const SET: &str = "UPDATE incidents SET open = $2, updated_at = $3, record = $4 WHERE n = $1";
const REMOVE_FIRST_OVER: &str = "DELETE FROM incidents WHERE n = (SELECT n FROM incidents
    WHERE tenant = $1 AND NOT open ORDER BY updated_at, id LIMIT 1) RETURNING n";
const REMOVE_ENTRIES: &str = "DELETE FROM incident_entries WHERE incident = $1";
const PAGE: &str = "SELECT opened_at, id, record FROM incidents
    WHERE tenant = $1 AND (opened_at, id) < ($2, $3) ORDER BY opened_at DESC, id DESC LIMIT $4";
const ENTER: &str =
    "INSERT INTO incident_entries (tenant, incident, seq, entry) VALUES ($1, $2, $3, $4)";
const FORGET: &str = "DELETE FROM incident_entries WHERE incident = $1 AND seq <= $2";
const ENTRIES: &str = "SELECT entry FROM incident_entries
    WHERE incident = (SELECT n FROM incidents WHERE tenant = $1 AND id = $2) AND seq > $3
    ORDER BY seq LIMIT $4";
const DONE: &str = "SELECT incident, counted FROM incident_ops WHERE tenant = $1 AND key = $2";
const REMEMBER: &str = "INSERT INTO incident_ops (tenant, number, key, incident, counted)
    SELECT $1, coalesce(max(number), 0) + 1, $2, $3, $4 FROM incident_ops WHERE tenant = $1
    ON CONFLICT (tenant, key) DO UPDATE SET incident = $3, counted = $4
    RETURNING number";
const UNLEARN: &str = "DELETE FROM incident_ops WHERE tenant = $1 AND number <= $2";
const COUNTER: &str = "SELECT value FROM incident_counters WHERE tenant = $1 AND name = $2";
const COUNTERS: &str = "SELECT count(*) FROM incident_counters WHERE tenant = $1";
const SET_COUNTER: &str = "INSERT INTO incident_counters (tenant, name, value) VALUES ($1, $2, $3)
    ON CONFLICT (tenant, name) DO UPDATE SET value = $3";
const REMOVE_COUNTER: &str = "DELETE FROM incident_counters WHERE tenant = $1 AND name = $2";

/// How many incidents are read at once while some are looked for.
const READ_AT_ONCE: usize = 200;

/// What an operation came to.
enum Done {
    Of(Uuid),
    Counted(u64),
}

/// Waits until nobody else does something to incidents of this tenant: an operation is done once, and of
/// incidents about one thing one is open.
async fn lock(tx: &Tx, tenant: &TenantId, operation: &Operation) -> Result<(), Fault> {
    check_texts([operation.key.as_str()])?;
    tx.lock("incidents", tenant, "").await
}

pub(crate) async fn open(
    tx: &Tx,
    tenant: &TenantId,
    id: Uuid,
    (operation, new): (&Operation, NewIncident),
) -> Result<IncidentOpened, Fault> {
    check_texts([new.key.as_str()])?;
    lock(tx, tenant, operation).await?;
    if let Some(same) = same(tx, tenant, operation).await? {
        return Ok(IncidentOpened::Same(same));
    }
    let by_key = IncidentRef::Key(new.key.clone());
    if let Some((n, mut incident)) = find(tx, tenant, &by_key).await? {
        let entry = incident.say_again(new, &operation.by, tx.now);
        write(tx, tenant, (n, &incident), &entry).await?;
        remember(tx, tenant, operation, &Done::Of(incident.id)).await?;
        return Ok(IncidentOpened::Updated(incident));
    }
    room(tx, tenant).await?;
    let (incident, entry) = Incident::open(id, new, &operation.by, tx.now);
    let (of, key, record) = (tenant.as_str(), incident.key.as_str(), json(&incident)?);
    let row = tx
        .row(ADD, params![of, id, key, tx.now.as_millis(), record])
        .await?;
    let row = row.ok_or_else(|| Fault::corrupt("an incident that is added has no number"))?;
    enter(tx, tenant, row.try_get(0)?, &entry).await?;
    remember(tx, tenant, operation, &Done::Of(id)).await?;
    Ok(IncidentOpened::Opened(incident))
}

pub(crate) async fn change(
    tx: &Tx,
    tenant: &TenantId,
    which: &IncidentRef,
    (operation, change): (&Operation, &IncidentChange),
) -> Result<IncidentChanged, Fault> {
    lock(tx, tenant, operation).await?;
    if let Some(same) = same(tx, tenant, operation).await? {
        return Ok(IncidentChanged::Same(same));
    }
    let Some((n, mut incident)) = find(tx, tenant, which).await? else {
        return Ok(IncidentChanged::Unknown);
    };
    if incident.status == IncidentStatus::Resolved {
        return Ok(IncidentChanged::Over(incident));
    }
    let Some(entry) = incident.change(change, &operation.by, tx.now) else {
        return Ok(IncidentChanged::Same(incident));
    };
    write(tx, tenant, (n, &incident), &entry).await?;
    remember(tx, tenant, operation, &Done::Of(incident.id)).await?;
    Ok(IncidentChanged::Changed(incident))
}

pub(crate) async fn get(
    db: &impl Ask,
    tenant: &TenantId,
    which: &IncidentRef,
) -> Result<Option<Incident>, Fault> {
    let found = find(db, tenant, which).await?;
    Ok(found.map(|(_, incident)| incident))
}

/// A tenant has at most [`MAX_INCIDENTS`], so that a walk is bounded whatever is filtered for.
pub(crate) async fn list(
    link: &Link,
    tenant: &TenantId,
    filter: &IncidentFilter,
    (after, limit): (Option<&PageToken>, usize),
) -> Result<Page<Incident>, Fault> {
    let (mut at, mut id) = match after {
        Some(token) => place_of(token)?,
        None => (i64::MAX, Uuid::max()),
    };
    let (mut items, mut next): (Vec<Incident>, _) = (Vec::new(), None);
    loop {
        let of = tenant.as_str();
        let most = limited(READ_AT_ONCE);
        let rows = link.rows(PAGE, params![of, at, id, most]).await?;
        for row in &rows {
            (at, id) = (row.try_get(0)?, row.try_get(1)?);
            let incident: Incident = read(row.try_get(2)?)?;
            if !filter.takes(&incident) {
                continue;
            }
            if items.len() == limit {
                next = items.last().map(token_of);
                return Ok(Page { items, next });
            }
            items.push(incident);
        }
        if rows.len() < READ_AT_ONCE {
            return Ok(Page { items, next });
        }
    }
}

pub(crate) async fn timeline(
    link: &Link,
    tenant: &TenantId,
    id: Uuid,
    (after, limit): (u64, usize),
) -> Result<Vec<TimelineEntry>, Fault> {
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    let rows = link
        .rows(ENTRIES, params![tenant.as_str(), id, after, limited(limit)])
        .await?;
    rows.iter().map(|row| read(row.try_get(0)?)).collect()
}

pub(crate) async fn count(
    tx: &Tx,
    tenant: &TenantId,
    name: &str,
    (operation, change): (&Operation, CounterChange),
) -> Result<u64, Fault> {
    check_texts([name])?;
    lock(tx, tenant, operation).await?;
    if let Some(Done::Counted(value)) = done(tx, tenant, operation).await? {
        return Ok(value);
    }
    let of = tenant.as_str();
    let before = tx.row(COUNTER, params![of, name]).await?;
    let before: Option<i64> = before.map(|row| row.try_get(0)).transpose()?;
    let before = before.map(number).transpose()?;
    let value = match change {
        CounterChange::Add => before.unwrap_or(0).saturating_add(1),
        CounterChange::Reset => 0,
    };
    if value == 0 {
        tx.execute(REMOVE_COUNTER, params![of, name]).await?;
    } else {
        if before.is_none() && counted(tx, COUNTERS, params![of]).await? >= MAX_INCIDENT_COUNTERS {
            let message = format!(
                "there are {MAX_INCIDENT_COUNTERS} counters that do not stand at 0, the most that a tenant may have"
            );
            return Err(Fault::new(ErrorKind::Full, message));
        }
        tx.execute(SET_COUNTER, params![of, name, stored(value)?])
            .await?;
    }
    remember(tx, tenant, operation, &Done::Counted(value)).await?;
    Ok(value)
}

async fn find(
    db: &impl Ask,
    tenant: &TenantId,
    which: &IncidentRef,
) -> Result<Option<(i64, Incident)>, Fault> {
    let of = tenant.as_str();
    let found = match which {
        IncidentRef::Id(id) => db.row(BY_ID, params![of, *id]).await?,
        IncidentRef::Key(key) if key.contains('\0') => None,
        IncidentRef::Key(key) => db.row(BY_KEY, params![of, key.as_str()]).await?,
    };
    let found = found.map(|row| Ok((row.try_get(0)?, read(row.try_get(1)?)?)));
    found.transpose()
}

/// The incident to which this very operation was done before.
async fn same(
    tx: &Tx,
    tenant: &TenantId,
    operation: &Operation,
) -> Result<Option<Incident>, Fault> {
    match done(tx, tenant, operation).await? {
        Some(Done::Of(id)) => get(tx, tenant, &IncidentRef::Id(id)).await,
        Some(Done::Counted(_)) | None => Ok(None),
    }
}

async fn done(tx: &Tx, tenant: &TenantId, operation: &Operation) -> Result<Option<Done>, Fault> {
    let key = operation.key.as_str();
    let Some(row) = tx.row(DONE, params![tenant.as_str(), key]).await? else {
        return Ok(None);
    };
    let (id, value): (Option<Uuid>, Option<i64>) = (row.try_get(0)?, row.try_get(1)?);
    Ok(match (id, value) {
        (Some(id), _) => Some(Done::Of(id)),
        (None, Some(value)) => Some(Done::Counted(number(value)?)),
        (None, None) => None,
    })
}

async fn remember(
    tx: &Tx,
    tenant: &TenantId,
    operation: &Operation,
    done: &Done,
) -> Result<(), Fault> {
    let (of, key) = (tenant.as_str(), operation.key.as_str());
    let (incident, value) = match done {
        Done::Of(id) => (Some(*id), None),
        Done::Counted(value) => (None, Some(stored(*value)?)),
    };
    let row = tx.row(REMEMBER, params![of, key, incident, value]).await?;
    let row = row.ok_or_else(|| Fault::corrupt("an operation that is done has no number"))?;
    let most = i64::try_from(MAX_INCIDENT_OPS).unwrap_or(i64::MAX);
    let past = row.try_get::<_, i64>(0)?.saturating_sub(most);
    if past > 0 {
        tx.execute(UNLEARN, params![of, past]).await?;
    }
    Ok(())
}

/// Makes room for one more.
async fn room(tx: &Tx, tenant: &TenantId) -> Result<(), Fault> {
    let of = tenant.as_str();
    if counted(tx, COUNT, params![of]).await? < MAX_INCIDENTS {
        return Ok(());
    }
    let Some(gone) = tx.row(REMOVE_FIRST_OVER, params![of]).await? else {
        let message = format!(
            "there are {MAX_INCIDENTS} incidents, the most that a tenant may have, and none of them is resolved"
        );
        return Err(Fault::new(ErrorKind::Full, message));
    };
    let n: i64 = gone.try_get(0)?;
    tx.execute(REMOVE_ENTRIES, params![n]).await?;
    Ok(())
}

async fn write(
    tx: &Tx,
    tenant: &TenantId,
    (n, incident): (i64, &Incident),
    entry: &TimelineEntry,
) -> Result<(), Fault> {
    let open = incident.status != IncidentStatus::Resolved;
    let (at, record) = (incident.updated_at.as_millis(), json(incident)?);
    tx.execute(SET, params![n, open, at, record]).await?;
    enter(tx, tenant, n, entry).await
}

async fn enter(tx: &Tx, tenant: &TenantId, n: i64, entry: &TimelineEntry) -> Result<(), Fault> {
    let (seq, text) = (stored(entry.seq)?, json(entry)?);
    tx.execute(ENTER, params![tenant.as_str(), n, seq, text])
        .await?;
    let past = entry.seq.saturating_sub(MAX_TIMELINE as u64);
    if past > 0 {
        tx.execute(FORGET, params![n, stored(past)?]).await?;
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
    let at = incident.opened_at.as_millis();
    PageToken(format!("{at}.{}", incident.id))
}

fn place_of(PageToken(token): &PageToken) -> Result<(i64, Uuid), Fault> {
    let place = token
        .split_once('.')
        .and_then(|(at, id)| Some((at.parse().ok()?, id.parse().ok()?)));
    place.ok_or_else(|| Fault::invalid("the page token is not from a page before"))
}
