//! Whoever is slow, large or many is held to the limits.

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use nebula_api::ApiConfig;
use nebula_core::{ByteSize, TenantId};
use nebula_engine::Awaited;
use nebula_execution::Status;
use nebula_ports::ExecutionFilter;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
};

use crate::support::{GREET, WAITS, World, token};

/// Sends these bytes, and reads until the server closes the connection.
async fn exchange(world: &World, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut all = Vec::new();
    // A server that closes with unread bytes before it resets the connection; what it said counts.
    let _ = stream.read_to_end(&mut all).await;
    String::from_utf8_lossy(&all).into_owned()
}

#[tokio::test]
async fn a_head_that_does_not_arrive_is_not_waited_for() {
    let config = ApiConfig {
        head_timeout: Duration::from_millis(50),
        ..ApiConfig::default()
    };
    let world = World::with(config).await;
    // It ends only if the server closes.
    exchange(&world, b"GET /health/live HTTP/1.1\r\nhost: local").await;
    assert_eq!(world.get("/health/live").await.status, 200);
    world.stopped().await;
}

#[tokio::test]
async fn a_body_that_drips_is_given_up() {
    let config = ApiConfig {
        body_timeout: Duration::from_millis(50),
        ..ApiConfig::default()
    };
    let world = World::with(config).await;
    let token = token();
    let head = format!(
        "POST /api/v1/executions HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: 100\r\n\r\n{{"
    );
    let answer = exchange(&world, head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("BODY_TOO_SLOW"), "{answer}");
    world.stopped().await;
}

#[tokio::test]
async fn what_is_too_large_is_refused_before_it_is_held() {
    let config = ApiConfig {
        max_body: ByteSize::kib(1),
        ..ApiConfig::default()
    };
    let world = World::with(config).await;
    let json = [("content-type", "application/json")];
    let large = vec![b' '; 1_025];
    let answer = world
        .send(Method::POST, "/api/v1/executions", &json, large)
        .await;
    answer.problem(413, "BODY_TOO_LARGE");
    // A length that is not said is counted.
    let token = token();
    let head = format!(
        "POST /api/v1/executions HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n401\r\n{}\r\n",
        " ".repeat(0x401)
    );
    let answer = exchange(&world, head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    let long = format!(
        "GET /health/live HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n",
        "x".repeat(40_000)
    );
    let answer = exchange(&world, long.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    let many = (0..101).fold(String::new(), |all, n| format!("{all}x{n}: y\r\n"));
    let many = format!("GET /health/live HTTP/1.1\r\nhost: localhost\r\n{many}\r\n");
    let answer = exchange(&world, many.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    // Two lengths mean two requests to two readers.
    let two = "POST /health/live HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab";
    assert!(
        exchange(&world, two.as_bytes())
            .await
            .starts_with("HTTP/1.1 400")
    );
    world.stopped().await;
}

#[tokio::test]
async fn starts_beyond_the_limit_are_refused_and_none_that_was_accepted_is_lost() {
    let config = ApiConfig {
        max_starts: 2,
        ..ApiConfig::default()
    };
    let world = World::with(config).await;
    world.publish("waits", WAITS).await;
    world.publish("greet", GREET).await;
    let waits = world.post(
        "/api/v1/executions?wait=30s",
        json!({ "workflow": "waits" }),
    );
    let other = world.post(
        "/api/v1/executions?wait=30s",
        json!({ "workflow": "waits" }),
    );
    let watch = async {
        // Both are under way.
        let both = loop {
            let listed = world.get("/api/v1/executions?status=waiting").await.ok(200);
            let listed = listed["executions"].as_array().unwrap().clone();
            if listed.len() == 2 {
                break listed;
            }
        };
        let start = json!({ "workflow": "greet", "input": { "name": "Ada" } });
        let refused = world.post("/api/v1/executions", start.clone()).await;
        assert_eq!(refused.header("retry-after"), "1");
        let problem = refused.problem(429, "TOO_MANY_STARTS");
        assert_eq!(problem["try_after"], "1s");
        for execution in both {
            let id = execution["execution"].as_str().unwrap();
            let path = format!("/api/v1/executions/{id}/signals");
            world.post(&path, json!({ "name": "paid" })).await.ok(200);
        }
        start
    };
    let (first, second, start) = tokio::join!(waits, other, watch);
    assert_eq!(first.ok(200)["status"], "completed");
    assert_eq!(second.ok(200)["status"], "completed");
    world.start(start).await;
    let listed = world.get("/api/v1/executions").await.ok(200);
    assert_eq!(listed["executions"].as_array().unwrap().len(), 3);
    world.stopped().await;
}

#[tokio::test]
async fn what_is_under_way_is_answered_before_the_server_ends() {
    let world = World::new().await;
    world.publish("greet", GREET).await;
    world.publish("waits", WAITS).await;
    let start = json!({ "workflow": "waits" });
    let waiting = world.post("/api/v1/executions?wait=300ms", start);
    let stop = async {
        loop {
            let listed = world.get("/api/v1/executions?status=waiting").await.ok(200);
            if !listed["executions"].as_array().unwrap().is_empty() {
                break;
            }
        }
        world.stop.cancel();
        // Nobody new is let in.
        while TcpStream::connect(world.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    let (answer, ()) = tokio::join!(waiting, stop);
    assert_eq!(answer.status, 202);
    world.stopped().await;
}

#[tokio::test]
async fn a_caller_who_asks_too_often_is_told_when_to_come_again() {
    let config = ApiConfig {
        max_requests: 2,
        ..ApiConfig::default()
    };
    let clock = nebula_testkit::ManualClock::default();
    let world = World::timed(config, std::sync::Arc::new(clock.clone())).await;
    let path = "/api/v1/actions";
    for left in ["r=1;t=1", "r=0;t=1"] {
        let answer = world.get(path).await;
        assert_eq!(answer.header("ratelimit-policy"), "\"caller\";q=2;w=1");
        assert_eq!(answer.header("ratelimit"), format!("\"caller\";{left}"));
        answer.ok(200);
    }
    let refused = world.get(path).await;
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(refused.header("ratelimit"), "\"caller\";r=0;t=1");
    refused.problem(429, "TOO_MANY_REQUESTS");
    // Nobody else pays for it, and who is nobody is told nothing of it.
    world.get("/health/live").await.ok(200);
    let nobody = world
        .raw(Method::GET, path, &[("host", "localhost")], "")
        .await;
    assert_eq!(nobody.header("ratelimit"), "");
    nobody.problem(401, "UNAUTHENTICATED");
    clock.advance(Duration::from_millis(500));
    let again = world.get(path).await;
    assert_eq!(again.header("ratelimit"), "\"caller\";r=0;t=1");
    again.ok(200);
    world.get(path).await.problem(429, "TOO_MANY_REQUESTS");
    world.stopped().await;
}

/// How many starts come at once, and over how many connections.
const FLOOD: usize = 1_024;
const CONNECTIONS: usize = 32;

/// Guards: more starts than there is room for are each told when to come again, by what refuses them (the
/// caller's rate, the queue of the workflow); and what was answered with an id is there, runs, and nothing
/// else does.
#[tokio::test]
async fn of_a_flood_of_starts_what_is_accepted_runs_and_the_rest_is_told_when_to_come_again() {
    let config = ApiConfig {
        max_requests: 40,
        ..ApiConfig::default()
    };
    let world = World::with(config).await;
    let narrow = "
id: narrow
admission: { concurrency: 4, when_full: queue, queue: 8 }
nodes: [{ id: a, action: flow.wait, parameters: { for: 200ms } }]
";
    world.publish("narrow", narrow).await;
    let bearer = format!("Bearer {}", token());
    let host = world.address.to_string();
    let mut floods = JoinSet::new();
    for connection in 0..CONNECTIONS {
        let (address, bearer, host) = (world.address, bearer.clone(), host.clone());
        floods.spawn(async move {
            let stream = TcpStream::connect(address).await.unwrap();
            let (mut send, open) = http1::handshake(TokioIo::new(stream)).await.unwrap();
            let mut opened = JoinSet::new();
            opened.spawn(open);
            let (mut accepted, mut refused) = (BTreeSet::new(), Vec::new());
            for n in 0..FLOOD / CONNECTIONS {
                let input = json!({ "n": connection * FLOOD + n });
                let body = json!({ "workflow": "narrow", "input": input }).to_string();
                let request = Request::post("/api/v1/executions")
                    .header("host", &host)
                    .header("authorization", &bearer)
                    .header("content-type", "application/json")
                    .body(Full::new(Bytes::from(body)))
                    .unwrap();
                send.ready().await.unwrap();
                let response = send.send_request(request).await.unwrap();
                let (head, body) = response.into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                let body: Value = serde_json::from_slice(&body).unwrap();
                match head.status.as_u16() {
                    201 => {
                        let id = body["execution"].as_str().unwrap().to_owned();
                        assert!(accepted.insert(id), "an id was given twice");
                    }
                    429 => {
                        let after = head.headers["retry-after"].to_str().unwrap();
                        assert!(after.parse::<u64>().unwrap() >= 1);
                        refused.push(body["code"].as_str().unwrap().to_owned());
                    }
                    status => panic!("{status}: {body}"),
                }
            }
            drop(send);
            let _ = opened.join_next().await;
            (accepted, refused)
        });
    }
    let (mut accepted, mut refused) = (BTreeSet::new(), Vec::new());
    while let Some(flood) = floods.join_next().await {
        let (more, no) = flood.unwrap();
        accepted.extend(more);
        refused.extend(no);
    }
    assert_eq!(
        accepted.len() + refused.len(),
        FLOOD / CONNECTIONS * CONNECTIONS
    );
    assert!(!accepted.is_empty());
    let known = ["TOO_MANY_REQUESTS", "ADMISSION_FULL"];
    assert!(
        refused.iter().all(|it| known.contains(&&**it)),
        "{refused:?}"
    );
    for code in known {
        assert!(refused.iter().any(|it| it == code), "{code}: nobody");
    }
    // By the engine, since the API counts what is asked of it.
    let (engine, tenant) = (world.nebula.engine(), TenantId::local());
    for id in &accepted {
        let id = id.parse().unwrap();
        let halts = world.nebula.bus().wait_for(id);
        let end = engine.end(&tenant, id, halts, None).await.unwrap();
        assert!(matches!(end, Awaited::End(_)), "{id} was accepted: {end:?}");
    }
    let (mut there, mut after) = (BTreeSet::new(), None);
    loop {
        let filter = ExecutionFilter::default();
        let page = engine.list(&tenant, &filter, after.as_ref(), 500).await;
        let page = page.unwrap();
        for it in page.items {
            assert_eq!(it.status, Status::Completed);
            there.insert(it.id.to_string());
        }
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    assert_eq!(there, accepted);
    world.stopped().await;
}
