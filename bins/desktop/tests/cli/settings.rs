//! Defaults < file < environment < flags; unknown keys are errors.

use std::fs;

use crate::support::{SMALL, User};

#[test]
fn later_layers_win() {
    let user = User::new();
    user.write("w.yaml", SMALL);
    let config = user.home().join("config");
    fs::create_dir_all(&config).unwrap();
    let (from_file, from_variable) = (user.work().join("file.db"), user.work().join("variable.db"));
    fs::write(
        config.join("nebula.toml"),
        format!("[database]\npath = {from_file:?}\n[vars]\nregion = \"north\"\n"),
    )
    .unwrap();
    user.nebula(&["run", "w.yaml"]).exits(0);
    assert!(from_file.exists() && !user.database().exists());
    let mut command = user.command(&["run", "w.yaml"]);
    let output = command
        .env("NEBULA_DATABASE__PATH", &from_variable)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(from_variable.exists());
    user.nebula(&["run", "w.yaml", "--db", "flag.db"]).exits(0);
    assert!(user.work().join("flag.db").exists());

    user.write(
        "vars.yaml",
        "nodes: [{ id: a, action: data.set, parameters: { r: \"{{ $vars.region }}\" } }]\n",
    );
    let said = user.nebula(&["run", "vars.yaml", "--ephemeral"]).exits(0);
    assert_eq!(said.json()["output"]["r"], "north");
}

#[test]
fn certificates_to_trust_are_read_from_files_that_are_named_whole() {
    let user = User::new();
    user.write("w.yaml", SMALL);
    let config = user.home().join("config");
    fs::create_dir_all(&config).unwrap();
    let said = |files: &str, code: i32| {
        let text = format!("[connections]\nca_files = [{files}]\n");
        fs::write(config.join("nebula.toml"), text).unwrap();
        user.nebula(&["run", "w.yaml"]).exits(code)
    };
    said("\"own.pem\"", 2).says("relative path");
    let missing = user.work().join("missing.pem");
    said(&format!("{missing:?}"), 3).says("missing.pem");
    said("", 0);
}

#[test]
fn an_unknown_key_is_an_error_with_its_place() {
    let user = User::new();
    user.write("w.yaml", SMALL);
    let config = user.home().join("config");
    fs::create_dir_all(&config).unwrap();
    fs::write(config.join("nebula.toml"), "[worker]\nlease_tll = \"5s\"\n").unwrap();
    let said = user.nebula(&["run", "w.yaml"]).exits(2);
    assert_eq!(said.error_code(), "SETTINGS");
    said.says("nebula.toml:2:1")
        .says("did you mean `worker.lease_ttl`?");
    fs::remove_file(config.join("nebula.toml")).unwrap();
    let output = user
        .command(&["run", "w.yaml"])
        .env("NEBULA_WROKER__GRACE", "1s")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let said = user
        .command(&["run", "w.yaml"])
        .env("NEBULA_DATABASE__PATH", "relative.db")
        .output()
        .unwrap();
    assert_eq!(said.status.code(), Some(2));
    assert!(!user.home().join("data").exists());
}
