//! Between the ends of which nodes a milestone lies.

use serde::{Deserialize, Serialize};

/// What a `flow.milestone` asks about: nodes beside it, or around a body that it stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanMilestone {
    /// Dense index of the node whose success begins it; absent: it is reached from the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reached: Option<u32>,
    /// Dense index of the node whose end is its end; absent: it is never over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<u32>,
}

impl PlanMilestone {
    /// The nodes that it names.
    pub fn nodes(self) -> impl Iterator<Item = u32> {
        self.reached.into_iter().chain(self.until)
    }
}
