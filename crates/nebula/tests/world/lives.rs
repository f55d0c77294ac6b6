//! A process that dies at one call of its store, and the one that takes over.

use std::{fmt, sync::Arc};

use nebula::{
    Nebula, core::ExecutionId, engine::Installed, execution::StartOptions, ports::ExecutionFilter,
};
use nebula_testkit::MemoryWorkflowRepo;
use serde_json::Value;

use super::{World, in_world, tenant};

/// At which call of its store, counted from 1, a process dies: before the call does anything (false),
/// or after it (true). `None`: it lives.
pub(crate) type Death = Option<(u32, bool)>;

/// Workflows that are saved, for many worlds: planning them is most of the work of a short life.
pub(crate) struct Saved {
    workflows: Arc<MemoryWorkflowRepo>,
    /// The last of them.
    pub(crate) installed: Installed,
}

impl Saved {
    /// Saves definitions written in YAML.
    pub(crate) fn new(definitions: &[&str]) -> Self {
        in_world(async |world| {
            let (nebula, mut last) = (world.process(), None);
            for yaml in definitions {
                last = Some(world.install(&nebula, yaml).await);
            }
            Self {
                workflows: world.workflows.clone(),
                installed: last.expect("there is a workflow"),
            }
        })
    }

    /// Runs a test in a world of its own, in which they are saved.
    pub(crate) fn in_world<T>(&self, test: impl AsyncFnOnce(World) -> T) -> T {
        in_world(async |mut world: World| {
            world.workflows = self.workflows.clone();
            test(world).await
        })
    }
}

impl World {
    /// Lets a process do something that dies as it is told; if it did, lets another one do the same
    /// over what the first has left. Gives what the one that lived said, and how many calls the first
    /// made.
    pub(crate) async fn through<T>(
        &self,
        death: Death,
        act: impl AsyncFn(&Nebula) -> T,
    ) -> (T, u32) {
        let mortal = self.mortal(death);
        let first = self.process_over(mortal.clone());
        let lived = tokio::select! {
            biased;
            said = act(&first) => Some(said),
            () = mortal.death() => None,
        };
        let said = match lived {
            Some(said) => said,
            None => act(&self.process()).await,
        };
        (said, mortal.calls())
    }

    /// Every execution of a workflow, the oldest first.
    pub(crate) async fn of(&self, nebula: &Nebula, installed: &Installed) -> Vec<ExecutionId> {
        let filter = ExecutionFilter {
            workflow: Some(installed.plan.workflow.clone()),
            ..ExecutionFilter::default()
        };
        let page = nebula.engine().list(&tenant(), &filter, None, 100).await;
        let found = page.unwrap().items.into_iter().rev();
        found.map(|summary| summary.id).collect()
    }

    /// The execution of a workflow that is there already, else a new one: a process that died before
    /// it was accepted leaves nothing behind, and the caller starts again.
    pub(crate) async fn taken_up(
        &self,
        nebula: &Nebula,
        installed: &Installed,
        input: Value,
    ) -> ExecutionId {
        if let Some(id) = self.of(nebula, installed).await.first() {
            return *id;
        }
        let options = StartOptions::default();
        let started = nebula.start(&tenant(), installed, input, options).await;
        started.unwrap()
    }
}

/// Compares what `live` gives where nothing dies with `expected`, then what it gives where the first
/// process dies at every `each`-th call of its store, before it and after it. How many lives there were.
#[track_caller]
pub(crate) fn dies_at_each<T: PartialEq + fmt::Debug>(
    each: usize,
    expected: &T,
    live: impl Fn(Death) -> (T, u32),
) -> u32 {
    let (undisturbed, calls) = live(None);
    assert_eq!(undisturbed, *expected);
    assert!(calls > 5, "it must make calls to die at: {calls}");
    let mut lives = 1;
    for dies_at in (1..=calls).step_by(each) {
        for after in [false, true] {
            let (ended, _) = live(Some((dies_at, after)));
            assert_eq!(ended, *expected, "death at call {dies_at}, after: {after}");
            lives += 1;
        }
    }
    lives
}
