//! The statements behind what is announced to triggers; they run in the transactions of steps,
//! publications and creations.
//!
//! Whoever changes what waits at a trigger has its row locked, so that two transactions give out no number
//! twice, and numbers come in the order of the commits.

use nebula_core::{ExecutionId, TenantId, Timestamp, TriggerId, WorkflowId};
use nebula_ports::{
    ARRIVALS_FULL, Announcement, Arrival, Arrived, MAX_ARRIVALS, Passing, Subscription,
    TriggerUpdated,
};
use nebula_postgres::{Row, params};
use uuid::Uuid;

use crate::{
    error::Fault,
    link::{Link, Statement},
    row::{limited, number, stored, uuid},
    triggers::revision,
    tx::Tx,
};

/// The first of what waits at a trigger `t`: it is due from then on.
macro_rules! first {
    () => {
        "(SELECT a.at FROM arrivals AS a
            WHERE a.tenant = t.tenant AND a.workflow = t.workflow AND a.id = t.id ORDER BY a.n LIMIT 1)"
    };
}
pub(crate) use first;

/// Puts what was announced where triggers listen, one arrival for each announcement and trigger, and wakes
/// these. The triggers are locked in one order. Their revisions stay: whoever starts by an arrival before
/// leaves a trigger due for this one.
const ANNOUNCE: &str = "WITH heard AS (
        SELECT x.*, row_number() OVER (PARTITION BY x.tenant, x.workflow, x.id ORDER BY x.place) AS nth
        FROM (SELECT DISTINCT s.tenant, s.workflow, s.id, w.topic, w.execution, w.seq, w.place
            FROM unnest($1::text[], $2::text[], $3::text[], $4::uuid[], $5::bigint[]) WITH ORDINALITY
                AS w (tenant, topic, source, execution, seq, place)
            JOIN subscriptions AS s ON s.tenant = w.tenant AND s.topic = w.topic AND s.source IN ('', w.source)
        ) AS x
    ), locked AS MATERIALIZED (
        SELECT t.tenant, t.workflow, t.id, t.arrived, greatest($7 - t.waiting, 0) AS room FROM triggers AS t
        WHERE (t.tenant, t.workflow, t.id) IN (SELECT h.tenant, h.workflow, h.id FROM heard AS h)
        ORDER BY t.tenant, t.workflow, t.id FOR UPDATE OF t
    ), put AS (
        INSERT INTO arrivals (tenant, workflow, id, n, at, topic, execution, seq)
        SELECT h.tenant, h.workflow, h.id, l.arrived + h.nth, $6, h.topic, h.execution, h.seq
        FROM heard AS h JOIN locked AS l ON l.tenant = h.tenant AND l.workflow = h.workflow AND l.id = h.id
        WHERE h.nth <= l.room
    )
    UPDATE triggers AS t SET arrived = t.arrived + least(k.heard, k.room), waiting = t.waiting + least(k.heard, k.room),
        due = CASE WHEN k.room > 0 THEN least(coalesce(t.due, $6), $6) ELSE t.due END,
        left_at = CASE WHEN k.heard > k.room THEN $6 ELSE t.left_at END,
        left_by = CASE WHEN k.heard > k.room THEN $6 ELSE t.left_by END,
        left_why = CASE WHEN k.heard > k.room THEN $8 ELSE t.left_why END
    FROM (SELECT l.tenant, l.workflow, l.id, l.room, count(*) AS heard FROM locked AS l
        JOIN heard AS h ON h.tenant = l.tenant AND h.workflow = l.workflow AND h.id = l.id
        GROUP BY l.tenant, l.workflow, l.id, l.room) AS k
    WHERE t.tenant = k.tenant AND t.workflow = k.workflow AND t.id = k.id";
const PAGE: &str = "SELECT n, at, topic, execution, seq, brought FROM arrivals
    WHERE tenant = $1 AND workflow = $2 AND id = $3 ORDER BY n LIMIT $4";
const SUBSCRIBE: &str = "INSERT INTO subscriptions (tenant, topic, source, workflow, id)
    SELECT $1, w.topic, w.source, $2, $3 FROM unnest($4::text[], $5::text[]) AS w (topic, source)
    ON CONFLICT DO NOTHING";
const TAKE: &str =
    "DELETE FROM arrivals WHERE tenant = $1 AND workflow = $2 AND id = $3 AND n = ANY ($4)";
const TAKEN: &str = concat!(
    "UPDATE triggers AS t SET waiting = t.waiting - $4, due = coalesce(",
    first!(),
    ", t.due) WHERE t.tenant = $1 AND t.workflow = $2 AND t.id = $3"
);
const PASS: &str = "UPDATE triggers SET revision = revision + 1, due = $4,
        left_at = CASE WHEN $7 IS NULL THEN left_at ELSE $5 END,
        left_by = CASE WHEN $7 IS NULL THEN left_by ELSE $6 END, left_why = coalesce($7, left_why)
    WHERE tenant = $1 AND workflow = $2 AND id = $3";

/// What a transaction announces, as columns.
#[derive(Debug, Default)]
pub(crate) struct Announced {
    tenant: Vec<String>,
    topic: Vec<String>,
    source: Vec<String>,
    execution: Vec<Uuid>,
    seq: Vec<i64>,
}

impl Announced {
    pub(crate) fn is_empty(&self) -> bool {
        self.seq.is_empty()
    }

    /// Puts these where triggers listen.
    pub(crate) fn statement<'s>(&'s self, now: &'s i64) -> Statement<'s> {
        const MOST: i64 = MAX_ARRIVALS.cast_signed();
        let columns = params![
            self.tenant,
            self.topic,
            self.source,
            self.execution,
            self.seq,
            *now,
            MOST,
            ARRIVALS_FULL
        ];
        Statement {
            sql: ANNOUNCE,
            params: columns.to_vec(),
        }
    }
}

/// Puts what a step of an execution of `workflow` announces where triggers listen: with whatever else the
/// transaction writes, so that where nobody listens it costs no round trip.
pub(crate) async fn announce(
    tx: &Tx,
    tenant: &TenantId,
    (execution, workflow): (ExecutionId, &str),
    all: &[Announcement],
) -> Result<(), Fault> {
    for Announcement { topic, seq } in all {
        let seq = stored(*seq)?;
        tx.pend(|pending| {
            let announced = &mut pending.announced;
            announced.tenant.push(tenant.to_string());
            announced.topic.push(topic.clone());
            announced.source.push(workflow.to_owned());
            announced.execution.push(uuid(execution));
            announced.seq.push(seq);
        });
    }
    Ok(())
}

/// Says what a trigger of a new version listens to.
pub(crate) async fn subscribe(
    tx: &Tx,
    (tenant, workflow, id): (&TenantId, &WorkflowId, &str),
    all: &[Subscription],
) -> Result<(), Fault> {
    if all.is_empty() {
        return Ok(());
    }
    let topics: Vec<&str> = all.iter().map(|it| it.topic.as_str()).collect();
    let source =
        |it: &'_ Subscription| it.source.as_ref().map_or("", WorkflowId::as_str).to_owned();
    let sources: Vec<String> = all.iter().map(source).collect();
    let (tenant, workflow) = (tenant.as_str(), workflow.as_str());
    tx.execute(SUBSCRIBE, params![tenant, workflow, id, topics, sources])
        .await?;
    Ok(())
}

/// Nothing of a workflow listens any more.
pub(crate) async fn unsubscribe(
    tx: &Tx,
    tenant: &TenantId,
    workflow: &WorkflowId,
) -> Result<(), Fault> {
    let delete = "DELETE FROM subscriptions WHERE tenant = $1 AND workflow = $2";
    tx.execute(delete, params![tenant.as_str(), workflow.as_str()])
        .await?;
    Ok(())
}

/// Drops what waits at a trigger; its row is locked, or gone.
pub(crate) async fn drop_all(
    tx: &Tx,
    (tenant, workflow, id): (&TenantId, &WorkflowId, &str),
) -> Result<(), Fault> {
    let (tenant, workflow) = (tenant.as_str(), workflow.as_str());
    let delete = "DELETE FROM arrivals WHERE tenant = $1 AND workflow = $2 AND id = $3";
    let gone = tx.execute(delete, params![tenant, workflow, id]).await?;
    if gone > 0 {
        let none =
            "UPDATE triggers SET waiting = 0 WHERE tenant = $1 AND workflow = $2 AND id = $3";
        tx.execute(none, params![tenant, workflow, id]).await?;
    }
    Ok(())
}

/// Takes arrivals of a trigger whose row is locked; it is due when the next one is, if there is one.
pub(crate) async fn take(
    tx: &Tx,
    (tenant, workflow, trigger): (&TenantId, &WorkflowId, &TriggerId),
    taken: &[u64],
) -> Result<(), Fault> {
    let (tenant, workflow, id) = (tenant.as_str(), workflow.as_str(), trigger.as_str());
    let taken: Vec<i64> = taken.iter().map(|n| stored(*n)).collect::<Result<_, _>>()?;
    let gone = tx
        .execute(TAKE, params![tenant, workflow, id, taken])
        .await?;
    tx.execute(TAKEN, params![tenant, workflow, id, stored(gone)?])
        .await?;
    Ok(())
}

/// Passes over arrivals, unless the trigger has changed since.
pub(crate) async fn pass(
    tx: &Tx,
    tenant: &TenantId,
    (workflow, trigger): (&WorkflowId, &TriggerId),
    expected: u64,
    passing: &Passing,
) -> Result<TriggerUpdated, Fault> {
    let Some(found) = revision(tx, tenant, workflow, trigger).await? else {
        return Ok(TriggerUpdated::Unknown);
    };
    if found != expected {
        return Ok(TriggerUpdated::Conflict { revision: found });
    }
    let left_out = passing.left_out.as_ref();
    tx.execute(
        PASS,
        params![
            tenant.as_str(),
            workflow.as_str(),
            trigger.as_str(),
            passing.due.map(Timestamp::as_millis),
            left_out.map(|it| it.occurrence.as_millis()),
            left_out.map(|it| it.at.as_millis()),
            left_out.map(|it| it.why.as_str()),
        ],
    )
    .await?;
    take(tx, (tenant, workflow, trigger), &passing.arrivals).await?;
    Ok(TriggerUpdated::Updated {
        revision: found + 1,
    })
}

/// What waits at a trigger.
pub(crate) async fn page(
    link: &Link,
    (tenant, workflow, trigger): (&TenantId, &WorkflowId, &TriggerId),
    limit: usize,
) -> Result<Vec<Arrival>, Fault> {
    let (tenant, workflow, id) = (tenant.as_str(), workflow.as_str(), trigger.as_str());
    let rows = link
        .rows(PAGE, params![tenant, workflow, id, limited(limit)])
        .await?;
    rows.iter().map(arrival).collect()
}

fn arrival(row: &Row) -> Result<Arrival, Fault> {
    let what = match row.try_get::<_, Option<&str>>(5)? {
        Some(brought) => {
            let brought = serde_json::from_str(brought);
            let damaged = |error| Fault::corrupt(format!("what was brought: {error}"));
            Arrived::Brought(brought.map_err(damaged)?)
        }
        None => Arrived::Announced {
            topic: row.try_get(2)?,
            execution: row.try_get::<_, Uuid>(3)?.into(),
            seq: number(row.try_get(4)?)?,
        },
    };
    Ok(Arrival {
        n: number(row.try_get(0)?)?,
        at: Timestamp::from_millis(row.try_get(1)?),
        what,
    })
}
