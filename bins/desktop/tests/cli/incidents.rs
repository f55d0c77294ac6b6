//! A service that breaks, is looked at, is healed by a program, and is told of.

use std::{fs, net::TcpListener};

use serde_json::json;

use crate::support::User;

/// Lets `/bin/sh` be run: the operator's part.
fn listed(user: &User) {
    let config = user.home().join("config");
    fs::create_dir_all(&config).unwrap();
    fs::write(
        config.join("nebula.toml"),
        "[process]\nallow = [\"/bin/sh\"]\n",
    )
    .unwrap();
}

/// Looks at a port; where nobody answers, tells of it and runs what heals.
fn watch(port: u16) -> String {
    format!(
        r#"nodes:
  - {{ id: look, action: health.check, parameters: {{ tcp: "127.0.0.1:{port}" }} }}
  - id: tell
    action: incident.open
    when: "!$nodes.look.result.healthy"
    parameters: {{ key: shop/port, service: shop, title: "{{{{ $nodes.look.result.reason }}}}", severity: critical }}
  - id: heal
    action: process.run
    when: "!$nodes.look.result.healthy"
    parameters: {{ program: /bin/sh, args: [-c, "echo healed >> healed.txt"], directory: ".", effect: idempotent }}
output: {{ healthy: "{{{{ $nodes.look.result.healthy }}}}" }}
"#
    )
}

#[test]
fn a_service_that_breaks_is_told_of_and_healed() {
    let user = User::new();
    listed(&user);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    user.write("watch.yaml", &watch(port));
    let run = ["run", "watch.yaml", "--grant-requested", "--json"];

    let well = user.nebula(&run).exits(0).json();
    assert_eq!(well["output"], json!({ "healthy": true }), "{well}");
    let none = user
        .nebula(&["incidents", "list", "--json"])
        .exits(0)
        .json();
    assert_eq!(none, json!({ "incidents": [], "more": false }));

    drop(listener);
    let broken = user.nebula(&run).exits(0).json();
    assert_eq!(broken["output"], json!({ "healthy": false }), "{broken}");
    let healed = fs::read_to_string(user.work().join("healed.txt")).unwrap();
    assert_eq!(healed, "healed\n");
    user.nebula(&run).exits(0);
    let found = user
        .nebula(&["incidents", "list", "--json"])
        .exits(0)
        .json();
    let list = found["incidents"].as_array().unwrap();
    assert_eq!(list.len(), 1, "{found}");
    assert_eq!(
        (&list[0]["occurrences"], &list[0]["severity"]),
        (&json!(2), &json!("critical"))
    );
    assert_eq!(list[0]["workflow"], "watch");
    let id = list[0]["incident"].as_str().unwrap();
    let open = user
        .nebula(&["incidents", "list", "--status", "open"])
        .exits(0);
    assert!(open.out.contains(id), "{open:#?}");

    let taken = user
        .nebula(&["incidents", "acknowledge", id, "--json"])
        .exits(0)
        .json();
    assert_eq!(taken["status"], "acknowledged");
    let resolve = [
        "incidents",
        "resolve",
        id,
        "--resolution",
        "restarted",
        "--json",
    ];
    let resolved = user.nebula(&resolve).exits(0).json();
    assert_eq!(resolved["status"], "resolved");
    let late = user
        .nebula(&["incidents", "acknowledge", id, "--json"])
        .exits(2);
    assert_eq!(late.error_code(), "INCIDENT_RESOLVED");
    let shown = user
        .nebula(&["incidents", "show", id, "--json"])
        .exits(0)
        .json();
    let timeline = shown["timeline"].as_array().unwrap();
    let what: Vec<_> = timeline
        .iter()
        .map(|it| it["what"].as_str().unwrap())
        .collect();
    assert_eq!(what, ["opened", "again", "acknowledged", "resolved"]);
    let nobody = "00000000-0000-0000-0000-000000000001";
    let unknown = user
        .nebula(&["incidents", "show", nobody, "--json"])
        .exits(2);
    assert_eq!(unknown.error_code(), "UNKNOWN_INCIDENT");
    for command in ["acknowledge", "resolve"] {
        let unknown = ["incidents", command, nobody, "--json"];
        let unknown = user.nebula(&unknown).exits(2);
        assert_eq!(unknown.error_code(), "UNKNOWN_INCIDENT", "{command}");
    }
    let long = "x".repeat(8_193);
    let long = ["incidents", "resolve", id, "--resolution", &long, "--json"];
    let long = user.nebula(&long).exits(2);
    assert_eq!(long.error_code(), "USAGE");
    let others = ["incidents", "list", "--service", "another", "--json"];
    let others = user.nebula(&others).exits(0).json();
    assert_eq!(others["incidents"], json!([]));
    // What is over opens a new one.
    user.nebula(&run).exits(0);
    let open = ["incidents", "list", "--status", "open", "--json"];
    let open = user.nebula(&open).exits(0).json();
    assert_ne!(open["incidents"][0]["incident"], json!(id));
}

/// Guards: the operator's list and the grant, in the program itself.
#[test]
fn no_program_runs_that_the_operator_did_not_list() {
    let user = User::new();
    user.write(
        "run.yaml",
        "nodes:\n  - { id: a, action: process.run, parameters: { program: /bin/sh, args: [-c, 'echo > ran.txt'], directory: '.' } }\n",
    );
    let ungranted = user.nebula(&["run", "run.yaml", "--json"]).exits(2);
    assert_eq!(ungranted.error_code(), "GRANTS_MISSING");
    let granted = ["run", "run.yaml", "--grant-requested", "--json"];
    let unlisted = user.nebula(&granted).exits(1).json();
    assert_eq!(
        unlisted["error"]["code"], "PROCESS_NOT_ALLOWED",
        "{unlisted}"
    );
    assert!(!user.work().join("ran.txt").exists());
    listed(&user);
    user.nebula(&granted).exits(0);
    assert!(user.work().join("ran.txt").exists());
    let config = user.home().join("config/nebula.toml");
    fs::write(config, "[process]\nallow = [\"sh\"]\n").unwrap();
    let relative = user.nebula(&granted).exits(2);
    assert_eq!(relative.error_code(), "SETTINGS");
}
