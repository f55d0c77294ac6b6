//! What is wrong is refused with a reason, and nothing is lost.

use http::Method;
use serde_json::json;

use crate::support::{GREET, World};

const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn bodies_that_are_wrong_are_told_apart() {
    let world = World::new().await;
    world.publish("greet", GREET).await;
    let post = async |headers: &[(&str, &str)], body: &str| {
        let path = "/api/v1/executions";
        world
            .send(Method::POST, path, headers, body.to_owned())
            .await
    };
    let good = json!({ "workflow": "greet", "input": { "name": "Ada" } }).to_string();
    for headers in [
        &[][..],
        &[("content-type", "text/plain")],
        &[("content-type", "application/jsonx")],
        &[JSON, JSON],
    ] {
        post(headers, &good)
            .await
            .problem(415, "UNSUPPORTED_MEDIA_TYPE");
    }
    for broken in ["", "{", "{\"workflow\": \"greet\",}", "\u{feff}{}"] {
        post(&[JSON], broken).await.problem(400, "BAD_JSON");
    }
    post(&[JSON], &format!("{good} {{}}"))
        .await
        .problem(400, "BAD_JSON");
    let deep = format!(
        "{{\"workflow\":\"greet\",\"input\":{}1{}}}",
        "[".repeat(500),
        "]".repeat(500)
    );
    post(&[JSON], &deep).await.problem(400, "BAD_JSON");
    let wrong = [
        (json!({}), "workflow"),
        (json!({ "workflow": "greet", "inptu": 1 }), "inptu"),
        (json!({ "workflow": "../x" }), "workflow"),
        (json!({ "workflow": "greet", "version": -1 }), "version"),
        (
            json!({ "workflow": "greet", "priority": "urgent" }),
            "priority",
        ),
        (json!([]), ""),
    ];
    for (body, named) in wrong {
        let problem = post(&[JSON], &body.to_string())
            .await
            .problem(400, "BAD_BODY");
        assert!(
            problem["detail"].as_str().unwrap().contains(named),
            "{problem}"
        );
    }
    let twice = "{\"workflow\":\"greet\",\"workflow\":\"other\"}";
    post(&[JSON], twice).await.problem(400, "BAD_BODY");
    let misfit = json!({ "workflow": "greet", "input": { "name": 7 } }).to_string();
    let problem = post(&[JSON], &misfit).await.problem(422, "INPUT_INVALID");
    assert_eq!(problem["problems"][0]["pointer"], "/name");
    let unknown = json!({ "workflow": "nobody" }).to_string();
    post(&[JSON], &unknown)
        .await
        .problem(404, "UNKNOWN_WORKFLOW");
    // With a parameter, and in capitals, it is JSON all the same.
    let utf8 = [("content-type", "Application/JSON; charset=utf-8")];
    assert_eq!(post(&utf8, &good).await.status, 201);
    let listed = world.get("/api/v1/executions").await.ok(200);
    assert_eq!(listed["executions"].as_array().unwrap().len(), 1);
    world.stopped().await;
}

#[tokio::test]
async fn queries_and_paths_that_are_wrong_are_refused() {
    let world = World::new().await;
    for (path, code) in [
        ("/api/v1/executions?limit=0", "BAD_QUERY"),
        ("/api/v1/executions?limit=-1", "BAD_QUERY"),
        ("/api/v1/executions?limit=x", "BAD_QUERY"),
        ("/api/v1/executions?limit=1&limit=2", "BAD_QUERY"),
        ("/api/v1/executions?unknown=1", "BAD_QUERY"),
        ("/api/v1/executions?status=dead", "BAD_QUERY"),
        ("/api/v1/executions?since=yesterday", "BAD_QUERY"),
        ("/api/v1/executions?workflow=%2e%2e", "BAD_QUERY"),
        ("/api/v1/executions?cursor=nonsense", "BAD_CURSOR"),
        ("/api/v1/workflows?cursor=%00", "BAD_CURSOR"),
        ("/api/v1/executions/x", "BAD_PATH"),
        ("/api/v1/executions/%ff", "BAD_PATH"),
        ("/api/v1/workflows/a%2fb", "BAD_PATH"),
        ("/api/v1/workflows/greet/versions/x", "BAD_PATH"),
        ("/api/v1/workflows/greet/versions/-1", "BAD_PATH"),
    ] {
        let answer = world.get(path).await;
        assert_eq!(answer.status, 400, "{path}: {}", answer.text());
        assert_eq!(answer.json()["code"], code, "{path}: {}", answer.text());
    }
    let id = "0198c0de-0000-7000-8000-000000000000";
    for path in ["", "/report", "/output", "/journal", "/events"] {
        let path = format!("/api/v1/executions/{id}{path}");
        world.get(&path).await.problem(404, "UNKNOWN_EXECUTION");
    }
    for path in ["cancel", "pause", "signals", "votes", "restart"] {
        let body = match path {
            "signals" => json!({ "name": "a" }),
            "votes" => json!({ "choice": "approve" }),
            _ => json!({}),
        };
        let path = format!("/api/v1/executions/{id}/{path}");
        world
            .post(&path, body)
            .await
            .problem(404, "UNKNOWN_EXECUTION");
    }
    world.publish("greet", GREET).await;
    let greet = json!({ "workflow": "greet", "input": { "name": "Ada" } });
    let id = world.start(greet).await;
    // A place that no journal reaches, also where it is counted with a sign.
    for from in ["1000", "9223372036854775808", "18446744073709551615"] {
        let path = format!("/api/v1/executions/{id}/journal?from={from}");
        let page = world.get(&path).await.ok(200);
        assert_eq!(page, json!({ "entries": [], "next": null }));
        let path = format!("/api/v1/executions/{id}/events");
        let after = [("last-event-id", from)];
        let answer = world.send(Method::GET, &path, &after, "").await;
        answer.problem(400, "BAD_EVENT_ID");
    }
    world.get("/nowhere").await.problem(404, "NOT_FOUND");
    let deleted = world
        .send(Method::DELETE, "/api/v1/executions", &[], "")
        .await;
    deleted.problem(405, "METHOD_NOT_ALLOWED");
    world.stopped().await;
}

#[tokio::test]
async fn a_request_for_another_host_is_refused() {
    let world = World::new().await;
    for host in [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
    ] {
        let answer = world
            .raw(Method::GET, "/health/live", &[("host", host)], "")
            .await;
        answer.problem(421, "UNKNOWN_HOST");
    }
    let answer = world.raw(Method::GET, "/health/live", &[], "").await;
    answer.problem(421, "UNKNOWN_HOST");
    let twice = [("host", "localhost"), ("host", "localhost")];
    let answer = world.raw(Method::GET, "/health/live", &twice, "").await;
    answer.problem(421, "UNKNOWN_HOST");
    for host in ["localhost", "127.0.0.1:7400", "[::1]"] {
        let answer = world
            .raw(Method::GET, "/health/live", &[("host", host)], "")
            .await;
        assert_eq!(answer.ok(200)["status"], "ok");
    }
    world.stopped().await;
}
