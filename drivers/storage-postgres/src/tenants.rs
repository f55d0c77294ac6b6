//! What is settled about tenants, and how much each uses.

use async_trait::async_trait;
use nebula_core::{ByteSize, TenantId};
use nebula_ports::{
    ErrorKind, ExecutionRepo, MAX_TENANTS, Quotas, Result as PortResult, Tenant, TenantPut,
    TenantRepo, Usage, Weight,
};
use nebula_postgres::{Row, params};

use crate::{
    Postgres,
    ask::{Ask, counted, version},
    error::Fault,
    link::Link,
    row::{limited, number, tenant as tenant_id},
    texts::check_texts,
    tx::Tx,
};

const FIND: &str =
    "SELECT tenant, version, name, disabled, executions, bytes, starts_per_second, weight
    FROM tenants WHERE tenant = $1";
const LIST: &str =
    "SELECT tenant, version, name, disabled, executions, bytes, starts_per_second, weight
    FROM tenants WHERE tenant > $1 ORDER BY tenant LIMIT $2";
const COUNT: &str =
    "SELECT count(*) FROM (SELECT 1 FROM tenants WHERE tenant > '' LIMIT $1) AS part";
const PUT: &str = "INSERT INTO tenants
    (tenant, version, name, disabled, executions, bytes, starts_per_second, weight)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
    ON CONFLICT (tenant) DO UPDATE SET version = $2, name = $3, disabled = $4,
        executions = $5, bytes = $6, starts_per_second = $7, weight = $8";
/// How many executions of a tenant have not ended, up to a limit.
const OPEN: &str = "SELECT count(*) FROM (
    SELECT 1 FROM executions WHERE tenant = $1 AND status < 6 LIMIT $2) AS part";
const USED: &str = "SELECT count(*), count(*) FILTER (WHERE lease_until > $2) FROM (
    SELECT lease_until FROM executions WHERE tenant = $1 AND status < 6 LIMIT $3) AS part";
/// How long values are is known without reading them.
const BYTES: &str = "SELECT (coalesce(sum(octet_length(e.whole)), 0) + coalesce(sum(part.bytes), 0))::bigint
    FROM executions AS e, LATERAL (
        SELECT sum(octet_length(j.entries)) AS bytes FROM journal AS j WHERE j.execution = e.n) AS part
    WHERE e.tenant = $1";

#[async_trait]
impl TenantRepo for Postgres {
    async fn put_tenant(&self, new: Tenant) -> PortResult<TenantPut> {
        self.write("put a tenant", 0, new, |tx, new| Box::pin(put(tx, new)))
            .await
    }

    async fn tenant(&self, id: &TenantId) -> PortResult<Option<Tenant>> {
        self.read("find a tenant", id.clone(), |link, id| {
            Box::pin(get(link, id))
        })
        .await
    }

    async fn tenants(&self, after: Option<&TenantId>, limit: usize) -> PortResult<Vec<Tenant>> {
        let data = (after.cloned(), limit);
        self.read("list tenants", data, |link, (after, limit)| {
            Box::pin(list(link, after.as_ref(), *limit))
        })
        .await
    }
}

async fn get(db: &impl Ask, id: &TenantId) -> Result<Option<Tenant>, Fault> {
    let row = db.row(FIND, params![id.as_str()]).await?;
    row.as_ref().map(read).transpose()
}

async fn list(link: &Link, after: Option<&TenantId>, limit: usize) -> Result<Vec<Tenant>, Fault> {
    let after = after.map_or("", TenantId::as_str);
    let rows = link.rows(LIST, params![after, limited(limit)]).await?;
    rows.iter().map(read).collect()
}

fn read(row: &Row) -> Result<Tenant, Fault> {
    let quota = |at: usize| {
        let stored: Option<i64> = row.try_get(at)?;
        stored.map(number).transpose()
    };
    let small = |at: usize| {
        let stored = quota(at)?.map(u32::try_from).transpose();
        stored.map_err(|_| Fault::corrupt("a stored quota is too large"))
    };
    let read = Tenant {
        id: tenant_id(row.try_get(0)?)?,
        version: version(row.try_get(1)?)?,
        name: row.try_get(2)?,
        disabled: row.try_get(3)?,
        quotas: Quotas {
            executions: small(4)?,
            bytes: quota(5)?.map(ByteSize::bytes),
            starts_per_second: small(6)?,
        },
        weight: weight(row.try_get(7)?)?,
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
async fn put(tx: &Tx, new: &Tenant) -> Result<TenantPut, Fault> {
    new.check()
        .map_err(|error| Fault::invalid(error.to_string()))?;
    check_texts([new.name.as_str()])?;
    // One lock for all: how many there are is counted.
    tx.lock("tenants", &TenantId::local(), "").await?;
    let there = get(tx, &new.id).await?;
    if there.as_ref() == Some(new) {
        return Ok(TenantPut::Same);
    }
    let before = there.as_ref().map_or(0, |it| it.version);
    if u64::from(new.version) != u64::from(before) + 1 {
        return Ok(TenantPut::Conflict { version: before });
    }
    let most = limited(MAX_TENANTS);
    if there.is_none() && counted(tx, COUNT, params![most]).await? >= MAX_TENANTS {
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
    let row = params![
        new.id.as_str(),
        i64::from(new.version),
        new.name,
        new.disabled,
        quotas.executions.map(i64::from),
        bytes,
        quotas.starts_per_second.map(i64::from),
        i64::from(new.weight.get())
    ];
    tx.execute(PUT, row).await?;
    Ok(TenantPut::Stored)
}

/// How many executions of a tenant have not ended, up to `most`; nobody else begins one that is held
/// against a quota until the transaction ends.
pub(crate) async fn open(tx: &Tx, tenant: &TenantId, most: u32) -> Result<u64, Fault> {
    tx.lock("quota", tenant, "executions").await?;
    let row = params![tenant.as_str(), i64::from(most)];
    Ok(counted(tx, OPEN, row).await? as u64)
}

/// How much a tenant uses.
pub(crate) async fn usage(link: &Link, tenant: &TenantId) -> Result<Usage, Fault> {
    let now = link.now().await?;
    let most = i64::try_from(<dyn ExecutionRepo>::MAX_USAGE).unwrap_or(i64::MAX);
    let row = params![tenant.as_str(), now.as_millis(), most];
    let used = link.row(USED, row).await?;
    let used = used.ok_or_else(|| Fault::corrupt("a count gives no row"))?;
    let bytes = link.row(BYTES, params![tenant.as_str()]).await?;
    let bytes = bytes.ok_or_else(|| Fault::corrupt("a sum gives no row"))?;
    Ok(Usage {
        executions: number(used.try_get(0)?)?,
        held: number(used.try_get(1)?)?,
        bytes: number(bytes.try_get(0)?)?,
    })
}
