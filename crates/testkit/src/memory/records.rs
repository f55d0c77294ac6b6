//! Every execution of the model, and what each call does to them.
//!
//! Each function here is one transaction: the caller works on a copy and keeps it on success only.

use std::{collections::BTreeMap, sync::Arc};

use nebula_core::{Digest, ExecutionId, TenantId, Timestamp};
use nebula_execution::{Entry, Fact, NewExecution, Started};
use nebula_ports::{
    Created, DedupeKey, ErrorKind, Exceeded, ExecutionRepo, FullAt, InboxItem, LeaseRequest,
    NewSignal, PortError, Quotas, Rate, RateTurn, Result, Signalled, SlotClaim, Usage,
};

use super::{
    ExecutionGuard as Guard, TriggerGuard,
    leases::grant,
    record::{DRIVER, Record},
    slots::{Place, Queue},
    triggers::Table,
};

/// Which guard is missing, if one is.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Guards(pub(super) Option<Guard>);

impl Guards {
    pub(super) fn keep(self, guard: Guard) -> bool {
        self.0 != Some(guard)
    }
}

/// What a dedupe key began.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    id: ExecutionId,
    fingerprint: Digest,
    /// When it ended; the key's time begins then.
    ended_at: Option<Timestamp>,
    created_at: Timestamp,
}

/// Everything that the store knows.
#[derive(Debug, Clone, Default)]
pub(super) struct Records {
    /// Shared with the copy that a transaction works on, until either changes.
    pub(super) rows: BTreeMap<(TenantId, ExecutionId), Arc<Record>>,
    pub(super) dedupe: BTreeMap<(TenantId, DedupeKey), Seen>,
    pub(super) waits: BTreeMap<(TenantId, Digest), ExecutionId>,
    /// Claims in the order in which they came; no queue is empty.
    pub(super) slots: BTreeMap<Queue, Vec<Place>>,
    /// When each bucket is full again that is not.
    pub(super) rates: BTreeMap<(TenantId, String), FullAt>,
    /// Shared with whoever publishes: what a creation moves, it moves after it was refused by nobody.
    pub(super) triggers: Table,
    pub(super) guards: Guards,
    /// How many changes there have been.
    pub(super) changes: u64,
    /// Set by a conflict where the guard against it is gone.
    pub(super) tainted: bool,
}

impl Records {
    pub(super) fn keep(&self, guard: Guard) -> bool {
        self.guards.keep(guard)
    }

    pub(super) fn get(&self, tenant: &TenantId, id: ExecutionId) -> Option<&Record> {
        self.rows.get(&(tenant.clone(), id)).map(Arc::as_ref)
    }

    pub(super) fn get_mut(&mut self, tenant: &TenantId, id: ExecutionId) -> Option<&mut Record> {
        self.rows.get_mut(&(tenant.clone(), id)).map(Arc::make_mut)
    }

    pub(super) fn create(
        &mut self,
        tenant: &TenantId,
        new: NewExecution,
        dedupe: Option<DedupeKey>,
        lease: Option<LeaseRequest>,
        now: Timestamp,
    ) -> Result<Created> {
        let guards = self.guards;
        let fingerprint = fingerprint(guards, &new)?;
        let key_tenant = if guards.keep(Guard::DedupeTenant) {
            tenant.clone()
        } else {
            TenantId::local()
        };
        let dedupe = dedupe.map(|key| (key_tenant, key));
        self.forget_old_keys(now);
        let by_key = dedupe
            .as_ref()
            .and_then(|key| self.dedupe.get(key))
            .map(|seen| (seen.id, seen.fingerprint));
        let by_id = self
            .get(tenant, new.id)
            .map(|row| (new.id, row.fingerprint));
        let rate = new.rate.as_ref().map(Rate::of_start).transpose()?;
        if let Some(rate) = rate.as_ref().filter(|_| !guards.keep(Guard::RateOnce)) {
            let _ = self.take_of_rate(tenant, rate, now);
        }
        let seen = by_key.filter(|_| guards.keep(Guard::Dedupe));
        if let Some((id, first)) = seen.or(by_id.filter(|_| guards.keep(Guard::CreateOnce))) {
            if !self.triggers.lock().keep(TriggerGuard::ExistsMovesNothing) {
                self.move_trigger(tenant, &new);
            }
            if let (Some(request), false) = (lease, guards.keep(Guard::ExistsWritesNothing)) {
                let _ = self.acquire(tenant, id, request, u32::MAX, now);
            }
            let same_input = first == fingerprint || !guards.keep(Guard::SameInput);
            return Ok(Created::Exists { id, same_input });
        }
        let seen = Seen {
            id: new.id,
            fingerprint,
            ended_at: None,
            created_at: now,
        };
        if let Some(wanted) = &new.trigger {
            let triggers = self.triggers.lock();
            if !triggers.is_at(tenant, &new.workflow, wanted) {
                if let (Some(key), false) = (dedupe, triggers.keep(TriggerGuard::OutdatedForgets)) {
                    self.dedupe.insert(key, seen);
                }
                return Ok(Created::Outdated);
            }
        }
        let starts = new
            .quotas
            .starts_per_second
            .map(Rate::of_tenant)
            .transpose()?;
        if let Err(exceeded) = self.admit(tenant, &new.quotas) {
            if let (Some(key), false) = (dedupe, guards.keep(Guard::QuotaRefusalForgets)) {
                self.dedupe.insert(key, seen);
            }
            let try_after = None;
            return Ok(Created::OverQuota {
                exceeded,
                try_after,
            });
        }
        if let Some(starts) = starts
            .as_ref()
            .filter(|_| !guards.keep(Guard::QuotaAfterSlot))
        {
            let _ = self.take_of_rate(tenant, starts, now);
        }
        let claim = new.slot.as_ref().map(SlotClaim::of_start).transpose()?;
        let limit = new.slot.as_ref().map_or(0, |slot| slot.max_waiting);
        let ahead = claim
            .as_ref()
            .and_then(|claim| self.must_wait(tenant, claim, now));
        if let Some(waiting) = ahead.filter(|waiting| *waiting >= limit)
            && guards.keep(Guard::StartSlotRefuses)
        {
            if let (Some(key), false) = (dedupe, guards.keep(Guard::StartSlotRefusalForgets)) {
                self.dedupe.insert(key, seen);
            }
            if let Some(rate) = rate.filter(|_| !guards.keep(Guard::RateAfterSlot)) {
                let _ = self.take_of_rate(tenant, &rate, now);
            }
            if !self.triggers.lock().keep(TriggerGuard::RefusedMovesNothing) {
                self.move_trigger(tenant, &new);
            }
            return Ok(Created::Full {
                waiting: waiting.min(limit),
            });
        }
        let starts = starts.filter(|_| guards.keep(Guard::QuotaStarts));
        if let Some(starts) = &starts
            && let RateTurn::Full { try_after, .. } = self.rate_turn(tenant, starts, now)
        {
            let exceeded = new.quotas.started();
            let try_after = Some(try_after);
            return Ok(Created::OverQuota {
                exceeded,
                try_after,
            });
        }
        let turn = rate.and_then(|rate| self.take_of_rate(tenant, &rate, now));
        let limited =
            matches!(turn, Some(RateTurn::Full { .. })) && guards.keep(Guard::QuotaAfterRate);
        if let Some(starts) = starts.filter(|_| !limited) {
            let _ = self.take_of_rate(tenant, &starts, now);
        }
        if let Some(RateTurn::Full { waiting, try_after }) = turn {
            if let (Some(key), false) = (dedupe, guards.keep(Guard::RateRefusalForgets)) {
                self.dedupe.insert(key, seen);
            }
            return Ok(Created::Limited { waiting, try_after });
        }
        if let Some(key) = dedupe {
            self.dedupe.insert(key, seen);
        }
        let id = new.id;
        let waits = ahead.is_some() || matches!(turn, Some(RateTurn::Later { .. }));
        if !waits || self.triggers.lock().keep(TriggerGuard::WaitingMoves) {
            self.move_trigger(tenant, &new);
        }
        self.insert(tenant, new, fingerprint, now)?;
        if let Some(RateTurn::Later {
            begins_at,
            ahead: before,
            ..
        }) = turn
        {
            self.begin_later((tenant, id), begins_at);
            if let Some(claim) = claim.filter(|_| !guards.keep(Guard::RateBeforeSlot)) {
                self.claim_start((tenant, id), &claim, ahead.is_some(), now);
            }
            let ahead = before;
            return Ok(Created::Later { begins_at, ahead });
        }
        if let Some(claim) = claim.filter(|_| guards.keep(Guard::StartSlotClaims)) {
            self.claim_start((tenant, id), &claim, ahead.is_some(), now);
        }
        if let Some(ahead) = ahead
            && guards.keep(Guard::StartSlotLease)
        {
            return Ok(Created::Waits {
                ahead: if guards.keep(Guard::StartSlotAhead) {
                    ahead
                } else {
                    0
                },
            });
        }
        let row = self.get_mut(tenant, id).expect("it was inserted just now");
        let lease = lease
            .filter(|_| guards.keep(Guard::CreatorsLease))
            .map(|request| {
                let lease = grant(guards, row, (tenant, id), request, now);
                if !guards.keep(Guard::CreatorsGrantCounts) {
                    row.grants = 0;
                }
                lease
            });
        Ok(Created::Created(lease))
    }

    /// Holds what has not ended against the quota.
    fn admit(&self, tenant: &TenantId, quotas: &Quotas) -> std::result::Result<(), Exceeded> {
        let mut used = self.used(tenant, |_| false);
        if !self.keep(Guard::QuotaExecutions) {
            used.executions = 0;
        }
        // Counted as far as the quota goes.
        let most = quotas.executions.map_or(u64::MAX, u64::from);
        used.executions = used.executions.min(most);
        // What is used of the other quotas is for the engine to know.
        used.bytes = 0;
        quotas.admit(&used)
    }

    /// What a tenant uses; `held` says which executions are.
    pub(super) fn used(&self, tenant: &TenantId, held: impl Fn(&Record) -> bool) -> Usage {
        let mut used = Usage::default();
        for ((of, _), row) in &self.rows {
            if of != tenant && self.keep(Guard::QuotaTenant) {
                continue;
            }
            if self.keep(Guard::UsageBytes) {
                used.bytes += row.journal_bytes();
            }
            if row.status.is_terminal() && self.keep(Guard::QuotaOpen) {
                continue;
            }
            used.executions += 1;
            used.held += u64::from(held(row) && self.keep(Guard::UsageHeld));
        }
        used
    }

    /// Moves the trigger that starts an execution, if one does.
    fn move_trigger(&self, tenant: &TenantId, new: &NewExecution) {
        if let Some(wanted) = &new.trigger {
            let mut triggers = self.triggers.lock();
            triggers.start(tenant, &new.workflow, wanted, new.id);
        }
    }

    /// Puts a new execution in its place: queued, due now, its first entries with epoch 0.
    pub(super) fn insert(
        &mut self,
        tenant: &TenantId,
        new: NewExecution,
        fingerprint: Digest,
        now: Timestamp,
    ) -> Result<&mut Record> {
        let guards = self.guards;
        let plan = start_of(&new).map_or(Digest::of(b""), |started| started.plan);
        let labels = start_of(&new).map(|started| started.labels.clone());
        let urgent = (new.priority(), labels.unwrap_or_default());
        let mut row = Record::new((new.workflow, new.version), urgent, plan, fingerprint, now);
        if !guards.keep(Guard::CreatedIsDue) {
            row.wake_at = None;
        }
        row.append(
            guards,
            u64::from(!guards.keep(Guard::CreationEpoch)),
            &new.entries,
        );
        let key = (tenant.clone(), new.id);
        self.rows.insert(key.clone(), Arc::new(row));
        Ok(self
            .rows
            .get_mut(&key)
            .map(Arc::make_mut)
            .expect("it was inserted just now"))
    }

    fn forget_old_keys(&mut self, now: Timestamp) {
        let guards = self.guards;
        self.dedupe.retain(|_, seen| {
            let from = match seen.ended_at {
                Some(ended_at) => ended_at,
                None if guards.keep(Guard::DedupeLivesOn) => return true,
                None => seen.created_at,
            };
            now < from.plus(<dyn ExecutionRepo>::DEDUPE_TTL) || !guards.keep(Guard::DedupeExpires)
        });
    }

    /// Lets the time of the keys that began this execution run.
    pub(super) fn end_keys(&mut self, tenant: &TenantId, id: ExecutionId, now: Timestamp) {
        let keys = self
            .dedupe
            .iter_mut()
            .filter(|((owner, _), seen)| owner == tenant && seen.id == id);
        keys.for_each(|(_, seen)| seen.ended_at = Some(now));
    }

    /// Whose execution this is, without regard to who asks.
    pub(super) fn owner(&self, id: ExecutionId) -> Option<TenantId> {
        self.rows
            .keys()
            .find(|(_, other)| *other == id)
            .map(|(tenant, _)| tenant.clone())
    }

    pub(super) fn signal(
        &mut self,
        tenant: &TenantId,
        id: ExecutionId,
        signal: NewSignal,
        now: Timestamp,
    ) -> Signalled {
        let guards = self.guards;
        let per_inbox = guards.keep(Guard::SignalDedupePerInbox);
        let elsewhere = self
            .rows
            .values()
            .find_map(|row| row.signal_of(&signal.dedupe))
            .filter(|_| !per_inbox);
        let owner = if guards.keep(Guard::TenantWrites) {
            Some(tenant.clone())
        } else {
            self.owner(id)
        };
        let Some(row) = owner.and_then(|owner| self.get_mut(&owner, id)) else {
            let seq = 1;
            return if guards.keep(Guard::SignalUnknown) {
                Signalled::Unknown
            } else {
                Signalled::Delivered { seq }
            };
        };
        let replay = guards.keep(Guard::SignalReplay) || !row.status.is_terminal();
        let first = row.signal_of(&signal.dedupe).or(elsewhere);
        if let Some(seq) = first.filter(|_| replay && guards.keep(Guard::SignalDedupe)) {
            return Signalled::Duplicate { seq };
        }
        if row.status.is_terminal() && guards.keep(Guard::SignalTerminal) {
            return Signalled::Terminal(row.status);
        }
        let seq = row.inbox_head()
            + if guards.keep(Guard::InboxNumbers) {
                1
            } else {
                2
            };
        let NewSignal {
            kind,
            payload,
            dedupe,
        } = signal;
        row.put_signal(
            dedupe,
            InboxItem {
                seq,
                at: now,
                kind,
                payload,
            },
        );
        if guards.keep(Guard::SignalWakes) {
            row.wake(guards, now);
        }
        if !guards.keep(Guard::SignalOwnOrder) {
            row.append(
                guards,
                row.epoch,
                &[Entry {
                    at: now,
                    fact: Fact::ExecutionTimedOut,
                }],
            );
        }
        Signalled::Delivered { seq }
    }

    pub(super) fn delete_ended(
        &mut self,
        tenant: &TenantId,
        before: Timestamp,
        limit: usize,
    ) -> usize {
        let guards = self.guards;
        let mut ended: Vec<_> = self
            .rows
            .iter()
            .filter(|((owner, _), _)| owner == tenant || !guards.keep(Guard::TenantDeletes))
            .filter_map(|(key, row)| {
                let ended_at = match row.ended_at {
                    None if !guards.keep(Guard::DeleteEnded) => row.updated_at,
                    ended_at => ended_at?,
                };
                (ended_at < before || !guards.keep(Guard::DeleteBefore))
                    .then(|| (ended_at, key.clone()))
            })
            .collect();
        ended.sort();
        if !guards.keep(Guard::DeleteOldest) {
            ended.reverse();
        }
        ended.truncate(if guards.keep(Guard::DeleteLimit) {
            limit
        } else {
            usize::MAX
        });
        for (_, key) in &ended {
            if guards.keep(Guard::DeleteWhole) {
                self.rows.remove(key);
            }
            if !guards.keep(Guard::DedupeOutlives) {
                self.dedupe.retain(|_, seen| seen.id != key.1);
            }
        }
        ended.len()
    }
}

/// The start that every journal begins with.
pub(super) fn start_of(new: &NewExecution) -> Option<&Started> {
    match &new.entries.first()?.fact {
        Fact::ExecutionStarted(started) => Some(started),
        _ => None,
    }
}

/// What two creations with one dedupe key should have in common.
///
/// # Errors
/// `Invalid`: the first entry is not the start.
pub(super) fn fingerprint(guards: Guards, new: &NewExecution) -> Result<Digest> {
    match start_of(new) {
        Some(started) => Ok(started.fingerprint()),
        None if guards.keep(Guard::StartsFirst) => {
            let message = "the first entry of an execution is not its start";
            Err(PortError::new(
                ErrorKind::Invalid,
                DRIVER,
                "create",
                message,
            ))
        }
        None => Ok(Digest::of(b"")),
    }
}
