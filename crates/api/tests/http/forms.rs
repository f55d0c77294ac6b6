//! Forms: pages in which people fill in what a workflow begins with.

use http::Method;
use nebula_core::{SecretId, TenantId};
use nebula_ports::SecretsStore as _;
use serde_json::json;

use crate::support::{Answer, World};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// The example of the page about definitions, so that what it shows is true.
fn example() -> String {
    let page = include_str!("../../../../docs/definition.md");
    let mut blocks = page.split("```yaml\n").skip(1);
    let block = blocks.find(|block| block.contains("type: form"));
    block.unwrap().split("```").next().unwrap().to_owned()
}

async fn opened(world: &World, definition: &str) -> String {
    world.publish("holiday", definition).await;
    let listed = world
        .get("/api/v1/workflows/holiday/triggers")
        .await
        .ok(200);
    listed["triggers"][0]["hook"].as_str().unwrap().to_owned()
}

async fn send(world: &World, path: &str, more: &[(&str, &str)], body: &str) -> Answer {
    let host = world.address.to_string();
    let mut headers = vec![("host", host.as_str()), FORM];
    headers.extend(more);
    world
        .raw(Method::POST, path, &headers, body.to_owned())
        .await
}

async fn look(world: &World, path: &str, more: &[(&str, &str)]) -> Answer {
    let host = world.address.to_string();
    let mut headers = vec![("host", host.as_str())];
    headers.extend(more);
    world.raw(Method::GET, path, &headers, "").await
}

async fn executions(world: &World) -> Vec<serde_json::Value> {
    let listed = world.get("/api/v1/executions?limit=500").await.ok(200);
    listed["executions"].as_array().unwrap().clone()
}

/// What makes a page one delivery.
fn once(page: &str) -> String {
    let after = page.split("name=\"_once\" value=\"").nth(1).unwrap();
    after.split('"').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_page_asks_for_the_input_and_starts_one_execution_with_it() {
    let world = World::new().await;
    let form = opened(&world, &example()).await;
    let page = look(&world, &form, &[]).await;
    assert_eq!(page.status, 200);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    // With another one, browsers send the form as from nowhere.
    assert_eq!(page.header("referrer-policy"), "same-origin");
    let policy = page.header("content-security-policy");
    assert!(
        policy.starts_with("default-src 'none'; style-src 'sha256-"),
        "{policy}"
    );
    for part in ["script", "unsafe", "http:", "https:"] {
        assert!(!policy.contains(part), "{policy}");
    }
    let page = page.text();
    assert!(
        !page.contains("<script") && !page.contains("style=\"") && !page.contains("http"),
        "{page}"
    );
    for part in [
        "<h1>Holiday</h1>",
        "Your name",
        "type=\"date\"",
        "max=\"30\"",
        "<textarea",
        ">unpaid</option>",
        "value=\"1\"",
    ] {
        assert!(page.contains(part), "{part} in {page}");
    }
    // Another page is another delivery; the same one is one, however often it is sent.
    let body = format!(
        "_once={}&name=Ada+L.&from=2026-07-01&days=3&kind=1&note=",
        once(&page)
    );
    for _ in 0..2 {
        let sent = send(&world, &form, &[], &body).await;
        assert_eq!(sent.status, 200, "{}", sent.text());
        assert!(
            sent.text().contains("Your boss will hear of it."),
            "{}",
            sent.text()
        );
    }
    let all = executions(&world).await;
    assert_eq!(all.len(), 1);
    let id = all[0]["execution"].as_str().unwrap();
    world.until(id, "completed").await;
    let path = format!("/api/v1/executions/{id}/output");
    let done = world.get(&path).await.ok(200);
    assert_eq!(done["output"], json!({ "who": "Ada L.", "days": 3 }));
    let other = look(&world, &form, &[]).await.text();
    let body = body.replace(&once(&page), &once(&other));
    assert_eq!(send(&world, &form, &[], &body).await.status, 200);
    assert_eq!(executions(&world).await.len(), 2);
    world.stopped().await;
}

#[tokio::test]
async fn what_does_not_fit_comes_back_with_what_is_wrong() {
    let world = World::new().await;
    let form = opened(&world, &example()).await;
    let body = "name=%22%3E%3Cscript%3E&days=31&from=2026-07-01&kind=7&note=a%26b";
    let back = send(&world, &form, &[], body).await;
    assert_eq!(back.status, 422);
    assert_eq!(back.header("content-type"), "text/html; charset=utf-8");
    let page = back.text();
    // What was written comes back as text, and nothing else.
    assert!(
        page.contains("value=\"&quot;&gt;&lt;script&gt;\"") && !page.contains("<script"),
        "{page}"
    );
    assert!(page.contains("a&amp;b</textarea>"), "{page}");
    assert_eq!(page.matches("class=\"error\"").count(), 2, "{page}");
    assert!(page.contains("30"), "{page}");
    let back = send(&world, &form, &[], "name=Ada&days=3").await.text();
    let field = back.split("name=\"from\"").nth(1).unwrap();
    let next = field.find("name=\"days\"").unwrap();
    assert!(field[..next].contains(">is missing</p>"), "{back}");
    assert_eq!(send(&world, &form, &[], "days=no").await.status, 422);
    assert_eq!(executions(&world).await.len(), 0);
    let json = world
        .raw(
            Method::POST,
            &form,
            &[
                ("host", &world.address.to_string()),
                ("content-type", "application/json"),
            ],
            "{}",
        )
        .await;
    json.problem(415, "UNSUPPORTED_MEDIA_TYPE");
    world.stopped().await;
}

#[tokio::test]
async fn a_form_is_sent_from_its_own_page_by_who_may() {
    let world = World::new().await;
    let (tenant, id) = (TenantId::local(), SecretId::new("door").unwrap());
    let _ = world
        .secrets
        .set(&tenant, &id, "sesame".into())
        .await
        .unwrap();
    let locked = example().replace(
        "auth: none",
        "auth: { type: basic, user: ada, secret: door }",
    );
    let form = opened(&world, &locked).await;
    let refused = look(&world, &form, &[]).await;
    assert!(refused.header("www-authenticate").starts_with("Basic "));
    refused.problem(401, "HOOK_REFUSED");
    let key = ("authorization", "Basic YWRhOnNlc2FtZQ==");
    assert_eq!(look(&world, &form, &[key]).await.status, 200);
    let body = "name=Ada&from=2026-07-01&days=3";
    for foreign in [
        ("origin", "https://elsewhere.example"),
        ("sec-fetch-site", "cross-site"),
        ("origin", "null"),
    ] {
        let refused = send(&world, &form, &[key, foreign], body).await;
        refused.problem(403, "FORM_ORIGIN");
    }
    assert_eq!(executions(&world).await.len(), 0);
    let own = format!("http://{}", world.address);
    let sent = send(
        &world,
        &form,
        &[key, ("origin", &own), ("sec-fetch-site", "same-origin")],
        body,
    )
    .await;
    assert_eq!(sent.status, 200, "{}", sent.text());
    assert_eq!(executions(&world).await.len(), 1);
    world.stopped().await;
}
