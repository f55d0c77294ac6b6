//! Credentials from the command line: they go in, and never come out.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use crate::{
    http::{answer, serving},
    support::{Said, User},
};

#[test]
fn the_types_are_listed_with_their_fields_and_schemas() {
    let user = User::new();
    let types = user.nebula(&["credentials", "types"]).exits(0).json();
    let types = types["types"].as_array().unwrap().clone();
    let names: Vec<_> = types
        .iter()
        .map(|it| it["type"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "api_key",
            "basic",
            "bearer",
            "header",
            "oauth2_client_credentials",
            "oauth2_refresh",
            "oauth2_code",
            "database_url",
            "ssh_key",
            "webhook_signature",
            "custom"
        ]
    );
    let basic = &types[1];
    assert_eq!(basic["fields"][0]["name"], "username");
    assert_eq!(basic["fields"][0]["secret"], false);
    assert_eq!(basic["fields"][1]["secret"], true);
    assert_eq!(basic["schema"]["properties"]["password"]["writeOnly"], true);
    assert_eq!(basic["schema"]["additionalProperties"], false);
    assert!(!user.home().exists(), "nothing is written");
}

const VALUE: &str = "hunter2-Correct/Horse";

fn secrets(user: &User) -> PathBuf {
    user.home().join("data/secrets.nebula")
}

#[track_caller]
fn add(user: &User, id: &str, hosts: &str) -> Said {
    let arguments = [
        "credentials",
        "add",
        id,
        "--type",
        "bearer",
        "--hosts",
        hosts,
    ];
    user.nebula_with(&arguments, VALUE).exits(0)
}

fn list(user: &User) -> Vec<Value> {
    let listed = user.nebula(&["credentials", "list"]).exits(0).json();
    listed["credentials"].as_array().unwrap().clone()
}

/// The bytes of every file that the program has written.
fn written(folder: &Path, bytes: &mut Vec<u8>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => written(&path, bytes),
            false => bytes.extend(fs::read(&path).unwrap()),
        }
    }
}

#[test]
fn a_credential_is_added_listed_and_removed_and_its_value_shows_nowhere() {
    let user = User::new();
    let first = add(&user, "shop", "api.example,*.shop.example:443").says("a key was made");
    assert_eq!(
        first.json(),
        json!({
            "credential": "shop",
            "type": "bearer",
            "version": 1,
            "hosts": ["*.shop.example:443", "api.example"],
        })
    );
    user.write("password.txt", &format!("{VALUE}\n"));
    let basic = [
        "credentials",
        "add",
        "crm",
        "--type",
        "basic",
        "--field",
        "username=ada",
    ];
    let basic = [&basic[..], &["--from", "password=password.txt"][..]].concat();
    user.nebula(&basic).exits(0).says("it is sent nowhere");
    let again = ["credentials", "add", "shop", "--type", "bearer"];
    let again = user.nebula_with(&again, VALUE).exits(2);
    assert_eq!(again.error_code(), "CREDENTIAL_EXISTS");
    let listed = list(&user);
    let ids: Vec<_> = listed.iter().map(|it| it["credential"].clone()).collect();
    assert_eq!(ids, ["crm", "shop"]);
    assert_eq!(listed[0]["hosts"], json!([]));
    assert_eq!(listed[1]["type"], "bearer");
    assert_eq!(listed[1]["used_at"], Value::Null);
    assert_eq!(listed[0]["key"], listed[1]["key"]);
    let gone = user.nebula(&["credentials", "rm", "crm"]).exits(0).json();
    assert_eq!(gone, json!({ "credential": "crm", "deleted": true }));
    let unknown = user.nebula(&["credentials", "rm", "crm"]).exits(2);
    assert_eq!(unknown.error_code(), "UNKNOWN_CREDENTIAL");
    assert_eq!(list(&user).len(), 1);
    let mut bytes = Vec::new();
    written(&user.home(), &mut bytes);
    assert!(!bytes.windows(VALUE.len()).any(|at| at == VALUE.as_bytes()));
}

#[test]
fn a_secret_value_that_is_an_argument_is_refused_and_not_repeated() {
    let user = User::new();
    for more in [
        &["--type", "bearer", VALUE][..],
        &["--type", "bearer", "--field", "token=hunter2-Correct/Horse"],
        &["--type", "bearer", "--field", VALUE],
        &[
            "--type",
            "custom",
            "--field",
            "anything=hunter2-Correct/Horse",
        ],
        &["--type", "basic", "--from", "-"],
        &["--type", "bearer", "--from", "token=-", "--from", "-"],
        &["--type", "custom"],
        &["--type", "password"],
        &["--type", "bearer", "--hosts", "*"],
    ] {
        let arguments = [&["credentials", "add", "shop"][..], more].concat();
        let said = user.nebula_with(&arguments, "x").exits(2);
        let shown = format!("{}{}", said.out, said.err);
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(said.json()["error"]["code"].is_string(), "{more:?}");
    }
    assert!(!secrets(&user).exists());
}

#[test]
fn a_new_version_keeps_what_is_not_given() {
    let user = User::new();
    add(&user, "shop", "127.0.0.1");
    let hosts = ["credentials", "rotate", "shop", "--hosts", "api.example"];
    let rotated = user.nebula(&hosts).exits(0).json();
    assert_eq!(
        (&rotated["version"], &rotated["hosts"]),
        (&json!(2), &json!(["api.example"]))
    );
    let value = user.nebula_with(&["credentials", "rotate", "shop"], "another");
    let rotated = value.exits(0).json();
    assert_eq!(
        (&rotated["version"], &rotated["hosts"]),
        (&json!(3), &json!(["api.example"]))
    );
    let uses = user
        .nebula(&["credentials", "uses", "shop"])
        .exits(0)
        .json();
    let by: Vec<_> = uses["uses"].as_array().unwrap().iter().collect();
    assert_eq!(by.len(), 2);
    assert_eq!(
        (&by[0]["by"], &by[0]["version"]),
        (&json!("change"), &json!(2))
    );
    let unknown = user
        .nebula_with(&["credentials", "rotate", "other"], "x")
        .exits(2);
    assert_eq!(unknown.error_code(), "UNKNOWN_CREDENTIAL");
}

#[test]
fn a_test_sends_the_credential_to_its_hosts_only() {
    let user = User::new();
    let expected = format!("Bearer {VALUE}");
    let seen = serving(
        |seen| {
            let last = seen.last().unwrap();
            let open = last.line.starts_with("GET /open");
            let right = last.header("authorization") == Some(&*expected);
            answer(if open || right { 200 } else { 401 }, "", "{}")
        },
        |address| {
            add(&user, "shop", &address.to_string());
            let test = |path: &str, code: i32| {
                let url = format!("http://{address}{path}");
                let said = user.nebula(&["credentials", "test", "shop", "--url", &url]);
                said.exits(code)
            };
            let accepted = test("/private", 0).json();
            assert_eq!(accepted["verdict"], "accepted");
            assert_eq!(
                (&accepted["without"], &accepted["with"]),
                (&json!(401), &json!(200))
            );
            assert_eq!(test("/open", 1).json()["verdict"], "unclear");
            let wrong = ["credentials", "rotate", "shop"];
            user.nebula_with(&wrong, "wrong").exits(0);
            assert_eq!(test("/private", 1).json()["verdict"], "refused");
            // Another port is another place.
            add(&user, "other", "127.0.0.1:9");
            let url = format!("http://{address}/private");
            let elsewhere = ["credentials", "test", "other", "--url", &url];
            let elsewhere = user.nebula(&elsewhere).exits(2);
            assert_eq!(elsewhere.error_code(), "CREDENTIAL_HOST");
            let nothing = user.nebula(&["credentials", "test", "shop"]).exits(2);
            assert_eq!(nothing.error_code(), "USAGE");
        },
    );
    // Three tests, each with and without it.
    assert_eq!(seen.len(), 6);
    let used = list(&user);
    assert!(used[0]["used_at"].is_null(), "it went nowhere");
    assert!(used[1]["used_at"].is_i64(), "{used:?}");
}

#[test]
fn a_test_of_a_client_asks_for_a_token() {
    let user = User::new();
    let seen = serving(
        |seen| {
            let last = seen.last().unwrap();
            let number = seen.iter().filter(|it| it.line == last.line).count();
            match last.line.as_str() {
                "POST /token HTTP/1.1" if last.body.contains("hunter2-gone") => {
                    answer(401, "", r#"{"error":"invalid_client"}"#)
                }
                "POST /token HTTP/1.1" => {
                    let token = format!(r#"{{"access_token":"{VALUE}{number}","expires_in":60}}"#);
                    answer(200, "", &token)
                }
                _ if last.header("authorization") == Some(&*format!("Bearer {VALUE}2")) => {
                    answer(200, "", "{}")
                }
                _ => answer(401, "", "{}"),
            }
        },
        |address| {
            user.write("secret.txt", "client-hunter2");
            let (hosts, token_url) = (
                address.to_string(),
                format!("token_url=http://{address}/token"),
            );
            let kind = [
                "credentials",
                "add",
                "api",
                "--type",
                "oauth2_client_credentials",
            ];
            let fields = [
                "--hosts",
                &hosts,
                "--field",
                &token_url,
                "--field",
                "client_id=nebula",
                "--field",
                "client_auth=body",
                "--from",
                "client_secret=secret.txt",
            ];
            user.nebula(&[&kind[..], &fields[..]].concat()).exits(0);
            let test = ["credentials", "test", "api"];
            let alone = user.nebula(&test).exits(0);
            let said = alone.json();
            assert_eq!(said["verdict"], "accepted");
            assert_eq!(said["token"]["origin"], format!("http://{address}"));
            assert_eq!((&said["version"], &said["with"]), (&json!(2), &Value::Null));
            // The token that is good still is not enough: a test asks anew.
            let url = format!("http://{address}/private");
            let said = user.nebula(&[&test[..], &["--url", &url]].concat());
            let said = said.exits(0).json();
            assert_eq!(
                (&said["without"], &said["with"]),
                (&json!(401), &json!(200))
            );
            user.write("secret.txt", "hunter2-gone");
            let other = [
                "credentials",
                "rotate",
                "api",
                "--from",
                "client_secret=secret.txt",
            ];
            user.nebula(&other).exits(0);
            let refused = user.nebula(&test).exits(1);
            assert_eq!(refused.json()["verdict"], "refused");
            assert!(refused.out.contains("invalid_client"), "{}", refused.out);
            // What the settings say of hosts holds for tests, too.
            let config = user.home().join("config");
            fs::create_dir_all(&config).unwrap();
            let limit =
                format!("[http.hosts.\"{address}\"]\nrate = {{ limit = 1, per = \"1h\" }}\n");
            fs::write(config.join("nebula.toml"), limit).unwrap();
            let limited = [&test[..], &["--url", &url]].concat();
            let limited = user.nebula(&limited).exits(3);
            assert_eq!(limited.error_code(), "HTTP");
        },
    );
    let asked = seen.iter().filter(|it| it.line.starts_with("POST"));
    assert_eq!(asked.count(), 3, "the last test had no turn left for it");
}

#[test]
fn what_cannot_be_tested_says_why() {
    let user = User::new();
    let url = ["credentials", "add", "db", "--type", "database_url"];
    user.nebula_with(&url, "postgres://ada:pw@db.example/shop")
        .exits(0);
    let refused = user.nebula(&["credentials", "test", "db"]).exits(2);
    assert_eq!(refused.error_code(), "CANNOT_TEST");
    refused.says("speaks with no database");
}

/// Guards: existence, type and hosts are each asked, where the credential stands, before a grant is.
#[test]
fn what_a_workflow_names_is_checked_before_anything_runs() {
    let user = User::new();
    let node = |id: &str, url: &str, credential: &str| {
        format!(
            "  - {{ id: {id}, action: http.request, parameters: {{ url: '{url}' }}, credentials: {{ auth: {credential} }} }}\n"
        )
    };
    let body = node("inner", "https://api.example/b", "shop")
        .trim_start_matches("  - ")
        .to_owned();
    let yaml = format!(
        "nodes:\n{}{}  - {{ id: each, action: flow.for_each, parameters: {{ items: [1] }}, body: {{ nodes: [{}] }} }}\n",
        node("a", "https://api.example/a", "shop"),
        node("off", "https://api.example/", "nobody").replace("id: off", "id: off, disabled: true"),
        body.trim(),
    );
    user.write("w.yaml", &yaml);
    let run = ["run", "w.yaml"];
    let missing = user.nebula(&run).exits(2);
    assert_eq!(missing.error_code(), "CREDENTIALS_UNFIT");
    let found = missing.json()["diagnostics"].as_array().unwrap().clone();
    let places: Vec<_> = found
        .iter()
        .map(|it| (it["code"].clone(), it["pointer"].clone()))
        .collect();
    let unknown = |place: &str| (json!("CREDENTIAL_UNKNOWN"), json!(place));
    assert_eq!(
        places,
        [
            unknown("/nodes/0/credentials/auth"),
            unknown("/nodes/2/body/nodes/0/credentials/auth")
        ]
    );
    let missing = missing
        .says("nebula credentials add shop --hosts api.example:443")
        .says("w.yaml:2:");
    assert!(!user.database().exists(), "{missing:?}");
    // Who only looks is told, and sees the plan.
    let planned = user.nebula(&["plan", "w.yaml"]).exits(0);
    planned.says("names the credential `shop`, which is not there");
    let code = || {
        let said = user.nebula(&run).exits(2);
        let code = said.error_code();
        match said.json()["diagnostics"][0]["code"].as_str() {
            Some(first) if code == "CREDENTIALS_UNFIT" => first.to_owned(),
            _ => code,
        }
    };
    let url = ["credentials", "add", "shop", "--type", "database_url"];
    user.nebula_with(&url, "postgres://ada:pw@db.example/shop")
        .exits(0);
    assert_eq!(code(), "CREDENTIAL_TYPE");
    user.nebula(&["credentials", "rm", "shop"]).exits(0);
    add(&user, "shop", "other.example");
    assert_eq!(code(), "CREDENTIAL_HOST");
    user.nebula_with(
        &["credentials", "rotate", "shop", "--hosts", "api.example"],
        VALUE,
    )
    .exits(0);
    // Now it is the grants that are missing.
    assert_eq!(code(), "GRANTS_MISSING");
    let uses = user
        .nebula(&["credentials", "uses", "shop"])
        .exits(0)
        .json();
    assert!(!uses.to_string().contains("attempt"), "{uses}");
    fs::remove_file(user.home().join("config/secrets.key")).unwrap();
    assert_eq!(code(), "CREDENTIAL_UNREADABLE");
    let unreadable = user.nebula(&run).exits(2).json();
    let message = unreadable["diagnostics"][0]["message"].as_str().unwrap();
    assert_eq!(message.matches("open the secrets").count(), 1, "{message}");
    // A plan needs no store.
    fs::write(user.database(), "no database").unwrap();
    let planned = user.nebula(&["plan", "w.yaml"]).exits(0);
    planned.says("the credentials were not looked at: ");
}

#[test]
fn a_new_master_key_changes_no_credential() {
    let user = User::new();
    let none = user
        .nebula(&["credentials", "rotate", "--keys"])
        .exits(0)
        .json();
    assert_eq!(none["to"], Value::Null);
    for id in ["a", "b"] {
        add(&user, id, "api.example");
    }
    let before = list(&user)[0]["key"].clone();
    let rotated = user
        .nebula(&["credentials", "rotate", "--keys"])
        .exits(0)
        .json();
    assert_eq!(
        (&rotated["from"][0], &rotated["credentials"]),
        (&before, &json!(2))
    );
    assert!(
        list(&user)
            .iter()
            .all(|it| it["key"] == rotated["to"] && it["version"] == 1)
    );
    let kept = user.nebula(&["secrets", "list"]).exits(0).json();
    let id = format!("nebula.credential-key.{}", rotated["to"].as_str().unwrap());
    assert_eq!(kept["secrets"], json!([id]));
    // The key of the secrets is another one, and can be replaced, too.
    user.nebula(&["secrets", "rotate"]).exits(0);
    add(&user, "c", "api.example");
    // By name nobody takes them away.
    for arguments in [&["secrets", "rm", &*id][..], &["secrets", "set", &*id]] {
        let refused = user.nebula_with(arguments, "x").exits(2);
        assert_eq!(refused.error_code(), "RESERVED_SECRET");
    }
    assert_eq!(list(&user).len(), 3);
}

#[test]
fn processes_that_rotate_and_add_at_once_lose_nothing() {
    let user = User::new();
    add(&user, "first", "api.example");
    let start = |arguments: &[&str]| {
        let mut command = user.command(arguments);
        command.spawn().unwrap()
    };
    user.write("token.txt", VALUE);
    let mut running = Vec::new();
    for number in 0..4 {
        let id = format!("c{number}");
        let add = [
            "credentials",
            "add",
            &id,
            "--type",
            "bearer",
            "--from",
            "token.txt",
        ];
        running.push(start(&[&add[..], &["--hosts", "api.example"][..]].concat()));
        running.push(start(&["credentials", "rotate", "--keys"]));
    }
    for child in running {
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
    }
    let listed = list(&user);
    assert_eq!(listed.len(), 5);
    // Whatever key it is under, each of them opens.
    assert!(
        listed
            .iter()
            .all(|it| it["hosts"] == json!(["api.example"])),
        "{listed:?}"
    );
    user.nebula(&["credentials", "rotate", "--keys"]).exits(0);
    let key = list(&user)[0]["key"].clone();
    assert!(list(&user).iter().all(|it| it["key"] == key));
}

#[test]
fn other_secrets_than_those_of_the_database_are_told() {
    let user = User::new();
    add(&user, "shop", "api.example");
    let check = |name: &str, code: i32| {
        let report = user.nebula(&["doctor"]).exits(code).json();
        let checks = report["checks"].as_array().unwrap().clone();
        let found = checks.into_iter().find(|it| it["check"] == name);
        found.unwrap_or_default()
    };
    let key = list(&user)[0]["key"].as_str().unwrap().to_owned();
    assert!(check("keys", 0)["detail"].as_str().unwrap().contains(&key));
    assert!(
        check("secrets", 0)["detail"]
            .as_str()
            .unwrap()
            .contains("1 secret")
    );
    // Those of another user, with their own key.
    let (other, kept) = (User::new(), user.home().join("kept"));
    add(&other, "theirs", "api.example");
    fs::create_dir(&kept).unwrap();
    for (name, folder) in [("secrets.nebula", "data"), ("secrets.key", "config")] {
        let place = user.home().join(folder).join(name);
        fs::rename(&place, kept.join(name)).unwrap();
        fs::copy(other.home().join(folder).join(name), &place).unwrap();
    }
    let failed = check("keys", 3);
    assert_eq!(failed["verdict"], "failed");
    assert!(
        failed["detail"].as_str().unwrap().contains(&key),
        "{failed}"
    );
    assert!(
        failed["advice"].as_str().unwrap().contains("restore"),
        "{failed}"
    );
    let refused = user.nebula_with(&["credentials", "add", "new", "--type", "bearer"], VALUE);
    assert_eq!(refused.exits(3).error_code(), "STORE_KEY");
    let listed = user
        .nebula(&["credentials", "list"])
        .exits(0)
        .says("some cannot be opened");
    assert_eq!(listed.json()["credentials"][0]["hosts"], Value::Null);
    // The wrong key file, and a file that is cut off.
    fs::copy(
        kept.join("secrets.key"),
        user.home().join("config/secrets.key"),
    )
    .unwrap();
    let wrong = user.nebula(&["credentials", "list"]).exits(3);
    assert_eq!(wrong.error_code(), "STORE_KEY");
    let whole = fs::read(kept.join("secrets.nebula")).unwrap();
    fs::write(secrets(&user), &whole[..whole.len() - 1]).unwrap();
    let cut = user.nebula(&["credentials", "list"]).exits(3);
    assert_eq!(cut.error_code(), "STORE_CORRUPT");
    assert_eq!(check("secrets", 3)["verdict"], "failed");
    fs::write(secrets(&user), whole).unwrap();
    assert_eq!(list(&user)[0]["hosts"], json!(["api.example"]));
}
