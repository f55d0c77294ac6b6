//! Streams of events.

use std::time::Duration;

use nebula_api::ApiConfig;
use nebula_core::Clock as _;
use nebula_system::SystemClock;
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
        while !self.seen.contains(text) {
            self.more().await;
        }
        &self.seen
    }

    /// Reads once.
    async fn more(&mut self) {
        let mut buffer = [0; 4_096];
        let read = self.stream.read(&mut buffer).await.unwrap();
        assert!(read > 0, "the stream ended: {}", self.seen);
        let text = String::from_utf8_lossy(&buffer[..read]);
        self.seen.push_str(&text);
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

/// The last id of a stream of changes.
fn last_id(seen: &str) -> &str {
    let mut ids = seen.lines().filter_map(|line| line.strip_prefix("id: "));
    ids.next_back().expect("an event with an id")
}

/// How an execution stood when it was told last.
fn told_last(seen: &str, id: &str) -> Option<String> {
    let told = seen.lines().filter_map(|line| line.strip_prefix("data: "));
    let told = told.filter_map(|data| serde_json::from_str::<serde_json::Value>(data).ok());
    let mut of = told.filter(|it| it["execution"]["execution"] == id);
    of.next_back()
        .map(|it| it["execution"]["status"].as_str().unwrap().to_owned())
}

const CHANGES: &str = "/api/v1/changes";

/// Guards: the stream begins now, `Last-Event-ID` goes on behind it, and what happened in between is told
/// once, as it stands.
#[tokio::test]
async fn what_changes_is_told_from_where_somebody_stopped() {
    let world = World::new().await;
    world.publish("waits", WAITS).await;
    world.publish("greet", GREET).await;
    let greeted = || json!({ "workflow": "greet", "input": { "name": "Ada" } });
    let before = world.start(greeted()).await;
    world.until(&before, "completed").await;
    let mut first = Watching::open(&world, CHANGES, "").await;
    let seen = first.until("event: cursor\n").await;
    assert!(seen.contains("content-type: text/event-stream"), "{seen}");
    let waits = world.start(json!({ "workflow": "waits" })).await;
    let seen = first.until("\"status\":\"waiting\"").await.to_owned();
    assert_eq!(told_last(&seen, &waits).as_deref(), Some("waiting"));
    assert!(!seen.contains(&before), "it begins now: {seen}");
    let last = last_id(&seen).to_owned();
    drop(first);

    let signals = format!("/api/v1/executions/{waits}/signals");
    let paid = json!({ "name": "paid" });
    world.post(&signals, paid).await.ok(200);
    world.until(&waits, "completed").await;
    let greeted = world.start(greeted()).await;
    world.until(&greeted, "completed").await;
    let more = format!("last-event-id: {last}\r\n");
    let mut second = Watching::open(&world, CHANGES, &more).await;
    second.until(&waits).await;
    let seen = second.until(&greeted).await.to_owned();
    for id in [&waits, &greeted] {
        assert_eq!(told_last(&seen, id).as_deref(), Some("completed"), "{seen}");
        assert_eq!(seen.matches(&**id).count(), 1, "{seen}");
    }
    assert!(!seen.contains("event: cursor"), "it goes on: {seen}");

    // Of one workflow alone.
    let path = format!("{CHANGES}?workflow=waits");
    let mut third = Watching::open(&world, &path, &more).await;
    let seen = third.until(&waits).await.to_owned();
    assert!(!seen.contains(&greeted), "{seen}");
    let long = "9".repeat(101);
    let wrong = world
        .send(http::Method::GET, CHANGES, &[("last-event-id", &long)], "")
        .await;
    wrong.problem(400, "BAD_EVENT_ID");
    world.stopped().await;
}

/// Guards: who cannot be told what it missed gets `lost`, and goes on from there.
#[tokio::test]
async fn who_cannot_catch_up_is_told_so_and_goes_on() {
    let world = World::new().await;
    world.publish("greet", GREET).await;
    let more = "last-event-id: of-another-store\r\n";
    let mut watching = Watching::open(&world, CHANGES, more).await;
    watching.until("event: lost\n").await;
    let last = last_id(&watching.seen).to_owned();
    let greeted = json!({ "workflow": "greet", "input": { "name": "Ada" } });
    let id = world.start(greeted).await;
    watching.until("\"status\":\"completed\"").await;
    assert_eq!(told_last(&watching.seen, &id).as_deref(), Some("completed"));
    let more = format!("last-event-id: {last}\r\n");
    let mut again = Watching::open(&world, CHANGES, &more).await;
    again.until("\"status\":\"completed\"").await;
    assert!(!again.seen.contains("event: lost"), "{}", again.seen);
    world.stopped().await;
}

/// Guards: the store is read for all who watch, and not for each.
#[tokio::test]
async fn many_who_watch_cost_the_store_what_one_does() {
    const WATCHERS: usize = 40;
    const EXECUTIONS: usize = 5;
    let world = World::new().await;
    world.publish("greet", GREET).await;
    let mut watching = Vec::new();
    for _ in 0..WATCHERS {
        let mut one = Watching::open(&world, CHANGES, "").await;
        one.until("event: cursor\n").await;
        watching.push(one);
    }
    let asked = || world.executions.changes_asked();
    let opened = asked();
    assert!(opened <= 3 * WATCHERS, "{opened}");
    let clock = SystemClock::default();
    let began = clock.monotonic();
    for n in 0..EXECUTIONS {
        let greeted = json!({ "workflow": "greet", "input": { "name": format!("Ada {n}") } });
        let id = world.start(greeted).await;
        for one in &mut watching {
            while told_last(&one.seen, &id).as_deref() != Some("completed") {
                one.more().await;
            }
        }
    }
    // Each would have to read for each of them; one reads four times a second.
    let took = clock.monotonic() - began;
    let most = WATCHERS + usize::try_from(took.as_millis() / 250).unwrap();
    let read = asked() - opened;
    assert!(
        read <= most && most < WATCHERS * EXECUTIONS,
        "{read} of {most}"
    );
    drop(watching);
    world.stopped().await;
}

/// Guards: nobody waits for a watcher that reads nothing, and it misses nothing when it does.
#[tokio::test]
async fn a_watcher_that_reads_nothing_holds_up_nobody() {
    let world = World::new().await;
    world.publish("greet", GREET).await;
    let mut slow = Watching::open(&world, CHANGES, "").await;
    slow.until("event: cursor\n").await;
    let mut ids = Vec::new();
    for n in 0..300 {
        let greeted = json!({ "workflow": "greet", "input": { "name": format!("Ada {n}") } });
        ids.push(world.start(greeted).await);
    }
    for id in &ids {
        world.until(id, "completed").await;
    }
    for id in &ids {
        slow.until(id).await;
    }
    while ids
        .iter()
        .any(|id| told_last(&slow.seen, id).as_deref() != Some("completed"))
    {
        slow.more().await;
    }
    assert!(!slow.seen.contains("event: lost"));
    world.stopped().await;
}
