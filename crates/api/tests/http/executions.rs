//! Starting, waiting, looking, telling.

use http::Method;
use serde_json::{Value, json};

use crate::support::{GREET, WAITS, World};

const JSON: (&str, &str) = ("content-type", "application/json");

fn greet(name: &str) -> Value {
    json!({ "workflow": "greet", "input": { "name": name } })
}

#[tokio::test]
async fn a_start_that_waits_is_answered_with_the_result() {
    let world = World::new().await;
    world.publish("greet", GREET).await;
    let done = world
        .post("/api/v1/executions?wait=30s", greet("Ada"))
        .await;
    let path = done.header("location").to_owned();
    let done = done.ok(200);
    assert_eq!(done["status"], "completed");
    assert_eq!(done["output"], json!({ "text": "Hi Ada" }));

    let shown = world.get(&path).await.ok(200);
    assert_eq!(
        (&shown["workflow"], &shown["version"]),
        (&json!("greet"), &json!(1))
    );
    assert_eq!(shown["status"], "completed");
    let report = world.get(&format!("{path}/report")).await.ok(200);
    assert_eq!(report["nodes"]["hello"][0]["status"], "succeeded");
    let output = world.get(&format!("{path}/output")).await.ok(200);
    assert_eq!(output["output"], json!({ "text": "Hi Ada" }));

    let mut seqs = Vec::new();
    let mut from = json!(1);
    while let Some(next) = from.as_u64() {
        let path = format!("{path}/journal?limit=1&from={next}");
        let page = world.get(&path).await.ok(200);
        let entries = page["entries"].as_array().unwrap().clone();
        seqs.extend(entries.iter().map(|it| it["seq"].as_u64().unwrap()));
        from = page["next"].clone();
    }
    let all: Vec<u64> = (1..=shown["entries"].as_u64().unwrap()).collect();
    assert_eq!(seqs, all);
    world.stopped().await;
}

/// Guards: no entry but those that there are, no node but those of the workflow.
#[tokio::test]
async fn a_journal_is_gone_through_once_more() {
    let world = World::new().await;
    world.publish("greet", GREET).await;
    let done = world
        .post("/api/v1/executions?wait=30s", greet("Ada"))
        .await;
    let path = format!("{}/replay", done.header("location"));
    let all = world.get(&path).await;
    assert_eq!(all.header("content-type"), "application/x-ndjson");
    let lines = |text: &[u8]| -> Vec<Value> {
        let lines = text
            .split(|byte| *byte == b'\n')
            .filter(|it| !it.is_empty());
        lines
            .map(|it| serde_json::from_slice(it).unwrap())
            .collect()
    };
    let steps = lines(&all.body);
    assert_eq!(steps[0]["ready"], json!(["hello"]));
    let last = steps.last().unwrap()["seq"].as_u64().unwrap();
    assert_eq!(last, steps.len() as u64);
    let of_node = world.get(&format!("{path}?node=hello")).await;
    assert_eq!(lines(&of_node.body).len(), steps.len());
    let began = world.get(&format!("{path}/1?node=hello")).await.ok(200);
    assert_eq!(began["nodes"]["hello"][0]["status"], "ready");
    let ended = world.get(&format!("{path}/{last}")).await.ok(200);
    assert_eq!(ended["output"], json!({ "text": "Hi Ada" }));
    for (rest, status, code) in [
        ("/0", 404, "UNKNOWN_ENTRY"),
        ("/99", 404, "UNKNOWN_ENTRY"),
        ("/1?node=helo", 404, "UNKNOWN_NODE"),
        ("?node=helo", 404, "UNKNOWN_NODE"),
        ("/x", 400, "BAD_PATH"),
    ] {
        let answer = world.get(&format!("{path}{rest}")).await;
        answer.problem(status, code);
    }
    world.stopped().await;
}

#[tokio::test]
async fn what_does_not_end_in_time_goes_on_under_its_id() {
    let world = World::new().await;
    world.publish("waits", WAITS).await;
    let start = json!({ "workflow": "waits" });
    let late = world
        .post("/api/v1/executions?wait=50ms", start.clone())
        .await;
    let path = late.header("location").to_owned();
    let id = late.ok(202)["execution"].as_str().unwrap().to_owned();
    assert_eq!(path, format!("/api/v1/executions/{id}"));
    world.until(&id, "waiting").await;

    let body = json!({ "name": "paid", "id": "7", "payload": { "euro": 3 } });
    let sent = world
        .post(&format!("{path}/signals"), body.clone())
        .await
        .ok(200);
    assert_eq!(sent["duplicate"], false);
    let shown = world.until(&id, "completed").await;
    assert!(shown["entries"].as_u64().unwrap() > 2);
    let output = world.get(&format!("{path}/output")).await.ok(200);
    assert!(
        output["output"].to_string().contains("\"euro\":3"),
        "{output}"
    );
    // Nobody hears it any more.
    world
        .post(&format!("{path}/signals"), json!({ "name": "paid" }))
        .await
        .problem(409, "EXECUTION_ENDED");

    // The same with a key takes the way over a creation of its own.
    let keyed = [JSON, ("idempotency-key", "k-1")];
    let late = world
        .send(
            Method::POST,
            "/api/v1/executions?wait=50ms",
            &keyed,
            start.to_string(),
        )
        .await;
    late.ok(202);
    world.stopped().await;
}

#[tokio::test]
async fn a_key_starts_once() {
    let world = World::new().await;
    world.publish("greet", GREET).await;
    let send = async |path: &str, key: &str, name: &str| {
        let headers = [JSON, ("idempotency-key", key)];
        let body = greet(name).to_string();
        world.send(Method::POST, path, &headers, body).await
    };
    let plain = "/api/v1/executions";
    let first = send(plain, "k", "Ada").await;
    assert_eq!(first.header("idempotency-replayed"), "");
    let id = first.ok(201)["execution"].clone();
    world.until(id.as_str().unwrap(), "completed").await;
    let second = send(plain, "k", "Ada").await;
    assert_eq!(second.header("idempotency-replayed"), "true");
    let second = second.ok(200);
    assert_eq!(
        (&second["execution"], &second["status"]),
        (&id, &json!("completed"))
    );
    let waited = send("/api/v1/executions?wait=10s", "k", "Ada")
        .await
        .ok(200);
    assert_eq!(waited["output"], json!({ "text": "Hi Ada" }));
    send(plain, "k", "Bob")
        .await
        .problem(422, "IDEMPOTENCY_KEY_REUSED");
    assert_ne!(send(plain, "l", "Ada").await.ok(201)["execution"], id);
    for wrong in ["", "a b", &"k".repeat(201), "ä"] {
        send(plain, wrong, "Ada")
            .await
            .problem(400, "BAD_IDEMPOTENCY_KEY");
    }
    let listed = world.get("/api/v1/executions").await.ok(200);
    assert_eq!(listed["executions"].as_array().unwrap().len(), 2);
    world.stopped().await;
}

#[tokio::test]
async fn executions_are_listed_page_by_page_newest_first() {
    let world = World::new().await;
    world.publish("greet", GREET).await;
    world.publish("waits", WAITS).await;
    let mut ids = Vec::new();
    for name in ["a", "b", "c"] {
        let id = world.start(greet(name)).await;
        world.until(&id, "completed").await;
        ids.push(id);
    }
    let waiting = world.start(json!({ "workflow": "waits" })).await;
    world.until(&waiting, "waiting").await;

    let mut seen = Vec::new();
    let mut path = "/api/v1/executions?workflow=greet&limit=2".to_owned();
    loop {
        let page = world.get(&path).await.ok(200);
        let page_ids = page["executions"].as_array().unwrap();
        seen.extend(
            page_ids
                .iter()
                .map(|it| it["execution"].as_str().unwrap().to_owned()),
        );
        let Some(next) = page["next"].as_str() else {
            break;
        };
        path = format!("/api/v1/executions?workflow=greet&limit=2&cursor={next}");
    }
    ids.reverse();
    assert_eq!(seen, ids);
    let some = world
        .get("/api/v1/executions?status=waiting,paused")
        .await
        .ok(200);
    assert_eq!(some["executions"][0]["execution"], waiting);
    assert_eq!(some["executions"].as_array().unwrap().len(), 1);
    let none = world
        .get("/api/v1/executions?until=2001-01-01T00:00:00Z")
        .await
        .ok(200);
    assert_eq!(none["executions"], json!([]));
    let all = world
        .get("/api/v1/executions?since=2001-01-01T00:00:00Z")
        .await
        .ok(200);
    assert_eq!(all["executions"].as_array().unwrap().len(), 4);
    world.stopped().await;
}

#[tokio::test]
async fn executions_are_found_by_their_labels_and_by_a_text() {
    let world = World::new().await;
    world.publish("greet", GREET).await;
    let mut ids = Vec::new();
    for labels in [
        json!({ "customer": "Ada", "no": "1" }),
        json!({ "customer": "Bob", "no": "1" }),
        json!({}),
    ] {
        let mut start = greet("x");
        start["labels"] = labels;
        let id = world.start(start).await;
        world.until(&id, "completed").await;
        ids.push(id);
    }
    let found = async |query: &str| {
        let path = format!("/api/v1/executions?{query}");
        let page = world.get(&path).await.ok(200);
        let all = page["executions"].as_array().unwrap().clone();
        let id = |it: &Value| it["execution"].as_str().unwrap().to_owned();
        all.iter().map(id).collect::<Vec<_>>()
    };
    let [ada, bob, none] = [&ids[0], &ids[1], &ids[2]];
    assert_eq!(found("labels=no%3D1").await, [&**bob, ada]);
    assert_eq!(found("labels=no%3D1,customer%3DAda").await, [&**ada]);
    assert_eq!(found("labels=no%3D2").await, [""; 0]);
    assert_eq!(found("text=bO").await, [&**bob]);
    assert_eq!(found("text=GREE").await, [&**none, bob, ada]);
    let shown = world
        .get(&format!("/api/v1/executions/{ada}"))
        .await
        .ok(200);
    assert_eq!(shown["labels"], json!({ "customer": "Ada", "no": "1" }));
    // What goes over it again has them, too, so that the history of an order is found by it.
    let again = format!("/api/v1/executions/{ada}/restart");
    let again = world.post(&again, json!({})).await.ok(201);
    let again = again["execution"].as_str().unwrap().to_owned();
    assert_eq!(found("labels=customer%3DAda").await, [&*again, ada]);

    let bulk = json!({ "action": "cancel", "labels": { "no": "1" }, "statuses": ["queued"] });
    let counted = world.post("/api/v1/executions/bulk", bulk).await.ok(200);
    assert_eq!(counted["dry_run"], true);
    for query in ["labels=no", "labels=", "labels=a%3D1,a%3D2", "text="] {
        let path = format!("/api/v1/executions?{query}");
        world.get(&path).await.problem(400, "BAD_QUERY");
    }
    for wrong in [
        json!({ "-": "x" }),
        json!({ "a": "" }),
        json!({ "a": "b,c" }),
        json!({ "a": 1 }),
    ] {
        let mut start = greet("x");
        start["labels"] = wrong;
        let refused = world.post("/api/v1/executions", start).await;
        refused.problem(400, "BAD_BODY");
    }
    world.stopped().await;
}

#[tokio::test]
async fn executions_are_paused_cancelled_and_done_again() {
    let world = World::new().await;
    world.publish("waits", WAITS).await;
    let id = world.start(json!({ "workflow": "waits" })).await;
    world.until(&id, "waiting").await;
    let path = format!("/api/v1/executions/{id}");
    world
        .post(&format!("{path}/pause"), json!({ "reason": "lunch" }))
        .await
        .ok(200);
    world.until(&id, "paused").await;
    world
        .post(&format!("{path}/unpark"), json!({ "decision": "retry" }))
        .await
        .problem(409, "NOT_PARKED");
    world
        .send(Method::POST, &format!("{path}/unpause"), &[], "")
        .await
        .ok(200);
    world.until(&id, "waiting").await;
    world
        .send(Method::POST, &format!("{path}/retry"), &[], "")
        .await
        .problem(409, "NOT_ENDED");
    world
        .post(&format!("{path}/cancel"), json!({}))
        .await
        .ok(200);
    world.until(&id, "cancelled").await;
    world
        .post(&format!("{path}/cancel"), json!({}))
        .await
        .problem(409, "EXECUTION_ENDED");

    let again = world
        .send(Method::POST, &format!("{path}/retry"), &[], "")
        .await;
    let again = again.ok(201)["execution"].as_str().unwrap().to_owned();
    assert_ne!(again, id);
    let anew = world
        .post(&format!("{path}/restart"), json!({}))
        .await
        .ok(201);
    world
        .until(anew["execution"].as_str().unwrap(), "waiting")
        .await;
    world
        .post(&format!("{path}/restart"), json!({ "from": "nowhere" }))
        .await
        .problem(409, "NOT_REPEATABLE");
    world.stopped().await;
}

#[tokio::test]
async fn many_are_counted_before_they_are_told() {
    let world = World::new().await;
    world.publish("waits", WAITS).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        let id = world.start(json!({ "workflow": "waits" })).await;
        world.until(&id, "waiting").await;
        ids.push(id);
    }
    let bulk = "/api/v1/executions/bulk";
    let counted = world
        .post(bulk, json!({ "action": "cancel", "workflow": "waits" }))
        .await
        .ok(200);
    assert_eq!(
        (&counted["matched"], &counted["done"]),
        (&json!(3), &json!(0))
    );
    world.until(&ids[0], "waiting").await;
    let done = world
        .post(
            bulk,
            json!({ "action": "cancel", "workflow": "waits", "dry_run": false }),
        )
        .await
        .ok(200);
    assert_eq!((&done["done"], &done["failed"]), (&json!(3), &json!([])));
    for id in &ids {
        world.until(id, "cancelled").await;
    }
    let none = json!({ "action": "cancel", "statuses": ["completed"] });
    world.post(bulk, none).await.problem(400, "NOTHING_APPLIES");
    let again = json!({ "action": "retry", "workflow": "waits", "dry_run": false });
    assert_eq!(world.post(bulk, again).await.ok(200)["done"], 3);
    world.stopped().await;
}

#[tokio::test]
async fn the_published_version_is_started_and_another_by_its_number() {
    let world = World::new().await;
    let path = "/api/v1/workflows/greet";
    let headers = [("content-type", "application/yaml"), ("if-match", "*")];
    world.send(Method::PUT, path, &headers, GREET).await.ok(201);
    world
        .post("/api/v1/executions", greet("Ada"))
        .await
        .problem(409, "NOT_PUBLISHED");
    world.publish("greet", GREET).await;
    let other = GREET.replace("Hi", "Hello");
    world.send(Method::PUT, path, &headers, other).await.ok(201);
    let wait = "/api/v1/executions?wait=30s";
    let done = world.post(wait, greet("Ada")).await.ok(200);
    assert_eq!(done["output"]["text"], "Hi Ada");
    let mut named = greet("Ada");
    named["version"] = json!(2);
    let done = world.post(wait, named.clone()).await.ok(200);
    assert_eq!(done["output"]["text"], "Hello Ada");
    named["version"] = json!(3);
    world
        .post(wait, named)
        .await
        .problem(404, "UNKNOWN_VERSION");
    world.stopped().await;
}

#[tokio::test]
async fn expressions_and_actions_are_answered() {
    let world = World::new().await;
    let path = "/api/v1/expressions/evaluate";
    let body = json!({ "expression": "$input.n * 2", "data": { "input": { "n": 21 } } });
    let value = world.post(path, body).await.ok(200);
    assert_eq!(value, json!({ "value": 42, "undefined": false }));
    let body = json!({ "expression": "$input.x", "data": { "input": {} }, "mode": "lenient" });
    assert_eq!(world.post(path, body).await.ok(200)["undefined"], true);
    let wrong = world.post(path, json!({ "expression": "1 +" })).await;
    assert_eq!(wrong.status, 422);
    assert!(
        wrong.json()["code"]
            .as_str()
            .unwrap()
            .starts_with("SYNTAX_")
    );

    let all = world.get("/api/v1/actions").await.ok(200);
    let ids: Vec<_> = all["actions"].as_array().unwrap().iter().collect();
    assert!(ids.iter().any(|it| it["id"] == "data.set"));
    let shown = world.get("/api/v1/actions/data.set@1").await.ok(200);
    assert_eq!(shown["id"], "data.set");
    let missed = world.get("/api/v1/actions/data.sett").await;
    let hint = missed.problem(404, "UNKNOWN_ACTION")["hint"].clone();
    assert_eq!(hint, "did you mean `data.set`?");
    world.stopped().await;
}
