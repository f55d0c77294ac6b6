//! Who was given which version of a credential when.

use nebula_core::{CredentialId, ExecutionId, TenantId, Timestamp};
use nebula_ports::{CredentialUse, CredentialUser, MAX_CREDENTIAL_USES, MAX_USE_NODE, UseRecorded};
use rusqlite::{Connection, OptionalExtension, Row as SqlRow, params};

use crate::{
    error::Fault,
    row::{number, stored},
    sum,
    writer::Tx,
};

const FIND: &str = "SELECT n, last_use FROM credentials
    WHERE tenant = ? AND id = ? AND key IS NOT NULL";
const ADD: &str = "INSERT INTO credential_uses
    (credential, number, version, at, user, execution, node, attempt, sum)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
const USED: &str = "UPDATE credentials SET used_at = ?2, last_use = ?3 WHERE n = ?1";
const FORGET: &str = "DELETE FROM credential_uses WHERE credential = ? AND number <= ?";
const OF: &str = "SELECT n FROM credentials WHERE tenant = ? AND id = ?";
const LIST: &str = "SELECT number, version, at, user, execution, node, attempt, sum
    FROM credential_uses WHERE credential = ? AND number < ? ORDER BY number DESC LIMIT ?";

const ATTEMPT: i64 = 1;
const REFRESH: i64 = 2;
const TEST: i64 = 3;
const CHANGE: i64 = 4;

/// A use as it is stored.
#[derive(Debug, PartialEq)]
struct Stored {
    number: i64,
    version: u32,
    at: i64,
    user: i64,
    execution: Option<[u8; 16]>,
    node: Option<String>,
    attempt: Option<u32>,
}

impl Stored {
    /// What it adds up to, with the credential that it belongs to.
    fn sum(&self, credential: i64) -> i64 {
        sum::of(&[
            &credential.to_be_bytes(),
            &self.number.to_be_bytes(),
            &self.version.to_be_bytes(),
            &self.at.to_be_bytes(),
            &self.user.to_be_bytes(),
            self.execution.as_ref().map_or(&[], |it| &it[..]),
            self.node.as_deref().unwrap_or_default().as_bytes(),
            &self.attempt.unwrap_or(0).to_be_bytes(),
        ])
    }

    fn read(row: &SqlRow<'_>, credential: i64) -> Result<Self, Fault> {
        let read = Self {
            number: row.get(0)?,
            version: row.get(1)?,
            at: row.get(2)?,
            user: row.get(3)?,
            execution: row.get(4)?,
            node: row.get(5)?,
            attempt: row.get(6)?,
        };
        if read.sum(credential) != row.get::<_, i64>(7)? {
            return Err(Fault::corrupt(
                "a use of a credential is damaged: its content does not match its sum",
            ));
        }
        Ok(read)
    }

    fn into_use(self) -> Result<CredentialUse, Fault> {
        let unreadable = || Fault::corrupt("a stored use of a credential names no user");
        let user = match (self.user, self.execution, self.node, self.attempt) {
            (ATTEMPT, Some(execution), Some(node), Some(attempt)) => CredentialUser::Attempt {
                execution: ExecutionId::from_bytes(execution),
                node,
                attempt,
            },
            (REFRESH, None, None, None) => CredentialUser::Refresh,
            (TEST, None, None, None) => CredentialUser::Test,
            (CHANGE, None, None, None) => CredentialUser::Change,
            _ => return Err(unreadable()),
        };
        Ok(CredentialUse {
            number: number(self.number)?,
            version: self.version,
            at: Timestamp::from_millis(self.at),
            user,
        })
    }
}

/// Adds a use; the oldest goes above the limit.
pub(crate) fn record(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    id: &CredentialId,
    version: u32,
    user: &CredentialUser,
) -> Result<UseRecorded, Fault> {
    let (kind, execution, node, attempt) = match user {
        CredentialUser::Attempt {
            execution,
            node,
            attempt,
        } => {
            let bytes = node.len();
            if !(1..=MAX_USE_NODE).contains(&bytes) {
                return Err(Fault::invalid(format!(
                    "the node has {bytes} bytes; there may be 1 to {MAX_USE_NODE}"
                )));
            }
            let execution = *execution.as_bytes();
            (ATTEMPT, Some(execution), Some(node.clone()), Some(*attempt))
        }
        CredentialUser::Refresh => (REFRESH, None, None, None),
        CredentialUser::Test => (TEST, None, None, None),
        CredentialUser::Change => (CHANGE, None, None, None),
    };
    let mut find = tx.connection.prepare_cached(FIND)?;
    let found: Option<(i64, i64)> = find
        .query_row(params![tenant.as_str(), id.as_str()], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    let Some((credential, last)) = found else {
        return Ok(UseRecorded::Unknown);
    };
    let new = Stored {
        number: last + 1,
        version,
        at: tx.now.as_millis(),
        user: kind,
        execution,
        node,
        attempt,
    };
    let mut add = tx.connection.prepare_cached(ADD)?;
    add.execute(params![
        credential,
        new.number,
        new.version,
        new.at,
        new.user,
        new.execution,
        new.node,
        new.attempt,
        new.sum(credential)
    ])?;
    let mut used = tx.connection.prepare_cached(USED)?;
    used.execute(params![credential, new.at, new.number])?;
    let kept = i64::try_from(MAX_CREDENTIAL_USES).expect("a small number");
    let mut forget = tx.connection.prepare_cached(FORGET)?;
    forget.execute(params![credential, new.number - kept])?;
    Ok(UseRecorded::Recorded)
}

/// Uses of a credential, also of a deleted one, newest first.
pub(crate) fn list(
    db: &Connection,
    tenant: &TenantId,
    id: &CredentialId,
    before: Option<u64>,
    limit: usize,
) -> Result<Vec<CredentialUse>, Fault> {
    let mut of = db.prepare_cached(OF)?;
    let found: Option<i64> = of
        .query_row(params![tenant.as_str(), id.as_str()], |row| row.get(0))
        .optional()?;
    let Some(credential) = found else {
        return Ok(Vec::new());
    };
    let before = before.map_or(Ok(i64::MAX), stored)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut list = db.prepare_cached(LIST)?;
    let mut rows = list.query(params![credential, before, limit])?;
    let mut uses = Vec::new();
    while let Some(row) = rows.next()? {
        uses.push(Stored::read(row, credential)?.into_use()?);
    }
    Ok(uses)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::query_plan;

    #[test]
    fn every_statement_finds_its_rows_by_an_index() {
        for sql in [FIND, USED, FORGET, OF, LIST] {
            let steps = query_plan(sql);
            let searched = steps.iter().any(|step| step.starts_with("SEARCH"));
            let walked = steps.iter().any(|step| step.starts_with("SCAN"));
            let sorted = steps.iter().any(|step| step.contains("TEMP B-TREE"));
            assert!(searched && !walked && !sorted, "{sql}: {steps:?}");
        }
    }
}
