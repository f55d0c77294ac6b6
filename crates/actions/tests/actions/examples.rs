//! Every example of every action, run the way an engine runs it.

use nebula_action::{Action, ActionKind, ActionMetadata, ControlKind, Example, Ports};
use nebula_registry::Registry;
use nebula_validator::Schema;
use serde_json::Value;

use crate::scene::Scene;

#[test]
fn every_action_is_taken_by_the_registry() {
    let mut registry = Registry::default();
    registry.register_all(nebula_actions::all()).unwrap();
    let ids: Vec<_> = registry
        .iter()
        .map(|found| found.action.metadata().id.to_string())
        .collect();
    assert_eq!(
        ids,
        [
            "data.aggregate",
            "data.filter",
            "data.map",
            "data.set",
            "data.sort",
            "data.validate",
            "flow.approval",
            "flow.batches",
            "flow.call",
            "flow.cancel",
            "flow.emit",
            "flow.fail",
            "flow.for_each",
            "flow.if",
            "flow.loop",
            "flow.merge_tokens",
            "flow.milestone",
            "flow.mutex",
            "flow.parallel",
            "flow.race",
            "flow.respond",
            "flow.semaphore",
            "flow.signal",
            "flow.split_tokens",
            "flow.stop",
            "flow.switch",
            "flow.try",
            "flow.wait",
            "text.format",
            "text.parse",
        ]
    );
}

#[tokio::test]
async fn every_example_gives_what_it_promises() {
    let mut ran = 0;
    for action in nebula_actions::all() {
        let metadata = action.metadata();
        for example in &metadata.examples {
            let (port, output) = match metadata.kind {
                ActionKind::Code => run(&*action, example).await,
                ActionKind::Control(kind) => interpret(kind, metadata, example),
            };
            assert_eq!(
                output, example.output,
                "{} \"{}\"",
                metadata.id, example.title
            );
            assert_eq!(port, example.port, "{} \"{}\"", metadata.id, example.title);
            ran += 1;
        }
    }
    assert!(ran >= 25, "{ran} examples ran");
}

async fn run(action: &dyn Action, example: &Example) -> (String, Value) {
    let scene = Scene::new(action.metadata(), &example.parameters, &example.json);
    let input = scene.input();
    let problems = scene.resolved_schema(action.metadata()).check(&input);
    assert!(
        problems.is_empty(),
        "{} \"{}\": {problems:?}",
        action.metadata().id,
        example.title
    );
    let result = action.execute(&scene.context(), input).await;
    let result = result.unwrap_or_else(|error| panic!("\"{}\": {error}", example.title));
    let fits = Schema::compile(&action.metadata().output)
        .unwrap()
        .check(&result.value);
    assert!(fits.is_empty(), "{fits:?}");
    (
        result.port.unwrap_or_else(|| "main".to_owned()),
        result.value,
    )
}

/// As the machine does, in a few words.
fn interpret(kind: ControlKind, metadata: &ActionMetadata, example: &Example) -> (String, Value) {
    let scene = Scene::new(metadata, &example.parameters, &example.json);
    let input = scene.input();
    let json = example.json.clone();
    match kind {
        ControlKind::If => (input["condition"].to_string(), json),
        ControlKind::Switch => {
            let Ports::KeysOf { otherwise, .. } = &metadata.ports else {
                panic!("a switch has a port for each case");
            };
            let context = scene.context();
            let mut cases = context.deferred.iter();
            let taken = cases.find(|(_, program)| program.holds(&json, 0).unwrap());
            let port = taken.map_or(otherwise.as_str(), |(path, _)| {
                path.strip_prefix("cases/").unwrap()
            });
            (port.to_owned(), json)
        }
        ControlKind::MergeTokens => ("main".to_owned(), Value::Array(vec![json])),
        ControlKind::Wait
        | ControlKind::Signal
        | ControlKind::Emit
        | ControlKind::Respond
        | ControlKind::Cancel
        | ControlKind::Milestone
        | ControlKind::SplitTokens => ("main".to_owned(), json),
        // What people say is in no parameter.
        ControlKind::Approval => {
            let decided = example.output["decision"].as_str().unwrap();
            (decided.to_owned(), example.output.clone())
        }
        ControlKind::Stop => ("main".to_owned(), input["output"].clone()),
        ControlKind::Fail => panic!("a failure has no result"),
        kind => panic!("{kind:?} has a body, which no example has"),
    }
}

#[tokio::test]
async fn a_control_action_is_never_run() {
    for action in nebula_actions::all() {
        if action.metadata().kind == ActionKind::Code {
            assert!(
                !action.metadata().examples.is_empty(),
                "{}",
                action.metadata().id
            );
            continue;
        }
        let scene = Scene::new(
            action.metadata(),
            &Value::Object(Default::default()),
            &Value::Null,
        );
        let error = action
            .execute(&scene.context(), Value::Null)
            .await
            .unwrap_err();
        assert_eq!(error.code, "CONTROL_NOT_EXECUTABLE");
    }
}
