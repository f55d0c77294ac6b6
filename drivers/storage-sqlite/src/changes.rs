//! What changed since somebody looked last: row numbers, which grow in the order of commits.
//!
//! Every creation has a row of `executions`, every entry after it one of `journal`, and a status that a
//! step moved alone one of `status_moves`. So nothing is written for those who follow but the last.

use std::collections::BTreeSet;

use nebula_core::{TenantId, Timestamp};
use nebula_ports::{ChangeCursor, Changes, MAX_CHANGES_BEHIND};
use rusqlite::{Connection, params};

use crate::{
    error::Fault,
    read::{SUMMARY, summary},
    row::{number, stored},
    writer::Tx,
};

/// How many rows of each table a page looks at.
const LOOKED_AT: usize = 1_024;

/// What was created.
const CREATED: &str =
    "SELECT n, n, tenant FROM executions NOT INDEXED WHERE n > ? ORDER BY n LIMIT ?";
/// What was written.
const WRITTEN: &str =
    "SELECT j, n, tenant FROM journal NOT INDEXED LEFT JOIN executions ON n = execution
     WHERE j > ? ORDER BY j LIMIT ?";
/// What was moved.
const MOVED: &str = "SELECT m, n, tenant FROM status_moves LEFT JOIN executions ON n = execution
     WHERE m > ? ORDER BY m LIMIT ?";
/// The newest row of each table, and the generation.
const NOW: &str = "SELECT coalesce((SELECT max(n) FROM executions), 0),
            coalesce((SELECT max(j) FROM journal), 0),
            coalesce((SELECT max(m) FROM status_moves), 0),
            (SELECT max(g) FROM change_generations)";
/// What was left by the deletions since a generation.
const LEFT: &str =
    "SELECT count(*), coalesce(min(n), 0), coalesce(min(j), 0) FROM change_generations WHERE g > ?";

/// The highest numbers that were seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    generation: i64,
    created: i64,
    written: i64,
    moved: i64,
}

impl Seen {
    fn now(db: &Connection) -> Result<Self, Fault> {
        let now = db.prepare_cached(NOW)?.query_row([], |row| {
            Ok(Self {
                created: row.get(0)?,
                written: row.get(1)?,
                moved: row.get(2)?,
                generation: row.get(3)?,
            })
        })?;
        Ok(now)
    }

    /// What a cursor says; nothing, if it is none of ours.
    fn parse(ChangeCursor(text): &ChangeCursor) -> Option<Self> {
        let mut numbers = text.split('.').map(|it| {
            let plain = it.bytes().all(|byte| byte.is_ascii_digit());
            plain.then(|| it.parse().ok()).flatten()
        });
        let mut next = || numbers.next().flatten();
        let seen = Self {
            generation: next()?,
            created: next()?,
            written: next()?,
            moved: next()?,
        };
        numbers.next().is_none().then_some(seen)
    }

    fn cursor(self) -> ChangeCursor {
        let Self {
            generation,
            created,
            written,
            moved,
        } = self;
        ChangeCursor(format!("{generation}.{created}.{written}.{moved}"))
    }

    /// The same in the generation of now; nothing, if that cannot be said any more.
    fn in_generation(self, db: &Connection, now: Self) -> Result<Option<Self>, Fault> {
        let since = now.generation.checked_sub(self.generation);
        let Some(since) = since.filter(|since| *since >= 0) else {
            return Ok(None);
        };
        let mut left = db.prepare_cached(LEFT)?;
        let (known, created, written): (i64, i64, i64) = left
            .query_row([self.generation], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?;
        if known != since {
            return Ok(None);
        }
        let mut seen = Self {
            generation: now.generation,
            ..self
        };
        if since > 0 {
            seen.created = seen.created.min(created);
            seen.written = seen.written.min(written);
        }
        Ok(Some(seen))
    }

    /// How many changes there are since, at most; nothing, if it is ahead of now.
    fn behind(self, now: Self) -> Option<u64> {
        let numbers = [
            (now.created, self.created),
            (now.written, self.written),
            (now.moved, self.moved),
        ];
        let behind = numbers
            .into_iter()
            .map(|(now, seen)| u64::try_from(now.checked_sub(seen)?).ok());
        behind.collect::<Option<Vec<_>>>()?.into_iter().max()
    }
}

/// Executions of a tenant that changed after a cursor.
pub(crate) fn changes(
    db: &Connection,
    tenant: &TenantId,
    after: Option<&ChangeCursor>,
    limit: usize,
    at: Timestamp,
) -> Result<Changes, Fault> {
    // Of one commit, so that numbers and generation belong together.
    let snapshot = db.unchecked_transaction()?;
    let db = &*snapshot;
    let now = Seen::now(db)?;
    let Some(after) = after else {
        return Ok(Changes::Changed {
            executions: Vec::new(),
            next: now.cursor(),
            more: false,
        });
    };
    let lost = Changes::Lost { next: now.cursor() };
    let Some(seen) = Seen::parse(after) else {
        return Ok(lost);
    };
    let Some(mut seen) = seen.in_generation(db, now)? else {
        return Ok(lost);
    };
    if seen
        .behind(now)
        .is_none_or(|behind| behind > MAX_CHANGES_BEHIND)
    {
        return Ok(lost);
    }
    let mut page = Page {
        db,
        tenant,
        limit: limit.max(1),
        found: BTreeSet::new(),
        more: false,
    };
    page.walk(WRITTEN, &mut seen.written)?;
    page.walk(CREATED, &mut seen.created)?;
    page.walk(MOVED, &mut seen.moved)?;
    let mut find = db.prepare_cached(&format!("SELECT {SUMMARY} FROM executions WHERE n = ?"))?;
    let mut executions = Vec::with_capacity(page.found.len());
    for n in &page.found {
        let found = find.query_row([n], |row| Ok(summary(row, at)))?;
        executions.push(found?);
    }
    Ok(Changes::Changed {
        executions,
        next: seen.cursor(),
        more: page.more,
    })
}

/// What a page has so far.
struct Page<'p> {
    db: &'p Connection,
    tenant: &'p TenantId,
    limit: usize,
    /// The numbers of executions.
    found: BTreeSet<i64>,
    more: bool,
}

impl Page<'_> {
    /// Goes on in one table after `seen`, as far as there is room.
    fn walk(&mut self, sql: &str, seen: &mut i64) -> Result<(), Fault> {
        let mut find = self.db.prepare_cached(sql)?;
        let most = i64::try_from(LOOKED_AT + 1).unwrap_or(i64::MAX);
        let mut rows = find.query(params![*seen, most])?;
        let mut looked_at = 0;
        while let Some(row) = rows.next()? {
            // An execution that was deleted has no row any more, and those of others are none of ours.
            let (n, owner): (Option<i64>, Option<String>) = (row.get(1)?, row.get(2)?);
            let ours = n.filter(|_| owner.as_deref() == Some(self.tenant.as_str()));
            let full =
                ours.is_some_and(|n| self.found.len() == self.limit && !self.found.contains(&n));
            if looked_at == LOOKED_AT || full {
                self.more = true;
                break;
            }
            looked_at += 1;
            self.found.extend(ours);
            *seen = row.get(0)?;
        }
        Ok(())
    }
}

/// Writes down that a step moved the status of an execution without an entry.
pub(crate) fn status_moved(tx: &Tx<'_>, n: i64) -> Result<(), Fault> {
    let mut put = tx
        .connection
        .prepare_cached("INSERT INTO status_moves (execution) VALUES (?)")?;
    put.execute([n])?;
    let newest = number(tx.connection.last_insert_rowid())?;
    let Some(last) = newest.checked_sub(MAX_CHANGES_BEHIND).filter(|it| *it > 0) else {
        return Ok(());
    };
    let mut forget = tx
        .connection
        .prepare_cached("DELETE FROM status_moves WHERE m < ?")?;
    forget.execute([stored(last)?])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::check_query_plans;

    #[test]
    fn changes_are_found_by_their_numbers() {
        check_query_plans(&[CREATED, WRITTEN, MOVED, LEFT]);
    }

    #[track_caller]
    fn check(text: &str, good: bool) {
        let cursor = ChangeCursor(text.to_owned());
        let seen = Seen::parse(&cursor);
        assert_eq!(seen.is_some(), good, "{text}");
        assert!(seen.is_none_or(|seen| seen.cursor() == cursor));
    }

    #[test]
    fn a_cursor_is_four_numbers() {
        check("1.20.300.0", true);
        for bad in [
            "",
            "1.2.3",
            "1.2.3.4.5",
            "1.2.3.-4",
            "1.2.3.+4",
            "1.2.3.x",
            "1..2.3",
            "1.2.3.99999999999999999999",
        ] {
            check(bad, false);
        }
    }
}
