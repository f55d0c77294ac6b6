//! Schedules of months: 100,000 occurrences, two schedulers that die and begin anew, a clock that jumps;
//! each occurrence starts one execution.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use nebula::{
    Nebula,
    engine::{EngineConfig, FireConfig},
};
use nebula_core::{Clock, TenantId, Timestamp, TriggerId};
use nebula_execution::Fact;
use nebula_ports::{ExecutionFilter, ExecutionRepo, Published, Saved, TriggerRepo};
use nebula_storage_sqlite::{Sqlite, SqliteConfig};
use nebula_testkit::{ManualClock, MemorySandbox, MemoryTaskQueue, SeededEntropy, run};
use nebula_workflow::{Source, parse};
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const TRIGGERS: usize = 10;
const OCCURRENCES: usize = 100_000;
/// Ten triggers, each every half an hour: 208 days.
const EVERY: Duration = Duration::from_mins(30);
const DAY: Duration = Duration::from_hours(24);

fn process(store: &Arc<Sqlite>, clock: &ManualClock, life: u64) -> Nebula {
    let time: Arc<dyn Clock> = Arc::new(clock.clone());
    let queue = Arc::new(MemoryTaskQueue::new(time.clone(), 10, 100));
    let sandbox = Arc::new(MemorySandbox::new(time.clone()));
    Nebula::builder(store.clone(), store.clone(), queue, sandbox)
        .triggers(store.clone())
        .clock(time)
        .entropy(Arc::new(SeededEntropy::new(life)))
        .engine(EngineConfig {
            triggers_interval: DAY,
            ..EngineConfig::default()
        })
        .build()
        .unwrap()
}

/// A scheduler that has just begun.
fn begin(store: &Arc<Sqlite>, clock: &ManualClock, life: u64) -> JoinHandle<()> {
    let nebula = process(store, clock, life);
    let config = FireConfig {
        folder: std::env::temp_dir(),
        vars: Value::Null,
    };
    #[expect(
        clippy::disallowed_methods,
        reason = "a task that is aborted in the middle of its work, as a process dies"
    )]
    tokio::spawn(async move {
        let engine = nebula.engine().clone();
        engine.fire(config, CancellationToken::new()).await;
    })
}

/// Publishes a workflow with all the triggers.
async fn publish(nebula: &Nebula) {
    let all = (0..TRIGGERS).map(|n| {
        format!("  - {{ id: t{n}, type: interval, every: 30m, misfire: all, window: 31d }}\n")
    });
    let text = format!(
        "id: often\ntriggers:\n{}nodes: [{{ id: a, action: data.set }}]\n",
        all.collect::<String>()
    );
    let definition = parse(&Source::new("often.yaml", text)).definition.unwrap();
    let (engine, tenant) = (nebula.engine(), TenantId::local());
    let saved = engine.save(&tenant, &definition, None).await.unwrap();
    let Saved::New { version, revision } = saved else {
        panic!("{saved:?}")
    };
    let published = engine.publish(&tenant, &definition.id, version, revision);
    assert!(matches!(
        published.await.unwrap(),
        Published::Published { .. }
    ));
}

/// How often each occurrence of each trigger was started.
async fn started(store: &Sqlite) -> BTreeMap<(String, Timestamp), u32> {
    let (tenant, filter) = (TenantId::local(), ExecutionFilter::default());
    let (mut started, mut after) = (BTreeMap::new(), None);
    loop {
        let page = ExecutionRepo::list(store, &tenant, &filter, after.as_ref(), 1_000).await;
        let page = page.unwrap();
        for summary in page.items {
            let journal = store.journal(&tenant, summary.id, 1, 1).await.unwrap();
            let Fact::ExecutionStarted(first) = &journal.entries[0].entry.fact else {
                panic!("{journal:?}")
            };
            let text = |field: &str| first.trigger[field].as_str().unwrap().to_owned();
            let at = text("scheduled_at").parse().unwrap();
            *started.entry((text("id"), at)).or_default() += 1;
        }
        after = page.next;
        if after.is_none() {
            return started;
        }
    }
}

#[test]
fn a_hundred_thousand_slots_of_two_schedulers_start_one_execution_each() {
    let clock = ManualClock::default();
    run(async {
        let time: Arc<dyn Clock> = Arc::new(clock.clone());
        let store = Sqlite::open(SqliteConfig::ephemeral(), time).await.unwrap();
        let store = Arc::new(store);
        publish(&process(&store, &clock, 0)).await;
        let begun = clock.now();
        let chance = SeededEntropy::new(15);
        let mut lives = 2;
        let mut schedulers = [begin(&store, &clock, 1), begin(&store, &clock, 2)];
        let days = OCCURRENCES / TRIGGERS / 48 + 2;
        for day in 0..days {
            clock.advance(DAY);
            // Back by hours now and then, and forth again: by what is missed then nothing is lost.
            if day % 5 == 0 && day < days - 3 {
                let hours = i64::try_from(chance.below(12)).unwrap();
                clock.jump_wall((if day % 2 == 0 { hours } else { -hours }) * 3_600_000);
            }
            if day % 3 == 0 {
                for _ in 0..chance.below(200) {
                    tokio::task::yield_now().await;
                }
                // In the middle of whatever it does.
                let dies = usize::try_from(chance.below(2)).unwrap();
                schedulers[dies].abort();
                lives += 1;
                schedulers[dies] = begin(&store, &clock, lives);
            }
            while clock.sleepers() < schedulers.len() || store.due(1).await.unwrap().due.len() == 1
            {
                tokio::task::yield_now().await;
            }
        }
        schedulers.iter().for_each(JoinHandle::abort);

        let started = started(&store).await;
        let workflow = "often".parse().unwrap();
        let mut expected = 0;
        for n in 0..TRIGGERS {
            let id: TriggerId = format!("t{n}").parse().unwrap();
            let record = TriggerRepo::get(&*store, &TenantId::local(), &workflow, &id).await;
            let through = record.unwrap().unwrap().state.through;
            let schedule = nebula_trigger::Schedule::every(EVERY, Timestamp::default()).unwrap();
            for at in schedule.occurrences(begun).take_while(|at| *at <= through) {
                let found = started.get(&(id.to_string(), at));
                assert_eq!(found, Some(&1), "{id} at {at}");
                expected += 1;
            }
        }
        assert_eq!(
            started.len(),
            expected,
            "nothing but what is settled was started"
        );
        assert!(expected >= OCCURRENCES, "{expected}");
    });
}
