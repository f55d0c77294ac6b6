//! Streams of events.

use std::time::Duration;

use nebula_api::ApiConfig;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::support::{ASKS, GREET, WAITS, World, token};

/// A stream that is read bit by bit.
struct Watching {
    stream: TcpStream,
    seen: String,
}

impl Watching {
    async fn open(world: &World, path: &str, more: &str) -> Self {
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        let token = token();
        let head = format!(
            "GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n{more}\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        Self {
            stream,
            seen: String::new(),
        }
    }

    /// Reads until this was seen.
    async fn until(&mut self, text: &str) -> &str {
        let mut buffer = [0; 4_096];
        while !self.seen.contains(text) {
            let read = self.stream.read(&mut buffer).await.unwrap();
            assert!(read > 0, "the stream ended: {}", self.seen);
            self.seen
                .push_str(&String::from_utf8_lossy(&buffer[..read]));
        }
        &self.seen
    }

    fn ids(&self) -> Vec<u64> {
        let ids = self
            .seen
            .lines()
            .filter_map(|line| line.strip_prefix("id: "));
        ids.map(|id| id.parse().unwrap()).collect()
    }
}

#[tokio::test]
async fn an_execution_is_told_from_its_beginning_to_its_end() {
    let world = World::new().await;
    world.publish("waits", WAITS).await;
    let id = world.start(json!({ "workflow": "waits" })).await;
    world.until(&id, "waiting").await;
    let path = format!("/api/v1/executions/{id}/events");
    let mut first = Watching::open(&world, &path, "").await;
    let seen = first.until("event: node_listening").await;
    assert!(seen.contains("content-type: text/event-stream"), "{seen}");
    assert!(seen.contains("event: started"), "{seen}");
    assert!(seen.contains("\"instance\":\"paid\""), "{seen}");
    let last = *first.ids().last().unwrap();
    drop(first);

    // It goes on after the last event that was seen, also with what happened in between.
    let signals = format!("/api/v1/executions/{id}/signals");
    world
        .post(&signals, json!({ "name": "paid" }))
        .await
        .ok(200);
    world.until(&id, "completed").await;
    let more = format!("last-event-id: {last}\r\n");
    let mut second = Watching::open(&world, &path, &more).await;
    // Its end is the end of the stream.
    let seen = second.until("\r\n0\r\n\r\n").await;
    assert!(seen.contains("event: ended"), "{seen}");
    assert!(!seen.contains("event: started"), "{seen}");
    let shown = world.until(&id, "completed").await;
    let rest: Vec<u64> = (last + 1..=shown["entries"].as_u64().unwrap()).collect();
    assert_eq!(second.ids(), rest);
    let wrong = world
        .send(http::Method::GET, &path, &[("last-event-id", "x")], "")
        .await;
    wrong.problem(400, "BAD_EVENT_ID");
    world.stopped().await;
}

#[tokio::test]
async fn everything_of_a_workflow_is_told_and_nothing_of_others() {
    let world = World::new().await;
    world.publish("waits", WAITS).await;
    world.publish("greet", GREET).await;
    let path = "/api/v1/events?workflow=greet";
    let mut watching = Watching::open(&world, path, "").await;
    watching.until("\r\n\r\n").await;
    world.start(json!({ "workflow": "waits" })).await;
    let greeted = json!({ "workflow": "greet", "input": { "name": "Ada" } });
    let id = world.start(greeted).await;
    let seen = watching.until("event: ended").await;
    assert!(seen.contains(&id) && !seen.contains("waits"), "{seen}");
    world.stopped().await;
}

/// Guards: a stream of approvals tells of these alone, from the question to its end.
#[tokio::test]
async fn what_is_asked_of_people_is_told_until_it_is_decided() {
    let world = World::new().await;
    world.publish("asks", ASKS).await;
    world.publish("greet", GREET).await;
    let mut watching = Watching::open(&world, "/api/v1/approvals/events", "").await;
    watching.until("\r\n\r\n").await;
    let greeted = json!({ "workflow": "greet", "input": { "name": "Ada" } });
    let other = world.start(greeted).await;
    world.until(&other, "completed").await;
    let id = world.start(json!({ "workflow": "asks" })).await;
    let seen = watching.until("event: node_asking").await;
    assert!(
        !seen.contains("event: started") && !seen.contains(&other),
        "{seen}"
    );
    let votes = format!("/api/v1/executions/{id}/votes");
    let vote = json!({ "choice": "approve", "by": "ann" });
    world.post(&votes, vote).await.ok(200);
    let seen = watching.until("event: node_succeeded").await;
    assert!(
        seen.contains("event: voted") && seen.contains(&id),
        "{seen}"
    );
    world.until(&id, "completed").await;
    let second = world.start(json!({ "workflow": "asks" })).await;
    watching.until(&second).await;
    let cancel = format!("/api/v1/executions/{second}/cancel");
    world.post(&cancel, json!({})).await.ok(200);
    let seen = watching.until("event: ended").await;
    assert!(!seen.contains("event: started"), "{seen}");
    world.stopped().await;
}

#[tokio::test]
async fn a_stream_says_that_it_is_there_and_ends_with_the_server() {
    let config = ApiConfig {
        keep_alive: Duration::from_millis(10),
        max_watchers: 1,
        ..ApiConfig::default()
    };
    let world = World::with(config).await;
    let mut watching = Watching::open(&world, "/api/v1/events", "").await;
    watching.until("\n:").await;
    let second = world.get("/api/v1/events").await;
    assert!(!second.header("retry-after").is_empty());
    second.problem(429, "TOO_MANY_WATCHERS");
    world.stop.cancel();
    watching.until("\r\n0\r\n\r\n").await;
    world.stopped().await;
}
