//! Who did what, in one chain for each tenant.

use async_trait::async_trait;
use nebula_core::{Digest, TenantId, Timestamp};
use nebula_ports::{
    AuditEntry, AuditHead, AuditLog, AuditOutcome, MAX_AUDIT_CHANGE, MAX_AUDIT_PAGE,
    MAX_AUDIT_TEXT, NewAudit, Result, audit_root, chained,
};
use rusqlite::{Connection, OptionalExtension, Row as SqlRow, params};
use uuid::Uuid;

use crate::{
    Sqlite,
    error::Fault,
    row::{number, stored},
    writer::Tx,
};

const BY_ID: &str = "SELECT seq, id, at, who, via, origin, what, target, outcome, change, hash
    FROM audit WHERE tenant = ? AND id = ?";
const PAGE: &str = "SELECT seq, id, at, who, via, origin, what, target, outcome, change, hash
    FROM audit WHERE tenant = ? AND seq > ? ORDER BY seq LIMIT ?";
const HEAD: &str = "SELECT seq, hash FROM audit WHERE tenant = ? ORDER BY seq DESC LIMIT 1";
const APPEND: &str = "INSERT INTO audit
    (tenant, seq, id, at, who, via, origin, what, target, outcome, change, hash)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

const ALLOWED: i64 = 1;
const DENIED: i64 = 2;

#[async_trait]
impl AuditLog for Sqlite {
    async fn append(&self, tenant: &TenantId, new: NewAudit) -> Result<AuditEntry> {
        let (tenant, bytes) = (tenant.clone(), new.change.len());
        self.write("append to the audit log", bytes, move |tx| {
            append(tx, &tenant, &new)
        })
        .await
    }

    async fn entries(
        &self,
        tenant: &TenantId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<AuditEntry>> {
        let tenant = tenant.clone();
        self.read("read the audit log", move |db| {
            page(db, &tenant, after, limit)
        })
        .await
    }

    async fn head(&self, tenant: &TenantId) -> Result<Option<AuditHead>> {
        let tenant = tenant.clone();
        self.read("read the end of the audit log", move |db| head(db, &tenant))
            .await
    }
}

fn read(row: &SqlRow<'_>) -> Result<AuditEntry, Fault> {
    let outcome = match row.get(8)? {
        ALLOWED => AuditOutcome::Allowed,
        DENIED => AuditOutcome::Denied,
        other => {
            return Err(Fault::corrupt(format!(
                "{other} is no outcome of the audit log"
            )));
        }
    };
    Ok(AuditEntry {
        seq: number(row.get(0)?)?,
        at: Timestamp::from_millis(row.get(2)?),
        new: NewAudit {
            id: Uuid::from_bytes(row.get(1)?),
            who: row.get(3)?,
            via: row.get(4)?,
            from: row.get(5)?,
            what: row.get(6)?,
            target: row.get(7)?,
            outcome,
            change: row.get(9)?,
        },
        hash: Digest::from(row.get::<_, [u8; 32]>(10)?),
    })
}

fn head(db: &Connection, tenant: &TenantId) -> Result<Option<AuditHead>, Fault> {
    let mut head = db.prepare_cached(HEAD)?;
    let found: Option<(i64, [u8; 32])> = head
        .query_row([tenant.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let found = found.map(|(seq, hash)| {
        Ok(AuditHead {
            seq: number(seq)?,
            hash: Digest::from(hash),
        })
    });
    found.transpose()
}

fn page(
    db: &Connection,
    tenant: &TenantId,
    after: u64,
    limit: usize,
) -> Result<Vec<AuditEntry>, Fault> {
    let limit = i64::try_from(limit.min(MAX_AUDIT_PAGE)).unwrap_or(i64::MAX);
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    let mut page = db.prepare_cached(PAGE)?;
    let mut rows = page.query(params![tenant.as_str(), after, limit])?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        entries.push(read(row)?);
    }
    Ok(entries)
}

fn check(new: &NewAudit) -> Result<(), Fault> {
    let texts = [&new.who, &new.via, &new.from, &new.what, &new.target];
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

/// Appends an entry behind the last one, in the transaction of the one writer.
fn append(tx: &mut Tx<'_>, tenant: &TenantId, new: &NewAudit) -> Result<AuditEntry, Fault> {
    check(new)?;
    let db = tx.connection;
    let mut by_id = db.prepare_cached(BY_ID)?;
    let place = params![tenant.as_str(), new.id.as_bytes()];
    let there = by_id.query_row(place, |row| Ok(read(row))).optional()?;
    if let Some(there) = there.transpose()? {
        return match there.new == *new {
            true => Ok(there),
            false => Err(Fault::invalid("its id is another entry's")),
        };
    }
    let last = head(db, tenant)?;
    let before = last.map_or_else(audit_root, |it| it.hash);
    let seq = last.map_or(1, |it| it.seq + 1);
    let hash = chained(&before, tenant, seq, tx.now, new);
    let outcome = match new.outcome {
        AuditOutcome::Allowed => ALLOWED,
        AuditOutcome::Denied => DENIED,
    };
    db.prepare_cached(APPEND)?.execute(params![
        tenant.as_str(),
        stored(seq)?,
        new.id.as_bytes(),
        tx.now.as_millis(),
        new.who,
        new.via,
        new.from,
        new.what,
        new.target,
        outcome,
        new.change,
        hash.as_bytes(),
    ])?;
    Ok(AuditEntry {
        seq,
        at: tx.now,
        new: new.clone(),
        hash,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::check_query_plans;

    #[test]
    fn every_statement_finds_its_rows_by_an_index() {
        check_query_plans(&[BY_ID, PAGE, HEAD]);
    }
}
