//! Votes, by permission and by link.

use http::Method;
use nebula_core::TenantId;
use serde_json::json;

use crate::support::{ASKS, World};

#[tokio::test]
async fn a_vote_counts_once_and_only_of_those_who_may() {
    let world = World::new().await;
    world.publish("asks", ASKS).await;
    let id = world.start(json!({ "workflow": "asks" })).await;
    world.until(&id, "waiting").await;
    let listed = world.get("/api/v1/approvals").await.ok(200);
    assert_eq!(listed["approvals"][0]["execution"], id);
    assert_eq!(listed["approvals"][0]["approvers"], json!(["ann", "bob"]));
    let one = world
        .get(&format!("/api/v1/approvals?execution={id}"))
        .await;
    assert_eq!(one.ok(200)["approvals"], listed["approvals"]);

    let path = format!("/api/v1/executions/{id}/votes");
    let vote = |by: &str| json!({ "choice": "approve", "by": by });
    world
        .post(&path, vote("eve"))
        .await
        .problem(403, "NOT_AN_APPROVER");
    let elsewhere = json!({ "choice": "approve", "by": "ann", "instance": "other" });
    world
        .post(&path, elsewhere)
        .await
        .problem(409, "NO_APPROVAL");
    world.post(&path, vote("ann")).await.ok(200);
    let shown = world.until(&id, "completed").await;
    assert_eq!(shown["workflow"], "asks");
    world
        .post(&path, vote("bob"))
        .await
        .problem(409, "NO_APPROVAL");
    world.stopped().await;
}

#[tokio::test]
async fn a_link_shows_first_and_is_used_once() {
    let world = World::new().await;
    world.publish("asks", ASKS).await;
    let id = world.start(json!({ "workflow": "asks" })).await;
    world.until(&id, "waiting").await;
    let (engine, tenant) = (world.nebula.engine(), TenantId::local());
    let tokens = engine.resume_tokens(&tenant, id.parse().unwrap()).await;
    let token = tokens.unwrap()[1].token.reveal();
    let path = format!("/resume/{token}");
    let host = world.address.to_string();
    // Whoever has the link needs nothing else.
    let html = [("host", host.as_str()), ("accept", "text/html")];
    let shown = world.raw(Method::GET, &path, &html, "").await;
    assert_eq!(shown.status, 200);
    assert!(
        shown
            .header("content-security-policy")
            .contains("default-src 'none'")
    );
    let page = shown.text();
    assert!(page.contains("Release &lt;b&gt;7&lt;/b&gt;?"), "{page}");
    assert!(page.contains("For bob."), "{page}");
    let json = world.raw(Method::GET, &path, &html[..1], "").await.ok(200);
    assert_eq!(json["who"], "bob");
    // Looking changes nothing.
    world.until(&id, "waiting").await;

    let form = [
        html[0],
        html[1],
        ("content-type", "application/x-www-form-urlencoded"),
    ];
    let wrong = "choice=approve&by=ann";
    world
        .raw(Method::POST, &path, &form[..1], wrong)
        .await
        .problem(415, "UNSUPPORTED_MEDIA_TYPE");
    world
        .raw(Method::POST, &path, &form, wrong)
        .await
        .problem(403, "NOT_AN_APPROVER");
    let voted = world
        .raw(Method::POST, &path, &form, "choice=approve&comment=")
        .await;
    assert_eq!(voted.status, 200);
    assert!(voted.text().contains("written down"));
    world.until(&id, "completed").await;
    for path in [
        path,
        format!("/resume/{}", "0".repeat(64)),
        "/resume/x".to_owned(),
    ] {
        world
            .raw(Method::GET, &path, &html[..1], "")
            .await
            .problem(404, "RESUME_TOKEN_INVALID");
        let body = "choice=approve";
        world
            .raw(Method::POST, &path, &form, body)
            .await
            .problem(404, "RESUME_TOKEN_INVALID");
    }
    let page = world.raw(Method::GET, "/resume/x", &html, "").await;
    assert_eq!(
        (page.status.as_u16(), page.text().contains("not valid")),
        (404, true)
    );
    world.stopped().await;
}
