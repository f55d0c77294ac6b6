//! Nodes that call workflows: what is planned of them, and what is refused.

mod catalog;

use std::sync::Arc;

use catalog::{actions, plan_of};
use nebula_action::EffectClass;
use nebula_execution::ExecutionPlan;
use nebula_planner::{
    CallMiss, Callee, Callees, PlanSettings, Planned, calls, pin_calls, plan_calling,
};
use nebula_workflow::{Source, WorkflowDefinition, parse};

fn read(yaml: &str) -> WorkflowDefinition {
    let parsed = parse(&Source::new("flow.yaml", yaml));
    parsed
        .definition
        .unwrap_or_else(|| panic!("{:#?}", parsed.diagnostics))
}

/// A callee with this plan, under these names.
fn known(plan: ExecutionPlan, names: &[&str]) -> Callees {
    let plan = Arc::new(plan.at_version(3));
    let mut callees = Callees::default();
    for name in names {
        let callee = Callee {
            digest: plan.encode().1,
            plan: plan.clone(),
            callees: Callees::default(),
        };
        callees.insert(name.parse().unwrap(), Ok(callee));
    }
    callees
}

fn planned(yaml: &str, callees: &Callees) -> Planned {
    plan_calling(
        &read(yaml),
        1,
        (&actions(), callees),
        &PlanSettings::default(),
    )
}

#[track_caller]
fn says(yaml: &str, callees: &Callees, expected: &[&str]) {
    let planned = planned(yaml, callees);
    let shown = planned.diagnostics.iter().map(|found| {
        let hint = found.hint.as_deref().unwrap_or_default();
        format!(
            "{} {}: {} ({hint})",
            found.code, found.pointer, found.message
        )
    });
    assert_eq!(shown.collect::<Vec<_>>(), expected, "\n{yaml}");
}

const WRITES: &str = r#"
input: { type: object, properties: { path: { type: string, default: /data/d } } }
nodes:
  - { id: read, action: test.read, requires: ["fs:read:{{ $input.path }}"] }
  - { id: save, action: file.write, parameters: { path: out.txt, content: x, mode: append } }
"#;

#[test]
fn a_call_asks_for_what_its_callee_may_touch_and_is_as_bad() {
    let callees = known(plan_of(WRITES), &["writes", "writes@3"]);
    let yaml = "nodes: [{ id: a, action: flow.call, parameters: { workflow: writes, input: {} } }]";
    let plan = planned(yaml, &callees).plan.unwrap();
    assert_eq!(plan.format, 3);
    let call = plan.call_of(0).unwrap();
    let callee = call.callee.as_ref().unwrap();
    assert_eq!((call.workflow.as_str(), callee.version), ("writes", 3));
    assert_eq!(
        plan.nodes[0].capabilities,
        ["fs:read:/data/d", "fs:write:out.txt"]
    );
    assert_eq!(plan.nodes[0].effect, EffectClass::AtMostOnce);
    assert_eq!(ExecutionPlan::decode(&plan.encode().0).unwrap(), plan);
}

#[test]
fn what_a_call_leaves_open_is_pointed_out() {
    let callees = known(plan_of(WRITES), &["writes"]);
    says(
        "nodes: [{ id: a, action: flow.call, retry: { max_attempts: 2 }, parameters: { workflow: writes, input: '{{ $input }}' } }]",
        &callees,
        &[
            "PLAN_CALL /nodes/0/parameters/workflow: what `read` of `writes` may touch depends on its input, and nothing is asked for here (write `requires` at this node: what the call may touch; beyond that it is refused)",
            "PLAN_CALL /nodes/0/retry: each attempt runs all of `writes` anew, also what it must not do twice (put `retry` at the nodes of that workflow which may be tried again)",
        ],
    );
    says(
        "nodes: [{ id: a, action: flow.call, requires: ['fs:read:/data'], parameters: { workflow: writes, input: '{{ $input }}' } }]",
        &callees,
        &[],
    );
}

#[test]
fn what_cannot_be_called_is_refused() {
    let mut callees = Callees::default();
    let broken = CallMiss::Broken("there is no action `gone`".to_owned());
    for (name, miss) in [
        ("old@9", CallMiss::Version { latest: 2 }),
        ("bad", broken),
        ("deep", CallMiss::TooDeep),
    ] {
        callees.insert(name.parse().unwrap(), Err(miss));
    }
    for (name, expected) in [
        (
            "nobody",
            "no workflow `nobody` is saved (save it first: nebula workflows push FILE)",
        ),
        (
            "old@9",
            "`old` has no such version as `old@9` (its newest is `old@2`)",
        ),
        (
            "bad",
            "`bad` cannot be planned any more: there is no action `gone` (correct it, and save it again)",
        ),
        (
            "deep",
            "more than 32 calls would lead to `deep` (call fewer workflows behind each other)",
        ),
    ] {
        let yaml =
            format!("nodes: [{{ id: a, action: flow.call, parameters: {{ workflow: {name} }} }}]");
        let expected = format!("PLAN_CALL /nodes/0/parameters/workflow: {expected}");
        says(&yaml, &callees, &[&expected]);
    }
}

#[test]
fn what_does_not_run_calls_nothing() {
    for off in ["pin: 1", "disabled: true"] {
        let yaml = format!(
            "nodes: [{{ id: a, action: flow.call, {off}, parameters: {{ workflow: nobody }} }}]"
        );
        let plan = planned(&yaml, &Callees::default()).plan.unwrap();
        assert!(plan.calls.is_empty());
        assert!(calls(&read(&yaml)).is_empty());
    }
}

#[test]
fn a_call_of_itself_is_a_call_of_the_same_plan() {
    let yaml = r#"
id: me
input: { type: object, required: [n], properties: { n: { type: integer } } }
nodes:
  - { id: save, action: file.write, parameters: { path: out.txt, content: x, mode: append } }
  - { id: a, action: flow.call, parameters: { workflow: me, input: { n: 1 } } }
"#;
    let plan = planned(yaml, &Callees::default()).plan.unwrap();
    assert_eq!(plan.calls[0].callee, None);
    assert_eq!(plan.nodes[1].effect, EffectClass::AtMostOnce);
    assert!(calls(&read(yaml)).is_empty());
    says(
        &yaml.replace("n: 1", "n: one"),
        &Callees::default(),
        &[
            "PLAN_CALL_INPUT /nodes/1/parameters/input/n: the input of `me`: must be an integer, not a string ()",
        ],
    );
}

#[test]
fn calls_are_pinned_in_bodies_too() {
    let mut definition = read(
        r#"
id: me
nodes:
  - id: each
    action: flow.for_each
    parameters: { items: [1] }
    body: { nodes: [{ id: a, action: flow.call, parameters: { workflow: writes } }] }
  - { id: b, action: flow.call, parameters: { workflow: me } }
"#,
    );
    let found: Vec<_> = calls(&definition).iter().map(ToString::to_string).collect();
    assert_eq!(found, ["writes"]);
    pin_calls(&mut definition, &known(plan_of(WRITES), &["writes"]));
    let found: Vec<_> = calls(&definition).iter().map(ToString::to_string).collect();
    assert_eq!(found, ["writes@3"]);
}

#[test]
fn what_is_called_is_also_known_by_the_version_that_calls_are_pinned_to() {
    let callees = known(plan_of(WRITES), &["writes"]);
    let knows = |callees: &Callees, name: &str| callees.get(&name.parse().unwrap()).is_ok();
    assert!(!knows(&callees, "writes@3"));
    let pinned = callees.pinned();
    assert!(knows(&pinned, "writes") && knows(&pinned, "writes@3"));
    assert!(!knows(&pinned, "writes@2"));
}
