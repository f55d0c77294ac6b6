//! Webhooks over HTTP: who may call, what is taken, and one execution for each delivery.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use nebula_api::ApiConfig;
use nebula_core::{Clock as _, SecretId, TenantId};
use nebula_ports::SecretsStore as _;
use nebula_testkit::ManualClock;
use ring::hmac;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
};

use crate::support::{Answer, World};

const JSON: (&str, &str) = ("content-type", "application/json");

/// A workflow that is called, with these fields of its trigger.
fn called(fields: &str) -> String {
    format!(
        "id: called\ntriggers:\n  - {{ id: hook, type: webhook, {fields} }}\n\
         nodes:\n  - {{ id: a, action: data.set, parameters: {{ got: '{{{{ $trigger }}}}', input: '{{{{ $input }}}}' }} }}\n\
         output: '{{{{ $nodes.a.result }}}}'\n"
    )
}

const BASE: &str = "/api/v1/workflows/called/triggers";

/// Publishes it, and says the path of its address, without what it has below.
async fn hooked(world: &World, fields: &str) -> String {
    world.publish("called", &called(fields)).await;
    address(world).await
}

async fn address(world: &World) -> String {
    let listed = world.get(BASE).await.ok(200);
    let hook = listed["triggers"][0]["hook"].as_str().unwrap();
    let id = hook
        .trim_start_matches("/hooks/")
        .split('/')
        .next()
        .unwrap();
    format!("/hooks/{id}")
}

impl World {
    /// Calls as somebody out there does.
    pub(crate) async fn deliver(
        &self,
        method: Method,
        path: &str,
        more: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let host = self.address.to_string();
        let mut headers = vec![("host", host.as_str())];
        headers.extend(more);
        self.raw(method, path, &headers, body.to_owned()).await
    }

    async fn secret(&self, id: &str, value: &str) {
        let id = SecretId::new(id).unwrap();
        let tenant = TenantId::local();
        let _ = self.secrets.set(&tenant, &id, value.into()).await.unwrap();
    }

    async fn count(&self) -> usize {
        let listed = self.get("/api/v1/executions?limit=500").await.ok(200);
        listed["executions"].as_array().unwrap().len()
    }
}

fn signed(time: i64, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"shared key");
    let tag = hmac::sign(&key, format!("{time}.{body}").as_bytes());
    tag.as_ref().iter().map(|it| format!("{it:02x}")).collect()
}

const SIGNED: &str =
    "auth: { type: hmac, secret: shared, header: X-Signature, timestamp: X-Time, window: 5m }";

#[tokio::test]
async fn a_delivery_starts_an_execution_that_sees_it_without_what_opens_anything() {
    let world = World::new().await;
    world.secret("pass", "hunter2").await;
    let fields = "path: 'orders/{order}', methods: [PUT, GET], respond: last_node, auth: { type: basic, user: shop, secret: pass }";
    let hook = hooked(&world, fields).await;
    let path = format!("{hook}/orders/a%2Fb?x=1&x=2&y=z");
    let basic = ("authorization", "Basic c2hvcDpodW50ZXIy");
    let got = world
        .deliver(
            Method::PUT,
            &path,
            &[JSON, basic, ("x-other", "seen")],
            "{\"n\":7}",
        )
        .await;
    let got = got.ok(200);
    assert_eq!(got["input"], json!({ "n": 7 }));
    let told = &got["got"];
    assert_eq!(
        (&told["method"], &told["params"]),
        (&json!("PUT"), &json!({ "order": "a/b" }))
    );
    assert_eq!(told["query"], json!({ "x": ["1", "2"], "y": "z" }));
    assert_eq!(
        (&told["headers"]["x-other"], &told["body"]["n"]),
        (&json!("seen"), &json!(7))
    );
    assert_eq!(told["headers"]["authorization"], "[redacted]");
    // The journal has nothing of it either.
    let listed = world.get("/api/v1/executions").await.ok(200);
    let id = listed["executions"][0]["execution"]
        .as_str()
        .unwrap()
        .to_owned();
    let journal = world
        .get(&format!("/api/v1/executions/{id}/journal"))
        .await
        .text();
    assert!(journal.contains("orders") || journal.contains("a/b"));
    assert!(!journal.contains("c2hvcDpodW50ZXIy") && !journal.contains("hunter2"));
    // Without a body, by another method.
    let got = world
        .deliver(Method::GET, &path, &[basic], "")
        .await
        .ok(200);
    assert_eq!(got["got"]["body"], Value::Null);
    world.stopped().await;
}

#[tokio::test]
async fn what_is_not_taken_starts_nothing_and_says_why() {
    let world = World::new().await;
    world.secret("key", "k1").await;
    let fields = "path: in, filter: '$trigger.body.n > 0', max_body: 100 B, cors: ['https://shop.example'], \
                  body_schema: { type: object, required: [n], properties: { n: { type: integer } } }, \
                  auth: { type: header, name: X-Key, secret: key }";
    let hook = hooked(&world, fields).await;
    let path = format!("{hook}/in");
    let key = ("x-key", "k1");
    let post = async |headers: &[(&str, &str)], body: &str| {
        world.deliver(Method::POST, &path, headers, body).await
    };
    let right = "{\"n\":1}";
    post(&[JSON], right).await.problem(401, "HOOK_REFUSED");
    post(&[JSON, ("x-key", "k2")], right)
        .await
        .problem(401, "HOOK_REFUSED");
    post(&[JSON, key, key], right)
        .await
        .problem(401, "HOOK_REFUSED");
    post(&[("content-type", "text/plain"), key], right)
        .await
        .problem(415, "UNSUPPORTED_MEDIA_TYPE");
    post(&[key], right)
        .await
        .problem(415, "UNSUPPORTED_MEDIA_TYPE");
    post(&[JSON, key], "{").await.problem(400, "BAD_BODY");
    post(
        &[JSON, key],
        &format!("{{\"n\":1,\"x\":\"{}\"}}", "x".repeat(100)),
    )
    .await
    .problem(413, "BODY_TOO_LARGE");
    let misfit = post(&[JSON, key], "{\"n\":\"1\"}")
        .await
        .problem(422, "BODY_INVALID");
    assert_eq!(misfit["problems"][0]["pointer"], "/n");
    post(&[JSON, key, ("origin", "https://evil.example")], right)
        .await
        .problem(403, "HOOK_ORIGIN");
    world
        .deliver(Method::GET, &path, &[key], "")
        .await
        .problem(405, "METHOD_NOT_ALLOWED");
    for other in [
        hook.clone(),
        format!("{path}/more"),
        format!("{hook}0/in"),
        "/hooks/x/in".to_owned(),
        "/hooks/".to_owned(),
    ] {
        let answer = world
            .deliver(Method::POST, &other, &[JSON, key], right)
            .await;
        assert_eq!(answer.status, 404, "{other}");
    }
    assert_eq!(
        post(&[JSON, key], "{\"n\":0}").await.ok(200),
        json!({ "execution": null })
    );
    assert_eq!(world.count().await, 0);
    assert!(post(&[JSON, key], right).await.ok(202)["execution"].is_string());
    // Pages of the shop may, and their browsers are told so.
    let shop = ("origin", "https://shop.example");
    let asked = world
        .deliver(
            Method::OPTIONS,
            &path,
            &[shop, ("access-control-request-headers", "x-key")],
            "",
        )
        .await;
    assert_eq!(
        (
            asked.status.as_u16(),
            asked.header("access-control-allow-origin")
        ),
        (204, "https://shop.example")
    );
    assert_eq!(
        (
            asked.header("access-control-allow-methods"),
            asked.header("access-control-allow-headers")
        ),
        ("POST", "x-key")
    );
    let from = post(&[JSON, key, shop], right).await;
    assert_eq!(
        (
            from.status.as_u16(),
            from.header("access-control-allow-origin")
        ),
        (202, "https://shop.example")
    );
    assert_eq!(world.count().await, 2);
    // A secret that is gone opens nothing.
    let id = SecretId::new("key").unwrap();
    let _ = world.secrets.delete(&TenantId::local(), &id).await.unwrap();
    post(&[JSON, key], right).await.problem(401, "HOOK_REFUSED");
    world.stopped().await;
}

#[tokio::test]
async fn a_list_of_addresses_keeps_others_out() {
    let world = World::new().await;
    let hook = hooked(&world, "auth: none, ips: [192.0.2.0/24]").await;
    let refused = world
        .deliver(
            Method::POST,
            &hook,
            &[JSON, ("x-forwarded-for", "192.0.2.1")],
            "{}",
        )
        .await;
    refused.problem(403, "HOOK_ADDRESS");
    let hook = hooked(&world, "auth: none, ips: [127.0.0.0/8]").await;
    world
        .deliver(Method::POST, &hook, &[JSON], "{}")
        .await
        .ok(202);
    world.stopped().await;
}

#[tokio::test]
async fn a_signed_delivery_that_is_replayed_is_answered_with_the_first_and_a_stale_one_refused() {
    let clock = Arc::new(ManualClock::default());
    let world = World::timed(ApiConfig::default(), clock.clone()).await;
    world.secret("shared", "shared key").await;
    // What is not signed makes no other delivery of it: the body has no `id`.
    let hook = hooked(&world, &format!("{SIGNED}, dedupe: '$trigger.body?.id'")).await;
    let now = clock.now().as_millis() / 1_000;
    let send = async |time: i64, signature: &str, body: &str, more: &str| {
        let time = time.to_string();
        let headers = [JSON, ("x-time", &*time), ("x-signature", signature)];
        world
            .deliver(Method::POST, &format!("{hook}{more}"), &headers, body)
            .await
    };
    let first = send(now, &signed(now, "{}"), "{}", "").await.ok(202);
    for more in ["", "?id=2"] {
        let replayed = send(now, &signed(now, "{}").to_uppercase(), "{}", more).await;
        assert_eq!(replayed.header("idempotency-replayed"), "true");
        assert_eq!(replayed.ok(200), first);
    }
    send(now, &signed(now, "{}"), "{ }", "")
        .await
        .problem(401, "HOOK_REFUSED");
    send(now, "00", "{}", "").await.problem(401, "HOOK_REFUSED");
    assert_eq!(world.count().await, 1);
    // One second later it is another one; with a key in the body it is not.
    assert_ne!(
        send(now + 1, &signed(now + 1, "{}"), "{}", "")
            .await
            .ok(202),
        first
    );
    let keyed = send(now, &signed(now, "{\"id\":1}"), "{\"id\":1}", "")
        .await
        .ok(202);
    let again = send(now + 1, &signed(now + 1, "{\"id\":1}"), "{\"id\":1}", "").await;
    assert_eq!(again.ok(200), keyed);
    clock.advance(std::time::Duration::from_secs(301));
    let stale = send(now, &signed(now, "{}"), "{}", "")
        .await
        .problem(401, "HOOK_REFUSED");
    assert!(
        stale["detail"]
            .as_str()
            .unwrap()
            .contains("further away than 5m"),
        "{stale}"
    );
    assert_eq!(world.count().await, 3);
    drop(world);
}

#[tokio::test]
async fn of_ten_thousand_deliveries_with_duplicates_each_key_starts_one_execution() {
    const KEYS: usize = 1_000;
    let world = World::idle().await;
    let hook = hooked(&world, "auth: none, dedupe: $trigger.body.id").await;
    let mut started: Vec<Option<Value>> = vec![None; KEYS];
    let mut new = 0;
    // Ten callers at a time, and each key ten times.
    let callers = futures_util::future::join_all((0..10).map(async |at: usize| {
        let stream = TcpStream::connect(world.address).await.unwrap();
        let (mut send, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        let mut open = JoinSet::new();
        open.spawn(connection);
        let mut answers = Vec::new();
        for round in 0..1_000 {
            let key = (round * 7 + at * 389) % KEYS;
            let request = Request::post(&hook)
                .header("host", "localhost")
                .header(JSON.0, JSON.1);
            let body = format!("{{\"id\":{key},\"at\":{round}}}");
            let request = request.body(Full::<Bytes>::from(body)).unwrap();
            let response = send.send_request(request).await.unwrap();
            let status = response.status();
            let body = response.into_body().collect().await.unwrap().to_bytes();
            let body: Value = serde_json::from_slice(&body).unwrap();
            answers.push((key, status, body["execution"].clone()));
        }
        answers
    }));
    for (key, status, execution) in callers.await.into_iter().flatten() {
        new += usize::from(status == 202);
        assert!(
            execution.is_string() && (status == 202 || status == 200),
            "{status}"
        );
        let known = started[key].get_or_insert_with(|| execution.clone());
        assert_eq!(*known, execution, "{key}");
    }
    assert_eq!(new, KEYS);
    assert!(started.iter().all(Option::is_some));
    let mut ids: Vec<_> = started.iter().flatten().map(Value::to_string).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), KEYS);
    world.stopped().await;
}

#[tokio::test]
async fn an_address_stays_through_publications_is_rotated_and_goes_with_its_trigger() {
    let world = World::new().await;
    let first = hooked(&world, "auth: none").await;
    assert_eq!(first.len(), "/hooks/".len() + 64);
    // What the next version takes, counts from its publication on.
    assert_eq!(hooked(&world, "auth: none, method: PUT").await, first);
    world
        .deliver(Method::POST, &first, &[JSON], "{}")
        .await
        .problem(405, "METHOD_NOT_ALLOWED");
    world
        .deliver(Method::PUT, &first, &[JSON], "{}")
        .await
        .ok(202);
    let rotate = async |grace: &str| {
        world
            .post(&format!("{BASE}/hook/rotate"), json!({ "grace": grace }))
            .await
    };
    let rotated = rotate("1h").await.ok(200);
    let second = address(&world).await;
    assert_eq!(rotated["hook"], json!(second));
    assert!(rotated["previous_hook_until"].is_string() && second != first);
    for hook in [&first, &second] {
        world
            .deliver(Method::PUT, hook, &[JSON], "{}")
            .await
            .ok(202);
    }
    rotate("0s").await.ok(200);
    let third = address(&world).await;
    for gone in [&first, &second] {
        world
            .deliver(Method::PUT, gone, &[JSON], "{}")
            .await
            .problem(404, "UNKNOWN_HOOK");
    }
    rotate("31d").await.problem(400, "BAD_BODY");
    // Paused it starts nothing; nobody fires it, since nobody has called.
    world
        .post(&format!("{BASE}/hook/pause"), Value::Null)
        .await
        .ok(200);
    let paused = world.deliver(Method::PUT, &third, &[JSON], "{}").await;
    assert_eq!(paused.header("retry-after"), "60");
    paused.problem(503, "HOOK_PAUSED");
    world
        .post(&format!("{BASE}/hook/fire"), Value::Null)
        .await
        .problem(409, "TRIGGER_CALLED");
    world
        .post(&format!("{BASE}/hook/unpause"), Value::Null)
        .await
        .ok(200);
    // Archived or without it, there is nothing at the address.
    world
        .post("/api/v1/workflows/called/archive", Value::Null)
        .await
        .ok(200);
    world
        .deliver(Method::PUT, &third, &[JSON], "{}")
        .await
        .problem(404, "UNKNOWN_HOOK");
    world
        .post("/api/v1/workflows/called/unarchive", Value::Null)
        .await
        .ok(200);
    world
        .deliver(Method::PUT, &third, &[JSON], "{}")
        .await
        .ok(202);
    world
        .publish("called", "id: called\nnodes: [{ id: a, action: data.set }]")
        .await;
    world
        .deliver(Method::PUT, &third, &[JSON], "{}")
        .await
        .problem(404, "UNKNOWN_HOOK");
    world.stopped().await;
}

#[tokio::test]
async fn an_answer_waits_for_the_end_as_long_as_it_may() {
    let world = World::new().await;
    let waits = "id: called\ntriggers: [{ id: hook, type: webhook, auth: none, respond: last_node, wait: 10ms }]\n\
                 nodes: [{ id: a, action: flow.wait, parameters: { signal: go } }]";
    world.publish("called", waits).await;
    let hook = address(&world).await;
    let late = world
        .deliver(Method::POST, &hook, &[JSON], "{}")
        .await
        .ok(202);
    assert!(late["execution"].is_string());
    let fails = "id: called\ntriggers: [{ id: hook, type: webhook, auth: none, respond: last_node }]\n\
                 nodes: [{ id: a, action: flow.fail, parameters: { message: private } }]";
    world.publish("called", fails).await;
    let failed = world.deliver(Method::POST, &hook, &[JSON], "{}").await;
    let failed = failed.problem(500, "EXECUTION_FAILED");
    assert!(!failed.to_string().contains("private"));
    world.stopped().await;
}

const RESPONDS: &str = "
id: called
triggers: [{ id: hook, type: webhook, auth: none, dedupe: $trigger.body.id, respond: respond_node }]
nodes:
  - { id: made, action: flow.respond, parameters: { status: 201, headers: { location: '/orders/{{ $input.id }}', x-shop: north }, body: { id: '{{ $input.id }}' } } }
  - { id: waits, action: flow.wait, parameters: { signal: go } }
  - { id: late, action: flow.respond, parameters: { body: too late } }
";

#[tokio::test]
async fn a_node_answers_while_the_execution_goes_on_and_a_repetition_has_the_same_answer() {
    let world = World::new().await;
    world.publish("called", RESPONDS).await;
    let hook = address(&world).await;
    for replayed in ["", "true"] {
        let answer = world
            .deliver(Method::POST, &hook, &[JSON], "{\"id\":7}")
            .await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("location")),
            (201, "/orders/7")
        );
        assert_eq!(
            (
                answer.header("x-shop"),
                answer.header("idempotency-replayed")
            ),
            ("north", replayed)
        );
        // The API may have the same origin: nothing that a workflow gives has rights there.
        assert_eq!(answer.header("content-security-policy"), "sandbox");
        assert_eq!(answer.ok(201), json!({ "id": 7 }));
    }
    // Nobody sets cookies for the server; what is literal is refused before.
    let cookie = RESPONDS.replace("x-shop", "set-cookie");
    let headers = [("content-type", "application/yaml"), ("if-match", "*")];
    let refused = world
        .send(Method::PUT, "/api/v1/workflows/called", &headers, cookie)
        .await;
    refused.problem(422, "DEFINITION_INVALID");
    let silent = "id: called\ntriggers: [{ id: hook, type: webhook, auth: none, respond: respond_node }]\n\
                  nodes: [{ id: a, action: flow.respond, when: 'false' }]";
    world.publish("called", silent).await;
    let answer = world.deliver(Method::POST, &hook, &[JSON], "{}").await;
    answer.problem(500, "NO_RESPONSE");
    world.stopped().await;
}

#[tokio::test]
async fn an_answer_comes_piece_by_piece() {
    let world = World::new().await;
    world
        .publish("called", &RESPONDS.replace("respond_node", "stream"))
        .await;
    let hook = address(&world).await;
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    let head = format!(
        "POST {hook} HTTP/1.1\r\nhost: localhost\r\naccept-encoding: gzip\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: 8\r\n\r\n{{\"id\":7}}"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let (mut seen, mut buffer) = (String::new(), [0; 4_096]);
    while !seen.contains("{\"id\":7}\n") {
        let read = stream.read(&mut buffer).await.unwrap();
        assert!(read > 0, "{seen}");
        seen.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
    assert!(
        seen.contains(" 201 ") && seen.contains("content-type: application/x-ndjson"),
        "{seen}"
    );
    assert!(!seen.contains("too late"));
    let listed = world.get("/api/v1/executions").await.ok(200);
    let id = listed["executions"][0]["execution"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("/api/v1/executions/{id}/signals");
    world.post(&path, json!({ "name": "go" })).await.ok(200);
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    assert!(String::from_utf8_lossy(&rest).contains("too late"));
    world.until(&id, "completed").await;
    world.stopped().await;
}
