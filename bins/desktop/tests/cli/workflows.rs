//! Versions: saved, listed, published, compared, run.

use serde_json::{Value, json};

use crate::support::{Said, User};

const GREET: &str = "
id: greet
nodes:
  - { id: name, action: data.set, parameters: { text: Ada } }
  - { id: hello, action: data.set, parameters: { text: 'Hello {{ $nodes.name.result.text }}' } }
";

/// A user whose `greet.yaml` was pushed with each of these words for `Hello`.
fn pushed(words: &[&str]) -> User {
    let user = User::new();
    for word in words {
        user.write("greet.yaml", &GREET.replace("Hello", word));
        user.nebula(&["workflows", "push", "greet.yaml"]).exits(0);
    }
    user
}

fn text(said: &Said) -> Value {
    said.json()["output"]["text"].clone()
}

#[test]
fn a_push_makes_a_version_and_the_same_definition_again_does_not() {
    let user = User::new();
    user.write("greet.yaml", GREET);
    let push = ["workflows", "push", "greet.yaml"];
    let first = user.nebula(&push).exits(0).json();
    let expected = json!({ "workflow": "greet", "version": 1, "revision": 1, "new": true });
    assert_eq!(first, expected);
    // Layout and formatting make no version.
    user.write(
        "greet.yaml",
        &format!("{GREET}layout: {{ name: [3, 4] }}\n# a remark\n"),
    );
    let again = user.nebula(&push).exits(0).json();
    assert_eq!(
        (&again["version"], &again["new"]),
        (&json!(1), &json!(false))
    );
    user.write("greet.yaml", &GREET.replace("Hello", "Hi"));
    let second = user.nebula(&push).exits(0).json();
    assert_eq!(
        (&second["version"], &second["new"]),
        (&json!(2), &json!(true))
    );
    let listed = user.nebula(&["workflows", "list"]).exits(0).json();
    let expected = json!({ "workflow": "greet", "name": "greet", "draft": 2, "published": null, "revision": 2, "archived": false });
    assert_eq!(listed, json!({ "workflows": [expected], "more": false }));
    let versions = user
        .nebula(&["workflows", "versions", "greet"])
        .exits(0)
        .json();
    let numbers: Vec<_> = versions["versions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|version| &version["version"])
        .collect();
    assert_eq!(numbers, [2, 1]);
    // Nothing has run.
    assert_eq!(
        user.nebula(&["executions", "list"]).json()["executions"],
        json!([])
    );
}

#[test]
fn the_last_push_does_not_silently_win() {
    let user = pushed(&["Hello"]);
    let seen = user.nebula(&["workflows", "versions", "greet"]).json()["revision"].to_string();
    user.write("other.yaml", &GREET.replace("Hello", "Welcome"));
    user.write("greet.yaml", &GREET.replace("Hello", "Hi"));
    user.nebula(&["workflows", "push", "other.yaml", "--expect", &seen])
        .exits(0);
    let late = user.nebula(&["workflows", "push", "greet.yaml", "--expect", &seen]);
    let late = late.exits(2).says("has revision 2, not 1");
    assert_eq!(late.error_code(), "WORKFLOW_CONFLICT");
    assert_eq!(
        user.nebula(&["workflows", "list"]).json()["workflows"][0]["draft"],
        2
    );
}

#[test]
fn run_takes_the_published_version_else_the_draft_or_the_one_that_is_named() {
    let user = pushed(&["Hello", "Hi"]);
    let draft = user.nebula(&["run", "greet"]).exits(0);
    let draft = draft.says("no version of `greet` is published; this is its draft, version 2");
    assert_eq!(text(&draft), "Hi Ada");
    let published = user
        .nebula(&["workflows", "publish", "greet@1"])
        .exits(0)
        .json();
    assert_eq!(
        published,
        json!({ "workflow": "greet", "version": 1, "revision": 3 })
    );
    for (target, version, output) in [
        ("greet", 1, "Hello Ada"),
        ("greet@published", 1, "Hello Ada"),
        ("greet@2", 2, "Hi Ada"),
        ("greet@draft", 2, "Hi Ada"),
    ] {
        let said = user.nebula(&["run", target]).exits(0);
        assert_eq!(
            (said.json()["version"].clone(), text(&said)),
            (json!(version), json!(output)),
            "{target}"
        );
        assert!(!said.err.contains("published"), "{said:?}");
    }
}

#[test]
fn a_publication_from_an_outdated_revision_is_refused() {
    let user = pushed(&["Hello", "Hi"]);
    let late = user
        .nebula(&["workflows", "publish", "greet@1", "--expect", "1"])
        .exits(2);
    assert_eq!(late.error_code(), "WORKFLOW_CONFLICT");
    assert_eq!(
        user.nebula(&["workflows", "list"]).json()["workflows"][0]["published"],
        Value::Null
    );
    user.nebula(&["workflows", "publish", "greet@draft", "--expect", "2"])
        .exits(0);
    assert_eq!(
        user.nebula(&["workflows", "list"]).json()["workflows"][0]["published"],
        2
    );
}

#[test]
fn an_execution_keeps_the_version_that_it_began_with() {
    let user = User::new();
    let waits = |word: &str| {
        format!(
            "id: slow\nnodes:\n  - {{ id: wait, action: flow.wait, parameters: {{ signal: go }} }}\n  - {{ id: say, action: data.set, parameters: {{ text: {word} }} }}\n"
        )
    };
    user.write("slow.yaml", &waits("old"));
    user.nebula(&["workflows", "push", "slow.yaml"]).exits(0);
    let begun = user.nebula(&["run", "slow"]).exits(4).json();
    user.write("slow.yaml", &waits("new"));
    user.nebula(&["workflows", "push", "slow.yaml"]).exits(0);
    user.nebula(&["workflows", "publish", "slow@2"]).exits(0);
    let id = begun["execution"].as_str().unwrap();
    let ended = user.nebula(&["executions", "signal", id, "go"]).exits(0);
    assert_eq!(
        (ended.json()["version"].clone(), text(&ended)),
        (json!(1), json!("old"))
    );
}

#[test]
fn what_is_pulled_is_a_definition_that_says_the_same() {
    let user = pushed(&["Hello", "Hi"]);
    let pulled = user.nebula(&["workflows", "pull", "greet@1"]).exits(0);
    user.write("pulled.json", &pulled.out);
    let same = user
        .nebula(&["workflows", "diff", "greet@1", "pulled.json"])
        .exits(0)
        .json();
    assert_eq!(same["same"], true, "{same}");
    assert_eq!(
        (&same["old"], &same["new"]),
        (
            &json!({ "workflow": "greet", "version": 1 }),
            &json!({ "file": "pulled.json" })
        )
    );
    let again = user
        .nebula(&["workflows", "push", "pulled.json"])
        .exits(0)
        .json();
    assert_eq!(
        (&again["version"], &again["new"]),
        (&json!(1), &json!(false))
    );
}

#[test]
fn a_renamed_node_is_one_difference_wherever_it_is_mentioned() {
    let user = pushed(&["Hello"]);
    user.write("greet.yaml", &GREET.replace("name", "who"));
    let said = user
        .nebula(&["workflows", "diff", "greet", "greet.yaml"])
        .exits(0);
    let diff = &said.json()["diff"];
    assert_eq!(diff["renamed"], json!([{ "from": "name", "to": "who" }]));
    for part in ["nodes", "connections", "triggers"] {
        let none = json!({ "added": [], "removed": [], "changed": [], "reordered": false });
        assert_eq!(diff[part], none, "{part}");
    }
    assert_eq!(
        (&said.json()["same"], &diff["fields"]),
        (&json!(false), &json!([]))
    );
}

#[test]
fn parameters_that_are_expressions_without_braces_mention_nodes_too() {
    let user = User::new();
    let filter = "id: f\nnodes:\n  - { id: least, action: data.set, parameters: { n: 2 } }\n  - { id: big, action: data.filter, parameters: { items: [1, 3], condition: '$item > $nodes.least.result.n' } }\n";
    user.write("old.yaml", filter);
    user.write("new.yaml", &filter.replace("least", "floor"));
    let said = user
        .nebula(&["workflows", "diff", "old.yaml", "new.yaml"])
        .exits(0);
    let diff = &said.json()["diff"];
    assert_eq!(
        diff["renamed"],
        json!([{ "from": "least", "to": "floor" }]),
        "{said:?}"
    );
    assert_eq!(diff["nodes"]["changed"], json!([]));
    // Two files need no database.
    assert!(!user.database().exists());
}

#[test]
fn each_changed_value_has_its_path() {
    let user = pushed(&["Hello", "Hi"]);
    let said = user
        .nebula(&["workflows", "diff", "greet@1", "greet@2"])
        .exits(0);
    let change = json!([{
        "name": "hello",
        "fields": [{
            "path": "/parameters/text",
            "old": "Hello {{ $nodes.name.result.text }}",
            "new": "Hi {{ $nodes.name.result.text }}",
        }],
    }]);
    assert_eq!(said.json()["diff"]["nodes"]["changed"], change);
}

#[test]
fn what_is_not_there_is_said_so() {
    let user = User::new();
    user.write("greet.yaml", GREET);
    for command in ["versions", "pull"] {
        let said = user.nebula(&["workflows", command, "greet"]).exits(3);
        assert_eq!(said.error_code(), "UNKNOWN_WORKFLOW");
    }
    assert!(!user.database().exists());
    user.nebula(&["workflows", "push", "greet.yaml"]).exits(0);
    for (arguments, code) in [
        (&["workflows", "pull", "greet@7"][..], "UNKNOWN_VERSION"),
        (&["run", "greet@7"], "UNKNOWN_VERSION"),
        (&["workflows", "publish", "greet@7"], "UNKNOWN_VERSION"),
        (&["workflows", "publish", "greet"], "USAGE"),
        (&["workflows", "versions", "greet@1"], "USAGE"),
        (&["workflows", "pull", "greet@published"], "NOT_PUBLISHED"),
        (&["workflows", "pull", "greet@x"], "USAGE"),
    ] {
        let said = user.nebula(arguments).exits(2);
        assert_eq!(said.error_code(), code, "{arguments:?}");
    }
    let said = user
        .nebula(&["run", "absent"])
        .exits(3)
        .says("neither a file nor a saved workflow `absent`");
    assert_eq!(said.error_code(), "UNKNOWN_WORKFLOW");
    user.write("bad.yaml", "nodes: 7\n");
    for arguments in [
        &["workflows", "push", "bad.yaml"][..],
        &["workflows", "diff", "bad.yaml", "greet"],
    ] {
        assert_eq!(
            user.nebula(arguments).exits(2).error_code(),
            "DEFINITION_INVALID"
        );
    }
}

#[test]
fn an_archived_workflow_is_not_started_and_its_executions_go_on() {
    let user = pushed(&["Hello"]);
    let waits = "id: slow
nodes: [{ id: w, action: flow.wait, parameters: { signal: go } }]
";
    user.write("slow.yaml", waits);
    let begun = user.nebula(&["run", "slow.yaml"]).exits(4).json();
    let id = begun["execution"].as_str().unwrap().to_owned();
    let archive = |id: &str| user.nebula(&["workflows", "archive", id]);
    let said = archive("slow").exits(0).json();
    assert_eq!(said, json!({ "workflow": "slow", "archived": true }));
    archive("slow").exits(0);

    for target in ["slow.yaml", "slow", "slow@1"] {
        let said = user.nebula(&["run", target]).exits(2);
        assert_eq!(
            said.json()["error"]["code"],
            "WORKFLOW_ARCHIVED",
            "{target}"
        );
    }
    let ids = |arguments: &[&str]| {
        let listed = user.nebula(arguments).exits(0).json();
        let listed = listed["workflows"].as_array().unwrap().clone();
        listed
            .iter()
            .map(|it| (it["workflow"].clone(), it["archived"].clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        ids(&["workflows", "list"]),
        [(json!("greet"), json!(false))]
    );
    assert_eq!(
        ids(&["workflows", "list", "--archived"]),
        [(json!("greet"), json!(false)), (json!("slow"), json!(true))]
    );

    user.nebula(&["executions", "signal", &id, "go"]).exits(0);
    let ended = user.nebula(&["resume", &id]).exits(0).json();
    assert_eq!(ended["status"], "completed");

    user.nebula(&["workflows", "unarchive", "slow"]).exits(0);
    user.nebula(&["run", "slow"]).exits(4);
    let said = archive("slwo").exits(3);
    assert_eq!(said.error_code(), "UNKNOWN_WORKFLOW");
    let said = archive("slow@1").exits(2);
    assert_eq!(said.error_code(), "USAGE");
}

#[test]
fn an_execution_that_waits_moves_to_another_version_or_says_why_not() {
    let user = User::new();
    let version = |nodes: &str| {
        user.write("flow.yaml", &format!("nodes:\n{nodes}"));
    };
    let first = "  - { id: a, action: data.set, parameters: { n: 1 } }
  - { id: w, action: flow.wait, parameters: { signal: go } }
  - { id: z, action: data.set, parameters: { n: 2 } }
";
    version(first);
    let begun = user.nebula(&["run", "flow.yaml"]).exits(4).json();
    let id = begun["execution"].as_str().unwrap().to_owned();
    let push = || user.nebula(&["workflows", "push", "flow.yaml"]).exits(0);
    version(&first.replace("id: a", "id: b"));
    push();
    version(&first.replace("n: 2", "n: '{{ $nodes.a.result.n + 2 }}'"));
    push();

    let migrate = |to: &str, more: &[&str]| {
        let words = [&["executions", "migrate", &id, "--to", to], more].concat();
        user.nebula(&words)
    };
    let said = migrate("2", &["--check"]).exits(2);
    assert_eq!(said.error_code(), "MIGRATION_REFUSED");
    said.says("`a` began, and version 2 has no such node in that place");
    assert_eq!(migrate("9", &[]).exits(2).error_code(), "UNKNOWN_VERSION");
    assert_eq!(migrate("1", &[]).exits(2).error_code(), "MIGRATION_REFUSED");

    let checked = migrate("3", &["--check"]).exits(0).json();
    assert_eq!(
        (&checked["migrated"], &checked["from"]),
        (&json!(false), &json!(1))
    );
    let listed = || user.nebula(&["executions", "list"]).json()["executions"][0].clone();
    assert_eq!(listed()["version"], 1, "a check changes nothing");
    let moved = migrate("3", &[]).exits(0).json();
    assert_eq!(
        (&moved["migrated"], &moved["to"]),
        (&json!(true), &json!(3))
    );
    assert_eq!(listed()["version"], 3);

    let ended = user
        .nebula(&["executions", "signal", &id, "go"])
        .exits(0)
        .json();
    assert_eq!(ended["output"], json!({ "n": 3 }));
    let replay = user.nebula(&["executions", "replay", &id]).exits(0);
    assert!(replay.out.contains("migrated"), "{}", replay.out);
    assert_eq!(migrate("1", &[]).exits(2).error_code(), "EXECUTION_ENDED");
    let again = user
        .nebula(&["executions", "restart", &id, "--from", "z"])
        .exits(0)
        .json();
    assert_eq!(again["output"], json!({ "n": 3 }));
}
