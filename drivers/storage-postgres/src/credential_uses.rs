//! Who was given which version of a credential when.

use nebula_core::{CredentialId, ExecutionId, TenantId, Timestamp};
use nebula_ports::{CredentialUse, CredentialUser, MAX_CREDENTIAL_USES, MAX_USE_NODE, UseRecorded};
use nebula_postgres::{Row, params};
use uuid::Uuid;

use crate::{
    ask::version as version_of,
    error::Fault,
    link::Link,
    row::{limited, number, stored, uuid},
    texts::check_texts,
    tx::Tx,
};

/// The row is locked: uses of a credential are numbered one after the other.
const FIND: &str = "SELECT n, last_use FROM credentials
    WHERE tenant = $1 AND id = $2 AND key IS NOT NULL FOR UPDATE";
const ADD: &str = "INSERT INTO credential_uses
    (tenant, credential, number, version, at, by, execution, node, attempt)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
const USED: &str = "UPDATE credentials SET used_at = $2, last_use = $3 WHERE n = $1";
const FORGET: &str = "DELETE FROM credential_uses WHERE credential = $1 AND number <= $2";
const LIST: &str =
    "SELECT u.number, u.version, u.at, u.by, u.execution, u.node, u.attempt FROM credential_uses AS u
    WHERE u.credential = (SELECT n FROM credentials WHERE tenant = $1 AND id = $2) AND u.number < $3
    ORDER BY u.number DESC LIMIT $4";

const ATTEMPT: i16 = 1;
const REFRESH: i16 = 2;
const TEST: i16 = 3;
const CHANGE: i16 = 4;

fn read(row: &Row) -> Result<CredentialUse, Fault> {
    let unreadable = || Fault::corrupt("a stored use of a credential names no user");
    let (execution, node): (Option<Uuid>, Option<String>) = (row.try_get(4)?, row.try_get(5)?);
    let attempt: Option<i64> = row.try_get(6)?;
    let user = match (row.try_get(3)?, execution, node, attempt) {
        (ATTEMPT, Some(execution), Some(node), Some(attempt)) => CredentialUser::Attempt {
            execution: ExecutionId::from(execution),
            node,
            attempt: u32::try_from(attempt).map_err(|_| unreadable())?,
        },
        (REFRESH, None, None, None) => CredentialUser::Refresh,
        (TEST, None, None, None) => CredentialUser::Test,
        (CHANGE, None, None, None) => CredentialUser::Change,
        _ => return Err(unreadable()),
    };
    Ok(CredentialUse {
        number: number(row.try_get(0)?)?,
        version: version_of(row.try_get(1)?)?,
        at: Timestamp::from_millis(row.try_get(2)?),
        user,
    })
}

/// Adds a use; the oldest goes above the limit.
pub(crate) async fn record(
    tx: &Tx,
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
            check_texts([node.as_str()])?;
            let attempt = i64::from(*attempt);
            (
                ATTEMPT,
                Some(uuid(*execution)),
                Some(node.as_str()),
                Some(attempt),
            )
        }
        CredentialUser::Refresh => (REFRESH, None, None, None),
        CredentialUser::Test => (TEST, None, None, None),
        CredentialUser::Change => (CHANGE, None, None, None),
    };
    let of = tenant.as_str();
    let Some(row) = tx.row(FIND, params![of, id.as_str()]).await? else {
        return Ok(UseRecorded::Unknown);
    };
    let (credential, last): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
    let (next, version, now) = (last + 1, i64::from(version), tx.now.as_millis());
    tx.execute(
        ADD,
        params![
            of, credential, next, version, now, kind, execution, node, attempt
        ],
    )
    .await?;
    tx.execute(USED, params![credential, now, next]).await?;
    let kept = i64::try_from(MAX_CREDENTIAL_USES).expect("a small number");
    if next > kept {
        tx.execute(FORGET, params![credential, next - kept]).await?;
    }
    Ok(UseRecorded::Recorded)
}

/// Uses of a credential, also of a deleted one, newest first.
pub(crate) async fn list(
    link: &Link,
    tenant: &TenantId,
    id: &CredentialId,
    before: Option<u64>,
    limit: usize,
) -> Result<Vec<CredentialUse>, Fault> {
    let before = before.map_or(Ok(i64::MAX), stored)?;
    let rows = link
        .rows(
            LIST,
            params![tenant.as_str(), id.as_str(), before, limited(limit)],
        )
        .await?;
    rows.iter().map(read).collect()
}
