//! Who did what, in one chain for each tenant.

use async_trait::async_trait;
use nebula_core::{TenantId, Timestamp};
use nebula_ports::{
    AuditEntry, AuditHead, AuditLog, AuditOutcome, MAX_AUDIT_CHANGE, MAX_AUDIT_PAGE,
    MAX_AUDIT_TEXT, NewAudit, Result, audit_root, chained,
};
use nebula_postgres::{Row, params};

use crate::{
    Postgres,
    error::Fault,
    link::Link,
    row::{digest, limited, number, stored},
    texts::check_texts,
    tx::Tx,
};

const BY_ID: &str = "SELECT seq, id, at, who, via, origin, what, target, outcome, change, hash
    FROM audit WHERE tenant = $1 AND id = $2";
const PAGE: &str = "SELECT seq, id, at, who, via, origin, what, target, outcome, change, hash
    FROM audit WHERE tenant = $1 AND seq > $2 ORDER BY seq LIMIT $3";
const HEAD: &str = "SELECT seq, hash FROM audit_heads WHERE tenant = $1 AND seq > 0";
/// The end of the chain, made where there is none, and locked: whoever appends next waits, and sees what this
/// one has appended.
const LOCKED_HEAD: &str = "INSERT INTO audit_heads AS h (tenant, seq, hash) VALUES ($1, 0, $2)
    ON CONFLICT (tenant) DO UPDATE SET tenant = h.tenant RETURNING h.seq, h.hash";
const MOVE_HEAD: &str = "UPDATE audit_heads SET seq = $2, hash = $3 WHERE tenant = $1";
const APPEND: &str = "INSERT INTO audit
    (tenant, seq, id, at, who, via, origin, what, target, outcome, change, hash)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";

const ALLOWED: i16 = 1;
const DENIED: i16 = 2;

#[async_trait]
impl AuditLog for Postgres {
    async fn append(&self, tenant: &TenantId, new: NewAudit) -> Result<AuditEntry> {
        let (bytes, data) = (new.change.len(), (tenant.clone(), new));
        self.write(
            "append to the audit log",
            bytes,
            data,
            |tx, (tenant, new)| Box::pin(append(tx, tenant, new)),
        )
        .await
    }

    async fn entries(
        &self,
        tenant: &TenantId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<AuditEntry>> {
        let data = (tenant.clone(), after, limit);
        self.read(
            "read the audit log",
            data,
            |link, (tenant, after, limit)| Box::pin(page(link, tenant, *after, *limit)),
        )
        .await
    }

    async fn head(&self, tenant: &TenantId) -> Result<Option<AuditHead>> {
        let tenant = tenant.clone();
        self.read("read the end of the audit log", tenant, |link, tenant| {
            Box::pin(async move {
                let found = link.row(HEAD, params![tenant.as_str()]).await?;
                found.as_ref().map(head).transpose()
            })
        })
        .await
    }
}

fn read(row: &Row) -> Result<AuditEntry, Fault> {
    let outcome = match row.try_get::<_, i16>(8)? {
        ALLOWED => AuditOutcome::Allowed,
        DENIED => AuditOutcome::Denied,
        other => {
            return Err(Fault::corrupt(format!(
                "{other} is no outcome of the audit log"
            )));
        }
    };
    Ok(AuditEntry {
        seq: number(row.try_get(0)?)?,
        at: Timestamp::from_millis(row.try_get(2)?),
        new: NewAudit {
            id: row.try_get(1)?,
            who: row.try_get(3)?,
            via: row.try_get(4)?,
            from: row.try_get(5)?,
            what: row.try_get(6)?,
            target: row.try_get(7)?,
            outcome,
            change: row.try_get(9)?,
        },
        hash: digest(row.try_get(10)?)?,
    })
}

fn head(row: &Row) -> Result<AuditHead, Fault> {
    Ok(AuditHead {
        seq: number(row.try_get(0)?)?,
        hash: digest(row.try_get(1)?)?,
    })
}

async fn page(
    link: &Link,
    tenant: &TenantId,
    after: u64,
    limit: usize,
) -> Result<Vec<AuditEntry>, Fault> {
    let limit = limited(limit.min(MAX_AUDIT_PAGE));
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    let rows = link
        .rows(PAGE, params![tenant.as_str(), after, limit])
        .await?;
    rows.iter().map(read).collect()
}

fn check(new: &NewAudit) -> Result<(), Fault> {
    let texts = [&new.who, &new.via, &new.from, &new.what, &new.target];
    check_texts(texts.into_iter().chain([&new.change]).map(String::as_str))?;
    let possible = texts.iter().all(|it| it.len() <= MAX_AUDIT_TEXT)
        && !new.what.is_empty()
        && new.change.len() <= MAX_AUDIT_CHANGE;
    match possible {
        true => Ok(()),
        false => Err(Fault::invalid(format!(
            "a text has more than {MAX_AUDIT_TEXT} bytes, the change more than {MAX_AUDIT_CHANGE}, or it does not say what was done"
        ))),
    }
}

/// Appends an entry behind the last one.
async fn append(tx: &Tx, tenant: &TenantId, new: &NewAudit) -> Result<AuditEntry, Fault> {
    check(new)?;
    let of = tenant.as_str();
    let root = audit_root();
    let last = tx
        .row(LOCKED_HEAD, params![of, &root.as_bytes()[..]])
        .await?;
    let last = last.ok_or_else(|| Fault::corrupt("the chain has no end"))?;
    let last = head(&last)?;
    if let Some(there) = tx.row(BY_ID, params![of, new.id]).await? {
        let there = read(&there)?;
        return match there.new == *new {
            true => Ok(there),
            false => Err(Fault::invalid("its id is another entry's")),
        };
    }
    let seq = last.seq + 1;
    let hash = chained(&last.hash, tenant, seq, tx.now, new);
    let outcome = match new.outcome {
        AuditOutcome::Allowed => ALLOWED,
        AuditOutcome::Denied => DENIED,
    };
    let (place, bytes) = (stored(seq)?, &hash.as_bytes()[..]);
    tx.execute(
        APPEND,
        params![
            of,
            place,
            new.id,
            tx.now.as_millis(),
            new.who,
            new.via,
            new.from,
            new.what,
            new.target,
            outcome,
            new.change,
            bytes,
        ],
    )
    .await?;
    tx.execute(MOVE_HEAD, params![of, place, bytes]).await?;
    Ok(AuditEntry {
        seq,
        at: tx.now,
        new: new.clone(),
        hash,
    })
}
