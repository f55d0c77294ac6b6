//! What the output of a workflow sees of a state, and what is in a run of a body.

use nebula_execution::EvaluationScope;
use nebula_expression::Context;
use serde_json::{Value, json};

use crate::rig::{Rig, execution, id, plan, program, script::take};

fn after(text: &str, script: &str) -> Rig {
    let mut rig = Rig::new(plan(text));
    for step in script.split(", ") {
        take(&mut rig, step);
    }
    rig
}

#[test]
fn the_output_sees_what_the_execution_began_with() {
    let rig = after("a", "begin, a ok");
    let scope = EvaluationScope::of_output(&rig.machine);
    let value = |source| -> Option<Value> {
        let resolved = program(source).evaluate(&scope, &Context::default());
        resolved.unwrap()
    };
    let started = rig.machine.state().started().unwrap();
    assert_eq!(value("$input"), Some(Value::clone(&started.input)));
    assert_eq!(value("$execution.id"), Some(json!(execution().to_string())));
    assert_eq!(value("$workflow.id"), Some(json!("test")));
    assert_eq!(value("$workflow.version"), Some(json!(1)));
}

#[test]
fn a_run_has_its_activations_and_those_inside_it() {
    let rig = after(
        "e; e each { q }; q both { a }",
        "begin, e open 2, e[0] with x, e[1] with y, e[0]/q in",
    );
    let (plan, state) = (&rig.plan, rig.machine.state());
    let names = |owner: &str| -> Vec<_> {
        let owner = id(owner);
        let run = state.run(plan, &owner);
        run.map(|(at, _)| state.instance(plan, at.whole()).to_string())
            .collect()
    };
    assert_eq!(names("e[0]"), ["e[0]/q", "e[0]/q/a"]);
    assert_eq!(names("e[1]"), ["e[1]/q"]);
    assert_eq!(names("e[7]"), [""; 0]);
}
