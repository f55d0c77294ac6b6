//! What triggers started, and where they stand.

use nebula::{
    Nebula,
    core::{ExecutionId, TriggerId, WorkflowId},
    execution::{Fact, Started, Status},
    ports::*,
};

use super::{World, tenant};

/// With what the executions of a workflow began, and where they stand; oldest first.
pub(crate) async fn of(world: &World, workflow: &str) -> Vec<(ExecutionId, Started, Status)> {
    let filter = ExecutionFilter {
        workflow: Some(workflow.parse().unwrap()),
        ..ExecutionFilter::default()
    };
    let repo = &world.executions;
    let page = repo.list(&tenant(), &filter, None, 10_000).await.unwrap();
    let mut all = Vec::new();
    for it in page.items.into_iter().rev() {
        let journal = repo.journal(&tenant(), it.id, 1, 1).await.unwrap();
        let Fact::ExecutionStarted(started) = &journal.entries[0].entry.fact else {
            panic!("{journal:?}")
        };
        all.push((it.id, (**started).clone(), it.status));
    }
    all
}

pub(crate) async fn state(nebula: &Nebula, workflow: &str, trigger: &str) -> TriggerState {
    let (workflow, trigger): (WorkflowId, TriggerId) =
        (workflow.parse().unwrap(), trigger.parse().unwrap());
    let record = nebula
        .engine()
        .trigger(&tenant(), &workflow, &trigger)
        .await;
    record.unwrap().unwrap().state
}
