//! What entries may say after those before them.

use std::{collections::BTreeMap, sync::Arc};

use nebula_core::{Digest, ExecutionId, NodeId, Timestamp};
use nebula_execution::{
    Entry, ExecutionPlan, Fact, InstanceId, Machine, StoredEntry, UnparkDecision,
};

use super::{Oracle, Watched};
use crate::simulation::checks::{self, Check};

/// What is known of one instance, or of the undoing of one.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) key: Option<String>,
    /// The attempts whose start is in the journal, and the digests of what they send.
    pub(super) attempts: BTreeMap<u32, Digest>,
    /// How many attempts counted since somebody last asked for a new one.
    counted: u32,
    pub(super) done: bool,
    /// Before when no further attempt may begin.
    not_before: Option<Timestamp>,
    timer: Option<Timestamp>,
}

type Found = Vec<(Check, String)>;

/// How the undoing of an instance is told from the instance.
pub(in crate::simulation) const UNDO: &str = "undo ";

fn undoing(instance: &InstanceId) -> String {
    format!("{UNDO}{instance}")
}

impl Oracle {
    /// Entries of the store's own, such as those of poison.
    pub(in crate::simulation) fn written(&mut self, id: ExecutionId, entries: &[StoredEntry]) {
        for stored in entries {
            if let Some(watched) = self.executions.get_mut(&id) {
                watched.epoch = watched.epoch.max(stored.epoch);
                if !matches!(stored.entry.fact, Fact::Migrated { .. }) {
                    watched.grants = 0;
                }
                if let Some(held) = &mut watched.held {
                    held.over = true;
                }
            }
            self.append(id, stored.epoch, std::slice::from_ref(&stored.entry));
        }
    }

    pub(super) fn append(&mut self, id: ExecutionId, epoch: u64, entries: &[Entry]) {
        self.look_for_undoing(id, entries);
        for entry in entries {
            let Some(watched) = self.executions.get_mut(&id) else {
                return;
            };
            let stored = StoredEntry {
                seq: watched.entries.len() as u64 + 1,
                epoch,
                entry: entry.clone(),
            };
            let mut found = watched.look_at(entry);
            if self.jumps {
                found.retain(|(check, _)| ![checks::BACKOFF, checks::NOT_EARLY].contains(check));
            }
            if let Fact::Migrated { plan, .. } = &entry.fact {
                match self.plans.get(plan) {
                    Some(to) => watched.goes_over(*plan, to.clone()),
                    None => found.push((checks::PLAN_FIRST, plan.to_string())),
                }
            }
            // A machine does not survive what must not be: what was found is said before.
            for (check, what) in found {
                self.complain(check, format!("{id}: {what}"));
            }
            let Some(watched) = self.executions.get_mut(&id) else {
                return;
            };
            watched.machine.apply(&stored);
            watched.entries.push(stored);
            if entry.fact.is_terminal() && !watched.ended {
                watched.ended = true;
                self.open -= 1;
            }
            self.remember_key(id, &entry.fact);
        }
    }

    /// What succeeded and can be undone is registered by the same step.
    fn look_for_undoing(&mut self, id: ExecutionId, entries: &[Entry]) {
        let Some(watched) = self.executions.get(&id) else {
            return;
        };
        let plan = watched.machine.plan();
        let undoable = |instance: &InstanceId| {
            let index = plan.index_of(instance.node.as_str());
            index.is_some_and(|index| plan.node(index).compensation.is_some())
        };
        let registered = |of: &InstanceId| {
            entries.iter().any(|entry| {
                matches!(&entry.fact, Fact::CompensationRegistered { instance, .. } if instance == of)
            })
        };
        let forgotten = entries.iter().find_map(|entry| match &entry.fact {
            Fact::AttemptSucceeded { instance, .. } | Fact::AttemptSpilled { instance, .. }
                if undoable(instance) && !registered(instance) =>
            {
                Some(format!("{id} {instance}"))
            }
            _ => None,
        });
        if let Some(what) = forgotten {
            self.complain(checks::UNDOABLE, what);
        }
    }

    fn remember_key(&mut self, id: ExecutionId, fact: &Fact) {
        let (key, instance) = match fact {
            Fact::AttemptStarted { instance, key, .. } => (key, instance.to_string()),
            Fact::CompensationStarted { instance, key, .. } => (key, undoing(instance)),
            Fact::Unparked {
                instance: Some(instance),
                decision: UnparkDecision::Retry,
                ..
            } => {
                for instance in [instance.to_string(), undoing(instance)] {
                    let seen = self.executions[&id].instances.get(&instance);
                    if let Some(key) = seen.and_then(|seen| seen.key.clone()) {
                        self.effects.entry(key).or_default().again += 1;
                    }
                }
                return;
            }
            _ => return,
        };
        let mine = (id, instance);
        let other = self.keys.entry(key.clone()).or_insert_with(|| mine.clone());
        if *other != mine {
            let what = format!("{key} of {mine:?} and {other:?}");
            self.complain(checks::KEYS_DIFFER, what);
        }
    }
}

impl Watched {
    /// From here on the execution has another plan; what it did so far is read over that one.
    fn goes_over(&mut self, digest: Digest, plan: Arc<ExecutionPlan>) {
        let id = self.machine.id();
        self.machine = Machine::new(plan, self.tenant.clone(), id);
        for entry in &self.entries {
            self.machine.apply(entry);
        }
        self.plan = digest;
    }

    fn seen(&mut self, instance: &InstanceId) -> &mut Seen {
        self.instances.entry(instance.to_string()).or_default()
    }

    /// Complaints about an entry that is about to be folded in.
    fn look_at(&mut self, entry: &Entry) -> Found {
        let mut found = Vec::new();
        if self.ended {
            found.push((checks::NOTHING_FOLLOWS, format!("{:?}", entry.fact)));
        }
        match &entry.fact {
            Fact::AttemptStarted {
                instance,
                attempt,
                key,
                input,
                ..
            } => {
                if self.cancelled {
                    found.push((checks::CANCELLED_RESTS, instance.to_string()));
                }
                let max = self.max_attempts(&instance.node);
                let seen = self.seen(instance);
                seen.starts((*attempt, key, *input), entry.at, &mut found);
                if seen.counted >= max {
                    found.push((checks::WITHIN_POLICY, format!("{instance}: {attempt}")));
                }
            }
            Fact::CompensationStarted {
                instance,
                attempt,
                key,
                input,
                ..
            } => {
                let seen = self.instances.entry(undoing(instance)).or_default();
                seen.starts((*attempt, key, *input), entry.at, &mut found);
            }
            Fact::AttemptSucceeded { instance, .. } | Fact::AttemptSpilled { instance, .. } => {
                let seen = self.seen(instance);
                if seen.done {
                    found.push((checks::ENDS_ONCE, instance.to_string()));
                }
                seen.done = true;
            }
            Fact::CompensationSucceeded { instance, .. } => {
                let seen = self.instances.entry(undoing(instance)).or_default();
                if seen.done {
                    found.push((checks::ENDS_ONCE, undoing(instance)));
                }
                seen.done = true;
            }
            Fact::AttemptFailed {
                instance,
                error,
                retry_at,
                counts,
                ..
            } => {
                self.gave_up |= retry_at.is_none() && error.code == "WORKER_LOST";
                let seen = self.seen(instance);
                if seen.done {
                    found.push((checks::ENDS_ONCE, instance.to_string()));
                }
                seen.counted += u32::from(*counts);
                (seen.done, seen.not_before) = (retry_at.is_none(), *retry_at);
            }
            Fact::CompensationFailed {
                instance, retry_at, ..
            } => {
                let seen = self.instances.entry(undoing(instance)).or_default();
                seen.not_before = *retry_at;
            }
            Fact::Unparked {
                instance: Some(instance),
                decision: UnparkDecision::Retry,
                ..
            } => {
                let seen = self.seen(instance);
                (seen.done, seen.counted, seen.not_before) = (false, 0, None);
            }
            Fact::TimerSet { instance, due } => self.seen(instance).timer = Some(*due),
            Fact::TimerFired { instance, .. } => {
                let due = self.seen(instance).timer;
                if due.is_none_or(|due| entry.at < due) {
                    let what = format!("{instance}: {}, due {due:?}", entry.at);
                    found.push((checks::NOT_EARLY, what));
                }
            }
            Fact::SignalReceived(signal) => {
                self.receives(signal.name.as_str(), &signal.id, &mut found);
            }
            Fact::SignalRefused { name, id } | Fact::SignalMissed { name, id } => {
                self.receives(name.as_str(), id, &mut found);
            }
            Fact::SlotClaimed { instance, wanted } => self.wants(instance, wanted),
            Fact::CancellationRequested { .. } => self.cancelled = true,
            _ => {}
        }
        found
    }

    fn max_attempts(&self, node: &NodeId) -> u32 {
        let plan = self.machine.plan();
        let index = plan.index_of(node.as_str());
        index.map_or(u32::MAX, |index| plan.node(index).retry.max_attempts)
    }

    fn receives(&mut self, name: &str, id: &str, found: &mut Found) {
        let signal = (name.to_owned(), id.to_owned());
        match self.inbox[self.read.min(self.inbox.len())..]
            .iter()
            .position(|other| *other == signal)
        {
            Some(0) => self.read += 1,
            Some(before) => {
                found.push((
                    checks::SIGNAL_ORDER,
                    format!("{name} {id}: {before} before it"),
                ));
                self.read += before + 1;
            }
            None => {}
        }
        if !self.signals.insert(signal) {
            found.push((checks::SIGNAL_ONCE, format!("{name} {id}")));
        }
    }
}

impl Seen {
    fn starts(
        &mut self,
        (attempt, key, input): (u32, &String, Digest),
        at: Timestamp,
        found: &mut Found,
    ) {
        if self.done {
            found.push((checks::NO_RESTART, format!("{key}: attempt {attempt}")));
        }
        if self.attempts.insert(attempt, input).is_some() {
            found.push((checks::ATTEMPTS_ONCE, format!("{key}: attempt {attempt}")));
        }
        if self.key.get_or_insert_with(|| key.clone()) != key {
            let what = format!("attempt {attempt}: {key}, {:?} before", self.key);
            found.push((checks::KEY_STAYS, what));
        }
        if self.not_before.is_some_and(|due| at < due) {
            let what = format!(
                "{key}: attempt {attempt} at {at}, not before {:?}",
                self.not_before
            );
            found.push((checks::BACKOFF, what));
        }
    }
}
