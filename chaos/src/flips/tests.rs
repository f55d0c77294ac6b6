//! What a program says over a damaged file is believed only where it is true.

use std::os::unix::{fs::PermissionsExt as _, process::ExitStatusExt as _};
use std::process::ExitStatus;

use tempfile::TempDir;

use super::*;

const IDS: [&str; 2] = ["exe_1", "exe_2"];

/// What a program says that finds no damage: the shown are as they were, and there is one more.
const SOUND: &str = r#"
case "$2" in
    show) echo "{\"shown\": \"$3\"}" ;;
    list) echo '{"executions": [{}, {}, {}]}' ;;
esac"#;

/// What a program says that finds it.
const TYPED: &str = r#"
echo '{"error": {"code": "STORE_CORRUPT", "message": "nebula.db is damaged", "hint": "restore it"}}'
exit 3"#;

/// What is found over a damaged file when the program acts like this.
fn found(script: &str) -> Vec<String> {
    let folder = TempDir::new().unwrap();
    let program = folder.path().join("nebula");
    // Written under another name by a shell: no descriptor that could write to it may be left open in
    // a child of another test while it is started.
    let text = format!("#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n");
    fs::write(folder.path().join("text"), text).unwrap();
    let copy = std::process::Command::new("cp")
        .arg(folder.path().join("text"))
        .arg(&program)
        .status();
    assert!(copy.unwrap().success());
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let user = User::new(&program, &folder.path().join("sound")).unwrap();
    let ids = IDS.map(str::to_owned);
    let shown = IDS.map(|id| Output {
        status: ExitStatus::from_raw(0),
        stdout: format!("{{\"shown\": \"{id}\"}}\n").into_bytes(),
        stderr: Vec::new(),
    });
    let (copy, mut told) = (folder.path().join("copy"), Told::default());
    let damaged = (b"file".to_vec(), b"log".to_vec());
    examine(&user, &copy, &damaged, (&ids, &shown, "bit"), &mut told).unwrap();
    told.violations
}

#[test]
fn nothing_is_found_where_all_is_as_it_was_or_an_error_says_what_is_wrong() {
    assert_eq!(found(SOUND), [""; 0]);
    assert_eq!(found(TYPED), [""; 0]);
    let listed = SOUND.replace("list)", &format!("list) {TYPED} ;;\n    never)"));
    assert_eq!(found(&listed), [""; 0]);
}

#[test]
fn what_is_shown_otherwise_in_silence_is_found() {
    let otherwise = SOUND.replace("shown", "seen");
    let said = |id| format!("bit: `{id}` is shown otherwise, and nothing says so");
    assert_eq!(found(&otherwise), IDS.map(said));
}

#[test]
fn an_execution_that_is_lost_in_silence_is_found() {
    let fewer = SOUND.replace("[{}, {}, {}]", "[{}, {}]");
    let said = "bit: 2 of 3 executions are there, and nothing says so";
    assert_eq!(found(&fewer), [said]);
}

#[test]
fn an_error_without_a_type_is_found() {
    for script in ["echo oh; exit 1", "kill -SEGV $$"] {
        let found = found(script);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("and no typed error"), "{found:?}");
    }
}

#[test]
fn a_damaged_file_that_has_gone_is_found() {
    let gone = "bit: the damaged file has gone";
    let data = "cd \"$NEBULA_HOME/data\"";
    assert_eq!(found(&format!("{data}; rm nebula.db; {TYPED}")), [gone]);
    // A log by itself is nothing that anybody could look into.
    let log = "mv nebula.db-wal nebula.db.corrupt-1-wal; rm nebula.db";
    assert_eq!(found(&format!("{data}; {log}; {TYPED}")), [gone]);
    let aside = "mv nebula.db nebula.db.corrupt-1";
    assert_eq!(found(&format!("{data}; {aside}; {TYPED}")), [""; 0]);
}
