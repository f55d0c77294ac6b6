//! Two processes on one database: one drives, the other looks and decides.

use serde_json::json;

use crate::{
    killed::chain,
    support::{SMALL, User, WAITS, in_doubt, lines, wait_until},
};

#[test]
fn one_process_drives_while_another_lists_and_cancels() {
    let user = User::new();
    // So many writes that whoever cancels is in time, however slow the machine.
    let writes = "nodes:
  - id: many
    action: flow.for_each
    parameters: { range: { from: 0, to: 1000000 } }
    concurrency: 1
    body: { nodes: [{ id: w, action: file.write, parameters: { path: lines.txt, content: \"n{{ $item }}\\n\", mode: append } }] }
";
    user.write("many.yaml", writes);
    let ledger = user.work().join("lines.txt");
    let running = user.begin(&["run", "many.yaml", "--grant-requested"]);
    wait_until("it has begun to write", || lines(&ledger).len() >= 3);
    let listed = user.nebula(&["executions", "list"]).exits(0).json();
    let summary = &listed["executions"][0];
    assert_eq!(summary["execution"], json!(running.id));
    assert_eq!(summary["status"], "running");
    assert_eq!(summary["leased"], true);
    let shown = user
        .nebula(&["executions", "show", &running.id])
        .exits(0)
        .json();
    assert_eq!(shown["status"], "running");
    let said = user
        .nebula(&["executions", "cancel", &running.id, "--reason", "enough"])
        .exits(0);
    assert_eq!(said.json()["status"], "cancelled");
    let driver = running.ends().exits(1);
    assert_eq!(driver.json()["status"], "cancelled");
    let written = lines(&ledger);
    let expected: Vec<String> = (0..written.len()).map(|n| format!("n{n}")).collect();
    assert_eq!(written, expected);
}

#[test]
fn an_execution_that_nobody_drives_is_cancelled_all_the_same() {
    let user = User::new();
    user.write("w.yaml", WAITS);
    let running = user.begin(&["run", "w.yaml"]);
    let id = running.id.clone();
    running.kill();
    let said = user.nebula(&["executions", "cancel", &id]).exits(0);
    assert_eq!(said.json()["status"], "cancelled");
    // Again: it had ended, as was wanted.
    user.nebula(&["executions", "cancel", &id])
        .exits(0)
        .says("it had ended before");
    user.nebula(&["resume", &id]).exits(1);
}

#[test]
fn a_driver_that_only_waits_hears_of_the_end() {
    let user = User::new();
    user.write("w.yaml", WAITS);
    let running = user.begin(&["run", "w.yaml"]);
    wait_until("it waits and holds nothing", || {
        let listed = user.nebula(&["executions", "list"]).json();
        let summary = &listed["executions"][0];
        summary["status"] == "waiting" && summary["leased"] == false
    });
    user.nebula(&["executions", "cancel", &running.id]).exits(0);
    assert_eq!(running.ends().exits(1).json()["status"], "cancelled");
}

#[test]
fn one_process_drives_while_another_pauses_and_lets_it_go_on() {
    let user = User::new();
    // A wait in the middle: whoever pauses it is in time, however slow the machine.
    let gate = "  - { id: gate, action: flow.wait, parameters: { for: 5s } }\n  - { id: n150,";
    user.write("chain.yaml", &chain(300).replace("  - { id: n150,", gate));
    let ledger = user.work().join("lines.txt");
    let running = user.begin(&["run", "chain.yaml", "--grant-requested"]);
    wait_until("the chain has begun", || lines(&ledger).len() >= 3);
    let id = running.id.clone();
    let said = user.nebula(&["executions", "pause", &id]).exits(0);
    assert_eq!(said.json()["status"], "paused");
    // The driver says what is to be done, and ends: it holds nothing.
    let driver = running.ends().exits(4);
    driver.says(&format!("nebula executions unpause {id}"));
    let written = lines(&ledger).len();
    assert!(written < 300, "it was paused in the middle");
    user.nebula(&["resume", &id]).exits(4);
    user.nebula(&["executions", "pause", &id])
        .exits(0)
        .says("it is paused already");
    assert_eq!(lines(&ledger).len(), written);
    let shown = user.nebula(&["executions", "show", &id]).exits(0).json();
    // A time may be open beside it, if it was paused at the gate.
    let waiting = shown["waiting"].as_array().unwrap();
    assert_eq!(waiting.last(), Some(&json!({ "for": "unpause" })));
    let said = user.nebula(&["executions", "unpause", &id]).exits(0);
    assert_eq!(said.json()["status"], "completed");
    let expected: Vec<String> = (0..300).map(|n| n.to_string()).collect();
    assert_eq!(lines(&ledger), expected);
    let again = user.nebula(&["executions", "unpause", &id]).exits(2);
    assert_eq!(again.error_code(), "NOT_PAUSED");
    user.nebula(&["executions", "pause", &id])
        .exits(1)
        .says("it had ended before");
}

#[test]
fn a_signal_lets_an_execution_go_on() {
    let user = User::new();
    user.write(
        "w.yaml",
        "nodes: [{ id: w, action: flow.wait, parameters: { signal: paid } }, { id: v, action: flow.wait, parameters: { signal: paid } }]\n",
    );
    let said = user.nebula(&["run", "w.yaml"]).exits(4);
    let document = said.json();
    assert_eq!(document["status"], "waiting");
    let waits =
        |node: &str| json!([{ "for": "signal", "instance": node, "name": "paid", "due": null }]);
    assert_eq!(document["waiting"], waits("w"));
    let id = document["execution"].as_str().unwrap().to_owned();
    said.says(&format!(
        "nebula executions signal {id} paid --payload JSON"
    ));
    let send = |more: &[&str]| {
        let given = [&["executions", "signal", &id], more].concat();
        user.nebula(&given)
    };
    assert_eq!(send(&["a b"]).exits(2).error_code(), "USAGE");
    assert_eq!(
        send(&["paid", "--payload", "{"]).exits(2).json()["execution"],
        json!(null)
    );
    // Nobody waits for it.
    let said = send(&["other"]).exits(4);
    assert_eq!(said.json()["waiting"], waits("w"));
    let said = send(&["paid", "--payload", "{\"n\": 1}", "--id", "7"]).exits(4);
    assert_eq!(said.json()["waiting"], waits("v"));
    let said = send(&["paid", "--payload", "{\"n\": 2}", "--id", "7"]).exits(4);
    said.says("came before");
    let said = send(&["paid", "--payload", "{\"n\": 3}"]).exits(0);
    assert_eq!(said.json()["output"], json!({ "n": 3 }));
    assert_eq!(send(&["paid"]).exits(2).error_code(), "EXECUTION_ENDED");
}

#[test]
fn a_transient_signal_that_nobody_waits_for_is_lost_and_events_are_told() {
    let user = User::new();
    user.write(
        "w.yaml",
        "nodes: [{ id: w, action: flow.wait, parameters: { signal: paid } }, { id: t, action: flow.emit, parameters: { event: order.paid, payload: '{{ $json }}' } }, { id: v, action: flow.wait, parameters: { signal: go } }, { id: u, action: flow.emit, parameters: { event: gone } }]\n",
    );
    let id = user.nebula(&["run", "w.yaml"]).exits(4).json()["execution"].clone();
    let send = |name: &str, more: &[&str]| {
        let given = [&["executions", "signal", id.as_str().unwrap(), name], more].concat();
        user.nebula(&given)
    };
    let lost = send("go", &["--keep", "false"]).exits(4);
    lost.says("nobody waited for this signal");
    let said = send("paid", &["--keep", "false", "--payload", "{\"n\": 1}"]).exits(4);
    let document = said.json();
    assert_eq!(document["waiting"][0]["name"], "go");
    let event = &document["events"][0];
    assert_eq!(
        (&event["event"], &event["payload"], &event["instance"]),
        (&json!("order.paid"), &json!({ "n": 1 }), &json!("t"))
    );
    said.says("event order.paid  {\"n\":1}");
    let said = send("go", &["--keep", "true"]).exits(0);
    assert_eq!(said.json()["events"].as_array().unwrap().len(), 2);
    // What was told before is not told again.
    assert!(!said.err.contains("order.paid"), "{said:#?}");
    said.says("event gone");
    let refused = send("go", &["--keep", "maybe"]).exits(2);
    assert_eq!(refused.json()["error"]["code"], "USAGE");
}

#[test]
fn a_process_that_waits_hears_of_a_signal() {
    let user = User::new();
    user.write(
        "w.yaml",
        "nodes: [{ id: w, action: flow.wait, parameters: { signal: paid, timeout: 1h } }]\n",
    );
    let running = user.begin(&["run", "w.yaml"]);
    let id = running.id.clone();
    wait_until("it waits and holds nothing", || {
        let listed = user.nebula(&["executions", "list"]).json();
        let summary = &listed["executions"][0];
        summary["status"] == "waiting" && summary["leased"] == false
    });
    user.nebula(&["executions", "signal", &id, "paid", "--payload", "5"])
        .exits(0);
    assert_eq!(running.ends().exits(0).json()["output"], json!(5));
}

#[test]
fn lists_are_filtered_and_wrong_names_are_refused() {
    let user = User::new();
    assert_eq!(
        user.nebula(&["executions", "list"]).exits(0).json(),
        json!({ "executions": [], "more": false })
    );
    assert!(!user.home().exists());
    user.write("ok.yaml", SMALL);
    user.write(
        "no.yaml",
        "nodes: [{ id: no, action: flow.fail, parameters: { message: no } }]\n",
    );
    for _ in 0..2 {
        user.nebula(&["run", "ok.yaml"]).exits(0);
    }
    user.nebula(&["run", "no.yaml"]).exits(1);
    let count = |arguments: &[&str]| {
        let listed = user
            .nebula(&[&["executions", "list"], arguments].concat())
            .exits(0)
            .json();
        (
            listed["executions"].as_array().unwrap().len(),
            listed["more"].as_bool().unwrap(),
        )
    };
    assert_eq!(count(&[]), (3, false));
    assert_eq!(count(&["--limit", "2"]), (2, true));
    assert_eq!(count(&["--status", "failed"]), (1, false));
    assert_eq!(
        count(&["--status", "failed", "--status", "completed"]),
        (3, false)
    );
    assert_eq!(count(&["--workflow", "ok"]), (2, false));
    user.nebula(&["executions", "list", "--status", "done"])
        .exits(2);
    user.nebula(&["executions", "show", "not-an-id"]).exits(2);
    let unknown = "01a1fc38-5633-7236-9695-dcef079f585d";
    for command in [
        &["show", unknown][..],
        &["cancel", unknown],
        &["pause", unknown],
        &["unpause", unknown],
        &["signal", unknown, "paid"],
        &["unpark", unknown, "--as", "retry"],
    ] {
        let said = user.nebula(&[&["executions"], command].concat()).exits(2);
        assert_eq!(said.error_code(), "UNKNOWN_EXECUTION");
    }
}

#[test]
fn the_beginning_of_an_id_is_enough_where_it_is_the_only_one() {
    let user = User::new();
    user.write("w.yaml", SMALL);
    let run = || {
        let document = user.nebula(&["run", "w.yaml"]).exits(0).json();
        document["execution"].as_str().unwrap().to_owned()
    };
    let (one, two) = (run(), run());
    let same = one.chars().zip(two.chars()).take_while(|(a, b)| a == b);
    let same = same.count();
    let show = |id: &str| user.nebula(&["executions", "show", id]);
    let shown = show(&one[..same + 1]).exits(0).json();
    assert_eq!(shown["execution"], json!(one));
    let resumed = user.nebula(&["resume", &two[..same + 1]]).exits(0).json();
    assert_eq!(resumed["execution"], json!(two));
    // Both were started within hours of each other, so they begin alike.
    let said = show(&one[..6]).exits(2);
    assert_eq!(said.error_code(), "AMBIGUOUS_EXECUTION");
    let hint = said.json()["error"]["hint"].as_str().unwrap().to_owned();
    assert!(hint.contains(&one) && hint.contains(&two), "{hint}");
    assert_eq!(show("ffffff").exits(2).error_code(), "UNKNOWN_EXECUTION");
    assert_eq!(show(&one[..5]).exits(2).error_code(), "USAGE");
}

#[test]
fn a_write_in_doubt_parks_until_a_person_decides() {
    let user = User::new();
    user.write("w.yaml", &in_doubt());
    let park = || {
        let said = user
            .nebula(&["run", "w.yaml", "--grant-requested"])
            .exits(4);
        let document = said.json();
        assert_eq!(document["status"], "parked");
        assert_eq!(document["nodes"]["out"][0]["status"], "indeterminate");
        let id = document["execution"].as_str().unwrap().to_owned();
        said.says(&format!(
            "nebula executions unpark {id} --node out --as succeeded|failed|retry"
        ));
        id
    };
    let unpark = |id: &str, more: &[&str]| {
        let given = [&["executions", "unpark", id], more].concat();
        user.nebula(&given)
    };
    let id = park();
    // Waiting longer decides nothing, and neither do decisions about something else.
    user.nebula(&["resume", &id]).exits(4);
    user.nebula(&["resume"]).exits(4);
    unpark(&id, &["--as", "done"]).exits(2);
    unpark(&id, &["--as", "failed", "--output", "1"]).exits(2);
    unpark(&id, &["--as", "succeeded", "--output", "{"]).exits(2);
    let said = unpark(&id, &["--node", "big", "--as", "failed"]).exits(2);
    assert_eq!(said.error_code(), "NOT_PARKED");
    let said = unpark(&id, &["--as", "succeeded", "--output", "{\"bytes\": 9}"]).exits(0);
    let document = said.json();
    assert_eq!(document["status"], "completed");
    assert_eq!(document["output"], json!({ "bytes": 9 }));
    assert_eq!(
        unpark(&id, &["--as", "retry"]).exits(2).error_code(),
        "NOT_PARKED"
    );

    let id = park();
    let said = unpark(&id, &["--node", "out", "--as", "failed"]).exits(1);
    assert_eq!(said.json()["status"], "failed");

    // Again it takes longer than it may.
    let id = park();
    unpark(&id, &["--as", "retry"]).exits(4);
    let said = user.nebula(&["executions", "cancel", &id]).exits(0);
    assert_eq!(said.json()["status"], "cancelled");
}
