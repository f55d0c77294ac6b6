//! What Prometheus reads.

use http::Method;
use serde_json::json;

use crate::support::{GREET, World};

#[tokio::test]
async fn what_a_server_did_is_told_to_prometheus() {
    let world = World::new().await;
    world.publish("greet", GREET).await;
    let start = json!({ "workflow": "greet", "input": { "name": "Ada" } });
    let done = world.post("/api/v1/executions?wait=30s", start).await;
    let _ = done.ok(200);
    let missing = world.get("/api/v1/executions/nothing").await;
    missing.problem(400, "BAD_PATH");
    let read = world.send(Method::GET, "/metrics", &[], "").await;
    assert_eq!(read.status, 200);
    let kind = read.header("content-type").to_owned();
    assert!(
        kind.starts_with("application/openmetrics-text; version=1.0.0"),
        "{kind}"
    );
    let text = read.text();
    for series in [
        "nebula_executions_started_total{workflow=\"greet\"} 1",
        "nebula_executions_ended_total{workflow=\"greet\",status=\"completed\"} 1",
        "nebula_attempts_total{outcome=\"succeeded\"} 1",
        "nebula_start_delay_seconds_count 1",
        "nebula_step_duration_seconds_count 1",
        "nebula_executions_open{status=\"waiting\"} 0.0",
        "nebula_queue_depth 0.0",
        "nebula_executions_in_hand 0.0",
        "nebula_http_requests_total{method=\"POST\",route=\"/api/v1/executions\",status=\"200\"} 1",
        // The template, and not what was asked for.
        "nebula_http_requests_total{method=\"GET\",route=\"/api/v1/executions/{execution}\",status=\"400\"} 1",
    ] {
        assert!(
            text.lines().any(|line| line == series),
            "no `{series}` in\n{text}"
        );
    }
    assert!(text.ends_with("# EOF\n"));
    world.stopped().await;
}
