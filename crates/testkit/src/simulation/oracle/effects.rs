//! What the outside sees of attempts.

use std::collections::BTreeSet;

use nebula_action::{ActionContext, EffectClass};
use nebula_core::{Digest, ExecutionId, NodeId, Timestamp};

use super::{Oracle, journal::UNDO};
use crate::simulation::{checks, scheduler::Life};

/// Effects that arrived under one key.
#[derive(Debug, Default)]
pub(super) struct Arrived {
    times: u32,
    attempts: BTreeSet<u32>,
    /// How often a person said that it shall be done again.
    pub(super) again: u32,
}

/// A write as the outside sees it.
#[derive(Debug, Clone, Copy)]
pub struct Arrival<'a> {
    /// Whose.
    pub execution: ExecutionId,
    /// Of which node.
    pub node: &'a NodeId,
    /// Which try it is.
    pub attempt: u32,
    /// Under which key it comes.
    pub key: &'a str,
    /// What was promised of it.
    pub class: EffectClass,
    /// The digest of what was sent.
    pub input: Digest,
}

/// An attempt that acts.
pub(in crate::simulation) struct Effect<'e> {
    pub(in crate::simulation) ctx: &'e ActionContext,
    pub(in crate::simulation) class: EffectClass,
    pub(in crate::simulation) input: Digest,
    /// Whose process runs it.
    pub(in crate::simulation) life: Life,
    /// Under which lock it says that it acts, and whether the store agrees.
    pub(in crate::simulation) locked: Option<bool>,
}

impl Oracle {
    /// An action is called; say when it has come back, or was given up. `locked` says whether the
    /// store agrees that it holds the locks around it, if there are any.
    pub(in crate::simulation) fn begins(
        &mut self,
        ctx: &ActionContext,
        life: Life,
        locked: Option<bool>,
        now: Timestamp,
    ) {
        self.touched(&ctx.tenant, ctx.execution);
        if !self.holds(ctx.execution, life, now) {
            let what = format!("{} {} by {life}", ctx.execution, ctx.node);
            self.complain(checks::LEASED_START, what);
        }
        self.is_locked(ctx, life, locked, now);
        self.enters(ctx, life, self.locks(ctx), now);
        let undoes = self.undoes(ctx);
        let Some(watched) = self.executions.get_mut(&ctx.execution) else {
            return self.complain(checks::KNOWN_ONLY, ctx.execution.to_string());
        };
        if undoes {
            // One at a time, beside whatever runs outside of the body that is undone.
            return;
        }
        let limit = watched.machine.plan().concurrency;
        let acting = watched.acting.entry(life).or_default();
        *acting += 1;
        if *acting > limit {
            let what = format!("{}: {acting} at a time, {limit} may", ctx.execution);
            self.complain(checks::CONCURRENCY, what);
        }
    }

    /// Who acts by a valid lease holds the locks around it.
    fn is_locked(&mut self, ctx: &ActionContext, life: Life, locked: Option<bool>, now: Timestamp) {
        if locked == Some(false) && self.holds(ctx.execution, life, now) {
            let what = format!("{} {} by {life}", ctx.execution, ctx.node);
            self.complain(checks::LOCKED, what);
        }
    }

    /// Whether an attempt undoes what another did.
    fn undoes(&self, ctx: &ActionContext) -> bool {
        let of = self.keys.get(&ctx.idempotency_key);
        of.is_some_and(|(_, instance)| instance.starts_with(UNDO))
    }

    pub(in crate::simulation) fn came_back(&mut self, ctx: &ActionContext, life: Life) {
        self.leaves(ctx, life);
        if self.undoes(ctx) {
            return;
        }
        let watched = self.executions.get_mut(&ctx.execution);
        if let Some(acting) = watched.and_then(|watched| watched.acting.get_mut(&life)) {
            *acting -= 1;
        }
    }

    /// An action acts.
    pub(in crate::simulation) fn effect(&mut self, effect: &Effect<'_>, now: Timestamp) {
        let Effect { ctx, class, .. } = effect;
        self.is_locked(ctx, effect.life, effect.locked, now);
        if !class.writes() {
            return;
        }
        let arrival = Arrival {
            execution: ctx.execution,
            node: &ctx.node,
            attempt: ctx.attempt,
            key: &ctx.idempotency_key,
            class: *class,
            input: effect.input,
        };
        let valid = self.holds(ctx.execution, effect.life, now);
        self.arrives(&arrival, valid);
    }

    /// A write reaches the outside. `live` says that what the journal says now is what its sender knew.
    pub(super) fn arrives(&mut self, arrival: &Arrival<'_>, live: bool) {
        let Arrival {
            execution,
            node,
            attempt,
            key,
            class,
            input,
        } = *arrival;
        let arrived = self.effects.entry(key.to_owned()).or_default();
        arrived.times += 1;
        let (times, again) = (arrived.times, arrived.again);
        let twice = !arrived.attempts.insert(attempt);
        if class == EffectClass::AtMostOnce && times > 1 + again {
            let what = format!("{execution} {node} {key}: {times} times");
            self.complain(checks::AT_MOST_ONCE, what);
        }
        let what = format!("{execution} {node} {key}: attempt {attempt}");
        if twice {
            self.complain(checks::ATTEMPTS_ONCE, what.clone());
        }
        let Some((owner, instance)) = self.keys.get(key) else {
            return self.complain(checks::STARTED_FIRST, what);
        };
        let seen = &self.executions[owner].instances[instance];
        let (committed, done) = (seen.attempts.get(&attempt).copied(), seen.done);
        match committed {
            Some(_) if *owner != execution => self.complain(checks::STARTED_FIRST, what),
            None => self.complain(checks::STARTED_FIRST, what),
            Some(committed) if committed != input => self.complain(checks::INPUTS_FIRST, what),
            // Who was overtaken may have begun long ago.
            Some(_) if done && live => self.complain(checks::ENDED_RESTS, what),
            Some(_) => {}
        }
    }
}
