//! What is shown of a milestone: in the plan, while an execution waits for it, and afterwards.

use serde_json::json;

use crate::support::User;

const ORDER: &str = "id: order\nnodes:\n  - { id: ordered, action: flow.wait, parameters: { signal: order } }\n  - { id: shipped, action: flow.wait, parameters: { signal: ship } }\n  - { id: in_time, action: flow.milestone, parameters: { reached: ordered, until: shipped } }\n  - { id: change, action: data.set, parameters: { n: 1 } }\n  - { id: regret, action: data.set, parameters: { n: 2 } }\nconnections: [ordered -> shipped, in_time -> change, in_time.expired -> regret]\n";

#[test]
fn a_plan_shows_what_a_milestone_lies_between() {
    let user = User::new();
    user.write("order.yaml", ORDER);
    let plan = user.nebula(&["plan", "order.yaml"]).exits(0).json();
    let nodes = plan["nodes"].as_array().unwrap();
    let shown = nodes.iter().find(|node| node["id"] == "in_time").unwrap();
    assert_eq!(
        shown["milestone"],
        json!({ "reached": "ordered", "until": "shipped" })
    );
    let text = user
        .nebula(&["plan", "order.yaml", "--format", "text"])
        .exits(0);
    let says = "between the ends of ordered and shipped";
    assert!(text.out.contains(says), "{}", text.out);
    let chart = user
        .nebula(&["plan", "order.yaml", "--format", "mermaid"])
        .exits(0);
    for line in ["n2 -. reached .-> n0", "n2 -. until .-> n1"] {
        assert!(chart.out.contains(line), "{}", chart.out);
    }
}

#[test]
fn an_execution_says_for_which_milestone_it_waits() {
    let user = User::new();
    user.write("order.yaml", ORDER);
    let id = user.nebula(&["run", "order.yaml"]).exits(4).json()["execution"].clone();
    let id = id.as_str().unwrap().to_owned();
    let listed = user.nebula(&["executions", "list", "--waiting"]).json();
    let waiting = listed["executions"][0]["waiting"].as_array().unwrap();
    let awaited = waiting.iter().find(|wait| wait["for"] == "milestone");
    let expected = json!({ "for": "milestone", "instance": "in_time", "reached": "ordered", "until": "shipped" });
    assert_eq!(awaited, Some(&expected));
    user.nebula(&["executions", "signal", &id, "order"])
        .exits(4);
    let ended = user
        .nebula(&["executions", "signal", &id, "ship"])
        .exits(0)
        .json();
    assert_eq!(
        ended["output"],
        json!({ "shipped": null, "change": { "n": 1 } })
    );
    let replayed = user.nebula(&["executions", "replay", &id]).exits(0);
    assert!(
        replayed.out.contains("milestone_awaited"),
        "{}",
        replayed.out
    );
}
