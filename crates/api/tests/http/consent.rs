//! Consent in a browser: who may come back with what.

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::Method;
use nebula_api::ApiConfig;
use nebula_core::CredentialId;
use nebula_testkit::ManualClock;
use serde_json::{Value, json};

use crate::support::World;

const BACK: &str = "https://nebula.example/api/v1/credentials/mail/callback";

async fn put(world: &World, id: &str) {
    put_after(world, id, None).await;
}

/// The version that follows `from`.
async fn put_after(world: &World, id: &str, from: Option<u32>) {
    let fields = json!({
        "authorize_url": "https://id.example/auth",
        "token_url": "https://id.example/token",
        "client_id": "c",
    });
    let hosts = json!(["api.example"]);
    let body = json!({ "type": "oauth2_code", "fields": fields, "hosts": hosts, "from": from });
    let json = [("content-type", "application/json")];
    let path = format!("/api/v1/credentials/{id}");
    let put = world
        .send(Method::PUT, &path, &json, body.to_string())
        .await;
    put.ok(200);
}

/// The state of a consent that was begun.
async fn begun(world: &World, id: &str) -> String {
    let pairs = asked(world, id).await;
    pairs.iter().find(|it| it.0 == "state").unwrap().1.clone()
}

/// What the address says at which somebody consents.
async fn asked(world: &World, id: &str) -> Vec<(String, String)> {
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
    assert!(pairs.contains(&("redirect_uri".to_owned(), back)));
    pairs
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
    let before = world.http.closed().len();
    let stored = world.get(&right).await.ok(200);
    assert_eq!(stored, json!({ "credential": "mail", "version": 2 }));
    // Whoever has consented may be somebody else than before: no connection is kept.
    let closed = world.http.closed().split_off(before);
    assert_eq!(closed.len(), 1, "{closed:?}");
    let closed = closed[0].credential.as_ref();
    assert_eq!(closed.map(CredentialId::as_str), Some("mail"));
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

/// Guards: the code goes with the address that was asked for, byte for byte, and with what only whoever asked
/// can have.
#[tokio::test]
async fn a_code_goes_with_the_address_and_the_proof_of_the_one_who_asked() {
    let world = World::new().await;
    put(&world, "mail").await;
    let pairs = asked(&world, "mail").await;
    let said = |name: &str| pairs.iter().find(|it| it.0 == name).unwrap().1.clone();
    assert_eq!(
        (&*said("response_type"), &*said("code_challenge_method")),
        ("code", "S256")
    );
    let back = callback("mail", &format!("code=c%2B1&state={}", said("state")));
    world.get(&back).await.ok(200);
    let sent = world.http.asked();
    let body = &sent.last().unwrap().body;
    let sent: Vec<(String, String)> = serde_urlencoded::from_str(body).unwrap();
    let sent = |name: &str| sent.iter().find(|it| it.0 == name).unwrap().1.clone();
    assert_eq!(
        (&*sent("grant_type"), &*sent("code")),
        ("authorization_code", "c+1")
    );
    assert_eq!(sent("redirect_uri"), BACK);
    let digest = ring::digest::digest(&ring::digest::SHA256, sent("code_verifier").as_bytes());
    assert_eq!(URL_SAFE_NO_PAD.encode(digest), said("code_challenge"));
    world.stopped().await;
}

/// Guard: the code is of the server that was asked, so it goes to none that was put there meanwhile.
#[tokio::test]
async fn a_code_goes_to_no_server_that_was_put_there_meanwhile() {
    let world = World::new().await;
    put(&world, "mail").await;
    let state = begun(&world, "mail").await;
    put_after(&world, "mail", Some(1)).await;
    let before = world.http.asked().len();
    let back = callback("mail", &format!("code=c&state={state}"));
    let refused = world.get(&back).await.problem(422, "CREDENTIAL_REFUSED");
    let why = refused["detail"].as_str().unwrap();
    assert!(why.contains("changed since"), "{why}");
    assert_eq!(world.http.asked().len(), before);
    world.stopped().await;
}

/// Guard: it is waited for ten minutes.
#[tokio::test]
async fn a_state_is_good_for_ten_minutes() {
    for (after, good) in [(599_999, true), (600_000, false)] {
        let clock = Arc::new(ManualClock::default());
        let config = ApiConfig {
            public_url: Some("https://nebula.example".to_owned()),
            ..ApiConfig::default()
        };
        let world = World::timed(config, clock.clone()).await;
        put(&world, "mail").await;
        let state = begun(&world, "mail").await;
        clock.advance(Duration::from_millis(after));
        let back = callback("mail", &format!("code=c&state={state}"));
        let answer = world.get(&back).await;
        match good {
            true => drop(answer.ok(200)),
            false => drop(answer.problem(409, "UNKNOWN_STATE")),
        }
        world.stopped().await;
    }
}

#[tokio::test]
async fn nobody_is_sent_back_to_an_address_that_nobody_has_set() {
    let config = ApiConfig::default();
    let world = World::with(config).await;
    put(&world, "mail").await;
    let path = "/api/v1/credentials/mail/authorize";
    world
        .post(path, Value::Null)
        .await
        .problem(409, "NO_PUBLIC_URL");
    world.stopped().await;
}

/// Guards: a browser is shown a page with nothing in it that runs, for a consent and for none; the state is
/// used up either way.
#[tokio::test]
async fn a_browser_is_shown_what_came_of_its_consent() {
    let world = World::new().await;
    put(&world, "mail").await;
    let state = begun(&world, "mail").await;
    let back = callback("mail", &format!("code=c&state={state}"));
    let browser = [("accept", "text/html,application/xhtml+xml,*/*;q=0.8")];
    let shown = world.send(Method::GET, &back, &browser, "").await;
    assert_eq!(shown.status, 200);
    assert!(shown.header("content-type").starts_with("text/html"));
    assert!(
        shown
            .header("content-security-policy")
            .contains("default-src 'none'")
    );
    let text = String::from_utf8(shown.body.to_vec()).unwrap();
    assert!(
        text.contains("You have consented") && text.contains("<code>mail</code>"),
        "{text}"
    );
    assert!(
        !text.contains("<script") && !text.contains(&state),
        "{text}"
    );
    let again = world.send(Method::GET, &back, &browser, "").await;
    assert_eq!(again.status, 409);
    let text = String::from_utf8(again.body.to_vec()).unwrap();
    assert!(
        text.contains("There is no consent") && text.contains("UNKNOWN_STATE"),
        "{text}"
    );
    let json = [("accept", "application/json")];
    let told = world.send(Method::GET, &back, &json, "").await;
    told.problem(409, "UNKNOWN_STATE");
    world.stopped().await;
}
