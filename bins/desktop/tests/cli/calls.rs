//! Workflows that call workflows, from the command line.

use serde_json::{Value, json};

use crate::support::{User, wait_until};

const COUNT: &str = r#"
id: count
input: { type: object, required: [path], properties: { path: { type: string } } }
nodes:
  - { id: read, action: file.read, parameters: { path: "in.txt" } }
  - { id: letters, action: data.set, parameters: { n: "{{ $nodes.read.result.text.length }}" } }
"#;

const CALLER: &str = r#"
id: caller
nodes:
  - { id: call, action: flow.call, parameters: { workflow: count, input: { path: in.txt } } }
  - { id: twice, action: data.set, parameters: { n: "{{ $json.n * 2 }}" } }
"#;

fn executions(user: &User, flags: &[&str]) -> Vec<Value> {
    let listed = user.nebula(&[&["executions", "list"], flags].concat());
    listed.exits(0).json()["executions"]
        .as_array()
        .unwrap()
        .clone()
}

#[test]
fn a_call_is_driven_with_its_caller_and_asks_for_its_grants_first() {
    let user = User::new();
    user.write("count.yaml", COUNT);
    user.write("caller.yaml", CALLER);
    user.write("in.txt", "abc");
    let unknown = user.nebula(&["validate", "caller.yaml"]).exits(2);
    assert!(
        unknown.err.contains("no workflow `count` is saved"),
        "{unknown:?}"
    );
    assert!(
        unknown.err.contains("nebula workflows push FILE"),
        "{unknown:?}"
    );
    user.nebula(&["workflows", "push", "count.yaml"]).exits(0);

    let plan = user.nebula(&["plan", "caller.yaml"]).exits(0).json();
    let wanted = format!("fs:read:{}", user.work().join("in.txt").display());
    let call = &plan["nodes"][0];
    assert_eq!(call["calls"], "count@1");
    assert_eq!(call["capabilities"], json!([wanted]));
    assert_eq!(call["effect"], "read");
    let text = user
        .nebula(&["plan", "caller.yaml", "--format", "text"])
        .exits(0);
    assert!(text.out.contains("calls count@1"), "{}", text.out);
    let drawn = user
        .nebula(&["plan", "caller.yaml", "--format", "mermaid"])
        .exits(0);
    assert!(
        drawn
            .out
            .contains("[[\"call<br/>flow.call@1.0<br/>calls count@1\"]]"),
        "{}",
        drawn.out
    );

    let refused = user.nebula(&["run", "caller.yaml"]).exits(2);
    assert_eq!(refused.error_code(), "GRANTS_MISSING");
    assert!(executions(&user, &[]).is_empty());
    let ran = user
        .nebula(&["run", "caller.yaml", "--grant-requested"])
        .exits(0);
    let report = ran.json();
    assert_eq!(report["output"], json!({ "n": 6 }));

    let listed = executions(&user, &[]);
    assert_eq!(listed.len(), 2);
    let child = listed.iter().find(|it| it["workflow"] == "count").unwrap();
    assert_eq!(child["status"], "completed");
    assert_eq!(child["parent"]["execution"], report["execution"]);
    assert_eq!(child["parent"]["instance"], "call");
    let id = child["execution"].as_str().unwrap();
    let shown = user.nebula(&["executions", "show", id]).exits(0).json();
    assert_eq!(shown["parent"]["execution"], report["execution"]);
    let caller = report["execution"].as_str().unwrap();
    let replayed = user.nebula(&["executions", "replay", caller]).exits(0);
    for part in ["child_started", "child_ended", id] {
        assert!(replayed.out.contains(part), "{part}: {}", replayed.out);
    }
}

#[test]
fn a_caller_that_waits_for_a_child_that_waits_for_a_signal_says_so() {
    let user = User::new();
    user.write(
        "asks.yaml",
        "{ id: asks, nodes: [{ id: w, action: flow.wait, parameters: { signal: go } }] }",
    );
    user.write(
        "caller.yaml",
        "{ id: caller, nodes: [{ id: call, action: flow.call, parameters: { workflow: asks } }] }",
    );
    user.nebula(&["workflows", "push", "asks.yaml"]).exits(0);
    let waits = user.nebula(&["run", "caller.yaml"]).exits(4);
    let report = waits.json();
    let waiting = &report["waiting"][0];
    assert_eq!(
        (&waiting["for"], &waiting["workflow"]),
        (&json!("child"), &json!("asks"))
    );
    let child = waiting["execution"].as_str().unwrap();
    assert!(
        waits
            .err
            .contains(&format!("`call` waits for execution {child}")),
        "{waits:?}"
    );
    let listed = executions(&user, &["--waiting"]);
    assert_eq!(listed.len(), 2);
    let signalled = user.nebula(&["executions", "signal", child, "go", "--payload", "7"]);
    assert_eq!(signalled.exits(0).json()["output"], 7);
    let caller = report["execution"].as_str().unwrap();
    let resumed = user.nebula(&["resume", caller]).exits(0).json();
    assert_eq!(resumed["output"], 7);
}

#[test]
fn cancelling_the_caller_ends_its_child_in_the_same_command() {
    let user = User::new();
    user.write(
        "slow.yaml",
        "{ id: slow, nodes: [{ id: w, action: flow.wait, parameters: { for: 5h } }] }",
    );
    user.write(
        "caller.yaml",
        "{ id: caller, nodes: [{ id: call, action: flow.call, parameters: { workflow: slow } }] }",
    );
    user.nebula(&["workflows", "push", "slow.yaml"]).exits(0);
    let running = user.begin(&["run", "caller.yaml"]);
    let slow = ["--workflow", "slow"];
    wait_until("the child waits", || {
        executions(&user, &slow)
            .first()
            .is_some_and(|it| it["status"] == "waiting")
    });
    user.nebula(&["executions", "cancel", &running.id]).exits(0);
    assert_eq!(running.ends().exits(1).json()["status"], "cancelled");
    assert_eq!(executions(&user, &slow)[0]["status"], "cancelled");
}

#[test]
fn a_dry_run_answers_a_call_and_starts_nothing() {
    let user = User::new();
    user.write("count.yaml", COUNT);
    user.write("caller.yaml", CALLER);
    user.nebula(&["workflows", "push", "count.yaml"]).exits(0);
    let dry = ["run", "caller.yaml", "--dry-run"];
    let pinned = user.nebula(&[&dry[..], &["--pin", "call={\"n\":4}"]].concat());
    assert_eq!(pinned.exits(0).json()["output"], json!({ "n": 8 }));
    let empty = user.nebula(&dry);
    assert!(empty.err.contains("`call` HAS NO ANSWER"), "{empty:?}");
    assert!(executions(&user, &["--workflow", "count"]).is_empty());
}
