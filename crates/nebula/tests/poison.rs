//! Executions that are more than any should be: bounded and visible, while others go on.

mod world;

use std::time::Duration;

use nebula::{
    engine::{Until, Waiting},
    execution::{Fact, Status},
    ports::{Acquired, ExecutionRepo, Incarnation, LeaseRequest},
    runtime::WorkerConfig,
};
use nebula_core::{Clock, Entropy};
use nebula_testkit::SeededEntropy;
use world::{LONG, in_world, tenant, with};

/// Runs of a list whose body leaves at least four entries each.
const RUNS: usize = 2_600;

/// How many grants without progress an execution may have.
const MAX_GRANTS: u32 = 5;

#[test]
fn attempts_that_never_return_are_given_up_and_hold_up_nobody() {
    in_world(async |world| {
        let nebula = world.process();
        let deaf = "nodes: [ { id: a, action: test.once, timeout: 5s, parameters: { label: deaf, deaf: true } }, { id: after, action: test.keyed, parameters: { label: never } } ]";
        let deaf = world.install(&nebula, &format!("id: deaf\n{deaf}")).await;
        let brief = "id: brief\nnodes: [ { id: a, action: test.keyed, parameters: { label: brief, seconds: 1 } } ]";
        let brief = world.install(&nebula, brief).await;
        let (mut hang, mut others) = (Vec::new(), Vec::new());
        for _ in 0..10 {
            hang.push(world.start(&nebula, &deaf).await);
            others.push(world.start(&nebula, &brief).await);
        }
        with(&nebula, async {
            for id in others {
                let report = world.settled(&nebula, id).await;
                assert_eq!(report.status, Status::Completed);
            }
            for id in hang {
                let report = world.settled(&nebula, id).await;
                assert_eq!(report.status, Status::Parked);
                let [Waiting::Decision { instance, reason }] = &report.waiting[..] else {
                    panic!("{report:?}")
                };
                assert_eq!((&**instance, reason.is_empty()), ("a", false));
            }
        })
        .await;
        assert_eq!(world.ledger.keys("deaf").len(), 10);
    });
}

#[test]
fn a_journal_of_ten_thousand_entries_is_gone_on_with_in_a_few_calls() {
    in_world(async |world| {
        let first = world.process();
        let yaml = format!(
            "nodes: [ {{ id: each, action: flow.for_each, concurrency: 50, parameters: {{ range: {{ from: 0, to: {RUNS} }} }}, body: {{ nodes: [{{ id: a, action: test.keyed, parameters: {{ label: a }} }}, {{ id: b, action: data.set, parameters: {{ n: 1 }} }}] }} }}, {{ id: w, action: flow.wait, parameters: {{ for: 1h }} }}, {{ id: end, action: data.set, parameters: {{ n: \"{{{{ $nodes.each.result.length }}}}\" }} }} ]"
        );
        let id = world.begin(&first, &yaml).await;
        with(&first, world.waits(&first, id)).await;
        drop(first);
        let summary = world.executions.get(&tenant(), id).await;
        let entries = summary.unwrap().unwrap().entries;
        assert!(entries >= 10_000, "{entries}");

        let mortal = world.mortal(None);
        let second = world.process_over(mortal.clone());
        with(&second, async {
            let until = Until::Ended;
            let ended = second.engine().wait(&tenant(), id, until, None).await;
            assert_eq!(ended.unwrap(), Some(Status::Completed));
        })
        .await;
        // From its snapshot on, and not from its beginning.
        let read = mortal.entries_read();
        assert!(read < entries / 2, "{read} of {entries} entries were read");
        let report = second.engine().report(&tenant(), id).await;
        assert_eq!(report.unwrap().unwrap().output["n"], RUNS);

        let mut replay = second.engine().replay(&tenant(), id);
        let mut steps = 0_u64;
        while let Some(_step) = replay.step().await.unwrap() {
            steps += 1;
        }
        assert!(steps >= entries, "{steps}");
    });
}

#[test]
fn who_only_waits_is_no_poison_when_its_workers_die() {
    in_world(async |world| {
        let patient = || {
            let config = WorkerConfig {
                wait_in_memory: LONG,
                ..WorkerConfig::default()
            };
            world.process_with(world.executions.clone(), config)
        };
        let first = patient();
        let yaml = "nodes: [ { id: w, action: flow.wait, parameters: { for: 30m } } ]";
        let id = world.begin(&first, yaml).await;
        for _ in 0..MAX_GRANTS * 2 {
            // Longer than a lease: it is taken over meanwhile.
            with(&patient(), world.clock.sleep(Duration::from_secs(15))).await;
        }
        world.clock.sleep(Duration::from_secs(15)).await;
        let request = LeaseRequest {
            holder: Incarnation(SeededEntropy::new(u64::MAX).uuid()),
            ttl: LONG,
        };
        let (tenant, repo) = (tenant(), &world.executions);
        let acquired = repo
            .acquire(&tenant, id, request, MAX_GRANTS)
            .await
            .unwrap();
        assert!(
            !matches!(acquired, Acquired::Poisoned { .. }),
            "{acquired:?}"
        );
    });
}

#[test]
fn whoever_was_lost_once_says_what_it_begins() {
    in_world(async |world| {
        let begun = async |id| {
            let page = world.executions.journal(&tenant(), id, 1, 100).await;
            let facts = page.unwrap().entries.into_iter().map(|it| it.entry.fact);
            facts
                .filter(|fact| matches!(fact, Fact::AttemptStarted { .. }))
                .count()
        };
        let yaml = "nodes: [ { id: a, action: test.pure, parameters: { label: a, seconds: 5 } } ]";
        let first = world.process();
        let calm = world.begin(&first, yaml).await;
        assert_eq!(world.finish(&first, calm).await.status, Status::Completed);
        // What touches nothing outside needs no entry before it begins.
        assert_eq!(begun(calm).await, 0);

        let lost = world.begin(&first, yaml).await;
        with(&first, world.clock.sleep(Duration::from_secs(1))).await;
        drop(first);
        let second = world.process();
        assert_eq!(world.finish(&second, lost).await.status, Status::Completed);
        // Whatever took its worker down has a name, if it does so again.
        assert_eq!(begun(lost).await, 1);
    });
}

#[test]
fn who_was_beside_poison_is_not_taken_for_it() {
    in_world(async |world| {
        let first = world.process();
        let node = |label, seconds| {
            format!(
                "nodes: [ {{ id: a, action: test.keyed, timeout: 10h, parameters: {{ label: {label}, seconds: {seconds} }} }} ]"
            )
        };
        let poison = world.begin(&first, &node("poison", 9_000)).await;
        let beside = world.begin(&first, &node("beside", 5)).await;
        let attempts = || world.ledger.keys("poison").len();
        loop {
            let (process, before) = (world.process(), attempts());
            let report = world.settled(&process, poison);
            let parked = async {
                tokio::select! {
                    biased;
                    report = report => return Some(report.status),
                    () = async {
                        while attempts() == before {
                            world.clock.sleep(Duration::from_millis(100)).await;
                        }
                    } => {}
                }
                // It takes its process down.
                world.clock.sleep(Duration::from_secs(1)).await;
                None
            };
            if let Some(status) = with(&process, parked).await {
                assert_eq!(status, Status::Parked);
                let report = world.finish(&process, beside).await;
                assert_eq!(report.status, Status::Completed, "{report:?}");
                let attempts = report.nodes["a"][0]["attempts"].as_u64();
                assert!(attempts < Some(5), "{attempts:?}");
                break;
            }
        }
    });
}
