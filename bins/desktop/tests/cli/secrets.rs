//! Secrets from the command line: they go in, and never come out.

use std::{fs, path::PathBuf, process::Command};

use serde_json::json;

use crate::support::{Said, User, wait_until};

const VALUE: &str = "hunter2-Correct/Horse";

fn file(user: &User) -> PathBuf {
    user.home().join("data/secrets.nebula")
}

fn key(user: &User) -> PathBuf {
    user.home().join("config/secrets.key")
}

fn settings(user: &User, text: &str) {
    let config = user.home().join("config");
    fs::create_dir_all(&config).unwrap();
    fs::write(config.join("nebula.toml"), format!("[secrets]\n{text}\n")).unwrap();
}

fn ids(user: &User) -> Vec<String> {
    let listed = user.nebula(&["secrets", "list"]).exits(0).json();
    serde_json::from_value(listed["secrets"].clone()).unwrap()
}

#[track_caller]
fn set(user: &User, id: &str) -> Said {
    user.nebula_with(&["secrets", "set", id], VALUE).exits(0)
}

#[test]
fn a_secret_is_set_listed_and_deleted_and_its_value_shows_nowhere() {
    let user = User::new();
    let first = set(&user, "shop-key").says("a key was made");
    assert_eq!(first.json(), json!({ "secret": "shop-key", "new": true }));
    user.write("value.txt", &format!("{VALUE}\n"));
    let again = user.nebula(&["secrets", "set", "shop-key", "--from", "value.txt"]);
    assert_eq!(again.exits(0).json()["new"], false);
    set(&user, "another");
    assert_eq!(ids(&user), ["another", "shop-key"]);
    let more = user.nebula(&["secrets", "list", "--limit", "1"]).exits(0);
    assert_eq!(more.json(), json!({ "secrets": ["another"], "more": true }));
    let gone = user.nebula(&["secrets", "rm", "another"]).exits(0);
    assert_eq!(gone.json(), json!({ "secret": "another", "deleted": true }));
    let unknown = user.nebula(&["secrets", "rm", "another"]).exits(2);
    assert_eq!(unknown.error_code(), "UNKNOWN_SECRET");
    assert_eq!(ids(&user), ["shop-key"]);
    for folder in ["data", "config"] {
        for entry in fs::read_dir(user.home().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let bytes = fs::read(&path).unwrap();
            let shows = bytes.windows(VALUE.len()).any(|at| at == VALUE.as_bytes());
            assert!(!shows, "{}", path.display());
        }
    }
}

#[test]
fn a_value_that_is_an_argument_is_refused_and_not_repeated() {
    let user = User::new();
    for arguments in [
        &["secrets", "set", "shop-key", VALUE][..],
        &["secrets", "set", "shop-key", VALUE, "more"],
        &["secrets", "set", "shop-key", "--from", "-", "-hunter2"],
    ] {
        let said = user.nebula_with(arguments, "x").exits(2);
        assert_eq!(said.error_code(), "USAGE");
        let shown = format!("{}{}", said.out, said.err);
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    assert!(!file(&user).exists());
}

#[test]
fn a_value_that_cannot_be_kept_is_refused_and_not_repeated() {
    let user = User::new();
    let large = VALUE.repeat(4_000);
    for value in ["", "\n", large.as_str()] {
        let said = user.nebula_with(&["secrets", "set", "a"], value).exits(2);
        assert_eq!(said.error_code(), "INPUT");
        assert!(!said.err.contains("hunter2"), "{}", said.err);
    }
    user.nebula(&["secrets", "set", "a", "--from", "nowhere"])
        .exits(3);
    user.nebula_with(&["secrets", "set", "no/id"], VALUE)
        .exits(2)
        .says("a secret id has letters");
    assert!(!file(&user).exists() && !key(&user).exists());
}

#[test]
fn a_rotation_changes_the_key_file_and_no_secret() {
    let user = User::new();
    set(&user, "shop-key");
    let before = fs::read_to_string(key(&user)).unwrap();
    let rotated = user.nebula(&["secrets", "rotate"]).exits(0).json();
    assert_eq!(rotated["secrets"], 1);
    assert_ne!(rotated["from"], rotated["to"]);
    assert_ne!(fs::read_to_string(key(&user)).unwrap(), before);
    assert_eq!(ids(&user), ["shop-key"]);
    // The old key opens nothing any more.
    fs::write(key(&user), before).unwrap();
    let said = user.nebula(&["secrets", "list"]).exits(3);
    assert_eq!(said.error_code(), "STORE_KEY");
}

#[test]
fn a_wrong_or_missing_key_stops_every_command_and_changes_nothing() {
    let user = User::new();
    set(&user, "shop-key");
    let content = fs::read(file(&user)).unwrap();
    let right = fs::read(key(&user)).unwrap();
    let stopped = |what: &str| {
        for arguments in [
            &["secrets", "set", "b"][..],
            &["secrets", "list"],
            &["secrets", "rm", "shop-key"],
            &["secrets", "rotate"],
        ] {
            let said = user.nebula_with(arguments, VALUE).exits(3).says(what);
            assert_eq!(said.error_code(), "STORE_KEY");
            said.says("what to do:").says("secrets.nebula");
        }
        assert_eq!(fs::read(file(&user)).unwrap(), content);
    };
    fs::remove_file(key(&user)).unwrap();
    stopped("secrets.key is not there");
    assert!(!key(&user).exists());
    user.write("other", &"07".repeat(32));
    fs::copy(user.work().join("other"), key(&user)).unwrap();
    Command::new("chmod")
        .arg("600")
        .arg(key(&user))
        .status()
        .unwrap();
    stopped("which is not in the key file");
    fs::write(key(&user), right).unwrap();
    assert_eq!(ids(&user), ["shop-key"]);
}

#[cfg(unix)]
#[test]
fn a_key_file_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;

    let user = User::new();
    set(&user, "shop-key");
    fs::set_permissions(key(&user), fs::Permissions::from_mode(0o644)).unwrap();
    let said = user.nebula(&["secrets", "list"]).exits(3);
    said.says("mode 644").says("chmod 600");
}

#[test]
fn a_damaged_file_is_named_and_stays() {
    let user = User::new();
    set(&user, "shop-key");
    let mut content = fs::read(file(&user)).unwrap();
    let last = content.len() - 1;
    content[last] ^= 1;
    fs::write(file(&user), &content).unwrap();
    let said = user.nebula_with(&["secrets", "set", "b"], VALUE).exits(3);
    assert_eq!(said.error_code(), "STORE_CORRUPT");
    said.says("secrets.nebula: the key is right");
    assert_eq!(fs::read(file(&user)).unwrap(), content);
}

#[test]
fn the_key_may_come_from_a_variable_or_a_command() {
    let (old, new) = ("07".repeat(32), "08".repeat(32));
    let user = User::new();
    settings(&user, "key_variable = \"NEBULA_SECRETS_KEY\"");
    let with = |key: &str, arguments: &[&str]| {
        let mut command = user.command(arguments);
        let output = command.env("NEBULA_SECRETS_KEY", key).output().unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    user.write("value.txt", VALUE);
    let unset = user.nebula(&["secrets", "list"]).exits(3);
    assert_eq!(unset.error_code(), "STORE_KEY");
    let set = ["secrets", "set", "a", "--from", "value.txt"];
    assert_eq!(with(&old, &set).0, Some(0));
    assert!(!key(&user).exists());
    // Without a newer key there is nothing to rotate to; with one before it, there is.
    let (code, said) = with(&old, &["secrets", "rotate"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("NO_NEWER_KEY"), "{said}");
    assert_eq!(
        with(&format!("{new} {old}"), &["secrets", "rotate"]).0,
        Some(0)
    );
    assert_eq!(with(&old, &["secrets", "list"]).0, Some(3));

    user.write("key.txt", &new);
    let printed = user.work().join("key.txt");
    settings(&user, &format!("key_command = [\"/bin/cat\", {printed:?}]"));
    assert_eq!(ids(&user), ["a"]);
    settings(&user, "key_command = [\"cat\"]");
    let said = user.nebula(&["secrets", "list"]).exits(3);
    said.says("no absolute path");
    settings(&user, "key_variable = \"X\"\nkey_command = [\"/bin/cat\"]");
    let said = user.nebula(&["secrets", "list"]).exits(2);
    said.says("several places at once");
    settings(&user, "path = \"relative\"");
    user.nebula(&["secrets", "list"])
        .exits(2)
        .says("relative path");
}

#[cfg(unix)]
#[test]
fn a_prompt_shows_nothing_and_asks_twice() {
    use crate::terminal::Terminal;

    let user = User::new();
    let mut terminal = Terminal::start(&user, &["secrets", "set", "shop-key"], &[]);
    terminal.shows("value of shop-key (not shown): ");
    terminal.keys(&format!("{VALUE}\n"));
    terminal.shows("the same again: ");
    terminal.keys("something else\n");
    terminal.shows("the two values differ");
    assert!(!terminal.screen().contents().contains("hunter2"));
    assert_eq!(terminal.ends(), 2);
    assert!(!file(&user).exists());

    let mut terminal = Terminal::start(&user, &["secrets", "set", "shop-key"], &[]);
    terminal.shows("value of shop-key (not shown): ");
    terminal.keys(&format!("{VALUE}\n"));
    terminal.shows("the same again: ");
    terminal.keys(&format!("{VALUE}\n"));
    terminal.shows("shop-key is kept");
    assert!(!terminal.screen().contents().contains("hunter2"));
    assert_eq!(terminal.ends(), 0);
    assert_eq!(ids(&user), ["shop-key"]);
}

#[cfg(unix)]
#[test]
fn who_interrupts_a_prompt_gets_a_terminal_back_that_shows_what_is_typed() {
    use crate::terminal::Terminal;

    let user = User::new();
    for by_key in [true, false] {
        let mut terminal = Terminal::start(&user, &["secrets", "set", "shop-key"], &[]);
        terminal.shows("value of shop-key (not shown): ");
        assert!(!terminal.echoes());
        terminal.keys("hunter");
        let code = match by_key {
            true => {
                terminal.keys("\u{3}");
                130
            }
            false => {
                terminal.signal("TERM");
                143
            }
        };
        assert_eq!(terminal.ended(), code);
        assert!(terminal.echoes(), "{code}");
        assert!(!terminal.screen().contents().contains("hunter"));
    }
    assert!(!file(&user).exists());
}

/// Processes that set and rotate at once lose nothing; some of them are killed in the middle.
#[cfg(unix)]
#[test]
fn of_processes_that_set_and_rotate_at_once_nothing_is_lost() {
    let user = User::new();
    user.write("value.txt", VALUE);
    set(&user, "first");
    let mut kept = vec!["first".to_owned()];
    for round in 0..4 {
        let mut setting = Vec::new();
        let mut rotating = Vec::new();
        for number in 0..3 {
            let id = format!("s-{round}-{number}");
            let arguments = ["secrets", "set", &id, "--from", "value.txt"];
            setting.push((id.clone(), user.command(&arguments).spawn().unwrap()));
            rotating.push(user.command(&["secrets", "rotate"]).spawn().unwrap());
        }
        // It ends by itself or by force, whichever is first; the lock of a dead process is free.
        let mut killed = rotating.pop().unwrap();
        wait_until("the victim has begun", || {
            killed.try_wait().unwrap().is_some()
                || file(&user).with_extension("nebula.lock").exists()
        });
        killed.kill().unwrap();
        killed.wait().unwrap();
        for (id, child) in setting {
            let said = child.wait_with_output().unwrap();
            assert!(said.status.success(), "{id}: {said:?}");
            kept.push(id);
        }
        for child in rotating {
            let said = child.wait_with_output().unwrap();
            assert!(said.status.success(), "{said:?}");
        }
        kept.sort();
        assert_eq!(ids(&user), kept);
    }
}
