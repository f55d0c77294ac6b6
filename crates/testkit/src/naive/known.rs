//! What nodes do to others, whichever of them are computed first.

use std::collections::BTreeMap;

use nebula_workflow::NodeDefinition;
use serde_json::{Map, Value};

use super::{Ambiguous, Around, Ended, Naive, Result, SAME, Time, node::span};

/// How long who does not say waits for a slot.
const LOCK_TIMEOUT: Time = 3_600_000;

/// What a pass has taught.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Known {
    /// When nodes were given up, by their instance.
    pub(super) given_up: BTreeMap<String, Time>,
    /// When somebody who asked for a slot got it.
    pub(super) turns: BTreeMap<String, Time>,
}

/// A `flow.cancel` that has run.
#[derive(Debug)]
pub(super) struct GivesUp {
    at: Time,
    by: String,
    /// Whom; nobody means the execution.
    whom: Option<Vec<String>>,
}

/// Somebody who asks for a slot.
#[derive(Debug)]
pub(super) struct Claim {
    at: Time,
    by: String,
    name: String,
    permits: u64,
}

impl Naive<'_> {
    /// Notes that a `flow.cancel` runs.
    pub(super) fn gives_up(
        &mut self,
        given: &Map<String, Value>,
        around: &Around,
        by: &str,
        at: Time,
    ) {
        let execution = given.get("execution") == Some(&Value::Bool(true));
        let named = given.get("nodes").and_then(Value::as_array);
        let named = named.into_iter().flatten().filter_map(Value::as_str);
        let whom = named.map(|id| around.instances[id].clone());
        self.gives_up.push(GivesUp {
            at,
            by: by.to_owned(),
            whom: (!execution).then(|| whom.collect()),
        });
    }

    /// When a body with a slot begins, or that its time to wait is over.
    pub(super) fn turn(
        &mut self,
        node: &NodeDefinition,
        given: &Map<String, Value>,
        by: &str,
        at: Time,
    ) -> Result<std::result::Result<Time, Time>> {
        let name = given.get("name").and_then(Value::as_str);
        let permits = given.get("permits").and_then(Value::as_u64);
        self.claims.push(Claim {
            at,
            by: by.to_owned(),
            name: format!("{} {}", node.action.id, name.unwrap_or_default()),
            permits: permits.unwrap_or(1),
        });
        let turn = self.known.turns.get(by).map_or(at, |turn| at.max(*turn));
        let late = at + span(given, "lock_timeout").unwrap_or(LOCK_TIMEOUT);
        match turn.abs_diff(late) < SAME {
            true => Err(Ambiguous),
            false if turn > late => Ok(Err(late)),
            false => Ok(Ok(turn)),
        }
    }

    /// What really happened of what was noted: not what was cut off before.
    fn happened(&self, by: &str) -> Result<bool> {
        match self.log.get(by).map(|lived| lived.ended) {
            Some(Ended::Succeeded) => Ok(true),
            Some(Ended::Unsaid) => Err(Ambiguous),
            _ => Ok(false),
        }
    }

    /// When the execution is first given up as a whole, and by whom.
    pub(super) fn quits(&self) -> Result<Option<(Time, String)>> {
        let mut quits: Vec<&GivesUp> = Vec::new();
        for it in self.gives_up.iter().filter(|it| it.whom.is_none()) {
            if self.happened(&it.by)? {
                quits.push(it);
            }
        }
        quits.sort_by_key(|it| it.at);
        if quits.windows(2).any(|two| two[1].at - two[0].at < SAME) {
            return Err(Ambiguous);
        }
        Ok(quits.first().map(|it| (it.at, it.by.clone())))
    }

    /// What the next pass has to heed.
    pub(super) fn learnt(&self) -> Result<Known> {
        let mut known = Known::default();
        for it in &self.gives_up {
            if !self.happened(&it.by)? {
                continue;
            }
            for instance in it.whom.iter().flatten() {
                let first = known.given_up.entry(instance.clone()).or_insert(it.at);
                *first = it.at.min(*first);
            }
        }
        let mut names: BTreeMap<&str, Vec<&Claim>> = BTreeMap::new();
        for claim in self
            .claims
            .iter()
            .filter(|it| self.log.contains_key(&it.by))
        {
            names.entry(&claim.name).or_default().push(claim);
        }
        for claims in names.into_values() {
            self.queue(claims, &mut known.turns)?;
        }
        Ok(known)
    }

    /// Gives the slots of one name to those who ask, in their order.
    fn queue(&self, mut claims: Vec<&Claim>, turns: &mut BTreeMap<String, Time>) -> Result<()> {
        claims.sort_by_key(|claim| claim.at);
        // When each who got one gives it back.
        let mut held: Vec<Time> = Vec::new();
        let (mut last, mut before) = (0, None);
        for claim in claims {
            let mut turn = claim.at.max(last);
            let busy = |at| held.iter().filter(|until| **until > at).count() as u64;
            while busy(turn) >= claim.permits {
                let next = held.iter().filter(|until| **until > turn).min();
                turn = *next.expect("somebody holds it");
            }
            let tied = before.is_some_and(|before| claim.at - before < SAME);
            if tied && turn != claim.at {
                return Err(Ambiguous);
            }
            before = Some(claim.at);
            turns.insert(claim.by.clone(), turn);
            let until = self.log[&claim.by].until;
            // Who was stopped while it waited never had one.
            if until > turn {
                held.push(until);
                last = turn;
            }
        }
        Ok(())
    }
}
