//! What undoes the effect of a node.

use std::time::Duration;

use nebula_action::{EffectClass, InterfaceVersion};
use nebula_core::ActionId;
use nebula_expression::Program;
use nebula_parameter::{ParamProgram, Parameters};
use nebula_workflow::RetryPolicy;
use serde::{Deserialize, Serialize};

/// The action that undoes what a node did, and what it gets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanCompensation {
    /// The action.
    pub action: ActionId,
    /// The exact interface that was found when the plan was made.
    pub version: InterfaceVersion,
    /// What repeating an attempt does outside.
    pub effect: EffectClass,
    /// Whether the action can find out what became of a lost attempt.
    #[serde(default)]
    pub reconciles: bool,
    /// What the action gets: resolved right after the node succeeded, over all that it saw and gave.
    pub parameters: Parameters,
    /// How often it is tried.
    pub retry: RetryPolicy,
    /// The longest time for one attempt.
    #[serde(with = "nebula_core::serde_duration")]
    pub timeout: Duration,
    /// Capabilities that it asks for literally, as text; relative paths begin at the workflow's folder.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<String>,
    /// Capabilities that it requires by expressions over `$input`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<ParamProgram>,
    /// The credentials that its attempts get.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub credentials: Vec<super::PlanCredential>,
}

impl PlanCompensation {
    /// Every expression of it, by itself.
    pub(super) fn all_programs(&self) -> Vec<&Program> {
        let mut programs = Vec::new();
        self.programs(&mut programs);
        programs
    }

    /// Every expression of it.
    pub(super) fn programs<'p>(&'p self, programs: &mut Vec<&'p Program>) {
        self.parameters
            .each_use(|found| programs.push(found.program));
    }
}
