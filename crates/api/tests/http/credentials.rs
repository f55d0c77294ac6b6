//! Credentials and secrets: what goes in never comes out.

use http::Method;
use nebula_core::{CredentialId, ExposeSecret as _, TenantId};
use nebula_ports::CredentialUser;
use serde_json::{Value, json};

use crate::support::{Answer, World};

const JSON: (&str, &str) = ("content-type", "application/json");

async fn put(world: &World, path: &str, body: Value) -> Answer {
    world
        .send(Method::PUT, path, &[JSON], body.to_string())
        .await
}

#[tokio::test]
async fn a_credential_is_added_rotated_used_and_removed() {
    let world = World::new().await;
    let types = world.get("/api/v1/credential-types").await.ok(200);
    let types = types["types"].as_array().unwrap();
    let basic = types.iter().find(|it| it["type"] == "basic").unwrap();
    assert_eq!(basic["schema"]["properties"]["password"]["writeOnly"], true);

    let path = "/api/v1/credentials/till";
    let new = json!({ "type": "basic", "fields": { "username": "ada", "password": "hunter two" }, "hosts": ["till.example"] });
    assert_eq!(put(&world, path, new.clone()).await.ok(200)["version"], 1);
    put(&world, path, new)
        .await
        .problem(409, "CREDENTIAL_CHANGED");
    // What is left out stays.
    let next = json!({ "from": 1, "fields": { "password": "hunter three" } });
    assert_eq!(put(&world, path, next.clone()).await.ok(200)["version"], 2);
    put(&world, path, next)
        .await
        .problem(409, "CREDENTIAL_CHANGED");
    let (tenant, id) = (TenantId::local(), CredentialId::new("till").unwrap());
    let opened = world
        .vault
        .open(&tenant, &id, &CredentialUser::Test)
        .await
        .unwrap();
    let field = |name: &str| {
        opened
            .credential
            .field(name)
            .unwrap()
            .expose_secret()
            .to_owned()
    };
    assert_eq!(
        (field("username"), field("password")),
        ("ada".to_owned(), "hunter three".to_owned())
    );

    let listed = world.get("/api/v1/credentials").await;
    let uses = world.get(&format!("{path}/uses")).await;
    let log = world.get("/api/v1/audit/export").await;
    for shown in [&listed, &uses, &log] {
        assert!(!shown.text().contains("hunter"), "{}", shown.text());
    }
    assert_eq!(
        listed.json()["credentials"][0]["hosts"],
        json!(["till.example"])
    );
    let by: Vec<_> = uses.json()["uses"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["by"].clone())
        .collect();
    assert_eq!(by, ["test", "change", "change"]);
    assert!(log.text().contains("\"credentials.put\""));

    for wrong in [
        json!({ "type": "bearer", "fields": { "password": "x" } }),
        json!({ "type": "nothing", "fields": {} }),
        json!({ "type": "bearer", "fields": { "token": "x" }, "hosts": ["*"] }),
    ] {
        put(&world, "/api/v1/credentials/other", wrong)
            .await
            .problem(422, "CREDENTIAL_INVALID");
    }
    let number = json!({ "type": "bearer", "fields": { "token": 12_345_678 } });
    let told = put(&world, "/api/v1/credentials/other", number).await;
    assert!(!told.text().contains("12345678"), "{}", told.text());
    told.problem(400, "BAD_BODY");

    assert_eq!(world.send(Method::DELETE, path, &[], "").await.status, 204);
    world
        .send(Method::DELETE, path, &[], "")
        .await
        .problem(404, "UNKNOWN_CREDENTIAL");
    assert_eq!(
        world.get("/api/v1/credentials").await.ok(200)["credentials"],
        json!([])
    );
    world.stopped().await;
}

#[tokio::test]
async fn a_secret_is_set_listed_and_deleted() {
    let world = World::new().await;
    let path = "/api/v1/secrets/till";
    let value = json!({ "value": "hunter two" });
    assert_eq!(put(&world, path, value.clone()).await.status, 201);
    assert_eq!(put(&world, path, value.clone()).await.status, 204);
    put(&world, path, json!({ "value": "" }))
        .await
        .problem(400, "BAD_BODY");
    // The engine's own are nobody else's.
    put(&world, "/api/v1/secrets/Nebula.key", value)
        .await
        .problem(409, "RESERVED_SECRET");
    let listed = world.get("/api/v1/secrets").await;
    assert!(!listed.text().contains("hunter"));
    assert_eq!(listed.ok(200)["secrets"], json!(["till"]));
    assert_eq!(world.send(Method::DELETE, path, &[], "").await.status, 204);
    world
        .send(Method::DELETE, path, &[], "")
        .await
        .problem(404, "UNKNOWN_SECRET");
    world.stopped().await;
}
