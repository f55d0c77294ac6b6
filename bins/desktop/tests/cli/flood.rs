//! Far more starts than are let in, offered at once to the program as it is delivered, over its database.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use serde_json::Value;

use crate::{
    serve::Serving,
    support::{BOUND, User, wait_until},
};

const STARTS: usize = 10_000;
const CONNECTIONS: usize = 400;
/// Each connection asks for so many without waiting for an answer.
const EACH: usize = STARTS / CONNECTIONS;

const GREET: &str = "id: greet\nnodes: [{ id: hello, action: data.set, parameters: { n: 1 } }]\n";
/// Fewer than are offered at once, both of those that are under way and of those in a second.
const LIMITS: &str = "[serve.limits]\nmax_starts = 200\nmax_requests = 500\n";

/// What became of one start.
#[derive(Debug, PartialEq, Eq)]
enum Answered {
    /// It has this id.
    Accepted(String),
    /// It may come again, for this reason.
    Refused(String),
    /// The connection was cut.
    Cut,
    /// Anything else.
    Wrong(String),
}

fn ready(user: &User) -> Serving {
    let folder = user.home().join("config");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("nebula.toml"), LIMITS).unwrap();
    let serving = Serving::start(user);
    let yaml = "content-type: application/yaml\r\nif-match: *\r\n";
    let path = "/api/v1/workflows/greet";
    assert_eq!(serving.ask("PUT", path, yaml, GREET).0, 201);
    let change = "content-type: application/json\r\nif-match: *\r\n";
    let path = "/api/v1/workflows/greet/publish";
    assert_eq!(serving.ask("POST", path, change, "{\"version\":1}").0, 200);
    serving
}

/// The requests of one connection, all at once; number `n` has a key of its own.
fn requests(numbers: &[usize], token: &str) -> String {
    let body = "{\"workflow\":\"greet\"}";
    let length = body.len();
    let one = |n: &usize| {
        format!(
            "POST /api/v1/executions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\
             content-type: application/json\r\nidempotency-key: flood-{n}\r\ncontent-length: {length}\r\n\r\n{body}"
        )
    };
    numbers.iter().map(one).collect()
}

fn answered(from: &mut BufReader<TcpStream>) -> std::io::Result<Answered> {
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let begin = head.len();
        if from.read_line(&mut head)? == 0 {
            return Ok(Answered::Cut);
        }
        let line = head[begin..].trim_end().to_ascii_lowercase();
        if let Some(text) = line.strip_prefix("content-length: ") {
            length = text.parse().unwrap();
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body)?;
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
    Ok(match head.split(' ').nth(1) {
        Some("201") => Answered::Accepted(text("execution")),
        Some("429") if head.to_ascii_lowercase().contains("\r\nretry-after: ") => {
            Answered::Refused(text("code"))
        }
        _ => Answered::Wrong(format!("{head}{body}")),
    })
}

/// Offers all of them, each connection its own at once; what became of each, by its number. `seen` counts
/// those that were accepted.
fn flood(address: &str, token: &str, seen: &AtomicUsize) -> BTreeMap<usize, Answered> {
    let all: Vec<usize> = (0..STARTS).collect();
    thread::scope(|scope| {
        let connection = |numbers: &[usize]| -> Vec<(usize, Answered)> {
            let connected = TcpStream::connect(address).and_then(|mut stream| {
                stream.set_read_timeout(Some(BOUND))?;
                stream.write_all(requests(numbers, token).as_bytes())?;
                Ok(BufReader::new(stream))
            });
            let Ok(mut from) = connected else {
                return numbers.iter().map(|n| (*n, Answered::Cut)).collect();
            };
            let next = |n: &usize| {
                let answered = answered(&mut from).unwrap_or(Answered::Cut);
                if matches!(answered, Answered::Accepted(_)) {
                    seen.fetch_add(1, Ordering::Relaxed);
                }
                (*n, answered)
            };
            numbers.iter().map(next).collect()
        };
        let parts = all.chunks(EACH).map(|numbers| {
            let small = thread::Builder::new().stack_size(256 * 1024);
            small
                .spawn_scoped(scope, move || connection(numbers))
                .unwrap()
        });
        let parts: Vec<_> = parts.collect();
        let ended = parts.into_iter().flat_map(|part| part.join().unwrap());
        ended.collect()
    })
}

fn accepted(all: &BTreeMap<usize, Answered>) -> BTreeSet<&str> {
    let ids = all.values().filter_map(|it| match it {
        Answered::Accepted(id) => Some(id.as_str()),
        _ => None,
    });
    ids.collect()
}

/// The ids of all executions in one of these statuses.
fn listed(serving: &Serving, statuses: &str) -> BTreeSet<String> {
    let (mut ids, mut cursor) = (BTreeSet::new(), String::new());
    loop {
        let path = format!("/api/v1/executions?limit=500&status={statuses}{cursor}");
        let (status, page) = serving.ask("GET", &path, "", "");
        if status == 429 {
            // What came before counts against the same caller.
            continue;
        }
        assert_eq!(status, 200, "{page}");
        let all = page["executions"].as_array().unwrap();
        ids.extend(
            all.iter()
                .map(|it| it["execution"].as_str().unwrap().to_owned()),
        );
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return ids,
        }
    }
}

fn settled(serving: &Serving) -> BTreeSet<String> {
    wait_until("none has more to do", || {
        listed(serving, "queued,running,waiting,paused").is_empty()
    });
    listed(serving, "completed")
}

#[test]
fn of_ten_thousand_starts_at_once_each_is_accepted_and_run_or_told_when_to_come_again() {
    let user = User::new();
    let serving = ready(&user);
    let all = flood(&serving.address, &serving.token, &AtomicUsize::new(0));
    assert_eq!(all.len(), STARTS);
    let strange = all
        .iter()
        .find(|(_, it)| matches!(it, Answered::Cut | Answered::Wrong(_)));
    assert_eq!(strange, None);
    let ids = accepted(&all);
    let refused = |code: &str| {
        let of = |it: &&Answered| **it == Answered::Refused(code.to_owned());
        all.values().filter(of).count()
    };
    let (starts, requests) = (refused("TOO_MANY_STARTS"), refused("TOO_MANY_REQUESTS"));
    assert_eq!(
        ids.len() + starts + requests,
        STARTS,
        "each has an id of its own, or a reason"
    );
    assert!(
        ids.len() >= 200 && requests > 0,
        "{} {starts} {requests}",
        ids.len()
    );
    let completed = settled(&serving);
    assert!(
        completed.iter().map(String::as_str).eq(ids),
        "none is lost, and none is more"
    );
}

/// Guards: an answer is given once the execution is in the store, and a repetition starts nothing twice.
#[test]
fn what_was_accepted_in_a_flood_survives_a_kill_in_the_middle() {
    let user = User::new();
    let serving = ready(&user);
    let seen = AtomicUsize::new(0);
    let (before, ended) = thread::scope(|scope| {
        let flood = scope.spawn(|| flood(&serving.address, &serving.token, &seen));
        wait_until("some are accepted", || seen.load(Ordering::Relaxed) >= 300);
        let process = rustix::process::Pid::from_child(&serving.process);
        rustix::process::kill_process(process, rustix::process::Signal::KILL).unwrap();
        let accepted = seen.load(Ordering::Relaxed);
        (flood.join().unwrap(), accepted)
    });
    drop(serving);
    let cut: Vec<usize> = before
        .iter()
        .filter(|(_, it)| **it == Answered::Cut)
        .map(|(n, _)| *n)
        .collect();
    assert!(
        !cut.is_empty() && ended >= 300,
        "it was killed in the middle"
    );
    let wrong = before.values().find(|it| matches!(it, Answered::Wrong(_)));
    assert_eq!(wrong, None);

    let serving = Serving::start(&user);
    let lost = accepted(&before);
    let completed = settled(&serving);
    let lost: Vec<_> = lost.iter().filter(|id| !completed.contains(**id)).collect();
    assert!(
        lost.is_empty(),
        "{} were accepted and are not there",
        lost.len()
    );
    // Those whose answer was cut: some are there, and asking again with the same key starts none of them twice.
    let some = &cut[..cut.len().min(100)];
    let json = "content-type: application/json\r\n";
    let mut again = BTreeSet::new();
    for n in some {
        let headers = format!("{json}idempotency-key: flood-{n}\r\n");
        let body = "{\"workflow\":\"greet\"}";
        let (status, it) = serving.ask("POST", "/api/v1/executions", &headers, body);
        // 200: it was there, and has ended since.
        assert!(matches!(status, 200..=202), "{status} {it}");
        again.insert(it["execution"].as_str().unwrap().to_owned());
    }
    assert_eq!(again.len(), some.len());
    let both: BTreeSet<String> = completed.union(&again).cloned().collect();
    assert_eq!(settled(&serving), both);
}
