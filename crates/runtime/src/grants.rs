//! What each node of one execution may touch.

use std::{path::Path, sync::Arc};

use nebula_action::{ActionError, Capability, ErrorClass, Grants};
use nebula_execution::{EvaluationScope, ExecutionPlan, ExecutionState};

/// What each node of one execution may touch, and where its relative paths begin.
#[derive(Debug)]
pub(crate) struct NodeGrants {
    pub(crate) folder: Arc<Path>,
    /// By dense index of the node.
    by_node: Result<Vec<Grants>, String>,
}

impl NodeGrants {
    /// What was granted at the start, narrowed for each node to what that node asks for.
    pub(crate) fn new(plan: &ExecutionPlan, state: &ExecutionState) -> Self {
        let Some(started) = state.started() else {
            return Self {
                folder: Arc::from(Path::new("/")),
                by_node: Ok(Vec::new()),
            };
        };
        let folder: Arc<Path> = Arc::from(started.folder.as_deref().unwrap_or(Path::new("/")));
        let asks = plan
            .nodes
            .iter()
            .any(|node| !node.capabilities.is_empty() || !node.requires.is_empty());
        if !asks {
            return Self {
                folder,
                by_node: Ok(Vec::new()),
            };
        }
        let scope = EvaluationScope::of_input(started.input.clone());
        let by_node = plan
            .requests(&scope, &folder)
            .map_err(|error| error.to_string())
            .map(|requests| {
                let mut wanted: Vec<Vec<Capability>> = vec![Vec::new(); plan.nodes.len()];
                for request in requests {
                    wanted[request.node as usize].push(request.capability);
                }
                wanted
                    .iter()
                    .map(|wanted| started.grants.narrowed_to(wanted))
                    .collect()
            });
        Self { folder, by_node }
    }

    /// What this node may touch.
    pub(crate) fn of(&self, node: u32) -> Result<Grants, ActionError> {
        match &self.by_node {
            Ok(by_node) => Ok(by_node.get(node as usize).cloned().unwrap_or_default()),
            Err(reason) => Err(ActionError::new(
                "CAPABILITY_UNKNOWN",
                reason.clone(),
                ErrorClass::Fatal,
            )),
        }
    }
}
