//! Leases: who may write to an execution, and until when.

use nebula_core::{ExecutionId, TenantId};
use nebula_execution::{Entry, Fact, ParkReason, Status, encode};
use nebula_ports::{Acquired, Granted, Lease, LeaseRequest, Renewed, Snapshot};
use rusqlite::OptionalExtension;

use crate::{
    create::append,
    error::Fault,
    row::{Held, NEVER_RUNG, Row, number},
    slots, sum,
    writer::Tx,
};

/// Leases an execution that is due and unheld.
pub(crate) fn acquire(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    execution: ExecutionId,
    request: LeaseRequest,
    max_grants: u32,
) -> Result<Acquired, Fault> {
    let Some(mut row) = Row::load(tx.connection, tenant, execution)? else {
        return Ok(Acquired::Unknown);
    };
    if row.status.is_terminal() {
        return Ok(Acquired::Terminal(row.status));
    }
    if row.is_held(tx.now) {
        // Held by somebody who died is not held.
        match row.lease.and_then(|held| tx.holders.dead(held.holder)) {
            Some(dead) => {
                tx.bury(dead)?;
                row = Row::load(tx.connection, tenant, execution)?
                    .ok_or_else(|| Fault::corrupt("an execution vanished within a transaction"))?;
            }
            None => return Ok(Acquired::Held),
        }
    }
    if row.due().is_none_or(|due| due > tx.now) {
        return Ok(Acquired::NotDue);
    }
    // Whatever lease is left here has expired.
    if row.lease.is_some() {
        slots::lose_at_takeover(tx, &mut row)?;
    }
    if row.grants >= max_grants {
        return poison(tx, row);
    }
    tx.holders.register(request.holder);
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
    row.store(tx.connection, tx.now)?;
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
        snapshot: snapshot(tx, row.n)?,
        next_seq: row.next_seq,
        inbox_head: row.inbox_head,
        inbox_through: row.inbox_through,
        grants_without_progress: before,
        begins_at: row.begins_at.filter(|at| *at > tx.now),
    })))
}

/// Parks an execution whose holders all went away without a step.
fn poison(tx: &mut Tx<'_>, mut row: Row) -> Result<Acquired, Fault> {
    let grants = std::mem::take(&mut row.grants);
    row.epoch += 1;
    let fact = Fact::Parked {
        reason: ParkReason::Poison { grants },
    };
    let entries = encode(&[Entry { at: tx.now, fact }]);
    append(tx, row.n, row.next_seq, 1, row.epoch, None, &entries)?;
    row.next_seq += 1;
    row.empties = 0;
    row.status = Status::Parked;
    row.lease = None;
    row.wake_at = None;
    row.rung_at = NEVER_RUNG;
    row.updated_at = tx.now;
    row.store(tx.connection, tx.now)?;
    Ok(Acquired::Poisoned { grants })
}

fn snapshot(tx: &Tx<'_>, n: i64) -> Result<Option<Snapshot>, Fault> {
    let mut find = tx
        .connection
        .prepare_cached("SELECT through, state, sum FROM snapshots WHERE execution = ?")?;
    let found = find
        .query_row([n], |row| {
            Ok((
                row.get::<_, i64>(0)?,
                row.get::<_, Vec<u8>>(1)?,
                row.get(2)?,
            ))
        })
        .optional()?;
    found
        .map(|(through, state, sum)| {
            let place = [n, through].map(i64::to_le_bytes);
            sum::check(sum, &[&place[0], &place[1], &state], || {
                "the snapshot of an execution".to_owned()
            })?;
            Ok(Snapshot {
                through: number(through)?,
                state: state.into(),
            })
        })
        .transpose()
}

/// Renews leases, in order.
pub(crate) fn renew(tx: &mut Tx<'_>, leases: &[Lease]) -> Result<Vec<Renewed>, Fault> {
    leases.iter().map(|lease| renew_one(tx, lease)).collect()
}

fn renew_one(tx: &mut Tx<'_>, lease: &Lease) -> Result<Renewed, Fault> {
    match Row::load(tx.connection, &lease.tenant, lease.execution)? {
        Some(mut row) if row.epoch == lease.epoch && row.lease.is_some() => {
            row.lease = row.lease.map(|held| Held {
                until: tx.now.plus(lease.ttl),
                ..held
            });
            row.store(tx.connection, tx.now)?;
            Ok(Renewed::Renewed {
                inbox_head: row.inbox_head,
            })
        }
        _ => Ok(Renewed::Lost),
    }
}

/// Gives a lease back; the execution is due at once.
pub(crate) fn release(tx: &mut Tx<'_>, lease: &Lease) -> Result<(), Fault> {
    match Row::load(tx.connection, &lease.tenant, lease.execution)? {
        Some(mut row) if row.epoch == lease.epoch && row.lease.is_some() => {
            row.lease = None;
            row.grants = row.grants.saturating_sub(1);
            row.wake(tx.now);
            row.store(tx.connection, tx.now)
        }
        _ => Ok(()),
    }
}
