//! Moving an execution to another version of its workflow.

use nebula_core::{Digest, ExecutionId, TenantId};
use nebula_execution::{Entry, Fact, encode};
use nebula_ports::Moved;
use rusqlite::params;

use crate::{
    create::append,
    error::Fault,
    row::{NEVER_RUNG, Row},
    writer::Tx,
};

/// A migration in the form in which it is stored; made by the caller's thread, not by the writer.
#[derive(Debug)]
pub(crate) struct Moving {
    expected_seq: u64,
    version: u32,
    plan: Digest,
    entries: Vec<u8>,
}

impl Moving {
    /// Encodes the entry of a migration.
    ///
    /// # Errors
    /// `Invalid`: it says nothing of one.
    pub(crate) fn new(expected_seq: u64, entry: Entry) -> Result<Self, Fault> {
        let Fact::Migrated { version, plan } = entry.fact else {
            return Err(Fault::invalid("the entry says nothing of a migration"));
        };
        Ok(Self {
            expected_seq,
            version,
            plan,
            entries: encode(&[entry]),
        })
    }

    pub(crate) fn bytes(&self) -> usize {
        self.entries.len()
    }
}

/// Moves version, plan and journal, or says why not.
pub(crate) fn migrate(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    execution: ExecutionId,
    moving: &Moving,
) -> Result<Moved, Fault> {
    let Some(mut row) = Row::load(tx.connection, tenant, execution)? else {
        return Ok(Moved::Unknown);
    };
    if row.status.is_terminal() {
        return Ok(Moved::Terminal(row.status));
    }
    if row.lease.is_some() {
        return Ok(Moved::Held);
    }
    if row.next_seq != moving.expected_seq {
        let actual = row.next_seq;
        return Ok(Moved::Conflict { actual });
    }
    row.epoch += 1;
    append(tx, row.n, row.next_seq, 1, row.epoch, None, &moving.entries)?;
    row.next_seq += 1;
    row.empties = 0;
    row.updated_at = tx.now;
    row.rung_at = NEVER_RUNG;
    row.wake(tx.now);
    row.store(tx.connection, tx.now)?;
    let mut plan = tx
        .connection
        .prepare_cached("UPDATE executions SET version = ?2, plan = ?3 WHERE n = ?1")?;
    plan.execute(params![row.n, moving.version, moving.plan.as_bytes()])?;
    let mut snapshot = tx
        .connection
        .prepare_cached("DELETE FROM snapshots WHERE execution = ?")?;
    snapshot.execute([row.n])?;
    Ok(Moved::Moved {
        next_seq: row.next_seq,
    })
}
