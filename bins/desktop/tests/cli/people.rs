//! People, what they may and what they did, from the command line.

use std::fs;

use serde_json::{Value, json};

use crate::{
    server::{ASKS, Desk, GREET, PASSWORD, untouched},
    support::{Said, User},
};

/// A server with its first person, who is logged in.
fn owned() -> Desk {
    let desk = Desk::new();
    desk.user.write("password.txt", PASSWORD);
    let token = desk
        .serving
        .setup
        .as_ref()
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned();
    let setup = ["setup", "ada", "--token", &token, "--from", "password.txt"];
    let made = desk.there(&setup).exits(0).json();
    assert_eq!(made["login"], "ada", "{made}");
    let again = desk.there(&setup);
    assert!(again.code == Some(3), "the token counts once: {again:?}");
    let login = [
        "login",
        &desk.url,
        "--user",
        "ada",
        "--from",
        "password.txt",
    ];
    desk.user.nebula(&login).exits(0);
    desk
}

fn as_whom(user: &User, token: &str, arguments: &[&str]) -> Said {
    let mut command = user.command(arguments);
    command.env("NEBULA_TOKEN", token);
    crate::support::said(command.output().unwrap())
}

#[test]
fn the_first_person_adds_others_and_says_what_they_may() {
    let desk = owned();
    let me = desk.there(&["whoami"]).exits(0).json();
    assert_eq!(
        me["roles"],
        json!([{ "project": null, "role": "owner" }]),
        "{me}"
    );
    let add = [
        "users",
        "add",
        "Eve",
        "--from",
        "password.txt",
        "--name",
        "Eve L.",
    ];
    let eve = desk.there(&add).exits(0).json();
    assert_eq!(
        (&eve["kind"], &eve["password"]),
        (&json!("person"), &json!(true))
    );
    let taken = desk.there(&["users", "add", "eve"]).exits(2);
    assert_eq!(taken.error_code(), "TAKEN");
    desk.there(&["users", "add", "robot", "--service"]).exits(0);
    let one = desk
        .there(&["users", "list", "--limit", "2"])
        .exits(0)
        .json();
    assert_eq!(
        (one["users"].as_array().unwrap().len(), &one["more"]),
        (2, &json!(true))
    );
    let none = desk.there(&["users", "show", "nobody"]).exits(2);
    assert_eq!(none.error_code(), "UNKNOWN_USER");

    desk.there(&["projects", "put", "shop", "--name", "Shop"])
        .exits(0);
    let renamed = desk.there(&["projects", "put", "shop", "--name", "The shop"]);
    assert_eq!(renamed.exits(0).json()["version"], 2);
    let projects = desk.there(&["projects", "list"]).exits(0).json();
    assert_eq!(projects["projects"][0]["name"], "The shop");
    let shop = ["--project", "shop"];
    let set = |role: &str| {
        let said = desk.there(&[&["members", "set", "eve", role], &shop[..]].concat());
        said.exits(0).json()
    };
    assert_eq!(set("viewer")["from"], Value::Null);
    assert_eq!(set("editor")["from"], "viewer");
    let members = desk
        .there(&[&["members", "list"], &shop[..]].concat())
        .exits(0)
        .json();
    assert_eq!(
        members["members"],
        json!([{ "user": eve["user"], "role": "editor" }])
    );
    let eve = desk.there(&["users", "show", "eve"]).exits(0).json();
    assert_eq!(
        eve["roles"],
        json!([{ "project": "shop", "role": "editor" }])
    );

    desk.push("greet.yaml", GREET);
    let moved = desk.there(&["workflows", "move", "greet", "--project", "shop"]);
    assert_eq!(moved.exits(0).json()["project"], "shop");
    let full = desk.there(&["projects", "rm", "shop"]).exits(2);
    assert_eq!(full.error_code(), "PROJECT_NOT_EMPTY");
    desk.there(&["workflows", "move", "greet"]).exits(0);
    let rm = [&["members", "rm", "eve"], &shop[..]].concat();
    desk.there(&rm).exits(0);
    assert_eq!(desk.there(&rm).exits(2).error_code(), "UNKNOWN_MEMBER");
    desk.there(&["projects", "rm", "shop"]).exits(0);

    let login = [
        "login",
        &desk.url,
        "--user",
        "eve",
        "--from",
        "password.txt",
    ];
    let elsewhere = User::new();
    elsewhere.write("password.txt", PASSWORD);
    elsewhere.nebula(&login).exits(0);
    let url = ["--server", &desk.url];
    let who = || elsewhere.nebula(&[&["whoami"], &url[..]].concat());
    desk.there(&["users", "disable", "eve"]).exits(0);
    assert_eq!(who().exits(3).error_code(), "UNAUTHENTICATED");
    desk.there(&["users", "enable", "eve"]).exits(0);
    who().exits(0);
    // Somebody without a role sees nobody.
    let denied = elsewhere.nebula(&[&["users", "list"], &url[..]].concat());
    assert_eq!(denied.exits(3).error_code(), "DENIED");

    desk.user.write("next.txt", "another horse battery");
    let set = ["users", "password", "eve", "--from", "next.txt"];
    let with_key = desk.there(&set).exits(3);
    assert_eq!(with_key.error_code(), "DENIED");
    with_key.says("--login");
    let log_in = ["--login", "ada", "--login-from", "password.txt"];
    desk.there(&[&set[..], &log_in].concat()).exits(0);
    assert_eq!(
        elsewhere.nebula(&login).exits(3).error_code(),
        "WRONG_LOGIN"
    );
    let own =
        |old: &str, new: &str| desk.there(&["users", "password", "--old", old, "--from", new]);
    assert_eq!(
        own("next.txt", "next.txt").exits(3).error_code(),
        "WRONG_LOGIN"
    );
    own("password.txt", "next.txt").exits(0);
    own("next.txt", "password.txt").exits(0);
    assert_eq!(
        desk.there(&["sessions", "list"]).exits(0).json()["sessions"],
        json!([]),
        "a session that was for one command is over"
    );
    desk.there(&["users", "rm", "eve"]).exits(0);
    assert_eq!(who().exits(3).error_code(), "UNAUTHENTICATED");
    untouched(&desk.user);
}

/// Guards: a key is told once, for what it is for, and opens nothing once it is revoked.
#[test]
fn a_service_account_has_keys_that_are_told_once() {
    let desk = owned();
    desk.there(&["users", "add", "robot", "--service"]).exits(0);
    desk.there(&["members", "set", "robot", "operator"])
        .exits(0);
    let make = [
        "keys",
        "make",
        "deploy",
        "--user",
        "robot",
        "--lasts",
        "1h",
        "--permission",
        "executions:read",
    ];
    desk.there(&make).exits(3).says("--login");
    let log_in = ["--login", "ada", "--login-from", "password.txt"];
    let make = [&make[..], &log_in].concat();
    let made = desk.there(&make).exits(0).json();
    let secret = made["secret"].as_str().unwrap();
    assert!(secret.starts_with("nbk_"), "{made}");
    let listed = desk.there(&["keys", "list", "robot"]).exits(0);
    assert!(!listed.out.contains(secret));
    let key = listed.json()["keys"][0].clone();
    assert_eq!(
        (&key["key"], &key["permissions"]),
        (&made["key"], &json!(["executions:read"]))
    );
    let url = ["--server", &desk.url];
    let list = [&["executions", "list"], &url[..]].concat();
    as_whom(&desk.user, secret, &list).exits(0);
    let workflows = [&["workflows", "list"], &url[..]].concat();
    assert_eq!(
        as_whom(&desk.user, secret, &workflows)
            .exits(3)
            .error_code(),
        "DENIED"
    );
    let wrong = [
        "keys",
        "make",
        "x",
        "--user",
        "robot",
        "--lasts",
        "1h",
        "--permission",
        "all",
    ];
    let wrong = [&wrong[..], &log_in].concat();
    assert_eq!(desk.there(&wrong).exits(2).error_code(), "BAD_BODY");
    desk.there(&["keys", "revoke", made["key"].as_str().unwrap()])
        .exits(0);
    assert_eq!(
        as_whom(&desk.user, secret, &list).exits(3).error_code(),
        "UNAUTHENTICATED"
    );
    // One's own, of the login.
    let own = desk.there(&["keys", "list"]).exits(0).json();
    assert_eq!(own["keys"].as_array().unwrap().len(), 1, "{own}");
}

/// Guards: the token counts once, and not at all once it is taken back.
#[test]
fn whoever_is_invited_accepts_once() {
    let desk = owned();
    let make = |email: &str| {
        let said = desk
            .there(&["invitations", "make", email, "--role", "viewer"])
            .exits(0);
        said.json()["token"].as_str().unwrap().to_owned()
    };
    let token = make("eve@example.org");
    let waits = desk.there(&["invitations", "list"]).exits(0).json();
    assert_eq!(waits["invitations"][0]["email"], "eve@example.org");
    let guest = User::new();
    guest.write("password.txt", PASSWORD);
    let accept = |token: &str| {
        guest.write("token.txt", token);
        guest.nebula(&[
            "invitations",
            "accept",
            "--token",
            "token.txt",
            "--from",
            "password.txt",
            "--server",
            &desk.url,
        ])
    };
    assert_eq!(accept(&token).exits(0).json()["login"], "eve@example.org");
    assert_eq!(accept(&token).exits(3).error_code(), "WRONG_INVITATION");
    let login = [
        "login",
        &desk.url,
        "--user",
        "eve@example.org",
        "--from",
        "password.txt",
    ];
    guest.nebula(&login).exits(0);
    let token = make("bo@example.org");
    desk.there(&["invitations", "revoke", "bo@example.org"])
        .exits(0);
    assert_eq!(accept(&token).exits(3).error_code(), "WRONG_INVITATION");
    let gone = desk
        .there(&["invitations", "revoke", "bo@example.org"])
        .exits(2);
    assert_eq!(gone.error_code(), "UNKNOWN_USER");
    let waits = desk.there(&["invitations", "list"]).exits(0).json();
    assert_eq!(waits["invitations"], json!([]));
    let boss = ["invitations", "make", "mo@example.org", "--role", "owner"];
    desk.there(&boss).exits(2);
}

/// Guards: what opens nothing any more does not lie about.
#[test]
fn the_file_of_the_first_person_goes_at_the_next_start() {
    let desk = owned();
    let Desk { host, serving, .. } = desk;
    let file = host.home().join("data/nebula.db-setup");
    drop(serving);
    fs::write(&file, "nbo_local_left\n").unwrap();
    let again = crate::serve::Serving::start(&host);
    assert!(again.setup.is_none() && !file.exists());
}

#[test]
fn sessions_are_seen_and_closed() {
    let desk = owned();
    let body = json!({ "login": "ada", "password": PASSWORD }).to_string();
    let json_kind = "content-type: application/json\r\n";
    let (status, _) = desk.serving.ask("POST", "/api/v1/login", json_kind, &body);
    assert_eq!(status, 200);
    let there = desk.there(&["sessions", "list"]).exits(0).json();
    let all = there["sessions"].as_array().unwrap();
    assert_eq!(all.len(), 1, "{there}");
    let id = all[0]["session"].as_str().unwrap();
    let closed = desk
        .there(&["sessions", "close", "--session", id])
        .exits(0)
        .json();
    assert_eq!(closed["closed"], 1);
    let closed = desk.there(&["sessions", "close", "ada"]).exits(0).json();
    assert_eq!(closed["closed"], 0);
}

/// Guards: what is told of a log that does not hold is no success.
#[test]
fn the_audit_log_is_listed_exported_and_verified() {
    let desk = owned();
    desk.there(&["users", "add", "robot", "--service"]).exits(0);
    let url = ["--server", &desk.url];
    as_whom(
        &desk.user,
        "nbk_wrong",
        &[&["users", "list"], &url[..]].concat(),
    )
    .exits(3);
    let list = |more: &[&str]| {
        let said = desk.there(&[&["audit", "list"], more].concat());
        said.exits(0).json()
    };
    let added = list(&["--what", "users.add"]);
    assert_eq!(added["entries"].as_array().unwrap().len(), 1, "{added}");
    let users = list(&["--what", "users."]);
    assert!(users["entries"].as_array().unwrap().len() >= 2, "{users}");
    assert_eq!(list(&["--limit", "1"])["more"], true);
    let wrong = desk
        .there(&["audit", "list", "--outcome", "maybe"])
        .exits(2);
    assert_eq!(wrong.error_code(), "BAD_QUERY");
    let export = desk.there(&["audit", "export"]).exits(0);
    let lines: Vec<Value> = export
        .out
        .lines()
        .map(|it| serde_json::from_str(it).unwrap())
        .collect();
    assert_eq!(lines[0]["seq"], 1);
    let after = desk.there(&["audit", "export", "--after", "1"]).exits(0);
    let first: Value = serde_json::from_str(after.out.lines().next().unwrap()).unwrap();
    assert_eq!(first["seq"], 2);

    let holds = desk.there(&["audit", "verify"]).exits(0).json();
    assert_eq!(holds["holds"], true, "{holds}");
    let last = lines.last().unwrap();
    let known = format!("{}:{}", last["seq"], last["hash"].as_str().unwrap());
    desk.there(&["audit", "verify", "--known", &known]).exits(0);
    let other = format!("{}:{}", last["seq"], "0".repeat(64));
    let broken = desk
        .there(&["audit", "verify", "--known", &other])
        .exits(1)
        .json();
    assert_eq!(broken["holds"], false, "{broken}");
    let bad = desk.there(&["audit", "verify", "--known", "7"]).exits(2);
    assert_eq!(bad.error_code(), "USAGE");
}

/// Guards: they are counted, and told only where that is said.
#[test]
fn many_executions_are_counted_before_they_are_told() {
    let desk = Desk::logged_in();
    desk.push("asks.yaml", ASKS);
    let ids = [desk.start("asks"), desk.start("asks")];
    let bulk = |more: &[&str]| {
        let of = ["executions", "bulk", "cancel", "--workflow", "asks"];
        desk.there(&[&of[..], more].concat()).exits(0).json()
    };
    let counted = bulk(&[]);
    assert_eq!(
        (&counted["matched"], &counted["done"]),
        (&json!(2), &json!(0)),
        "{counted}"
    );
    let shown = desk.there(&["executions", "show", &ids[0]]).json();
    assert_ne!(shown["status"], "cancelled");
    assert_eq!(bulk(&["--label", "none=1", "--yes"])["matched"], 0);
    assert_eq!(bulk(&["--yes"])["done"], 2);
    for id in &ids {
        let watched = desk.there(&["executions", "watch", id]).exits(1);
        assert!(watched.out.contains("cancelled"), "{watched:?}");
    }
}

const LARGE: &str = "id: large\nnodes:\n  - { id: big, action: data.set, parameters: { t: \"{{ 'x'.repeat(900000) }}\" } }\n";

#[test]
fn blobs_of_a_server_are_listed_and_kept() {
    let desk = Desk::logged_in();
    desk.push("large.yaml", LARGE);
    let run = desk.there(&["run", "large"]).exits(0).json();
    let id = run["execution"].as_str().unwrap();
    let listed = desk.there(&["blobs", "list", id]).exits(0).json();
    let blob = &listed["blobs"][0];
    assert!(blob["length"].as_u64().unwrap() >= 900_000, "{listed}");
    let digest = &blob["digest"].as_str().unwrap()[..12];
    let to = ["blobs", "get", id, digest, "--to", "large.json"];
    desk.there(&to).exits(0);
    let kept = fs::read(desk.user.work().join("large.json")).unwrap();
    assert_eq!(kept.len() as u64, blob["length"].as_u64().unwrap());
    let printed = desk.there(&["blobs", "get", id, digest]).exits(0);
    assert_eq!(printed.out.as_bytes(), kept);
    let none = desk.there(&["blobs", "get", id, "zz"]).exits(2);
    assert_eq!(none.error_code(), "UNKNOWN_BLOB");
}

#[test]
fn what_is_of_a_server_alone_says_so_where_none_is_named() {
    let user = User::new();
    for arguments in [
        &["users", "list"][..],
        &["audit", "verify"],
        &["whoami"],
        &["workflows", "move", "greet"],
        &["executions", "bulk", "cancel"],
        &["blobs", "list", "01234567"],
    ] {
        let said = user.nebula(arguments).exits(2);
        assert_eq!(said.error_code(), "NEEDS_SERVER", "{arguments:?}");
    }
    untouched(&user);
}
