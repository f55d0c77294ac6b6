//! Versions, conditions, publication.

use http::Method;
use serde_json::json;

use crate::support::{GREET, World};

const YAML: (&str, &str) = ("content-type", "application/yaml");
const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn the_last_save_never_silently_wins() {
    let world = World::new().await;
    let path = "/api/v1/workflows/greet";
    let put = async |headers: &[(&str, &str)], text: &str| {
        world
            .send(Method::PUT, path, headers, text.to_owned())
            .await
    };
    world.get(path).await.problem(404, "UNKNOWN_WORKFLOW");

    let first = put(&[YAML, ("if-none-match", "*")], GREET).await;
    assert_eq!(first.header("etag"), "\"1\"");
    let body = first.ok(201);
    assert_eq!(
        (&body["version"], &body["unchanged"]),
        (&json!(1), &json!(false))
    );

    // The same again is no change, whatever is expected of what is there.
    let again = put(&[YAML, ("if-match", "\"1\"")], GREET).await.ok(200);
    assert_eq!(
        (&again["version"], &again["unchanged"]),
        (&json!(1), &json!(true))
    );

    let other = GREET.replace("Hi", "Hello");
    put(&[YAML], &other).await.problem(428, "REVISION_REQUIRED");
    put(&[YAML, ("if-none-match", "*")], &other)
        .await
        .problem(412, "REVISION_OUTDATED");
    put(&[YAML, ("if-match", "\"7\"")], &other)
        .await
        .problem(412, "REVISION_OUTDATED");
    let second = put(&[YAML, ("if-match", "\"1\"")], &other).await;
    assert_eq!(second.header("etag"), "\"2\"");
    assert_eq!(second.ok(201)["version"], 2);
    let third = put(&[YAML, ("if-match", "*")], &GREET.replace("Hi", "Hey")).await;
    assert_eq!(third.ok(201)["version"], 3);

    let publish = "/api/v1/workflows/greet/publish";
    let version = json!({ "version": 2 }).to_string();
    let post = async |headers: &[(&str, &str)], body: String| {
        world.send(Method::POST, publish, headers, body).await
    };
    post(&[JSON], version.clone())
        .await
        .problem(428, "REVISION_REQUIRED");
    post(&[JSON, ("if-match", "\"2\"")], version.clone())
        .await
        .problem(412, "REVISION_OUTDATED");
    post(
        &[JSON, ("if-match", "\"3\"")],
        json!({ "version": 9 }).to_string(),
    )
    .await
    .problem(404, "UNKNOWN_VERSION");
    let published = post(&[JSON, ("if-match", "\"3\"")], version).await;
    assert_eq!(published.header("etag"), "\"4\"");
    assert_eq!(published.ok(200)["published"], 2);

    let shown = world.get(path).await;
    assert_eq!(shown.header("etag"), "\"4\"");
    let shown = shown.ok(200);
    assert_eq!(
        (&shown["latest"], &shown["published"]),
        (&json!(3), &json!(2))
    );
    world.stopped().await;
}

#[tokio::test]
async fn versions_are_listed_shown_and_compared() {
    let world = World::new().await;
    world.publish("greet", GREET).await;
    let longer = GREET.replace("Hi", "Hello");
    world.publish("greet", &longer).await;

    let page = world.get("/api/v1/workflows/greet/versions?limit=1").await;
    let page = page.ok(200);
    assert_eq!(page["versions"][0]["version"], 2);
    let next = page["next"].as_u64().unwrap();
    let path = format!("/api/v1/workflows/greet/versions?before={next}");
    let page = world.get(&path).await.ok(200);
    assert_eq!(page["versions"][0]["version"], 1);
    assert_eq!(page["next"], json!(null));

    let shown = world
        .get("/api/v1/workflows/greet/versions/1")
        .await
        .ok(200);
    let text = &shown["definition"]["nodes"][0]["parameters"]["text"];
    assert_eq!(*text, json!("Hi {{ $input.name }}"));
    world
        .get("/api/v1/workflows/greet/versions/3")
        .await
        .problem(404, "UNKNOWN_VERSION");
    world
        .get("/api/v1/workflows/nobody/versions/1")
        .await
        .problem(404, "UNKNOWN_WORKFLOW");

    let diff = world
        .get("/api/v1/workflows/greet/diff?from=1")
        .await
        .ok(200);
    assert_eq!((&diff["same"], &diff["to"]), (&json!(false), &json!(2)));
    assert!(diff["diff"].to_string().contains("Hello"), "{diff}");
    let same = world.get("/api/v1/workflows/greet/diff?from=1&to=1").await;
    assert_eq!(same.ok(200)["same"], true);

    let found = world.get("/api/v1/workflows?search=GRE").await.ok(200);
    assert_eq!(found["workflows"][0]["workflow"], "greet");
    let none = world.get("/api/v1/workflows?search=other").await.ok(200);
    assert_eq!(none["workflows"], json!([]));
    world.stopped().await;
}

#[tokio::test]
async fn a_definition_is_refused_with_every_problem_and_its_place() {
    let world = World::new().await;
    let wrong = "nodes:\n  - { id: a, action: data.sett, parameters: { n: 1 } }\n  - { id: b, action: data.set, parametres: {} }\n";
    let path = "/api/v1/definitions/check";
    let checked = world.send(Method::POST, path, &[YAML], wrong).await.ok(200);
    assert_eq!(checked["valid"], false);
    let codes: Vec<_> = checked["diagnostics"].as_array().unwrap().iter().collect();
    assert!(codes.len() >= 2, "{checked}");
    assert!(codes.iter().any(|it| it["line"] == 3), "{checked}");

    let path = "/api/v1/workflows/broken";
    let saved = world.send(Method::PUT, path, &[YAML], wrong).await;
    let problem = saved.problem(422, "DEFINITION_INVALID");
    assert_eq!(
        problem["diagnostics"],
        checked["diagnostics"]
            .clone()
            .as_array()
            .map_or(json!([]), |all| {
                // The file is called as the path says.
                all.iter()
                    .map(|it| {
                        let mut it = it.clone();
                        it["file"] = json!("broken.yaml");
                        it
                    })
                    .collect()
            })
    );
    world.get(path).await.problem(404, "UNKNOWN_WORKFLOW");

    let right = GREET.as_bytes().to_vec();
    let valid = world
        .send(Method::POST, "/api/v1/definitions/check", &[YAML], right)
        .await
        .ok(200);
    assert_eq!(valid, json!({ "valid": true, "diagnostics": [] }));
    let renamed = world.send(Method::PUT, path, &[YAML], GREET).await;
    renamed.problem(400, "ID_DIFFERS");
    world.stopped().await;
}

#[tokio::test]
async fn nothing_of_an_archived_workflow_is_started() {
    let world = World::new().await;
    world.publish("greet", GREET).await;
    let start = json!({ "workflow": "greet", "input": { "name": "Ada" } });
    world.start(start.clone()).await;
    let archived = world
        .send(Method::POST, "/api/v1/workflows/greet/archive", &[], "")
        .await;
    assert_eq!(archived.ok(200)["archived"], true);
    // Also though it was started before, and is ready to start.
    world
        .post("/api/v1/executions", start.clone())
        .await
        .problem(409, "WORKFLOW_ARCHIVED");
    let listed = world.get("/api/v1/workflows").await.ok(200);
    assert_eq!(listed["workflows"], json!([]));
    let listed = world.get("/api/v1/workflows?archived=true").await.ok(200);
    assert_eq!(listed["workflows"][0]["workflow"], "greet");
    world
        .send(Method::POST, "/api/v1/workflows/greet/unarchive", &[], "")
        .await
        .ok(200);
    world.start(start).await;
    world.stopped().await;
}
