//! Moving an execution to another version of its workflow.

use nebula_core::{Digest, ExecutionId, TenantId};
use nebula_execution::{Entry, Fact, encode};
use nebula_ports::Moved;
use nebula_postgres::params;

use crate::{error::Fault, pending::Batch, row::NEVER_RUNG, tx::Tx};

/// A migration in the form in which it is stored; made by the caller's thread.
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
pub(crate) async fn migrate(
    tx: &Tx,
    tenant: &TenantId,
    execution: ExecutionId,
    moving: &Moving,
) -> Result<Moved, Fault> {
    let Some(mut row) = tx.load(tenant, execution).await? else {
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
    tx.pend(|pending| {
        pending.append(Batch {
            tenant: tenant.clone(),
            execution: row.n,
            first_seq: row.next_seq,
            count: 1,
            epoch: row.epoch,
            step: None,
            entries: moving.entries.clone(),
        });
    });
    row.next_seq += 1;
    row.empties = 0;
    row.updated_at = tx.now;
    row.rung_at = NEVER_RUNG;
    row.wake(tx.now);
    (row.plan, row.moved_to) = (moving.plan, Some(moving.version));
    let (n, next_seq) = (row.n, row.next_seq);
    if std::mem::take(&mut row.has_snapshot) {
        let sql = "DELETE FROM snapshots WHERE execution = $1";
        tx.execute(sql, params![n]).await?;
    }
    tx.store(row);
    Ok(Moved::Moved { next_seq })
}
