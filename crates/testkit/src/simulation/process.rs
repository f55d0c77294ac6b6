//! One life of one process: the real engine and the real worker, over a wire that may break.

use std::{cell::OnceCell, sync::Arc, time::Duration};

use nebula::{Nebula, NebulaBuilder, engine::EngineConfig, runtime::WorkerConfig};
use nebula_core::{ByteSize, Clock};
use nebula_memory::{SpillingRepo, Values};
use tokio_util::sync::CancellationToken;

use super::{
    checks,
    credentials::{access, watch},
    outside::SimulatedAction,
    scheduler::{Life, Owner},
    slots::config,
    time::ProcessClock,
    wire::Wire,
    world::World,
};
use crate::{
    InlineOffload, ManualClock, MemoryExecutionRepo, MemorySandbox, MemoryTaskQueue,
    MemoryWorkflowRepo, SeededEntropy,
};

/// How often a queue delivers a task at most.
pub(super) const MAX_DELIVERIES: u32 = 20;

/// A process that lives now.
#[derive(Clone)]
pub(super) struct Process {
    pub(super) life: Life,
    pub(super) nebula: Nebula,
    pub(super) clock: ProcessClock,
    pub(super) queue: Arc<MemoryTaskQueue>,
    pub(super) shutdown: CancellationToken,
    /// Ends when the worker has come back by itself.
    pub(super) left: CancellationToken,
}

/// The queue of a process, or of all.
pub(super) fn queue(world: &World) -> Arc<MemoryTaskQueue> {
    let time: Arc<dyn Clock> = Arc::new(world.clock.clone());
    let room = usize::try_from(world.swarm.queue).unwrap_or(usize::MAX);
    Arc::new(MemoryTaskQueue::new(time, room, MAX_DELIVERIES))
}

impl Process {
    /// Begins a life.
    pub(super) fn start(world: &Arc<World>, life: Life, queue: Arc<MemoryTaskQueue>) -> Self {
        let process = Self::make(world, life, queue);
        if world.swarm.has_triggers() {
            let (firing, stop) = (process.nebula.clone(), process.shutdown.clone());
            world.board.spawn(Owner::Process(life), async move {
                firing.fire(config(), stop).await;
            });
        }
        let (running, stop) = (process.nebula.clone(), process.shutdown.clone());
        let (seen, gone) = (world.clone(), process.left.clone());
        world.board.spawn(Owner::Process(life), async move {
            if let Err(error) = running.run(stop).await {
                seen.complain(
                    checks::LIVES,
                    format!("the worker of {life} stopped: {error}"),
                );
            }
            gone.cancel();
        });
        process
    }

    /// A process in which nothing runs yet.
    pub(super) fn make(world: &Arc<World>, life: Life, queue: Arc<MemoryTaskQueue>) -> Self {
        let swarm = &world.swarm;
        let skew = i64::try_from(swarm.skew).unwrap_or(0);
        let off_by = match swarm.skew {
            0 => 0,
            most => i64::try_from(world.span(2 * most).as_millis()).unwrap_or(0) - skew,
        };
        let clock = ProcessClock::new(world.clock.clone(), off_by);
        let time: Arc<dyn Clock> = Arc::new(clock.clone());
        let wire = Arc::new(Wire {
            world: world.clone(),
            life,
            queue: queue.clone(),
        });
        let worker = WorkerConfig {
            lease_ttl: swarm.lease_ttl(),
            lease_margin: swarm.lease_margin(),
            snapshot_entries: swarm.snapshot,
            flush_entries: usize::try_from(swarm.step).unwrap_or(usize::MAX),
            wait_in_memory: Duration::from_millis(swarm.memory),
            grace: Duration::from_secs(1),
            ..WorkerConfig::default()
        };
        let executions = SpillingRepo::new(
            wire.clone(),
            wire.clone(),
            time.clone(),
            ByteSize::bytes(swarm.inline),
        );
        let values = Values::new(
            wire.clone(),
            ByteSize::bytes(swarm.inline),
            ByteSize::bytes(swarm.kept()),
        );
        let mut builder = Nebula::builder(
            Arc::new(executions.fresh_for(swarm.fresh())),
            wire.clone(),
            wire.clone(),
            Arc::new(MemorySandbox::new(time.clone())),
        )
        .clock(time.clone())
        .entropy(Arc::new(SeededEntropy::new(world.fresh())))
        .offload(Arc::new(InlineOffload))
        .registry(template().registry().clone())
        .worker(worker)
        .engine(EngineConfig::default());
        if swarm.spills() {
            builder = builder.values(values);
        }
        if swarm.has_triggers() {
            builder = builder.triggers(wire.clone());
        }
        if swarm.has_secrets() {
            builder = builder.credentials(access(wire, time));
        }
        let nebula = builder.build().expect("the limits fit each other");
        if swarm.has_secrets() {
            watch(world, nebula.bus());
        }
        let (shutdown, left) = (CancellationToken::new(), CancellationToken::new());
        Self {
            life,
            nebula,
            clock,
            queue,
            shutdown,
            left,
        }
    }
}

thread_local! {
    static TEMPLATE: OnceCell<Nebula> = const { OnceCell::new() };
}

/// An engine that never runs: its actions are those of every process on this thread.
fn template() -> Nebula {
    TEMPLATE.with(|template| {
        let workflows = || Arc::new(MemoryWorkflowRepo::new(Arc::new(ManualClock::default())));
        let make = || idle(workflows()).actions(SimulatedAction::all()).build();
        let made = template.get_or_init(|| make().expect("actions of ours contradict nobody"));
        made.clone()
    })
}

/// An engine that plans and saves, and runs nothing.
pub(super) fn planner(workflows: Arc<MemoryWorkflowRepo>) -> Nebula {
    let made = idle(workflows)
        .registry(template().registry().clone())
        .build();
    made.expect("the limits fit each other")
}

fn idle(workflows: Arc<MemoryWorkflowRepo>) -> NebulaBuilder {
    let time: Arc<dyn Clock> = Arc::new(ManualClock::default());
    Nebula::builder(
        Arc::new(MemoryExecutionRepo::new(time.clone())),
        workflows,
        Arc::new(MemoryTaskQueue::new(time.clone(), 1, 1)),
        Arc::new(MemorySandbox::new(time.clone())),
    )
    .clock(time)
    .entropy(Arc::new(SeededEntropy::new(0)))
    .offload(Arc::new(InlineOffload))
}
