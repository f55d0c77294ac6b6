//! Which versions of other workflows a definition calls.

use std::{collections::BTreeMap, sync::Arc};

use nebula_core::{BoxFuture, TenantId, WorkflowId};
use nebula_execution::MAX_CALL_DEPTH;
use nebula_planner::{CallMiss, CallTarget, Callee, Callees, calls};
use nebula_ports::Result;
use nebula_workflow::{Diagnostic, WorkflowDefinition};

use crate::Engine;

/// Versions that were looked up: each is planned once, however many call it.
type Known = BTreeMap<(WorkflowId, u32), std::result::Result<Callee, CallMiss>>;

impl Engine {
    /// Looks up the workflows that a definition calls, and those that they call. Where no version is
    /// named, the published one counts, or else the newest. Nothing is stored.
    ///
    /// # Errors
    /// The store failed.
    pub async fn callees(
        &self,
        tenant: &TenantId,
        definition: &WorkflowDefinition,
    ) -> Result<Callees> {
        let mut known = Known::new();
        self.look_up(tenant, definition, 0, &mut known).await
    }

    fn look_up<'a>(
        &'a self,
        tenant: &'a TenantId,
        definition: &'a WorkflowDefinition,
        depth: u32,
        known: &'a mut Known,
    ) -> BoxFuture<'a, Result<Callees>> {
        Box::pin(async move {
            let mut callees = Callees::default();
            for target in calls(definition) {
                let callee = match self.version_of(tenant, &target).await? {
                    Ok(_) if depth >= MAX_CALL_DEPTH => Err(CallMiss::TooDeep),
                    Ok(version) => {
                        let at = (target.workflow.clone(), version);
                        match known.get(&at) {
                            Some(callee) => callee.clone(),
                            None => {
                                let found = self.callee(tenant, &at, depth, known).await?;
                                known.insert(at, found.clone());
                                found
                            }
                        }
                    }
                    Err(miss) => Err(miss),
                };
                callees.insert(target, callee);
            }
            Ok(callees)
        })
    }

    async fn version_of(
        &self,
        tenant: &TenantId,
        target: &CallTarget,
    ) -> Result<std::result::Result<u32, CallMiss>> {
        let found = self.versions(tenant, &target.workflow, None, 0).await?;
        let Some(found) = found else {
            return Ok(Err(CallMiss::Workflow));
        };
        let usual = found.workflow.published.unwrap_or(found.workflow.latest);
        let version = target.version.unwrap_or(usual);
        let latest = found.workflow.latest;
        Ok(match version <= latest {
            true => Ok(version),
            false => Err(CallMiss::Version { latest }),
        })
    }

    async fn callee(
        &self,
        tenant: &TenantId,
        (workflow, version): &(WorkflowId, u32),
        depth: u32,
        known: &mut Known,
    ) -> Result<std::result::Result<Callee, CallMiss>> {
        let Some(stored) = self.stored(tenant, workflow, Some(*version)).await? else {
            return Ok(Err(CallMiss::Workflow));
        };
        let definition = match WorkflowDefinition::from_json(&stored.definition) {
            Ok(definition) => definition,
            Err(problems) => return Ok(Err(broken(&problems))),
        };
        let callees = self.look_up(tenant, &definition, depth + 1, known).await?;
        let planned = self.check(&definition, &callees);
        Ok(match planned.plan {
            Some(plan) => {
                let plan = Arc::new(plan.at_version(*version));
                let (_, digest) = plan.encode();
                Ok(Callee {
                    plan,
                    digest,
                    callees,
                })
            }
            None => Err(broken(&planned.diagnostics)),
        })
    }
}

fn broken(problems: &[Diagnostic]) -> CallMiss {
    let first = problems.iter().find(|problem| problem.is_error());
    CallMiss::Broken(first.map_or_else(String::new, |problem| problem.message.clone()))
}
