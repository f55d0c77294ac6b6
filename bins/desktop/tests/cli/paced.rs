//! Limits of requests over HTTP, kept by the real program against a real and hostile server.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write as _,
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    http::{Seen, answer, read},
    serve::Serving,
    support::User,
};

/// What a server does with one request.
enum Act {
    Answer(String),
    /// It keeps the connection and says nothing.
    Stall,
}

/// One line of the server's log.
#[derive(Debug)]
struct Logged {
    /// When the request was read.
    at: Instant,
    /// Its body: which element it is about.
    body: String,
    key: Option<String>,
}

/// Serves many connections at a time while `work` goes on; gives the log. `script` gets the body of the
/// request, and how often it came.
fn serving(
    script: impl Fn(&str, usize) -> Act + Sync,
    work: impl FnOnce(SocketAddr),
) -> Vec<Logged> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (log, held, over) = (
        Mutex::new(Vec::new()),
        Mutex::new(Vec::new()),
        AtomicBool::new(false),
    );
    let (script, log_, held_, over_) = (&script, &log, &held, &over);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for stream in listener.incoming() {
                if over_.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(mut stream) = stream else { continue };
                scope.spawn(move || {
                    let Ok(Some(request)) = read(&stream) else {
                        return;
                    };
                    let act = {
                        let mut log = log_.lock().unwrap();
                        log.push(logged(&request));
                        let body = &request.body;
                        script(body, log.iter().filter(|it| it.body == *body).count())
                    };
                    match act {
                        // A client that has gone away has what it deserves.
                        Act::Answer(text) => drop(stream.write_all(text.as_bytes())),
                        Act::Stall => held_.lock().unwrap().push(stream),
                    }
                });
            }
        });
        work(address);
        over.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(address));
    });
    log.into_inner().unwrap()
}

#[expect(
    clippy::disallowed_methods,
    reason = "a real server in a test: the limits are kept in real time"
)]
fn logged(request: &Seen) -> Logged {
    Logged {
        at: Instant::now(),
        body: request.body.clone(),
        key: request.header("idempotency-key").map(str::to_owned),
    }
}

fn ok() -> Act {
    Act::Answer(answer(200, "", "{}"))
}

/// Writes the settings of requests; `PORT` is that of the server.
fn settings(user: &User, address: SocketAddr, text: &str) {
    let config = user.home().join("config");
    fs::create_dir_all(&config).unwrap();
    let text = text.replace("PORT", &address.port().to_string());
    fs::write(config.join("nebula.toml"), text).unwrap();
}

/// Posts so many elements to the server, one request for each, with these fields of the node.
fn post(user: &User, address: SocketAddr, count: usize, fields: &str) -> Value {
    let text = format!(
        "nodes:
  - id: send
    action: http.request
    for_each: $input.items
    parameters: {{ method: POST, url: \"http://{address}/\", body: {{ text: \"{{{{ $item }}}}\" }} }}
    {fields}
"
    );
    user.write("w.yaml", &text);
    let items: Vec<_> = (0..count).map(|number| format!("e{number}")).collect();
    user.write(
        "input.json",
        &serde_json::json!({ "items": items }).to_string(),
    );
    let grant = format!("net:{address}");
    let said = user.nebula(&[
        "run",
        "w.yaml",
        "--input-json",
        "@input.json",
        "--grant",
        &grant,
    ]);
    let said = said.exits(0);
    said.json()
}

/// Checks that every element was posted, under one key of its own.
fn one_key_for_each(log: &[Logged], count: usize) {
    let mut keys: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for line in log {
        let key = line.key.as_deref().expect("each write has a key");
        keys.entry(&line.body).or_default().insert(key);
    }
    assert_eq!(keys.len(), count);
    assert!(keys.values().all(|keys| keys.len() == 1), "{keys:?}");
    let all: BTreeSet<_> = keys.values().flatten().collect();
    assert_eq!(all.len(), count, "no two share a key");
}

#[test]
fn a_rate_holds_against_a_server_that_fails_in_every_way() {
    const COUNT: usize = 12;
    let user = User::new();
    let script = |body: &str, times: usize| match (body, times) {
        ("e1", 1) => Act::Answer(answer(500, "", "{}")),
        ("e2", 1) => Act::Answer(answer(503, "Retry-After: 1\r\n", "{}")),
        ("e3", 1) => {
            let date = "Date: Sun, 22 Nov 2026 10:00:00 GMT\r\n";
            let until = "Retry-After: Sun, 22 Nov 2026 10:00:02 GMT\r\n";
            Act::Answer(answer(429, &format!("{date}{until}"), "{}"))
        }
        ("e4", 1) => {
            let whole = answer(200, "", r#"{ "long": "enough to be cut" }"#);
            Act::Answer(whole[..whole.len() - 9].to_owned())
        }
        ("e5", 1) => Act::Stall,
        ("e6", 1 | 2) => Act::Answer("HTTP/1.1 2".to_owned()),
        _ => ok(),
    };
    let log = serving(script, |address| {
        settings(
            &user,
            address,
            "[http]\nuse_breaker = false\n[http.hosts.\"127.0.0.1:PORT\"]\nrate = { limit = 5, per = \"1s\" }\nconcurrency = 3\n",
        );
        let fields = "retry: { max_attempts: 4, initial: 1ms, jitter: none }\n    timeout: 3s";
        let said = post(&user, address, COUNT, fields);
        assert_eq!(said["status"], "completed");
    });
    one_key_for_each(&log, COUNT);
    // Seven answers were none; each of them was made good once.
    assert_eq!(log.len(), COUNT + 7);
    // Five a second: from the first to the last, with a second for a machine that is slow.
    let least = Duration::from_millis(200) * u32::try_from(log.len() - 1).unwrap();
    let took = log.last().unwrap().at - log[0].at;
    assert!(
        took + Duration::from_secs(1) >= least,
        "{took:?} of {least:?}"
    );
    // Whoever was told to wait has waited.
    for (body, seconds) in [("e2", 1), ("e3", 2)] {
        let times: Vec<_> = log
            .iter()
            .filter(|it| it.body == body)
            .map(|it| it.at)
            .collect();
        assert!(
            times[1] - times[0] >= Duration::from_secs(seconds),
            "{body}: {times:?}"
        );
    }
}

#[test]
fn what_a_rate_puts_off_waits_as_a_timer_and_is_no_failure() {
    const COUNT: usize = 4;
    let user = User::new();
    let mut attempts = 0;
    let log = serving(
        |_, _| ok(),
        |address| {
            settings(
                &user,
                address,
                "[http]\nwait = \"0s\"\n[http.hosts.\"127.0.0.1\"]\nrate = { limit = 1, per = \"500ms\" }\n",
            );
            // One attempt each, and none of them fails.
            let said = post(&user, address, COUNT, "timeout: 20s");
            assert_eq!(said["status"], "completed");
            let id = said["execution"].as_str().unwrap();
            let replayed = user
                .nebula(&["executions", "replay", id, "--json"])
                .exits(0);
            for line in replayed.out.lines() {
                let entry: Value = serde_json::from_str(line).unwrap();
                attempts += usize::from(entry["fact"].to_string().contains("HTTP_RATE_LIMITED"));
            }
        },
    );
    one_key_for_each(&log, COUNT);
    assert_eq!(log.len(), COUNT, "what is put off is not sent");
    assert!(
        attempts >= COUNT - 1,
        "each but the first was put off at least once: {attempts}"
    );
    assert!(attempts <= 4 * COUNT, "nothing runs in circles: {attempts}");
}

#[test]
fn a_server_that_only_fails_is_left_alone() {
    let user = User::new();
    let log = serving(
        |_, _| Act::Answer(answer(500, "", "{}")),
        |address| {
            settings(
                &user,
                address,
                "[http.breaker]\nwindow = 4\nmin_calls = 4\ncool_down = \"1h\"\nmax_cool_down = \"1h\"\n",
            );
            let fields =
                "concurrency: 1\n    on_item_error: collect\n    retry: { max_attempts: 1 }";
            let said = post(&user, address, 10, fields);
            let output = &said["output"];
            let codes: Vec<_> = output["errors"]
                .as_array()
                .unwrap_or_else(|| panic!("{said}"))
                .iter()
                .map(|error| error["code"].as_str().unwrap().to_owned())
                .collect();
            assert_eq!(codes[..4], ["HTTP_500"; 4]);
            assert_eq!(codes[4..], ["HTTP_BREAKER_OPEN"; 6]);
        },
    );
    assert_eq!(log.len(), 4);
}

/// Guards: the state of a server's breakers, rates and bulkheads is asked of the server, and who does its
/// duties is in the database.
#[test]
fn a_doctor_sees_how_a_server_and_its_duties_stand() {
    let user = User::new();
    let failing = |_: &str, _: usize| Act::Answer(answer(500, "", "{}"));
    let log = serving(failing, |address| {
        settings(
            &user,
            address,
            "[http]\nconcurrency = 3\n[http.breaker]\nwindow = 2\nmin_calls = 2\ncool_down = \"1h\"\nmax_cool_down = \"1h\"\n[http.hosts.\"127.0.0.1:PORT\"]\nrate = { limit = 5, per = \"1h\", burst = 9 }\n",
        );
        let server = Serving::start(&user);
        let url = format!("http://{}", server.address);
        user.nebula_with(&["login", &url], &server.token).exits(0);
        let doctor = || user.nebula(&["doctor", "--server", &url]).exits(0).json();
        let before = doctor();
        assert_eq!(before["state"]["lanes"], serde_json::json!([]));
        let text = format!(
            "id: ask\nnodes:\n  - {{ id: a, action: http.request, parameters: {{ url: 'http://{address}/' }}, retry: {{ max_attempts: 1 }} }}\n"
        );
        let file = user.write("ask.yaml", &text);
        let push = [
            "workflows",
            "push",
            file.to_str().unwrap(),
            "--publish",
            "--server",
            &url,
        ];
        user.nebula(&push).exits(0);
        for _ in 0..3 {
            user.nebula(&["run", "ask", "--server", &url]).exits(1);
        }
        let told = doctor();
        let lanes = told["state"]["lanes"].as_array().unwrap();
        let [destination, host] = &lanes[..] else {
            panic!("{told}")
        };
        assert_eq!(destination["lane"]["host"], address.to_string());
        let gate = &destination["gate"];
        assert_eq!(
            (&gate["breaker"], &gate["bad"]),
            (&"open".into(), &2.into())
        );
        assert_eq!(
            (&gate["concurrency"], &gate["refused"]),
            (&3.into(), &1.into())
        );
        let rate = &host["gate"]["rate"];
        assert_eq!((&rate["burst"], &rate["left"]), (&9.into(), &7.into()));
        let warned = |check: &&Value| check["verdict"] == "warning" && check["check"] == "http";
        let warned = told["checks"].as_array().unwrap().iter().find(warned);
        let detail = warned.unwrap()["detail"].as_str().unwrap();
        let begins = format!("{address}: its breaker is open for another 3");
        assert!(detail.starts_with(&begins), "{detail}");
        // The same from the database, beside the server.
        let duty = |said: &Value| {
            let checks = said["checks"].as_array().unwrap();
            let duties = checks.iter().find(|check| check["check"] == "duties");
            duties.unwrap()["detail"].as_str().unwrap().to_owned()
        };
        let here = user.nebula(&["doctor"]).exits(0).json();
        let leads = "blobs.collect is done by the process ";
        assert!(duty(&here).starts_with(leads), "{here}");
        assert!(duty(&told).starts_with(leads), "{told}");
        drop(server);
        let gone = user.nebula(&["doctor", "--server", &url]).exits(3).json();
        assert_eq!(
            (&gone["healthy"], &gone["state"]),
            (&false.into(), &Value::Null)
        );
    });
    assert_eq!(log.len(), 2, "the third was not sent");
}

#[test]
fn wrong_limits_are_named_before_anything_runs() {
    let user = User::new();
    let address: SocketAddr = "127.0.0.1:9".parse().unwrap();
    settings(
        &user,
        address,
        "[http.hosts.\"https://a.example\"]\nconcurrency = 1\n",
    );
    user.write(
        "w.yaml",
        "nodes: [{ id: a, action: data.set, parameters: { a: 1 } }]\n",
    );
    let said = user.nebula(&["run", "w.yaml"]).exits(2);
    assert_eq!(said.error_code(), "SETTINGS");
    let said = said.says("`http.hosts` has the key `https://a.example`");
    drop(said);
    user.nebula(&["doctor", "--json"]).exits(3);
    settings(
        &user,
        address,
        "[http.hosts.\"a.example\"]\nconcurrency = 1\n",
    );
    let said = user.nebula(&["doctor", "--json"]).exits(0).json();
    let checks = said["checks"].as_array().unwrap();
    let http = checks
        .iter()
        .find(|check| check["check"] == "http")
        .unwrap();
    assert!(
        http["detail"]
            .as_str()
            .unwrap()
            .contains("1 hosts and 0 credentials"),
        "{http}"
    );
}
