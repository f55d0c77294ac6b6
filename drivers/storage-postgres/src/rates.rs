//! Rates: one row for each bucket that is not full.

use nebula_core::TenantId;
use nebula_ports::{FullAt, Rate, RateTurn};
use nebula_postgres::params;

use crate::{error::Fault, tx::Tx};

/// How many rows of buckets that are full again go with each one that is written: more than one, so
/// that there are never many, however many keys there have been.
const FORGOTTEN_AT_ONCE: i64 = 2;

const FIND: &str = "SELECT full_at FROM rates WHERE tenant = $1 AND key = $2";
const KEEP: &str = "INSERT INTO rates (tenant, key, full_at) VALUES ($1, $2, $3)
    ON CONFLICT (tenant, key) DO UPDATE SET full_at = excluded.full_at";
const FORGET: &str = "WITH full_ones AS MATERIALIZED (
        SELECT tenant, key FROM rates WHERE full_at <= $1 ORDER BY full_at LIMIT $2 FOR UPDATE SKIP LOCKED)
    DELETE FROM rates AS r USING full_ones AS f WHERE r.tenant = f.tenant AND r.key = f.key";

/// What becomes of one more start; nothing is written. Nobody else takes of this rate until the transaction ends.
pub(crate) async fn turn(tx: &Tx, tenant: &TenantId, rate: &Rate) -> Result<RateTurn, Fault> {
    tx.lock("rate", tenant, rate.key()).await?;
    let row = tx.row(FIND, params![tenant.as_str(), rate.key()]).await?;
    let full_at: Option<i64> = row.map(|row| row.try_get(0)).transpose()?;
    Ok(rate.take(full_at.map(FullAt), tx.now))
}

/// Keeps what one start has taken.
pub(crate) async fn keep(
    tx: &Tx,
    tenant: &TenantId,
    rate: &Rate,
    FullAt(full_at): FullAt,
) -> Result<(), Fault> {
    forget(tx, FORGOTTEN_AT_ONCE).await?;
    tx.execute(KEEP, params![tenant.as_str(), rate.key(), full_at])
        .await?;
    Ok(())
}

/// Forgets buckets that are full again, at most `limit`.
pub(crate) async fn forget(tx: &Tx, limit: i64) -> Result<(), Fault> {
    let now = tx.now.as_millis().saturating_mul(1_000);
    tx.execute(FORGET, params![now, limit]).await?;
    Ok(())
}
