//! What is settled about tenants, and how much each uses.

use async_trait::async_trait;
use nebula_core::{ByteSize, TenantId, Timestamp};
use nebula_ports::{
    ErrorKind, ExecutionRepo, MAX_TENANTS, Quotas, Result as PortResult, Tenant, TenantPut,
    TenantRepo, Usage, Weight,
};
use rusqlite::{Connection, Row, params};

use crate::{
    Sqlite,
    error::Fault,
    row::{counted, number},
    writer::Tx,
};

const FIND: &str =
    "SELECT tenant, version, name, disabled, executions, bytes, starts_per_second, weight
    FROM tenants WHERE tenant = ?";
const LIST: &str =
    "SELECT tenant, version, name, disabled, executions, bytes, starts_per_second, weight
    FROM tenants WHERE tenant > ? ORDER BY tenant LIMIT ?";
const COUNT: &str = "SELECT count(*) FROM (SELECT 1 FROM tenants WHERE tenant > '' LIMIT ?)";
const PUT: &str = "INSERT OR REPLACE INTO tenants
    (tenant, version, name, disabled, executions, bytes, starts_per_second, weight)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
/// How many executions of a tenant have not ended, up to a limit.
const OPEN: &str = "SELECT count(*) FROM (SELECT 1 FROM executions INDEXED BY executions_status
    WHERE status <> 6 AND tenant = ? AND status < 6 LIMIT ?)";
const USED: &str = "SELECT count(*), coalesce(sum(lease_until > ?2), 0) FROM (
    SELECT lease_until FROM executions INDEXED BY executions_status
    WHERE status <> 6 AND tenant = ?1 AND status < 6 LIMIT ?3)";
const BYTES: &str = "SELECT coalesce(sum(coalesce(length(e.whole), 0) + coalesce(
        (SELECT sum(length(j.entries)) FROM journal AS j WHERE j.execution = e.n), 0)), 0)
    FROM executions AS e WHERE e.tenant = ?";

#[async_trait]
impl TenantRepo for Sqlite {
    async fn put_tenant(&self, new: Tenant) -> PortResult<TenantPut> {
        self.write("put a tenant", 0, move |tx| put(tx, &new)).await
    }

    async fn tenant(&self, id: &TenantId) -> PortResult<Option<Tenant>> {
        let id = id.clone();
        self.read("find a tenant", move |db| get(db, &id)).await
    }

    async fn tenants(&self, after: Option<&TenantId>, limit: usize) -> PortResult<Vec<Tenant>> {
        let after = after.cloned();
        self.read("list tenants", move |db| list(db, after.as_ref(), limit))
            .await
    }
}

fn get(db: &Connection, id: &TenantId) -> Result<Option<Tenant>, Fault> {
    let mut find = db.prepare_cached(FIND)?;
    let mut rows = find.query([id.as_str()])?;
    rows.next()?.map(read).transpose()
}

fn list(db: &Connection, after: Option<&TenantId>, limit: usize) -> Result<Vec<Tenant>, Fault> {
    let after = after.map_or("", TenantId::as_str);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut list = db.prepare_cached(LIST)?;
    let mut rows = list.query(params![after, limit])?;
    let mut listed = Vec::new();
    while let Some(row) = rows.next()? {
        listed.push(read(row)?);
    }
    Ok(listed)
}

fn read(row: &Row<'_>) -> Result<Tenant, Fault> {
    let quota = |at: usize| {
        let stored: Option<i64> = row.get(at)?;
        stored.map(number).transpose()
    };
    let small = |at: usize| {
        let stored = quota(at)?.map(u32::try_from).transpose();
        stored.map_err(|_| Fault::corrupt("a stored quota is too large"))
    };
    let id = TenantId::new(row.get::<_, String>(0)?);
    let read = Tenant {
        id: id.map_err(|error| Fault::corrupt(format!("a stored tenant has no id: {error}")))?,
        version: row.get(1)?,
        name: row.get(2)?,
        disabled: row.get(3)?,
        quotas: Quotas {
            executions: small(4)?,
            bytes: quota(5)?.map(ByteSize::bytes),
            starts_per_second: small(6)?,
        },
        weight: weight(row.get(7)?)?,
    };
    read.check()
        .map_err(|error| Fault::corrupt(error.to_string()))?;
    Ok(read)
}

fn weight(stored: i64) -> Result<Weight, Fault> {
    let weight = Weight::new(u32::try_from(stored).unwrap_or(0));
    weight.map_err(|_| Fault::corrupt(format!("a stored weight is {stored}")))
}

/// Puts the next version, or says why not.
fn put(tx: &mut Tx<'_>, new: &Tenant) -> Result<TenantPut, Fault> {
    new.check()
        .map_err(|error| Fault::invalid(error.to_string()))?;
    let there = get(tx.connection, &new.id)?;
    if there.as_ref() == Some(new) {
        return Ok(TenantPut::Same);
    }
    let version = there.as_ref().map_or(0, |it| it.version);
    if u64::from(new.version) != u64::from(version) + 1 {
        return Ok(TenantPut::Conflict { version });
    }
    let most = i64::try_from(MAX_TENANTS).unwrap_or(i64::MAX);
    if there.is_none() && counted(tx.connection, COUNT, [most])? >= MAX_TENANTS {
        return Err(Fault::new(
            ErrorKind::Full,
            format!("there are {MAX_TENANTS} tenants, the most that there may be"),
        ));
    }
    let quotas = &new.quotas;
    // Held against its range.
    let bytes = quotas
        .bytes
        .map(|it| i64::try_from(it.as_u64()).unwrap_or(i64::MAX));
    let mut put = tx.connection.prepare_cached(PUT)?;
    put.execute(params![
        new.id.as_str(),
        new.version,
        new.name,
        new.disabled,
        quotas.executions,
        bytes,
        quotas.starts_per_second,
        new.weight.get()
    ])?;
    Ok(TenantPut::Stored)
}

/// How many executions of a tenant have not ended, up to `most`.
pub(crate) fn open(tx: &Tx<'_>, tenant: &TenantId, most: u32) -> Result<u64, Fault> {
    let mut open = tx.connection.prepare_cached(OPEN)?;
    let found: i64 = open.query_row(params![tenant.as_str(), most], |row| row.get(0))?;
    number(found)
}

/// How much a tenant uses.
pub(crate) fn usage(db: &Connection, tenant: &TenantId, now: Timestamp) -> Result<Usage, Fault> {
    let most = i64::try_from(<dyn ExecutionRepo>::MAX_USAGE).unwrap_or(i64::MAX);
    let mut used = db.prepare_cached(USED)?;
    let row = params![tenant.as_str(), now.as_millis(), most];
    let (executions, held): (i64, i64) =
        used.query_row(row, |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut bytes = db.prepare_cached(BYTES)?;
    let bytes: i64 = bytes.query_row([tenant.as_str()], |row| row.get(0))?;
    Ok(Usage {
        executions: number(executions)?,
        held: number(held)?,
        bytes: number(bytes)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::check_query_plans;

    #[test]
    fn every_statement_finds_its_rows_by_an_index() {
        check_query_plans(&[FIND, LIST, COUNT, OPEN, USED, BYTES]);
    }
}
