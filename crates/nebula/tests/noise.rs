//! One noisy tenant beside a quiet one: how long the quiet one's executions take, in time that is made up.

mod world;

use std::{sync::Arc, time::Duration};

use nebula::{
    Nebula,
    core::{Clock, TenantId},
    engine::{EngineConfig, Installed},
    execution::StartOptions,
    ports::{ExecutionRepo, Quotas, TaskQueue, Tenant, TenantPut, TenantRepo, Weight},
    runtime::WorkerConfig,
    workflow::{Source, parse},
};
use nebula_testkit::{MemoryTaskQueue, MemoryTenantRepo, QueueGuard};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use world::{World, in_world};

/// How many executions a worker drives at a time.
const PLACES: usize = 4;

/// How many the noisy tenant starts at once: as much work as the worker does in minutes.
const FLOOD: u32 = 1_500;

/// How many the quiet one starts, one after the other.
const QUIET: usize = 60;

/// Holds its place for a tenth of a second.
const WORKS: &str =
    "nodes: [{ id: a, action: test.keyed, parameters: { label: x, seconds: 0.1 } }]";

fn tenant(id: &str) -> TenantId {
    TenantId::new(id).unwrap()
}

async fn install(nebula: &Nebula, tenant: &TenantId) -> Installed {
    let definition = parse(&Source::new("works.yaml", WORKS)).definition.unwrap();
    let installed = nebula.engine().install(tenant, &definition).await;
    installed.unwrap()
}

/// How long each of the quiet tenant's executions took, from its start to its end, beside a flood or not; with
/// a queue in which tenants take turns or not.
fn quiet(flood: u32, turns: bool) -> Vec<Duration> {
    in_world(async |world: World| {
        let clock: Arc<dyn Clock> = Arc::new(world.clock.clone());
        let queue: Arc<dyn TaskQueue> = Arc::new(match turns {
            true => MemoryTaskQueue::new(clock, 10_000, 100),
            false => MemoryTaskQueue::without(clock, (10_000, 100), QueueGuard::Turns),
        });
        let executions: Arc<dyn ExecutionRepo> = world.executions.clone();
        let config = WorkerConfig {
            executions: PLACES,
            ..WorkerConfig::default()
        };
        let built = world.builder_from((executions, queue), config, EngineConfig::default());
        let nebula = built.build().unwrap();
        // Without turns, whoever comes first by name is always first.
        let (loud, calm) = (tenant("a-loud-one"), tenant("calm"));
        let theirs = install(&nebula, &loud).await;
        let mine = install(&nebula, &calm).await;
        let start = async |tenant: &TenantId, installed: &Installed| {
            let (engine, options) = (nebula.engine(), StartOptions::default());
            let started = engine.start(tenant, installed, Value::Null, options, None, None);
            started.await.unwrap().id
        };
        for _ in 0..flood {
            start(&loud, &theirs).await;
        }
        let work = async {
            let mut took = Vec::new();
            for n in 0..QUIET as u64 {
                // At no fixed beat: it comes at every moment between two ends of the others.
                world
                    .clock
                    .sleep(Duration::from_millis(230 + 7 * (n % 13)))
                    .await;
                let begun = world.clock.monotonic();
                let id = start(&calm, &mine).await;
                let halts = nebula.bus().wait_for(id);
                nebula.engine().end(&calm, id, halts, None).await.unwrap();
                took.push(world.clock.monotonic() - begun);
            }
            took
        };
        let mut took = tokio::select! {
            biased;
            stopped = nebula.run(CancellationToken::new()) => panic!("the worker stopped: {stopped:?}"),
            took = work => took,
        };
        if flood > 0 && turns {
            // The flood was there to the last.
            let left = world.executions.usage(&loud).await.unwrap();
            assert!(left.executions > PLACES as u64, "{left:?}");
        }
        took.sort();
        took
    })
}

/// Of what two tenants wait for, how much of `b` has ended when so many of both have, where `a` weighs so much.
fn share_beside(weight: u32, ended: u64) -> u64 {
    const EACH: u64 = 300;
    in_world(async |world: World| {
        let clock: Arc<dyn Clock> = Arc::new(world.clock.clone());
        let queue: Arc<dyn TaskQueue> = Arc::new(MemoryTaskQueue::new(clock, 10_000, 100));
        let executions: Arc<dyn ExecutionRepo> = world.executions.clone();
        let config = WorkerConfig {
            executions: PLACES,
            ..WorkerConfig::default()
        };
        let tenants = Arc::new(MemoryTenantRepo::default());
        let both = [(tenant("a"), weight), (tenant("b"), 1)];
        for (id, weight) in both.clone() {
            let settled = Tenant {
                name: id.to_string(),
                id,
                version: 1,
                disabled: false,
                quotas: Quotas::default(),
                weight: Weight::new(weight).unwrap(),
            };
            assert_eq!(
                tenants.put_tenant(settled).await.unwrap(),
                TenantPut::Stored
            );
        }
        let built = world.builder_from((executions, queue), config, EngineConfig::default());
        let nebula = built.tenants(tenants).build().unwrap();
        for (id, _) in &both {
            let installed = install(&nebula, id).await;
            for _ in 0..EACH {
                let (engine, options) = (nebula.engine(), StartOptions::default());
                let started = engine.start(id, &installed, Value::Null, options, None, None);
                assert!(started.await.is_ok());
            }
        }
        let of = async |n: usize| {
            let used = world.executions.usage(&both[n].0).await.unwrap();
            EACH - used.executions
        };
        let counts = async {
            loop {
                world.clock.sleep(Duration::from_millis(50)).await;
                let (a, b) = (of(0).await, of(1).await);
                if a + b >= ended {
                    return b;
                }
            }
        };
        tokio::select! {
            biased;
            stopped = nebula.run(CancellationToken::new()) => panic!("the worker stopped: {stopped:?}"),
            b = counts => b,
        }
    })
}

#[test]
fn a_tenant_that_weighs_three_times_as_much_has_three_of_four_turns() {
    let (even, light) = (share_beside(1, 200), share_beside(3, 200));
    let within = |ended: u64, wanted: u64| ended.abs_diff(wanted) <= 2 * PLACES as u64;
    assert!(within(even, 100), "{even}");
    assert!(within(light, 50), "{light}");
}

/// The one of which 99 of 100 are no larger.
fn p99(sorted: &[Duration]) -> Duration {
    sorted[(sorted.len() * 99).div_ceil(100) - 1]
}

#[test]
fn a_flood_of_one_tenant_leaves_anothers_p99_within_twice() {
    let (alone, beside) = (p99(&quiet(0, true)), p99(&quiet(FLOOD, true)));
    assert!(alone >= Duration::from_millis(100), "{alone:?}");
    assert!(
        beside <= alone * 2,
        "alone {alone:?}, beside the flood {beside:?}"
    );
}

#[test]
fn a_queue_without_turns_would_not() {
    let (alone, beside) = (p99(&quiet(0, false)), p99(&quiet(200, false)));
    assert!(
        beside > alone * 2,
        "alone {alone:?}, beside the flood {beside:?}"
    );
}
