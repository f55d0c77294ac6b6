//! What each node of one execution may touch.

use std::{path::Path, sync::Arc};

use nebula_action::{ActionError, Capability, ErrorClass, Grants};
use nebula_execution::{EvaluationScope, ExecutionPlan, ExecutionState};

/// What each node of one execution may touch, and where its relative paths begin.
#[derive(Debug)]
pub(crate) struct NodeGrants {
    pub(crate) folder: Arc<Path>,
    /// By dense index of the node.
    by_node: Result<Vec<Narrowed>, String>,
}

/// What a node may touch, and what undoing its effect may.
#[derive(Debug, Clone, Default)]
struct Narrowed {
    own: Grants,
    compensation: Grants,
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
        let asks = plan.nodes.iter().any(|node| {
            let undoing = node.compensation.as_deref();
            !node.capabilities.is_empty()
                || !node.requires.is_empty()
                || undoing.is_some_and(|it| !it.capabilities.is_empty() || !it.requires.is_empty())
        });
        if !asks {
            return Self {
                folder,
                by_node: Ok(Vec::new()),
            };
        }
        let input = match plan.asks_by_input() {
            true => started.given().value(),
            // No expression looks at it.
            false => Ok(Arc::default()),
        };
        let requests = |input| plan.requests(&EvaluationScope::of_input(input), &folder);
        let by_node = input
            .map_err(|unread| unread.to_string())
            .and_then(|input| requests(input).map_err(|error| error.to_string()))
            .map(|requests| {
                let none = (Vec::new(), Vec::new());
                let mut wanted: Vec<(Vec<Capability>, Vec<Capability>)> =
                    vec![none; plan.nodes.len()];
                for request in requests {
                    let (own, undoing) = &mut wanted[request.node as usize];
                    let wanted = if request.compensates { undoing } else { own };
                    wanted.push(request.capability);
                }
                let narrowed = wanted.iter().map(|(own, undoing)| Narrowed {
                    own: started.grants.narrowed_to(own),
                    compensation: started.grants.narrowed_to(undoing),
                });
                narrowed.collect()
            });
        Self { folder, by_node }
    }

    /// What this node may touch.
    pub(crate) fn of(&self, node: u32) -> Result<Grants, ActionError> {
        Ok(self.narrowed(node)?.own)
    }

    /// What undoing the effect of this node may touch.
    pub(crate) fn of_compensation(&self, node: u32) -> Result<Grants, ActionError> {
        Ok(self.narrowed(node)?.compensation)
    }

    fn narrowed(&self, node: u32) -> Result<Narrowed, ActionError> {
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
