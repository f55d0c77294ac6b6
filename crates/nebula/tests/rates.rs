//! Executions begin as often as their workflow lets them, also where processes die.

mod world;

use std::time::Duration;

use nebula::{
    Nebula,
    core::{Clock, ExecutionId, Timestamp},
    engine::{AdmissionError, Installed, StartError, Started, Until, Waiting},
    execution::{Again, Signal, StartOptions, Status},
    ports::ExecutionFilter,
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use world::{Death, Saved, World, dies_at_each, in_world, tenant, with};

/// The example of the page about definitions, so that what it shows is true.
fn example() -> String {
    let page = include_str!("../../../docs/definition.md");
    let mut blocks = page.split("```yaml\n").skip(1);
    let block = blocks.find(|block| block.contains("rate_limit:"));
    block.unwrap().split("```").next().unwrap().to_owned()
}

/// A workflow whose one node leaves its mark, with these fields.
fn marks(fields: &str) -> String {
    format!(
        "{fields}\nnodes: [{{ id: a, action: test.keyed, parameters: {{ label: \"n{{{{ $input.n }}}}\" }} }}]"
    )
}

async fn admit(
    nebula: &Nebula,
    installed: &Installed,
    input: Value,
) -> Result<Started, StartError> {
    let options = StartOptions::default();
    nebula.admit(&tenant(), installed, input, options).await
}

/// Lets a process work until all have ended: when each did, in seconds.
async fn ends(world: &World, nebula: &Nebula, ids: &[ExecutionId]) -> Vec<u64> {
    let tenant = tenant();
    let all = async {
        let mut ends = Vec::new();
        for id in ids {
            let waited = nebula
                .engine()
                .wait(&tenant, *id, Until::EndedOrParked, None);
            assert_eq!(waited.await.unwrap(), Some(Status::Completed));
            ends.push(world.clock.monotonic().as_secs());
        }
        ends
    };
    tokio::select! {
        biased;
        stopped = nebula.run(CancellationToken::new()) => panic!("the worker stopped: {stopped:?}"),
        ends = all => ends,
    }
}

/// When four executions that are started at once have ended, in seconds.
fn four(fields: &str) -> Vec<u64> {
    in_world(async |world| {
        let nebula = world.process();
        let installed = world.install(&nebula, &marks(fields)).await;
        let mut ids = Vec::new();
        for n in 0..4 {
            ids.push(
                admit(&nebula, &installed, json!({ "n": n }))
                    .await
                    .unwrap()
                    .id,
            );
        }
        let ends = ends(&world, &nebula, &ids).await;
        assert_eq!(world.ledger.labels(), ["n0", "n1", "n2", "n3"], "{fields}");
        ends
    })
}

#[test]
fn starts_begin_as_often_as_their_rate_lets_them_and_in_their_order() {
    assert_eq!(four("name: no rate"), [0, 0, 0, 0]);
    assert_eq!(four("rate_limit: { limit: 4, per: 1h }"), [0, 0, 0, 0]);
    assert_eq!(four("rate_limit: { limit: 2, per: 1m }"), [0, 0, 30, 60]);
    assert_eq!(
        four("rate_limit: { limit: 2, per: 1m, burst: 1 }"),
        [0, 30, 60, 90]
    );
    assert_eq!(
        four("rate_limit: { limit: 1, per: 1h, key: $input.n }"),
        [0, 0, 0, 0]
    );
    // A long key is told by its digest.
    assert_eq!(
        four("rate_limit: { limit: 1, per: 10s, key: \"'x'.repeat(9000) + $input.n % 2\" }"),
        [0, 0, 10, 10]
    );
}

#[test]
fn what_somebody_waits_for_begins_by_its_rate_too() {
    in_world(async |world| {
        let nebula = world.process();
        let yaml = marks("rate_limit: { limit: 1, per: 1m }");
        let installed = world.install(&nebula, &yaml).await;
        let tenant = tenant();
        let work = async {
            for n in 0..3 {
                let (input, options) = (json!({ "n": n }), StartOptions::default());
                let executed = nebula.execute(&tenant, &installed, input, options);
                assert_eq!(executed.await.unwrap().1.status, Status::Completed);
                assert_eq!(world.clock.monotonic().as_secs(), n * 60);
            }
        };
        with(&nebula, work).await;
    });
}

#[test]
fn the_example_of_the_page_holds_what_it_says() {
    in_world(async |world| {
        let nebula = world.process();
        let installed = world.install(&nebula, &example()).await;
        let mut begins = Vec::new();
        for n in 0..24 {
            let input = json!({ "customer": "ada", "n": n });
            let started = admit(&nebula, &installed, input).await.unwrap();
            begins.push(
                started
                    .begins_at
                    .map(|at| at.since(world.clock.now()).as_millis()),
            );
        }
        let expected: Vec<_> = [None; 20]
            .into_iter()
            .chain([600, 1_200, 1_800, 2_400].map(Some))
            .collect();
        assert_eq!(begins, expected);
        let other = json!({ "customer": "bob", "n": 0 });
        let other = admit(&nebula, &installed, other).await.unwrap();
        assert_eq!(other.begins_at, None);
    });
}

#[test]
fn a_start_that_is_refused_says_exactly_when_to_try_again() {
    for (fields, waiting, seconds) in [("when_full: refuse", 0, 60), ("queue: 2", 2, 60)] {
        in_world(async |world| {
            let nebula = world.process();
            let yaml = marks(&format!("rate_limit: {{ limit: 1, per: 1m, {fields} }}"));
            let installed = world.install(&nebula, &yaml).await;
            for n in 0..=waiting {
                let _ = admit(&nebula, &installed, json!({ "n": n })).await.unwrap();
            }
            let refused = admit(&nebula, &installed, json!({ "n": 9 })).await;
            let Err(StartError::Admission(AdmissionError::Limited {
                try_after,
                waiting: told,
                ..
            })) = refused
            else {
                panic!("{refused:?}")
            };
            assert_eq!((told, try_after), (waiting, Duration::from_secs(seconds)));
            let listed = ExecutionFilter::default();
            let listed = nebula.engine().list(&tenant(), &listed, None, 10).await;
            assert_eq!(listed.unwrap().items.len(), 1 + waiting as usize);
            world.clock.advance(try_after);
            let again = admit(&nebula, &installed, json!({ "n": 9 })).await;
            assert!(again.is_ok(), "{again:?}");
        });
    }
}

#[test]
fn what_goes_over_an_execution_again_counts_too_and_a_dry_run_does_not() {
    in_world(async |world| {
        let nebula = world.process();
        let yaml = marks("rate_limit: { limit: 2, per: 1m, when_full: refuse }");
        let installed = world.install(&nebula, &yaml).await;
        let first = admit(&nebula, &installed, json!({ "n": 1 })).await.unwrap();
        let _ = ends(&world, &nebula, &[first.id]).await;
        let tenant = tenant();
        let restart = || nebula.again(&tenant, first.id, Again::Restart { from: None });
        assert!(restart().await.is_ok());
        let refused = restart().await.unwrap_err().to_string();
        assert!(refused.contains("2 starts in 1m"), "{refused}");
        let dry = StartOptions {
            trial: Some(nebula::execution::Tries {
                dry_run: true,
                ..Default::default()
            }),
            ..StartOptions::default()
        };
        for _ in 0..3 {
            let input = json!({ "n": 1 });
            let dry = nebula.admit(&tenant, &installed, input, dry.clone()).await;
            assert!(dry.is_ok(), "{dry:?}");
        }
    });
}

#[test]
fn a_key_without_a_value_is_refused() {
    in_world(async |world| {
        let nebula = world.process();
        let yaml = marks("rate_limit: { limit: 1, per: 1m, key: $input.customer }");
        let installed = world.install(&nebula, &yaml).await;
        let refused = admit(&nebula, &installed, json!({ "n": 1 })).await;
        let Err(StartError::Admission(AdmissionError::Key(error))) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!(error.field(), "rate_limit.key");
    });
}

/// Two starts of one in a minute, of which the second gets these signals at its beginning.
fn second_hears(signals: &[Signal]) -> (Status, u64, Vec<String>) {
    in_world(async |world| {
        let nebula = world.process();
        let installed = world
            .install(&nebula, &marks("rate_limit: { limit: 1, per: 1m }"))
            .await;
        let mut ids = Vec::new();
        for n in 0..2 {
            ids.push(
                admit(&nebula, &installed, json!({ "n": n }))
                    .await
                    .unwrap()
                    .id,
            );
        }
        let tenant = tenant();
        for signal in signals {
            let sent = nebula.engine().signal(&tenant, ids[1], signal, None);
            let _ = sent.await.unwrap();
        }
        let waited = nebula
            .engine()
            .wait(&tenant, ids[1], Until::EndedOrParked, None);
        let status = tokio::select! {
            biased;
            stopped = nebula.run(CancellationToken::new()) => panic!("the worker stopped: {stopped:?}"),
            status = waited => status.unwrap().unwrap(),
        };
        let seconds = world.clock.monotonic().as_secs();
        (status, seconds, world.ledger.labels())
    })
}

#[test]
fn what_waits_for_its_time_hears_signals_and_still_waits() {
    let labels = |labels: &[&str]| labels.iter().map(|&it| it.to_owned()).collect::<Vec<_>>();
    let both = labels(&["n0", "n1"]);
    assert_eq!(second_hears(&[]), (Status::Completed, 60, both.clone()));
    let reason = String::new;
    let cancel = Signal::Cancel { reason: reason() };
    assert_eq!(
        second_hears(&[cancel]),
        (Status::Cancelled, 0, labels(&["n0"]))
    );
    let pause = Signal::Pause { reason: reason() };
    let (status, seconds, _) = second_hears(std::slice::from_ref(&pause));
    assert_eq!((status, seconds), (Status::Paused, 0));
    // A signal wakes it before its time, which is no reason to begin.
    assert_eq!(
        second_hears(&[pause, Signal::Unpause]),
        (Status::Completed, 60, both)
    );
}

#[test]
fn an_execution_that_waits_for_its_time_says_so() {
    in_world(async |world| {
        let nebula = world.process();
        let yaml = marks("rate_limit: { limit: 1, per: 1m }\nadmission: { concurrency: 1 }");
        let installed = world.install(&nebula, &yaml).await;
        let _ = admit(&nebula, &installed, json!({ "n": 0 })).await.unwrap();
        let second = admit(&nebula, &installed, json!({ "n": 1 })).await.unwrap();
        let report = nebula.engine().report(&tenant(), second.id).await;
        let report = report.unwrap().unwrap();
        let due = world.clock.now().plus(Duration::from_secs(60)).to_string();
        assert_eq!(report.waiting, [Waiting::Start { due }]);
        assert_eq!(report.status, Status::Queued);
    });
}

#[test]
fn whoever_waits_for_its_time_takes_its_turn_then() {
    in_world(async |world| {
        let nebula = world.process();
        let yaml = "rate_limit: { limit: 1, per: 10s }\nadmission: { concurrency: 1 }\ninput: { type: object }\nnodes: [{ id: a, action: test.keyed, parameters: { label: \"n{{ $input.n }}\", seconds: 25 } }]";
        let installed = world.install(&nebula, yaml).await;
        let mut ids = Vec::new();
        for n in 0..3 {
            ids.push(
                admit(&nebula, &installed, json!({ "n": n }))
                    .await
                    .unwrap()
                    .id,
            );
        }
        assert_eq!(ends(&world, &nebula, &ids).await, [25, 50, 75]);
        assert_eq!(world.ledger.most_busy(), 1);
    });
}

#[test]
fn a_call_waits_for_the_rate_of_what_it_calls() {
    in_world(async |world| {
        let nebula = world.process();
        let callee = format!(
            "id: callee\n{}",
            marks("rate_limit: { limit: 1, per: 1m, when_full: refuse }")
        );
        world.install(&nebula, &callee).await;
        let caller = "id: caller\nnodes:\n  - { id: a, action: flow.call, parameters: { workflow: callee, input: { n: 1 } } }\n  - { id: b, action: flow.call, parameters: { workflow: callee, input: { n: 2 } } }\nconnections: []\noutput: done";
        let installed = world.install(&nebula, caller).await;
        let started = admit(&nebula, &installed, Value::Null).await.unwrap();
        assert_eq!(ends(&world, &nebula, &[started.id]).await, [60]);
        assert_eq!(world.ledger.labels(), ["n1", "n2"]);
    });
}

/// Starts four executions. The same deliveries again: what is there takes no token twice.
async fn start_all(nebula: &Nebula, installed: &Installed) -> Vec<ExecutionId> {
    let (tenant, mut ids) = (tenant(), Vec::new());
    for n in 0..4 {
        let dedupe = nebula::ports::DedupeKey(format!("delivery {n}"));
        let started = nebula.engine().start(
            &tenant,
            installed,
            json!({ "n": n }),
            StartOptions::default(),
            Some(dedupe),
            None,
        );
        ids.push(started.await.unwrap().id);
    }
    ids
}

/// All four ran, and none began before its time: the n-th not within n intervals.
async fn spaced(world: &World, begun: Timestamp, death: Death) {
    let mut labels = world.ledger.labels();
    labels.dedup();
    assert_eq!(labels, ["n0", "n1", "n2", "n3"], "{death:?}");
    let survivor = world.process();
    let all = ExecutionFilter::default();
    let listed = survivor.engine().list(&tenant(), &all, None, 10).await;
    let mut items = listed.unwrap().items;
    assert_eq!(items.len(), 4, "{death:?}");
    items.sort_by_key(|item| item.updated_at);
    for (place, item) in (0_u32..).zip(&items) {
        let earliest = begun.plus(Duration::from_secs(10) * place);
        assert!(item.updated_at >= earliest, "{death:?}: {items:?}");
    }
}

#[test]
fn a_crash_at_any_call_lets_none_begin_early_and_leaves_none_behind() {
    let saved = Saved::new(&[&marks("rate_limit: { limit: 1, per: 10s }")]);
    let live = |death: Death| {
        saved.in_world(async |world| {
            let begun = world.clock.now();
            let act = async |nebula: &Nebula| {
                let ids = start_all(nebula, &saved.installed).await;
                let _ = ends(&world, nebula, &ids).await;
            };
            let ((), calls) = world.through(death, act).await;
            spaced(&world, begun, death).await;
            ((), calls)
        })
    };
    dies_at_each(1, &(), live);
}
