//! Consent in a browser: who may come back with what.

use http::Method;
use serde_json::{Value, json};

use crate::support::World;

async fn put(world: &World, id: &str) {
    let fields = json!({
        "authorize_url": "https://id.example/auth",
        "token_url": "https://id.example/token",
        "client_id": "c",
    });
    let body = json!({ "type": "oauth2_code", "fields": fields, "hosts": ["api.example"] });
    let json = [("content-type", "application/json")];
    let path = format!("/api/v1/credentials/{id}");
    let put = world
        .send(Method::PUT, &path, &json, body.to_string())
        .await;
    put.ok(200);
}

/// The state of a consent that was begun.
async fn begun(world: &World, id: &str) -> String {
    let path = format!("/api/v1/credentials/{id}/authorize");
    let begun = world.post(&path, Value::Null).await.ok(200);
    let back = format!("https://nebula.example/api/v1/credentials/{id}/callback");
    assert_eq!(
        (&begun["redirect_uri"], &begun["lives"]),
        (&json!(back), &json!(600))
    );
    let (server, query) = begun["url"].as_str().unwrap().split_once('?').unwrap();
    assert_eq!(server, "https://id.example/auth");
    let pairs: Vec<(String, String)> = serde_urlencoded::from_str(query).unwrap();
    let query = |name: &str| pairs.iter().find(|it| it.0 == name).unwrap().1.clone();
    assert_eq!(query("redirect_uri"), back);
    query("state")
}

fn callback(id: &str, query: &str) -> String {
    format!("/api/v1/credentials/{id}/callback?{query}")
}

/// Guards: a state counts once, for its credential alone, and in the session that asked alone; what is spent in
/// vain is spent.
#[tokio::test]
async fn a_state_counts_once_for_its_credential_and_whoever_asked() {
    let world = World::new().await;
    for id in ["mail", "files"] {
        put(&world, id).await;
    }
    let state = begun(&world, "mail").await;
    let right = callback(
        "mail",
        &format!("code=c&state={state}&iss=x&session_state=y"),
    );
    let stored = world.get(&right).await.ok(200);
    assert_eq!(stored, json!({ "credential": "mail", "version": 2 }));
    world.get(&right).await.problem(409, "UNKNOWN_STATE");
    let asked = world.http.asked();
    let asked = asked.last().unwrap();
    assert!(
        asked.body.contains("code_verifier=") && asked.path == "/token",
        "{asked:?}"
    );

    // What was asked for one credential is nothing to another, and spent.
    let state = begun(&world, "mail").await;
    let query = format!("code=c&state={state}");
    for id in ["files", "mail"] {
        let answer = world.get(&callback(id, &query)).await;
        answer.problem(409, "UNKNOWN_STATE");
    }

    // Nor is what somebody else asked for: they would be made to put their account in the place of another.
    let robot = json!({ "kind": "service", "login": "robot" });
    let robot = world.post("/api/v1/users", robot).await.ok(201);
    let robot = robot["user"].as_str().unwrap();
    let json = [("content-type", "application/json")];
    let role = json!({ "to": "owner" }).to_string();
    let member = format!("/api/v1/members/{robot}");
    let given = world.send(Method::PUT, &member, &json, role).await;
    assert_eq!(given.status, 204, "{}", given.text());
    let key = json!({ "name": "k", "lasts": "1h" });
    let key = world
        .post(&format!("/api/v1/users/{robot}/keys"), key)
        .await
        .ok(201);
    let bearer = format!("Bearer {}", key["secret"].as_str().unwrap());
    let host = world.address.to_string();
    let headers = [("authorization", &*bearer), ("host", &*host)];
    let state = begun(&world, "files").await;
    let query = callback("files", &format!("code=c&state={state}"));
    let answer = world.raw(Method::GET, &query, &headers, "").await;
    answer.problem(409, "UNKNOWN_STATE");
    world.get(&query).await.problem(409, "UNKNOWN_STATE");

    // Whoever does not consent is told so, and the state is spent.
    let state = begun(&world, "files").await;
    let query = callback("files", &format!("error=access_denied&state={state}"));
    let refused = world.get(&query).await.problem(409, "NO_CONSENT");
    assert!(
        refused["detail"]
            .as_str()
            .unwrap()
            .contains("`access_denied`"),
        "{refused}"
    );
    world.get(&query).await.problem(409, "UNKNOWN_STATE");
    for query in ["", "code=c", "code=c&state=", "state=nbo_local_x"] {
        let answer = world.get(&callback("files", query)).await;
        answer.problem(409, "UNKNOWN_STATE");
    }
    let state = begun(&world, "files").await;
    let answer = world
        .get(&callback("files", &format!("state={state}")))
        .await;
    answer.problem(400, "BAD_QUERY");
    world.stopped().await;
}

#[tokio::test]
async fn nobody_is_sent_back_to_an_address_that_nobody_has_set() {
    let config = nebula_api::ApiConfig::default();
    let world = World::with(config).await;
    put(&world, "mail").await;
    let path = "/api/v1/credentials/mail/authorize";
    world
        .post(path, Value::Null)
        .await
        .problem(409, "NO_PUBLIC_URL");
    world.stopped().await;
}
