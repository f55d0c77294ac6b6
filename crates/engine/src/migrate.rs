//! Moving executions that wait to another version of their workflow.

use std::path::Path;

use nebula_core::{ExecutionId, TenantId};
use nebula_execution::{MigrateError, Migrated, Migration, RequestError, Started as Begun, Status};
use nebula_memory::Values;
use nebula_ports::{Moved, PortError};

use crate::{Engine, InstallError, Installed, StartError};

/// How many journal entries are read at a time.
const PAGE: usize = 1_000;

/// Why an execution was not moved to another version.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// There is no such execution.
    #[error("there is no execution {0}")]
    Unknown(ExecutionId),
    /// There is no such version.
    #[error("`{workflow}` has no version {version}")]
    UnknownVersion {
        /// The workflow.
        workflow: String,
        /// What was asked for.
        version: u32,
    },
    /// It has ended.
    #[error("{execution} has ended: {status}")]
    Ended {
        /// Which execution.
        execution: ExecutionId,
        /// How.
        status: Status,
    },
    /// Somebody drives it, or did and never gave it back.
    #[error("{0} is driven by somebody, or was and never given back")]
    Driven(ExecutionId),
    /// It went on while this was checked.
    #[error("{0} went on while its migration was checked")]
    WentOn(ExecutionId),
    /// What it did so far could not have come about under that version.
    #[error(transparent)]
    Refused(#[from] MigrateError),
    /// The version cannot be planned any more.
    #[error(transparent)]
    Plan(InstallError),
    /// The input does not fit that version.
    #[error("version {version} takes another input: {error}")]
    Input {
        /// The version.
        version: u32,
        /// What is wrong.
        error: Box<StartError>,
    },
    /// That version asks for what was not granted.
    #[error("version {version} asks for {what}, which was not granted at the start")]
    NotGranted {
        /// The version.
        version: u32,
        /// The node and the capability.
        what: String,
    },
    /// What that version asks for cannot be known.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] PortError),
}

/// What a migration changed, or would.
#[derive(Debug, Clone, PartialEq)]
pub struct Migrations {
    /// The version before.
    pub from: u32,
    /// The version after.
    pub to: u32,
    /// What begins, and what is dropped.
    pub changes: Migrated,
}

impl Engine {
    /// Moves an execution that nobody drives to another version of its workflow, if what it did so far
    /// could have come about under that one: its journal is read over both plans. With `only_check`
    /// nothing is changed.
    ///
    /// # Errors
    /// [`MigrationError`]: nothing was changed, but for `Store` with `Unavailable`.
    pub async fn migrate(
        &self,
        tenant: &TenantId,
        execution: ExecutionId,
        version: u32,
        only_check: bool,
    ) -> Result<Migrations, MigrationError> {
        let known = self.ports.executions.get(tenant, execution).await?;
        let known = known.ok_or(MigrationError::Unknown(execution))?;
        if known.status.is_terminal() {
            let status = known.status;
            return Err(MigrationError::Ended { execution, status });
        }
        if known.leased {
            return Err(MigrationError::Driven(execution));
        }
        let stored = self
            .ports
            .workflows
            .get(tenant, &known.workflow, Some(version));
        let stored = stored
            .await?
            .ok_or_else(|| MigrationError::UnknownVersion {
                workflow: known.workflow.to_string(),
                version,
            })?;
        let installed = self.installed_from(tenant, &stored).await;
        let installed = installed.map_err(MigrationError::Plan)?;
        let machine = self.fold(tenant, execution).await?.machine;
        let plans = (installed.plan.clone(), installed.digest);
        let old = machine.plan().clone();
        let mut migration = Migration::new(old, plans, tenant.clone(), execution)?;
        let (mut from, mut next_seq) = (Some(1), 1);
        while let Some(next) = from {
            let page = self.ports.executions.journal(tenant, execution, next, PAGE);
            let page = page.await?;
            for entry in &page.entries {
                migration.take(entry)?;
                next_seq = entry.seq + 1;
            }
            from = page.next;
        }
        if let Some(started) = machine.state().started() {
            self.may_have(tenant, &installed, started).await?;
        }
        let changes = migration.finish(self.ports.clock.now())?;
        if !only_check {
            let entry = changes.entry.clone();
            let moved = self
                .ports
                .executions
                .migrate(tenant, execution, next_seq, entry);
            match moved.await? {
                Moved::Moved { .. } => self.wake(tenant, execution).await,
                Moved::Held => return Err(MigrationError::Driven(execution)),
                Moved::Conflict { .. } => return Err(MigrationError::WentOn(execution)),
                Moved::Terminal(status) => {
                    return Err(MigrationError::Ended { execution, status });
                }
                Moved::Unknown => return Err(MigrationError::Unknown(execution)),
            }
        }
        Ok(Migrations {
            from: known.version,
            to: version,
            changes,
        })
    }

    /// Whether what an execution began with is enough for another version.
    async fn may_have(
        &self,
        tenant: &TenantId,
        installed: &Installed,
        started: &Begun,
    ) -> Result<(), MigrationError> {
        let plan = &installed.plan;
        let version = plan.version;
        let refused = |error| MigrationError::Input {
            version,
            error: Box::new(error),
        };
        let input = Values::input(self.ports.values.as_ref(), tenant, started).await?;
        self.input(plan, (*input).clone()).map_err(refused)?;
        let folder = started.folder.as_deref().unwrap_or(Path::new("/"));
        for request in self.requests(plan, &input, folder)? {
            let wanted = std::slice::from_ref(&request.capability);
            if started.grants.narrowed_to(wanted).iter().next().is_none() {
                let node = &plan.node(request.node).id;
                let what = format!("`{}` at `{node}`", request.capability);
                return Err(MigrationError::NotGranted { version, what });
            }
        }
        Ok(())
    }
}
