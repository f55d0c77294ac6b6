//! The same commands, asked of a server.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::{
    http::{answer, serving},
    serve::Serving,
    support::{Said, User, in_doubt},
};

pub(crate) const GREET: &str = "id: greet\ninput: { type: object, properties: { n: { type: integer } } }\nnodes:\n  - { id: hello, action: data.set, parameters: { n: '{{ $input.n }}' } }\n";
pub(crate) const ASKS: &str = "id: asks\nnodes:\n  - { id: wait, action: flow.wait, parameters: { signal: go } }\n  - { id: sign, action: flow.approval, parameters: { title: Pay, approvers: [ada] } }\n";
pub(crate) const PASSWORD: &str = "correct horse battery";

/// Somebody at another desk, with nothing of the server's but its address.
pub(crate) struct Desk {
    pub(crate) host: User,
    pub(crate) serving: Serving,
    pub(crate) user: User,
    pub(crate) url: String,
}

impl Desk {
    pub(crate) fn new() -> Self {
        let (host, user) = (User::new(), User::new());
        let serving = Serving::start(&host);
        let url = format!("http://{}", serving.address);
        Self {
            host,
            serving,
            user,
            url,
        }
    }

    /// With the token of the server's machine.
    pub(crate) fn logged_in() -> Self {
        let desk = Self::new();
        let said = desk
            .user
            .nebula_with(&["login", &desk.url], &desk.serving.token);
        let told = said.exits(0).json();
        assert_eq!(told["kind"], "local", "{told}");
        desk
    }

    pub(crate) fn there(&self, arguments: &[&str]) -> Said {
        let all = [arguments, &["--server", &self.url]].concat();
        self.user.nebula(&all)
    }

    /// What the command line says that has the server's database before it.
    pub(crate) fn host(&self, arguments: &[&str]) -> Said {
        self.host.nebula(arguments)
    }

    /// Saves and publishes.
    pub(crate) fn push(&self, name: &str, text: &str) {
        let file = self.user.write(name, text);
        self.there(&["workflows", "push", file.to_str().unwrap(), "--publish"])
            .exits(0);
    }

    pub(crate) fn start(&self, id: &str) -> String {
        let said = self.there(&["run", id, "--detach"]).exits(0).json();
        said["execution"].as_str().unwrap().to_owned()
    }
}

/// Nothing of the user's own was made.
#[track_caller]
pub(crate) fn untouched(user: &User) {
    assert!(!user.database().exists(), "a database was made");
}

#[test]
fn commands_say_of_a_server_what_they_say_of_its_database() {
    let desk = Desk::logged_in();
    desk.push("greet.yaml", GREET);
    desk.push("asks.yaml", ASKS);
    let run = [
        "run",
        "greet",
        "--input",
        "n=7",
        "--label",
        "no=7",
        "--label",
        "customer=Ada L.",
    ];
    let done = desk.there(&run).exits(0);
    assert_eq!(done.json()["output"], json!({ "n": 7 }), "{done:?}");
    let bad = desk.there(&["run", "greet", "--label", "no"]).exits(2);
    assert_eq!(bad.error_code(), "USAGE");
    desk.host(&[
        "run",
        "greet",
        "--input",
        "n=8",
        "--label",
        "no=8",
        "--grant-requested",
    ])
    .exits(0);
    for (filter, found) in [
        ("--label=no=7", 1),
        ("--label=no=8", 1),
        ("--label=no=9", 0),
        ("--text=ADA", 1),
        ("--since=2001-01-01T00:00:00Z", 2),
        ("--until=2001-01-01T00:00:00Z", 0),
    ] {
        let listed = desk.there(&["executions", "list", filter]).exits(0).json();
        assert_eq!(
            listed["executions"].as_array().unwrap().len(),
            found,
            "{filter}"
        );
    }
    let bad = desk
        .there(&["run", "greet", "--input", "n:=\"x\""])
        .exits(2);
    assert_eq!(bad.error_code(), "INPUT_INVALID");
    let id = done.json()["execution"].as_str().unwrap().to_owned();
    let waits = desk.start("asks");
    crate::support::wait_until("it waits", || {
        let shown = desk.host(&["executions", "show", &waits]).json();
        shown["status"] == "waiting" && shown["waiting"] != Value::Null
    });
    let asked: &[&[&str]] = &[
        &["executions", "list"],
        &[
            "executions",
            "list",
            "--status",
            "completed",
            "--workflow",
            "greet",
        ],
        &["executions", "list", "--waiting"],
        &["executions", "list", "--limit", "1"],
        &["approvals", "list"],
        &["approvals", "list", "--limit", "1"],
        &[
            "executions",
            "list",
            "--label",
            "no=7",
            "--label",
            "customer=Ada L.",
        ],
        &["executions", "list", "--text", "ada"],
        &["executions", "show", &id],
        &["executions", "show", &id[..13]],
        &["executions", "show", &waits],
        &["workflows", "list"],
        &["workflows", "list", "--search", "gre"],
        &["workflows", "versions", "greet"],
        &["workflows", "pull", "greet"],
        &["workflows", "pull", "greet@published"],
        &["workflows", "diff", "greet@1", "asks@1"],
        &["executions", "show", "01234567"],
    ];
    for arguments in asked {
        let (there, here) = (desk.there(arguments), desk.host(arguments));
        assert_eq!(there.code, here.code, "{arguments:?}: {there:?} {here:?}");
        if here.code == Some(0) {
            assert_eq!(there.json(), here.json(), "{arguments:?}");
        } else {
            assert_eq!(there.error_code(), here.error_code(), "{arguments:?}");
        }
    }
    untouched(&desk.user);
}

#[test]
fn what_is_said_to_executions_of_a_server_is_heard() {
    let desk = Desk::logged_in();
    desk.push("asks.yaml", ASKS);
    let id = desk.start("asks");
    let paused = desk.there(&["executions", "pause", &id]).exits(0);
    assert_eq!(paused.json()["status"], "paused");
    let goes_on = desk.there(&["executions", "unpause", &id]).exits(4).json();
    assert_eq!(goes_on["waiting"][0]["for"], "signal", "{goes_on}");
    let signal = [
        "executions",
        "signal",
        &id,
        "go",
        "--payload",
        "7",
        "--id",
        "once",
    ];
    let asked = desk.there(&signal).exits(4).json();
    assert_eq!(asked["waiting"][0]["for"], "approval", "{asked}");
    desk.there(&signal).exits(4).says("has no effect");
    let eve = desk
        .there(&["executions", "approve", &id, "--by", "eve"])
        .exits(3);
    assert_eq!(eve.error_code(), "NOT_AN_APPROVER");
    let done = desk
        .there(&[
            "executions",
            "approve",
            &id,
            "--by",
            "ada",
            "--comment",
            "fine",
        ])
        .exits(0)
        .json();
    assert_eq!(done["output"]["by"], json!(["ada"]), "{done}");
    let late = desk.there(&["executions", "signal", &id, "go"]).exits(2);
    assert_eq!(late.error_code(), "EXECUTION_ENDED");

    let other = desk.start("asks");
    let ended = desk
        .there(&["executions", "cancel", &other])
        .exits(0)
        .json();
    assert_eq!(ended["status"], "cancelled");
    let again = desk.there(&["executions", "retry", &other]).exits(4).json();
    assert_eq!(again["again"]["of"], json!(other));
    let watched = desk.there(&["executions", "watch", &other]).exits(1);
    let lines: Vec<Value> = watched
        .out
        .lines()
        .map(|it| serde_json::from_str(it).unwrap())
        .collect();
    assert_eq!(lines[0]["type"], "started", "{watched:?}");
    assert_eq!(lines.last().unwrap()["status"], "cancelled");
    untouched(&desk.user);
}

#[test]
fn a_decision_about_what_is_parked_reaches_a_server() {
    let desk = Desk::logged_in();
    let parks = format!("id: parks\n{}", in_doubt());
    desk.push("parks.yaml", &parks);
    let parked = desk.there(&["run", "parks"]).exits(4).json();
    assert_eq!(parked["status"], "parked", "{parked}");
    let id = parked["execution"].as_str().unwrap();
    let done = desk
        .there(&[
            "executions",
            "unpark",
            id,
            "--as",
            "succeeded",
            "--output",
            "7",
        ])
        .exits(0);
    assert_eq!(done.json()["status"], "completed");
}

#[test]
fn who_is_not_let_in_is_told_how() {
    let desk = Desk::new();
    let list = ["executions", "list"];
    let nobody = desk.there(&list).exits(3);
    assert_eq!(nobody.error_code(), "UNAUTHENTICATED");
    nobody.says("nebula login http://127.0.0.1:");
    let wrong = desk
        .user
        .nebula_with(&["login", &desk.url], "nbk_wrong\n")
        .exits(3);
    assert_eq!(wrong.error_code(), "UNAUTHENTICATED");
    let plain = desk
        .user
        .nebula(&["executions", "list", "--server", "http://nebula.example"]);
    assert_eq!(plain.exits(2).error_code(), "SERVER_PLAIN");
    let both = desk
        .user
        .nebula(&["executions", "list", "--server", &desk.url, "--db", "x.db"]);
    both.exits(2);
    drop(desk.serving);
    let gone = desk
        .user
        .nebula(&["executions", "list", "--server", &desk.url]);
    assert_eq!(gone.exits(3).error_code(), "SERVER_UNREACHABLE");
}

#[test]
fn a_person_logs_in_with_a_password_and_may_what_their_role_may() {
    let desk = Desk::logged_in();
    desk.push("greet.yaml", GREET);
    let setup = fs::read_to_string(desk.serving.setup.as_ref().unwrap()).unwrap();
    let json = "content-type: application/json\r\n";
    let first = json!({ "token": setup.trim(), "login": "ada", "password": PASSWORD }).to_string();
    assert_eq!(
        desk.serving.ask("POST", "/api/v1/setup", json, &first).0,
        201
    );
    let eve = json!({ "kind": "person", "login": "eve", "password": PASSWORD }).to_string();
    let (status, eve) = desk.serving.ask("POST", "/api/v1/users", json, &eve);
    assert_eq!(status, 201, "{eve}");
    let path = format!("/api/v1/members/{}", eve["user"].as_str().unwrap());
    let viewer = json!({ "to": "viewer" }).to_string();
    let (status, member) = desk.serving.ask("PUT", &path, json, &viewer);
    assert!(status < 300, "{member}");

    let login = ["login", &desk.url, "--user", "eve"];
    crate::support::wait_until("the file that opens nothing is gone", || {
        !desk.serving.setup.as_ref().unwrap().exists()
    });
    let wrong = desk.user.nebula_with(&login, "not the password").exits(3);
    assert_eq!(wrong.error_code(), "WRONG_LOGIN");
    let told = desk.user.nebula_with(&login, PASSWORD).exits(0).json();
    assert_eq!(
        (&told["login"], &told["kind"]),
        (&json!("eve"), &json!("person"))
    );
    let token = json_files(&desk.user.home().join("config/logins"));
    assert!(
        !token.contains(PASSWORD) && token.contains("nbk_"),
        "{token}"
    );

    desk.there(&["workflows", "list"]).exits(0);
    let denied = desk.there(&["run", "greet"]).exits(3);
    assert_eq!(denied.error_code(), "DENIED", "{denied:?}");
    desk.user.nebula(&["logout", &desk.url]).exits(0);
    desk.there(&["workflows", "list"]).exits(3);
}

fn json_files(folder: &Path) -> String {
    let files = fs::read_dir(folder).unwrap();
    files
        .map(|file| fs::read_to_string(file.unwrap().path()).unwrap())
        .collect()
}

#[test]
fn a_server_is_named_by_a_variable_and_a_flag_comes_before_it() {
    let desk = Desk::logged_in();
    desk.push("greet.yaml", GREET);
    let with = |arguments: &[&str]| {
        let mut command = desk.user.command(arguments);
        command.env("NEBULA_SERVER", &desk.url);
        let output = command.output().unwrap();
        let out = String::from_utf8(output.stdout).unwrap();
        (output.status.code(), out)
    };
    let (code, out) = with(&["workflows", "list"]);
    assert!(code == Some(0) && out.contains("greet"), "{out}");
    // A database that is named is meant, and commands that need one take no notice of the server.
    assert_eq!(with(&["workflows", "list", "--db", "none.db"]).0, Some(3));
    assert_eq!(with(&["resume"]).0, Some(0));
    assert_eq!(with(&["executions", "tokens", "01234567"]).0, Some(2));
    assert_eq!(with(&["expr", "1 + 1"]).0, Some(0));
    assert_eq!(with(&["config", "show"]).0, Some(0));
    let grants = desk.there(&["run", "greet", "--grant-requested"]).exits(2);
    grants.says("publish");
}

#[test]
fn a_folder_goes_to_a_server_and_back_once_it_was_shown_what_changes() {
    let desk = Desk::logged_in();
    let work = desk.user.work();
    fs::create_dir_all(work.join("flows/deep")).unwrap();
    desk.user.write("flows/asks.yaml", ASKS);
    // It calls what comes later by its name.
    let calls = "id: calls\nnodes:\n  - { id: call, action: flow.call, parameters: { workflow: greet, input: { n: 1 } } }\n";
    desk.user.write("flows/calls.yaml", calls);
    desk.user.write("flows/deep/greet.yaml", GREET);
    let push = ["workflows", "push", "flows", "--publish"];
    let unasked = desk.there(&push).exits(2);
    assert_eq!(unasked.error_code(), "NOT_CONFIRMED");
    unasked.says("+ greet  new").says("--yes");
    assert_eq!(
        desk.there(&["workflows", "list"]).json()["workflows"],
        json!([])
    );
    let pushed = desk
        .there(&[&push[..], &["--yes"]].concat())
        .exits(0)
        .json();
    assert_eq!(pushed["saved"].as_array().unwrap().len(), 3, "{pushed}");
    let same = desk.there(&push).exits(0).json();
    assert_eq!(
        (&same["saved"], &same["unchanged"]),
        (&json!([]), &json!(3))
    );

    desk.user
        .write("flows/deep/greet.yaml", &GREET.replace("hello", "hallo"));
    let change = desk.there(&push).exits(2);
    change.says("~ greet  version 1").says("hallo");

    // Back: what was changed here is overwritten in its place, what is new gets a file, the rest stays.
    let pull = ["workflows", "pull", "./flows"];
    fs::remove_file(work.join("flows/asks.yaml")).unwrap();
    desk.there(&pull)
        .exits(2)
        .says("+ asks  new")
        .says("~ greet");
    let pulled = desk
        .there(&[&pull[..], &["--yes"]].concat())
        .exits(0)
        .json();
    assert_eq!(pulled["unchanged"], json!(1), "{pulled}");
    let greet = fs::read_to_string(work.join("flows/deep/greet.yaml")).unwrap();
    assert!(greet.contains("hello"), "{greet}");
    assert!(work.join("flows/asks.json").exists());
    let same = desk.there(&push).exits(0).json();
    assert_eq!(same["unchanged"], json!(3), "{same}");

    // A definition that is wrong is told with its place, by the server.
    desk.user.write(
        "flows/wrong.yaml",
        "id: wrong\nnodes:\n  - { id: a, action: no.such }\n",
    );
    let wrong = desk.there(&[&push[..], &["--yes"]].concat()).exits(2);
    assert_eq!(wrong.error_code(), "DEFINITION_INVALID");
    assert_eq!(
        wrong.json()["diagnostics"][0]["line"],
        json!(3),
        "{wrong:?}"
    );
    wrong.says("nothing was saved");
}

#[test]
fn credentials_and_secrets_of_a_server_are_looked_after_from_elsewhere() {
    let desk = Desk::logged_in();
    let there = |arguments: &[&str], input: &str| {
        let all = [arguments, &["--server", &desk.url]].concat();
        desk.user.nebula_with(&all, input)
    };
    let add = [
        "credentials",
        "add",
        "shop",
        "--type",
        "bearer",
        "--hosts",
        "api.example",
    ];
    let added = there(&add, "s3cret-value\n").exits(0);
    assert_eq!(added.json()["version"], json!(1), "{added:?}");
    assert_eq!(
        there(&add, "again").exits(2).error_code(),
        "CREDENTIAL_EXISTS"
    );
    let rotate = ["credentials", "rotate", "shop", "--from", "-"];
    let rotated = there(&rotate, "next-value").exits(0).json();
    assert_eq!(
        rotated,
        json!({ "credential": "shop", "type": "bearer", "version": 2, "hosts": ["api.example"] })
    );
    let hosts = there(
        &["credentials", "rotate", "shop", "--hosts", "b.example"],
        "",
    )
    .exits(0)
    .json();
    assert_eq!(
        (&hosts["version"], &hosts["hosts"]),
        (&json!(3), &json!(["b.example"]))
    );
    // The same but for the key, which is the server's own matter.
    let listed = |mut said: Value| {
        said["credentials"][0]["key"] = Value::Null;
        said
    };
    let list = ["credentials", "list"];
    assert_eq!(
        listed(there(&list, "").exits(0).json()),
        listed(desk.host(&list).exits(0).json())
    );
    let uses = ["credentials", "uses", "shop"];
    assert_eq!(
        there(&uses, "").exits(0).json(),
        desk.host(&uses).exits(0).json()
    );
    assert_eq!(
        there(&["credentials", "rotate", "--keys"], "")
            .exits(2)
            .error_code(),
        "NEEDS_DATABASE"
    );
    there(&["credentials", "rm", "shop"], "").exits(0);
    assert_eq!(there(&uses[..], "").exits(0).json()["credential"], "shop");
    assert_eq!(
        there(&["credentials", "rm", "shop"], "")
            .exits(2)
            .error_code(),
        "UNKNOWN_CREDENTIAL"
    );

    let set = ["secrets", "set", "token"];
    assert_eq!(there(&set, "one").exits(0).json()["new"], json!(true));
    assert_eq!(there(&set, "two").exits(0).json()["new"], json!(false));
    assert_eq!(
        there(&["secrets", "list"], "").exits(0).json()["secrets"],
        json!(["token"])
    );
    there(&["secrets", "rm", "token"], "").exits(0);
    assert_eq!(
        there(&["secrets", "rm", "token"], "").exits(2).error_code(),
        "UNKNOWN_SECRET"
    );

    for arguments in [
        &["actions", "list"][..],
        &["actions", "show", "http.request"],
    ] {
        let (there, here) = (there(arguments, ""), desk.host(arguments));
        assert_eq!(there.exits(0).json(), here.exits(0).json(), "{arguments:?}");
    }
    let misspelt = there(&["actions", "show", "http.reqest"], "").exits(2);
    misspelt.says("did you mean `http.request`?");
    untouched(&desk.user);
}

#[test]
fn what_a_server_delivers_too_often_and_its_settings_can_be_looked_at() {
    let desk = Desk::logged_in();
    let none = desk.there(&["queue", "dead", "list"]).exits(0);
    assert_eq!(none.json(), json!({ "dead": [] }));
    let redriven = desk.there(&["queue", "dead", "redrive"]).exits(0);
    assert_eq!(redriven.json(), json!({ "redriven": 0 }));
    let here = desk.user.nebula(&["queue", "dead", "list"]).exits(2);
    assert_eq!(here.error_code(), "NEEDS_SERVER");
    let (status, told) = desk.serving.ask("GET", "/api/v1/settings", "", "");
    assert_eq!(status, 200, "{told}");
    let settings = told["settings"].as_object().unwrap();
    assert_eq!(
        settings["serve.grace"],
        json!({ "value": "30s", "source": "default" })
    );
    let hidden = |key: &String| key.starts_with("vars") || key == "secrets.key_command";
    assert!(!settings.keys().any(hidden), "{told}");
}

/// Guards: a token is shown to the server that was named, once, and nowhere else to which that one leads.
#[test]
fn a_token_goes_nowhere_but_to_the_server_that_was_named() {
    const TOKEN: &str = "nbl_local_somebody-elsewhere";
    let moved = |to: &str| {
        format!(
            "HTTP/1.1 307 Temporary Redirect\r\nlocation: {to}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        )
    };
    let (mut said, mut shown) = (Vec::new(), Vec::new());
    let led_to = serving(
        |_| moved("/"),
        |other| {
            for to in [format!("http://{other}/api/v1/me"), "/moved".to_owned()] {
                let user = User::new();
                let named = serving(
                    |_| moved(&to),
                    |named| {
                        let login = ["login", &format!("http://{named}")];
                        said.push(user.nebula_with(&login, TOKEN));
                    },
                );
                let asked = named
                    .iter()
                    .map(|it| it.header("authorization").map(str::to_owned));
                shown.push(asked.collect::<Vec<_>>());
            }
        },
    );
    for said in said {
        assert!(!said.exits(3).err.contains(TOKEN));
    }
    let once = vec![Some(format!("Bearer {TOKEN}"))];
    assert_eq!(shown, [once.clone(), once]);
    assert!(led_to.is_empty(), "{led_to:?}");
}

const TICKS: &str = "id: ticks\ntriggers:\n  - { id: daily, type: cron, schedule: '0 9 * * *' }\n  - { id: hook, type: webhook, path: /in, auth: none }\nnodes: [{ id: a, action: data.set, parameters: { n: 1 } }]\n";

#[test]
fn triggers_of_a_server_are_looked_after() {
    let desk = Desk::logged_in();
    desk.push("greet.yaml", GREET);
    desk.push("ticks.yaml", TICKS);
    let told = |said: Said| said.exits(0).json();
    let of = |all: &Value, id: &str| {
        let all = all["triggers"].as_array().unwrap().clone();
        let found = all.into_iter().find(|it| it["trigger"] == id);
        found.unwrap_or_else(|| panic!("no {id}"))
    };
    let there = told(desk.there(&["triggers", "list"]));
    let here = told(desk.host(&["triggers", "list"]));
    assert_eq!(of(&there, "daily"), of(&here, "daily"));
    assert_eq!(there["more"], false);
    let url = of(&there, "hook")["url"].as_str().unwrap().to_owned();
    assert!(url.starts_with(&desk.url) && url.ends_with("/in"), "{url}");
    let one = told(desk.there(&["triggers", "list", "ticks", "--limit", "1"]));
    assert_eq!(one["triggers"].as_array().unwrap().len(), 1);
    assert_eq!(one["more"], true);

    let paused = told(desk.there(&["triggers", "pause", "ticks", "daily"]));
    assert_eq!(
        (&paused["paused"], &paused["due"]),
        (&json!(true), &Value::Null)
    );
    let here = told(desk.host(&["triggers", "list", "ticks"]));
    assert_eq!(of(&here, "daily")["paused"], true);
    let unpaused = told(desk.there(&["triggers", "unpause", "ticks", "daily"]));
    assert_eq!(unpaused["paused"], false);
    let fired = told(desk.there(&["triggers", "fire", "ticks", "daily"]));
    let id = fired["execution"].as_str().unwrap();
    desk.there(&["executions", "watch", id]).exits(0);
    let range = [
        "--from",
        "2026-03-14T00:00:00Z",
        "--to",
        "2026-03-16T00:00:00Z",
    ];
    let made_up =
        told(desk.there(&[&["triggers", "backfill", "ticks", "daily"], &range[..]].concat()));
    assert_eq!(made_up["occurrences"].as_array().unwrap().len(), 2);
    let rotated = told(desk.there(&["triggers", "rotate", "ticks", "hook", "--grace", "1h"]));
    assert_ne!(rotated["url"], json!(url));
    assert!(rotated["previous_url_until"].is_string(), "{rotated}");
    let said = desk.there(&["triggers", "fire", "ticks", "hook"]).exits(2);
    assert_eq!(said.error_code(), "TRIGGER_CALLED");
    let said = desk.there(&["triggers", "pause", "ticks", "none"]).exits(2);
    assert_eq!(said.error_code(), "UNKNOWN_TRIGGER");
    untouched(&desk.user);
}

/// Guards: the server sends it, and says of it what the command says of its own.
#[test]
fn a_server_tries_a_credential() {
    let desk = Desk::logged_in();
    let seen = serving(
        |seen| {
            let right = seen.last().unwrap().header("authorization") == Some("Bearer right");
            answer(if right { 200 } else { 401 }, "", "{}")
        },
        |address| {
            let url = format!("http://{address}/mine");
            let there = |arguments: &[&str], input: &str| {
                let all = [arguments, &["--server", &desk.url]].concat();
                desk.user.nebula_with(&all, input)
            };
            let cases = [
                ("good", "right", "accepted", 0),
                ("bad", "wrong", "refused", 1),
            ];
            for (id, token, verdict, exit) in cases {
                let host = address.to_string();
                let add = [
                    "credentials",
                    "add",
                    id,
                    "--type",
                    "bearer",
                    "--hosts",
                    &host,
                ];
                there(&add, token).exits(0);
                let test = ["credentials", "test", id, "--url", &url];
                let tried = desk.there(&test).exits(exit).json();
                assert_eq!(tried["verdict"], verdict, "{tried}");
                assert_eq!(
                    (&tried["type"], &tried["version"], &tried["without"]),
                    (&json!("bearer"), &json!(1), &json!(401))
                );
                assert_eq!(tried, desk.host(&test).exits(exit).json());
            }
            let none = desk.there(&["credentials", "test", "none", "--url", &url]);
            assert_eq!(none.exits(2).error_code(), "UNKNOWN_CREDENTIAL");
            let elsewhere = ["credentials", "test", "good", "--url", "http://127.0.0.2/"];
            assert_eq!(
                desk.there(&elsewhere).exits(2).error_code(),
                "CREDENTIAL_HOST"
            );
        },
    );
    assert_eq!(
        seen.len(),
        8,
        "two requests each, from the server and from its machine"
    );
    untouched(&desk.user);
}
