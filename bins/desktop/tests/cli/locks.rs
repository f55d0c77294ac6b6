//! Bodies that wait for each other, in several processes.

use serde_json::Value;

use crate::support::{User, wait_until};

const TILL: &str = "id: till\nnodes:\n  - id: m\n    action: flow.mutex\n    parameters: { name: till }\n    body: { nodes: [{ id: w, action: flow.wait, parameters: { signal: go, timeout: 1h } }] }\n";

/// What the executions wait for, of all that there are.
fn waiting(user: &User) -> Vec<Value> {
    let listed = user.nebula(&["executions", "list", "--waiting"]).json();
    let listed = listed["executions"].as_array().unwrap().clone();
    let mut waits: Vec<_> = listed.iter().map(|it| it["waiting"][0].clone()).collect();
    waits.sort_by_key(|wait| wait["for"].as_str().unwrap_or_default().to_owned());
    waits
}

#[test]
fn a_run_waits_for_a_mutex_that_another_process_holds() {
    let user = User::new();
    user.write("till.yaml", TILL);
    let first = user.begin(&["run", "till.yaml"]);
    wait_until("the first holds it", || {
        waiting(&user).iter().any(|wait| wait["for"] == "signal")
    });
    let second = user.begin(&["run", "till.yaml"]);
    wait_until("the second waits", || {
        waiting(&user).iter().any(|wait| wait["for"] == "slot")
    });
    let slot = waiting(&user).remove(1);
    let shown = (&slot["instance"], &slot["key"], &slot["ahead"]);
    assert_eq!(shown, (&"m".into(), &"mutex/till".into(), &0.into()));
    let signalled = user.nebula(&["executions", "signal", &first.id, "go"]);
    assert_eq!(signalled.exits(0).json()["status"], "completed");
    first.ends().exits(0);
    wait_until("the second holds it", || {
        let shown = user.nebula(&["executions", "show", &second.id]).json();
        shown["waiting"][0]["for"] == "signal"
    });
    user.nebula(&["executions", "signal", &second.id, "go"])
        .exits(0);
    second.ends().exits(0);
}
