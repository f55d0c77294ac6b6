//! What changed since somebody looked last: by the transactions that wrote it.
//!
//! Every creation has a row of `executions`, every entry after it one of `journal`, and a status that a step
//! moved alone one of `status_moves`; each has the number of its transaction. Numbers are given out before the
//! commits, so a page goes only as far as every transaction has ended: what is told behind that is told next.

use std::collections::BTreeSet;

use nebula_core::TenantId;
use nebula_ports::{ChangeCursor, Changes, MAX_CHANGES_BEHIND};
use nebula_postgres::params;

use crate::{
    error::Fault,
    link::Link,
    read::{SUMMARY, summary},
};

/// How many rows of each table a page looks at.
const LOOKED_AT: usize = 1_024;

/// Before which number every transaction of this database has ended, and which store this is.
///
/// The snapshot of the statement is older than what it reads of sessions: a transaction that is in neither has
/// ended, and the statements that follow see what it wrote. Sessions say the lower half of a number; one that is
/// not below the snapshot's end began after it. Where sessions of others are not shown, those of the whole server
/// count, which can be told later.
const HORIZON: &str = "WITH snapshot AS MATERIALIZED (
        SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS oldest,
            pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS next),
    sessions AS (
        SELECT (next - backend_xid::text::bigint) & 4294967295 AS back, usename, state
        FROM snapshot, pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid())
    SELECT CASE WHEN EXISTS (SELECT 1 FROM sessions WHERE usename <> current_user AND state IS NULL)
            THEN oldest ELSE next - coalesce((SELECT max(back) FROM sessions WHERE back < 2147483648), 0) END,
        (SELECT id::text FROM store)
    FROM snapshot";

/// How many rows of a table there are between two transactions, up to a limit.
const BEHIND: &str = "SELECT count(*) FROM (
    SELECT 1 FROM executions WHERE xid >= $1 AND xid < $4
    UNION ALL SELECT 1 FROM journal WHERE xid >= $2 AND xid < $4
    UNION ALL SELECT 1 FROM status_moves WHERE xid >= $3 AND xid < $4
    LIMIT $5) AS behind";

/// What was created, written and moved behind a place, with the tenant and number of the execution.
const TABLES: [&str; 3] = [
    "SELECT xid, n, 0::bigint, tenant FROM executions
        WHERE xid >= $1 AND (xid, n) > ($1, $2) AND $3 = $3 AND xid < $4 ORDER BY xid, n LIMIT $5",
    "SELECT xid, execution, first_seq, tenant FROM journal
        WHERE xid >= $1 AND (xid, execution, first_seq) > ($1, $2, $3) AND xid < $4
        ORDER BY xid, execution, first_seq LIMIT $5",
    "SELECT xid, execution, 0::bigint, tenant FROM status_moves
        WHERE xid >= $1 AND (xid, execution) > ($1, $2) AND $3 = $3 AND xid < $4
        ORDER BY xid, execution LIMIT $5",
];

/// A place in a table: everything up to it was seen.
type Place = (i64, i64, i64);

/// How far each table was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen([Place; 3]);

impl Seen {
    /// Everything before this transaction.
    fn before(horizon: i64) -> Self {
        Self([(horizon, -1, -1); 3])
    }

    /// What a cursor says; nothing, if it is not of this store.
    fn parse(ChangeCursor(text): &ChangeCursor, store: &str) -> Option<Self> {
        let (text, sum) = text.rsplit_once('.')?;
        if sum != sum_of(text, store) {
            return None;
        }
        let mut numbers = text.split('.').map(|it| {
            let digits = it.strip_prefix('-').unwrap_or(it);
            let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            plain.then(|| it.parse::<i64>().ok()).flatten()
        });
        let mut next = || numbers.next().flatten();
        let mut place = || Some((next()?, next()?, next()?));
        let seen = Self([place()?, place()?, place()?]);
        numbers.next().is_none().then_some(seen)
    }

    fn cursor(self, store: &str) -> ChangeCursor {
        let places = self
            .0
            .iter()
            .map(|(xid, n, seq)| format!("{xid}.{n}.{seq}"));
        let text = places.collect::<Vec<_>>().join(".");
        let sum = sum_of(&text, store);
        ChangeCursor(format!("{text}.{sum}"))
    }
}

/// What tells a cursor of this store from those of others: FNV-1a over its places and the store's name.
fn sum_of(places: &str, store: &str) -> String {
    let bytes = places.bytes().chain(store.bytes());
    let sum = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{sum:016x}")
}

/// Executions of a tenant that changed after a cursor.
pub(crate) async fn changes(
    link: &Link,
    tenant: &TenantId,
    after: Option<&ChangeCursor>,
    limit: usize,
) -> Result<Changes, Fault> {
    let row = link.row(HORIZON, params![]).await?;
    let row =
        row.ok_or_else(|| Fault::corrupt("the server does not say which transactions end"))?;
    let (horizon, store): (i64, String) = (row.try_get(0)?, row.try_get(1)?);
    let now = Seen::before(horizon).cursor(&store);
    let Some(after) = after else {
        return Ok(Changes::Changed {
            executions: Vec::new(),
            next: now,
            more: false,
        });
    };
    let seen =
        Seen::parse(after, &store).filter(|seen| seen.0.iter().all(|(xid, ..)| *xid <= horizon));
    let Some(mut seen) = seen else {
        return Ok(Changes::Lost { next: now });
    };
    if seen != Seen::before(horizon) && is_far(link, seen, horizon).await? {
        return Ok(Changes::Lost { next: now });
    }
    let (mut found, mut more) = (BTreeSet::new(), false);
    for (sql, place) in TABLES.iter().zip(&mut seen.0) {
        let most = i64::try_from(LOOKED_AT + 1).unwrap_or(i64::MAX);
        let given = params![place.0, place.1, place.2, horizon, most];
        let rows = link.rows(sql, given).await?;
        let mut whole = true;
        for (looked_at, row) in rows.iter().enumerate() {
            let (n, owner): (i64, &str) = (row.try_get(1)?, row.try_get(3)?);
            let ours = owner == tenant.as_str();
            let full = ours && found.len() == limit.max(1) && !found.contains(&n);
            if looked_at == LOOKED_AT || full {
                (whole, more) = (false, true);
                break;
            }
            if ours {
                found.insert(n);
            }
            *place = (row.try_get(0)?, n, row.try_get(2)?);
        }
        if whole {
            *place = (horizon, -1, -1);
        }
    }
    let found: Vec<i64> = found.into_iter().collect();
    let mut executions = Vec::with_capacity(found.len());
    if !found.is_empty() {
        let sql =
            format!("SELECT {SUMMARY} FROM executions AS e WHERE e.n = ANY ($1) ORDER BY e.n");
        let (rows, at) = link.rows_now(&sql, params![found]).await?;
        for row in rows {
            executions.push(summary(&row, at)?);
        }
    }
    Ok(Changes::Changed {
        executions,
        next: seen.cursor(&store),
        more,
    })
}

/// Whether there are more changes behind a cursor than anybody is told one by one.
async fn is_far(link: &Link, Seen(seen): Seen, horizon: i64) -> Result<bool, Fault> {
    let limit = i64::try_from(MAX_CHANGES_BEHIND).unwrap_or(i64::MAX);
    let [created, written, moved] = seen.map(|(xid, ..)| xid);
    let given = params![created, written, moved, horizon, limit + 1];
    let row = link.row(BEHIND, given).await?;
    let row = row.ok_or_else(|| Fault::corrupt("a count gives no row"))?;
    Ok(row.try_get::<_, i64>(0)? > limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_three_places_in_one_store() {
        let seen = Seen([(1, 20, 300), (4, 5, 6), (7, -1, -1)]);
        let ChangeCursor(text) = seen.cursor("store");
        let read = |text: &str| Seen::parse(&ChangeCursor(text.to_owned()), "store");
        assert_eq!(read(&text), Some(seen));
        let elsewhere = Seen::parse(&ChangeCursor(text.clone()), "other");
        assert_eq!(elsewhere, None);
        for bad in [
            "",
            "1.2.3",
            &text[..text.len() - 1],
            &text.replacen('1', "2", 1),
            &format!("9.{text}"),
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
