//! Going over ended executions again.

use nebula_core::{ExecutionId, TenantId};
use nebula_execution::{Again, AgainError, Copying};
use nebula_ports::{LeaseRequest, PortError};

use crate::{AdmissionError, Engine, Started};

/// How many journal entries are read at a time.
const PAGE: usize = 1_000;

/// Why an execution was not gone over again.
#[derive(Debug, thiserror::Error)]
pub enum StartAgainError {
    /// There is no such execution.
    #[error("there is no execution {0}")]
    Unknown(ExecutionId),
    /// It is none that can be gone over again.
    #[error(transparent)]
    Refused(#[from] AgainError),
    /// The workflow's `admission` or `rate_limit` does not let it begin.
    #[error(transparent)]
    Admission(AdmissionError),
    /// The store failed, or has no room for so large a creation.
    #[error(transparent)]
    Store(#[from] PortError),
}

impl From<AdmissionError> for StartAgainError {
    fn from(error: AdmissionError) -> Self {
        match error {
            AdmissionError::Store(error) => Self::Store(error),
            error => Self::Admission(error),
        }
    }
}

impl Engine {
    /// Creates an execution that goes over an ended one again: of the same version, on the same
    /// input, under the same grants. What stays true of the old one stands at its beginning. With
    /// `lease`, the creator holds the first lease and drives it; else the bell is rung.
    ///
    /// The journal of the old one is read twice, page by page; what is copied is held at once, at
    /// most [`nebula_execution::MAX_COPIED_ENTRIES`].
    ///
    /// # Errors
    /// [`StartAgainError`]: nothing was created, but for `Store` with `Unavailable`.
    pub async fn again(
        &self,
        tenant: &TenantId,
        execution: ExecutionId,
        how: Again,
        lease: Option<LeaseRequest>,
    ) -> Result<Started, StartAgainError> {
        let known = self.ports.executions.get(tenant, execution).await?;
        let summary = known.ok_or(StartAgainError::Unknown(execution))?;
        if !summary.status.is_terminal() {
            return Err(AgainError::NotEnded { execution }.into());
        }
        let ended = self.fold(tenant, execution).await?.machine;
        let plan = ended.plan().clone();
        let mut copying = Copying::new(&ended, how)?;
        let mut from = Some(1);
        while let Some(next) = from {
            let repo = &self.ports.executions;
            let page = repo.journal(tenant, execution, next, PAGE).await?;
            for entry in &page.entries {
                copying.take(entry)?;
            }
            from = page.next;
        }
        let now = self.ports.clock.now();
        let id = self.ports.entropy.execution_id(now);
        let mut new = copying.finish(id, now)?;
        if let Some(started) = new.started() {
            let input = self.input_for_turns(tenant, &plan, started).await?;
            Self::take_turns(&plan, &mut new, &input)?;
        }
        Ok(self.create(tenant, &plan, new, None, lease).await?)
    }
}
