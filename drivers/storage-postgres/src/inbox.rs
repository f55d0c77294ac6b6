//! What is put into inboxes: by signals, by other executions' steps, and about slots.

use nebula_core::{ExecutionId, TenantId};
use nebula_ports::{DedupeKey, SLOT_PREFIX, Signalled};
use serde_json::Value;

use crate::{
    error::Fault,
    pending::Item,
    row::{Row, number, stored},
    texts::check_texts,
    tx::Tx,
};

/// A signal in the form in which it is stored.
#[derive(Debug)]
pub(crate) struct NewItem {
    pub(crate) kind: String,
    /// JSON text.
    pub(crate) payload: String,
    pub(crate) dedupe: String,
}

impl NewItem {
    /// What somebody outside of the store sends.
    ///
    /// # Errors
    /// `Invalid`: it looks like an item that only the store itself makes.
    pub(crate) fn new(
        kind: String,
        payload: &Value,
        DedupeKey(dedupe): DedupeKey,
    ) -> Result<Self, Fault> {
        if kind.starts_with(SLOT_PREFIX) || dedupe.starts_with(SLOT_PREFIX) {
            return Err(Fault::invalid(format!(
                "kinds and keys of inbox items that begin with `{SLOT_PREFIX}` are the store's own"
            )));
        }
        check_texts([kind.as_str(), dedupe.as_str()])?;
        Ok(Self {
            kind,
            payload: payload.to_string(),
            dedupe,
        })
    }

    pub(crate) fn bytes(&self) -> usize {
        self.kind.len() + self.payload.len() + self.dedupe.len()
    }
}

/// Puts a signal into an inbox and makes the execution due.
pub(crate) async fn signal(
    tx: &Tx,
    tenant: &TenantId,
    execution: ExecutionId,
    item: &NewItem,
) -> Result<Signalled, Fault> {
    let Some(mut row) = tx.load(tenant, execution).await? else {
        return Ok(Signalled::Unknown);
    };
    let signalled = put(tx, &mut row, item).await?;
    if matches!(signalled, Signalled::Delivered { .. }) {
        tx.store(row);
    }
    Ok(signalled)
}

/// Puts an item into the inbox of `row`, which the caller stores afterwards.
pub(crate) async fn put(tx: &Tx, row: &mut Row, item: &NewItem) -> Result<Signalled, Fault> {
    if let Some(seq) = tx.item(row.n, &item.dedupe).await? {
        return Ok(Signalled::Duplicate { seq: number(seq)? });
    }
    if row.status.is_terminal() {
        return Ok(Signalled::Terminal(row.status));
    }
    let seq = row.inbox_head + 1;
    tx.pend(|pending| {
        pending.item(Item {
            tenant: row.tenant.clone(),
            execution: row.n,
            seq,
            kind: item.kind.clone(),
            payload: item.payload.clone(),
            dedupe: item.dedupe.clone(),
        });
    });
    tx.has_item(row.n, &item.dedupe, stored(seq)?);
    row.inbox_head = seq;
    row.wake(tx.now);
    Ok(Signalled::Delivered { seq })
}
