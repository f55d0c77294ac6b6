//! What has to be undone if the execution does not complete.

use std::sync::Arc;

use nebula_action::ActionError;
use nebula_core::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{InstanceId, codec};

/// How many effects an execution registers for their compensation at most; a node whose effect
/// would be one more fails before it does anything.
pub const MAX_COMPENSATIONS: usize = 10_000;
/// How many bytes their parameters have together at most, as JSON; one that is under way when the
/// limit is reached may pass it.
pub const MAX_COMPENSATION_BYTES: usize = 16 * 1024 * 1024;
/// How many bytes the parameters of one compensation have at most, as JSON.
pub const MAX_COMPENSATION_INPUT: usize = 64 * 1024;

/// What a compensating action gets, as far as that could be known when the effect was there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CompensationInput {
    /// Its parameters.
    Parameters(Arc<Value>),
    /// They have no value: only a person can undo this effect.
    Error(ActionError),
}

impl CompensationInput {
    /// The same, if a journal and the state can hold it.
    pub(crate) fn fitting(self) -> Self {
        let Self::Parameters(value) = &self else {
            return self;
        };
        if !codec::is_storable(value) {
            return Self::Error(codec::too_deep("what the compensation gets"));
        }
        let bytes = value.to_string().len();
        if bytes > MAX_COMPENSATION_INPUT {
            let message = format!(
                "the parameters of the compensation have {bytes} bytes; the limit is {MAX_COMPENSATION_INPUT}"
            );
            return Self::Error(ActionError::limit("COMPENSATION_TOO_LARGE", message));
        }
        self
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Parameters(value) => value.to_string().len(),
            Self::Error(error) => error.message.len(),
        }
    }
}

/// An effect that is undone if the execution does not complete.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OpenCompensation {
    /// Whose effect.
    #[serde(rename = "on")]
    pub instance: InstanceId,
    /// When it was there: `now` of the compensating action.
    pub since: Timestamp,
    /// What the compensating action gets.
    pub input: CompensationInput,
    /// The highest attempt number that was used.
    #[serde(default)]
    pub attempts: u32,
    /// How many attempts count against the retry policy.
    #[serde(default)]
    pub failures: u32,
    /// How many attempts ended since their worker stopped in order: no failures, and not lost either.
    #[serde(default, skip_serializing_if = "crate::state::is_zero")]
    pub drained: u32,
    /// When the next attempt may begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Timestamp>,
    /// Until when an attempt that was started may still act outside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// What went wrong with the latest attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ActionError>,
    /// Whether a person must decide.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stuck: bool,
}

impl OpenCompensation {
    /// How many attempts to undo it were lost with their workers, the one under way with them.
    pub(crate) fn lost(&self) -> u32 {
        let known = self.failures + self.drained;
        self.attempts.saturating_sub(known)
    }

    /// Whether somebody has begun to undo it.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.attempts > 0
    }
}

/// An effect about whose compensation nothing is left to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettledCompensation {
    /// Whose effect.
    #[serde(rename = "on")]
    pub instance: InstanceId,
    /// Whether it was given up: the effect stands.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub given_up: bool,
    /// Whether that was while the execution went on: the failure of a body was handled behind it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub early: bool,
}

/// All compensations of an execution: those that are open, in the order in which the effects came,
/// and those that are settled, in the order in which they were.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Compensations {
    open: Vec<OpenCompensation>,
    settled: Vec<SettledCompensation>,
    /// Of the parameters of those that are open.
    bytes: usize,
}

impl Compensations {
    /// Effects that would have to be undone, the oldest first.
    #[must_use]
    pub fn open(&self) -> &[OpenCompensation] {
        &self.open
    }

    /// What was undone or given up, in that order.
    #[must_use]
    pub fn settled(&self) -> &[SettledCompensation] {
        &self.settled
    }

    /// Whether nothing was ever registered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_empty() && self.settled.is_empty()
    }

    /// The compensation of this instance's effect, while it is open.
    #[must_use]
    pub fn get(&self, instance: &InstanceId) -> Option<&OpenCompensation> {
        self.open[..].get(self.place(instance)?)
    }

    /// The instances about whose compensation a person must decide, the newest effect first.
    #[must_use]
    pub fn stuck(&self) -> Vec<InstanceId> {
        let stuck = self.open.iter().rev().filter(|it| it.stuck);
        stuck.map(|it| it.instance.clone()).collect()
    }

    /// Whether there is room for `more` effects.
    pub(crate) fn has_room(&self, more: usize) -> bool {
        self.open.len() + more <= MAX_COMPENSATIONS && self.bytes < MAX_COMPENSATION_BYTES
    }

    /// The newest effect: of all, or of those in a run of the body of `within`.
    pub(crate) fn newest(&self, within: Option<&InstanceId>) -> Option<&OpenCompensation> {
        let inside = |it: &&OpenCompensation| {
            within.is_none_or(|owner| it.instance.enclosing().any(|outer| outer == owner))
        };
        self.open.iter().rev().find(inside)
    }

    pub(crate) fn register(
        &mut self,
        instance: InstanceId,
        at: Timestamp,
        input: CompensationInput,
    ) {
        self.bytes += input.bytes();
        self.open.push(OpenCompensation {
            instance,
            since: at,
            input,
            attempts: 0,
            failures: 0,
            drained: 0,
            due: None,
            deadline: None,
            error: None,
            stuck: false,
        });
    }

    pub(crate) fn get_mut(&mut self, instance: &InstanceId) -> Option<&mut OpenCompensation> {
        let place = self.place(instance)?;
        self.open.get_mut(place)
    }

    pub(crate) fn settle(&mut self, settled: SettledCompensation) {
        let place = self.place(&settled.instance);
        let ended = self.open.remove(place.expect("what is settled was open"));
        self.bytes -= ended.input.bytes();
        self.settled.push(settled);
    }

    /// The execution ends: what nobody has begun to undo stands, and what was begun was given up.
    pub(crate) fn close(&mut self) {
        let begun = std::mem::take(&mut self.open).into_iter();
        let begun = begun.filter(OpenCompensation::has_begun).rev();
        self.settled.extend(begun.map(|it| SettledCompensation {
            instance: it.instance,
            given_up: true,
            early: false,
        }));
        self.bytes = 0;
    }

    /// The newest are asked about, almost always.
    fn place(&self, instance: &InstanceId) -> Option<usize> {
        self.open.iter().rposition(|it| it.instance == *instance)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parameters(bytes: usize) -> CompensationInput {
        // The quotes are two of them.
        CompensationInput::Parameters(Arc::new(json!("x".repeat(bytes - 2))))
    }

    #[test]
    fn parameters_are_as_large_as_the_limit_says() {
        let fits = parameters(MAX_COMPENSATION_INPUT);
        assert_eq!(fits.clone().fitting(), fits);
        let CompensationInput::Error(error) = parameters(MAX_COMPENSATION_INPUT + 1).fitting()
        else {
            panic!("it is too large");
        };
        assert_eq!(error.code, "COMPENSATION_TOO_LARGE");
        let deep = (0..=codec::MAX_VALUE_DEPTH).fold(json!(1), |value, _| json!([value]));
        let deep = CompensationInput::Parameters(Arc::new(deep)).fitting();
        assert!(matches!(deep, CompensationInput::Error(_)));
    }

    #[test]
    fn there_is_room_until_the_bytes_are_used_up_and_again_once_they_are_not() {
        let mut known = Compensations::default();
        let each = MAX_COMPENSATION_INPUT;
        for number in 0..MAX_COMPENSATION_BYTES / each {
            assert!(known.has_room(1));
            let instance: InstanceId = format!("a[{number}]").parse().unwrap();
            known.register(instance, Timestamp::default(), parameters(each));
        }
        assert!(!known.has_room(1));
        known.settle(SettledCompensation {
            instance: "a[7]".parse().unwrap(),
            given_up: false,
            early: true,
        });
        assert!(known.has_room(1));
        assert!(!known.has_room(MAX_COMPENSATIONS));
        // What was settled has given back its own bytes and not those of others.
        known.register("b".parse().unwrap(), Timestamp::default(), parameters(each));
        assert!(!known.has_room(1));
    }

    #[test]
    fn what_failed_or_was_put_off_was_not_lost() {
        let mut known = Compensations::default();
        let instance: InstanceId = "a".parse().unwrap();
        known.register(instance.clone(), Timestamp::default(), parameters(9));
        let open = known.get_mut(&instance).unwrap();
        (open.attempts, open.failures, open.drained) = (6, 2, 3);
        assert_eq!(open.lost(), 1);
    }
}
