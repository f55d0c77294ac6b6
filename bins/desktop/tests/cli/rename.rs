//! `nebula rename`: the file is replaced whole, or nothing happens and the reason is said.

use std::fs;

use serde_json::json;

use crate::support::User;

const OLD: &str = "# fetch\nnodes:\n- { id: fetch, action: data.set, parameters: { n: [1, 5] } }\n- { id: big, action: data.filter, parameters: { items: '{{ $nodes.fetch.result.n }}', condition: '$item > $nodes.fetch.result.n[0]' } }\nconnections: [fetch -> big]\n";

fn renamed() -> String {
    let new = OLD.replace("fetch", "load");
    new.replacen("# load", "# fetch", 1)
}

#[test]
fn the_file_is_renamed_and_runs_as_before() {
    let user = User::new();
    let path = user.write("w.yaml", OLD);
    let before = user.nebula(&["run", "w.yaml"]).exits(0).json();
    let said = user.nebula(&["rename", "w.yaml", "fetch", "load"]).exits(0);
    assert_eq!(
        said.json(),
        json!({
            "file": "w.yaml", "from": "fetch", "to": "load", "written": true,
            "places": [
                { "line": 3, "column": 9 },
                { "line": 4, "column": 67 },
                { "line": 4, "column": 114 },
                { "line": 5, "column": 15 },
            ],
        })
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), renamed());
    let after = user.nebula(&["run", "w.yaml"]).exits(0).json();
    assert_eq!(after["output"], before["output"]);
    assert_eq!(
        after["nodes"]["load"][0]["output"],
        before["nodes"]["fetch"][0]["output"]
    );
    let left: Vec<_> = fs::read_dir(user.work())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["w.yaml"], "nothing may lie beside the file");
}

#[test]
fn check_and_stdout_write_nothing() {
    let user = User::new();
    let path = user.write("w.yaml", OLD);
    let said = user
        .nebula(&["rename", "w.yaml", "fetch", "load", "--check"])
        .exits(0);
    let document = said.json();
    assert_eq!(document["written"], false);
    assert_eq!(document["places"].as_array().unwrap().len(), 4);
    let said = user
        .nebula(&["rename", "w.yaml", "fetch", "load", "--stdout"])
        .exits(0);
    assert_eq!((said.out, said.err.as_str()), (renamed(), ""));
    assert_eq!(fs::read_to_string(&path).unwrap(), OLD);
    user.nebula(&["rename", "w.yaml", "fetch", "load", "--stdout", "--check"])
        .exits(2);
}

#[test]
fn a_byte_order_mark_and_line_ends_stay() {
    let user = User::new();
    let text = |text: &str| format!("\u{feff}{}", text.replace('\n', "\r\n"));
    let path = user.write("w.yaml", &text(OLD));
    let said = user
        .nebula(&["rename", "w.yaml", "fetch", "load", "--stdout"])
        .exits(0);
    assert_eq!(said.out, text(&renamed()));
    user.nebula(&["rename", "w.yaml", "fetch", "load"]).exits(0);
    assert_eq!(fs::read_to_string(&path).unwrap(), text(&renamed()));
}

#[cfg(unix)]
#[test]
fn permissions_and_links_stay() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    let user = User::new();
    let path = user.write("w.yaml", OLD);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    symlink("w.yaml", user.work().join("link.yaml")).unwrap();
    user.nebula(&["rename", "link.yaml", "fetch", "load"])
        .exits(0);
    assert_eq!(fs::read_to_string(&path).unwrap(), renamed());
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o7777,
        0o640
    );
    assert!(user.work().join("link.yaml").is_symlink());
}

/// Refuses a rename: the code, what it says, and a file as it was.
#[track_caller]
fn check(text: &str, names: [&str; 2], code: &str, exit: i32, says: &str) {
    let user = User::new();
    let path = user.write("w.yaml", text);
    for more in [&[][..], &["--check"], &["--stdout"]] {
        let arguments = [&["rename", "w.yaml", names[0], names[1]], more].concat();
        let said = user.nebula(&arguments).exits(exit).says(says);
        assert_eq!(said.error_code(), code, "{said:#?}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
}

#[test]
fn what_cannot_be_renamed_is_said() {
    check(
        OLD,
        ["fecth", "x"],
        "RENAME_UNKNOWN_NODE",
        2,
        "did you mean `fetch`?",
    );
    check(
        OLD,
        ["q", "x"],
        "RENAME_UNKNOWN_NODE",
        2,
        "there is no node `q` in w.yaml",
    );
    check(
        OLD,
        ["fetch", "big"],
        "RENAME_TAKEN",
        2,
        "is taken: it is at w.yaml:4:9",
    );
    check(
        OLD,
        ["fetch", "fetch"],
        "RENAME_TAKEN",
        2,
        "the node is named `fetch` already",
    );
    check(
        OLD,
        ["fetch", "a-b"],
        "RENAME_ID",
        2,
        "has the character '-'",
    );
    let layout = format!("{OLD}layout: {{ gone: [0, 0] }}\n");
    check(
        &layout,
        ["fetch", "gone"],
        "RENAME_TAKEN",
        2,
        "it is at w.yaml:6:11",
    );
}

#[test]
fn a_file_with_errors_is_drawn_as_validate_draws_it() {
    let user = User::new();
    let text = OLD
        .replace("$item >", "$item >>>>")
        .replace("-> big]", "-> bog]");
    user.write("w.yaml", &text);
    let said = user.nebula(&["rename", "w.yaml", "fetch", "load"]).exits(2);
    assert_eq!(said.error_code(), "DEFINITION_INVALID");
    let validated = user.nebula(&["validate", "w.yaml"]).exits(2);
    assert_eq!(
        said.json()["diagnostics"],
        validated.json()["files"][0]["diagnostics"]
    );
    let drawing = |err: &str| {
        err.split("error[DEFINITION_INVALID]")
            .next()
            .unwrap()
            .trim_end()
            .to_owned()
    };
    assert!(
        validated.err.starts_with(&drawing(&said.err)),
        "{}\n{}",
        said.err,
        validated.err
    );
    // An anchor could name the node from afar.
    check(
        "nodes: [{ id: &a fetch, action: data.set }, { id: b, action: data.set, name: *a }]\n",
        ["fetch", "load"],
        "DEFINITION_INVALID",
        2,
        "definitions have no anchors and aliases",
    );
}

#[test]
fn a_file_that_is_missing_or_a_folder_is_said() {
    let user = User::new();
    let said = user.nebula(&["rename", "w.yaml", "a", "b"]).exits(3);
    assert_eq!(said.error_code(), "FILE_UNUSABLE");
    user.nebula(&["rename", ".", "a", "b"])
        .exits(3)
        .says("it is a folder");
    user.nebula(&["rename", "w.yaml", "a"]).exits(2);
}
