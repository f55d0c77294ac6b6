//! What is put into inboxes: by signals, by other executions' steps, and about slots.

use nebula_core::{ExecutionId, TenantId};
use nebula_ports::{DedupeKey, SLOT_PREFIX, Signalled};
use rusqlite::{OptionalExtension, params};
use serde_json::Value;

use crate::{
    error::Fault,
    row::{Row, number, stored},
    sum,
    writer::Tx,
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
pub(crate) fn signal(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    execution: ExecutionId,
    item: &NewItem,
) -> Result<Signalled, Fault> {
    let Some(mut row) = Row::load(tx.connection, tenant, execution)? else {
        return Ok(Signalled::Unknown);
    };
    let signalled = put(tx, &mut row, item)?;
    if matches!(signalled, Signalled::Delivered { .. }) {
        row.store(tx.connection, tx.now)?;
    }
    Ok(signalled)
}

/// Puts an item into the inbox of `row`, which the caller stores afterwards.
pub(crate) fn put(tx: &mut Tx<'_>, row: &mut Row, item: &NewItem) -> Result<Signalled, Fault> {
    let mut find = tx
        .connection
        .prepare_cached("SELECT seq FROM inbox WHERE execution = ? AND dedupe = ?")?;
    let first: Option<i64> = find
        .query_row(params![row.n, item.dedupe], |found| found.get(0))
        .optional()?;
    if let Some(seq) = first {
        return Ok(Signalled::Duplicate { seq: number(seq)? });
    }
    if row.status.is_terminal() {
        return Ok(Signalled::Terminal(row.status));
    }
    let seq = row.inbox_head + 1;
    let mut insert = tx.connection.prepare_cached(
        "INSERT INTO inbox (execution, seq, at, kind, payload, dedupe, sum)
         VALUES (?, ?, ?, ?, ?, ?, ?)",
    )?;
    let (place, at) = (stored(seq)?, tx.now.as_millis());
    let sum = sum::of(&item_parts(
        &item_place(row.n, place, at),
        item.kind.as_bytes(),
        item.payload.as_bytes(),
    ));
    insert.execute(params![
        row.n,
        place,
        at,
        item.kind,
        item.payload,
        item.dedupe,
        sum
    ])?;
    row.inbox_head = seq;
    row.wake(tx.now);
    Ok(Signalled::Delivered { seq })
}

/// Where an item belongs, as its sum has it.
pub(crate) fn item_place(n: i64, seq: i64, at: i64) -> [[u8; 8]; 3] {
    [n, seq, at].map(i64::to_le_bytes)
}

/// What the sum of an item is over.
pub(crate) fn item_parts<'i>(
    place: &'i [[u8; 8]; 3],
    kind: &'i [u8],
    payload: &'i [u8],
) -> [&'i [u8]; 5] {
    let [n, seq, at] = place;
    [n, seq, at, kind, payload]
}
