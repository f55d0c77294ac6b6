//! The plot of a simulation: processes begin, then faults, healing, and the wait for the end.
//! `clients.rs` talks to the engine meanwhile, and `nemesis.rs` disturbs it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures_util::FutureExt;
use nebula::{Nebula, engine::Installed};
use nebula_core::{BoxFuture, Clock, ExecutionId, TenantId};
use nebula_execution::Status;
use nebula_ports::Saved;
use nebula_workflow::{Source, WorkflowDefinition};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::{
    checks,
    flows::{CALLEES, Flow, callee, theme},
    life::has_panicked,
    process::{Process, planner, queue},
    scheduler::{Life, Order, Owner},
    slots::ticking,
    swarm::{Fault, Swarm},
    world::{World, tenants},
};
use crate::{ManualClock, MemoryTaskQueue, MemoryTriggerRepo, MemoryWorkflowRepo, SeededEntropy};

/// How long nothing may come to a journal once nothing goes wrong any more, by the world's clock.
pub(super) const BOUND: Duration = Duration::from_mins(60);

/// How long everything may take from there: lists in lists whose items call slow workflows take hours.
const LONGEST: Duration = Duration::from_hours(6);

/// How long passes between two looks at how far a world is.
const LOOK: Duration = Duration::from_secs(1);

/// How long somebody waits for a process that may stand still.
pub(super) const GIVES_UP: Duration = Duration::from_secs(20);

/// Who runs the processes of a world.
pub(super) struct Director {
    pub(super) world: Arc<World>,
    pub(super) processes: Mutex<BTreeMap<u64, Process>>,
    queue: Option<Arc<MemoryTaskQueue>>,
    /// What is started: by workflow and tenant, which is decided before anything else.
    flows: Vec<Vec<(Flow, Installed)>>,
    /// How many starts there are.
    expected: usize,
    /// Which executions the seed's starts became, by their number.
    pub(super) started: Mutex<BTreeMap<u64, ExecutionId>>,
    pub(super) cancelled: Mutex<Vec<ExecutionId>>,
    lives: Mutex<u64>,
}

impl Director {
    /// Sets everything going; the simulation finishes by itself.
    pub(super) fn begin(
        world: &Arc<World>,
        prepared: &Prepared,
        only: Option<BTreeSet<u64>>,
    ) -> Arc<Self> {
        let numbers = only.unwrap_or_else(|| (0..world.swarm.executions).collect());
        let shared = (world.swarm.shared == 1).then(|| queue(world));
        let director = Arc::new(Self {
            world: world.clone(),
            processes: Mutex::default(),
            queue: shared,
            flows: prepared.flows.clone(),
            expected: numbers.len(),
            started: Mutex::default(),
            cancelled: Mutex::default(),
            lives: Mutex::new(0),
        });
        for installed in &prepared.plans {
            let mut oracle = world.oracle.lock();
            oracle.know(installed.digest, installed.plan.clone());
        }
        world.oracle.lock().jumps = world.swarm.has(Fault::ClockJump);
        world.put_credentials();
        world.begin();
        for place in 0..world.swarm.processes {
            director.start_process(place);
        }
        for number in numbers {
            let mine = director.clone();
            world
                .board
                .spawn(Owner::World, async move { mine.client(number).await });
        }
        let (nemesis, keeper, plot) = (director.clone(), director.clone(), director.clone());
        let (collector, keeper_of_keys) = (director.clone(), director.clone());
        world
            .board
            .spawn(Owner::World, director.clone().operate_triggers());
        world
            .board
            .spawn(Owner::World, async move { collector.collect().await });
        world
            .board
            .spawn(Owner::World, async move { keeper_of_keys.rotate().await });
        world
            .board
            .spawn(Owner::World, async move { nemesis.nemesis().await });
        world
            .board
            .spawn(Owner::World, async move { keeper.keep().await });
        world
            .board
            .spawn(Owner::World, async move { plot.plot().await });
        director
    }

    /// What the starts of the seed came to: status and output, by their number; those that somebody
    /// cancelled are left out, and those of which an attempt was lost so often that it was given up.
    pub(super) fn results(&self) -> BTreeMap<u64, (Status, Value)> {
        let (oracle, cancelled) = (self.world.oracle.lock(), self.cancelled.lock());
        let started = self.started.lock();
        let gave_up = oracle.gave_up();
        let ended = started.iter().filter(|(number, id)| {
            let (flow, _) = self.flow(**number);
            flow.decided && !cancelled.contains(id) && !gave_up.contains(id)
        });
        ended
            .filter_map(|(number, id)| {
                let state = oracle.machine(*id)?.state();
                let output = state
                    .output()
                    .map_or(Value::Null, |output| (**output).clone());
                let failed = state.failure().map(|failure| json!(failure.error.code));
                Some((*number, (state.end_status()?, failed.unwrap_or(output))))
            })
            .collect()
    }

    /// What the start of this number starts.
    pub(super) fn flow(&self, number: u64) -> &(Flow, Installed) {
        let of_tenants = &self.flows[(number % self.world.swarm.workflows) as usize];
        &of_tenants[number as usize % of_tenants.len()]
    }

    /// A life that nobody has had.
    pub(super) fn new_life(&self) -> Life {
        let mut lives = self.lives.lock();
        *lives += 1;
        Life(*lives)
    }

    pub(super) fn start_process(&self, place: u64) {
        let life = self.new_life();
        let own = self.queue.clone().unwrap_or_else(|| queue(&self.world));
        let process = Process::start(&self.world, life, own);
        self.processes.lock().insert(place, process);
    }

    pub(super) fn process(&self, chance: &SeededEntropy) -> Process {
        let processes = self.processes.lock();
        let place = chance.below(processes.len() as u64);
        processes[&place].clone()
    }

    /// Lets a process work for a client; `None` if it died meanwhile, or does not answer.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        process: &Process,
        work: impl FnOnce(Nebula) -> BoxFuture<'static, T>,
    ) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        let work = work(process.nebula.clone());
        self.world
            .board
            .spawn(Owner::Process(process.life), async move {
                let _ = answer.send(work.await);
            });
        tokio::select! {
            biased;
            answer = answered => answer.ok(),
            () = self.world.clock.sleep(GIVES_UP) => None,
        }
    }

    /// Faults, then none, then the end.
    async fn plot(&self) {
        let world = &self.world;
        if !world.swarm.faults.is_empty() {
            let safety = Duration::from_millis(world.swarm.safety);
            if world.swarm.bug.is_some() {
                self.is_found_within(safety).await;
            } else {
                world.clock.sleep(safety).await;
            }
        }
        world.heal();
        world.note("healed", "");
        for process in self.processes.lock().values() {
            process.clock.set_right();
        }
        // A clock that is set right may go back.
        world.oracle.lock().jumps |= world.swarm.skew > 0;
        let (healed, healed_at) = (world.clock.monotonic(), world.clock.now());
        // What is planted may turn in a circle, and each round of it is an entry.
        let longest = match world.swarm.bug {
            Some(_) => BOUND,
            None => LONGEST,
        };
        let mut progress = (0, healed);
        loop {
            world.clock.sleep(LOOK).await;
            let begun = self.started.lock().len() == self.expected;
            let (now, entries) = (world.clock.monotonic(), world.oracle.lock().committed());
            if entries != progress.0 {
                progress = (entries, now);
            }
            let late = now > progress.1 + BOUND || now > healed + longest;
            let found = self.is_found();
            let gone_on = world.triggers_have_gone_on(healed_at);
            if late && !gone_on {
                world.complain(checks::SLOT_MISSED, "triggers do not go on");
            }
            if late && !begun {
                let begun = self.started.lock().len();
                world.complain(checks::ENDS, format!("only {begun} executions could begin"));
            }
            if late {
                world.oracle.lock().close(now.saturating_sub(healed));
            }
            // What is planted has been seen: what follows from it is of no interest.
            if late || found || (begun && gone_on && world.oracle.lock().all_ended()) {
                world.board.order(Order::Finish);
                return;
            }
        }
    }

    /// Whether what is planted in this world has been seen. A worker that panics lets its lease expire,
    /// and the next one panics again: that would go on to the end.
    fn is_found(&self) -> bool {
        let planted = self.world.swarm.bug.is_some();
        planted && (has_panicked() || self.world.oracle.lock().is_wrong())
    }

    /// Waits for so long, or until what is planted has been seen.
    async fn is_found_within(&self, long: Duration) {
        let clock = &self.world.clock;
        let end = clock.monotonic() + long;
        while clock.monotonic() < end && !self.is_found() {
            let left = end.saturating_sub(clock.monotonic());
            clock.sleep(left.min(LOOK)).await;
        }
    }

    pub(super) async fn sleep_up_to(&self, chance: &SeededEntropy, millis: u64) {
        let long = Duration::from_millis(chance.below(millis.max(1)));
        self.world.clock.sleep(long).await;
    }
}

/// Publishes a workflow that was saved, with its triggers.
fn publish(nebula: &Nebula, tenant: &TenantId, definition: &WorkflowDefinition) {
    let saved = nebula.engine().save(tenant, definition, None);
    let saved = saved.now_or_never().expect("the model answers at once");
    let Ok(Saved::New { version, revision } | Saved::Unchanged { version, revision }) = saved
    else {
        panic!("what was made up cannot be saved: {saved:?}")
    };
    let published = nebula
        .engine()
        .publish(tenant, &definition.id, version, revision);
    let published = published.now_or_never();
    let published = published.expect("the model answers at once");
    assert!(published.is_ok(), "{published:?}");
}

/// What is started in a world, decided before anything else happens: it is the same undisturbed.
#[derive(Clone)]
pub(super) struct Prepared {
    pub(super) workflows: Arc<MemoryWorkflowRepo>,
    /// Those that every life of the world begins with.
    pub(super) triggers: Arc<MemoryTriggerRepo>,
    /// By workflow and tenant.
    flows: Vec<Vec<(Flow, Installed)>>,
    /// Everything that may run.
    plans: Vec<Installed>,
}

impl Prepared {
    /// Makes up what is started and what that calls, and saves it for every tenant.
    pub(super) fn of(swarm: &Swarm) -> Self {
        let time: Arc<dyn Clock> = Arc::new(ManualClock::default());
        let triggers = Arc::new(MemoryTriggerRepo::new(time.clone()));
        let workflows = Arc::new(MemoryWorkflowRepo::new(time).sharing(&triggers));
        let engine = planner(workflows.clone());
        let mut plans = Vec::new();
        let mut save = |definition: &WorkflowDefinition, tenant: &TenantId| {
            let saved = engine.engine().install(tenant, definition).now_or_never();
            let installed = saved
                .expect("the model answers at once")
                .unwrap_or_else(|error| {
                    let definition = nebula_workflow::to_json(definition);
                    panic!("what was made up has no plan: {error:?}\n{definition:#}")
                });
            plans.push(installed.clone());
            installed
        };
        if swarm.has_triggers() {
            let text = ticking(swarm);
            let parsed = nebula_workflow::parse(&Source::new("ticks.yaml", &text));
            let ticks = parsed.definition.expect("it is a good one");
            for tenant in tenants(swarm) {
                save(&ticks, &tenant);
                publish(&engine, &tenant, &ticks);
            }
        }
        let theme = theme(&swarm.chance(4));
        let credentials = |number| {
            let chance = swarm.chance(7_000 + number);
            swarm.has_secrets().then_some(chance)
        };
        let flow = |number| {
            Flow::make(
                &format!("flow-{number}"),
                true,
                theme,
                &swarm.chance(1_000 + number),
                credentials(number),
            )
        };
        let made: Vec<_> = (0..swarm.workflows).map(flow).collect();
        let tenants = tenants(swarm);
        for number in (0..CALLEES).filter(|_| made.iter().any(|flow| flow.calls)) {
            let (id, chance) = (callee(number), swarm.chance(500 + number));
            let flow = Flow::make(&id, false, theme, &chance, credentials(500 + number));
            let saved = tenants.iter().map(|tenant| save(&flow.definition, tenant));
            saved.for_each(drop);
        }
        let mut install = |flow: Flow| {
            let saved = tenants.iter().map(|tenant| {
                let installed = save(&flow.definition, tenant);
                if let Some(later) = &flow.later {
                    save(later, tenant);
                }
                (flow.clone(), installed)
            });
            saved.collect::<Vec<_>>()
        };
        let flows = made.into_iter().map(&mut install).collect();
        Self {
            workflows,
            triggers,
            flows,
            plans,
        }
    }
}
