//! The trace of whoever calls goes on in what they start (W3C Trace Context).

use http::Method;
use serde_json::{Value, json};

use crate::support::World;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";
const JSON: (&str, &str) = ("content-type", "application/json");
const CALLED: &str = "id: called\ntriggers: [{ id: hook, type: webhook, auth: none }]\nnodes: [{ id: a, action: data.set }]";

/// The trace that the journal of an execution begins with.
async fn began(world: &World, execution: &Value) -> String {
    let id = execution.as_str().unwrap();
    let path = format!("/api/v1/executions/{id}/journal?limit=1");
    let journal = world.get(&path).await.ok(200);
    journal["entries"][0]["fact"]["execution_started"]["trace"].to_string()
}

#[tokio::test]
async fn a_start_and_a_delivery_go_on_with_the_trace_that_they_come_with() {
    let world = World::new().await;
    world.publish("called", CALLED).await;
    let listed = world.get("/api/v1/workflows/called/triggers").await.ok(200);
    let hook = listed["triggers"][0]["hook"].as_str().unwrap().to_owned();
    let good = format!("00-{TRACE}-{SPAN}-01");
    let newer = format!("cc-{TRACE}-{SPAN}-01-what-the-future-adds");
    let upper = good.to_uppercase();
    let cases: [(&[(&str, &str)], bool); 6] = [
        (
            &[("traceparent", &good), ("tracestate", "shop=1,till=2")],
            true,
        ),
        (&[("traceparent", &newer)], true),
        (&[], false),
        // What is malformed, or is there twice, is as if it were not there.
        (&[("traceparent", &upper)], false),
        (&[("traceparent", &good), ("traceparent", &good)], false),
        (
            &[(
                "traceparent",
                "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            )],
            false,
        ),
    ];
    let body = json!({ "workflow": "called" }).to_string();
    for (headers, goes_on) in cases {
        let all = [&[JSON], headers].concat();
        let started = world
            .send(Method::POST, "/api/v1/executions", &all, body.clone())
            .await;
        let first = began(&world, &started.ok(201)["execution"]).await;
        let delivered = world.deliver(Method::POST, &hook, &all, "{}").await;
        let second = began(&world, &delivered.ok(202)["execution"]).await;
        for first in [first, second] {
            assert_eq!(
                first.contains(TRACE) && first.contains(SPAN),
                goes_on,
                "{headers:?}: {first}"
            );
            let has_state = headers.iter().any(|it| it.0 == "tracestate");
            assert_eq!(first.contains("shop=1"), has_state, "{headers:?}: {first}");
        }
    }
    world.stopped().await;
}
