//! Lifecycle webhooks: what an operator is told of executions, signed, whatever dies on the way.

use std::sync::{
    Mutex,
    mpsc::{Receiver as Told, channel},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use nebula_core::{Digest, Timestamp};
use serde_json::{Value, json};

use crate::{
    otlp::{Came, Receiver},
    serve::Serving,
    support::{User, in_doubt, wait_until},
};

const KEY: [u8; 32] = *b"an operator's key, of 32 bytes..";

/// HMAC-SHA256 as RFC 2104 writes it, with nothing of the program but its SHA-256.
fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let padded = |with: u8| -> Vec<u8> {
        (0..64)
            .map(|at| key.get(at).copied().unwrap_or(0) ^ with)
            .collect()
    };
    let inner = Digest::of(&[padded(0x36), message.to_vec()].concat());
    *Digest::of(&[padded(0x5c), inner.as_bytes().to_vec()].concat()).as_bytes()
}

/// Whether a receiver with these keys believes what came: one signature fits, and its time is near.
fn believes(keys: &[&[u8]], came: &Came) -> bool {
    let header = |name: &str| came.headers.get(name).cloned().unwrap_or_default();
    let (id, at) = (header("webhook-id"), header("webhook-timestamp"));
    let signed = [format!("{id}.{at}.").as_bytes(), &came.body].concat();
    let given = header("webhook-signature");
    let fits = given.split(' ').any(|one| {
        let right = |key: &&[u8]| one == format!("v1,{}", STANDARD.encode(hmac(key, &signed)));
        keys.iter().any(right)
    });
    let away = at.parse::<i64>().unwrap_or(0) - now();
    fits && away.abs() < 300 && !id.is_empty()
}

#[expect(
    clippy::disallowed_methods,
    reason = "a receiver has a clock of its own"
)]
fn now() -> i64 {
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    Timestamp::from_millis(since.as_millis() as i64).as_millis() / 1_000
}

fn secret(key: &[u8]) -> String {
    format!("whsec_{}", STANDARD.encode(key))
}

fn add(user: &User, key: &[u8]) {
    let add = ["credentials", "add", "ops", "--type", "webhook_signature"];
    let add = [&add[..], &["--hosts", "127.0.0.1"]].concat();
    user.nebula_with(&add, &secret(key)).exits(0);
}

fn publish(user: &User, id: &str, text: &str) {
    let file = format!("{id}.yaml");
    user.write(&file, text);
    user.nebula(&["workflows", "push", &file]).exits(0);
    let draft = format!("{id}@draft");
    user.nebula(&["workflows", "publish", &draft]).exits(0);
}

/// The template, towards this receiver.
fn tells(user: &User, receiver: &Receiver) {
    user.nebula(&["new", "lifecycle-webhook", "template.yaml"])
        .exits(0);
    let text = std::fs::read_to_string(user.work().join("template.yaml")).unwrap();
    let to = format!("http://{}/ops", receiver.address);
    let text = text
        .replace("https://ops.example/nebula", &to)
        .replace("initial: 5s", "initial: 10ms")
        .replace("max: 2h", "max: 200ms");
    publish(user, "lifecycle-webhook", &text);
}

fn bodies(receiver: &Receiver) -> Vec<Value> {
    let came = receiver.came();
    let bodies = came.iter().map(|it| serde_json::from_slice(&it.body));
    bodies.collect::<Result<_, _>>().unwrap()
}

const FAILS: &str = "id: shop\nnodes: [{ id: pay, action: flow.fail, parameters: { code: NO_MONEY, message: no money } }]\n";
const ASKS: &str = "id: letter\nnodes: [{ id: sign, action: flow.approval, parameters: { title: \"Send it?\", approvers: [ada] } }]\n";

/// What was announced is told once each, by the id that it keeps; a receiver with another key believes
/// none of it, and one that answers 503 first gets the same id again.
#[test]
fn an_operator_is_told_who_failed_ended_and_needs_somebody_and_can_believe_it() {
    let user = User::new();
    // The first delivery is refused once.
    let receiver = Receiver::new(|_, before| match before {
        1 => ("503 Busy", Vec::new()),
        _ => ("204 Fine", Vec::new()),
    });
    add(&user, &KEY);
    tells(&user, &receiver);
    let _server = Serving::start(&user);
    let doubt = in_doubt();
    for (name, text, code) in [
        ("shop.yaml", FAILS, 1),
        ("letter.yaml", ASKS, 4),
        ("doubt.yaml", &doubt, 4),
    ] {
        user.write(name, text);
        user.nebula(&["run", name, "--grant-requested"]).exits(code);
    }
    wait_until("all are told, the first one twice", || {
        receiver.came().len() >= 4
    });
    let letter = bodies(&receiver)
        .into_iter()
        .find(|it| it["data"]["workflow"] == "letter")
        .unwrap();
    let id = letter["data"]["execution"].as_str().unwrap();
    assert_eq!(
        (&letter["type"], &letter["data"]["needs"]["title"]),
        (&json!("execution.approval"), &json!("Send it?"))
    );
    assert_eq!(letter["data"]["needs"]["nodes"], json!(["sign"]));
    user.nebula(&["executions", "approve", id, "--by", "ada"])
        .exits(0);
    wait_until("its end is told", || receiver.came().len() >= 5);
    let parked = bodies(&receiver)
        .into_iter()
        .find(|it| it["type"] == "execution.parked");
    let needs = json!({ "decision": "indeterminate", "nodes": ["out"] });
    assert_eq!(parked.unwrap()["data"]["needs"], needs);

    let came = receiver.came();
    let (mut ids, mut said) = (Vec::new(), Vec::new());
    for (it, body) in came.iter().zip(bodies(&receiver)) {
        assert!(believes(&[&KEY], it), "{it:?}");
        assert!(!believes(&[b"another key, of 32 bytes........"], it));
        let changed = Came {
            body: b"{}".to_vec(),
            ..it.clone()
        };
        assert!(!believes(&[&KEY], &changed));
        assert_eq!(it.headers["webhook-id"], it.headers["idempotency-key"]);
        let id = it.headers["webhook-id"].clone();
        if !ids.contains(&id) {
            ids.push(id);
            said.push((body["type"].clone(), body["data"]["workflow"].clone()));
        }
    }
    assert_eq!((came.len(), ids.len()), (5, 4), "{came:?}");
    for expected in [
        ("execution.failed", "shop"),
        ("execution.approval", "letter"),
        ("execution.completed", "letter"),
        ("execution.parked", "doubt"),
    ] {
        let (kind, workflow) = expected;
        assert!(said.contains(&(json!(kind), json!(workflow))), "{said:?}");
    }
    let failed = bodies(&receiver)
        .into_iter()
        .find(|it| it["type"] == "execution.failed");
    assert_eq!(failed.unwrap()["data"]["error"]["code"], "NO_MONEY");
}

/// A receiver that holds the first delivery back until the test says so, and tells when it has come.
fn holds_back() -> (Receiver, Told<()>, std::sync::mpsc::Sender<()>) {
    let ((came, comes), (go, goes)) = (channel(), channel::<()>());
    let goes = Mutex::new(goes);
    let receiver = Receiver::new(move |_, before| {
        if before == 1 {
            came.send(()).unwrap();
            let _ = goes.lock().unwrap().recv();
        }
        ("204 Fine", Vec::new())
    });
    (receiver, comes, go)
}

/// SIGKILL after the receiver has it and before anybody knows that it has: it comes again, by the same id.
#[test]
fn a_delivery_that_a_killed_server_had_sent_comes_again_by_the_same_id() {
    let user = User::new();
    let config = user.home().join("config");
    std::fs::create_dir_all(&config).unwrap();
    let settings = "[worker]\nlease_ttl = \"3s\"\n";
    std::fs::write(config.join("nebula.toml"), settings).unwrap();
    let (receiver, comes, go) = holds_back();
    add(&user, &KEY);
    tells(&user, &receiver);
    let mut server = Serving::start(&user);
    user.write("shop.yaml", FAILS);
    user.nebula(&["run", "shop.yaml"]).exits(1);
    comes.recv_timeout(crate::support::BOUND).unwrap();
    server.process.kill().unwrap();
    server.process.wait().unwrap();
    go.send(()).unwrap();
    let _next = Serving::start(&user);
    wait_until("it comes again", || receiver.came().len() >= 2);
    let delivered = || {
        let list = ["executions", "list", "--status", "completed"];
        let listed = user.nebula(&list).exits(0).json();
        listed["executions"].as_array().unwrap().len()
    };
    wait_until("it was delivered", || delivered() == 1);
    let came = receiver.came();
    assert_eq!(came.len(), 2, "{came:?}");
    assert!(came.iter().all(|it| believes(&[&KEY], it)));
    assert_eq!(came[0].headers["webhook-id"], came[1].headers["webhook-id"]);
    assert_eq!(came[0].body, came[1].body);
}

/// One server tells another one, whose webhook verifies it; while the secret is replaced both sign, and
/// the wrong one is refused.
#[test]
fn a_webhook_of_ours_takes_what_is_signed_and_nothing_else() {
    let (sends, takes) = (User::new(), User::new());
    let next: [u8; 32] = *b"the next key, also of 32 bytes..";
    takes
        .nebula_with(&["secrets", "set", "partner"], &secret(&KEY))
        .exits(0);
    let hook = "id: told\ntriggers: [{ id: ops, type: webhook, auth: { type: standard_webhooks, secret: partner } }]\nnodes: [{ id: a, action: data.set, parameters: { n: \"{{ $input.n }}\" } }]\n";
    publish(&takes, "told", hook);
    let server = Serving::start(&takes);
    let listed = takes.nebula(&["triggers", "list"]).exits(0).json();
    // The server listens elsewhere than its settings say.
    let url = listed["triggers"][0]["url"].as_str().unwrap();
    let (_, path) = url.split_once("/hooks/").unwrap();
    let url = format!("http://{}/hooks/{path}", server.address);
    let says = format!(
        "nodes: [{{ id: say, action: http.request, credentials: {{ auth: ops }}, parameters: {{ method: POST, url: \"{url}\", body: {{ json: {{ n: 7 }} }} }} }}]\n"
    );
    sends.write("say.yaml", &says);
    let say = || sends.nebula(&["run", "say.yaml", "--grant-requested"]);
    let rotate = |fields: &[(&str, &[u8])]| {
        let mut rotate: Vec<String> = ["credentials", "rotate", "ops"].map(str::to_owned).into();
        for (field, key) in fields {
            let file = sends.write(field, &secret(key));
            rotate.extend(["--from".to_owned(), format!("{field}={}", file.display())]);
        }
        let rotate: Vec<_> = rotate.iter().map(String::as_str).collect();
        sends.nebula(&rotate).exits(0);
    };
    // A key of the other one only.
    add(&sends, &next);
    let refused = say().exits(1).json();
    assert!(
        refused["error"]["message"]
            .as_str()
            .unwrap()
            .contains("401"),
        "{refused}"
    );
    rotate(&[("secret", &next), ("previous", &KEY)]);
    let said = say().exits(0).json();
    let execution = said["nodes"]["say"][0]["output"]["body"]["execution"].clone();
    assert!(execution.is_string(), "{said}");
    // The one before ends where both are the new one.
    rotate(&[("previous", &next)]);
    say().exits(1);
    rotate(&[("secret", &KEY)]);
    say().exits(0);
    // What was let in is two executions, and no signature is in what they were told.
    let listed = takes.nebula(&["executions", "list"]).exits(0).json();
    assert_eq!(listed["executions"].as_array().unwrap().len(), 2);
    let journal = takes.nebula(&["executions", "replay", execution.as_str().unwrap()]);
    assert!(!journal.out.contains("v1,"), "{}", journal.out);
    drop(server);
}
