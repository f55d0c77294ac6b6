//! Signals between executions and from outside, over models of every port.

mod world;

use std::{sync::Arc, time::Duration};

use nebula::{
    Nebula,
    core::{Clock, ExecutionId},
    engine::{InstallError, Report, Until, Waiting},
    execution::{NamedSignal, StartOptions, Status},
    ports::Signalled,
    workflow::{Source, parse},
};
use serde_json::{Value, json};
use world::{Death, LONG, dies_at_each, in_world, states, tenant, with};

/// The example of the page about definitions, so that what it shows is true.
fn example() -> String {
    let page = include_str!("../../../docs/definition.md");
    let mut blocks = page.split("```yaml\n").skip(1);
    let block = blocks.find(|block| block.contains("signal: paid"));
    block.unwrap().split("```").next().unwrap().to_owned()
}

fn signal(name: &str, id: &str, payload: Value) -> NamedSignal {
    NamedSignal::new(name, id, Arc::new(payload)).unwrap()
}

async fn until(nebula: &Nebula, id: ExecutionId, until: Until) -> Report {
    let report = nebula.engine().outcome(&tenant(), id, until, None).await;
    report.unwrap().unwrap()
}

#[test]
fn an_execution_that_waits_for_a_signal_costs_nothing_and_goes_on_with_it() {
    in_world(async |world| {
        let nebula = world.process();
        let id = world.begin(&nebula, &example()).await;
        let talk = async {
            world.clock.sleep(Duration::from_secs(60)).await;
            let report = nebula
                .engine()
                .report(&tenant(), id)
                .await
                .unwrap()
                .unwrap();
            assert_eq!((report.status, report.leased), (Status::Waiting, false));
            let [
                Waiting::Signal {
                    instance,
                    name,
                    due: Some(_),
                },
            ] = &report.waiting[..]
            else {
                panic!("{:?}", report.waiting);
            };
            assert_eq!((instance.as_str(), name.as_str()), ("payment", "paid"));
            let engine = nebula.engine();
            let paid = signal("paid", "7", json!({ "amount": 12 }));
            let sent = engine.send(&tenant(), id, paid.clone()).await.unwrap();
            assert_eq!(sent, Signalled::Delivered { seq: 1 });
            let again = engine.send(&tenant(), id, paid).await.unwrap();
            assert_eq!(again, Signalled::Duplicate { seq: 1 });
            until(&nebula, id, Until::Ended).await
        };
        let report = with(&nebula, talk).await;
        assert_eq!(report.status, Status::Completed);
        assert_eq!(report.output, json!({ "thanks": "for 12" }));
    });
}

#[test]
fn a_signal_that_does_not_come_is_an_error_with_its_own_path() {
    in_world(async |world| {
        let before = world.clock.now();
        let report = world.run(&example(), Value::Null).await;
        assert_eq!(report.status, Status::Completed);
        let error = &report.nodes["payment"][0]["error"];
        assert_eq!(error["code"], "SIGNAL_TIMEOUT");
        assert_eq!(report.nodes["remind"][0]["status"], "succeeded");
        let waited = world.clock.now().since(before);
        assert!(waited >= LONG * 2 && waited < LONG * 3, "{waited:?}");
    });
}

#[test]
fn a_wait_without_a_timeout_rests_until_somebody_sends() {
    in_world(async |world| {
        let yaml = "nodes: [ { id: w, action: flow.wait, parameters: { signal: go } } ]";
        let nebula = world.process();
        let id = world.begin(&nebula, yaml).await;
        let talk = async {
            let report = until(&nebula, id, Until::EndedOrParked).await;
            assert_eq!((report.status, report.wake_at), (Status::Waiting, None));
            let go = signal("go", "1", json!([1]));
            let _ = nebula.engine().send(&tenant(), id, go).await.unwrap();
            until(&nebula, id, Until::EndedOrParked).await
        };
        let report = with(&nebula, talk).await;
        assert_eq!(
            (report.status, report.output),
            (Status::Completed, json!([1]))
        );
    });
}

/// One execution tells another, which waits twice for the same name.
const TELLS: &str = r#"
nodes:
  - { id: work, action: test.keyed, parameters: { label: work } }
  - { id: tell, action: flow.signal, parameters: { execution: "{{ $input.to }}", signal: done, payload: { got: "{{ $nodes.work.result.label }}" } } }
  - { id: twice, action: flow.signal, parameters: { execution: "{{ $input.to }}", signal: done, payload: 2 } }
  - { id: after, action: test.keyed, parameters: { label: after } }
"#;
const HEARS: &str = r#"
nodes:
  - { id: first, action: flow.wait, parameters: { signal: done } }
  - { id: second, action: flow.wait, parameters: { signal: done } }
  - { id: end, action: data.set, parameters: { first: "{{ $nodes.first.result }}", second: "{{ $nodes.second.result }}" } }
"#;

#[test]
fn executions_tell_each_other_once_whatever_dies_when() {
    let live = |death: Death| {
        in_world(async |world| {
            let hearer = world.begin(&world.process(), HEARS).await;
            let teller = world.install(&world.process(), TELLS).await;
            let act = async |nebula: &Nebula| {
                let engine = nebula.engine();
                let page = engine.list(&tenant(), &Default::default(), None, 10).await;
                let mut items = page.unwrap().items.into_iter();
                let teller = match items.find(|summary| summary.id != hearer) {
                    Some(summary) => summary.id,
                    None => {
                        let (input, options) = (json!({ "to": hearer }), StartOptions::default());
                        let started = nebula.start(&tenant(), &teller, input, options).await;
                        started.unwrap()
                    }
                };
                let both = async {
                    let told = until(nebula, teller, Until::Ended).await;
                    (told, until(nebula, hearer, Until::Ended).await)
                };
                with(nebula, both).await
            };
            let ((told, heard), calls) = world.through(death, act).await;
            let shown = format!(
                "{} {} | {} {} {}",
                told.status,
                states(&told),
                heard.status,
                states(&heard),
                heard.output
            );
            (shown, calls)
        })
    };
    let expected = r#"completed work:succeeded tell:succeeded twice:succeeded after:succeeded | completed first:succeeded second:succeeded end:succeeded {"first":{"got":"work"},"second":2}"#;
    dies_at_each(1, &expected.to_owned(), live);
}

#[test]
fn a_signal_to_nobody_is_no_error_and_a_wrong_one_is() {
    in_world(async |world| {
        let run = async |to: &str, name: &str| {
            let yaml = "nodes: [ { id: s, action: flow.signal, parameters: { execution: \"{{ $input.to }}\", signal: \"{{ $input.name }}\" } } ]";
            world.run(yaml, json!({ "to": to, "name": name })).await
        };
        let nobody = "01a1fc38-5633-7236-9695-dcef079f585d";
        let report = run(nobody, "done").await;
        assert_eq!(report.status, Status::Completed);
        let code = |report: &Report| report.error.as_ref().unwrap().code.clone();
        assert_eq!(code(&run("me", "done").await), "SIGNAL_TARGET");
        assert_eq!(code(&run(nobody, "a b").await), "PARAMETER_INVALID");
    });
}

#[test]
fn a_wait_that_says_two_things_is_refused_before_anything_runs() {
    in_world(async |world| {
        let nebula = world.process();
        let refused = async |parameters: &str| {
            let yaml =
                format!("nodes: [ {{ id: w, action: flow.wait, parameters: {parameters} }} ]");
            let definition = parse(&Source::new("flow.yaml", &yaml)).definition.unwrap();
            match nebula.engine().install(&tenant(), &definition).await {
                Ok(_) => None,
                Err(InstallError::Diagnostics(problems)) => Some(problems[0].code),
                Err(other) => panic!("{other:?}"),
            }
        };
        assert_eq!(refused("{ signal: paid, timeout: 1h }").await, None);
        for parameters in [
            "{ signal: paid, for: 1h }",
            "{ for: 1h, timeout: 1h }",
            "{ timeout: 1h }",
            "{ signal: a b }",
            "{ signal: paid, timeout: soon }",
        ] {
            let code = refused(parameters).await;
            assert_eq!(code, Some("PLAN_PARAMETER"), "{parameters}");
        }
    });
}

#[test]
fn an_execution_may_tell_itself() {
    in_world(async |world| {
        let yaml = r#"
nodes:
  - { id: tell, action: flow.signal, parameters: { execution: "{{ $execution.id }}", signal: done, payload: 1 } }
  - { id: hear, action: flow.wait, parameters: { signal: done } }
connections: []
output: "{{ $nodes.hear.result }}"
"#;
        let report = world.run(yaml, Value::Null).await;
        assert_eq!(
            (report.status, report.output),
            (Status::Completed, json!(1))
        );
    });
}

#[test]
fn a_signal_that_is_not_kept_is_lost_where_nobody_waits() {
    in_world(async |world| {
        let yaml = r#"
nodes:
  - { id: early, action: flow.signal, parameters: { execution: "{{ $execution.id }}", signal: go, payload: early, keep: false } }
  - { id: between, action: test.keyed, parameters: { label: between } }
  - { id: kept, action: flow.signal, parameters: { execution: "{{ $execution.id }}", signal: go, payload: kept } }
  - { id: hear, action: flow.wait, parameters: { signal: go } }
output: "{{ $nodes.hear.result }}"
"#;
        let report = world.run(yaml, Value::Null).await;
        assert_eq!(report.output, json!("kept"));
        let yaml = "nodes: [ { id: w, action: flow.wait, parameters: { signal: go } } ]";
        let nebula = world.process();
        let id = world.begin(&nebula, yaml).await;
        let talk = async {
            until(&nebula, id, Until::EndedOrParked).await;
            let go = signal("go", "1", json!(1)).transient();
            let _ = nebula.engine().send(&tenant(), id, go).await.unwrap();
            until(&nebula, id, Until::EndedOrParked).await
        };
        assert_eq!(with(&nebula, talk).await.output, json!(1));
    });
}

#[test]
fn whoever_waits_is_told_of_people_but_not_of_times_that_come_by_themselves() {
    let asks = "{ id: ask, action: flow.approval, parameters: { expires: 3d, default: reject } }";
    let flow =
        |nodes: &str| format!("nodes: [{nodes}]\nconnections: []\nlimits: {{ timeout: 9d }}");
    let cases = [
        // Where it stands when the caller hears of it, and after how much time.
        (flow(asks), Status::Waiting, LONG),
        (
            flow(&format!(
                "{asks}, {{ id: w, action: flow.wait, parameters: {{ for: 1d }} }}"
            )),
            Status::Waiting,
            Duration::from_hours(24) + LONG,
        ),
        (
            flow(&asks.replace("3d", "9s")),
            Status::Completed,
            Duration::from_secs(9) + LONG,
        ),
        (
            flow("{ id: w, action: flow.wait, parameters: { signal: go, timeout: 8d } }"),
            Status::Waiting,
            LONG,
        ),
        (
            flow("{ id: w, action: flow.wait, parameters: { signal: go, timeout: 1h } }"),
            Status::Failed,
            Duration::from_hours(1) + LONG,
        ),
    ];
    for (yaml, status, latest) in cases {
        in_world(async |world| {
            let nebula = world.process();
            let id = world.begin(&nebula, &yaml).await;
            let before = world.clock.now();
            let report = with(&nebula, until(&nebula, id, Until::EndedOrParked)).await;
            assert_eq!(report.status, status, "{yaml}");
            let waited = world.clock.now().since(before);
            assert!(
                waited <= latest && latest - waited <= LONG,
                "{yaml}: {waited:?}"
            );
        });
    }
}
