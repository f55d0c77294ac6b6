//! Bodies that run while a slot is held: in one execution, between executions, also where processes
//! die.

mod world;

use std::time::Duration;

use nebula::{
    Nebula,
    core::{Clock, ExecutionId},
    engine::{EngineConfig, Installed, Until, Waiting},
    execution::{StartOptions, Status},
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use world::{Death, LONG, Saved, World, dies_at_each, in_world, states, tenant};

/// A body that works for ten seconds while it holds what `lock` says, and one node behind it.
fn works(lock: &str) -> String {
    format!(
        r#"
nodes:
  - id: m
    {lock}
    body: {{ nodes: [{{ id: a, action: test.keyed, parameters: {{ label: "a{{{{ $input.n }}}}", seconds: 10 }} }}] }}
  - {{ id: z, action: data.set, parameters: {{ n: "{{{{ $nodes.m.result.label }}}}" }} }}
output: "{{{{ $nodes.z.result.n }}}}"
"#
    )
}

const MUTEX: &str = "action: flow.mutex\n    parameters: { name: till }";

/// Starts `count` executions.
async fn started(world: &World, nebula: &Nebula, yaml: &str, count: usize) -> Vec<ExecutionId> {
    let installed = world.install(nebula, yaml).await;
    starts(nebula, &installed, count).await
}

async fn starts(nebula: &Nebula, installed: &Installed, count: usize) -> Vec<ExecutionId> {
    let mut ids = Vec::new();
    for n in 0..count {
        let (input, options) = (json!({ "n": n }), StartOptions::default());
        ids.push(
            nebula
                .start(&tenant(), installed, input, options)
                .await
                .unwrap(),
        );
    }
    ids
}

/// Lets a process work until all have ended, or need a person: their statuses.
async fn finished(nebula: &Nebula, ids: &[ExecutionId]) -> Vec<Status> {
    let tenant = tenant();
    let all = async {
        let mut statuses = Vec::new();
        for id in ids {
            let waited = nebula
                .engine()
                .wait(&tenant, *id, Until::EndedOrParked, None);
            statuses.push(waited.await.unwrap().unwrap());
        }
        statuses
    };
    tokio::select! {
        biased;
        stopped = nebula.run(CancellationToken::new()) => panic!("the worker stopped: {stopped:?}"),
        statuses = all => statuses,
    }
}

/// The most attempts under way at a time, while four executions with such bodies come to their ends.
fn most_busy(lock: &str) -> usize {
    in_world(async |world| {
        let nebula = world.process();
        let ids = started(&world, &nebula, &works(lock), 4).await;
        assert_eq!(finished(&nebula, &ids).await, [Status::Completed; 4]);
        let mut labels = world.ledger.labels();
        labels.sort();
        assert_eq!(labels, ["a0", "a1", "a2", "a3"]);
        world.ledger.most_busy()
    })
}

#[test]
fn executions_take_turns_with_a_name() {
    assert_eq!(most_busy(MUTEX), 1);
    let semaphore = |permits: u32| {
        format!("action: flow.semaphore\n    parameters: {{ name: till, permits: {permits} }}")
    };
    assert_eq!(most_busy(&semaphore(1)), 1);
    assert_eq!(most_busy(&semaphore(2)), 2);
    // Other names, and what belongs to one execution, are in nobody's way.
    let other = "action: flow.mutex\n    parameters: { name: '{{ \"till\" + $input.n }}' }";
    assert_eq!(most_busy(other), 4);
    let own = "action: flow.mutex\n    parameters: { name: till, scope: execution }";
    assert_eq!(most_busy(own), 4);
}

/// A sweep would find the next one, too; here it comes too late.
#[test]
fn whoever_has_its_turn_goes_on_at_once() {
    in_world(async |world| {
        let nebula = world.process_with_engine(EngineConfig {
            sweep_interval: LONG,
            ..EngineConfig::default()
        });
        let ids = started(&world, &nebula, &works(MUTEX), 4).await;
        let before = world.clock.monotonic();
        assert_eq!(finished(&nebula, &ids).await, [Status::Completed; 4]);
        let took = world.clock.monotonic() - before;
        assert!(took < Duration::from_secs(41), "{took:?}");
    });
}

#[test]
fn bodies_of_one_execution_take_turns_with_a_name() {
    for (scope, name) in [("execution", "'one'"), ("tenant", "one")] {
        let yaml = format!(
            r#"
nodes:
  - id: each
    action: flow.for_each
    parameters: {{ items: [0, 1, 2, 3] }}
    body:
      nodes:
        - id: m
          action: flow.mutex
          parameters: {{ name: {name}, scope: {scope} }}
          body: {{ nodes: [{{ id: a, action: test.keyed, parameters: {{ label: "a{{{{ $item }}}}", seconds: 10 }} }}] }}
output: "{{{{ $nodes.each.result.map(r => r.label).join() }}}}"
"#
        );
        let (report, busy) = in_world(async |world| {
            let report = world.run(&yaml, Value::Null).await;
            (report, world.ledger.most_busy())
        });
        assert_eq!(report.output, json!("a0,a1,a2,a3"), "{scope}: {report:?}");
        assert_eq!(busy, 1, "{scope}");
    }
}

#[test]
fn whoever_waits_says_for_what_and_behind_how_many() {
    in_world(async |world| {
        let nebula = world.process();
        let lock = "action: flow.mutex\n    parameters: { name: till, lock_timeout: 2h }";
        let yaml = works(lock)
            .replace("action: test.keyed", "action: flow.wait")
            .replace(
                "parameters: { label: \"a{{ $input.n }}\", seconds: 10 }",
                "parameters: { signal: go }",
            );
        let ids = started(&world, &nebula, &yaml, 3).await;
        let looked = async {
            world.clock.sleep(LONG / 2).await;
            let mut seen = Vec::new();
            for id in &ids {
                let report = nebula.engine().report(&tenant(), *id).await;
                seen.push(report.unwrap().unwrap().waiting);
            }
            seen
        };
        let seen = tokio::select! {
            biased;
            stopped = nebula.run(CancellationToken::new()) => panic!("{stopped:?}"),
            seen = looked => seen,
        };
        let mut shown: Vec<_> = seen
            .into_iter()
            .flatten()
            .map(|waiting| match waiting {
                Waiting::Signal { instance, .. } => format!("{instance} signal"),
                Waiting::Slot {
                    instance,
                    key,
                    ahead,
                    due,
                } => {
                    assert!(due.is_some());
                    format!("{} {key} {ahead:?}", instance.unwrap())
                }
                other => panic!("{other:?}"),
            })
            .collect();
        shown.sort();
        assert_eq!(
            shown,
            ["m mutex/till Some(0)", "m mutex/till Some(1)", "m/a signal"]
        );
    });
}

#[test]
fn a_wait_that_takes_too_long_is_a_failure_that_can_be_handled() {
    let yaml = r#"
nodes:
  - id: m
    action: flow.mutex
    parameters: { name: till, lock_timeout: 5s }
    body: { nodes: [{ id: a, action: test.keyed, parameters: { label: a, seconds: 60 } }] }
  - { id: late, action: test.read, parameters: { label: "{{ $json.code }}" } }
connections: [m.error -> late]
"#;
    in_world(async |world| {
        let nebula = world.process();
        let ids = started(&world, &nebula, yaml, 2).await;
        assert_eq!(finished(&nebula, &ids).await, [Status::Completed; 2]);
        let mut labels = world.ledger.labels();
        labels.sort();
        assert_eq!(labels, ["LOCK_TIMEOUT", "a"]);
    });
}

#[test]
fn opposite_orders_end_with_a_timeout_and_not_in_a_standstill() {
    // The names come from the input, so that nobody can see it before.
    let yaml = r#"
nodes:
  - id: outer
    action: flow.mutex
    parameters: { name: "{{ $input.n % 2 == 0 ? 'x' : 'y' }}" }
    body:
      nodes:
        - { id: w, action: flow.wait, parameters: { for: 10s } }
        - id: inner
          action: flow.mutex
          parameters: { name: "{{ $input.n % 2 == 0 ? 'y' : 'x' }}", lock_timeout: "{{ $input.n % 2 == 0 ? '1m' : '2m' }}" }
          body: { nodes: [{ id: a, action: test.keyed, parameters: { label: "a{{ $input.n }}" } }] }
"#;
    in_world(async |world| {
        let nebula = world.process();
        let ids = started(&world, &nebula, yaml, 2).await;
        let ended = finished(&nebula, &ids).await;
        assert_eq!(ended, [Status::Failed, Status::Completed]);
        assert_eq!(world.ledger.labels(), ["a1"]);
    });
}

#[test]
fn whatever_ends_a_body_gives_its_turn_to_the_next() {
    let failing = works(MUTEX).replace(
        "action: test.keyed, parameters: { label: \"a{{ $input.n }}\", seconds: 10 }",
        "action: flow.fail, parameters: { message: no }",
    );
    let endings = [
        (failing.as_str(), Status::Failed),
        (
            "nodes: [{ id: m, action: flow.mutex, on_error: continue, parameters: { name: till, timeout: 3s }, body: { nodes: [{ id: w, action: flow.wait, parameters: { for: 1h } }] } }]",
            Status::Completed,
        ),
        (
            "nodes: [{ id: m, action: flow.mutex, parameters: { name: till }, body: { nodes: [{ id: s, action: flow.stop }] } }]",
            Status::Completed,
        ),
        (
            "nodes: [{ id: r, action: flow.race, body: { nodes: [{ id: m, action: flow.mutex, parameters: { name: till }, body: { nodes: [{ id: w, action: flow.wait, parameters: { for: 1h } }] } }, { id: q, action: flow.wait, parameters: { for: 3s } }], connections: [] } }, { id: n, action: flow.mutex, parameters: { name: till }, body: { nodes: [{ id: b, action: data.set }] } }]",
            Status::Completed,
        ),
    ];
    for (yaml, status) in endings {
        in_world(async |world| {
            let nebula = world.process();
            let mut ids = started(&world, &nebula, yaml, 1).await;
            ids.extend(started(&world, &nebula, &works(MUTEX), 1).await);
            let ended = finished(&nebula, &ids).await;
            assert_eq!(ended, [status, Status::Completed], "{yaml}");
        });
    }
}

#[test]
fn what_nobody_could_lock_is_refused() {
    for (parameters, says) in [
        ("{ name: '{{ $input.nothing ?? 7 }}' }", "PARAMETER_INVALID"),
        (
            "{ name: '{{ $input.nothing ?? \"\" }}' }",
            "PARAMETER_INVALID",
        ),
        ("{ name: x, lock_timeout: 10ms }", "LOCK_INVALID"),
        ("{ name: '{{ \"a\\tb\" }}' }", "LOCK_INVALID"),
    ] {
        let yaml = works(&format!("action: flow.mutex\n    parameters: {parameters}"));
        let report = in_world(async |world| world.run(&yaml, json!({})).await);
        let error = report
            .error
            .clone()
            .unwrap_or_else(|| panic!("{parameters}: {report:?}"));
        assert_eq!(error.code, says, "{parameters}: {}", error.message);
    }
}

/// Lets three executions with a critical section end, over a first process that dies at every
/// `each`-th call of its store.
fn die_at(yaml: &str, each: usize) {
    let saved = Saved::new(&[yaml]);
    let live = |death: Death| {
        saved.in_world(async |world| {
            let act = async |nebula: &Nebula| {
                let mut ids = world.of(nebula, &saved.installed).await;
                if ids.is_empty() {
                    ids = starts(nebula, &saved.installed, 3).await;
                }
                let statuses = finished(nebula, &ids).await;
                assert_eq!(statuses, vec![Status::Completed; ids.len()], "{death:?}");
                for id in ids {
                    let report = nebula.engine().report(&tenant(), id).await;
                    let report = report.unwrap().unwrap();
                    assert_eq!(report.error, None, "{death:?}");
                    let shown = states(&report);
                    assert!(shown.contains("m:succeeded"), "{death:?}: {shown}");
                }
            };
            let ((), calls) = world.through(death, act).await;
            assert!(world.ledger.most_busy() <= 1, "{death:?}");
            for n in 0..3 {
                let mut keys = world.ledger.keys(&format!("a{n}"));
                keys.dedup();
                let often = keys.len();
                assert!(often <= 1, "`a{n}` arrived under several keys, {death:?}");
            }
            ((), calls)
        })
    };
    dies_at_each(each, &(), live);
}

#[test]
fn a_crash_at_any_call_lets_no_two_into_a_critical_section() {
    die_at(&works(MUTEX), 1);
}

#[test]
fn nobody_who_waits_for_its_turn_after_a_crash_keeps_a_mutex_meanwhile() {
    let admission = "admission: { concurrency: 2 }\n".to_owned();
    die_at(&(admission + &works(MUTEX)), 3);
}

#[test]
fn an_inner_mutex_is_not_taken_again_before_the_outer_one() {
    let nested = works(MUTEX).replace(
        "body: { nodes: [{ id: a,",
        "body: { nodes: [{ id: i, action: flow.mutex, parameters: { name: inner }, body: { nodes: [{ id: a,",
    );
    die_at(&nested.replace("10 } }] }", "10 } }] } }] }"), 3);
}
