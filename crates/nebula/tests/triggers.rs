//! Workflows that start by themselves: when, with what, beside whom, and each occurrence once, whoever
//! dies and however clocks go.

mod world;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use nebula::{
    core::{
        BoxFuture, Clock, Entropy as _, ExecutionId, Groups, TenantId, Timestamp, TriggerId,
        WorkflowId,
    },
    engine::{EngineConfig, FireError},
    execution::{Entry, Fact, NewExecution, Status},
    ports::*,
    runtime::WorkerConfig,
};
use nebula_testkit::{
    ExecutionGuard, ManualClock, MemoryExecutionRepo, MemoryTaskQueue, MemoryTriggerRepo,
    MemoryWorkflowRepo, SeededEntropy, TriggerGuard, run_timed,
};
use nebula_trigger::Schedule;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use world::{World, config, in_world, live, publish, tenant};

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

fn id(text: &str) -> WorkflowId {
    text.parse().unwrap()
}

fn trigger(text: &str) -> TriggerId {
    text.parse().unwrap()
}

/// What started an execution, with what, and where it stands.
#[derive(Debug)]
struct Seen {
    trigger: Value,
    input: Value,
    status: Status,
}

impl Seen {
    fn at(&self) -> Timestamp {
        let at = self.trigger["scheduled_at"].as_str().unwrap();
        at.parse().unwrap()
    }
}

/// Every execution, oldest first.
async fn seen(executions: &dyn ExecutionRepo) -> Vec<Seen> {
    let filter = ExecutionFilter::default();
    let page = executions.list(&tenant(), &filter, None, 10_000).await;
    let mut all = Vec::new();
    for summary in page.unwrap().items.into_iter().rev() {
        let journal = executions.journal(&tenant(), summary.id, 1, 1).await;
        let first = journal.unwrap().entries.remove(0);
        let Fact::ExecutionStarted(started) = first.entry.fact else {
            panic!("{first:?}")
        };
        all.push(Seen {
            trigger: started.trigger.clone(),
            input: (*started.input).clone(),
            status: summary.status,
        });
    }
    all
}

async fn times(world: &World) -> Vec<String> {
    let all = seen(&*world.executions).await;
    all.iter().map(|it| it.at().to_string()).collect()
}

#[test]
fn a_cron_trigger_starts_its_workflow_by_the_clocks_of_its_zone() {
    in_world(async |world| {
        let nebula = world.process();
        let text = r#"
id: nightly
timezone: Europe/Berlin
input: { type: object, required: [day, shop], properties: { day: { type: string } } }
triggers:
  - { id: early, type: cron, schedule: "30 2 * * *", input: { day: "{{ $trigger.scheduled_at }}", shop: "{{ $vars.shop }}" } }
nodes: [{ id: a, action: data.set, parameters: { by: "{{ $trigger.id }} of {{ $workflow.version }}" } }]
"#;
        publish(&nebula, text).await;
        live(&world, &nebula, HOUR * 72).await;
        let all = seen(&*world.executions).await;
        let days: Vec<_> = all.iter().map(|it| it.input["day"].clone()).collect();
        let expected = ["01", "02", "03"].map(|day| format!("2026-01-{day}T01:30:00.000Z"));
        assert_eq!(days, expected.map(Value::from));
        for it in &all {
            assert_eq!(it.status, Status::Completed);
            assert_eq!(it.input["shop"], "north");
            assert_eq!(
                (&it.trigger["id"], &it.trigger["type"]),
                (&json!("early"), &json!("cron"))
            );
        }
        let (nightly, early) = (id("nightly"), trigger("early"));
        let record = nebula.engine().trigger(&tenant(), &nightly, &early).await;
        let state = record.unwrap().unwrap().state;
        assert_eq!(state.due.unwrap().to_string(), "2026-01-04T01:30:00.000Z");
        assert!(state.last.is_some());
    });
}

/// A workflow that takes 25 minutes and is started every ten.
fn slow(overlap: &str) -> String {
    format!(
        "id: slow\ntriggers: [{{ id: t, type: interval, every: 10m, overlap: {overlap} }}]\n\
         nodes: [{{ id: a, action: flow.wait, parameters: {{ for: 25m }} }}]"
    )
}

#[test]
fn a_start_beside_an_earlier_one_does_what_the_trigger_says() {
    for (overlap, started, cancelled, most) in [
        ("allow", 6, 0, 3),
        ("skip", 2, 0, 1),
        ("queue", 6, 0, 1),
        ("cancel_previous", 6, 5, 1),
    ] {
        in_world(async |world| {
            let nebula = world.process();
            publish(&nebula, &slow(overlap)).await;
            live(&world, &nebula, MINUTE * 61).await;
            let all = seen(&*world.executions).await;
            let of = |status| all.iter().filter(|it| it.status == status).count();
            assert_eq!(all.len(), started, "{overlap}");
            assert_eq!(of(Status::Cancelled), cancelled, "{overlap}");
            assert!(of(Status::Waiting) <= most, "{overlap}: {all:?}");
            assert!(of(Status::Completed) + cancelled > 0, "{overlap}");
        });
    }
}

const OFTEN: &str = "id: often\ntriggers: [{ id: t, type: interval, every: 10m, misfire: MISFIRE }]\nnodes: [{ id: a, action: data.set }]";

#[test]
fn what_nobody_was_there_to_start_is_made_up_for_as_the_trigger_says() {
    for (misfire, expected) in [("skip", 0), ("once", 1), ("all", 18)] {
        in_world(async |world| {
            let nebula = world.process();
            publish(&nebula, &OFTEN.replace("MISFIRE", misfire)).await;
            // Nobody is there for three hours and a little.
            world.clock.sleep(MINUTE * 185).await;
            live(&world, &nebula, MINUTE).await;
            assert_eq!(times(&world).await.len(), expected, "{misfire}");
            live(&world, &nebula, MINUTE * 10).await;
            assert_eq!(times(&world).await.len(), expected + 1, "{misfire}");
        });
    }
}

#[test]
fn a_paused_trigger_starts_nothing_and_makes_up_for_nothing() {
    in_world(async |world| {
        let nebula = world.process();
        publish(&nebula, &OFTEN.replace("MISFIRE", "all")).await;
        let (engine, often, t) = (nebula.engine(), id("often"), trigger("t"));
        live(&world, &nebula, MINUTE * 25).await;
        let paused = engine.pause_trigger(&tenant(), &often, &t, true).await;
        assert!(paused.unwrap().unwrap().state.paused);
        // Neither time nor a publication wakes it.
        live(&world, &nebula, MINUTE * 20).await;
        publish(&nebula, &OFTEN.replace("MISFIRE", "once")).await;
        live(&world, &nebula, MINUTE * 20).await;
        assert_eq!(times(&world).await.len(), 2);
        let goes = engine.pause_trigger(&tenant(), &often, &t, false).await;
        assert!(!goes.unwrap().unwrap().state.paused);
        live(&world, &nebula, MINUTE * 10).await;
        let expected = ["00:10", "00:20", "01:10"];
        assert_eq!(
            times(&world).await,
            expected.map(|it| format!("2026-01-01T{it}:00.000Z"))
        );
        let other = trigger("u");
        let unknown = engine.pause_trigger(&tenant(), &often, &other, true).await;
        assert_eq!(unknown.unwrap(), None);
    });
}

#[test]
fn people_fire_a_trigger_and_make_up_for_a_range_once() {
    in_world(async |world| {
        let nebula = world.process();
        publish(&nebula, &OFTEN.replace("MISFIRE", "skip")).await;
        let (engine, often, t) = (nebula.engine(), id("often"), trigger("t"));
        live(&world, &nebula, MINUTE * 25).await;
        let by_hand = engine.fire_trigger(&tenant(), &often, &t, &config()).await;
        let _ = by_hand.unwrap();
        let all = seen(&*world.executions).await;
        assert_eq!((all.len(), &all[2].trigger["manual"]), (3, &json!(true)));
        // Of the last hour two were started by the trigger itself.
        let now = world.clock.now();
        let from = Timestamp::from_millis(now.as_millis() - 3_600_000);
        for (again, new) in [(false, 4), (true, 0)] {
            let range = (from, now);
            let (whose, which, config) = (tenant(), (&often, &t), config());
            let done = engine.backfill(&whose, which, range, &config).await;
            let done = done.unwrap();
            assert_eq!(done.len(), 6);
            assert_eq!(done.iter().filter(|it| !it.existed).count(), new, "{again}");
        }
        let long = Timestamp::from_millis(now.as_millis() - 3_600_000 * 24 * 30);
        let (whose, which, config) = (tenant(), (&often, &t), config());
        let refused = engine.backfill(&whose, which, (long, now), &config).await;
        assert!(matches!(refused, Err(FireError::TooMany { .. })));
        // None of it moved the trigger.
        live(&world, &nebula, MINUTE * 6).await;
        assert_eq!(times(&world).await.len(), 3 + 4 + 1);
    });
}

#[test]
fn what_cannot_start_is_left_out_and_what_follows_starts() {
    in_world(async |world| {
        let nebula = world.process();
        let text = r#"
id: picky
input: { type: object, properties: { n: { type: integer, maximum: 1 } } }
triggers: [{ id: t, type: interval, every: 10m, input: { n: "{{ $trigger.scheduled_at.includes('00:10') ? 2 : 1 }}" } }]
nodes: [{ id: a, action: data.set }]
"#;
        publish(&nebula, text).await;
        live(&world, &nebula, MINUTE * 31).await;
        let expected = ["00:20", "00:30"].map(|it| format!("2026-01-01T{it}:00.000Z"));
        assert_eq!(times(&world).await, expected);
    });
}

#[test]
fn nothing_of_an_archived_workflow_starts() {
    in_world(async |world| {
        let nebula = world.process();
        publish(&nebula, &OFTEN.replace("MISFIRE", "skip")).await;
        let engine = nebula.engine();
        assert!(engine.archive(&tenant(), &id("often"), true).await.unwrap());
        live(&world, &nebula, MINUTE * 35).await;
        assert!(times(&world).await.is_empty());
        assert!(
            engine
                .archive(&tenant(), &id("often"), false)
                .await
                .unwrap()
        );
        live(&world, &nebula, MINUTE * 10).await;
        assert_eq!(times(&world).await.len(), 1);
    });
}

/// What goes wrong on the way of a scheduler to its store.
#[derive(Debug, Clone)]
struct Way {
    chance: Arc<SeededEntropy>,
    calm: Arc<Mutex<bool>>,
    dead: CancellationToken,
    counts: Arc<Mutex<BTreeMap<&'static str, u32>>>,
}

impl Way {
    fn strikes(&self, what: &'static str, percent: u64) -> bool {
        let strikes = !*self.calm.lock().unwrap() && self.chance.next_u64() % 100 < percent;
        if strikes {
            *self.counts.lock().unwrap().entry(what).or_default() += 1;
        }
        strikes
    }

    async fn die(&self) {
        self.dead.cancel();
        std::future::pending::<()>().await;
    }

    /// A call: on its way others have theirs, it may get lost, its answer may, and who calls may die.
    async fn call<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        for _ in 0..self.chance.next_u64() % 3 {
            tokio::task::yield_now().await;
        }
        let lost = || PortError::new(ErrorKind::Unavailable, "test", "call", "the way broke");
        if self.strikes("lost", 3) {
            return Err(lost());
        }
        if self.strikes("death before", 2) {
            self.die().await;
        }
        let answer = call.await;
        if self.strikes("death after", 2) {
            self.die().await;
        }
        if self.strikes("answer lost", 3) {
            return Err(lost());
        }
        for _ in 0..self.chance.next_u64() % 3 {
            tokio::task::yield_now().await;
        }
        answer
    }
}

/// A store at the end of such a way.
#[derive(Debug)]
struct Far<P: ?Sized> {
    way: Way,
    store: Arc<P>,
}

macro_rules! far {
    ($port:ident { $(fn $name:ident($($argument:ident: $of:ty),*) -> $answer:ty;)+ }) => {
        #[async_trait]
        impl $port for Far<dyn $port> {
            $(async fn $name(&self, $($argument: $of),*) -> Result<$answer> {
                self.way.call(self.store.$name($($argument),*)).await
            })+
        }
    };
}

far!(TriggerRepo {
    fn get(tenant: &TenantId, workflow: &WorkflowId, trigger: &TriggerId) -> Option<TriggerRecord>;
    fn list(tenant: &TenantId, workflow: Option<&WorkflowId>, after: Option<&PageToken>, limit: usize) -> Page<TriggerRecord>;
    fn update(tenant: &TenantId, workflow: &WorkflowId, trigger: &TriggerId, expected: u64, state: TriggerState) -> TriggerUpdated;
    fn due(limit: usize) -> DueTriggers;
    fn hooked(hook: &HookId) -> Option<(TenantId, TriggerRecord)>;
    fn arrivals(tenant: &TenantId, workflow: &WorkflowId, trigger: &TriggerId, limit: usize) -> Vec<Arrival>;
    fn pass(tenant: &TenantId, workflow: &WorkflowId, trigger: &TriggerId, expected: u64, passing: Passing) -> TriggerUpdated;
    fn cursor(tenant: &TenantId, workflow: &WorkflowId, trigger: &TriggerId) -> Option<Value>;
    fn bring(tenant: &TenantId, workflow: &WorkflowId, trigger: &TriggerId, brings: Bringing) -> Brought;
});

far!(ExecutionRepo {
    fn create(tenant: &TenantId, new: NewExecution, dedupe: Option<DedupeKey>, lease: Option<LeaseRequest>) -> Created;
    fn begin(lease: &Lease, dedupe: Option<DedupeKey>, step: Step) -> Begun;
    fn acquire(tenant: &TenantId, id: ExecutionId, lease: LeaseRequest, max: u32) -> Acquired;
    fn renew(leases: &[Lease]) -> Vec<Renewed>;
    fn release(lease: &Lease) -> ();
    fn step(lease: &Lease, step: Step) -> Stepped;
    fn journal(tenant: &TenantId, id: ExecutionId, from: u64, limit: usize) -> JournalPage;
    fn inbox(tenant: &TenantId, id: ExecutionId, after: u64, limit: usize) -> Vec<InboxItem>;
    fn signal(tenant: &TenantId, id: ExecutionId, signal: NewSignal) -> Signalled;
    fn migrate(tenant: &TenantId, id: ExecutionId, expected_seq: u64, entry: Entry) -> Moved;
    fn slots(tenant: &TenantId, key: &SlotKey, limit: usize) -> Vec<SlotHolder>;
    fn waiting_on(tenant: &TenantId, token: WaitToken) -> Option<ExecutionId>;
    fn runnable(rung_before: Timestamp, groups: &Groups, limit: usize) -> RunnablePage;
    fn backlog() -> Backlog;
    fn usage(tenant: &TenantId) -> Usage;
    fn get(tenant: &TenantId, id: ExecutionId) -> Option<ExecutionSummary>;
    fn list(tenant: &TenantId, filter: &ExecutionFilter, after: Option<&PageToken>, limit: usize) -> Page<ExecutionSummary>;
    fn changes(tenant: &TenantId, after: Option<&ChangeCursor>, limit: usize) -> Changes;
    fn delete_ended(tenant: &TenantId, before: Timestamp, limit: usize) -> usize;
});

/// The world's clock, as far off as that of one machine may be.
#[derive(Debug)]
struct Skewed(ManualClock, i64);

impl Clock for Skewed {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.now().as_millis() + self.1)
    }

    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.0.sleep(duration)
    }
}

/// Whose clock is two hours ahead would leave out what is still to come, and whose is behind would start
/// nothing: occurrences are due by the store's clock, and they go by that.
#[test]
fn a_process_with_another_time_starts_what_the_store_calls_due() {
    for apart in [-2, 2] {
        in_world(async |world| {
            let queue = MemoryTaskQueue::new(Arc::new(world.clock.clone()), 1_000, 100);
            let ports: (Arc<dyn ExecutionRepo>, Arc<dyn TaskQueue>) =
                (world.executions.clone(), Arc::new(queue));
            let skewed = Skewed(world.clock.clone(), apart * 3_600_000);
            let nebula = world
                .builder_from(ports, WorkerConfig::default(), EngineConfig::default())
                .clock(Arc::new(skewed))
                .build()
                .unwrap();
            let (often, t) = (id("often"), trigger("t"));
            publish(&nebula, &OFTEN.replace("MISFIRE", "skip")).await;
            live(&world, &nebula, MINUTE * 15).await;
            let paused = nebula
                .engine()
                .pause_trigger(&tenant(), &often, &t, true)
                .await;
            assert!(paused.unwrap().is_some());
            live(&world, &nebula, MINUTE * 10).await;
            // From now on, by the same clock.
            let goes = nebula
                .engine()
                .pause_trigger(&tenant(), &often, &t, false)
                .await;
            assert!(goes.unwrap().is_some());
            live(&world, &nebula, MINUTE * 10).await;
            let expected = ["00:10", "00:30"].map(|it| format!("2026-01-01T{it}:00.000Z"));
            assert_eq!(times(&world).await, expected, "{apart} hours apart");
        });
    }
}

/// What a world of schedulers came to.
struct Fired {
    /// How often each occurrence was started.
    started: BTreeMap<Timestamp, u32>,
    /// What the store says is settled, from when on.
    from: Timestamp,
    through: Timestamp,
    now: Timestamp,
    faults: BTreeMap<&'static str, u32>,
}

/// How often the trigger of these worlds comes.
const EVERY: Duration = Duration::from_mins(7);

/// A world whose stores may lack guards.
fn world_without(clock: &ManualClock, without: Option<(TriggerGuard, ExecutionGuard)>) -> World {
    let time: Arc<dyn Clock> = Arc::new(clock.clone());
    let (triggers, executions) = match without {
        Some((trigger, execution)) => (
            MemoryTriggerRepo::without(time.clone(), trigger),
            MemoryExecutionRepo::without(time.clone(), execution),
        ),
        None => (
            MemoryTriggerRepo::new(time.clone()),
            MemoryExecutionRepo::new(time.clone()),
        ),
    };
    let executions = executions.sharing(&triggers);
    let workflows = MemoryWorkflowRepo::new(time).sharing(&triggers);
    World::over(clock.clone(), executions, workflows, triggers)
}

/// A scheduler whose clock is apart, which dies on its way and begins anew.
async fn scheduler(world: World, way: Way, n: i64) {
    loop {
        let way = Way {
            dead: CancellationToken::new(),
            ..way.clone()
        };
        let executions: Arc<dyn ExecutionRepo> = world.executions.clone();
        let triggers: Arc<dyn TriggerRepo> = world.triggers.clone();
        let executions = Far {
            way: way.clone(),
            store: executions,
        };
        let triggers = Far {
            way: way.clone(),
            store: triggers,
        };
        let queue = MemoryTaskQueue::new(Arc::new(world.clock.clone()), 10, 100);
        let ports: (Arc<dyn ExecutionRepo>, Arc<dyn TaskQueue>) =
            (Arc::new(executions), Arc::new(queue));
        let skewed = Skewed(world.clock.clone(), (n - 1) * 2_000);
        let process = world
            .builder_from(ports, WorkerConfig::default(), EngineConfig::default())
            .triggers(Arc::new(triggers))
            .clock(Arc::new(skewed))
            .build()
            .unwrap();
        tokio::select! {
            biased;
            () = way.dead.cancelled() => {}
            () = process.engine().fire(config(), CancellationToken::new()) => {}
        }
        // A machine takes a while to begin again.
        let off = Duration::from_secs(way.chance.next_u64() % 600);
        world.clock.sleep(off).await;
    }
}

/// Three schedulers over one store, whose clocks are apart; they die and begin anew, their calls get
/// lost, and the clock of all jumps. Then, for three hours, nothing goes wrong.
fn schedulers(seed: u64, without: Option<(TriggerGuard, ExecutionGuard)>) -> Fired {
    let clock = ManualClock::default();
    run_timed(&clock.clone(), async move {
        let world = world_without(&clock, without);
        let chance = Arc::new(SeededEntropy::new(seed));
        let calm = Arc::new(Mutex::new(false));
        let counts: Arc<Mutex<BTreeMap<&'static str, u32>>> = Arc::default();
        let text = "id: often\ntriggers: [{ id: t, type: interval, every: 7m, misfire: all, window: 31d, jitter: 30s }]\nnodes: [{ id: a, action: data.set }]";
        publish(&world.process(), text).await;
        let from = world.clock.now();
        let mut tasks = tokio::task::JoinSet::new();
        for n in 0..3 {
            let way = Way {
                chance: chance.clone(),
                calm: calm.clone(),
                dead: CancellationToken::new(),
                counts: Arc::clone(&counts),
            };
            tasks.spawn(scheduler(world.clone(), way, n));
        }
        for _ in 0..8 {
            let rest = Duration::from_secs(600 + chance.next_u64() % 3_600);
            world.clock.sleep(rest).await;
            let by = i64::try_from(chance.next_u64() % 7_200_000).unwrap() - 3_600_000;
            world.clock.jump_wall(by);
        }
        *calm.lock().unwrap() = true;
        world.clock.sleep(HOUR * 3).await;
        tasks.shutdown().await;
        let mut started = BTreeMap::new();
        for it in seen(&*world.executions).await {
            *started.entry(it.at()).or_default() += 1;
        }
        let record = world
            .triggers
            .get(&tenant(), &id("often"), &trigger("t"))
            .await;
        let faults = counts.lock().unwrap().clone();
        Fired {
            started,
            from,
            through: record.unwrap().unwrap().state.through,
            now: world.clock.now(),
            faults,
        }
    })
}

impl Fired {
    /// Invariant 15: each occurrence starts exactly one execution. What is wrong, if anything is.
    fn each_slot_once(&self) -> std::result::Result<(), String> {
        let schedule = Schedule::every(EVERY, Timestamp::default()).unwrap();
        let all = schedule.occurrences(self.from);
        for occurrence in all.take_while(|it| *it <= self.through) {
            match self.started.get(&occurrence) {
                Some(1) => {}
                found => return Err(format!("{occurrence} was started {found:?} times")),
            }
        }
        match self.started.keys().find(|it| **it > self.through) {
            Some(early) => Err(format!("{early} is started, and not settled")),
            None => Ok(()),
        }
    }
}

#[test]
fn each_slot_starts_one_execution_whoever_dies_and_however_clocks_jump() {
    let mut faults = BTreeMap::new();
    for seed in 0..8 {
        let fired = schedulers(seed, None);
        fired
            .each_slot_once()
            .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        // It goes on: the last one is no older than it may be.
        let late = fired.now.since(fired.through);
        assert!(late < EVERY * 2, "seed {seed}: {late:?} behind");
        assert!(
            fired.started.len() > 20,
            "seed {seed}: {}",
            fired.started.len()
        );
        for (what, count) in fired.faults {
            *faults.entry(what).or_insert(0) += count;
        }
    }
    // A world in which nothing goes wrong shows nothing.
    for what in ["lost", "answer lost", "death before", "death after"] {
        assert!(
            faults.get(what).is_some_and(|count| *count >= 10),
            "{faults:?}"
        );
    }
}

/// The two guards under it, one beside the other: without both, the same worlds see it at once; each of
/// them alone is enough.
#[test]
fn a_store_without_its_guards_starts_a_slot_twice() {
    let broken = |trigger, execution| {
        let found = (0..8).find(|seed| {
            let fired = schedulers(*seed, Some((trigger, execution)));
            fired.each_slot_once().is_err()
        });
        found.is_some()
    };
    assert!(broken(TriggerGuard::CreateCompares, ExecutionGuard::Dedupe));
    assert!(!broken(
        TriggerGuard::CreateCompares,
        ExecutionGuard::SameInput
    ));
}

/// Executions that end and tell of it, while the schedulers that hear of it die; how often each was heard
/// of, at most, and at least.
fn ends_heard(seed: u64, without: Option<(TriggerGuard, ExecutionGuard)>) -> (u32, u32) {
    let clock = ManualClock::default();
    run_timed(&clock.clone(), async move {
        let world = world_without(&clock, without);
        let chance = Arc::new(SeededEntropy::new(seed));
        let calm = Arc::new(Mutex::new(false));
        let nebula = world.process();
        let heard = "id: heard\ntriggers: [{ id: t, type: workflow, on: completed, workflows: [told] }]\nnodes: [{ id: a, action: data.set }]";
        publish(&nebula, heard).await;
        let told = "id: told\nnodes: [{ id: a, action: data.set }]";
        let told = world.install(&nebula, told).await;
        let mut tasks = tokio::task::JoinSet::new();
        for n in 0..3 {
            let way = Way {
                chance: chance.clone(),
                calm: calm.clone(),
                dead: CancellationToken::new(),
                counts: Arc::default(),
            };
            tasks.spawn(scheduler(world.clone(), way, n));
        }
        let drives = async {
            for _ in 0..40 {
                let _ = world.start(&nebula, &told).await;
                let rest = Duration::from_secs(chance.next_u64() % 60);
                world.clock.sleep(rest).await;
            }
            *calm.lock().unwrap() = true;
            world.clock.sleep(HOUR).await;
        };
        tokio::select! {
            biased;
            stopped = nebula.run(CancellationToken::new()) => panic!("the worker stopped: {stopped:?}"),
            () = drives => {}
        }
        tasks.shutdown().await;
        let mut heard: BTreeMap<String, u32> = BTreeMap::new();
        for it in seen(&*world.executions).await {
            if let Some(source) = it.trigger["execution"].as_str() {
                *heard.entry(source.to_owned()).or_default() += 1;
            }
        }
        let least = if heard.len() == 40 { 1 } else { 0 };
        (heard.values().copied().max().unwrap_or(0), least)
    })
}

#[test]
fn each_end_starts_one_execution_whoever_dies() {
    for seed in 0..8 {
        assert_eq!(ends_heard(seed, None), (1, 1), "seed {seed}");
    }
}

/// The guards under it, of which each alone is enough; and a store that tells nobody.
#[test]
fn a_store_without_its_guards_starts_twice_for_an_end() {
    let broken = |trigger, execution| {
        let mut seeds = 0..4;
        seeds.any(|seed| ends_heard(seed, Some((trigger, execution))) != (1, 1))
    };
    assert!(broken(TriggerGuard::CreateCompares, ExecutionGuard::Dedupe));
    assert!(!broken(
        TriggerGuard::CreateTakes,
        ExecutionGuard::SameInput
    ));
    assert!(broken(TriggerGuard::Announces, ExecutionGuard::SameInput));
}
