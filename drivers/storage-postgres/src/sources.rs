//! The statements behind what sources bring to triggers, and where they stand.

use nebula_core::{TenantId, Timestamp, TriggerId, WorkflowId};
use nebula_ports::{Bringing, Brought, Looked, MAX_ARRIVALS, check_bringing};
use nebula_postgres::params;
use serde_json::Value;

use crate::{
    arrivals::first,
    error::Fault,
    link::Link,
    row::{number, stored},
    tx::Tx,
};

const CURSOR: &str = "SELECT cursor FROM cursors WHERE tenant = $1 AND workflow = $2 AND id = $3";
/// What a bringing decides by; the row is locked from then on.
const STANDS: &str = "SELECT revision, arrived, waiting FROM triggers
    WHERE tenant = $1 AND workflow = $2 AND id = $3 FOR UPDATE";
const PUT: &str = "INSERT INTO arrivals (tenant, workflow, id, n, at, brought)
    SELECT $1, $2, $3, $4 + w.nth, $5, w.brought
    FROM unnest($6::text[]) WITH ORDINALITY AS w (brought, nth)";
const ARRIVED: &str = "UPDATE triggers SET arrived = arrived + $4, waiting = waiting + $4,
        due = least(coalesce(due, $5), $5)
    WHERE tenant = $1 AND workflow = $2 AND id = $3";
const LOOKED: &str = concat!(
    "UPDATE triggers AS t SET through = $4, revision = revision + 1, due = coalesce(",
    first!(),
    ", $5) WHERE t.tenant = $1 AND t.workflow = $2 AND t.id = $3"
);
const KEEP: &str = "INSERT INTO cursors (tenant, workflow, id, cursor) VALUES ($1, $2, $3, $4)
    ON CONFLICT (tenant, workflow, id) DO UPDATE SET cursor = excluded.cursor";

/// What a source has, in the form in which it is stored.
#[derive(Debug)]
pub(crate) struct Stock {
    items: Vec<String>,
    looked: Option<(Looked, Option<String>)>,
}

impl Stock {
    /// # Errors
    /// `Invalid`: something is larger than its limit.
    pub(crate) fn new(brings: Bringing) -> Result<Self, Fault> {
        check_bringing(&brings).map_err(Fault::invalid)?;
        let Bringing { items, looked } = brings;
        let looked = looked.map(|looked| {
            let cursor = looked.cursor.as_ref().map(Value::to_string);
            (looked, cursor)
        });
        Ok(Self {
            items: items.iter().map(Value::to_string).collect(),
            looked,
        })
    }

    pub(crate) fn bytes(&self) -> usize {
        let cursor = self.looked.as_ref().and_then(|(_, it)| it.as_ref());
        let cursor = cursor.map_or(0, String::len);
        self.items.iter().map(String::len).sum::<usize>() + cursor
    }
}

/// Puts what a source has where it waits, and says where the source stands then.
pub(crate) async fn bring(
    tx: &Tx,
    tenant: &TenantId,
    (workflow, trigger): (&WorkflowId, &TriggerId),
    stock: &Stock,
) -> Result<Brought, Fault> {
    let (tenant, workflow, id) = (tenant.as_str(), workflow.as_str(), trigger.as_str());
    let Some(row) = tx.row(STANDS, params![tenant, workflow, id]).await? else {
        return Ok(Brought::Unknown);
    };
    let mut revision = number(row.try_get(0)?)?;
    let (arrived, waiting): (i64, i64) = (row.try_get(1)?, row.try_get(2)?);
    if let Some((looked, _)) = &stock.looked
        && looked.expected != revision
    {
        return Ok(Brought::Conflict { revision });
    }
    let more = i64::try_from(stock.items.len()).unwrap_or(i64::MAX);
    if waiting.saturating_add(more) > stored(MAX_ARRIVALS)? {
        return Ok(Brought::Full);
    }
    let now = tx.now.as_millis();
    if more > 0 {
        tx.execute(
            PUT,
            params![tenant, workflow, id, arrived, now, stock.items],
        )
        .await?;
    }
    if let Some((looked, cursor)) = &stock.looked {
        revision += 1;
        let through = looked.through.as_millis();
        let due = looked.due.map(Timestamp::as_millis);
        tx.execute(LOOKED, params![tenant, workflow, id, through, due])
            .await?;
        if let Some(cursor) = cursor {
            tx.execute(KEEP, params![tenant, workflow, id, cursor.as_str()])
                .await?;
        }
    }
    if more > 0 {
        tx.execute(ARRIVED, params![tenant, workflow, id, more, now])
            .await?;
    }
    Ok(Brought::Taken { revision })
}

/// Where the source of a trigger stands.
pub(crate) async fn cursor(
    link: &Link,
    (tenant, workflow, trigger): (&TenantId, &WorkflowId, &TriggerId),
) -> Result<Option<Value>, Fault> {
    let Some(row) = link
        .row(
            CURSOR,
            params![tenant.as_str(), workflow.as_str(), trigger.as_str()],
        )
        .await?
    else {
        return Ok(None);
    };
    let read = serde_json::from_str(row.try_get(0)?);
    read.map(Some).map_err(|error| {
        Fault::corrupt(format!(
            "the cursor of `{trigger}` of `{workflow}`: {error}"
        ))
    })
}

/// Its source begins anew, or is gone.
pub(crate) async fn forget(
    tx: &Tx,
    (tenant, workflow, id): (&TenantId, &WorkflowId, &str),
) -> Result<(), Fault> {
    let delete = "DELETE FROM cursors WHERE tenant = $1 AND workflow = $2 AND id = $3";
    tx.execute(delete, params![tenant.as_str(), workflow.as_str(), id])
        .await?;
    Ok(())
}
