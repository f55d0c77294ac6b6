//! Rates: one row for each bucket that is not full.

use nebula_core::TenantId;
use nebula_ports::{FullAt, Rate, RateTurn};
use rusqlite::{OptionalExtension, params};

use crate::{error::Fault, writer::Tx};

/// How many rows of buckets that are full again go with each one that is written: more than one, so
/// that there are never many, however many keys there have been.
const FORGOTTEN_AT_ONCE: i64 = 2;

const FIND: &str = "SELECT full_at FROM rates WHERE tenant = ? AND key = ?";
const KEEP: &str = "INSERT INTO rates (tenant, key, full_at) VALUES (?, ?, ?)
    ON CONFLICT (tenant, key) DO UPDATE SET full_at = excluded.full_at";
const FORGET: &str = "DELETE FROM rates WHERE (tenant, key) IN
    (SELECT tenant, key FROM rates INDEXED BY rates_full WHERE full_at <= ? LIMIT ?)";

/// What becomes of one more start; nothing is written.
pub(crate) fn turn(tx: &Tx<'_>, tenant: &TenantId, rate: &Rate) -> Result<RateTurn, Fault> {
    let mut find = tx.connection.prepare_cached(FIND)?;
    let full_at: Option<i64> = find
        .query_row(params![tenant.as_str(), rate.key()], |row| row.get(0))
        .optional()?;
    Ok(rate.take(full_at.map(FullAt), tx.now))
}

/// Keeps what one start has taken.
pub(crate) fn keep(
    tx: &Tx<'_>,
    tenant: &TenantId,
    rate: &Rate,
    FullAt(full_at): FullAt,
) -> Result<(), Fault> {
    forget(tx, FORGOTTEN_AT_ONCE)?;
    let mut keep = tx.connection.prepare_cached(KEEP)?;
    keep.execute(params![tenant.as_str(), rate.key(), full_at])?;
    Ok(())
}

/// Forgets buckets that are full again, at most `limit`.
pub(crate) fn forget(tx: &Tx<'_>, limit: i64) -> Result<(), Fault> {
    let mut forget = tx.connection.prepare_cached(FORGET)?;
    let now = tx.now.as_millis().saturating_mul(1_000);
    forget.execute(params![now, limit])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::query_plan;

    #[test]
    fn every_statement_finds_its_rows_by_an_index() {
        for sql in [FIND, FORGET] {
            let steps = query_plan(sql);
            assert!(
                steps.iter().any(|step| step.starts_with("SEARCH")),
                "{steps:?}"
            );
            let walked = steps.iter().find(|step| step.starts_with("SCAN"));
            assert!(walked.is_none(), "{steps:?}");
        }
    }
}
