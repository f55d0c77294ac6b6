//! From a definition to a stored version with its plan.

use std::sync::Arc;

use nebula_action::{Catalog, VersionWanted};
use nebula_core::{Digest, ProjectId, TenantId, WorkflowId};
use nebula_execution::ExecutionPlan;
use nebula_planner::{Callees, Planned, Trial, TrialError, Tried, pin_calls};
use nebula_ports::{ErrorKind, NewVersion, PortError, Saved, StoredWorkflow};
use nebula_workflow::{
    ActionRef, ActionVersion, Diagnostic, NodeDefinition, WorkflowDefinition, to_json,
};

use crate::Engine;

/// A version of a workflow whose plan is stored: ready to start.
#[derive(Debug, Clone)]
pub struct Installed {
    /// The plan.
    pub plan: Arc<ExecutionPlan>,
    /// Under which digest it is stored.
    pub digest: Digest,
}

/// Why a definition could not be installed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// It has problems, at least one of which is an error.
    #[error("the definition has {} problem(s)", .0.len())]
    Diagnostics(Vec<Diagnostic>),
    /// The workflow is archived: nothing of it is started.
    #[error("the workflow `{0}` is archived")]
    Archived(WorkflowId),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] PortError),
}

impl Engine {
    /// Compiles a definition without storing anything; the plan has version 0. `callees` comes from
    /// [`Engine::callees`].
    #[must_use]
    pub fn check(&self, definition: &WorkflowDefinition, callees: &Callees) -> Planned {
        let known = (&*self.registry as &dyn Catalog, callees);
        nebula_planner::plan_calling(definition, 0, known, &self.config.plan_settings())
    }

    /// What else is wrong with a definition of which only a part could be read.
    #[must_use]
    pub fn more_problems(
        &self,
        rest: &WorkflowDefinition,
        callees: &Callees,
        known: &[Diagnostic],
    ) -> Vec<Diagnostic> {
        let catalog = (&*self.registry as &dyn Catalog, callees);
        nebula_planner::more_problems(rest, catalog, &self.config.plan_settings(), known)
    }

    /// Saves a definition as a version, unless it is there already, and stores its plan. Actions
    /// without a version are pinned to the newest one that there is, and calls to the published
    /// version of the workflow, or else to its newest.
    ///
    /// What is installed stays so when its workflow is archived later.
    ///
    /// # Errors
    /// [`InstallError`]: nothing was started; a version may have been saved, but for `Archived`.
    pub async fn install(
        &self,
        tenant: &TenantId,
        definition: &WorkflowDefinition,
    ) -> Result<Installed, InstallError> {
        self.in_use(tenant, &definition.id).await?;
        let (saved, plan) = self.save_planned(tenant, definition, None, None).await?;
        match saved {
            Saved::New { version, .. } | Saved::Unchanged { version, .. } => {
                Ok(self.store_plan(tenant, plan.at_version(version)).await?)
            }
            Saved::Conflict { .. } => {
                let message = "a save without an expected revision was refused";
                let error =
                    PortError::new(ErrorKind::Invalid, "engine", "save a workflow", message);
                Err(error.into())
            }
        }
    }

    /// Saves a definition as the newest version and its plan with it, unless somebody saved or
    /// published since the revision `expected`; without one it overrides whatever is there. A
    /// version with the same digest stays the one that it is.
    ///
    /// # Errors
    /// [`InstallError`]: a version may have been saved; the same call again answers `Unchanged` then.
    pub async fn save(
        &self,
        tenant: &TenantId,
        definition: &WorkflowDefinition,
        expected: Option<u64>,
    ) -> Result<Saved, InstallError> {
        self.save_in(tenant, definition, expected, None).await
    }

    /// The same; a workflow that is new belongs to `project`.
    ///
    /// # Errors
    /// Those of [`Engine::save`].
    pub async fn save_in(
        &self,
        tenant: &TenantId,
        definition: &WorkflowDefinition,
        expected: Option<u64>,
        project: Option<ProjectId>,
    ) -> Result<Saved, InstallError> {
        let saved = self.save_planned(tenant, definition, expected, project);
        let (saved, plan) = saved.await?;
        if let Saved::New { version, .. } | Saved::Unchanged { version, .. } = saved {
            self.store_plan(tenant, plan.at_version(version)).await?;
        }
        Ok(saved)
    }

    async fn save_planned(
        &self,
        tenant: &TenantId,
        definition: &WorkflowDefinition,
        expected_revision: Option<u64>,
        project: Option<ProjectId>,
    ) -> Result<(Saved, ExecutionPlan), InstallError> {
        let (definition, plan) = self.planned(tenant, definition).await?;
        let new = NewVersion {
            id: definition.id.clone(),
            name: plan.name.clone(),
            definition: to_json(&definition),
            digest: definition.digest(),
            expected_revision,
            project,
        };
        Ok((self.ports.workflows.save(tenant, new).await?, plan))
    }

    /// Makes a definition ready to start of which no version is saved: a trial. Its plan is stored
    /// under its digest, so that the execution survives a crash as any other does, and has version
    /// 0, which no saved one has: what is listed and published stays as it is.
    ///
    /// # Errors
    /// [`InstallError`]: nothing but the plan may have been stored.
    pub async fn unsaved(
        &self,
        tenant: &TenantId,
        definition: &WorkflowDefinition,
    ) -> Result<Installed, InstallError> {
        let (_, plan) = self.planned(tenant, definition).await?;
        Ok(self.store_plan(tenant, plan).await?)
    }

    /// What of a checked definition is tried; `plan` is that of the whole definition.
    ///
    /// # Errors
    /// [`TrialError`]: it has no such node, or a value is missing.
    pub fn trial(
        &self,
        definition: &WorkflowDefinition,
        plan: &ExecutionPlan,
        wanted: &Trial,
    ) -> Result<Tried, TrialError> {
        nebula_planner::trial(definition, plan, &*self.registry, wanted)
    }

    /// A version that was saved before; `None` for `version` is the latest. It is planned with the
    /// actions that there are now.
    ///
    /// # Errors
    /// [`InstallError`]: it cannot be planned any more, its workflow is archived, or the store failed.
    pub async fn installed(
        &self,
        tenant: &TenantId,
        id: &WorkflowId,
        version: Option<u32>,
    ) -> Result<Option<Installed>, InstallError> {
        let Some(stored) = self.ports.workflows.get(tenant, id, version).await? else {
            return Ok(None);
        };
        self.in_use(tenant, id).await?;
        Ok(Some(self.installed_from(tenant, &stored).await?))
    }

    /// A version as it was saved, planned with the actions that there are now.
    pub(crate) async fn installed_from(
        &self,
        tenant: &TenantId,
        stored: &StoredWorkflow,
    ) -> Result<Installed, InstallError> {
        let definition =
            WorkflowDefinition::from_json(&stored.definition).map_err(InstallError::Diagnostics)?;
        let (_, plan) = self.planned(tenant, &definition).await?;
        let plan = plan.at_version(stored.version);
        Ok(self.store_plan(tenant, plan).await?)
    }

    /// Refuses a workflow that is archived.
    pub(crate) async fn in_use(
        &self,
        tenant: &TenantId,
        id: &WorkflowId,
    ) -> Result<(), InstallError> {
        let known = self.ports.workflows.versions(tenant, id, None, 0).await?;
        match known.is_some_and(|known| known.workflow.archived) {
            true => Err(InstallError::Archived(id.clone())),
            false => Ok(()),
        }
    }

    /// A definition with its versions pinned, and its plan; the plans of what it calls are stored.
    async fn planned(
        &self,
        tenant: &TenantId,
        definition: &WorkflowDefinition,
    ) -> Result<(WorkflowDefinition, ExecutionPlan), InstallError> {
        let mut definition = self.pinned(definition);
        let callees = self.callees(tenant, &definition).await?;
        pin_calls(&mut definition, &callees);
        // Pinned, a call has another name.
        let callees = callees.pinned();
        let Planned { plan, diagnostics } = self.check(&definition, &callees);
        let plan = plan.ok_or(InstallError::Diagnostics(diagnostics))?;
        for (digest, plan) in callees.plans() {
            let (bytes, _) = plan.encode();
            let workflows = &self.ports.workflows;
            workflows.put_plan(tenant, digest, &bytes).await?;
        }
        Ok((definition, plan))
    }

    async fn store_plan(
        &self,
        tenant: &TenantId,
        plan: ExecutionPlan,
    ) -> Result<Installed, PortError> {
        let (bytes, digest) = plan.encode();
        self.ports
            .workflows
            .put_plan(tenant, digest, &bytes)
            .await?;
        Ok(Installed {
            plan: Arc::new(plan),
            digest,
        })
    }

    pub(crate) fn pinned(&self, definition: &WorkflowDefinition) -> WorkflowDefinition {
        let mut definition = definition.clone();
        self.pin(&mut definition.nodes);
        definition
    }

    /// Gives actions without a version the newest one, in bodies too.
    fn pin(&self, nodes: &mut [NodeDefinition]) {
        for node in nodes {
            self.pin_action(&mut node.action);
            if let Some(compensate) = &mut node.compensate {
                self.pin_action(&mut compensate.action);
            }
            if let Some(body) = &mut node.body {
                self.pin(&mut body.nodes);
            }
        }
    }

    fn pin_action(&self, action: &mut ActionRef) {
        let newest = || self.registry.find(&action.id, VersionWanted::default());
        if action.version.is_none()
            && let Ok(metadata) = newest()
        {
            action.version = Some(ActionVersion {
                major: metadata.version.major,
                minor: Some(metadata.version.minor),
            });
        }
    }
}
