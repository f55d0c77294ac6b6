//! Who may write to an execution of the model, and for how long.

use nebula_core::{ExecutionId, TenantId, Timestamp};
use nebula_execution::{Entry, Fact, ParkReason, Status};
use nebula_ports::{Acquired, Lease, LeaseRequest, Renewed};

use super::{
    ExecutionGuard as Guard,
    record::Record,
    records::{Guards, Records},
};

impl Records {
    pub(super) fn acquire(
        &mut self,
        tenant: &TenantId,
        id: ExecutionId,
        request: LeaseRequest,
        max_grants: u32,
        now: Timestamp,
    ) -> Acquired {
        let guards = self.guards;
        let found = if guards.keep(Guard::TenantWrites) {
            Some(tenant.clone())
        } else {
            self.owner(id)
        };
        let owner = found.unwrap_or_else(|| tenant.clone());
        let Some(row) = self.get_mut(&owner, id) else {
            return if guards.keep(Guard::AcquireUnknown) {
                Acquired::Unknown
            } else {
                Acquired::NotDue
            };
        };
        if row.status.is_terminal() && guards.keep(Guard::AcquireTerminal) {
            return Acquired::Terminal(row.status);
        }
        if row.is_held(guards, now) && guards.keep(Guard::HeldCheck) {
            return Acquired::Held;
        }
        if row.due_since(guards, now).is_none()
            && !row.is_held(guards, now)
            && guards.keep(Guard::DueCheck)
        {
            return Acquired::NotDue;
        }
        let parks = row.grants >= max_grants;
        let loses = if parks {
            Guard::SlotPoisonLoses
        } else {
            Guard::SlotTakeoverLoses
        };
        if row.is_expired(guards, now) && guards.keep(loses) {
            self.lose_at_takeover(&owner, id, now);
        }
        let row = self.get_mut(&owner, id).expect("it was there just now");
        if parks {
            return poison(guards, row, now);
        }
        let before = row.grants;
        let lease = grant(guards, row, (tenant, id), request, now);
        let mut granted = row.granted(guards, lease);
        granted.grants_without_progress = before;
        granted.begins_at = row
            .begins_later(now)
            .filter(|_| guards.keep(Guard::RateGrantTells));
        Acquired::Granted(Box::new(granted))
    }

    pub(super) fn renew(&mut self, lease: &Lease, now: Timestamp) -> Renewed {
        let guards = self.guards;
        let Some(row) = self.get_mut(&lease.tenant, lease.execution) else {
            return Renewed::Lost;
        };
        let head = if guards.keep(Guard::RenewHead) {
            row.inbox_head()
        } else {
            0
        };
        let mine = row.epoch == lease.epoch || !guards.keep(Guard::RenewEpoch);
        let expired = row.lease.is_some() && !row.is_held(guards, now);
        if row.lease.is_none() && !row.status.is_terminal() && !guards.keep(Guard::RenewReleased) {
            return Renewed::Renewed { inbox_head: head };
        }
        let loses = expired && mine && !guards.keep(Guard::SlotRenewKeeps);
        let renewed = match &mut row.lease {
            Some(until) if mine && (!expired || guards.keep(Guard::RenewExpired)) => {
                if guards.keep(Guard::RenewExtends) {
                    *until = now.plus(lease.ttl);
                }
                if !guards.keep(Guard::RenewalIsNoProgress) {
                    row.grants = 0;
                }
                Renewed::Renewed { inbox_head: head }
            }
            _ => Renewed::Lost,
        };
        if loses {
            self.lose_at_takeover(&lease.tenant, lease.execution, now);
        }
        renewed
    }

    pub(super) fn release(&mut self, lease: &Lease, now: Timestamp) {
        let guards = self.guards;
        let Some(row) = self.get_mut(&lease.tenant, lease.execution) else {
            return;
        };
        let mine = row.epoch == lease.epoch || !guards.keep(Guard::ReleaseEpoch);
        if row.lease.is_some() && mine {
            row.lease = None;
            if guards.keep(Guard::ReleaseIsNoGrant) {
                row.grants = row.grants.saturating_sub(1);
            }
            if guards.keep(Guard::ReleaseIsDue) {
                row.wake(guards, now);
            }
            if !guards.keep(Guard::SlotReleaseKeeps) {
                self.lose_at_takeover(&lease.tenant, lease.execution, now);
            }
        }
    }
}

/// Leases an execution with a new epoch. The wake-up stays: whoever comes after the lease is due by it.
pub(super) fn grant(
    guards: Guards,
    row: &mut Record,
    (tenant, execution): (&TenantId, ExecutionId),
    request: LeaseRequest,
    now: Timestamp,
) -> Lease {
    row.epoch += u64::from(guards.keep(Guard::EpochGrows) || row.epoch == 0);
    row.lease = Some(now.plus(request.ttl));
    row.grants += u32::from(guards.keep(Guard::GrantCounter));
    let idle = matches!(row.status, Status::Queued | Status::Waiting);
    if (idle && guards.keep(Guard::GrantRuns)) || (!idle && !guards.keep(Guard::GrantKeepsParked)) {
        row.status = Status::Running;
    }
    if !guards.keep(Guard::GrantKeepsWake) {
        row.wake_at = None;
    }
    if guards.keep(Guard::GrantAnswersRing) {
        row.rung_at = None;
    }
    Lease {
        tenant: tenant.clone(),
        execution,
        holder: request.holder,
        epoch: row.epoch,
        ttl: request.ttl,
    }
}

/// Parks an execution whose holders all went away without a step.
fn poison(guards: Guards, row: &mut Record, now: Timestamp) -> Acquired {
    let grants = row.grants;
    row.epoch += u64::from(guards.keep(Guard::PoisonEpoch));
    if guards.keep(Guard::PoisonEntry) {
        let fact = Fact::Parked {
            reason: ParkReason::Poison { grants },
        };
        row.append(guards, row.epoch, &[Entry { at: now, fact }]);
    }
    if guards.keep(Guard::PoisonParks) {
        row.status = Status::Parked;
    }
    if guards.keep(Guard::PoisonEpoch) {
        row.lease = None;
    }
    if guards.keep(Guard::PoisonSleeps) {
        row.wake_at = None;
    }
    if guards.keep(Guard::PoisonResets) {
        row.grants = 0;
    }
    row.rung_at = None;
    row.updated_at = now;
    Acquired::Poisoned { grants }
}
