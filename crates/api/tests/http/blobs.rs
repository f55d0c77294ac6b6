//! Blobs of executions: who may have them, in which parts, and as what.

use http::Method;
use nebula_core::{BlobId, Digest};
use serde_json::{Value, json};

use crate::support::{Answer, World};

/// What it puts: bytes that a browser would take for a page.
const PAGE: &str = "<html><script>alert(1)</script></html>";

const PUTS: &str = "
id: puts
nodes:
  - { id: put, action: test.put, requires: [blob], parameters: { text: '{{ $input.text }}' } }
output: '{{ $nodes.put.result }}'
";

/// It passes on what it was told, and puts nothing.
const NAMES: &str = "
id: names
nodes:
  - { id: same, action: data.set, parameters: { it: '{{ $input }}' } }
output: '{{ $nodes.same.result }}'
";

/// Runs to the end, and gives the id and the output.
async fn ran(world: &World, workflow: &str, input: Value) -> (String, Value) {
    let start = json!({ "workflow": workflow, "input": input });
    let done = world
        .post("/api/v1/executions?wait=60s", start)
        .await
        .ok(200);
    assert_eq!(done["status"], "completed", "{done}");
    (
        done["execution"].as_str().unwrap().to_owned(),
        done["output"].clone(),
    )
}

async fn listed(world: &World, id: &str) -> Vec<Value> {
    let path = format!("/api/v1/executions/{id}/blobs");
    let page = world.get(&path).await.ok(200);
    page["blobs"].as_array().unwrap().clone()
}

async fn asked(world: &World, id: &str, digest: &str, headers: &[(&str, &str)]) -> Answer {
    let path = format!("/api/v1/executions/{id}/blobs/{digest}");
    world.send(Method::GET, &path, headers, "").await
}

/// Guards: it is served as bytes to keep, whatever it looks like.
#[tokio::test]
async fn what_an_attempt_put_is_downloaded_and_never_shown() {
    let world = World::new().await;
    world.publish("puts", PUTS).await;
    let (id, output) = ran(&world, "puts", json!({ "text": PAGE })).await;
    let digest = BlobId::of(PAGE.as_bytes()).digest.to_string();
    assert_eq!(output["blob"]["digest"], *digest);
    let all = listed(&world, &id).await;
    assert_eq!(all.len(), 1, "{all:?}");
    assert_eq!(
        (&all[0]["digest"], &all[0]["kind"], &all[0]["node"]),
        (&json!(digest), &json!("put"), &json!("put"))
    );

    let gzip = ("accept-encoding", "gzip");
    let whole = asked(&world, &id, &digest, &[gzip]).await;
    assert_eq!(whole.status, 200);
    assert_eq!(whole.body, PAGE);
    let tag = format!("\"{digest}\"");
    for (name, value) in [
        ("etag", tag.as_str()),
        ("content-type", "application/octet-stream"),
        ("content-length", &PAGE.len().to_string()),
        ("content-encoding", ""),
        ("accept-ranges", "bytes"),
        ("x-content-type-options", "nosniff"),
        ("cache-control", "private, no-cache"),
        (
            "content-disposition",
            &format!("attachment; filename=\"{digest}.bin\""),
        ),
        (
            "content-security-policy",
            "default-src 'none'; sandbox; frame-ancestors 'none'",
        ),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        assert_eq!(whole.header(name), value, "{name}");
    }
    world.stopped().await;
}

/// Guards: a part is the part that was asked for, of the content that was meant.
#[tokio::test]
async fn a_part_is_asked_for_by_its_range() {
    let world = World::new().await;
    world.publish("puts", PUTS).await;
    let (id, _) = ran(&world, "puts", json!({ "text": "0123456789" })).await;
    let digest = Digest::of(b"0123456789").to_string();
    let (tag, other) = (format!("\"{digest}\""), "\"x\"");
    for (headers, status, body, range) in [
        (&[("range", "bytes=2-4")][..], 206, "234", "bytes 2-4/10"),
        (&[("range", "bytes=7-")], 206, "789", "bytes 7-9/10"),
        (&[("range", "bytes=-1")], 206, "9", "bytes 9-9/10"),
        (&[("range", "bytes=0-1,4-5")], 200, "0123456789", ""),
        (
            &[("range", "bytes=2-4"), ("if-range", &tag)],
            206,
            "234",
            "bytes 2-4/10",
        ),
        (
            &[("range", "bytes=2-4"), ("if-range", other)],
            200,
            "0123456789",
            "",
        ),
        (&[("if-none-match", &tag)], 304, "", ""),
        (&[("if-none-match", other)], 200, "0123456789", ""),
    ] {
        let answer = asked(&world, &id, &digest, headers).await;
        assert_eq!(answer.status, status, "{headers:?}: {}", answer.text());
        assert_eq!(answer.body, body, "{headers:?}");
        assert_eq!(answer.header("content-range"), range, "{headers:?}");
        assert_eq!(answer.header("etag"), tag);
    }
    let outside = asked(&world, &id, &digest, &[("range", "bytes=10-")]).await;
    outside.problem(416, "RANGE_OUTSIDE");
    assert_eq!(outside.header("content-range"), "bytes */10");
    let path = format!("/api/v1/executions/{id}/blobs/{digest}");
    let head = world.send(Method::HEAD, &path, &[], "").await;
    assert_eq!(
        (head.status.as_u16(), head.header("content-length")),
        (200, "10")
    );
    world.stopped().await;
}

/// Guard: what names a digest is no proof; only what the engine or an attempt put is.
#[tokio::test]
async fn whoever_names_a_digest_does_not_get_its_blob() {
    let world = World::new().await;
    for (id, definition) in [("puts", PUTS), ("names", NAMES)] {
        world.publish(id, definition).await;
    }
    let (owner, output) = ran(&world, "puts", json!({ "text": "mine" })).await;
    let digest = output["blob"]["digest"].as_str().unwrap();
    // Its input, its output and its journal name the blob, in the very shape.
    let (other, told) = ran(&world, "names", output.clone()).await;
    assert_eq!(told["it"], output);
    assert_eq!(asked(&world, &owner, digest, &[]).await.status, 200);
    asked(&world, &other, digest, &[])
        .await
        .problem(404, "UNKNOWN_BLOB");
    assert_eq!(listed(&world, &other).await, Vec::<Value>::new());
    let missing = "0".repeat(64);
    asked(&world, &owner, &missing, &[])
        .await
        .problem(404, "UNKNOWN_BLOB");
    asked(&world, &owner, "x", &[])
        .await
        .problem(400, "BAD_PATH");
    world.stopped().await;
}

/// Guard: the values of a journal that lie in blobs are those of the execution as well.
#[tokio::test]
async fn an_input_that_is_too_large_for_a_journal_is_a_blob_of_its_execution() {
    let world = World::new().await;
    world.publish("names", NAMES).await;
    let input = json!({ "text": "x".repeat(400 << 10) });
    let (id, _) = ran(&world, "names", input.clone()).await;
    let all = listed(&world, &id).await;
    let kinds: Vec<_> = all.iter().map(|it| it["kind"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        ["value", "value"],
        "its input, and the result of its node"
    );
    let digest = all[0]["digest"].as_str().unwrap();
    let answer = asked(&world, &id, digest, &[]).await;
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.ok(200), input);
    world.stopped().await;
}

/// Guard: a retry reads what it goes on with.
#[tokio::test]
async fn a_retry_has_the_blobs_of_what_it_keeps() {
    let world = World::new().await;
    let fails = "
id: fails
nodes:
  - { id: put, action: test.put, requires: [blob], parameters: { text: kept } }
  - { id: no, action: flow.fail, parameters: { message: no } }
connections: [put -> no]
";
    world.publish("fails", fails).await;
    let id = world.start(json!({ "workflow": "fails" })).await;
    world.until(&id, "failed").await;
    let again = world
        .post(&format!("/api/v1/executions/{id}/retry"), json!({}))
        .await;
    let again = again.json()["execution"].as_str().unwrap().to_owned();
    assert_ne!(again, id);
    world.until(&again, "failed").await;
    let digest = Digest::of(b"kept").to_string();
    assert_eq!(asked(&world, &again, &digest, &[]).await.body, "kept");
    world.stopped().await;
}
