//! Whatever is wrong is refused with its place, its name and what to do; nothing is written.

use std::fs::{self, File};

use serde_json::Value;

use crate::support::{SMALL, Said, User};

/// Runs `text` as a workflow: exit 2, the code, the place, a hint, and no database.
#[track_caller]
fn check(name: &str, text: &str, expected: &[(&str, u64)]) -> Said {
    let user = User::new();
    user.write(name, text);
    let said = user.nebula(&["run", name]).exits(2);
    assert_eq!(said.error_code(), "DEFINITION_INVALID", "{said:#?}");
    let document = said.json();
    let found: Vec<(&str, u64)> = document["diagnostics"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|diagnostic| diagnostic["severity"] == "error")
        .map(|diagnostic| {
            let code = diagnostic["code"].as_str().unwrap();
            (code, diagnostic["line"].as_u64().unwrap())
        })
        .collect();
    assert_eq!(found, expected, "{}", said.err);
    for (code, line) in expected {
        assert!(said.err.contains(&format!("error[{code}]")), "{}", said.err);
        assert!(
            said.err.contains(&format!("{name}:{line}:")),
            "{}",
            said.err
        );
    }
    assert!(!user.home().exists(), "nothing may be written");
    let validated = user.nebula(&["validate", name]).exits(2).json();
    assert_eq!(
        validated["files"][0]["diagnostics"],
        document["diagnostics"]
    );
    user.nebula(&["plan", name]).exits(2);
    assert!(!user.home().exists(), "nothing may be written");
    said
}

#[test]
fn text_that_is_no_yaml_or_json() {
    check("w.yaml", "nodes:\n  - { id: a\n", &[("WORKFLOW_SYNTAX", 2)]);
    check("w.json", "{ \"nodes\": [ }", &[("WORKFLOW_SYNTAX", 1)]);
}

#[test]
fn an_unknown_node_action_and_version_are_reported_at_once() {
    let said = check(
        "w.yaml",
        "nodes:\n  - { id: a, action: data.sett }\n  - { id: b, action: data.set@9 }\nconnections:\n  - a -> c\n",
        &[
            ("PLAN_UNKNOWN_ACTION", 2),
            ("PLAN_UNKNOWN_VERSION", 3),
            ("WORKFLOW_UNKNOWN_NODE", 5),
        ],
    );
    assert!(
        said.err.contains("did you mean `data.set`?"),
        "{}",
        said.err
    );
}

#[test]
fn an_expression_error_is_drawn_in_the_expression() {
    check(
        "w.yaml",
        "nodes:\n  - { id: a, action: data.set, parameters: { x: \"{{ $json. }}\" } }\n",
        &[("SYNTAX_END", 2)],
    );
}

#[test]
fn a_cycle_and_unequal_rates() {
    check(
        "w.yaml",
        "nodes:\n  - { id: a, action: data.set }\n  - { id: b, action: data.set }\nconnections: [a -> b, b -> a]\n",
        &[("PLAN_CYCLE", 4)],
    );
    check(
        "w.yaml",
        "nodes:\n  - { id: s, action: data.set }\n  - { id: a, action: data.set }\n  - { id: b, action: data.set }\n  \
         - { id: m, action: data.set, join: each }\n  - { id: j, action: data.set }\nconnections: [s -> a, s -> b, a -> m, b -> m, m -> j, s -> j]\n",
        &[("PLAN_UNEQUAL_RATES", 6)],
    );
}

#[test]
fn a_literal_that_does_not_fit_the_schema() {
    check(
        "w.yaml",
        "nodes:\n  - id: a\n    action: file.write\n    parameters: { path: x, content: y, mode: sometimes }\n",
        &[("PLAN_PARAMETER", 4)],
    );
}

#[test]
fn unquoted_braces_get_the_corrected_line() {
    let said = check(
        "w.yaml",
        "nodes:\n  - id: a\n    action: data.set\n    parameters:\n      x: {{ $input.x }}\n",
        &[("QUOTE_EXPRESSION", 5)],
    );
    assert!(said.err.contains("x: \"{{ $input.x }}\""), "{}", said.err);
}

#[test]
fn a_definition_of_200_mb_is_refused_by_its_length() {
    let user = User::new();
    let file = File::create(user.work().join("huge.yaml")).unwrap();
    file.set_len(200 << 20).unwrap();
    let said = user.nebula(&["run", "huge.yaml"]).exits(2);
    assert_eq!(said.json()["diagnostics"][0]["code"], "WORKFLOW_TOO_LARGE");
    assert!(said.err.contains("4 MiB"), "{}", said.err);
    assert!(!user.home().exists());
}

#[test]
fn deep_nesting_is_refused_by_a_named_limit() {
    for (name, open, close) in [("deep.json", "[", "]"), ("deep.yaml", "[", "]")] {
        let user = User::new();
        let text = format!("{}{}", open.repeat(100_000), close.repeat(100_000));
        user.write(name, &text);
        let said = user.nebula(&["run", name]).exits(2);
        assert_eq!(
            said.json()["diagnostics"][0]["code"],
            "WORKFLOW_TOO_DEEP",
            "{name}"
        );
        assert!(!user.home().exists());
    }
}

#[test]
fn a_file_that_is_missing_or_a_folder_or_no_text() {
    let user = User::new();
    for name in ["missing.yaml", "sub/missing"] {
        let said = user.nebula(&["run", name]).exits(3);
        assert_eq!(said.error_code(), "FILE_UNUSABLE");
    }
    user.nebula(&["run", "."]).exits(3).says("it is a folder");
    fs::write(user.work().join("latin.yaml"), b"nodes: # \xff\n").unwrap();
    assert_eq!(
        user.nebula(&["run", "latin.yaml"]).exits(2).error_code(),
        "DEFINITION_NOT_UTF8"
    );
    assert!(!user.home().exists());
}

#[test]
fn a_damaged_database_is_set_aside_and_named() {
    let user = User::new();
    user.write("w.yaml", SMALL);
    user.nebula(&["run", "w.yaml"]).exits(0);
    let mut bytes = fs::read(user.database()).unwrap();
    for byte in bytes.iter_mut().skip(100).step_by(3) {
        *byte ^= 0x5a;
    }
    fs::write(user.database(), &bytes).unwrap();
    let said = user.nebula(&["run", "w.yaml"]).exits(3);
    assert_eq!(said.error_code(), "STORE_CORRUPT", "{said:#?}");
    let kept = fs::read_dir(user.home().join("data"))
        .unwrap()
        .any(|entry| {
            let name = entry.unwrap().file_name().into_string().unwrap();
            name.contains(".corrupt-") && said.err.contains(&name)
        });
    assert!(kept, "{}", said.err);
    // The damage was said once; the next run begins a new database.
    user.nebula(&["run", "w.yaml"]).exits(0);
}

#[test]
fn a_database_that_cannot_be_used() {
    let user = User::new();
    user.write("w.yaml", SMALL);
    user.write("text.txt", &"this is no database\n".repeat(100));
    let said = user.nebula(&["run", "w.yaml", "--db", "text.txt"]).exits(3);
    assert_eq!(said.error_code(), "STORE_FORMAT");
    assert!(
        fs::read_to_string(user.work().join("text.txt"))
            .unwrap()
            .starts_with("this is")
    );
    // Below a regular file: it cannot be written, not even by root.
    let said = user
        .nebula(&["run", "w.yaml", "--db", "w.yaml/a.db"])
        .exits(3);
    assert!(said.error_code().starts_with("STORE_"), "{said:#?}");
    let said = user
        .nebula(&["executions", "list", "--db", "none.db"])
        .exits(3);
    assert_eq!(said.error_code(), "FILE_UNUSABLE");
    assert!(!user.work().join("none.db").exists());
}

#[cfg(unix)]
#[test]
fn a_folder_that_cannot_be_written() {
    use std::os::unix::fs::PermissionsExt as _;

    let user = User::new();
    user.write("w.yaml", SMALL);
    let folder = user.work().join("closed");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o555)).unwrap();
    if File::create(folder.join("probe")).is_ok() {
        say("a_folder_that_cannot_be_written: SKIPPED, this user can write everywhere");
        return;
    }
    let said = user
        .nebula(&["run", "w.yaml", "--db", "closed/a.db"])
        .exits(3);
    assert_eq!(said.error_code(), "STORE_READ_ONLY");
}

/// Past the test harness, which keeps what a passing test prints.
fn say(text: &str) {
    use std::io::Write as _;

    writeln!(std::io::stderr().lock(), "{text}").unwrap();
}

#[test]
fn a_database_that_is_full_says_so() {
    let user = User::new();
    user.write(
        "w.yaml",
        "nodes: [{ id: a, action: data.set, parameters: { t: \"{{ 'x'.repeat(250000) }}\" } }]\n",
    );
    // Room for another start, and not for what it gives.
    user.write("small.yaml", SMALL);
    user.nebula(&["run", "small.yaml"]).exits(0);
    let empty = fs::metadata(user.database()).unwrap().len();
    let output = user
        .command(&["run", "w.yaml"])
        .env(
            "NEBULA_DATABASE__MAX_SIZE",
            format!("{} KiB", empty / 1024 + 64),
        )
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["error"]["code"], "STORE_FULL");
    // With room it goes on.
    let said = user.nebula(&["resume"]).exits(0);
    assert_eq!(said.json()["status"], "completed");
}
