//! `run` and `resume`: documents, input, exit codes, signals.

use serde_json::json;

use crate::support::{SMALL, User, WAITS};

#[test]
fn the_document_of_a_run_is_the_contract() {
    let user = User::new();
    user.write("w.yaml", SMALL);
    let said = user
        .nebula(&["run", "w.yaml", "--json", "--input", "name=Ada"])
        .exits(0);
    let document = said.json();
    assert_eq!(document["status"], "completed");
    assert_eq!(document["output"], json!({ "text": "Hi Ada" }));
    assert_eq!(document["error"], json!(null));
    let activation = &document["nodes"]["greet"][0];
    assert_eq!(activation["activation"], 1);
    assert_eq!(activation["status"], "succeeded");
    assert_eq!(activation["port"], "main");
    assert_eq!(activation["output"], json!({ "text": "Hi Ada" }));
    assert_eq!(activation["attempts"], 1);
    assert!(activation["started_at"].is_string() && activation["ended_at"].is_string());
    let id = document["execution"].as_str().unwrap();
    let shown = user.nebula(&["executions", "show", id]).exits(0);
    // It says more: what the time went into.
    let mut shown = shown.json();
    let timeline = shown.as_object_mut().unwrap().remove("timeline").unwrap();
    assert_eq!(shown, document);
    let mut stretches = timeline["stretches"].as_array().unwrap().iter();
    let attempt = stretches.find(|it| it["spent"] == "attempt");
    assert_eq!(attempt.unwrap()["instance"], "greet");
}

#[test]
fn input_fields_are_read_by_the_schema_or_exactly() {
    let user = User::new();
    user.write(
        "w.yaml",
        "input:\n  type: object\n  properties: { n: { type: integer }, s: { type: string }, b: { type: boolean }, d: { default: 5 } }\n\
         nodes: [{ id: a, action: data.set, parameters: { all: \"{{ $input }}\" } }]\n",
    );
    let check = |arguments: &[&str], expected: serde_json::Value| {
        let said = user.nebula(&[&["run", "w.yaml", "--ephemeral"], arguments].concat());
        assert_eq!(said.exits(0).json()["output"]["all"], expected);
    };
    let fields = [
        "--input",
        "n=7",
        "--input",
        "s=7",
        "--input",
        "b=true",
        "--input",
        "x:=[1, null]",
    ];
    check(
        &fields,
        json!({ "n": 7, "s": "7", "b": true, "x": [1, null], "d": 5 }),
    );
    check(
        &["--input", "n=7", "s=x=y"],
        json!({ "n": 7, "s": "x=y", "d": 5 }),
    );
    check(
        &["--input-json", "{\"n\": 1, \"d\": 2}", "--input", "n=3"],
        json!({ "n": 3, "d": 2 }),
    );
    user.write("in.json", "{\"n\": 9}");
    check(&["--input-json", "@in.json"], json!({ "n": 9, "d": 5 }));
    let said = user.nebula_with(
        &["run", "w.yaml", "--ephemeral", "--input-json", "-"],
        "{\"s\": \"é\"}",
    );
    assert_eq!(
        said.exits(0).json()["output"]["all"],
        json!({ "s": "é", "d": 5 })
    );
}

#[test]
fn an_input_that_does_not_fit_is_refused_before_anything_is_written() {
    let user = User::new();
    user.write(
        "w.yaml",
        "input: { type: object, required: [n], properties: { n: { type: integer } }, additionalProperties: false }\n\
         nodes: [{ id: a, action: data.set, parameters: { n: 1 } }]\n",
    );
    let check = |arguments: &[&str], code: &str| {
        let said = user
            .nebula(&[&["run", "w.yaml"], arguments].concat())
            .exits(2);
        assert_eq!(said.error_code(), code, "{said:#?}");
    };
    check(&[], "INPUT_INVALID");
    check(&["--input", "n=seven"], "INPUT");
    check(&["--input", "n:=\"seven\""], "INPUT_INVALID");
    check(&["--input", "n=1", "--input", "n=2"], "INPUT");
    check(&["--input", "n"], "INPUT");
    check(&["--input", "n=1", "--input", "m=2"], "INPUT_INVALID");
    check(&["--input-json", "{"], "INPUT_NOT_JSON");
    check(&["--input-json", "[1]", "--input", "n=1"], "INPUT");
    check(&["--input-json", &"[".repeat(500)], "INPUT_TOO_DEEP");
    user.nebula(&["run", "w.yaml", "--input-json", "@missing.json"])
        .exits(3);
    let huge = std::fs::File::create(user.work().join("huge.json")).unwrap();
    huge.set_len(200 << 20).unwrap();
    check(&["--input-json", "@huge.json"], "INPUT_TOO_LARGE");
    assert!(!user.home().exists());
}

#[test]
fn how_an_execution_ends_is_the_exit_code() {
    let user = User::new();
    user.write("fails.yaml", "nodes: [{ id: no, action: flow.fail, parameters: { message: \"no luck\", code: NO_LUCK } }]\n");
    let said = user
        .nebula(&["run", "fails.yaml"])
        .exits(1)
        .says("error[NO_LUCK] at node `no`");
    let document = said.json();
    assert_eq!(document["status"], "failed");
    assert_eq!(document["error"]["code"], "NO_LUCK");
    assert_eq!(document["error"]["node"], "no");

    user.write(
        "late.yaml",
        &format!("limits: {{ timeout: 100ms }}\n{WAITS}"),
    );
    let said = user.nebula(&["run", "late.yaml"]).exits(1);
    assert_eq!(said.json()["status"], "timed_out");
}

#[test]
fn an_ephemeral_run_leaves_nothing() {
    let user = User::new();
    user.write("w.yaml", SMALL);
    user.nebula(&["run", "w.yaml", "--ephemeral"]).exits(0);
    assert!(!user.home().exists());
    assert_eq!(std::fs::read_dir(user.work()).unwrap().count(), 1);
}

#[test]
fn a_workflow_that_ran_runs_again_by_its_id() {
    let user = User::new();
    let file = user.write("w.yaml", SMALL);
    assert_eq!(
        user.nebula(&["run", "w"]).exits(3).error_code(),
        "UNKNOWN_WORKFLOW"
    );
    assert!(!user.home().exists());
    user.nebula(&["run", "w.yaml"]).exits(0);
    std::fs::remove_file(file).unwrap();
    let said = user.nebula(&["run", "w", "--input", "name=Bob"]).exits(0);
    assert_eq!(said.json()["output"], json!({ "text": "Hi Bob" }));
}

#[test]
fn detach_says_that_there_is_no_engine() {
    let user = User::new();
    user.write("w.yaml", SMALL);
    let said = user.nebula(&["run", "w.yaml", "--detach"]).exits(3);
    assert_eq!(said.error_code(), "NO_ENGINE");
}

#[test]
fn a_signal_saves_and_says_how_to_go_on() {
    let user = User::new();
    user.write("w.yaml", WAITS);
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        let running = user.begin(&["run", "w.yaml", "--db", "a.db"]);
        let id = running.id.clone();
        running.signal(signal);
        let said = running.ends().exits(code);
        let said = said.says(&format!(
            "nebula resume {id} --db {}",
            user.work().join("a.db").display()
        ));
        let document = said.json();
        assert_eq!(document["execution"], json!(id));
        assert!(document["output"].is_null());
        let running = user.begin(&["resume", &id, "--db", "a.db"]);
        running.signal(signal);
        assert_eq!(running.ends().code, Some(code));
        user.nebula(&["executions", "cancel", &id, "--db", "a.db"])
            .exits(0);
    }
}

#[test]
fn a_signal_is_heard_in_the_middle_of_long_pure_work() {
    let user = User::new();
    let rounds = "nodes:
  - id: spin
    action: flow.loop
    parameters: { times: 1000000 }
    body: { nodes: [{ id: n, action: data.set, parameters: { n: \"{{ $loop.index }}\" } }] }
";
    user.write("w.yaml", rounds);
    let running = user.begin(&["run", "w.yaml"]);
    let id = running.id.clone();
    running.signal("-TERM");
    running.ends().exits(143).says("nebula resume");
    let shown = user.nebula(&["executions", "show", &id]).exits(0).json();
    assert_eq!(shown["status"], "running", "{shown}");
}

#[test]
fn resume_goes_on_with_one_or_with_everything() {
    let user = User::new();
    user.write(
        "w.yaml",
        "nodes: [{ id: wait, action: flow.wait, parameters: { for: 1500ms } }]\n",
    );
    let ids = [0, 1].map(|_| {
        let running = user.begin(&["run", "w.yaml"]);
        let id = running.id.clone();
        running.kill();
        id
    });
    // What was left goes on only when somebody says so.
    user.write("other.yaml", SMALL);
    user.nebula(&["run", "other.yaml"]).exits(0);
    let listed = user
        .nebula(&["executions", "list", "--workflow", "w"])
        .json();
    for summary in listed["executions"].as_array().unwrap() {
        assert!(
            ["running", "waiting"].contains(&summary["status"].as_str().unwrap()),
            "{summary}"
        );
    }
    let said = user
        .nebula(&["resume"])
        .exits(0)
        .says("going on with 2 executions");
    for id in &ids {
        assert!(
            said.err.contains(&format!("  {id}  w version 1  ")),
            "{said:#?}"
        );
    }
    let documents: Vec<serde_json::Value> = said
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(documents.len(), 2);
    for document in &documents {
        assert_eq!(document["status"], "completed");
        assert!(ids.iter().any(|id| document["execution"] == json!(id)));
    }
    let again = user.nebula(&["resume", &ids[0]]).exits(0);
    assert_eq!(again.json()["status"], "completed");
    assert_eq!(user.nebula(&["resume"]).exits(0).out, "");
    let unknown = "01a1fc38-5633-7236-9695-dcef079f585d";
    assert_eq!(
        user.nebula(&["resume", unknown]).exits(2).error_code(),
        "UNKNOWN_EXECUTION"
    );
}

#[test]
fn the_second_signal_stops_at_once() {
    let user = User::new();
    // It takes what is asked, and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    user.write(
        "slow.yaml",
        &format!(
            "nodes: [{{ id: slow, action: http.request, parameters: {{ url: \"{url}\" }} }}]\n"
        ),
    );
    let arguments = ["run", "slow.yaml", "--grant-requested"];
    let mut running = user.begin_with(&arguments, "NEBULA_WORKER__GRACE", "5m");
    let id = running.id.clone();
    let _asked = silent.accept().unwrap();
    running.signal("-INT");
    let line = running.next_line();
    assert!(line.starts_with("stopping"), "{line}");
    running.signal("-INT");
    let said = running.ends().exits(130);
    assert!(said.out.is_empty());
    let said = said.says("stopped at once");
    said.says(&format!("nebula resume {id}"));
}
