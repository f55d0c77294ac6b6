//! The statements behind what sources bring to triggers, and where they stand.

use nebula_core::{TenantId, Timestamp, TriggerId, WorkflowId};
use nebula_ports::{Bringing, Brought, Looked, MAX_ARRIVALS, check_bringing};
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::Value;

use crate::{arrivals, error::Fault, row::stored, triggers::revision, writer::Tx};

const CURSOR: &str = "SELECT cursor FROM cursors WHERE tenant = ? AND workflow = ? AND id = ?";

/// What a source has, in the form in which it is stored; made by the caller's thread.
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
pub(crate) fn bring(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    (workflow, trigger): (&WorkflowId, &TriggerId),
    stock: &Stock,
) -> Result<Brought, Fault> {
    let Some(found) = revision(tx.connection, tenant, workflow, trigger)? else {
        return Ok(Brought::Unknown);
    };
    if let Some((looked, _)) = &stock.looked
        && looked.expected != found
    {
        return Ok(Brought::Conflict { revision: found });
    }
    let place = (tenant.as_str(), workflow.as_str(), trigger.as_str());
    let (waiting, last) = arrivals::waiting(tx.connection, place)?;
    let more = i64::try_from(stock.items.len()).unwrap_or(i64::MAX);
    if waiting.saturating_add(more) > stored(MAX_ARRIVALS)? {
        return Ok(Brought::Full);
    }
    let (tenant, workflow, id) = place;
    for (n, item) in (last + 1..).zip(&stock.items) {
        let mut put = tx.connection.prepare_cached(
            "INSERT INTO arrivals (tenant, workflow, id, n, at, brought) VALUES (?, ?, ?, ?, ?, ?)",
        )?;
        put.execute(params![tenant, workflow, id, n, tx.now.as_millis(), item])?;
    }
    let mut revision = found;
    if let Some((looked, cursor)) = &stock.looked {
        revision += 1;
        let mut change = tx.connection.prepare_cached(
            "UPDATE triggers SET through = ?4, revision = ?6,
                 due = coalesce((SELECT a.at FROM arrivals AS a
                     WHERE a.tenant = ?1 AND a.workflow = ?2 AND a.id = ?3 ORDER BY a.n LIMIT 1), ?5)
             WHERE tenant = ?1 AND workflow = ?2 AND id = ?3",
        )?;
        change.execute(params![
            tenant,
            workflow,
            id,
            looked.through.as_millis(),
            looked.due.map(Timestamp::as_millis),
            stored(revision)?,
        ])?;
        if let Some(cursor) = cursor {
            let mut keep = tx.connection.prepare_cached(
                "INSERT INTO cursors (tenant, workflow, id, cursor) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT DO UPDATE SET cursor = ?4",
            )?;
            keep.execute(params![tenant, workflow, id, cursor])?;
        }
    }
    if !stock.items.is_empty() {
        arrivals::wake(tx, place)?;
    }
    Ok(Brought::Taken { revision })
}

/// Where the source of a trigger stands.
pub(crate) fn cursor(
    db: &Connection,
    tenant: &TenantId,
    workflow: &WorkflowId,
    trigger: &TriggerId,
) -> Result<Option<Value>, Fault> {
    let mut find = db.prepare_cached(CURSOR)?;
    let key = [tenant.as_str(), workflow.as_str(), trigger.as_str()];
    let found: Option<String> = find.query_row(key, |row| row.get(0)).optional()?;
    let read = |text: String| {
        serde_json::from_str(&text).map_err(|error| {
            Fault::corrupt(format!(
                "the cursor of `{trigger}` of `{workflow}`: {error}"
            ))
        })
    };
    found.map(read).transpose()
}

/// Its source begins anew, or is gone.
pub(crate) fn forget(
    tx: &Tx<'_>,
    tenant: &TenantId,
    workflow: &WorkflowId,
    id: &str,
) -> Result<(), Fault> {
    let mut delete = tx
        .connection
        .prepare_cached("DELETE FROM cursors WHERE tenant = ? AND workflow = ? AND id = ?")?;
    delete.execute([tenant.as_str(), workflow.as_str(), id])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_statement_finds_its_rows_by_an_index() {
        crate::schema::check_query_plans(&[CURSOR]);
    }
}
