//! Which executions of a workflow may begin: beside each other, and how often.

use std::{sync::Arc, time::Duration};

use nebula_core::{Digest, canonical_json};
use nebula_expression::Context;
use nebula_parameter::{ParamProgram, ResolveError};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ExecutionPlan;
use crate::{EvaluationScope, StartRate, StartSlot};

/// The longest name of a start slot or of a rate, in bytes; a longer one is told by its digest.
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

/// How often executions of a workflow may begin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanRateLimit {
    /// How many in each `per`, at least 1.
    pub limit: u32,
    /// The span of time.
    #[serde(with = "nebula_core::serde_duration")]
    pub per: Duration,
    /// How many at once, at least 1.
    pub burst: u32,
    /// Over `$input`: those with another value do not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<ParamProgram>,
    /// How many wait for their time at most.
    pub queue: u32,
}

/// Why it cannot be said which executions count.
#[derive(Debug, thiserror::Error)]
pub enum AdmissionKeyError {
    /// The key has no value.
    #[error("`{field}`: {error}")]
    Resolve {
        /// Which field has the key: `admission.key` or `rate_limit.key`.
        field: &'static str,
        /// Why it has none.
        #[source]
        error: Box<ResolveError>,
    },
    /// The key is undefined.
    #[error("`{field}` is undefined for this input")]
    Undefined {
        /// Which field has the key.
        field: &'static str,
    },
}

impl AdmissionKeyError {
    /// Which field has the key: `admission.key` or `rate_limit.key`.
    #[must_use]
    pub fn field(&self) -> &'static str {
        match self {
            Self::Resolve { field, .. } | Self::Undefined { field } => field,
        }
    }
}

impl ExecutionPlan {
    /// Whether the slot or the rate of an execution follows from its input.
    #[must_use]
    pub fn begins_by_input(&self) -> bool {
        let slot = self.admission.as_ref().and_then(|it| it.key.as_ref());
        let rate = self.rate_limit.as_ref().and_then(|it| it.key.as_ref());
        slot.or(rate).is_some()
    }

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
        let key = ("admission.key", admission.key.as_ref());
        Ok(Some(StartSlot {
            key: self.name_of_key("start", key, input)?,
            capacity: admission.concurrency,
            max_waiting: admission.queue,
        }))
    }

    /// The rate at which executions on this input may begin; `None` if nothing bounds it.
    ///
    /// # Errors
    /// [`AdmissionKeyError`]: the key gave no value.
    pub fn start_rate(&self, input: &Arc<Value>) -> Result<Option<StartRate>, AdmissionKeyError> {
        let Some(rate) = &self.rate_limit else {
            return Ok(None);
        };
        let key = ("rate_limit.key", rate.key.as_ref());
        Ok(Some(StartRate {
            key: self.name_of_key("rate", key, input)?,
            limit: rate.limit,
            per: rate.per,
            burst: rate.burst,
            max_waiting: rate.queue,
        }))
    }

    /// What all versions of the workflow call those by that count together.
    fn name_of_key(
        &self,
        what: &str,
        (field, key): (&'static str, Option<&ParamProgram>),
        input: &Arc<Value>,
    ) -> Result<String, AdmissionKeyError> {
        let mut name = format!("{what}/{}", self.workflow);
        if let Some(key) = key {
            let scope = EvaluationScope::of_input(Arc::clone(input));
            let value = key
                .resolve(&scope, &Context::default())
                .map_err(|error| AdmissionKeyError::Resolve {
                    field,
                    error: Box::new(error),
                })?
                .ok_or(AdmissionKeyError::Undefined { field })?;
            name = format!("{name}/{}", canonical_json(&value));
        }
        if name.len() > MAX_NAME {
            name = format!("{what}/{}", Digest::of(name.as_bytes()));
        }
        Ok(name)
    }
}
