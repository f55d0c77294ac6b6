//! Locks around attempts: who acts in a body that takes turns holds its slot, and no other body acts
//! meanwhile than may.

use std::collections::BTreeSet;

use nebula_action::ActionContext;
use nebula_core::{ExecutionId, TenantId, Timestamp};
use nebula_execution::{ClaimedSlot, InstanceId, SlotScope, SlotWanted};

use super::{Oracle, Watched, journal::UNDO};
use crate::simulation::{checks, scheduler::Life};

/// A lock around an attempt.
#[derive(Debug, Clone)]
pub(in crate::simulation) struct Lock {
    /// Which.
    pub(in crate::simulation) key: String,
    permits: u32,
    /// The instance in whose body the attempt stands.
    body: String,
    /// By which slot its execution holds it, or waits for it, as its journal says.
    pub(in crate::simulation) slot: Option<ClaimedSlot>,
}

/// An attempt that acts under a lock now.
#[derive(Debug)]
pub(super) struct Inside {
    lock: (TenantId, String),
    /// Whose body it is.
    body: (ExecutionId, String),
    life: Life,
    /// Which attempt: its key and number.
    attempt: (String, u32),
}

impl Watched {
    /// An instance wants to hold a slot while its body runs.
    pub(super) fn wants(&mut self, instance: &InstanceId, wanted: &SlotWanted) {
        if wanted.scope == SlotScope::Tenant {
            self.wanted.insert(instance.to_string(), wanted.clone());
        }
    }
}

impl Oracle {
    /// The locks of bodies in which an attempt stands. To undo an effect needs none.
    pub(in crate::simulation) fn locks(&self, ctx: &ActionContext) -> Vec<Lock> {
        let known = self.keys.get(&ctx.idempotency_key);
        let Some((owner, instance)) = known.filter(|(_, it)| !it.starts_with(UNDO)) else {
            return Vec::new();
        };
        let watched = &self.executions[owner];
        let is_within = |body: &str| {
            let rest = instance.strip_prefix(body);
            rest.is_some_and(|rest| rest.starts_with('/'))
        };
        let slots = watched.machine.slots();
        let around = watched.wanted.iter().filter(|(body, _)| is_within(body));
        around
            .map(|(body, wanted)| {
                // The store knows a slot by its body, and by which claim of it.
                let is_ours = |slot: &&ClaimedSlot| {
                    let of = slot.owner.rsplit_once('~').map(|(of, _)| of);
                    slot.key == wanted.key && of == Some(body)
                };
                Lock {
                    key: wanted.key.to_string(),
                    permits: wanted.permits,
                    body: body.clone(),
                    slot: slots.iter().find(is_ours).cloned(),
                }
            })
            .collect()
    }

    /// An attempt begins under these locks.
    pub(super) fn enters(
        &mut self,
        ctx: &ActionContext,
        life: Life,
        locks: Vec<Lock>,
        now: Timestamp,
    ) {
        for Lock {
            key, permits, body, ..
        } in locks
        {
            let lock = (ctx.tenant.clone(), key);
            let body = (ctx.execution, body);
            // Whoever was overtaken is no longer asked.
            let others = self.inside.iter().filter(|it| {
                it.lock == lock && it.body != body && self.holds(it.body.0, it.life, now)
            });
            let others: BTreeSet<_> = others.map(|it| &it.body).collect();
            if others.len() >= permits as usize && self.holds(ctx.execution, life, now) {
                let what = format!("{lock:?} by {body:?} and {others:?}, {permits} may");
                self.complain(checks::IN_TURN, what);
            }
            self.inside.push(Inside {
                lock,
                body,
                life,
                attempt: (ctx.idempotency_key.clone(), ctx.attempt),
            });
        }
    }

    /// An attempt has come back, or was dropped.
    pub(super) fn leaves(&mut self, ctx: &ActionContext, life: Life) {
        let is_it = |it: &Inside| {
            it.life == life && it.attempt == (ctx.idempotency_key.clone(), ctx.attempt)
        };
        self.inside.retain(|it| !is_it(it));
    }
}
