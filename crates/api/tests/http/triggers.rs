//! What starts workflows by itself, over HTTP.

use serde_json::{Value, json};

use crate::support::World;

const HOURLY: &str = "
id: hourly
triggers:
  - { id: t, type: interval, every: 1h, misfire: skip, input: { at: '{{ $trigger.scheduled_at }}' } }
nodes:
  - { id: a, action: data.set, parameters: { by: '{{ $trigger.id }}' } }
output: '{{ $nodes.a.result }}'
";

const BASE: &str = "/api/v1/workflows/hourly/triggers";

#[tokio::test]
async fn a_published_trigger_is_listed_paused_fired_and_made_up_for() {
    let world = World::new().await;
    world.publish("hourly", HOURLY).await;
    let listed = world.get(BASE).await.ok(200);
    let one = &listed["triggers"][0];
    assert_eq!(
        (&one["trigger"], &one["type"], &one["version"]),
        (&json!("t"), &json!("interval"), &json!(1))
    );
    assert!(
        one["due"].is_string() && one["schedule"].is_string(),
        "{one}"
    );

    let paused = world.post(&format!("{BASE}/t/pause"), Value::Null).await;
    let paused = paused.ok(200);
    assert_eq!(
        (&paused["paused"], &paused["due"]),
        (&json!(true), &Value::Null)
    );
    // A publication does not wake it.
    world
        .publish("hourly", &format!("{HOURLY}\nname: again"))
        .await;
    let listed = world.get(BASE).await.ok(200);
    assert_eq!(
        (
            &listed["triggers"][0]["paused"],
            &listed["triggers"][0]["version"]
        ),
        (&json!(true), &json!(2))
    );

    // Who is paused can still be fired by hand.
    let fired = world
        .post(&format!("{BASE}/t/fire"), Value::Null)
        .await
        .ok(201);
    let done = world
        .until(fired["execution"].as_str().unwrap(), "completed")
        .await;
    assert_eq!(done["workflow"], "hourly");

    let range = json!({ "from": "2026-01-01T00:00:00Z", "to": "2026-01-01T03:00:00Z" });
    for existed in [false, true] {
        let path = format!("{BASE}/t/backfill");
        let done = world.post(&path, range.clone()).await.ok(200);
        let all = done["occurrences"].as_array().unwrap();
        assert_eq!(all.len(), 3);
        assert!(all.iter().all(|it| it["existed"] == existed), "{done}");
        assert_eq!(all[0]["occurrence"], "2026-01-01T01:00:00.000Z");
    }
    let unpaused = world.post(&format!("{BASE}/t/unpause"), Value::Null).await;
    let unpaused = unpaused.ok(200);
    assert_eq!(unpaused["paused"], false);
    assert!(unpaused["due"].is_string());

    let audit = world.get("/api/v1/audit?limit=100").await.ok(200);
    let text = audit.to_string();
    for what in [
        "triggers.pause",
        "triggers.fire",
        "triggers.backfill",
        "triggers.unpause",
        "trigger:hourly/t",
    ] {
        assert!(text.contains(what), "{what} in {text}");
    }
    world.stopped().await;
}

#[tokio::test]
async fn what_is_no_trigger_or_no_range_is_refused_with_what_to_do() {
    let world = World::new().await;
    world.publish("hourly", HOURLY).await;
    for what in ["pause", "unpause", "fire"] {
        let refused = world.post(&format!("{BASE}/u/{what}"), Value::Null).await;
        refused.problem(404, "UNKNOWN_TRIGGER");
    }
    let long = json!({ "from": "2020-01-01T00:00:00Z", "to": "2026-01-01T00:00:00Z" });
    let refused = world.post(&format!("{BASE}/t/backfill"), long).await;
    refused.problem(400, "BACKFILL_TOO_LONG");
    let refused = world.get(&format!("{BASE}?cursor=nonsense")).await;
    refused.problem(400, "BAD_CURSOR");
    world.stopped().await;
}
