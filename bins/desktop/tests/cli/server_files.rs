//! Files and expressions that a server looks at, and votes by its links.

use serde_json::{Value, json};

use crate::{
    http::serving,
    server::{ASKS, Desk, GREET, untouched},
    support::{Said, User, wait_until},
};

const CALLS: &str = "id: calls\nnodes:\n  - { id: call, action: flow.call, parameters: { workflow: greet, input: { n: 7 } } }\n";

/// Guards: the server is asked, which alone knows what is called; what it says is told of the file.
#[test]
fn a_server_checks_and_plans_with_what_it_has() {
    let desk = Desk::logged_in();
    desk.push("greet.yaml", GREET);
    let calls = desk.user.write("calls.yaml", CALLS);
    let calls = calls.to_str().unwrap();
    let here = desk.user.nebula(&["validate", calls]).exits(2).json();
    assert_eq!(
        here["valid"], false,
        "nothing is known here of what is called"
    );
    let there = desk.there(&["validate", calls]).exits(0).json();
    assert_eq!(
        (&there["valid"], &there["files"][0]["workflow"]),
        (&json!(true), &json!("calls")),
        "{there}"
    );
    let bad = desk
        .user
        .write("bad.yaml", "nodes: [{ id: a, action: data.sett }]\n");
    let bad = bad.to_str().unwrap();
    let several = desk.there(&["validate", calls, bad]).exits(2);
    let told = several.json();
    assert_eq!(told["valid"], false);
    assert_eq!(told["files"][0]["valid"], true);
    let problem = &told["files"][1]["diagnostics"][0];
    assert_eq!(
        (
            &problem["file"],
            &problem["line"],
            &told["files"][1]["error"]["code"]
        ),
        (&json!(bad), &json!(1), &json!("DEFINITION_INVALID")),
        "{told}"
    );
    several.says("data.set");

    let plan = desk.there(&["plan", calls]).exits(0).json();
    assert_eq!(plan["nodes"][0]["calls"], "greet@1", "{plan}");
    desk.push("calls.yaml", CALLS);
    for which in ["calls", "calls@1", "calls@published", "greet@draft"] {
        let there = desk.there(&["plan", which]).exits(0).json();
        let here = desk.host(&["plan", which]).exits(0).json();
        assert_eq!(there["nodes"], here["nodes"], "{which}");
        assert_eq!(there["workflow"], here["workflow"], "{which}");
    }
    let none = desk.there(&["plan", "none"]).exits(3);
    assert_eq!(none.error_code(), "UNKNOWN_WORKFLOW");
    let none = desk.there(&["plan", "greet@9"]).exits(2);
    assert_eq!(none.error_code(), "UNKNOWN_VERSION");
    // A definition without an id has that of its file, also there.
    let plain = desk
        .user
        .write("plain.yaml", "nodes: [{ id: a, action: data.set }]\n");
    let plain = desk
        .there(&["plan", plain.to_str().unwrap()])
        .exits(0)
        .json();
    assert_eq!(plain["workflow"], "plain");
    untouched(&desk.user);
}

#[test]
fn a_file_is_saved_and_run_at_a_server() {
    let desk = Desk::logged_in();
    let file = desk.user.write("greet.yaml", GREET);
    let run = ["run", file.to_str().unwrap(), "--input", "n=7"];
    let done = desk.there(&run).exits(0);
    assert!(done.err.contains("saved as greet@1"), "{done:?}");
    let told = done.json();
    assert_eq!(
        (&told["output"], &told["version"]),
        (&json!({ "n": 7 }), &json!(1))
    );
    let again = desk.there(&run).exits(0);
    assert!(
        !again.err.contains("saved as"),
        "the same is no new version: {again:?}"
    );
    let file = desk.user.write(
        "greet.yaml",
        &GREET.replace("$input.n }}", "$input.n + 1 }}"),
    );
    let run = ["run", file.to_str().unwrap(), "--input", "n=7"];
    let changed = desk.there(&run).exits(0).json();
    assert_eq!(
        (&changed["output"], &changed["version"]),
        (&json!({ "n": 8 }), &json!(2))
    );
    let list = desk.there(&["workflows", "list"]).exits(0).json();
    assert_eq!(list["workflows"][0]["published"], Value::Null, "{list}");
    let trial = desk
        .there(&["run", "greet.yaml", "--until", "hello"])
        .exits(2);
    assert_eq!(trial.error_code(), "USAGE");
    let bad = desk
        .user
        .write("bad.yaml", "nodes: [{ id: a, action: data.sett }]\n");
    let bad = desk.there(&["run", bad.to_str().unwrap()]).exits(2);
    assert_eq!(bad.error_code(), "DEFINITION_INVALID");
    untouched(&desk.user);
}

#[test]
fn a_server_evaluates_as_this_program_does() {
    let desk = Desk::logged_in();
    let data = desk.user.write("data.json", "{\"input\":{\"n\":7}}");
    let data = ["--data", data.to_str().unwrap()];
    for expression in [
        "$input.n + 1",
        "$input.none",
        "$input.n.x.y",
        "1 +",
        "nope(1)",
    ] {
        let here = desk
            .user
            .nebula(&[&["expr", expression], &data[..]].concat());
        let there = desk.there(&[&["expr", expression], &data[..]].concat());
        assert_eq!(there.code, here.code, "{expression}: {there:?} {here:?}");
        assert_eq!(there.json(), here.json(), "{expression}");
    }
    let lines = "{\"expr\":\"1 + 1\"}\nno\n{\"expr\":\"$input.n\",\"data\":{\"input\":{\"n\":2}}}\n{\"expr\":\"1 +\"}\n";
    let here = desk.user.nebula_with(&["expr", "--batch"], lines).exits(0);
    let there = ["expr", "--batch", "--server", &desk.url];
    let there = desk.user.nebula_with(&there, lines).exits(0);
    assert_eq!((there.out.lines().count(), &there.out), (4, &here.out));
    let none = desk.there(&["expr"]).exits(2);
    assert_eq!(none.error_code(), "USAGE");
}

#[test]
fn a_replay_of_a_server_is_that_of_its_database() {
    let desk = Desk::logged_in();
    desk.push("greet.yaml", GREET);
    let done = desk.there(&["run", "greet", "--input", "n=7"]).exits(0);
    let id = done.json()["execution"].as_str().unwrap().to_owned();
    let asked: &[&[&str]] = &[
        &[],
        &["--node", "hello"],
        &["--at", "1"],
        &["--at", "2", "--node", "hello"],
        &["--at", "99"],
        &["--node", "helo"],
        &["--at", "1", "--node", "helo"],
    ];
    for more in asked {
        let all = [&["executions", "replay", &id], *more].concat();
        let (there, here) = (desk.there(&all), desk.host(&all));
        assert_eq!(there.code, here.code, "{more:?}: {there:?} {here:?}");
        if here.code == Some(0) {
            assert!(!here.out.is_empty());
            assert_eq!(there.out, here.out, "{more:?}");
        } else {
            assert_eq!(there.error_code(), here.error_code(), "{more:?}");
        }
    }
    untouched(&desk.user);
}

/// Guards: the link is all that it takes, it counts once, and another one counts not at all.
#[test]
fn a_token_votes_at_a_server_for_whoever_has_it() {
    let desk = Desk::logged_in();
    desk.push("asks.yaml", ASKS);
    let id = desk.start("asks");
    desk.there(&["executions", "signal", &id, "go"]).exits(4);
    let tokens = desk.host(&["executions", "tokens", &id]).exits(0).json();
    let token = tokens["tokens"][0]["token"].as_str().unwrap().to_owned();
    let url = ["--server", &desk.url];
    desk.user.nebula(&["logout", &desk.url]).exits(0);
    let vote = |how: &str, more: &[&str]| -> Said {
        let all = [&["approvals", how, "--token", &token], more, &url[..]].concat();
        desk.user.nebula(&all)
    };
    let eve = vote("approve", &["--by", "eve"]).exits(3);
    assert_eq!(eve.error_code(), "NOT_AN_APPROVER");
    let other = format!("{:0>width$}", 1, width = token.len());
    let other = [&["approvals", "approve", "--token", &other], &url[..]].concat();
    let other = desk.user.nebula(&other).exits(2);
    assert_eq!(other.error_code(), "RESUME_TOKEN_INVALID");
    let voted = vote("approve", &["--comment", "fine"]).exits(0).json();
    assert_eq!(
        (&voted["execution"], &voted["duplicate"]),
        (&json!(id), &json!(false))
    );
    wait_until("it has ended", || {
        desk.host(&["executions", "show", &id]).json()["status"] == "completed"
    });
    let shown = desk.host(&["executions", "show", &id]).exits(0).json();
    assert_eq!(shown["output"]["by"], json!(["ada"]), "{shown}");
    assert_eq!(
        vote("reject", &[]).exits(2).error_code(),
        "RESUME_TOKEN_INVALID"
    );
    untouched(&desk.user);
}

#[test]
fn the_settings_and_the_types_of_a_server_are_its_own() {
    let desk = Desk::logged_in();
    std::fs::create_dir_all(desk.user.home().join("config")).unwrap();
    std::fs::write(
        desk.user.home().join("config/nebula.toml"),
        "[engine]\nconcurrency = 7\n",
    )
    .unwrap();
    let there = desk.there(&["config", "show", "--sources"]).exits(0).json();
    assert_eq!(there["settings"]["engine.concurrency"]["value"], 4);
    let here = desk
        .user
        .nebula(&["config", "show", "--sources"])
        .exits(0)
        .json();
    assert_eq!(here["settings"]["engine.concurrency"]["value"], 7);
    let types = desk.there(&["credentials", "types"]).exits(0).json();
    let here = desk.user.nebula(&["credentials", "types"]).exits(0).json();
    assert_eq!(types, here);
}

/// Guards: what is no answer of a server is told in short and harms no terminal; what a busy server says is told
/// with when to come again; neither is taken for an answer about the thing.
#[test]
fn what_a_server_answers_that_is_none_is_told() {
    let noise = format!("<html>\u{1b}[31mnot here{}", "x".repeat(500));
    let problem =
        |code: &str| format!("{{\"code\":\"{code}\",\"detail\":\"not now\",\"hint\":\"wait\"}}");
    let kind = "content-type: application/problem+json";
    let whole = |status: u16, headers: &str, body: &str| {
        let length = body.len();
        format!(
            "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n\r\n{body}"
        )
    };
    let cases = [
        (
            whole(404, "content-type: text/html", &noise),
            3,
            "SERVER_ANSWER",
        ),
        (
            whole(200, "content-type: application/json", "[7"),
            3,
            "SERVER_ANSWER",
        ),
        (
            whole(
                429,
                &format!("{kind}\r\nretry-after: 7"),
                &problem("TOO_MANY_REQUESTS"),
            ),
            3,
            "TOO_MANY_REQUESTS",
        ),
        (
            whole(503, &format!("{kind}\r\nretry-after: 7"), &problem("BUSY")),
            3,
            "BUSY",
        ),
        (whole(409, kind, &problem("ODD")), 2, "ODD"),
        (whole(404, kind, &problem("NO_ROUTE")), 2, "NO_ROUTE"),
    ];
    for (answer, code, name) in cases {
        let user = User::new();
        let (mut said, told) = (None, answer.clone());
        serving(
            move |_| told.clone(),
            |address| {
                let url = format!("http://{address}");
                let versions = ["workflows", "versions", "greet", "--server", &url];
                said = Some(user.nebula(&versions));
            },
        );
        let said = said.unwrap().exits(code);
        assert_eq!(said.error_code(), name, "{said:?}");
        assert!(
            !said.err.contains('\u{1b}') && said.err.len() < 600,
            "{said:?}"
        );
        let later = said.json()["error"]["try_after"].clone();
        assert_eq!(later == "7s", answer.contains("retry-after"), "{said:?}");
    }
}
