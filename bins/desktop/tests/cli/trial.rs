//! One node, or all up to one, with given values; and runs that touch nothing.

use serde_json::{Value, json};

use crate::support::{User, lines};

/// It reads a file, counts its letters, waits, writes, and counts lines in between.
const COUNT: &str = r#"
input: { type: object, required: [unit], properties: { unit: { type: string } } }
nodes:
  - { id: read, action: file.read, parameters: { path: in.txt } }
  - { id: count, action: data.set, parameters: { n: "{{ $nodes.read.result?.text?.length ?? 0 }}" } }
  - { id: unit, action: data.set, parameters: { n: "{{ $json.n }}", unit: "{{ $input?.unit ?? 'none' }}" } }
  - { id: wait, action: flow.wait, parameters: { for: 1h } }
  - { id: save, action: file.write, parameters: { path: out.txt, mode: append, content: "{{ $json.n }}.\n" } }
"#;

fn user() -> User {
    let user = User::new();
    user.write("w.yaml", COUNT);
    user
}

fn nodes(document: &Value) -> Vec<&str> {
    let nodes = document["nodes"].as_object().unwrap();
    nodes.keys().map(String::as_str).collect()
}

#[test]
fn until_a_node_runs_it_and_what_it_needs_and_saves_no_version() {
    let user = user();
    user.write("in.txt", "twelve chars");
    let run =
        |more: &[&str]| user.nebula(&[&["run", "w.yaml", "--input", "unit=chars"], more].concat());
    let said = run(&["--until", "unit", "--grant-requested"]).exits(0);
    let document = said.json();
    assert_eq!(document["output"], json!({ "n": 12, "unit": "chars" }));
    assert_eq!(nodes(&document), ["read", "count", "unit"]);
    assert_eq!(document["version"], 0);
    assert_eq!(
        document["trial"],
        json!({ "until": "unit", "dry_run": false, "pinned": [] })
    );
    said.says("no version of the workflow is saved");
    // Grants are asked for what runs, and for nothing else; with a pin, for nothing.
    run(&["--until", "unit"]).exits(2).says("--grant fs:read:");
    let document = run(&["--until", "unit", "--pin", "read={\"text\": \"abc\"}"])
        .exits(0)
        .json();
    assert_eq!(document["output"]["n"], 3);
    let pinned = document["execution"].as_str().unwrap();
    let listed = user.nebula(&["workflows", "list"]).exits(0).json();
    assert_eq!(listed["workflows"], json!([]), "nothing was saved");
    // The journal says so, and the trial can be gone over like anything else.
    let said = user.nebula(&["executions", "replay", pinned]).exits(0);
    let first: Value = serde_json::from_str(said.out.lines().next().unwrap()).unwrap();
    let tries = &first["fact"]["execution_started"]["trial"];
    assert_eq!(tries["pinned"], json!(["read"]));
    let again = user
        .nebula(&["executions", "restart", pinned])
        .exits(0)
        .json();
    assert_eq!(
        (&again["output"]["n"], &again["trial"]["until"]),
        (&json!(3), &json!("unit"))
    );
}

#[test]
fn a_node_alone_takes_its_inputs_from_pins_or_from_an_execution() {
    let user = user();
    user.write("in.txt", "twelve chars");
    let run = |more: &[&str]| user.nebula(&[&["run", "w.yaml"], more].concat());
    let said = run(&["--only", "count"]).exits(2);
    assert_eq!(said.error_code(), "PIN_MISSING");
    said.says("--pin read=JSON");
    let document = run(&["--only", "count", "--pin", "read={\"text\": \"abcd\"}"])
        .exits(0)
        .json();
    assert_eq!(document["output"], json!({ "n": 4 }));
    // The whole text of an earlier execution, without reading it again.
    let until = ["--until", "count", "--grant-requested", "--input", "unit=x"];
    let before = run(&until).exits(0).json();
    std::fs::remove_file(user.work().join("in.txt")).unwrap();
    let from = before["execution"].as_str().unwrap();
    let document = run(&["--only", "count", "--pin-from", from])
        .exits(0)
        .json();
    assert_eq!(document["output"], json!({ "n": 12 }));
    // A node that writes still writes.
    let save = [
        "--only",
        "save",
        "--pin",
        "wait={\"n\": 7}",
        "--grant-requested",
    ];
    run(&save).exits(0);
    assert_eq!(lines(&user.work().join("out.txt")), ["7."]);
}

#[test]
fn a_dry_run_touches_nothing_and_says_what_its_answers_are_made_of() {
    let user = user();
    let run = |more: &[&str]| {
        let dry = ["run", "w.yaml", "--dry-run", "--input", "unit=x"];
        user.nebula(&[&dry, more].concat())
    };
    // Neither a grant nor a file nor an hour is needed.
    let said = run(&[]).exits(0);
    let document = said.json();
    assert_eq!(document["trial"]["dry_run"], true);
    assert_eq!(document["trial"]["pinned"], json!(["read", "save"]));
    assert_eq!(document["nodes"]["wait"][0]["status"], "succeeded");
    assert_eq!(document["nodes"]["count"][0]["output"], json!({ "n": 0 }));
    assert!(!user.work().join("out.txt").exists());
    let said = said.says("`read` HAS NO ANSWER");
    said.says("nothing outside is touched")
        .says("`wait` passes on what comes");
    let document = run(&["--pin", "read={\"text\": \"abc\"}", "--until", "count"])
        .exits(0)
        .json();
    assert_eq!(document["output"], json!({ "n": 3 }));
}

#[test]
fn what_cannot_be_tried_is_refused() {
    let user = user();
    user.write("in.txt", "x");
    let refused = |more: &[&str]| {
        let run = [&["run", "w.yaml", "--input", "unit=x"], more].concat();
        user.nebula(&run).exits(2).json()["error"]["code"].clone()
    };
    assert_eq!(refused(&["--until", "cuont"]), "UNKNOWN_NODE");
    assert_eq!(refused(&["--until", "a", "--only", "b"]), "USAGE");
    assert_eq!(refused(&["--pin", "read"]), "USAGE");
    assert_eq!(refused(&["--pin", "read={"]), "INPUT_NOT_JSON");
    assert_eq!(refused(&["--only", "count", "--pin", "count=1"]), "USAGE");
    let unknown = "01a1fc38-5633-7236-9695-dcef079f585d";
    let run = ["run", "w.yaml", "--input", "unit=x", "--pin-from", unknown];
    assert!(!user.nebula(&run).exits(2).err.is_empty());
    // What is in the database has no file that says where its problems are.
    user.write("small.yaml", crate::support::SMALL);
    user.nebula(&["run", "small.yaml"]).exits(0);
    let said = user.nebula(&["run", "small", "--dry-run"]).exits(2);
    said.says("nebula workflows pull small");
}
