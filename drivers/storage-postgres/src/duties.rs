//! Who does what only one process at a time does.

use std::time::Duration;

use async_trait::async_trait;
use nebula_core::Timestamp;
use nebula_ports::{
    Campaigned, DutyName, DutyState, ErrorKind, Incarnation, LeaderElector, Leadership, MAX_DUTIES,
    Result, TermRenewed, check_duty_ttl,
};
use nebula_postgres::params;

use crate::{
    Postgres,
    ask::counted,
    error::{DRIVER, Fault},
    link::Link,
    row::number,
    tx::Tx,
};

/// What a campaign decides by. The row is locked from then on: of two candidates the second sees the first.
const STANDS: &str =
    "SELECT term, leader IS NOT NULL, until FROM duties WHERE name = $1 FOR UPDATE";
/// A duty is new once in its life; those who bring one take turns, so that they are counted.
const ALONE: &str = "LOCK TABLE duties IN SHARE ROW EXCLUSIVE MODE";
const COUNT: &str = "SELECT count(*) FROM duties";
const ELECT: &str = "INSERT INTO duties (name, term, leader, until) VALUES ($1, $2, $3, $4)
    ON CONFLICT (name) DO UPDATE SET term = $2, leader = $3, until = $4";
const RENEW: &str = "UPDATE duties SET until = $1 WHERE name = $2 AND term = $3 AND leader = $4";
const RESIGN: &str =
    "UPDATE duties SET leader = NULL WHERE name = $1 AND term = $2 AND leader = $3";
const LIST: &str = "SELECT name, term, leader, until FROM duties ORDER BY name";

async fn campaign(
    tx: &Tx,
    duty: &DutyName,
    candidate: Incarnation,
    ttl: Duration,
) -> std::result::Result<Campaigned, Fault> {
    let mut stands = tx.row(STANDS, params![duty.as_str()]).await?;
    if stands.is_none() {
        tx.execute(ALONE, params![]).await?;
        stands = tx.row(STANDS, params![duty.as_str()]).await?;
    }
    let before = match stands {
        None if counted(tx, COUNT, params![]).await? >= MAX_DUTIES => {
            let message = format!("there are {MAX_DUTIES} duties, the most that there may be");
            return Err(Fault::new(ErrorKind::Full, message));
        }
        None => 0,
        Some(row) => {
            let (term, led): (i64, bool) = (row.try_get(0)?, row.try_get(1)?);
            let until = Timestamp::from_millis(row.try_get(2)?);
            let number = u64::try_from(term)
                .map_err(|_| Fault::corrupt(format!("the duty `{duty}` has term {term}")))?;
            if led && until > tx.now {
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
    let until = tx.now.plus(ttl).as_millis();
    tx.execute(ELECT, params![duty.as_str(), term, candidate.0, until])
        .await?;
    Ok(Campaigned::Elected(Leadership {
        duty: duty.clone(),
        leader: candidate,
        term: term.unsigned_abs(),
        ttl,
    }))
}

/// Every duty; there are no more than [`MAX_DUTIES`].
async fn list(link: &Link) -> std::result::Result<Vec<DutyState>, Fault> {
    let now = link.now().await?;
    let mut all = Vec::new();
    for row in link.rows(LIST, params![]).await? {
        let name: &str = row.try_get(0)?;
        let duty = DutyName::new(name).map_err(|error| Fault::corrupt(error.to_string()))?;
        let until = Timestamp::from_millis(row.try_get(3)?);
        let leader: Option<uuid::Uuid> = row.try_get(2)?;
        let leads = leader.filter(|_| until > now);
        all.push(DutyState {
            term: number(row.try_get(1)?)?,
            leader: leads.map(|it| (Incarnation(it), until)),
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
impl LeaderElector for Postgres {
    async fn campaign(
        &self,
        duty: &DutyName,
        candidate: Incarnation,
        ttl: Duration,
    ) -> Result<Campaigned> {
        check_duty_ttl(DRIVER, ttl)?;
        let data = (duty.clone(), candidate, ttl);
        self.write("campaign", 0, data, |tx, (duty, candidate, ttl)| {
            Box::pin(campaign(tx, duty, *candidate, *ttl))
        })
        .await
    }

    async fn renew(&self, leadership: &Leadership) -> Result<TermRenewed> {
        self.write("renew a duty", 0, leadership.clone(), |tx, mine| {
            Box::pin(async move {
                let until = tx.now.plus(mine.ttl).as_millis();
                let (leader, term) = (mine.leader.0, stored(mine.term));
                let renewed = tx
                    .execute(RENEW, params![until, mine.duty.as_str(), term, leader])
                    .await?;
                Ok(match renewed {
                    0 => TermRenewed::Over,
                    _ => TermRenewed::Renewed,
                })
            })
        })
        .await
    }

    async fn resign(&self, leadership: &Leadership) -> Result<()> {
        self.write("give a duty back", 0, leadership.clone(), |tx, mine| {
            Box::pin(async move {
                let (leader, term) = (mine.leader.0, stored(mine.term));
                tx.execute(RESIGN, params![mine.duty.as_str(), term, leader])
                    .await?;
                Ok(())
            })
        })
        .await
    }

    async fn duties(&self) -> Result<Vec<DutyState>> {
        self.read("list duties", (), |link, ()| Box::pin(list(link)))
            .await
    }
}
