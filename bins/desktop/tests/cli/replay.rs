//! Going through a journal, and seeing what each execution waits for.

use serde_json::{Value, json};

use crate::support::{User, in_doubt};

/// A failure that is handled, a branch that is not taken, and a join.
const PATHS: &str = r#"
nodes:
  - { id: read, action: file.read, parameters: { path: no.txt } }
  - { id: sorry, action: data.set, parameters: { text: "{{ $nodes.read.error.code }}" } }
  - { id: use, action: data.set, parameters: { text: read } }
  - { id: last, action: data.set, parameters: { n: 1 } }
connections: [ read.error -> sorry, read -> use, sorry -> last, use -> last ]
"#;

fn run(user: &User, yaml: &str, code: i32) -> Value {
    user.write("w.yaml", yaml);
    let said = user.nebula(&["run", "w.yaml", "--grant-requested"]);
    said.exits(code).json()
}

fn id_of(document: &Value) -> &str {
    document["execution"].as_str().unwrap()
}

#[test]
fn a_replay_gives_every_entry_with_what_it_made_true() {
    let user = User::new();
    let document = run(&user, PATHS, 0);
    let replay = |more: &[&str]| {
        let id = id_of(&document);
        user.nebula(&[&["executions", "replay", id], more].concat())
    };
    let lines = |more: &[&str]| -> Vec<Value> {
        let said = replay(more).exits(0);
        let lines = said.out.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    let steps = lines(&[]);
    let numbers: Vec<_> = steps
        .iter()
        .map(|step| step["seq"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5]);
    assert_eq!(steps[0]["fact"]["execution_started"]["workflow"], "w");
    assert_eq!(steps[0]["ready"], json!(["read"]));
    let failed = &steps[1]["fact"]["attempt_failed"];
    assert_eq!(failed["error"]["code"], "FILE_NOT_FOUND");
    assert_eq!(
        (&steps[1]["ready"], &steps[1]["skipped"]),
        (&json!(["sorry"]), &json!(["use"]))
    );
    assert_eq!(
        steps[4]["fact"]["execution_completed"]["output"],
        json!({ "n": 1 })
    );
    let of_last = lines(&["--node", "last"]);
    let numbers: Vec<_> = of_last
        .iter()
        .map(|step| step["seq"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, [3, 4, 5]);

    let at = |seq: &str| replay(&["--at", seq]).exits(0).json();
    let began = at("1");
    assert_eq!(began["status"], "running");
    let statuses = |moment: &Value| -> Vec<String> {
        let nodes = moment["nodes"].as_object().unwrap();
        let of = |(id, list): (&String, &Value)| {
            let status = list[0]["status"].as_str().unwrap_or("pending");
            format!("{id} {status}")
        };
        nodes.iter().map(of).collect()
    };
    assert_eq!(
        statuses(&began),
        ["read ready", "sorry pending", "use pending", "last pending"]
    );
    let middle = at("3");
    assert_eq!(
        statuses(&middle),
        [
            "read failed",
            "sorry succeeded",
            "use skipped",
            "last ready"
        ]
    );
    assert_eq!(
        middle["nodes"]["sorry"][0]["output"],
        json!({ "text": "FILE_NOT_FOUND" })
    );
    let end = at("5");
    assert_eq!(
        (&end["status"], &end["output"]),
        (&json!("completed"), &json!({ "n": 1 }))
    );
    assert_eq!(
        end["nodes"], document["nodes"],
        "the last moment is what the run reported"
    );
    let one = replay(&["--at", "3", "--node", "use"]).exits(0).json();
    assert_eq!(one["nodes"].as_object().unwrap().len(), 1);

    assert_eq!(
        replay(&["--at", "6"]).exits(2).error_code(),
        "UNKNOWN_ENTRY"
    );
    let said = replay(&["--at", "0"]).exits(2);
    assert_eq!(said.json()["error"]["code"], "USAGE");
    let said = replay(&["--node", "lasd"]).exits(2);
    assert_eq!(said.error_code(), "UNKNOWN_NODE");
    said.says("did you mean `last`?");
}

#[test]
fn a_replay_of_a_retry_shows_what_was_copied() {
    let user = User::new();
    let failed = run(
        &user,
        "nodes: [{ id: one, action: data.set, parameters: { n: 1 } }, { id: two, action: flow.fail, parameters: { message: no } }]\n",
        1,
    );
    let said = user
        .nebula(&["executions", "retry", id_of(&failed)])
        .exits(1);
    let document = said.json();
    let said = user.nebula(&["executions", "replay", id_of(&document), "--at", "2"]);
    let moment = said.exits(0).json();
    assert_eq!(moment["nodes"]["one"], failed["nodes"]["one"]);
    assert_eq!(moment["nodes"]["two"][0]["status"], "ready");
}

#[test]
fn a_list_says_what_each_execution_waits_for() {
    let user = User::new();
    let waiting = |more: &[&str]| {
        let said = user.nebula(&[&["executions", "list", "--waiting"], more].concat());
        said.exits(0).json()
    };
    assert_eq!(waiting(&[]), json!({ "executions": [], "more": false }));
    run(&user, "nodes: [{ id: done, action: data.set }]\n", 0);
    let signal = run(
        &user,
        "nodes: [{ id: w, action: flow.wait, parameters: { signal: paid } }]\n",
        4,
    );
    let parked = run(&user, &in_doubt(), 4);
    user.write("timer.yaml", crate::support::WAITS);
    let timer = user.begin(&["run", "timer.yaml"]);
    let held = user.begin(&["run", "timer.yaml"]);
    crate::support::wait_until("both wait and are held by nobody", || {
        let listed = waiting(&["--workflow", "timer"]);
        let all = listed["executions"].as_array().unwrap();
        all.len() == 2
            && all
                .iter()
                .all(|it| it["status"] == "waiting" && it["leased"] == false)
    });
    let timer_id = timer.id.clone();
    timer.kill();
    let paused = held.id.clone();
    user.nebula(&["executions", "pause", &paused]).exits(0);
    held.ends().exits(4);

    let listed = waiting(&[]);
    let of = |id: &str| -> Value {
        let all = listed["executions"].as_array().unwrap();
        let found = all.iter().find(|it| it["execution"] == id);
        found.unwrap_or_else(|| panic!("{id} is not in {listed:#}"))["waiting"].clone()
    };
    assert_eq!(
        listed["executions"].as_array().unwrap().len(),
        4,
        "{listed:#}"
    );
    assert_eq!(
        of(id_of(&signal)),
        json!([{ "for": "signal", "instance": "w", "name": "paid", "due": null }])
    );
    let decision = of(id_of(&parked));
    assert_eq!(
        (&decision[0]["for"], &decision[0]["instance"]),
        (&json!("decision"), &json!("out"))
    );
    let time = of(&timer_id);
    assert_eq!(
        (&time[0]["for"], &time[0]["instance"]),
        (&json!("time"), &json!("wait"))
    );
    assert!(time[0]["due"].as_str().unwrap().contains('T'));
    assert_eq!(of(&paused)[1], json!({ "for": "unpause" }));
    let one = waiting(&["--status", "parked"]);
    assert_eq!(one["executions"].as_array().unwrap().len(), 1);
}
