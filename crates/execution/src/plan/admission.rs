//! Which executions of a workflow may run beside each other.

use std::sync::Arc;

use nebula_core::{Digest, canonical_json};
use nebula_expression::Context;
use nebula_parameter::{ParamProgram, ResolveError};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ExecutionPlan;
use crate::{EvaluationScope, StartSlot};

/// The longest name of a start slot, in bytes; a longer one is told by its digest.
const MAX_NAME: usize = 200;

/// Which executions of a workflow may run beside each other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanAdmission {
    /// The most at a time, at least 1.
    pub concurrency: u32,
    /// Over `$input`: those with another value do not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<ParamProgram>,
    /// How many wait at most.
    pub queue: u32,
    /// Whether a new one cancels the oldest.
    #[serde(default)]
    pub cancels_oldest: bool,
}

/// Why it cannot be said which executions count.
#[derive(Debug, thiserror::Error)]
pub enum AdmissionKeyError {
    /// The key has no value.
    #[error("`admission.key`: {0}")]
    Resolve(#[source] Box<ResolveError>),
    /// The key is undefined.
    #[error("`admission.key` is undefined for this input")]
    Undefined,
}

impl ExecutionPlan {
    /// The slot that an execution on this input holds from its start to its end; `None` if it needs none.
    ///
    /// The same input gives the same slot, whenever it is asked.
    ///
    /// # Errors
    /// [`AdmissionKeyError`]: the key gave no value.
    pub fn start_slot(&self, input: &Arc<Value>) -> Result<Option<StartSlot>, AdmissionKeyError> {
        let Some(admission) = &self.admission else {
            return Ok(None);
        };
        let mut name = format!("start/{}", self.workflow);
        if let Some(key) = &admission.key {
            let scope = EvaluationScope::of_input(Arc::clone(input));
            let value = key
                .resolve(&scope, &Context::default())
                .map_err(|error| AdmissionKeyError::Resolve(Box::new(error)))?
                .ok_or(AdmissionKeyError::Undefined)?;
            name = format!("{name}/{}", canonical_json(&value));
        }
        if name.len() > MAX_NAME {
            name = format!("start/{}", Digest::of(name.as_bytes()));
        }
        Ok(Some(StartSlot {
            key: name,
            capacity: admission.concurrency,
            max_waiting: admission.queue,
        }))
    }
}
