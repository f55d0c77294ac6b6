//! Leases: who may write to an execution, and until when.

use nebula_core::{ExecutionId, TenantId};
use nebula_execution::{Entry, Fact, ParkReason, Status, encode};
use nebula_ports::{Acquired, Granted, Lease, LeaseRequest, Renewed, Snapshot};
use nebula_postgres::params;

use crate::{
    error::Fault,
    pending::Batch,
    row::{Held, NEVER_RUNG, Row, number},
    slots::{self, Has},
    tx::Tx,
};

/// Leases an execution that is due and unheld.
pub(crate) async fn acquire(
    tx: &Tx,
    tenant: &TenantId,
    execution: ExecutionId,
    request: LeaseRequest,
    max_grants: u32,
) -> Result<Acquired, Fault> {
    let Some(row) = tx.load(tenant, execution).await? else {
        return Ok(Acquired::Unknown);
    };
    if row.status.is_terminal() {
        return Ok(Acquired::Terminal(row.status));
    }
    if row.is_held(tx.now) {
        return Ok(Acquired::Held);
    }
    if row.due().is_none_or(|due| due > tx.now) {
        return Ok(Acquired::NotDue);
    }
    // Whatever lease is left here has expired.
    if row.lease.is_some() && row.slots == Has::Granted {
        slots::lose_at_takeover(tx, row.n).await?;
    }
    let mut row = tx.known(row.n)?;
    if row.grants >= max_grants {
        return Ok(poison(tx, row));
    }
    let before = row.grants;
    row.epoch += 1;
    row.lease = Some(Held {
        holder: request.holder,
        until: tx.now.plus(request.ttl),
    });
    row.grants += 1;
    row.rung_at = NEVER_RUNG;
    if matches!(row.status, Status::Queued | Status::Waiting) {
        row.status = Status::Running;
    }
    tx.store(row.clone());
    let snapshot = match row.has_snapshot {
        true => snapshot(tx, row.n).await?,
        false => None,
    };
    Ok(Acquired::Granted(Box::new(Granted {
        lease: Lease {
            tenant: tenant.clone(),
            execution,
            holder: request.holder,
            epoch: row.epoch,
            ttl: request.ttl,
        },
        status: row.status,
        plan: row.plan,
        snapshot,
        next_seq: row.next_seq,
        inbox_head: row.inbox_head,
        inbox_through: row.inbox_through,
        grants_without_progress: before,
        begins_at: row.begins_at.filter(|at| *at > tx.now),
    })))
}

/// Parks an execution whose holders all went away without a step.
fn poison(tx: &Tx, mut row: Row) -> Acquired {
    let grants = std::mem::take(&mut row.grants);
    row.epoch += 1;
    let fact = Fact::Parked {
        reason: ParkReason::Poison { grants },
    };
    tx.pend(|pending| {
        pending.append(Batch {
            tenant: row.tenant.clone(),
            execution: row.n,
            first_seq: row.next_seq,
            count: 1,
            epoch: row.epoch,
            step: None,
            entries: encode(&[Entry { at: tx.now, fact }]),
        });
    });
    row.next_seq += 1;
    row.empties = 0;
    row.status = Status::Parked;
    row.lease = None;
    row.wake_at = None;
    row.rung_at = NEVER_RUNG;
    row.updated_at = tx.now;
    tx.store(row);
    Acquired::Poisoned { grants }
}

async fn snapshot(tx: &Tx, n: i64) -> Result<Option<Snapshot>, Fault> {
    let sql = "SELECT through, state FROM snapshots WHERE execution = $1";
    let Some(row) = tx.row(sql, params![n]).await? else {
        return Ok(None);
    };
    Ok(Some(Snapshot {
        through: number(row.try_get(0)?)?,
        state: row.try_get::<_, Vec<u8>>(1)?.into(),
    }))
}

/// Renews leases, in order.
pub(crate) async fn renew(tx: &Tx, leases: &[Lease]) -> Result<Vec<Renewed>, Fault> {
    let mut renewed = Vec::with_capacity(leases.len());
    for lease in leases {
        renewed.push(renew_one(tx, lease).await?);
    }
    Ok(renewed)
}

async fn renew_one(tx: &Tx, lease: &Lease) -> Result<Renewed, Fault> {
    match tx.load(&lease.tenant, lease.execution).await? {
        Some(mut row) if row.epoch == lease.epoch && row.lease.is_some() => {
            row.lease = row.lease.map(|held| Held {
                until: tx.now.plus(lease.ttl),
                ..held
            });
            let inbox_head = row.inbox_head;
            tx.store(row);
            Ok(Renewed::Renewed { inbox_head })
        }
        _ => Ok(Renewed::Lost),
    }
}

/// Gives a lease back; the execution is due at once.
pub(crate) async fn release(tx: &Tx, lease: &Lease) -> Result<(), Fault> {
    if let Some(mut row) = tx.load(&lease.tenant, lease.execution).await?
        && row.epoch == lease.epoch
        && row.lease.is_some()
    {
        row.lease = None;
        row.grants = row.grants.saturating_sub(1);
        row.wake(tx.now);
        tx.store(row);
    }
    Ok(())
}
