//! What a workflow may touch is granted by a person, before anything runs.

use std::fs;

use serde_json::json;

use crate::support::User;

const READS: &str = "nodes: [{ id: read, action: file.read, parameters: { path: in.txt } }]\n";

#[test]
fn what_nobody_granted_is_refused_with_the_command_that_grants_it() {
    let user = User::new();
    user.write("w.yaml", READS);
    user.write("in.txt", "hello");
    let said = user.nebula(&["run", "w.yaml"]).exits(2);
    assert_eq!(said.error_code(), "GRANTS_MISSING");
    let flag = format!("--grant fs:read:{}", user.work().join("in.txt").display());
    let said = said.says(&format!("if you agree, run: nebula run w.yaml {flag}"));
    assert_eq!(said.json()["diagnostics"][0]["hint"], json!(flag));
    assert!(!user.home().exists());
    let said = user
        .nebula(&["run", "w.yaml", "--grant", "fs:read:in.txt"])
        .exits(0);
    assert_eq!(said.json()["output"]["text"], "hello");
    user.nebula(&["run", "w.yaml", "--grant", "fs:read:."])
        .exits(0);
    user.nebula(&["run", "w.yaml", "--grant-requested"])
        .exits(0);
    // One more or another is not the one.
    user.nebula(&["run", "w.yaml", "--grant", "fs:write:."])
        .exits(2);
    assert_eq!(
        user.nebula(&["run", "w.yaml", "--grant", "fs:all"])
            .exits(2)
            .error_code(),
        "GRANT"
    );
}

#[test]
fn paths_in_grants_begin_here_and_paths_in_parameters_at_the_workflow() {
    let user = User::new();
    fs::create_dir(user.work().join("flows")).unwrap();
    user.write("flows/w.yaml", READS);
    user.write("flows/in.txt", "there");
    let said = user
        .nebula(&["run", "flows/w.yaml", "--grant", "fs:read:flows"])
        .exits(0);
    assert_eq!(said.json()["output"]["text"], "there");
    user.nebula(&["run", "flows/w.yaml", "--grant", "fs:read:in.txt"])
        .exits(2);
}

#[test]
fn a_path_that_shows_only_at_run_time_is_denied_with_what_to_add() {
    let user = User::new();
    let reads = |requires: &str| {
        let node = "id: read, action: file.read, parameters: { path: \"{{ $input.path }}\" }";
        user.write("w.yaml", &format!("nodes: [{{ {node}{requires} }}]\n"));
    };
    fs::create_dir(user.work().join("open")).unwrap();
    user.write("secret.txt", "s");
    let path = "path=open/../secret.txt";
    reads("");
    let said = user
        .nebula(&["run", "w.yaml", "--grant", "fs:read:open", "--input", path])
        .exits(1)
        .says("--grant-requested");
    let error = &said.json()["error"];
    assert_eq!(error["code"], "CAPABILITY_DENIED");
    let message = error["message"].as_str().unwrap();
    let secret = user.work().join("secret.txt");
    let wanted = format!("[\"fs:read:{}\"]", secret.display());
    assert!(
        message.contains(&format!("`requires: {wanted}`")),
        "{error}"
    );
    // What it says helps.
    reads(&format!(", requires: {wanted}"));
    let run = ["run", "w.yaml", "--grant-requested", "--input", path];
    assert_eq!(user.nebula(&run).exits(0).json()["output"]["text"], "s");
}

#[cfg(unix)]
#[test]
fn a_link_out_of_a_grant_is_denied() {
    let user = User::new();
    fs::create_dir(user.work().join("open")).unwrap();
    user.write("secret.txt", "s");
    std::os::unix::fs::symlink("../secret.txt", user.work().join("open/link.txt")).unwrap();
    user.write(
        "w.yaml",
        "nodes: [{ id: read, action: file.read, parameters: { path: open/link.txt }, requires: [\"fs:read:open\"] }]\n",
    );
    let said = user
        .nebula(&["run", "w.yaml", "--grant", "fs:read:open"])
        .exits(1);
    let error = &said.json()["error"];
    assert!(
        error["message"].as_str().unwrap().contains("fs:read:"),
        "{error}"
    );
    assert!(!said.out.contains("\"s\""));
}

#[test]
fn the_engines_own_places_are_opened_by_no_grant() {
    let user = User::new();
    let home = user.home();
    user.write(
        "w.yaml",
        &format!("nodes: [{{ id: read, action: file.read, parameters: {{ path: {}/data/nebula.db }} }}]\n", home.display()),
    );
    let said = user
        .nebula(&["run", "w.yaml", "--grant-requested"])
        .exits(2);
    assert_eq!(said.error_code(), "PATH_PROTECTED");
    user.write(
        "own.yaml",
        "nodes: [{ id: read, action: file.read, parameters: { path: \"{{ 'own.db' }}\" } }]\n",
    );
    let said = user
        .nebula(&["run", "own.yaml", "--db", "own.db", "--grant", "fs:read:."])
        .exits(1);
    assert_eq!(said.json()["error"]["code"], "PATH_PROTECTED");
}

#[test]
fn what_was_remembered_for_a_file_and_id_is_granted_again() {
    let user = User::new();
    let file = user.write("w.yaml", READS);
    user.write("in.txt", "hello");
    let config = user.home().join("config");
    fs::create_dir_all(&config).unwrap();
    let granted = format!("fs:read:{}", user.work().join("in.txt").display());
    let remembered = |file: &std::path::Path| {
        let text = json!({ "format": 1, "workflows": [
            { "file": file, "workflow": "w", "grants": [granted] },
        ] });
        fs::write(config.join("grants.json"), text.to_string()).unwrap();
    };
    remembered(&file);
    user.nebula(&["run", "w.yaml"]).exits(0);
    // Never from beside the workflow, never for another file.
    remembered(std::path::Path::new("/elsewhere/w.yaml"));
    user.nebula(&["run", "w.yaml"]).exits(2);
    fs::write(config.join("grants.json"), "{").unwrap();
    assert_eq!(
        user.nebula(&["run", "w.yaml"]).exits(2).error_code(),
        "GRANTS_FILE"
    );
}
