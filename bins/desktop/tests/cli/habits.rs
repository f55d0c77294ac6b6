//! Usage, pipes, colours, completions, doctor.

use crate::support::{SMALL, User};

#[test]
fn wrong_usage_is_exit_2_with_a_document_on_a_pipe() {
    let user = User::new();
    assert_eq!(
        user.nebula(&["run"]).exits(2).json()["error"]["code"],
        "USAGE"
    );
    user.nebula(&["run", "a.yaml", "--bogus"]).exits(2);
    user.nebula(&["run", "a.yaml", "--db", "x", "--ephemeral"])
        .exits(2);
    user.nebula(&["--log", "a=b=c", "validate", "a.yaml"])
        .exits(2);
    let help = user.nebula(&["--help"]).exits(0);
    assert!(help.out.contains("Exit codes") && help.err.is_empty());
    user.nebula(&["--version"]).exits(0);
}

#[test]
fn a_pipe_gets_json_and_no_colours() {
    let user = User::new();
    user.write("w.yaml", SMALL);
    user.write("bad.yaml", "nodes: [{ id: a, action: nope }]\n");
    for arguments in [
        &["run", "w.yaml"][..],
        &["run", "bad.yaml"],
        &["validate", "bad.yaml", "w.yaml"],
        &["executions", "list"],
        &["doctor"],
    ] {
        let said = user.nebula(arguments);
        said.json();
        assert!(
            !said.out.contains('\u{1b}') && !said.err.contains('\u{1b}'),
            "{said:#?}"
        );
    }
}

#[test]
fn quiet_says_nothing_beside_results_and_errors() {
    let user = User::new();
    user.write("w.yaml", SMALL);
    assert_eq!(user.nebula(&["run", "w.yaml", "--quiet"]).exits(0).err, "");
    let said = user.nebula(&["-q", "run", "missing.yaml"]).exits(3);
    said.says("error[FILE_UNUSABLE]");
    user.write(
        "no.yaml",
        "nodes: [{ id: no, action: flow.fail, parameters: { message: no } }]\n",
    );
    let said = user.nebula(&["-q", "run", "no.yaml"]).exits(1);
    assert_eq!(said.err.lines().count(), 1, "{said:#?}");
    said.says("error[FLOW_FAIL] at node `no`");
}

#[test]
fn validate_takes_many_files_and_gives_the_highest_exit_code() {
    let user = User::new();
    user.write("good.yaml", SMALL);
    user.write("bad.yaml", "nodes: [{ id: a, action: nope }]\n");
    user.nebula(&["validate", "good.yaml"]).exits(0);
    let said = user
        .nebula(&["validate", "good.yaml", "bad.yaml", "missing.yaml"])
        .exits(3);
    let document = said.json();
    let valid: Vec<_> = document["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| file["valid"].as_bool())
        .collect();
    assert_eq!(valid, [Some(true), Some(false), Some(false)]);
}

#[test]
fn completions_name_the_commands() {
    let user = User::new();
    for shell in ["bash", "zsh", "fish"] {
        let said = user.nebula(&["completions", shell]).exits(0);
        assert!(said.out.contains("unpark"), "{shell}");
    }
    user.nebula(&["completions", "cmd"]).exits(2);
}

#[test]
fn the_doctor_looks_and_makes_nothing() {
    let user = User::new();
    let report = user.nebula(&["doctor"]).exits(0).json();
    assert_eq!(report["healthy"], true);
    let checks: Vec<_> = report["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| check["check"].as_str().unwrap())
        .collect();
    assert_eq!(
        checks,
        [
            "version", "settings", "folder", "disk", "database", "secrets", "http", "clock",
            "cores", "memory"
        ]
    );
    let detail = |at: usize| report["checks"][at]["detail"].as_str().unwrap().to_owned();
    assert!(detail(8).ends_with("threads run at once"), "{}", detail(8));
    if cfg!(target_os = "linux") {
        assert!(detail(9).contains("MiB are available"), "{}", detail(9));
    }
    assert!(!user.home().exists());
    user.write("text.db", &"this is no database\n".repeat(100));
    let report = user.nebula(&["doctor", "--db", "text.db"]).exits(3).json();
    assert_eq!(report["healthy"], false);
}
