//! Workflows that start by themselves under `nebula serve`, and `nebula triggers`.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Child, Stdio},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    time::Duration,
};

use serde_json::json;

use crate::{
    broker::Broker,
    http::{Seen, answer, serving},
    support::{User, wait_until, wait_until_within},
};

const TICKS: &str = "id: ticks\ntriggers: [{ id: t, type: interval, every: 1s, misfire: skip, input: { at: \"{{ $trigger.scheduled_at }}\" } }]\nnodes: [{ id: a, action: data.set, parameters: { at: \"{{ $input.at }}\" } }]\n";

/// A server that ends with its test.
struct Serving(Child);

impl Serving {
    fn start(user: &User) -> Self {
        Self::at(user).0
    }

    /// The server, and where it listens.
    fn at(user: &User) -> (Self, String) {
        let mut process = user
            .command(&["serve", "--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut out = BufReader::new(process.stdout.take().unwrap());
        out.read_line(&mut line).unwrap();
        let told: serde_json::Value = serde_json::from_str(&line).unwrap();
        let url = told["url"].as_str().unwrap();
        let address = url.trim_start_matches("http://").to_owned();
        (Self(process), address)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn completed(user: &User) -> usize {
    let listed = user.nebula(&["executions", "list", "--limit", "1000"]);
    let listed = listed.exits(0).json();
    let all = listed["executions"].as_array().unwrap();
    all.iter().filter(|it| it["status"] == "completed").count()
}

#[test]
fn a_trigger_that_another_process_publishes_is_fired_by_the_server_and_paused_by_a_third() {
    let user = User::new();
    let server = Serving::start(&user);
    let file = user.write("ticks.yaml", TICKS);
    let file = file.to_str().unwrap();
    user.nebula(&["workflows", "push", file]).exits(0);
    let none = user.nebula(&["triggers", "list"]).exits(0).json();
    assert_eq!(none["triggers"], json!([]));
    user.nebula(&["workflows", "publish", "ticks@draft"])
        .exits(0);
    wait_until("three occurrences have completed", || completed(&user) >= 3);
    let listed = user.nebula(&["triggers", "list", "ticks"]).exits(0).json();
    let one = &listed["triggers"][0];
    assert_eq!(
        (&one["workflow"], &one["trigger"]),
        (&json!("ticks"), &json!("t"))
    );
    assert!(one["last"].is_string() && one["due"].is_string(), "{one}");

    let paused = user.nebula(&["triggers", "pause", "ticks", "t"]).exits(0);
    assert_eq!(paused.json()["paused"], true);
    drop(server);
    let before = user.nebula(&["triggers", "list"]).exits(0).json();
    let _again = Serving::start(&user);
    let fired = user
        .nebula(&["triggers", "fire", "ticks", "t"])
        .exits(0)
        .json();
    let id = fired["execution"].as_str().unwrap().to_owned();
    wait_until("what was fired by hand has completed", || {
        let shown = user.nebula(&["executions", "show", &id]).json();
        shown["status"] == "completed"
    });
    // Nothing moved it meanwhile.
    let after = user.nebula(&["triggers", "list"]).exits(0).json();
    assert_eq!(
        before["triggers"][0]["settled_through"],
        after["triggers"][0]["settled_through"]
    );
    let goes = user.nebula(&["triggers", "unpause", "ticks", "t"]).exits(0);
    assert!(goes.json()["due"].is_string());
}

#[test]
fn a_range_is_made_up_for_once_and_what_is_unknown_says_how_to_go_on() {
    let user = User::new();
    let file = user.write("ticks.yaml", &TICKS.replace("every: 1s", "every: 1h"));
    let file = file.to_str().unwrap();
    user.nebula(&["workflows", "push", file]).exits(0);
    let early = user.nebula(&["triggers", "fire", "ticks", "t"]).exits(2);
    assert_eq!(early.error_code(), "UNKNOWN_TRIGGER");
    user.nebula(&["workflows", "publish", "ticks@draft"])
        .exits(0);
    let range = [
        "--from",
        "2026-01-01T00:00:00Z",
        "--to",
        "2026-01-01T02:00:00Z",
    ];
    let backfill = [&["triggers", "backfill", "ticks", "t"][..], &range].concat();
    for existed in [false, true] {
        let done = user.nebula(&backfill).exits(0).json();
        let all = done["occurrences"].as_array().unwrap();
        assert_eq!(all.len(), 2);
        assert!(all.iter().all(|it| it["existed"] == existed), "{done}");
    }
    let long = [
        "--from",
        "2020-01-01T00:00:00Z",
        "--to",
        "2026-01-01T02:00:00Z",
    ];
    let long = [&["triggers", "backfill", "ticks", "t"][..], &long].concat();
    let refused = user.nebula(&long).exits(2);
    assert_eq!(refused.error_code(), "BACKFILL_TOO_LONG");
}

#[test]
fn a_webhook_has_a_url_that_is_called_and_replaced() {
    let user = User::new();
    let (server, address) = Serving::at(&user);
    let text = "id: called\ntriggers: [{ id: hook, type: webhook, path: in, auth: none }]\nnodes: [{ id: a, action: data.set }]\n";
    let file = user.write("called.yaml", text);
    user.nebula(&["workflows", "push", file.to_str().unwrap(), "--publish"])
        .exits(0);
    let url = |one: &serde_json::Value| one["url"].as_str().unwrap().to_owned();
    let listed = user.nebula(&["triggers", "list"]).exits(0).json();
    let first = url(&listed["triggers"][0]);
    assert!(
        first.starts_with("http://127.0.0.1:7400/hooks/") && first.ends_with("/in"),
        "{first}"
    );
    // The server of this test has a port of its own.
    let deliver = |url: &str| {
        let path = &url["http://127.0.0.1:7400".len()..];
        let mut stream = TcpStream::connect(&address).unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{{}}"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split(' ').nth(1).unwrap().to_owned()
    };
    assert_eq!(deliver(&first), "202");
    wait_until("what was delivered has completed", || completed(&user) == 1);
    let rotated = user.nebula(&["triggers", "rotate", "called", "hook", "--grace", "0s"]);
    let second = url(&rotated.exits(0).json());
    assert_eq!(
        (deliver(&first), deliver(&second)),
        ("404".to_owned(), "202".to_owned())
    );
    let fired = user
        .nebula(&["triggers", "fire", "called", "hook"])
        .exits(2);
    assert_eq!(fired.error_code(), "TRIGGER_CALLED");
    drop(server);
}

/// Each file once, also those that come while no server runs, and over servers that are killed.
#[test]
fn files_of_a_watched_folder_start_an_execution_each() {
    let user = User::new();
    let inbox = user.work().join("inbox");
    std::fs::create_dir(&inbox).unwrap();
    std::fs::write(inbox.join("old.csv"), "old").unwrap();
    let text = "id: take\ntriggers: [{ id: t, type: file, path: inbox, pattern: \"*.csv\", settle: 0s, every: 1s }]\nnodes: [{ id: a, action: data.set, parameters: { name: \"{{ $input.name }}\", size: \"{{ $input.size }}\" } }]\noutput: \"{{ $nodes.a.result }}\"\n";
    let file = user.write("take.yaml", text);
    user.nebula(&["workflows", "push", file.to_str().unwrap()])
        .exits(0);
    user.nebula(&["workflows", "publish", "take@draft"])
        .exits(0);
    let taken = || -> Vec<String> {
        let listed = user.nebula(&["executions", "list", "--limit", "1000"]);
        let listed = listed.exits(0).json();
        let all = listed["executions"].as_array().unwrap().iter();
        let mut names: Vec<_> = all
            .filter(|it| it["status"] == "completed")
            .map(|it| {
                let id = it["execution"].as_str().unwrap();
                let output =
                    user.nebula(&["executions", "show", id]).exits(0).json()["output"].clone();
                format!("{} {}", output["name"].as_str().unwrap(), output["size"])
            })
            .collect();
        names.sort();
        names
    };
    let mut server = Serving::start(&user);
    let looked = || {
        let listed = user.nebula(&["triggers", "list", "take"]).exits(0).json();
        listed["triggers"][0]["settled_through"].clone()
    };
    let before = looked();
    wait_until("the folder was looked at", || looked() != before);
    let mut expected = Vec::new();
    for life in 0..3 {
        for n in 0..3 {
            let (name, content) = (format!("{life}-{n}.csv"), "x".repeat(n));
            std::fs::write(inbox.join(&name), content).unwrap();
            std::fs::write(inbox.join(format!("{life}-{n}.tmp")), "no").unwrap();
            expected.push(format!("{name} {n}"));
        }
        // Killed right after they came, and once they were taken.
        drop(server);
        server = Serving::start(&user);
        wait_until("each was taken", || taken().len() >= expected.len());
    }
    let again = looked();
    wait_until("it was looked at again", || looked() != again);
    assert_eq!(taken(), expected);
    drop(server);

    std::fs::rename(&inbox, user.work().join("elsewhere")).unwrap();
    let _server = Serving::start(&user);
    wait_until("it is said that the folder is gone", || {
        let listed = user.nebula(&["triggers", "list", "take"]).exits(0).json();
        let why = listed["triggers"][0]["left_out"]["why"].clone();
        why.as_str()
            .is_some_and(|why| why.starts_with("could not look: ") && why.contains("inbox"))
    });
    let fired = user.nebula(&["triggers", "fire", "take", "t"]).exits(2);
    assert_eq!(fired.error_code(), "TRIGGER_WATCHES");
}

/// Each order once, over servers that are killed, while a look is under way and after it.
#[test]
fn what_is_new_where_a_trigger_looks_starts_an_execution_each() {
    let user = User::new();
    let (orders, broken) = (AtomicUsize::new(2), AtomicBool::new(false));
    let script = |seen: &[Seen]| match (broken.load(SeqCst), seen.len() % 5) {
        // What fails now and then is asked again in the same look.
        (true, _) | (false, 4) => answer(500, "", "{}"),
        _ => {
            let there = orders.load(SeqCst);
            // Its newest ones only.
            let all: Vec<_> = (there.saturating_sub(4)..there)
                .map(|n| json!({ "id": n, "at": format!("2026-03-01T00:{n:02}:00Z") }))
                .collect();
            answer(200, "", &json!({ "orders": all }).to_string())
        }
    };
    let seen = serving(script, |address| {
        let text = format!(
            "id: take
triggers:
  - id: t
    type: poll
    every: 1s
    timeout: 2s
    look:
      action: http.request
      parameters: {{ url: 'http://{address}/orders', query: {{ since: '{{{{ $trigger.cursor.time ?? 0 }}}}' }} }}
      requires: ['net:{address}']
    items: $json.body.orders
    cursor: {{ time: $item.at }}
nodes: [{{ id: a, action: data.set, parameters: {{ id: '{{{{ $input.id }}}}' }} }}]
output: '{{{{ $nodes.a.result.id }}}}'
"
        );
        let file = user.write("take.yaml", &text);
        user.nebula(&["workflows", "push", file.to_str().unwrap(), "--publish"])
            .exits(0);
        let taken = || -> Vec<u64> {
            let listed = user.nebula(&["executions", "list", "--limit", "1000"]);
            let listed = listed.exits(0).json();
            let all = listed["executions"].as_array().unwrap().iter();
            let mut ids: Vec<_> = all
                .filter(|it| it["status"] == "completed")
                .map(|it| {
                    let id = it["execution"].as_str().unwrap();
                    let shown = user.nebula(&["executions", "show", id]).exits(0).json();
                    shown["output"].as_u64().unwrap()
                })
                .collect();
            ids.sort_unstable();
            ids
        };
        let looked = || {
            let listed = user.nebula(&["triggers", "list", "take"]).exits(0).json();
            let trigger = &listed["triggers"][0];
            (
                trigger["settled_through"].clone(),
                trigger["left_out"]["why"].clone(),
            )
        };
        let mut server = Serving::start(&user);
        let before = looked();
        wait_until("it was looked at", || looked() != before);
        for life in 1..=3 {
            for n in 1..=4 {
                orders.store(life * 4 + n - 2, SeqCst);
            }
            drop(server);
            server = Serving::start(&user);
            wait_until("each was taken", || taken().len() >= life * 4);
        }
        broken.store(true, SeqCst);
        wait_until("a failure is said", || {
            let (_, why) = looked();
            why.as_str()
                .is_some_and(|why| why.starts_with("could not look: HTTP_"))
        });
        broken.store(false, SeqCst);
        wait_until("it is looked at again", || looked().1.is_null());
        assert_eq!(taken(), (2..14).collect::<Vec<_>>());
        let fired = user.nebula(&["triggers", "fire", "take", "t"]).exits(2);
        assert_eq!(fired.error_code(), "TRIGGER_WATCHES");
        drop(server);
    });
    assert!(
        seen.iter()
            .any(|it| it.line.starts_with("GET /orders?since=2026-03-01T00")),
        "{seen:?}"
    );
}

/// Each message once, over servers that are killed and a broker that stops, with what the trigger says of which
/// one it is.
#[test]
fn messages_of_a_broker_start_an_execution_each() {
    let Some(mut broker) = Broker::of("ada", "wrench") else {
        return;
    };
    let user = User::new();
    user.nebula_with(&["secrets", "set", "mqtt"], "wrench")
        .exits(0);
    let address = broker.address();
    let text = format!(
        "id: take
triggers:
  - {{ id: t, type: mqtt, broker: 'mqtt://{address}', topics: ['shop/+/orders'], user: ada, secret: mqtt, payload: json, dedupe: $trigger.payload.n, input: {{ n: '{{{{ $trigger.payload.n }}}}', topic: '{{{{ $trigger.topic }}}}' }} }}
nodes: [{{ id: a, action: data.set, parameters: {{ n: '{{{{ $input.n }}}}' }} }}]
output: '{{{{ $nodes.a.result.n }}}}'
"
    );
    let file = user.write("take.yaml", &text);
    user.nebula(&["workflows", "push", file.to_str().unwrap(), "--publish"])
        .exits(0);
    let why = || {
        let listed = user.nebula(&["triggers", "list", "take"]).exits(0).json();
        listed["triggers"][0]["left_out"]["why"].clone()
    };
    let mut server = Serving::start(&user);
    // Nobody has subscribed before: what comes then is nobody's.
    let claimed = || {
        let listed = user.nebula(&["triggers", "list", "take"]).exits(0).json();
        listed["triggers"][0]["settled_through"].clone()
    };
    let before = claimed();
    wait_until("somebody listens", || claimed() != before);
    wait_until("the first message is taken", || {
        broker.publish(
            "shop/north/orders",
            json!({ "n": 0 }).to_string().as_bytes(),
        );
        completed(&user) == 1
    });
    let sent = 40;
    for n in 1..=sent {
        broker.publish(
            "shop/north/orders",
            json!({ "n": n }).to_string().as_bytes(),
        );
        if n == sent / 2 {
            // In the middle of them; the next one listens once its time is over.
            drop(server);
            server = Serving::start(&user);
        }
    }
    let minute = Duration::from_mins(1);
    wait_until_within(minute, "each was taken", || completed(&user) > sent);
    broker.publish(
        "shop/north/orders",
        json!({ "n": sent }).to_string().as_bytes(),
    );
    broker.publish("shop/north/orders", b"{");
    wait_until("what cannot be read is said", || {
        why()
            .as_str()
            .is_some_and(|why| why.contains("`shop/north/orders` is no JSON"))
    });
    broker.stop();
    wait_until("it is said that the broker is gone", || {
        why()
            .as_str()
            .is_some_and(|why| why.starts_with("could not listen: "))
    });
    broker.restart();
    broker.publish(
        "shop/south/orders",
        json!({ "n": sent + 1 }).to_string().as_bytes(),
    );
    wait_until("it listens again", || completed(&user) == sent + 2);
    assert_eq!(why(), json!(null));
    let fired = user.nebula(&["triggers", "fire", "take", "t"]).exits(2);
    assert_eq!(fired.error_code(), "TRIGGER_LISTENS");
    drop(server);
}
