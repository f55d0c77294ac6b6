//! Who does what only one process at a time does.

use std::time::Duration;

use async_trait::async_trait;
use nebula_core::Timestamp;
use nebula_ports::{
    Campaigned, DutyName, DutyState, ErrorKind, Incarnation, LeaderElector, Leadership, MAX_DUTIES,
    Result, TermRenewed, check_duty_ttl,
};
use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use crate::{
    Sqlite,
    error::{DRIVER, Fault},
    row::{counted, number},
    writer::Tx,
};

const STANDS: &str = "SELECT term, leader IS NOT NULL, until FROM duties WHERE name = ?";
const COUNT: &str = "SELECT count(*) FROM duties";
const ELECT: &str = "INSERT OR REPLACE INTO duties (name, term, leader, until) VALUES (?, ?, ?, ?)";
const RENEW: &str = "UPDATE duties SET until = ? WHERE name = ? AND term = ? AND leader = ?";
const RESIGN: &str = "UPDATE duties SET leader = NULL WHERE name = ? AND term = ? AND leader = ?";
const LIST: &str = "SELECT name, term, leader, until FROM duties ORDER BY name";

fn campaign(
    tx: &mut Tx<'_>,
    duty: &DutyName,
    candidate: Incarnation,
    ttl: Duration,
) -> std::result::Result<Campaigned, Fault> {
    let (db, now) = (tx.connection, tx.now);
    let stands: Option<(i64, bool, i64)> = db
        .prepare_cached(STANDS)?
        .query_row([duty.as_str()], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()?;
    let before = match stands {
        None if counted(db, COUNT, [])? >= MAX_DUTIES => {
            let message = format!("there are {MAX_DUTIES} duties, the most that there may be");
            return Err(Fault::new(ErrorKind::Full, message));
        }
        None => 0,
        Some((term, led, until)) => {
            let until = Timestamp::from_millis(until);
            let number = u64::try_from(term)
                .map_err(|_| Fault::corrupt(format!("the duty `{duty}` has term {term}")))?;
            if led && until > now {
                return Ok(Campaigned::Held {
                    term: number,
                    until,
                });
            }
            term
        }
    };
    let term = before
        .checked_add(1)
        .ok_or_else(|| Fault::corrupt(format!("the duty `{duty}` has no further term")))?;
    db.prepare_cached(ELECT)?.execute(params![
        duty.as_str(),
        term,
        candidate.0.as_bytes(),
        now.plus(ttl).as_millis(),
    ])?;
    Ok(Campaigned::Elected(Leadership {
        duty: duty.clone(),
        leader: candidate,
        term: term.unsigned_abs(),
        ttl,
    }))
}

/// Every duty; there are no more than [`MAX_DUTIES`].
fn list(db: &Connection, now: Timestamp) -> std::result::Result<Vec<DutyState>, Fault> {
    let mut list = db.prepare_cached(LIST)?;
    let mut rows = list.query([])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        let duty = DutyName::new(name).map_err(|error| Fault::corrupt(error.to_string()))?;
        let leader: Option<[u8; 16]> = row.get(2)?;
        let until = Timestamp::from_millis(row.get(3)?);
        let leads = leader.filter(|_| until > now);
        all.push(DutyState {
            term: number(row.get(1)?)?,
            leader: leads.map(|it| (Incarnation(Uuid::from_bytes(it)), until)),
            duty,
        });
    }
    Ok(all)
}

/// A term as it is stored; no row has one that is too large.
fn stored(term: u64) -> i64 {
    i64::try_from(term).unwrap_or(i64::MAX)
}

#[async_trait]
impl LeaderElector for Sqlite {
    async fn campaign(
        &self,
        duty: &DutyName,
        candidate: Incarnation,
        ttl: Duration,
    ) -> Result<Campaigned> {
        check_duty_ttl(DRIVER, ttl)?;
        let duty = duty.clone();
        self.write("campaign", 0, move |tx| campaign(tx, &duty, candidate, ttl))
            .await
    }

    async fn renew(&self, leadership: &Leadership) -> Result<TermRenewed> {
        let mine = leadership.clone();
        self.write("renew a duty", 0, move |tx| {
            let until = tx.now.plus(mine.ttl).as_millis();
            let (leader, term) = (mine.leader.0.as_bytes(), stored(mine.term));
            let mut renew = tx.connection.prepare_cached(RENEW)?;
            match renew.execute(params![until, mine.duty.as_str(), term, leader])? {
                0 => Ok(TermRenewed::Over),
                _ => Ok(TermRenewed::Renewed),
            }
        })
        .await
    }

    async fn resign(&self, leadership: &Leadership) -> Result<()> {
        let mine = leadership.clone();
        self.write("give a duty back", 0, move |tx| {
            let (leader, term) = (mine.leader.0.as_bytes(), stored(mine.term));
            let mut resign = tx.connection.prepare_cached(RESIGN)?;
            resign.execute(params![mine.duty.as_str(), term, leader])?;
            Ok(())
        })
        .await
    }

    async fn duties(&self) -> Result<Vec<DutyState>> {
        let now = self.clock.now();
        self.read("list duties", move |db| list(db, now)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{check_query_plans, query_plan};

    #[test]
    fn every_statement_finds_its_rows_by_an_index() {
        check_query_plans(&[STANDS, RENEW, RESIGN]);
        // All of a small table, in the order of its key.
        let steps = query_plan(LIST);
        assert!(
            !steps.iter().any(|step| step.contains("TEMP B-TREE")),
            "{steps:?}"
        );
    }
}
