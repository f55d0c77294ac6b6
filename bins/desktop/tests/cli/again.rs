//! Going over ended executions again: what succeeded is kept, or not, as was asked.

use std::fs;

use serde_json::{Value, json};

use crate::support::{User, WAITS, in_doubt, lines};

/// It writes a line, then reads a file that may not be there, then writes another line.
const REPORT: &str = r#"
nodes:
  - { id: begin, action: file.write, parameters: { path: ledger.txt, mode: append, content: "begin\n" } }
  - { id: read, action: file.read, parameters: { path: in.txt } }
  - { id: end, action: file.write, parameters: { path: ledger.txt, mode: append, content: "{{ $nodes.read.result.text }}.\n" } }
output: "{{ $nodes.read.result.text }}"
"#;

fn id_of(document: &Value) -> String {
    document["execution"].as_str().unwrap().to_owned()
}

#[test]
fn a_retry_keeps_what_succeeded_and_a_restart_does_it_once_more() {
    let user = User::new();
    user.write("w.yaml", REPORT);
    let ledger = user.work().join("ledger.txt");
    let said = user
        .nebula(&["run", "w.yaml", "--grant-requested"])
        .exits(1);
    let failed = id_of(&said.json());
    let said = said.says(&format!("nebula executions retry {failed}"));
    assert_eq!(said.json()["error"]["node"], "read");
    let still = user
        .nebula(&["executions", "retry", &failed])
        .exits(1)
        .json();
    user.write("in.txt", "there");
    let said = user
        .nebula(&["executions", "retry", &id_of(&still)])
        .exits(0);
    let done = said.json();
    assert_eq!(done["output"], "there");
    let before = json!({ "of": id_of(&still), "how": "retry", "origin": failed });
    assert_eq!(done["again"], before);
    said.says(&format!("retry of {}", id_of(&still)));
    assert_eq!(lines(&ledger), ["begin", "there."]);

    let restart = |more: &[&str]| {
        let id = id_of(&done);
        user.nebula(&[&["executions", "restart", &id], more].concat())
    };
    let said = restart(&["--from", "end"]).exits(0);
    let before = json!({ "of": id_of(&done), "how": "restart", "from": "end", "origin": failed });
    assert_eq!(said.json()["again"], before);
    assert_eq!(lines(&ledger), ["begin", "there.", "there."]);
    restart(&[]).exits(0);
    assert_eq!(lines(&ledger)[3..], ["begin", "there."]);
    // The first one stays what it is.
    let shown = user
        .nebula(&["executions", "show", &failed])
        .exits(0)
        .json();
    assert_eq!(
        (&shown["status"], &shown["again"]),
        (&json!("failed"), &json!(null))
    );
}

#[test]
fn what_cannot_be_gone_over_again_is_refused_with_what_to_do() {
    let user = User::new();
    user.write("w.yaml", WAITS);
    let running = user.begin(&["run", "w.yaml"]);
    let id = running.id.clone();
    running.kill();
    let again = |more: &[&str]| user.nebula(&[&["executions"], more].concat());
    let said = again(&["retry", &id]).exits(2);
    assert_eq!(said.error_code(), "EXECUTION_NOT_ENDED");
    said.says(&format!("nebula resume {id}"));
    assert_eq!(
        again(&["restart", &id]).exits(2).error_code(),
        "EXECUTION_NOT_ENDED"
    );
    user.write(
        "done.yaml",
        "nodes: [{ id: one, action: data.set }, { id: two, action: data.set, when: \"false\" }]\n",
    );
    let done = id_of(&user.nebula(&["run", "done.yaml"]).exits(0).json());
    let said = again(&["retry", &done]).exits(2);
    assert_eq!(said.error_code(), "NOTHING_TO_RETRY");
    let said = again(&["restart", &done, "--from", "onne"]).exits(2);
    assert_eq!(said.error_code(), "UNKNOWN_NODE");
    said.says("did you mean `one`?");
    let said = again(&["restart", &done, "--from", "two"]).exits(2);
    assert_eq!(said.error_code(), "NODE_NOT_REACHED");
    assert_eq!(
        again(&["restart", &done, "--from", "1"])
            .exits(2)
            .error_code(),
        "USAGE"
    );
    let unknown = "01a1fc38-5633-7236-9695-dcef079f585d";
    assert_eq!(
        again(&["retry", unknown]).exits(2).error_code(),
        "UNKNOWN_EXECUTION"
    );
}

#[test]
fn a_write_that_may_have_happened_is_asked_about_again() {
    let user = User::new();
    user.write("w.yaml", &in_doubt());
    let parked = user
        .nebula(&["run", "w.yaml", "--grant-requested"])
        .exits(4);
    let id = id_of(&parked.json());
    user.nebula(&["executions", "cancel", &id]).exits(0);
    let _ = fs::remove_file(user.work().join("out.txt"));
    let said = user.nebula(&["executions", "retry", &id]).exits(4);
    let document = said.json();
    assert_eq!(document["status"], "parked");
    assert!(
        !user.work().join("out.txt").exists(),
        "it was not written again"
    );
    let id = id_of(&document);
    said.says(&format!("nebula executions unpark {id} --node out"));
    let unpark = [
        "executions",
        "unpark",
        &id,
        "--as",
        "succeeded",
        "--output",
        "7",
    ];
    assert_eq!(user.nebula(&unpark).exits(0).json()["output"], 7);
}
