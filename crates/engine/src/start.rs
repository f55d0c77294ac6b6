//! Creating executions.

use std::{path::Path, sync::Arc};

use nebula_core::{ByteSize, ExecutionId, TenantId, Timestamp};
use nebula_execution::{
    Entry, EvaluationScope, ExecutionPlan, NewExecution, Request, RequestError, StartOptions,
};
use nebula_ports::{DedupeKey, Lease, LeaseRequest, PortError};
use nebula_validator::Problem;
use serde_json::Value;

use crate::{AdmissionError, Engine, Installed};

/// Why an execution was not started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The input does not fit the workflow's schema.
    #[error("the input does not fit the workflow: {}", problems(.0))]
    Input(Vec<Problem>),
    /// The input is larger than [`crate::EngineConfig::max_input`].
    #[error("the input has {bytes} bytes; the limit max_input is {limit}")]
    TooLarge {
        /// Its size as compact JSON.
        bytes: u64,
        /// The limit.
        limit: ByteSize,
    },
    /// The input is nested deeper than [`crate::EngineConfig::max_input_depth`].
    #[error("the input is nested deeper than max_input_depth, which is {limit}")]
    TooDeep {
        /// The limit.
        limit: usize,
    },
    /// The workflow's own schema is no schema.
    #[error("the workflow's input schema is no schema: {0}")]
    Schema(String),
    /// The workflow's `admission` or `rate_limit` does not let it begin.
    #[error(transparent)]
    Admission(AdmissionError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] PortError),
}

impl From<AdmissionError> for StartError {
    fn from(error: AdmissionError) -> Self {
        match error {
            AdmissionError::Store(error) => Self::Store(error),
            error => Self::Admission(error),
        }
    }
}

fn problems(problems: &[Problem]) -> String {
    let shown: Vec<_> = problems.iter().map(ToString::to_string).collect();
    shown.join("; ")
}

/// Whether a start that was seen before began the same: its workflow and its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SameInput(pub bool);

/// What became of a start.
#[derive(Debug, Clone, PartialEq)]
pub struct Started {
    /// The execution.
    pub id: ExecutionId,
    /// The creator's lease, if one was asked for and the execution is new.
    pub lease: Option<Lease>,
    /// What its journal begins with, if there is a lease: whoever drives it need not read that.
    pub entries: Vec<Entry>,
    /// Whether the same start had been seen before, and was of the same workflow and input.
    pub existed: Option<SameInput>,
    /// How many wait before it, if it has to wait for its turn.
    pub waits_behind: Option<u32>,
    /// When its workflow's `rate_limit` lets it begin, if not at once.
    pub begins_at: Option<Timestamp>,
    /// Executions that were asked to end so that this one can begin.
    pub cancelled: Vec<ExecutionId>,
}

impl Engine {
    /// What each node asks for in an execution with this input; relative paths begin at `folder`.
    ///
    /// # Errors
    /// [`RequestError`]: a `requires` gives no capability.
    pub fn requests(
        &self,
        plan: &ExecutionPlan,
        input: &Value,
        folder: &Path,
    ) -> Result<Vec<Request>, RequestError> {
        plan.requests(&EvaluationScope::of_input(Arc::new(input.clone())), folder)
    }

    /// Creates an execution of `installed` on `input`. With `lease`, the creator holds the first
    /// lease and drives it; else the bell is rung.
    ///
    /// # Errors
    /// [`StartError`]: nothing was created, but for `Store` with `Unavailable`, where a start with a
    /// dedupe key can be repeated safely.
    pub async fn start(
        &self,
        tenant: &TenantId,
        installed: &Installed,
        input: Value,
        options: StartOptions,
        dedupe: Option<DedupeKey>,
        lease: Option<LeaseRequest>,
    ) -> Result<Started, StartError> {
        let new = self.prepare(tenant, installed, input, options)?;
        let plan = &installed.plan;
        Ok(self.create(tenant, plan, new, dedupe, lease).await?)
    }

    /// What [`Engine::start`] would create: checked, and not written. Nobody knows of it until
    /// [`Engine::create`] or its first step has.
    ///
    /// # Errors
    /// [`StartError`], but not `Store`.
    pub fn prepare(
        &self,
        tenant: &TenantId,
        installed: &Installed,
        input: Value,
        options: StartOptions,
    ) -> Result<NewExecution, StartError> {
        let input = self.input(&installed.plan, input)?;
        let now = self.ports.clock.now();
        let id = self.ports.entropy.execution_id(now);
        let plan = (&*installed.plan, installed.digest);
        let mut new = NewExecution::new(id, tenant.clone(), now, plan, input, options);
        let input = new.started().map(|it| it.input.clone()).unwrap_or_default();
        Self::take_turns(&installed.plan, &mut new, &input)?;
        Ok(new)
    }
}
